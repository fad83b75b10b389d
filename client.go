package creatify

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/internal/fetch"
	"github.com/creatify-community/creatify-go/internal/transport"
	"github.com/creatify-community/creatify-go/internal/wait"
	"golang.org/x/time/rate"
)

const (
	version        = "0.1.0" // of this library, in the User-Agent
	defaultBaseURL = "https://api.creatify.ai"
)

// Client calls the Creatify API for one account. Make it with [New] or [NewFromEnv], once, and share it: it
// is safe for concurrent use. Printing it never shows the key.
type Client struct {
	Jobs      *JobsService      // makes, reads and waits for previews and videos
	Templates *TemplatesService // reads what previews are made from
	Personas  *PersonasService  // lists avatars
	Voices    *VoicesService    // lists voices
	Workspace *WorkspaceService // reads the account's balance

	api api
}

// New makes a client from an API ID and its key, which are found in the account's API settings.
//
// Every bad argument and option is reported at once, in one [*ValidationError]. New does not contact the API.
func New(apiID, apiKey string, opts ...Option) (*Client, error) {
	c := config{baseURL: defaultBaseURL, Config: transport.Config{
		Credentials: transport.NewCredentials(apiID, apiKey),
		UserAgent:   "creatify-go/" + version + " (" + runtime.Version() + ")",
		Timeout:     time.Minute,
		Grace:       10 * time.Second,
		Retry:       RetryPolicy{}.withDefaults(),
		Logger:      slog.New(slog.DiscardHandler),
	}}
	c.checkCredential("API ID", apiID)
	c.checkCredential("API key", apiKey)
	return api{config: c, learned: new(wait.Learner), rendering: new(memory)}.client(opts)
}

// NewFromEnv is [New] with the environment's CREATIFY_API_ID, CREATIFY_API_KEY and, if it is set,
// CREATIFY_BASE_URL. An option wins over the environment.
func NewFromEnv(opts ...Option) (*Client, error) {
	var missing problemList
	for _, name := range []string{"CREATIFY_API_ID", "CREATIFY_API_KEY"} {
		missing.require(os.Getenv(name) != "", name, "is not set in the environment")
	}
	if err := validation(missing); err != nil {
		return nil, err
	}
	if base := os.Getenv("CREATIFY_BASE_URL"); base != "" {
		opts = append([]Option{WithBaseURL(base)}, opts...)
	}
	return New(os.Getenv("CREATIFY_API_ID"), os.Getenv("CREATIFY_API_KEY"), opts...)
}

// With returns a copy of the client with further options, which win over those of c. The copy shares the
// credentials, what waits have learned and, unless an option replaces them, the budget, the rate limit and
// the connections. A [WithMiddleware] is added to those of c.
func (c *Client) With(opts ...Option) (*Client, error) { return c.api.client(opts) }

// CloseIdleConnections closes idle connections, those of [WithHTTPClient] included. The client stays usable.
func (c *Client) CloseIdleConnections() { c.api.transport.CloseIdleConnections() }

// Option sets how a [Client] works.
type Option func(*config)

// config is what options set.
type config struct {
	transport.Config
	baseURL   string // Config.BaseURL before it is parsed
	hooks     Hooks
	budget    *Budget        // nil for none
	templates *templateReads // nil without [WithTemplateCheck]

	limitedBy string // the option that set Config.Queue, of those being applied
	problemList
}

// client makes a client from a copy of a with further options. The two share what the options do not replace.
func (a api) client(opts []Option) (*Client, error) {
	a.limitedBy = ""
	applyOptions(opts, &a.config, &a.problemList, "option")
	a.parseBaseURL()
	if err := validation(a.problemList); err != nil {
		return nil, err
	}
	var err error
	if a.transport, err = transport.New(a.Config, a.transport); err != nil {
		return nil, invalid("WithMiddleware", "%v", err)
	}
	a.files = fetch.New(a.HTTPClient, a.UserAgent, a.Credentials.Redact)
	return &Client{&JobsService{&a}, &TemplatesService{&a}, &PersonasService{&a}, &VoicesService{&a},
		&WorkspaceService{&a}, a}, nil
}

// WithBaseURL sends the calls to another base URL, such as that of a fake API. It must be https, or http on a
// loopback address, without a query. It may have a path, which precedes the API's own paths. Loopback
// addresses are reached without a proxy. The default is https://api.creatify.ai.
func WithBaseURL(baseURL string) Option {
	return func(c *config) { c.baseURL = baseURL }
}

// WithHTTPClient sends the calls through an HTTP client of your own, which is copied.
//
// Paid calls use a copy of its [*http.Transport] that opens an HTTP/1.1 connection for each request. Any
// other RoundTripper is used as it is and must not resend a request; to observe calls, use [WithMiddleware].
// docs/reliability.md covers the other fields. The default is a copy of [http.DefaultTransport].
func WithHTTPClient(client *http.Client) Option {
	return func(c *config) {
		c.require(client != nil, "WithHTTPClient", "the client is nil")
		c.HTTPClient = client
	}
}

// WithMiddleware wraps the transport of every API call, but not of downloads. The first of several sees a
// request first. A middleware never sees the credentials, and must keep the request's context. If it returns
// an error without calling next, the outcome of a paid call is unknown; to delay or refuse calls, use
// [WithLimiter]. It may change the User-Agent.
func WithMiddleware(middleware func(next http.RoundTripper) http.RoundTripper) Option {
	return func(c *config) {
		c.require(middleware != nil, "WithMiddleware", "the function is nil")
		c.Middleware = append(slices.Clip(c.Middleware), middleware)
	}
}

