package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Files fetches files from hosts that are not the API's and are not trusted: without credentials, cookies or a Referer,
// and from public addresses only. It is for one file at a time.
type Files struct {
	next    http.RoundTripper
	agent   []string
	veto    func(*http.Request, []*http.Request) error
	private bool
	close   func()
}

// ErrRefusedURL says that a file's URL, an address that it leads to, or a redirect is one that files are not fetched from.
var ErrRefusedURL = errors.New("creatify: refused URL")

// refusal is an error that is ErrRefusedURL, and that another try would meet again.
type refusal struct {
	reason string
	err    error
}

func (r *refusal) Error() string        { return r.reason }
func (r *refusal) Unwrap() error        { return r.err }
func (r *refusal) Is(target error) bool { return target == ErrRefusedURL }

func refuse(format string, args ...any) error { return &refusal{reason: fmt.Sprintf(format, args...)} }

// Files sends requests as c does, but through connections of its own, which [Files.Close] closes. With private it goes to
// every address, by http as well, and shares the connections of c.
func (c *Client) Files(private bool) *Files {
	f := &Files{next: c.next, agent: c.agent, veto: c.veto, private: private, close: func() {}}
	if t, ok := c.next.(*http.Transport); ok && !private {
		t = guarded(t.Clone(), c.ours)
		f.next, f.close = t, t.CloseIdleConnections
	}
	return f
}

// Close closes the connections that are left.
func (f *Files) Close() { f.close() }

// Get returns a reply whose body has yet to be read and closed, after the redirects.
func (f *Files) Get(ctx context.Context, file *url.URL, header http.Header) (*http.Response, error) {
	header = header.Clone()
	header["User-Agent"] = f.agent
	header.Set("Accept-Encoding", "identity") // lengths and ranges are about the file then
	var via []*http.Request
	for {
		if err := f.check(file); err != nil {
			return nil, err
		}
		hop := context.WithValue(ctx, routeKey{}, new(route))
		req := (&http.Request{Method: http.MethodGet, URL: file, Host: file.Host, Header: header.Clone(), Proto: "HTTP/1.1",
			ProtoMajor: 1, ProtoMinor: 1}).WithContext(hop)
		if err := f.ask(req, via); err != nil {
			return nil, err
		}
		resp, err := f.next.RoundTrip(req)
		switch {
		case err != nil:
			return nil, err
		case resp == nil:
			return nil, errors.New("the HTTP transport returned neither a reply nor an error")
		case resp.Body == nil:
			resp.Body = http.NoBody
		}
		if !isRedirect(resp.StatusCode) {
			return resp, nil
		}
		resp.Body.Close()
		via = append(via, req)
		if file, err = target(file, resp.Header.Get("Location"), len(via)); err != nil {
			return nil, err
		}
	}
}

func isRedirect(status int) bool {
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308
}

// target is where a redirect leads. The errors do not quote it, since it may be signed.
func target(from *url.URL, location string, redirects int) (*url.URL, error) {
	to, err := from.Parse(location)
	switch {
	case location == "" || err != nil:
		return nil, refuse("%s redirects to what is no URL", OneLine(from.Host))
	case redirects > maxRedirects:
		return nil, refuse("more than %d redirects", maxRedirects)
	case from.Scheme == "https" && to.Scheme != "https":
		return nil, refuse("%s redirects from https to %s", OneLine(from.Host), OneLine(to.Scheme))
	}
	return to, nil
}

// ask lets the caller's CheckRedirect say no, with a copy that it cannot add anything to.
func (f *Files) ask(req *http.Request, via []*http.Request) error {
	if f.veto == nil || len(via) == 0 {
		return nil
	}
	if err := f.veto(req.Clone(req.Context()), via); err != nil {
		return &refusal{"the HTTP client's CheckRedirect does not allow a redirect to " + OneLine(req.URL.Host), err}
	}
	return nil
}

// check judges a URL by itself, before its host's name is resolved.
func (f *Files) check(file *url.URL) error {
	host := strings.ToLower(strings.TrimSuffix(file.Hostname(), "."))
	addr, err := netip.ParseAddr(host)
	last := host[strings.LastIndexByte(host, '.')+1:]
	switch {
	case file.Scheme != "https" && (file.Scheme != "http" || !f.private):
		return refuse("its URL is not https")
	case host == "" || file.User != nil:
		return refuse("its URL has no host, or a user name")
	case f.private:
		return nil
	case err == nil:
		return checkAddr(addr)
	case last == "localhost":
		return refuse("%s is this machine", OneLine(host))
	case last == "" || last[0] >= '0' && last[0] <= '9' || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }):
		return refuse("%q is neither a host's name nor an address in its usual form", OneLine(host))
	}
	return nil
}

