package durable

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/riverqueue/river/rivertype"
)

const sweepBatch = 200

// sweepUntil sweeps until ctx ends. Every process does that; none needs to be River's leader.
func (q *Queue) sweepUntil(ctx context.Context) {
	defer q.leave(context.WithoutCancel(ctx))
	for wait := q.timing.sweep / 10; sleep(ctx, jitter(wait)) == nil; wait = q.timing.sweep {
		if err := q.sweep(ctx); err != nil && ctx.Err() == nil {
			q.log.ErrorContext(ctx, "creatify: cannot sweep; will try again", "error", err)
		}
	}
}

// sweep repairs what River and dead processes have left behind.
func (q *Queue) sweep(ctx context.Context) error {
	return errors.Join(q.show(ctx), q.setClock(ctx), q.parkStale(ctx), q.reviveLost(ctx), q.forget(ctx), q.countWaiting(ctx), q.probe(ctx))
}

// show records that this process is running.
func (q *Queue) show(ctx context.Context) error {
	_, err := q.exec(ctx, q.db, sqlShow, q.replica)
	return err
}

// setClock corrects times that lie further in the future than they can.
func (q *Queue) setClock(ctx context.Context) error {
	_, err := q.exec(ctx, q.db, sqlClock, micros(2*time.Second+2*q.step()), micros(q.timing.probe))
	return err
}

// leave removes this process from the list, and processes that were killed.
func (q *Queue) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, q.timing.transaction)
	defer cancel()
	_, _ = q.exec(ctx, q.db, sqlGone, q.replica, micros(q.timing.shown())) // it counts as gone by itself, later
}

// countUntil calls OnCounts each CountsEvery until ctx ends.
func (q *Queue) countUntil(ctx context.Context) {
	for wait := time.Duration(0); sleep(ctx, wait) == nil; wait = q.options.CountsEvery {
		counts, err := q.counts(ctx, q.reads)
		switch {
		case err == nil:
			q.options.OnCounts(counts)
		case ctx.Err() == nil:
			q.log.ErrorContext(ctx, "creatify: cannot count the orders; will try again", "error", err)
		}
	}
}

// parkStale parks the calls of processes that have died.
func (q *Queue) parkStale(ctx context.Context) error {
	age := q.timing.held()
	stale := map[string]int64{}
	err := q.each(ctx, q.db, func(rows *sql.Rows) error {
		var id string
		var fence int64
		err := rows.Scan(&id, &fence)
		stale[id] = fence
		return err
	}, sqlStale, micros(age), sweepBatch)
	for id, fence := range stale {
		r, getErr := q.get(ctx, q.db, id)
		if getErr == nil && r.fence == fence {
			getErr = q.parkIf(ctx, r, "interrupted", "its process has died", age)
		}
		err = errors.Join(err, getErr)
	}
	return err
}

// reviveLost inserts a new River job for orders whose River job is missing or late.
func (q *Queue) reviveLost(ctx context.Context) error {
	t := q.timing
	return q.revive(ctx, sqlLost, micros(t.overdue), micros(t.sendTimeout()+t.overdue), sweepBatch, micros(t.rescue+t.overdue))
}

// revive inserts a new River job for the orders that a statement selects. Concurrent sweeps skip them. What
// does not fit into one transaction is left to the next sweep.
func (q *Queue) revive(ctx context.Context, statement string, args ...any) error {
	started := time.Now()
	return q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		ids, err := q.strings(ctx, tx, statement, args...)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if time.Since(started) > q.timing.transaction/2 {
				break
			}
			r, err := scan(q.queryRow(ctx, tx, sqlRevive, id))
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err == nil {
				err = q.enqueue(ctx, tx, r, time.Time{})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// forget deletes the data of finished orders, but not their rows.
func (q *Queue) forget(ctx context.Context) error {
	if q.options.Retention == 0 {
		return nil
	}
	return q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		ids, err := q.strings(ctx, tx, sqlForget, micros(q.options.Retention), sweepBatch)
		for _, id := range ids {
			if err == nil {
				_, err = q.exec(ctx, tx, sqlForgetEvents, id)
			}
		}
		return err
	})
}

func (q *Queue) countWaiting(ctx context.Context) error {
	var n int
	if err := q.queryRow(ctx, q.db, sqlWaiting).Scan(&n); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = n
	return nil
}

// probe sends one order if sending has been paused for long enough. One of all processes does that.
func (q *Queue) probe(ctx context.Context) error {
	var reason string
	err := q.queryRow(ctx, q.db, sqlProbe, micros(q.timing.probe)).Scan(&reason)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var id string
	err = q.queryRow(ctx, q.db, sqlFirst).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return q.resume(ctx)
	}
	if err != nil {
		return err
	}
	r, err := q.get(ctx, q.db, id)
	if err != nil {
		return err
	}
	call, cancel := q.outlive(ctx)
	defer cancel()
	err = q.send(call, ctx, sendArgs{id, r.epoch}, true)
	if _, snoozed := errors.AsType[*rivertype.JobSnoozeError](err); snoozed {
		return nil
	}
	return err
}

// outlive returns a context that ends some time after ctx, when River cancels its own jobs.
func (q *Queue) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	call, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		_ = sleep(call, q.timing.softStop)
		cancel()
	})
	return call, func() { stop(); cancel() }
}
