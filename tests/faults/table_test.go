package faults_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fault is a fault of a call with the ending that the call must have. docs/reliability.md has a row for each.
type fault struct {
	name       string
	paid, free ending
	is         error         // what a refusal, a failure or an unknown outcome must also be
	when       when          // zero is both
	jobs       bool          // concerns only calls that return a job
	processed  bool          // the server processes the request all the same
	takes      time.Duration // of each attempt, until it ends
	wait       time.Duration // which the server asks for
	grace      bool          // a paid call still waits for its response
	arrives    time.Duration // when that comes, if it does

	// One of the two produces it: with the fake in virtual time, in variants that end alike, or on real
	// sockets.
	virtual func() []creatifytest.Fault
	socket  func(*testServer)

	context func(context.Context) (context.Context, context.CancelFunc) // nil is one without an end
	kept    bool                                                        // the call finds a connection that was used before
	resent  bool                                                        // on a new connection by net/http itself, if the call is free
}

type when int

const (
	always when = iota + 1 // the fault hits each attempt
	once                   // only the first
)

func (w when) String() string { return [...]string{"", "every time", "the first time only"}[w] }

// untilTheTimeLimit is for fault.takes.
const untilTheTimeLimit = -1

// ending is the end of a call that the fault hits at each attempt.
type ending struct {
	what outcome
	sent int // requests on their way, or dials where none gets that far
	text string
}

type outcome int

const (
	succeeds outcome = iota // with its result
	notSent                 // an error that says so
	refused                 // an APIError: not charged
	unknown                 // ErrOutcomeUnknown
	fails                   // an error of a call that costs nothing
)

const attempts = 4 // by default

func (e ending) retried() bool { return e.sent == attempts }

// hits is how often a fault has hit until this ending.
func (e ending) hits() time.Duration {
	if e.what == succeeds {
		return time.Duration(e.sent - 1)
	}
	return time.Duration(e.sent)
}

// succeedsLater replaces an ending after retries if the fault has passed by then.
var succeedsLater = ending{what: succeeds, sent: 2}

var (
	isUnknown      = ending{unknown, 1, "**Outcome unknown.** Sent once."}
	isRefused      = ending{refused, 1, "Refused, not charged. Sent once."}
	isRefusedLater = ending{refused, attempts, "Refused, not charged. Retried, at most 4 attempts."}
	neverGone      = ending{notSent, 0, "Not sent, not charged."}
	neverLeaves    = ending{notSent, attempts, "Not sent, not charged. Retried, at most 4 attempts."}
	neverTrusted   = ending{notSent, 1, "Not sent, not charged. Not retried."}
	turnedAway     = ending{notSent, 1, "Refused before, not charged. Not retried."}
	isJob          = ending{succeeds, 1, "The job is returned. Sent once."}
	notAffected    = ending{succeeds, 1, "Not affected: each paid call has an HTTP/1.1 connection of its own."}
	isResent       = ending{succeeds, 2, "Sent again by net/http itself."}
	failsOnce      = ending{fails, 1, "An error. One attempt."}
	failsAtOnce    = ending{fails, 0, "An error. No attempt."}
	failsLater     = ending{fails, attempts, "Retried, at most 4 attempts; then an error."}
	failsResent    = ending{fails, attempts, "Retried, also by net/http itself; then an error."}
	isFollowed     = ending{succeeds, 2, "Followed."}
	isCircling     = ending{fails, 10, "An error after 10 requests."}
)

const (
	created   = "HTTP/1.1 201 Created\r\nX-Echo: " + testkit.Key + "\r\nContent-Length: 500\r\n\r\n"
	leakyPage = "<html><title>Trouble</title>You sent " + testkit.Key + "</html>"
)

