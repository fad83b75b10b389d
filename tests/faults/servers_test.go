package faults_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inVirtualTime runs a call against the fake, without a socket. The bubble fails if a goroutine is left.
func inVirtualTime(t *testing.T, f fault, call apiCall, w when, variant int) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{APIID: "the-id", APIKey: testkit.Key, Life: creatifytest.Life{Duration: time.Second}})
		client, logged := testkit.NewLeakyClient(t, testkit.BaseURL, api)
		job, err := client.Jobs.CreatePreview(t.Context(), testkit.LeakyParams())
		require.NoError(t, err)
		time.Sleep(time.Second)
		sent, charged := api.Calls(call.route), api.Charged()

		bad := f.virtual()[variant]
		bad.Call, bad.Times = call.route, 1
		if w == always {
			bad.Times = -1
		}
		api.Inject(bad)
		ctx := t.Context()
		if f.context != nil {
			var cancel context.CancelFunc
			ctx, cancel = f.context(ctx)
			defer cancel()
		}
		r := result{id: job.ID, status: bad.Status}
		start := time.Now()
		r.value, r.err = call.do(ctx, client, job.ID)
		r.took = time.Since(start)
		r.sent, r.logged = api.Calls(call.route)-sent, logged.String()
		if call.price > 0 {
			r.processed = int((api.Charged() - charged) / call.price)
		}
		want := f.check(t, call, w, r)

		takes := f.takes
		if takes == untilTheTimeLimit {
			takes = call.limit
		}
		if f.grace && call.price > 0 {
			takes += 10 * time.Second
		}
		least, most := want.hits()*takes, want.hits()*takes
		if want.retried() || want == succeedsLater {
			const backoff = (500 + 1000 + 2000) * time.Millisecond // before the second, third and fourth attempt
			least, most = least+f.wait, most+want.hits()*(f.wait+f.wait/4)+backoff
		}
		if f.arrives > 0 && call.price > 0 {
			least, most = f.arrives, f.arrives
		}
		if call.route == creatifytest.CallPreviewSync && want.what == succeeds {
			most += time.Second // the job's
		}
		assert.GreaterOrEqual(t, r.took, least, "the time it took")
		assert.LessOrEqual(t, r.took, most, "the time it took")
	})
}

// testServer is a server on a loopback address with a client's transport to it. A fault breaks either.
type testServer struct {
	server    *httptest.Server
	transport *http.Transport
	tls       bool
	response  string // of the call
	warm      string // address of the client on a connection that was used before; empty for none

	faulty    func() bool // whether the next one is hit
	fault     func(http.ResponseWriter, *http.Request)
	sent      atomic.Int32 // requests that arrived, and dials that did not get that far
	processed atomic.Int32
	open      atomic.Int32 // connections
}

func (s *testServer) process() { s.processed.Add(1) }

func (s *testServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Warm-Up") != "" {
		s.warm = r.RemoteAddr
		return
	}
	if r.Header.Get("X-API-KEY") != testkit.Key {
		http.Error(w, "no key", http.StatusUnauthorized)
		return
	}
	s.sent.Add(1)
	if s.fault != nil && s.faulty() {
		s.fault(w, r)
		return
	}
	io.Copy(io.Discard, r.Body)
	s.process()
	io.WriteString(w, s.response)
}

func (s *testServer) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.open.Add(-1)
	}
}

// overSockets runs a call over real sockets, with a negligible backoff.
func overSockets(t *testing.T, f fault, call apiCall, w when) {
	goroutines := runtime.NumGoroutine()
	s := &testServer{transport: new(http.Transport), response: call.response}
	s.server = httptest.NewUnstartedServer(s)
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.server.Config.ConnState = s.count
	var hits atomic.Int32
	s.faulty = func() bool { return hits.Add(1) == 1 || w == always }
	f.socket(s)
	if s.tls {
		s.server.StartTLS()
		roots := s.server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		s.transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	} else {
		s.server.Start()
	}
	limit := 20 * time.Second
	switch {
	case f.takes > 0:
		limit = f.takes
	case f.resent && call.price == 0 && w == always: // before it sends a request for the third time, net/http waits a second
		limit = 50 * time.Millisecond
	}
	callers := &http.Client{Transport: s.transport, Timeout: limit}
	client, logged := testkit.NewLeakyClient(t, s.server.URL, nil, creatify.WithHTTPClient(callers),
		creatify.WithRetry(creatify.RetryPolicy{MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond}))
	if f.kept {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", s.server.URL, nil)
		req.Header.Set("X-Warm-Up", "yes")
		resp, err := s.transport.RoundTrip(req)
		require.NoError(t, err)
		resp.Body.Close()
	}

	r := result{id: testkit.JobID}
	start := time.Now()
	r.value, r.err = call.do(t.Context(), client, testkit.JobID)
	r.took = time.Since(start)
	r.sent, r.processed, r.logged = int(s.sent.Load()), int(s.processed.Load()), logged.String()
	want := f.check(t, call, w, r)
	assert.GreaterOrEqual(t, r.took, want.hits()*f.takes, "the time it took")
	assert.Less(t, r.took, want.hits()*f.takes+30*time.Second, "the time it took")

	settles(t, "connections are left open", func() bool {
		s.transport.CloseIdleConnections() // each time: one that was dialled for an abandoned attempt may come late
		return s.open.Load() == 0
	})
	s.server.Close()
	settles(t, "goroutines are left behind", func() bool { return runtime.NumGoroutine() <= goroutines })
}

