package creatifytest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// Webhooks says which notices go to the webhook_url of jobs, and how. They are
// sent by [API.RunWebhooks]. Which statuses the real API sends is not
// documented in full, nor is whether it tries again: those are guesses.
//
// A notice is an object with the keys id, status, failed_reason and
// video_output, and is not edited by [Life.Reply].
type Webhooks struct {
	// Client sends the notices. nil means that there are none. For a test
	// without a socket, its transport calls the handler under test.
	Client *http.Client

	// VideoField is the key of the video's URL in a notice. Empty, it is
	// "video_output"; the documentation of renders has "output" instead.
	VideoField string

	// Statuses are those of which a job sends notice when it takes them on.
	// nil means done, failed and rejected.
	Statuses []string

	// Delay is the time from then until the notice is sent.
	Delay time.Duration

	// Shuffle puts each sending off by a time of its own, below Shuffle, so
	// that one may overtake another. [Config.Seed] decides the times.
	Shuffle time.Duration

	// Duplicates is how many times more than once each notice is sent.
	Duplicates int

	// Lose, if not nil, says whether the nth sending is lost on the way, which
	// the sender does not notice. Counting is from 0, in the order in which
	// they are due; duplicates count, what is tried again does not.
	Lose func(n int) bool
}

const (
	// webhookAttempts is how often a notice is sent until the reply to it is 2xx.
	webhookAttempts = 3
	// webhookRetry is the time until a notice is sent again. It doubles each time.
	webhookRetry = 10 * time.Second
	// webhookTimeout is how long one attempt may take.
	webhookTimeout = 10 * time.Second
)

// RunWebhooks sends the notices of [Config.Webhooks] when they are due, those
// which are due already at once, until ctx ends. It returns the cause of that.
// It starts no goroutine of its own and can run inside a bubble of
// [testing/synctest]:
//
//	go api.RunWebhooks(t.Context())
//
// It sends one notice after the other, in the order in which they are due, and
// waits up to 10 s for each reply. One that is not answered with 2xx is sent
// again 10 s later, and if need be, a last time 20 s after that.
//
// Without a [Webhooks.Client], or if it runs already, it returns an error at
// once.
func (a *API) RunWebhooks(ctx context.Context) error {
	wake, err := a.startWebhooks()
	if err != nil {
		return err
	}
	defer a.stopWebhooks()
	for ctx.Err() == nil {
		n, wait := a.nextNotice(time.Now())
		switch {
		case n != nil:
			a.deliver(ctx, n)
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

// startWebhooks returns the channel by which RunWebhooks hears of notices that
// are new. It is not made before, as it must belong to the bubble of RunWebhooks.
func (a *API) startWebhooks() (wake <-chan struct{}, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.config.Webhooks.Client == nil:
		return nil, errors.New("creatifytest: RunWebhooks without a Config.Webhooks.Client")
	case a.wake != nil:
		return nil, errors.New("creatifytest: RunWebhooks runs already")
	}
	a.wake = make(chan struct{}, 1)
	return a.wake, nil
}

func (a *API) stopWebhooks() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wake = nil
}

// sleepUnless waits for a time, but not once ctx ends or there is a wake.
func sleepUnless(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// notice is one sending to a webhook.
type notice struct {
	due      time.Time
	job      string // its ID
	at       time.Time
	ofRender bool // whether the job's render is the reason
	url      string
	body     []byte
	attempts int  // made so far
	counted  bool // for Webhooks.Lose
}

// announce plans the notices of a job's changes, which count from begin. The
// caller holds the mutex.
func (a *API) announce(j *job, begin time.Time, changes []Step) {
	hooks := &a.config.Webhooks
	if hooks.Client == nil || j.request.webhookURL == nil || *j.request.webhookURL == "" {
		return
	}
	for _, change := range changes {
		if !hooks.tells(change.Status) {
			continue
		}
		at := begin.Add(change.At)
		body := hooks.body(j.show(at))
		for range 1 + max(hooks.Duplicates, 0) {
			a.plan(&notice{
				due:      at.Add(max(hooks.Delay, 0) + hooks.shuffle(a.shuffle)),
				job:      j.id,
				at:       at,
				ofRender: !j.rendered.IsZero(),
				url:      *j.request.webhookURL,
				body:     body,
			})
		}
	}
}

func (w *Webhooks) tells(status string) bool {
	if w.Statuses == nil {
		return isEnd(status)
	}
	return slices.Contains(w.Statuses, status)
}

// shuffle returns by how much to put off a sending.
func (w *Webhooks) shuffle(r *rand.Rand) time.Duration {
	if w.Shuffle <= 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(w.Shuffle)))
}

// body returns the notice of a job as it is shown.
// https://docs.creatify.ai/api-reference/custom-template-jobs
func (w *Webhooks) body(shown jobReply) []byte {
	body, err := json.Marshal(map[string]any{
		"id":                                 shown.ID,
		"status":                             shown.Status,
		"failed_reason":                      shown.FailedReason,
		cmp.Or(w.VideoField, "video_output"): shown.VideoOutput,
	})
	if err != nil {
		panic(err) // strings and null can be encoded
	}
	return body
}

// plan adds a notice to those to be sent, after all that are due no later. The
// caller holds the mutex.
func (a *API) plan(n *notice) {
	i, _ := slices.BinarySearchFunc(a.notices, n.due, func(other *notice, due time.Time) int {
		if other.due.After(due) {
			return 1
		}
		return -1
	})
	a.notices = slices.Insert(a.notices, i, n)
	select {
	case a.wake <- struct{}{}:
	default: // RunWebhooks looks anyway, or does not run
	}
}

// nextNotice takes the next notice that is due. If there is none it returns nil
// and the time until there is one, 0 if that is not known.
func (a *API) nextNotice(now time.Time) (n *notice, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.notices) > 0 {
		n := a.notices[0]
		if wait := n.due.Sub(now); wait > 0 {
			return nil, wait
		}
		a.notices[0] = nil
		a.notices = a.notices[1:]
		if a.happened(n) {
			return n, 0
		}
	}
	return nil, 0
}

// happened reports whether the job came to what the notice tells, and was not
// rendered before. The caller holds the mutex.
func (a *API) happened(n *notice) bool {
	rendered := a.jobs[n.job].rendered
	return n.ofRender || rendered.IsZero() || !n.at.After(rendered)
}

// deliver sends a notice, and plans to do so again if that comes to nothing.
func (a *API) deliver(ctx context.Context, n *notice) {
	if a.lose(n) {
		return
	}
	err := a.send(ctx, n)
	if err == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if ctx.Err() != nil { // it's for the next RunWebhooks
		a.plan(n)
		return
	}
	n.attempts++
	if n.attempts < webhookAttempts {
		n.due = time.Now().Add(webhookRetry << (n.attempts - 1))
		a.plan(n)
	}
}

// lose reports whether a sending is lost. One that is not is asked about once.
func (a *API) lose(n *notice) bool {
	lose := a.config.Webhooks.Lose
	if lose == nil || n.counted {
		return false
	}
	n.counted = true
	a.mu.Lock()
	number := a.sendings
	a.sendings++
	a.mu.Unlock()
	return lose(number)
}

// send returns nil once the notice is answered with 2xx.
func (a *API) send(ctx context.Context, n *notice) error {
	ctx, cancel := context.WithTimeout(ctx, webhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url, bytes.NewReader(n.body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", jsonType)
	resp, err := a.config.Webhooks.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxBody) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("creatifytest: the webhook answered %s", resp.Status)
	}
	return nil
}
