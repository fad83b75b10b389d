package creatify

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go/internal/lenient"
	"github.com/creatify-community/creatify-go/internal/transport"
	"golang.org/x/time/rate"
)

// WebhookEvent is the body of a webhook. It is not signed, so it proves nothing: read the job before you act.
type WebhookEvent struct {
	JobID        string // never empty
	Status       Status // never empty; any value
	FailedReason string // empty if there is none
	VideoOutput  string // URL of the rendered video; empty if there is none
}

const maxEvent = 64 << 10

// ParseWebhook parses the body of a webhook, in either of its two documented forms. A body that is not a JSON
// object, lacks an ID or a status, or exceeds 64 KiB is [ErrInvalidWebhook].
func ParseWebhook(body []byte) (*WebhookEvent, error) {
	if len(body) > maxEvent {
		return nil, fmt.Errorf("%w: the body exceeds %d KiB", ErrInvalidWebhook, maxEvent>>10)
	}
	e := &WebhookEvent{}
	var output string // the documentation has both
	err := lenient.Read(body, lenient.Fields{"id": &e.JobID, "status": (*string)(&e.Status), "output": &output,
		"video_output": &e.VideoOutput, "failed_reason": func(v lenient.Value) { e.FailedReason = v.Text() }})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the body %w", ErrInvalidWebhook, err)
	case len(jobIDProblems(e.JobID)) > 0 || e.Status == "":
		return nil, fmt.Errorf("%w: the body lacks an ID or a status", ErrInvalidWebhook)
	}
	e.VideoOutput = cmp.Or(e.VideoOutput, output)
	return e, nil
}

// WebhookOptions sets how webhooks are received. The zero value is ready for use.
type WebhookOptions struct {
	// Secret is the value of the URL's parameter "secret"; see URL. If empty, requests are not authenticated.
	Secret string
	// ReadsPerSecond limits the reads of jobs that events cause, on average; bursts may be ten times as
	// large. Events over the limit get 503 and Retry-After. 0 or less means 5.
	ReadsPerSecond float64
}

const referenceParameter, secretParameter = "ref", "secret" // of the query, added by URL

// URL adds the secret and a reference of the caller's, such as an order number, to the query of base, for use
// as [JobParams].WebhookURL. Either may be empty; the rest of base is unchanged.
//
// A base that is not absolute, has a fragment, has one of the parameters "ref" and "secret" already, or
// becomes longer than the API's 200 characters is [ErrInvalidParams].
func (o WebhookOptions) URL(base, reference string) (string, error) {
	u := webURL(base)
	switch {
	case u == nil:
		return "", invalid("base", "must be an absolute http or https URL")
	case strings.Contains(base, "#"):
		return "", invalid("base", "must not have a fragment, which is never sent")
	}
	present := u.Query() // as the handler will parse it
	for _, p := range []struct{ name, value string }{{referenceParameter, reference}, {secretParameter, o.Secret}} {
		switch {
		case p.value == "":
			continue
		case present.Has(p.name):
			return "", invalid("base", "must not have the parameter %q, which is added", p.name)
		case !strings.Contains(base, "?"):
			base += "?"
		case !strings.HasSuffix(base, "?"):
			base += "&"
		}
		base += p.name + "=" + url.QueryEscape(p.value)
	}
	if n := utf8.RuneCountInString(base); n > maxWebhookURL {
		return "", invalid("base", "has %d characters with the reference and the secret, more than %d", n, maxWebhookURL)
	}
	return base, nil
}

type referenceKey struct{}

// WebhookReference returns the reference that [WebhookOptions.URL] added, or "", from the context that a
// [JobsService.WebhookHandler] passes to its function. Anybody who knows the URL can send any reference.
func WebhookReference(ctx context.Context) string {
	reference, _ := ctx.Value(referenceKey{}).(string)
	return reference
}

const (
	stepWithin  = 10 * time.Second // each for the body, the events before it and the read of the job
	callWithin  = time.Minute
	renderGrace = 15 * time.Minute // how long a rendered job may be done without its video, as in WaitForVideo
)

