package creatify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/internal/fetch"
	"github.com/creatify-community/creatify-go/internal/transport"
)

// Download writes the rendered video of a job to w, and returns how many bytes it wrote. Free. It reads the job first, and
// resumes after a break if the host can do that and the file is the same. The error is a [*DownloadError]; what was written
// stays in w. The video's host must be public and gets no credentials (see [WithPrivateAddresses]).
func (s *JobsService) Download(ctx context.Context, id string, w io.Writer, opts ...DownloadOption) (int64, error) {
	problem := ""
	if w == nil {
		problem = "is nil"
	}
	file, err := s.video(ctx, id, opts, "w", problem)
	if err != nil {
		return 0, err
	}
	n, err := s.api.files.ToWriter(ctx, file, w)
	return n, downloadError(id, err)
}

// DownloadFile is [JobsService.Download] to a file, and returns its size. Free. Path is either the whole video, synced to the
// disk, or as it was before; a file that it replaces hands on its permissions, and a symbolic link is replaced itself. A
// process that is killed leaves a file named .creatify-*.part in the same folder.
func (s *JobsService) DownloadFile(ctx context.Context, id, path string, opts ...DownloadOption) (int64, error) {
	file, err := s.video(ctx, id, opts, "path", fetch.PathProblem(path))
	if err != nil {
		return 0, err
	}
	n, err := s.api.files.ToFile(ctx, file, path)
	return n, downloadError(id, err)
}

// DownloadOption sets how a download works.
type DownloadOption func(*downloadConfig)

type downloadConfig struct {
	fetch.File
	problems []Problem
}

// WithProgress calls f as bytes are written, and at the end, with their number and the size of the file, which is -1 while
// unknown. When a download starts over, f is not called until it has caught up.
func WithProgress(f func(done, total int64)) DownloadOption {
	return func(c *downloadConfig) { c.Progress = f }
}

// WithMaxSize ends the download of a larger file with [ErrTooLarge]. The default is 4 GiB.
func WithMaxSize(bytes int64) DownloadOption {
	return func(c *downloadConfig) {
		if bytes <= 0 {
			c.problems = append(c.problems, Problem{"WithMaxSize", fmt.Sprintf("must be above zero, not %d", bytes)})
		}
		c.MaxSize = bytes
	}
}

// WithIdleTimeout drops a connection that has brought no byte for so long, and makes another. The default is 30 s. Only the
// context bounds the whole download: [WithTimeout] does not.
func WithIdleTimeout(d time.Duration) DownloadOption {
	return func(c *downloadConfig) {
		if d <= 0 {
			c.problems = append(c.problems, Problem{"WithIdleTimeout", fmt.Sprintf("must be above zero, not %v", d)})
		}
		c.Idle = d
	}
}

// WithPrivateAddresses allows private, loopback and link-local addresses, and plain http: for tests and a host of your own.
// Without it, the URL and each redirect must be https and lead to a public address, which is checked on connecting. Only the
// URL can be checked behind a proxy, or if the Transport of [WithHTTPClient] is no [*http.Transport] and so is used as it is.
func WithPrivateAddresses() DownloadOption {
	return func(c *downloadConfig) { c.Private = true }
}

// video checks the arguments of a download, one of which may have a problem.
func (s *JobsService) video(ctx context.Context, id string, opts []DownloadOption, arg, problem string) (fetch.File, error) {
	c := downloadConfig{File: fetch.File{MaxSize: 4 << 30, Idle: 30 * time.Second}, problems: jobIDProblems(id)}
	if problem != "" {
		c.problems = append(c.problems, Problem{arg, problem})
	}
	for i, opt := range opts {
		if opt == nil {
			c.problems = append(c.problems, Problem{fmt.Sprintf("download option %d", i+1), "is nil"})
			continue
		}
		opt(&c)
	}
	c.Locate = func(ctx context.Context) (string, error) { return s.videoURL(ctx, id) }
	return c.File, s.api.check(ctx, c.problems...)
}

// videoURL reads a job for the URL of its video. Its errors are what a [*DownloadError] unwraps to.
func (s *JobsService) videoURL(ctx context.Context, id string) (string, error) {
	job, err := s.read(ctx, transport.Call{JobID: id})
	switch {
	case err != nil:
		return "", &wrapped{"the job cannot be read: " + err.Error(), sentinelOf(err)}
	case strings.ContainsAny(job.VideoOutput, "/:"): // the download judges the rest
		return job.VideoOutput, nil
	case job.broken:
		return "", errors.New("the response about the job is malformed JSON")
	}
	reason := cmp.Or(oneLine(job.FailedReason), "the API gives no reason")
	switch job.Status {
	case StatusFailed:
		return "", &wrapped{"the job failed: " + reason, ErrJobFailed}
	case StatusRejected:
		return "", &wrapped{"the job was rejected: " + reason, ErrJobRejected}
	}
	return "", &wrapped{"the job has no video, and is " + cmp.Or(oneLine(string(job.Status)), "without a status"), ErrNoOutput}
}

// sentinelOf returns what the error of a free call is to a caller, or nil.
func sentinelOf(err error) error {
	for _, is := range []error{ErrNotFound, ErrUnauthorized, ErrRateLimited} {
		if errors.Is(err, is) {
			return is
		}
	}
	if errors.Is(err, transport.ErrQueue) {
		return context.DeadlineExceeded
	}
	return nil
}

// downloadError turns the kind of a failed download into the public error.
func downloadError(id string, err error) error {
	failure, ok := errors.AsType[*fetch.Error](err)
	if !ok {
		return nil
	}
	cause := &wrapped{failure.Reason, failure.Err}
	switch failure.Kind {
	case fetch.RefusedURL:
		cause.is = ErrRefusedURL
	case fetch.TooLarge:
		cause.is = ErrTooLarge
	}
	return &DownloadError{JobID: id, Host: failure.Host, StatusCode: failure.Status, Written: failure.Written, Err: cause}
}

// wrapped is an error with a text of its own.
type wrapped struct {
	text string
	is   error // what it is to errors.Is; nil for nothing else
}

func (w *wrapped) Error() string { return w.text }
func (w *wrapped) Unwrap() error { return w.is }
