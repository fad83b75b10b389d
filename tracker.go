package creatify

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Tracker waits for many jobs at once: for a hundred thousand as for one, with a few connections, a few goroutines and one
// rate budget. Make it with [JobsService.NewTracker]. It is safe for concurrent use, and costs no credits.
type Tracker struct {
	jobs    *JobsService
	config  *waitConfig
	bad     error // options that make no sense
	slots   chan struct{}
	limiter *rate.Limiter // nil for none
	ctx     context.Context
	close   context.CancelFunc
	wake    chan struct{} // holds one wake-up for the dispatcher

	mu       sync.Mutex
	running  bool // the dispatcher
	idle     sync.WaitGroup
	tracked  map[trackKey]*tracked // those that have not been handed over
	queue    dueQueue              // those that wait for their next poll
	ended    []*tracked            // those whose result has not been handed over, in the order of their ends
	news     chan struct{}         // closed and replaced when ended or finished changes
	finished bool
	paused   time.Time // no poll before this: the server asked for it
	refusals int       // 429s in a row
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
	ID           string       `json:"id"`
	Kind         JobKind      `json:"kind"`
	Started      time.Time    `json:"started"` // when the job was created, if that is known; else when it was given to a tracker
	TemplateID   string       `json:"template_id,omitempty"`
	ModelVersion ModelVersion `json:"model_version,omitempty"`
}

// trackKey is what is tracked once: the preview and the video of a job are two waits.
type trackKey struct {
	id   string
	kind JobKind
}

// tracked is one job of a tracker. Its wait belongs to whoever has it: the queue, or the poll under way.
type tracked struct {
	wait
	pollAt
	deadline time.Time
	index    int  // in the queue; -1 outside
	again    bool // poll it again at once
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
	t.slots = make(chan struct{}, cmp.Or(options.Concurrency, 16))
	switch r := options.PollsPerSecond; {
	case r > 0:
		t.limiter = rate.NewLimiter(rate.Limit(r), cap(t.slots))
	case r != 0: // negative, or no number
		problems = append(problems, Problem{"PollsPerSecond", "must be 0 or above"})
	}
	t.bad = s.check(t.ctx, problems...)
	return t
}

const maxConcurrency = 60

// ErrTrackerClosed says that a job was given to a [Tracker] after its Close or Finish.
var ErrTrackerClosed = errors.New("creatify: the tracker is closed")

// Add waits for the preview of a job, which is polled at once. One that is waited for already stays as it is.
func (t *Tracker) Add(id string) error {
	return t.add(PendingJob{ID: id, Kind: KindPreview}, nil)
}

// AddVideo is Add for a job's rendered video, which is a wait of its own.
func (t *Tracker) AddVideo(id string) error {
	return t.add(PendingJob{ID: id, Kind: KindVideo}, nil)
}

// AddCreated is Add for a preview that was created just now with these parameters. It saves the first poll, and the wait
// learns from the durations of the same template.
func (t *Tracker) AddCreated(job *Job, params JobParams) error {
	if job == nil {
		return invalid("job", "is nil")
	}
	added := false
	err := t.add(PendingJob{ID: job.ID, Kind: KindPreview}, func(j *tracked) {
		j.wait = *newCreatedWait(job, params, j.started, t.config)
		v := verdict{}
		if !job.broken {
			v = j.saw(job, j.started)
		}
		t.judged(j, job, v, j.next(t, v, j.started))
		added = true
	})
	if added && t.config.onUpdate != nil {
		t.config.onUpdate(job.clone())
	}
	return err
}

// Resume takes back what Pending has returned, perhaps in another process. Each job is polled at once, as far as the rate
// budget allows, since it may have ended meanwhile; its longest wait begins anew. All that is wrong is reported at once; what
// is right is taken.
func (t *Tracker) Resume(jobs []PendingJob) error {
	var errs []error
	for _, job := range jobs {
		job.Kind = cmp.Or(job.Kind, KindPreview)
		errs = append(errs, t.add(job, nil))
	}
	return errors.Join(errs...)
}

func (t *Tracker) add(job PendingJob, begin func(*tracked)) error {
	if t.bad != nil {
		return t.bad
	}
	problems := jobIDProblems(job.ID)
	if begin != nil {
		problems = nil // the server gave the ID
	}
	if job.Kind != KindPreview && job.Kind != KindVideo {
		problems = append(problems, Problem{"kind", "is neither preview nor video"})
	}
	if len(problems) > 0 {
		return &ValidationError{problems}
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.finished {
		return ErrTrackerClosed
	}
	key := trackKey{job.ID, job.Kind}
	if t.tracked[key] != nil {
		return nil
	}
	j := &tracked{wait: *newWait(job.ID, job.Kind, now, t.config), deadline: now.Add(t.config.maxWait), pollAt: pollAt{due: now}, index: -1}
	if !job.Started.IsZero() && job.Started.Before(now) {
		j.born = job.Started
	}
	j.key.template, j.key.model = job.TemplateID, job.ModelVersion
	t.tracked[key] = j
	if begin != nil {
		begin(j)
	} else {
		t.enqueue(j)
	}
	return nil
}

// Notify polls a job at once, because there is reason to believe that it has moved: a webhook, say. It returns false for a
// job that is not tracked.
func (t *Tracker) Notify(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	preview := t.hurry(trackKey{id, KindPreview})
	video := t.hurry(trackKey{id, KindVideo})
	return preview || video
}

func (t *Tracker) hurry(key trackKey) bool {
	j := t.tracked[key]
	switch {
	case j == nil || j.ended():
		return false
	case j.index < 0: // a poll is under way, and may be too early
		j.again = true
	case !j.lastCall:
		j.due = time.Time{} // before those that are late already
		heap.Fix(&t.queue, j.index)
		t.poke()
	}
	return true
}

func (j *tracked) ended() bool { return j.result != nil || j.err != nil }

// Tracks says whether a job is being waited for.
func (t *Tracker) Tracks(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, kind := range []JobKind{KindPreview, KindVideo} {
		if j := t.tracked[trackKey{id, kind}]; j != nil && !j.ended() {
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
		pending = append(pending, PendingJob{j.id, j.kind, j.born, j.key.template, j.key.model})
	}
	slices.SortFunc(pending, func(a, b PendingJob) int { return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID)) })
	return pending
}

