package durable

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime/debug"
	"strings"
	"time"

	"github.com/riverqueue/river"

	creatify "github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/internal/wait"
)

// newWait returns the state of a new wait, and when its first poll is due.
func (q *Queue) newWait(r *row, job *creatify.Job) (state []byte, due time.Time, err error) {
	pending := creatify.NewPendingJob(job, r.Params)
	pending.Kind, pending.Key, pending.Deadline = r.Kind.waits(), r.ID, time.Now().Add(r.MaxWait)
	if r.Kind == Render { // its job was created for the preview
		pending.Started = r.Sent
	}
	poller, err := q.client.Load().Jobs.NewPoller(pending, q.options.Wait...)
	if err != nil {
		return nil, time.Now(), err
	}
	state, err = json.Marshal(poller)
	return state, poller.Next(), err
}

// resumeWait returns the poller of a stored wait.
func (q *Queue) resumeWait(r *row) (*creatify.Poller, error) {
	jobs := q.client.Load().Jobs
	if len(r.wait) == 0 {
		return jobs.NewPoller(creatify.PendingJob{ID: r.JobID, Kind: r.Kind.waits(), Key: r.ID, Started: r.Sent,
			Deadline: r.Sent.Add(r.MaxWait)}, q.options.Wait...)
	}
	return jobs.ResumePoller(r.wait, q.options.Wait...)
}

// waiter makes the polls.
type waiter struct {
	river.WorkerDefaults[waitArgs]
	queue *Queue
	run   context.Context
}

// Work makes one poll and snoozes until the next. It returns nil only if nothing is left to wait for, since
// that completes the River job.
func (w *waiter) Work(ctx context.Context, job *river.Job[waitArgs]) error {
	q := w.queue
	r, err := q.get(ctx, q.db, job.Args.Order)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case r.State != StateWaiting || r.epoch != job.Args.Epoch:
		return nil
	}
	poller, err := q.resumeWait(r)
	if err != nil {
		return q.finish(ctx, r, nil, err)
	}
	again, err := q.poll(ctx, w.run, r, poller)
	if err != nil {
		return err
	}
	if again < 0 {
		return nil
	}
	return river.JobSnooze(again)
}

// poll makes one poll. It returns the time until the next one, negative if the wait is over.
func (q *Queue) poll(ctx, run context.Context, r *row, poller *creatify.Poller) (again time.Duration, err error) {
	turn, cancel := context.WithTimeout(run, q.timing.pollTurn)
	defer cancel()
	if q.turn(turn) != nil {
		return jitter(time.Second), nil
	}
	over := poller.Poll(context.WithValue(withSlot(ctx), wait.ObserverKey{}, wait.Observer(q.observe)))
	q.timing.point("polled", r)
	if ctx.Err() != nil {
		return 0, nil
	}
	if over {
		q.timing.point("seen", r)
		job, err := poller.Result()
		if err := q.finish(ctx, r, job, err); err != nil {
			return 0, err
		}
		return -1, nil
	}
	state, err := json.Marshal(poller)
	if err != nil {
		return 0, err
	}
	return q.save(ctx, r, state, poller.Next())
}

// save writes a wait's state unless somebody else has written it meanwhile. It returns the time until the
// next poll.
func (q *Queue) save(ctx context.Context, r *row, state []byte, next time.Time) (again time.Duration, err error) {
	saved, err := q.exec(ctx, q.db, sqlSaveWait, r.ID, r.version, string(state), toMicros(next))
	if err != nil {
		return 0, err
	}
	if saved == 0 {
		return q.timing.lostSwap, nil
	}
	return max(time.Until(next), 0), nil
}

