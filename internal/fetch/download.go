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
	"time"

	"github.com/creatify-community/creatify-go/internal/transport"
)

const (
	maxRetries    = 5           // in a row without progress
	maxMissing    = time.Minute // from the first attempt that finds no file to the last
	maxRetryAfter = time.Minute // beyond it the download fails instead
	maxRedirects  = 10          // as net/http's own policy
	minProgress   = 64 << 10    // less is none: a host that sends a byte at a time would never be given up
)

// download is one file on its way.
type download struct {
	*Client
	File
	out    io.Writer
	rewind func() error // empties out; nil if that is impossible

	url      *url.URL
	secrets  []string // the queries of the URLs of the latest attempt, which may be signed
	done     int64    // bytes in out
	total    int64    // of the file that they are of; -1 while unknown
	version  string   // of that file, for If-Range; empty if it cannot be told from others
	noRanges bool     // the host cannot be trusted with them
	reported int64
}

func (c *Client) newDownload(f File) *download {
	return &download{Client: c, File: f, total: -1, reported: -1}
}

// run makes attempts until the file is there or another is pointless.
func (d *download) run(ctx context.Context) error {
	err := d.locate(ctx)
	p := patience{progress: minProgress}
	for err == nil {
		if err = d.attempt(ctx); err == nil {
			return nil
		}
		if d.done >= p.progress {
			p = patience{progress: d.done + minProgress}
		}
		if err.retry == missing && !p.relocated && ctx.Err() == nil {
			p.relocated = true
			err = cmp.Or(d.locate(ctx), err)
		}
		if err.retry != never && d.done > 0 && d.version == "" && d.rewind == nil {
			err.retry = never
			err.Reason += "; it cannot be resumed, since the host sends nothing to recognize the file by"
		}
		if p.pause(ctx, err) {
			err = nil
		}
	}
	return d.fail(ctx, err)
}

// patience counts the attempts since the latest progress.
type patience struct {
	progress  int64 // the size at which there is some
	attempts  int
	failures  int       // of them, without those that found no file
	missing   time.Time // when the first of those was; zero for none
	relocated bool
}

// pause waits before the next attempt. It returns false if there is none.
func (p *patience) pause(ctx context.Context, err *Error) bool {
	now := time.Now()
	p.attempts++
	again := false
	switch err.retry {
	case soon:
		p.failures++
		again = p.failures <= maxRetries
	case missing:
		p.missing = cmp.Or(p.missing, now)
		again = now.Sub(p.missing) < maxMissing
	}
	wait := max(backoff.Backoff(p.attempts), err.after)
	if deadline, ok := ctx.Deadline(); ctx.Err() != nil || !again || ok && deadline.Before(now.Add(wait)) {
		return false
	}
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
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
		return refusef("its URL is malformed")
	}
	if d.url != nil && (at.Host != d.url.Host || at.Path != d.url.Path) && !isTag(d.version) {
		d.version = "" // another file may have the same date
	}
	d.url = at
	return nil
}

// fail completes an error. A broken connection is the context's doing once that is over.
func (d *download) fail(ctx context.Context, err *Error) error {
	if ended := ctx.Err(); ended != nil && (err.Kind == Failed || err.Kind == NotLocated) {
		err = &Error{Kind: Ended, Reason: ended.Error(), Err: ended}
		if cause := context.Cause(ctx).Error(); cause != err.Reason {
			err.Reason += ": " + cause
		}
	}
	if err.Kind != NotLocated && err.Kind != NotWritten { // whose texts are not from the host
		err.Reason = d.Redact(err.Reason, d.secrets...)
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
	idle := time.AfterFunc(d.Idle, func() { cancel(errIdle) })
	defer idle.Stop()
	resp, err := d.get(ctx)
	if err != nil {
		return d.broken(ctx, err)
	}
	defer resp.Body.Close()
	body := bufio.NewReaderSize(resp.Body, 64<<10)
	var skip, left int64
	var failure *Error
	switch resp.StatusCode {
	case http.StatusOK:
		head, err := body.Peek(512) // as many as http.DetectContentType reads
		if err != nil && err != io.EOF {
			return d.broken(ctx, err)
		}
		skip, left, failure = d.acceptWhole(resp, head)
	case http.StatusPartialContent:
		left, failure = d.acceptPart(resp)
	default:
		d.noRanges = d.noRanges || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable
		failure = refusal(resp)
	}
	switch {
	case failure != nil:
		return failure
	case d.total > d.MaxSize:
		return d.tooLarge()
	}
	return d.copy(ctx, body, skip, left, idle)
}

// get requests the file, or the rest of it. The client follows redirects.
func (d *download) get(ctx context.Context) (*http.Response, error) {
	d.secrets = nil
	req := (&http.Request{Method: http.MethodGet, URL: d.url, Header: http.Header{
		"User-Agent":      {d.UserAgent},
		"Accept-Encoding": {"identity"}, // lengths and ranges are then about the file
	}}).WithContext(ctx)
	if d.ranged() {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.done))
		req.Header.Set("If-Range", d.version)
	}
	return (&http.Client{Transport: d, CheckRedirect: d.checkRedirect}).Do(req)
}

