package creatify

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/creatify-community/creatify-go/internal/wait"
	"golang.org/x/time/rate"
)

// Tracker waits for many jobs at once, a hundred thousand as well as one, with a few connections and goroutines. Make it with
// [JobsService.NewTracker]. It is safe for concurrent use. Free.
//
// Polls that fail together slow down together, to one a second in an outage, and no wait ends because of it. The tracker finds
// the rate that the API allows from its 429s.
type Tracker struct {
	jobs    *JobsService
	config  *waitConfig
	bad     error // of the options
	slots   int   // polls that may be under way
	limiter *rate.Limiter
	seed    maphash.Seed
	ctx     context.Context
	close   context.CancelFunc
	wake    chan struct{} // holds one wake-up for the dispatcher
	idle    sync.WaitGroup

	mu       sync.Mutex
	tracked  map[trackKey]*tracked // jobs whose result has not been taken
	taken    map[*tracked]bool     // those whose result is in the body of a loop
	queue    jobHeap               // waiting for their next poll, the first due on top
	ends     jobHeap               // waits that continue, the first deadline on top
	ended    []*tracked            // results, in the order of their ends
	polling  int
	running  bool // the dispatcher
	finished bool
	news     chan struct{} // closed and replaced when a result or the end may be there
	held     time.Time     // no poll before, by limiter

	brake   wait.Brake
	pollErr atomic.Pointer[error] // of the latest failed poll
}

// TrackerOptions sets how a [Tracker] works. The zero value is ready for use.
type TrackerOptions struct {
	// Concurrency is the number of polls under way at once, and so of connections: 16 if zero, at most 60.
	Concurrency int
	// PollsPerSecond limits the polls of all jobs together; 0 is no limit but the client's. Polls over the limit are made late,
	// in the order in which they were due.
	PollsPerSecond float64
	// Wait are the options of each wait. A function given there may be called for several jobs at once.
	Wait []WaitOption
}

// Result is the end of one tracked wait.
type Result struct {
	PendingJob       // its Deadline is zero, so that it can be added again
	Job        *Job  // the job with the wanted URL; nil if there is an error
	Err        error // a *JobError or a *WaitError
}

// TrackerStats is the state of a [Tracker].
type TrackerStats struct {
	Waiting      int       // jobs that have not ended
	Polling      int       // polls under way
	Results      int       // results that no loop has taken
	FailingSince time.Time // since when all polls fail; zero if they do not
	Err          error     // of the latest failed poll, while polls fail
}

// trackKey is what is tracked once: the preview and the video of a job are two waits.
type trackKey struct {
	id    string // as foldID has it
	video bool
}

func keyOf(id string, kind JobKind) trackKey { return trackKey{foldID(id), kind == KindVideo} }

// tracked is one job of a tracker. Its Poller belongs to the poll under way, or else to the tracker.
type tracked struct {
	Poller
	place int32 // in the queue; -1 outside
	end   int32 // place in the ends; -1 outside
	err   error // of the result
}

func (j *tracked) key() trackKey { return keyOf(j.job.ID, j.job.Kind) }

func (j *tracked) due() time.Time { return j.state.Due() }

const maxConcurrency = 60

// NewTracker returns a Tracker. Bad options are reported by its Add. Close it when it is no longer needed.
func (s *JobsService) NewTracker(options TrackerOptions) *Tracker {
	t := &Tracker{jobs: s, wake: make(chan struct{}, 1), tracked: make(map[trackKey]*tracked), taken: make(map[*tracked]bool),
		news: make(chan struct{}), seed: maphash.MakeSeed(),
		queue: jobHeap{when: (*tracked).due, place: func(j *tracked) *int32 { return &j.place }},
		ends:  jobHeap{when: func(j *tracked) time.Time { return j.job.Deadline }, place: func(j *tracked) *int32 { return &j.end }}}
	t.ctx, t.close = context.WithCancel(context.Background())
	t.config = newWaitConfig(longWait, options.Wait)
	if c := options.Concurrency; c < 0 || c > maxConcurrency {
		t.config.refuse("Concurrency", "must be from 0 to %d", maxConcurrency)
		options.Concurrency = 0
	}
	t.slots = cmp.Or(options.Concurrency, 16)
	switch r := options.PollsPerSecond; {
	case r > 0:
		t.limiter = rate.NewLimiter(rate.Limit(r), t.slots)
	case r != 0: // negative, or not a number
		t.config.refuse("PollsPerSecond", "must be 0 or above")
	}
	t.bad = validation(t.config.problems)
	return t
}

