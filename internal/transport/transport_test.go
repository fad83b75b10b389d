package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

const testKey = "recognisable-key"

// script answers request after request; the last answer repeats.
type script struct {
	mu      sync.Mutex
	answers []func(*http.Request) (*http.Response, error)
	calls   int
	times   []time.Time
	bodies  []string
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	answer := s.answers[min(s.calls, len(s.answers)-1)]
	s.calls++
	s.times = append(s.times, time.Now())
	if req.Body != nil {
		body, _ := io.ReadAll(req.Body)
		req.Body.Close()
		s.bodies = append(s.bodies, string(body))
	}
	s.mu.Unlock()
	return answer(req)
}

func reply(status int, body string, header ...string) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)),
			ContentLength: int64(len(body)), Request: req}, nil
	}
}

func fail(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// refuseConnection fails as net/http does when it gets no connection, and reports it as net/http does.
func refuseConnection(req *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(req.Context()).GetConn("api.test:443")
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// cut answers with a status and a body that breaks off.
func cut(status int) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		resp, _ := reply(status, "")(req)
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"detail":"No`), brokenReader{}))
		return resp, nil
	}
}

func cutReply(req *http.Request) (*http.Response, error) {
	resp, _ := reply(200, "")(req)
	resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"id":"7",`), brokenReader{}))
	return resp, nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func newClient(rt http.RoundTripper, change ...func(*Config)) *Client {
	base, _ := url.Parse("https://api.test")
	c := Config{
		BaseURL:     base,
		Credentials: NewCredentials("the-id", testKey),
		UserAgent:   "test",
		HTTPClient:  &http.Client{Transport: rt},
		Timeout:     time.Minute,
		Retry:       Retry{MaxAttempts: 4, MinBackoff: 500 * time.Millisecond, MaxBackoff: 30 * time.Second},
	}
	for _, f := range change {
		f(&c)
	}
	return New(c)
}

var (
	paid = Call{Method: http.MethodPost, Path: "/pay/", Body: []byte(`{"a":1}`), Paid: true}
	free = Call{Method: http.MethodGet, Path: "/read/"}
	once = Call{Method: http.MethodGet, Path: "/read/", Once: true}
)

type answers = []func(*http.Request) (*http.Response, error)

func TestHowOftenACallIsSent(t *testing.T) {
	reset := fail(&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET})
	tests := []struct {
		name    string
		call    Call
		answers answers
		sent    int
		status  int  // of the reply, 0 for an error
		reached bool // of the error
	}{
		{"a paid call that is answered", paid, answers{reply(201, "{}")}, 1, 201, false},
		{"a paid call is not sent again after 500", paid, answers{reply(500, ""), reply(201, "{}")}, 1, 500, false},
		{"a paid call is not sent again after 502", paid, answers{reply(502, ""), reply(201, "{}")}, 1, 502, false},
		{"a paid call is not sent again after 503", paid, answers{reply(503, "", "Retry-After", "1"), reply(201, "{}")}, 1, 503, false},
		{"a paid call is not sent again after 504", paid, answers{reply(504, ""), reply(201, "{}")}, 1, 504, false},
		{"a paid call is not sent again after 408", paid, answers{reply(408, ""), reply(201, "{}")}, 1, 408, false},
		{"a paid call is not sent again after 425", paid, answers{reply(425, ""), reply(201, "{}")}, 1, 425, false},
		{"a paid call is not sent again after a reset", paid, answers{reset, reply(201, "{}")}, 1, 0, true},
		{"a paid call is not sent again after a time-out", paid, answers{hang, reply(201, "{}")}, 1, 0, true},
		{"a paid call is not sent again after a cut reply", paid, answers{cutReply, reply(201, "{}")}, 1, 0, true},
		{"a dial error that nothing vouches for proves nothing", paid,
			answers{fail(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), reply(201, "{}")}, 1, 0, true},
		{"a paid call that never left is sent again", paid, answers{refuseConnection, refuseConnection, reply(201, "{}")}, 3, 201, false},
		{"a paid call that never leaves ends as not reached", paid, answers{refuseConnection}, 4, 0, false},
		{"a paid call is sent again after 429", paid, answers{reply(429, ""), reply(201, "{}")}, 2, 201, false},
		{"429 to the end is the reply", paid, answers{reply(429, "")}, 4, 429, false},
		{"a reset after a 429 ends a paid call", paid, answers{reply(429, ""), reset, reply(201, "{}")}, 2, 0, true},
		{"a paid call is not sent again after a redirect to what is no URL", paid,
			answers{reply(302, "", "Location", "http://[::1"), reply(201, "{}")}, 1, 0, true},
		{"a paid call is not sent again when its refusal breaks off", paid, answers{cut(400), reply(201, "{}")}, 1, 400, false},
		{"a refusal that breaks off is a refusal", free, answers{cut(404), reply(200, "{}")}, 1, 404, false},
		{"a call that cannot be written is not sent", Call{Method: http.MethodPost, Path: "/%zz/", Paid: true}, answers{reply(201, "{}")}, 0, 0, false},
		{"a free call is sent again after 408", free, answers{reply(408, ""), reply(200, "{}")}, 2, 200, false},
		{"a free call is sent again after 425", free, answers{reply(425, ""), reply(200, "{}")}, 2, 200, false},
		{"a free call is sent again after 500", free, answers{reply(500, ""), reply(200, "{}")}, 2, 200, false},
		{"a free call is sent again after 502", free, answers{reply(502, ""), reply(200, "{}")}, 2, 200, false},
		{"a free call is sent again after 504", free, answers{reply(504, ""), reply(200, "{}")}, 2, 200, false},
		{"a reply without a body", free, answers{func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 204, Request: req}, nil
		}}, 1, 204, false},
		{"a certificate that is not to be trusted", free, answers{fail(&tls.CertificateVerificationError{Err: errors.New("x")})}, 1, 0, true},
		{"a free call is sent again after 503", free, answers{reply(503, ""), reply(200, "{}")}, 2, 200, false},
		{"a free call is sent again after a reset", free, answers{reset, reply(200, "{}")}, 2, 200, false},
		{"a free call is sent again after a cut reply", free, answers{cutReply, reply(200, "{}")}, 2, 200, false},
		{"a free call is sent again after a time-out", free, answers{hang, reply(200, "{}")}, 2, 200, false},
		{"a free call gives up after four attempts", free, answers{reset}, 4, 0, true},
		{"a free call is not sent again after 404", free, answers{reply(404, "")}, 1, 404, false},
		{"a call for once is sent once", once, answers{reply(503, ""), reply(200, "{}")}, 1, 503, false},
		{"a transport that returns nothing at all", free, answers{fail(nil)}, 4, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tt.answers}
				got, err := newClient(s).Do(t.Context(), tt.call)
				assert.Equal(t, tt.sent, s.calls, "requests sent")
				for _, body := range s.bodies {
					assert.Equal(t, string(tt.call.Body), body, "each attempt carries the whole body")
				}
				if tt.status != 0 {
					require.NoError(t, err)
					assert.Equal(t, tt.status, got.Status)
					return
				}
				failure, ok := errors.AsType[*Error](err)
				require.True(t, ok, "an *Error, not %v", err)
				assert.Equal(t, tt.reached, failure.Reached, "reached")
			})
		})
	}
}

func TestACutReplyIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := newClient(&script{answers: answers{cutReply}}).Do(t.Context(), paid)
		failure, ok := errors.AsType[*Error](err)
		require.True(t, ok)
		assert.Equal(t, `{"id":"7",`, string(failure.Reply.Body))
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	})
}

func TestAReplyLargerThanTheCapIsAnErrorAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: answers{reply(200, strings.Repeat("x", maxBody+1))}}
		_, err := newClient(s).Do(t.Context(), free)
		assert.ErrorContains(t, err, "larger than 8 MiB")
		failure, _ := errors.AsType[*Error](err)
		assert.Len(t, failure.Reply.Body, maxBody)
		assert.Equal(t, 1, s.calls, "it would be as large the next time")
	})
}

func TestOfARefusalNoMoreIsReadThanTellsWhy(t *testing.T) {
	got, err := newClient(&script{answers: answers{reply(400, strings.Repeat("x", 1<<20))}}).Do(t.Context(), paid)
	require.NoError(t, err)
	assert.Len(t, got.Body, maxErrorBody)
	assert.LessOrEqual(t, maxErrorBody, 64<<10)
}

func TestAReplyOfTheCapsSizeIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := newClient(&script{answers: answers{reply(200, strings.Repeat("x", maxBody))}}).Do(t.Context(), free)
		require.NoError(t, err)
		assert.Len(t, got.Body, maxBody)
	})
}

func TestTheAttemptsTimeLimitIsNotTheContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := newClient(&script{answers: answers{hang}}).Do(t.Context(), once)
		assert.Equal(t, time.Minute, time.Since(start))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.NotErrorIs(t, err, context.DeadlineExceeded, "the caller set no deadline")
		assert.ErrorContains(t, err, "no whole reply within 1m0s")
	})
}

func TestTheCallersTimeoutShortensAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		callers := &http.Client{Transport: &script{answers: answers{hang}}, Timeout: 5 * time.Second}
		_, err := newClient(nil, func(c *Config) { c.HTTPClient = callers }).Do(t.Context(), once)
		assert.Error(t, err)
		assert.Equal(t, 5*time.Second, time.Since(start))
		assert.Equal(t, 5*time.Second, callers.Timeout, "the caller's client is copied, not changed")
		assert.Nil(t, callers.CheckRedirect)
	})
}

func TestCancellationIsSeenAtOnce(t *testing.T) {
	tests := []struct {
		name    string
		answers answers
		call    Call
		reached bool
	}{
		{"in the middle of a request", answers{hang}, paid, true},
		{"in the middle of a free request", answers{hang}, free, true},
		{"in the sleep before a retry", answers{reply(429, "", "Retry-After", "50")}, paid, false},
		{"in the sleep before a retry of a free call", answers{reply(503, "", "Retry-After", "50")}, free, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				why := errors.New("shutting down")
				time.AfterFunc(10*time.Second, func() { cancel(why) })
				start := time.Now()
				_, err := newClient(&script{answers: tt.answers}).Do(ctx, tt.call)
				assert.Equal(t, 10*time.Second, time.Since(start))
				assert.ErrorIs(t, err, context.Canceled)
				assert.ErrorContains(t, err, why.Error(), "the cause is kept")
				assert.NotErrorIs(t, err, why, "as a text")
				assert.Equal(t, strings.HasPrefix(tt.name, "in the sleep"), strings.Contains(err.Error(), "while waiting to try again"))
				failure, _ := errors.AsType[*Error](err)
				assert.Equal(t, tt.reached, failure.Reached)
			})
		})
	}
}

func TestACancelledContextSendsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &script{answers: answers{reply(200, "{}")}}
	_, err := newClient(s).Do(ctx, paid)
	failure, ok := errors.AsType[*Error](err)
	require.True(t, ok)
	assert.False(t, failure.Reached)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, s.calls)
}

func TestTheWaitBeforeARetry(t *testing.T) {
	tests := []struct {
		name       string
		header     []string
		body       string
		least, max time.Duration
		retried    bool
	}{
		{"without a Retry-After", nil, "", 250 * time.Millisecond, 500 * time.Millisecond, true},
		{"with one in seconds", []string{"Retry-After", "20"}, "", 20 * time.Second, 26 * time.Second, true},
		{"with one of zero", []string{"Retry-After", "0"}, "", 0, 500 * time.Millisecond, true},
		{"with one as a date", []string{"Retry-After", "Sat, 01 Jan 2000 00:00:20 GMT"}, "", 20 * time.Second, 26 * time.Second, true},
		{"with a date in the past", []string{"Retry-After", "Fri, 31 Dec 1999 00:00:00 GMT"}, "", 0, 500 * time.Millisecond, true},
		{"with a negative one", []string{"Retry-After", "-5"}, "", 250 * time.Millisecond, 500 * time.Millisecond, true},
		{"with garbage", []string{"Retry-After", "soon"}, "", 250 * time.Millisecond, 500 * time.Millisecond, true},
		{"with DRF's sentence", nil, `{"detail": "Request was throttled. Expected available in 30 seconds."}`, 30 * time.Second, 38 * time.Second, true},
		{"with one over the cap the call returns", []string{"Retry-After", "61"}, "", 0, 0, false},
		{"with one that overflows a duration the call returns", []string{"Retry-After", "9223372037"}, "", 0, 0, false},
		{"with one that overflows an integer the call returns", []string{"Retry-After", "99999999999999999999"}, "", 0, 0, false},
		{"with a date far away the call returns", []string{"Retry-After", "Fri, 31 Dec 9999 00:00:00 GMT"}, "", 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: answers{reply(429, tt.body, tt.header...), reply(201, "{}")}}
				start := time.Now()
				got, err := newClient(s).Do(t.Context(), paid)
				require.NoError(t, err)
				took := time.Since(start)
				assert.GreaterOrEqual(t, took, tt.least)
				assert.LessOrEqual(t, took, tt.max)
				assert.Equal(t, tt.retried, got.Status == 201)
			})
		})
	}
}

func TestACallReturnsInsteadOfSleepingPastItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		s := &script{answers: answers{reply(429, "", "Retry-After", "20")}}
		got, err := newClient(s).Do(ctx, paid)
		require.NoError(t, err)
		assert.Equal(t, 429, got.Status)
		assert.Zero(t, time.Since(start))
		assert.Equal(t, 1, s.calls, "nor is it sent again without a wait")
	})
}

func TestADeadlineThatLeavesTheTimeDoesNotEndTheRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got, err := newClient(&script{answers: answers{reply(429, "", "Retry-After", "20"), reply(201, "{}")}}).Do(ctx, paid)
		require.NoError(t, err)
		assert.Equal(t, 201, got.Status)
	})
}

// What was written may have been read, whichever of net/http's reports of it is the first to come.
func TestAnythingThatMayHaveLeftIsNotSentAgain(t *testing.T) {
	for name, report := range map[string]func(*httptrace.ClientTrace){
		"a connection":           func(t *httptrace.ClientTrace) { t.GotConn(httptrace.GotConnInfo{}) },
		"a header field":         func(t *httptrace.ClientTrace) { t.WroteHeaderField("Host", nil) },
		"the headers":            func(t *httptrace.ClientTrace) { t.WroteHeaders() },
		"the request":            func(t *httptrace.ClientTrace) { t.WroteRequest(httptrace.WroteRequestInfo{}) },
		"a byte of the response": func(t *httptrace.ClientTrace) { t.GotFirstResponseByte() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: answers{func(req *http.Request) (*http.Response, error) {
					trace := httptrace.ContextClientTrace(req.Context())
					trace.GetConn("api.test:443")
					report(trace)
					return nil, syscall.ECONNREFUSED
				}}}
				_, err := newClient(s).Do(t.Context(), paid)
				failure, ok := errors.AsType[*Error](err)
				require.True(t, ok)
				assert.True(t, failure.Reached)
				assert.Equal(t, 1, s.calls)
			})
		})
	}
}

func TestTheStatusIsTheAnswerHoweverItsBodyGoesOn(t *testing.T) {
	stuck := func(status int) *script {
		return &script{answers: answers{func(req *http.Request) (*http.Response, error) {
			resp, _ := reply(status, "")(req)
			resp.Body = stuckBody{req.Context()}
			return resp, nil
		}}}
	}
	synctest.Test(t, func(t *testing.T) {
		got, err := newClient(stuck(402)).Do(t.Context(), paid)
		require.NoError(t, err, "at the attempt's time limit")
		assert.Equal(t, 402, got.Status)
		got, err = newClient(stuck(404)).Do(t.Context(), free)
		require.NoError(t, err, "of a free call as well")
		assert.Equal(t, 404, got.Status)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err = newClient(stuck(402)).Do(ctx, paid)
		require.NoError(t, err, "at the context's end, since what was refused is not to become unknown")
		assert.Equal(t, 402, got.Status)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = newClient(stuck(404)).Do(ctx, free)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// stuckBody brings nothing until its request ends.
type stuckBody struct{ ctx context.Context }

func (b stuckBody) Read([]byte) (int, error) { <-b.ctx.Done(); return 0, b.ctx.Err() }
func (stuckBody) Close() error               { return nil }

func TestEveryBodyIsClosed(t *testing.T) {
	for name, status := range map[string]int{"of a success": 200, "of a refusal": 404, "of another protocol": 101} {
		closed := 0
		_, err := newClient(&script{answers: answers{func(req *http.Request) (*http.Response, error) {
			resp, _ := reply(status, "")(req)
			resp.Body = &closing{strings.NewReader(strings.Repeat("x", maxBody+1)), &closed}
			return resp, nil
		}}}).Do(t.Context(), once)
		assert.Equal(t, status == 200, err != nil, name)
		assert.Positive(t, closed, name)
	}
}

type closing struct {
	io.Reader
	times *int
}

func (c *closing) Close() error { *c.times++; return nil }

func TestARetryAfterCountsWhereItMayStand(t *testing.T) {
	const sentence = `{"detail": "Request was throttled. Expected available in 30 seconds."}`
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name         string
		status       int
		header, body string
		want         time.Duration
		ok           bool
	}{
		{"a 429 with the header", 429, "7", "", 7 * time.Second, true},
		{"a 503 with the header", 503, "7", "", 7 * time.Second, true},
		{"a 429 with the sentence", 429, "", sentence, 30 * time.Second, true},
		{"the header goes before the sentence", 429, "7", sentence, 7 * time.Second, true},
		{"a 503 with the sentence", 503, "", sentence, 0, false},
		{"a 500 with the header", 500, "7", "", 0, false},
		{"a 429 without either", 429, "", "{}", 0, false},
		{"the longest that is no overflow", 429, "9223372036", "", 9223372036 * time.Second, true},
	} {
		got, ok := RetryAfter(&Reply{Status: tt.status, Header: http.Header{"Retry-After": {tt.header}}, Body: []byte(tt.body)}, now)
		assert.Equal(t, tt.want, got, tt.name)
		assert.Equal(t, tt.ok, ok, tt.name)
	}
}

func TestBackoffDoublesWithJitterAndNeverOverflows(t *testing.T) {
	r := Retry{MinBackoff: time.Second, MaxBackoff: 30 * time.Second}
	for tries, want := range map[int]time.Duration{1: 1, 2: 2, 3: 4, 5: 16, 6: 30, 40: 30, 64: 30, 1000: 30} {
		want *= time.Second
		lowest, highest := time.Hour, time.Duration(0)
		for range 1000 {
			d := r.Backoff(tries)
			lowest, highest = min(lowest, d), max(highest, d)
		}
		assert.GreaterOrEqual(t, lowest, want/2, "after %d tries", tries)
		assert.LessOrEqual(t, highest, want, "after %d tries", tries)
		assert.Greater(t, highest-lowest, want/4, "jitter after %d tries", tries)
	}
}

func TestTheRateLimitCountsRetriesAndWaitsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: answers{reply(503, ""), reply(503, ""), reply(200, "{}")}}
		c := newClient(s, func(c *Config) { c.Limiter = rate.NewLimiter(0.1, 1) })
		_, err := c.Do(t.Context(), free)
		require.NoError(t, err)
		require.Len(t, s.times, 3)
		for i := range 2 { // the limiter computes in floating point
			assert.InDelta(t, 10*time.Second, s.times[i+1].Sub(s.times[i]), float64(time.Microsecond))
		}

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		_, err = c.Do(ctx, paid)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, time.Since(start), "no use in waiting for a turn after the deadline")
		failure, _ := errors.AsType[*Error](err)
		assert.False(t, failure.Reached)
		assert.Equal(t, 3, s.calls)

		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		_, err = c.Do(ctx, paid)
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

func TestTheQueueOfTheRateLimitIsNotInTheTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: answers{reply(200, "{}")}}
		c := newClient(s, func(c *Config) { c.Limiter, c.Timeout = rate.NewLimiter(0.01, 1), time.Second })
		for range 2 {
			_, err := c.Do(t.Context(), free)
			require.NoError(t, err)
		}
	})
}

func TestRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a request went to another origin, with the key: %v", r.Header.Get("X-API-KEY") != "")
	}))
	defer other.Close()
	var hits []string
	mux := http.NewServeMux()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits = append(hits, r.Method+" "+r.URL.Path)
		mux.ServeHTTP(w, r)
	}))
	defer server.Close()
	mux.HandleFunc("/away/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/read/", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/near/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/read/", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/loop/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop/", http.StatusFound) })
	mux.HandleFunc("/odd/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://[::1")
		w.WriteHeader(302)
	})
	mux.HandleFunc("/read/", func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, testKey, r.Header.Get("X-API-KEY"))
		io.WriteString(w, "{}")
	})
	base, _ := url.Parse(server.URL)

	tests := []struct {
		name   string
		call   Call
		status int
		hits   []string
	}{
		{"a GET to another origin is not followed", Call{Method: "GET", Path: "/away/"}, 307, []string{"GET /away/"}},
		{"a GET within the origin is", Call{Method: "GET", Path: "/near/"}, 200, []string{"GET /near/", "GET /read/"}},
		{"a POST within the origin is not", Call{Method: "POST", Path: "/near/", Body: []byte("{}"), Paid: true}, 307, []string{"POST /near/"}},
		{"nor one that would become a GET", Call{Method: "POST", Path: "/loop/", Body: []byte("{}"), Paid: true}, 302, []string{"POST /loop/"}},
		{"a loop ends", Call{Method: "GET", Path: "/loop/"}, 302, slicesRepeat("GET /loop/", 10)},
		{"a Location that is no URL is an error", Call{Method: "GET", Path: "/odd/"}, 0, []string{"GET /odd/"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			hits = nil
			got, err := newClient(nil, func(c *Config) { c.BaseURL, c.HTTPClient = base, nil }).Do(t.Context(), tt.call)
			if tt.status == 0 {
				assert.Error(t, err)
			} else if assert.NoError(t, err) {
				assert.Equal(t, tt.status, got.Status)
			}
			assert.Equal(t, tt.hits, hits)
		})
	}
}

func slicesRepeat(s string, n int) (all []string) {
	for range n {
		all = append(all, s)
	}
	return all
}

func TestTheCallersRedirectCheckCanOnlyForbid(t *testing.T) {
	var asked []string
	forbid := errors.New("not with me")
	rt := &script{answers: answers{reply(302, "", "Location", "/elsewhere/"), reply(200, "{}")}}
	c := newClient(nil, func(c *Config) {
		c.HTTPClient = &http.Client{Transport: rt, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
			asked = append(asked, req.URL.Path)
			return forbid
		}}
	})
	_, err := c.Do(t.Context(), free)
	assert.ErrorIs(t, err, forbid)
	assert.Equal(t, []string{"/elsewhere/"}, asked)
	assert.Equal(t, 1, rt.calls)
}

func TestNoConnectionOfTheCallersIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &closeable{script: script{answers: answers{reply(503, "")}}}
		_, err := newClient(rt).Do(t.Context(), free)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = newClient(rt).Do(ctx, free)
		require.NoError(t, err)
		assert.Zero(t, rt.closed, "go-retryablehttp closes idle connections when a call fails")
	})
}

type closeable struct {
	script
	closed int
}

func (c *closeable) CloseIdleConnections() { c.closed++ }

func TestTheKeyStaysOut(t *testing.T) {
	quoting := fail(errors.New("malformed HTTP response " + testKey))
	var logged bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	synctest.Test(t, func(t *testing.T) {
		c := newClient(&script{answers: answers{quoting, reply(500, "you sent "+testKey)}}, func(c *Config) { c.Logger = logger })
		got, err := c.Do(t.Context(), free)
		require.NoError(t, err)
		assert.Equal(t, "you sent [redacted]", string(got.Body))
		_, err = newClient(&script{answers: answers{quoting}}).Do(t.Context(), paid)
		for e := err; e != nil; e = errors.Unwrap(e) {
			assert.NotContains(t, e.Error(), testKey)
		}
	})
	assert.NotContains(t, logged.String(), testKey)
	assert.NotContains(t, logged.String(), "malformed", "an error's text may quote the server")
	for _, want := range []string{"method=GET", "path=/read/", "attempt=1", `outcome="status 500"`, "took=", `outcome="no reply"`,
		`level=INFO msg="creatify: will try again" method=GET path=/read/ after="no reply" wait=`} {
		assert.Contains(t, logged.String(), want)
	}
}

func TestACredentialThatLooksLikeAnEscapeIsFoundAsItIs(t *testing.T) {
	for _, secret := range []string{"abc%25defghij", `abc\\defghij`, `abc\u005cdefghij`} {
		assert.Equal(t, "a [redacted] b", string(redact([]byte("a "+secret+" b"), secret)))
	}
}

func TestACredentialIsFoundHoweverItIsSpelled(t *testing.T) {
	const secret = `se"cr/et`
	for text, want := range map[string]string{
		secret:                              redacted,
		"a " + secret + " b":                "a [redacted] b",
		secret + secret:                     redacted + redacted,
		`\u0073e"cr/et`:                     redacted,
		`a \u0073e\"cr\/et b`:               "a [redacted] b",
		`a se\"cr/et, se\"cr/etse\"cr/et b`: "a [redacted], [redacted][redacted] b",
		`%73e%22cr%2Fet`:                    redacted,
		`%73e"cr/et`:                        redacted,
		`?k=s%65%22cr%2fe%74`:               `?k=[redacted]`,
		`a \u0073e"cr/\u0065\u0074`:         "a [redacted]",
		`\`:                                 `\`,
		`% se`:                              `% se`,
		`\\ se"cr/e`:                        `\\ [redacted]`,
		`\se"cr/et`:                         `\[redacted]`,
		`se\"cr/e\t`:                        `se\"cr/e\t`,
		`se\"cr/e\u00`:                      redacted,
		`se\"cr/e\u0`:                       redacted,
		`se\"cr/e\`:                         redacted,
		`se"cr/e%`:                          redacted,
		`se"cr/e%7`:                         redacted,
		`se"cr/e%zz`:                        `se"cr/e%zz`,
		`se"cr/e%75`:                        `se"cr/e%75`,
		`se\"cr/e\u0174`:                    `se\"cr/e\u0174`,
		`se\"cr/e\u0075`:                    `se\"cr/e\u0075`,
		`se\"cr/e\v0074`:                    `se\"cr/e\v0074`,
		`se"cr/e#74%`:                       `se"cr/e#74%`,
		``:                                  ``,
		`se\"cr/e\u1074`:                    `se\"cr/e\u1074`,
		`se\"cr/exu0074`:                    `se\"cr/exu0074`,
		`se\/cr/et`:                         `se\/cr/et`,
		`a se"cr/e`:                         "a [redacted]",
		`a se"cr/`:                          "a [redacted]",
		`a se"cr`:                           `a se"cr`,
		`a se"cr/e b`:                       `a se"cr/e b`,
		`a s%65"cr/e`:                       `a [redacted]`,
		`a s%65"cr/`:                        `a [redacted]`,
		`a s%65"cr`:                         `a s%65"cr`,
		`sex"cr/et%`:                        `sex"cr/et%`,
	} {
		assert.Equal(t, want, string(redact([]byte(text), secret)), "%q", text)
	}
	assert.Equal(t, redacted, string(redact([]byte(`secr\/`), "secr/")), "an escape at the end")
}

// A credential that is only in part where a text ends is not found by a search for the whole of it.
func TestNoBeginningOfTheKeyIsLeftWhereATextIsCut(t *testing.T) {
	const key = `long"and\recognisable/key-0123456789`
	escaped := strings.NewReplacer(`"`, `\"`, `\`, `\\`, `/`, `\/`, `r`, `\u0072`).Replace(key)
	send := func(t *testing.T, answer func(*http.Request) (*http.Response, error)) string {
		c := newClient(&script{answers: answers{answer}}, func(c *Config) { c.Credentials = NewCredentials("the-id", key) })
		got, err := c.Do(t.Context(), paid)
		if failure, ok := errors.AsType[*Error](err); ok {
			got = &Reply{}
			if failure.Reply != nil {
				got = failure.Reply
			}
			return err.Error() + "\n" + string(got.Body)
		}
		return string(got.Body)
	}
	broken := func(status int, body string, end error) func(*http.Request) (*http.Response, error) {
		return func(req *http.Request) (*http.Response, error) {
			resp, _ := reply(status, "")(req)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(body), iotest.ErrReader(end)))
			return resp, nil
		}
	}
	for i := range len(escaped) {
		beginning := escaped[:i]
		for name, answer := range map[string]func(*http.Request) (*http.Response, error){
			"an error that is shortened":                  fail(errors.New(strings.Repeat("x", 300-i) + key)),
			"an error that is shortened and quoted":       fail(fmt.Errorf("malformed %q", strings.Repeat("x", 289-i)+key)),
			"an error with what OneLine takes out":        fail(errors.New(strings.Repeat("x", 300-i) + key[:9] + "\xff" + key[9:])),
			"an error that ends in the key":               fail(errors.New("dump: " + beginning)),
			"an error that ends in the key and is quoted": fail(fmt.Errorf(`dump: "%s"`, beginning)),
			"an error that somebody else shortened":       fail(errors.New("dump: " + beginning + "...")),
			"an error within":                             fail(branches{errors.New("dump: " + beginning)}),
			"a success that breaks off":                   broken(200, `{"id":"7","key":"`+beginning, io.ErrUnexpectedEOF),
			"a success whose connection is closed":        broken(200, `{"id":"7","key":"`+beginning, io.EOF),
			"a success over the cap":                      reply(200, strings.Repeat("x", maxBody-i)+escaped),
			"a refusal that breaks off":                   broken(502, "X-Api-Key: "+beginning, io.ErrUnexpectedEOF),
			"a refusal whose connection is closed":        broken(400, "X-Api-Key: "+beginning, io.EOF),
			"a refusal over the cap":                      reply(400, strings.Repeat("x", maxErrorBody-i)+escaped),
		} {
			if strings.HasSuffix(name, "success over the cap") && i%8 != 0 {
				continue // it takes long
			}
			text := send(t, answer)
			assert.NotContains(t, text, key[:minSecret], "%s, %d", name, i)
			assert.NotContains(t, text, `cognisable`, "%s, %d", name, i)
		}
	}
}

func TestAReplyOverTheCapStaysSoWithoutTheKey(t *testing.T) {
	_, err := newClient(&script{answers: answers{reply(200, testKey+strings.Repeat("x", maxBody-len(testKey)+1))}}).Do(t.Context(), once)
	assert.ErrorContains(t, err, "larger than 8 MiB")
}

func TestNoBeginningOfAFilesQueryIsLeftWhereAnErrorIsShortened(t *testing.T) {
	file, _ := url.Parse("https://files.test/v?signature=recognisable")
	for i := range len(file.RawQuery) {
		for _, text := range []string{strings.Repeat("x", 300-i) + file.RawQuery, "dump: " + file.RawQuery[:i]} {
			err := newClient(nil).CleanFileError(errors.New(text), file)
			assert.NotContains(t, err.Error(), file.RawQuery[:minSecret], text)
		}
	}
}

func TestHowShortACredentialMayBeToBeTakenOut(t *testing.T) {
	for _, tt := range []struct {
		name, key string
		status    int
		out       bool
	}{
		{"16 characters, from a success", "0123456789abcdef", 200, true},
		{"15 characters stay in a success, of which they may be a part", "0123456789abcde", 200, false},
		{"15 characters, from a refusal", "0123456789abcde", 400, true},
		{"6 characters, from a refusal", "012345", 500, true},
		{"5 characters stay", "01234", 500, false},
	} {
		for i, credentials := range []*Credentials{NewCredentials("x", tt.key), NewCredentials(tt.key, "x")} {
			got, err := newClient(&script{answers: answers{reply(tt.status, "you sent "+tt.key)}},
				func(c *Config) { c.Credentials = credentials }).Do(t.Context(), once)
			require.NoError(t, err)
			assert.Equal(t, tt.out, !strings.Contains(string(got.Body), tt.key), "%s, %d", tt.name, i)
		}
	}
}

// branches is an error that says nothing about those that it wraps.
type branches []error

func (branches) Error() string     { return "it did not work" }
func (b branches) Unwrap() []error { return b }

// leaf is an error that could wrap another and does not.
type leaf struct{}

func (leaf) Error() string { return "a leaf" }
func (leaf) Unwrap() error { return nil }

func TestAnErrorIsKeptUnlessTheKeyIsInItsChain(t *testing.T) {
	for name, tt := range map[string]struct{ err, want error }{
		"with the key in a branch": {branches{io.EOF, errors.New("dump: " + testKey)}, errorText("it did not work")},
		"with nothing in it":       {branches{io.EOF, leaf{}}, branches{io.EOF, leaf{}}},
		"that wraps nothing":       {leaf{}, leaf{}},
		"of net/http":              {&url.Error{Op: "Post", URL: "https://api.test", Err: io.EOF}, io.EOF},
	} {
		_, err := newClient(&script{answers: answers{fail(tt.err)}}).Do(t.Context(), paid)
		failure, ok := errors.AsType[*Error](err)
		require.True(t, ok, name)
		assert.Equal(t, fmt.Sprintf("%#v", tt.want), fmt.Sprintf("%#v", failure.Err), name)
	}
}

func TestALineOfALog(t *testing.T) {
	long := strings.Repeat("x", 300)
	for text, want := range map[string]string{
		"two\n\x1b[31m lines\u2028\u00a0here ": "two [31m lines here",
		long:                                   long,
		long + "x":                             long + "…",
		strings.Repeat(" ", 300) + long:        long,
		"a" + strings.Repeat(" ", 600):         "a…",
		"\xff":                                 "",
	} {
		assert.Equal(t, want, OneLine(text))
	}
}

func TestTheDefaultTransportIsCopied(t *testing.T) {
	old := http.DefaultTransport
	defer func() { http.DefaultTransport = old }()
	assert.Equal(t, 16, newTransport().MaxIdleConnsPerHost, "many jobs are polled on one host")
	assert.Zero(t, old.(*http.Transport).MaxIdleConnsPerHost, "the program's own is left as it is")

	http.DefaultTransport = &script{answers: answers{reply(200, `{"by": "another"}`)}}
	ours := newTransport()
	assert.NotNil(t, ours.Proxy)
	assert.True(t, ours.ForceAttemptHTTP2)
	got, err := newClient(nil, func(c *Config) { c.HTTPClient = new(http.Client) }).Do(t.Context(), free)
	require.NoError(t, err, "a caller's client without a transport has the default one")
	assert.Equal(t, `{"by": "another"}`, string(got.Body))
}

func TestNothingIsPrinted(t *testing.T) {
	old := os.Stderr
	r, w, err := os.Pipe()
	require.NoError(t, err)
	os.Stderr = w
	t.Cleanup(func() { os.Stderr = old })
	synctest.Test(t, func(t *testing.T) {
		newClient(&script{answers: answers{reply(503, ""), fail(errors.New("lost")), reply(200, "{}")}}).Do(t.Context(), free)
	})
	w.Close()
	printed, _ := io.ReadAll(r)
	assert.Empty(t, string(printed))
}

func TestSameOrigin(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"https://api.test", "https://api.test/x?y", true},
		{"https://api.test", "https://API.test:443/", true},
		{"http://127.0.0.1", "http://127.0.0.1:80", true},
		{"https://api.test", "http://api.test", false},
		{"https://api.test", "http://api.test:443", false},
		{"https://api.test", "https://api.test:444", false},
		{"https://api.test", "https://api.test.evil", false},
		{"https://api.test", "https://evil@api.test", true},
	}
	for _, tt := range tests {
		a, _ := url.Parse(tt.a)
		b, _ := url.Parse(tt.b)
		assert.Equal(t, tt.want, SameOrigin(a, b), "%s and %s", tt.a, tt.b)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "30", "-1", "0", "99999999999999999999", "Sat, 01 Jan 2000 00:00:20 GMT", "1.5", "soon", " 7 "} {
		f.Add(seed, "")
	}
	f.Add("", `{"detail": "Request was throttled. Expected available in 30 seconds."}`)
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, header, body string) {
		d, ok := RetryAfter(&Reply{Status: 429, Header: http.Header{"Retry-After": {header}}, Body: []byte(body)}, now)
		if d < 0 || (!ok && d != 0) {
			t.Errorf("RetryAfter(%q, %q) = %v, %v", header, body, d, ok)
		}
	})
}
