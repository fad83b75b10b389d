package creatify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/internal/transport"
)

// setback is the end of a try that did not bring the whole video.
type setback struct {
	err     error
	status  int
	again   bool          // another try may go better
	expired bool          // the URL may have
	after   time.Duration // how long the host asks to wait
}

// try goes on where the last try ended. It returns nil when the video is whole.
func (d *download) try(parent context.Context, files *transport.Files) *setback {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	idle := time.AfterFunc(d.config.idle, func() { cancel(errIdle) })
	defer idle.Stop()
	header, ranged := http.Header{}, d.done > 0 && d.version != "" && !d.badRanges
	if ranged {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.done))
		header.Set("If-Range", d.version)
	}
	resp, err := files.Get(ctx, d.url, header)
	if err != nil {
		return d.broken(ctx, err)
	}
	defer resp.Body.Close()
	skip, left, s := d.accept(resp, ranged)
	if s != nil {
		return s
	}
	return d.copy(ctx, resp.Body, skip, left, idle)
}

// errIdle is why a connection that brings nothing is given up.
var errIdle = errors.New("no byte came in time")

// broken is the setback of a connection.
func (d *download) broken(ctx context.Context, err error) *setback {
	if errors.Is(context.Cause(ctx), errIdle) {
		return &setback{err: &because{fmt.Sprintf("no byte came for %v", d.config.idle), os.ErrDeadlineExceeded}, again: true}
	}
	_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	again := !badCertificate && !errors.Is(err, ErrRefusedURL)
	return &setback{err: d.jobs.api.transport.CleanFileError(err, d.url), again: again}
}

// startOver gives up what is written, where that can be done.
func (d *download) startOver() *setback {
	if d.done > 0 && d.restart == nil {
		return &setback{err: errors.New("the connection broke, and the file at the host is another now or cannot be told from another")}
	}
	if d.done > 0 {
		if err := d.restart(); err != nil {
			return unwritten(err)
		}
	}
	d.done, d.total, d.version = 0, -1, ""
	return nil
}

// accept decides what a reply means for what is written. Of its body, skip bytes are written already; left is how long the
// body must be, or -1 if that is not known.
func (d *download) accept(resp *http.Response, ranged bool) (skip, left int64, s *setback) {
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return 0, 0, &setback{err: fmt.Errorf("the host sends it in another coding, %s", oneLine(coding))}
	}
	switch resp.StatusCode {
	case http.StatusOK:
		skip, left, s = d.acceptWhole(resp)
	case http.StatusPartialContent:
		left, s = d.acceptPart(resp, ranged)
	default:
		d.badRanges = d.badRanges || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable
		s = refusedWith(resp)
	}
	if s == nil && d.total > d.config.maxSize {
		s = d.tooLarge()
	}
	return skip, left, s
}

// acceptWhole accepts the file from its beginning.
func (d *download) acceptWhole(resp *http.Response) (skip, left int64, s *setback) {
	version, total := versionOf(resp.Header), resp.ContentLength
	if d.total >= 0 && total < 0 {
		total = d.total
	}
	if same := version != "" && version == d.version && (d.total < 0 || total == d.total); !same {
		if s := d.startOver(); s != nil {
			return 0, 0, s
		}
		total = resp.ContentLength
	}
	d.version, d.total = version, total
	if total < 0 && endsWithConnection(resp) {
		return 0, 0, &setback{err: errors.New("the host says neither its length nor where it ends, so that a whole one cannot be told from one that broke off")}
	}
	return d.done, total, nil
}

// endsWithConnection says whether nothing but the end of the connection ends a reply, which ends one that broke off as well.
// Chunks and streams have an end of their own.
func endsWithConnection(resp *http.Response) bool {
	return resp.ProtoMajor == 1 && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && !resp.Uncompressed
}

