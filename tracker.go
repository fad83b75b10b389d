package creatify

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/creatify-community/creatify-go/internal/wait"
)

// Tracker waits for many jobs at once, even for a hundred thousand, with few connections and goroutines. Make
// it with [JobsService.NewTracker]. It is safe for concurrent use. Free.
//
// Polls that fail together slow down together and end no wait: see docs/reliability.md.
type Tracker struct {
	jobs     *JobsService
	config   *waitConfig
	slots    int           // polls that may be under way
	interval time.Duration // between polls on average, by PollsPerSecond; 0 is no limit
	seed     maphash.Seed
	ctx      context.Context
	close    context.CancelFunc
	idle     sync.WaitGroup
	brake    wait.Brake

	mu       sync.Mutex
	tracked  map[trackKey]*tracked // jobs whose result no loop has finished with
	queue    jobHeap               // waiting for their next poll, the first due on top
	ends     jobHeap               // waits that continue, the first deadline on top
	ended    []*tracked            // results, in the order of their ends
	bodies   int                   // loop bodies that are handling a result
	polling  int
	ending   int // waits whose deadline has passed, while their hooks and callbacks run
	finished bool
	news     chan struct{} // closed and replaced when a result or the end may be there
	timer    *time.Timer   // calls schedule
	turn     time.Time     // earliest time of the next poll, by interval
	pollErr  error         // of the latest failed poll
}

// TrackerOptions sets how a [Tracker] works. The zero value is ready for use.
type TrackerOptions struct {
	// Concurrency is the number of polls under way at once, and so of connections: 16 if zero, at most 60.
	Concurrency int
	// PollsPerSecond limits the polls of all jobs together; 0 leaves only the client's limit. Polls over the
	// limit are delayed, in the order in which they were due.
	PollsPerSecond float64
	// Wait holds the options of each wait. Their functions may be called for several jobs at once.
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
	Waiting      int       // jobs that have neither ended nor reached their deadline
	Polling      int       // polls under way
	Results      int       // results that no loop has taken
	FailingSince time.Time // since when all polls fail; zero if they do not
	Err          error     // of the latest failed poll, while polls fail
}

// trackKey identifies a wait: the preview and the video of a job are two waits.
type trackKey struct {
	id    string // as foldID has it
	video bool
}

func keyOf(id string, kind JobKind) trackKey { return trackKey{foldID(id), kind == KindVideo} }

// tracked is one job of a tracker. Its Poller belongs to the poll under way, or else to the tracker.
type tracked struct {
	*Poller
	place int32 // in the queue; -1 outside
	end   int32 // place in the ends; -1 outside
	taken bool  // the result is in the body of a loop
}

func (j *tracked) key() trackKey       { return keyOf(j.job.ID, j.job.Kind) }
func (j *tracked) due() time.Time      { return j.state.Due() }
func (j *tracked) deadline() time.Time { return j.job.Deadline }

const maxConcurrency = 60

// NewTracker returns a Tracker. Bad options are reported by its Add. Close it when it is no longer needed.
func (s *JobsService) NewTracker(options TrackerOptions) *Tracker {
	t := &Tracker{
		jobs:    s,
		config:  newWaitConfig(longWait, options.Wait),
		slots:   cmp.Or(options.Concurrency, 16),
		seed:    maphash.MakeSeed(),
		tracked: make(map[trackKey]*tracked),
		queue:   jobHeap{when: (*tracked).due, place: func(j *tracked) *int32 { return &j.place }},
		ends:    jobHeap{when: (*tracked).deadline, place: func(j *tracked) *int32 { return &j.end }},
		news:    make(chan struct{}),
	}
	t.ctx, t.close = context.WithCancel(context.WithValue(context.Background(), wait.ObserverKey{}, wait.Observer(t.observe)))
	t.timer = time.AfterFunc(time.Hour, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.schedule()
	})
	t.timer.Stop()
	if c := options.Concurrency; c < 0 || c > maxConcurrency {
		t.config.refuse("Concurrency", "must be from 0 to %d", maxConcurrency)
	}
	const slowest = 365 * 24 * time.Hour
	switch r := options.PollsPerSecond; {
	case r > 0:
		t.interval = time.Duration(min(float64(time.Second)/r, float64(slowest)))
	case r != 0: // negative, or not a number
		t.config.refuse("PollsPerSecond", "must be 0 or above")
	}
	return t
}

