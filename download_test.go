package creatify_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const videoURL = "https://files.test/video.mp4?signature=s1gned"

// jobWith is a job's reply whose video is at a URL.
func jobWith(video string) string {
	return `{"id":"` + jobID + `","status":"done","progress":1,"video_output":"` + video + `"}`
}

// fileHost answers for the API, and for the host of its videos. It cuts its first replies short, one for each of cuts.
type fileHost struct {
	content  []byte
	header   http.Header
	noRanges bool
	noLength bool
	cuts     []int
	urls     []string                                   // one for each reading of the job; the last one stays
	answers  map[int]func(*http.Request) *http.Response // instead of the usual ones, by number from 0

	reads    int // of the job
	requests []*http.Request
}

func (h *fileHost) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == "api.creatify.ai" {
		video := videoURL
		if len(h.urls) > 0 {
			video = h.urls[min(h.reads, len(h.urls)-1)]
		}
		h.reads++
		return respond(req, 200, jobWith(video)), nil
	}
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

func (h *fileHost) serve(req *http.Request) *http.Response {
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, Request: req, ContentLength: int64(len(h.content)),
		Body: liveBody{req.Context(), bytes.NewReader(h.content)}}
	maps.Copy(resp.Header, h.header)
	start, ok := strings.CutPrefix(req.Header.Get("Range"), "bytes=")
	condition := req.Header.Get("If-Range")
	if !ok || h.noRanges || condition != "" && condition != h.header.Get("ETag") && condition != h.header.Get("Last-Modified") {
		return resp
	}
	from, _ := strconv.Atoi(strings.TrimSuffix(start, "-"))
	return part(resp, h.content[from:], from, len(h.content))
}

// liveBody breaks off when its request ends.
type liveBody struct {
	ctx context.Context
	io.Reader
}

func (b liveBody) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, b.ctx.Err()
	}
	return b.Reader.Read(p)
}

func (liveBody) Close() error { return nil }

// part makes a reply a 206.
func part(resp *http.Response, b []byte, from, of int) *http.Response {
	resp.StatusCode, resp.ContentLength, resp.Body = 206, int64(len(b)), io.NopCloser(bytes.NewReader(b))
	resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, from+len(b)-1, of))
	return resp
}

func etag(tag string) http.Header { return http.Header{"Etag": {tag}} }

func videoOf(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func downloadError(t *testing.T, err error) *creatify.DownloadError {
	t.Helper()
	failure, ok := errors.AsType[*creatify.DownloadError](err)
	require.True(t, ok, "%T: %v", err, err)
	assert.Contains(t, err.Error(), jobID)
	var all strings.Builder
	tell(&all, err)
	assert.NotContains(t, all.String(), "s1gned", "the query of a signed URL")
	return failure
}

func TestADownloadTakesUpAgainAfterACut(t *testing.T) {
	content := videoOf(100_000)
	modified := http.Header{"Last-Modified": {"Wed, 01 May 2024 03:04:05 GMT"}, "Date": {"Wed, 01 May 2024 03:05:05 GMT"}}
	tests := []struct {
		name   string
		host   fileHost
		writer string // what Download's error says; empty if it brings the video, as DownloadFile always does
		ranges []string
	}{
		{"in the middle", fileHost{header: etag(`"a"`), cuts: []int{40_000}}, "", []string{"", "bytes=40000-"}},
		{"before the first byte", fileHost{header: etag(`"a"`), cuts: []int{0}}, "", []string{"", ""}},
		{"before the first byte, with no validator", fileHost{cuts: []int{0}}, "", []string{"", ""}},
		{"three times", fileHost{header: etag(`"a"`), cuts: []int{10, 10, 10}}, "", []string{"", "bytes=10-", "bytes=20-", "bytes=30-"}},
		{"by a date of change", fileHost{header: modified, cuts: []int{40_000}}, "", []string{"", "bytes=40000-"}},
		{"with a length that is not known", fileHost{header: etag(`"a"`), cuts: []int{40_000}, noLength: true}, "", []string{"", "bytes=40000-"}},
		{"of a host without ranges", fileHost{header: etag(`"a"`), noRanges: true, cuts: []int{40_000, 70_000}}, "",
			[]string{"", "bytes=40000-", "bytes=70000-"}},
		{"of a host with nothing to tell files by", fileHost{cuts: []int{40_000}}, "gives nothing to tell by", []string{"", ""}},
		{"of a host with a weak ETag", fileHost{header: etag(`W/"a"`), cuts: []int{40_000}}, "gives nothing to tell by", []string{"", ""}},
		{"of a file that changed in this second", fileHost{header: http.Header{"Last-Modified": modified["Last-Modified"],
			"Date": modified["Last-Modified"]}, cuts: []int{40_000}}, "gives nothing to tell by", []string{"", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				host := tt.host
				host.content = content
				var out bytes.Buffer
				n, err := newClient(t, &host).Jobs.Download(t.Context(), jobID, &out)
				assert.EqualValues(t, out.Len(), n)
				if tt.writer == "" {
					require.NoError(t, err)
					assert.True(t, bytes.Equal(content, out.Bytes()))
					assert.Equal(t, tt.ranges, rangesOf(&host))
				} else {
					assert.ErrorContains(t, err, tt.writer)
					assert.ErrorIs(t, err, syscall.ECONNRESET)
					assert.EqualValues(t, n, downloadError(t, err).Written)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				host := tt.host
				host.content = content
				assert.Equal(t, content, downloaded(t, &host))
				assert.Equal(t, tt.ranges, rangesOf(&host))
			})
		})
	}
}

// rangesOf lists the ranges that were asked for; a range on no condition, which could be of another file, stands out.
func rangesOf(host *fileHost) (all []string) {
	for _, req := range host.requests {
		asked := req.Header.Get("Range")
		if condition := req.Header.Get("If-Range"); asked != "" && (condition == "" || strings.HasPrefix(condition, "W/")) {
			asked += " on no condition"
		}
		all = append(all, asked)
	}
	return all
}

// downloaded is the content that a host's video has on the disk.
func downloaded(t *testing.T, host http.RoundTripper) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "video.mp4")
	n, err := newClient(t, host).Jobs.DownloadFile(t.Context(), jobID, path)
	require.NoError(t, err)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.EqualValues(t, len(got), n)
	onlyFile(t, path)
	return got
}

// onlyFile makes sure that nothing else is in the file's folder.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	for _, entry := range entries {
		assert.Equal(t, filepath.Base(path), entry.Name())
	}
}

func TestADownloadIsNeverSplicedFromTwoFiles(t *testing.T) {
	content, another := videoOf(100_000), bytes.Repeat([]byte("x"), 100_000)
	a206 := func(b []byte, from, of int, tag string) func(*http.Request) *http.Response {
		return func(req *http.Request) *http.Response {
			return part(&http.Response{Header: etag(tag), Request: req}, b, from, of)
		}
	}
	without := func(header string) func(*http.Request) *http.Response {
		return func(req *http.Request) *http.Response {
			resp := a206(another[40_000:], 40_000, 100_000, `"a"`)(req)
			resp.Header.Del(header)
			return resp
		}
	}
	for name, second := range map[string]func(*http.Request) *http.Response{
		"from elsewhere":           a206(another[50_000:], 50_000, 100_000, `"a"`),
		"from the beginning":       a206(another, 0, 100_000, `"a"`),
		"of another length":        a206(another[40_000:99_000], 40_000, 99_000, `"a"`),
		"of another version":       a206(another[40_000:], 40_000, 100_000, `"b"`),
		"without a Content-Range":  without("Content-Range"),
		"without the ETag":         without("Etag"),
		"that is a range too many": func(req *http.Request) *http.Response { return respond(req, 416, "") },
		"of a length not told": func(req *http.Request) *http.Response {
			resp := a206(another[40_000:], 40_000, 100_000, `"a"`)(req)
			resp.Header.Set("Content-Range", "bytes 40000-99999/*")
			return resp
		},
		"shorter than its range": func(req *http.Request) *http.Response {
			resp := a206(another[40_000:], 40_000, 100_000, `"a"`)(req)
			resp.ContentLength = 5
			return resp
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				host := &fileHost{content: content, header: etag(`"a"`), cuts: []int{40_000}, answers: map[int]func(*http.Request) *http.Response{1: second}}
				_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, &out)
				require.NoError(t, err)
				assert.True(t, bytes.Equal(content, out.Bytes()))
				assert.Equal(t, []string{"", "bytes=40000-", ""}, rangesOf(host), "then the file is asked for whole, and what is written is skipped")
				host.requests = nil
				assert.True(t, bytes.Equal(content, downloaded(t, host)))
			})
		})
	}
}

func TestADownloadTakesSmallerPartsThanItAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &fileHost{content: videoOf(1000), header: etag(`"a"`), cuts: []int{400}}
		host.answers = map[int]func(*http.Request) *http.Response{1: func(req *http.Request) *http.Response {
			return part(&http.Response{Header: etag(`"a"`), Request: req}, host.content[400:600], 400, 1000)
		}}
		assert.Equal(t, host.content, downloaded(t, host))
		assert.Equal(t, []string{"", "bytes=400-", "bytes=600-"}, rangesOf(host))
	})
}

func TestADownloadOfAFileThatCannotBeToldFromAnotherStartsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &fileHost{content: []byte("the new one"), answers: map[int]func(*http.Request) *http.Response{0: func(req *http.Request) *http.Response {
			return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: 11, Request: req, Body: io.NopCloser(strings.NewReader("the old"))}
		}}}
		path := filepath.Join(t.TempDir(), "video.mp4")
		_, err := newClient(t, host).Jobs.DownloadFile(t.Context(), jobID, path)
		require.NoError(t, err)
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, "the new one", string(got))
		assert.Equal(t, []string{"", ""}, rangesOf(host))
	})
}

func TestADownloadKeepsTheLengthThatItWasTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content := videoOf(1000)
		short := func(req *http.Request) *http.Response { // without a length, and it ends too early
			return &http.Response{StatusCode: 200, Header: etag(`"a"`), ContentLength: -1, Request: req, Body: io.NopCloser(bytes.NewReader(content[:700]))}
		}
		host := &fileHost{content: content, header: etag(`"a"`), cuts: []int{400}, answers: map[int]func(*http.Request) *http.Response{1: short}}
		assert.True(t, bytes.Equal(content, downloaded(t, host)))
	})
}

func TestADateOfChangeNeedNotBeRepeated(t *testing.T) {
	changed := http.Header{"Last-Modified": {"Fri, 31 Dec 1999 00:00:00 GMT"}, "Date": {"Sat, 01 Jan 2000 00:00:00 GMT"}}
	for name, tt := range map[string]struct {
		header http.Header // of the rest
		ranges []string
	}{
		"left out":              {http.Header{}, []string{"", "bytes=400-"}},
		"the same":              {changed, []string{"", "bytes=400-"}},
		"with an ETag now":      {etag(`"a"`), []string{"", "bytes=400-", ""}},
		"with a weak ETag now":  {etag(`W/"a"`), []string{"", "bytes=400-", ""}},
		"which is another date": {http.Header{"Last-Modified": {"Thu, 30 Dec 1999 00:00:00 GMT"}}, []string{"", "bytes=400-", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				host := &fileHost{content: videoOf(1000), header: changed, cuts: []int{400}}
				host.answers = map[int]func(*http.Request) *http.Response{1: func(req *http.Request) *http.Response {
					return part(&http.Response{Header: tt.header.Clone(), Request: req}, host.content[400:], 400, 1000)
				}}
				assert.True(t, bytes.Equal(host.content, downloaded(t, host)))
				assert.Equal(t, tt.ranges, rangesOf(host))
			})
		})
	}
}

func TestAFileThatMayHaveChangedWithinTheSecondIsNotToldByItsDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const now = "Sat, 01 Jan 2000 00:00:00 GMT"
		host := &fileHost{content: videoOf(1000), header: http.Header{"Last-Modified": {now}, "Date": {now}}, cuts: []int{400}}
		assert.True(t, bytes.Equal(host.content, downloaded(t, host)))
		assert.Equal(t, []string{"", ""}, rangesOf(host))
		host.header.Set("Last-Modified", "Fri, 31 Dec 1999 23:59:59 GMT")
		host.requests = nil
		assert.True(t, bytes.Equal(host.content, downloaded(t, host)))
		assert.Equal(t, []string{"", "bytes=400-"}, rangesOf(host))
	})
}

func TestADownloadOfAFileThatChangedMeanwhile(t *testing.T) {
	changing := func(noLength bool) *fileHost {
		return &fileHost{content: []byte("new one"), header: etag(`"new"`), noLength: noLength, answers: map[int]func(*http.Request) *http.Response{
			0: func(req *http.Request) *http.Response {
				return &http.Response{StatusCode: 200, Header: etag(`"old"`), ContentLength: 20, Request: req, Body: io.NopCloser(strings.NewReader("the old on"))}
			},
		}}
	}
	for _, noLength := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			assert.Equal(t, "new one", string(downloaded(t, changing(noLength))))
			var out bytes.Buffer
			n, err := newClient(t, changing(noLength)).Jobs.Download(t.Context(), jobID, &out)
			assert.ErrorContains(t, err, "the file at the host is another now")
			assert.Equal(t, "the old on", out.String())
			assert.EqualValues(t, 10, n)
		})
	}
}

func TestResumptionsOfADownloadEnd(t *testing.T) {
	for name, host := range map[string]*fileHost{
		"without a byte":        {content: videoOf(1000), header: etag(`"a"`), cuts: make([]int, 1000)},
		"with a byte at a time": {content: videoOf(1000), header: etag(`"a"`), cuts: bytesAtATime(1000)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard)
				assert.ErrorIs(t, err, syscall.ECONNRESET)
				assert.Len(t, host.requests, 6)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		host := &fileHost{content: videoOf(2 << 20), header: etag(`"a"`)}
		for range 20 {
			host.cuts = append(host.cuts, 100_000)
		}
		_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard)
		assert.NoError(t, err, "with progress in between there is no end to them")
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := newClient(t, &fileHost{content: videoOf(1000), cuts: make([]int, 1000)}).Jobs.Download(ctx, jobID, io.Discard)
		assert.ErrorIs(t, err, syscall.ECONNRESET, "a wait that would pass the deadline is not begun")
		assert.Less(t, time.Since(start), time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("shutting down")
		time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
		start := time.Now()
		_, err := newClient(t, &fileHost{content: videoOf(1000), cuts: make([]int, 1000)}).Jobs.Download(ctx, jobID, io.Discard)
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorContains(t, err, "shutting down")
		assert.NotErrorIs(t, err, why)
		assert.Equal(t, 100*time.Millisecond, time.Since(start))
		downloadError(t, err)
	})
}

func bytesAtATime(n int) (cuts []int) {
	for range n {
		cuts = append(cuts, 1)
	}
	return cuts
}

func status(code int) func(*http.Request) *http.Response {
	return func(req *http.Request) *http.Response { return respond(req, code, "Request has expired") }
}

