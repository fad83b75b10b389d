package creatifytest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// Fault is something that goes wrong with a call. Its zero value hits the next
// call and does nothing to it.
type Fault struct {
	// Call is the call to hit; "" is any request.
	Call Call

	// Skip is how many matching calls are let through first.
	Skip int

	// Times is how many calls are hit. 0 means 1; if it is negative, all calls
	// from then on are.
	Times int

	// Delay is how long the request waits after it has arrived and before
	// anything is done with it. If its context ends meanwhile, nothing is.
	Delay time.Duration

	// Drop says when the connection is lost, if it is.
	Drop Drop

	// Status, from 200 to 999, is the status to answer with instead of
	// processing the request. Any other means that the request is processed.
	Status int

	// Header is added to the reply, in place of what it has by the same names.
	Header http.Header

	// Body is the body that goes with Status. Unless Header has a Content-Type,
	// the reply's is found out from it. Without Status, a Body that is not
	// empty takes the place of the body of the processed reply.
	Body string

	// Cut, if more than 0 and less than the length of the reply's body, is the
	// number of bytes after which the body breaks off, although its
	// Content-Length promises all.
	Cut int
}

// Drop says when a connection is lost. Without a socket, the client gets a
// [net.OpError] with ECONNRESET or ECONNREFUSED; a real connection is closed,
// which clients see as a reset or as an unexpected end. Those errors are package
// syscall's; sockets of Windows have others for the same.
type Drop int

// When a connection is lost.
const (
	// NoDrop means that the connection is not lost.
	NoDrop Drop = iota

	// DropBefore resets the connection before the request is processed.
	DropBefore

	// DropAfter resets the connection when the request is processed, and what
	// it costs charged, so that the reply is lost.
	DropAfter

	// Refuse refuses the connection, so that nothing leaves the client. Only
	// [API.RoundTrip] can: on a socket it is DropBefore.
	Refuse
)

// Inject adds faults. A request is hit by one fault at most, the first added
// that matches it and has no more calls to skip. Those after that one do not
// see the request and do not count it.
//
// The slices and maps in the faults are not copied and must not be changed
// while the API is in use.
func (a *API) Inject(faults ...Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, fault := range faults {
		if fault.Times == 0 {
			fault.Times = 1
		}
		a.faults = append(a.faults, fault)
	}
}

// receive counts a request and returns the fault that hits it, the zero Fault
// if none does.
func (a *API) receive(r *http.Request) Fault {
	call, _ := callOf(r.URL.Path)
	leaks := call.isFile() && (r.Header.Get("X-API-ID") != "" || r.Header.Get("X-API-KEY") != "")
	if methodOf(r) != call.method() {
		call = ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if leaks {
		a.leaked++
	}
	a.calls[""]++
	if call != "" {
		a.calls[call]++
	}
	for i := range a.faults {
		fault := &a.faults[i]
		if fault.Call != "" && fault.Call != call {
			continue
		}
		if fault.Skip > 0 {
			fault.Skip--
			continue
		}
		hit := *fault
		if fault.Times > 0 {
			fault.Times--
		}
		if fault.Times == 0 {
			a.faults = slices.Delete(a.faults, i, i+1)
		}
		return hit
	}
	return Fault{}
}

// wait waits for the fault's delay. It returns the context's error if that
// ends first.
func (f *Fault) wait(ctx context.Context) error {
	return sleep(ctx, f.Delay)
}

// sleep waits for a time. It returns the context's error if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answer returns the reply to a request that a fault hits.
func (a *API) answer(r *http.Request, body []byte, fault *Fault) reply {
	var rep reply
	if 200 <= fault.Status && fault.Status <= 999 {
		rep = reply{status: fault.Status, header: make(http.Header)}
		rep.setBody([]byte(fault.Body))
		if fault.Body != "" {
			rep.header.Set("Content-Type", contentType([]byte(fault.Body)))
		}
	} else {
		rep = a.process(r, body)
		if fault.Body != "" {
			rep.setBody([]byte(fault.Body))
		}
	}
	for name, values := range fault.Header {
		rep.header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	return rep
}

func contentType(body []byte) string {
	if json.Valid(body) {
		return jsonType
	}
	return http.DetectContentType(body)
}
