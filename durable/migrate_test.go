package durable

import (
	"database/sql"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	creatify "github.com/creatify-community/creatify-go"
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
			tx := must(q.db.BeginTx(t.Context(), nil))(t)
			_, err = q.SubmitTx(t.Context(), tx, previewOrder("a"))
			assert.ErrorIs(t, err, ErrSchema)
			require.NoError(t, tx.Rollback())
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

func TestOpen_bad_options(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(o *Options)
		says   string
	}{
		{"no_client", func(o *Options) { o.Client = nil }, "Client: is nil"},
		{"no_dialect", func(o *Options) { o.Dialect = 0 }, "Dialect: must be"},
		{"schema_that_must_be_quoted", func(o *Options) { o.Schema = `a"b` }, "Schema: must be"},
		{"long_schema", func(o *Options) { o.Schema = strings.Repeat("a", 47) }, "Schema: must be"},
		{"rate_that_is_no_number", func(o *Options) { o.RequestsPerSecond = math.NaN() }, "RequestsPerSecond: must be"},
		{"negative_rate", func(o *Options) { o.RequestsPerSecond = -1 }, "RequestsPerSecond: must be"},
		{"credits_that_are_no_number", func(o *Options) { o.Credits = math.NaN() }, "Credits: must be"},
		{"negative_sends", func(o *Options) { o.Sends = -1 }, "Sends: must be"},
		{"negative_retention", func(o *Options) { o.Retention = -1 }, "Retention: must not"},
		{"negative_interval", func(o *Options) { o.CountsEvery = -1 }, "CountsEvery: must not"},
		{"listener_of_a_file", func(o *Options) { o.Listener = &pgxpool.Pool{} }, "Listener: is for Postgres"},
		{"wait_that_is_none", func(o *Options) { o.Wait = []creatify.WaitOption{creatify.WithMaxPollErrors(-1)} }, "WithMaxPollErrors: must be"},
	}
	client := newAPI(t, creatifytest.Config{}).client(t)
	db, err := sql.Open("sqlite3", fileURL(newPlace(t, SQLite).DSN, safeSQLite))
	require.NoError(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			options := Options{Client: client, Dialect: SQLite}
			test.change(&options)
			_, err := Open(t.Context(), db, options)
			assert.ErrorIs(t, err, creatify.ErrInvalidParams)
			assert.ErrorContains(t, err, "durable: open: ")
			assert.ErrorContains(t, err, test.says)
		})
	}
	_, err = Open(t.Context(), nil, Options{Client: client, Dialect: SQLite})
	assert.ErrorContains(t, err, "db: is nil")
}

// Two queues share a database in schemas of their own.
func TestOptions_Schema(t *testing.T) {
	t.Parallel()
	at := newPlace(t, Postgres)
	fake := newAPI(t, done1s)
	for _, schema := range []string{"orders_2", "Orders_3"} {
		options := quickOptions(fake.client(t))
		options.Schema = schema
		q := at.queue(t, options)
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		reaches(t, q, "a", StateDone)
		var tables int
		require.NoError(t, q.db.QueryRow("SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename IN ('orders', 'river_job')",
			schema).Scan(&tables))
		assert.Equal(t, 2, tables, schema)
	}
	assert.Equal(t, 2.0, fake.Charged())
}

// With a listener, work begins long before River would have asked for it.
func TestOptions_Listener(t *testing.T) {
	t.Parallel()
	at := newPlace(t, Postgres)
	fake := newAPI(t, done1s)
	pool, err := pgxpool.New(t.Context(), at.DSN)
	require.NoError(t, err)
	defer pool.Close()
	options := quickOptions(fake.client(t))
	options.Listener, options.timing.fetch = pool, time.Minute
	q := at.queue(t, options)
	stop := run(t, q)
	require.Eventually(t, func() bool {
		var n int
		return q.db.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'").Scan(&n) == nil && n > 0
	}, patience, 20*time.Millisecond)
	time.Sleep(500 * time.Millisecond) // the first question is over
	started := time.Now()
	mustSubmit(t, q, previewOrder("a"))
	reaches(t, q, "a", StateWaiting)
	assert.Less(t, time.Since(started), 20*time.Second)
	stop()
	require.Eventually(t, func() bool {
		var n int
		return q.db.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'").Scan(&n) == nil && n == 0
	}, patience, 20*time.Millisecond, "the connection outlives Run")
}
