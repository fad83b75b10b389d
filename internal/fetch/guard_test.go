package fetch

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRoundTripFollowsRedirects(t *testing.T) {
	h := &host{content: videoOf(100), answers: map[int]answer{
		0: redirectTo("/elsewhere?signature=s1gned"), 1: redirectTo("https://cdn.test/v?signature=s1gned")}}
	_, err := written(t, h)
	require.NoError(t, err)
	assert.Equal(t, "https://cdn.test/v?signature=s1gned", h.requests[2].URL.String())
	for _, req := range h.requests {
		assert.Empty(t, req.Header.Get("Referer"), "which would show a signed URL to another host")
	}
	for _, code := range []int{301, 302, 303, 307, 308} {
		h := &host{content: videoOf(100), answers: map[int]answer{0: status(code, "Location", "/elsewhere")}}
		_, err := written(t, h)
		assert.NoError(t, err, "%d", code)
	}
}

func TestCheckRedirectRefuses(t *testing.T) {
	tests := []struct {
		name, from, to string
		want           string
		private        bool
	}{
		{"to_a_malformed_URL", "http://files.test/v", "http://[::1", "files.test redirects to a malformed URL", true},
		{"to_ftp", "http://files.test/v", "ftp://cdn.test/v", "its URL is not https", true},
		{"to_a_file", "http://files.test/v", "file:///etc/v", "its URL is not https", true},
		{"to_no_host", "http://files.test/v", "http:///v", "its URL has no host", true},
		{"from_https_to_http", fileURL, "http://files.test/v?signature=s1gned", "from https to http", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &host{answers: map[int]answer{0: redirectTo(tt.to)}}
			_, err := written(t, h, func(f *File) { *f = fileAt(tt.from); f.Private = tt.private })
			assert.Equal(t, RefusedURL, failureOf(t, err).Kind)
			assert.ErrorContains(t, err, tt.want)
			assert.Len(t, h.requests, 1)
		})
	}
	t.Run("after_ten_others", func(t *testing.T) {
		h := &host{answers: map[int]answer{}}
		for i := range 100 {
			h.answers[i] = redirectTo(fmt.Sprintf("/%d?signature=s1gned", i))
		}
		_, err := written(t, h)
		assert.Equal(t, "more than 10 redirects", failureOf(t, err).Reason)
		assert.Len(t, h.requests, 11)
	})
}

func TestCheckRedirectAsksTheCallers(t *testing.T) {
	h := &host{content: videoOf(1), answers: map[int]answer{0: redirectTo("https://cdn.test/v")}}
	veto, asked := errors.New("not to https://cdn.test/v?signature=s1gned"), 0
	client := newClient(h)
	client.veto = func(req *http.Request, via []*http.Request) error {
		asked++
		assert.Equal(t, "cdn.test", req.URL.Host)
		assert.Len(t, via, 1)
		req.Header.Set("Authorization", "secret")
		return veto
	}
	_, err := client.ToWriter(t.Context(), fileAt(fileURL), io.Discard)
	assert.Equal(t, RefusedURL, failureOf(t, err).Kind)
	assert.ErrorContains(t, err, "CheckRedirect does not allow a redirect to cdn.test: not to https://cdn.test/v")
	assert.Equal(t, 1, asked)
	assert.Len(t, h.requests, 1)
	veto, h.requests = nil, nil
	_, err = client.ToWriter(t.Context(), fileAt(fileURL), io.Discard)
	require.NoError(t, err)
	assert.Empty(t, h.requests[1].Header.Get("Authorization"), "it cannot add anything")
}

// closing counts how often a body is closed.
type closing struct {
	io.Reader
	times *int
}

func (c *closing) Close() error { *c.times++; return nil }

func TestRoundTripClosesEachBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{content: videoOf(100), answers: map[int]answer{0: redirectTo("/a"), 1: status(503), 2: redirectTo("/b")}}
		opened, closed := 0, 0
		_, err := written(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			resp, err := h.RoundTrip(req)
			opened++
			resp.Body = &closing{resp.Body, &closed}
			return resp, err
		}))
		require.NoError(t, err)
		assert.Equal(t, 4, opened)
		assert.Equal(t, opened, closed)
	})
}

