package durable

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// The database dies between the call and the record of its ID, and comes back.
func TestQueue_Run_database_dies(t *testing.T) {
	t.Parallel()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		var own postgres
		t.Cleanup(own.stop)
		fake := newAPI(t, done1s)
		options := quickOptions(fake.client(t))
		var once sync.Once
		options.timing.at = func(point string, _ *row) {
			if point == "answered" {
				once.Do(func() { assert.NoError(t, own.kill()) })
			}
		}
		q := place{Postgres, own.database(t)}.queue(t, options)
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		require.Eventually(t, func() bool { return fake.Charged() == 1 && q.db.Ping() != nil }, patience, 20*time.Millisecond)
		_, err := q.Submit(t.Context(), previewOrder("b"))
		assert.ErrorContains(t, err, "durable: submit")
		time.Sleep(time.Second)
		require.NoError(t, own.up())
		order := reaches(t, q, "a", StateDone)
		assert.Equal(t, fake.Jobs(), []string{order.JobID})
		assert.Equal(t, 1.0, fake.Charged())
	})
	t.Run("sqlite_locked_by_another_process", func(t *testing.T) {
		t.Parallel()
		fake := newAPI(t, done1s)
		at := newPlace(t, SQLite)
		options := quickOptions(fake.client(t))
		other, err := sql.Open("sqlite3", fileURL(at.DSN, "_pragma=busy_timeout(10000)"))
		require.NoError(t, err)
		defer other.Close()
		var once sync.Once
		locked := make(chan *sql.Tx, 1)
		options.timing.at = func(point string, _ *row) {
			if point == "answered" {
				once.Do(func() {
					tx, err := other.Begin()
					assert.NoError(t, err)
					locked <- tx
				})
			}
		}
		q := at.queue(t, options)
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		tx := <-locked
		time.Sleep(2 * options.timing.transaction)
		require.NoError(t, tx.Rollback())
		reaches(t, q, "a", StateDone)
		assert.Equal(t, 1.0, fake.Charged())
	})
}

func TestOpen_dead_database(t *testing.T) {
	fake := newAPI(t, creatifytest.Config{})
	db, err := sql.Open("pgx", "postgres://127.0.0.1:1/x?sslmode=disable")
	require.NoError(t, err)
	defer db.Close()
	_, err = Open(t.Context(), db, Options{Client: fake.client(t), Dialect: Postgres})
	assert.ErrorContains(t, err, "durable: open: the database does not answer")
}

// Run says at once that its database is not there, also when it was once.
func TestQueue_Run_dead_database(t *testing.T) {
	t.Parallel()
	fake := newAPI(t, creatifytest.Config{})
	p, through := newProxy(t, server.database(t))
	q := place{Postgres, through}.queue(t, quickOptions(fake.client(t)))
	q.db.SetMaxIdleConns(0)
	p.down.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	assert.ErrorContains(t, q.Run(ctx), "durable: run: ")
	require.NoError(t, ctx.Err())
	_, err := q.Get(ctx, "a")
	assert.ErrorContains(t, err, "durable: get: ")
	_, err = q.Counts(ctx)
	assert.ErrorContains(t, err, "durable: counts: ")
	_, err = q.List(ctx, Filter{})
	assert.ErrorContains(t, err, "durable: list: ")
	_, err = q.Wait(ctx, "a")
	assert.ErrorContains(t, err, "durable: wait: ")
	assert.ErrorContains(t, q.Cancel(ctx, "a"), `durable: cancel "a": `)
	assert.ErrorContains(t, q.Resume(ctx), "durable: resume: ")
	_, err = q.Quarantine(ctx, time.Time{})
	assert.ErrorContains(t, err, "durable: quarantine: ")
	assert.ErrorContains(t, q.Migrate(ctx), "durable: migrate: ")
}

// proxy stands between a queue and its database.
type proxy struct {
	listener net.Listener
	target   string
	fault    atomic.Pointer[string] // what happens to the next COMMIT; "" is nothing
	down     atomic.Bool
	hits     atomic.Int32
}

