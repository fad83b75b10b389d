package durable

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	creatify "github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// Of two polls that began with the same version of an order, one is written down.
func TestQueue_poll_lost_swap(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		ctx := t.Context()
		fake := newAPI(t, creatifytest.Config{Life: creatifytest.Life{Duration: 30 * time.Second, PerRead: 10 * time.Second}})
		q := at.queue(t, quickOptions(fake.client(t)))
		mustSubmit(t, q, previewOrder("a"))
		claimed := must(q.tryClaim(ctx, must(q.get(ctx, q.db, "a"))(t), 1, false))(t)
		q.recordJob(ctx, claimed, must(fake.client(t).Jobs.CreatePreview(ctx, params))(t))
		first := must(q.get(ctx, q.db, "a"))(t)

		again, err := q.poll(ctx, ctx, first, must(q.resumeWait(first))(t))
		require.NoError(t, err)
		assert.NotEqual(t, q.timing.lostSwap, again)
		saved := must(q.get(ctx, q.db, "a"))(t)
		assert.Equal(t, first.version+1, saved.version)
		again, err = q.poll(ctx, ctx, first, must(q.resumeWait(first))(t))
		require.NoError(t, err)
		assert.Equal(t, q.timing.lostSwap, again)
		assert.Equal(t, saved, must(q.get(ctx, q.db, "a"))(t))

		_, err = q.poll(ctx, ctx, first, must(q.resumeWait(first))(t))
		assert.ErrorIs(t, err, &rivertype.JobSnoozeError{})
		assert.Equal(t, StateWaiting, must(q.Get(ctx, "a"))(t).State)
		again, err = q.poll(ctx, ctx, saved, must(q.resumeWait(saved))(t))
		require.NoError(t, err)
		assert.Negative(t, again)
		assert.Equal(t, StateDone, must(q.Get(ctx, "a"))(t).State)
	})
}

// A worker ends its River job only when the order has no use for it.
func TestWaiter_Work(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		ctx := t.Context()
		fake := newAPI(t, creatifytest.Config{Life: creatifytest.Life{Duration: time.Hour}})
		q := at.queue(t, quickOptions(fake.client(t)))
		mustSubmit(t, q, previewOrder("a"))
		claimed := must(q.tryClaim(ctx, must(q.get(ctx, q.db, "a"))(t), 1, false))(t)
		q.recordJob(ctx, claimed, must(fake.client(t).Jobs.CreatePreview(ctx, params))(t))
		epoch := must(q.get(ctx, q.db, "a"))(t).epoch
		w := &waiter{queue: q, run: ctx}
		work := func(order string, epoch int64) error {
			return w.Work(ctx, &river.Job[waitArgs]{JobRow: &rivertype.JobRow{}, Args: waitArgs{order, epoch}})
		}
		assert.NoError(t, work("a", epoch-1), "another job has the order")
		assert.NoError(t, work("no such order", 1))
		assert.Zero(t, fake.Calls(creatifytest.CallGetJob))
		assert.ErrorIs(t, work("a", epoch), &rivertype.JobSnoozeError{})
		assert.Equal(t, 1, fake.Calls(creatifytest.CallGetJob))
		_, err := q.exec(ctx, q.db, "UPDATE {s}orders SET state = 'expired'")
		require.NoError(t, err)
		assert.NoError(t, work("a", epoch), "the wait is over")
	})
}

// River holds one live job for an order and epoch, and one that has ended stands in no other's way.
func TestQueue_enqueue_is_unique(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		ctx := t.Context()
		q := at.queue(t, quickOptions(newAPI(t, creatifytest.Config{}).client(t)))
		mustSubmit(t, q, previewOrder("a"))
		r := must(q.get(ctx, q.db, "a"))(t)
		jobs := func() (n int) {
			require.NoError(t, q.queryRow(ctx, q.db, "SELECT count(*) FROM {s}river_job").Scan(&n))
			return n
		}
		enqueue := func() {
			tx := must(q.db.BeginTx(ctx, nil))(t)
			require.NoError(t, q.enqueue(ctx, tx, r, time.Time{}))
			require.NoError(t, tx.Commit())
		}
		enqueue()
		assert.Equal(t, 1, jobs())
		_, err := q.exec(ctx, q.db, "UPDATE {s}river_job SET state = 'completed', finalized_at = CURRENT_TIMESTAMP")
		require.NoError(t, err)
		enqueue()
		assert.Equal(t, 2, jobs())
		r.epoch++
		enqueue()
		assert.Equal(t, 3, jobs())
	})
}

