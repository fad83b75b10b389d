package creatifytest

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Webhooks sets which events go to the webhook_url of jobs, and how. Events wait until [API.RunWebhooks] or
// [API.RunWebhooksTo] runs. Which statuses the real API sends is not fully documented, nor whether it
// retries: these are guesses.
//
// An event is an object with the keys id, status, failed_reason and video_output. [Life.Edit] does not edit
// it.
type Webhooks struct {
	// Client sends the events of [API.RunWebhooks].
	Client *http.Client

	// VideoField is the key of the video's URL in an event. If empty, it is "video_output"; the documentation
	// of renders has "output" instead.
	VideoField string

	// Statuses are the statuses that send an event when they begin. nil means done, failed and rejected.
	Statuses []string

	// Delay is the time from the beginning of the status until the event is sent.
	Delay time.Duration

	// Shuffle delays each sending by a random time below Shuffle, so that one may overtake another.
	// [Config.Seed] determines the times.
	Shuffle time.Duration

	// Duplicates is the number of additional sendings of each event.
	Duplicates int

	// Lose, if not nil, reports whether the nth sending is lost on the way, unnoticed by the sender. Counting
	// starts at 0, in the order in which they are due; duplicates count, later attempts do not.
	Lose func(n int) bool
}

const (
	// webhookAttempts is how often an event is sent until the response is 2xx.
	webhookAttempts = 3
	// webhookRetry is the time until an event is sent again. It doubles each time.
	webhookRetry = 10 * time.Second
	// webhookTimeout is how long one attempt may take.
	webhookTimeout = 10 * time.Second
)

// RunWebhooks sends events with [Webhooks.Client] when they are due, until ctx ends, and returns the cause of
// that end. It starts no goroutine of its own and can run inside a bubble of [testing/synctest]:
//
//	go api.RunWebhooks(t.Context())
//
// It sends one event after the other, in the order in which they are due, and waits up to 10 s for each
// response. An event that does not get 2xx is sent again after 10 s and, if it fails again, a last time after
// 20 s more. Without a Client, or if another call is running, it returns an error at once.
func (a *API) RunWebhooks(ctx context.Context) error {
	if a.config.Webhooks.Client == nil {
		return errors.New("creatifytest: RunWebhooks without a Config.Webhooks.Client (set it, or use RunWebhooksTo)")
	}
	return a.runWebhooks(ctx, a.config.Webhooks.Client)
}

// RunWebhooksTo is [API.RunWebhooks] without a socket: the handler gets all events, whatever their URL, on
// this goroutine. The handler may be created after the API, with a client of it.
func (a *API) RunWebhooksTo(ctx context.Context, handler http.Handler) error {
	if handler == nil {
		return errors.New("creatifytest: RunWebhooksTo without a handler")
	}
	return a.runWebhooks(ctx, &http.Client{Transport: handlerTransport{handler}})
}

func (a *API) runWebhooks(ctx context.Context, client *http.Client) error {
	wake, err := a.startWebhooks()
	if err != nil {
		return err
	}
	defer a.stopWebhooks()
	for ctx.Err() == nil {
		e, wait := a.nextEvent(time.Now())
		switch {
		case e != nil:
			a.deliver(ctx, client, e)
		case wait > 0:
			sleepUnless(ctx, wake, wait)
		default:
			select {
			case <-wake:
			case <-ctx.Done():
			}
		}
	}
	return context.Cause(ctx)
}

// startWebhooks returns the channel that signals new events. It is made here, since it must belong to the
// bubble of RunWebhooks.
func (a *API) startWebhooks() (wake <-chan struct{}, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wake != nil {
		return nil, errors.New("creatifytest: webhooks run already (end the context of the other run first)")
	}
	a.wake = make(chan struct{}, 1)
	return a.wake, nil
}

func (a *API) stopWebhooks() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wake = nil
}

// sleepUnless waits for a time, a wake or the end of ctx, whichever comes first.
func sleepUnless(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// event is one sending to a webhook.
type event struct {
	due      time.Time
	number   uint64 // orders events that are due at once
	job      string // its ID
	at       time.Time
	ofRender bool // whether it is about the job's render
	url      string
	body     []byte
	attempts int  // made so far
	counted  bool // for Webhooks.Lose
}

// eventQueue is a heap of events, the next one first.
type eventQueue []*event

func (q eventQueue) Len() int      { return len(q) }
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q eventQueue) Less(i, j int) bool {
	if q[i].due.Equal(q[j].due) {
		return q[i].number < q[j].number
	}
	return q[i].due.Before(q[j].due)
}
func (q *eventQueue) Push(e any) { *q = append(*q, e.(*event)) }
func (q *eventQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return e
}

