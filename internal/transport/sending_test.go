package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What was written may have been read, whichever of net/http's reports of it is the first to come.
func TestDoDoesNotRetryWhatMayHaveLeft(t *testing.T) {
	for _, tt := range []struct {
		name   string
		report func(*httptrace.ClientTrace)
	}{
		{"a connection", func(t *httptrace.ClientTrace) { t.GotConn(httptrace.GotConnInfo{}) }},
		{"a header field", func(t *httptrace.ClientTrace) { t.WroteHeaderField("Host", nil) }},
		{"the headers", func(t *httptrace.ClientTrace) { t.WroteHeaders() }},
		{"the request", func(t *httptrace.ClientTrace) { t.WroteRequest(httptrace.WroteRequestInfo{}) }},
		{"a byte of the response", func(t *httptrace.ClientTrace) { t.GotFirstResponseByte() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scripted(func(req *http.Request) (*http.Response, error) {
					trace := httptrace.ContextClientTrace(req.Context())
					trace.GetConn("api.test:443")
					tt.report(trace)
					return nil, syscall.ECONNREFUSED
				})
				_, err := newClient(t, s).Do(t.Context(), paid)
				failure, ok := errors.AsType[*Error](err)
				require.True(t, ok)
				assert.True(t, failure.Reached)
				assert.Equal(t, 1, s.calls)
			})
		})
	}
}

// reports has net/http's report of a connection come before the answer.
func reports(next answer) answer {
	return func(req *http.Request) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(req.Context())
		trace.GetConn("api.test:443")
		trace.GotConn(httptrace.GotConnInfo{})
		return next(req)
	}
}

// connecting has net/http's report that it needs a connection come before the answer.
func connecting(next answer) answer {
	return func(req *http.Request) (*http.Response, error) {
		httptrace.ContextClientTrace(req.Context()).GetConn("api.test:443")
		return next(req)
	}
}

func TestDoWaitsForAPaidResponseWhenTheContextEnds(t *testing.T) {
	const ends, grace = 5 * time.Second, 10 * time.Second
	created := respond(201, `{"id":"7"}`)
	slowBody := func(req *http.Request) (*http.Response, error) {
		resp, _ := created(req)
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"id":`), &lateReader{req.Context(), 8 * time.Second, strings.NewReader(`"7"}`)}))
		return resp, nil
	}
	for _, tt := range []struct {
		name    string
		call    Call
		answer  answer
		change  func(*Config)
		took    time.Duration
		status  int  // 0 for an error
		reached bool // of the error
		text    string
	}{
		{"a response that comes in the grace is the result", paid, after(8*time.Second, created), nil, 8 * time.Second, 201, false, ""},
		{"so it is with net/http's report of a connection", paid, reports(after(8*time.Second, created)), nil, 8 * time.Second, 201, false, ""},
		{"a body that comes in the grace is read", paid, slowBody, nil, 8 * time.Second, 201, false, ""},
		{"a refusal that comes in the grace is the result", paid, after(8*time.Second, respond(402, "")), nil, 8 * time.Second, 402, false, ""},
		{"a 429 is the result, and no pause is made", paid, after(8*time.Second, respond(429, "", "Retry-After", "1")), nil, 8 * time.Second, 429, false, ""},
		{"what came of a body in the grace is kept", paid, func(req *http.Request) (*http.Response, error) {
			resp, _ := created(req)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"id":"7"`), &lateReader{req.Context(), time.Hour, nil}))
			return resp, nil
		}, nil, ends + grace, 0, true, "context canceled"},
		{"a response that comes later is lost", paid, after(ends+grace+1, created), nil, ends + grace, 0, true, "context canceled"},
		{"the attempt's own time limit holds", paid, hang, func(c *Config) { c.Timeout = 7 * time.Second }, 7 * time.Second, 0, true, "context canceled"},
		{"an error in the grace ends the call", paid, after(8*time.Second, reset), nil, 8 * time.Second, 0, true,
			"context canceled, and then: read tcp: connection reset by peer"},
		{"what has not left ends with the context", paid, connecting(hang), nil, ends, 0, false, "context canceled"},
		{"what has not left at the attempt's time limit has not been sent", paid, connecting(hang),
			func(c *Config) { c.Timeout, c.Retry.MaxAttempts = 3*time.Second, 1 }, 3 * time.Second, 0, false, "no connection within 3s: i/o timeout"},
		{"what is not sent in the end is not sent", paid, connecting(after(ends-1, refuseConnection)), func(c *Config) { c.Retry.MaxAttempts = 1 }, ends - 1, 0, false,
			"dial tcp: connection refused"},
		{"a grace of zero ends the call with the context", paid, after(8*time.Second, created), func(c *Config) { c.Grace = 0 }, ends, 0, true, "context canceled"},
		{"a free call ends with the context", free, after(8*time.Second, created), nil, ends, 0, true, "context canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // which finds a goroutine that is left behind
				ctx, cancel := cancelAfter(ends)(t.Context())
				defer cancel()
				config := newConfig(scripted(tt.answer))
				if tt.change != nil {
					tt.change(&config)
				}
				client, err := New(config)
				require.NoError(t, err)
				start := time.Now()
				got, err := client.Do(ctx, tt.call)
				assert.Equal(t, tt.took, time.Since(start))
				if tt.status != 0 {
					require.NoError(t, err)
					assert.Equal(t, tt.status, got.Status)
					return
				}
				assert.EqualError(t, err, tt.text)
				failure, ok := errors.AsType[*Error](err)
				require.True(t, ok)
				assert.Equal(t, tt.reached, failure.Reached)
				if strings.Contains(tt.name, "is kept") {
					assert.Equal(t, `{"id":"7"`, string(failure.Response.Body))
				}
			})
		})
	}
}

// lateReader brings its text when a time has passed since it was first read.
type lateReader struct {
	ctx  context.Context
	wait time.Duration
	text io.Reader
}

func (r *lateReader) Read(p []byte) (int, error) {
	select {
	case <-time.After(r.wait):
		r.wait = 0
		return r.text.Read(p)
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}

func TestDoWaitsForAPaidResponsePastTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var deadline time.Time
		got, err := newClient(t, scripted(func(req *http.Request) (*http.Response, error) {
			deadline, _ = req.Context().Deadline()
			return after(8*time.Second, respond(201, "{}"))(req)
		})).Do(ctx, paid)
		require.NoError(t, err)
		assert.Equal(t, 201, got.Status)
		assert.Equal(t, 52*time.Second, time.Until(deadline), "the transport sees the attempt's limit")
	})
}

func TestDoKeepsTheValuesOfThePaidContext(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "span")
	var got any
	_, err := newClient(t, scripted(func(req *http.Request) (*http.Response, error) {
		got = req.Context().Value(key{})
		return respond(201, "{}")(req)
	})).Do(ctx, paid)
	require.NoError(t, err)
	assert.Equal(t, "span", got)
}

// The context's end and the response may come at once. Whichever is first, nothing may be left behind.
func TestDoWhenTheContextEndsWithTheResponse(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := cancelAfter(time.Second)(t.Context())
			defer cancel()
			got, err := newClient(t, scripted(after(time.Second, respond(201, "{}")))).Do(ctx, paid)
			require.NoError(t, err)
			assert.Equal(t, 201, got.Status)
		})
	}
}
