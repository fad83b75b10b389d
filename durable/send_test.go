package durable

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	creatify "github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

var done1s = creatifytest.Config{Life: creatifytest.Life{Duration: time.Second, Render: creatifytest.RenderLife{Duration: time.Second}}}

func inject(t testing.TB, fake *api, faults ...creatifytest.Fault) {
	t.Helper()
	require.NoError(t, fake.Inject(faults...))
}

func TestQueue_Run_refusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		fault  creatifytest.Fault
		state  State
		reason string
	}{
		{name: "bad_request_is_refused", state: StateRefused, reason: "creatify: create preview: 400 Bad Request: Link must have at least one image",
			fault: creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 400, Body: `["Link must have at least one image"]`}},
		{name: "too_many_requests_is_sent_again", state: StateDone,
			fault: creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 429, Header: http.Header{"Retry-After": {"1"}}}},
		{name: "lost_response_is_unknown", state: StateUnknown, reason: "outcome_unknown",
			fault: creatifytest.Fault{Call: creatifytest.CallCreatePreview, Drop: creatifytest.DropAfter}},
		{name: "server_error_is_unknown", state: StateUnknown, reason: "outcome_unknown",
			fault: creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 500}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, at place) {
				fake := newAPI(t, done1s)
				inject(t, fake, test.fault)
				q := at.queue(t, quickOptions(fake.client(t)))
				run(t, q)
				mustSubmit(t, q, previewOrder("a"))
				order := reaches(t, q, "a", test.state)
				assert.Equal(t, test.reason, order.Reason)
				assert.LessOrEqual(t, fake.Charged(), 1.0)
				counts, err := q.Counts(t.Context())
				require.NoError(t, err)
				assert.GreaterOrEqual(t, counts.Credits, fake.Charged())
				if test.state == StateRefused {
					assert.Zero(t, counts.Credits)
				}
			})
		})
	}
}

// A call that never left is sent again.
func TestQueue_Run_not_sent(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		q := at.queue(t, quickOptions(must(newClient("http://127.0.0.1:1"))(t)))
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		require.Eventually(t, func() bool {
			order, err := q.Get(t.Context(), "a")
			return err == nil && order.Reason == "not_sent"
		}, patience, 20*time.Millisecond)
		require.NoError(t, q.SetClient(fake.client(t)))
		reaches(t, q, "a", StateDone)
	})
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		require.NoError(t, err)
		return value
	}
}

// While the account is refused, orders stay queued, and one is tried now and then.
func TestQueue_Run_pauses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		reason string
	}{
		{"insufficient_credits", 402, `{"detail": "Not enough credits"}`, "insufficient_credits"},
		{"unauthorized", 401, `{"detail": "Invalid API key."}`, "unauthorized"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, at place) {
				fake := newAPI(t, done1s)
				inject(t, fake, creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: 2, Status: test.status, Body: test.body})
				q := at.queue(t, quickOptions(fake.client(t)))
				run(t, q)
				mustSubmit(t, q, previewOrder("a"))
				require.Eventually(t, func() bool {
					counts, err := q.Counts(t.Context())
					return err == nil && counts.Paused == test.reason && !counts.PausedSince.IsZero()
				}, patience, 10*time.Millisecond)
				mustSubmit(t, q, previewOrder("b"))
				reaches(t, q, "a", StateDone)
				reaches(t, q, "b", StateDone)
				assert.Equal(t, 4, fake.Calls(creatifytest.CallCreatePreview))
				assert.Equal(t, 2.0, fake.Charged())
				counts, err := q.Counts(t.Context())
				require.NoError(t, err)
				assert.Empty(t, counts.Paused)
			})
		})
	}
}

