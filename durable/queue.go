package durable

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"       // the driver that Postgres is used with
	_ "github.com/ncruces/go-sqlite3/driver" // the driver that OpenFile uses
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivertype"

	creatify "github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/internal/wait"
)

// Options sets how a queue works. Client is required, and Dialect for [Open].
type Options struct {
	Client  *creatify.Client // for the API; see [Queue.SetClient]
	Dialect Dialect          // of the database
	Schema  string           // of this package's and River's tables in Postgres; empty is "creatify"

	// RequestsPerSecond bounds the requests of all processes together, paid calls and polls. 0 is no bound.
	RequestsPerSecond float64
	// Credits is what all orders together may use, ever. An order that would exceed it stays queued. 0 is no
	// bound.
	Credits float64
	// Sends is how many paid calls all processes together make at once. 0 is 4.
	Sends int
	// Webhook has the API send an event when a job has ended. The zero value turns webhooks off.
	Webhook Webhook
	// Wait holds the options of each wait. The order's MaxWait replaces WithMaxWait.
	Wait []creatify.WaitOption
	// OnEnd is called in the transaction that makes an order done, failed, rejected, refused or expired. It
	// must use only tx, and has 10 s. Its writes are committed once, but it is called again if it returns an
	// error or the commit fails.
	OnEnd func(ctx context.Context, tx *sql.Tx, order *Order) error
	// Retention is how long a finished order keeps its parameters, job and history. Its row stays, so that
	// its ID cannot be used again. 0 keeps everything.
	Retention time.Duration
	// Logger logs problems, without parameters or URLs. nil logs nothing.
	Logger *slog.Logger
	// OnCounts is called by [Queue.Run] with the result of [Queue.Counts], at its start and then each
	// CountsEvery: use it for gauges, so that reading them needs no database. Calls do not overlap, and none
	// comes after Run has returned: a call that blocks delays the next one and the end of Run. A panic ends
	// the process.
	OnCounts func(Counts)
	// CountsEvery is the interval of OnCounts. 0 is 30 s.
	CountsEvery time.Duration
	// Listener receives Postgres notifications of new work: orders are sent at once, and Run asks for work
	// once a second instead of four times. Run takes one connection of the pool until it ends. The pool
	// connects to the same database, not through PgBouncer in transaction mode. If nil, Run only asks.
	Listener *pgxpool.Pool
	// Authorize lets [Queue.StatusHandler] show buttons that change orders, and names the person for the
	// history. If nil, the page is read-only.
	Authorize func(*http.Request) (who string, ok bool)

	// Hosts are the host names of the status page, in addition to localhost and IP addresses.
	Hosts []string

	timing *timing // for tests
}

// Webhook is where the API reaches [Queue.WebhookHandler].
type Webhook struct {
	BaseURL string // absolute, without the query that the queue adds
	Secret  string // goes into the URL; without it, anybody can make the handler read jobs
}

// apiClient holds the clients that the queue makes from [Options.Client].
type apiClient struct {
	*creatify.Client                  // for free calls
	paid             *creatify.Client // whose only limit is the call's context
	webhooks         http.Handler
}

// Queue keeps orders in a database and brings each to its end, in this process and in others. Make it with
// [Open] or [OpenFile]. It is safe for concurrent use.
type Queue struct {
	options  Options
	db       *sql.DB
	reads    *sql.DB // for the status page: SQLite's one connection must stay free
	own      []*sql.DB
	dialect  *strings.Replacer
	log      *slog.Logger
	timing   *timing
	insert   *river.Client[*sql.Tx]
	replica  string // names this process among those that run
	migrated atomic.Bool
	running  atomic.Bool
	client   atomic.Pointer[apiClient]
	slots    *slots

	brake   wait.Brake // of this process's polls
	seed    maphash.Seed
	mu      sync.Mutex
	waiting int // orders, as the latest sweep counted the first few
}

// Open makes a queue on a database that the caller has opened, with pgx's stdlib driver or
// ncruces/go-sqlite3. If its settings could lose committed orders, the error is [ErrUnsafe] and names them.
// The tables may be missing: see [Queue.Migrate].
func Open(ctx context.Context, db *sql.DB, options Options) (*Queue, error) {
	q, err := open(ctx, db, options)
	if err != nil {
		return nil, fmt.Errorf("durable: open: %w", err)
	}
	return q, nil
}

