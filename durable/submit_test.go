package durable

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	creatify "github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestQueue_Submit_bad_input(t *testing.T) {
	order := func(change func(o *Order)) Order {
		o := previewOrder("a")
		change(&o)
		return o
	}
	tests := []struct {
		name  string
		order Order
		is    error
		says  string
	}{
		{"without_an_ID", order(func(o *Order) { o.ID = "" }), creatify.ErrInvalidParams, "ID: is empty"},
		{"long_ID", order(func(o *Order) { o.ID = strings.Repeat("x", 201) }), creatify.ErrInvalidParams, "ID: must be at most 200"},
		{"ID_with_a_newline", order(func(o *Order) { o.ID = "a\nb" }), creatify.ErrInvalidParams, "control characters"},
		{"no_kind", order(func(o *Order) { o.Kind = "" }), creatify.ErrInvalidParams, "Kind: must be"},
		{"priority_of_7", order(func(o *Order) { o.Priority = 7 }), creatify.ErrInvalidParams, "Priority: must be from 1 to 4"},
		{"negative_MaxWait", order(func(o *Order) { o.MaxWait = -1 }), creatify.ErrInvalidParams, "MaxWait: must not be negative"},
		{"no_template", order(func(o *Order) { o.Params.TemplateID = "x" }), creatify.ErrInvalidParams, "template_id"},
		{"preview_of_an_order", order(func(o *Order) { o.Of = "x" }), creatify.ErrInvalidParams, "Of: is for a Render only"},
		{"render_of_nothing", Order{ID: "r", Kind: Render}, creatify.ErrInvalidParams, "Of: is empty"},
		{"render_with_params", Order{ID: "r", Kind: Render, Of: "preview", Params: params}, creatify.ErrInvalidParams, "Params: must be empty"},
		{"render_of_an_unknown_order", Order{ID: "r", Kind: Render, Of: "x"}, creatify.ErrInvalidParams, "names no order"},
		{"render_of_a_video", Order{ID: "r", Kind: Render, Of: "video"}, creatify.ErrInvalidParams, "no preview"},
		{"render_before_the_preview", Order{ID: "r", Kind: Render, Of: "preview"}, ErrNotReady, `order "preview" is queued`},
		{"same_ID_other_params", Order{ID: "preview", Kind: Video, Params: params}, ErrConflict, "other parameters"},
	}
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, creatifytest.Config{})
		q := at.queue(t, quickOptions(fake.client(t)))
		mustSubmit(t, q, previewOrder("preview"))
		mustSubmit(t, q, Order{ID: "video", Kind: Video, Params: params})
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				_, err := q.Submit(t.Context(), test.order)
				assert.ErrorIs(t, err, test.is)
				assert.ErrorContains(t, err, test.says)
				assert.ErrorContains(t, err, "durable: submit ")
			})
		}
		counts, err := q.Counts(t.Context())
		require.NoError(t, err)
		assert.Equal(t, map[State]int{StateQueued: 2}, counts.Orders)
	})
}

func TestQueue_Submit(t *testing.T) {
	t.Parallel()
	t.Run("twice_is_once", func(t *testing.T) {
		onBoth(t, func(t *testing.T, at place) {
			q := at.queue(t, quickOptions(newAPI(t, creatifytest.Config{}).client(t)))
			first := mustSubmit(t, q, previewOrder("a"))
			second := mustSubmit(t, q, previewOrder("a"))
			assert.Equal(t, first.Created, second.Created)
			assert.Equal(t, StateQueued, second.State)
			assert.Equal(t, 2, second.Priority)
			assert.Equal(t, 24*time.Hour, second.MaxWait)
			var jobs int
			require.NoError(t, q.queryRow(t.Context(), q.db, "SELECT count(*) FROM {s}river_job").Scan(&jobs))
			assert.Equal(t, 1, jobs)
		})
	})
	t.Run("in_the_callers_transaction", func(t *testing.T) {
		onBoth(t, func(t *testing.T, at place) {
			q := at.queue(t, quickOptions(newAPI(t, creatifytest.Config{}).client(t)))
			for _, keep := range []bool{false, true} {
				tx, err := q.db.BeginTx(t.Context(), nil)
				require.NoError(t, err)
				_, err = q.SubmitTx(t.Context(), tx, previewOrder("a"))
				require.NoError(t, err)
				if keep {
					require.NoError(t, tx.Commit())
				} else {
					require.NoError(t, tx.Rollback())
				}
				_, err = q.Get(t.Context(), "a")
				assert.Equal(t, keep, err == nil)
			}
		})
	})
	t.Run("by_many_at_once", func(t *testing.T) {
		onBoth(t, func(t *testing.T, at place) {
			q := at.queue(t, quickOptions(newAPI(t, creatifytest.Config{}).client(t)))
			errs := make(chan error)
			for range 10 {
				go func() {
					_, err := q.Submit(context.Background(), previewOrder("a"))
					errs <- err
				}()
			}
			for range 10 {
				assert.NoError(t, <-errs)
			}
		})
	})
}