// A terminated process waits for the responses of its paid calls, and leaves nothing unknown.
func TestQueue_Run_ends_with_its_calls(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		inject(t, fake, creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: -1, Delay: time.Second})
		q := at.queue(t, quickOptions(fake.client(t)))
		for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			mustSubmit(t, q, previewOrder(id))
		}
		process := worker{Place: at, URL: fake.url}.start(t)
		reaches(t, q, "a", StateSending)
		time.Sleep(200 * time.Millisecond)
		require.NoError(t, process.Process.Signal(syscall.SIGTERM))
		require.NoError(t, process.Wait())

		counts, err := q.Counts(t.Context())
		require.NoError(t, err)
		assert.Zero(t, counts.Orders[StateUnknown]+counts.Orders[StateSending], "%v", counts.Orders)
		assert.Equal(t, fake.Charged(), float64(counts.Orders[StateWaiting]+counts.Orders[StateDone]))
		assert.NotZero(t, counts.Orders[StateQueued])
		run(t, q)
		reaches(t, q, "h", StateDone)
	})
}

// Nothing is sent when the claim took so long that somebody may have decided about the order.
func TestQueue_Run_late_claim(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		options := quickOptions(fake.client(t))
		var slept atomic.Bool
		options.timing.at = func(point string, _ *row) {
			if point == "claimed" && slept.CompareAndSwap(false, true) {
				time.Sleep(options.timing.late() + 100*time.Millisecond)
			}
		}
		q := at.queue(t, options)
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		reaches(t, q, "a", StateDone)
		assert.Equal(t, 1, fake.Calls(creatifytest.CallCreatePreview))
		history, err := q.History(t.Context(), "a")
		require.NoError(t, err)
		assert.True(t, slices.ContainsFunc(history, func(e Event) bool { return e.What == "requeue" }), "%v", history)
	})
}

// An ID that arrives after its order was sent again is a second charge, and is kept.
func TestQueue_Run_extra_charge(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		options := quickOptions(fake.client(t))
		entered, leave := make(chan struct{}), make(chan struct{})
		var first atomic.Bool
		options.timing.at = func(point string, _ *row) {
			if point == "answered" && first.CompareAndSwap(false, true) {
				close(entered)
				<-leave
			}
		}
		q := at.queue(t, options)
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		<-entered
		assert.ErrorIs(t, q.Resend(t.Context(), "a", "anna"), ErrState)
		reaches(t, q, "a", StateUnknown)
		resend := func() error { return q.Resend(t.Context(), "a", "anna") }
		require.Eventually(t, func() bool { return resend() == nil }, patience, 50*time.Millisecond)
		reaches(t, q, "a", StateDone)
		close(leave)
		require.Eventually(t, func() bool {
			counts, err := q.Counts(t.Context())
			return err == nil && counts.Extra == 1
		}, patience, 50*time.Millisecond)
		history, err := q.History(t.Context(), "a")
		require.NoError(t, err)
		last := history[len(history)-1]
		assert.Equal(t, "extra", last.What)
		assert.Contains(t, last.Detail, fake.Jobs()[0])
		assert.Equal(t, "anna", history[1].Who)
	})
}

// If the late ID comes before the order has been sent again, it is not sent again.
func TestQueue_Run_late_id_before_the_resend(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		q := at.queue(t, quickOptions(fake.client(t)))
		mustSubmit(t, q, previewOrder("a"))
		_, claimed, err := q.claim(t.Context(), t.Context(), must(q.get(t.Context(), q.db, "a"))(t), 1, false)
		require.NoError(t, err)
		job, err := fake.client(t).Jobs.CreatePreview(t.Context(), params)
		require.NoError(t, err)
		q.park(t.Context(), claimed, "interrupted", errors.New("its process is gone"))
		sent := func(ago time.Duration) {
			_, err := q.exec(t.Context(), q.db, "UPDATE {s}orders SET sent = {now} - $1", micros(ago))
			require.NoError(t, err)
		}
		const moment = 5 * time.Second
		q.timing.slack = time.Minute
		sent(q.timing.under() + q.timing.slack - moment)
		assert.ErrorIs(t, q.Resend(t.Context(), "a", "anna"), ErrTooEarly)
		sent(q.timing.under() + q.timing.slack)
		require.NoError(t, q.Resend(t.Context(), "a", "anna"))
		q.recordJob(t.Context(), claimed, job)
		run(t, q)
		order := reaches(t, q, "a", StateDone)
		assert.Equal(t, job.ID, order.JobID)
		assert.Equal(t, 1.0, fake.Charged())
		assert.Equal(t, 1.0, order.Credits)
	})
}