func open(ctx context.Context, db *sql.DB, options Options) (*Queue, error) {
	options.Schema = cmp.Or(options.Schema, "creatify")
	options.Sends = cmp.Or(options.Sends, 4)
	options.CountsEvery = cmp.Or(options.CountsEvery, 30*time.Second)
	if err := options.check(db); err != nil {
		return nil, err
	}
	q := &Queue{options: options, db: db, reads: db, dialect: options.Dialect.replacer(options.Schema), log: options.Logger,
		timing: cmp.Or(options.timing, defaultTiming()), seed: maphash.MakeSeed(), replica: newToken()}
	if q.log == nil {
		q.log = slog.New(slog.DiscardHandler)
	}
	q.slots = &slots{queue: q}
	if err := q.SetClient(options.Client); err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("the database does not answer: %w", err)
	}
	if err := q.checkSettings(ctx); err != nil {
		return nil, err
	}
	if err := q.checkVersions(ctx, db); err != nil && !errors.Is(err, errNotMigrated) {
		return nil, err
	}
	var err error
	q.insert, err = river.NewClient(driverOf(options.Dialect, db), &river.Config{Schema: q.schema(), Logger: quiet(q.log)})
	if err != nil {
		return nil, err
	}
	return q, q.openReads(ctx)
}