// Add tracks jobs until they end. A job that is already tracked is left unchanged. A young job is first
// polled when that is due, any other at once. Bad jobs are reported in one [*ValidationError]; the others are
// tracked.
func (t *Tracker) Add(jobs ...PendingJob) error {
	if err := validation(t.config.problemList); err != nil {
		return err
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
	if j := t.tracked[key]; j != nil && !j.taken {
		return true
	}
	j := &tracked{Poller: t.jobs.newPoller(job, t.config, now), place: -1, end: -1}
	t.tracked[key] = j
	if j.job.Deadline.After(now) { // else the one poll that is left ends it
		heap.Push(&t.ends, j)
	}
	heap.Push(&t.queue, j)
	t.schedule()
	return true
}

// Remove stops tracking a job and drops its result, unless a loop's body is already handling it.
func (t *Tracker) Remove(id string, kind JobKind) {
	key := keyOf(id, kind)
	t.mu.Lock()
	defer t.mu.Unlock()
	j := t.tracked[key]
	if j == nil || j.taken {
		return
	}
	delete(t.tracked, key)
	t.ends.remove(j)
	t.queue.remove(j)
	t.ended = slices.DeleteFunc(t.ended, func(e *tracked) bool { return e.key() == key })
	t.announce()
}

// Expedite polls a job now, for example on a webhook event: at most once a second, and never before a
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
			t.schedule()
		}
	}
	return found
}

// Pending returns the tracked jobs, the oldest first: those that have not ended, and those whose result no
// loop has finished with. Store them before a restart, and Add them after it.
func (t *Tracker) Pending() []PendingJob {
	t.mu.Lock()
	defer t.mu.Unlock()
	pending := make([]PendingJob, 0, len(t.tracked))
	for _, j := range t.tracked {
		pending = append(pending, j.Pending())
	}
	slices.SortFunc(pending, func(a, b PendingJob) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID))
	})
	return pending
}

// Stats returns the state of the tracker, in constant time.
func (t *Tracker) Stats() TrackerStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	stats := TrackerStats{Waiting: len(t.ends.jobs), Polling: t.polling, Results: len(t.ended)}
	if stats.FailingSince = t.brake.FailingSince(); !stats.FailingSince.IsZero() {
		stats.Err = t.pollErr
	}
	return stats
}

// Results yields the jobs as they end. While the loop's body runs, its result stays in Pending and no other
// loop gets it. When the body is finished, the result is removed; after a break, a return or a panic, it is
// the first result again. Adding the same job in the body starts a new wait.
//
// The loop ends with its context, after Close, or after Finish when every result has been handled.
func (t *Tracker) Results(ctx context.Context) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		for ctx.Err() == nil {
			j, news, over := t.take()
			if over || j != nil && !t.deliver(j, yield) {
				return
			}
			select {
			case <-ctx.Done():
			case <-news: // closed already if there was a result
			}
		}
	}
}

// take takes the first result. If there is none, it returns what to wait for.
func (t *Tracker) take() (j *tracked, news <-chan struct{}, over bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ended) == 0 {
		return nil, t.news, t.ctx.Err() != nil || t.finished && len(t.tracked) == 0 && t.bodies == 0
	}
	j, t.ended[0] = t.ended[0], nil
	t.ended = t.ended[1:]
	j.taken = true
	t.bodies++
	return j, t.news, false
}

// deliver runs the loop's body with a result and puts the result back unless the body returns normally.
func (t *Tracker) deliver(j *tracked, yield func(Result) bool) (more bool) {
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.bodies--
		j.taken = false
		if !more {
			t.ended = slices.Insert(t.ended, 0, j)
		} else if t.tracked[j.key()] == j { // not added again
			delete(t.tracked, j.key())
		}
		t.announce()
	}()
	pending := j.Pending()
	pending.Deadline = time.Time{}
	job, err := j.Result()
	return yield(Result{pending, job, err})
}