func checkAddr(addr netip.Addr) error {
	if IsPublic(addr) {
		return nil
	}
	return refuse("%v is not a public address", addr)
}

// IsPublic reports whether an address is of a host on the Internet, by IANA's registries of special-purpose addresses.
func IsPublic(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	if addr.Is6() && !globalUnicast.Contains(addr) {
		return false
	}
	for _, p := range special {
		if p.Contains(addr) {
			return false
		}
	}
	return addr.IsValid()
}

var (
	nat64         = netip.MustParsePrefix("64:ff9b::/96")
	globalUnicast = netip.MustParsePrefix("2000::/3") // private, link-local, multicast and mapped ones lie outside
	special       = prefixes("0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 " +
		"192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 " +
		"2001::/23 2001:db8::/32 2002::/16 3fff::/20")
)

func prefixes(list string) (all []netip.Prefix) {
	for p := range strings.FieldsSeq(list) {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// route says how one request goes. Its connection's address is the proxy's if it goes by a proxy.
type route struct{ proxied atomic.Bool }

type routeKey struct{}

func isProxied(ctx context.Context) bool {
	r, ok := ctx.Value(routeKey{}).(*route)
	return ok && r.proxied.Load()
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// guarded makes a transport check the address of each connection: before it is made where the dialer is ours, else before
// the request is sent. It speaks HTTP/1.1, so that no connection is shared with what is not guarded.
func guarded(t *http.Transport, ours bool) *http.Transport {
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.ForceAttemptHTTP2, t.TLSNextProto = false, nil
	if t.TLSClientConfig != nil {
		t.TLSClientConfig.NextProtos = nil
	}
	if proxy := t.Proxy; proxy != nil {
		t.Proxy = func(req *http.Request) (*url.URL, error) {
			u, err := proxy(req)
			if r, ok := req.Context().Value(routeKey{}).(*route); ok {
				r.proxied.Store(u != nil)
			}
			return u, err
		}
	}
	t.DialContext = guardedDial(t.DialContext, t.Dial) //nolint:staticcheck // a caller's transport may have the old Dial
	if ours || t.DialContext == nil {
		t.DialContext = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, ControlContext: checkDial}).DialContext
	}
	t.DialTLSContext = guardedDial(t.DialTLSContext, t.DialTLS) //nolint:staticcheck // or the old DialTLS
	return t
}

func checkDial(ctx context.Context, _, addr string, _ syscall.RawConn) error {
	if isProxied(ctx) {
		return nil
	}
	return checkAddrPort(addr)
}

func checkAddrPort(text string) error {
	addr, err := netip.ParseAddrPort(text)
	if err != nil {
		return refuse("the connection's address %s is not one of the Internet", OneLine(text))
	}
	return checkAddr(addr.Addr())
}

// guardedDial is nil when there is no dialer of the caller's.
func guardedDial(dial dialFunc, old func(network, addr string) (net.Conn, error)) dialFunc {
	if dial == nil && old == nil {
		return nil
	}
	if dial == nil {
		dial = func(_ context.Context, network, addr string) (net.Conn, error) { return old(network, addr) }
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil || isProxied(ctx) {
			return conn, err
		}
		if err := checkAddrPort(conn.RemoteAddr().String()); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

// CleanFileError makes an error of a download fit to be shown: without credentials, and without the query of a URL, which
// may be signed.
func (c *Client) CleanFileError(err error, file *url.URL) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	unsigned := func(text string) string {
		if len(file.RawQuery) >= minSecret {
			text = string(redact([]byte(text), file.RawQuery))
		}
		return query.ReplaceAllString(text, "?"+redacted)
	}
	clean := err
	if anyInChain(err, func(text string) bool { return unsigned(text) != text }) {
		clean = errorText(unsigned(err.Error())) // before it is shortened
	}
	clean = c.creds.redactError(clean)
	if errors.Is(err, ErrRefusedURL) && !errors.Is(clean, ErrRefusedURL) {
		clean = &refusal{reason: clean.Error()}
	}
	return clean
}

var query = regexp.MustCompile(`\?[^\s"]*`)
