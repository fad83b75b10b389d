package durable

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"fmt"
	"strings"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// checkSettings refuses a database that may lose a committed claim, after which an order would be sent again.
func (q *Queue) checkSettings(ctx context.Context) error {
	check := q.checkPostgres
	if q.options.Dialect == SQLite {
		check = q.checkSQLite
	}
	problems, err := check(ctx)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %s", ErrUnsafe, strings.Join(problems, "; "))
	}
	return nil
}

func (q *Queue) checkPostgres(ctx context.Context) (problems []string, err error) {
	for _, setting := range []struct{ name, unsafe, why string }{
		{"fsync", "off", "a crash of the machine loses orders (turn it on)"},
		{"full_page_writes", "off", "a crash of the machine may damage pages (turn it on)"},
		{"synchronous_commit", "off", "a crash of the server loses the IDs of charged jobs (turn it on for this role)"},
		{"transaction_read_only", "on", "this is a standby, or the role may only read (connect to the primary)"},
	} {
		var value string
		if err := q.db.QueryRowContext(ctx, "SHOW "+setting.name).Scan(&value); err != nil {
			return nil, err
		}
		if value == setting.unsafe {
			problems = append(problems, fmt.Sprintf("%s is %s: %s", setting.name, value, setting.why))
		}
	}
	return problems, nil
}

// checkSQLite checks two physical connections: a pragma that was set by hand is missing on the second.
func (q *Queue) checkSQLite(ctx context.Context) (problems []string, err error) {
	if n := q.db.Stats().MaxOpenConnections; n != 1 {
		problems = append(problems, "the pool has more than one connection: they would lock each other out (call SetMaxOpenConns(1))")
		return problems, nil
	}
	for _, which := range []string{"the first connection", "a new connection"} {
		found, err := q.checkConnection(ctx)
		if err != nil {
			return nil, err
		}
		for _, problem := range found {
			problems = append(problems, which+": "+problem)
		}
		if len(problems) > 0 {
			break
		}
	}
	return problems, nil
}

// checkConnection checks the pool's one connection, and throws it away.
func (q *Queue) checkConnection(ctx context.Context) (problems []string, err error) {
	conn, err := q.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	pragma := func(name string) (value string) {
		if err == nil {
			err = conn.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
		}
		return value
	}
	if level := pragma("synchronous"); level != "2" && level != "3" {
		problems = append(problems, "synchronous is not FULL: a power cut loses orders (_pragma=synchronous(full) in the DSN)")
	}
	if mode := pragma("journal_mode"); mode != "wal" {
		problems = append(problems, "journal_mode is "+mode+", not WAL (_pragma=journal_mode(wal) in the DSN)")
	}
	if timeout := pragma("busy_timeout"); len(timeout) < len("10000") {
		problems = append(problems, "busy_timeout is below 10 s: a second process fails (_pragma=busy_timeout(10000), first in the DSN)")
	}
	if err != nil {
		return nil, err
	}
	immediate, err := isImmediate(ctx, conn)
	if err != nil {
		return nil, err
	}
	if !immediate {
		problems = append(problems, "transactions are deferred, and fail when two processes write (_txlock=immediate in the DSN)")
	}
	var path string
	if err := conn.QueryRowContext(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path); err != nil {
		return nil, err
	}
	if system := networkFileSystem(path); system != "" {
		problems = append(problems, "the file is on "+system+", whose locks are not reliable (use a local disk, or Postgres)")
	}
	_ = conn.Raw(func(any) error { return sqldriver.ErrBadConn }) // so that the next one is new
	return problems, nil
}

// isImmediate reports whether a transaction holds the write lock from its beginning.
func isImmediate(ctx context.Context, conn *sql.Conn) (immediate bool, err error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	err = conn.Raw(func(c any) error {
		own, ok := c.(driver.Conn)
		if !ok {
			return fmt.Errorf("%w: the pool is not one of github.com/ncruces/go-sqlite3/driver", ErrUnsafe)
		}
		immediate = own.Raw().TxnState("main") == sqlite3.TXN_WRITE
		return nil
	})
	return immediate, err
}

// openReads opens separate connections to a SQLite file for the status page, so that it does not block the
// queue's.
func (q *Queue) openReads(ctx context.Context) error {
	if q.options.Dialect != SQLite {
		return nil
	}
	var path string
	if err := q.db.QueryRowContext(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", fileURL(path, "_pragma=busy_timeout(10000)&_pragma=query_only(true)&_txlock=deferred"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(2)
	q.reads, q.own = db, append(q.own, db)
	return nil
}
