// Package wait holds the state of one wait, its judgment and its schedule. It has no clock and does no I/O:
// observations go in, decisions come out. [State] is a wait, [Brake] what many waits share, [Learner] what
// they learn.
//
// Polling for the end of a job is an inspection problem (Barlow, Hunter and Proschan 1963; Keller 1974): a
// poll costs something, and so does every second between the end and the poll that notices it. The best times
// for the polls follow from what is believed of the job's duration, and from nothing else: a [Plan] starts
// from a broad belief and learns from the jobs that were seen to end.
package wait

import "time"

const (
	Floor   = time.Second     // the shortest time between two polls of a job
	Ceiling = 5 * time.Minute // the longest
)

// Jitter makes a delay of at most Ceiling up to a twentieth longer, so that jobs that were started together
// are not polled together. The draw is from [0, 1). It never makes it shorter: a poll just before the likely
// end would find nothing.
func Jitter(delay time.Duration, draw float64) time.Duration {
	return delay + time.Duration(float64(delay)*0.05*draw)
}

// Fit fits the last poll in before the deadline. With so much time left it says when the next poll comes, and
// false when there is no time for one, so that only the rest of the time is left to wait. The poll before
// this one took roundTrip.
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
