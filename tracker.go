package creatify

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	schedule "github.com/creatify-community/creatify-go/internal/wait"
	"golang.org/x/time/rate"
)

// Tracker waits for many jobs at once: for a hundred thousand as for one, with a few connections, a few goroutines and one
// rate budget. Make it with [JobsService.NewTracker]. It is safe for concurrent use, and costs no credits.
type Tracker struct {
	jobs    *JobsService
	config  *waitConfig
	bad     error         // options that make no sense
	slots   int           // polls that may be under way
	limiter *rate.Limiter // nil for none
	ctx     context.Context
	close   context.CancelFunc
	wake    chan struct{} // holds one wake-up for the dispatcher

	mu       sync.Mutex
	running  bool // the dispatcher
	idle     sync.WaitGroup
	tracked  map[trackKey]*tracked // those that have not been handed over
	queue    dueQueue              // those that wait for their next poll
	ends     endQueue              // those whose wait goes on, by its deadline
	polling  int                   // polls under way
	ended    []*tracked            // those whose result has not been handed over, in the order of their ends
	news     chan struct{}         // closed and replaced when ended or finished changes
	finished bool
	held     time.Time // no poll before this: the rate budget is used up
	paused   time.Time // nor before this: the server asked for it
	pausedAt time.Time // when it did so
	refusals int       // times in a row that it did
}

// TrackerOptions sets how a [Tracker] works. The zero value is ready for use.
type TrackerOptions struct {
	// Concurrency is how many polls may be under way at once, and so how many connections and goroutines there are at the
	// most. 0 means 16; the most is 60.
	Concurrency int
	// PollsPerSecond bounds the polls of all jobs together. When it cannot hold the ideal schedule, polls are made in the
	// order in which they are due, so that the lag grows evenly and no job starves. 0 means no bound but the client's own.
	PollsPerSecond float64
	// Wait are the options of each single wait: [WithMaxWait], [WithOnUpdate] and so on. A function given there may be
	// called for several jobs at once.
	Wait []WaitOption
}

// PendingJob is a job that a [Tracker] waits for: what a service must store to go on after a restart.
type PendingJob struct {
	ID           string       `json:"id"`                      // of the job
	Kind         JobKind      `json:"kind"`                    // what is waited for; empty is KindPreview
	Started      time.Time    `json:"started"`                 // when the job was created, if that is known; else when it was given to a tracker
	TemplateID   string       `json:"template_id,omitempty"`   // empty where it is not known
	ModelVersion ModelVersion `json:"model_version,omitempty"` // empty where it is not known
}

// trackKey is what is tracked once: the preview and the video of a job are two waits.
type trackKey struct {
	id   string // as foldID has it
	kind JobKind
}

// tracked is one job of a tracker. Its wait belongs to whoever has it: the queue, or the poll under way.
type tracked struct {
	wait
	deadline time.Time
	due      time.Time
	since    time.Time     // the wait's born, for Pending
	place    int           // in the queue; -1 outside
	end      int           // place in the ends; -1 outside
	hurried  time.Duration // when a notice last had it polled, since it was taken in; before that, if never
	again    bool          // poll it again as soon as may be
	result   *Job
	err      error
}

// NewTracker makes a tracker. Options that make no sense are reported by its Add.
func (s *JobsService) NewTracker(options TrackerOptions) *Tracker {
	t := &Tracker{jobs: s, wake: make(chan struct{}, 1), tracked: make(map[trackKey]*tracked), news: make(chan struct{})}
	t.ctx, t.close = context.WithCancel(context.Background())
	var problems []Problem
	t.config, problems = newWaitConfig(options.Wait)
	if c := options.Concurrency; c < 0 || c > maxConcurrency {
		problems = append(problems, Problem{"Concurrency", "must be from 0 to 60"})
		options.Concurrency = 0
	}
	t.slots = cmp.Or(options.Concurrency, 16)
	switch r := options.PollsPerSecond; {
	case r > 0:
		t.limiter = rate.NewLimiter(rate.Limit(r), t.slots)
	case r != 0: // negative, or no number
		problems = append(problems, Problem{"PollsPerSecond", "must be 0 or above"})
	}
	t.bad = s.api.check(t.ctx, problems...)
	return t
}

const maxConcurrency = 60