// response is the response in place of the API's.
func response(status int, body string, header ...string) creatifytest.Fault {
	h := http.Header{"X-Echo": {testkit.Key}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return creatifytest.Fault{Status: status, Body: body, Header: h}
}

func responses(all ...creatifytest.Fault) func() []creatifytest.Fault {
	return func() []creatifytest.Fault { return all }
}

func throttled(retryAfter string) func() []creatifytest.Fault {
	return responses(response(429, `{"detail": "Request was throttled."}`, "Retry-After", retryAfter))
}

// redirects answers with each of the statuses that redirect.
func redirects(location string) func() []creatifytest.Fault {
	return responses(response(301, "", "Location", location), response(302, "", "Location", location), response(303, "", "Location", location),
		response(307, "", "Location", location), response(308, "", "Location", location))
}

func canceledAfter(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
	return func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		if d == 0 {
			cancel()
		}
		timer := time.AfterFunc(d, cancel)
		return ctx, func() { timer.Stop(); cancel() }
	}
}

func deadlineAfter(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
	return func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, d) }
}

// faults are in the order in which a request meets them.
var faults = []fault{
	{name: "The context is canceled before the call", paid: neverGone, free: failsAtOnce, is: context.Canceled,
		context: canceledAfter(0), virtual: responses(creatifytest.Fault{})},
	{name: "The name of the host cannot be resolved", paid: neverLeaves, free: failsLater, socket: dials(resolveNowhere)},
	{name: "The connection is refused", paid: neverLeaves, free: failsLater, socket: dials(dialNobody)},
	{name: "No connection is made in time", paid: neverLeaves, free: failsLater, socket: dials(dialTooLate)},
	{name: "The transport's Proxy function fails", paid: neverLeaves, free: failsLater, socket: func(s *testServer) {
		s.transport.Proxy = func(*http.Request) (*url.URL, error) {
			if !s.faulty() {
				return nil, nil
			}
			s.sent.Add(1)
			return nil, errors.New("no proxy for " + testkit.Key)
		}
	}},
	{name: "The proxy refuses to connect", paid: neverLeaves, free: failsLater, socket: refusedByTheProxy},
	{name: "The connection is lost in the TLS handshake", paid: neverLeaves, free: failsLater, socket: dialsTLS(loseHandshake)},
	{name: "The certificate is not trusted", paid: neverTrusted, free: failsOnce, when: always, socket: dialsTLS(distrust)},
	{name: "The connection is reset before the request is read", paid: isUnknown, free: failsLater, socket: serves(
		func(c *net.TCPConn, _ *http.Request, _ func()) { c.SetLinger(0) })},
	{name: "A kept connection is reset when the next request comes", paid: notAffected, free: isResent, when: once, kept: true, socket: resetsWarm},
	{name: "HTTP/2: the server refuses the stream", paid: notAffected, free: failsResent, resent: true, socket: servesHTTP2(
		func(frame func(kind, flags byte, stream uint32, payload string), stream uint32) {
			frame(h2Reset, 0, stream, "\x00\x00\x00\x07") // REFUSED_STREAM
		})},
	{name: "HTTP/2: the server sends GOAWAY", paid: notAffected, free: failsResent, resent: true, socket: servesHTTP2(
		func(frame func(kind, flags byte, stream uint32, payload string), _ uint32) {
			frame(h2GoAway, 0, 0, "\x00\x00\x00\x00\x00\x00\x00\x00") // no stream was processed
		})},
	{name: "The connection is reset after the server has processed the request: the response is lost", paid: isUnknown, free: failsLater,
		processed: true, socket: serves(func(c *net.TCPConn, r *http.Request, process func()) {
			io.Copy(io.Discard, r.Body)
			process()
			c.SetLinger(0)
		})},
	{name: "No response before the time limit", paid: isUnknown, free: failsLater, takes: untilTheTimeLimit,
		virtual: responses(creatifytest.Fault{Delay: time.Hour})},
	{name: "No response before the time limit, and the connection stays open", paid: isUnknown, free: failsLater, processed: true,
		when: once, takes: 2 * time.Second, socket: serves(func(c *net.TCPConn, _ *http.Request, process func()) {
			process()
			io.Copy(io.Discard, c) // until the client leaves
		})},
	{name: "No response before the context's deadline, nor in the grace", paid: isUnknown, free: failsOnce, is: context.DeadlineExceeded, when: always,
		takes: 5 * time.Second, grace: true, context: deadlineAfter(5 * time.Second), virtual: responses(creatifytest.Fault{Delay: time.Hour})},
	{name: "The context is canceled during the request, with no response in the grace", paid: isUnknown, free: failsOnce, is: context.Canceled, when: always,
		takes: 5 * time.Second, grace: true, context: canceledAfter(5 * time.Second), virtual: responses(creatifytest.Fault{Delay: time.Hour})},
	{name: "The context is canceled during the request, and the response comes in the grace", paid: isJob, free: failsOnce, is: context.Canceled,
		when: always, takes: 5 * time.Second, arrives: 8 * time.Second, context: canceledAfter(5 * time.Second),
		virtual: responses(creatifytest.Fault{Delay: 8 * time.Second})},
	{name: "The response is not HTTP", paid: isUnknown, free: failsLater, processed: true, socket: answers(testkit.Key + "\r\n\r\n")},
	{name: "The connection is closed without a response", paid: isUnknown, free: failsLater, processed: true, socket: answers("")},
	{name: "The response is truncated in its headers", paid: isUnknown, free: failsLater, processed: true,
		socket: answers(created[:len(created)-10])},
	{name: "The response is truncated in its body, before the job's ID", paid: isUnknown, free: failsLater, processed: true,
		socket: answers(created + `{"name":"` + testkit.Key)},
	{name: "The response is truncated in its body, after the job's ID", paid: isJob, free: failsLater, jobs: true, processed: true,
		socket: answers(created + `{"id":"` + testkit.JobID + `","name":"`)},
	{name: "The server switches to another protocol (101) and is silent", paid: isUnknown, free: failsOnce, when: always, processed: true,
		socket: serves(func(c *net.TCPConn, _ *http.Request, process func()) {
			process()
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+"x\r\n\r\n")
			io.Copy(io.Discard, c)
		})},
	{name: "Success (2xx) with an empty body", paid: isUnknown, free: failsOnce, virtual: responses(response(200, ""), response(201, ""), response(204, ""))},
	{name: "Success with a body that is not JSON", paid: isUnknown, free: failsOnce, virtual: responses(response(200, leakyPage))},
	{name: "Success without the job's ID", paid: isUnknown, free: failsOnce, jobs: true,
		virtual: responses(response(200, `{"status":`+quote(testkit.Key)+`}`), response(201, `null`), response(201, `[]`))},
	{name: "Success with a body larger than 8 MiB", paid: isUnknown, free: failsOnce, when: always,
		virtual: responses(creatifytest.Fault{Status: 200, Body: strings.Repeat("x", 8<<20+1)})},
	{name: "A redirect within the base URL's origin (301, 302, 303, 307, 308)", paid: isUnknown, free: isFollowed, when: once, virtual: redirects("./")},
	{name: "Redirects in a loop", paid: isUnknown, free: isCircling, when: always, virtual: redirects("./")},
	{name: "A redirect to another host", paid: isUnknown, free: failsOnce, when: always, virtual: redirects("https://elsewhere.test/")},
	{name: "A redirect to another scheme", paid: isUnknown, free: failsOnce, when: always, virtual: redirects("http://api.creatify.ai/")},
	{name: "A redirect to another port", paid: isUnknown, free: failsOnce, when: always, virtual: redirects("https://api.creatify.ai:444/")},
	{name: "400, in each of the API's shapes", paid: isRefused, free: failsOnce, virtual: responses(
		response(400, `{"detail": `+quote(testkit.Key)+`}`), response(400, `{"link": ["Invalid link ID", `+quote(testkit.Key)+`]}`),
		response(400, `{"non_field_errors": ["No."]}`), response(400, `["AI model not found"]`))},
	{name: "401", paid: isRefused, free: failsOnce, is: creatify.ErrUnauthorized, virtual: responses(response(401, `{"detail": `+quote("Bad key "+testkit.Key)+`}`))},
	{name: "402, or a 400 or 403 whose message says that credits are lacking", paid: isRefused, free: failsOnce, is: creatify.ErrInsufficientCredits,
		virtual: responses(response(402, ""), response(400, `["Not enough credits"]`), response(403, `{"detail": "Insufficient credits."}`))},
	{name: "403", paid: isRefused, free: failsOnce, is: creatify.ErrUnauthorized, virtual: responses(response(403, leakyPage))},
	{name: "404 of the API", paid: isRefused, free: failsOnce, is: creatify.ErrNotFound,
		virtual: responses(response(404, `{"detail": "No CustomTemplateJob matches the given query."}`))},
	{name: "404 of a proxy, without the API's JSON", paid: isRefused, free: failsOnce, virtual: responses(response(404, leakyPage), response(404, ""))},
	{name: "408", paid: isUnknown, free: failsLater, virtual: responses(response(408, ""))},
	{name: "409", paid: isRefused, free: failsOnce, virtual: responses(response(409, `{"detail": "No."}`))},
	{name: "425", paid: isRefused, free: failsLater, virtual: responses(response(425, ""))},
	{name: "429 without Retry-After", paid: isRefusedLater, free: failsLater, is: creatify.ErrRateLimited, virtual: responses(response(429, leakyPage))},
	{name: "429 with Retry-After in seconds, up to 60", paid: isRefusedLater, free: failsLater, is: creatify.ErrRateLimited, wait: 20 * time.Second, virtual: throttled("20")},
	{name: "429 with Retry-After as a date", paid: isRefusedLater, free: failsLater, is: creatify.ErrRateLimited, wait: 20 * time.Second,
		virtual: func() []creatifytest.Fault {
			return throttled(time.Now().UTC().Add(20 * time.Second).Format(http.TimeFormat))()
		}},
	{name: "429 with Retry-After of zero", paid: isRefusedLater, free: failsLater, is: creatify.ErrRateLimited, virtual: throttled("0")},
	{name: "429 with a Retry-After that is negative or malformed", paid: isRefusedLater, free: failsLater, is: creatify.ErrRateLimited,
		virtual: func() []creatifytest.Fault { return append(throttled("-5")(), throttled("soon")()...) }},
	{name: "429 with Retry-After above 60 seconds, however large", paid: isRefused, free: failsOnce, is: creatify.ErrRateLimited, when: always,
		virtual: func() []creatifytest.Fault {
			return slices.Concat(throttled("61")(), throttled("299.997")(), throttled("9223372037")(), throttled("99999999999999999999")())
		}},
	{name: "429 with Retry-After beyond the context's deadline", paid: isRefused, free: failsOnce, is: creatify.ErrRateLimited, when: always,
		context: deadlineAfter(10 * time.Second), virtual: throttled("20")},
	{name: "The context is canceled in the pause after a 429", paid: turnedAway, free: failsOnce, is: context.Canceled, when: always,
		takes: 5 * time.Second, context: canceledAfter(5 * time.Second), virtual: throttled("50")},
	{name: "500", paid: isUnknown, free: failsLater, virtual: responses(response(500, leakyPage))},
	{name: "502 with a page of a proxy", paid: isUnknown, free: failsLater, virtual: responses(response(502, leakyPage))},
	{name: "503", paid: isUnknown, free: failsLater, virtual: responses(response(503, leakyPage))},
	{name: "503 with Retry-After in seconds, up to 60", paid: isUnknown, free: failsLater, wait: 20 * time.Second, virtual: responses(response(503, "", "Retry-After", "20"))},
	{name: "501 or 505", paid: isUnknown, free: failsOnce, virtual: responses(response(501, ""), response(505, ""))},
	{name: "504", paid: isUnknown, free: failsLater, virtual: responses(response(504, leakyPage))},
	{name: "520 to 526 of a CDN", paid: isUnknown, free: failsLater, virtual: responses(response(520, leakyPage), response(522, ""), response(526, ""))},
}

