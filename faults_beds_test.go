package creatify_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// leakyClient makes a client with a recognisable key, which logs everything and whose requests are watched.
func leakyClient(t *testing.T, base string, rt http.RoundTripper, opts ...creatify.Option) (*creatify.Client, *lockedBuffer) {
	logged := new(lockedBuffer)
	debug := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	client, err := creatify.New("the-id", leakedKey, append([]creatify.Option{
		creatify.WithBaseURL(base),
		creatify.WithHTTPClient(&http.Client{Transport: &witness{t, base, rt}}),
		creatify.WithLogger(slog.New(slog.NewMultiHandler(slog.NewTextHandler(logged, debug), slog.NewJSONHandler(logged, debug)))),
	}, opts...)...)
	require.NoError(t, err)
	return client, logged
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// witness sees to it that each request, which carries the key, goes to the base URL.
type witness struct {
	t    *testing.T
	base string
	next http.RoundTripper
}

func (w *witness) RoundTrip(req *http.Request) (*http.Response, error) {
	assert.Equal(w.t, w.base, req.URL.Scheme+"://"+req.URL.Host, "a request went to another origin")
	assert.Equal(w.t, leakedKey, req.Header.Get("X-API-KEY"))
	return w.next.RoundTrip(req)
}

// inVirtualTime runs a call against the fake, without a socket. That no goroutine is left is for the bubble to say.
func inVirtualTime(t *testing.T, f fault, call apiCall, w when, variant int) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{APIID: "the-id", APIKey: leakedKey, Life: creatifytest.Life{Duration: time.Second}})
		client, logged := leakyClient(t, creatify.DefaultBaseURL, api)
		job, err := client.Jobs.CreatePreview(t.Context(), leakyParams())
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
		if want.retried() || want == comesBackLater {
			const backoff = (500 + 1000 + 2000) * time.Millisecond // before the second, third and fourth attempt
			least, most = least+f.wait, most+want.hits()*(f.wait+f.wait/4)+backoff
		}
		if call.route == creatifytest.CallPreviewSync && want.what == comesBack {
			most += time.Second // the job's
		}
		assert.GreaterOrEqual(t, r.took, least, "the time it took")
		assert.LessOrEqual(t, r.took, most, "the time it took")
	})
}

// socketBed is a server on a loopback address, and a client's transport to it, for a fault to spoil.
type socketBed struct {
	server    *httptest.Server
	transport *http.Transport
	tls       bool
	kept      bool   // the call finds a connection that was used before
	reply     string // of the call

	faulty    func() bool // whether the next one is hit
	spoil     func(http.ResponseWriter, *http.Request)
	sent      atomic.Int32 // requests that arrived, and dials that did not get that far
	processed atomic.Int32
	open      atomic.Int32 // connections
}

func (b *socketBed) process() { b.processed.Add(1) }

func (b *socketBed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Warm-Up") != "" {
		return
	}
	b.sent.Add(1)
	if b.spoil != nil && b.faulty() {
		b.spoil(w, r)
		return
	}
	io.Copy(io.Discard, r.Body)
	b.process()
	io.WriteString(w, b.reply)
}

func (b *socketBed) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		b.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		b.open.Add(-1)
	}
}

// inSocketBed runs a call over real sockets, with no backoff to speak of.
func inSocketBed(t *testing.T, f fault, call apiCall, w when) {
	goroutines := runtime.NumGoroutine()
	b := &socketBed{transport: new(http.Transport), reply: call.reply}
	b.server = httptest.NewUnstartedServer(b)
	b.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	b.server.Config.ConnState = b.count
	var hits atomic.Int32
	b.faulty = func() bool { return hits.Add(1) == 1 || w == always }
	f.socket(b)
	if b.tls {
		b.server.StartTLS()
		roots := b.server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		b.transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	} else {
		b.server.Start()
	}
	limit := 20 * time.Second
	switch {
	case f.takes > 0:
		limit = f.takes
	case f.resent && call.price == 0 && w == always: // before it sends a request for the third time, net/http waits a second
		limit = 50 * time.Millisecond
	}
	callers := &http.Client{Transport: &witness{t, b.server.URL, b.transport}, Timeout: limit}
	client, logged := leakyClient(t, b.server.URL, nil, creatify.WithHTTPClient(callers),
		creatify.WithRetry(creatify.RetryPolicy{MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond}))
	if b.kept {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", b.server.URL, nil)
		req.Header.Set("X-Warm-Up", "yes")
		resp, err := b.transport.RoundTrip(req)
		require.NoError(t, err)
		resp.Body.Close()
	}

	r := result{id: jobID}
	start := time.Now()
	r.value, r.err = call.do(t.Context(), client, jobID)
	r.took = time.Since(start)
	r.sent, r.processed, r.logged = int(b.sent.Load()), int(b.processed.Load()), logged.String()
	want := f.check(t, call, w, r)
	assert.GreaterOrEqual(t, r.took, want.hits()*f.takes, "the time it took")
	assert.Less(t, r.took, want.hits()*f.takes+5*time.Second, "the time it took")

	settles(t, "connections are left open", func() bool {
		b.transport.CloseIdleConnections() // each time: one that was dialled for an abandoned attempt may come late
		return b.open.Load() == 0
	})
	b.server.Close()
	settles(t, "goroutines are left behind", func() bool { return runtime.NumGoroutine() <= goroutines })
}

