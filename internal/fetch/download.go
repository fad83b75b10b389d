package fetch

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/creatify-community/creatify-go/internal/transport"
)

const (
	maxPatience   = time.Minute // from the first attempt that failed to the last, without progress between them
	maxRetryAfter = time.Minute // beyond it the download fails instead
	maxRedirects  = 10          // as net/http's own policy
	minProgress   = 64 << 10    // less does not count, so that a host that sends single bytes is given up
)

// download is one file on its way.
type download struct {
	*Client
	File
	out  io.Writer
	part *os.File // out, if it is a file, which can be emptied; else nil

	url     *url.URL
	secrets []string // the queries of the URLs of the latest attempt, which may be signed
	idle    *time.Timer

	done     int64  // bytes in out
	reported int64  // the most bytes that Progress has been called with
	version  string // of the file in out, for If-Range; empty if the host cannot send the rest of it
	total    int64  // bytes of that file; 0 while unknown
}

// run makes attempts until the file is complete or another attempt is pointless.
func (d *download) run(ctx context.Context) error {
	var p patience
	err := d.locate(ctx)
	for err == nil {
		if err = d.attempt(ctx); err == nil {
			return nil
		}
		if d.done >= p.progress {
			p = patience{progress: d.done + minProgress, since: time.Now()}
		}
		if err.Kind == Missing && !p.relocated {
			p.relocated = true
			err = cmp.Or(d.locate(ctx), err)
		}
		if p.pause(ctx, err) {
			err = nil
		}
	}
	return d.fail(ctx, err)
}

// patience counts the failed attempts since the latest progress.
type patience struct {
	progress  int64     // the size from which there is progress
	since     time.Time // when the first of them ended
	failures  int
	relocated bool
}

// pause waits before the next attempt. It returns false if there is none.
func (p *patience) pause(ctx context.Context, err *Error) bool {
	p.failures++
	wait := max(backoff.Backoff(p.failures), err.after)
	deadline, ok := ctx.Deadline()
	if !err.again() || time.Since(p.since) >= maxPatience || ok && time.Until(deadline) < wait {
		return false
	}
	pause, stop := context.WithTimeout(ctx, wait)
	defer stop()
	<-pause.Done()
	return ctx.Err() == nil
}

var backoff = transport.Retry{MinBackoff: 500 * time.Millisecond, MaxBackoff: 10 * time.Second}

// locate asks for the URL.
func (d *download) locate(ctx context.Context) *Error {
	text, err := d.Locate(ctx)
	if err != nil {
		return &Error{Kind: NotLocated, Reason: err.Error(), Err: err}
	}
	at, err := url.Parse(escape(text))
	if err != nil {
		return failf(RefusedURL, "its URL is malformed")
	}
	d.url = at
	return nil
}

// fail completes an error. If ctx has ended, it replaces an error that the end may have caused.
func (d *download) fail(ctx context.Context, err *Error) error {
	if ctx.Err() != nil && (err.again() || err.Kind == Failed || err.Kind == NotLocated) {
		err = &Error{Kind: Ended, Reason: transport.ContextError(ctx).Error(), Err: ctx.Err()}
	}
	if err.Kind != NotLocated && err.Kind != NotWritten { // whose texts are not from the host
		err.Reason = d.redact(err.Reason, d.secrets...)
	}
	if d.url != nil {
		err.Host = d.url.Hostname()
	}
	err.Written = d.done
	return err
}

var errIdle = errors.New("no byte came in time")

// attempt continues where the last one ended. It returns nil when the file is whole.
func (d *download) attempt(parent context.Context) *Error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	d.idle = time.AfterFunc(d.Idle, func() { cancel(errIdle) })
	defer d.idle.Stop()
	err := d.receive(ctx)
	failure, judged := errors.AsType[*Error](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case err == nil:
		return nil
	case judged:
		return failure
	case errors.Is(context.Cause(ctx), errIdle):
		return failf(Broken, "no byte came for %v", d.Idle)
	case untrusted:
		return failf(Failed, "%v", err)
	}
	return failf(Broken, "%v", err)
}

