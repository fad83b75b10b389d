package creatify

import (
	"cmp"
	"context"
	"fmt"
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

// version is that of this library, in the User-Agent.
const version = "0.1.0"

const defaultBaseURL = "https://api.creatify.ai"

// Client calls the Creatify API for one account. Make it with [New] or [NewFromEnv], once, and share it: it
// is safe for concurrent use. Printing it never shows the key.
type Client struct {
	Jobs      *JobsService      // makes, reads and waits for previews and videos
	Templates *TemplatesService // reads what previews are made from
	Personas  *PersonasService  // lists avatars
	Voices    *VoicesService    // lists voices
	Workspace *WorkspaceService // reads the account's balance

	config config
}

// New makes a client from an API ID and its key, which are found in the account's API settings.
//
// Every bad argument and option is reported at once, in one [*ValidationError]. New does not contact the API.
func New(apiID, apiKey string, opts ...Option) (*Client, error) {
	c := config{
		baseURL:     defaultBaseURL,
		credentials: transport.NewCredentials(apiID, apiKey),
		userAgent:   "creatify-go/" + version + " (" + runtime.Version() + ")",
		timeout:     time.Minute,
		grace:       10 * time.Second,
		logger:      slog.New(slog.DiscardHandler),
	}
	c.checkCredential("API ID", apiID)
	c.checkCredential("API key", apiKey)
	return c.client(opts, nil)
}

// NewFromEnv is [New] with the environment's CREATIFY_API_ID, CREATIFY_API_KEY and, if it is set,
// CREATIFY_BASE_URL. An option wins over the environment.
func NewFromEnv(opts ...Option) (*Client, error) {
	var missing []Problem
	lookUp := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			missing = append(missing, Problem{name, "is not set in the environment"})
		}
		return value
	}
	apiID, apiKey := lookUp("CREATIFY_API_ID"), lookUp("CREATIFY_API_KEY")
	if err := validation(missing); err != nil {
		return nil, err
	}
	if base := os.Getenv("CREATIFY_BASE_URL"); base != "" {
		opts = append([]Option{WithBaseURL(base)}, opts...)
	}
	return New(apiID, apiKey, opts...)
}

// With returns a copy of the client with further options, which win over those of c. The copy shares the
// credentials, what waits have learned and, unless an option replaces them, the budget, the rate limit and the
// connections. A [WithMiddleware] is added to those of c.
func (c *Client) With(opts ...Option) (*Client, error) {
	return c.config.client(opts, c.Jobs.api)
}

// CloseIdleConnections closes the connections that no call is using, those of a [WithHTTPClient] included.
// The client remains usable.
func (c *Client) CloseIdleConnections() { c.Jobs.api.transport.CloseIdleConnections() }

// Option sets how a [Client] works.
type Option func(*config)

// config is what a client is made of, without the services and what they learn.
type config struct {
	baseURL     string
	credentials *transport.Credentials
	userAgent   string
	httpClient  *http.Client
	middleware  []func(http.RoundTripper) http.RoundTripper
	timeout     time.Duration
	grace       time.Duration
	retry       RetryPolicy
	queue       *transport.Queue
	logger      *slog.Logger
	hooks       Hooks
	budget      *Budget
	templates   *templateReads

	limitedBy string // the option that set queue, of those being applied
	problems  []Problem
}

func (c *config) refuse(field, format string, args ...any) {
	c.problems = append(c.problems, Problem{field, fmt.Sprintf(format, args...)})
}

