package durable

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

// migrations are this package's own, in order; the first is version 1. A released one is never edited. {id}
// is an automatic integer key; {fill} leaves room on a page for the next version of a row, so that polls
// touch no index.
var migrations = []string{`
CREATE TABLE {s}orders (
	id text PRIMARY KEY,
	kind text NOT NULL,
	of_id text NOT NULL,
	priority integer NOT NULL,
	max_wait bigint NOT NULL,
	state text NOT NULL,
	job_id text NOT NULL DEFAULT '',
	reason text NOT NULL DEFAULT '',
	credits double precision NOT NULL DEFAULT 0,
	estimate double precision NOT NULL DEFAULT 0,
	extra integer NOT NULL DEFAULT 0,
	created bigint NOT NULL,
	sent bigint NOT NULL DEFAULT 0,
	ended bigint NOT NULL DEFAULT 0,
	due bigint NOT NULL,
	fence bigint NOT NULL DEFAULT 0,
	token text NOT NULL DEFAULT '',
	epoch bigint NOT NULL DEFAULT 1,
	version bigint NOT NULL DEFAULT 0,
	river_id bigint NOT NULL DEFAULT 0,
	reference text NOT NULL,
	digest text NOT NULL,
	wait text NOT NULL DEFAULT ''
){fill};
CREATE INDEX orders_state ON {s}orders (state, created);
CREATE INDEX orders_created ON {s}orders (created, id);
CREATE INDEX orders_job ON {s}orders (job_id) WHERE job_id <> '';
CREATE INDEX orders_extra ON {s}orders (extra) WHERE extra > 0;
CREATE UNIQUE INDEX orders_reference ON {s}orders (reference);
CREATE TABLE {s}order_data (
	order_id text PRIMARY KEY,
	params text NOT NULL,
	job text NOT NULL DEFAULT ''
);
CREATE TABLE {s}order_events (
	id {id},
	order_id text NOT NULL,
	at bigint NOT NULL,
	who text NOT NULL,
	what text NOT NULL,
	detail text NOT NULL
);
CREATE INDEX order_events_order ON {s}order_events (order_id);
CREATE TABLE {s}limits (
	one integer PRIMARY KEY CHECK (one = 1),
	rate_at bigint NOT NULL DEFAULT 0,
	polls_at bigint NOT NULL DEFAULT 0,
	spent double precision NOT NULL DEFAULT 0,
	paused text NOT NULL DEFAULT '',
	paused_at bigint NOT NULL DEFAULT 0,
	probe_at bigint NOT NULL DEFAULT 0
);
INSERT INTO {s}limits (one) VALUES (1);
CREATE TABLE {s}replicas (
	id text PRIMARY KEY,
	seen bigint NOT NULL
);
`}

const (
	sqlVersionTable = `CREATE TABLE IF NOT EXISTS {s}durable_migration (version integer PRIMARY KEY, applied bigint NOT NULL)`
	sqlVersion      = `SELECT coalesce(max(version), 0) FROM {s}durable_migration`
	sqlApplied      = `INSERT INTO {s}durable_migration (version, applied) VALUES ($1, {now})`
	// Postgres reports a missing table as an error that ends a transaction, so it is looked up by name.
	sqlTablePostgres = `SELECT to_regclass($1) IS NOT NULL`
	sqlTableSQLite   = `SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = $1`
	// One process migrates at a time. The key is this package's own.
	sqlLockPostgres   = `SELECT pg_advisory_lock(hashtextextended($1, 7236850374119))`
	sqlUnlockPostgres = `SELECT pg_advisory_unlock(hashtextextended($1, 7236850374119))`
)

func (d Dialect) migration(n int) string {
	id, fill := "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", " WITH (fillfactor = 70)"
	if d == SQLite {
		id, fill = "integer PRIMARY KEY AUTOINCREMENT", ""
	}
	return strings.NewReplacer("{id}", id, "{fill}", fill).Replace(migrations[n-1])
}

func driverOf(d Dialect, db *sql.DB) riverdriver.Driver[*sql.Tx] {
	if d == SQLite {
		return riversqlite.New(db)
	}
	return riverdatabasesql.New(db)
}

func (q *Queue) migrator() (*rivermigrate.Migrator[*sql.Tx], error) {
	return rivermigrate.New(driverOf(q.options.Dialect, q.db), &rivermigrate.Config{Schema: q.schema(), Logger: quiet(q.log)})
}

// Migrate creates this package's and River's tables, or brings them up to date. Several processes may call it
// at once; in Postgres, each call takes two connections of its pool. If a newer version of this package has
// migrated the database, the error is [ErrSchema].
func (q *Queue) Migrate(ctx context.Context) error {
	migrate := q.migratePostgres
	if q.options.Dialect == SQLite {
		migrate = q.migrateSQLite
	}
	if err := migrate(ctx); err != nil {
		return fmt.Errorf("durable: migrate: %w", err)
	}
	q.migrated.Store(true)
	return nil
}

// migratePostgres runs each of River's versions in a transaction of its own: a version cannot use what an
// earlier one has added to an enum in the same transaction.
func (q *Queue) migratePostgres(ctx context.Context) error {
	if q.db.Stats().MaxOpenConnections == 1 {
		return errors.New("the pool has one connection, and migrating takes two (call SetMaxOpenConns)")
	}
	conn, err := q.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, sqlLockPostgres, q.options.Schema); err != nil {
		return err
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), sqlUnlockPostgres, q.options.Schema) }()
	if _, err := conn.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+quote(q.options.Schema)); err != nil {
		return err
	}
	migrator, err := q.migrator()
	if err != nil {
		return err
	}
	if err := q.checkVersions(ctx, conn); err != nil && !errors.Is(err, errNotMigrated) {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	return q.begin(ctx, q.migrateOwn)
}

