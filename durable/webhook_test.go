package durable

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	creatify "github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// replicas are a queue that runs and one that only receives webhooks, on one database.
type replicas struct {
	fake    *api
	runs    *Queue
	hears   *Queue
	url     string
	ended   atomic.Int32
	stopped func()
}

// newReplicas polls so rarely that an order's end within the test came by a webhook.
func newReplicas(t *testing.T, at place, webhooks creatifytest.Webhooks, change func(r *replicas, runs, hears *Options)) *replicas {
	r := &replicas{}
	var handler atomic.Pointer[http.Handler]
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { (*handler.Load()).ServeHTTP(w, req) }))
	t.Cleanup(front.Close)
	webhooks.Client = front.Client()
	config := done1s
	config.Webhooks = webhooks
	r.fake = newAPI(t, config)
	r.url = front.URL + "/hook?from=creatify"
	onEnd := func(context.Context, *sql.Tx, *Order) error {
		r.ended.Add(1)
		return nil
	}
	options := func() *Options {
		o := quickOptions(r.fake.client(t))
		o.Webhook, o.OnEnd = Webhook{BaseURL: r.url, Secret: "secret"}, onEnd
		o.Wait = []creatify.WaitOption{creatify.WithSchedule(creatify.FixedInterval(time.Hour))}
		return &o
	}
	runs, hears := options(), options()
	if change != nil {
		change(r, runs, hears)
	}
	r.runs, r.hears = at.queue(t, *runs), at.queue(t, *hears)
	h := r.hears.WebhookHandler()
	handler.Store(&h)
	ctx, cancel := context.WithCancel(context.Background())
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_ = r.fake.RunWebhooks(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-sent
	})
	r.stopped = run(t, r.runs)
	return r
}

func TestQueue_WebhookHandler(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		webhooks creatifytest.Webhooks
		change   func(r *replicas, runs, hears *Options)
	}{
		{name: "at_the_other_replica"},
		{name: "twice", webhooks: creatifytest.Webhooks{Duplicates: 2}},
		{name: "every_status", webhooks: creatifytest.Webhooks{Statuses: []string{"pending", "in_queue", "running", "done"}}},
		{name: "before_the_response", change: func(_ *replicas, runs, _ *Options) {
			runs.timing.at = func(point string, _ *row) {
				if point == "answered" {
					time.Sleep(1500 * time.Millisecond)
				}
			}
		}},
		{name: "without_OnEnd_there", change: func(_ *replicas, _, hears *Options) { hears.OnEnd = nil }},
		{name: "without_OnEnd_anywhere", change: func(_ *replicas, runs, hears *Options) { runs.OnEnd, hears.OnEnd = nil, nil }},
		{name: "lost", webhooks: creatifytest.Webhooks{Lose: func(int) bool { return true }},
			change: func(_ *replicas, runs, _ *Options) { runs.Wait = quickOptions(nil).Wait }},
		{name: "late", webhooks: creatifytest.Webhooks{Delay: 2 * time.Second},
			change: func(_ *replicas, runs, _ *Options) { runs.Wait = quickOptions(nil).Wait }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, at place) {
				r := newReplicas(t, at, test.webhooks, test.change)
				mustSubmit(t, r.runs, previewOrder("a"))
				order := reaches(t, r.runs, "a", StateDone)
				assert.NotEmpty(t, order.Job.Preview)
				mustSubmit(t, r.runs, Order{ID: "v", Kind: Render, Of: "a"})
				video := reaches(t, r.runs, "v", StateDone)
				assert.NotEmpty(t, video.Job.VideoOutput)
				if test.name == "late" {
					time.Sleep(2500 * time.Millisecond)
				}
				if test.name != "without_OnEnd_anywhere" {
					assert.Equal(t, int32(2), r.ended.Load())
				}
				assert.Equal(t, 5.0, r.fake.Charged())
			})
		})
	}
}