func TestRoundTripSurvivesATransportThatForgets(t *testing.T) {
	for name, resp := range map[string]*http.Response{"the_response": nil, "the_body": {StatusCode: 200, ContentLength: 5},
		"the_headers": {StatusCode: 503, Body: http.NoBody}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				h := &host{content: videoOf(5)}
				_, err := written(t, roundTrip(func(req *http.Request) (*http.Response, error) {
					if asked++; asked == 1 {
						return resp, nil
					}
					return h.RoundTrip(req)
				}))
				assert.NoError(t, err)
				assert.Equal(t, 2, asked)
			})
		})
	}
}

// elsewhere is a connection that claims a public address.
type elsewhere struct {
	net.Conn
	closed *atomic.Int32
}

func (elsewhere) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(93, 184, 216, 34), Port: 443}
}

func (e elsewhere) Close() error { e.closed.Add(1); return e.Conn.Close() }

// secure is a server for example.com and its subdomains. Only example.com has a public address.
type secure struct {
	*httptest.Server
	asked, opened, closed atomic.Int32
}

func newSecure(t *testing.T, handler http.HandlerFunc) *secure {
	s := new(secure)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		handler(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are refused
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// transport is a caller's that reaches the server.
func (s *secure) transport() *http.Transport {
	return &http.Transport{DialContext: s.dial, TLSClientConfig: s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()}
}

func (s *secure) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
	s.opened.Add(1)
	if err == nil && addr == "example.com:443" {
		conn = elsewhere{conn, &s.closed}
	}
	return conn, err
}

func video(w http.ResponseWriter, _ *http.Request) { w.Write(videoOf(9)) }

func TestGuardedChecksTheAddressOfAConnection(t *testing.T) {
	s := newSecure(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/inside" {
			http.Redirect(w, r, "https://inside.example.com/v", http.StatusFound)
			return
		}
		video(w, r)
	})
	h2 := s.transport()
	h2.ForceAttemptHTTP2 = true
	for _, caller := range []*http.Transport{s.transport(), h2} {
		client := newClient(caller)
		tests := []struct {
			url     string
			private bool
			refused bool
			asked   int32
		}{
			{"https://example.com/v", false, false, 1},
			{"https://inside.example.com/v", false, true, 0}, // resolves to loopback
			{"https://example.com/inside", false, true, 1},
			{"https://inside.example.com/v", true, false, 1},
			{"https://inside.example.com/v", false, true, 0}, // whatever connection there was
		}
		for _, tt := range tests {
			s.asked.Store(0)
			_, err := client.ToWriter(t.Context(), fileAt(tt.url, func(f *File) { f.Private = tt.private }), io.Discard)
			if assert.Equal(t, tt.refused, err != nil, "%s: %v", tt.url, err); err != nil {
				assert.Equal(t, RefusedURL, failureOf(t, err).Kind)
			}
			assert.Equal(t, tt.asked, s.asked.Load(), tt.url)
		}
	}
}

func TestGuardedLeavesNoConnection(t *testing.T) {
	s := newSecure(t, video)
	_, err := newClient(s.transport()).ToWriter(t.Context(), fileAt("https://example.com/v"), io.Discard)
	require.NoError(t, err)
	assert.EqualValues(t, 1, s.opened.Load())
	assert.Eventually(t, func() bool { return s.closed.Load() == 1 }, 10*time.Second, time.Millisecond)
}

func TestGuardedUsesTheCallersDialerAndProxyOnly(t *testing.T) {
	down := errors.New("the network is down")
	pipe := func(proxied bool) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			if proxied {
				there.Close()
			}
			return here, nil
		}
	}
	tests := []struct {
		name    string
		proxy   func(*http.Request) (*url.URL, error)
		dial    func(ctx context.Context, network, addr string) (net.Conn, error)
		want    string
		dialled string
	}{
		{"a_dialer_that_fails", nil, func(context.Context, string, string) (net.Conn, error) { return nil, down }, down.Error(), "files.test:443"},
		{"a_dialer_to_no_address_of_the_Internet", nil, pipe(false), "pipe is not a public address", "files.test:443"},
		{"a_proxy_that_is_not_known", func(*http.Request) (*url.URL, error) { return nil, down }, pipe(false), down.Error(), ""},
		{"a_proxy_that_changes_its_mind", once(&url.URL{Scheme: "http", Host: "proxy.test:80"}), pipe(true), io.ErrClosedPipe.Error(), "proxy.test:80"},
		{"a_dialer_to_a_private_proxy", http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test:80"}), pipe(true), io.ErrClosedPipe.Error(), "proxy.test:80"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dialled := ""
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // less than the pause before another attempt
				defer cancel()
				_, err := newClient(&http.Transport{Proxy: tt.proxy, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					dialled += addr
					return tt.dial(ctx, network, addr)
				}}).ToWriter(ctx, fileAt(fileURL), io.Discard)
				assert.Contains(t, failureOf(t, err).Reason, tt.want)
				assert.Equal(t, tt.dialled, dialled)
			})
		})
	}
}

