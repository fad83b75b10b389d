package creatifytest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"syscall"
)

// ServeHTTP serves the API on a real connection. To lose the connection, as a
// [Fault] may ask for, it panics with [http.ErrAbortHandler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := a.receive(r)
	// The body comes first: until it is read, the server does not notice that
	// a client has gone.
	body, err := readBody(r)
	if err != nil || fault.wait(r.Context()) != nil {
		panic(http.ErrAbortHandler)
	}
	if fault.Drop == DropBefore || fault.Drop == Refuse {
		panic(http.ErrAbortHandler)
	}
	rep := a.answer(r, body, &fault)
	if fault.Drop == DropAfter || r.Context().Err() != nil { // lost, or left by the client
		panic(http.ErrAbortHandler)
	}
	rep.write(w, fault.Cut)
}

// HTTPClient returns a new client with the API as its transport: whatever host
// a request is for, the API answers it.
func (a *API) HTTPClient() *http.Client {
	return &http.Client{Transport: a}
}

// RoundTrip serves the API without a socket, on the caller's goroutine. To a
// [httptrace.ClientTrace] in the request's context it reports GetConn, GotConn
// (with a connection that is good for nothing but its addresses),
// WroteHeaderField, WroteHeaders, WroteRequest and GotFirstResponseByte, as
// far as the request gets.
func (a *API) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if req.URL == nil {
		return nil, errors.New("creatifytest: request without a URL")
	}
	ctx := req.Context()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	fault := a.receive(req)
	trace := tracer{httptrace.ContextClientTrace(ctx)}
	trace.getConn(req.URL)
	if fault.Drop == Refuse {
		if err := fault.wait(ctx); err != nil {
			return nil, err
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	trace.gotConn()
	trace.wroteHeaders(req)
	body, err := readBody(req)
	trace.wroteRequest(err)
	if err != nil {
		return nil, err
	}
	if err := fault.wait(ctx); err != nil {
		return nil, err
	}
	if fault.Drop == DropBefore {
		return nil, connectionReset()
	}
	rep := a.answer(req, body, &fault)
	if fault.Drop == DropAfter {
		return nil, connectionReset()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	trace.gotFirstResponseByte()
	return rep.response(req, fault.Cut), nil
}

func connectionReset() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}
