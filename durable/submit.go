package durable

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	creatify "github.com/creatify-community/creatify-go"
)

// Submit stores an order, which any running process then sends. It does not contact the API. If the ID was
// submitted before, it returns the stored order, or [ErrConflict] if the parameters differ. If the preview of
// a Render is not done, the error is [ErrNotReady].
func (q *Queue) Submit(ctx context.Context, order Order) (stored *Order, err error) {
	var r *row
	err = q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		r, err = q.submit(ctx, tx, order)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("durable: submit %q: %w", order.ID, err)
	}
	return &r.Order, nil
}

// SubmitTx is [Queue.Submit] in the caller's transaction, which must belong to the queue's database. The
// order is sent after the transaction has been committed.
func (q *Queue) SubmitTx(ctx context.Context, tx *sql.Tx, order Order) (*Order, error) {
	r, err := q.submit(ctx, tx, order)
	if err != nil {
		return nil, fmt.Errorf("durable: submit %q: %w", order.ID, err)
	}
	return &r.Order, nil
}

func (q *Queue) submit(ctx context.Context, tx *sql.Tx, order Order) (*row, error) {
	if err := order.check(q.options.Webhook != (Webhook{})); err != nil {
		return nil, err
	}
	if err := q.usable(ctx, tx); err != nil {
		return nil, err
	}
	params, err := json.Marshal(order.Params)
	if err != nil {
		return nil, err
	}
	digest := order.digest(params)
	r, err := q.get(ctx, tx, order.ID)
	switch {
	case err == nil:
		return q.again(ctx, tx, r, digest)
	case !errors.Is(err, ErrNotFound):
		return nil, err
	}
	jobID := ""
	if order.Kind == Render {
		if jobID, err = q.previewOf(ctx, tx, order.Of); err != nil {
			return nil, err
		}
	}
	r, err = scan(q.queryRow(ctx, tx, sqlInsert, order.ID, order.Kind, order.Of, order.Priority, micros(order.MaxWait), jobID,
		newToken(), digest))
	if errors.Is(err, sql.ErrNoRows) { // somebody else was faster by a moment
		if r, err = q.get(ctx, tx, order.ID); err == nil {
			return q.again(ctx, tx, r, digest)
		}
	}
	if err != nil {
		return nil, err
	}
	if _, err := q.exec(ctx, tx, sqlInsertData, order.ID, string(params)); err != nil {
		return nil, err
	}
	r.Params = order.Params
	return r, q.enqueue(ctx, tx, r, time.Time{})
}

// again returns what a second Submit returns.
func (q *Queue) again(ctx context.Context, tx *sql.Tx, r *row, digest string) (*row, error) {
	if r.digest != digest {
		return nil, ErrConflict
	}
	return r, q.load(ctx, tx, r)
}

// previewOf returns the ID of the job that a preview order has made.
func (q *Queue) previewOf(ctx context.Context, tx *sql.Tx, id string) (jobID string, err error) {
	of, err := q.get(ctx, tx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", &creatify.ValidationError{Problems: []creatify.Problem{{Field: "Of", Message: "names no order"}}}
	case err != nil:
		return "", err
	case of.Kind != Preview:
		return "", &creatify.ValidationError{Problems: []creatify.Problem{{Field: "Of", Message: "names an order that is no preview"}}}
	case of.State != StateDone:
		return "", fmt.Errorf("%w: order %q is %s", ErrNotReady, id, of.State)
	}
	return of.JobID, nil
}

// digest identifies what an order pays for.
func (o *Order) digest(params []byte) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%q\n%s", o.Kind, o.Of, params))
	return hex.EncodeToString(sum[:16])
}

func newToken() string { return strings.ToLower(rand.Text()) }

// Get returns an order with its parameters and, at its end, its job. An ID that was not submitted is
// [ErrNotFound].
func (q *Queue) Get(ctx context.Context, id string) (*Order, error) {
	r, err := q.get(ctx, q.db, id)
	if err == nil {
		err = q.load(ctx, q.db, r)
	}
	if err != nil {
		return nil, fmt.Errorf("durable: get: %w", err)
	}
	return &r.Order, nil
}

// Filter chooses orders for [Queue.List]. The zero value chooses the newest 100.
type Filter struct {
	State  State  // empty is any
	Search string // part of an order's ID, or a job's whole ID
	After  string // the last order of the page before
	Limit  int    // 0 is 100
}

// List returns orders, the newest first, without their parameters and jobs.
func (q *Queue) List(ctx context.Context, f Filter) ([]*Order, error) { return q.list(ctx, q.db, f) }

func (q *Queue) list(ctx context.Context, on querier, f Filter) ([]*Order, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	like := "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(f.Search) + "%"
	var all []*Order
	err := q.each(ctx, on, func(rows *sql.Rows) error {
		r, err := scan(rows)
		if err == nil {
			all = append(all, &r.Order)
		}
		return err
	}, sqlList, string(f.State), f.Search, f.After, f.Limit, like)
	if err != nil {
		return nil, fmt.Errorf("durable: list: %w", err)
	}
	return all, nil
}

// History returns what happened to an order, the oldest first.
func (q *Queue) History(ctx context.Context, id string) ([]Event, error) {
	return q.history(ctx, q.db, id)
}

func (q *Queue) history(ctx context.Context, on querier, id string) (all []Event, err error) {
	err = q.each(ctx, on, func(rows *sql.Rows) error {
		var e Event
		var at int64
		err := rows.Scan(&at, &e.Who, &e.What, &e.Detail)
		e.Time = fromMicros(at)
		all = append(all, e)
		return err
	}, sqlEvents, id)
	if err != nil {
		return nil, fmt.Errorf("durable: history: %w", err)
	}
	return all, nil
}

// Counts returns how many orders are in each state, what they cost, and whether sending is paused.
func (q *Queue) Counts(ctx context.Context) (Counts, error) { return q.counts(ctx, q.db) }

func (q *Queue) counts(ctx context.Context, on querier) (Counts, error) {
	c := Counts{Orders: make(map[State]int)}
	err := q.each(ctx, on, func(rows *sql.Rows) error {
		var state State
		var n int
		err := rows.Scan(&state, &n)
		c.Orders[state] = n
		return err
	}, sqlCount)
	var limits limits
	var queued, unknown int64
	if err == nil {
		err = q.queryRow(ctx, on, sqlFacts, micros(q.timing.held()), micros(q.timing.shown())).
			Scan(&c.Extra, &queued, &unknown, &c.Slots, &c.Replicas)
	}
	if err == nil {
		limits, err = q.limits(ctx, on)
	}
	if err != nil {
		return Counts{}, fmt.Errorf("durable: counts: %w", err)
	}
	c.Credits, c.Paused, c.PausedSince = limits.spent, limits.paused, limits.pausedAt
	c.OldestQueued, c.OldestUnknown = fromMicros(queued), fromMicros(unknown)
	c.FailingSince = q.brake.FailingSince()
	return c, nil
}

// Wait blocks until an order has ended, is unknown or is expired. It polls the database; Run need not be
// running in this process.
func (q *Queue) Wait(ctx context.Context, id string) (*Order, error) {
	for pause := 50 * time.Millisecond; ; pause = min(pause*3/2, time.Second) {
		r, err := q.get(ctx, q.db, id)
		if err == nil && !r.State.moving() {
			err = q.load(ctx, q.db, r)
			if err == nil {
				return &r.Order, nil
			}
		}
		if err == nil {
			err = sleep(ctx, pause)
		}
		if err != nil {
			return nil, fmt.Errorf("durable: wait: %w", err)
		}
	}
}
