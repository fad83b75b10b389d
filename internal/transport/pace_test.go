package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

// limiterFunc is a limiter whose values cannot be compared.
type limiterFunc func(context.Context) error

func (f limiterFunc) Wait(ctx context.Context) error { return f(ctx) }

func queueOf(l limiter) func(*Config) { return func(c *Config) { c.Queue = NewQueue(l) } }

func TestQueueCountsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scripted(respond(503, ""), respond(503, ""), respond(200, "{}"))
		_, err := newClient(t, s, queueOf(rate.NewLimiter(0.1, 1))).Do(t.Context(), free)
		require.NoError(t, err)
		require.Len(t, s.times, 3)
		for i := range 2 { // the limiter computes in floating point
			assert.InDelta(t, 10*time.Second, s.times[i+1].Sub(s.times[i]), float64(time.Microsecond))
		}
	})
}

func TestQueueIsNotInTheTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, scripted(respond(200, "{}")), queueOf(rate.NewLimiter(0.01, 1)), func(c *Config) { c.Timeout = time.Second })
		for range 2 {
			_, err := client.Do(t.Context(), free)
			require.NoError(t, err)
		}
	})
}

func TestQueueErrors(t *testing.T) {
	errElsewhere := errors.New("redis is away")
	busy := func() limiter {
		l := rate.NewLimiter(0.1, 1)
		l.Allow()
		return l
	}
	for _, tt := range []struct {
		name    string
		limiter func() limiter
		context func(context.Context) (context.Context, context.CancelFunc)
		took    time.Duration
		is      error // that the error must be
		text    string
	}{
		{"a turn after the deadline", busy, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 5*time.Second)
		}, 0, context.DeadlineExceeded, "in the rate limit's queue: its turn comes after the deadline: context deadline exceeded"},
		{"a cancelled context", busy, cancelAfter(time.Second), time.Second, context.Canceled, "in the rate limit's queue: context canceled"},
		{"a limiter that does not obey its context", func() limiter {
			return limiterFunc(func(context.Context) error { time.Sleep(3 * time.Second); return nil })
		}, cancelAfter(time.Second), 3 * time.Second, context.Canceled, "in the rate limit's queue: context canceled"},
		{"an error of the limiter", func() limiter {
			return limiterFunc(func(context.Context) error { return fmt.Errorf("%w: you sent %s", errElsewhere, testKey) })
		}, context.WithCancel, 0, ErrQueue, "in the rate limit's queue: redis is away: you sent [redacted]"},
		{"an error of the limiter before a deadline", func() limiter {
			return limiterFunc(func(context.Context) error { return io.ErrUnexpectedEOF })
		}, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 5*time.Second)
		}, 0, io.ErrUnexpectedEOF, "in the rate limit's queue: unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := tt.context(t.Context())
				defer cancel()
				s := scripted(respond(201, "{}"))
				start := time.Now()
				_, err := newClient(t, s, queueOf(tt.limiter())).Do(ctx, paid)
				assert.Equal(t, tt.took, time.Since(start))
				assert.ErrorIs(t, err, ErrQueue)
				assert.ErrorIs(t, err, tt.is)
				assert.NotErrorIs(t, err, errElsewhere)
				assert.EqualError(t, err, tt.text)
				failure, ok := errors.AsType[*Error](err)
				require.True(t, ok)
				assert.False(t, failure.Reached)
				assert.Zero(t, s.calls)
			})
		})
	}
}

func cancelAfter(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
	return func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		timer := time.AfterFunc(d, cancel)
		return ctx, func() { timer.Stop(); cancel() }
	}
}

func TestQueueLetsOneBackgroundCallAtATimeToTheLimiter(t *testing.T) {
	poll := once
	poll.Background = true
	synctest.Test(t, func(t *testing.T) {
		s := scripted(respond(200, "{}"))
		client := newClient(t, s, queueOf(rate.NewLimiter(2, 1)))
		var polls sync.WaitGroup
		for range 100 {
			polls.Go(func() {
				_, err := client.Do(t.Context(), poll)
				assert.NoError(t, err)
			})
		}
		for range 10 {
			time.Sleep(3333 * time.Millisecond)
			start := time.Now()
			_, err := client.Do(t.Context(), paid)
			require.NoError(t, err)
			assert.LessOrEqual(t, time.Since(start), time.Second, "one poll's turn, and its own")
		}
		polls.Wait()
		assert.Len(t, s.times, 110)
		assert.InDelta(t, 109*500*time.Millisecond, s.times[109].Sub(s.times[0]), float64(time.Millisecond), "the rate is used up, and kept")
	})
}

func TestQueueLeavesNothingBehind(t *testing.T) {
	poll := once
	poll.Background = true
	synctest.Test(t, func(t *testing.T) {
		s := scripted(respond(200, "{}"))
		panics := true
		client := newClient(t, s, queueOf(limiterFunc(func(ctx context.Context) error {
			if panics {
				panic("boom")
			}
			return ctx.Err()
		})))
		assert.PanicsWithValue(t, "boom", func() { client.Do(t.Context(), poll) })
		panics = false

		client.config.Queue.background <- struct{}{} // a poll is at the limiter
		ctx, cancel := cancelAfter(time.Second)(t.Context())
		defer cancel()
		start := time.Now()
		_, err := client.Do(ctx, poll)
		assert.ErrorIs(t, err, ErrQueue)
		assert.Equal(t, time.Second, time.Since(start))
		<-client.config.Queue.background

		got, err := client.Do(t.Context(), poll)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, got.Status)
	})
}