func TestQueue_Run_tells_once(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		options := quickOptions(fake.client(t))
		var calls atomic.Int32
		options.OnEnd = func(ctx context.Context, tx *sql.Tx, order *Order) error {
			if _, err := tx.ExecContext(ctx, "INSERT INTO ends (id, state) VALUES ('"+order.ID+"', '"+string(order.State)+"')"); err != nil {
				return err
			}
			if calls.Add(1) == 1 {
				return errors.New("not today")
			}
			return nil
		}
		options.timing.afterFail = 100 * time.Millisecond
		q := at.queue(t, options)
		_, err := q.db.Exec("CREATE TABLE ends (id text PRIMARY KEY, state text)")
		require.NoError(t, err)
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		reaches(t, q, "a", StateDone)
		var n int
		require.NoError(t, q.db.QueryRow("SELECT count(*) FROM ends WHERE state = 'done'").Scan(&n))
		assert.Equal(t, 1, n)
		assert.Equal(t, int32(2), calls.Load())
	})
}

func TestQueue_SetClient_rotated_key(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		config := done1s
		config.APIKey = "second"
		fake := newAPI(t, config)
		old := fake.client(t)
		q := at.queue(t, quickOptions(old))
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		require.Eventually(t, func() bool {
			counts, err := q.Counts(t.Context())
			return err == nil && counts.Paused == "unauthorized"
		}, patience, 20*time.Millisecond)
		rotated, err := creatify.New(creatifytest.APIID, "second", creatify.WithBaseURL(fake.url),
			creatify.WithRateLimit(0.001, 1), creatify.WithTimeout(time.Nanosecond)) // which do not apply
		require.NoError(t, err)
		require.NoError(t, q.SetClient(rotated))
		reaches(t, q, "a", StateDone)
		assert.ErrorIs(t, q.SetClient(nil), creatify.ErrInvalidParams)
	})
}

// A key that is refused, which can be replaced, ends no wait, nor does it tell the hooks of an end.
func TestQueue_Run_refused_polls(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		inject(t, fake, creatifytest.Fault{Call: creatifytest.CallGetJob, Times: 6, Status: 401, Body: `{"detail": "Invalid API key."}`})
		var ends atomic.Int32
		q := at.queue(t, quickOptions(fake.client(t, creatify.WithHooks(creatify.Hooks{
			WaitEnd: func(context.Context, creatify.WaitEnd) { ends.Add(1) }}))))
		stop := run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		reaches(t, q, "a", StateDone)
		stop()
		assert.EqualValues(t, 1, ends.Load())
	})
}

// oneAttempt returns a queue that nobody runs, with the client and the fake whose responses become outcomes.
func oneAttempt(t *testing.T, at place) (*api, *creatify.Client, *Queue) {
	fake := newAPI(t, creatifytest.Config{})
	client := fake.client(t, creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1}))
	return fake, client, at.queue(t, quickOptions(client))
}

