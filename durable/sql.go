package durable

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	creatify "github.com/creatify-community/creatify-go"
)

// All SQL is here, once for both dialects. Times are microseconds since 1970. In a statement, {s} is the
// schema's prefix, {now} the database's clock, {greatest} the larger and {least} the smaller of two, {lock}
// skips rows that others have locked, {wait} waits for them, and $n is a parameter.

// Dialect is the kind of database.
type Dialect int

// The dialects.
const (
	Postgres Dialect = iota + 1
	SQLite
)

func (d Dialect) replacer(schema string) *strings.Replacer {
	if d == SQLite {
		return strings.NewReplacer("$", "?", "{s}", "", "{greatest}", "max", "{least}", "min", "{lock}", "", "{wait}", "",
			"{now}", "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)",
			"{scheduled}", "CAST(unixepoch(j.scheduled_at, 'subsec') * 1000000 AS INTEGER)",
			"{attempted}", "CAST(unixepoch(j.attempted_at, 'subsec') * 1000000 AS INTEGER)")
	}
	return strings.NewReplacer("{s}", quote(schema)+".", "{greatest}", "greatest", "{least}", "least", "{lock}", "FOR UPDATE OF o SKIP LOCKED", "{wait}", "FOR UPDATE",
		"{now}", "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)",
		"{scheduled}", "CAST(extract(epoch FROM j.scheduled_at) * 1000000 AS bigint)",
		"{attempted}", "CAST(extract(epoch FROM j.attempted_at) * 1000000 AS bigint)")
}

func quote(identifier string) string { return `"` + strings.ReplaceAll(identifier, `"`, `""`) + `"` }

// transition is one change of an order's state; states are written in no other way. $1 is the order's ID.
type transition struct {
	name string
	from []State
	to   State  // "$2" where the caller names it
	set  string // what else changes
	when string // what else must hold: a fence, a version or an epoch
}

// mine checks the fence of a claim, and its token: a database that has lost a commit may use a fence twice.
const mine = "fence = $2 AND token = $3"

// The transitions. Those of a claim's holder check its fence, so that the outcome of no other claim is
// written. Those of a wait check the version, so that only one of two concurrent polls is written.
var (
	// submit is the INSERT below; it has no earlier state.
	submit = transition{name: "submit", to: StateQueued}
	// claim is committed before the paid call: afterwards, nobody else sends.
	claim = transition{"claim", []State{StateQueued}, StateSending,
		"fence = fence + 1, token = $3, sent = {now}, estimate = $4, credits = credits + $4, reason = ''", "epoch = $2"}
	// record stores the ID that a paid call returned, also if another process has already parked the order,
	// or if a Resend has not been sent yet.
	record = transition{"record", []State{StateSending, StateUnknown, StateQueued}, StateWaiting,
		"job_id = $4, wait = $5, due = $6, epoch = epoch + 1, reason = ''", mine}
	// requeue queues an order again whose call was certainly not charged, and releases its estimate, once.
	requeue = transition{"requeue", []State{StateSending, StateUnknown, StateQueued}, StateQueued,
		"reason = $4, due = $5, epoch = epoch + 1, credits = credits - estimate, estimate = 0", mine + " AND (state <> 'queued' OR estimate > 0)"}
	// refuse ends an order that the API refused and did not charge.
	refuse = transition{"refuse", []State{StateSending, StateUnknown, StateQueued}, StateRefused,
		"reason = $4, ended = {now}, credits = credits - estimate, estimate = 0", mine}
	// park is for a call whose outcome is unknown, or whose process has died.
	park = transition{"park", []State{StateSending}, StateUnknown, "reason = $4", mine + " AND sent <= {now} - $5"}
	// event stores the ID that came with an order's webhook reference, or from a Get of a render. A queued
	// order was sent before: it is sent again, or the database has lost its claim.
	event = transition{"event", []State{StateSending, StateUnknown, StateExpired, StateQueued}, StateWaiting,
		"job_id = $2, wait = $3, due = $4, epoch = epoch + 1, reason = '', ended = 0, sent = {greatest}(sent, created)", "fence = $5"}
	// resolve stores the ID that a person found.
	resolve = transition{"resolve", []State{StateUnknown, StateExpired}, StateWaiting,
		"job_id = $2, wait = $3, due = $4, epoch = epoch + 1, reason = '', ended = 0", "fence = $5"}
	// resend is a person's decision to send the order again. The lost call's estimate stays in credits, and
	// the next claim adds its own.
	resend = transition{"resend", []State{StateUnknown}, StateQueued,
		"reason = '', due = {now}, epoch = epoch + 1", "sent <= {now} - $2"}
	// abandon is a person's decision to stop looking for the job.
	abandon = transition{"abandon", []State{StateUnknown, StateExpired}, StateCancelled, "ended = {now}", ""}
	// cancel ends an order that was not sent.
	cancel = transition{"cancel", []State{StateQueued}, StateCancelled, "ended = {now}", ""}
	// end records a job's end, and replaces the estimate by its cost.
	end = transition{"end", []State{StateWaiting}, "$2",
		"reason = $4, ended = {now}, wait = '', credits = credits + $5, estimate = estimate + $5", "version = $3"}
	// expire ends a wait whose job may continue. The ID and the estimate stay.
	expire = transition{"expire", []State{StateWaiting}, StateExpired, "reason = $3, ended = {now}, wait = ''", "version = $2"}
	// quarantine is for an order that a backup shows as not sent.
	quarantine = transition{"quarantine", []State{StateQueued, StateSending}, StateUnknown,
		"reason = 'quarantined', epoch = epoch + 1, sent = {greatest}(sent, created)", "created >= $2"}
)

