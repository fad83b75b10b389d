package creatify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/creatify-community/creatify-go/internal/transport"
	schedule "github.com/creatify-community/creatify-go/internal/wait"
)

// JobKind is what a wait waits for.
type JobKind string

// The kinds of results.
const (
	KindPreview JobKind = "preview"
	KindVideo   JobKind = "video"
)

// output is the URL that a wait of this kind waits for.
func (k JobKind) output(job *Job) string {
	if k == KindVideo {
		return job.VideoOutput
	}
	return job.Preview
}

// outputGrace is how long a job may be done without its output. A rendering may leave the status as it was all the time
// (the documentation does not say), so a video is given as long as a long rendering takes.
func (k JobKind) outputGrace() time.Duration {
	if k == KindVideo {
		return 15 * time.Minute
	}
	return time.Minute
}

// WaitForPreview waits until a job's preview is ready, and returns the job. It costs nothing, and can be called as often as
// one likes for the same ID: after a restart, or after a wait that has ended early.
//
// A job that ends badly is a [*JobError], which is [ErrJobFailed] or [ErrJobRejected]. A wait that ends before the job is
// a [*WaitError], whose cause is one of [ErrWaitTimeout], [ErrStalled], [ErrNoOutput], the context's error, or the error
// of the last poll: at once if that is 401, 403 or [ErrNotFound], else after [WithMaxPollErrors] in a row.
func (s *JobsService) WaitForPreview(ctx context.Context, id string, opts ...WaitOption) (*Job, error) {
	return s.waitFor(ctx, KindPreview, id, opts)
}

// WaitForVideo waits until a job's video is rendered, after [JobsService.Render] or [JobsService.CreateVideo], and returns
// the job. It costs nothing. In all else it is like [JobsService.WaitForPreview].
//
// Right after Render a job may still read as done, from its preview, and is waited for all the same, for 15 minutes.
func (s *JobsService) WaitForVideo(ctx context.Context, id string, opts ...WaitOption) (*Job, error) {
	return s.waitFor(ctx, KindVideo, id, opts)
}

func (s *JobsService) waitFor(ctx context.Context, kind JobKind, id string, opts []WaitOption) (*Job, error) {
	config, problems := newWaitConfig(opts)
	if err := s.api.check(ctx, append(problems, jobIDProblems(id)...)...); err != nil {
		return nil, err
	}
	return s.follow(ctx, newWait(id, kind, time.Now(), config), nil, nil)
}

// Watch waits as [JobsService.WaitForPreview] does, and yields the first snapshot and each one that tells something new,
// the last of which has the Preview; or, at the end, one error instead. It costs nothing. Leaving the loop ends the wait
// and leaves nothing running.
func (s *JobsService) WatchPreview(ctx context.Context, id string, opts ...WaitOption) iter.Seq2[*Job, error] {
	return func(yield func(*Job, error) bool) {
		config, problems := newWaitConfig(opts)
		if err := s.api.check(ctx, append(problems, jobIDProblems(id)...)...); err != nil {
			yield(nil, err)
			return
		}
		_, err := s.follow(ctx, newWait(id, KindPreview, time.Now(), config), nil, func(job *Job) bool {
			return yield(job.clone(), nil)
		})
		if err != nil { // nor is there one when the loop was left
			yield(nil, err)
		}
	}
}

// WaitOption sets how a wait goes.
type WaitOption func(*waitConfig)

type waitConfig struct {
	maxWait       time.Duration
	stallTimeout  time.Duration // 0 is off
	maxPollErrors int
	lagCost       float64
	schedule      Schedule // nil for the learned one
	onCreated     func(*Job)
	onUpdate      func(*Job)
	problems      []Problem
}

func (c *waitConfig) refuse(option, format string, args ...any) {
	c.problems = append(c.problems, Problem{option, fmt.Sprintf(format, args...)})
}

func newWaitConfig(opts []WaitOption) (*waitConfig, []Problem) {
	c := &waitConfig{maxWait: 30 * time.Minute, maxPollErrors: 10, lagCost: 1}
	for i, opt := range opts {
		if opt == nil {
			c.refuse(fmt.Sprintf("wait option %d", i+1), "is nil")
			continue
		}
		opt(c)
	}
	return c, c.problems
}

