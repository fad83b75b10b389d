package fetch

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

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
	if isPublic(addr) {
		return nil
	}
	return refusef("%v is not a public address", addr)
}

// isPublic reports whether an address belongs to the Internet, by IANA's registries of special-purpose addresses.
func isPublic(addr netip.Addr) bool {
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
