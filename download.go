package creatify

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/internal/transport"
)

// Download writes the rendered video of a job to w, and returns how many bytes it has written. It costs nothing. It reads
// the job first; the video is streamed, so its size does not matter to memory.
//
// The file's host gets no credentials, cookies or Referer. Unless [WithPrivateAddresses] says otherwise, the URL and every
// redirect must be https and lead to a public address. That is checked as a connection is made; but only the URL can be
// checked, for localhost and for IP literals, where a proxy resolves the name, or where the Transport of [WithHTTPClient]
// is not an [*http.Transport]. A DialTLSContext of that Transport must leave HTTP/2 out, which downloads do not speak. The
// rest of that http.Client plays no part, except that its CheckRedirect may refuse.
//
// A download that breaks off goes on where it was, if the host can do that and the file is still the same. When the URL
// has expired, the job is read once more. A file that is empty is no video, and one of which only the end of the connection
// shows the end, as in HTTP/1.0, is refused: it could not be told from one that broke off.
//
// After five more tries without progress, or at once where none would help, the error is a [*DownloadError]. It is
// [ErrNoOutput] for a job without a video, also [ErrJobFailed] or [ErrJobRejected] if there will be none; [ErrNotFound] or
// [ErrUnauthorized] if the API refuses to show the job; [ErrTooLarge], [ErrRefusedURL], or the context's error. What was
// written till then stays in w; [JobsService.DownloadFile] leaves a whole file or none. There is no limit on the time in
// all, except the context's: [WithTimeout] is not for downloads.
func (s *JobsService) Download(ctx context.Context, id string, w io.Writer, opts ...DownloadOption) (int64, error) {
	var problems []Problem
	if w == nil {
		problems = []Problem{{"w", "is nil"}}
	}
	d, err := s.newDownload(ctx, id, opts, problems)
	if err != nil {
		return 0, err
	}
	d.out = w
	err = d.run(ctx)
	return d.done, err
}

// DownloadFile is [JobsService.Download] to a file, and returns its size. It costs nothing. The file is written under
// another name in the same folder and renamed when it is whole and on the disk: path is either the whole video, or as it
// was before. A file that was there is replaced and its permissions are kept; a symbolic link is replaced itself. On
// Windows, a file that is open or read-only cannot be replaced: the download fails in the end. A process that is killed
// leaves the other one behind, which is named .creatify-*.part.
func (s *JobsService) DownloadFile(ctx context.Context, id, path string, opts ...DownloadOption) (int64, error) {
	old, problems := target(path)
	d, err := s.newDownload(ctx, id, opts, problems)
	if err != nil {
		return 0, err
	}
	if err := d.toFile(ctx, path, old); err != nil {
		return 0, err
	}
	return d.done, nil
}

// DownloadOption sets how a download goes.
type DownloadOption func(*downloadConfig)

type downloadConfig struct {
	progress func(done, total int64)
	maxSize  int64
	idle     time.Duration
	private  bool
	create   func(name string) (partFile, error)
	problems []Problem
}

// WithProgress calls f with the bytes written so far and those of the whole file, which are -1 while they are not known:
// as they come, and at the end. When a download must start over, f is not called until it has caught up.
func WithProgress(f func(done, total int64)) DownloadOption {
	return func(c *downloadConfig) { c.progress = f }
}

// WithMaxSize ends a download with [ErrTooLarge] when the file has more bytes. The default is 4 GiB.
func WithMaxSize(bytes int64) DownloadOption {
	return func(c *downloadConfig) {
		if bytes <= 0 {
			c.problems = append(c.problems, Problem{"WithMaxSize", fmt.Sprintf("must be above zero, not %d", bytes)})
		}
		c.maxSize = bytes
	}
}

// WithIdleTimeout gives up a connection that has brought no byte for so long. The default is 30 s.
func WithIdleTimeout(d time.Duration) DownloadOption {
	return func(c *downloadConfig) {
		if d <= 0 {
			c.problems = append(c.problems, Problem{"WithIdleTimeout", fmt.Sprintf("must be above zero, not %v", d)})
		}
		c.idle = d
	}
}

// WithPrivateAddresses lets downloads go to private, loopback and link-local addresses, and by plain http: for tests, and
// for a host within one's own network. A redirect from https to http is refused all the same.
func WithPrivateAddresses() DownloadOption {
	return func(c *downloadConfig) { c.private = true }
}

// because is an error with a text of its own for what it is.
type because struct {
	text string
	is   error
}

func (b *because) Error() string { return b.text }
func (b *because) Unwrap() error { return b.is }

const (
	maxResumptions = 5 // in a row without progress
	// minProgress is what counts as progress: with less, a host that sends a byte at a time would never be given up.
	minProgress = 64 << 10
)

// download is one video on its way.
type download struct {
	jobs    *JobsService
	id      string
	config  *downloadConfig
	out     io.Writer
	restart func() error // empties out; nil where that cannot be done

	url       *url.URL
	done      int64  // bytes in out
	total     int64  // of the file that they are of; -1 while it is not known
	version   string // of that file, as If-Range takes it; empty if it cannot be told from others
	badRanges bool   // the host's
	reported  int64
}

