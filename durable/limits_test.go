package durable

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	creatify "github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// arrivals notes when requests came in.
type arrivals struct {
	mu   sync.Mutex
	at   []time.Time
	paid int
}

func (a *arrivals) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.at = append(a.at, time.Now())
		if r.Method == http.MethodPost {
			a.paid++
		}
		a.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// most returns the most requests in any window.
func (a *arrivals) most(window time.Duration) (most int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.SortFunc(a.at, time.Time.Compare)
	for i := range a.at {
		j := i
		for j < len(a.at) && a.at[j].Sub(a.at[i]) < window {
			j++
		}
		most = max(most, j-i)
	}
	return most
}

// Three replicas that come and go share one rate, and paid calls get their turn beside polls that could use
// all of it.
func TestOptions_RequestsPerSecond(t *testing.T) {
	const rate, howLong = 10.0, 20 * time.Second
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			fake := creatifytest.New(creatifytest.Config{RequestsPerMinute: 60 * rate, Life: creatifytest.Life{Duration: time.Hour}})
			var seen arrivals
			front := httptest.NewServer(seen.wrap(fake))
			t.Cleanup(front.Close)
			at := newPlace(t, d.dialect)
			client, err := newClient(front.URL)
			require.NoError(t, err)
			q := at.queue(t, quickOptions(client))
			for i := range 60 {
				mustSubmit(t, q, previewOrder(fmt.Sprint("order-", i)))
			}
			w := worker{Place: at, URL: front.URL, Rate: rate}
			started := time.Now()
			replicas := []*exec.Cmd{w.start(t), w.start(t), w.start(t)}
			for i := 0; time.Since(started) < howLong; i++ {
				time.Sleep(howLong / 4)
				_ = replicas[i%3].Process.Kill()
				_ = replicas[i%3].Wait()
				replicas[i%3] = w.start(t)
			}
			for _, replica := range replicas {
				_ = replica.Process.Kill()
				_ = replica.Wait()
			}
			for _, window := range []time.Duration{time.Second, 5 * time.Second, howLong} {
				bound := int((window+slotLife).Seconds()*rate/pace) + 1
				assert.LessOrEqual(t, seen.most(window), bound, "in %v", window)
			}
			took := time.Since(started).Seconds()
			assert.Greater(t, seen.paid, len(seen.at)/10, "polls leave nothing to paid calls")
			t.Logf("%d requests in %.0f s, %d paid; at most %d in a second, %d in 5 s", len(seen.at), took, seen.paid,
				seen.most(time.Second), seen.most(5*time.Second))
		})
	}
}

// However often processes are killed, no more is spent than there is, and each credit is accounted for.
func TestOptions_Credits(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := newChaos(t, d.dialect)
			const budget = 25
			for i := range 40 {
				order := previewOrder(fmt.Sprintf("order-%d", i))
				order.Params.Name = order.ID
				mustSubmit(t, c.queue, order)
				c.orders = append(c.orders, order.ID)
			}
			w := worker{Place: c.at, URL: c.fake.url, Sends: 4, Credits: budget}
			for i := range 6 {
				w.KillAt, w.Skip = points[i%2], 2
				_ = w.start(t).Wait()
			}
			w.KillAt = ""
			poor := w.start(t)
			require.Eventually(t, func() bool {
				counts, err := c.queue.Counts(context.Background())
				return err == nil && counts.Paused == "budget_exceeded" && counts.Orders[StateWaiting]+counts.Orders[StateSending] == 0
			}, 3*time.Minute, 100*time.Millisecond)
			counts, err := c.queue.Counts(t.Context())
			require.NoError(t, err)
			assert.Equal(t, float64(budget), counts.Credits)
			assert.LessOrEqual(t, c.fake.Charged(), float64(budget))
			assert.Equal(t, 40-budget, counts.Orders[StateQueued], "those that do not fit stay queued: %v", counts.Orders)

			require.NoError(t, poor.Process.Kill())
			w.Credits = 1000 // more is granted
			w.start(t)
			c.rest()
			assert.Empty(t, c.books().violations)
		})
	}
}