func TestQueue_List(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		q := at.queue(t, quickOptions(newAPI(t, creatifytest.Config{}).client(t)))
		for _, id := range []string{"a_1", "a%2", "b", "c"} {
			mustSubmit(t, q, previewOrder(id))
		}
		require.NoError(t, q.Cancel(t.Context(), "c"))
		ids := func(f Filter) (all []string) {
			orders, err := q.List(t.Context(), f)
			require.NoError(t, err)
			for _, order := range orders {
				all = append(all, order.ID)
			}
			return all
		}
		assert.Equal(t, []string{"c", "b", "a%2", "a_1"}, ids(Filter{}))
		assert.Equal(t, []string{"c", "b"}, ids(Filter{Limit: 2}))
		assert.Equal(t, []string{"a%2", "a_1"}, ids(Filter{Limit: 2, After: "b"}))
		assert.Equal(t, []string{"c"}, ids(Filter{State: StateCancelled}))
		assert.Equal(t, []string{"a_1"}, ids(Filter{Search: "_"}))
		assert.Equal(t, []string{"a%2"}, ids(Filter{Search: "%"}))
		assert.Empty(t, ids(Filter{Search: "' OR 1=1 --"}))
	})
}

// What a person may decide, in each state.
func TestQueue_decisions(t *testing.T) {
	tests := []struct {
		name    string
		decide  func(ctx context.Context, q *Queue) error
		allowed []State
		to      State
		who     string
	}{
		{"Cancel", func(ctx context.Context, q *Queue) error { return q.Cancel(ctx, "a") }, []State{StateQueued}, StateCancelled, ""},
		{"Abandon", func(ctx context.Context, q *Queue) error { return q.Abandon(ctx, "a", "anna") }, []State{StateUnknown, StateExpired},
			StateCancelled, "anna"},
		{"Resend", func(ctx context.Context, q *Queue) error { return q.Resend(ctx, "a", "anna") }, []State{StateUnknown}, StateQueued, "anna"},
		{"Resolve", func(ctx context.Context, q *Queue) error { return q.Resolve(ctx, "a", "", "anna") }, []State{StateUnknown, StateExpired},
			StateWaiting, "anna"},
	}
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		q := at.queue(t, quickOptions(fake.client(t)))
		job, err := fake.client(t).Jobs.CreatePreview(t.Context(), params)
		require.NoError(t, err)
		mustSubmit(t, q, previewOrder("a"))
		for _, test := range tests {
			for _, state := range states {
				t.Run(test.name+"/"+string(state), func(t *testing.T) {
					_, err := q.exec(t.Context(), q.db, "UPDATE {s}orders SET state = $1, job_id = $2, sent = 1 WHERE id = 'a'", string(state), job.ID)
					require.NoError(t, err)
					before := len(must(q.History(t.Context(), "a"))(t))
					err = test.decide(t.Context(), q)
					order, history := must(q.Get(t.Context(), "a"))(t), must(q.History(t.Context(), "a"))(t)
					if !slices.Contains(test.allowed, state) {
						assert.ErrorIs(t, err, ErrState)
						assert.Equal(t, state, order.State)
						assert.Len(t, history, before)
						return
					}
					require.NoError(t, err)
					assert.Equal(t, test.to, order.State)
					require.Len(t, history, before+1)
					assert.Equal(t, test.who, history[before].Who)
					assert.Equal(t, strings.ToLower(test.name), history[before].What)
					assert.WithinDuration(t, time.Now(), history[before].Time, 10*time.Second)
				})
			}
		}
		assert.ErrorIs(t, q.Cancel(t.Context(), "x"), ErrNotFound)
		assert.ErrorIs(t, q.Resolve(t.Context(), "x", "", "anna"), ErrNotFound)
	})
}

func TestQueue_Resolve_job_of_another_order(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		q := at.queue(t, quickOptions(fake.client(t)))
		stop := run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		a := reaches(t, q, "a", StateDone)
		stop()
		mustSubmit(t, q, previewOrder("b"))
		n, err := q.Quarantine(t.Context(), time.Time{})
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.ErrorIs(t, q.Resolve(t.Context(), "b", a.JobID, "anna"), ErrConflict)
		assert.ErrorIs(t, q.Resolve(t.Context(), "b", "11111111-2222-4333-8444-555555555555", "anna"), creatify.ErrNotFound)
		b, err := q.Get(t.Context(), "b")
		require.NoError(t, err)
		assert.Equal(t, StateUnknown, b.State)
	})
}

