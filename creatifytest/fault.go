package creatifytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Fault makes calls fail. The zero value hits the next request and changes nothing.
type Fault struct {
	// Call is the call to hit; "" is any request.
	Call Call

	// Skip is how many matching requests pass first.
	Skip int

	// Times is how many requests are hit. 0 means 1 or, with For, all requests while it lasts. Less than 0
	// means all until [API.ClearFaults].
	Times int

	// For is how long after [API.Inject] the fault lasts. 0 means until it has hit its Times.
	For time.Duration

	// Delay is how long a request waits before it is processed. If its context ends first, it is not
	// processed.
	Delay time.Duration

	// Drop is the moment at which the connection is lost. The zero value keeps it.
	Drop Drop

	// Status, from 200 to 999, is answered instead of processing the request. 0 processes it.
	Status int

	// Processed makes a request with a Status be processed and charged first, as behind a gateway that times
	// out.
	Processed bool

	// Header is added to the response, in place of its headers of the same names.
	Header http.Header

	// Body is the body for Status. Its content type is detected, unless Header has one. Without a Status, a
	// Body that is not empty replaces that of the processed response.
	Body string

	// Cut, if more than 0 and less than the length of the response's body, is the number of bytes after which
	// the body is truncated, although its Content-Length is that of the whole.
	Cut int
}

// Drop is the moment at which a connection is lost. Without a socket, the client gets a [net.OpError] with
// ECONNRESET or ECONNREFUSED of package syscall, on any system. A real connection is closed, which clients
// see as a reset or an unexpected EOF.
type Drop int

const (
	// NoDrop keeps the connection.
	NoDrop Drop = iota

	// DropBefore resets the connection before the request is processed.
	DropBefore

	// DropAfter resets the connection after the request is processed and charged, so that the response is
	// lost.
	DropAfter

	// Refuse refuses the connection, so that the client sends nothing. On a socket it is DropBefore.
	Refuse
)

// Validate returns an error for a fault that can never hit, or cannot work as written: an unknown Call or
// Drop, a Status out of range, or a negative Skip, For, Delay or Cut.
func (f Fault) Validate() error {
	switch {
	case f.Call != "" && !f.Call.known():
		return fmt.Errorf("creatifytest: fault: unknown call %q (use a Call constant, or none for any request)", f.Call)
	case f.Drop < NoDrop || f.Drop > Refuse:
		return fmt.Errorf("creatifytest: fault: unknown drop %d (use a Drop constant)", f.Drop)
	case f.Status != 0 && (f.Status < 200 || f.Status > 999):
		return fmt.Errorf("creatifytest: fault: status %d is not between 200 and 999", f.Status)
	case f.Skip < 0 || f.For < 0 || f.Delay < 0 || f.Cut < 0:
		return errors.New("creatifytest: fault: Skip, For, Delay and Cut must not be negative")
	}
	return nil
}

// activeFault is a fault that may still hit.
type activeFault struct {
	Fault
	until time.Time // zero without a For
}

// Inject adds faults. A request is hit by at most one: the first added that matches it and has nothing left
// to skip. For later faults, that request does not count.
//
// If [Fault.Validate] rejects a fault, Inject returns an error and adds none. Until [API.ClearFaults], every
// request then fails with that error, so that a test cannot pass if it ignores the error.
func (a *API) Inject(faults ...Fault) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, fault := range faults {
		if err := fault.Validate(); err != nil {
			a.invalid = err
			return err
		}
	}
	for _, fault := range faults {
		active := activeFault{Fault: fault}
		if fault.For > 0 {
			active.until = time.Now().Add(fault.For)
		}
		if fault.Times == 0 {
			active.Times = 1
			if fault.For > 0 {
				active.Times = -1
			}
		}
		a.faults = append(a.faults, active)
	}
	return nil
}

// Faults returns the faults that may still hit, with what remains of their Skip, Times and For. A test can
// assert that none remain.
func (a *API) Faults() []Fault {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.expireFaults(now)
	left := make([]Fault, len(a.faults))
	for i, fault := range a.faults {
		left[i] = fault.Fault
		if fault.For > 0 {
			left[i].For = fault.until.Sub(now)
		}
	}
	return left
}

// ClearFaults removes all faults. Requests that a fault holds back for its Delay still wait.
func (a *API) ClearFaults() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults, a.invalid = nil, nil
}

// expireFaults removes the faults whose time is up. The caller holds the mutex.
func (a *API) expireFaults(now time.Time) {
	a.faults = slices.DeleteFunc(a.faults, func(f activeFault) bool { return f.For > 0 && !now.Before(f.until) })
}

// receive counts a request and returns the fault that hits it, or the zero Fault.
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
	if a.invalid != nil {
		body, _ := json.Marshal(map[string]string{"detail": a.invalid.Error()})
		return Fault{Status: http.StatusInternalServerError, Body: string(body)}
	}
	return a.hit(call)
}

// hit returns the fault that hits a call and counts it. The caller holds the mutex.
func (a *API) hit(call Call) Fault {
	if len(a.faults) > 0 {
		a.expireFaults(time.Now())
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
		hit := fault.Fault
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

// answer returns the response to a request that a fault hits.
func (a *API) answer(r *http.Request, body []byte, fault *Fault) response {
	var resp response
	if fault.Status == 0 || fault.Processed {
		resp = a.process(r, body)
	}
	if fault.Status != 0 {
		resp = response{status: fault.Status, header: make(http.Header)}
		resp.setBody([]byte(fault.Body))
		if fault.Body != "" {
			resp.header.Set("Content-Type", contentType([]byte(fault.Body)))
		}
	} else if fault.Body != "" {
		resp.setBody([]byte(fault.Body))
	}
	for name, values := range fault.Header {
		resp.header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	return resp
}

func contentType(body []byte) string {
	if json.Valid(body) {
		return jsonType
	}
	return http.DetectContentType(body)
}
