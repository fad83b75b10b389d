package fetch

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// RoundTrip makes the request for one of the URLs that redirects lead to. It is here for [http.Client].
func (d *download) RoundTrip(req *http.Request) (*http.Response, error) {
	d.secrets = append(d.secrets, req.URL.RawQuery)
	if err := checkURL(req.URL, d.Private); err != nil {
		return nil, err
	}
	next := d.foreign
	if next == nil {
		guarded, err := d.guarded(req)
		if err != nil {
			return nil, err
		}
		next = guarded
	}
	resp, err := next.RoundTrip(req)
	if err != nil || resp == nil || resp.StatusCode/100 != 3 {
		return resp, err
	}
	to := escape(resp.Header.Get("Location"))
	if _, err := url.Parse(to); err != nil {
		if resp.Body != nil {
			resp.Body.Close()
		}
		return nil, refusef("%s redirects to a malformed URL", req.URL.Host)
	}
	resp.Header.Set("Location", to)
	return resp, nil
}

// checkRedirect judges a redirect, before the caller's own CheckRedirect does.
func (d *download) checkRedirect(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer") // which may be a signed URL
	switch from := via[len(via)-1].URL; {
	case len(via) > maxRedirects:
		return refusef("more than %d redirects", maxRedirects)
	case from.Scheme == "https" && req.URL.Scheme != "https":
		return refusef("%s redirects from https to %s", from.Host, req.URL.Scheme)
	case d.HTTPClient == nil || d.HTTPClient.CheckRedirect == nil:
		return nil
	}
	if err := d.HTTPClient.CheckRedirect(req.Clone(req.Context()), via); err != nil { // a copy, to add nothing to
		return refusef("the HTTP client's CheckRedirect does not allow a redirect to %s: %v", req.URL.Host, err)
	}
	return nil
}

// guarded returns a transport for one request, which checks the address of its connection unless that is a proxy's.
func (d *download) guarded(req *http.Request) (*http.Transport, error) {
	t, check := d.settings.Clone(), checkConn
	if d.Private {
		check = nil
	}
	if t.Proxy != nil {
		proxy, err := t.Proxy(req)
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

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

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

// escape trims a URL, and escapes what its author forgot to: a stray %, white space, and anything beyond ASCII.
func escape(text string) string {
	return escapable.ReplaceAllStringFunc(strings.TrimSpace(text), func(s string) string {
		if s[0] == '%' && len(s) == 3 {
			return s
		}
		return url.PathEscape(s)
	})
}

var escapable = regexp.MustCompile(`%([0-9A-Fa-f]{2})?|[^!-~]`)

// checkURL judges a URL before its host is resolved.
func checkURL(file *url.URL, private bool) error {
	host := strings.ToLower(strings.TrimSuffix(file.Hostname(), "."))
	addr, err := netip.ParseAddr(host)
	last := host[strings.LastIndexByte(host, '.')+1:]
	switch {
	case file.Scheme != "https" && (file.Scheme != "http" || !private):
		return refusef("its URL is not https")
	case host == "" || file.User != nil:
		return refusef("its URL has no host, or a user name")
	case private:
		return nil
	case err == nil:
		return checkAddr(addr)
	case last == "localhost":
		return refusef("%s is this machine", host)
	case last == "" || last[0] >= '0' && last[0] <= '9' || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }):
		return refusef("%q is neither a host name nor an address in its usual form", host)
	}
	return nil
}

// checkConn judges the address of a connection.
func checkConn(remote string) error {
	addr, err := netip.ParseAddrPort(remote)
	if err != nil {
		return refusef("the connection's address %s is not one of the Internet", remote)
	}
	return checkAddr(addr.Addr())
}

func checkAddr(addr netip.Addr) error {
	if IsPublic(addr) {
		return nil
	}
	return refusef("%v is not a public address", addr)
}

// IsPublic reports whether an address belongs to the Internet, by IANA's registries of special-purpose addresses.
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
	globalUnicast = netip.MustParsePrefix("2000::/3") // private, link-local, multicast and mapped addresses lie outside
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