// announce plans the events of a job's changes, whose times count from begin. The caller holds the mutex.
func (a *API) announce(j *job, begin time.Time, changes func() []Step) {
	if j.request.WebhookURL == "" || j.life.PerRead > 0 {
		return
	}
	hooks := &a.config.Webhooks
	for _, change := range changes() {
		if !hooks.include(change.Status) {
			continue
		}
		at := begin.Add(change.At)
		body := hooks.body(j.show(at))
		for range 1 + max(hooks.Duplicates, 0) {
			a.plan(&event{
				due:      at.Add(max(hooks.Delay, 0) + hooks.shuffle(a.shuffle)),
				job:      j.id,
				at:       at,
				ofRender: !j.rendered.IsZero(),
				url:      j.request.WebhookURL,
				body:     body,
			})
		}
	}
}

func (w *Webhooks) include(status string) bool {
	if w.Statuses == nil {
		return isEnd(status)
	}
	return slices.Contains(w.Statuses, status)
}

// shuffle returns the delay of one sending.
func (w *Webhooks) shuffle(r *rand.Rand) time.Duration {
	if w.Shuffle <= 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(w.Shuffle)))
}

// body returns the event of a job, as in https://docs.creatify.ai/api-reference/custom-template-jobs.
func (w *Webhooks) body(shown shownJob) []byte {
	body, _ := json.Marshal(map[string]any{ // strings and null can be encoded
		"id":                                 shown.ID,
		"status":                             shown.Status,
		"failed_reason":                      shown.FailedReason,
		cmp.Or(w.VideoField, "video_output"): shown.VideoOutput,
	})
	return body
}

// plan adds an event to those to be sent. The caller holds the mutex.
func (a *API) plan(e *event) {
	a.planned++
	e.number = a.planned
	heap.Push(&a.events, e)
	select {
	case a.wake <- struct{}{}:
	default: // RunWebhooks looks anyway, or does not run
	}
}

// nextEvent takes the next event that is due. If there is none, it returns nil and the time until there is
// one, 0 if that is unknown.
func (a *API) nextEvent(now time.Time) (e *event, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.events) > 0 {
		if wait := a.events[0].due.Sub(now); wait > 0 {
			return nil, wait
		}
		e := heap.Pop(&a.events).(*event)
		if a.happened(e) {
			return e, 0
		}
	}
	return nil, 0
}

// happened reports whether the job reached the status of the event, and was not rendered before that. The
// caller holds the mutex.
func (a *API) happened(e *event) bool {
	rendered := a.jobs[e.job].rendered
	return e.ofRender || rendered.IsZero() || !e.at.After(rendered)
}

// deliver sends an event, and plans another attempt if this one fails.
func (a *API) deliver(ctx context.Context, client *http.Client, e *event) {
	if a.lose(e) {
		return
	}
	err := send(ctx, client, e)
	if err == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if ctx.Err() != nil { // the next run sends it
		a.plan(e)
		return
	}
	e.attempts++
	if e.attempts < webhookAttempts {
		e.due = time.Now().Add(webhookRetry << (e.attempts - 1))
		a.plan(e)
	}
}

// lose reports whether an event is lost. Lose is called once for each.
func (a *API) lose(e *event) bool {
	lose := a.config.Webhooks.Lose
	if lose == nil || e.counted {
		return false
	}
	e.counted = true
	a.mu.Lock()
	number := a.sent
	a.sent++
	a.mu.Unlock()
	return lose(number)
}

// send returns nil once the event got 2xx.
func send(ctx context.Context, client *http.Client, e *event) error {
	ctx, cancel := context.WithTimeout(ctx, webhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(e.body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", jsonType)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxBody) // so that the connection can be reused
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("creatifytest: webhook: %s", resp.Status)
	}
	return nil
}

// handlerTransport calls a handler without a socket.
type handlerTransport struct{ http.Handler }

func (t handlerTransport) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			resp, err = nil, connectionReset()
		default:
			panic(v)
		}
	}()
	r := req.Clone(req.Context())
	r.Host, r.RequestURI, r.RemoteAddr = cmp.Or(req.Host, req.URL.Host), req.URL.RequestURI(), "127.0.0.1:1"
	r.URL = &url.URL{Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	w := newRecorder()
	t.ServeHTTP(w, r)
	recorded := w.finish(req.Method)
	return recorded.received(req, 0), nil
}
