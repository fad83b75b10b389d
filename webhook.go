package creatify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go/internal/lenient"
	"github.com/creatify-community/creatify-go/internal/transport"
	"golang.org/x/time/rate"
)

// WebhookEvent is what a webhook says about a job. Notices carry no signature, so that anybody can send one: it is a hint to read
// the job, and proves nothing.
type WebhookEvent struct {
	JobID        string // never empty
	Status       Status // what the sender says that the job has come to
	FailedReason string // empty when there is none
	VideoOutput  string // URL of the rendered video; empty when there is none
}

const maxNotice = 64 << 10

// ParseWebhook reads the body of a webhook, in either of its two documented forms. A body of more than 64 KiB, without an ID
// or a status, or not a JSON object, is [ErrInvalidWebhook]. Any status is taken.
//
// API page: https://docs.creatify.ai/api-reference/custom-template-jobs
func ParseWebhook(body []byte) (*WebhookEvent, error) {
	if len(body) > maxNotice {
		return nil, fmt.Errorf("%w: it is larger than %d KiB", ErrInvalidWebhook, maxNotice>>10)
	}
	n := &WebhookEvent{}
	whole := lenient.Members(body, func(name []byte, v lenient.Value) {
		switch string(name) {
		case "id":
			n.JobID = v.String()
		case "status":
			n.Status = Status(v.String())
		case "failed_reason":
			n.FailedReason = v.Text()
		case "video_output", "output": // the pages contradict each other
			n.VideoOutput = cmp.Or(v.String(), n.VideoOutput)
		}
	})
	switch {
	case !whole:
		return nil, fmt.Errorf("%w: it is not a JSON object", ErrInvalidWebhook)
	case len(jobIDProblems(n.JobID)) > 0 || n.Status == "":
		return nil, fmt.Errorf("%w: it lacks an ID or a status", ErrInvalidWebhook)
	}
	return n, nil
}

// The query parameters that WebhookURL adds.
const (
	referenceParameter = "ref"
	secretParameter    = "secret"
)

// WebhookURL makes a URL for [JobParams.WebhookURL] that carries the caller's own reference, such as an order's number, to
// [WebhookReference], and a secret, to be checked by [WebhookOptions]. Either may be empty. So a service that got
// [ErrOutcomeUnknown] learns the job's ID from the notice, if the API sends one: for previews that is not documented.
//
// A URL that is not absolute, or too long for the API with its 200 characters, is [ErrInvalidParams].
func WebhookURL(base, reference, secret string) (string, error) {
	if !isWebURL(base) {
		return "", invalid("base", "must be an absolute http or https URL")
	}
	u, _ := url.Parse(base)
	query := u.Query()
	for name, value := range map[string]string{referenceParameter: reference, secretParameter: secret} {
		if value != "" {
			query.Set(name, value)
		}
	}
	u.RawQuery = query.Encode()
	if n := utf8.RuneCountInString(u.String()); n > maxWebhookURL {
		return "", invalid("webhook_url", "has %d characters with the reference and the secret, more than %d", n, maxWebhookURL)
	}
	return u.String(), nil
}

type referenceKey struct{}

// WebhookReference returns the reference that [WebhookURL] has put into the URL, in the context of a [JobsService.WebhookHandler]'s
// function. It is empty when there is none. Whoever knows the URL and its secret can send any reference.
func WebhookReference(ctx context.Context) string {
	reference, _ := ctx.Value(referenceKey{}).(string)
	return reference
}

// WebhookOptions sets how webhooks are received. The zero value is ready for use.
type WebhookOptions struct {
	// Secret is what the URL's parameter secret must hold; see [WebhookURL]. Empty, everybody is let in.
	Secret string
	// ReadsPerSecond bounds how often notices make the handler read a job, on average; ten times as many at once. What is
	// beyond it is told to come again. 0 or less means 5.
	ReadsPerSecond float64
}

// WebhookHandler receives webhooks. It takes a notice as a hint: it reads the job itself, and calls f with that job, once for
// each job, status and set of outputs, however often the notice comes. A read costs nothing.
//
// The sender is answered with 204 only when f has returned nil, now or before, so that it may try again otherwise: 400, 405,
// 413 and 415 for what is no notice, 403 for a wrong secret, 404 for a job that the API does not know, 500 when f returns an
// error or is nil, and 503 when the job could not be read, does not yet show what the notice says, or too many notices came. The context
// of f is the request's, and has the [WebhookReference]; f should be quick, for the sender waits. What was
// handed over is remembered for the last 10,000 cases, in memory: f must bear to be called again after a restart.
func (s *JobsService) WebhookHandler(options WebhookOptions, f func(context.Context, *Job) error) http.Handler {
	h := &webhookHandler{receiver: newReceiver(options), jobs: s, call: f, handled: newMemory(), unknown: newMemory(),
		busy: make(map[string]chan struct{})}
	return http.HandlerFunc(h.serve)
}

type webhookHandler struct {
	*receiver
	jobs *JobsService
	call func(context.Context, *Job) error

	mu      sync.Mutex
	handled *memory                  // what f has taken
	unknown *memory                  // IDs that the API did not know
	busy    map[string]chan struct{} // closed when the job's notice is done with
}

const (
	unknownFor   = 15 * time.Second // an ID that the API did not know is not asked for again
	readWithin   = 10 * time.Second // the job, when a notice has come
	comeAgain    = "10"             // seconds, for Retry-After
	remembered   = 10_000
	handledFor   = 7 * 24 * time.Hour
	defaultReads = 5
)

