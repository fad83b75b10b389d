package durable

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// What River, a person at its page or a foreign client does to a job is healed.
func TestQueue_Run_lost_river_jobs(t *testing.T) {
	t.Parallel()
	finalized := ", finalized_at = CURRENT_TIMESTAMP"
	tests := []struct {
		name string
		harm string
	}{
		{"deleted", "DELETE FROM {s}river_job"},
		{"discarded", "UPDATE {s}river_job SET state = 'discarded'" + finalized},
		{"cancelled", "UPDATE {s}river_job SET state = 'cancelled'" + finalized},
		{"completed", "UPDATE {s}river_job SET state = 'completed'" + finalized},
		{"far_away", "UPDATE {s}river_job SET state = 'scheduled', scheduled_at = '2099-01-01 00:00:00.000'"},
		{"pending", "UPDATE {s}river_job SET state = 'pending'"},
		{"running_for_good", "UPDATE {s}river_job SET state = 'running', attempted_at = '2020-01-01 00:00:00.000'"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, at place) {
				fake := newAPI(t, creatifytest.Config{Life: creatifytest.Life{Duration: 20 * time.Second, PerRead: time.Second}}) // 20 polls
				q := at.queue(t, quickOptions(fake.client(t)))
				mustSubmit(t, q, previewOrder("a"))
				for _, state := range []State{StateQueued, StateWaiting} {
					assert.Equal(t, state, must(q.Get(t.Context(), "a"))(t).State)
					_, err := q.exec(t.Context(), q.db, test.harm+" WHERE finalized_at IS NULL")
					require.NoError(t, err)
					stop := run(t, q)
					if state == StateQueued {
						reaches(t, q, "a", StateWaiting)
					} else {
						reaches(t, q, "a", StateDone)
					}
					stop()
				}
				assert.Equal(t, 1.0, fake.Charged())
			})
		})
	}
}

// Orders that wait in River's queue are not given new jobs: a long backlog would grow for nothing.
func TestQueue_sweep_leaves_a_backlog_alone(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		q := at.queue(t, quickOptions(newAPI(t, creatifytest.Config{}).client(t)))
		for i := range 20 {
			mustSubmit(t, q, previewOrder(fmt.Sprint("order-", i)))
		}
		time.Sleep(q.timing.overdue + 100*time.Millisecond)
		require.NoError(t, q.sweep(t.Context()))
		var jobs int
		require.NoError(t, q.queryRow(t.Context(), q.db, "SELECT count(*) FROM {s}river_job").Scan(&jobs))
		assert.Equal(t, 20, jobs)
	})
}

func TestOptions_Retention(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		options := quickOptions(fake.client(t))
		options.Retention = 500 * time.Millisecond
		q := at.queue(t, options)
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		reaches(t, q, "a", StateDone)
		require.Eventually(t, func() bool {
			order, err := q.Get(t.Context(), "a")
			history, historyErr := q.History(t.Context(), "a")
			return err == nil && historyErr == nil && order.Job == nil && order.Params.TemplateID == "" && len(history) == 0
		}, patience, 50*time.Millisecond)
		assert.Equal(t, StateDone, mustSubmit(t, q, previewOrder("a")).State, "the ID stays taken")
		mustSubmit(t, q, Order{ID: "v", Kind: Render, Of: "a"})
		reaches(t, q, "v", StateDone)
		assert.Equal(t, 5.0, fake.Charged())
	})
}