// once is a Proxy function that knows a proxy only the first time.
func once(proxy *url.URL) func(*http.Request) (*url.URL, error) {
	return func(*http.Request) (*url.URL, error) {
		at := proxy
		proxy = nil
		return at, nil
	}
}

func TestGuardedMayUseAPrivateProxyForPublicHosts(t *testing.T) {
	var asked []string
	var cancel context.CancelFunc
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Host+r.Header.Get("Proxy-Authorization"))
		cancel() // so that there is no other attempt
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	at, _ := url.Parse(proxy.URL)
	client := newClient(&http.Transport{Proxy: http.ProxyURL(at), ProxyConnectHeader: http.Header{"Proxy-Authorization": {" with a password"}}})
	tests := []struct {
		url  string
		want []string
	}{
		{"https://files.test/v", []string{"files.test:443with a password"}},
		{"https://127.0.0.1/v", nil},
		{"https://localhost/v", nil},
	}
	for _, tt := range tests {
		var ctx context.Context
		ctx, cancel = context.WithCancel(t.Context())
		asked = nil
		_, err := client.ToWriter(ctx, fileAt(tt.url), io.Discard)
		cancel()
		assert.Equal(t, tt.want == nil, failureOf(t, err).Kind == RefusedURL, "%v", err)
		assert.Equal(t, tt.want, asked)
	}
}

// TestGuardedMakesNoConnectionToALoopbackName resolves all names to loopback.
func TestGuardedMakesNoConnectionToALoopbackName(t *testing.T) {
	resolver := net.DefaultResolver
	defer func() { net.DefaultResolver = resolver }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go answerLoopback(server)
		return client, nil
	}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	var connections atomic.Int32
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for name, client := range map[string]*http.Client{"without_a_client": nil, "without_a_transport": {}, "without_a_dialer": {Transport: new(http.Transport)}} {
		t.Run(name, func(t *testing.T) {
			_, err := New(client, "test", redact).ToWriter(t.Context(), fileAt("https://rebound.example.com:"+port+"/v"), io.Discard)
			assert.Equal(t, RefusedURL, failureOf(t, err).Kind)
			assert.ErrorContains(t, err, " is not a public address")
		})
	}
	assert.Zero(t, connections.Load())
}