// receive makes a request and writes the body. Its error is an [*Error], or one of the connection.
func (d *download) receive(ctx context.Context) error {
	resp, err := d.get(ctx)
	if err != nil {
		return errors.Unwrap(err) // of a *url.Error, which has the whole URL
	}
	defer resp.Body.Close()
	d.idle.Reset(d.Idle)
	body := bufio.NewReaderSize(resp.Body, 64<<10)
	switch resp.StatusCode {
	case http.StatusOK:
		err = d.acceptWhole(resp, body)
	case http.StatusPartialContent:
		err = d.acceptPart(resp)
	default:
		if err = refusal(resp); resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
			d.version = ""
		}
	}
	if err == nil {
		_, err = io.Copy(d, body)
	}
	switch {
	case err != nil:
		return err
	case d.done < d.total:
		return failf(Broken, "it was truncated")
	case d.done == 0:
		return failf(Broken, "the host sent an empty file")
	}
	if d.Progress != nil && (d.total == 0 || d.reported != d.done) {
		d.Progress(d.done, d.done)
	}
	return nil
}

// get requests the file, or the rest of it. The client follows redirects.
func (d *download) get(ctx context.Context) (*http.Response, error) {
	d.secrets = nil
	req := (&http.Request{Method: http.MethodGet, URL: d.url, Header: http.Header{
		"User-Agent":      {d.userAgent},
		"Accept-Encoding": {"identity"}, // lengths and ranges are then about the file
	}}).WithContext(ctx)
	if d.ranged() {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.done))
		req.Header.Set("If-Range", d.version)
	}
	return (&http.Client{Transport: d, CheckRedirect: d.checkRedirect}).Do(req)
}

// ranged reports whether the next request asks only for the rest of the file.
func (d *download) ranged() bool { return d.done > 0 && d.version != "" }

// acceptWhole accepts the file from its beginning, which empties out.
func (d *download) acceptWhole(resp *http.Response, body *bufio.Reader) error {
	if resp.ContentLength > d.MaxSize {
		return d.tooLarge()
	}
	head, err := body.Peek(512) // as many as http.DetectContentType reads
	if err != nil && err != io.EOF {
		return err
	}
	if other := otherThanVideo(resp.Header, head); other != "" {
		return failf(Missing, "the host sent %s instead of a video", other)
	}
	if coding := codingOf(resp.Header); coding != "" {
		return failf(Failed, "the host sent it in the coding %s, which was not asked for", coding)
	}
	if err := d.startOver(); err != nil {
		return err
	}
	d.version, d.total = versionOf(resp.Header), max(resp.ContentLength, 0)
	// Chunks and streams have an end of their own; the end of a connection may be a truncation.
	ends := resp.ContentLength >= 0 || resp.ProtoMajor != 1 || len(resp.TransferEncoding) > 0 || resp.Uncompressed
	if d.total == 0 && !ends {
		return failf(Failed, "the host sent neither a length nor an end: if truncated, it would look complete")
	}
	return nil
}

// startOver empties out.
func (d *download) startOver() error {
	switch {
	case d.done == 0:
		return nil
	case d.part == nil:
		return failf(Failed, "it broke and cannot be resumed: the host has changed it, or sends no ranges or no strong ETag")
	}
	d.done = 0
	_, err := d.part.Seek(0, io.SeekStart)
	if err = cmp.Or(err, d.part.Truncate(0)); err != nil {
		return notWritten(err)
	}
	return nil
}

// acceptPart accepts the rest of the file in out.
func (d *download) acceptPart(resp *http.Response) error {
	var from, to, of int64
	_, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &of)
	ok := err == nil && d.ranged() && from == d.done && from <= to && to == of-1 &&
		(d.total == 0 || of == d.total) && (resp.ContentLength < 0 || resp.ContentLength == of-from) &&
		versionOf(resp.Header) == d.version && codingOf(resp.Header) == ""
	if !ok {
		d.version = ""
		return failf(Broken, "the host sent another part of the file than it was asked for")
	}
	d.total = of
	return nil
}

// Write writes a piece of the body, for [io.Copy].
func (d *download) Write(piece []byte) (int, error) {
	size := int64(len(piece))
	switch {
	case d.total > 0 && size > d.total-d.done:
		return 0, failf(Failed, "the host sent more than it announced")
	case size > d.MaxSize-d.done:
		return 0, d.tooLarge()
	}
	d.idle.Stop() // a slow writer is not the host's fault
	defer d.idle.Reset(d.Idle)
	n, err := d.out.Write(piece)
	d.done += int64(n)
	if err == nil && n < len(piece) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return 0, notWritten(err)
	}
	if d.Progress != nil && d.done > d.reported {
		d.Progress(d.done, cmp.Or(d.total, -1))
	}
	d.reported = max(d.reported, d.done)
	return len(piece), nil
}

func (d *download) tooLarge() error { return failf(TooLarge, "it is larger than %d bytes", d.MaxSize) }