var transitions = []transition{submit, claim, record, requeue, refuse, park, event, resolve, resend, abandon, cancel, end,
	expire, quarantine}

// statement returns the UPDATE that makes the transition if the order is in one of its states, and that
// returns the new row.
func (t transition) statement() string {
	from := make([]string, len(t.from))
	for i, s := range t.from {
		from[i] = "'" + string(s) + "'"
	}
	to := "'" + string(t.to) + "'"
	if strings.HasPrefix(string(t.to), "$") {
		to = string(t.to)
	}
	where := ""
	if t.when != "" {
		where = " AND " + t.when
	}
	return "UPDATE {s}orders SET state = " + to + ", version = version + 1, " + t.set +
		" WHERE id = $1 AND state IN (" + strings.Join(from, ", ") + ")" + where + " RETURNING " + columns
}

const columns = `id, kind, of_id, priority, max_wait, state, job_id, reason, credits, created, sent, ended, fence, token, epoch,
	version, reference, wait, estimate, extra, digest`

const (
	// A second Submit of the same ID changes nothing; the caller compares the digests then.
	sqlInsert = `INSERT INTO {s}orders (id, kind, of_id, priority, max_wait, state, job_id, reference, digest, created, due)
		VALUES ($1, $2, $3, $4, $5, 'queued', $6, $7, $8, {now}, {now}) ON CONFLICT (id) DO NOTHING RETURNING ` + columns
	// Large data is in a table of its own, so that a poll's write stays on one page.
	sqlInsertData = `INSERT INTO {s}order_data (order_id, params) VALUES ($1, $2)`
	sqlSetRiver   = `UPDATE {s}orders SET river_id = $2 WHERE id = $1`
	sqlGet        = `SELECT ` + columns + ` FROM {s}orders WHERE id = $1`
	// When this returns, no other transaction holds the row.
	sqlGetLocked = `SELECT ` + columns + ` FROM {s}orders WHERE id = $1 {wait}`
	sqlData      = `SELECT params, job FROM {s}order_data WHERE order_id = $1`
	sqlSetJob    = `UPDATE {s}order_data SET job = $2 WHERE order_id = $1`

	// A webhook names an order by its reference, or by its job.
	sqlByReference = `SELECT id FROM {s}orders WHERE reference = $1`
	sqlByJob       = `SELECT id FROM {s}orders WHERE job_id = $1 ORDER BY created LIMIT 20`

	// The newest first. The last ID of a page is where the next one begins.
	sqlList = `SELECT ` + columns + ` FROM {s}orders WHERE ($1 = '' OR state = $1) AND ($2 = '' OR job_id = $2 OR id LIKE $5 ESCAPE '!')
		AND ($3 = '' OR (created, id) < (SELECT created, id FROM {s}orders WHERE id = $3))
		ORDER BY created DESC, id DESC LIMIT $4`
	// Both read an index: the first has an entry for every order, the second for a few orders only.
	sqlCount = `SELECT state, count(*) FROM {s}orders GROUP BY state`
	sqlFacts = `SELECT (SELECT coalesce(sum(extra), 0) FROM {s}orders WHERE extra > 0),
		(SELECT coalesce(min(created), 0) FROM {s}orders WHERE state = 'queued'),
		(SELECT coalesce(min(sent), 0) FROM {s}orders WHERE state = 'unknown'),
		(SELECT count(*) FROM {s}orders WHERE state = 'sending' AND sent > {now} - $1),
		(SELECT count(*) FROM {s}replicas WHERE seen > {now} - $2)`
	// A running process updates its row at each sweep. $2 is how long it counts as running without that.
	sqlShow = `INSERT INTO {s}replicas (id, seen) VALUES ($1, {now}) ON CONFLICT (id) DO UPDATE SET seen = excluded.seen`
	sqlGone = `DELETE FROM {s}replicas WHERE id = $1 OR seen < {now} - $2`
	// The brake needs to know only whether there are a few.
	sqlWaiting = `SELECT count(*) FROM (SELECT 1 FROM {s}orders WHERE state = 'waiting' LIMIT 10) AS few`
	sqlEvents  = `SELECT at, who, what, detail FROM {s}order_events WHERE order_id = $1 ORDER BY id`
	sqlEvent   = `INSERT INTO {s}order_events (order_id, at, who, what, detail) VALUES ($1, {now}, $2, $3, $4)`

	// A poll is stored only if the order still has the version with which the poll began.
	sqlSaveWait = `UPDATE {s}orders SET wait = $3, due = $4, version = version + 1
		WHERE id = $1 AND version = $2 AND state = 'waiting'`
	// A charge that was found after its order had continued without it. Each is counted once.
	sqlExtra = `UPDATE {s}orders SET extra = extra + 1 WHERE id = $1 AND NOT EXISTS
		(SELECT 1 FROM {s}order_events WHERE order_id = $1 AND what = 'extra' AND detail = $2)`

	// The single row of limits caps claims: it is locked last in a transaction. A claim takes a time slot of
	// the API's rate, and its estimate. $1 is the time between slots, $2 the estimate, $3 the budget or 0, $4
	// whether a pause is ignored. Nobody takes a slot in the future, or the polls of a few replicas would
	// leave none for claims.
	sqlTakeSlot = `UPDATE {s}limits SET rate_at = {greatest}(rate_at, {now}) + $1, spent = spent + $2
		WHERE rate_at <= {now} + 20000 AND (paused = '' OR $4)
		AND (CAST($3 AS double precision) = 0 OR spent + $2 <= CAST($3 AS double precision) + 1e-9)`
	// Polls take slots in a block of $1, and wait for $2, a third more, before they take the next.
	sqlTakeBlock = `UPDATE {s}limits SET rate_at = {greatest}(polls_at, rate_at, {now}) + $1,
		polls_at = {greatest}(polls_at, rate_at, {now}) + $2
		WHERE polls_at <= {now} + 20000 AND rate_at <= {now} + 20000`
	sqlLimits = `SELECT spent, paused, paused_at, rate_at - {now}, {greatest}(rate_at, polls_at) - {now} FROM {s}limits`
	sqlSpend  = `UPDATE {s}limits SET spent = spent + $1`
	// A call cannot be under way for longer than its own limit, so the calls of dead processes do not count
	// forever.
	sqlSending = `SELECT count(*) FROM {s}orders WHERE state = 'sending' AND sent > {now} - $1`
	// paused_at is when the pause began, also if it is renewed.
	sqlPause = `UPDATE {s}limits SET paused = $1, paused_at = CASE WHEN paused = '' THEN {now} ELSE paused_at END,
		probe_at = {now} + $2`
	sqlResume = `UPDATE {s}limits SET paused = '' WHERE paused <> ''`
	// This changes nothing, but it prevents a resume before its transaction ends.
	sqlStillPaused = `UPDATE {s}limits SET paused = paused WHERE paused <> ''`
	// A database's clock may be set back, by a failover or at a machine's start. Times are limited to the
	// latest that they can be: $1 ahead for slots, $2 for the probe.
	sqlClock = `UPDATE {s}limits SET rate_at = {least}(rate_at, {now} + $1), polls_at = {least}(polls_at, {now} + $1),
		paused_at = {least}(paused_at, {now}), probe_at = {least}(probe_at, {now} + $2)
		WHERE rate_at > {now} + $1 OR polls_at > {now} + $1 OR paused_at > {now} OR probe_at > {now} + $2`
	// One of all processes makes the probe.
	sqlProbe = `UPDATE {s}limits SET probe_at = {now} + $1 WHERE paused <> '' AND probe_at <= {now} RETURNING paused`
	sqlFirst = `SELECT id FROM {s}orders WHERE state = 'queued' AND due <= {now} ORDER BY priority, created LIMIT 1`

	// Orders that River has lost: their River job is missing, or sleeps or runs longer than it should.
	sqlLost = `SELECT o.id FROM {s}orders o LEFT JOIN {s}river_job j ON j.id = o.river_id
		WHERE o.state IN ('queued', 'waiting') AND (j.id IS NULL OR j.state IN ('cancelled', 'completed', 'discarded')
			OR j.state IN ('scheduled', 'retryable', 'pending') AND o.due < {now} - $1
				AND (j.state = 'pending' OR {scheduled} < {now} - $1 OR {scheduled} > o.due + $1)
			OR j.state = 'running' AND {attempted} < {now} - CASE o.state WHEN 'queued' THEN CAST($2 AS bigint) ELSE CAST($4 AS bigint) END)
		LIMIT $3 {lock}`
	// Orders whose job sleeps because sending was paused.
	sqlHeld = `SELECT o.id FROM {s}orders o JOIN {s}river_job j ON j.id = o.river_id
		WHERE o.state = 'queued' AND o.due <= {now} AND j.state = 'scheduled' LIMIT $1 {lock}`
	sqlRevive = `UPDATE {s}orders SET epoch = epoch + 1 WHERE id = $1 AND state IN ('queued', 'waiting') RETURNING ` + columns
	// Calls that cannot be under way any more, and whose outcome was not written.
	sqlStale = `SELECT o.id, o.fence FROM {s}orders o WHERE o.state = 'sending' AND o.sent < {now} - $1 LIMIT $2`
	// Finished orders keep their row, so that their ID stays taken.
	sqlForget = `DELETE FROM {s}order_data WHERE order_id IN (SELECT o.id FROM {s}orders o JOIN {s}order_data d
		ON d.order_id = o.id WHERE o.state IN ('done', 'failed', 'rejected', 'refused', 'cancelled')
		AND o.ended < {now} - $1 LIMIT $2) RETURNING order_id`
	sqlForgetEvents = `DELETE FROM {s}order_events WHERE order_id = $1`
	sqlSince        = `SELECT id FROM {s}orders WHERE state IN ('queued', 'sending') AND created >= $1`
)