// Add waits for the preview of a job, which is polled at once. One that is waited for already stays as it is.
func (t *Tracker) Add(id string) error {
	return t.resume(PendingJob{ID: id, Kind: KindPreview})
}

// AddVideo is Add for a job's rendered video, which is a wait of its own.
func (t *Tracker) AddVideo(id string) error {
	return t.resume(PendingJob{ID: id, Kind: KindVideo})
}

// AddCreated is Add for a preview that was created just now with these parameters. It saves the first poll, and the wait
// learns from the durations of the same template.
func (t *Tracker) AddCreated(job *Job, params JobParams) error {
	if job == nil {
		return invalid("job", "is nil")
	}
	if t.bad != nil {
		return t.bad
	}
	job, now := job.clone(), time.Now()
	j := t.newTracked(newCreatedWait(job, params, now, t.config), now)
	v := verdict{}
	if !job.broken {
		v = j.saw(job, now)
	}
	due := j.next(t, v, now)
	added, err := t.add(j, func() { t.judged(j, job, v, due) })
	if added && t.config.onUpdate != nil {
		t.config.onUpdate(job.clone())
	}
	return err
}

// Resume takes back what Pending has returned, perhaps in another process. Each job is polled at once, as far as the rate
// budget allows, since it may have ended meanwhile; its longest wait begins anew. All that is wrong is reported at once; what
// is right is taken.
func (t *Tracker) Resume(jobs []PendingJob) error {
	if t.bad != nil {
		return t.bad
	}
	var problems []Problem
	for i, job := range jobs {
		job.Kind = cmp.Or(job.Kind, KindPreview)
		err := t.resume(job)
		bad, ok := errors.AsType[*ValidationError](err)
		if err != nil && !ok { // the tracker is closed, for all of them
			return err
		} else if ok {
			for _, p := range bad.Problems {
				problems = append(problems, Problem{fmt.Sprintf("jobs[%d].%s", i, p.Field), p.Message})
			}
		}
	}
	return validation(problems)
}

func (t *Tracker) resume(job PendingJob) error {
	if t.bad != nil {
		return t.bad
	}
	now := time.Now()
	j := t.newTracked(newWait(job.ID, job.Kind, now, t.config), now)
	if !job.Started.IsZero() && job.Started.Before(now) {
		j.born, j.since = job.Started, job.Started
	}
	j.key.template, j.key.model = job.TemplateID, job.ModelVersion
	_, err := t.add(j, func() { heap.Push(&t.queue, j) })
	return err
}

func (t *Tracker) newTracked(w *wait, now time.Time) *tracked {
	return &tracked{wait: *w, deadline: now.Add(t.config.maxWait), due: now, since: w.born, place: -1, end: -1, hurried: -schedule.Floor}
}

// add takes in a job that is not tracked yet, and begins with it.
func (t *Tracker) add(j *tracked, begin func()) (added bool, _ error) {
	problems := jobIDProblems(j.id)
	if j.kind != KindPreview && j.kind != KindVideo {
		problems = append(problems, Problem{"kind", "is neither preview nor video"})
	}
	if err := validation(problems); err != nil {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.finished {
		return false, ErrTrackerClosed
	}
	key := trackKey{foldID(j.id), j.kind}
	if t.tracked[key] != nil {
		return false, nil
	}
	t.tracked[key] = j
	heap.Push(&t.ends, j)
	begin()
	if !t.running && len(t.ends) > 0 && t.ctx.Err() == nil {
		t.running = true
		t.idle.Go(t.dispatch)
	} else {
		t.poke() // the deadline may be the first
	}
	return true, nil
}

// Notify polls a job at once, because there is reason to believe that it has moved: a webhook, say; but at most once a second,
// however many notices come. While polls of the job go wrong, it changes nothing. It returns false for a job that is not
// tracked.
func (t *Tracker) Notify(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	preview := t.hurry(trackKey{foldID(id), KindPreview})
	video := t.hurry(trackKey{foldID(id), KindVideo})
	return preview || video
}

// Expedite is Notify.
func (t *Tracker) Expedite(id string) bool { return t.Notify(id) }

func (t *Tracker) hurry(key trackKey) bool {
	j := t.tracked[key]
	switch {
	case j == nil || j.ended():
		return false
	case j.place < 0: // a poll is under way, and may be too early
		j.again = true
	case j.errs == 0 && j.due.After(j.soonest()): // those that are late already keep their turn
		j.due = j.soonest()
		j.hurried = j.due.Sub(j.started)
		heap.Fix(&t.queue, j.place)
		t.poke()
	}
	return true
}

// soonest is when a job may be polled that there is news of: now, but not more often than by a schedule.
func (j *tracked) soonest() time.Time {
	now := time.Now()
	if next := j.started.Add(j.hurried + schedule.Floor); next.After(now) {
		return next
	}
	return now
}

func (j *tracked) ended() bool { return j.result != nil || j.err != nil }

// Tracks says whether a job is being waited for.
func (t *Tracker) Tracks(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, kind := range []JobKind{KindPreview, KindVideo} {
		if j := t.tracked[trackKey{foldID(id), kind}]; j != nil && !j.ended() {
			return true
		}
	}
	return false
}

// Pending returns the jobs whose results have not been handed over, the oldest first. Store it before a restart, and give
// it to Resume after.
func (t *Tracker) Pending() []PendingJob {
	t.mu.Lock()
	defer t.mu.Unlock()
	pending := make([]PendingJob, 0, len(t.tracked))
	for _, j := range t.tracked {
		pending = append(pending, PendingJob{j.id, j.kind, j.since, j.key.template, j.key.model})
	}
	slices.SortFunc(pending, func(a, b PendingJob) int { return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID)) })
	return pending
}