// WithMaxWait bounds the wait, which ends with [ErrWaitTimeout] then. The default is 30 minutes. A context with an earlier
// deadline wins. The last poll is fitted in before the end; in less than 100 ms, there is no time for a second one.
func WithMaxWait(d time.Duration) WaitOption {
	return func(c *waitConfig) {
		if d <= 0 {
			c.refuse("WithMaxWait", "must be above zero, not %v", d)
		}
		c.maxWait = d
	}
}

// WithStallTimeout ends the wait with [ErrStalled] when neither status nor progress has moved for so long, as far as polls
// can tell: they are at least a second apart, unless [WithSchedule] says otherwise. By default nothing but [WithMaxWait]
// ends the wait for a job that stands still.
func WithStallTimeout(d time.Duration) WaitOption {
	return func(c *waitConfig) {
		if d <= 0 {
			c.refuse("WithStallTimeout", "must be above zero, not %v", d)
		}
		c.stallTimeout = d
	}
}

// WithMaxPollErrors sets how many polls in a row may go wrong before the wait ends with the error of the last. The default
// is 10. Five minutes in which no poll goes well end it as well.
func WithMaxPollErrors(n int) WaitOption {
	return func(c *waitConfig) {
		if n < 1 {
			c.refuse("WithMaxPollErrors", "must be at least 1, not %d", n)
		}
		c.maxPollErrors = n
	}
}

// WithLagCost says what a second of lag, between the end of a job and the poll that notices it, is worth in polls: from
// 1e-6 to 1e6, and 1 by default. With more, jobs are polled more often; the intervals go with the inverse of its square
// root, down to a second.
func WithLagCost(polls float64) WaitOption {
	return func(c *waitConfig) {
		if !(polls >= minLagCost && polls <= maxLagCost) {
			c.refuse("WithLagCost", "must be from %v to %v, not %v", minLagCost, maxLagCost, polls)
		}
		c.lagCost = polls
	}
}

const minLagCost, maxLagCost = 1e-6, 1e6

// Schedule says how long to wait before the next poll of a job that has been waited for so long, and polled so often.
type Schedule func(waited time.Duration, polls int) time.Duration

// FixedInterval is the schedule that polls always after the same time.
func FixedInterval(d time.Duration) Schedule {
	return func(time.Duration, int) time.Duration { return d }
}

// WithSchedule replaces the schedule that waits learn by themselves. Whatever it says, polls are at least 100 ms apart, a
// Retry-After is honoured, and the last poll is fitted in before the deadline.
func WithSchedule(schedule Schedule) WaitOption {
	return func(c *waitConfig) {
		if schedule == nil {
			c.refuse("WithSchedule", "the schedule is nil")
		}
		c.schedule = schedule
	}
}

// WithOnCreated calls f with the new job as soon as it exists and before any waiting, so that its ID can be stored. The
// wait begins when f returns. Waits for a job that exists already do not call it.
func WithOnCreated(f func(*Job)) WaitOption {
	return func(c *waitConfig) { c.onCreated = f }
}

// WithOnUpdate calls f with the first snapshot, which is the reply that created the job if the wait began with that, and with
// each later one that tells something new: a status, a progress, a URL, a reason, credits or a duration. The wait goes on
// when f returns.
func WithOnUpdate(f func(*Job)) WaitOption {
	return func(c *waitConfig) { c.onUpdate = f }
}

const (
	// notFoundGrace is how long a job that was just created may be unknown to the server that is asked for it.
	notFoundGrace = 15 * time.Second
	// errorGrace is how long polls may go wrong without one that goes well.
	errorGrace = 5 * time.Minute
	// maxRetryAfter is the longest wait that a poll's reply is granted.
	maxRetryAfter = time.Minute
	// settling is how often a job is polled that is done and lacks its preview.
	settling = 5 * time.Second
	// slowestRetry is how long after a poll that went wrong the next one comes at the latest.
	slowestRetry = 30 * time.Second
	// fastestSchedule is how often a caller's schedule may poll.
	fastestSchedule = 100 * time.Millisecond
)

// wait is what one wait has seen so far, and the one place that says what it means. It has no clock and does no I/O.
type wait struct {
	config  *waitConfig
	kind    JobKind
	id      string
	key     durationKey
	created bool // by this very wait, so that its first polls may come too early
	started time.Time
	born    time.Time // when the job's age is counted from

	polls     int
	roundTrip time.Duration // of the latest poll
	last      *Job
	lastAge   time.Duration // when the last snapshot was taken; of a job that had not ended
	pollErr   error         // of the latest poll
	errs      int           // in a row

	// These are times since started; those that something began are negative when it has not.
	moved     time.Duration // when status or progress last changed
	done      time.Duration // done without output
	errsSince time.Duration

	progressAge time.Duration // when progress last moved forward, and what it was then
	progress    float64
	forecast    schedule.Forecast
}

