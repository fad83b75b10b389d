package durable

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	creatify "github.com/creatify-community/creatify-go"
)

const (
	// slotLife is how long after its time a slot may be used. The pace makes up for it, so that no minute has
	// more than 60 times RequestsPerSecond requests.
	slotLife  = time.Second
	pace      = 62.0 / 60
	pollShare = 0.75
)

// slots schedules the polls of this process. The database shares the API's rate among all processes in blocks
// of slots, each with a time of its own.
type slots struct {
	queue *Queue

	mu      sync.Mutex
	waiting int
	free    []time.Time // in order
	fetch   sync.Mutex  // held while a block is asked for
}

type slotKey struct{}

// withSlot marks the context of a call that has its slot.
func withSlot(ctx context.Context) context.Context { return context.WithValue(ctx, slotKey{}, true) }

// step is the time between two requests; 0 for no limit.
func (q *Queue) step() time.Duration {
	if q.options.RequestsPerSecond == 0 {
		return 0
	}
	return time.Duration(pace / q.options.RequestsPerSecond * float64(time.Second))
}

// Wait blocks until a request may be made. It is the limiter of the client; a call that has a slot does not
// wait.
func (s *slots) Wait(ctx context.Context) error {
	if ctx.Value(slotKey{}) != nil || s.queue.step() == 0 {
		return nil
	}
	s.count(1)
	defer s.count(-1)
	for {
		at, ok := s.take()
		if ok {
			return sleep(ctx, time.Until(at))
		}
		wait, err := s.ask(ctx)
		if err == nil {
			err = sleep(ctx, wait)
		}
		if err != nil {
			return err
		}
	}
}

func (s *slots) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting += n
}

// take returns the next slot that has not expired.
func (s *slots) take() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = slices.DeleteFunc(s.free, func(at time.Time) bool { return time.Since(at) > slotLife })
	if len(s.free) == 0 {
		return time.Time{}, false
	}
	at := s.free[0]
	s.free = s.free[1:]
	return at, true
}

// ask takes a block of slots, at most a second long, for those who wait, and returns how long to wait if
// there is none.
func (s *slots) ask(ctx context.Context) (time.Duration, error) {
	s.fetch.Lock()
	defer s.fetch.Unlock()
	s.mu.Lock()
	n, has := s.waiting, len(s.free) > 0
	s.mu.Unlock()
	if has {
		return 0, nil
	}
	q, step := s.queue, s.queue.step()
	n = max(min(n, int(float64(time.Second)*pollShare/float64(step))), 1)
	long := time.Duration(float64(step) / pollShare)
	got, err := q.exec(ctx, q.db, sqlTakeBlock, micros(step)*int64(n), micros(long)*int64(n))
	if err != nil {
		return 0, fmt.Errorf("durable: take a slot: %w", err)
	}
	if got == 0 {
		limits, err := q.limits(ctx, q.db)
		return jitter(max(limits.polls, 5*time.Millisecond)), err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, now := 0, time.Now(); i < n; i++ {
		s.free = append(s.free, now.Add(time.Duration(i)*step))
	}
	return 0, nil
}

// limits is the row of the database that all processes share.
type limits struct {
	spent       float64
	paused      string
	pausedAt    time.Time
	slot, polls time.Duration // until the next paid call's and the next polls' slot
}

func (q *Queue) limits(ctx context.Context, on querier) (l limits, err error) {
	var pausedAt, slot, polls int64
	err = q.queryRow(ctx, on, sqlLimits).Scan(&l.spent, &l.paused, &pausedAt, &slot, &polls)
	if l.paused != "" {
		l.pausedAt = fromMicros(pausedAt)
	}
	l.slot, l.polls = time.Duration(slot)*time.Microsecond, time.Duration(polls)*time.Microsecond
	return l, err
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// jitter spreads processes that wait for the same moment.
func jitter(d time.Duration) time.Duration { return d + time.Duration(rand.Int64N(int64(d)/4+1)) }

// The reasons why a claim was not made. None is an error of the order.
var (
	errNoSlot = errors.New("no slot of the rate is free")
	errBusy   = errors.New("as many paid calls are under way as may be")
	errPaused = errors.New("sending is paused")
	errBudget = fmt.Errorf("durable: %w", creatify.ErrBudgetExceeded)
)

// spend is the last statement but one of a claim's transaction: it takes what all processes share.
func (q *Queue) spend(ctx context.Context, tx *sql.Tx, estimate float64, probe bool) error {
	got, err := q.exec(ctx, tx, sqlTakeSlot, micros(q.step()), estimate, q.options.Credits, probe)
	if err != nil {
		return err
	}
	if got == 0 {
		return errNoSlot // or another of the reasons; see admit
	}
	var sending int
	if err := q.queryRow(ctx, tx, sqlSending, micros(q.timing.held())).Scan(&sending); err != nil {
		return err
	}
	if sending > q.options.Sends {
		return errBusy
	}
	return nil
}

// admit reports whether a claim may succeed, and how long to wait otherwise. The claim itself decides.
func (q *Queue) admit(ctx context.Context, estimate float64, probe bool) (wait time.Duration, err error) {
	limits, err := q.limits(ctx, q.db)
	switch {
	case err != nil:
		return 0, err
	case limits.paused != "" && !probe:
		return 0, errPaused
	case q.options.Credits > 0 && limits.spent+estimate > q.options.Credits+1e-9:
		return 0, errBudget
	case limits.slot > 0:
		return limits.slot, nil
	}
	var sending int
	if err := q.queryRow(ctx, q.db, sqlSending, micros(q.timing.held())).Scan(&sending); err != nil {
		return 0, err
	}
	if sending >= q.options.Sends {
		return 250 * time.Millisecond, nil
	}
	return 0, nil
}

// pause stops the sends of all processes: the API refuses the account, not the order. River's queue is paused
// in the same transaction; paused separately, it might never be resumed.
func (q *Queue) pause(ctx context.Context, reason string) error {
	err := q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := q.exec(ctx, tx, sqlPause, reason, micros(q.timing.probe)); err != nil {
			return err
		}
		return q.riverQueue(ctx, tx, q.insert.QueuePauseTx)
	})
	if err == nil {
		q.log.WarnContext(ctx, "creatify: sending is paused", "reason", reason)
	}
	return err
}

// pauseRiver pauses River's queue while sending is paused.
func (q *Queue) pauseRiver(ctx context.Context) error {
	return q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if got, err := q.exec(ctx, tx, sqlStillPaused); err != nil || got == 0 {
			return err
		}
		return q.riverQueue(ctx, tx, q.insert.QueuePauseTx)
	})
}

func (q *Queue) resume(ctx context.Context) error {
	got := int64(0)
	err := q.tx(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		if got, err = q.exec(ctx, tx, sqlResume); err != nil || got == 0 {
			return err
		}
		return q.riverQueue(ctx, tx, q.insert.QueueResumeTx)
	})
	if err == nil && got > 0 {
		q.log.InfoContext(ctx, "creatify: sending resumes")
	}
	return err
}

// riverQueue pauses or resumes River's queue of sends. River does not know a queue that no process has worked
// on for a day: that is no error, since claims ask the limits as well.
func (q *Queue) riverQueue(ctx context.Context, tx *sql.Tx, do func(context.Context, *sql.Tx, string, *river.QueuePauseOpts) error) error {
	if err := do(ctx, tx, sendQueue, nil); !errors.Is(err, rivertype.ErrNotFound) {
		return err
	}
	return nil
}
