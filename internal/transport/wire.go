package transport

import (
	"cmp"
	"crypto/tls"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// wire is the last step of an attempt, below the caller's middleware: it adds the credentials, and sends the
// request over a kept connection or one of its own.
type wire struct {
	origin *url.URL
	creds  *Credentials
	kept   http.RoundTripper // for calls that may be repeated
	own    http.RoundTripper // for those that may not: a copy of kept, or kept itself if it cannot be copied
	traced bool              // own is a copy, so that net/http reports each connection
}

// pool is our own transport. After a time-out another one takes its place, so that no connection that may be
// dead is used again: an HTTP/2 connection that is in use could not be closed.
type pool struct{ current atomic.Pointer[generation] }

type generation struct {
	*http.Transport
	since time.Time
}

func newPool(t *http.Transport) *pool {
	p := new(pool)
	p.current.Store(&generation{t, time.Now()})
	return p
}

func (p *pool) RoundTrip(req *http.Request) (*http.Response, error) {
	return p.current.Load().RoundTrip(req)
}

func (p *pool) CloseIdleConnections() { p.current.Load().CloseIdleConnections() }

// renew replaces the transport that a request used which was made at start.
func (p *pool) renew(start time.Time) {
	used := p.current.Load()
	if !used.since.After(start) && p.current.CompareAndSwap(used, &generation{used.Clone(), time.Now()}) {
		used.CloseIdleConnections()
	}
}

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
			w.kept = newPool(t)
		}
		w.own, w.traced = ownConnections(t), true
	}
	return w
}

// newTransport returns a copy of net/http's default transport with room for the polls of many jobs on one
// host.
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

// ownConnections returns a copy of a transport that makes an HTTP/1.1 connection for each request and closes
// it thereafter: a kept one may be dead, and one of HTTP/2 may be told to go away, when the request is
// already on it.
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

// IsLoopback reports whether a URL's host is this machine, whoever resolves it: localhost, or an address in
// the form that Go reads. Spellings such as 127.1 are names to some resolvers.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if !SameOrigin(req.URL, w.origin) {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, errOrigin
	}
	authorized := req.WithContext(req.Context())
	authorized.Header = maps.Clone(req.Header)
	w.creds.set(authorized.Header)
	if req.Method == http.MethodGet {
		return w.kept.RoundTrip(authorized)
	}
	if s, ok := req.Context().Value(sendingKey{}).(*sending); ok {
		s.handOver(w.traced)
	}
	return w.own.RoundTrip(authorized)
}

// timedOut hears of a request that was made at start. A transport of the caller's is left alone.
func (w *wire) timedOut(start time.Time) {
	if p, ok := w.kept.(*pool); ok {
		p.renew(start)
	}
}

func (w *wire) closeIdle() {
	if t, ok := w.kept.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