func newWait(id string, kind JobKind, now time.Time, config *waitConfig) *wait {
	return &wait{config: config, id: id, kind: kind, key: durationKey{kind: kind}, started: now, born: now, done: -1, lastAge: -1}
}

// newCreatedWait is for a job that was created just now.
func newCreatedWait(job *Job, params JobParams, now time.Time, config *waitConfig) *wait {
	w := newWait(job.ID, KindPreview, now, config)
	w.created = true
	w.key.template, w.key.model = params.TemplateID, cmp.Or(params.ModelVersion, ModelStandard)
	return w
}

// verdict is what a poll means for a wait.
type verdict struct {
	over    bool  // with the snapshot as the result, or with err
	err     error // why it is over without the result
	changed bool  // the snapshot tells something new
}

// saw judges a snapshot.
func (w *wait) saw(job *Job, now time.Time) verdict {
	since := now.Sub(w.started)
	v := verdict{changed: w.last == nil || !job.sameAs(w.last)}
	if w.last == nil {
		w.estimateBirth(job, now)
	}
	if w.last == nil || w.last.Status != job.Status || w.last.Progress != job.Progress {
		w.moved = since
	}
	w.pollErr, w.errs, w.last = nil, 0, job
	switch {
	case job.Status == StatusFailed || job.Status == StatusRejected:
		v.over, v.err = true, &JobError{job}
		return v
	case job.Status == StatusDone && isOutputURL(w.kind.output(job)):
		v.over = true
		return v
	case job.Status != StatusDone:
		w.done = -1
	case w.done < 0:
		w.done = since
	case since-w.done >= w.kind.outputGrace():
		v.over, v.err = true, w.end(now, ErrNoOutput)
		return v
	}
	if w.config.stallTimeout > 0 && since-w.moved >= w.config.stallTimeout {
		v.over, v.err = true, w.end(now, ErrStalled)
		return v
	}
	w.lastAge = now.Sub(w.born)
	w.foresee(job)
	return v
}

// estimateBirth finds out how old a job is that this wait has not created. The age of a video counts from the wait's
// beginning: its job may be much older, and when the rendering began is not told.
func (w *wait) estimateBirth(job *Job, now time.Time) {
	const oldest = 24 * time.Hour
	if age := now.Sub(job.CreatedAt) - job.skew; !w.created && w.kind == KindPreview && age > 0 && age < oldest {
		w.born = now.Add(-age)
	}
}

// foresee estimates the job's end from its progress.
func (w *wait) foresee(job *Job) {
	switch {
	case job.Progress > w.progress:
		w.forecast = schedule.NewForecast(w.progressAge, w.progress, w.lastAge, job.Progress)
	case job.Progress < w.progress:
		w.forecast = schedule.Forecast{}
	default:
		return
	}
	w.progress, w.progressAge = job.Progress, w.lastAge
}

// failed judges a poll that went wrong. One bad poll says nothing about the job; a refusal does, and so do many.
func (w *wait) failed(err error, now time.Time) verdict {
	since := now.Sub(w.started)
	if w.errs == 0 {
		w.errsSince = since - w.roundTrip
	}
	w.pollErr = err
	w.errs++
	early := w.created && since < notFoundGrace
	if errors.Is(err, ErrNotFound) && !early || isForbidden(err) ||
		w.errs >= w.config.maxPollErrors || since-w.errsSince >= errorGrace {
		return verdict{over: true, err: w.end(now, err)}
	}
	return verdict{}
}

func isForbidden(err error) bool {
	e, ok := errors.AsType[*APIError](err)
	return ok && (e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden)
}

// polled judges a poll. What is left of a broken reply may lack what matters, such as the reason of a failure, so it counts
// as no snapshot; and a poll that waits for its turn too long says nothing at all.
func (w *wait) polled(job *Job, err error, now time.Time) verdict {
	switch {
	case errors.Is(err, transport.ErrQueue):
		w.polls--
		return verdict{}
	case err != nil:
		return w.failed(err, now)
	case job.broken:
		return w.failed(fmt.Errorf("creatify: GET %s: the reply is broken JSON", jobPath(w.id)), now)
	}
	return w.saw(job, now)
}

