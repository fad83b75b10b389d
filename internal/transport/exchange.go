package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync/atomic"
	"time"
)

const (
	// maxBody bounds a successful reply. A job is some kilobytes, a list of templates some hundred.
	maxBody = 8 << 20
	// maxErrorBody bounds what is read of any other reply.
	maxErrorBody = 64 << 10
)

// ErrQueue says that a request was not made because its turn, by the rate limit, would come after its deadline.
var ErrQueue = errors.New("the rate limit's queue is longer than the time left")

// exchange is one call on its way: the RoundTripper of each of its attempts, and what came of the latest one.
type exchange struct {
	client *Client
	call   Call

	tries    int    // finished ones, redirects followed included
	reply    *Reply // of the latest request; whole if err is nil
	err      error
	unsent   bool          // err came before a byte could leave
	final    bool          // err would be the same the next time
	sleeping bool          // until the next try
	wait     time.Duration // before the next try
}

// RoundTrip makes one attempt and reads its reply to the end, so that the limits and the retries cover the body as well.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	x.reply, x.err, x.unsent, x.final, x.sleeping = nil, nil, false, false, false
	start := time.Now()
	resp, err := x.roundTrip(req)
	if err != nil {
		x.err = x.client.clean(req.Context(), err)
	}
	x.log(req.Context(), time.Since(start))
	if err != nil {
		return nil, x.err
	}
	resp.Body = http.NoBody // it is in x.reply
	return resp, nil
}

func (x *exchange) roundTrip(req *http.Request) (*http.Response, error) {
	c, parent := x.client, req.Context()
	if err := x.admit(req); err != nil {
		x.unsent, x.final = true, true
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	limit := max(c.timeout, x.call.Patience)
	if c.most > 0 {
		limit = min(limit, c.most)
	}
	ctx, cancel := context.WithTimeout(parent, limit)
	defer cancel()
	var sending connTrace
	if x.call.Paid {
		ctx = sending.attach(ctx)
	}
	resp, err := c.next.RoundTrip(req.WithContext(ctx))
	switch {
	case err != nil:
		x.unsent = sending.neverLeft()
	case resp == nil:
		err = errors.New("the HTTP transport returned neither a reply nor an error")
	default:
		err = x.read(parent, resp)
	}
	if err != nil && ctx.Err() != nil && parent.Err() == nil {
		err = fmt.Errorf("no whole reply within %v: %w", limit, os.ErrDeadlineExceeded)
	}
	return resp, err
}

// admit holds the request until its turn, and lets it go to the base URL's origin only.
func (x *exchange) admit(req *http.Request) error {
	c, ctx := x.client, req.Context()
	if !SameOrigin(req.URL, c.origin) {
		return errors.New("refused to send credentials to another origin than the base URL's")
	}
	if c.limiter == nil {
		return ctx.Err()
	}
	if err := c.limiter.Wait(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrQueue, context.DeadlineExceeded)
	}
	return ctx.Err()
}

func (x *exchange) read(parent context.Context, resp *http.Response) error {
	if resp.Body == nil { // from a transport of the caller's
		resp.Body = http.NoBody
	}
	defer resp.Body.Close()
	x.reply = &Reply{Status: resp.StatusCode, Header: resp.Header}
	if resp.StatusCode < 200 {
		return nil // 101, whose body is the connection and does not end with the context
	}
	if resp.StatusCode > 299 {
		// The status is the answer: a body that breaks off, or goes on and on, takes nothing from it.
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		x.reply.Body = x.client.creds.redactBody(resp.StatusCode, body)
		if err != nil && !x.call.Paid && parent.Err() != nil {
			return err
		}
		return nil
	}
	body, err := readBody(resp.Body, resp.ContentLength)
	x.reply.Body = x.client.creds.redactBody(resp.StatusCode, body[:min(len(body), maxBody)])
	if err != nil {
		return fmt.Errorf("the reply broke off: %w", err)
	}
	if len(body) > maxBody {
		x.final = true
		return fmt.Errorf("the reply is larger than %d MiB", maxBody>>20)
	}
	return nil
}

// readBody reads one byte more than maxBody at the most, into one allocation where the length is known and not outlandish.
func readBody(r io.Reader, length int64) ([]byte, error) {
	var buf bytes.Buffer
	if length > 0 && length < 64<<10 {
		buf.Grow(int(length) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(io.LimitReader(r, maxBody+1))
	return buf.Bytes(), err
}

// checkRetry decides whether the try that has just ended is followed by another.
func (x *exchange) checkRetry(ctx context.Context, _ *http.Response, err error) (bool, error) {
	x.tries++
	refused := err != nil && x.err == nil // by net/http itself: a redirect it could not or must not follow
	if ctx.Err() != nil || refused || x.call.Once || x.tries >= x.client.retry.MaxAttempts || !x.mayRepeat() {
		return false, nil
	}
	x.wait, x.sleeping = x.pause(ctx, time.Now())
	if x.sleeping {
		x.client.logger.LogAttrs(ctx, slog.LevelInfo, "creatify: will try again", slog.String("method", x.call.Method),
			slog.String("path", x.call.Path), slog.String("after", x.outcome()), slog.Duration("wait", x.wait))
	}
	return x.sleeping, nil
}

// mayRepeat is the rule about money. A paid call is repeated only when the server cannot have acted on it.
func (x *exchange) mayRepeat() bool {
	if x.err != nil {
		_, badCertificate := errors.AsType[*tls.CertificateVerificationError](x.err)
		return !x.final && !badCertificate && (x.unsent || !x.call.Paid)
	}
	switch x.reply.Status {
	case http.StatusTooManyRequests:
		return x.call.TookEffect == nil || !x.call.TookEffect(x.reply.Body)
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return !x.call.Paid
	}
	return false
}

// outcome names what came of the latest request, for logs and errors.
func (x *exchange) outcome() string {
	switch {
	case x.err == nil:
		return fmt.Sprintf("status %d", x.reply.Status)
	case x.unsent:
		return "not sent"
	case x.reply != nil:
		return "reply cut"
	}
	return "no reply"
}

// log writes one line an attempt. It never holds an error's text: net/http's errors quote what the server sent.
func (x *exchange) log(ctx context.Context, took time.Duration) {
	if !x.client.logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	x.client.logger.LogAttrs(ctx, slog.LevelDebug, "creatify: request", slog.String("method", x.call.Method),
		slog.String("path", x.call.Path), slog.Int("attempt", x.tries+1), slog.String("outcome", x.outcome()),
		slog.Duration("took", took))
}

// connTrace watches a request leave. Only net/http's reports prove that it did not: a transport that reports nothing
// proves nothing.
type connTrace struct {
	asked atomic.Bool // for a connection
	got   atomic.Bool // one, or wrote something
}

func (t *connTrace) attach(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { t.asked.Store(true) },
		GotConn:              func(httptrace.GotConnInfo) { t.got.Store(true) },
		WroteHeaderField:     func(string, []string) { t.got.Store(true) },
		WroteHeaders:         func() { t.got.Store(true) },
		WroteRequest:         func(httptrace.WroteRequestInfo) { t.got.Store(true) },
		GotFirstResponseByte: func() { t.got.Store(true) },
	})
}

func (t *connTrace) neverLeft() bool { return t.asked.Load() && !t.got.Load() }