func (h *webhookHandler) serve(w http.ResponseWriter, r *http.Request) {
	notice := h.receive(w, r)
	if notice == nil {
		return
	}
	ctx := context.WithValue(r.Context(), referenceKey{}, r.URL.Query().Get(referenceParameter))
	status := http.StatusServiceUnavailable // for the turn that does not come in time
	if leave, ok := h.enter(ctx, foldID(notice.JobID)); ok {
		defer leave()
		status = h.handle(ctx, notice)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", comeAgain)
	}
	w.WriteHeader(status)
}

// enter lets in one notice of a job at a time.
func (h *webhookHandler) enter(ctx context.Context, id string) (leave func(), ok bool) {
	for {
		h.mu.Lock()
		before := h.busy[id]
		if before == nil {
			done := make(chan struct{})
			h.busy[id] = done
			h.mu.Unlock()
			return func() {
				h.mu.Lock()
				delete(h.busy, id)
				h.mu.Unlock()
				close(done)
			}, true
		}
		h.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// handle returns the status to answer with.
func (h *webhookHandler) handle(ctx context.Context, notice *WebhookEvent) int {
	switch {
	case h.handled.has(stateOf(notice.JobID, notice.Status, notice.VideoOutput != "")):
		return http.StatusNoContent
	case h.unknown.has(foldID(notice.JobID)):
		return http.StatusNotFound
	case !h.reads.Allow():
		return http.StatusServiceUnavailable
	}
	reading, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	if h.call == nil {
		return http.StatusInternalServerError
	}
	job, err := h.jobs.read(reading, transport.Call{JobID: notice.JobID, Once: true})
	switch {
	case errors.Is(err, ErrNotFound):
		h.unknown.add(foldID(notice.JobID), unknownFor)
		return http.StatusNotFound
	case err != nil, job.broken, job.Status == StatusDone && job.Preview == "" && job.VideoOutput == "",
		notice.Status.Terminal() && !job.Status.Terminal(), notice.VideoOutput != "" && job.VideoOutput == "":
		return http.StatusServiceUnavailable
	}
	state := stateOf(job.ID, job.Status, job.VideoOutput != "")
	if h.handled.has(state) {
		return http.StatusNoContent
	}
	if h.call(ctx, job) != nil {
		return http.StatusInternalServerError
	}
	h.handled.add(state, handledFor)
	return http.StatusNoContent
}

// stateOf is what a job is handed over once for. A job that is done with its preview is done again with its video.
func stateOf(id string, status Status, video bool) string {
	return fmt.Sprintf("%q %t %s", status, video, foldID(id))
}

// WebhookHandler receives webhooks for the tracker's jobs, and polls such a job at once. Polling by schedule remains, for the
// notices that are lost. The sender is answered with 204, with 404 for a job that is not tracked, and otherwise as by
// [JobsService.WebhookHandler].
func (t *Tracker) WebhookHandler(options WebhookOptions) http.Handler {
	receiver := newReceiver(options)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		notice := receiver.receive(w, r)
		switch {
		case notice == nil:
		case !receiver.reads.Allow():
			w.Header().Set("Retry-After", comeAgain)
			w.WriteHeader(http.StatusServiceUnavailable)
		case !t.Expedite(notice.JobID):
			w.WriteHeader(http.StatusNotFound)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

// receiver checks what both handlers check.
type receiver struct {
	secret [sha256.Size]byte
	open   bool // to everybody
	reads  *rate.Limiter
}

func newReceiver(options WebhookOptions) *receiver {
	perSecond := options.ReadsPerSecond
	if !(perSecond > 0) {
		perSecond = defaultReads
	}
	return &receiver{sha256.Sum256([]byte(options.Secret)), options.Secret == "",
		rate.NewLimiter(rate.Limit(perSecond), int(min(10*perSecond, 1e6))+1)}
}

// receive returns the notice of a request, or nil when it has answered the request itself.
func (c *receiver) receive(w http.ResponseWriter, r *http.Request) *WebhookEvent {
	refuse := func(status int) *WebhookEvent {
		http.Error(w, strconv.Itoa(status)+" "+http.StatusText(status), status)
		return nil
	}
	secret := sha256.Sum256([]byte(r.URL.Query().Get(secretParameter)))
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		return refuse(http.StatusMethodNotAllowed)
	case !c.open && subtle.ConstantTimeCompare(secret[:], c.secret[:]) != 1:
		return refuse(http.StatusForbidden)
	case mediaType != "application/json":
		return refuse(http.StatusUnsupportedMediaType)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNotice))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return refuse(http.StatusRequestEntityTooLarge)
	}
	notice, parseErr := ParseWebhook(body)
	if err != nil || parseErr != nil {
		return refuse(http.StatusBadRequest)
	}
	return notice
}

// memory remembers strings for a while, the last ones of them.
type memory struct {
	mu    sync.Mutex
	until map[string]time.Time
	order []string // as they were added
}

func newMemory() *memory { return &memory{until: make(map[string]time.Time)} }

func (m *memory) has(s string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Before(m.until[s])
}

func (m *memory) add(s string, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.until[s]; !known {
		if len(m.order) >= remembered {
			delete(m.until, m.order[0])
			m.order = m.order[1:]
		}
		m.order = append(m.order, s)
	}
	m.until[s] = time.Now().Add(d)
}