func (s *JobsService) newDownload(ctx context.Context, id string, opts []DownloadOption, problems []Problem) (*download, error) {
	c := &downloadConfig{maxSize: 4 << 30, idle: 30 * time.Second, create: createPart}
	for i, opt := range opts {
		if opt == nil {
			c.problems = append(c.problems, Problem{fmt.Sprintf("download option %d", i+1), "is nil"})
			continue
		}
		opt(c)
	}
	if err := s.api.check(ctx, append(append(jobIDProblems(id), problems...), c.problems...)...); err != nil {
		return nil, err
	}
	d := &download{jobs: s, id: id, config: c, total: -1, reported: -1}
	if setback := d.locate(ctx); setback != nil {
		return nil, d.failed(setback)
	}
	return d, nil
}

// locate reads the job for the video's URL.
func (d *download) locate(ctx context.Context) *setback {
	job, err := d.jobs.read(ctx, transport.Call{JobID: d.id})
	switch {
	case err != nil:
		return &setback{err: fmt.Errorf("the job cannot be read: %w", err)}
	case strings.ContainsAny(job.VideoOutput, "/:"): // whether it is one to download from is for the transport to judge
		u, err := url.Parse(job.VideoOutput)
		if err != nil {
			return &setback{err: &because{"its URL is none", ErrRefusedURL}}
		}
		d.url = u
		return nil
	case job.broken:
		return &setback{err: errors.New("the reply about the job is broken JSON")}
	case job.Status == StatusFailed || job.Status == StatusRejected:
		reason := cmp.Or(oneLine(job.FailedReason), "the API gives no reason")
		return &setback{err: &because{"the job " + string(job.Status) + ": " + reason, errors.Join(ErrNoOutput, &JobError{job})}}
	}
	return &setback{err: &because{"the job has none, and is " + cmp.Or(oneLine(string(job.Status)), "without a status"), ErrNoOutput}}
}

func (d *download) failed(s *setback) error {
	e := &DownloadError{JobID: d.id, StatusCode: s.status, Written: d.done, Err: s.err}
	if d.url != nil {
		e.Host = d.url.Hostname()
	}
	return e
}

// run tries until the video is there or there is no point in trying on.
func (d *download) run(ctx context.Context) error {
	files := d.jobs.api.transport.Files(d.config.private)
	defer files.Close()
	tries, refreshed, mark := 0, false, int64(minProgress)
	for ctx.Err() == nil {
		s := d.try(ctx, files)
		if s == nil {
			return nil
		}
		if d.done >= mark {
			tries, refreshed, mark = 0, false, d.done+minProgress
		}
		if s.expired && !refreshed && ctx.Err() == nil {
			refreshed = true
			if s = d.locate(ctx); s == nil {
				continue
			}
		}
		if s.again && d.done > 0 && d.version == "" && d.restart == nil {
			return d.failed(&setback{err: fmt.Errorf("%w, and the host gives nothing to tell by whether the file is still the same", s.err)})
		}
		if tries++; ctx.Err() == nil && (!s.again || tries > maxResumptions || !pause(ctx, tries, s.after)) {
			return d.failed(s)
		}
	}
	return d.failed(&setback{err: transport.ContextError(ctx)})
}

// pause returns false at once if the context would end first.
func pause(ctx context.Context, tries int, after time.Duration) bool {
	wait := max(transport.Retry{MinBackoff: 500 * time.Millisecond, MaxBackoff: 10 * time.Second}.Backoff(tries), after)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
		return false
	}
	sleep(ctx, wait)
	return true
}

// target finds what stands at path, which is nil for nothing.
func target(path string) (fs.FileInfo, []Problem) {
	if path == "" || os.IsPathSeparator(path[len(path)-1]) {
		return nil, []Problem{{"path", "names no file"}}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil // if it matters, it will when the file is made
	}
	if !info.Mode().IsRegular() {
		return nil, []Problem{{"path", "is there and is not a regular file"}}
	}
	return info, nil
}

// partFile is an [*os.File].
type partFile interface {
	io.WriteCloser
	io.Seeker
	Chmod(fs.FileMode) error
	Truncate(int64) error
	Sync() error
}

// createPart is os.CreateTemp with the permissions of a file that is there to stay.
func createPart(name string) (partFile, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) //nolint:gosec // what the umask leaves of it, as os.Create
}

func (d *download) toFile(ctx context.Context, path string, old fs.FileInfo) error {
	if _, err := os.Lstat(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // such as a name too long
		return d.failed(unwritten(err))
	}
	name := filepath.Join(filepath.Dir(path), ".creatify-"+rand.Text()+".part")
	part, err := d.config.create(name)
	if err != nil {
		return d.failed(unwritten(err))
	}
	defer func() { _ = os.Remove(name) }() // after the rename, there is none
	defer part.Close()
	if old != nil {
		if err := part.Chmod(old.Mode().Perm()); err != nil {
			return d.failed(unwritten(err))
		}
	}
	d.out = part
	d.restart = func() error {
		_, err := part.Seek(0, io.SeekStart)
		return errors.Join(err, part.Truncate(0))
	}
	if err := d.run(ctx); err != nil {
		return err
	}
	for _, step := range []func() error{part.Sync, part.Close, func() error { return os.Rename(name, path) }} {
		if err := step(); err != nil {
			return d.failed(unwritten(err))
		}
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = errors.Join(dir.Sync(), dir.Close()) // not every system can
	}
	return nil
}

func unwritten(err error) *setback { return &setback{err: fmt.Errorf("it cannot be written: %w", err)} }
