// Package fetch downloads a file from a host that is not trusted: without credentials, from public addresses only, resumed
// after a break, and never spliced from two files. It knows nothing of jobs.
package fetch

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/creatify-community/creatify-go/internal/transport"
)

// Config is what a [Client] is made of.
type Config struct {
	HTTPClient *http.Client // the caller's; nil for none
	UserAgent  string
	Redact     func(text string, secrets ...string) string // makes an error's text fit for a log
}

// File is what to download. Only Progress may be nil.
type File struct {
	Locate   func(context.Context) (string, error) // returns the file's URL; called again when that may have expired
	Progress func(done, total int64)               // total is -1 while it is unknown
	MaxSize  int64
	Idle     time.Duration // the longest time without a byte
	Private  bool          // allows any address, and plain http
}

// Error is why a file was not downloaded.
type Error struct {
	Kind    Kind
	Reason  string
	Err     error // the cause where callers need its identity, which its Kind says; else nil
	Host    string
	Status  int // with which the host refused; 0 if it did not
	Written int64

	retry retry
	after time.Duration // how long the host asks to wait
}

func (e *Error) Error() string { return e.Reason }

// Kind is the part that failed.
type Kind int

// The kinds of errors.
const (
	Failed     Kind = iota // the host, or the connection
	NotLocated             // File.Locate; Err is its error
	RefusedURL             // the URL, its address or a redirect is not allowed
	TooLarge               // the file exceeds File.MaxSize
	NotWritten             // the writer or the disk; Err is its error
	Ended                  // the context; Err is its error, without the cause
)

// retry tells which errors another attempt may avoid.
type retry int

const (
	never   retry = iota
	soon          // a few attempts, unless there is progress between them
	missing       // the URL may have expired, or the file may appear: attempts for a while
)

const (
	maxRetries    = 5           // in a row without progress
	maxMissing    = time.Minute // from the first attempt that finds no file to the last
	maxRetryAfter = time.Minute // beyond it the download fails instead
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

// ToWriter downloads a file to w, and returns how many bytes it wrote.
func (c *Client) ToWriter(ctx context.Context, f File, w io.Writer) (int64, error) {
	d := c.newDownload(f)
	d.out = w
	err := d.run(ctx)
	return d.done, err
}

func (c *Client) newDownload(f File) *download {
	return &download{Client: c, File: f, total: -1, reported: -1}
}

// run makes attempts until the file is there or another is pointless.
func (d *download) run(ctx context.Context) error {
	if err := d.locate(ctx); err != nil {
		return d.fail(ctx, err)
	}
	p := patience{progress: minProgress}
	for {
		err := d.attempt(ctx)
		if err == nil {
			return nil
		}
		if d.done >= p.progress {
			p = patience{progress: d.done + minProgress}
		}
		if err.retry == missing && !p.relocated && ctx.Err() == nil {
			p.relocated = true
			if lost := d.locate(ctx); lost != nil {
				err = lost
			}
		}
		if err.retry != never && d.done > 0 && d.version == "" && d.rewind == nil {
			err.retry = never
			err.Reason += "; it cannot be resumed, since the host sends nothing to recognize the file by"
		}
		if ctx.Err() != nil || !p.pause(ctx, err) {
			return d.fail(ctx, err)
		}
	}
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
	switch {
	case err.retry == missing && p.missing.IsZero():
		p.missing = now
	case err.retry == soon:
		p.failures++
	}
	wait := max(transport.Retry{MinBackoff: 500 * time.Millisecond, MaxBackoff: 10 * time.Second}.Backoff(p.attempts), err.after)
	deadline, limited := ctx.Deadline()
	if err.retry == never || p.failures > maxRetries || limited && deadline.Before(now.Add(wait)) ||
		err.retry == missing && now.Sub(p.missing) >= maxMissing {
		return false
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
	return true
}

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
		if cause := context.Cause(ctx); cause.Error() != ended.Error() {
			err.Reason += ": " + cause.Error()
		}
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

func failf(retry retry, format string, args ...any) *Error {
	return &Error{Reason: fmt.Sprintf(format, args...), retry: retry}
}

func refusef(format string, args ...any) *Error {
	return &Error{Kind: RefusedURL, Reason: fmt.Sprintf(format, args...)}
}

func notWritten(err error) *Error {
	return &Error{Kind: NotWritten, Reason: "it cannot be written: " + err.Error(), Err: err}
}