func TestADownloadReadsAnExpiredURLOnceMore(t *testing.T) {
	for _, code := range []int{403, 404, 410} {
		synctest.Test(t, func(t *testing.T) {
			host := &fileHost{content: videoOf(100), answers: map[int]func(*http.Request) *http.Response{0: status(code)},
				urls: []string{videoURL, "https://files.test/fresh.mp4?signature=s1gned2"}}
			_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard)
			require.NoError(t, err)
			assert.Equal(t, "/fresh.mp4", host.requests[1].URL.Path)
			assert.Equal(t, 2, host.reads)
		})
		synctest.Test(t, func(t *testing.T) {
			host := &fileHost{answers: map[int]func(*http.Request) *http.Response{0: status(code), 1: status(code)}}
			_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard)
			assert.Equal(t, code, downloadError(t, err).StatusCode)
			assert.Equal(t, "files.test", downloadError(t, err).Host)
			assert.Len(t, host.requests, 2)
			assert.Equal(t, 2, host.reads)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		host := &fileHost{content: videoOf(100), header: etag(`"a"`), cuts: []int{40}, answers: map[int]func(*http.Request) *http.Response{1: status(403)},
			urls: []string{videoURL, "https://other.test/fresh.mp4"}}
		var out bytes.Buffer
		_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, &out)
		require.NoError(t, err)
		assert.Equal(t, host.content, out.Bytes(), "in the middle as well")
		assert.Equal(t, "bytes=40-", host.requests[2].Header.Get("Range"))
	})
}

func TestADownloadIsTriedAgainWhereThatMayHelp(t *testing.T) {
	for name, tt := range map[string]struct {
		answer   func(*http.Request) *http.Response
		requests int
	}{
		"after 408": {status(408), 2}, "after 425": {status(425), 2}, "after 429": {status(429), 2}, "after 500": {status(500), 2},
		"after 502": {status(502), 2}, "after 503": {status(503), 2}, "after 504": {status(504), 2},
		"not after 501":        {status(501), 1},
		"after a part unasked": {func(req *http.Request) *http.Response { return part(respond(req, 200, ""), []byte("video"), 0, 5) }, 2},
		"not after too long a wait": {func(req *http.Request) *http.Response {
			resp := respond(req, 503, "")
			resp.Header.Set("Retry-After", "61")
			return resp
		}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // which leaves the time
			defer cancel()
			host := &fileHost{content: videoOf(100), answers: map[int]func(*http.Request) *http.Response{0: tt.answer}}
			var out bytes.Buffer
			_, err := newClient(t, host).Jobs.Download(ctx, jobID, &out)
			assert.Equal(t, tt.requests == 1, err != nil, name)
			assert.Len(t, host.requests, tt.requests, name)
			if err == nil {
				assert.Equal(t, host.content, out.Bytes(), name)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			if req.URL.Host == "files.test" {
				asked++
				return nil, &tls.CertificateVerificationError{Err: errors.New("expired")}
			}
			return respond(req, 200, jobWith(videoURL)), nil
		})).Jobs.Download(t.Context(), jobID, io.Discard)
		assert.ErrorContains(t, err, "expired")
		assert.Equal(t, 1, asked, "not after a certificate that is not to be trusted")
	})
	synctest.Test(t, func(t *testing.T) {
		host, reads := &fileHost{content: videoOf(100)}, 0
		_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			if req.URL.Host == "api.creatify.ai" {
				if reads++; reads == 1 {
					return respond(req, 503, ""), nil
				}
			}
			return host.RoundTrip(req)
		})).Jobs.Download(t.Context(), jobID, io.Discard)
		assert.NoError(t, err, "the reading of the job is tried again as well")
	})
}

func TestADownloadGivesABusyHostTheTimeItAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &fileHost{content: videoOf(100), answers: map[int]func(*http.Request) *http.Response{0: func(req *http.Request) *http.Response {
			resp := respond(req, 503, "")
			resp.Header.Set("Retry-After", "30")
			return resp
		}}}
		start := time.Now()
		_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard)
		require.NoError(t, err)
		assert.Equal(t, 30*time.Second, time.Since(start))
	})
}

func TestADownloadRefusesWhatIsNotTheVideo(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) *http.Response{
		"another status":       status(400),
		"another success":      status(204),
		"a redirect to no URL": status(302),
		"another coding": func(req *http.Request) *http.Response {
			resp := respond(req, 200, "")
			resp.Header.Set("Content-Encoding", "gzip")
			return resp
		},
		"more than was announced": func(req *http.Request) *http.Response {
			resp := respond(req, 200, "more than that")
			resp.ContentLength = 4
			return resp
		},
	} {
		t.Run(name, func(t *testing.T) {
			host := &fileHost{answers: map[int]func(*http.Request) *http.Response{0: answer}}
			n, err := newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard)
			downloadError(t, err)
			assert.Zero(t, n)
			assert.Len(t, host.requests, 1)
		})
	}
}

func TestADownloadTakesWhatIsSaidNotToBeEncoded(t *testing.T) {
	host := &fileHost{content: videoOf(100), header: http.Header{"Content-Encoding": {"Identity"}}}
	assert.Equal(t, host.content, downloaded(t, host))
}

func TestADownloadShorterThanItsLengthIsNoVideo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			resp := respond(req, 200, jobWith(videoURL))
			if req.URL.Host == "files.test" {
				resp.Body = io.NopCloser(strings.NewReader("half")) // and then io.EOF
			}
			return resp, nil
		})).Jobs.Download(t.Context(), jobID, io.Discard)
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	})
}

func TestADownloadOfAJobWithoutAVideoHasNoOutput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "video.mp4")
	for body, want := range map[string]string{
		`{"id":"` + jobID + `","status":"running"}`:                                           "is running; wait for it with WaitForVideo",
		`{"id":"` + jobID + `","status":"done","preview":"https://x.test","video_output":""}`: "WaitForVideo, after Render",
		`{"id":"` + jobID + `","status":"failed","failed_reason":"bad photo"}`:                "bad photo; there will be none",
		`{"id":"` + jobID + `","status":"rejected"}`:                                          "the job rejected: the API gives no reason; there will be none",
		`{"id":"` + jobID + `"}`:                                                              "is without a status",
		`{"id":"` + jobID + `","status":"done","video_output":"null"}`:                        "is done",
	} {
		client := newClient(t, says(200, body))
		_, err := client.Jobs.Download(t.Context(), jobID, io.Discard)
		assert.ErrorIs(t, err, creatify.ErrNoOutput)
		assert.ErrorContains(t, err, want)
		assert.Equal(t, strings.Contains(body, "failed"), errors.Is(err, creatify.ErrJobFailed))
		_, err = client.Jobs.DownloadFile(t.Context(), jobID, path)
		assert.ErrorIs(t, err, creatify.ErrNoOutput)
		downloadError(t, err)
	}
	_, err := newClient(t, says(200, `{"id":"`+jobID+`","status":"done","video_ou`)).Jobs.Download(t.Context(), jobID, io.Discard)
	assert.NotErrorIs(t, err, creatify.ErrNoOutput, "a reply that is cut does not say that there is none")
	downloadError(t, err)
	_, err = newClient(t, says(404, `{"detail":"Not found."}`)).Jobs.Download(t.Context(), jobID, io.Discard)
	assert.ErrorIs(t, err, creatify.ErrNotFound)
	assert.ErrorContains(t, err, "; check that the ID is right and of this account")
	_, err = newClient(t, says(401, `{"detail":"No."}`)).Jobs.DownloadFile(t.Context(), jobID, path)
	assert.ErrorIs(t, err, creatify.ErrUnauthorized)
	assert.ErrorContains(t, err, "; with the right API ID and key, it can be downloaded again")
	_, err = newClient(t, &fileHost{urls: []string{"https://127.0.0.1/v"}}).Jobs.Download(t.Context(), jobID, io.Discard)
	assert.ErrorContains(t, err, " from 127.0.0.1 (0 bytes written): ")
	assert.ErrorContains(t, err, "; look at where its URL leads; WithPrivateAddresses is for a host of your own")
	_, err = newClient(t, &fileHost{answers: map[int]func(*http.Request) *http.Response{0: status(400)}}).Jobs.Download(t.Context(), jobID, io.Discard)
	assert.ErrorContains(t, err, "; it can be downloaded again, which costs nothing")
	onlyFile(t, filepath.Join(filepath.Dir(path), "none"))
}

