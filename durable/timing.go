package durable

import "time"

// timing has every duration that is not an option.
type timing struct {
	call, grace time.Duration // limits of a paid call, from its claim
	slack       time.Duration // beyond which a claim cannot be under way
	transaction time.Duration
	block       time.Duration // the longest wait for a paid call's slot
	poll        time.Duration // limit of a free call
	pollTurn    time.Duration // the longest wait for a poll's turn
	pollTimeout time.Duration // River's, of a wait job
	rescue      time.Duration // River's
	margin      time.Duration // from the end of a send's work until River takes it for stuck
	fetch       time.Duration // River's poll interval
	sweep       time.Duration
	overdue     time.Duration
	probe       time.Duration // between tries while paused
	softStop    time.Duration
	lostSwap    time.Duration // until a poll is repeated whose result lost against another write
	afterFail   time.Duration // until OnEnd is called again

	at func(point string, r *row) // called between steps, for tests
}

// The work of a send ends by itself 20 s before River takes it for stuck: 20 s for a slot, 10 s for the
// claim, 70 s for the call.
func defaultTiming() *timing {
	return &timing{
		call: time.Minute, grace: 10 * time.Second, slack: time.Minute, transaction: 10 * time.Second,
		block: 20 * time.Second, poll: 15 * time.Second, pollTurn: 10 * time.Second, pollTimeout: 30 * time.Second, rescue: 45 * time.Second, margin: 20 * time.Second,
		fetch: 250 * time.Millisecond, sweep: 30 * time.Second, overdue: time.Minute, probe: time.Minute, softStop: 20 * time.Second,
		lostSwap: time.Second, afterFail: 10 * time.Second,
	}
}

// under is how long a paid call may be under way after its claim.
func (t *timing) under() time.Duration { return t.call + t.grace }

// held is how long a claim counts against [Options.Sends] if its outcome is not written.
func (t *timing) held() time.Duration { return t.under() + t.transaction }

// shown is how long a process counts as running after its latest sweep.
func (t *timing) shown() time.Duration { return 3 * t.sweep }

// late is the longest time from the beginning of a claim to its call. Later, somebody may have released the
// order to be sent again.
func (t *timing) late() time.Duration { return 2 * t.transaction }

// sendTimeout is River's, of a send job.
func (t *timing) sendTimeout() time.Duration {
	return t.block + t.transaction + t.under() + t.margin
}

func (t *timing) point(name string, r *row) {
	if t.at != nil {
		t.at(name, r)
	}
}
