package durable

import (
	"database/sql"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// openOnly opens a queue without migrating.
func openOnly(t *testing.T, at place) (*Queue, error) {
	options := quickOptions(newAPI(t, creatifytest.Config{}).client(t))
	options.Dialect = at.Dialect
	name, dsn, most := "pgx", at.DSN, 5
	if at.Dialect == SQLite {
		name, most = "sqlite3", 1
		dsn = fileURL(at.DSN, safeSQLite)
	}
	db, err := sql.Open(name, dsn)
	require.NoError(t, err)
	db.SetMaxOpenConns(most)
	t.Cleanup(func() { _ = db.Close() })
	q, err := Open(t.Context(), db, options)
	if err == nil {
		t.Cleanup(func() { _ = q.Close() })
	}
	return q, err
}

func TestQueue_Migrate(t *testing.T) {
	t.Parallel()
	t.Run("at_once_from_several_processes", func(t *testing.T) {
		onBoth(t, func(t *testing.T, at place) {
			var queues []*Queue
			for range 4 {
				q, err := openOnly(t, at)
				require.NoError(t, err)
				queues = append(queues, q)
			}
			var wait sync.WaitGroup
			for _, q := range queues {
				wait.Go(func() { assert.NoError(t, q.Migrate(t.Context())) })
			}
			wait.Wait()
			mustSubmit(t, queues[3], previewOrder("a"))
			require.NoError(t, queues[0].Migrate(t.Context()), "again")
		})
	})
	t.Run("missing", func(t *testing.T) {
		onBoth(t, func(t *testing.T, at place) {
			q, err := openOnly(t, at)
			require.NoError(t, err)
			_, err = q.Submit(t.Context(), previewOrder("a"))
			assert.ErrorIs(t, err, ErrSchema)
			assert.ErrorContains(t, err, "call Migrate")
			assert.ErrorIs(t, q.Run(t.Context()), ErrSchema)
			require.NoError(t, q.Migrate(t.Context()))
			mustSubmit(t, q, previewOrder("a"))
		})
	})
	for _, newer := range []struct{ name, sql string }{
		{"newer", "INSERT INTO {s}durable_migration (version, applied) VALUES (999, 0)"},
		{"newer_river", "INSERT INTO {s}river_migration (line, version) VALUES ('main', 999)"},
	} {
		t.Run(newer.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, at place) {
				q := at.queue(t, quickOptions(newAPI(t, creatifytest.Config{}).client(t)))
				_, err := q.exec(t.Context(), q.db, newer.sql)
				require.NoError(t, err)
				_, err = openOnly(t, at)
				assert.ErrorIs(t, err, ErrSchema)
				assert.ErrorContains(t, err, "update the program")
				assert.ErrorIs(t, q.Migrate(t.Context()), ErrSchema)
			})
		})
	}
	t.Run("one_connection", func(t *testing.T) {
		q, err := openOnly(t, newPlace(t, Postgres))
		require.NoError(t, err)
		q.db.SetMaxOpenConns(1)
		assert.ErrorContains(t, q.Migrate(t.Context()), "SetMaxOpenConns")
	})
}

// The printed migrations make the same database.
func TestMigrations(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		q, err := openOnly(t, at)
		require.NoError(t, err)
		if at.Dialect == Postgres {
			_, err := q.db.Exec("CREATE SCHEMA creatify")
			require.NoError(t, err)
		}
		all, err := Migrations(at.Dialect, "creatify")
		require.NoError(t, err)
		for _, m := range all {
			_, err := q.db.Exec(m.SQL)
			require.NoError(t, err, m.Name)
			assert.NotContains(t, m.SQL, "TEMPLATE", m.Name)
		}
		mustSubmit(t, q, previewOrder("a"))
		require.NoError(t, q.Migrate(t.Context()))
	})
}

