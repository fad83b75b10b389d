// Package transport makes one call of the API: credentials, rate limit, time limit, retries, redirect guard,
// size limit and logging. It knows HTTP and nothing of jobs.
//
// A call is [Client.Do]: go-retryablehttp runs the attempts and rewinds the body, an exchange makes each of
// them and decides whether another follows, and a wire is the last step of an attempt, below the caller's
// middleware. Every decision that go-retryablehttp would take by default is replaced, because its defaults
// would send a paid request twice.
package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Config is the checked configuration of a [Client].
type Config struct {
	BaseURL     *url.URL
	Credentials *Credentials
	UserAgent   string
	HTTPClient  *http.Client                                // copied, never changed; nil means one of our own
	Middleware  []func(http.RoundTripper) http.RoundTripper // the first one sees a request first
	Timeout     time.Duration                               // per attempt, body included; not from the rate limit's queue
	Grace       time.Duration                               // for which a paid request that has left outlives its context
	Retry       Retry
	Queue       *Queue       // asked before every attempt; nil means no limit
	Logger      *slog.Logger // nil means silence
}

// Retry bounds the attempts of one call.
type Retry struct {
	MaxAttempts            int // in all, the first one included
	MinBackoff, MaxBackoff time.Duration
}

// Client makes calls. It is safe for concurrent use.
type Client struct {
	config  Config
	base    string // BaseURL without a slash at its end
	http    http.Client
	wire    *wire
	chain   http.RoundTripper // the middleware around the wire
	agent   []string
	timeout time.Duration // of the caller's http.Client; 0 is none
	creds   *Credentials
	logger  *slog.Logger

	veto func(*http.Request, []*http.Request) error // the caller's CheckRedirect; nil for none
}

// New makes a client from a checked configuration.
func New(config Config) (*Client, error) {
	return assemble(config, nil)
}

// With makes a client from another configuration of the same account. It shares the connections of c where
// the HTTPClient and the origin are the same.
func (c *Client) With(config Config) (*Client, error) {
	return assemble(config, c)
}

func assemble(config Config, from *Client) (*Client, error) {
	c := &Client{
		config: config,
		base:   strings.TrimRight(config.BaseURL.String(), "/"),
		agent:  []string{config.UserAgent},
		creds:  config.Credentials,
		logger: config.Logger,
	}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	if config.HTTPClient != nil {
		c.http = *config.HTTPClient
	}
	c.timeout, c.http.Timeout = c.http.Timeout, 0 // net/http would count the time in the rate limit's queue
	c.veto = c.http.CheckRedirect
	c.http.CheckRedirect = c.checkRedirect
	if from != nil && from.config.HTTPClient == config.HTTPClient && SameOrigin(from.config.BaseURL, config.BaseURL) {
		c.wire = from.wire
	} else {
		c.wire = newWire(config)
	}
	c.chain = c.wire
	for i := range config.Middleware {
		if c.chain = config.Middleware[len(config.Middleware)-1-i](c.chain); c.chain == nil {
			return nil, errors.New("returned no http.RoundTripper")
		}
	}
	return c, nil
}

// CloseIdleConnections closes the connections that no call is using.
func (c *Client) CloseIdleConnections() { c.wire.closeIdle() }

// Call is one request to the API.
type Call struct {
	Name   string // for logs, such as create_preview
	JobID  string // for logs; empty for a call that is not about a job
	Method string // GET for what is free and changes nothing
	Path   string // escaped, from the base URL on, with its leading slash
	Body   []byte // JSON; nil for none

	// Paid is set for a call that costs credits. It is retried only when it provably never left, or was
	// answered 429.
	Paid bool
	// TookEffect reports whether the body of a refusal shows that the call took effect all the same; nil is
	// never.
	TookEffect func(body []byte) bool
	// Once turns retries off, for a caller with a schedule of its own.
	Once bool
	// Background calls wait for their turn in the rate limit's queue one at a time, so that any other call
	// waits for one of them at most.
	Background bool
	// Patience lengthens the time limit of an attempt, for a call that is slow by nature; 0 leaves it as it
	// is. The caller's http.Client has the last word.
	Patience time.Duration
}

// Response is a response of any status.
type Response struct {
	Status    int
	Header    http.Header
	Body      []byte        // at most maxBody bytes of a success, maxErrorBody of anything else
	RequestID string        // by which support finds the request; empty if the response has none
	Queued    time.Duration // that the call spent in the rate limit's queue
}

// Error is the end of a call without a whole response.
type Error struct {
	// Reached is false when the server provably has nothing of the call that it could act on.
	Reached bool
	// Response is what came of the last response, truncated or too large; nil when nothing came.
	Response *Response `json:"-"`
	// Queued is the time that the call spent in the rate limit's queue.
	Queued time.Duration
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Do makes the call. The error is nil for a whole response of any status, a redirect that was not followed
// among them; else it is an [*Error].
func (c *Client) Do(ctx context.Context, call Call) (*Response, error) {
	if ctx.Err() != nil {
		return nil, &Error{Err: ContextError(ctx)}
	}
	req, err := c.request(ctx, call)
	if err != nil {
		return nil, &Error{Err: c.creds.foreign(err)}
	}
	x := &exchange{client: c, call: call}
	sender := c.http
	sender.Transport = x
	attempts := retryablehttp.Client{
		HTTPClient:   &sender,
		RetryMax:     c.config.Retry.MaxAttempts - 1,
		CheckRetry:   x.checkRetry,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return x.pause },
		PrepareRetry: dropCookies,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	_, err = attempts.Do(req) //nolint:bodyclose // the exchange has read the body and closed it
	switch {
	case x.pausing:
		return nil, &Error{Queued: x.queued, Err: fmt.Errorf("%w (while waiting to retry after: %s)", ContextError(ctx), x.outcome())}
	case x.err != nil:
		return nil, &Error{Reached: !x.unsent, Response: x.response, Queued: x.queued, Err: x.err}
	case err != nil: // not from an attempt but of net/http itself: the caller's CheckRedirect, or a Location that is no URL
		return nil, &Error{Reached: true, Response: x.response, Queued: x.queued, Err: c.creds.foreign(err)}
	}
	x.response.Queued = x.queued
	return x.response, nil
}

// dropCookies undoes what the caller's Jar has added, which it will add again.
func dropCookies(req *http.Request) error {
	req.Header = req.Header.Clone()
	req.Header.Del("Cookie")
	return nil
}

// request makes the request of each attempt. The credentials are not in it: the wire adds them.
func (c *Client) request(ctx context.Context, call Call) (*retryablehttp.Request, error) {
	var body any
	if call.Body != nil {
		body = call.Body
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, call.Method, c.base+call.Path, body)
	if err != nil {
		return nil, err
	}
	// With GetBody, net/http would send a request again by itself when an HTTP/2 server refuses its stream.
	req.GetBody = nil
	req.Header["User-Agent"] = c.agent
	req.Header["Accept"] = typeJSON
	if call.Body != nil {
		req.Header["Content-Type"] = typeJSON
	}
	return req, nil
}

var typeJSON = []string{"application/json"}

// checkRedirect follows a redirect of a GET within the base URL's origin, as far as the caller's own check
// does; any other redirect becomes the call's response.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	if via[0].Method != http.MethodGet || len(via) >= maxRedirects || !SameOrigin(req.URL, c.config.BaseURL) {
		return http.ErrUseLastResponse
	}
	if c.veto != nil {
		return c.veto(req, via)
	}
	return nil
}

const maxRedirects = 10 // as net/http's own policy

// SameOrigin reports whether two URLs have the same scheme, host and port.
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}
