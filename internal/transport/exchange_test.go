package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDoReadsBodies(t *testing.T) {
	t.Run("a truncated success is kept", func(t *testing.T) {
		_, err := newClient(t, scripted(cutShort)).Do(t.Context(), paid)
		failure, ok := errors.AsType[*Error](err)
		require.True(t, ok)
		assert.Equal(t, `{"id":"7",`, string(failure.Response.Body))
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	})
	t.Run("a success larger than the cap is an error at once", func(t *testing.T) {
		s := scripted(respond(200, strings.Repeat("x", maxBody+1)))
		_, err := newClient(t, s).Do(t.Context(), free)
		assert.ErrorContains(t, err, "larger than 8 MiB")
		failure, _ := errors.AsType[*Error](err)
		assert.Len(t, failure.Response.Body, maxBody)
		assert.Equal(t, 1, s.calls, "it would be as large the next time")
	})
	t.Run("a success larger than the cap stays so without the key", func(t *testing.T) {
		_, err := newClient(t, scripted(respond(200, testKey+strings.Repeat("x", maxBody-len(testKey)+1)))).Do(t.Context(), once)
		assert.ErrorContains(t, err, "larger than 8 MiB")
	})
	t.Run("a success of the cap's size is read", func(t *testing.T) {
		got, err := newClient(t, scripted(respond(200, strings.Repeat("x", maxBody)))).Do(t.Context(), free)
		require.NoError(t, err)
		assert.Len(t, got.Body, maxBody)
	})
	t.Run("of a refusal no more is read than tells why", func(t *testing.T) {
		got, err := newClient(t, scripted(respond(400, strings.Repeat("x", 1<<20)))).Do(t.Context(), paid)
		require.NoError(t, err)
		assert.Len(t, got.Body, maxErrorBody)
		assert.LessOrEqual(t, maxErrorBody, 64<<10)
	})
	for name, status := range map[string]int{"of a success": 200, "of a refusal": 404, "of another protocol": 101} {
		t.Run("each body is closed, "+name, func(t *testing.T) {
			closed := 0
			_, err := newClient(t, scripted(func(req *http.Request) (*http.Response, error) {
				resp, _ := respond(status, "")(req)
				resp.Body = &closing{strings.NewReader(strings.Repeat("x", maxBody+1)), &closed}
				return resp, nil
			})).Do(t.Context(), once)
			assert.Equal(t, status == 200, err != nil)
			assert.Positive(t, closed)
		})
	}
}

type closing struct {
	io.Reader
	times *int
}

func (c *closing) Close() error { *c.times++; return nil }

func TestDoTakesTheStatusOfARefusalThatDoesNotEnd(t *testing.T) {
	stuck := func(status int) answer {
		return func(req *http.Request) (*http.Response, error) {
			resp, _ := respond(status, "")(req)
			resp.Body = stuckBody{req.Context()}
			return resp, nil
		}
	}
	for _, tt := range []struct {
		name   string
		call   Call
		status int
		limit  time.Duration // of the context; 0 is none
		want   error
	}{
		{"of a paid call, at the attempt's time limit", paid, 402, 0, nil},
		{"of a free call as well", free, 404, 0, nil},
		{"of a paid call, when the context ends, since what was refused is not to become unknown", paid, 402, time.Second, nil},
		{"but not of a free call whose context ends", free, 404, time.Second, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.limit > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.limit)
					defer cancel()
				}
				got, err := newClient(t, scripted(stuck(tt.status))).Do(ctx, tt.call)
				if tt.want != nil {
					assert.ErrorIs(t, err, tt.want)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, tt.status, got.Status)
			})
		})
	}
}

// stuckBody brings nothing until its request ends.
type stuckBody struct{ ctx context.Context }

func (b stuckBody) Read([]byte) (int, error) { <-b.ctx.Done(); return 0, b.ctx.Err() }
func (stuckBody) Close() error               { return nil }

func TestDoLimitsAnAttempt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		call  Call
		limit time.Duration // of the caller's http.Client; 0 is none
		want  time.Duration
	}{
		{"to the time-out", once, 0, time.Minute},
		{"to the caller's, which is shorter", once, 5 * time.Second, 5 * time.Second},
		{"not to the caller's, which is longer", once, time.Hour, time.Minute},
		{"to more for a call that is slow by nature", Call{Method: "GET", Path: "/", Once: true, Patience: 3 * time.Minute}, 0, 3 * time.Minute},
		{"but not against the caller's", Call{Method: "GET", Path: "/", Once: true, Patience: 3 * time.Minute}, time.Second, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				callers := &http.Client{Transport: scripted(hang), Timeout: tt.limit}
				start := time.Now()
				_, err := newClient(t, nil, func(c *Config) { c.HTTPClient = callers }).Do(t.Context(), tt.call)
				assert.Equal(t, tt.want, time.Since(start))
				assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
				assert.NotErrorIs(t, err, context.DeadlineExceeded, "the caller set no deadline")
				assert.ErrorContains(t, err, "no whole response within "+tt.want.String())
				assert.Equal(t, tt.limit, callers.Timeout, "the caller's client is copied, not changed")
				assert.Nil(t, callers.CheckRedirect)
			})
		})
	}
}

// A pause and a context may end at the same time, and the pause be noticed first.
func TestRoundTripAfterTheContextsEnd(t *testing.T) {
	s := scripted(respond(201, "{}"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.test/", strings.NewReader("{}"))
	require.NoError(t, err)
	x := &exchange{client: newClient(t, s), call: paid, limit: time.Minute}
	_, err = x.RoundTrip(req)
	assert.EqualError(t, err, "context canceled")
	assert.False(t, x.Reached)
	assert.Zero(t, s.calls)
}

func TestDoEndsWithItsContext(t *testing.T) {
	tests := []struct {
		name    string
		call    Call
		answer  answer
		reached bool
		text    string
	}{
		{"in the middle of a free request", free, hang, true, "context canceled: shutting down"},
		{"in the pause before a retry", paid, respond(429, "", "Retry-After", "50"), false,
			"context canceled: shutting down (while waiting to retry after: status 429)"},
		{"in the pause before a retry of a free call", free, respond(503, "", "Retry-After", "50"), false,
			"context canceled: shutting down (while waiting to retry after: status 503)"},
		{"in the pause after what was not sent", paid, after(10*time.Second-100*time.Millisecond, refuseConnection), false,
			"context canceled: shutting down (while waiting to retry after: not sent)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				why := errors.New("shutting down")
				time.AfterFunc(10*time.Second, func() { cancel(why) })
				start := time.Now()
				_, err := newClient(t, scripted(tt.answer)).Do(ctx, tt.call)
				assert.Equal(t, 10*time.Second, time.Since(start))
				assert.ErrorIs(t, err, context.Canceled)
				assert.NotErrorIs(t, err, why, "the cause is text only")
				assert.EqualError(t, err, tt.text)
				failure, _ := errors.AsType[*Error](err)
				assert.Equal(t, tt.reached, failure.Reached)
			})
		})
	}
}
