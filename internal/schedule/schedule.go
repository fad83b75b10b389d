// Package schedule says when to poll next. It is pure arithmetic: it has no clock and does no I/O.
package schedule

import (
	"math"
	"time"
)

const (
	floor   = 2 * time.Second
	ceiling = 30 * time.Second
)

// Interval is the time to the next poll of a job that has been waited for so long.
//
// Polling for an end is an inspection problem: when a poll costs as much as a second of noticing late, and the job ends
// with the hazard rate h, polls are best sqrt(2/h) apart. Of the duration of a job little is known beforehand; if every
// order of magnitude is as likely as another, h falls as 1/t, and the interval grows with the square root of the time
// waited.
func Interval(waited time.Duration) time.Duration {
	const scale = 3 // 1/(h·t): with seconds to a quarter of an hour possible, about 3 at half a minute
	seconds := math.Sqrt(2 * scale * max(waited, 0).Seconds())
	return min(max(time.Duration(seconds*float64(time.Second)), floor), ceiling)
}

// Jitter spreads an interval by up to a tenth to either side, so that jobs started together are not polled together. The
// draw is from [0, 1).
func Jitter(interval time.Duration, draw float64) time.Duration {
	return time.Duration(float64(interval) * (0.9 + 0.2*draw))
}

// Fit fits the last poll in before the deadline. With so much time left it says when the next poll comes, and false when
// there is no time for one, so that only the rest of the time is left to wait. The poll before this one took roundTrip.
func Fit(delay, left, roundTrip time.Duration) (time.Duration, bool) {
	margin := min(max(2*roundTrip, 100*time.Millisecond), 10*time.Second)
	switch {
	case left <= margin:
		return max(left, 0), false
	case delay > left-margin:
		return left - margin, true
	}
	return delay, true
}