func TestQueue_Run(t *testing.T) {
	t.Parallel()
	t.Run("preview_then_render", func(t *testing.T) {
		onBoth(t, func(t *testing.T, at place) {
			fake := newAPI(t, done1s)
			q := at.queue(t, quickOptions(fake.client(t)))
			run(t, q)

			mustSubmit(t, q, previewOrder("order-17"))
			order, err := q.Wait(t.Context(), "order-17")
			require.NoError(t, err)
			assert.Equal(t, StateDone, order.State)
			assert.NotEmpty(t, order.Job.Preview)
			assert.Equal(t, "Spring sale", order.Params.Variables["headline"].Value())

			mustSubmit(t, q, Order{ID: "order-17-video", Kind: Render, Of: "order-17"})
			video, err := q.Wait(t.Context(), "order-17-video")
			require.NoError(t, err)
			assert.Equal(t, StateDone, video.State)
			assert.Equal(t, order.JobID, video.JobID)
			assert.NotEmpty(t, video.Job.VideoOutput)

			assert.Equal(t, 5.0, fake.Charged())
			assert.Equal(t, 1.0, order.Credits)
			assert.Equal(t, 4.0, video.Credits)
			counts, err := q.Counts(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 5.0, counts.Credits)
			assert.Equal(t, map[State]int{StateDone: 2}, counts.Orders)
		})
	})
	t.Run("ends_of_jobs", func(t *testing.T) {
		onBoth(t, func(t *testing.T, at place) {
			fake := newAPI(t, creatifytest.Config{LifeFor: func(r creatifytest.Request) creatifytest.Life {
				return creatifytest.Life{Duration: time.Second, End: r.Name, Reason: "the photo\n is missing"}
			}})
			q := at.queue(t, quickOptions(fake.client(t)))
			run(t, q)
			for _, end := range []State{StateDone, StateFailed, StateRejected} {
				order := previewOrder(string(end))
				order.Params.Name = string(end)
				mustSubmit(t, q, order)
			}
			reaches(t, q, "done", StateDone)
			assert.Equal(t, "the photo  is missing", reaches(t, q, "failed", StateFailed).Reason)
			assert.NotNil(t, reaches(t, q, "rejected", StateRejected).Job)
		})
	})
	t.Run("urgent_orders_first", func(t *testing.T) {
		onBoth(t, func(t *testing.T, at place) {
			fake := newAPI(t, done1s)
			options := quickOptions(fake.client(t))
			options.Sends = 1
			q := at.queue(t, options)
			for i, priority := range []int{4, 4, 0, 1} {
				order := previewOrder(fmt.Sprint(i))
				order.Priority, order.Params.Name = priority, fmt.Sprint(i)
				mustSubmit(t, q, order)
			}
			run(t, q)
			reaches(t, q, "1", StateDone)
			var order []string
			for _, charge := range fake.Charges() {
				order = append(order, charge.Name)
			}
			assert.Equal(t, []string{"3", "2", "0", "1"}, order)
		})
	})
	t.Run("twice", func(t *testing.T) {
		onBoth(t, func(t *testing.T, at place) {
			q := at.queue(t, quickOptions(newAPI(t, creatifytest.Config{}).client(t)))
			stop := run(t, q)
			require.Eventually(t, q.running.Load, patience, time.Millisecond)
			assert.ErrorIs(t, q.Run(t.Context()), ErrRunning)
			stop()
			run(t, q)
		})
	})
}

// Nothing that Run has started outlives it.
func TestQueue_Run_leaves_nothing_running(t *testing.T) {
	for _, d := range dialects { // not beside other tests, whose goroutines it would see
		at := newPlace(t, d.dialect)
		fake := newAPI(t, done1s)
		q := at.queue(t, quickOptions(fake.client(t)))
		for i := range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- q.Run(ctx) }()
			id := fmt.Sprint("order-", i)
			mustSubmit(t, q, previewOrder(id))
			reaches(t, q, id, StateDone)
			cancel()
			require.NoError(t, <-done)
		}
		var left string
		assert.Eventually(t, func() bool {
			buffer := make([]byte, 1<<20)
			stacks := strings.Split(string(buffer[:runtime.Stack(buffer, true)]), "\n\n")
			left = ""
			for _, stack := range stacks {
				if strings.Contains(stack, "testing.(*T).Parallel") {
					continue // a test with such a name, which has not begun
				}
				if strings.Contains(stack, "river") || strings.Contains(stack, "durable.(*Queue)") {
					left += stack + "\n\n"
				}
			}
			return left == ""
		}, patience, 50*time.Millisecond)
		assert.Empty(t, left)
	}
}

// statements counts what a pool asks its database.
type statements struct {
	driver.Connector
	n atomic.Int64
}

func (s *statements) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := s.Connector.Connect(ctx)
	return countedConn{conn, &s.n}, err
}

type countedConn struct {
	driver.Conn
	n *atomic.Int64
}

func (c countedConn) Prepare(query string) (driver.Stmt, error) {
	c.n.Add(1)
	return c.Conn.Prepare(query)
}

// lazily connects by a driver's name.
type lazily struct {
	driver driver.Driver
	dsn    string
}

func (l lazily) Connect(context.Context) (driver.Conn, error) { return l.driver.Open(l.dsn) }
func (l lazily) Driver() driver.Driver                        { return l.driver }

