package transport

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// ErrQueue is the error of a call that ended in the rate limit's queue: the request was not made.
var ErrQueue = errors.New("in the rate limit's queue")

// Queue orders the calls that wait for a limiter, which itself knows no order. Clients may share it.
type Queue struct {
	limiter    limiter
	background chan struct{} // holds the one background call that is at the limiter
}

type limiter interface {
	Wait(ctx context.Context) error
}

// NewQueue returns a queue in front of a limiter.
func NewQueue(l limiter) *Queue { return &Queue{l, make(chan struct{}, 1)} }

// wait returns when it is the call's turn. Of the background calls, one at a time waits at the limiter.
func (q *Queue) wait(ctx context.Context, background bool) error {
	if background {
		select {
		case q.background <- struct{}{}:
			defer func() { <-q.background }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := q.limiter.Wait(ctx)
	if _, ok := ctx.Deadline(); ok && err != nil && ctx.Err() == nil {
		if _, ok := q.limiter.(*rate.Limiter); ok { // whose error has no type
			return fmt.Errorf("its turn comes after the deadline: %w", context.DeadlineExceeded)
		}
	}
	return err
}

// maxRetryAfter is the longest Retry-After that is waited for inside a call; after a longer one it returns.
const maxRetryAfter = time.Minute

// nextPause returns the wait before the next attempt, and whether it is worth it: not for a Retry-After above
// maxRetryAfter, nor when the deadline would pass first.
func (x *exchange) nextPause(ctx context.Context, now time.Time) (time.Duration, bool) {
	wait := x.client.config.Retry.Backoff(x.tries)
	if x.Err == nil {
		if after, ok := RetryAfter(x.Response, now); ok {
			if after > maxRetryAfter {
				return 0, false
			}
			// All clients got the same Retry-After: spread them, and never come early.
			wait = after + rand.N(max(wait, after/4)+1)
		}
	}
	if deadline, ok := ctx.Deadline(); ok && now.Add(wait).After(deadline) {
		return 0, false
	}
	return wait, true
}

// Backoff returns the wait after so many tries. It doubles with each up to MaxBackoff; half of it is random.
func (r Retry) Backoff(tries int) time.Duration {
	wait := r.MaxBackoff
	if shift := tries - 1; r.MinBackoff <= r.MaxBackoff>>shift {
		wait = r.MinBackoff << shift
	}
	return wait/2 + rand.N(wait/2+1)
}

// RetryAfter returns how long a 429 or 503 asks to wait: in the header, in seconds or as a date of the
// server's clock, or in a sentence of Django REST Framework. A malformed value counts as absent.
func RetryAfter(r *Response, now time.Time) (time.Duration, bool) {
	if r.Status != http.StatusTooManyRequests && r.Status != http.StatusServiceUnavailable {
		return 0, false
	}
	value := strings.TrimSpace(r.Header.Get("Retry-After"))
	if value == "" && r.Status == http.StatusTooManyRequests {
		if m := throttled.FindSubmatch(r.Body); m != nil {
			value = string(m[1])
		}
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds >= 0 {
		const longest = 1e9 // some 30 years, far below a Duration's end
		return time.Duration(min(math.Ceil(seconds), longest)) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	if sent, err := http.ParseTime(r.Header.Get("Date")); err == nil {
		now = sent
	}
	return max(at.Sub(now), 0), true
}

var throttled = regexp.MustCompile(`Expected available in ([0-9.]+) second`)
