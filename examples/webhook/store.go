package main

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	_ "github.com/ncruces/go-sqlite3/driver"
)

// state is where an order stands.
type state string

const (
	ordered    state = "ordered"
	creating   state = "creating" // the call that pays for the preview may have been made
	previewing state = "previewing"
	ready      state = "ready"     // to be approved
	rendering  state = "rendering" // the call that pays for the video may have been made
	rendered   state = "rendered"
	stored     state = "stored"
	failed     state = "failed"
	unknown    state = "unknown" // whether a call has paid is not known, so it is not made again
)

type order struct {
	ID         int64
	Reference  string // in the URL of its webhooks, and for nobody else to know
	WebhookURL string
	Headline   string
	Photo      string // its URL
	State      state
	Reason     string // why it failed, or what is in the way
	JobID      string // empty until it is known
	Preview    string // URL of its page
}

const schema = `
CREATE TABLE IF NOT EXISTS orders (
	id INTEGER PRIMARY KEY,
	reference TEXT NOT NULL UNIQUE,
	webhook_url TEXT NOT NULL,
	headline TEXT NOT NULL,
	photo TEXT NOT NULL,
	state TEXT NOT NULL DEFAULT 'ordered',
	reason TEXT NOT NULL DEFAULT '',
	job_id TEXT NOT NULL DEFAULT '',
	preview TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX IF NOT EXISTS one_order_per_job ON orders (job_id) WHERE job_id <> '';
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL);
`

// store keeps the orders in SQLite. What it has returned from is on the disk.
type store struct{ db *sql.DB }

func openStore(file string) (*store, error) {
	// An exclusive lock, lest a second process takes the calls that this one is making for those of a crash.
	query := url.Values{"_pragma": {"locking_mode(exclusive)", "synchronous(full)"}}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: file, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite3", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		return nil, fmt.Errorf("the orders in %s, of which another process may have hold: %w", file, errors.Join(err, db.Close()))
	}
	return &store{db}, nil
}

func (s *store) close() error { return s.db.Close() }

// secret is that of the webhooks. It outlives the process, as the jobs do whose webhook URLs have it.
func (s *store) secret() (secret string, err error) {
	if _, err := s.db.Exec(`INSERT INTO secrets VALUES ('webhook', ?) ON CONFLICT DO NOTHING`, rand.Text()); err != nil {
		return "", err
	}
	return secret, s.db.QueryRow(`SELECT value FROM secrets WHERE name = 'webhook'`).Scan(&secret)
}

func (s *store) add(headline, photo string, webhookURL func(reference string) (string, error)) (o order, err error) {
	reference := rand.Text()
	hook, err := webhookURL(reference)
	if err != nil {
		return order{}, err
	}
	err = s.db.QueryRow(`INSERT INTO orders (reference, webhook_url, headline, photo) VALUES (?, ?, ?, ?) RETURNING `+columns,
		reference, hook, headline, photo).Scan(o.fields()...)
	return o, err
}

// move takes an order from one state to another, and says whether it was in the first: of several callers, one hears true.
func (s *store) move(id int64, from, to state, reason string) (bool, error) {
	return changed(s.db.Exec(`UPDATE orders SET state = ?, reason = ? WHERE id = ? AND state = ?`, to, reason, id, from))
}

// created notes the job of an order that has none so far.
func (s *store) created(id int64, jobID string) (bool, error) {
	return changed(s.db.Exec(`UPDATE orders SET state = 'previewing', reason = '', job_id = ?
		WHERE id = ? AND state IN ('creating', 'unknown') AND job_id = ''`, jobID, id))
}

func (s *store) previewed(id int64, preview string) error {
	_, err := s.db.Exec(`UPDATE orders SET state = 'ready', reason = '', preview = ? WHERE id = ? AND state = 'previewing'`,
		preview, id)
	return err
}

func (s *store) giveUpCreating(reason string) error {
	_, err := s.db.Exec(`UPDATE orders SET state = 'unknown', reason = ? WHERE state = 'creating'`, reason)
	return err
}

func changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

var errNoOrder = errors.New("there is no such order")

const columns = `id, reference, webhook_url, headline, photo, state, reason, job_id, preview`

func (o *order) fields() []any {
	return []any{&o.ID, &o.Reference, &o.WebhookURL, &o.Headline, &o.Photo, &o.State, &o.Reason, &o.JobID, &o.Preview}
}

// find returns the order with a value in one of the columns that tell orders apart.
func (s *store) find(column string, value any) (o order, err error) {
	err = s.db.QueryRow(`SELECT `+columns+` FROM orders WHERE `+column+` = ?`, value).Scan(o.fields()...)
	if errors.Is(err, sql.ErrNoRows) {
		err = errNoOrder
	}
	return o, err
}

// list returns all orders, the latest first.
func (s *store) list() ([]order, error) {
	rows, err := s.db.Query(`SELECT ` + columns + ` FROM orders ORDER BY id DESC`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var orders []order
	for rows.Next() {
		var o order
		if err := rows.Scan(o.fields()...); err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	return orders, rows.Err()
}
