package durable

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	creatify "github.com/creatify-community/creatify-go"
)

// A River job names the order to look at. The order's state tells what to do.
type (
	sendArgs struct {
		Order string `json:"order"`
		Epoch int64  `json:"epoch"`
	}
	waitArgs struct {
		Order string `json:"order"`
		Epoch int64  `json:"epoch"`
	}
)

func (sendArgs) Kind() string { return "creatify_send" }
func (waitArgs) Kind() string { return "creatify_wait" }

// live are the states of a River job that is still to run. River's default includes completed jobs, and would
// skip an insert silently.
var live = []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
	rivertype.JobStateRunning, rivertype.JobStateScheduled}

// enqueue inserts the River job for the order's epoch. A zero time is now.
func (q *Queue) enqueue(ctx context.Context, tx *sql.Tx, r *row, at time.Time) error {
	options := &river.InsertOpts{Queue: waitQueue, MaxAttempts: maxAttempts, ScheduledAt: at,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: live}}
	var args river.JobArgs = waitArgs{r.ID, r.epoch}
	if r.State == StateQueued {
		args, options.Queue, options.Priority = sendArgs{r.ID, r.epoch}, sendQueue, r.Priority
	}
	if !at.After(time.Now()) {
		options.ScheduledAt = time.Time{}
	}
	inserted, err := q.insert.InsertTx(ctx, tx, args, options)
	if err != nil {
		return err
	}
	_, err = q.exec(ctx, tx, sqlSetRiver, r.ID, inserted.Job.ID)
	return err
}

// sender makes the paid calls.
type sender struct {
	river.WorkerDefaults[sendArgs]
	queue *Queue
	run   context.Context // ends before the River job's context: nothing is claimed afterwards
}

func (s *sender) Timeout(*river.Job[sendArgs]) time.Duration { return s.queue.timing.sendTimeout() }

func (s *sender) Work(ctx context.Context, job *river.Job[sendArgs]) error {
	return s.queue.send(ctx, s.run, job.Args, false)
}

// send takes an order from queued to the outcome of its call. A probe ignores a pause.
func (q *Queue) send(ctx, run context.Context, args sendArgs, probe bool) error {
	r, err := q.get(ctx, q.db, args.Order)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case r.epoch != args.Epoch:
		return nil
	case r.State == StateSending: // by a process that has died, or may have
		return q.lose(ctx, r)
	case r.State != StateQueued:
		return nil
	}
	if err := q.load(ctx, q.db, r); err != nil {
		return err
	}
	estimate, err := q.estimate(ctx, r)
	if err != nil {
		return err
	}
	begun, claimed, err := q.claim(ctx, run, r, estimate, probe)
	if err != nil || claimed == nil {
		return err
	}
	claimed.Params = r.Params
	q.timing.point("claimed", claimed)
	job, err := q.call(ctx, claimed, begun)
	q.timing.point("answered", claimed)
	return q.outcome(context.WithoutCancel(ctx), claimed, job, err)
}

// estimate returns the credits that an order may cost. A render is priced by the model of its preview.
func (q *Queue) estimate(ctx context.Context, r *row) (float64, error) {
	model := r.Params.ModelVersion
	if r.Kind == Render {
		of, err := q.get(ctx, q.db, r.Of)
		if err == nil {
			err = q.load(ctx, q.db, of)
		}
		if err != nil {
			return 0, err
		}
		model = of.Params.ModelVersion
	}
	credits, _ := creatify.EstimateCredits(creatify.Operation(r.Kind), model, 30*time.Second)
	return credits, nil
}

