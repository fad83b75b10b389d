package durable

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
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

// deliver gives an event to a queue's handler, and returns the status of the response.
func deliver(t *testing.T, q *Queue, reference string, job *creatify.Job) int {
	query := url.Values{"secret": {"secret"}, "ref": {reference}}
	response := httptest.NewRecorder()
	q.WebhookHandler().ServeHTTP(response, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hook?"+query.Encode(),
		strings.NewReader(`{"id": "`+job.ID+`", "status": "done"}`)))
	return response.Code
}

// lostCall makes an order whose call was charged and whose response was lost an hour ago. It returns the job,
// which is done.
func lostCall(t *testing.T, q *Queue) (*row, *creatify.Job) {
	ctx := t.Context()
	mustSubmit(t, q, previewOrder("a"))
	claimed := must(q.tryClaim(ctx, must(q.get(ctx, q.db, "a"))(t), 1, false))(t)
	job := must(q.options.Client.Jobs.CreatePreview(ctx, params))(t)
	q.park(ctx, claimed, "outcome_unknown", errors.New("the response was lost"))
	_, err := q.exec(ctx, q.db, "UPDATE {s}orders SET sent = {now} - $1", micros(time.Hour))
	require.NoError(t, err)
	time.Sleep(1100 * time.Millisecond)
	return claimed, job
}

// deaf is a queue that nobody runs.
func deaf(t *testing.T, at place) (*api, *Queue) {
	fake := newAPI(t, done1s)
	options := quickOptions(fake.client(t))
	options.Webhook = Webhook{BaseURL: "http://127.0.0.1:1/hook", Secret: "secret"}
	return fake, at.queue(t, options)
}

// A webhook names the job of an order that is queued: it is not sent again.
func TestQueue_WebhookHandler_before_it_is_sent_again(t *testing.T) {
	tests := []struct {
		name   string
		queued func(t *testing.T, q *Queue)
	}{
		{"resend", func(t *testing.T, q *Queue) { require.NoError(t, q.Resend(t.Context(), "a", "anna")) }},
		{"claim_lost_with_the_database", func(t *testing.T, q *Queue) {
			_, err := q.exec(t.Context(), q.db, "UPDATE {s}orders SET state = 'queued', fence = 0, token = '', sent = 0, estimate = 0, credits = 0")
			require.NoError(t, err)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, at place) {
				fake, q := deaf(t, at)
				claimed, job := lostCall(t, q)
				test.queued(t, q)
				assert.Equal(t, http.StatusNoContent, deliver(t, q, claimed.reference, job))
				run(t, q)
				order := reaches(t, q, "a", StateDone)
				assert.Equal(t, job.ID, order.JobID)
				assert.NotZero(t, order.Sent)
				assert.Equal(t, 1.0, fake.Charged())
				assert.Equal(t, 1.0, order.Credits)
			})
		})
	}
}

// A preview's late event does not take a render for sent that waits for its turn.
func TestQueue_WebhookHandler_queued_render(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		_, q := deaf(t, at)
		claimed, job := lostCall(t, q)
		require.Equal(t, http.StatusNoContent, deliver(t, q, claimed.reference, job))
		stop := run(t, q)
		reaches(t, q, "a", StateDone)
		stop()
		mustSubmit(t, q, Order{ID: "v", Kind: Render, Of: "a"})
		for _, status := range []creatify.Status{creatify.StatusDone, creatify.StatusRunning} {
			early := *job
			early.Status = status
			require.NoError(t, q.heard(t.Context(), &early))
			assert.Equal(t, StateQueued, must(q.Get(t.Context(), "v"))(t).State, "after %s", status)
		}
	})
}

// A job that its order has not waited for is an extra charge, once.
func TestQueue_WebhookHandler_extra_charge(t *testing.T) {
	tests := []struct {
		name string
		ends func(t *testing.T, q *Queue) State
	}{
		{"sent_again", func(t *testing.T, q *Queue) State {
			require.NoError(t, q.Resend(t.Context(), "a", "anna"))
			run(t, q)
			return reaches(t, q, "a", StateDone).State
		}},
		{"abandoned", func(t *testing.T, q *Queue) State {
			require.NoError(t, q.Abandon(t.Context(), "a", "anna"))
			return StateCancelled
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, at place) {
				_, q := deaf(t, at)
				claimed, job := lostCall(t, q)
				state := test.ends(t, q)
				for range 2 {
					other := must(Open(t.Context(), q.db, q.options))(t) // its handler remembers no deliveries
					assert.Equal(t, http.StatusNoContent, deliver(t, other, claimed.reference, job))
				}
				assert.Equal(t, 1, must(q.Counts(t.Context()))(t).Extra)
				q.recordJob(t.Context(), claimed, job) // its caller wakes late
				assert.Equal(t, 1, must(q.Counts(t.Context()))(t).Extra)
				assert.Contains(t, fmt.Sprint(must(q.History(t.Context(), "a"))(t)), job.ID)
				assert.Equal(t, state, must(q.Get(t.Context(), "a"))(t).State)
			})
		})
	}
}

// failing is a database that fails one statement.
type failing struct {
	lazily
	left *int // statements until then
}

func (f failing) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := f.lazily.Connect(ctx)
	return failingConn{conn, f.left}, err
}

type failingConn struct {
	driver.Conn
	left *int
}

func (c failingConn) Prepare(statement string) (driver.Stmt, error) {
	if *c.left--; *c.left == 0 {
		return nil, errors.New("the database is away")
	}
	return c.Conn.Prepare(statement)
}

// An event is sent again when the database was away while it was applied.
func TestQueue_WebhookHandler_without_the_database(t *testing.T) {
	at := newPlace(t, SQLite)
	_, q := deaf(t, at)
	claimed, job := lostCall(t, q)
	healthy := q.db
	failures := 0
	for left := 1; ; left++ { // each statement fails once
		again := left
		q.db = sql.OpenDB(failing{lazily{healthy.Driver(), fileURL(at.DSN, safeSQLite)}, &again})
		q.db.SetMaxOpenConns(1)
		status := deliver(t, q, claimed.reference, job)
		require.NoError(t, q.db.Close())
		if again > 0 { // none has failed
			assert.Equal(t, http.StatusNoContent, status)
			break
		}
		failures++
		assert.Equal(t, http.StatusInternalServerError, status, "statement %d has failed", left)
	}
	assert.Greater(t, failures, 4)
	q.db = healthy
	assert.Equal(t, http.StatusNoContent, deliver(t, q, claimed.reference, job))
	assert.Equal(t, job.ID, must(q.Get(t.Context(), "a"))(t).JobID)
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
