package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/creatify-community/creatify-go/internal/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const fileURL = "https://files.test/video.mp4?signature=s1gned"

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

var redact = transport.NewCredentials("the-api-id", "the-api-key").Redact

// newClient makes a client with the settings of a caller's transport.
func newClient(rt http.RoundTripper) *Client {
	return New(&http.Client{Transport: rt}, "test", redact)
}

// fileAt is the file at a URL, with the usual limits unless changed.
func fileAt(at string, change ...func(*File)) File {
	f := File{MaxSize: 4 << 30, Idle: 30 * time.Second, Locate: func(context.Context) (string, error) { return at, nil }}
	for _, c := range change {
		c(&f)
	}
	return f
}

// written is what a download to a writer leaves there.
func written(t *testing.T, rt http.RoundTripper, change ...func(*File)) ([]byte, error) {
	t.Helper()
	var out bytes.Buffer
	n, err := newClient(rt).ToWriter(t.Context(), fileAt(fileURL, change...), &out)
	assert.EqualValues(t, out.Len(), n)
	return out.Bytes(), err
}

const oldFile = "the old video"

// saved is what a download leaves in a file that was there before.
func saved(t *testing.T, rt http.RoundTripper, change ...func(*File)) (string, error) {
	t.Helper()
	path := existing(t)
	n, err := newClient(rt).ToFile(t.Context(), fileAt(fileURL, change...), path)
	got := contentOf(t, path)
	if err == nil {
		assert.EqualValues(t, len(got), n)
	} else {
		assert.Zero(t, n)
	}
	return got, err
}

// existing returns the path of a file that is there.
func existing(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "video.mp4")
	require.NoError(t, os.WriteFile(path, []byte(oldFile), 0o600))
	return path
}

// contentOf reads a file, which must be alone in its folder.
func contentOf(t *testing.T, path string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	for _, entry := range entries {
		assert.Equal(t, filepath.Base(path), entry.Name())
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(got)
}

// failureOf returns the *Error, whose text must not show the query of a signed URL.
func failureOf(t *testing.T, err error) *Error {
	t.Helper()
	failure, ok := errors.AsType[*Error](err)
	require.True(t, ok, "%T: %v", err, err)
	assert.NotContains(t, failure.Reason, "s1gned")
	return failure
}

// videoOf returns a file of a size whose bytes all depend on their place.
func videoOf(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// answer makes a response.
type answer = func(*http.Request) *http.Response

// host serves a file. It truncates its first responses, one for each of cuts.
type host struct {
	content  []byte
	header   http.Header
	noRanges bool
	noLength bool
	cuts     []int
	answers  map[int]answer // instead of the usual responses, by number from 0

	requests []*http.Request
}

func (h *host) RoundTrip(req *http.Request) (*http.Response, error) {
	n := len(h.requests)
	h.requests = append(h.requests, req)
	if answer := h.answers[n]; answer != nil {
		return answer(req), nil
	}
	resp := h.serve(req)
	if n < len(h.cuts) {
		b, _ := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(b[:min(h.cuts[n], len(b))]), iotest.ErrReader(syscall.ECONNRESET)))
	}
	if h.noLength {
		resp.ContentLength = -1
	}
	return resp, nil
}

func (h *host) serve(req *http.Request) *http.Response {
	resp := whole(h.content, h.header)(req)
	resp.Body = io.NopCloser(liveBody{req.Context(), resp.Body})
	start, ok := strings.CutPrefix(req.Header.Get("Range"), "bytes=")
	condition := req.Header.Get("If-Range")
	if !ok || h.noRanges || condition != "" && condition != h.header.Get("ETag") {
		return resp
	}
	from, _ := strconv.Atoi(strings.TrimSuffix(start, "-"))
	if from >= len(h.content) {
		return status(416)(req)
	}
	return part(h.content[from:], from, len(h.content), h.header)(req)
}

// ranges lists the ranges that were asked for. One without a condition, which could be of another file,
// stands out.
func (h *host) ranges() (all []string) {
	for _, req := range h.requests {
		asked := req.Header.Get("Range")
		if condition := req.Header.Get("If-Range"); asked != "" && (condition == "" || strings.HasPrefix(condition, "W/")) {
			asked += " on no condition"
		}
		all = append(all, asked)
	}
	return all
}

// liveBody fails once the context of its request is over.
type liveBody struct {
	ctx context.Context
	io.Reader
}

func (l liveBody) Read(b []byte) (int, error) {
	if l.ctx.Err() != nil {
		return 0, l.ctx.Err()
	}
	return l.Reader.Read(b)
}

// whole answers with a file, whatever is asked for.
func whole(content []byte, header http.Header) answer {
	return func(req *http.Request) *http.Response {
		resp := &http.Response{StatusCode: 200, Header: http.Header{}, Request: req, ContentLength: int64(len(content)),
			Body: io.NopCloser(bytes.NewReader(content))}
		maps.Copy(resp.Header, header)
		return resp
	}
}

// part answers with some bytes of a file.
func part(b []byte, from, of int, header http.Header) answer {
	return func(req *http.Request) *http.Response {
		resp := whole(b, header)(req)
		resp.StatusCode = 206
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, from+len(b)-1, of))
		return resp
	}
}

// status answers with a status and headers, given in pairs.
func status(code int, header ...string) answer {
	return func(req *http.Request) *http.Response {
		resp := whole([]byte("Request has expired"), nil)(req)
		resp.StatusCode = code
		for i := 0; i < len(header); i += 2 {
			resp.Header.Set(header[i], header[i+1])
		}
		return resp
	}
}

func redirectTo(location string) answer { return status(302, "Location", location) }

func etag(tag string) http.Header { return http.Header{"Etag": {tag}} }

func private(f *File) { f.Private = true }