func TestOptions_OnCounts(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		options := quickOptions(fake.client(t))
		var mu sync.Mutex
		var got []Counts
		var when []time.Time
		options.CountsEvery = 300 * time.Millisecond
		options.OnCounts = func(c Counts) {
			mu.Lock()
			defer mu.Unlock()
			got, when = append(got, c), append(when, time.Now())
		}
		q := at.queue(t, options)
		dsn := at.DSN
		if at.Dialect == SQLite {
			dsn = fileURL(dsn, "_pragma=busy_timeout(10000)")
		}
		asked := &statements{Connector: lazily{q.db.Driver(), dsn}}
		q.reads = sql.OpenDB(asked)
		q.own = append(q.own, q.reads)
		mustSubmit(t, q, previewOrder("a"))
		stop := run(t, q)
		reaches(t, q, "a", StateDone)
		require.Eventually(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			last := got[len(got)-1]
			return last.Orders[StateDone] == 1 && last.Credits == 1 && last.Replicas == 1
		}, patience, 20*time.Millisecond)
		stop()
		n := len(got)
		assert.Equal(t, 1, got[0].Replicas)
		assert.Equal(t, int64(3*n), asked.n.Load(), "statements for %d calls", n)
		for i := 1; i < n; i++ {
			assert.GreaterOrEqual(t, when[i].Sub(when[i-1]), options.CountsEvery)
		}
		time.Sleep(3 * options.CountsEvery)
		assert.Len(t, got, n, "called after Run has returned")
		counts, err := q.Counts(t.Context())
		require.NoError(t, err)
		assert.Zero(t, counts.Replicas, "it has ended")
	})
}

// Two sweeps at the same time give each lost order one new job.
func TestQueue_sweep_twice_at_once(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		client := newAPI(t, creatifytest.Config{}).client(t)
		one, other := at.queue(t, quickOptions(client)), at.queue(t, quickOptions(client))
		for i := range 20 {
			mustSubmit(t, one, previewOrder(fmt.Sprint("order-", i)))
		}
		_, err := one.exec(t.Context(), one.db, "DELETE FROM {s}river_job")
		require.NoError(t, err)
		var both sync.WaitGroup
		for _, q := range []*Queue{one, other} {
			both.Go(func() { assert.NoError(t, q.reviveLost(t.Context())) })
		}
		both.Wait()
		var jobs, epochs int
		require.NoError(t, one.queryRow(t.Context(), one.db, "SELECT count(*) FROM {s}river_job").Scan(&jobs))
		require.NoError(t, one.queryRow(t.Context(), one.db, "SELECT sum(epoch) FROM {s}orders").Scan(&epochs))
		assert.Equal(t, 20, jobs)
		assert.Equal(t, 40, epochs)
	})
}

// What does not fit into one transaction is left to the next sweep.
func TestQueue_reviveLost_in_parts(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		q := at.queue(t, quickOptions(newAPI(t, done1s).client(t)))
		ctx := t.Context()
		for i := range 100 {
			mustSubmit(t, q, previewOrder(fmt.Sprint("order-", i)))
		}
		_, err := q.exec(ctx, q.db, "DELETE FROM {s}river_job")
		require.NoError(t, err)
		lost := 100
		for sweeps := 0; lost > 0; sweeps++ {
			require.Less(t, sweeps, 100)
			before := lost
			q.timing.transaction = time.Duration(sweeps+1) * 20 * time.Millisecond // until a database of any speed takes some
			_ = q.reviveLost(ctx)
			q.timing.transaction = patience
			require.NoError(t, q.queryRow(ctx, q.db, "SELECT count(*) FROM {s}orders WHERE river_id NOT IN (SELECT id FROM {s}river_job)").Scan(&lost))
			if lost > 0 && lost < before {
				return
			}
		}
		t.Error("all orders were revived at once, or none")
	})
}

// A database's clock that was set back by an hour does not stop anything for an hour.
func TestQueue_sweep_after_the_clock_was_set_back(t *testing.T) {
	for _, rate := range []float64{0, 5} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			onBoth(t, func(t *testing.T, at place) {
				fake := newAPI(t, done1s)
				options := quickOptions(fake.client(t))
				options.RequestsPerSecond = rate
				q := at.queue(t, options)
				ctx := t.Context()
				require.NoError(t, q.pause(ctx, "insufficient_credits"))
				_, err := q.exec(ctx, q.db, "UPDATE {s}limits SET rate_at = {now} + $1, polls_at = {now} + $1, paused_at = {now} + $1, probe_at = {now} + $1",
					micros(time.Hour))
				require.NoError(t, err)
				mustSubmit(t, q, previewOrder("a"))
				mustSubmit(t, q, previewOrder("b"))
				run(t, q)
				reaches(t, q, "a", StateDone)
				reaches(t, q, "b", StateDone)
				assert.Empty(t, must(q.Counts(ctx))(t).Paused)
			})
		})
	}
}
