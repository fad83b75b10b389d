package durable

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"slices"
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
	tests := []struct {
		name   string
		fault  creatifytest.Fault
		state  State
		reason string
	}{
		{name: "bad_request_is_refused", state: StateRefused, reason: "refused",
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
				t.Parallel()
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
		t.Parallel()
		fake := newAPI(t, done1s)
		q := at.queue(t, quickOptions(must(newClient("http://127.0.0.1:1"))(t)))
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		require.Eventually(t, func() bool {
			order, err := q.Get(t.Context(), "a")
			return err == nil && order.Reason == "not_sent"
		}, 20*time.Second, 20*time.Millisecond)
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
				t.Parallel()
				fake := newAPI(t, done1s)
				inject(t, fake, creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: 2, Status: test.status, Body: test.body})
				q := at.queue(t, quickOptions(fake.client(t)))
				run(t, q)
				mustSubmit(t, q, previewOrder("a"))
				require.Eventually(t, func() bool {
					counts, err := q.Counts(t.Context())
					return err == nil && counts.Paused == test.reason && !counts.PausedSince.IsZero()
				}, 20*time.Second, 10*time.Millisecond)
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
		t.Parallel()
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
		t.Parallel()
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
		t.Parallel()
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
		require.Eventually(t, func() bool { return resend() == nil }, 10*time.Second, 50*time.Millisecond)
		reaches(t, q, "a", StateDone)
		close(leave)
		require.Eventually(t, func() bool {
			counts, err := q.Counts(t.Context())
			return err == nil && counts.Extra == 1
		}, 10*time.Second, 50*time.Millisecond)
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
		assert.ErrorIs(t, q.Resend(t.Context(), "a", "anna"), ErrTooEarly)
		time.Sleep(q.timing.under() + q.timing.slack)
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
		t.Parallel()
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
		t.Parallel()
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
		}, 20*time.Second, 20*time.Millisecond)
		rotated, err := creatify.New(creatifytest.APIID, "second", creatify.WithBaseURL(fake.url))
		require.NoError(t, err)
		require.NoError(t, q.SetClient(rotated))
		reaches(t, q, "a", StateDone)
		require.Error(t, q.SetClient(nil))
	})
}

// A wait is not ended by a key that is refused, which can be replaced.
func TestQueue_Run_refused_polls(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		t.Parallel()
		fake := newAPI(t, done1s)
		inject(t, fake, creatifytest.Fault{Call: creatifytest.CallGetJob, Times: 4, Status: 401, Body: `{"detail": "Invalid API key."}`})
		options := quickOptions(fake.client(t))
		options.timing.refused = 100 * time.Millisecond
		q := at.queue(t, options)
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		reaches(t, q, "a", StateDone)
	})
}