func TestQueue_Quarantine(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		q := at.queue(t, quickOptions(fake.client(t)))
		mustSubmit(t, q, previewOrder("old"))
		time.Sleep(10 * time.Millisecond)
		since := time.Now()
		time.Sleep(10 * time.Millisecond) // the clock of SQLite counts milliseconds
		mustSubmit(t, q, previewOrder("new"))
		for _, state := range []State{StateSending, StateWaiting, StateDone} {
			mustSubmit(t, q, previewOrder(string(state)))
			_, err := q.exec(t.Context(), q.db, "UPDATE {s}orders SET state = $1, sent = {now} WHERE id = $1", string(state))
			require.NoError(t, err)
		}
		n, err := q.Quarantine(t.Context(), since)
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		for _, state := range []State{StateWaiting, StateDone} {
			assert.Equal(t, state, must(q.Get(t.Context(), string(state)))(t).State)
		}
		assert.Equal(t, StateUnknown, must(q.Get(t.Context(), "sending"))(t).State)
		_, err = q.exec(t.Context(), q.db, "UPDATE {s}orders SET state = 'done' WHERE state = 'waiting'") // of no job
		require.NoError(t, err)
		run(t, q)
		reaches(t, q, "old", StateDone)
		order := reaches(t, q, "new", StateUnknown)
		assert.Equal(t, "quarantined", order.Reason)
		assert.Equal(t, 1.0, fake.Charged())
	})
}

func TestQueue_Wait(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		q := at.queue(t, quickOptions(newAPI(t, creatifytest.Config{}).client(t)))
		_, err := q.Wait(t.Context(), "x")
		assert.ErrorIs(t, err, ErrNotFound)
		mustSubmit(t, q, previewOrder("a"))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err = q.Wait(ctx, "a")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// An order can be logged, and written as JSON for a service's own API.
func TestOrder_JSON(t *testing.T) {
	text, err := json.Marshal(&Order{ID: "a", Kind: Preview, Params: params, State: StateQueued})
	require.NoError(t, err)
	var back Order
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, "a", back.ID)
}

// An OnEnd that cannot take a refusal, or panics, keeps the order queued, to be refused again.
func TestOptions_OnEnd_refuses_a_refusal(t *testing.T) {
	t.Parallel()
	for name, onEnd := range map[string]func(order *Order) error{
		"with_an_error": func(*Order) error { return errors.New("not today") },
		"with_a_panic":  func(order *Order) error { return fmt.Errorf("%s", order.Job.Preview) }, // a refused order has no job
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, at place) {
				fake := newAPI(t, done1s)
				inject(t, fake, creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: -1, Status: 400, Body: `["no"]`})
				options := quickOptions(fake.client(t))
				options.OnEnd = func(_ context.Context, _ *sql.Tx, order *Order) error { return onEnd(order) }
				q := at.queue(t, options)
				run(t, q)
				mustSubmit(t, q, previewOrder("a"))
				require.Eventually(t, func() bool {
					order, err := q.Get(t.Context(), "a")
					return err == nil && order.State == StateQueued && order.Reason == "refused"
				}, patience, 20*time.Millisecond)
			})
		})
	}
}

// What Counts returns is what stands in the tables.
func TestQueue_Counts(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		q := at.queue(t, quickOptions(newAPI(t, creatifytest.Config{}).client(t)))
		counts, err := q.Counts(t.Context())
		require.NoError(t, err)
		assert.Equal(t, Counts{Orders: map[State]int{}}, counts, "an empty queue")
		for _, order := range []struct {
			id   string
			set  string
			args []any
		}{
			{id: "queued", set: "created = 2000000"},
			{id: "queued later", set: "created = 3000000"},
			{id: "sending", set: "state = 'sending', sent = {now}, created = 1000000"},
			{id: "sending, its process is gone", set: "state = 'sending', sent = {now} - $1", args: []any{micros(q.timing.held() + time.Second)}},
			{id: "unknown", set: "state = 'unknown', sent = 5000000, extra = 2"},
			{id: "unknown before", set: "state = 'unknown', sent = 4000000, extra = 1"},
			{id: "done", set: "state = 'done', sent = 1000000"},
		} {
			mustSubmit(t, q, previewOrder(order.id))
			_, err := q.exec(t.Context(), q.db, "UPDATE {s}orders SET "+order.set+" WHERE id = '"+order.id+"'", order.args...)
			require.NoError(t, err)
		}
		_, err = q.exec(t.Context(), q.db, "UPDATE {s}limits SET spent = 7.5, paused = 'unauthorized', paused_at = 6000000")
		require.NoError(t, err)
		for id, ago := range map[string]time.Duration{"runs": 0, "runs too": q.timing.sweep, "was killed": q.timing.shown() + time.Second} {
			_, err := q.exec(t.Context(), q.db, "INSERT INTO {s}replicas (id, seen) VALUES ($1, {now} - $2)", id, micros(ago))
			require.NoError(t, err)
		}
		counts, err = q.Counts(t.Context())
		require.NoError(t, err)
		second := func(n int64) time.Time { return time.Unix(n, 0).UTC() }
		assert.Equal(t, Counts{Orders: map[State]int{StateQueued: 2, StateSending: 2, StateUnknown: 2, StateDone: 1}, Extra: 3, Credits: 7.5,
			Paused: "unauthorized", PausedSince: second(6), OldestQueued: second(2), OldestUnknown: second(4), Slots: 1, Replicas: 2}, counts)
	})
}