// client makes a client with further options. It shares with from, if not nil, what they leave as it is.
func (c config) client(opts []Option, from *api) (*Client, error) {
	c.limitedBy = ""
	for i, opt := range opts {
		if opt == nil {
			c.refuse(fmt.Sprintf("option %d", i+1), "is nil")
			continue
		}
		opt(&c)
	}
	base := c.parseBaseURL()
	if err := validation(c.problems); err != nil {
		return nil, err
	}
	calls := transport.Config{
		BaseURL:     base,
		Credentials: c.credentials,
		UserAgent:   c.userAgent,
		HTTPClient:  c.httpClient,
		Middleware:  c.middleware,
		Timeout:     c.timeout,
		Grace:       c.grace,
		Retry:       transport.Retry(c.retry.withDefaults()),
		Queue:       c.queue,
		Logger:      c.logger,
	}
	a := &api{budget: c.budget, learned: new(wait.Learner), loopback: transport.IsLoopback(base.Hostname()), logger: c.logger, hooks: c.hooks,
		rendering: new(memory), templates: c.templates,
		files: fetch.New(c.httpClient, c.userAgent, c.credentials.Redact)}
	var err error
	if from == nil {
		a.transport, err = transport.New(calls)
	} else {
		a.learned, a.rendering = from.learned, from.rendering
		a.transport, err = from.transport.With(calls)
	}
	if err != nil {
		return nil, invalid("WithMiddleware", "%v", err)
	}
	return &Client{&JobsService{a}, &TemplatesService{a}, &PersonasService{a}, &VoicesService{a}, &WorkspaceService{a}, c}, nil
}

// WithBaseURL sends the calls elsewhere, such as to a fake of the API. The URL is https, or http on a loopback
// address, has no query, and may have a path, below which the API's own paths begin. Loopback addresses are
// reached without a proxy. The default is https://api.creatify.ai.
func WithBaseURL(baseURL string) Option {
	return func(c *config) { c.baseURL = baseURL }
}

// WithHTTPClient sends the calls through an HTTP client of your own, which is copied.
//
// Its Timeout bounds one attempt, its CheckRedirect may refuse the redirect of a GET, and its Proxy sees the key if
// the base URL is http. Paid calls use a copy of its [*http.Transport] that makes an HTTP/1.1 connection for each
// request. Any other RoundTripper is used as it is, and must not resend a request; to observe calls, use
// [WithMiddleware]. The default is a copy of [http.DefaultTransport], or what a program has put in its place.
func WithHTTPClient(client *http.Client) Option {
	return func(c *config) {
		if client == nil {
			c.refuse("WithHTTPClient", "the client is nil")
		}
		c.httpClient = client
	}
}

// WithMiddleware wraps the transport of every API call, but not of downloads. Of several, the first one sees a
// request first. It does not see the credentials, and must keep the request's context. If it returns an error
// without calling next, the outcome of a paid call is unknown; to hold calls back, use [WithLimiter]. It may set
// another User-Agent.
func WithMiddleware(middleware func(next http.RoundTripper) http.RoundTripper) Option {
	return func(c *config) {
		if middleware == nil {
			c.refuse("WithMiddleware", "the function is nil")
		}
		c.middleware = append(slices.Clip(c.middleware), middleware)
	}
}

// WithTimeout bounds one attempt of a call, from its start to the last byte of the response. The default is one
// minute. For the whole call, retries included, use the context's deadline.
func WithTimeout(perAttempt time.Duration) Option {
	return func(c *config) {
		if perAttempt <= 0 {
			c.refuse("WithTimeout", "must be above zero, not %v", perAttempt)
		}
		c.timeout = perAttempt
	}
}

// WithPaidGrace sets how long a paid call that was sent outlives its context, so that its job is not lost. The
// default is 10 s; 0 turns it off. Queues, connecting and the waits between attempts end with the context.
func WithPaidGrace(grace time.Duration) Option {
	return func(c *config) {
		if grace < 0 {
			c.refuse("WithPaidGrace", "must not be negative, as %v is", grace)
		}
		c.grace = grace
	}
}

// Limiter holds each request until its turn. A [*golang.org/x/time/rate.Limiter] is one.
type Limiter interface {
	// Wait returns nil when it is the request's turn. After an error, nothing is sent.
	Wait(ctx context.Context) error
}

// WithRateLimit bounds the requests of this client, retries and polls included: perSecond on average, and at most
// burst at once. Paid calls go before polls. A request whose turn would come after its context's deadline fails
// with [context.DeadlineExceeded] at once. There is no limit by default.
func WithRateLimit(perSecond float64, burst int) Option {
	return func(c *config) {
		if !(perSecond > 0) || math.IsInf(perSecond, 0) {
			c.refuse("WithRateLimit", "perSecond must be above zero and finite, not %v", perSecond)
		}
		if burst < 1 {
			c.refuse("WithRateLimit", "burst must be at least 1, not %d", burst)
		}
		c.limit("WithRateLimit", rate.NewLimiter(rate.Limit(perSecond), burst))
	}
}