// ranged reports whether the next request asks only for the rest of the file.
func (d *download) ranged() bool { return d.done > 0 && d.version != "" && !d.noRanges }

// broken judges the error of a connection.
func (d *download) broken(ctx context.Context, err error) *Error {
	if refused, ok := errors.AsType[*Error](err); ok {
		return refused
	}
	if errors.Is(context.Cause(ctx), errIdle) {
		return failf(soon, "no byte came for %v", d.Idle)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return failf(never, "%v", err)
	}
	return failf(soon, "%v", err)
}

// acceptWhole accepts the file from its beginning. The first skip bytes of the body are written already; left is
// its length, or -1.
func (d *download) acceptWhole(resp *http.Response, head []byte) (skip, left int64, failure *Error) {
	if other := otherThanVideo(resp.Header, head); other != "" {
		return 0, 0, failf(missing, "the host sent %s instead of a video", other)
	}
	if coding := codingOf(resp.Header); coding != "" {
		return 0, 0, failf(never, "the host sent it in the coding %s, which was not asked for", coding)
	}
	version, total := versionOf(resp.Header), resp.ContentLength
	if d.total >= 0 && total < 0 {
		total = d.total
	}
	if same := version != "" && version == d.version && (d.total < 0 || total == d.total); !same {
		if failure := d.startOver(); failure != nil {
			return 0, 0, failure
		}
		total = resp.ContentLength
	}
	d.version, d.total = version, total
	if total < 0 && endsWithConnection(resp) {
		return 0, 0, failf(never, "the host sent neither its length nor a mark of its end: if truncated, it would look complete")
	}
	return d.done, total, nil
}

// acceptPart accepts the rest of the same file, or the beginning of that rest.
func (d *download) acceptPart(resp *http.Response) (left int64, failure *Error) {
	from, to, of, ok := contentRange(resp.Header.Get("Content-Range"))
	left = to - from + 1
	ok = ok && d.ranged() && from == d.done && (d.total < 0 || of == d.total) &&
		(resp.ContentLength < 0 || resp.ContentLength == left)
	if !ok || !sameVersion(resp.Header, d.version) || codingOf(resp.Header) != "" {
		d.noRanges = true
		return 0, failf(soon, "the host sent another part of the file than it was asked for")
	}
	d.total = of
	return left, nil
}

// startOver drops what is written.
func (d *download) startOver() *Error {
	if d.done > 0 && d.rewind == nil {
		return failf(never, "the connection broke, and the file at the host has changed or cannot be recognized")
	}
	if d.done > 0 {
		if err := d.rewind(); err != nil {
			return notWritten(err)
		}
	}
	d.done, d.total, d.version = 0, -1, ""
	return nil
}

func (d *download) tooLarge() *Error {
	return &Error{Kind: TooLarge, Reason: fmt.Sprintf("it is larger than %d bytes", d.MaxSize)}
}

// copy writes the body as it comes. The time that out takes is not the host's.
func (d *download) copy(ctx context.Context, body *bufio.Reader, skip, left int64, idle *time.Timer) *Error {
	for {
		idle.Reset(d.Idle)
		_, err := body.Peek(1)
		idle.Stop()
		chunk, _ := body.Peek(body.Buffered())
		n := int64(len(chunk))
		switch {
		case err != nil && left == 0, err == io.EOF && left < 0 && skip == 0:
			return d.end()
		case err == io.EOF:
			return failf(soon, "it was truncated")
		case err != nil:
			return d.broken(ctx, err)
		case left >= 0 && n > left:
			return failf(never, "the host sent more than it announced")
		case left >= 0:
			left -= n
		}
		known := min(skip, n)
		skip -= known
		if failure := d.write(chunk[known:]); failure != nil {
			return failure
		}
		_, _ = body.Discard(len(chunk)) // which are buffered
	}
}

// end returns nil if the file is whole, and not only the part that was sent.
func (d *download) end() *Error {
	switch {
	case d.done < d.total:
		return failf(soon, "it was truncated")
	case d.done == 0:
		return failf(soon, "the host sent an empty file")
	}
	if d.total < 0 || d.reported != d.done {
		d.total, d.reported = d.done, -1
	}
	d.report()
	return nil
}

func (d *download) write(b []byte) *Error {
	if int64(len(b)) > d.MaxSize-d.done {
		return d.tooLarge()
	}
	n, err := d.out.Write(b)
	d.done += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return notWritten(err)
	}
	d.report()
	return nil
}

// report calls Progress when there is more than ever before.
func (d *download) report() {
	if d.Progress != nil && d.done > d.reported {
		d.Progress(d.done, d.total)
	}
	d.reported = max(d.reported, d.done)
}