// Add tracks jobs until they end. A job that is already tracked is left unchanged. A young job is first polled when it is due,
// any other at once. All bad jobs are reported in one [*ValidationError], and the others are tracked.
func (t *Tracker) Add(jobs ...PendingJob) error {
	if t.bad != nil {
		return t.bad
	}
	var problems []Problem
	for i, job := range jobs {
		bad := job.problems()
		for _, p := range bad {
			problems = append(problems, Problem{fmt.Sprintf("jobs[%d].%s", i, p.Field), p.Message})
		}
		if bad == nil && !t.add(job) {
			return ErrTrackerClosed
		}
	}
	return validation(problems)
}

// add returns false if the tracker is closed.
func (t *Tracker) add(job PendingJob) bool {
	now := time.Now()
	key := keyOf(job.ID, job.Kind)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.finished {
		return false
	}
	if t.tracked[key] != nil {
		return true
	}
	j := &tracked{place: -1, end: -1}
	j.begin(t.jobs, job, t.config, now)
	t.tracked[key] = j
	if j.job.Deadline.After(now) { // else the one poll that is left ends it
		heap.Push(&t.ends, j)
	}
	heap.Push(&t.queue, j)
	if !t.running && t.ctx.Err() == nil {
		t.running = true
		t.idle.Go(t.dispatch)
	}
	t.poke()
	return true
}

// Remove stops tracking a job and drops its result. A result that is in the body of a loop is not affected.
func (t *Tracker) Remove(id string, kind JobKind) {
	key := keyOf(id, kind)
	t.mu.Lock()
	defer t.mu.Unlock()
	j := t.tracked[key]
	if j == nil {
		return
	}
	delete(t.tracked, key)
	t.ends.remove(j)
	t.queue.remove(j)
	if i := slices.Index(t.ended, j); i >= 0 {
		t.ended = slices.Delete(t.ended, i, i+1)
	}
	t.announce()
}

// Expedite polls a job now, because there is news of it, such as a webhook event: at most once a second, and never before a
// Retry-After is over. It reports whether the job is tracked.
func (t *Tracker) Expedite(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	found := false
	for _, kind := range []JobKind{KindPreview, KindVideo} {
		j := t.tracked[keyOf(id, kind)]
		if j == nil || j.isOver() {
			continue
		}
		found = true
		j.Poller.Expedite()
		if j.place >= 0 {
			heap.Fix(&t.queue, int(j.place))
			t.poke()
		}
	}
	return found
}

// Pending returns the jobs whose results no loop has finished with, the oldest first. Store them before a restart, and Add them
// after it.
func (t *Tracker) Pending() []PendingJob {
	t.mu.Lock()
	defer t.mu.Unlock()
	pending := make([]PendingJob, 0, len(t.tracked))
	for _, j := range t.tracked {
		pending = append(pending, j.Pending())
	}
	for j := range t.taken {
		if t.tracked[j.key()] == nil { // else it is waited for again
			pending = append(pending, j.Pending())
		}
	}
	slices.SortFunc(pending, func(a, b PendingJob) int { return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID)) })
	return pending
}

// Stats returns the state of the tracker, in constant time.
func (t *Tracker) Stats() TrackerStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	stats := TrackerStats{Waiting: len(t.queue.jobs) + t.polling, Polling: t.polling, Results: len(t.ended), FailingSince: t.brake.FailingSince()}
	if err := t.pollErr.Load(); err != nil && !stats.FailingSince.IsZero() {
		stats.Err = *err
	}
	return stats
}