// Results yields the jobs as they end, in that order: each with its result, or with an error that names it, a [*JobError] or
// a [*WaitError]. Each is yielded once, whoever asks. The loop ends when the context does, when the tracker is closed, and
// after Finish, when there is nothing left to wait for.
func (t *Tracker) Results(ctx context.Context) iter.Seq2[*Job, error] {
	return func(yield func(*Job, error) bool) {
		for ctx.Err() == nil {
			t.mu.Lock()
			if len(t.ended) > 0 {
				j := t.ended[0]
				t.ended[0] = nil
				t.ended = t.ended[1:]
				delete(t.tracked, trackKey{foldID(j.id), j.kind})
				t.mu.Unlock()
				if !yield(j.result, j.err) {
					return
				}
				continue
			}
			over := t.ctx.Err() != nil || t.finished && len(t.tracked) == 0
			news := t.news
			t.mu.Unlock()
			if over {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-news:
			}
		}
	}
}

// Finish says that no more jobs will be added, so that Results ends with the last of those that there are.
func (t *Tracker) Finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finished = true
	t.announce()
}

// Close stops all polls and waits until they have stopped, so it is not to be called by a function that a poll calls, such as
// that of WithOnUpdate. What has not ended stays in Pending. Close can be called more than once.
func (t *Tracker) Close() {
	t.Finish()
	t.close()
	t.idle.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.announce()
}

// announce wakes those who wait for results.
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

// dispatch starts polls as they fall due and ends waits as their time is up, until no wait goes on.
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
		t.expire(now)
		for t.start(now) {
		}
		if len(t.ends) == 0 {
			t.running = false
			t.mu.Unlock()
			return
		}
		next := t.ends[0].deadline
		if due, ok := t.nextPoll(); ok && due.Before(next) {
			next = due
		}
		t.mu.Unlock()
		timer.Reset(time.Until(next))
	}
}

// expire ends the waits whose time is up, however long the queue is. A poll under way ends by its own deadline.
func (t *Tracker) expire(now time.Time) {
	for len(t.ends) > 0 && !t.ends[0].deadline.After(now) {
		j := heap.Pop(&t.ends).(*tracked)
		if j.place >= 0 {
			heap.Remove(&t.queue, j.place)
			t.hand(j, nil, j.wait.end(now, ErrWaitTimeout))
		}
	}
}

// nextPoll is when the next poll may be made, if there is a slot for one and a job that waits for one.
func (t *Tracker) nextPoll() (time.Time, bool) {
	if len(t.queue) == 0 || t.polling == t.slots {
		return time.Time{}, false
	}
	next := t.queue[0].due
	for _, before := range []time.Time{t.paused, t.held} {
		if before.After(next) {
			next = before
		}
	}
	return next, true
}

// start starts the next poll if it is due. It returns false if none is.
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
	t.idle.Go(func() { t.poll(j) })
	return true
}

