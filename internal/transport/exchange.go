package transport

import (
	"bytes"
	"cmp"
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
	maxBody      = 8 << 20  // bytes of a successful response. A job is some kilobytes, a list of templates some hundred
	maxErrorBody = 64 << 10 // read of any other response
)

// exchange is one call under way: the RoundTripper of its attempts, and the rule for whether another follows.
type exchange struct {
	client *Client
	call   Call
	limit  time.Duration // of an attempt

	Error        // of the latest attempt; if Err is nil, its Response is whole
	final   bool // Err would be the same the next time
	tries   int  // finished ones, redirects followed included
	pausing bool
	pause   time.Duration // before the next try
}

// RoundTrip makes one attempt and reads its response to the end, so that limits and retries cover the body.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	x.Error, x.final, x.pausing = Error{Reached: true}, false, false
	start := time.Now()
	resp, err := x.attempt(req)
	x.Err = err
	x.log(req.Context(), slog.LevelDebug, "creatify: request", x.tries+1, slog.Duration("took", time.Since(start)))
	if err != nil {
		return nil, err
	}
	resp.Body = http.NoBody // it is in x.Response
	return resp, nil
}

func (x *exchange) attempt(req *http.Request) (*http.Response, error) {
	parent, client := req.Context(), x.client
	if err := x.wait(parent); err != nil {
		x.Reached, x.final = false, true
		return nil, err
	}
	s, bound := &sending{grace: client.config.Grace}, context.WithTimeout
	if x.call.Paid {
		bound = s.withGrace
	}
	ctx, end := bound(parent, x.limit)
	defer end()
	used := client.wire.ours.Load()
	resp, err := client.chain.RoundTrip(req.WithContext(ctx))
	switch {
	case err != nil:
		_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
		x.final = badCertificate || errors.Is(err, errOrigin)
		x.Reached = !s.neverLeft() && !errors.Is(err, errOrigin)
	case resp == nil:
		err = errors.New("the HTTP transport returned neither a response nor an error")
	default:
		err = x.read(parent, resp)
	}
	if err == nil {
		return resp, nil
	}
	if !x.call.Paid && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		client.wire.timedOut(used)
	}
	return nil, x.explain(err, parent, ctx)
}

// wait holds the request until its turn, which never comes after the context's end.
func (x *exchange) wait(ctx context.Context) error {
	queue := x.client.config.Queue
	if queue == nil {
		return ContextError(ctx)
	}
	err := queue.wait(ctx, x.call.Background)
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrQueue, ContextError(ctx))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrQueue, x.client.config.Credentials.foreign(err))
	}
	return nil
}

// explain returns the error of an attempt under ctx, or of the call if its own context, parent, has ended.
func (x *exchange) explain(err error, parent, ctx context.Context) error {
	foreign := x.client.config.Credentials.foreign
	switch {
	case parent.Err() == nil && ctx.Err() != nil && !x.Reached:
		return fmt.Errorf("no connection within %v: %w", x.limit, os.ErrDeadlineExceeded)
	case parent.Err() == nil && ctx.Err() != nil:
		return fmt.Errorf("no whole response within %v: %w", x.limit, os.ErrDeadlineExceeded)
	case parent.Err() == nil:
		return foreign(err)
	case !x.call.Paid || !x.Reached || ctx.Err() != nil:
		return ContextError(parent)
	}
	return fmt.Errorf("%w, and then: %w", ContextError(parent), foreign(err))
}

// read reads a response. The status of a refusal decides, whether or not its body is complete.
func (x *exchange) read(parent context.Context, resp *http.Response) error {
	if resp.Body == nil { // from a transport of the caller's
		resp.Body = http.NoBody
	}
	defer resp.Body.Close()
	creds := x.client.config.Credentials
	requestID := cmp.Or(resp.Header.Get("X-Request-Id"), resp.Header.Get("Cf-Ray"), resp.Header.Get("Traceparent"))
	x.Response = &Response{Status: resp.StatusCode, Header: resp.Header, RequestID: creds.redactLine(requestID)}
	if resp.StatusCode < 200 {
		return nil // 101, whose body is the connection and does not end with the context
	}
	success, limit := x.Response.Success(), maxErrorBody
	if success {
		limit = maxBody
	}
	var buf bytes.Buffer
	buf.Grow(bytes.MinRead + int(min(max(resp.ContentLength, 0), 64<<10))) // one allocation for most responses
	_, err := buf.ReadFrom(io.LimitReader(resp.Body, int64(limit)+1))
	tooLarge := buf.Len() > limit
	buf.Truncate(min(buf.Len(), limit))
	if success {
		x.Response.Body = creds.redactData(buf.Bytes())
	} else {
		x.Response.Body = creds.redact(buf.Bytes(), minSecret)
	}
	switch {
	case !success && (x.call.Paid || parent.Err() == nil):
		return nil
	case err != nil:
		return fmt.Errorf("the response is truncated: %w", err)
	case success && tooLarge:
		x.final = true
		return fmt.Errorf("the response is larger than %d MiB", maxBody>>20)
	}
	return nil
}

// checkRetry decides whether the try that has just ended is followed by another.
func (x *exchange) checkRetry(ctx context.Context, _ *http.Response, err error) (bool, error) {
	x.tries++
	refused := err != nil && x.Err == nil // by net/http itself: a redirect that it could not or must not follow
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
	if x.Err != nil {
		return !x.final && (!x.Reached || !x.call.Paid)
	}
	switch status := x.Response.Status; status {
	case http.StatusTooManyRequests:
		return x.call.TookEffect == nil || !x.call.TookEffect(x.Response.Body)
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
	case x.Err == nil:
		return fmt.Sprintf("status %d", x.Response.Status)
	case !x.Reached:
		return "not sent"
	case x.Response != nil:
		return "response truncated"
	}
	return "no response"
}

// log writes a line about the latest request, without the error's text, in which net/http quotes the server.
func (x *exchange) log(ctx context.Context, level slog.Level, message string, attempt int, last slog.Attr) {
	logger := x.client.config.Logger
	if !logger.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 5), slog.String("call", x.call.Name))
	if x.call.JobID != "" {
		attrs = append(attrs, slog.String("job_id", x.call.JobID))
	}
	outcome := slog.String("outcome", x.outcome())
	if x.Err == nil {
		outcome = slog.Int("status", x.Response.Status)
	}
	logger.LogAttrs(ctx, level, message, append(attrs, slog.Int("attempt", attempt), outcome, last)...)
}
