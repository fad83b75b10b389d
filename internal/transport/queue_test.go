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

func queueOf(l Limiter) func(*Config) { return func(c *Config) { c.Queue = NewQueue(l) } }

func TestQueueCountsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scripted(respond(503, ""), respond(503, ""), respond(200, "{}"))
		got, err := newClient(t, s, queueOf(rate.NewLimiter(0.1, 1))).Do(t.Context(), free)
		require.NoError(t, err)
		require.Len(t, s.times, 3)
		for i := range 2 { // the limiter computes in floating point
			assert.InDelta(t, 10*time.Second, s.times[i+1].Sub(s.times[i]), float64(time.Microsecond))
		}
		assert.Greater(t, got.Queued, 15*time.Second)
		assert.Less(t, got.Queued, 20*time.Second, "the pauses before the retries are not in the queue")
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
	busy := func() Limiter {
		l := rate.NewLimiter(0.1, 1)
		l.Allow()
		return l
	}
	for _, tt := range []struct {
		name    string
		limiter func() Limiter
		context func(context.Context) (context.Context, context.CancelFunc)
		took    time.Duration
		is      error // that the error must be
		text    string
	}{
		{"a turn after the deadline", busy, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 5*time.Second)
		}, 0, context.DeadlineExceeded, "in the rate limit's queue: its turn comes after the deadline: context deadline exceeded"},
		{"a cancelled context", busy, cancelAfter(time.Second), time.Second, context.Canceled, "in the rate limit's queue: context canceled"},
		{"a limiter that does not obey its context", func() Limiter {
			return limiterFunc(func(context.Context) error { time.Sleep(3 * time.Second); return nil })
		}, cancelAfter(time.Second), 3 * time.Second, context.Canceled, "in the rate limit's queue: context canceled"},
		{"an error of the limiter", func() Limiter {
			return limiterFunc(func(context.Context) error { return fmt.Errorf("%w: you sent %s", errElsewhere, testKey) })
		}, context.WithCancel, 0, ErrQueue, "in the rate limit's queue: redis is away: you sent [redacted]"},
		{"an error of the limiter before a deadline", func() Limiter {
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
				assert.Equal(t, tt.took, failure.Queued)
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
		for range 500 {
			polls.Go(func() {
				_, err := client.Do(t.Context(), poll)
				assert.NoError(t, err)
			})
		}
		for range 20 {
			time.Sleep(3333 * time.Millisecond)
			start := time.Now()
			_, err := client.Do(t.Context(), paid)
			require.NoError(t, err)
			assert.LessOrEqual(t, time.Since(start), time.Second, "one poll's turn, and its own")
		}
		polls.Wait()
		assert.Len(t, s.times, 520)
		assert.InDelta(t, 519*500*time.Millisecond, s.times[519].Sub(s.times[0]), float64(time.Millisecond), "the rate is used up, and kept")
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
		_, err := client.Do(ctx, poll)
		assert.ErrorIs(t, err, ErrQueue)
		failure, _ := errors.AsType[*Error](err)
		assert.Equal(t, time.Second, failure.Queued)
		<-client.config.Queue.background

		got, err := client.Do(t.Context(), poll)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, got.Status)
	})
}