// answerLoopback answers DNS questions over TCP: every name is 127.0.0.1.
func answerLoopback(conn net.Conn) {
	defer conn.Close()
	for {
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		q := make([]byte, size)
		if _, err := io.ReadFull(conn, q); err != nil {
			return
		}
		end := 12 + bytes.IndexByte(q[12:], 0) + 5
		response := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
		if q[end-3] == 1 { // A
			response[7] = 1
			response = append(response, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
		}
		conn.Write(binary.BigEndian.AppendUint16(nil, uint16(len(response))))
		conn.Write(response)
	}
}

func TestCheckURLRefuses(t *testing.T) {
	for _, at := range []string{
		"http://files.test/v", "http://93.184.216.34/v", "ftp://files.test/v", "file:///v", "https:///v", "https://[::1/v",
		"https://me:pw@files.test/v", "/v.mp4", "//files.test/v", "mailto:v@files.test", "data:video/mp4,v",
		// this machine
		"https://127.0.0.1/v", "https://127.0.0.1./v", "https://127.8.9.10/v", "https://0.0.0.0/v", "https://[::]/v", "https://[::1]/v",
		"https://[::ffff:127.0.0.1]/v", "https://[::127.0.0.1]/v", "https://[64:ff9b::7f00:1]/v", "https://[2002:7f00:1::]/v",
		"https://localhost/v", "https://LOCALHOST./v", "https://a.localhost/v",
		// names of local networks
		"https://files/v", "https://files./v", "https://files.local/v", "https://files.home.arpa/v", "https://files.internal/v",
		// private and link-local networks
		"https://10.1.2.3/v", "https://172.16.0.1/v", "https://192.168.1.1/v", "https://169.254.169.254/latest/meta-data",
		"https://100.64.0.1/v", "https://100.127.255.255/v", "https://[fe80::1]/v", "https://[fe80::1%25eth0]/v", "https://[fc00::1]/v",
		"https://[fd12::1]/v", "https://[::ffff:a00:1]/v", "https://[64:ff9b::10.0.0.1]/v", "https://[64:ff9b:1::a00:1]/v",
		// other special addresses
		"https://224.0.0.1/v", "https://255.255.255.255/v", "https://[ff02::1]/v", "https://[2001:0:1::]/v", "https://192.0.0.1/v",
		"https://192.0.2.1/v", "https://192.88.99.1/v", "https://198.18.0.1/v", "https://198.19.255.255/v", "https://198.51.100.1/v",
		"https://203.0.113.1/v", "https://[2001:db8::1]/v", "https://[3fff::1]/v",
		// unusual forms, which some resolvers understand
		"https://0x7f000001/v", "https://127.0/v", "https://127.9/v", "https://a../v", "https://2130706433/v", "https://0x7f.1/v",
		"https://127.1/v", "https://0177.0.0.1/v", "https://１２７.０.０.１/v",
	} {
		t.Run(at, func(t *testing.T) {
			h := &host{content: videoOf(9)} // in memory: only the check is between them
			_, err := newClient(h).ToWriter(t.Context(), fileAt(at), nil)
			assert.Equal(t, RefusedURL, failureOf(t, err).Kind)
			assert.Empty(t, h.requests)
			if at[0] == '/' {
				return // a redirect may be relative
			}
			h = &host{content: videoOf(9), answers: map[int]answer{0: redirectTo(at)}}
			_, err = written(t, h)
			assert.Equal(t, RefusedURL, failureOf(t, err).Kind, "after a redirect")
			assert.Len(t, h.requests, 1)
		})
	}
}

func TestCheckURLAccepts(t *testing.T) {
	for _, at := range []string{"https://93.184.216.34/v", "https://[2606:2800:220:1::1]/v", "https://[64:ff9b::5db8:d822]/v",
		"https://[::ffff:93.184.216.34]/v", "https://files.test:8443/v", "https://100.128.0.1/v", "https://172.32.0.1/v"} {
		t.Run(at, func(t *testing.T) {
			_, err := written(t, &host{content: videoOf(9)}, func(f *File) { *f = fileAt(at) })
			assert.NoError(t, err)
		})
	}
}

func TestEscape(t *testing.T) {
	tests := []struct {
		name, at string
		uri      string // what the host is asked for
	}{
		{"good", "/v.mp4?a=%20b", "/v.mp4?a=%20b"},
		{"white_space_around", "/v.mp4 \n\t", "/v.mp4"},
		{"a_percent_sign", "/100%.mp4", "/100%25.mp4"},
		{"a_percent_sign_before_an_escape", "/%%41%4", "/%25%41%254"},
		{"a_space", "/my video.mp4?a=b c", "/my%20video.mp4?a=b%20c"},
		{"other_characters", "/vidéo.mp4?a=é", "/vid%C3%A9o.mp4?a=%C3%A9"},
		{"a_line_break", "/a\r\nHost: b", "/a%0D%0AHost:%20b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked = append(asked, r.RequestURI); r.URL.Path == "/redirect" {
					w.Header()["Location"] = []string{tt.at}
					w.WriteHeader(http.StatusFound)
					return
				}
				video(w, r)
			}))
			defer server.Close()
			_, err := written(t, new(http.Transport), func(f *File) { *f = fileAt(server.URL+tt.at, private) })
			assert.NoError(t, err)
			_, err = written(t, new(http.Transport), func(f *File) { *f = fileAt(server.URL+"/redirect", private) })
			assert.NoError(t, err)
			if tt.name != "a_line_break" { // which no Location can have
				assert.Equal(t, []string{tt.uri, "/redirect", tt.uri}, asked)
			}
		})
	}
}