// WebhookHandler returns a handler that reads the job of each event and calls f with it, once for each status
// and set of outputs. Free. f must be idempotent: the last 10,000 deliveries are remembered, in memory only.
//
// The context of f holds the [WebhookReference] and ends after a minute, not when the sender hangs up. The
// sender gets 204 once f has returned nil, 500 if f fails, and 503 with Retry-After while the job cannot be
// read or does not show yet what the event says. Failures are logged at warn level.
func (s *JobsService) WebhookHandler(options WebhookOptions, f func(context.Context, *Job) error) http.Handler {
	if f == nil {
		f = func(context.Context, *Job) error { return errors.New("creatify: WebhookHandler was given no function") }
	}
	h := s.newWebhookHandler(options)
	h.handle, h.call = h.verify, f
	return h
}

// webhookHandler authenticates and parses events, and answers by handle.
type webhookHandler struct {
	jobs   *JobsService
	secret string
	reads  *rate.Limiter
	seldom rate.Sometimes // see warnSeldom
	handle func(*http.Request, *WebhookEvent) (status int)

	call func(context.Context, *Job) error // with the job of an event

	busy      sync.Map // from a job's ID to a chan struct{}, closed when its event has been handled
	delivered memory   // by stateOf
}

// verify reads the job of an event and delivers it.
func (h *webhookHandler) verify(r *http.Request, event *WebhookEvent) (status int) {
	leave := h.enter(r.Context(), foldID(event.JobID))
	if leave == nil {
		return http.StatusServiceUnavailable
	}
	defer leave()
	// Not the request's context: with an impatient sender, f would begin at each attempt and never finish.
	ctx := context.WithValue(context.WithoutCancel(r.Context()), referenceKey{}, r.URL.Query().Get(referenceParameter))
	status, err := h.deliver(ctx, event)
	if err != nil {
		h.warn(ctx, "creatify: webhook event not delivered", slog.String("job_id", event.JobID),
			slog.String("reason", Reason(err)), slog.Int("status", status), slog.String("error", err.Error()))
	}
	return status
}

// enter admits one event of a job at a time. It returns nil if the event before it takes too long.
func (h *webhookHandler) enter(ctx context.Context, id string) (leave func()) {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	done := make(chan struct{})
	for {
		before, busy := h.busy.LoadOrStore(id, done)
		if !busy {
			return func() { h.busy.Delete(id); close(done) }
		}
		select {
		case <-before.(chan struct{}):
		case <-ctx.Done():
			return nil
		}
	}
}

// deliver returns the status to answer with, and the reason if it is worth a warning.
func (h *webhookHandler) deliver(ctx context.Context, event *WebhookEvent) (status int, _ error) {
	switch {
	case h.delivered.has(foldID(event.JobID)):
		return http.StatusNoContent, nil
	case !h.mayRead(ctx):
		return http.StatusServiceUnavailable, nil
	}
	reading, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	job, err := h.jobs.read(reading, transport.Call{JobID: event.JobID, Once: true})
	if err != nil { // ErrNotFound included: an event may come before its job can be read
		return http.StatusServiceUnavailable, err
	}
	state := stateOf(job.ID, job.Status, job.Preview != "", job.VideoOutput != "")
	switch {
	case h.behind(job, event):
		return http.StatusServiceUnavailable, nil
	case h.delivered.has(state):
		return http.StatusNoContent, nil
	}
	calling, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	if err := h.call(calling, job); err != nil {
		return http.StatusInternalServerError, err
	}
	h.delivered.add(state)
	return http.StatusNoContent, nil
}

// stateOf returns the key under which a state is delivered once: for done with a video, the job's ID alone.
func stateOf(id string, status Status, preview, video bool) string {
	if status == StatusDone && video {
		return foldID(id)
	}
	return fmt.Sprintf("%s\n%s %t %t", foldID(id), status, preview, video)
}