func TestDoPausesBeforeARetry(t *testing.T) {
	const epoch = "Sat, 01 Jan 2000 00:00:00 GMT" // at which a bubble's clock begins
	tests := []struct {
		name       string
		header     []string
		body       string
		least, max time.Duration
		retried    bool
	}{
		{"without a Retry-After", nil, "", 250 * time.Millisecond, 500 * time.Millisecond, true},
		{"in seconds", []string{"Retry-After", "20"}, "", 20 * time.Second, 26 * time.Second, true},
		{"of zero", []string{"Retry-After", "0"}, "", 0, 500 * time.Millisecond, true},
		{"with decimals", []string{"Retry-After", "19.997"}, "", 20 * time.Second, 26 * time.Second, true},
		{"as a date", []string{"Retry-After", "Sat, 01 Jan 2000 00:00:20 GMT"}, "", 20 * time.Second, 26 * time.Second, true},
		{"as a date of a clock that is an hour ahead", []string{"Retry-After", "Sat, 01 Jan 2000 01:00:20 GMT", "Date", "Sat, 01 Jan 2000 01:00:00 GMT"}, "",
			20 * time.Second, 26 * time.Second, true},
		{"as a date of a clock that is an hour behind", []string{"Retry-After", "Fri, 31 Dec 1999 23:00:20 GMT", "Date", "Fri, 31 Dec 1999 23:00:00 GMT"}, "",
			20 * time.Second, 26 * time.Second, true},
		{"as a date in the past", []string{"Retry-After", "Fri, 31 Dec 1999 00:00:00 GMT"}, "", 0, 500 * time.Millisecond, true},
		{"negative", []string{"Retry-After", "-5"}, "", 250 * time.Millisecond, 500 * time.Millisecond, true},
		{"garbage", []string{"Retry-After", "soon"}, "", 250 * time.Millisecond, 500 * time.Millisecond, true},
		{"DRF's sentence", nil, `{"detail": "Request was throttled. Expected available in 30 seconds."}`, 30 * time.Second, 38 * time.Second, true},
		{"over the cap the call returns", []string{"Retry-After", "61"}, "", 0, 0, false},
		{"over the cap with decimals the call returns", []string{"Retry-After", "299.997"}, "", 0, 0, false},
		{"over a duration the call returns", []string{"Retry-After", "9223372037"}, "", 0, 0, false},
		{"over an integer the call returns", []string{"Retry-After", "99999999999999999999"}, "", 0, 0, false},
		{"a date far away the call returns", []string{"Retry-After", "Fri, 31 Dec 9999 00:00:00 GMT", "Date", epoch}, "", 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scripted(respond(429, tt.body, tt.header...), respond(201, "{}"))
				start := time.Now()
				got, err := newClient(t, s).Do(t.Context(), paid)
				require.NoError(t, err)
				took := time.Since(start)
				assert.GreaterOrEqual(t, took, tt.least)
				assert.LessOrEqual(t, took, tt.max)
				assert.Equal(t, tt.retried, got.Status == 201)
			})
		})
	}
}

func TestDoWithADeadline(t *testing.T) {
	for _, tt := range []struct {
		name         string
		deadline     time.Duration
		status, sent int
	}{
		{"returns instead of pausing past it, nor retries at once", 10 * time.Second, 429, 1},
		{"retries if it leaves the time", time.Minute, 201, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.deadline)
				defer cancel()
				start := time.Now()
				s := scripted(respond(429, "", "Retry-After", "20"), respond(201, "{}"))
				got, err := newClient(t, s).Do(ctx, paid)
				require.NoError(t, err)
				assert.Equal(t, tt.status, got.Status)
				assert.Equal(t, tt.sent, s.calls)
				assert.Equal(t, tt.sent > 1, time.Since(start) > 0)
			})
		})
	}
}

func TestRetryAfter(t *testing.T) {
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
		{"decimals count up", 429, "299.997", "", 300 * time.Second, true},
		{"a decimal point with nothing behind it", 429, "7.", "", 7 * time.Second, true},
		{"two decimal points", 429, "7.5.3", "", 0, false},
		{"no number", 429, "NaN", "", 0, false},
		{"a 429 with the sentence", 429, "", sentence, 30 * time.Second, true},
		{"the sentence with decimals", 429, "", `["Expected available in 29.3 seconds."]`, 30 * time.Second, true},
		{"the header goes before the sentence", 429, "7", sentence, 7 * time.Second, true},
		{"a 503 with the sentence", 503, "", sentence, 0, false},
		{"a 500 with the header", 500, "7", "", 0, false},
		{"a 429 without either", 429, "", "{}", 0, false},
		{"more than a time.Duration holds", 429, "9223372037", "", 1e9 * time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := RetryAfter(&Response{Status: tt.status, Header: http.Header{"Retry-After": {tt.header}}, Body: []byte(tt.body)}, now)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.ok, ok)
		})
	}
}

func TestBackoff(t *testing.T) {
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

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "30", "-1", "0", "99999999999999999999", "Sat, 01 Jan 2000 00:00:20 GMT", "1.5", "soon", " 7 ", "299.997", "1e9", "."} {
		f.Add(seed, "", "")
	}
	f.Add("", `{"detail": "Request was throttled. Expected available in 30 seconds."}`, "")
	f.Add("Sat, 01 Jan 2000 00:00:20 GMT", "", "Sat, 01 Jan 2000 01:00:00 GMT")
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, header, body, date string) {
		d, ok := RetryAfter(&Response{Status: 429, Header: http.Header{"Retry-After": {header}, "Date": {date}}, Body: []byte(body)}, now)
		if d < 0 || (!ok && d != 0) {
			t.Errorf("RetryAfter(%q, %q, %q) = %v, %v", header, body, date, d, ok)
		}
	})
}