// A webhook settles a call whose response was lost.
func TestQueue_WebhookHandler_resolves(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		r := newReplicas(t, at, creatifytest.Webhooks{}, nil)
		inject(t, r.fake, creatifytest.Fault{Call: creatifytest.CallCreatePreview, Drop: creatifytest.DropAfter})
		mustSubmit(t, r.runs, previewOrder("a"))
		order := reaches(t, r.runs, "a", StateDone)
		assert.Equal(t, r.fake.Jobs(), []string{order.JobID})
		history, err := r.runs.History(t.Context(), "a")
		require.NoError(t, err)
		var what []string
		for _, event := range history {
			what = append(what, event.What)
		}
		assert.Equal(t, []string{"park", "event", "done"}, what)
		assert.Equal(t, 1.0, r.fake.Charged())
	})
}

// An expired order whose job ends at last is done.
func TestQueue_WebhookHandler_after_the_deadline(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		r := newReplicas(t, at, creatifytest.Webhooks{}, nil)
		r.fake.NextJob(creatifytest.Life{Duration: 10 * time.Second})
		order := previewOrder("a")
		order.MaxWait = time.Second
		mustSubmit(t, r.runs, order)
		expired := reaches(t, r.runs, "a", StateExpired)
		assert.Equal(t, "wait_timeout", expired.Reason)
		assert.NotEmpty(t, expired.JobID)
		reaches(t, r.runs, "a", StateDone)
		assert.Equal(t, int32(2), r.ended.Load(), "expired, then done")
	})
}

func TestQueue_WebhookHandler_forged(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		r := newReplicas(t, at, creatifytest.Webhooks{Lose: func(int) bool { return true }}, nil)
		mustSubmit(t, r.runs, previewOrder("done"))
		require.Eventually(t, func() bool { return r.fake.Charged() == 1 }, patience, 10*time.Millisecond)
		other := r.fake.Jobs()[0]
		inject(t, r.fake, creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 500})
		mustSubmit(t, r.runs, previewOrder("lost"))
		reaches(t, r.runs, "lost", StateUnknown)
		lost, err := r.runs.get(t.Context(), r.runs.db, "lost")
		require.NoError(t, err)
		post := func(reference, secret, job string) int {
			u, err := url.Parse(r.url)
			require.NoError(t, err)
			query := u.Query()
			query.Set("ref", reference)
			query.Set("secret", secret)
			u.RawQuery = query.Encode()
			response, err := http.Post(u.String(), "application/json", strings.NewReader(`{"id": "`+job+`", "status": "done"}`))
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			return response.StatusCode
		}
		time.Sleep(time.Second) // the other job is done
		assert.Equal(t, http.StatusForbidden, post(lost.reference, "guess", other))
		post("no-such-reference", "secret", "11111111-2222-4333-8444-555555555555")
		post(lost.reference, "secret", "11111111-2222-4333-8444-555555555555")
		post(lost.reference, "secret", other) // a job of the account, but another order's
		order, err := r.runs.Get(t.Context(), "lost")
		require.NoError(t, err)
		assert.Equal(t, StateUnknown, order.State)
		assert.Empty(t, order.JobID)
	})
}

func TestOpen_webhook(t *testing.T) {
	fake := newAPI(t, creatifytest.Config{})
	_, err := OpenFile(t.Context(), t.TempDir()+"/orders.db", Options{Client: fake.client(t), Webhook: Webhook{BaseURL: "hooks.example.com"}})
	assert.ErrorIs(t, err, creatify.ErrInvalidParams)
	q := newPlace(t, SQLite).queue(t, Options{Client: fake.client(t), Webhook: Webhook{BaseURL: "https://hooks.example.com/in", Secret: "s"}})
	order := previewOrder("a")
	order.Params.WebhookURL = "https://elsewhere.example.com"
	_, err = q.Submit(t.Context(), order)
	assert.ErrorIs(t, err, creatify.ErrInvalidParams)
	assert.True(t, errors.Is(err, creatify.ErrInvalidParams))
}