// end makes the error of a wait that ends before its job.
func (w *wait) end(now time.Time, reason error) error {
	return &WaitError{w.id, w.last, w.pollErr, w.polls, now.Sub(w.started), reason}
}

// seen is what the job's end, at a poll at the given time, tells about durations. It tells nothing when this wait has not
// seen the job before its end.
func (w *wait) seen(now time.Time) (schedule.Seen, bool) {
	age := now.Sub(w.born)
	return schedule.Seen{After: w.lastAge, By: age}, w.lastAge >= 0 && age > w.lastAge
}

// delay says how long after now the next poll comes, and whether there is one before the deadline: if not, the delay is
// the time that is left.
func (w *wait) delay(durations *durations, now, deadline time.Time) (time.Duration, bool) {
	var delay time.Duration
	if w.config.schedule != nil {
		delay = max(w.config.schedule(now.Sub(w.started), w.polls), fastestSchedule)
	} else {
		plan := durations.plan(w.key, w.config.lagCost)
		delay = schedule.Jitter(plan.Next(now.Sub(w.born), w.forecast), w.draw())
		if w.done >= 0 && w.kind == KindPreview {
			delay = min(delay, settling)
		}
		if w.config.stallTimeout > 0 {
			delay = min(delay, max(w.moved+w.config.stallTimeout-now.Sub(w.started), schedule.Floor))
		}
	}
	if w.errs > 0 {
		// Jobs that failed to be read together are not to be read together again.
		spread := func(from, to time.Duration) time.Duration { return from + time.Duration(w.draw()*float64(to-from)) }
		retry := min(slowestRetry, schedule.Floor<<min(w.errs, 10))
		delay = min(delay, spread(retry/2, retry))
		if e, ok := errors.AsType[*APIError](w.pollErr); ok {
			after := min(e.RetryAfter, maxRetryAfter)
			delay = max(delay, spread(after, after+after/4))
		}
	}
	return schedule.Fit(delay, deadline.Sub(now), w.roundTrip)
}

// draw returns a number from [0, 1) that differs from job to job and from poll to poll, and is the same in every run.
func (w *wait) draw() float64 {
	h := fnv.New64a()
	h.Write([]byte(w.id))
	return float64(rand.NewPCG(h.Sum64(), uint64(w.polls)).Uint64()>>11) / (1 << 53)
}

// follow polls a job to its end. With created, the job was made just now, and this is its first snapshot. It ends early,
// with neither job nor error, when yield returns false for a snapshot.
func (s *JobsService) follow(ctx context.Context, w *wait, created *Job, yield func(*Job) bool) (*Job, error) {
	timed, cancel := context.WithTimeout(ctx, w.config.maxWait)
	defer cancel()
	deadline, _ := timed.Deadline()

	var v verdict
	job, answered := created, true
	if created != nil && !created.broken {
		v = w.saw(created, w.started)
	} else {
		job, v, answered = s.poll(timed, w)
	}
	for {
		if !answered {
			return nil, w.timeUp(ctx)
		}
		if v.changed && w.config.onUpdate != nil {
			w.config.onUpdate(job.clone())
		}
		if v.changed && v.err == nil && yield != nil && !yield(job) {
			return nil, nil
		}
		if v.over && v.err != nil {
			return nil, v.err
		} else if v.over {
			return job, nil
		}
		delay, more := w.delay(&s.api.durations, time.Now(), deadline)
		if !sleep(timed, delay) || !more {
			<-timed.Done()
			return nil, w.timeUp(ctx)
		}
		job, v, answered = s.poll(timed, w)
	}
}

// poll polls once. It is not answered when its context has ended it.
func (s *JobsService) poll(ctx context.Context, w *wait) (job *Job, v verdict, answered bool) {
	asked := time.Now()
	w.polls++
	job, err := s.read(ctx, w.id, true)
	if err != nil && ctx.Err() != nil {
		return nil, verdict{}, false
	}
	now := time.Now()
	w.roundTrip = now.Sub(asked)
	v = w.polled(job, err, now)
	if _, early := errors.AsType[*WaitError](v.err); v.over && !early {
		if seen, ok := w.seen(now); ok {
			s.api.durations.add(w.key, seen)
		}
	}
	return job, v, true
}

// timeUp makes the error of a wait that its context has ended, or its own time limit.
func (w *wait) timeUp(ctx context.Context) error {
	if ctx.Err() != nil {
		return w.end(time.Now(), transport.ContextError(ctx))
	}
	return w.end(time.Now(), ErrWaitTimeout)
}

// sleep returns false when the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