// A wait that ends before its job keeps the job's ID, and a person makes it wait again.
func TestQueue_Run_expires(t *testing.T) {
	t.Parallel()
	unfinished := creatifytest.Life{Steps: []creatifytest.Step{{Status: "running"}}}
	tests := []struct {
		name    string
		maxWait time.Duration
		wait    creatify.WaitOption
		fault   creatifytest.Fault
		reason  string
	}{
		{name: "at_its_deadline", maxWait: time.Second, reason: "wait_timeout"},
		{name: "when_the_job_stalls", wait: creatify.WithStallTimeout(time.Second), reason: "stalled"},
		{name: "when_polls_fail", wait: creatify.WithMaxPollErrors(2), reason: "polls_failed",
			fault: creatifytest.Fault{Call: creatifytest.CallGetJob, Times: 2, Status: 503}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, at place) {
				fake := newAPI(t, creatifytest.Config{Life: unfinished})
				if test.fault.Call != "" {
					inject(t, fake, test.fault)
				}
				options := quickOptions(fake.client(t))
				if test.wait != nil {
					options.Wait = append(options.Wait, test.wait)
				}
				q := at.queue(t, options)
				run(t, q)
				order := previewOrder("a")
				order.MaxWait = test.maxWait
				mustSubmit(t, q, order)
				expired := reaches(t, q, "a", StateExpired)
				assert.Equal(t, test.reason, expired.Reason)
				assert.Equal(t, fake.Jobs(), []string{expired.JobID})
				assert.Equal(t, 1.0, expired.Credits)
				assert.False(t, expired.Ended.IsZero())
				polls := fake.Calls(creatifytest.CallGetJob)
				require.NoError(t, q.Resolve(t.Context(), "a", "", "anna"))
				require.Eventually(t, func() bool { return fake.Calls(creatifytest.CallGetJob) >= polls+2 }, patience, 20*time.Millisecond,
					"one by Resolve, then those of the wait")
				assert.Equal(t, 1.0, fake.Charged())
			})
		})
	}
}

// A poll that its wait's deadline cuts off tells nothing of the API, however many there are. One that hangs
// beyond that is a failed poll, and many are an outage.
func TestQueue_poll_without_a_response(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		maxWait time.Duration
		outage  bool
	}{
		{name: "cut_off_by_the_deadline", maxWait: 100 * time.Millisecond, outage: false},
		{name: "hangs", maxWait: time.Hour, outage: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, at place) {
				ctx := t.Context()
				fake := newAPI(t, creatifytest.Config{Life: creatifytest.Life{Duration: time.Hour}})
				inject(t, fake, creatifytest.Fault{Call: creatifytest.CallGetJob, Times: -1, Delay: 10 * time.Second})
				options := quickOptions(fake.client(t))
				options.timing.poll = 200 * time.Millisecond
				q := at.queue(t, options)
				order := previewOrder("a")
				order.MaxWait = test.maxWait
				mustSubmit(t, q, order)
				claimed := must(q.tryClaim(ctx, must(q.get(ctx, q.db, "a"))(t), 1, false))(t)
				q.recordJob(ctx, claimed, must(fake.client(t).Jobs.CreatePreview(ctx, params))(t))
				r := must(q.get(ctx, q.db, "a"))(t)
				for range 9 { // one more than make an outage
					poller := must(q.client.Load().Jobs.NewPoller(creatify.PendingJob{ID: r.JobID, Deadline: time.Now().Add(test.maxWait)}))(t)
					_, _ = q.poll(ctx, ctx, r, poller) // all but the first lose their swap
					assert.Error(t, poller.Err())
				}
				assert.Equal(t, test.outage, !must(q.Counts(ctx))(t).FailingSince.IsZero())
			})
		})
	}
}

// A render's wait begins with its call, however old its preview is.
func TestQueue_newWait_of_a_render(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, creatifytest.Config{})
		options := quickOptions(fake.client(t))
		options.Wait = nil
		q := at.queue(t, options)
		job := must(options.Client.Jobs.CreatePreview(t.Context(), params))(t)
		job.CreatedAt = time.Now().Add(-3 * time.Hour)
		for _, kind := range []Kind{Preview, Render} {
			r := &row{Order: Order{ID: "a", Kind: kind, MaxWait: 24 * time.Hour, JobID: job.ID, Sent: time.Now()}}
			state, _, err := q.newWait(r, job)
			require.NoError(t, err)
			r.wait = state
			poller := must(q.resumeWait(r))(t)
			require.False(t, poller.Poll(t.Context()))
			assert.Equal(t, kind == Render, time.Until(poller.Next()) < 30*time.Second, "the second poll of a %s is in %s", kind, time.Until(poller.Next()))
		}
	})
}

// A wait that continues although it is over is not overdue: the sweeper is for orders that are lost.
func TestQueue_poll_moves_what_is_due(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		options := quickOptions(fake.client(t))
		broken := true
		options.OnEnd = func(context.Context, *sql.Tx, *Order) error {
			if broken {
				return errors.New("not today")
			}
			return nil
		}
		q := at.queue(t, options)
		ctx := t.Context()
		job := must(options.Client.Jobs.CreatePreview(ctx, params))(t)
		mustSubmit(t, q, previewOrder("a"))
		claimed := must(q.tryClaim(ctx, must(q.get(ctx, q.db, "a"))(t), 1, false))(t)
		q.recordJob(ctx, claimed, job)
		due := func() time.Time {
			var due int64
			require.NoError(t, q.queryRow(ctx, q.db, "SELECT due FROM {s}orders").Scan(&due))
			return fromMicros(due)
		}
		work := func() error {
			_, err := q.exec(ctx, q.db, "UPDATE {s}orders SET due = {now} - 3600000000")
			require.NoError(t, err)
			return (&waiter{queue: q, run: ctx}).Work(ctx, &river.Job[waitArgs]{Args: waitArgs{"a", must(q.get(ctx, q.db, "a"))(t).epoch}})
		}
		time.Sleep(1100 * time.Millisecond) // the job is done
		assert.ErrorContains(t, work(), "Snooze")
		assert.WithinRange(t, due(), time.Now(), time.Now().Add(q.timing.afterFail), "after OnEnd has failed")
		broken = false
		require.NoError(t, work())
		assert.Equal(t, StateDone, must(q.Get(ctx, "a"))(t).State)
	})
}