// turn waits for the brake and for a slot of the rate.
func (q *Queue) turn(ctx context.Context) error {
	for {
		q.mu.Lock()
		now := time.Now()
		wait := q.brake.Next().Sub(now)
		if wait <= 0 {
			q.brake.Started(now, max(q.waiting, 1))
		}
		q.mu.Unlock()
		if wait <= 0 {
			return q.slots.Wait(ctx)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// observe reports a poll to the brake. A refusal of the key ends no order: all orders share it, and it can be
// replaced.
func (q *Queue) observe(jobID string, o wait.Observation, err error) wait.Observation {
	now := time.Now()
	if err == nil {
		if outage := q.brake.Good(now); outage > 0 {
			q.log.Info("creatify: polls succeed again", "outage", outage)
		}
		return o
	}
	if _, outage := q.brake.Failed(maphash.String(q.seed, jobID), o, now.Add(-o.Took), now); outage {
		q.log.Warn("creatify: polls fail together and are slowed down", "reason", creatify.Reason(err))
	}
	if o.Class == wait.Unauthorized {
		o.Class = wait.Bad
	}
	return o
}

// finish records the end of a wait.
func (q *Queue) finish(ctx context.Context, r *row, job *creatify.Job, cause error) error {
	err := q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error { return q.finishTx(ctx, tx, r, job, cause) })
	if _, broken := errors.AsType[*onEndError](err); broken {
		q.log.ErrorContext(ctx, "creatify: OnEnd failed; it will be called again", "order", r.ID, "error", err)
		again, err := q.save(ctx, r, r.wait, time.Now().Add(q.timing.afterFail))
		return cmp.Or(err, river.JobSnooze(again))
	}
	if errors.Is(err, errSwapLost) {
		return river.JobSnooze(q.timing.lostSwap)
	}
	if err == nil {
		q.timing.point("ended", r)
	}
	return err
}

var errSwapLost = errors.New("somebody else has written meanwhile")

func (q *Queue) finishTx(ctx context.Context, tx *sql.Tx, r *row, job *creatify.Job, cause error) (err error) {
	to, reason := StateDone, ""
	failed, ended := errors.AsType[*creatify.JobError](cause)
	switch {
	case ended:
		job, to, reason = failed.Job, StateFailed, creatify.Reason(cause)
		if errors.Is(cause, creatify.ErrJobRejected) {
			to = StateRejected
		}
		if job != nil && job.FailedReason != "" {
			reason = clip(job.FailedReason)
		}
	case cause != nil:
		to, reason = StateExpired, creatify.Reason(cause)
	}
	var now *row
	spent := 0.0
	if to == StateExpired {
		now, err = q.move(ctx, tx, expire, r.ID, r.version, reason)
	} else {
		if spent, err = q.overspent(ctx, tx, r, job); err != nil {
			return err
		}
		now, err = q.move(ctx, tx, end, r.ID, string(to), r.version, reason, spent)
	}
	if err != nil {
		return err
	}
	if now == nil {
		return errSwapLost
	}
	if job != nil {
		stored, err := json.Marshal(job)
		if err != nil {
			return err
		}
		if _, err := q.exec(ctx, tx, sqlSetJob, r.ID, string(stored)); err != nil {
			return err
		}
	}
	if err := q.note(ctx, tx, r.ID, "", string(to), reason); err != nil {
		return err
	}
	if err := q.tell(ctx, tx, now); err != nil {
		return err
	}
	return q.giveBack(ctx, tx, -spent)
}

// overspent returns what a job used beyond its estimate; negative if it used less. A job without credits
// keeps the estimate. The credits of a rendered job include those of its preview.
func (q *Queue) overspent(ctx context.Context, tx *sql.Tx, r *row, job *creatify.Job) (float64, error) {
	if job == nil {
		return 0, nil
	}
	used := job.CreditsUsed
	if r.Kind == Render {
		of, err := q.get(ctx, tx, r.Of)
		if err != nil {
			return 0, err
		}
		used -= of.estimate
	}
	if used <= 0 {
		return 0, nil
	}
	return used - r.estimate, nil
}

// tell calls OnEnd with the whole order.
func (q *Queue) tell(ctx context.Context, tx *sql.Tx, r *row) error {
	if q.options.OnEnd == nil {
		return nil
	}
	if err := q.load(ctx, tx, r); err != nil {
		return err
	}
	return q.callOnEnd(ctx, tx, &r.Order)
}

// callOnEnd returns a panic as an error, so that an order whose end is known does not become unknown.
func (q *Queue) callOnEnd(ctx context.Context, tx *sql.Tx, order *Order) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &onEndError{fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	if err := q.options.OnEnd(ctx, tx, order); err != nil {
		return &onEndError{err}
	}
	return nil
}

// onEndError is an error of the caller's OnEnd.
type onEndError struct{ err error }

func (e *onEndError) Error() string { return fmt.Sprintf("durable: OnEnd: %v", e.err) }
func (e *onEndError) Unwrap() error { return e.err }

const longestText = 500 // bytes of a server's text in the database

func oneLine(err error) string { return clip(err.Error()) }

// clip returns a server's text on one line, at most longestText bytes.
func clip(text string) string {
	text = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, text), "")
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "") + "…"
	}
	return text
}
