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
	"os"
	"time"
)

const (
	// maxBody bounds a successful response. A job is some kilobytes, a list of templates some hundred.
	maxBody = 8 << 20
	// maxErrorBody bounds what is read of any other response.
	maxErrorBody = 64 << 10
)

// exchange is one call under way: the RoundTripper of each of its attempts, and the result of the latest one.
type exchange struct {
	client *Client
	call   Call

	tries  int           // finished ones, redirects followed included
	queued time.Duration // in the rate limit's queue

	response *Response // of the latest request; whole if err is nil
	err      error
	unsent   bool          // err came before a byte could leave
	final    bool          // err would be the same the next time
	pausing  bool          // until the next try
	pause    time.Duration // before the next try
}

// RoundTrip makes one attempt and reads its response to the end, so that the limits and the retries cover the
// body as well.
func (x *exchange) RoundTrip(req *http.Request) (resp *http.Response, _ error) {
	x.response, x.err, x.unsent, x.final, x.pausing = nil, nil, false, false, false
	start := time.Now()
	resp, x.err = x.attempt(req)
	x.log(req.Context(), slog.LevelDebug, "creatify: request", x.tries+1, slog.Duration("took", time.Since(start)))
	if x.err != nil {
		return nil, x.err
	}
	resp.Body = http.NoBody // it is in x.response
	return resp, nil
}

func (x *exchange) attempt(req *http.Request) (*http.Response, error) {
	parent := req.Context()
	if err := x.wait(parent); err != nil {
		x.unsent, x.final = true, true
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	s := new(sending)
	start := time.Now()
	ctx, end := x.bound(parent, s)
	defer end()
	resp, err := x.client.chain.RoundTrip(req.WithContext(ctx))
	switch {
	case err != nil:
		_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
		x.final = badCertificate || errors.Is(err, errOrigin)
		x.unsent = s.neverLeft() || errors.Is(err, errOrigin)
	case resp == nil:
		err = errors.New("the HTTP transport returned neither a response nor an error")
	default:
		err = x.read(parent, resp)
	}
	if err != nil {
		if !x.call.Paid && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			x.client.wire.timedOut(start)
		}
		return nil, x.explain(err, parent, ctx)
	}
	return resp, nil
}

// wait holds the request until its turn. After the context's end there is none: the pause before it may have
// ended at the same time.
func (x *exchange) wait(ctx context.Context) error {
	queue := x.client.config.Queue
	switch {
	case queue == nil && ctx.Err() != nil:
		return ContextError(ctx)
	case queue == nil:
		return nil
	}
	start := time.Now()
	err := queue.wait(ctx, x.call.Background)
	x.queued += time.Since(start)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrQueue, ContextError(ctx))
	case err != nil:
		return fmt.Errorf("%w: %w", ErrQueue, x.client.creds.foreign(err))
	}
	return nil
}

// bound limits an attempt in time. The function that it returns must be called.
func (x *exchange) bound(parent context.Context, s *sending) (context.Context, func()) {
	if x.call.Paid {
		return s.withGrace(parent, x.limit(), x.client.config.Grace)
	}
	return context.WithTimeout(parent, x.limit())
}

func (x *exchange) limit() time.Duration {
	limit := max(x.client.config.Timeout, x.call.Patience)
	if x.client.timeout > 0 {
		limit = min(limit, x.client.timeout)
	}
	return limit
}

// explain makes the error of an attempt, whose context was ctx. Where the call's context has ended, that is
// the error.
func (x *exchange) explain(err error, parent, ctx context.Context) error {
	switch {
	case parent.Err() == nil && ctx.Err() != nil && x.unsent:
		return fmt.Errorf("no connection within %v: %w", x.limit(), os.ErrDeadlineExceeded)
	case parent.Err() == nil && ctx.Err() != nil:
		return fmt.Errorf("no whole response within %v: %w", x.limit(), os.ErrDeadlineExceeded)
	case parent.Err() == nil:
		return x.client.creds.foreign(err)
	case !x.call.Paid || x.unsent || ctx.Err() != nil:
		return ContextError(parent)
	}
	return fmt.Errorf("%w, and then: %w", ContextError(parent), x.client.creds.foreign(err))
}

func (x *exchange) read(parent context.Context, resp *http.Response) error {
	if resp.Body == nil { // from a transport of the caller's
		resp.Body = http.NoBody
	}
	defer resp.Body.Close()
	x.response = &Response{Status: resp.StatusCode, Header: resp.Header, RequestID: x.client.creds.requestID(resp.Header)}
	if resp.StatusCode < 200 {
		return nil // 101, whose body is the connection and does not end with the context
	}
	if resp.StatusCode > 299 {
		// The status is the answer: a body that is truncated, or does not end, takes nothing from it.
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		x.response.Body = x.client.creds.redactBody(resp.StatusCode, body)
		if err != nil && !x.call.Paid && parent.Err() != nil {
			return err
		}
		return nil
	}
	body, err := readBody(resp.Body, resp.ContentLength)
	x.response.Body = x.client.creds.redactBody(resp.StatusCode, body[:min(len(body), maxBody)])
	if err != nil {
		return fmt.Errorf("the response is truncated: %w", err)
	}
	if len(body) > maxBody {
		x.final = true
		return fmt.Errorf("the response is larger than %d MiB", maxBody>>20)
	}
	return nil
}

// readBody reads at most one byte more than maxBody, into one allocation where the length is known and not
// outlandish.
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
	if ctx.Err() != nil || refused || x.call.Once || x.tries >= x.client.config.Retry.MaxAttempts || !x.mayRepeat() {
		return false, nil
	}
	x.pause, x.pausing = x.nextPause(ctx, time.Now())
	if x.pausing {
		x.log(ctx, slog.LevelInfo, "creatify: will retry", x.tries, slog.Duration("wait", x.pause))
	}
	return x.pausing, nil
}

// mayRepeat is the rule about money. A paid call is repeated only when the server cannot have acted on it.
func (x *exchange) mayRepeat() bool {
	if x.err != nil {
		return !x.final && (x.unsent || !x.call.Paid)
	}
	switch status := x.response.Status; status {
	case http.StatusTooManyRequests:
		return x.call.TookEffect == nil || !x.call.TookEffect(x.response.Body)
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	default:
		temporary := status == http.StatusRequestTimeout || status == http.StatusTooEarly || status >= 500
		return temporary && !x.call.Paid
	}
}

// outcome names the result of the latest request where it is not a whole response.
func (x *exchange) outcome() string {
	switch {
	case x.err == nil:
		return fmt.Sprintf("status %d", x.response.Status)
	case x.unsent:
		return "not sent"
	case x.response != nil:
		return "response truncated"
	}
	return "no response"
}

// log writes a line about the latest request. It never holds an error's text: net/http's errors quote what
// the server sent.
func (x *exchange) log(ctx context.Context, level slog.Level, message string, attempt int, last slog.Attr) {
	if !x.client.logger.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 5), slog.String("call", x.call.Name))
	if x.call.JobID != "" {
		attrs = append(attrs, slog.String("job_id", x.call.JobID))
	}
	outcome := slog.String("outcome", x.outcome())
	if x.err == nil {
		outcome = slog.Int("status", x.response.Status)
	}
	x.client.logger.LogAttrs(ctx, level, message, append(attrs, slog.Int("attempt", attempt), outcome, last)...)
}
