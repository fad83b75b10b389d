// Package wait holds the state of one wait, its judgment and its schedule. It has no clock and does no I/O:
// observations go in, decisions come out. [State] is a wait, [Brake] what many waits share, [Learner] what
// they learn. docs/waiting.md says how a [Plan] finds the best times for polls, and by which sources.
package wait

import "time"

// The shortest and the longest time between two polls of a job.
const (
	Floor   = time.Second
	Ceiling = 5 * time.Minute
)

// Jitter makes a delay of at most Ceiling up to a twentieth longer by a draw from [0, 1), so that jobs that
// were started together are not polled together. A poll just before the likely end would find nothing, so
// none is earlier.
func Jitter(delay time.Duration, draw float64) time.Duration {
	return delay + time.Duration(float64(delay)*0.05*draw)
}

// Fit shortens a delay so that the last poll fits in before the deadline, which is left away. It returns
// false when there is no time for a poll, and then the time that is left. The poll before this one took
// roundTrip.
func Fit(delay, left, roundTrip time.Duration) (time.Duration, bool) {
	margin := min(max(roundTrip, 0), 5*time.Second)*2 + 100*time.Millisecond
	switch {
	case left <= margin:
		return max(left, 0), false
	case delay > left-margin:
		return left - margin, true
	}
	return max(delay, 0), true
}
