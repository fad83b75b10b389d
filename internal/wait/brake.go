package wait

import (
	"slices"
	"sync"
	"time"
)

// Brake slows the polls of many jobs down when they fail together, and finds the rate that a server allows. It is safe for
// concurrent use. Its zero value does not slow.
//
// In an outage one poll a second is made as a probe; afterwards the rate doubles with each good poll. A 429 holds all polls
// for as long as the server asks, and sets the rate to what has succeeded since the 429 before.
type Brake struct {
	mu sync.Mutex
	n  int // jobs that are polled

	interval time.Duration // between polls; 0 is no limit
	known    time.Duration // the interval that the latest 429 led to; 0 if there was none lately
	next     time.Time     // no poll before, by the interval
	held     time.Time     // nor before this, by a 429

	outage    bool
	jobs      []uint64  // the first few that failed since the latest good poll
	failures  int       // in a row
	denied    []uint64  // the first few that were refused as unauthorized since then
	failing   time.Time // since when; zero while polls succeed
	throttled int       // 429s in a row
	cutAt     time.Time // the latest 429
	since     time.Time // when good began to count
	good      int
}

const (
	outageFailures = 8 // in a row
	outageJobs     = 4 // of at least so many jobs, if there are as many
	probeInterval  = time.Second
	// freeInterval is the interval at which the brake lets go.
	freeInterval = time.Millisecond
	slowestHold  = time.Minute
	// forgetting is how long the rate that a 429 led to is approached with care.
	forgetting = 10 * time.Minute
)

// Next returns the earliest time for the next poll; it may have passed.
func (b *Brake) Next() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held.After(b.next) {
		return b.held
	}
	return b.next
}

// Started reports that a poll of one of n jobs starts.
func (b *Brake) Started(now time.Time, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since.IsZero() {
		b.since = now
	}
	b.n, b.next = n, now.Add(b.interval)
}

// Good reports a poll that succeeded. It returns how long an outage took that ends with it, or 0.
func (b *Brake) Good(now time.Time) (outage time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outage {
		outage = now.Sub(b.failing)
	}
	b.outage, b.failing, b.failures, b.throttled = false, time.Time{}, 0, 0
	b.jobs, b.denied = b.jobs[:0], b.denied[:0]
	b.good++
	if b.known > 0 && now.Sub(b.cutAt) > forgetting {
		b.known = 0
	}
	if b.interval == 0 {
		return outage
	}
	if b.known > 0 && b.interval < 2*b.known {
		b.interval -= b.interval / 512 // a tenth in a minute of one poll a second
	} else {
		b.interval /= 2
	}
	if b.interval < freeInterval {
		b.interval = 0
	}
	if next := now.Add(b.interval); next.Before(b.next) {
		b.next = next
	}
	return outage
}

// Failed reports a poll of a job that failed. It started at the given time. Shared reports whether the failure is about the
// account and not about this job; outage reports whether an outage begins with it.
func (b *Brake) Failed(job uint64, o Observation, started, now time.Time) (shared, outage bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch o.Class {
	case NotFound: // the API works
		return false, false
	case Throttled:
		if !b.throttle(o.RetryAfter, started, now) {
			return false, false
		}
	case Unauthorized:
		b.denied = remember(b.denied, job)
		shared = len(b.denied) > 1
	}
	if b.failing.IsZero() {
		b.failing = now
	}
	b.failures++
	b.jobs = remember(b.jobs, job)
	if b.failures < outageFailures || len(b.jobs) < min(outageJobs, b.n) {
		return shared, false
	}
	outage, b.outage = !b.outage, true
	if b.interval < probeInterval {
		b.interval, b.known = probeInterval, 0
		if next := now.Add(b.interval); next.After(b.next) {
			b.next = next
		}
	}
	return shared, outage
}

// FailingSince returns since when polls fail together; zero if they do not.
func (b *Brake) FailingSince() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.outage {
		return time.Time{}
	}
	return b.failing
}

func remember(jobs []uint64, job uint64) []uint64 {
	if len(jobs) < outageJobs && !slices.Contains(jobs, job) {
		return append(jobs, job)
	}
	return jobs
}

// throttle takes a 429. Polls that were under way together are refused together and count once.
func (b *Brake) throttle(retryAfter time.Duration, started, now time.Time) (counts bool) {
	counts = started.After(b.cutAt)
	if counts {
		if b.good > 0 {
			took := max(now.Sub(b.since), freeInterval)
			b.interval = max(took/time.Duration(b.good)*10/9, freeInterval)
			b.known = b.interval
		}
		b.throttled++
		b.cutAt, b.since, b.good = now, now, 0
	}
	hold := max(min(retryAfter, longest), min(time.Second<<min(b.throttled-1, 6), slowestHold))
	if until := now.Add(hold); until.After(b.held) {
		b.held = until
	}
	return counts
}