func TestTheSizeOfADownloadIsCapped(t *testing.T) {
	for _, noLength := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			host := &fileHost{content: videoOf(1 << 20), noLength: noLength}
			var out bytes.Buffer
			_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, &out, creatify.WithMaxSize(500_000))
			assert.ErrorIs(t, err, creatify.ErrTooLarge)
			assert.ErrorContains(t, err, "WithMaxSize")
			assert.LessOrEqual(t, out.Len(), 500_000)
			assert.Equal(t, noLength, out.Len() > 0, "with a Content-Length nothing is written")
			assert.Len(t, host.requests, 1)
			_, err = newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard, creatify.WithMaxSize(1<<20))
			assert.NoError(t, err, "exactly as large as allowed")
		})
	}
	synctest.Test(t, func(t *testing.T) {
		host := &fileHost{answers: map[int]func(*http.Request) *http.Response{0: func(req *http.Request) *http.Response {
			resp := respond(req, 200, "")
			resp.ContentLength = 4<<30 + 1
			return resp
		}}}
		_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard)
		assert.ErrorIs(t, err, creatify.ErrTooLarge, "the default is 4 GiB")
	})
}

// untilDone is a body that brings nothing until its request ends.
type untilDone struct{ ctx context.Context }

func (u untilDone) Read([]byte) (int, error) { <-u.ctx.Done(); return 0, u.ctx.Err() }
func (untilDone) Close() error               { return nil }

func TestADownloadGivesUpAConnectionWithoutAByte(t *testing.T) {
	stall := func(req *http.Request) *http.Response {
		return &http.Response{StatusCode: 200, Header: etag(`"a"`), ContentLength: 100, Body: untilDone{req.Context()}, Request: req}
	}
	synctest.Test(t, func(t *testing.T) {
		host := &fileHost{content: videoOf(100), header: etag(`"a"`), answers: map[int]func(*http.Request) *http.Response{0: stall}}
		start := time.Now()
		_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard)
		require.NoError(t, err, "the next one brings it")
		assert.InDelta(t, 30.4, time.Since(start).Seconds(), 0.2)
	})
	synctest.Test(t, func(t *testing.T) {
		host := &fileHost{content: videoOf(100), header: etag(`"a"`), answers: map[int]func(*http.Request) *http.Response{0: func(req *http.Request) *http.Response {
			resp := stall(req)
			resp.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(strings.NewReader(string(videoOf(40))), resp.Body), resp.Body}
			return resp
		}}}
		start := time.Now()
		assert.Equal(t, host.content, downloaded(t, host), "nor is one kept that has brought some")
		assert.InDelta(t, 30.4, time.Since(start).Seconds(), 0.2)
	})
	synctest.Test(t, func(t *testing.T) {
		never := roundTrip(func(req *http.Request) (*http.Response, error) {
			if req.URL.Host == "files.test" {
				<-req.Context().Done() // no header either
				return nil, req.Context().Err()
			}
			return respond(req, 200, jobWith(videoURL)), nil
		})
		_, err := newClient(t, never).Jobs.Download(t.Context(), jobID, io.Discard, creatify.WithIdleTimeout(time.Second))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.NotErrorIs(t, err, context.Canceled)
		assert.ErrorContains(t, err, "no byte came for 1s")
	})
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("the shop closes")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, why)
		defer cancel()
		host := &fileHost{answers: map[int]func(*http.Request) *http.Response{0: stall}}
		_, err := newClient(t, host).Jobs.Download(ctx, jobID, io.Discard)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "the shop closes")
		assert.NotErrorIs(t, err, why)
		downloadError(t, err)
	})
	synctest.Test(t, func(t *testing.T) {
		slow := writer(func(b []byte) (int, error) { time.Sleep(time.Minute); return len(b), nil })
		_, err := newClient(t, &fileHost{content: videoOf(200_000)}).Jobs.Download(t.Context(), jobID, slow)
		assert.NoError(t, err, "the writer's time is not the host's")
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func TestAWriterThatFailsEndsTheDownload(t *testing.T) {
	host := &fileHost{content: videoOf(100), header: etag(`"a"`)}
	n, err := newClient(t, host).Jobs.Download(t.Context(), jobID, writer(func([]byte) (int, error) { return 30, syscall.EPIPE }))
	assert.ErrorIs(t, err, syscall.EPIPE)
	assert.EqualValues(t, 30, n)
	assert.Len(t, host.requests, 1)
	_, err = newClient(t, host).Jobs.Download(t.Context(), jobID, writer(func([]byte) (int, error) { return 30, nil }))
	assert.ErrorIs(t, err, io.ErrShortWrite)
}

func TestTheProgressOfADownloadMovesForward(t *testing.T) {
	for _, noLength := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			last, lastTotal, calls := int64(-1), int64(-1), 0
			host := &fileHost{content: videoOf(300_000), cuts: []int{200_000, 150_000}, noLength: noLength}
			_, err := newClient(t, host).Jobs.DownloadFile(t.Context(), jobID, filepath.Join(t.TempDir(), "v"),
				creatify.WithProgress(func(done, total int64) {
					calls++
					assert.True(t, done > last || noLength && done == 300_000, "%d after %d", done, last)
					if noLength && done < 300_000 {
						assert.EqualValues(t, -1, total)
					} else if !noLength {
						assert.EqualValues(t, 300_000, total)
					}
					last, lastTotal = done, total
				}))
			require.NoError(t, err)
			assert.EqualValues(t, 300_000, last)
			assert.EqualValues(t, 300_000, lastTotal)
			assert.Greater(t, calls, 3)
		})
	}
}

func TestADownloadWithoutAByteIsNoVideo(t *testing.T) {
	for _, noLength := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "video.mp4")
			require.NoError(t, os.WriteFile(path, []byte("the old video"), 0o600))
			host := &fileHost{noLength: noLength}
			_, err := newClient(t, host).Jobs.DownloadFile(t.Context(), jobID, path)
			assert.ErrorContains(t, err, "an empty file")
			downloadError(t, err)
			assert.Len(t, host.requests, 6, "it may be there the next time")
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, "the old video", string(got))
			later := &fileHost{content: videoOf(100), answers: map[int]func(*http.Request) *http.Response{0: func(req *http.Request) *http.Response {
				return respond(req, 200, "")
			}}}
			assert.Equal(t, later.content, downloaded(t, later))
		})
	}
}