// WithLimiter is [WithRateLimit] with a limiter of your own, such as one that several clients share. An error of
// the limiter means that nothing was sent. It cannot be combined with WithRateLimit.
func WithLimiter(limiter Limiter) Option {
	return func(c *config) {
		if limiter == nil {
			c.refuse("WithLimiter", "the limiter is nil")
		}
		c.limit("WithLimiter", limiter)
	}
}

func (c *config) limit(option string, limiter Limiter) {
	if c.limitedBy != "" && c.limitedBy != option {
		c.refuse(option, "cannot be combined with %s", c.limitedBy)
	}
	c.limitedBy, c.queue = option, transport.NewQueue(limiter)
}

// WithLogger logs each attempt at debug level and each retry at info level: the call, the job ID, the attempt, its
// status and its duration, never headers, bodies or URLs. By default nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) {
		if logger == nil {
			c.refuse("WithLogger", "the logger is nil")
		}
		c.logger = logger
	}
}

// RetryPolicy bounds the attempts of one call. The zero value of each field means its default.
//
// A free call is retried after a network error, a truncated response, and the statuses 408, 425, 429 and 5xx except
// 501 and 505. A paid call is retried only if it provably never left, or was answered 429. The wait between attempts
// doubles from MinBackoff to MaxBackoff, half of it random, or is the server's Retry-After of at most a minute. A
// longer wait, or one past the context's deadline, ends the call.
type RetryPolicy struct {
	// MaxAttempts is the number of attempts in all. 1 turns retries off; the default is 4.
	MaxAttempts int
	// MinBackoff is the wait before the second attempt; the default is 500 ms.
	MinBackoff time.Duration
	// MaxBackoff is the longest wait; the default is 30 s.
	MaxBackoff time.Duration
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	p.MaxAttempts = cmp.Or(p.MaxAttempts, 4)
	p.MinBackoff = cmp.Or(p.MinBackoff, 500*time.Millisecond)
	p.MaxBackoff = cmp.Or(p.MaxBackoff, max(30*time.Second, p.MinBackoff))
	return p
}

// WithRetry sets how often and how fast calls are retried. It does not concern the polls of a wait, each of
// which is followed by the next, nor downloads, which have rules of their own.
func WithRetry(policy RetryPolicy) Option {
	return func(c *config) {
		if policy.MaxAttempts < 0 || policy.MinBackoff < 0 || policy.MaxBackoff < 0 {
			c.refuse("WithRetry", "a negative value has no meaning")
		} else if p := policy.withDefaults(); p.MinBackoff > p.MaxBackoff {
			c.refuse("WithRetry", "MinBackoff %v is above MaxBackoff %v", p.MinBackoff, p.MaxBackoff)
		}
		c.retry = policy
	}
}

// checkCredential never quotes the value.
func (c *config) checkCredential(name, value string) {
	const longest = 1000
	switch {
	case strings.TrimSpace(value) == "":
		c.refuse(name, "is empty")
	case strings.TrimSpace(value) != value:
		c.refuse(name, "has white space around it")
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		c.refuse(name, "has a character that no key has: white space, a control character or one beyond ASCII")
	case len(value) > longest:
		c.refuse(name, "is longer than %d characters", longest)
	}
}

func (c *config) parseBaseURL() *url.URL {
	const field = "base URL"
	u, err := url.Parse(c.baseURL)
	if err != nil || u.Hostname() == "" {
		c.refuse(field, "must be absolute, such as %s", defaultBaseURL)
		return nil
	}
	switch {
	case u.Scheme == "http" && !transport.IsLoopback(u.Hostname()):
		c.refuse(field, "must be https: over http the key could be read on its way (http is for localhost and 127.0.0.1)")
	case u.Scheme != "http" && u.Scheme != "https":
		c.refuse(field, "must be https")
	}
	if u.User != nil {
		c.refuse(field, "must not hold a user name or password")
	}
	if u.RawQuery != "" || u.ForceQuery || strings.Contains(c.baseURL, "#") {
		c.refuse(field, "must not have a query or a fragment")
	}
	return u
}