func settles(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%s:\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

type dial = func(ctx context.Context, addr string) (net.Conn, error)

// dials makes dialing fail.
func dials(bad dial) func(*socketBed) {
	return func(b *socketBed) {
		b.transport.DialContext = b.dialOr(bad, new(net.Dialer).DialContext)
	}
}

// dialsTLS makes the handshake fail.
func dialsTLS(bad dial) func(*socketBed) {
	return func(b *socketBed) {
		b.tls = true
		b.transport.DialTLSContext = b.dialOr(bad, func(ctx context.Context, network, addr string) (net.Conn, error) {
			return (&tls.Dialer{Config: b.transport.TLSClientConfig}).DialContext(ctx, network, addr)
		})
	}
}

func (b *socketBed) dialOr(bad dial, good func(ctx context.Context, network, addr string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if !b.faulty() {
			return good(ctx, network, addr)
		}
		b.sent.Add(1)
		return bad(ctx, addr)
	}
}

// refusedByTheProxy puts a proxy in between that refuses the tunnel.
func refusedByTheProxy(b *socketBed) {
	b.tls = true
	b.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != "proxy.test:80" {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			there.Read(make([]byte, 4<<10))
			io.WriteString(there, "HTTP/1.1 502 Bad Gateway\r\nX-Echo: "+leakedKey+"\r\n\r\n")
		}()
		return here, nil
	}
	b.transport.Proxy = func(*http.Request) (*url.URL, error) {
		if !b.faulty() {
			return nil, nil
		}
		b.sent.Add(1)
		return &url.URL{Scheme: "http", Host: "proxy.test"}, nil
	}
}

// serves has the server do something to the connection, which is closed thereafter.
func serves(bad func(*net.TCPConn, *http.Request, func())) func(*socketBed) {
	return func(b *socketBed) {
		b.spoil = func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				bad(conn.(*net.TCPConn), r, b.process)
				conn.Close()
			}
		}
	}
}

func servesKept(bad func(*net.TCPConn, *http.Request, func())) func(*socketBed) {
	return func(b *socketBed) {
		serves(bad)(b)
		b.kept = true
	}
}

// answers has the server process the request, say this and hang up.
func answers(raw string) func(*socketBed) {
	return func(b *socketBed) {
		b.spoil = func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // else closing would be a reset
			b.process()
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

// servesHTTP2 speaks just enough HTTP/2 to answer a request with 200, or badly.
func servesHTTP2(bad func(frame func(kind, flags byte, stream uint32, payload string), stream uint32)) func(*socketBed) {
	return func(b *socketBed) {
		b.tls, b.transport.ForceAttemptHTTP2 = true, true
		b.server.TLS = &tls.Config{NextProtos: []string{"h2"}}
		b.server.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
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
						b.sent.Add(1)
						if b.faulty() {
							bad(frame, stream)
							continue
						}
						b.process()
						frame(h2Headers, h2EndHeaders, stream, "\x88") // :status 200
						frame(h2Data, h2End, stream, b.reply)
					}
				}
			},
		}
	}
}

// emitted is all that can be got out of values by printing, logging and marshalling them; of errors, at every level.
func emitted(values ...any) string {
	var all bytes.Buffer
	logger := slog.New(slog.NewMultiHandler(slog.NewTextHandler(&all, nil), slog.NewJSONHandler(&all, nil)))
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&all, verb+"\n", v)
		}
		logger.Info("", "value", v)
		text, _ := json.Marshal(v) // an error of net/http's may hold what cannot be marshalled
		all.Write(text)
		if answer, ok := v.(*creatify.APIError); ok {
			all.Write(answer.Body) // in JSON it is base64
		}
		switch err := v.(type) {
		case interface{ Unwrap() error }:
			all.WriteString(emitted(err.Unwrap()))
		case interface{ Unwrap() []error }:
			for _, e := range err.Unwrap() {
				all.WriteString(emitted(e))
			}
		}
	}
	return all.String()
}

// assertNoKey looks for the key as it is and in the escapes of Go, JSON and hex.
func assertNoKey(t *testing.T, said string) {
	t.Helper()
	escaped, _ := json.Marshal(leakedKey)
	for _, spelling := range []string{leakedKey, strings.Trim(string(escaped), `"`), fmt.Sprintf("%x", leakedKey), "0123456789"} {
		if i := strings.Index(said, spelling); i >= 0 {
			t.Fatalf("the key is in what the library says: …%s…", said[max(0, i-200):min(len(said), i+100)])
		}
	}
}