// claim waits for a slot and moves the order to sending. It returns nil if another process was faster. It
// snoozes if the slot does not come in time, or if the process stops.
func (q *Queue) claim(ctx, run context.Context, r *row, estimate float64, probe bool) (begun time.Time, claimed *row, err error) {
	for last := time.Now().Add(q.timing.block); ; {
		wait, err := q.admit(ctx, estimate, probe)
		switch {
		case errors.Is(err, errBudget):
			return begun, nil, errors.Join(q.pause(ctx, creatify.Reason(err)), river.JobSnooze(q.timing.probe))
		case errors.Is(err, errPaused): // River's queue is to be paused as well
			return begun, nil, errors.Join(q.pauseRiver(ctx), river.JobSnooze(pausedSnooze))
		case err != nil:
			return begun, nil, err
		}
		if wait == 0 && run.Err() == nil {
			begun = time.Now().Round(0) // by the wall clock, which counts while the machine is suspended
			claimed, err = q.tryClaim(ctx, r, estimate, probe)
			if !errors.Is(err, errNoSlot) && !errors.Is(err, errBusy) {
				return begun, claimed, err
			}
			wait = 20 * time.Millisecond
		}
		if time.Now().Add(wait).After(last) {
			return begun, nil, river.JobSnooze(min(wait, q.timing.sweep)) // a wrong clock is corrected by then
		}
		if sleep(run, jitter(wait)) != nil {
			return begun, nil, river.JobSnooze(0)
		}
	}
}

// pausedSnooze is short: River's queue is paused meanwhile, and afterwards the order should be sent at once.
const pausedSnooze = 5 * time.Second

// tryClaim commits the claim. If the response to the commit is lost, it looks for the claim by its token.
func (q *Queue) tryClaim(ctx context.Context, r *row, estimate float64, probe bool) (claimed *row, err error) {
	token, committing := newToken(), false
	err = q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if q.options.Dialect == Postgres { // whatever the role's setting: this commit must survive
			if _, err := tx.ExecContext(ctx, "SET LOCAL synchronous_commit = on"); err != nil {
				return err
			}
		}
		claimed, err = q.move(ctx, tx, claim, r.ID, r.epoch, token, estimate)
		if err != nil || claimed == nil {
			return err
		}
		if err := q.spend(ctx, tx, estimate, probe); err != nil {
			return err
		}
		committing = true
		q.timing.point("committing", claimed)
		return nil
	})
	switch {
	case err == nil:
		return claimed, nil
	case !committing:
		return nil, err
	}
	q.log.WarnContext(ctx, "creatify: the answer to a claim's commit was lost", "order", r.ID, "error", err)
	return q.findClaim(ctx, r.ID, token)
}

// findClaim looks for a claim by its token until the database answers. Without certainty nothing is sent. The
// lock waits for a commit that is still under way.
func (q *Queue) findClaim(ctx context.Context, id, token string) (r *row, err error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err = q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
			r, err = q.getBy(ctx, tx, sqlGetLocked, id)
			return err
		})
		switch {
		case err == nil && r.token == token && r.State == StateSending:
			return r, nil
		case err == nil:
			return nil, river.JobSnooze(time.Second) // not claimed, or taken for dead
		case sleep(ctx, pause) != nil:
			return nil, err
		}
	}
}

// call makes the paid call of a claim. Its time limit counts from the claim, as it does for other processes.
func (q *Queue) call(ctx context.Context, r *row, begun time.Time) (*creatify.Job, error) {
	if took := time.Now().Round(0).Sub(begun); took > q.timing.late() || took < 0 {
		return nil, fmt.Errorf("%w: the claim took %s", errLate, took)
	}
	ctx, cancel := context.WithDeadline(withSlot(ctx), time.Now().Add(q.timing.call-time.Since(begun)))
	defer cancel()
	jobs := q.client.Load().paid.Jobs
	if r.Kind == Render {
		return jobs.Render(ctx, r.JobID)
	}
	params := r.Params
	if q.options.Webhook != (Webhook{}) {
		url, err := q.options.webhookURL(r.reference)
		if err != nil {
			return nil, err
		}
		params.WebhookURL = url
	}
	if r.Kind == Video {
		return jobs.CreateVideo(ctx, params)
	}
	return jobs.CreatePreview(ctx, params)
}

var errLate = errors.New("durable: not sent")

// notSent is creatify.Reason's word for a call that never left.
const notSent = "not_sent"