// Results yields the jobs as they end, in that order: each with its result, or with an error that names it, a [*JobError] or
// a [*WaitError]. Each is yielded once, whoever asks. The loop ends when the context does, when the tracker is closed, and
// after Finish, when there is nothing left to wait for.
func (t *Tracker) Results(ctx context.Context) iter.Seq2[*Job, error] {
	return func(yield func(*Job, error) bool) {
		for {
			t.mu.Lock()
			if len(t.ended) > 0 {
				j := t.ended[0]
				t.ended[0] = nil
				t.ended = t.ended[1:]
				delete(t.tracked, trackKey{j.id, j.kind})
				if len(t.tracked) == 0 {
					t.announce()
				}
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

// Close stops all polls and waits until they have stopped. What has not ended stays in Pending. Close can be called more
// than once.
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

// enqueue puts a job into the queue, and sees to it that somebody looks after that.
func (t *Tracker) enqueue(j *tracked) {
	heap.Push(&t.queue, j)
	if !t.running && t.ctx.Err() == nil {
		t.running = true
		t.idle.Go(t.dispatch)
	} else if j.index == 0 {
		t.poke()
	}
}

// dispatch starts polls as they fall due, until there is nothing left to poll.
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
		for t.start() {
		}
		t.mu.Lock()
		if len(t.queue) == 0 {
			t.running = false
			t.mu.Unlock()
			return
		}
		timer.Reset(time.Until(t.nextDue()))
		t.mu.Unlock()
	}
}

// nextDue is when the next poll may be made. There is one in the queue.
func (t *Tracker) nextDue() time.Time {
	if due := t.queue[0].due; due.After(t.paused) || t.queue[0].lastCall {
		return due
	}
	return t.paused
}

// start starts the next poll if it is due, as soon as there is a slot and the budget allows. It returns false if none was
// due.
func (t *Tracker) start() bool {
	t.mu.Lock()
	due := len(t.queue) > 0 && !t.nextDue().After(time.Now())
	t.mu.Unlock()
	if !due {
		return false
	}
	select {
	case t.slots <- struct{}{}:
	case <-t.ctx.Done():
		return false
	}
	if t.limiter != nil && t.limiter.Wait(t.ctx) != nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 || t.nextDue().After(time.Now()) { // a 429 came meanwhile
		<-t.slots
		return false
	}
	j := heap.Pop(&t.queue).(*tracked)
	t.idle.Go(func() {
		t.poll(j)
		<-t.slots
	})
	return true
}

// poll polls a job, or ends its wait if its time is up.
func (t *Tracker) poll(j *tracked) {
	if j.lastCall {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.hand(j, nil, j.end(time.Now(), ErrWaitTimeout))
		return
	}
	ctx, cancel := context.WithDeadline(t.ctx, j.deadline)
	job, v, answered := t.jobs.poll(ctx, &j.wait)
	cancel()
	if v.changed && t.config.onUpdate != nil {
		t.config.onUpdate(job.clone())
	}
	now := time.Now()
	next := pollAt{}
	if answered {
		next = j.next(t, v, now)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case answered:
		t.slowDown(j, now)
		t.judged(j, job, v, next)
	case t.ctx.Err() == nil:
		t.hand(j, nil, j.end(now, ErrWaitTimeout))
	} // else the tracker is closed, and the job stays pending
}

// pollAt is when a job is due, and whether its time is up then.
type pollAt struct {
	due      time.Time
	lastCall bool
}

// next is when a job is due that goes on.
func (j *tracked) next(t *Tracker, v verdict, now time.Time) pollAt {
	if v.over {
		return pollAt{}
	}
	delay, more := j.delay(&t.jobs.api.durations, now, j.deadline)
	return pollAt{now.Add(delay), !more}
}

// judged hands over a job that has ended, and puts any other back into the queue.
func (t *Tracker) judged(j *tracked, job *Job, v verdict, next pollAt) {
	switch {
	case v.over && v.err != nil:
		t.hand(j, nil, v.err)
	case v.over:
		t.hand(j, job, nil)
	default:
		if j.again {
			j.again, next = false, pollAt{}
		}
		j.pollAt = next
		t.enqueue(j)
	}
}

// hand puts a result where Results finds it.
func (t *Tracker) hand(j *tracked, job *Job, err error) {
	j.result, j.err = job, err
	t.ended = append(t.ended, j)
	t.announce()
}

// slowDown lets a 429 to one job hold all of them back, for as long as the server asks, or longer from one to the next.
func (t *Tracker) slowDown(j *tracked, now time.Time) {
	e, ok := errors.AsType[*APIError](j.pollErr)
	if !ok || !e.Is(ErrRateLimited) {
		if j.pollErr == nil {
			t.refusals = 0
		}
		return
	}
	pause := min(max(e.RetryAfter, time.Second<<min(t.refusals, 6)), maxRetryAfter)
	t.refusals++
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
	q[i].index, q[j].index = i, j
}
func (q *dueQueue) Push(x any) {
	j := x.(*tracked)
	j.index = len(*q)
	*q = append(*q, j)
}
func (q *dueQueue) Pop() any {
	old := *q
	j := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	j.index = -1
	return j
}