// Results yields the jobs as they end. While the body of the loop runs, its result stays in Pending and no other loop gets it.
// After the body it is gone; after a break, a return or a panic in it, it is the first result again. Adding the same job in
// the body starts a new wait.
//
// The loop ends with its context, after Close, and after Finish when nothing is left.
func (t *Tracker) Results(ctx context.Context) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		for ctx.Err() == nil {
			j, news, over := t.take()
			switch {
			case over:
				return
			case j != nil:
				if !t.deliver(j, yield) {
					return
				}
				continue
			}
			select {
			case <-ctx.Done():
			case <-news:
			}
		}
	}
}

// take takes the first result. If there is none, it returns what to wait for.
func (t *Tracker) take() (j *tracked, news <-chan struct{}, over bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ended) == 0 {
		return nil, t.news, t.ctx.Err() != nil || t.finished && len(t.tracked) == 0 && len(t.taken) == 0
	}
	j = t.ended[0]
	t.ended[0] = nil
	t.ended = t.ended[1:]
	t.taken[j] = true
	if t.tracked[j.key()] == j {
		delete(t.tracked, j.key())
	}
	return j, nil, false
}

// deliver runs the loop's body with a result and puts the result back unless the body returns normally.
func (t *Tracker) deliver(j *tracked, yield func(Result) bool) (more bool) {
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.taken, j)
		if !more {
			t.ended = slices.Insert(t.ended, 0, j)
			if t.tracked[j.key()] == nil {
				t.tracked[j.key()] = j
			}
		}
		t.announce()
	}()
	job := j.Pending()
	job.Deadline = time.Time{}
	if j.err != nil {
		return yield(Result{job, nil, j.err})
	}
	return yield(Result{job, j.last, nil})
}

// Finish declares that no more jobs will be added, so that Results ends with the last of them.
func (t *Tracker) Finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finished = true
	t.announce()
}

// Close stops all polls and returns when they have stopped, so a function that a poll calls must not call it. Jobs that have
// not ended stay in Pending.
func (t *Tracker) Close() {
	t.Finish()
	t.close()
	t.idle.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.announce()
}

// announce wakes the loops over results.
func (t *Tracker) announce() {
	close(t.news)
	t.news = make(chan struct{})
}

// poke wakes the dispatcher.
func (t *Tracker) poke() {
	select {
	case t.wake <- struct{}{}:
	default: // it has been woken already
	}
}

// dispatch starts polls as they fall due and ends waits at their deadlines, until no wait is left.
func (t *Tracker) dispatch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-t.wake:
		case <-timer.C:
		}
		t.mu.Lock()
		now := time.Now()
		expired := t.expire(now)
		for t.start(now) {
		}
		if len(t.queue.jobs) == 0 && t.polling == 0 && expired == nil {
			t.running = false
			t.mu.Unlock()
			return
		}
		next := now.Add(time.Hour)
		if due, ok := t.nextPoll(); ok && due.Before(next) {
			next = due
		}
		if len(t.ends.jobs) > 0 && t.ends.jobs[0].job.Deadline.Before(next) {
			next = t.ends.jobs[0].job.Deadline
		}
		t.mu.Unlock()
		for _, j := range expired {
			j.finished(t.ctx)
		}
		if expired != nil {
			t.poke() // there may be nothing left
		}
		timer.Reset(time.Until(next))
	}
}

// expire ends the waits whose deadline has come, however long the queue is. A poll under way ends by the same deadline.
func (t *Tracker) expire(now time.Time) (expired []*tracked) {
	for len(t.ends.jobs) > 0 && !t.ends.jobs[0].job.Deadline.After(now) {
		j := heap.Pop(&t.ends).(*tracked)
		if j.place >= 0 {
			j.Poller.end = wait.TimedOut
			t.over(j)
			expired = append(expired, j)
		}
	}
	return expired
}

// nextPoll returns when the next poll may start, if there is a slot for one and a job that waits for one.
func (t *Tracker) nextPoll() (time.Time, bool) {
	if len(t.queue.jobs) == 0 || t.polling == t.slots {
		return time.Time{}, false
	}
	next := t.queue.jobs[0].due()
	for _, before := range []time.Time{t.brake.Next(), t.held} {
		if before.After(next) {
			next = before
		}
	}
	return next, true
}

