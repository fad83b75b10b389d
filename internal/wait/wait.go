// Package wait holds the state of one wait, its judgment and its schedule. It has no clock and does no I/O:
// observations go in, decisions come out. [State] is a wait, [Brake] is what many waits share, and [Learner]
// is what they learn. docs/waiting.md explains how a [Plan] finds the best times for polls, with its sources.
package wait

import "time"

// The shortest and the longest time between two polls of a job.
const (
	Floor   = time.Second
	Ceiling = 5 * time.Minute
)

// Observer adjusts what a poll of a job showed by what the polls of other jobs have shown. A poll looks for
// it in its context, under ObserverKey.
type Observer func(id string, o Observation, err error) Observation

// ObserverKey is the key of an Observer in a context.
type ObserverKey struct{}

// Jitter makes a delay of at most Ceiling up to a twentieth longer, by a draw from [0, 1), so that jobs that
// were started together are not polled together. A poll before the likely end would find nothing.
func Jitter(delay time.Duration, draw float64) time.Duration {
	return delay + time.Duration(float64(delay)*0.05*draw)
}

// Fit shortens a delay so that a last poll fits before the deadline, which is left from now. It returns false
// if there is no time for a poll; the delay is then the time left. The poll before this one took roundTrip.
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