func TestADownloadThatOnlyTheConnectionsEndEndsIsNoVideo(t *testing.T) {
	const whole, half = "the whole video", "the whole"
	for name, tt := range map[string]struct {
		replies []string
		want    string // of the error
	}{
		"HTTP/1.1":            {[]string{"HTTP/1.1 200 OK\r\n\r\n" + half}, "cannot be told"},
		"HTTP/1.0":            {[]string{"HTTP/1.0 200 OK\r\n\r\n" + half}, "cannot be told"},
		"without a byte":      {[]string{"HTTP/1.0 200 OK\r\n\r\n"}, "cannot be told"},
		"after another file":  {[]string{"HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 15\r\n\r\n" + half, "HTTP/1.1 200 OK\r\nETag: \"b\"\r\n\r\n" + half}, "cannot be told"},
		"with a length known": {[]string{"HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 15\r\n\r\n" + half, "HTTP/1.1 200 OK\r\nETag: \"a\"\r\n\r\n" + whole}, ""},
		"in chunks":           {[]string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n" + whole + "\r\n0\r\n\r\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var s *site
			s = newSite(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if !assert.NoError(t, err) {
					return
				}
				defer conn.Close()
				io.WriteString(conn, tt.replies[min(int(s.asked.Load()), len(tt.replies))-1])
			})
			path := filepath.Join(t.TempDir(), "video.mp4")
			require.NoError(t, os.WriteFile(path, []byte("the old video"), 0o600))
			_, err := s.client(t, new(http.Transport)).Jobs.DownloadFile(t.Context(), jobID, path, creatify.WithPrivateAddresses())
			got, readErr := os.ReadFile(path)
			require.NoError(t, readErr)
			assert.EqualValues(t, len(tt.replies), s.asked.Load())
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, whole, string(got))
				return
			}
			assert.ErrorContains(t, err, tt.want)
			downloadError(t, err)
			assert.Equal(t, "the old video", string(got))
		})
	}
}

func TestALongDownloadTakesNoMoreMemory(t *testing.T) {
	const size = 256 << 20
	host := &fileHost{answers: map[int]func(*http.Request) *http.Response{0: func(req *http.Request) *http.Response {
		return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: size, Request: req,
			Body: io.NopCloser(io.LimitReader(zeros{}, size))}
	}}}
	client := newClient(t, host)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := client.Jobs.Download(t.Context(), jobID, io.Discard)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	assert.EqualValues(t, size, n)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "bytes allocated for 256 MiB")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestADownloadedFileIsWholeOrUntouched(t *testing.T) {
	content := videoOf(100_000)
	failing := func() *fileHost { return &fileHost{content: content, header: etag(`"a"`), cuts: bytesAtATime(100)} }
	whole := func() *fileHost { return &fileHost{content: content} }
	var cancel context.CancelFunc
	tests := []struct {
		name string
		host func() *fileHost
		opt  creatify.DownloadOption
		want error
	}{
		{"when the connection breaks", failing, creatify.WithMaxSize(1 << 30), syscall.ECONNRESET},
		{"when the disk is full", whole, creatify.WithFullDisk(70_000), syscall.ENOSPC},
		{"when the disk cannot keep it", whole, creatify.WithFailingSync(), syscall.EIO},
		{"when it is too large", whole, creatify.WithMaxSize(10), creatify.ErrTooLarge},
		{"when the context ends", failing, creatify.WithProgress(func(int64, int64) { cancel() }), context.Canceled},
	}
	for _, tt := range tests {
		for _, old := range []string{"", "the old video"} {
			t.Run(tt.name+" "+old, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var ctx context.Context
					ctx, cancel = context.WithCancel(t.Context())
					defer cancel()
					path := filepath.Join(t.TempDir(), "video.mp4")
					if old != "" {
						require.NoError(t, os.WriteFile(path, []byte(old), 0o600))
					}
					n, err := newClient(t, tt.host()).Jobs.DownloadFile(ctx, jobID, path, tt.opt)
					assert.ErrorIs(t, err, tt.want)
					assert.Zero(t, n)
					got, err := os.ReadFile(path)
					assert.Equal(t, old, string(got))
					assert.Equal(t, old == "", errors.Is(err, os.ErrNotExist))
					onlyFile(t, path)
				})
			})
		}
	}
	t.Run("when the caller's function panics", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "video.mp4")
		assert.Panics(t, func() {
			newClient(t, whole()).Jobs.DownloadFile(t.Context(), jobID, path, creatify.WithProgress(func(int64, int64) { panic("x") }))
		})
		onlyFile(t, filepath.Join(filepath.Dir(path), "none"))
	})
}

func TestADownloadedFileIsReplacedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "video.mp4")
	require.NoError(t, os.WriteFile(path, []byte("the old video"), 0o600))
	old, err := os.Open(path)
	require.NoError(t, err)
	defer old.Close()
	_, err = newClient(t, &fileHost{content: videoOf(100_000)}).Jobs.DownloadFile(t.Context(), jobID, path,
		creatify.WithProgress(func(int64, int64) {
			got, err := os.ReadFile(path)
			assert.NoError(t, err)
			assert.Equal(t, "the old video", string(got), "until the new one is whole")
		}))
	want := videoOf(100_000)
	if runtime.GOOS == "windows" { // which does not replace a file that is open
		assert.Error(t, err)
		want = []byte("the old video")
	} else {
		require.NoError(t, err)
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	before, err := io.ReadAll(old)
	require.NoError(t, err)
	assert.Equal(t, "the old video", string(before), "who has it open goes on reading it")
	onlyFile(t, path)
}

func TestADownloadedFileHasTheUsualPermissionsOrThoseItHad(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has other permissions")
	}
	dir := t.TempDir()
	usual, err := os.Create(filepath.Join(dir, "usual"))
	require.NoError(t, err)
	defer usual.Close()
	want, err := usual.Stat()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), nil, 0o600))
	for name, mode := range map[string]os.FileMode{"new": want.Mode(), "secret": 0o600} {
		_, err := newClient(t, &fileHost{content: videoOf(9)}).Jobs.DownloadFile(t.Context(), jobID, filepath.Join(dir, name))
		require.NoError(t, err)
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode(), name)
	}
}

func TestANameThatNoFileCanHaveIsNoticedBeforeAByteIsAskedFor(t *testing.T) {
	names := []string{"a\x00b"}
	if runtime.GOOS != "windows" { // where the whole path counts
		names = append(names, strings.Repeat("n", 300))
	}
	dir := t.TempDir()
	for _, name := range names {
		host := &fileHost{content: videoOf(9)}
		_, err := newClient(t, host).Jobs.DownloadFile(t.Context(), jobID, filepath.Join(dir, name))
		assert.ErrorContains(t, err, "it cannot be written")
		downloadError(t, err)
		assert.Empty(t, host.requests)
	}
	onlyFile(t, filepath.Join(dir, "none"))
}

