package durable

import (
	"bytes"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	creatify "github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

var figures = flag.Bool("figures", false, "measure what docs/durable.md says about load, on Postgres; takes five minutes")

// usage is what Postgres and the kernel count.
type usage struct {
	cpu                                                       time.Duration // of this process and the server's
	commits, wal, orders, ordersHot, river, riverHot, inserts int64
	at                                                        time.Time
}

func measure(t *testing.T, db *sql.DB) (u usage) {
	time.Sleep(1200 * time.Millisecond) // the statistics are late by a second
	u.at, u.cpu = time.Now(), cpuTime()
	require.NoError(t, db.QueryRow(`SELECT xact_commit, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint
		FROM pg_stat_database WHERE datname = current_database()`).Scan(&u.commits, &u.wal))
	require.NoError(t, db.QueryRow(`SELECT coalesce(sum(n_tup_ins), 0) FROM pg_stat_user_tables WHERE schemaname = 'creatify'`).Scan(&u.inserts))
	for table, counts := range map[string][2]*int64{"orders": {&u.orders, &u.ordersHot}, "river_job": {&u.river, &u.riverHot}} {
		require.NoError(t, db.QueryRow(`SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE schemaname = 'creatify'
			AND relname = $1`, table).Scan(counts[0], counts[1]))
	}
	return u
}

func (u usage) since(before usage, n int, unit string) string {
	per := func(a, b int64) float64 { return float64(a-b) / float64(max(n, 1)) }
	share := func(a, b, c, d int64) float64 { return 100 * float64(a-b) / float64(max(c-d, 1)) }
	took := u.at.Sub(before.at)
	return fmt.Sprintf("%d %ss in %.0f s, %.0f a second; for each: %.2f ms of CPU, %.2f commits, %.2f kB of WAL, %.2f rows inserted, %.2f orders and %.2f River "+
		"jobs updated (%.0f %% and %.0f %% HOT)", n, unit, took.Seconds(), float64(n)/took.Seconds(), (u.cpu-before.cpu).Seconds()*1000/float64(max(n, 1)), per(u.commits, before.commits),
		per(u.wal, before.wal)/1000, per(u.inserts, before.inserts), per(u.orders, before.orders), per(u.river, before.river),
		share(u.ordersHot, before.ordersHot, u.orders, before.orders), share(u.riverHot, before.riverHot, u.river, before.river))
}

// cpuTime is what this process, with the fake in it, and the server's processes have used; 0 where /proc is
// not.
func cpuTime() (total time.Duration) {
	pid, _ := os.ReadFile(filepath.Join(server.data(), "postmaster.pid"))
	postmaster, _, _ := strings.Cut(string(pid), "\n")
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, _ := os.ReadFile(path)
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // from the state on
		if len(fields) < 15 {
			continue
		}
		own := filepath.Base(filepath.Dir(path))
		if own != strconv.Itoa(os.Getpid()) && own != postmaster && fields[1] != postmaster {
			continue
		}
		for _, ticks := range fields[11:13] {
			n, _ := strconv.Atoi(ticks)
			total += time.Duration(n) * time.Second / 100
		}
	}
	return total
}

func memory() string {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if rss, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			return fmt.Sprintf("resident %s, heap %d MB, %d goroutines (the fake included)", strings.TrimSpace(rss), stats.HeapInuse>>20, runtime.NumGoroutine())
		}
	}
	return "unknown"
}

func TestFigures(t *testing.T) {
	if !*figures {
		t.Skip("measures for five minutes; run with -figures")
	}
	fake := newAPI(t, creatifytest.Config{Credits: 1e6, Life: creatifytest.Life{Duration: time.Hour}})
	at := newPlace(t, Postgres)
	options := Options{Client: fake.client(t), Sends: 100, timing: defaultTiming(),
		Wait: []creatify.WaitOption{creatify.WithSchedule(creatify.FixedInterval(5 * time.Second))}}
	options.timing.fetch = 100 * time.Millisecond
	q := at.queue(t, options)
	db := q.db

	const waiting, backlog = 10_000, 100_000
	submitMany := func(from, to int) {
		for i := from; i < to; {
			require.NoError(t, q.begin(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
				for end := min(i+1000, to); i < end; i++ {
					if _, err := q.SubmitTx(ctx, tx, previewOrder(fmt.Sprintf("order-%06d", i))); err != nil {
						return err
					}
				}
				return nil
			}))
		}
	}
	before := measure(t, db)
	for i := range 500 {
		mustSubmit(t, q, previewOrder(fmt.Sprintf("order-%06d", i)))
	}
	t.Log("Submit, one after the other: ", measure(t, db).since(before, 500, "order"))
	submitMany(500, waiting)

	stop := run(t, q)
	before = measure(t, db)
	sent := 0
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline) && sent < waiting; {
		time.Sleep(500 * time.Millisecond)
		sent = fake.Calls(creatifytest.CallCreatePreview)
	}
	after := measure(t, db)
	t.Log("claim, call and record, beside polls: ", after.since(before, sent, "order"))

	time.Sleep(10 * time.Second)
	before, polls := measure(t, db), fake.Calls(creatifytest.CallGetJob)
	time.Sleep(30 * time.Second)
	made := fake.Calls(creatifytest.CallGetJob) - polls
	t.Log(waiting, " waiting orders, due each 5 s: ", measure(t, db).since(before, made, "poll"))
	t.Log("memory: ", memory())
	stop()

	before = measure(t, db)
	submitMany(waiting, waiting+backlog)
	t.Log("SubmitTx, 1,000 in a transaction: ", measure(t, db).since(before, backlog, "order"))
	started := time.Now()
	require.NoError(t, q.reviveLost(t.Context()))
	t.Log("a sweep with 110,000 orders: ", time.Since(started))
	started = time.Now()
	_, err := q.Counts(t.Context())
	require.NoError(t, err)
	t.Log("Counts of 110,000 orders: ", time.Since(started))
	var size int64
	require.NoError(t, db.QueryRow("SELECT pg_database_size(current_database())").Scan(&size))
	t.Log("database: ", size>>20, " MB")
}

// TestFigures_idle shows what a queue without orders costs Postgres.
func TestFigures_idle(t *testing.T) {
	if !*figures {
		t.Skip("measures; run with -figures")
	}
	q := newPlace(t, Postgres).queue(t, Options{Client: newAPI(t, creatifytest.Config{}).client(t)})
	run(t, q)
	time.Sleep(5 * time.Second)
	before := measure(t, q.db)
	time.Sleep(20 * time.Second)
	t.Log("idle: ", measure(t, q.db).since(before, 20, "second"))
}
