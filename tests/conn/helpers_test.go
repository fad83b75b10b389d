// Package conn_test runs calls over real networks that fail: silent connections, a proxy that reloads, a
// process that gets SIGTERM.
package conn_test

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/require"
)

func params() creatify.JobParams {
	return creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{"headline": creatify.Text("Spring sale")}}
}

// relay forwards connections. After swallow, the open ones are silent.
type relay struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	ways  map[*way]bool
	count int // connections in all
}

// way is one connection through the relay.
type way struct {
	here, there net.Conn
	dead        chan struct{} // closed when it swallows
}

func newRelay(t *testing.T, target string) *relay {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{listener: listener, target: target, ways: map[*way]bool{}}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			here, err := listener.Accept()
			if err != nil {
				return
			}
			accepting.Go(func() { r.serve(here) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		r.mu.Lock()
		for w := range r.ways {
			w.here.Close()
			w.there.Close()
		}
		r.mu.Unlock()
		accepting.Wait()
	})
	return r
}

func (r *relay) serve(here net.Conn) {
	defer here.Close()
	there, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer there.Close()
	w := &way{here, there, make(chan struct{})}
	r.mu.Lock()
	r.ways[w] = true
	r.count++
	r.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { w.pass(there, here) })
	both.Go(func() { w.pass(here, there) })
	both.Wait()
	r.mu.Lock()
	delete(r.ways, w)
	r.mu.Unlock()
}

// pass copies from one end to the other. A silent way is read and dropped, so that TCP acknowledges the
// sender's bytes.
func (w *way) pass(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-w.dead:
			if err != nil {
				return
			}
			continue
		default:
		}
		if err != nil {
			to.Close()
			return
		}
		to.Write(buf[:n])
	}
}

// swallow silences each open connection and returns their number. New connections work.
func (r *relay) swallow() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.ways {
		select {
		case <-w.dead:
		default:
			close(w.dead)
		}
	}
	return len(r.ways)
}

func (r *relay) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// network is the fake API behind a relay, with the relay's URL.
type network struct {
	api   *creatifytest.API
	relay *relay
	url   string
	roots *tls.Config
}

// protocol is how the API is served.
type protocol struct {
	name       string
	tls, http2 bool
}

var protocols = []protocol{{name: "HTTP/1.1"}, {name: "HTTP/1.1 over TLS", tls: true}, {name: "HTTP/2", tls: true, http2: true}}

// serve serves an API, or what wraps it, on a loopback address.
func serve(t *testing.T, p protocol, wrap func(http.Handler) http.Handler) network {
	api := creatifytest.New(creatifytest.Config{})
	handler := http.Handler(api)
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = p.http2
	n := network{api: api}
	if p.tls {
		server.StartTLS()
		n.roots = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	scheme, address, _ := strings.Cut(server.URL, "://")
	n.relay = newRelay(t, address)
	n.url = scheme + "://" + n.relay.listener.Addr().String()
	return n
}

// ours makes a client with the library's own transport, which is a copy of the program's default one.
func (n network) ours(t *testing.T, opts ...creatify.Option) *creatify.Client {
	old := http.DefaultTransport
	defer func() { http.DefaultTransport = old }()
	trusting := old.(*http.Transport).Clone()
	trusting.TLSClientConfig = n.roots.Clone()
	http.DefaultTransport = trusting
	return n.client(t, opts...)
}

// callers makes a client with a transport of the caller's.
func (n network) callers(t *testing.T, opts ...creatify.Option) *creatify.Client {
	transport := &http.Transport{TLSClientConfig: n.roots.Clone(), ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 16}
	return n.client(t, append(opts, creatify.WithHTTPClient(&http.Client{Transport: transport}))...)
}

func (n network) client(t *testing.T, opts ...creatify.Option) *creatify.Client {
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, append(opts, creatify.WithBaseURL(n.url))...)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// together makes n calls at once, and returns their errors.
func together(n int, call func() error) []error {
	var all sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		all.Go(func() { errs[i] = call() })
	}
	all.Wait()
	return errs
}