func settles(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%s:\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

type dial = func(ctx context.Context, addr string) (net.Conn, error)

// dials makes dialing fail.
func dials(bad dial) func(*testServer) {
	return func(s *testServer) {
		s.transport.DialContext = s.dialOr(bad, new(net.Dialer).DialContext)
	}
}

// dialsTLS makes the handshake fail.
func dialsTLS(bad dial) func(*testServer) {
	return func(s *testServer) {
		s.tls = true
		s.transport.DialTLSContext = s.dialOr(bad, func(ctx context.Context, network, addr string) (net.Conn, error) {
			return (&tls.Dialer{Config: s.transport.TLSClientConfig}).DialContext(ctx, network, addr)
		})
	}
}

func (s *testServer) dialOr(bad dial, good func(ctx context.Context, network, addr string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if !s.faulty() {
			return good(ctx, network, addr)
		}
		s.sent.Add(1)
		return bad(ctx, addr)
	}
}

// refusedByTheProxy adds a proxy that refuses the tunnel.
func refusedByTheProxy(s *testServer) {
	s.tls = true
	s.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != "proxy.test:80" {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			there.Read(make([]byte, 4<<10))
			io.WriteString(there, "HTTP/1.1 502 Bad Gateway\r\nX-Echo: "+testkit.Key+"\r\n\r\n")
		}()
		return here, nil
	}
	s.transport.Proxy = func(*http.Request) (*url.URL, error) {
		if !s.faulty() {
			return nil, nil
		}
		s.sent.Add(1)
		return &url.URL{Scheme: "http", Host: "proxy.test"}, nil
	}
}

// serves calls bad with the connection, and then closes it.
func serves(bad func(*net.TCPConn, *http.Request, func())) func(*testServer) {
	return func(s *testServer) {
		s.fault = func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				bad(conn.(*net.TCPConn), r, s.process)
				conn.Close()
			}
		}
	}
}

// resetsWarm resets the kept connection of an earlier request.
func resetsWarm(s *testServer) {
	s.faulty = func() bool { return true }
	s.fault = func(w http.ResponseWriter, r *http.Request) {
		if r.RemoteAddr != s.warm {
			s.process()
			io.WriteString(w, s.response)
			return
		}
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}
}

// answers has the server process the request, write text and close the connection.
func answers(raw string) func(*testServer) {
	return func(s *testServer) {
		s.fault = func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // else closing would be a reset
			s.process()
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				io.WriteString(conn, raw)
				conn.Close()
			}
		}
	}
}

// Types of HTTP/2 frames, and flags.
const (
	h2Data, h2Headers, h2Reset, h2Settings, h2GoAway = 0, 1, 3, 4, 7
	h2End, h2Ack, h2EndHeaders                       = 1, 1, 4
)

// servesHTTP2 speaks enough HTTP/2 to answer a request with 200, or badly.
func servesHTTP2(bad func(frame func(kind, flags byte, stream uint32, payload string), stream uint32)) func(*testServer) {
	return func(s *testServer) {
		s.tls, s.transport.ForceAttemptHTTP2 = true, true
		s.server.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
		s.server.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
			"h2": func(_ *http.Server, conn *tls.Conn, _ http.Handler) {
				frame := func(kind, flags byte, stream uint32, payload string) {
					head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
					head = binary.BigEndian.AppendUint32(append(head, flags), stream)
					io.WriteString(conn, string(head)+payload)
					if kind == h2GoAway {
						conn.CloseWrite()
					}
				}
				io.ReadFull(conn, make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
				frame(h2Settings, 0, 0, "")
				for head := make([]byte, 9); ; {
					if _, err := io.ReadFull(conn, head); err != nil {
						return
					}
					io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head)>>8))
					kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
					switch {
					case kind == h2Settings && flags&h2Ack == 0:
						frame(h2Settings, h2Ack, 0, "")
					case (kind == h2Headers || kind == h2Data) && flags&h2End != 0: // the request is here
						s.sent.Add(1)
						if s.faulty() {
							bad(frame, stream)
							continue
						}
						s.process()
						frame(h2Headers, h2EndHeaders, stream, "\x88") // :status 200
						frame(h2Data, h2End, stream, s.response)
					}
				}
			},
		}
	}
}