// outcome records the result of a call, however long the database is away.
func (q *Queue) outcome(ctx context.Context, r *row, job *creatify.Job, err error) error {
	if job == nil {
		job = jobOf(r, err)
	}
	reason := creatify.Reason(err)
	switch {
	case job != nil:
		q.recordJob(ctx, r, job)
		return q.resumed(ctx, r)
	case errors.Is(err, errLate):
		q.requeue(ctx, r, notSent, time.Second)
	case creatify.Charged(err) != creatify.ChargedNo:
		q.park(ctx, r, reason, err)
	case errors.Is(err, creatify.ErrInsufficientCredits), errors.Is(err, creatify.ErrUnauthorized),
		errors.Is(err, creatify.ErrBudgetExceeded):
		q.insist(ctx, r, "pause", func(ctx context.Context) error { return q.pause(ctx, reason) })
		q.requeue(ctx, r, reason, 0)
	case errors.Is(err, creatify.ErrRateLimited):
		q.requeue(ctx, r, reason, max(retryAfter(err), 5*time.Second))
	case reason != notSent && isRefused(err): // isRefused is also true if a budget's read of the job was refused
		q.refuse(ctx, r, reason, err)
		return q.resumed(ctx, r)
	default: // not sent
		q.requeue(ctx, r, reason, min(time.Second<<min(r.fence, 6), time.Minute))
	}
	return nil
}

// resumed ends a pause, since the API has accepted the account. A call that was claimed before the pause does
// not show that.
func (q *Queue) resumed(ctx context.Context, r *row) error {
	ctx, cancel := context.WithTimeout(ctx, q.timing.transaction)
	defer cancel()
	limits, err := q.limits(ctx, q.db)
	if err != nil || limits.paused == "" || !r.Sent.After(limits.pausedAt) {
		return err
	}
	return q.resume(ctx)
}

// jobOf returns the job that an error shows to exist. A Render's job exists in any case.
func jobOf(r *row, err error) *creatify.Job {
	if failed, ok := errors.AsType[*creatify.JobError](err); ok && failed.Job != nil {
		return failed.Job
	}
	if unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err); ok && unknown.JobID != "" && r.Kind != Render {
		return &creatify.Job{ID: unknown.JobID}
	}
	return nil
}

func isRefused(err error) bool {
	if errors.Is(err, creatify.ErrInvalidParams) {
		return true
	}
	_, answered := errors.AsType[*creatify.APIError](err)
	return answered
}

func retryAfter(err error) time.Duration {
	if refusal, ok := errors.AsType[*creatify.APIError](err); ok {
		return refusal.RetryAfter
	}
	return 0
}

// insist tries f until it succeeds: this process alone knows what it writes. Each try has the time of a
// transaction.
func (q *Queue) insist(ctx context.Context, r *row, what string, f func(ctx context.Context) error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := f(ctx)
		if err == nil {
			return
		}
		if errors.Is(err, ErrNotFound) {
			q.log.ErrorContext(ctx, "creatify: an order was deleted while its call was under way", "order", r.ID, "outcome", what)
			return
		}
		q.log.ErrorContext(ctx, "creatify: cannot record the outcome of a call; will try again", "order", r.ID, "fence", r.fence,
			"outcome", what, "error", err)
		_ = sleep(ctx, pause)
	}
}

// recordJob records a job's ID.
func (q *Queue) recordJob(ctx context.Context, r *row, job *creatify.Job) {
	state, due, err := q.newWait(r, job)
	if err != nil { // the waiter reports it
		q.log.ErrorContext(ctx, "creatify: cannot wait for a job", "order", r.ID, "job", job.ID, "error", err)
	}
	q.insist(ctx, r, "job "+job.ID, func(ctx context.Context) error {
		return q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
			now, err := q.move(ctx, tx, record, r.ID, r.fence, r.token, job.ID, string(state), toMicros(due))
			if err != nil {
				return err
			}
			if now == nil {
				return q.recordLate(ctx, tx, r, job.ID)
			}
			if err := q.enqueue(ctx, tx, now, due); err != nil {
				return err
			}
			return q.note(ctx, tx, r.ID, "", record.name, "job "+job.ID)
		})
	})
	q.timing.point("recorded", r)
}