func TestOpen_unsafe_settings(t *testing.T) {
	t.Parallel()
	sqlite := safeSQLite
	tests := []struct {
		name    string
		dialect Dialect
		dsn     string // a query
		by      string // a statement on the first connection
		most    int
		says    string
	}{
		{name: "postgres_asynchronous", dialect: Postgres, dsn: "&options=-csynchronous_commit%3Doff", most: 2, says: "synchronous_commit is off"},
		{name: "postgres_read_only", dialect: Postgres, dsn: "&options=-cdefault_transaction_read_only%3Don", most: 2, says: "transaction_read_only is on"},
		{name: "sqlite_many_connections", dialect: SQLite, dsn: sqlite, most: 2, says: "SetMaxOpenConns(1)"},
		{name: "sqlite_normal", dialect: SQLite, most: 1, says: "synchronous is not FULL",
			dsn: strings.Replace(sqlite, "full", "normal", 1)},
		{name: "sqlite_no_wal", dialect: SQLite, most: 1, says: "journal_mode is delete",
			dsn: strings.Replace(sqlite, "wal", "delete", 1)},
		{name: "sqlite_impatient", dialect: SQLite, most: 1, says: "busy_timeout is below 10 s",
			dsn: strings.Replace(sqlite, "10000", "100", 1)},
		{name: "sqlite_deferred", dialect: SQLite, most: 1, says: "transactions are deferred",
			dsn: strings.Replace(sqlite, "immediate", "deferred", 1)},
		{name: "sqlite_set_by_hand", dialect: SQLite, most: 1, says: "a new connection: synchronous is not FULL",
			dsn: strings.Replace(sqlite, "full", "normal", 1), by: "PRAGMA synchronous = FULL"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			at := newPlace(t, test.dialect)
			name, dsn := "pgx", at.DSN+test.dsn
			if test.dialect == SQLite {
				name, dsn = "sqlite3", fileURL(at.DSN, test.dsn)
			}
			db, err := sql.Open(name, dsn)
			require.NoError(t, err)
			defer db.Close()
			db.SetMaxOpenConns(test.most)
			if test.by != "" {
				_, err := db.Exec(test.by)
				require.NoError(t, err)
			}
			_, err = Open(t.Context(), db, Options{Client: newAPI(t, creatifytest.Config{}).client(t), Dialect: test.dialect})
			assert.ErrorIs(t, err, ErrUnsafe)
			assert.ErrorContains(t, err, test.says)
		})
	}
}

// fsync cannot be set for a session: a server of its own has it off.
func TestOpen_without_fsync(t *testing.T) {
	t.Parallel()
	var own postgres
	t.Cleanup(own.stop)
	own.once.Do(own.start)
	require.NoError(t, own.err)
	db, err := sql.Open("pgx", own.dsn("postgres"))
	require.NoError(t, err)
	defer db.Close()
	_, err = db.Exec("ALTER SYSTEM SET fsync = off")
	require.NoError(t, err)
	require.NoError(t, own.kill())
	require.NoError(t, own.up())
	_, err = Open(t.Context(), db, Options{Client: newAPI(t, creatifytest.Config{}).client(t), Dialect: Postgres})
	assert.ErrorIs(t, err, ErrUnsafe)
	assert.ErrorContains(t, err, "fsync is off")
}

func TestOpenFile(t *testing.T) {
	client := newAPI(t, creatifytest.Config{}).client(t)
	path := filepath.Join(t.TempDir(), "orders with spaces?&#.db")
	q, err := OpenFile(t.Context(), path, Options{Client: client})
	require.NoError(t, err)
	mustSubmit(t, q, previewOrder("a"))
	require.NoError(t, q.Close())
	assert.FileExists(t, path)
	_, err = OpenFile(t.Context(), filepath.Join(t.TempDir(), "no", "such", "folder.db"), Options{Client: client})
	assert.Error(t, err)
	_, err = OpenFile(t.Context(), path, Options{})
	assert.ErrorContains(t, err, "Client: is nil")
}