// Another process's outcome, or an old one, changes an order only as far as its fence allows.
func TestQueue_outcome(t *testing.T) {
	retryAfter := func(seconds string) http.Header { return http.Header{"Retry-After": {seconds}} }
	tests := []struct {
		name   string
		before State // that somebody else has brought the order to
		again  bool  // it was sent again
		status int   // of the response; 0 is no call
		header http.Header
		state  State
		reason string
		delay  time.Duration
	}{
		{name: "too_many_requests", before: StateSending, status: 429, header: retryAfter("3600"), state: StateQueued, reason: "rate_limited", delay: time.Hour},
		{name: "too_many_requests_without_a_delay", before: StateSending, status: 429, state: StateQueued, reason: "rate_limited", delay: 5 * time.Second},
		{name: "too_many_requests_taken_for_dead", before: StateUnknown, status: 429, state: StateQueued, reason: "rate_limited", delay: 5 * time.Second},
		{name: "too_many_requests_sent_again", before: StateSending, again: true, status: 429, state: StateSending},
		{name: "no_credits_taken_for_dead", before: StateUnknown, status: 402, state: StateQueued, reason: "insufficient_credits"},
		{name: "refused_taken_for_dead", before: StateUnknown, status: 400, state: StateRefused, reason: "creatify: create preview: 400 Bad Request"},
		{name: "refused_sent_again", before: StateSending, again: true, status: 400, state: StateSending},
		{name: "unknown_sent_again", before: StateSending, again: true, status: 500, state: StateSending},
		{name: "refused_abandoned", before: StateCancelled, status: 400, state: StateCancelled},
		{name: "too_many_requests_before_it_is_sent_again", before: StateQueued, status: 429, state: StateQueued, reason: "rate_limited", delay: 5 * time.Second},
		{name: "refused_before_it_is_sent_again", before: StateQueued, status: 400, state: StateRefused, reason: "creatify: create preview: 400 Bad Request"},
		{name: "late_claim", before: StateSending, state: StateQueued, reason: "not_sent", delay: time.Second},
	}
	onBoth(t, func(t *testing.T, at place) {
		fake, client, q := oneAttempt(t, at)
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				ctx, id := t.Context(), test.name
				failed := errLate
				if test.status != 0 {
					inject(t, fake, creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: test.status, Header: test.header})
					_, failed = client.Jobs.CreatePreview(ctx, params)
				}
				mustSubmit(t, q, previewOrder(id))
				claimed := must(q.tryClaim(ctx, must(q.get(ctx, q.db, id))(t), 1, true))(t)
				if test.again {
					_, err := q.exec(ctx, q.db, "UPDATE {s}orders SET state = 'queued' WHERE id = $1", id)
					require.NoError(t, err)
					require.NotNil(t, must(q.tryClaim(ctx, must(q.get(ctx, q.db, id))(t), 1, true))(t))
				}
				_, err := q.exec(ctx, q.db, "UPDATE {s}orders SET state = $2 WHERE id = $1", id, string(test.before))
				require.NoError(t, err)
				before := time.Now()
				require.NoError(t, q.outcome(ctx, claimed, nil, failed))
				order := must(q.Get(ctx, id))(t)
				assert.Equal(t, test.state, order.State)
				assert.Equal(t, test.reason, order.Reason)
				if test.state == StateQueued {
					var due int64
					require.NoError(t, q.queryRow(ctx, q.db, "SELECT due FROM {s}orders WHERE id = $1", id).Scan(&due))
					assert.WithinRange(t, fromMicros(due), before.Add(test.delay-time.Millisecond), time.Now().Add(test.delay))
					assert.Zero(t, order.Credits, "it holds nothing of the budget")
				}
			})
		}
	})
}

