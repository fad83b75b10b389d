// Package transport makes one call of the API. It knows HTTP and nothing of jobs.
//
// A call is [Client.Do]: go-retryablehttp runs the attempts and rewinds the body, an exchange makes each of
// them and decides whether another follows, and a wire sends it, below the caller's middleware. Each default
// decision of go-retryablehttp is replaced, because its defaults would send a paid request twice.
package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
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
	Timeout     time.Duration                               // per attempt, including the body but not the queue
	Grace       time.Duration                               // how long a paid request that has left outlives its context
	Retry       Retry
	Queue       *Queue // asked before every attempt; nil means no limit
	Logger      *slog.Logger
}

// Retry bounds the attempts of one call.
type Retry struct {
	MaxAttempts            int // in all, the first one included
	MinBackoff, MaxBackoff time.Duration
}

// Client makes calls. It is safe for concurrent use.
type Client struct {
	config Config
	caller http.Client // a copy of HTTPClient, or empty
	base   string      // BaseURL without a slash at its end
	agent  []string
	wire   *wire
	chain  http.RoundTripper // the middleware around the wire
}

// New makes a client from a checked configuration. If from is not nil, it is a client of the same account,
// whose connections are shared where the HTTPClient and the origin are the same.
func New(config Config, from *Client) (*Client, error) {
	c := &Client{config: config, base: strings.TrimRight(config.BaseURL.String(), "/"), agent: []string{config.UserAgent}}
	if config.HTTPClient != nil {
		c.caller = *config.HTTPClient
	}
	if from != nil && from.config.HTTPClient == config.HTTPClient && SameOrigin(from.config.BaseURL, config.BaseURL) {
		c.wire = from.wire
	} else {
		c.wire = newWire(config)
	}
	c.chain = c.wire
	for _, middleware := range slices.Backward(config.Middleware) {
		if c.chain = middleware(c.chain); c.chain == nil {
			return nil, errors.New("returned no http.RoundTripper")
		}
	}
	return c, nil
}

// CloseIdleConnections closes the connections that no call is using.
func (c *Client) CloseIdleConnections() {
	if t, ok := c.wire.kept.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Call is one request to the API.
type Call struct {
	Name   string // for logs, such as create_preview
	JobID  string // for logs; empty for a call that is not about a job
	Method string // GET for what is free and changes nothing
	Path   string // escaped, from the base URL on, with its leading slash
	Body   []byte // JSON; nil for none

	Paid       bool                   // costs credits: retried only if it provably never left, or was answered 429
	TookEffect func(body []byte) bool // reports whether the body of a 429 shows that the call took effect; nil is never
	Once       bool                   // without retries, for a caller with a schedule of its own
	Background bool                   // yields to other calls in the queue: at most one waits in front of them
	Patience   time.Duration          // lengthens Timeout, but not that of the caller's http.Client; 0 leaves it
}

// Response is a response of any status.
type Response struct {
	Status    int
	Header    http.Header
	Body      []byte // at most maxBody bytes of a success, maxErrorBody of anything else
	RequestID string // by which support finds the request; empty if the response has none
}

// Success reports whether the status is 2xx.
func (r *Response) Success() bool { return r.Status >= 200 && r.Status <= 299 }

// Error is the end of a call without a whole response.
type Error struct {
	Reached  bool      // false if the server provably received nothing that it could act on
	Response *Response `json:"-"` // what came of the latest response, truncated or too large; nil if nothing came
	Err      error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Do makes the call. The error is nil for a whole response of any status, even a redirect, or an [*Error].
func (c *Client) Do(ctx context.Context, call Call) (*Response, error) {
	if ctx.Err() != nil {
		return nil, &Error{Err: ContextError(ctx)}
	}
	req, err := c.request(ctx, call)
	if err != nil {
		return nil, &Error{Err: c.config.Credentials.foreign(err)}
	}
	x := &exchange{client: c, call: call, limit: max(c.config.Timeout, call.Patience)}
	if c.caller.Timeout > 0 { // in x, since net/http would count the time in the rate limit's queue
		x.limit = min(x.limit, c.caller.Timeout)
	}
	attempts := retryablehttp.Client{
		HTTPClient:   &http.Client{Transport: x, CheckRedirect: c.checkRedirect, Jar: c.caller.Jar},
		RetryMax:     c.config.Retry.MaxAttempts - 1,
		CheckRetry:   x.checkRetry,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return x.pause },
		PrepareRetry: dropCookies,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	_, err = attempts.Do(req) //nolint:bodyclose // the exchange has read the body and closed it
	switch {
	case x.pausing:
		return nil, &Error{Err: fmt.Errorf("%w (while waiting to retry after: %s)", ContextError(ctx), x.outcome())}
	case x.Err != nil:
		return nil, &x.Error
	case err != nil: // by net/http itself, not an attempt: the caller's CheckRedirect, or a Location that is no URL
		return nil, &Error{Reached: true, Response: x.Response, Err: c.config.Credentials.foreign(err)}
	}
	return x.Response, nil
}

// dropCookies removes the cookies of the caller's Jar, which adds them to the next attempt again.
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
	req.Header["User-Agent"], req.Header["Accept"] = c.agent, typeJSON
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
	if c.caller.CheckRedirect != nil {
		return c.caller.CheckRedirect(req, via)
	}
	return nil
}

const maxRedirects = 10 // as net/http's own policy