// Finish declares that no more jobs will be added, so that Results ends with the last of them.
func (t *Tracker) Finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finished = true
	t.announce()
}

// Close stops all polls and returns when they have stopped. Hooks and functions of wait options must not call
// it. Jobs that have not ended stay in Pending.
func (t *Tracker) Close() {
	t.close()
	t.Finish()
	t.idle.Wait()
}

// announce wakes the loops over results.
func (t *Tracker) announce() {
	close(t.news)
	t.news = make(chan struct{})
}

// schedule ends the waits whose deadline has come, however long the queue is, starts the polls that are due,
// and sets the timer for the next of either. The caller holds mu.
func (t *Tracker) schedule() {
	t.timer.Stop()
	if t.ctx.Err() != nil {
		return
	}
	now := time.Now()
	for len(t.ends.jobs) > 0 && t.ending < t.slots && !t.ends.jobs[0].deadline().After(now) {
		j := heap.Pop(&t.ends).(*tracked)
		if j.place >= 0 { // else a poll is under way, which ends by the same deadline
			t.queue.remove(j)
			t.ending++
			t.idle.Go(func() {
				defer t.settle(j, 0)
				j.giveUp(t.ctx, ErrWaitTimeout)
			})
		}
	}
	next := now.Add(time.Hour)
	for len(t.queue.jobs) > 0 && t.polling < t.slots && t.ending < t.slots {
		due := slices.MaxFunc([]time.Time{t.queue.jobs[0].due(), t.brake.Next(), t.turn}, time.Time.Compare)
		if due.After(now) {
			next = due
			break
		}
		j := heap.Pop(&t.queue).(*tracked)
		t.polling++
		burst := now.Add(-time.Duration(t.slots-1) * t.interval)
		t.turn = slices.MaxFunc([]time.Time{t.turn, burst}, time.Time.Compare).Add(t.interval)
		t.brake.Started(now, len(t.queue.jobs)+t.polling)
		t.idle.Go(func() {
			defer t.settle(j, 1)
			j.poll(t.ctx)
		})
	}
	if len(t.ends.jobs) > 0 && t.ending < t.slots && t.ends.jobs[0].deadline().Before(next) {
		next = t.ends.jobs[0].deadline()
	}
	if len(t.queue.jobs) > 0 {
		t.timer.Reset(next.Sub(now))
	}
}

// settle puts a job back into the queue, or its result where Results finds it, also after a panic in a
// callback. Polls is 1 after a poll, 0 after a deadline.
func (t *Tracker) settle(j *tracked, polls int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.polling, t.ending = t.polling-polls, t.ending-(1-polls)
	switch {
	case t.tracked[j.key()] != j: // removed
	case j.isOver():
		t.ends.remove(j)
		t.ended = append(t.ended, j)
		t.announce()
	default:
		if j.last != nil {
			j.last = j.last.trimmed()
		}
		heap.Push(&t.queue, j)
	}
	t.schedule()
}

// observe reports a poll to the brake. A refusal of several jobs concerns the account, and ends none of them.
func (t *Tracker) observe(id string, o wait.Observation, err error) wait.Observation {
	logger, now := t.jobs.api.Logger, time.Now()
	if err == nil {
		if outage := t.brake.Good(now); outage > 0 {
			logger.InfoContext(t.ctx, "creatify: polls succeed again", "call", "get_job", "outage", outage)
		}
		return o
	}
	t.mu.Lock()
	t.pollErr = err
	t.mu.Unlock()
	shared, outage := t.brake.Failed(maphash.String(t.seed, foldID(id)), o, now.Add(-o.Took), now)
	if shared {
		o.Class = wait.Bad
	}
	if outage {
		logger.WarnContext(t.ctx, "creatify: polls fail together and are slowed down", "call", "get_job", "reason", Reason(err))
	}
	return o
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