// quote returns a string as JSON.
func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

// apiCall is one call of the API.
type apiCall struct {
	name     string
	route    creatifytest.Call
	price    float64       // that the fake charges; 0 is free
	job      bool          // that is, it returns one
	limit    time.Duration // of one attempt, by default
	response string        // for a server that is not the fake
	do       func(ctx context.Context, c *creatify.Client, id string) (any, error)
}

var apiCalls = []apiCall{
	{"CreatePreview", creatifytest.CallCreatePreview, 1, true, time.Minute, testkit.JobDone,
		func(ctx context.Context, c *creatify.Client, _ string) (any, error) {
			return c.Jobs.CreatePreview(ctx, testkit.LeakyParams())
		}},
	{"CreatePreviewSync", creatifytest.CallPreviewSync, 1, true, 10 * time.Minute, testkit.JobDone,
		func(ctx context.Context, c *creatify.Client, _ string) (any, error) {
			return c.Jobs.CreatePreviewSync(ctx, testkit.LeakyParams())
		}},
	{"CreateVideo", creatifytest.CallCreateVideo, 5, true, time.Minute, testkit.JobDone,
		func(ctx context.Context, c *creatify.Client, _ string) (any, error) {
			return c.Jobs.CreateVideo(ctx, testkit.LeakyParams())
		}},
	{"Render", creatifytest.CallRender, 4, true, time.Minute, testkit.JobDone,
		func(ctx context.Context, c *creatify.Client, id string) (any, error) { return c.Jobs.Render(ctx, id) }},
	{"Get", creatifytest.CallGetJob, 0, true, time.Minute, testkit.JobDone,
		func(ctx context.Context, c *creatify.Client, id string) (any, error) { return c.Jobs.Get(ctx, id) }},
	{"Templates.List", creatifytest.CallListTemplates, 0, false, time.Minute, `[]`,
		func(ctx context.Context, c *creatify.Client, _ string) (any, error) { return c.Templates.List(ctx) }},
	{"Templates.Get", creatifytest.CallGetTemplate, 0, false, time.Minute, `{}`,
		func(ctx context.Context, c *creatify.Client, _ string) (any, error) {
			return c.Templates.Get(ctx, creatifytest.TemplateID)
		}},
	{"Personas.List", creatifytest.CallListPersonas, 0, false, time.Minute, `[]`,
		func(ctx context.Context, c *creatify.Client, _ string) (any, error) { return c.Personas.List(ctx) }},
	{"Voices.List", creatifytest.CallListVoices, 0, false, time.Minute, `[]`,
		func(ctx context.Context, c *creatify.Client, _ string) (any, error) { return c.Voices.List(ctx) }},
	{"RemainingCredits", creatifytest.CallCredits, 0, false, time.Minute, `{"remaining_credits":1}`,
		func(ctx context.Context, c *creatify.Client, _ string) (any, error) {
			return c.Workspace.RemainingCredits(ctx)
		}},
}