// A job that costs more or less than estimated is settled at its end.
func TestOptions_Credits_settled(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, creatifytest.Config{Life: creatifytest.Life{Duration: time.Second, VideoSeconds: 70,
			Render: creatifytest.RenderLife{Duration: time.Second}}})
		q := at.queue(t, quickOptions(fake.client(t)))
		run(t, q)
		mustSubmit(t, q, previewOrder("a"))
		assert.Equal(t, 3.0, reaches(t, q, "a", StateDone).Credits)
		mustSubmit(t, q, Order{ID: "v", Kind: Render, Of: "a"})
		assert.Equal(t, 12.0, reaches(t, q, "v", StateDone).Credits)
		mustSubmit(t, q, Order{ID: "w", Kind: Video, Params: params})
		assert.Equal(t, 15.0, reaches(t, q, "w", StateDone).Credits)
		counts, err := q.Counts(t.Context())
		require.NoError(t, err)
		assert.Equal(t, fake.Charged(), counts.Credits)
	})
}

// In an outage the polls of all orders slow down together.
func TestQueue_Run_outage(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: time.Hour}})
		var seen arrivals
		front := httptest.NewServer(seen.wrap(fake))
		t.Cleanup(front.Close)
		client, err := newClient(front.URL)
		require.NoError(t, err)
		options := quickOptions(client)
		options.Sends, options.Wait = 50, []creatify.WaitOption{creatify.WithSchedule(creatify.FixedInterval(100 * time.Millisecond))}
		q := at.queue(t, options)
		run(t, q)
		for i := range 100 {
			mustSubmit(t, q, previewOrder(fmt.Sprint("order-", i)))
		}
		require.Eventually(t, func() bool { return fake.Charged() == 100 }, patience, 50*time.Millisecond)
		require.NoError(t, fake.Inject(creatifytest.Fault{Call: creatifytest.CallGetJob, Times: -1, Status: 503}))
		require.Eventually(t, func() bool {
			counts, err := q.Counts(t.Context())
			return err == nil && !counts.FailingSince.IsZero()
		}, patience, 50*time.Millisecond)
		time.Sleep(time.Second)
		before := fake.Calls(creatifytest.CallGetJob)
		time.Sleep(4 * time.Second)
		assert.LessOrEqual(t, fake.Calls(creatifytest.CallGetJob)-before, 6)
		fake.ClearFaults()
		require.Eventually(t, func() bool {
			counts, err := q.Counts(t.Context())
			return err == nil && counts.FailingSince.IsZero()
		}, patience, 50*time.Millisecond)
		counts, err := q.Counts(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 100, counts.Orders[StateWaiting], "no wait ends")
	})
}

// River's queue is never paused alone: nothing would resume it.
func TestQueue_pause_beside_resume(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		q := at.queue(t, quickOptions(fake.client(t)))
		stop := run(t, q)
		require.Eventually(t, func() bool {
			_, err := q.insert.QueueGet(t.Context(), sendQueue)
			return err == nil
		}, patience, 10*time.Millisecond, "River knows the queue")
		stop()
		for range 100 {
			var group sync.WaitGroup
			for _, f := range []func() error{
				func() error { return q.pause(t.Context(), "insufficient_credits") },
				func() error { return q.pauseRiver(t.Context()) },
				func() error { return q.resume(t.Context()) },
			} {
				group.Go(func() { assert.NoError(t, f()) })
			}
			group.Wait()
			limits, err := q.limits(t.Context(), q.db)
			require.NoError(t, err)
			queue, err := q.insert.QueueGet(t.Context(), sendQueue)
			require.NoError(t, err)
			require.Equal(t, limits.paused != "", queue.PausedAt != nil, "paused in %+v and in %+v", limits, queue)
		}
	})
}

// A call that was claimed before the pause does not end it.
func TestQueue_resumed(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		q := at.queue(t, quickOptions(newAPI(t, done1s).client(t)))
		require.NoError(t, q.pause(t.Context(), "insufficient_credits"))
		limits, err := q.limits(t.Context(), q.db)
		require.NoError(t, err)
		for _, age := range []time.Duration{time.Second, 0, -time.Microsecond} {
			require.NoError(t, q.resumed(t.Context(), &row{Order: Order{Sent: limits.pausedAt.Add(-age)}}))
			now, err := q.limits(t.Context(), q.db)
			require.NoError(t, err)
			assert.Equal(t, age >= 0, now.paused != "", "claimed %s before the pause", age)
		}
	})
}