// After a failover that lost the commit of a claim, the next claim has the same fence.
func TestQueue_outcome_after_a_failover(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake, client, q := oneAttempt(t, at)
		ctx := t.Context()
		for _, status := range []int{429, 400, 500} {
			id := fmt.Sprint(status)
			inject(t, fake, creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: status})
			_, failed := client.Jobs.CreatePreview(ctx, params)
			mustSubmit(t, q, previewOrder(id))
			first := must(q.tryClaim(ctx, must(q.get(ctx, q.db, id))(t), 1, false))(t)
			_, err := q.exec(ctx, q.db, "UPDATE {s}orders SET state = 'queued', fence = 0, token = '', sent = 0 WHERE id = $1", id)
			require.NoError(t, err)
			second := must(q.tryClaim(ctx, must(q.get(ctx, q.db, id))(t), 1, false))(t)
			require.Equal(t, first.fence, second.fence)
			require.NoError(t, q.outcome(ctx, first, nil, failed))
			now := must(q.get(ctx, q.db, id))(t)
			assert.Equal(t, StateSending, now.State, "after a %d to the first call, while the second is under way", status)
			assert.Equal(t, second.token, now.token)
		}
	})
}

// Only a call that the account was accepted for ends a pause.
func TestQueue_outcome_while_paused(t *testing.T) {
	tests := []struct {
		name   string
		status int
		paused bool
	}{
		{"charged", 0, false},
		{"refused", 400, false},
		{"unknown", 500, true},
		{"too_many_requests", 429, true},
		{"no_credits", 402, true},
	}
	onBoth(t, func(t *testing.T, at place) {
		fake, client, q := oneAttempt(t, at)
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				ctx := t.Context()
				require.NoError(t, q.pause(ctx, "insufficient_credits"))
				mustSubmit(t, q, previewOrder(test.name))
				claimed := must(q.tryClaim(ctx, must(q.get(ctx, q.db, test.name))(t), 1, true))(t)
				if test.status != 0 {
					inject(t, fake, creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: test.status})
				}
				job, failed := client.Jobs.CreatePreview(ctx, params)
				require.NoError(t, q.outcome(ctx, claimed, job, failed))
				assert.Equal(t, test.paused, must(q.Counts(ctx))(t).Paused != "")
			})
		}
	})
}

// Each call of a render that was paid for beside the order's own counts once.
func TestQueue_recordLate_of_a_render(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		q := at.queue(t, quickOptions(newAPI(t, creatifytest.Config{}).client(t)))
		mustSubmit(t, q, previewOrder("a"))
		for _, fence := range []int64{1, 1, 2} {
			late := &row{Order: Order{ID: "a", Kind: Render}, fence: fence, token: fmt.Sprint(fence)}
			require.NoError(t, q.tx(t.Context(), func(ctx context.Context, tx *sql.Tx) error { return q.recordLate(ctx, tx, late, "job") }))
		}
		assert.Equal(t, 2, must(q.Counts(t.Context()))(t).Extra)
	})
}

// The outcome of a call whose order somebody has deleted by hand ends up in the log.
func TestQueue_outcome_of_a_deleted_order(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		var log strings.Builder
		options := quickOptions(newAPI(t, creatifytest.Config{}).client(t))
		options.Logger = slog.New(slog.NewTextHandler(&log, nil))
		q := at.queue(t, options)
		ctx := t.Context()
		job := must(options.Client.Jobs.CreatePreview(ctx, params))(t)
		mustSubmit(t, q, previewOrder("a"))
		claimed := must(q.tryClaim(ctx, must(q.get(ctx, q.db, "a"))(t), 1, false))(t)
		_, err := q.exec(ctx, q.db, "DELETE FROM {s}orders")
		require.NoError(t, err)
		require.NoError(t, q.outcome(ctx, claimed, job, nil))
		assert.Contains(t, log.String(), job.ID)
	})
}

// The number of paid calls is one over all processes.
func TestOptions_Sends(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: time.Second}})
		var under, most atomic.Int32
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				n := under.Add(1)
				defer under.Add(-1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				time.Sleep(200 * time.Millisecond)
			}
			fake.ServeHTTP(w, r)
		}))
		t.Cleanup(front.Close)
		var queues []*Queue
		for range 2 {
			options := quickOptions(must(newClient(front.URL))(t))
			options.Sends = 2
			queues = append(queues, at.queue(t, options))
		}
		for i := range 12 {
			mustSubmit(t, queues[0], previewOrder(fmt.Sprint("order-", i)))
		}
		for _, q := range queues {
			run(t, q)
		}
		for i := range 12 {
			reaches(t, queues[0], fmt.Sprint("order-", i), StateDone)
		}
		assert.Positive(t, most.Load())
		assert.LessOrEqual(t, most.Load(), int32(2))
	})
}

