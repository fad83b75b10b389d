package wait

import (
	"math"
	"slices"
	"sync"
	"time"
)

// Brake slows the polls of many jobs down when they fail together, and finds the rate that a server allows.
// It is safe for concurrent use. Its zero value does not slow.
//
// In an outage one poll a second is made as a probe; then each good poll doubles the rate. After a 429 and
// its Retry-After, the rate approaches the one that succeeded before.
type Brake struct {
	mu sync.Mutex
	n  int // jobs that are polled

	interval time.Duration // between polls; 0 is no limit
	known    time.Duration // the interval at which polls succeeded before the latest 429; 0 if that was long ago
	next     time.Time     // earliest next poll, by the interval
	held     time.Time     // earliest next poll, by a 429

	failing  time.Time // the first failure since the latest good poll; zero if there was none
	failures int       // since then
	jobs     []uint64  // the first few that failed since then
	denied   []uint64  // the first few that were refused as unauthorized since then
	outage   bool      // whether polls fail together

	cutAt time.Time // the latest 429
	since time.Time // when the count of good began
	good  int       // polls that succeeded
}

const (
	outageFailures  = 8 // in a row make an outage
	outageJobs      = 4 // if so many jobs fail, or all
	probeInterval   = time.Second
	freeInterval    = time.Millisecond // below which there is no limit
	slowestInterval = 30 * time.Second
	forgetting      = 10 * time.Minute // how long after a 429 the rate grows by only a tenth a minute
	remembering     = 2 * time.Minute  // how long before a 429 polls count for the known rate
	slowestKnown    = 10 * time.Second // the slowest rate that can become known
)

// Next returns the earliest time for the next poll; it may have passed.
func (b *Brake) Next() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return later(b.next, b.held)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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

// Good reports a poll that succeeded. If it ends an outage, the result is how long that took, else 0.
func (b *Brake) Good(now time.Time) (outage time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outage {
		outage = now.Sub(b.failing)
	}
	b.outage, b.failing, b.failures = false, time.Time{}, 0
	b.jobs, b.denied = b.jobs[:0], b.denied[:0]
	b.good++
	if now.Sub(b.cutAt) > forgetting {
		b.known = 0
	}
	allowed := float64(b.known) * 10 / 9 * math.Exp(-now.Sub(b.cutAt).Seconds()/forgetting.Seconds())
	b.interval = max(min(b.interval/2, probeInterval), time.Duration(allowed))
	if b.interval < freeInterval {
		b.interval = 0
	}
	if next := now.Add(b.interval); next.Before(b.next) {
		b.next = next
	}
	return outage
}

// Failed reports a poll of a job that failed. It started at the given time. Shared reports whether the
// failure is about the account and not about this job; outage reports whether an outage begins with it.
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
	if b.failures == 0 {
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
		b.next = later(b.next, now.Add(b.interval))
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

// throttle applies a 429. Polls that were under way together are refused together and count once.
func (b *Brake) throttle(retryAfter time.Duration, started, now time.Time) (counts bool) {
	counts = started.After(b.cutAt)
	if counts && b.good > 0 {
		b.known = min(max(now.Sub(b.since)/time.Duration(b.good), freeInterval), slowestKnown)
		b.interval = max(b.known*10/9, probeInterval) // a tenth slower
		b.since, b.good = now, 0
	} else if counts {
		b.interval = min(max(2*b.interval, probeInterval), slowestInterval)
		b.since = later(b.since, now.Add(-remembering))
	}
	if counts {
		b.cutAt = now
		b.next = later(b.next, now.Add(b.interval))
	}
	b.held = later(b.held, now.Add(min(retryAfter, longest)))
	return counts
}