// querier is a pool or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// exec returns how many rows a statement changed.
func (q *Queue) exec(ctx context.Context, on querier, statement string, args ...any) (int64, error) {
	result, err := on.ExecContext(ctx, q.dialect.Replace(statement), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (q *Queue) queryRow(ctx context.Context, on querier, statement string, args ...any) *sql.Row {
	return on.QueryRowContext(ctx, q.dialect.Replace(statement), args...)
}

// each calls f for each row of a query.
func (q *Queue) each(ctx context.Context, on querier, f func(*sql.Rows) error, statement string, args ...any) error {
	rows, err := on.QueryContext(ctx, q.dialect.Replace(statement), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// strings returns the first column of a query.
func (q *Queue) strings(ctx context.Context, on querier, statement string, args ...any) ([]string, error) {
	var all []string
	err := q.each(ctx, on, func(rows *sql.Rows) error {
		var s string
		err := rows.Scan(&s)
		all = append(all, s)
		return err
	}, statement, args...)
	return all, err
}

// move makes a transition. It returns nil if the order is in no state that allows it.
func (q *Queue) move(ctx context.Context, on querier, t transition, id string, args ...any) (*row, error) {
	r, err := scan(q.queryRow(ctx, on, t.statement(), append([]any{id}, args...)...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return r, err
}

func scan(from interface{ Scan(...any) error }) (*row, error) {
	r := &row{}
	var maxWait, created, sent, ended int64
	var wait string
	err := from.Scan(&r.ID, &r.Kind, &r.Of, &r.Priority, &maxWait, &r.State, &r.JobID, &r.Reason, &r.Credits, &created, &sent,
		&ended, &r.fence, &r.token, &r.epoch, &r.version, &r.reference, &wait, &r.estimate, &r.extra, &r.digest)
	if err != nil {
		return nil, err
	}
	r.MaxWait, r.wait = time.Duration(maxWait)*time.Microsecond, []byte(wait)
	r.Created, r.Sent, r.Ended = fromMicros(created), fromMicros(sent), fromMicros(ended)
	return r, nil
}

// get reads an order without its data.
func (q *Queue) get(ctx context.Context, on querier, id string) (*row, error) {
	return q.getBy(ctx, on, sqlGet, id)
}

func (q *Queue) getBy(ctx context.Context, on querier, statement, id string) (*row, error) {
	r, err := scan(q.queryRow(ctx, on, statement, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: %q", ErrNotFound, id)
	}
	return r, err
}

// load adds an order's parameters and job. They may have been deleted after [Options.Retention].
func (q *Queue) load(ctx context.Context, on querier, r *row) error {
	var params, job string
	err := q.queryRow(ctx, on, sqlData, r.ID).Scan(&params, &job)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(params), &r.Params)
	}
	if err == nil && job != "" {
		r.Job = &creatify.Job{}
		err = json.Unmarshal([]byte(job), r.Job)
	}
	return err
}

// note adds a line to an order's history.
func (q *Queue) note(ctx context.Context, tx *sql.Tx, id, who, what, detail string) error {
	_, err := q.exec(ctx, tx, sqlEvent, id, who, what, detail)
	return err
}

// tx runs f in a transaction with a limit of time. No HTTP request may be made in it.
func (q *Queue) tx(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, q.timing.transaction)
	defer cancel()
	return q.begin(ctx, f)
}

// begin is tx without the limit.
func (q *Queue) begin(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	options := &sql.TxOptions{}
	if q.options.Dialect == Postgres { // each statement must see what others have committed before it
		options.Isolation = sql.LevelReadCommitted
	}
	tx, err := q.db.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := f(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

func micros(d time.Duration) int64 { return d.Microseconds() }

func toMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
