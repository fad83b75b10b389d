package transport

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter is the longest wait that a server is granted inside a call. Beyond it the call returns, and
// the caller has the figure in hand.
const maxRetryAfter = time.Minute

// nextPause returns the wait before the next attempt, and whether it is worth it: not when the server asks
// for more than maxRetryAfter, nor when the deadline would pass first.
func (x *exchange) nextPause(ctx context.Context, now time.Time) (time.Duration, bool) {
	wait := x.client.config.Retry.Backoff(x.tries)
	if x.err == nil {
		if after, ok := RetryAfter(x.response, now); ok {
			if after > maxRetryAfter {
				return 0, false
			}
			// All clients were told the same: come back spread out, and never early.
			wait = after + rand.N(max(wait, after/4)+1)
		}
	}
	if deadline, ok := ctx.Deadline(); ok && now.Add(wait).After(deadline) {
		return 0, false
	}
	return wait, true
}

// Backoff is the wait after so many tries: it doubles with each try and draws from the upper half of the
// result.
func (r Retry) Backoff(tries int) time.Duration {
	wait := r.MaxBackoff
	if shift := tries - 1; r.MinBackoff <= r.MaxBackoff>>shift {
		wait = r.MinBackoff << shift
	}
	return wait/2 + rand.N(wait/2+1)
}

// RetryAfter returns the wait for which a 429 or 503 asks: in the header, in seconds or as a date of the
// server's clock, or in the sentence that Django REST Framework writes instead. What is negative or not
// understood counts as absent; what overflows, as the longest duration there is.
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
	if decimal.MatchString(value) {
		seconds, _ := strconv.ParseFloat(value, 64) // of too many digits, infinity
		if seconds = math.Ceil(seconds); seconds > float64(math.MaxInt64/time.Second) {
			return math.MaxInt64, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		if sent, err := http.ParseTime(r.Header.Get("Date")); err == nil {
			now = sent
		}
		return max(at.Sub(now), 0), true
	}
	return 0, false
}

var (
	throttled = regexp.MustCompile(`Expected available in ([0-9.]+) second`)
	decimal   = regexp.MustCompile(`^[0-9]+(\.[0-9]*)?$`)
)
