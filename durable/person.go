package durable

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	creatify "github.com/creatify-community/creatify-go"
)

// Cancel ends an order that has not been sent, which is then not charged. OnEnd is not called. An order in
// another state is [ErrState].
func (q *Queue) Cancel(ctx context.Context, id string) error {
	return q.decide(ctx, cancel, id, "", "")
}

// Abandon ends an order that is unknown or expired. What it may have cost stays in the budget. OnEnd is not
// called.
func (q *Queue) Abandon(ctx context.Context, id, who string) error {
	return q.decide(ctx, abandon, id, who, "")
}

// Resume ends a pause of the sends: call it when the account has credits again, or an accepted key. Without
// it, one order is tried each minute. If sending is not paused, it changes nothing.
func (q *Queue) Resume(ctx context.Context) error {
	limits, err := q.limits(ctx, q.db)
	if err == nil && limits.paused != "" {
		err = errors.Join(q.resume(ctx), q.revive(ctx, sqlHeld, sweepBatch))
	}
	if err != nil {
		return fmt.Errorf("durable: resume: %w", err)
	}
	return nil
}

// Resend queues an order whose outcome is unknown, to be sent and charged again: first find out that it was
// not charged. While the lost call may still be under way, the error is [ErrTooEarly].
func (q *Queue) Resend(ctx context.Context, id, who string) error {
	return q.decide(ctx, resend, id, who, "", micros(q.timing.under()+q.timing.slack))
}

// Resolve continues an unknown order with the job that was found for it, or an expired order with its own job
// if jobID is empty. It reads the job, which is free; a job that the API does not know is
// [creatify.ErrNotFound].
func (q *Queue) Resolve(ctx context.Context, id, jobID, who string) error {
	if err := q.resolve(ctx, id, jobID, who); err != nil {
		return fmt.Errorf("durable: resolve %q: %w", id, err)
	}
	return nil
}

func (q *Queue) resolve(ctx context.Context, id, jobID, who string) error {
	r, err := q.get(ctx, q.db, id)
	if err != nil {
		return err
	}
	if jobID == "" {
		jobID = r.JobID
	}
	if r.State != StateUnknown && r.State != StateExpired {
		return fmt.Errorf("%w: it is %s", ErrState, r.State)
	}
	if r.JobID != "" && r.JobID != jobID {
		return fmt.Errorf("%w: its job is %s", ErrConflict, r.JobID)
	}
	job, err := q.client.Load().Jobs.Get(ctx, jobID)
	if err != nil {
		return err
	}
	if err := q.unclaimed(ctx, r, job.ID); err != nil {
		return err
	}
	return q.adopt(ctx, resolve, r, job, who)
}

// unclaimed returns an error if another order of the same kind has the job.
func (q *Queue) unclaimed(ctx context.Context, r *row, jobID string) error {
	others, err := q.strings(ctx, q.db, sqlByJob, jobID)
	if err != nil {
		return err
	}
	for _, id := range others {
		other, err := q.get(ctx, q.db, id)
		if err != nil {
			return err
		}
		if other.ID != r.ID && other.Kind.waits() == r.Kind.waits() {
			return fmt.Errorf("%w: order %q has the job", ErrConflict, other.ID)
		}
	}
	return nil
}

// adopt makes an order wait for a job that was found for it.
func (q *Queue) adopt(ctx context.Context, t transition, r *row, job *creatify.Job, who string) error {
	state, due, err := q.newWait(r, job)
	if err != nil {
		return err
	}
	return q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now, err := q.move(ctx, tx, t, r.ID, job.ID, string(state), toMicros(due), r.fence)
		if err != nil {
			return err
		}
		if now == nil {
			return fmt.Errorf("%w: it has changed meanwhile", ErrState)
		}
		if err := q.enqueue(ctx, tx, now, time.Time{}); err != nil {
			return err
		}
		return q.note(ctx, tx, r.ID, who, t.name, "job "+job.ID)
	})
}

// decide makes a transition that a person has decided.
func (q *Queue) decide(ctx context.Context, t transition, id, who, detail string, args ...any) error {
	err := q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		r, err := q.move(ctx, tx, t, id, args...)
		if err != nil {
			return err
		}
		if r == nil {
			return q.whyNot(ctx, tx, t, id)
		}
		if r.State == StateQueued {
			if err := q.enqueue(ctx, tx, r, time.Time{}); err != nil {
				return err
			}
		}
		return q.note(ctx, tx, id, who, t.name, detail)
	})
	if err != nil {
		return fmt.Errorf("durable: %s %q: %w", t.name, id, err)
	}
	return nil
}

func (q *Queue) whyNot(ctx context.Context, tx *sql.Tx, t transition, id string) error {
	r, err := q.get(ctx, tx, id)
	switch {
	case err != nil:
		return err
	case t.name == resend.name && r.State == StateUnknown:
		return fmt.Errorf("%w (try again %s after it was sent, at %s)", ErrTooEarly, q.timing.under()+q.timing.slack,
			r.Sent.Format(time.RFC3339))
	}
	return fmt.Errorf("%w: it is %s", ErrState, r.State)
}

// Quarantine makes orders unknown that show as not sent and were submitted since a time, and returns how
// many: after a restore from a backup, or a failover that lost commits, they may have been sent. A zero time
// means all.
func (q *Queue) Quarantine(ctx context.Context, since time.Time) (n int, err error) {
	ids, err := q.strings(ctx, q.db, sqlSince, toMicros(since))
	for _, id := range ids {
		err = errors.Join(err, q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
			r, err := q.move(ctx, tx, quarantine, id, toMicros(since))
			if err != nil || r == nil {
				return err
			}
			n++
			return q.note(ctx, tx, id, "", quarantine.name, "")
		}))
	}
	if err != nil {
		return n, fmt.Errorf("durable: quarantine: %w", err)
	}
	return n, nil
}