func TestDownloadsRefuseBadParameters(t *testing.T) {
	host := &fileHost{}
	jobs, dir := newClient(t, host).Jobs, t.TempDir()
	// One of the test's own stands for all special files: were the check lost, a device of the system would be replaced.
	short, err := os.MkdirTemp("", "s") // a socket's path is limited
	require.NoError(t, err)
	defer os.RemoveAll(short)
	special := filepath.Join(short, "s")
	socket, err := net.Listen("unix", special)
	require.NoError(t, err)
	defer socket.Close()
	calls := map[string]func() error{
		"id: is empty":                             func() error { _, err := jobs.Download(t.Context(), "", io.Discard); return err },
		"w: is nil":                                func() error { _, err := jobs.Download(t.Context(), jobID, nil); return err },
		"path: names no file":                      func() error { _, err := jobs.DownloadFile(t.Context(), jobID, ""); return err },
		"path: is there and is not a regular":      func() error { _, err := jobs.DownloadFile(t.Context(), jobID, dir); return err },
		"path: is there and is not a regular file": func() error { _, err := jobs.DownloadFile(t.Context(), jobID, special); return err },
		"download option 1: is nil":                func() error { _, err := jobs.Download(t.Context(), jobID, io.Discard, nil); return err },
		"WithMaxSize: must be above zero, not 0": func() error {
			_, err := jobs.Download(t.Context(), jobID, io.Discard, creatify.WithMaxSize(0))
			return err
		},
		"WithIdleTimeout: must be above zero, not -1ns": func() error {
			_, err := jobs.Download(t.Context(), jobID, io.Discard, creatify.WithIdleTimeout(-1))
			return err
		},
	}
	for want, call := range calls {
		err := call()
		assert.ErrorIs(t, err, creatify.ErrInvalidParams)
		assert.ErrorContains(t, err, want)
	}
	assert.Zero(t, host.reads)
	_, err = jobs.DownloadFile(t.Context(), jobID, filepath.Join(dir, "none", "video.mp4"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestADownloadDoesNotAskForUnsafeURLs(t *testing.T) {
	unsafe := []string{"http://files.test/v", "http://93.184.216.34/v", "ftp://files.test/v", "file:///v", "https:///v", "https://[::1/v", "https://me:pw@files.test/v",
		"https://127.0.0.1/v", "https://127.0.0.1./v", "https://127.8.9.10/v", "https://10.1.2.3/v", "https://172.16.0.1/v",
		"https://192.168.1.1/v", "https://169.254.169.254/latest/meta-data", "https://100.64.0.1/v", "https://100.127.255.255/v",
		"https://0.0.0.0/v", "https://224.0.0.1/v", "https://255.255.255.255/v", "https://[::]/v", "https://[::1]/v", "https://[fe80::1]/v",
		"https://[fe80::1%25eth0]/v", "https://[fc00::1]/v", "https://[fd12::1]/v", "https://[ff02::1]/v", "https://[::ffff:127.0.0.1]/v",
		"https://[::ffff:a00:1]/v", "https://[::127.0.0.1]/v", "https://[64:ff9b::7f00:1]/v", "https://[64:ff9b::10.0.0.1]/v", "https://[64:ff9b:1::a00:1]/v",
		"https://[2002:7f00:1::]/v", "https://[2001:0:1::]/v", "https://localhost/v", "https://LOCALHOST./v", "https://a.localhost/v",
		"https://192.0.0.1/v", "https://192.0.2.1/v", "https://192.88.99.1/v", "https://198.18.0.1/v", "https://198.19.255.255/v",
		"https://198.51.100.1/v", "https://203.0.113.1/v", "https://[2001:db8::1]/v", "https://[3fff::1]/v", "https://0x7f000001/v",
		"https://127.0/v", "https://127.9/v", "https://a../v",
		"https://2130706433/v", "https://0x7f.1/v", "https://127.1/v", "https://0177.0.0.1/v", "https://１２７.０.０.１/v"}
	for _, video := range unsafe {
		t.Run(video, func(t *testing.T) {
			host := &fileHost{urls: []string{video}, content: videoOf(9)} // which is in memory, and would be had at once
			_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard)
			assert.ErrorIs(t, err, creatify.ErrRefusedURL)
			assert.NotErrorIs(t, err, creatify.ErrNoOutput)
			downloadError(t, err)
			host = &fileHost{content: videoOf(9), answers: map[int]func(*http.Request) *http.Response{0: redirect(video)}}
			_, err = newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard)
			assert.ErrorIs(t, err, creatify.ErrRefusedURL, "after a redirect")
			assert.Len(t, host.requests, 1)
		})
	}
	for _, video := range []string{"/v.mp4", "//files.test/v", "mailto:v@files.test", "data:video/mp4,v"} {
		_, err := newClient(t, &fileHost{urls: []string{video}, content: videoOf(9)}).Jobs.Download(t.Context(), jobID, io.Discard)
		assert.ErrorIs(t, err, creatify.ErrRefusedURL, video)
		assert.NotErrorIs(t, err, creatify.ErrNoOutput, video)
	}
	for _, video := range []string{"https://93.184.216.34/v", "https://[2606:2800:220:1::1]/v", "https://[64:ff9b::5db8:d822]/v",
		"https://[::ffff:93.184.216.34]/v", "https://files.test:8443/v", "https://100.128.0.1/v", "https://172.32.0.1/v"} {
		_, err := newClient(t, &fileHost{urls: []string{video}, content: videoOf(9)}).Jobs.Download(t.Context(), jobID, io.Discard)
		assert.NoError(t, err, video)
	}
}

func redirect(to string) func(*http.Request) *http.Response {
	return func(req *http.Request) *http.Response {
		resp := respond(req, 302, "")
		resp.Header.Set("Location", to)
		return resp
	}
}

func TestADownloadFollowsRedirectsAsFarAsIsSafe(t *testing.T) {
	private := creatify.WithPrivateAddresses()
	host := &fileHost{content: videoOf(100), answers: map[int]func(*http.Request) *http.Response{
		0: redirect("/elsewhere?signature=s1gned"), 1: redirect("https://cdn.test/v?signature=s1gned")}}
	_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, "https://cdn.test/v?signature=s1gned", host.requests[2].URL.String())
	for _, req := range host.requests {
		assert.Empty(t, req.Header.Get("Referer"), "which would show a signed URL to another host")
	}

	endless := &fileHost{answers: map[int]func(*http.Request) *http.Response{}}
	for i := range 100 {
		endless.answers[i] = redirect(fmt.Sprintf("/%d?signature=s1gned", i))
	}
	_, err = newClient(t, endless).Jobs.Download(t.Context(), jobID, io.Discard)
	assert.ErrorContains(t, err, "more than 10 redirects")
	assert.Len(t, endless.requests, 11)
	downloadError(t, err)

	for code, follows := range map[int]bool{300: false, 301: true, 302: true, 303: true, 304: false, 307: true, 308: true} {
		host := &fileHost{content: videoOf(100), answers: map[int]func(*http.Request) *http.Response{0: func(req *http.Request) *http.Response {
			resp := redirect("/elsewhere")(req)
			resp.StatusCode = code
			return resp
		}}}
		_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard)
		assert.Equal(t, follows, err == nil, "%d", code)
	}

	for to, want := range map[string]string{
		"http://[::1":      "files.test redirects to what is no URL",
		"ftp://cdn.test/v": "its URL is not https",
		"file:///etc/v":    "its URL is not https",
		"http:///v":        "its URL has no host",
	} {
		host := &fileHost{urls: []string{"http://files.test/v"}, answers: map[int]func(*http.Request) *http.Response{0: redirect(to)}}
		_, err := newClient(t, host).Jobs.Download(t.Context(), jobID, io.Discard, private)
		assert.ErrorIs(t, err, creatify.ErrRefusedURL, to)
		assert.ErrorContains(t, err, want)
		assert.Len(t, host.requests, 1)
	}

	down := &fileHost{answers: map[int]func(*http.Request) *http.Response{0: redirect("http://files.test/v?signature=s1gned")}}
	_, err = newClient(t, down).Jobs.Download(t.Context(), jobID, io.Discard, private)
	assert.ErrorContains(t, err, "from https to http")
	assert.ErrorIs(t, err, creatify.ErrRefusedURL)
	downloadError(t, err)
}