// schemaName is what River allows.
var schemaName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,45}$`)

func (o *Options) check(db *sql.DB) error {
	var problems []creatify.Problem
	refuse := func(field, message string) {
		problems = append(problems, creatify.Problem{Field: field, Message: message})
	}
	if db == nil {
		refuse("db", "is nil")
	}
	if o.Client == nil {
		refuse("Client", "is nil")
	}
	if o.Dialect != Postgres && o.Dialect != SQLite {
		refuse("Dialect", "must be durable.Postgres or durable.SQLite")
	}
	if !schemaName.MatchString(o.Schema) {
		refuse("Schema", "must be at most 46 letters, digits and underscores, and begin with none of the digits")
	}
	if !(o.RequestsPerSecond >= 0 && o.RequestsPerSecond <= 1000) {
		refuse("RequestsPerSecond", "must be from 0 to 1000")
	}
	if !(o.Credits >= 0 && o.Credits <= 1e12) {
		refuse("Credits", "must be from 0 to 1e12")
	}
	if o.Sends < 1 || o.Sends > 1000 {
		refuse("Sends", "must be from 1 to 1000, or 0 for 4")
	}
	if o.CountsEvery < 0 {
		refuse("CountsEvery", "must not be negative")
	}
	if o.Listener != nil && o.Dialect != Postgres {
		refuse("Listener", "is for Postgres only")
	}
	if o.Retention < 0 {
		refuse("Retention", "must not be negative")
	}
	if o.Webhook != (Webhook{}) {
		if _, err := o.webhookURL(newToken()); err != nil {
			problems = append(problems, problemsOf(err)...)
		}
	}
	if o.Client != nil {
		some := creatify.PendingJob{ID: "00000000-0000-4000-8000-000000000000"}
		if _, err := o.Client.Jobs.NewPoller(some, o.Wait...); err != nil {
			problems = append(problems, problemsOf(err)...)
		}
	}
	if len(problems) > 0 {
		return &creatify.ValidationError{Problems: problems}
	}
	return nil
}

func problemsOf(err error) []creatify.Problem {
	if invalid, ok := errors.AsType[*creatify.ValidationError](err); ok {
		return invalid.Problems
	}
	return []creatify.Problem{{Field: "?", Message: err.Error()}}
}

// OpenFile makes a queue in a SQLite file, which it creates and migrates. Several processes of one machine
// may open it. The file must not be on a network file system. Close closes it.
func OpenFile(ctx context.Context, path string, options Options) (*Queue, error) {
	options.Dialect = SQLite
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("durable: open %s: %w", path, err)
	}
	db, err := sql.Open("sqlite3", fileURL(path, safeSQLite))
	if err != nil {
		return nil, fmt.Errorf("durable: open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	q, err := Open(ctx, db, options)
	if err == nil {
		q.own = append(q.own, db)
		if err = q.Migrate(ctx); err == nil {
			return q, nil
		}
		_ = q.Close()
	}
	_ = db.Close()
	return nil, err
}

// safeSQLite has the settings that checkSQLite requires. The busy timeout comes first: without it, a second
// process fails to set the rest.
const safeSQLite = "_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_txlock=immediate"

func fileURL(path, query string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/orders.db
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query}).String()
}

// Close closes what the queue itself has opened: the file of [OpenFile], and the page's connection. End
// [Queue.Run] first.
func (q *Queue) Close() error {
	var errs []error
	for _, db := range q.own {
		errs = append(errs, db.Close())
	}
	return errors.Join(errs...)
}

// schema is River's; SQLite has none.
func (q *Queue) schema() string {
	if q.options.Dialect == SQLite {
		return ""
	}
	return q.options.Schema
}

// quiet passes River's warnings and errors on, and nothing else.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(warnings{log.Handler()}) }

type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}
func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}
func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }

// longestStop is how long a process may be stopped and still read a response when it wakes. The limit of a
// call is its context and the grace after it; a time limit of the attempt would have passed before the
// response is read.
const longestStop = time.Hour

// SetClient replaces the client of [Options], for example after a change of the key. Calls under way end with
// the old client. nil is a [*creatify.ValidationError].
//
// The queue uses copies of the client that make one attempt for each call and are limited by
// [Options.RequestsPerSecond]. A paid call has 60 s and a grace of 10 s, a free one 15 s. The client's own
// time limits, rate limits and retries do not apply.
func (q *Queue) SetClient(c *creatify.Client) error {
	if c == nil {
		return &creatify.ValidationError{Problems: []creatify.Problem{{Field: "Client", Message: "is nil"}}}
	}
	free, err := c.With(creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1}), creatify.WithLimiter(q.slots),
		creatify.WithTimeout(q.timing.poll))
	if err != nil {
		return err
	}
	paid, err := free.With(creatify.WithTimeout(longestStop), creatify.WithPaidGrace(q.timing.grace))
	if err != nil {
		return err
	}
	q.client.Store(&apiClient{free, paid,
		free.Jobs.WebhookHandler(creatify.WebhookOptions{Secret: q.options.Webhook.Secret}, q.heard)})
	return nil
}

// Run sends and polls orders until ctx ends. It returns nil once every paid call has ended and its outcome is
// recorded, which takes up to 45 s. If the database cannot be used, it returns an error at once.
func (q *Queue) Run(ctx context.Context) error {
	if !q.running.CompareAndSwap(false, true) {
		return fmt.Errorf("durable: run: %w", ErrRunning)
	}
	defer q.running.Store(false)
	if err := q.run(ctx); err != nil {
		return fmt.Errorf("durable: run: %w", err)
	}
	return nil
}

func (q *Queue) run(ctx context.Context) error {
	if err := q.usable(ctx, q.db); err != nil {
		return err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &sender{queue: q, run: ctx})
	river.AddWorker(workers, &waiter{queue: q, run: ctx})
	river.AddWorker(workers, &looker{queue: q})
	driver := driverOf(q.options.Dialect, q.db)
	if q.options.Listener != nil {
		driver = riverdatabasesql.NewWithPgxListener(q.db, q.options.Listener)
	}
	client, err := river.NewClient(driver, q.riverConfig(workers))
	if err != nil {
		return err
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	_ = q.show(ctx) // as each sweep does
	var beside sync.WaitGroup
	beside.Go(func() { q.sweepUntil(ctx) })
	if q.options.OnCounts != nil {
		beside.Go(func() { q.countUntil(ctx) })
	}
	<-ctx.Done()
	err = client.Stop(context.WithoutCancel(ctx))
	beside.Wait()
	return err
}

const (
	sendQueue = "creatify_send"
	waitQueue = "creatify_wait"
)

func (q *Queue) riverConfig(workers *river.Workers) *river.Config {
	return &river.Config{
		Schema:  q.schema(),
		Workers: workers,
		Queues: map[string]river.QueueConfig{
			sendQueue: {MaxWorkers: q.options.Sends},
			waitQueue: {MaxWorkers: q.pollers()},
		},
		PollOnly: q.options.Listener == nil, FetchPollInterval: q.fetchInterval(), FetchCooldown: min(q.timing.fetch, 50*time.Millisecond),
		JobTimeout: q.timing.pollTimeout, RescueStuckJobsAfter: q.timing.rescue,
		MaxAttempts: maxAttempts, RetryPolicy: soon{}, SoftStopTimeout: q.timing.softStop,
		CompletedJobRetentionPeriod: time.Hour, CancelledJobRetentionPeriod: time.Hour, DiscardedJobRetentionPeriod: time.Hour,
		ReindexerIndexNames: q.reindexed(),
		Logger:              quiet(q.log),
	}
}

// fetchInterval is how often River asks for work. A listener reports most of it sooner.
func (q *Queue) fetchInterval() time.Duration {
	if q.options.Listener != nil {
		return 4 * q.timing.fetch
	}
	return q.timing.fetch
}

const maxAttempts = 1000

// pollers returns how many polls are made at once. More than a few for each connection would wait for the
// connection.
func (q *Queue) pollers() int {
	if q.options.Dialect == SQLite {
		return 16
	}
	if n := q.db.Stats().MaxOpenConnections; n > 0 {
		return min(max(4*n, 8), 100)
	}
	return 50
}

// reindexed is empty for SQLite, which cannot reindex concurrently; nil is River's default.
func (q *Queue) reindexed() []string {
	if q.options.Dialect == SQLite {
		return []string{}
	}
	return nil
}

// soon is the pause after an error, which in these workers comes from a bug or the database.
type soon struct{}

func (soon) NextRetry(job *rivertype.JobRow) time.Time {
	return time.Now().Add(min(time.Duration(len(job.Errors)+1)*time.Second, 5*time.Second))
}
