package creatifytest

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"syscall"
	"time"
)

// ServeHTTP serves the API on a real connection. If a [Fault] loses the connection, it panics with
// [http.ErrAbortHandler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := a.receive(r)
	// The body is read first: until then, the server does not notice that a client has disconnected.
	body, err := readBody(r)
	if err != nil || sleep(r.Context(), fault.Delay) != nil {
		panic(http.ErrAbortHandler)
	}
	if fault.Drop == DropBefore || fault.Drop == Refuse {
		panic(http.ErrAbortHandler)
	}
	resp := a.answer(r, body, &fault)
	if fault.Drop == DropAfter || r.Context().Err() != nil { // lost, or closed by the client
		panic(http.ErrAbortHandler)
	}
	resp.write(w, fault.Cut)
}

// RoundTrip serves the API without a socket, on the caller's goroutine. To a [httptrace.ClientTrace] in the
// request's context it reports GetConn, GotConn (with a connection that has addresses only),
// WroteHeaderField, WroteHeaders, WroteRequest and GotFirstResponseByte, as far as the request gets.
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
		if err := sleep(ctx, fault.Delay); err != nil {
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
	if err := sleep(ctx, fault.Delay); err != nil {
		return nil, err
	}
	if fault.Drop == DropBefore {
		return nil, connectionReset()
	}
	resp := a.answer(req, body, &fault)
	if fault.Drop == DropAfter {
		return nil, connectionReset()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	trace.gotFirstResponseByte()
	return resp.received(req, fault.Cut), nil
}

func connectionReset() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
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

// process answers a request as the API does when nothing goes wrong. The order of the checks is that of
// Django REST Framework.
func (a *API) process(r *http.Request, body []byte) response {
	call, id := callOf(r.URL.Path)
	if call == "" {
		return unrouted(r)
	}
	if !call.isFile() {
		if refusal := a.admit(r.Header); refusal != nil {
			return *refusal
		}
	}
	if methodOf(r) != call.method() {
		return methodNotAllowed(cmp.Or(r.Method, http.MethodGet), call)
	}
	contentType := r.Header.Get("Content-Type")
	switch call {
	case CallCreatePreview, CallCreateVideo:
		return a.create(call, contentType, body)
	case CallPreviewSync:
		return a.previewSync(r.Context(), contentType, body)
	case CallRender:
		return a.render(id, contentType, body)
	case CallGetJob:
		return a.getJob(id)
	case CallListTemplates:
		return a.listTemplates()
	case CallGetTemplate:
		return a.getTemplate(id)
	case CallListPersonas:
		return a.listPersonas()
	case CallListVoices:
		return a.listVoices()
	case CallVideo:
		return a.serveVideo(r, id)
	case callPreviewPage:
		return a.servePreview(r.URL.Query().Get("layout"))
	default:
		return jsonResponse(http.StatusOK, map[string]float64{"remaining_credits": a.Credits()})
	}
}

// methodOf returns the method of a request, GET for HEAD. A client may leave it empty for GET.
func methodOf(r *http.Request) string {
	if r.Method == http.MethodHead {
		return http.MethodGet
	}
	return cmp.Or(r.Method, http.MethodGet)
}

// admit checks the credentials and the rate of requests. It returns nil for a request that is accepted.
func (a *API) admit(header http.Header) *response {
	id, key := header.Get("X-API-ID"), header.Get("X-API-KEY")
	if id == "" || key == "" {
		return new(detail(http.StatusUnauthorized, "Authentication credentials were not provided."))
	}
	if id != a.config.APIID || key != a.config.APIKey {
		return new(detail(http.StatusUnauthorized, "Invalid API credentials."))
	}
	if wait := a.throttle(time.Now()); wait > 0 {
		return new(throttled(wait))
	}
	return nil
}

const throttleWindow = time.Minute

// throttle returns the time until the next request is accepted, 0 if this one is.
func (a *API) throttle(now time.Time) time.Duration {
	if a.config.RequestsPerMinute <= 0 {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.admitted) > 0 && now.Sub(a.admitted[0]) >= throttleWindow {
		a.admitted = a.admitted[1:]
	}
	if len(a.admitted) >= a.config.RequestsPerMinute {
		return throttleWindow - now.Sub(a.admitted[0])
	}
	a.admitted = append(a.admitted, now)
	return 0
}

func throttled(wait time.Duration) response {
	seconds := strconv.Itoa(int(math.Ceil(wait.Seconds())))
	unit := " seconds."
	if seconds == "1" {
		unit = " second."
	}
	resp := detail(http.StatusTooManyRequests, "Request was throttled. Expected available in "+seconds+unit)
	resp.header.Set("Retry-After", seconds)
	return resp
}
