package fetch

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// Client downloads files. It is safe for concurrent use.
type Client struct {
	settings *http.Transport // of every connection; nil where foreign makes them
	proxy    func(*http.Request) (*url.URL, error)
	dial     dialFunc          // the caller's; nil for none
	foreign  http.RoundTripper // the caller's, if it is no *http.Transport
	veto     func(*http.Request, []*http.Request) error
	agent    string
	redact   func(text string, secrets ...string) string
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// New makes a client. Of the caller's [http.Transport] it takes the proxy, DialContext, time limits and trusted roots, but
// nothing that identifies the caller to a foreign host, such as client certificates.
func New(c Config) *Client {
	client := &Client{agent: c.UserAgent, redact: c.Redact}
	base, callers := http.DefaultTransport, false
	if c.HTTPClient != nil {
		client.veto = c.HTTPClient.CheckRedirect
		if callers = c.HTTPClient.Transport != nil; callers {
			base = c.HTTPClient.Transport
		}
	}
	from, ok := base.(*http.Transport)
	switch {
	case ok:
		from = from.Clone() // whose fields net/http no longer changes
	case c.HTTPClient != nil:
		client.foreign = base
		return client
	default: // somebody replaced the default
		from = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	if callers {
		client.dial = from.DialContext
	}
	client.proxy = from.Proxy
	client.settings = &http.Transport{
		DisableKeepAlives:      true, // each request has a transport of its own
		DisableCompression:     true,
		MaxResponseHeaderBytes: 1 << 20,
		TLSHandshakeTimeout:    cmp.Or(from.TLSHandshakeTimeout, 10*time.Second),
		ResponseHeaderTimeout:  from.ResponseHeaderTimeout,
		ProxyConnectHeader:     from.ProxyConnectHeader,
		GetProxyConnectHeader:  from.GetProxyConnectHeader,
	}
	if config := from.TLSClientConfig; config != nil {
		client.settings.TLSClientConfig = &tls.Config{RootCAs: config.RootCAs, MinVersion: max(config.MinVersion, tls.VersionTLS12)}
	}
	return client
}

const maxRedirects = 10 // as net/http's own policy

// get requests the file, or the rest of it, and follows redirects. The response's body is not nil.
func (d *download) get(ctx context.Context) (*http.Response, error) {
	at, via := d.url, []*http.Request(nil)
	d.secrets = nil
	for {
		d.secrets = append(d.secrets, at.RawQuery)
		if err := checkURL(at, d.Private); err != nil {
			return nil, err
		}
		req := d.request(ctx, at)
		if d.veto != nil && len(via) > 0 {
			if err := d.veto(req.Clone(ctx), via); err != nil { // a copy, to which it cannot add anything
				return nil, refusef("the HTTP client's CheckRedirect does not allow a redirect to %s: %v", at.Host, err)
			}
		}
		resp, err := d.roundTrip(req)
		if err != nil || !isRedirect(resp.StatusCode) {
			return resp, err
		}
		resp.Body.Close()
		via = append(via, req)
		if at, err = redirect(at, resp.Header.Get("Location"), len(via)); err != nil {
			return nil, err
		}
	}
}

func (d *download) request(ctx context.Context, at *url.URL) *http.Request {
	req := &http.Request{Method: http.MethodGet, URL: at, Host: at.Host, Header: http.Header{
		"User-Agent":      {d.agent},
		"Accept-Encoding": {"identity"}, // lengths and ranges are then about the file
	}}
	if d.ranged() {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.done))
		req.Header.Set("If-Range", d.version)
	}
	return req.WithContext(ctx)
}

func (d *download) roundTrip(req *http.Request) (*http.Response, error) {
	next := d.foreign
	if next == nil {
		guarded, err := d.guarded(req)
		if err != nil {
			return nil, err
		}
		next = guarded
	}
	resp, err := next.RoundTrip(req)
	switch {
	case err != nil:
		return nil, err
	case resp == nil:
		return nil, errors.New("the HTTP transport returned neither a response nor an error")
	case resp.Body == nil:
		resp.Body = http.NoBody
	}
	return resp, nil
}

// guarded returns a transport for one request, which checks the address of its connection unless that is the proxy's. Since
// it has a dialer of its own, it speaks HTTP/1.1 only.
func (d *download) guarded(req *http.Request) (*http.Transport, error) {
	t, check := d.settings.Clone(), checkConn
	if d.Private {
		check = nil
	}
	if d.proxy != nil {
		proxy, err := d.proxy(req)
		if err != nil {
			return nil, err
		}
		if t.Proxy = http.ProxyURL(proxy); proxy != nil {
			check = nil
		}
	}
	t.DialContext = guardedDial(d.dial, check)
	return t, nil
}

// guardedDial checks an address before it connects, or right after where the dialer is the caller's.
func guardedDial(dial dialFunc, check func(addr string) error) dialFunc {
	if dial == nil {
		dialer := &net.Dialer{Timeout: 30 * time.Second}
		if check != nil {
			dialer.Control = func(_, addr string, _ syscall.RawConn) error { return check(addr) }
		}
		return dialer.DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil || check == nil {
			return conn, err
		}
		if err := check(fmt.Sprint(conn.RemoteAddr())); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

func isRedirect(status int) bool {
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308
}

// redirect returns where a redirect leads. Its errors do not quote it, since it may be signed.
func redirect(from *url.URL, location string, redirects int) (*url.URL, error) {
	to, err := from.Parse(escape(location))
	switch {
	case location == "" || err != nil:
		return nil, refusef("%s redirects to a malformed URL", from.Host)
	case redirects > maxRedirects:
		return nil, refusef("more than %d redirects", maxRedirects)
	case from.Scheme == "https" && to.Scheme != "https":
		return nil, refusef("%s redirects from https to %s", from.Host, to.Scheme)
	}
	return to, nil
}