// recordLate records a job ID for an order that does not wait for it: it has the ID already, or it was sent
// again or abandoned. All calls of a render have the ID of its preview's job.
func (q *Queue) recordLate(ctx context.Context, tx *sql.Tx, r *row, jobID string) error {
	now, err := q.getBy(ctx, tx, sqlGetLocked, r.ID)
	if err != nil {
		return err
	}
	if now.JobID == jobID && (r.Kind != Render || now.token == r.token) {
		return nil
	}
	detail := "charged for job " + jobID + " as well"
	if r.Kind == Render {
		detail += fmt.Sprintf(", by call %d", r.fence)
	}
	if got, err := q.exec(ctx, tx, sqlExtra, r.ID, detail); err != nil || got == 0 {
		return err
	}
	return q.note(ctx, tx, r.ID, "", "extra", detail)
}

func (q *Queue) requeue(ctx context.Context, r *row, reason string, delay time.Duration) {
	q.insist(ctx, r, reason, func(ctx context.Context) error {
		due := time.Now().Add(delay)
		return q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
			now, err := q.move(ctx, tx, requeue, r.ID, r.fence, r.token, reason, toMicros(due))
			if err != nil || now == nil {
				return err
			}
			if err := q.enqueue(ctx, tx, now, due); err != nil {
				return err
			}
			if err := q.note(ctx, tx, r.ID, "", requeue.name, reason); err != nil {
				return err
			}
			return q.giveBack(ctx, tx, r.estimate)
		})
	})
	q.timing.point("requeued", r)
}

func (q *Queue) giveBack(ctx context.Context, tx *sql.Tx, credits float64) error {
	if credits == 0 {
		return nil
	}
	_, err := q.exec(ctx, tx, sqlSpend, -credits)
	return err
}

// refuse ends an order that the API refused. If OnEnd fails, the order is sent again later, to be refused
// again.
func (q *Queue) refuse(ctx context.Context, r *row, reason string, cause error) {
	broken := false
	q.insist(ctx, r, reason, func(ctx context.Context) error {
		err := q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
			now, err := q.move(ctx, tx, refuse, r.ID, r.fence, r.token, oneLine(cause))
			if err != nil || now == nil {
				return err
			}
			if err := q.note(ctx, tx, r.ID, "", refuse.name, oneLine(cause)); err != nil {
				return err
			}
			if err := q.tell(ctx, tx, now); err != nil {
				return err
			}
			return q.giveBack(ctx, tx, r.estimate)
		})
		if _, broken = errors.AsType[*onEndError](err); broken {
			q.log.ErrorContext(ctx, "creatify: OnEnd failed; the order will be tried again", "order", r.ID, "error", err)
			return nil
		}
		return err
	})
	if broken {
		q.requeue(ctx, r, reason, time.Minute)
	}
}

// park makes an order unknown after a call of this process.
func (q *Queue) park(ctx context.Context, r *row, reason string, cause error) {
	q.insist(ctx, r, reason, func(ctx context.Context) error { return q.parkIf(ctx, r, reason, oneLine(cause), 0) })
}

// lose parks the call of a process that has died, once the call cannot be under way any more.
func (q *Queue) lose(ctx context.Context, r *row) error {
	wait := q.timing.held()
	if err := q.parkIf(ctx, r, "interrupted", "its process has died", wait); err != nil {
		return err
	}
	now, err := q.get(ctx, q.db, r.ID)
	if err == nil && now.State == StateSending && now.fence == r.fence {
		return river.JobSnooze(wait / 2)
	}
	return err
}

// parkIf parks a claim that is at least this old. The job of a render is read once the call cannot be under
// way any more.
func (q *Queue) parkIf(ctx context.Context, r *row, reason, detail string, age time.Duration) error {
	return q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now, err := q.move(ctx, tx, park, r.ID, r.fence, r.token, reason, micros(age))
		if err != nil || now == nil {
			return err
		}
		if r.Kind == Render {
			if err := q.look(ctx, tx, r.ID, now.Sent.Add(q.timing.under()+q.timing.slack)); err != nil {
				return err
			}
		}
		return q.note(ctx, tx, r.ID, "", park.name, detail)
	})
}
