package transport

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// wire is the last step of an attempt, below the caller's middleware: it adds the credentials, and sends the request over a
// kept connection or one of its own.
type wire struct {
	origin *url.URL
	creds  *Credentials
	kept   http.RoundTripper // for calls that may be repeated
	own    http.RoundTripper // for those that may not: a copy of kept, or kept itself if it cannot be copied
	traced bool              // own is a copy, so that net/http reports each connection
	ours   *http.Transport   // kept, if it was made here
}

var errOrigin = errors.New("refused to send credentials to another origin than the base URL's")

func newWire(c Config) *wire {
	w := &wire{origin: c.BaseURL, creds: c.Credentials}
	switch {
	case c.HTTPClient != nil && c.HTTPClient.Transport != nil:
		w.kept = c.HTTPClient.Transport
	case c.HTTPClient == nil:
		if w.ours = newTransport(c.BaseURL); w.ours != nil {
			w.kept = w.ours
			break
		}
		fallthrough
	default:
		w.kept = http.DefaultTransport
	}
	w.own = w.kept
	if t, ok := w.kept.(*http.Transport); ok && t != nil {
		w.own, w.traced = ownConnections(t), true
	}
	return w
}

// newTransport returns a copy of net/http's default transport with room for the polls of many jobs on one host. It is nil
// if the program has put something else in that place, which is then used as it is.
func newTransport(base *url.URL) *http.Transport {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 16
	t.IdleConnTimeout = cmp.Or(t.IdleConnTimeout, 90*time.Second)
	t.TLSHandshakeTimeout = cmp.Or(t.TLSHandshakeTimeout, 10*time.Second)
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

// ownConnections returns a copy of a transport that makes an HTTP/1.1 connection for each request and closes it thereafter:
// a kept one may be dead, and one of HTTP/2 may be told to go away, when the request is already on it.
func ownConnections(t *http.Transport) *http.Transport {
	t = t.Clone()
	t.DisableKeepAlives = true
	if t.DialTLSContext != nil || t.DialTLS != nil { //nolint:staticcheck // a caller's transport may have the old DialTLS
		return t // the caller's dialer picks the protocol
	}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.ForceAttemptHTTP2, t.TLSNextProto = false, nil
	if c := t.TLSClientConfig; c != nil {
		// Protocols alone would leave h2 to be picked in the handshake.
		c.NextProtos = slices.DeleteFunc(slices.Clone(c.NextProtos), func(p string) bool { return p == "h2" })
	}
	return t
}

// IsLoopback reports whether a URL's host is this machine, whoever resolves it: localhost, or an address in the form that
// Go reads. Spellings such as 127.1 are names to some resolvers.
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

// timedOut closes our own idle connections: where one is dead, so may be the others.
func (w *wire) timedOut() {
	if w.ours != nil {
		w.ours.CloseIdleConnections()
	}
}

func (w *wire) closeIdle() {
	if t, ok := w.kept.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
