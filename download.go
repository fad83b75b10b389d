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

// Download writes the rendered video of a job to w and returns the number of bytes. Free. A broken download
// is resumed if the host allows it and the file is unchanged. The error is a [*DownloadError]; what was
// written stays in w.
func (s *JobsService) Download(ctx context.Context, id string, w io.Writer, opts ...DownloadOption) (int64, error) {
	problem := Problem{Field: "w"}
	if w == nil {
		problem.Message = "is nil"
	}
	file, err := s.video(ctx, id, problem, opts)
	if err != nil {
		return 0, err
	}
	n, err := s.api.files.ToWriter(ctx, file, w)
	return n, downloadError(id, err)
}

// DownloadFile is [JobsService.Download] to a file: path ends as the whole video, synced to the disk, or
// stays as it was. Free. A replaced file passes on its permissions; a symbolic link is replaced itself. A
// process that is killed leaves a file named .creatify-*.part in the folder.
func (s *JobsService) DownloadFile(ctx context.Context, id, path string, opts ...DownloadOption) (int64, error) {
	file, err := s.video(ctx, id, Problem{"path", fetch.PathProblem(path)}, opts)
	if err != nil {
		return 0, err
	}
	n, err := s.api.files.ToFile(ctx, file, path)
	return n, downloadError(id, err)
}

// DownloadOption sets how a download works.
type DownloadOption func(*downloadConfig)

type downloadConfig = fetch.File

// WithProgress calls f as bytes are written, and at the end. The total is -1 while unknown. When a download
// starts over, f is not called until it has caught up.
func WithProgress(f func(done, total int64)) DownloadOption {
	return func(c *downloadConfig) { c.Progress = f }
}

// WithMaxSize ends the download of a larger file with [ErrTooLarge]. The default is 4 GiB.
func WithMaxSize(bytes int64) DownloadOption {
	return func(c *downloadConfig) { c.MaxSize = bytes }
}

// WithIdleTimeout replaces a connection that has brought no byte for so long. The default is 30 s. Only the
// context bounds the whole download; [WithTimeout] does not.
func WithIdleTimeout(d time.Duration) DownloadOption {
	return func(c *downloadConfig) { c.Idle = d }
}

// WithPrivateAddresses allows plain http and any address, for tests and hosts of your own. By default the URL
// and each redirect must be https and lead to a public address. Behind a proxy, and if the Transport of
// [WithHTTPClient] is no [*http.Transport], only the URL is checked.
func WithPrivateAddresses() DownloadOption {
	return func(c *downloadConfig) { c.Private = true }
}

// video returns what to download. Target is the problem of where to, if its message is not empty.
func (s *JobsService) video(ctx context.Context, id string, target Problem, opts []DownloadOption) (fetch.File, error) {
	file := fetch.File{MaxSize: 4 << 30, Idle: 30 * time.Second}
	file.Locate = func(ctx context.Context) (string, error) { return s.videoURL(ctx, id) }
	problems := problemList(jobIDProblems(id))
	problems.add(target.Field, target.Message)
	for i, opt := range opts {
		if opt == nil {
			problems.add(fmt.Sprintf("download option %d", i+1), "is nil")
			continue
		}
		opt(&file)
	}
	if file.MaxSize <= 0 {
		problems.add("WithMaxSize", fmt.Sprintf("must be above zero, not %d", file.MaxSize))
	}
	if file.Idle <= 0 {
		problems.add("WithIdleTimeout", fmt.Sprintf("must be above zero, not %v", file.Idle))
	}
	return file, s.api.check(ctx, problems...)
}

// videoURL reads a job for the URL of its video. Its errors unwrap to what a [*DownloadError] does.
func (s *JobsService) videoURL(ctx context.Context, id string) (string, error) {
	job, err := s.read(ctx, transport.Call{JobID: id})
	switch {
	case err != nil:
		return "", &fetch.Error{Reason: "the job cannot be read: " + err.Error(), Err: sentinelOf(err)}
	case strings.ContainsAny(job.VideoOutput, "/:"): // the download judges the rest
		return job.VideoOutput, nil
	case job.broken:
		return "", errors.New("the response about the job is malformed JSON")
	}
	reason := cmp.Or(oneLine(job.FailedReason), "the API gives no reason")
	status := cmp.Or(oneLine(string(job.Status)), "without a status")
	switch job.Status {
	case StatusFailed:
		return "", &fetch.Error{Reason: "the job failed: " + reason, Err: ErrJobFailed}
	case StatusRejected:
		return "", &fetch.Error{Reason: "the job was rejected: " + reason, Err: ErrJobRejected}
	}
	return "", &fetch.Error{Reason: "the job has no video, and is " + status, Err: ErrNoOutput}
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

// downloadError makes the error of a failed download public.
func downloadError(id string, err error) error {
	failure, ok := errors.AsType[*fetch.Error](err)
	if !ok {
		return err
	}
	switch failure.Kind {
	case fetch.RefusedURL:
		failure.Err = ErrRefusedURL
	case fetch.TooLarge:
		failure.Err = ErrTooLarge
	}
	return &DownloadError{
		JobID: id, Host: failure.Host, StatusCode: failure.Status, Written: failure.Written, Err: failure,
	}
}