// TestCalls runs each call with each fault and compares the outcome with the row of docs/reliability.md.
func TestCalls(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			for _, call := range apiCalls {
				if f.jobs && !call.job {
					continue
				}
				for _, w := range []when{always, once} {
					if f.when != 0 && f.when != w {
						continue
					}
					t.Run(fmt.Sprintf("%s, %v", call.name, w), func(t *testing.T) {
						if f.socket != nil {
							overSockets(t, f, call, w)
							return
						}
						for variant := range f.virtual() {
							inVirtualTime(t, f, call, w, variant)
						}
					})
				}
			}
		})
	}
}

// result is the end of a call that a fault has hit.
type result struct {
	value     any
	err       error
	sent      int // as ending.sent
	processed int // calls that the server has acted on
	took      time.Duration
	id        string // of the job that the call is about, if it is about one
	status    int    // that the fault answers with, if it does
	logged    string
}

// check compares a result with the fault's ending, which it returns.
func (f fault) check(t *testing.T, call apiCall, w when, r result) ending {
	t.Helper()
	want := f.free
	if call.price > 0 {
		want = f.paid
	}
	if want.retried() && w == once {
		want = succeedsLater
	}
	if call.price > 0 || !f.resent || w == once {
		assert.Equal(t, want.sent, r.sent, "requests sent")
	}
	if call.price > 0 {
		processed := 0
		if want.what == succeeds || want.what == unknown && f.processed {
			processed = 1
		}
		assert.Equal(t, processed, r.processed, "how often the server has acted on a call that costs credits")
	}
	f.checkError(t, call, want, r)

	said := testkit.Emitted(r.value, r.err) + r.logged
	testkit.NoKey(t, said)
	if r.err != nil {
		assert.NotContains(t, said, testkit.Variable, "the caller's variables are in an error or a log")
	}
	return want
}

