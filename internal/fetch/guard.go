package fetch

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// RoundTrip makes the request for a URL or for one that it redirects to. It is here for [http.Client].
func (d *download) RoundTrip(req *http.Request) (*http.Response, error) {
	d.secrets = append(d.secrets, req.URL.RawQuery)
	if err := checkURL(req.URL, d.Private); err != nil {
		return nil, err
	}
	next, err := d.guarded(req)
	if err != nil {
		return nil, err
	}
	resp, err := next.RoundTrip(req)
	if err != nil || resp == nil || resp.StatusCode/100 != 3 || resp.Header.Get("Location") == "" {
		return resp, err
	}
	to := escape(resp.Header.Get("Location"))
	if _, err := url.Parse(to); err != nil {
		if resp.Body != nil {
			resp.Body.Close()
		}
		return nil, failf(RefusedURL, "%s redirects to a malformed URL", req.URL.Host)
	}
	resp.Header.Set("Location", to)
	return resp, nil
}

// checkRedirect judges a redirect, before the caller's own CheckRedirect does.
func (d *download) checkRedirect(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer") // which may be a signed URL
	switch from := via[len(via)-1].URL; {
	case len(via) > maxRedirects:
		return failf(RefusedURL, "more than %d redirects", maxRedirects)
	case from.Scheme == "https" && req.URL.Scheme != "https":
		return failf(RefusedURL, "%s redirects from https to %s", from.Host, req.URL.Scheme)
	case d.veto == nil:
		return nil
	}
	if err := d.veto(req.Clone(req.Context()), via); err != nil { // a copy, to add nothing to
		return failf(RefusedURL, "the HTTP client's CheckRedirect does not allow a redirect to %s: %v", req.URL.Host, err)
	}
	return nil
}

// guarded returns a transport for one request: the caller's RoundTripper, or one that checks its connection's
// address, unless it is a proxy's: before connecting, or right after if the caller dials.
func (d *download) guarded(req *http.Request) (http.RoundTripper, error) {
	if d.foreign != nil {
		return d.foreign, nil
	}
	t, checked := d.settings.Clone(), !d.Private
	if t.Proxy != nil {
		proxy, err := t.Proxy(req)
		if err != nil {
			return nil, err
		}
		t.Proxy = http.ProxyURL(proxy)
		checked = checked && proxy == nil
	}
	check := func(remote string) error {
		addr, _ := netip.ParseAddrPort(remote) // none for a socket that is not of the Internet
		if checked && !isPublic(addr.Addr()) {
			return failf(RefusedURL, "%s is not a public address", remote)
		}
		return nil
	}
	if d.settings.DialContext == nil {
		dialer := &net.Dialer{Timeout: 30 * time.Second}
		dialer.Control = func(_, addr string, _ syscall.RawConn) error { return check(addr) }
		t.DialContext = dialer.DialContext
		return t, nil
	}
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.settings.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if err := check(fmt.Sprint(conn.RemoteAddr())); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
	return t, nil
}

// escape trims a URL and escapes what should have been: a stray %, white space, and anything beyond ASCII.
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
	switch host := file.Hostname(); {
	case file.Scheme != "https" && (file.Scheme != "http" || !private):
		return failf(RefusedURL, "its URL is not https")
	case host == "" || file.User != nil:
		return failf(RefusedURL, "its URL has no host, or a user name")
	case !private && !IsPublicHost(host):
		return failf(RefusedURL, "%s is not a public host", host)
	}
	return nil
}

var (
	hostName = regexp.MustCompile(`^([a-z0-9_-]{1,63}\.)+[a-z][a-z0-9_-]{0,62}$`)
	// From RFC 6761, RFC 6762, RFC 8375 and ICANN's resolution of 29 July 2024.
	localName = regexp.MustCompile(`(^|\.)(localhost|local|home\.arpa|internal)$`)
)

// IsPublicHost reports whether a host may be on the Internet: a public IP address in its usual form, or a
// name with a dot that is not reserved for local use. The last label begins with a letter, since 127.1 and
// 127.0.0.0x1 are addresses, too. Names for tests, such as files.test, pass.
func IsPublicHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return isPublic(addr)
	}
	return len(host) <= 253 && hostName.MatchString(host) && !localName.MatchString(host)
}

// isPublic reports whether an address is on the Internet, by IANA's registries of special-purpose addresses.
// No prefix contains an address with a zone.
func isPublic(addr netip.Addr) bool {
	addr = addr.Unmap()
	if nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	contains := func(prefix string) bool { return netip.MustParsePrefix(prefix).Contains(addr) }
	return (addr.Is4() || globalUnicast.Contains(addr)) && !slices.ContainsFunc(special, contains)
}

var (
	nat64         = netip.MustParsePrefix("64:ff9b::/96")
	globalUnicast = netip.MustParsePrefix("2000::/3") // outside are private, link-local and multicast addresses
	special       = strings.Fields("0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 " +
		"192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 " +
		"224.0.0.0/3 2001::/23 2001:db8::/32 2002::/16 3fff::/20")
)
