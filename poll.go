package creatify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/creatify-community/creatify-go/internal/schedule"
	"github.com/creatify-community/creatify-go/internal/transport"
)

// WaitOption sets how a wait goes.
type WaitOption func(*waitConfig)

type waitConfig struct {
	maxWait       time.Duration
	stallTimeout  time.Duration // 0 is off
	maxPollErrors int
	onCreated     func(*Job)
	onUpdate      func(*Job)
	problems      []Problem
}

func (c *waitConfig) refuse(option, format string, args ...any) {
	c.problems = append(c.problems, Problem{option, fmt.Sprintf(format, args...)})
}

func waitOptions(opts []WaitOption) (waitConfig, []Problem) {
	c := waitConfig{maxWait: 30 * time.Minute, maxPollErrors: 10}
	for i, opt := range opts {
		if opt == nil {
			c.refuse(fmt.Sprintf("wait option %d", i+1), "is nil")
			continue
		}
		opt(&c)
	}
	return c, c.problems
}

// WithMaxWait bounds the wait, which ends with [ErrWaitTimeout] then. The default is 30 minutes. A context with an earlier
// deadline wins.
func WithMaxWait(d time.Duration) WaitOption {
	return func(c *waitConfig) {
		if d <= 0 {
			c.refuse("WithMaxWait", "must be above zero, not %v", d)
		}
		c.maxWait = d
	}
}

// WithStallTimeout ends the wait with [ErrStalled] when neither status nor progress has moved for so long. By default
// nothing but [WithMaxWait] ends the wait for a job that stands still.
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
	// outputGrace is how long a job may be done without the URL that is waited for.
	outputGrace = time.Minute
	// notFoundGrace is how long a job that was just created may be unknown to the server that is asked for it.
	notFoundGrace = 15 * time.Second
	// errorGrace is how long polls may go wrong without one that goes well.
	errorGrace = 5 * time.Minute
	// maxRetryAfter is the longest wait that a poll's reply is granted.
	maxRetryAfter = time.Minute
)

// waitState is what one wait has seen so far, and the one place that says what it means. It has no clock and does no I/O
// but the caller's WithOnUpdate.
type waitState struct {
	options waitConfig
	id      string
	started time.Time
	created bool // by this very wait, so that its first polls may come too early

	polls     int
	roundTrip time.Duration // of the latest poll
	last      *Job
	moved     time.Time // when status or progress last changed
	done      time.Time // since when it is done without output; zero if it is not
	pollErr   error     // of the latest poll
	errs      int       // in a row
	errsSince time.Time
}

// saw takes in a snapshot. It says whether the wait is over: with the snapshot as its result, or with the error.
func (w *waitState) saw(job *Job, now time.Time) (over bool, err error) {
	w.pollErr, w.errs = nil, 0
	if w.last == nil || w.last.Status != job.Status || w.last.Progress != job.Progress {
		w.moved = now
	}
	if w.options.onUpdate != nil && (w.last == nil || !job.sameAs(w.last)) {
		w.options.onUpdate(new(*job))
	}
	w.last = job
	switch {
	case job.Status == StatusFailed || job.Status == StatusRejected:
		return true, &JobError{job}
	case job.Status == StatusDone && job.Preview != "":
		return true, nil
	case job.Status != StatusDone:
		w.done = time.Time{}
	case w.done.IsZero():
		w.done = now
	case now.Sub(w.done) >= outputGrace:
		return true, w.end(now, ErrNoOutput)
	}
	if w.options.stallTimeout > 0 && now.Sub(w.moved) >= w.options.stallTimeout {
		return true, w.end(now, ErrStalled)
	}
	return false, nil
}

// failed takes in a poll that went wrong. One bad poll says nothing about the job; a refusal does, and so do many.
func (w *waitState) failed(err error, now time.Time) (over bool, _ error) {
	if w.errs == 0 {
		w.errsSince = now
	}
	w.pollErr = err
	w.errs++
	early := w.created && now.Sub(w.started) < notFoundGrace
	switch {
	case errors.Is(err, ErrNotFound) && !early, isForbidden(err),
		w.errs >= w.options.maxPollErrors, now.Sub(w.errsSince) >= errorGrace:
		return true, w.end(now, err)
	}
	return false, nil
}

func isForbidden(err error) bool {
	e, ok := errors.AsType[*APIError](err)
	return ok && (e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden)
}

// end makes the error of a wait that ends before its job.
func (w *waitState) end(now time.Time, reason error) error {
	return &WaitError{w.id, w.last, w.pollErr, w.polls, now.Sub(w.started), reason}
}

// delay says how long after now the next poll comes, and whether there is one before the deadline: if not, the delay is
// the time that is left.
func (w *waitState) delay(now, deadline time.Time) (time.Duration, bool) {
	delay := schedule.Jitter(schedule.Interval(now.Sub(w.started)), rand.Float64())
	if e, ok := errors.AsType[*APIError](w.pollErr); ok {
		delay = max(delay, min(e.RetryAfter, maxRetryAfter))
	}
	return schedule.Fit(delay, deadline.Sub(now), w.roundTrip)
}

// observe takes in one poll.
func (w *waitState) observe(job *Job, err error, now time.Time) (over bool, _ error) {
	w.polls++
	if err != nil {
		return w.failed(err, now)
	}
	return w.saw(job, now)
}

// wait polls a job to its end. With created, the job was made just now, and this is its first snapshot.
func (s *JobsService) wait(ctx context.Context, id string, created *Job, options waitConfig) (*Job, error) {
	w := &waitState{options: options, id: id, started: time.Now(), created: created != nil}
	timed, cancel := context.WithTimeout(ctx, options.maxWait)
	defer cancel()
	deadline, _ := timed.Deadline()

	if created != nil {
		if over, err := w.saw(created, w.started); over {
			return result(created, err)
		}
	}
	for {
		if w.last != nil || w.polls > 0 {
			if delay, more := w.delay(time.Now(), deadline); !more || !sleep(timed, delay) {
				<-timed.Done()
				return nil, w.timeUp(ctx)
			}
		}
		asked := time.Now()
		job, err := s.read(timed, id, true)
		now := time.Now()
		w.roundTrip = now.Sub(asked)
		if err != nil && timed.Err() != nil {
			return nil, w.timeUp(ctx)
		}
		w.polls++
		var over bool
		if err != nil {
			over, err = w.failed(err, now)
		} else {
			over, err = w.saw(job, now)
		}
		if over {
			return result(job, err)
		}
	}
}

// result is the job or the error, never both.
func result(job *Job, err error) (*Job, error) {
	if err != nil {
		return nil, err
	}
	return job, nil
}

// timeUp makes the error of a wait that its context has ended, or its own time limit.
func (w *waitState) timeUp(ctx context.Context) error {
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
