package durable

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	creatify "github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestMain(m *testing.M) {
	if config := os.Getenv(workerEnv); config != "" {
		os.Exit(work(config))
	}
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // they sleep more than they compute
	code := m.Run()
	server.stop()
	os.Exit(code)
}

// server is a PostgreSQL of the tests' own, started by the first test that asks for it.
var server postgres

type postgres struct {
	once sync.Once
	err  error
	bin  string
	dir  string
	port int
}

func (p *postgres) start() {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		path, err := exec.LookPath("initdb")
		if err != nil {
			p.err = fmt.Errorf("no PostgreSQL server is installed (apt-get install postgresql): %w", err)
			return
		}
		found = []string{path}
	}
	p.bin = filepath.Dir(found[len(found)-1])
	if p.dir, p.err = os.MkdirTemp("", "durable-postgres-"); p.err != nil {
		return
	}
	if account, err := user.Lookup("postgres"); os.Getuid() == 0 && err == nil {
		uid, _ := strconv.Atoi(account.Uid)
		gid, _ := strconv.Atoi(account.Gid)
		if p.err = os.Chown(p.dir, uid, gid); p.err != nil {
			return
		}
	}
	if p.err = p.command("initdb", "-D", p.data(), "-A", "trust", "-U", "postgres", "--no-instructions"); p.err != nil {
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.err = err
		return
	}
	p.port = listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	p.err = p.up()
}

func (p *postgres) data() string { return filepath.Join(p.dir, "data") }

func (p *postgres) up() error {
	return p.command("pg_ctl", "-D", p.data(), "-l", filepath.Join(p.dir, "log"), "-w", "-o",
		fmt.Sprintf("-p %d -k %s -h 127.0.0.1 -c max_connections=200", p.port, p.dir), "start")
}

// kill ends the server as a crash does.
func (p *postgres) kill() error {
	return p.command("pg_ctl", "-D", p.data(), "-m", "immediate", "-w", "stop")
}

func (p *postgres) stop() {
	if p.dir != "" {
		_ = p.kill()
		_ = os.RemoveAll(p.dir)
	}
}

// command runs one of the server's programs, as the user postgres if root may not.
func (p *postgres) command(name string, args ...string) error {
	argv := append([]string{filepath.Join(p.bin, name)}, args...)
	if os.Getuid() == 0 {
		argv = append([]string{"runuser", "-u", "postgres", "--"}, argv...)
	}
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir = p.dir
	log, err := os.Create(filepath.Join(os.TempDir(), fmt.Sprintf("durable-%d-%s.log", os.Getpid(), name)))
	if err != nil {
		return err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	command.Stdout, command.Stderr = log, log // no pipe: the server would keep it open
	if err := command.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s: %w: %s", name, err, text)
	}
	return nil
}

func (p *postgres) dsn(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", p.port, database)
}

// database makes an empty database, and returns its DSN.
func (p *postgres) database(t testing.TB) string {
	p.once.Do(p.start)
	require.NoError(t, p.err)
	db, err := sql.Open("pgx", p.dsn("postgres"))
	require.NoError(t, err)
	defer db.Close()
	name := "t" + newToken()[:12]
	_, err = db.Exec("CREATE DATABASE " + name)
	require.NoError(t, err)
	return p.dsn(name)
}

// place is where a test's orders are: a database of one dialect.
type place struct {
	Dialect Dialect
	DSN     string // a path for SQLite
}

var dialects = []struct {
	name    string
	dialect Dialect
}{{"postgres", Postgres}, {"sqlite", SQLite}}

// onBoth runs a test on both databases, beside other tests.
func onBoth(t *testing.T, f func(t *testing.T, at place)) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			f(t, newPlace(t, d.dialect))
		})
	}
}

func newPlace(t testing.TB, d Dialect) place {
	if d == Postgres {
		return place{d, server.database(t)}
	}
	return place{d, filepath.Join(t.TempDir(), "orders.db")}
}