// Resume sends at once, and not when the next order would be tried.
func TestQueue_Resume(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		inject(t, fake, creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 402, Body: `{"detail": "Not enough credits"}`})
		options := quickOptions(fake.client(t))
		options.timing.probe = time.Hour
		q := at.queue(t, options)
		require.NoError(t, q.Resume(t.Context()), "sending is not paused")
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		require.Eventually(t, func() bool {
			counts, err := q.Counts(t.Context())
			return err == nil && counts.Paused == "insufficient_credits" && counts.Orders[StateQueued] == 1
		}, patience, 10*time.Millisecond)
		mustSubmit(t, q, previewOrder("b"))
		time.Sleep(2 * options.timing.sweep)
		assert.Equal(t, 1, fake.Calls(creatifytest.CallCreatePreview))
		require.NoError(t, q.Resume(t.Context()))
		reaches(t, q, "a", StateDone)
		reaches(t, q, "b", StateDone)
		assert.Empty(t, must(q.Counts(t.Context()))(t).Paused)
		assert.Equal(t, 3, fake.Calls(creatifytest.CallCreatePreview))
	})
}

// An order that the budget held back sleeps until the next try. Resume wakes it.
func TestQueue_Resume_after_the_budget(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		poor, rich := quickOptions(fake.client(t)), quickOptions(fake.client(t))
		for _, options := range []*Options{&poor, &rich} {
			options.timing.probe, options.timing.overdue = time.Hour, time.Hour
		}
		poor.Credits = 1
		q := at.queue(t, poor)
		stop := run(t, q)
		for _, id := range []string{"a", "b"} {
			mustSubmit(t, q, previewOrder(id))
		}
		require.Eventually(t, func() bool {
			counts, err := q.Counts(t.Context())
			return err == nil && counts.Paused == "budget_exceeded" && counts.Orders[StateDone] == 1
		}, patience, 10*time.Millisecond)
		stop()
		q = at.queue(t, rich)
		run(t, q)
		require.NoError(t, q.Resume(t.Context()))
		require.Eventually(t, func() bool { return fake.Charged() == 2 }, patience, 10*time.Millisecond)
	})
}

// An OnEnd that blocks is cut off, and called again.
func TestOptions_OnEnd_blocks(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		options := quickOptions(fake.client(t))
		options.timing.afterFail = 100 * time.Millisecond
		var calls atomic.Int32
		options.OnEnd = func(ctx context.Context, _ *sql.Tx, _ *Order) error {
			if calls.Add(1) == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		q := at.queue(t, options)
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		reaches(t, q, "a", StateDone)
		assert.Equal(t, int32(2), calls.Load())
	})
}

// A Budget of the client's own reads a job before its Render, while the order is claimed. When that fails,
// nothing was sent.
func TestOptions_Client_with_a_budget(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		budget := creatify.NewBudget(creatify.BudgetOptions{Credits: 100})
		q := at.queue(t, quickOptions(fake.client(t, creatify.WithBudget(budget))))
		stop := run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		reaches(t, q, "a", StateDone)
		stop()
		inject(t, fake, creatifytest.Fault{Call: creatifytest.CallGetJob, Status: 503})
		mustSubmit(t, q, Order{ID: "v", Kind: Render, Of: "a"})
		run(t, q)
		reaches(t, q, "v", StateDone)
		history := must(q.History(t.Context(), "v"))(t)
		assert.Equal(t, "requeue", history[0].What, "%v", history)
		assert.Equal(t, 5.0, fake.Charged())
	})
}