func TestTheCallersCheckRedirectCanEndADownload(t *testing.T) {
	veto := errors.New("not there")
	host := &fileHost{content: videoOf(1), answers: map[int]func(*http.Request) *http.Response{0: redirect("https://cdn.test/v")}}
	asked := 0
	client := newClient(t, nil, creatify.WithHTTPClient(&http.Client{Transport: host, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		asked++
		assert.Equal(t, "cdn.test", req.URL.Host)
		assert.Len(t, via, 1)
		req.Header.Set("Authorization", "secret")
		return veto
	}}))
	_, err := client.Jobs.Download(t.Context(), jobID, io.Discard)
	assert.ErrorIs(t, err, veto)
	assert.Equal(t, 1, asked)
	veto, host.requests = errors.New("not to https://cdn.test/v?signature=s1gned"), nil
	_, err = client.Jobs.Download(t.Context(), jobID, io.Discard)
	assert.ErrorIs(t, err, creatify.ErrRefusedURL, "also when what it says cannot be shown")
	downloadError(t, err)
	assert.Len(t, host.requests, 1)
	veto, host.requests = nil, nil
	_, err = client.Jobs.Download(t.Context(), jobID, io.Discard)
	require.NoError(t, err)
	assert.Empty(t, host.requests[1].Header.Get("Authorization"))
}

func TestADownloadsErrorsShowNoSignedURL(t *testing.T) {
	for name, below := range map[string]error{
		"a url.Error":           &url.Error{Op: "Get", URL: videoURL, Err: errors.New("x")},
		"a text":                errors.New("cannot GET " + videoURL),
		"one within":            wrapped{errors.New("cannot GET " + videoURL)},
		"the query by itself":   errors.New("bad signature=s1gned"),
		"another query":         errors.New("cannot GET https://cdn.test/v?token=s1gned"),
		"a certificate's error": fmt.Errorf("GET %s: %w", videoURL, &tls.CertificateVerificationError{Err: errors.New("x")}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
					if req.URL.Host == "files.test" {
						return nil, below
					}
					return respond(req, 200, jobWith(videoURL)), nil
				})).Jobs.Download(t.Context(), jobID, io.Discard)
				downloadError(t, err)
			})
		})
	}
}

// site is a server with the API and a video on real sockets. The video's URL may be another.
type site struct {
	*httptest.Server
	video atomic.Value // string
	asked atomic.Int32 // for the video
	serve http.HandlerFunc
}

func newSite(t *testing.T, serve http.HandlerFunc) *site {
	s := &site{serve: serve}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			io.WriteString(w, jobWith(s.video.Load().(string)))
			return
		}
		s.asked.Add(1)
		s.serve(w, r)
	}))
	t.Cleanup(s.Close)
	s.video.Store(s.URL + "/video.mp4?signature=s1gned")
	return s
}

func (s *site) client(t *testing.T, transport *http.Transport) *creatify.Client {
	t.Cleanup(transport.CloseIdleConnections)
	return newClient(t, transport, creatify.WithBaseURL(s.URL))
}

func TestADownloadCarriesNoCredentials(t *testing.T) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	var seen []http.Header
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Clone())
		http.SetCookie(w, &http.Cookie{Name: "tracking", Value: "1", Path: "/"})
		if r.URL.Path == "/video.mp4" {
			http.Redirect(w, r, "/moved.mp4", http.StatusFound)
			return
		}
		io.WriteString(w, "video")
	})
	at, _ := url.Parse(s.URL)
	jar.SetCookies(at, []*http.Cookie{{Name: "session", Value: "secret"}})
	client := newClient(t, nil, creatify.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Jar: jar}),
		creatify.WithBaseURL(s.URL))
	var out bytes.Buffer
	_, err = client.Jobs.Download(t.Context(), jobID, &out, creatify.WithPrivateAddresses())
	require.NoError(t, err)
	assert.Equal(t, "video", out.String())
	require.Len(t, seen, 2)
	for _, header := range seen {
		assert.Equal(t, "identity", header.Get("Accept-Encoding"))
		assert.Contains(t, header.Get("User-Agent"), "creatify-go/")
		for name, values := range header {
			assert.Contains(t, []string{"Accept-Encoding", "User-Agent", "Connection"}, name)
			assert.NotContains(t, fmt.Sprint(values), creatifytest.APIKey)
			assert.NotContains(t, fmt.Sprint(values), creatifytest.APIID)
		}
	}
	assert.Len(t, jar.Cookies(at), 1, "nor are cookies kept")
}

// closing counts how often a body is closed.
type closing struct {
	io.Reader
	times *int
}

func (c *closing) Close() error { *c.times++; return nil }

func TestADownloadClosesEachReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &fileHost{content: videoOf(100), answers: map[int]func(*http.Request) *http.Response{0: redirect("/a"), 1: status(503), 2: redirect("/b")}}
		opened, closed := 0, 0
		_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			resp, err := host.RoundTrip(req)
			if req.URL.Host == "files.test" {
				opened++
				resp.Body = &closing{resp.Body, &closed}
			}
			return resp, err
		})).Jobs.Download(t.Context(), jobID, io.Discard)
		require.NoError(t, err)
		assert.Equal(t, 4, opened)
		assert.Equal(t, opened, closed)
	})
}

func TestADownloadBearsWithATransportThatForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, resp := range map[string]*http.Response{"the reply": nil, "the body": {StatusCode: 200, ContentLength: 5, Header: http.Header{}}} {
			asked := 0
			host := &fileHost{content: videoOf(5)}
			_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				if req.URL.Host == "files.test" {
					if asked++; asked == 1 {
						return resp, nil
					}
				}
				return host.RoundTrip(req)
			})).Jobs.Download(t.Context(), jobID, io.Discard)
			assert.NoError(t, err, name)
			assert.Equal(t, 2, asked, name)
		}
	})
}