// acceptPart accepts nothing but what was asked for: the rest of the same file. A date of change need not be repeated.
func (d *download) acceptPart(resp *http.Response, ranged bool) (left int64, s *setback) {
	from, to, of, ok := contentRange(resp.Header.Get("Content-Range"))
	version, left := versionOf(resp.Header), to-from+1
	same := version == d.version || version == "" && resp.Header.Get("ETag") == "" && d.version[:min(1, len(d.version))] != `"`
	if !ok || !ranged || !same || from != d.done || d.total >= 0 && of != d.total || resp.ContentLength >= 0 && resp.ContentLength != left {
		d.badRanges = true
		return 0, &setback{err: errors.New("the host sent another part of the file than it was asked for"), again: true}
	}
	d.total = of
	return left, nil
}

func (d *download) tooLarge() *setback {
	return &setback{err: &because{fmt.Sprintf("it is larger than %d bytes", d.config.maxSize), ErrTooLarge}}
}

func refusedWith(resp *http.Response) *setback {
	s := &setback{err: fmt.Errorf("the host answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode)), status: resp.StatusCode}
	switch s.status {
	case http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		s.expired = true
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		s.after, _ = transport.RetryAfter(&transport.Response{Status: s.status, Header: resp.Header}, time.Now())
		s.again = s.after <= time.Minute
	case http.StatusRequestedRangeNotSatisfiable:
		s.again = true
	}
	return s
}

// versionOf is what tells a file from another, byte by byte: a strong ETag, or a date of change that was over when the
// reply was made.
func versionOf(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" {
		if len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"' {
			return tag
		}
		return ""
	}
	changed, err := http.ParseTime(h.Get("Last-Modified"))
	if now, err2 := http.ParseTime(h.Get("Date")); err != nil || err2 == nil && now.Sub(changed) < time.Second {
		return ""
	}
	return h.Get("Last-Modified")
}

// contentRange reads "bytes 5-9/10", where the length of the whole must be given.
func contentRange(text string) (from, to, of int64, ok bool) {
	text, isBytes := strings.CutPrefix(text, "bytes ")
	first, rest, _ := strings.Cut(text, "-")
	last, whole, _ := strings.Cut(rest, "/")
	from, err1 := strconv.ParseInt(first, 10, 64)
	to, err2 := strconv.ParseInt(last, 10, 64)
	of, err3 := strconv.ParseInt(whole, 10, 64)
	return from, to, of, isBytes && errors.Join(err1, err2, err3) == nil && 0 <= from && from <= to && to < of
}

// copy writes the body as it comes. The time that out takes is not the host's.
func (d *download) copy(ctx context.Context, body io.Reader, skip, left int64, idle *time.Timer) *setback {
	buf := make([]byte, 64<<10)
	for {
		idle.Reset(d.config.idle)
		n, err := io.ReadAtLeast(body, buf, 1)
		idle.Stop()
		switch {
		case err != nil && left == 0, err == io.EOF && left < 0 && skip == 0:
			return d.ended()
		case err == io.EOF:
			return &setback{err: io.ErrUnexpectedEOF, again: true}
		case err != nil:
			return d.broken(ctx, err)
		case left >= 0 && int64(n) > left:
			return &setback{err: errors.New("the host sends more than it announced")}
		case left >= 0:
			left -= int64(n)
		}
		known := min(skip, int64(n))
		skip -= known
		if s := d.write(buf[known:n]); s != nil {
			return s
		}
	}
}

// ended is nil if the video is whole and not just a part of it.
func (d *download) ended() *setback {
	switch {
	case d.done < d.total:
		return &setback{err: io.ErrUnexpectedEOF, again: true}
	case d.done == 0:
		return &setback{err: errors.New("the host sent an empty file"), again: true}
	}
	if d.total < 0 || d.reported != d.done {
		d.total, d.reported = d.done, -1
	}
	d.report()
	return nil
}

func (d *download) write(b []byte) *setback {
	if int64(len(b)) > d.config.maxSize-d.done {
		return d.tooLarge()
	}
	n, err := d.out.Write(b)
	d.done += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return unwritten(err)
	}
	d.report()
	return nil
}

func (d *download) report() {
	if d.config.progress != nil && d.done > d.reported {
		d.config.progress(d.done, d.total)
	}
	d.reported = max(d.reported, d.done)
}
