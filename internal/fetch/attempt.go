package fetch

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

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

var errIdle = errors.New("no byte came in time")

// broken judges the error of a connection.
func (d *download) broken(ctx context.Context, err error) *Error {
	if refused, ok := errors.AsType[*Error](err); ok {
		return refused
	}
	if errors.Is(context.Cause(ctx), errIdle) {
		return failf(soon, "no byte came for %v", d.Idle)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok { // from a transport of the caller's
		err = wrapped.Err
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return failf(never, "%v", err)
	}
	return failf(soon, "%v", err)
}

// ranged reports whether the next request asks only for the rest of the file.
func (d *download) ranged() bool { return d.done > 0 && d.version != "" && !d.noRanges }

// acceptWhole accepts the file from its beginning. Of the body, skip bytes are written already; left is its length, or -1.
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
		return 0, 0, failf(never, "the host sent neither its length nor a mark of its end, so a truncated file would look complete")
	}
	return d.done, total, nil
}

// acceptPart accepts the rest of the same file, or the beginning of that rest.
func (d *download) acceptPart(resp *http.Response) (left int64, failure *Error) {
	from, to, of, ok := contentRange(resp.Header.Get("Content-Range"))
	left = to - from + 1
	if !ok || !d.ranged() || !sameVersion(resp.Header, d.version) || codingOf(resp.Header) != "" || from != d.done ||
		d.total >= 0 && of != d.total || resp.ContentLength >= 0 && resp.ContentLength != left {
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
	failure := failf(never, "it is larger than %d bytes", d.MaxSize)
	failure.Kind = TooLarge
	return failure
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
		_, _ = body.Discard(int(n)) // which are buffered
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