// newProxy returns a proxy and the DSN that leads through it.
func newProxy(t *testing.T, dsn string) (*proxy, string) {
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: listener, target: u.Host}
	p.arm("")
	u.Host = listener.Addr().String()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	t.Cleanup(func() { _ = listener.Close() })
	return p, u.String()
}

func (p *proxy) arm(fault string) { p.fault.Store(&fault) }

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	if p.down.Load() {
		return
	}
	backend, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer backend.Close()
	var cut atomic.Bool
	go func() {
		defer client.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := backend.Read(buffer)
			if err != nil || cut.Load() || p.down.Load() {
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		fault := *p.fault.Load()
		if fault == "" || !bytes.Contains(bytes.ToLower(buffer[:n]), []byte("commit")) {
			if _, err := backend.Write(buffer[:n]); err != nil {
				return
			}
			continue
		}
		p.arm("")
		p.hits.Add(1)
		if strings.Contains(fault, "down") {
			p.down.Store(true)
		}
		cut.Store(true)
		if strings.Contains(fault, "forward") { // the commit succeeds, its answer is lost
			_, _ = backend.Write(buffer[:n])
			_ = client.Close()
			_, _ = io.CopyN(io.Discard, backend, 1)
			time.Sleep(50 * time.Millisecond)
		}
		return
	}
}

// The answer to a claim's COMMIT is lost.
func TestQueue_Run_lost_commit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault string
	}{
		{"the_commit_never_arrived", "drop"},
		{"the_commit_succeeded", "forward"},
		{"the_commit_succeeded_and_the_database_is_away", "forward down"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			fake := newAPI(t, done1s)
			dsn := server.database(t)
			direct := place{Postgres, dsn}.queue(t, quickOptions(fake.client(t)))
			p, through := newProxy(t, dsn)
			options := quickOptions(fake.client(t))
			var once sync.Once
			options.timing.at = func(point string, _ *row) {
				if point == "committing" {
					once.Do(func() { p.arm(test.fault) })
				}
			}
			q := place{Postgres, through}.queue(t, options)
			run(t, q)
			mustSubmit(t, direct, previewOrder("a"))
			require.Eventually(t, func() bool { return p.hits.Load() == 1 }, patience, 10*time.Millisecond)
			if p.down.Load() {
				assert.Equal(t, StateSending, reaches(t, direct, "a", StateSending).State)
				time.Sleep(500 * time.Millisecond)
				assert.Zero(t, fake.Calls(creatifytest.CallCreatePreview), "sent without certainty")
				p.down.Store(false)
			}
			reaches(t, direct, "a", StateDone)
			assert.Equal(t, 1.0, fake.Charged())
		})
	}
}

// A queue that stays away from its database for longer than a claim may take does not send, and says so when
// it is back.
func TestQueue_Run_lost_commit_found_late(t *testing.T) {
	t.Parallel()
	fake := newAPI(t, done1s)
	dsn := server.database(t)
	direct := place{Postgres, dsn}.queue(t, quickOptions(fake.client(t)))
	p, through := newProxy(t, dsn)
	options := quickOptions(fake.client(t))
	var once sync.Once
	options.timing.at = func(point string, _ *row) {
		if point == "committing" {
			once.Do(func() { p.arm("forward down") })
		}
	}
	q := place{Postgres, through}.queue(t, options)
	run(t, q)
	mustSubmit(t, direct, previewOrder("a"))
	require.Eventually(t, p.down.Load, patience, 10*time.Millisecond)
	time.Sleep(options.timing.late())
	assert.Zero(t, fake.Calls(creatifytest.CallCreatePreview))
	p.down.Store(false)
	require.Eventually(t, func() bool {
		order, err := direct.Get(context.Background(), "a")
		return err == nil && (order.State == StateDone || order.State == StateUnknown)
	}, patience, 50*time.Millisecond)
	assert.LessOrEqual(t, fake.Charged(), 1.0)
}