func TestADownloadByARealConnectionIsResumed(t *testing.T) {
	content := videoOf(1 << 20)
	cut := true
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"a"`)
		if cut {
			cut = false
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			w.Write(content[:500_000])
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
	client := s.client(t, &http.Transport{DisableKeepAlives: true})
	var out bytes.Buffer
	_, err := client.Jobs.Download(t.Context(), jobID, &out, creatify.WithPrivateAddresses())
	require.NoError(t, err)
	assert.True(t, bytes.Equal(content, out.Bytes()))
	assert.EqualValues(t, 2, s.asked.Load())
}

// elsewhere is a connection that says that it goes to a public address.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(93, 184, 216, 34), Port: 443}
}

func TestADownloadChecksTheAddressOfAConnection(t *testing.T) {
	s := newSite(t, nil)
	var asked atomic.Int32
	files := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/inside" {
			http.Redirect(w, r, "https://inside.example.com/v", http.StatusFound)
			return
		}
		io.WriteString(w, "video")
	}))
	files.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that the refusals break off
	files.EnableHTTP2 = true
	files.StartTLS()
	defer files.Close()
	inside := files.Listener.Addr().String()
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, "127.") {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, inside)
		if addr == "example.com:443" {
			return elsewhere{conn}, err
		}
		return conn, err
	}
	config := files.Client().Transport.(*http.Transport).TLSClientConfig
	secured := config.Clone()
	secured.InsecureSkipVerify = true // which is about names, and these tests are not
	secured.NextProtos = nil          // HTTP/2 is for the transports that ask for it
	dialTLS := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return tls.Client(conn, secured), nil
	}
	oldDial := func(network, addr string) (net.Conn, error) { return dial(context.Background(), network, addr) }
	oldDialTLS := func(network, addr string) (net.Conn, error) { return dialTLS(context.Background(), network, addr) }
	for name, transport := range map[string]*http.Transport{
		"by DialContext":              {DialContext: dial, TLSClientConfig: secured.Clone()},
		"by DialContext, with HTTP/2": {DialContext: dial, TLSClientConfig: secured.Clone(), ForceAttemptHTTP2: true},
		"by DialTLSContext":           {DialContext: dial, DialTLSContext: dialTLS},
		"by Dial":                     {Dial: oldDial, TLSClientConfig: secured.Clone()},
		"by DialTLS":                  {Dial: oldDial, DialTLS: oldDialTLS},
	} {
		t.Run(name, func(t *testing.T) {
			client := s.client(t, transport)
			for path, want := range map[string]struct {
				err   error
				asked int32
			}{
				"https://example.com/v":        {nil, 1},
				"https://inside.example.com/v": {creatify.ErrRefusedURL, 0}, // a name that resolves to loopback
				"https://example.com/inside":   {creatify.ErrRefusedURL, 1},
			} {
				asked.Store(0)
				s.video.Store(path)
				_, err := client.Jobs.Download(t.Context(), jobID, io.Discard)
				assert.ErrorIs(t, err, want.err, path)
				assert.Equal(t, want.asked, asked.Load(), path)
			}
			s.video.Store("https://inside.example.com/v")
			_, err := client.Jobs.Download(t.Context(), jobID, io.Discard, creatify.WithPrivateAddresses())
			assert.NoError(t, err)
			asked.Store(0)
			_, err = client.Jobs.Download(t.Context(), jobID, io.Discard)
			assert.ErrorIs(t, err, creatify.ErrRefusedURL, "whatever connections there are already")
			assert.Zero(t, asked.Load())
		})
	}
}

// closable tells when it is closed.
type closable struct {
	net.Conn
	closed *atomic.Int32
}

func (c closable) Close() error { c.closed.Add(1); return c.Conn.Close() }

func TestADownloadLeavesNoConnection(t *testing.T) {
	files := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "video") }))
	defer files.Close()
	files.Config.ErrorLog = log.New(io.Discard, "", 0)
	insecure := files.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	insecure.InsecureSkipVerify = true // which is about names, and this test is not
	s := newSite(t, nil)
	var opened, closed atomic.Int32
	client := s.client(t, &http.Transport{TLSClientConfig: insecure, DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, "127.") {
			return dialTo(ctx, addr)
		}
		conn, err := dialTo(ctx, files.Listener.Addr().String())
		opened.Add(1)
		conn = closable{conn, &closed}
		if addr == "example.com:443" {
			conn = elsewhere{conn}
		}
		return conn, err
	}})
	for video, want := range map[string]error{"https://example.com/v": nil, "https://inside.example.com/v": creatify.ErrRefusedURL} {
		opened.Store(0)
		closed.Store(0)
		s.video.Store(video)
		_, err := client.Jobs.Download(t.Context(), jobID, io.Discard)
		assert.ErrorIs(t, err, want, video)
		assert.Equal(t, int32(1), opened.Load(), video)
		settles(t, "a connection to "+video+" is left open", func() bool { return closed.Load() == 1 })
	}
}

func TestADownloadMakesDoWithNoOtherConnectionThanItIsAllowed(t *testing.T) {
	down := errors.New("the network is down")
	for name, tt := range map[string]struct {
		transport func(dialled *atomic.Int32) *http.Transport
		want      error
		dialled   int32
	}{
		"when dialing fails": {func(dialled *atomic.Int32) *http.Transport {
			return &http.Transport{DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				if strings.HasPrefix(addr, "127.") {
					return dialTo(ctx, addr)
				}
				dialled.Add(1)
				return nil, down
			}}
		}, down, 1},
		"when it leads to no address of the Internet": {func(dialled *atomic.Int32) *http.Transport {
			return &http.Transport{DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				if strings.HasPrefix(addr, "127.") {
					return dialTo(ctx, addr)
				}
				dialled.Add(1)
				here, _ := net.Pipe()
				return here, nil
			}}
		}, creatify.ErrRefusedURL, 1},
		"when it is not known whether there is a proxy": {func(dialled *atomic.Int32) *http.Transport {
			return &http.Transport{
				Proxy: func(req *http.Request) (*url.URL, error) {
					if req.URL.Scheme == "http" {
						return nil, nil
					}
					return nil, down
				},
				DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
					if strings.HasPrefix(addr, "127.") {
						return dialTo(ctx, addr)
					}
					dialled.Add(1)
					return nil, errors.New("dialled")
				},
			}
		}, down, 0},
		"when a private proxy is dialled by the caller": {func(dialled *atomic.Int32) *http.Transport {
			return &http.Transport{
				Proxy: func(req *http.Request) (*url.URL, error) {
					if req.URL.Scheme == "http" {
						return nil, nil
					}
					return &url.URL{Scheme: "http", Host: "proxy.test:80"}, nil
				},
				DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
					if strings.HasPrefix(addr, "127.") {
						return dialTo(ctx, addr)
					}
					dialled.Add(1)
					assert.Equal(t, "proxy.test:80", addr)
					here, there := net.Pipe()
					there.Close()
					return here, nil
				},
			}
		}, io.ErrClosedPipe, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			s.video.Store("https://example.com/v")
			var dialled atomic.Int32
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // less than the wait for a second try
			defer cancel()
			_, err := s.client(t, tt.transport(&dialled)).Jobs.Download(ctx, jobID, io.Discard)
			assert.ErrorIs(t, err, tt.want)
			assert.Equal(t, tt.dialled, dialled.Load())
		})
	}
}

// TestADownloadFromANameOfThisMachineMakesNoConnection is about the dialer of this library, which asks before it connects.
func TestADownloadFromANameOfThisMachineMakesNoConnection(t *testing.T) {
	resolver := net.DefaultResolver
	defer func() { net.DefaultResolver = resolver }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go answerLoopback(server)
		return client, nil
	}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	var connections atomic.Int32
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	s := newSite(t, nil)
	s.video.Store("https://rebound.example.com:" + port + "/v")
	ours, err := creatify.New("the-id", "the-key", creatify.WithBaseURL(s.URL))
	require.NoError(t, err)
	for _, client := range []*creatify.Client{ours, s.client(t, &http.Transport{})} {
		_, err = client.Jobs.Download(t.Context(), jobID, io.Discard)
		assert.ErrorIs(t, err, creatify.ErrRefusedURL)
		assert.ErrorContains(t, err, "127.0.0.1 is not a public address")
	}
	assert.Zero(t, connections.Load())
}

// answerLoopback answers the questions of DNS, by TCP: every name is 127.0.0.1.
func answerLoopback(conn net.Conn) {
	defer conn.Close()
	for {
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		q := make([]byte, size)
		if _, err := io.ReadFull(conn, q); err != nil {
			return
		}
		end := 12 + bytes.IndexByte(q[12:], 0) + 5
		reply := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
		if q[end-3] == 1 { // A
			reply[7] = 1
			reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
		}
		conn.Write(binary.BigEndian.AppendUint16(nil, uint16(len(reply))))
		conn.Write(reply)
	}
}

func TestADownloadMayUseAPrivateProxyForPublicHosts(t *testing.T) {
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Host)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	s := newSite(t, nil)
	client := s.client(t, &http.Transport{Proxy: func(req *http.Request) (*url.URL, error) {
		if req.URL.Scheme == "http" {
			return nil, nil
		}
		return url.Parse(proxy.URL)
	}})
	for video, want := range map[string][]string{
		"https://files.test/v": {"files.test:443"},
		"https://127.0.0.1/v":  nil,
		"https://localhost/v":  nil,
	} {
		asked = nil
		s.video.Store(video)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // less than the wait for a second try
		_, err := client.Jobs.Download(ctx, jobID, io.Discard)
		cancel()
		assert.Equal(t, want == nil, errors.Is(err, creatify.ErrRefusedURL), "%v", err)
		assert.Equal(t, want, asked)
	}
}