// open opens a queue there, migrated.
func (p place) open(ctx context.Context, o Options) (*Queue, *sql.DB, error) {
	o.Dialect = p.Dialect
	if p.Dialect == SQLite {
		q, err := OpenFile(ctx, p.DSN, o)
		if err != nil {
			return nil, nil, err
		}
		return q, q.db, nil
	}
	db, err := sql.Open("pgx", p.DSN)
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)
	q, err := Open(ctx, db, o)
	if err == nil {
		err = q.Migrate(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	q.own = append(q.own, db)
	return q, db, nil
}

func (p place) queue(t testing.TB, o Options) *Queue {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	q, _, err := p.open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	return q
}

// api is a fake of the API behind a socket.
type api struct {
	*creatifytest.API
	url string
}

func newAPI(t testing.TB, config creatifytest.Config) *api {
	unstarted := httptest.NewUnstartedServer(nil)
	config.BaseURL = "http://" + unstarted.Listener.Addr().String()
	fake := creatifytest.New(config)
	unstarted.Config.Handler = fake
	unstarted.Start()
	t.Cleanup(unstarted.Close)
	return &api{fake, config.BaseURL}
}

func (a *api) client(t testing.TB, options ...creatify.Option) *creatify.Client {
	c, err := newClient(a.url, options...)
	require.NoError(t, err)
	return c
}

func newClient(url string, options ...creatify.Option) (*creatify.Client, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	return creatify.New(creatifytest.APIID, creatifytest.APIKey, append([]creatify.Option{creatify.WithBaseURL(url),
		creatify.WithHTTPClient(&http.Client{Transport: transport})}, options...)...)
}

// quick are times for tests: most are a tenth of the real ones, and those of work leave room for a loaded
// machine.
func quick() *timing {
	return &timing{call: 4 * time.Second, grace: time.Second, slack: 500 * time.Millisecond, transaction: 8 * time.Second,
		block: 2 * time.Second, poll: 4 * time.Second, pollTurn: time.Second, pollTimeout: 6 * time.Second, rescue: 7 * time.Second, margin: time.Second, fetch: 50 * time.Millisecond,
		sweep: time.Second, overdue: 3 * time.Second, probe: time.Second, softStop: 5 * time.Second, lostSwap: 100 * time.Millisecond,
		afterFail: time.Second}
}

func quickOptions(c *creatify.Client) Options {
	return Options{Client: c, Wait: []creatify.WaitOption{creatify.WithSchedule(creatify.FixedInterval(200 * time.Millisecond))},
		timing: quick()}
}

var params = creatify.JobParams{TemplateID: creatifytest.TemplateID,
	Variables: creatify.Variables{"headline": creatify.Text("Spring sale")}}

func previewOrder(id string) Order { return Order{ID: id, Kind: Preview, Params: params} }

// run runs a queue until the test ends, or until the returned function is called.
func run(t testing.TB, q *Queue) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := q.Run(ctx)
		if ctx.Err() == nil {
			t.Errorf("Run returned early: %v", err)
		}
		done <- err
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			assert.NoError(t, <-done)
		})
	}
	t.Cleanup(stop)
	return stop
}

func mustSubmit(t testing.TB, q *Queue, order Order) *Order {
	t.Helper()
	stored, err := q.Submit(t.Context(), order)
	for deadline := time.Now().Add(patience); errors.Is(err, context.DeadlineExceeded) && time.Now().Before(deadline); {
		stored, err = q.Submit(t.Context(), order) // the machine is loaded
	}
	require.NoError(t, err)
	return stored
}

// patience is how long a test waits for what takes a second or ten when nothing else uses the machine.
const patience = 2 * time.Minute

// reaches waits until an order has a state.
func reaches(t testing.TB, q *Queue, id string, state State) *Order {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		order, err := q.Get(t.Context(), id)
		require.NoError(t, err)
		if order.State == state {
			return order
		}
		if time.Now().After(deadline) {
			history, _ := q.History(t.Context(), id)
			require.FailNow(t, "the order does not get there", "%s is %s (%s), not %s: %v", id, order.State, order.Reason, state, history)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// worker configures a worker process of a test.
type worker struct {
	Place   place
	URL     string
	Credits float64
	Rate    float64
	Sends   int
	KillAt  string        // a point at which the process kills itself; empty is none
	Later   time.Duration // after that point
	Victim  string        // the order whose point it is; empty is any
	Skip    int           // how many times it passes the point before
	Control bool          // whether it forgets its claims, as a naive program would
	Slow    time.Duration
	Webhook Webhook
}

const workerEnv = "DURABLE_TEST_WORKER"

// start starts a worker process. It is killed when the test ends.
func (w worker) start(t testing.TB) *exec.Cmd {
	config, err := json.Marshal(w)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	command := exec.Command(self)
	command.Env = append(os.Environ(), workerEnv+"="+string(config))
	output := &strings.Builder{}
	command.Stdout, command.Stderr = output, output
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		if command.ProcessState == nil {
			_ = command.Process.Kill()
			_ = command.Wait()
		}
		if t.Failed() && output.Len() > 0 {
			t.Logf("worker %d: %s", command.Process.Pid, output)
		}
	})
	return command
}