// WithTimeout bounds one attempt of a call, from its start to the last byte of the response. The default is
// one minute. For the whole call, retries included, use the context's deadline.
func WithTimeout(perAttempt time.Duration) Option {
	return func(c *config) {
		c.require(perAttempt > 0, "WithTimeout", "must be above zero, not %v", perAttempt)
		c.Timeout = perAttempt
	}
}

// WithPaidGrace sets how long a paid call that was sent still waits for its response when its context has
// ended. The default is 10 s; 0 turns it off. Queues, connecting and pauses end with the context.
func WithPaidGrace(grace time.Duration) Option {
	return func(c *config) {
		c.require(grace >= 0, "WithPaidGrace", "must not be negative: %v", grace)
		c.Grace = grace
	}
}

// Limiter holds each request until its turn. A [*golang.org/x/time/rate.Limiter] is one.
type Limiter interface {
	// Wait returns nil when it is the request's turn. After an error, nothing is sent.
	Wait(ctx context.Context) error
}

// WithRateLimit bounds the requests of this client, retries and polls included: perSecond on average, and at
// most burst at once. Paid calls go before polls. A request whose turn would come after its context's
// deadline fails with [context.DeadlineExceeded] at once. There is no limit by default.
func WithRateLimit(perSecond float64, burst int) Option {
	return func(c *config) {
		finite := perSecond > 0 && !math.IsInf(perSecond, 0)
		c.require(finite, "WithRateLimit", "perSecond must be above zero and finite, not %v", perSecond)
		c.require(burst >= 1, "WithRateLimit", "burst must be at least 1, not %d", burst)
		c.limit("WithRateLimit", rate.NewLimiter(rate.Limit(perSecond), burst))
	}
}

// WithLimiter is [WithRateLimit] with a limiter of your own, such as one that several clients share. An error
// of the limiter means that nothing was sent. It cannot be combined with WithRateLimit.
func WithLimiter(limiter Limiter) Option {
	return func(c *config) {
		c.require(limiter != nil, "WithLimiter", "the limiter is nil")
		c.limit("WithLimiter", limiter)
	}
}

func (c *config) limit(option string, limiter Limiter) {
	c.require(c.limitedBy == "" || c.limitedBy == option, option, "cannot be combined with %s", c.limitedBy)
	c.limitedBy, c.Queue = option, transport.NewQueue(limiter)
}

// WithLogger logs attempts at debug level, retries at info level, and what an operator must know at warn
// level: see docs/operating.md. It never logs headers, bodies or URLs. By default nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) {
		c.require(logger != nil, "WithLogger", "the logger is nil")
		c.Logger = logger
	}
}

// RetryPolicy bounds the attempts of one call. The zero value of each field means its default.
//
// A paid call is retried only if it provably never left, or was answered 429. The wait between attempts
// doubles from MinBackoff up to MaxBackoff; half of it is random. A Retry-After of up to a minute replaces
// it. docs/reliability.md lists the failures after which a free call is retried.
type RetryPolicy struct {
	MaxAttempts int           // in all; 1 turns retries off, the default is 4
	MinBackoff  time.Duration // longest wait before the second attempt; the default is 500 ms
	MaxBackoff  time.Duration // longest wait; the default is 30 s
}

func (p RetryPolicy) withDefaults() transport.Retry {
	p.MaxAttempts = cmp.Or(p.MaxAttempts, 4)
	p.MinBackoff = cmp.Or(p.MinBackoff, 500*time.Millisecond)
	p.MaxBackoff = cmp.Or(p.MaxBackoff, max(30*time.Second, p.MinBackoff))
	return transport.Retry(p)
}

// WithRetry sets how often and how fast calls are retried. It does not apply to the polls of a wait, whose
// retry is the next poll, nor to downloads, which have their own rules.
func WithRetry(policy RetryPolicy) Option {
	return func(c *config) {
		c.Retry = policy.withDefaults()
		least, most := c.Retry.MinBackoff, c.Retry.MaxBackoff
		valid := policy.MaxAttempts >= 0 && least >= 0 && most >= 0
		c.require(valid, "WithRetry", "a negative value has no meaning")
		c.require(!valid || least <= most, "WithRetry", "MinBackoff %v is above MaxBackoff %v", least, most)
	}
}

// checkCredential never quotes the value.
func (c *config) checkCredential(name, value string) {
	switch {
	case strings.TrimSpace(value) == "":
		c.refuse(name, "is empty")
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		c.refuse(name, "has a character that no key has: white space, a control character or one beyond ASCII")
	}
}

func (c *config) parseBaseURL() {
	const field = "base URL"
	u, err := url.Parse(c.baseURL)
	if err != nil || u.Hostname() == "" {
		c.refuse(field, "must be absolute, such as %s", defaultBaseURL)
		return
	}
	c.BaseURL = u
	c.require(u.Scheme == "https" || u.Scheme == "http", field, "must be https")
	c.require(u.Scheme != "http" || transport.IsLoopback(u.Hostname()), field,
		"must be https: over http the key could be read on its way (http is for localhost and 127.0.0.1)")
	c.require(u.User == nil, field, "must not hold a user name or password")
	c.require(!strings.ContainsAny(c.baseURL, "?#"), field, "must not have a query or a fragment")
}
