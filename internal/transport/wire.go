package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// wire is the last step of an attempt, below the caller's middleware: it adds the credentials and sends.
type wire struct {
	origin *url.URL
	creds  *Credentials
	kept   http.RoundTripper // for calls that may be repeated
	own    http.RoundTripper // for calls that may not: a copy of kept, or kept itself if it cannot be copied
	traced bool              // own is a copy, so that net/http reports each connection
	ours   pool              // kept, unless that is the caller's
}

// pool holds our own transport. After a time-out another one replaces it, so that no connection that may be
// dead is used again: an HTTP/2 connection that is in use could not be closed.
type pool struct{ atomic.Pointer[http.Transport] }

func (p *pool) RoundTrip(req *http.Request) (*http.Response, error) { return p.Load().RoundTrip(req) }
func (p *pool) CloseIdleConnections()                               { p.Load().CloseIdleConnections() }

var errOrigin = errors.New("refused to send credentials to another origin than the base URL's")

func newWire(c Config) *wire {
	w := &wire{origin: c.BaseURL, creds: c.Credentials, kept: http.DefaultTransport}
	if c.HTTPClient != nil && c.HTTPClient.Transport != nil {
		w.kept = c.HTTPClient.Transport
	}
	w.own = w.kept
	if t, ok := w.kept.(*http.Transport); ok && t != nil {
		if c.HTTPClient == nil {
			t = newTransport(t, c.BaseURL)
			w.ours.Store(t)
			w.kept = &w.ours
		}
		w.own, w.traced = ownConnections(t), true
	}
	return w
}

// newTransport returns a copy of a transport with room for the polls of many jobs on one host.
func newTransport(t *http.Transport, base *url.URL) *http.Transport {
	t = t.Clone()
	t.MaxIdleConnsPerHost = 16
	t.IdleConnTimeout = cmp.Or(t.IdleConnTimeout, 90*time.Second)
	t.TLSHandshakeTimeout = cmp.Or(t.TLSHandshakeTimeout, 10*time.Second)
	t.MaxResponseHeaderBytes = cmp.Or(t.MaxResponseHeaderBytes, 1<<20)
	if t.HTTP2 == nil {
		t.HTTP2 = new(http.HTTP2Config)
	}
	t.HTTP2.SendPingTimeout = cmp.Or(t.HTTP2.SendPingTimeout, 15*time.Second) // a dead connection is found within 25 s
	t.HTTP2.PingTimeout = cmp.Or(t.HTTP2.PingTimeout, 10*time.Second)
	if IsLoopback(base.Hostname()) {
		t.Proxy = nil
	}
	return t
}

// ownConnections returns a copy of a transport that makes an HTTP/1.1 connection for each request. A kept
// connection may be dead, and an HTTP/2 server may send GOAWAY, after the request was written to it.
func ownConnections(t *http.Transport) *http.Transport {
	t = t.Clone()
	t.DisableKeepAlives = true
	if t.DialTLSContext != nil || t.DialTLS != nil { //nolint:staticcheck // a caller's transport may have the old DialTLS
		return t // the caller's dialer picks the protocol
	}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.ForceAttemptHTTP2, t.TLSNextProto = false, nil
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = new(tls.Config)
	}
	// Protocols alone would leave h2 to be picked in the handshake.
	t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	return t
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if !SameOrigin(req.URL, w.origin) {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, errOrigin
	}
	authorized := req.WithContext(quiet{req.Context()}) //nolint:contextcheck // it is the request's
	authorized.Header = maps.Clone(req.Header)
	w.creds.set(authorized.Header)
	next := w.own
	switch s, ok := req.Context().Value(sendingKey{}).(*sending); {
	case req.Method == http.MethodGet:
		next = w.kept
	case ok && w.traced:
		s.traced.Store(true)
	case ok:
		s.untraced.Store(true)
	}
	resp, err := next.RoundTrip(authorized)
	if resp != nil {
		resp.Request = req // whose middleware sees no credentials
	}
	return resp, err
}

// quiet hides the credentials from whoever traces a request.
type quiet struct{ context.Context }

func (q quiet) Value(key any) any {
	value := q.Context.Value(key)
	if trace, ok := value.(*httptrace.ClientTrace); ok {
		hushed := *trace
		hushed.WroteHeaderField = nil
		return &hushed
	}
	return value
}

// timedOut replaces our transport after a time-out. Used is the one of the request, or nil if not ours.
func (w *wire) timedOut(used *http.Transport) {
	if used != nil && w.ours.CompareAndSwap(used, used.Clone()) {
		used.CloseIdleConnections()
	}
}

// sending observes whether a paid request has left. Only net/http's reports prove that it has not: a
// transport that reports nothing proves nothing.
type sending struct {
	grace    time.Duration
	traced   atomic.Bool // net/http has the request, and reports its connection
	untraced atomic.Bool // a caller's RoundTripper has it, which may report nothing
	gone     atomic.Bool // a connection was got, or something was written to it
}

type sendingKey struct{}

func (s *sending) neverLeft() bool { return s.traced.Load() && !s.gone.Load() }

func (s *sending) mayHaveLeft() bool { return s.gone.Load() || s.untraced.Load() && !s.traced.Load() }

// withGrace returns a context that ends after limit, or with parent while the request has not left. After
// that it outlives parent by the grace, so that a response on its way is not lost. The grace begins when
// parent's end is noticed: a process that was stopped meanwhile still reads the response. The context tells s
// whether the request has left.
func (s *sending) withGrace(parent context.Context, limit time.Duration) (ctx context.Context, end context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(parent), limit)
	var timer *time.Timer
	noticed := make(chan struct{})
	stop := context.AfterFunc(parent, func() {
		defer close(noticed)
		if s.grace > 0 && s.mayHaveLeft() {
			timer = time.AfterFunc(s.grace, cancel)
		} else {
			cancel()
		}
	})
	gone := func() { s.gone.Store(true) }
	watched := httptrace.WithClientTrace(context.WithValue(ctx, sendingKey{}, s), &httptrace.ClientTrace{
		GetConn:              func(string) { s.traced.Store(true) },
		GotConn:              func(httptrace.GotConnInfo) { gone() },
		WroteHeaders:         gone,
		WroteRequest:         func(httptrace.WroteRequestInfo) { gone() },
		GotFirstResponseByte: gone,
	})
	return watched, func() {
		if !stop() {
			<-noticed
			if timer != nil {
				timer.Stop()
			}
		}
		cancel()
	}
}

// SameOrigin reports whether two URLs have the same scheme, host and port.
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string { return cmp.Or(u.Port(), defaultPort[u.Scheme]) }

var defaultPort = map[string]string{"http": "80", "https": "443"}

// IsLoopback reports whether a URL's host is this machine, whoever resolves it: localhost, or an address in
// the form that Go reads. Spellings such as 127.1 are names to some resolvers.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}
