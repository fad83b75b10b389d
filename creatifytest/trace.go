package creatifytest

import (
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
)

// tracer calls the hooks of a trace. Both the trace and its hooks may be nil.
type tracer struct {
	*httptrace.ClientTrace
}

func (t tracer) getConn(u *url.URL) {
	if t.ClientTrace == nil || t.GetConn == nil {
		return
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	t.GetConn(net.JoinHostPort(u.Hostname(), port))
}

func (t tracer) gotConn() {
	if t.ClientTrace == nil || t.GotConn == nil {
		return
	}
	conn, _ := net.Pipe() // tracers ask a connection for its addresses
	t.GotConn(httptrace.GotConnInfo{Conn: conn})
}

func (t tracer) wroteHeaders(req *http.Request) {
	if t.ClientTrace == nil {
		return
	}
	if t.WroteHeaderField != nil {
		t.WroteHeaderField("Host", []string{req.URL.Host})
		for name, values := range req.Header {
			t.WroteHeaderField(name, values)
		}
	}
	if t.WroteHeaders != nil {
		t.WroteHeaders()
	}
}

func (t tracer) wroteRequest(err error) {
	if t.ClientTrace != nil && t.WroteRequest != nil {
		t.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
}

func (t tracer) gotFirstResponseByte() {
	if t.ClientTrace != nil && t.GotFirstResponseByte != nil {
		t.GotFirstResponseByte()
	}
}