// migrateSQLite does everything in one transaction, which takes the file's write lock at once.
func (q *Queue) migrateSQLite(ctx context.Context) error {
	migrator, err := q.migrator()
	if err != nil {
		return err
	}
	return q.begin(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := q.checkVersions(ctx, tx); err != nil && !errors.Is(err, errNotMigrated) {
			return err
		}
		//nolint:staticcheck // Migrate needs a second connection, and SQLite's migrations can share one
		if _, err := migrator.MigrateTx(ctx, tx, rivermigrate.DirectionUp, nil); err != nil {
			return err
		}
		return q.migrateOwn(ctx, tx)
	})
}

func (q *Queue) migrateOwn(ctx context.Context, tx *sql.Tx) error {
	if _, err := q.exec(ctx, tx, sqlVersionTable); err != nil {
		return err
	}
	var version int
	if err := q.queryRow(ctx, tx, sqlVersion).Scan(&version); err != nil {
		return err
	}
	for n := version + 1; n <= len(migrations); n++ {
		for statement := range strings.SplitSeq(q.options.Dialect.migration(n), ";\n") {
			if strings.TrimSpace(statement) == "" {
				continue
			}
			if _, err := q.exec(ctx, tx, statement); err != nil {
				return fmt.Errorf("version %d: %w", n, err)
			}
		}
		if _, err := q.exec(ctx, tx, sqlApplied, n); err != nil {
			return err
		}
	}
	return nil
}

var errNotMigrated = fmt.Errorf("%w: it is not migrated (call Migrate)", ErrSchema)

// checkVersions compares the schema with this program. River itself accepts a schema that is newer than
// River.
func (q *Queue) checkVersions(ctx context.Context, on querier) error {
	own, err := q.hasTable(ctx, on, "durable_migration")
	if err != nil {
		return err
	}
	version := 0
	if own {
		if err := q.queryRow(ctx, on, sqlVersion).Scan(&version); err != nil {
			return err
		}
	}
	if version > len(migrations) {
		return fmt.Errorf("%w: it has version %d, and this program knows %d (update the program)", ErrSchema, version, len(migrations))
	}
	migrator, err := q.migrator()
	if err != nil {
		return err
	}
	known := migrator.AllVersions()
	newest, rivers := known[len(known)-1].Version, 0
	if has, err := q.hasTable(ctx, on, "river_migration"); err != nil {
		return err
	} else if has {
		if err := q.queryRow(ctx, on, `SELECT coalesce(max(version), 0) FROM {s}river_migration`).Scan(&rivers); err != nil {
			return err
		}
	}
	switch {
	case rivers > newest:
		return fmt.Errorf("%w: River's tables have version %d, and this program knows %d (update the program)", ErrSchema, rivers, newest)
	case rivers < newest || version < len(migrations):
		return errNotMigrated
	}
	return nil
}

func (q *Queue) hasTable(ctx context.Context, on querier, name string) (has bool, err error) {
	query, arg := sqlTablePostgres, quote(q.options.Schema)+"."+name
	if q.options.Dialect == SQLite {
		query, arg = sqlTableSQLite, name
	}
	err = q.queryRow(ctx, on, query, arg).Scan(&has)
	return has, err
}

// usable begins Submit and Run. It checks the tables until they fit once.
func (q *Queue) usable(ctx context.Context, on querier) error {
	if q.migrated.Load() {
		return nil
	}
	if err := q.checkVersions(ctx, on); err != nil {
		return err
	}
	q.migrated.Store(true)
	return nil
}

// Migration is one step of the schema, for tools that apply migrations themselves.
type Migration struct {
	Name string // such as "river 6" or "durable 1"
	SQL  string // of a Postgres migration, each in a transaction of its own
}

// Migrations returns everything that [Queue.Migrate] applies to an empty database, in order, with the rows
// that record it as applied. The schema must exist. For SQLite the schema is ignored.
func Migrations(dialect Dialect, schema string) ([]Migration, error) {
	if dialect == SQLite {
		schema = ""
	}
	migrator, err := rivermigrate.New(driverOf(dialect, nil), &rivermigrate.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	replacer, prefix := dialect.replacer(schema), ""
	if dialect == Postgres {
		prefix = quote(schema) + "."
	}
	var all []Migration
	for _, m := range migrator.AllVersions() {
		all = append(all, Migration{fmt.Sprintf("river %d", m.Version), strings.ReplaceAll(m.SQLUp, "/* TEMPLATE: schema */", prefix)})
	}
	rows := make([]string, len(all))
	for i, m := range migrator.AllVersions() {
		rows[i] = fmt.Sprintf("('main', %d)", m.Version)
	}
	all = append(all, Migration{"river's record",
		"INSERT INTO " + prefix + "river_migration (line, version) VALUES " + strings.Join(rows, ", ") + ";\n"})
	for n := range migrations {
		record := strings.Replace(sqlApplied, "$1", fmt.Sprint(n+1), 1)
		all = append(all, Migration{fmt.Sprintf("durable %d", n+1),
			replacer.Replace(sqlVersionTable + ";\n" + dialect.migration(n+1) + record + ";\n")})
	}
	return slices.Clip(all), nil
}
