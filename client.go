package creatify

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/internal/transport"
	"github.com/creatify-community/creatify-go/internal/wait"
	"golang.org/x/time/rate"
)

// Version is the version of this library, as it stands in the default User-Agent.
const Version = "0.1.0"

// DefaultBaseURL is where the API lives.
const DefaultBaseURL = "https://api.creatify.ai"

// Client speaks to the Creatify API for one account. Make it with [New] or [NewFromEnv], once, and share it: it is safe
// for concurrent use. Printing it never shows the key.
type Client struct {
	Jobs      *JobsService      // makes, reads and waits for previews and videos
	Templates *TemplatesService // reads what previews are made from
	Workspace *WorkspaceService // reads the account's balance

	baseURL string
}

// New makes a client from an API ID and its key, which are found in the account's API settings.
//
// Every bad argument and option is reported at once, in one [*ValidationError]. New does not contact the API.
func New(apiID, apiKey string, opts ...Option) (*Client, error) {
	c := config{
		baseURL:   DefaultBaseURL,
		userAgent: "creatify-go/" + Version + " (" + runtime.Version() + ")",
		timeout:   time.Minute,
	}
	c.checkCredential("API ID", apiID)
	c.checkCredential("API key", apiKey)
	for i, opt := range opts {
		if opt == nil {
			c.refuse(fmt.Sprintf("option %d", i+1), "is nil")
			continue
		}
		opt(&c)
	}
	base := c.parseBaseURL()
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	if err := validation(c.problems); err != nil {
		return nil, err
	}
	api := &api{budget: c.budget, learned: new(wait.Learner), logger: c.logger, hooks: c.hooks, transport: transport.New(transport.Config{
		BaseURL:     base,
		Credentials: transport.NewCredentials(apiID, apiKey),
		UserAgent:   c.userAgent,
		HTTPClient:  c.httpClient,
		Timeout:     c.timeout,
		Retry:       transport.Retry(c.retry.withDefaults()),
		Limiter:     c.limiter,
		Logger:      c.logger,
	})}
	return &Client{&JobsService{api}, &TemplatesService{api}, &WorkspaceService{api}, base.String()}, nil
}

// NewFromEnv is [New] with what the environment says: CREATIFY_API_ID, CREATIFY_API_KEY and, where it is not the usual
// one, CREATIFY_BASE_URL. An option given here wins over the environment.
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

// String names the client by its base URL.
func (c *Client) String() string {
	if c == nil {
		return "creatify.Client(nil)"
	}
	return "creatify.Client(" + c.baseURL + ")"
}

// GoString is String.
func (c *Client) GoString() string { return c.String() }

// Format prints String, whatever the verb.
func (c *Client) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// LogValue is String.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Option sets how a [Client] works.
type Option func(*config)

type config struct {
	baseURL    string
	userAgent  string
	httpClient *http.Client
	timeout    time.Duration
	retry      RetryPolicy
	limiter    *rate.Limiter
	logger     *slog.Logger
	hooks      Hooks
	budget     *Budget
	problems   []Problem
}

func (c *config) refuse(field, format string, args ...any) {
	c.problems = append(c.problems, Problem{field, fmt.Sprintf(format, args...)})
}

// WithBaseURL sends the calls elsewhere, such as to a fake of the API. The URL is https, or http on a loopback address,
// has no query, and may have a path, below which the API's own paths begin. The default is [DefaultBaseURL].
func WithBaseURL(baseURL string) Option {
	return func(c *config) { c.baseURL = baseURL }
}

// WithHTTPClient sends the calls through a client of the caller's. It is copied, never changed. Its Transport and Jar are
// used as they are; its Timeout bounds one attempt, where it is shorter than [WithTimeout]; its CheckRedirect is asked
// about the redirects that this library would follow, which are those of a GET within the base URL's origin.
//
// The key goes by the Transport's Proxy: in a tunnel for https, and in clear for an http URL of a loopback address, which a
// Proxy should leave alone.
//
// Do not bring a Transport that sends requests again by itself, or by another way when the first one fails: this library
// sends a paid request again only when it provably never left, and cannot answer for what lies below it.
func WithHTTPClient(client *http.Client) Option {
	return func(c *config) {
		if client == nil {
			c.refuse("WithHTTPClient", "the client is nil")
		}
		c.httpClient = client
	}
}

// WithTimeout bounds one attempt of a call, from its start to the last byte of the reply. The default is one minute.
// For the whole call, retries included, use the context's deadline.
func WithTimeout(perAttempt time.Duration) Option {
	return func(c *config) {
		if perAttempt <= 0 {
			c.refuse("WithTimeout", "must be above zero, not %v", perAttempt)
		}
		c.timeout = perAttempt
	}
}

// WithRateLimit bounds the requests of this client, retries and polls included: perSecond on average, and at most burst
// at once. A request waits for its turn as long as its context allows; one whose turn would come after the deadline is not
// made, and its error is [context.DeadlineExceeded] at once. There is no limit by default; the API documents none.
func WithRateLimit(perSecond float64, burst int) Option {
	return func(c *config) {
		if !(perSecond > 0) || math.IsInf(perSecond, 0) {
			c.refuse("WithRateLimit", "perSecond must be above zero and finite, not %v", perSecond)
		}
		if burst < 1 {
			c.refuse("WithRateLimit", "burst must be at least 1, not %d", burst)
		}
		c.limiter = rate.NewLimiter(rate.Limit(perSecond), burst)
	}
}

// WithLogger logs every attempt at debug level and every retry at info level, with method, path, status, attempt and
// time: never headers or bodies. By default nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) {
		if logger == nil {
			c.refuse("WithLogger", "the logger is nil")
		}
		c.logger = logger
	}
}

// WithUserAgent replaces the User-Agent header, creatify-go and its version.
func WithUserAgent(userAgent string) Option {
	return func(c *config) {
		if userAgent == "" || strings.ContainsFunc(userAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
			c.refuse("WithUserAgent", "must be printable ASCII and not empty")
		}
		c.userAgent = userAgent
	}
}

// RetryPolicy bounds the attempts of one call. The zero value of each field means its default.
//
// A call that costs nothing is tried again after a network error, a reply that broke off, and the statuses 408, 425, 429,
// 500, 502, 503 and 504. A call that costs credits is tried again only when it provably never left or was answered 429;
// no policy changes that. Between attempts the wait doubles from MinBackoff to MaxBackoff, half of it drawn at random;
// a Retry-After of up to a minute is honoured instead. A wait that would pass the context's deadline ends the call.
type RetryPolicy struct {
	// MaxAttempts is how often a call is tried in all. 1 turns retries off; the default is 4.
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

// WithRetry sets how often and how fast calls are tried again. It is not for the polls of a wait, after one of which comes
// the next, nor for downloads, which have rules of their own.
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
	switch {
	case strings.TrimSpace(value) == "":
		c.refuse(name, "is empty")
	case strings.TrimSpace(value) != value:
		c.refuse(name, "has white space around it")
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		c.refuse(name, "has a character that no key has: white space, a control character or one beyond ASCII")
	}
}

func (c *config) parseBaseURL() *url.URL {
	const field = "base URL"
	u, err := url.Parse(c.baseURL)
	if err != nil || u.Hostname() == "" {
		c.refuse(field, "must be absolute, such as %s", DefaultBaseURL)
		return nil
	}
	switch {
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		c.refuse(field, "must be https: over http the key could be read on its way (http is for loopback addresses)")
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

func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}