// behind reports whether the job does not show yet what the event says.
//
// A job is done when its preview is ready, and may read as done again before its rendered video is there. The
// event of the render then looks like a duplicate of the preview's. It counts as the render's if this client
// has started one, or if the handler saw the job at work after its preview was delivered.
func (h *webhookHandler) behind(job *Job, event *WebhookEvent) bool {
	if !job.Status.Terminal() && h.delivered.has(stateOf(job.ID, StatusDone, true, false)) {
		h.jobs.api.rendering.add(foldID(job.ID))
	}
	preview, _ := job.Outcome(KindPreview)
	video, _ := job.Outcome(KindVideo)
	ended := video || preview && time.Since(h.jobs.api.rendering.latest(foldID(job.ID))) > renderGrace
	return job.broken || event.VideoOutput != "" && job.VideoOutput == "" ||
		(event.Status.Terminal() || job.Status.Terminal()) && !ended
}

// WebhookHandler returns a handler that expedites the job of each event. Free. The sender gets 204, also if
// the job is not tracked, such as after its end. Polls continue as scheduled: a lost event costs only time.
func (t *Tracker) WebhookHandler(options WebhookOptions) http.Handler {
	h := t.jobs.newWebhookHandler(options)
	h.handle = func(r *http.Request, event *WebhookEvent) int {
		if !h.mayRead(r.Context()) {
			return http.StatusServiceUnavailable
		}
		t.Expedite(event.JobID)
		return http.StatusNoContent
	}
	return h
}

func (s *JobsService) newWebhookHandler(options WebhookOptions) *webhookHandler {
	perSecond := options.ReadsPerSecond
	if !(perSecond > 0) {
		perSecond = 5
	}
	reads := rate.NewLimiter(rate.Limit(perSecond), int(min(10*perSecond, 1e6))+1)
	return &webhookHandler{jobs: s, secret: options.Secret, reads: reads, seldom: rate.Sometimes{Interval: time.Second}}
}

func (h *webhookHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := h.receive(w, r)
	switch status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "10") // seconds
	}
	w.WriteHeader(status)
}

// receive returns the status to answer with.
func (h *webhookHandler) receive(w http.ResponseWriter, r *http.Request) (status int) {
	// The deadline also covers refusals: after them, net/http reads some more of the body. It ends with the
	// body. If the writer does not support it, the server's ReadTimeout is the only limit.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(stepWithin))
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed
	}
	// Hashes are compared: the time to compare the secrets themselves would reveal the length.
	got, want := sha256.Sum256([]byte(r.URL.Query().Get(secretParameter))), sha256.Sum256([]byte(h.secret))
	if h.secret != "" && !hmac.Equal(got[:], want[:]) {
		h.warnSeldom(r.Context(), "creatify: webhook with a wrong secret", slog.String("from", r.RemoteAddr))
		return http.StatusForbidden
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
	event, parseErr := ParseWebhook(body)
	switch {
	case is[*http.MaxBytesError](err):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout
	case err != nil || parseErr != nil:
		return http.StatusBadRequest
	}
	return h.handle(r, event)
}

func (h *webhookHandler) mayRead(ctx context.Context) bool {
	allowed := h.reads.Allow()
	if !allowed {
		h.warnSeldom(ctx, "creatify: more webhook events than ReadsPerSecond allows")
	}
	return allowed
}

// warnSeldom logs warnings that a hostile sender could cause without end, at most once a second.
func (h *webhookHandler) warnSeldom(ctx context.Context, message string, attrs ...slog.Attr) {
	h.seldom.Do(func() { h.warn(ctx, message, attrs...) })
}

func (h *webhookHandler) warn(ctx context.Context, message string, attrs ...slog.Attr) {
	attrs = slices.Insert(attrs, 0, slog.String("call", "webhook"))
	h.jobs.api.Logger.LogAttrs(ctx, slog.LevelWarn, message, attrs...)
}

// memory remembers the last 10,000 strings added, and when each was last added. Its zero value is ready.
type memory struct {
	mu    sync.Mutex
	added map[string]time.Time
	order []string // as they were added first
}

const maxMemory = 10_000

func (m *memory) add(s string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.added == nil {
		m.added = make(map[string]time.Time)
	}
	if m.added[s].IsZero() {
		m.order = append(m.order, s)
	}
	m.added[s] = time.Now()
	if len(m.order) > maxMemory {
		delete(m.added, m.order[0])
		m.order = m.order[1:]
	}
}

func (m *memory) latest(s string) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.added[s]
}

func (m *memory) has(s string) bool { return !m.latest(s).IsZero() }