func (f fault) checkError(t *testing.T, call apiCall, want ending, r result) {
	t.Helper()
	if want.what == succeeds {
		require.NoError(t, r.err)
		return
	}
	require.Error(t, r.err)
	is := f.is
	cause := r.err
	if want.what == unknown {
		is = creatify.ErrOutcomeUnknown
		lost, ok := errors.AsType[*creatify.OutcomeUnknownError](r.err)
		require.True(t, ok)
		cause = lost.Err
	}
	if is != nil {
		assert.ErrorIs(t, r.err, is)
	}
	matched := testkit.Matched(r.err)
	assert.LessOrEqual(t, len(matched), 1, "%q matches %q", r.err, matched)
	if is != nil {
		assert.Len(t, matched, 1, "%q", r.err)
	}
	switch want.what {
	case refused, notSent:
		assert.Equal(t, call.price > 0, creatify.Charged(r.err) == creatify.ChargedNo, "%q", r.err)
	default:
		assert.Equal(t, creatify.ChargedUnknown, creatify.Charged(r.err), "%q", r.err)
	}
	assert.NotEqual(t, "other", creatify.Reason(r.err), "%q", r.err)
	answer, answered := errors.AsType[*creatify.APIError](cause)
	if r.status >= 300 && !errors.Is(f.is, context.Canceled) && !errors.Is(f.is, context.DeadlineExceeded) {
		require.True(t, answered, "the response is in the error as an *APIError, not %v", r.err)
		assert.Equal(t, r.status, answer.StatusCode)
	}
	switch want.what {
	case refused:
		require.True(t, answered, "a refusal is an *APIError, not %v", r.err)
	case notSent:
		assert.ErrorContains(t, r.err, "nothing was charged")
	case unknown:
		lost, ok := errors.AsType[*creatify.OutcomeUnknownError](r.err)
		require.True(t, ok)
		assert.Equal(t, http.MethodPost, lost.Method)
		assert.NotEmpty(t, lost.Path)
		assert.Error(t, lost.Err, "the cause")
		assert.ErrorContains(t, r.err, "do not send it again")
		if call.route == creatifytest.CallRender {
			assert.Equal(t, r.id, lost.JobID)
			assert.ErrorContains(t, r.err, "read job "+r.id)
		} else {
			assert.Equal(t, testkit.LeakyParams(), lost.Params, "what was sent")
			assert.ErrorContains(t, r.err, "a webhook event may name the job")
		}
	}
}

// resolveNowhere asks a name server that does not exist: by TCP, since Windows waits for a lost UDP packet.
func resolveNowhere(ctx context.Context, _ string) (net.Conn, error) {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
		return dialNobody(ctx, addr)
	}}
	return (&net.Dialer{Resolver: resolver}).DialContext(ctx, "tcp", "api.creatify.test.:443")
}

func dialNobody(ctx context.Context, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:1")
}

// dialTooLate has a deadline in the past: a short one may hold a connection, where the clock moves in steps
// of milliseconds.
func dialTooLate(ctx context.Context, addr string) (net.Conn, error) {
	return (&net.Dialer{Deadline: time.Now().Add(-time.Second)}).DialContext(ctx, "tcp", addr)
}

// loseHandshake begins a handshake with a peer that closes the connection.
func loseHandshake(ctx context.Context, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	go func() {
		io.ReadFull(there, make([]byte, 5))
		there.Close()
	}()
	return nil, tls.Client(here, &tls.Config{ServerName: "example.com"}).HandshakeContext(ctx)
}

func distrust(ctx context.Context, addr string) (net.Conn, error) {
	return (&tls.Dialer{Config: &tls.Config{RootCAs: x509.NewCertPool()}}).DialContext(ctx, "tcp", addr)
}
