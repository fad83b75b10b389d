package creatify

import (
	"cmp"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/internal/fetch"
	"github.com/creatify-community/creatify-go/internal/transport"
)

// Download writes the rendered video of a job to w and returns the number of bytes. Free. A broken download
// is resumed if the host allows it and the file is unchanged. On a [*DownloadError], w keeps the bytes that
// were already written.
func (s *JobsService) Download(ctx context.Context, id string, w io.Writer, opts ...DownloadOption) (int64, error) {
	problems := problemList(jobIDProblems(id))
	problems.require(w != nil, "w", "is nil")
	return s.download(ctx, id, problems, opts, func(video fetch.File) (int64, error) {
		return s.api.files.ToWriter(ctx, video, w)
	})
}

// DownloadFile is [JobsService.Download] to a file: path ends up as the whole video, synced to disk, or
// unchanged. Free. A file that is replaced passes its permissions on; a symbolic link is replaced, not
// followed. If the process is killed, a file named .creatify-*.part remains in the folder.
func (s *JobsService) DownloadFile(ctx context.Context, id, path string, opts ...DownloadOption) (int64, error) {
	problems := problemList(jobIDProblems(id))
	problems.add("path", fetch.PathProblem(path))
	return s.download(ctx, id, problems, opts, func(video fetch.File) (int64, error) {
		return s.api.files.ToFile(ctx, video, path)
	})
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
// and each redirect must be https and lead to a public host. Behind a proxy, and if the Transport of
// [WithHTTPClient] is no [*http.Transport], only the URL is checked.
func WithPrivateAddresses() DownloadOption {
	return func(c *downloadConfig) { c.Private = true }
}

// download checks the options, and turns the error of fetching the video into a [*DownloadError]. Problems
// are those of the other arguments.
func (s *JobsService) download(ctx context.Context, id string, problems problemList, opts []DownloadOption,
	fetchTo func(fetch.File) (int64, error)) (int64, error) {
	video := fetch.File{MaxSize: 4 << 30, Idle: 30 * time.Second}
	video.Locate = func(ctx context.Context) (string, error) { return s.videoURL(ctx, id) }
	applyOptions(opts, &video, &problems, "download option")
	problems.require(video.MaxSize > 0, "WithMaxSize", "must be above zero, not %d", video.MaxSize)
	problems.require(video.Idle > 0, "WithIdleTimeout", "must be above zero, not %v", video.Idle)
	if err := s.api.check(ctx, problems...); err != nil {
		return 0, err
	}
	n, err := fetchTo(video)
	failure, ok := errors.AsType[*fetch.Error](err)
	if !ok {
		return n, err
	}
	switch failure.Kind {
	case fetch.RefusedURL:
		failure.Err = ErrRefusedURL
	case fetch.TooLarge:
		failure.Err = ErrTooLarge
	}
	return n, &DownloadError{
		JobID: id, Host: failure.Host, StatusCode: failure.Status, Written: failure.Written, Err: failure,
	}
}

// videoURL reads a job for the URL of its video. Its errors unwrap to what a [*DownloadError] does.
func (s *JobsService) videoURL(ctx context.Context, id string) (string, error) {
	job, err := s.read(ctx, transport.Call{JobID: id})
	if err != nil {
		failure := &fetch.Error{Reason: "the job cannot be read: " + err.Error()}
		for _, sentinel := range []error{ErrNotFound, ErrUnauthorized, ErrRateLimited} {
			if errors.Is(err, sentinel) {
				failure.Err = sentinel
			}
		}
		if errors.Is(err, transport.ErrQueue) {
			failure.Err = context.DeadlineExceeded
		}
		return "", failure
	}
	reason := cmp.Or(oneLine(job.FailedReason), "the API gives no reason")
	status := cmp.Or(oneLine(string(job.Status)), "without a status")
	switch {
	case strings.ContainsAny(job.VideoOutput, "/:"): // the download judges the rest
		return job.VideoOutput, nil
	case job.broken:
		return "", errors.New("the response about the job is malformed JSON")
	case job.Status == StatusFailed:
		return "", &fetch.Error{Reason: "the job failed: " + reason, Err: ErrJobFailed}
	case job.Status == StatusRejected:
		return "", &fetch.Error{Reason: "the job was rejected: " + reason, Err: ErrJobRejected}
	}
	return "", &fetch.Error{Reason: "the job has no video, and is " + status, Err: ErrNoOutput}
}