// poll polls a job.
func (t *Tracker) poll(j *tracked) {
	asked := time.Now()
	var job *Job
	var v verdict
	var due time.Time
	answered := false
	// Deferred, so that a job is not lost to a callback that never returns.
	defer func() {
		now := time.Now()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.polling--
		j.since = j.born
		switch {
		case answered:
			t.slowDown(j, asked, now)
			t.judged(j, job, v, due)
		case t.ctx.Err() != nil: // the tracker is closed, and the job stays pending
		case now.Before(j.deadline):
			t.judged(j, nil, verdict{}, now.Add(time.Minute))
		default:
			t.hand(j, nil, j.wait.end(now, ErrWaitTimeout))
		}
		t.poke() // there is a slot
	}()
	ctx, cancel := context.WithDeadline(t.ctx, j.deadline)
	defer cancel()
	var ok bool
	if job, v, ok = t.jobs.poll(ctx, &j.wait); !ok {
		return
	}
	if v.changed && t.config.onUpdate != nil {
		t.config.onUpdate(job.clone())
	}
	due = j.next(t, v, time.Now())
	answered = true
}

// next is when a job that goes on is due: after its deadline, if there is no time for another poll.
func (j *tracked) next(t *Tracker, v verdict, now time.Time) time.Time {
	if v.over {
		return time.Time{}
	}
	delay, more := j.delay(&t.jobs.api.durations, now, j.deadline)
	if !more {
		return j.deadline.Add(time.Hour)
	}
	return now.Add(delay)
}

// judged hands over a job that has ended, and puts any other back into the queue.
func (t *Tracker) judged(j *tracked, job *Job, v verdict, due time.Time) {
	switch {
	case v.over && v.err != nil:
		t.hand(j, nil, v.err)
	case v.over:
		t.hand(j, job, nil)
	case j.end < 0: // its time was up while the poll was under way
		t.hand(j, nil, j.wait.end(time.Now(), ErrWaitTimeout))
	default:
		if soonest := j.soonest(); j.again && j.errs == 0 && soonest.Before(due) {
			due = soonest
			j.hurried = due.Sub(j.started)
		}
		j.due, j.again = due, false
		heap.Push(&t.queue, j)
	}
}

// hand puts a result where Results finds it.
func (t *Tracker) hand(j *tracked, job *Job, err error) {
	if j.end >= 0 {
		heap.Remove(&t.ends, j.end)
	}
	j.result, j.err = job, err
	t.ended = append(t.ended, j)
	t.announce()
}

// slowDown lets a 429 to one job hold all of them back, for as long as the server asks, or longer from one time to the next.
// Polls that were under way together are refused together, and count as one.
func (t *Tracker) slowDown(j *tracked, asked, now time.Time) {
	e, ok := errors.AsType[*APIError](j.pollErr)
	if !ok || !e.Is(ErrRateLimited) {
		if j.pollErr == nil {
			t.refusals = 0
		}
		return
	}
	if asked.After(t.pausedAt) {
		t.refusals++
		t.pausedAt = now
	}
	again := max(t.refusals-1, 0) // a poll that was under way with the last refusal may come after a success
	pause := min(max(e.RetryAfter, time.Second<<min(again, 6)), maxRetryAfter)
	if until := now.Add(pause); until.After(t.paused) {
		t.paused = until
	}
}

// dueQueue is a heap of jobs, the one that is due first on top.
type dueQueue []*tracked

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}
func (q *dueQueue) Push(x any) {
	j := x.(*tracked)
	j.place = len(*q)
	*q = append(*q, j)
}
func (q *dueQueue) Pop() any {
	j := popLast((*[]*tracked)(q))
	j.place = -1
	return j
}

// endQueue is a heap of jobs, the one whose time is up first on top.
type endQueue []*tracked

func (q endQueue) Len() int           { return len(q) }
func (q endQueue) Less(i, j int) bool { return q[i].deadline.Before(q[j].deadline) }
func (q endQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].end, q[j].end = i, j
}
func (q *endQueue) Push(x any) {
	j := x.(*tracked)
	j.end = len(*q)
	*q = append(*q, j)
}
func (q *endQueue) Pop() any {
	j := popLast((*[]*tracked)(q))
	j.end = -1
	return j
}

func popLast(q *[]*tracked) *tracked {
	last := len(*q) - 1
	j := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return j
}
