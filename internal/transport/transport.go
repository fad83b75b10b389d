// Package transport makes one call of the API: credentials, rate limit, time limit, retries, redirect guard, size limit
// and logging. It knows HTTP and nothing of jobs.
//
// go-retryablehttp runs the attempts and rewinds the body; every decision it would take by default is replaced here,
// because its defaults would send a paid request twice.
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
	"golang.org/x/time/rate"
)

// Config is what a [Client] is made of. The caller has checked it.
type Config struct {
	BaseURL     *url.URL
	Credentials *Credentials
	UserAgent   string
	HTTPClient  *http.Client  // copied, never changed; nil means one of our own
	Timeout     time.Duration // per attempt, body included; not from the rate limit's queue
	Retry       Retry
	Limiter     *rate.Limiter // asked before every attempt; nil means no limit
	Logger      *slog.Logger  // nil means silence
}

// Retry bounds the attempts of one call.
type Retry struct {
	MaxAttempts            int // in all, the first one included
	MinBackoff, MaxBackoff time.Duration
}

// Client makes calls. It is safe for concurrent use.
type Client struct {
	origin  *url.URL
	base    string // BaseURL without a slash at its end
	http    http.Client
	next    http.RoundTripper
	ours    bool                                       // next was made here, with nothing of the caller's in it
	veto    func(*http.Request, []*http.Request) error // the caller's CheckRedirect; nil for none
	creds   *Credentials
	agent   []string
	timeout time.Duration
	most    time.Duration // the time limit of the caller's http.Client; 0 is none
	retry   Retry
	limiter *rate.Limiter
	logger  *slog.Logger
}

// New makes a client from a checked configuration.
func New(c Config) *Client {
	t := &Client{
		origin:  c.BaseURL,
		base:    strings.TrimRight(c.BaseURL.String(), "/"),
		creds:   c.Credentials,
		agent:   []string{c.UserAgent},
		timeout: c.Timeout,
		retry:   c.Retry,
		limiter: c.Limiter,
		logger:  c.Logger,
	}
	switch {
	case c.HTTPClient == nil:
		t.next, t.ours = newTransport(), true
	case c.HTTPClient.Transport == nil:
		t.http, t.next = *c.HTTPClient, http.DefaultTransport
	default:
		t.http, t.next = *c.HTTPClient, c.HTTPClient.Transport
	}
	t.most, t.http.Timeout = t.http.Timeout, 0 // net/http would count the time in the rate limit's queue
	t.veto = t.http.CheckRedirect
	t.http.CheckRedirect = t.redirectGuard(t.veto)
	if t.logger == nil {
		t.logger = slog.New(slog.DiscardHandler)
	}
	return t
}

// newTransport is net/http's default with room for the polls of many jobs on one host.
func newTransport() *http.Transport {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // somebody replaced the default
		t = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 16
	return t
}

// Call is one request to the API.
type Call struct {
	Name   string // for logs and errors, such as "create_preview"
	JobID  string // of the job that the call is about, if there is one
	Method string
	Path   string // escaped, from the base URL on, with its leading slash
	Body   []byte // JSON; nil for none

	// Paid says that the call costs credits: it is sent again only when it provably never left, or was answered 429.
	Paid bool
	// TookEffect says whether the body of a refusal shows that the call took effect all the same; nil is never.
	TookEffect func(body []byte) bool
	// Once turns retries off, for a caller with a schedule of its own.
	Once bool
	// Background marks a poll, which gives way to other calls.
	Background bool
	// Patience lengthens the time limit of an attempt, for a call that is slow by nature; 0 leaves it as it is. The
	// caller's http.Client has the last word.
	Patience time.Duration
}

// Reply is a reply of any status.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte // at most maxBody bytes of a success, maxErrorBody of anything else
}

// Error says that a call ended without a whole reply.
type Error struct {
	// Reached is false when the server provably has nothing of the call that it could act on.
	Reached bool
	// Reply is what came of the last reply, cut or too large; nil when nothing came.
	Reply *Reply `json:"-"`
	Err   error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Do makes the call. The error is nil for a whole reply of any status, a redirect that was not followed among them;
// else it is an [*Error].
func (c *Client) Do(ctx context.Context, call Call) (*Reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, &Error{Err: ContextError(ctx)}
	}
	req, err := c.request(ctx, call)
	if err != nil {
		return nil, &Error{Err: err}
	}
	x := &exchange{client: c, call: call}
	wire := c.http
	wire.Transport = x
	attempts := retryablehttp.Client{
		HTTPClient:   &wire,
		RetryMax:     c.retry.MaxAttempts - 1,
		CheckRetry:   x.checkRetry,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return x.wait },
		PrepareRetry: dropCookies,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	_, err = attempts.Do(req) //nolint:bodyclose // the exchange has read the body and closed it
	switch {
	case x.sleeping:
		return nil, &Error{Err: fmt.Errorf("%w (while waiting to try again after: %s)", ContextError(ctx), x.outcome())}
	case x.err != nil:
		return nil, &Error{Reached: !x.unsent, Reply: x.reply, Err: x.err}
	case err != nil: // not from an attempt but of net/http itself: the caller's CheckRedirect, or a Location that is no URL
		return nil, &Error{Reached: true, Reply: x.reply, Err: c.clean(ctx, err)}
	}
	return x.reply, nil
}

// dropCookies undoes what the caller's Jar has added, which it will add again.
func dropCookies(req *http.Request) error {
	req.Header = req.Header.Clone()
	req.Header.Del("Cookie")
	return nil
}

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
	c.creds.set(req.Header)
	return req, nil
}

var typeJSON = []string{"application/json"}

// redirectGuard follows a redirect of a GET within the base URL's origin, as far as the caller's own check does; any other
// redirect becomes the call's reply.
func (c *Client) redirectGuard(callers func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if via[0].Method != http.MethodGet || len(via) >= maxRedirects || !SameOrigin(req.URL, c.origin) {
			return http.ErrUseLastResponse
		}
		if callers != nil {
			return callers(req, via)
		}
		return nil
	}
}

const maxRedirects = 10 // as net/http's own policy

// SameOrigin says whether two URLs have the same scheme, host and port.
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

// clean takes net/http's wrapping off an error, and the credentials out of it: net/http quotes what a broken server sent.
func (c *Client) clean(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ContextError(ctx)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return c.creds.redactError(err)
}

// ContextError is the context's error, with the text of its cause where that says more. The cause may be the error of another
// call, which must not be this one's identity.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %v", err, cause) //nolint:errorlint // by text only
}