// start starts the next poll if it is due, and reports whether it did.
func (t *Tracker) start(now time.Time) bool {
	if next, ok := t.nextPoll(); !ok || next.After(now) {
		return false
	}
	if t.limiter != nil {
		turn := t.limiter.ReserveN(now, 1)
		if wait := turn.DelayFrom(now); wait > 0 {
			turn.CancelAt(now)
			t.held = now.Add(wait)
			return false
		}
	}
	j := heap.Pop(&t.queue).(*tracked)
	t.polling++
	t.brake.Started(now, len(t.queue.jobs)+t.polling)
	t.idle.Go(func() { t.poll(j) })
	return true
}

// poll polls a job and puts it back into the queue, or its result where Results finds it.
func (t *Tracker) poll(j *tracked) {
	defer func() { // also after a panic in a callback
		t.mu.Lock()
		defer t.mu.Unlock()
		t.polling--
		if j.last != nil && j.Poller.end == wait.Continues {
			j.last, j.changed = j.last.trimmed(), false // the poll is over, so j is the tracker's
		}
		switch {
		case t.tracked[j.key()] != j: // removed
		case j.isOver():
			t.over(j)
		default:
			heap.Push(&t.queue, j)
		}
		t.poke()
	}()
	news := j.poll(t.ctx, func(o wait.Observation, err error, started, now time.Time) wait.Observation {
		return t.observe(j, o, err, started, now)
	})
	if news != nil && t.config.onUpdate != nil {
		t.config.onUpdate(news.clone())
	}
	j.finished(t.ctx)
}

// observe takes a poll into the brake. A refusal of many jobs is about the account and ends none of them.
func (t *Tracker) observe(j *tracked, o wait.Observation, err error, started, now time.Time) wait.Observation {
	if o.Class < wait.Bad {
		if outage := t.brake.Good(now); outage > 0 {
			t.log(slog.LevelInfo, "creatify: polls succeed again", slog.Duration("outage", outage))
		}
		return o
	}
	t.pollErr.Store(&err)
	shared, outage := t.brake.Failed(maphash.String(t.seed, j.key().id), o, started, now)
	if shared {
		o.Class = wait.Bad
	}
	if outage {
		t.log(slog.LevelWarn, "creatify: polls fail together and are slowed down", slog.String("reason", Reason(err)))
	}
	return o
}

func (t *Tracker) log(level slog.Level, message string, attr slog.Attr) {
	t.jobs.api.logger.LogAttrs(t.ctx, level, message, attr)
}

// over puts the result of a wait that is over where Results finds it.
func (t *Tracker) over(j *tracked) {
	t.ends.remove(j)
	t.queue.remove(j)
	_, j.err = j.Result()
	t.ended = append(t.ended, j)
	t.announce()
}

// jobHeap is a heap of jobs, the one that comes first on top.
type jobHeap struct {
	jobs  []*tracked
	when  func(*tracked) time.Time
	place func(*tracked) *int32 // in jobs; -1 outside
}

func (h *jobHeap) Len() int           { return len(h.jobs) }
func (h *jobHeap) Less(i, k int) bool { return h.when(h.jobs[i]).Before(h.when(h.jobs[k])) }
func (h *jobHeap) Swap(i, k int) {
	h.jobs[i], h.jobs[k] = h.jobs[k], h.jobs[i]
	*h.place(h.jobs[i]), *h.place(h.jobs[k]) = int32(i), int32(k)
}
func (h *jobHeap) Push(x any) {
	*h.place(x.(*tracked)) = int32(len(h.jobs))
	h.jobs = append(h.jobs, x.(*tracked))
}
func (h *jobHeap) Pop() any {
	last := len(h.jobs) - 1
	j := h.jobs[last]
	h.jobs[last], h.jobs = nil, h.jobs[:last]
	*h.place(j) = -1
	return j
}

// remove takes a job out, if it is in.
func (h *jobHeap) remove(j *tracked) {
	if place := *h.place(j); place >= 0 {
		heap.Remove(h, int(place))
	}
}
