package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var dated = http.Header{"Last-Modified": {"Wed, 01 May 2024 03:04:05 GMT"}, "Date": {"Wed, 01 May 2024 03:05:05 GMT"}}

func TestAttemptResumes(t *testing.T) {
	content := videoOf(100_000)
	const unrecognizable = "cannot be resumed"
	tests := []struct {
		name   string
		host   host
		writer string // the error of ToWriter; ToFile always succeeds
		ranges []string
	}{
		{"in_the_middle", host{header: etag(`"a"`), cuts: []int{40_000}}, "", []string{"", "bytes=40000-"}},
		{"before_the_first_byte", host{header: etag(`"a"`), cuts: []int{0}}, "", []string{"", ""}},
		{"before_the_first_byte_without_a_validator", host{cuts: []int{0}}, "", []string{"", ""}},
		{"three_times", host{header: etag(`"a"`), cuts: []int{1000, 1000, 1000}}, "", []string{"", "bytes=1000-", "bytes=2000-", "bytes=3000-"}},
		{"without_a_length", host{header: etag(`"a"`), cuts: []int{40_000}, noLength: true}, "", []string{"", "bytes=40000-"}},
		{"without_a_validator", host{cuts: []int{40_000}}, unrecognizable, []string{"", ""}},
		{"with_a_weak_ETag", host{header: etag(`W/"a"`), cuts: []int{40_000}}, unrecognizable, []string{"", ""}},
		{"with_a_date_of_change", host{header: dated, cuts: []int{40_000}}, unrecognizable, []string{"", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := tt.host
				h.content = content
				got, err := written(t, &h)
				if tt.writer == "" {
					require.NoError(t, err)
					assert.True(t, bytes.Equal(content, got))
					assert.Equal(t, tt.ranges, h.ranges())
				} else {
					assert.ErrorContains(t, err, tt.writer)
					assert.EqualValues(t, len(got), failureOf(t, err).Written)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				h := tt.host
				h.content = content
				got, err := saved(t, &h)
				require.NoError(t, err)
				assert.True(t, string(content) == got)
				assert.Equal(t, tt.ranges, h.ranges())
			})
		})
	}
}

func TestAttemptNeverSplicesTwoFiles(t *testing.T) {
	content, other := videoOf(100_000), bytes.Repeat([]byte{1}, 100_000)
	rest := other[40_000:]
	but := func(a answer, change func(*http.Response)) answer {
		return func(req *http.Request) *http.Response {
			resp := a(req)
			change(resp)
			return resp
		}
	}
	good := part(rest, 40_000, 100_000, etag(`"a"`))
	tests := []struct {
		name   string
		second answer
	}{
		{"from_elsewhere", part(other[50_000:], 50_000, 100_000, etag(`"a"`))},
		{"from_the_beginning", part(other, 0, 100_000, etag(`"a"`))},
		{"of_another_length", part(other[40_000:99_000], 40_000, 99_000, etag(`"a"`))},
		{"of_another_version", part(rest, 40_000, 100_000, etag(`"b"`))},
		{"with_a_weak_ETag", part(rest, 40_000, 100_000, etag(`W/"a"`))},
		{"with_a_date_instead_of_an_ETag", part(rest, 40_000, 100_000, dated)},
		{"without_an_ETag", part(rest, 40_000, 100_000, nil)},
		{"smaller_than_the_rest", part(other[40_000:60_000], 40_000, 100_000, etag(`"a"`))},
		{"without_a_byte", but(good, func(r *http.Response) { r.Header.Set("Content-Range", "bytes 40000-39999/40000") })},
		{"in_other_units", but(good, func(r *http.Response) { r.Header.Set("Content-Range", "items 40000-99999/100000") })},
		{"beyond_its_length", but(good, func(r *http.Response) { r.Header.Set("Content-Range", "bytes 40000-100000/100000") })},
		{"of_a_length_beyond_numbers", but(good, func(r *http.Response) { r.Header.Set("Content-Range", "bytes 40000-99999/99999999999999999999") })},
		{"without_a_Content-Range", but(good, func(r *http.Response) { r.Header.Del("Content-Range") })},
		{"of_an_unknown_length", but(good, func(r *http.Response) { r.Header.Set("Content-Range", "bytes 40000-99999/*") })},
		{"shorter_than_its_range", but(good, func(r *http.Response) { r.ContentLength = 5 })},
		{"compressed", but(good, func(r *http.Response) { r.Header.Set("Content-Encoding", "gzip") })},
		{"refused_with_416", status(416)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &host{content: content, header: etag(`"a"`), cuts: []int{40_000}, answers: map[int]answer{1: tt.second}}
				file, err := saved(t, h)
				require.NoError(t, err)
				assert.True(t, string(content) == file)
				assert.Equal(t, []string{"", "bytes=40000-", ""}, h.ranges(), "then all of it is read again")
				h.requests = nil
				left, err := written(t, h)
				assert.ErrorContains(t, err, "cannot be resumed", "a writer cannot start over")
				assert.True(t, bytes.Equal(content[:40_000], left))
			})
		})
	}
}

func TestAttemptStartsOverWhenTheFileHasChanged(t *testing.T) {
	was, is := videoOf(2000), bytes.Repeat([]byte{1}, 2000)
	truncated := func(header http.Header) answer {
		return func(req *http.Request) *http.Response {
			resp := whole(was[:1000], header)(req)
			resp.ContentLength = 2000
			return resp
		}
	}
	tests := []struct {
		name string
		host host
	}{
		{"by_its_ETag", host{header: etag(`"new"`), answers: map[int]answer{0: truncated(etag(`"old"`))}}},
		{"by_its_ETag,_without_a_length", host{header: etag(`"new"`), noLength: true, answers: map[int]answer{0: truncated(etag(`"old"`))}}},
		{"and_nothing_identifies_it", host{answers: map[int]answer{0: truncated(nil)}}},
		{"by_its_ETag,_and_its_host_has_no_ranges", host{header: etag(`"new"`), noRanges: true, answers: map[int]answer{0: truncated(etag(`"old"`))}}},
		{"by_its_length", host{content: is[:700], header: etag(`"a"`), answers: map[int]answer{0: truncated(etag(`"a"`))}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := tt.host
				if h.content == nil {
					h.content = is
				}
				got, err := saved(t, &h)
				require.NoError(t, err)
				assert.Equal(t, string(h.content), got)
				h.requests = nil
				left, err := written(t, &h)
				assert.Equal(t, Failed, failureOf(t, err).Kind, "a writer cannot start over")
				assert.Equal(t, was[:1000], left)
			})
		})
	}
}

func TestAttemptRefuses(t *testing.T) {
	tests := []struct {
		name   string
		answer answer
		kind   Kind
		want   string
	}{
		{"another_success", status(204), Failed, "204 No Content"},
		{"another_redirect", status(300, "Location", "/v"), Failed, "300 Multiple Choices"},
		{"a_redirect_to_nowhere", status(302), Failed, "302 Found"},
		{"a_redirect_without_headers", func(*http.Request) *http.Response {
			return &http.Response{StatusCode: 302, Body: http.NoBody}
		}, Failed, "302 Found"},
		{"another_coding", whole(videoOf(9), http.Header{"Content-Encoding": {"aws-chunked, GZIP"}}), Failed, "the coding gzip"},
		{"more_than_was_announced", func(req *http.Request) *http.Response {
			resp := whole(videoOf(9), nil)(req)
			resp.ContentLength = 4
			return resp
		}, Failed, "more than it announced"},
		{"a_length_beyond_the_limit", func(req *http.Request) *http.Response {
			resp := whole(nil, nil)(req)
			resp.ContentLength = 4<<30 + 1
			return resp
		}, TooLarge, "larger than 4294967296 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &host{answers: map[int]answer{0: tt.answer}}
			got, err := written(t, h)
			assert.ErrorContains(t, err, tt.want)
			assert.Equal(t, tt.kind, failureOf(t, err).Kind)
			assert.Empty(t, got)
			assert.Len(t, h.requests, 1)
		})
	}
}

func TestAttemptBoundsTheSize(t *testing.T) {
	for _, noLength := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := &host{content: videoOf(1 << 20), noLength: noLength}
			got, err := written(t, h, func(f *File) { f.MaxSize = 500_000 })
			assert.Equal(t, TooLarge, failureOf(t, err).Kind)
			assert.LessOrEqual(t, len(got), 500_000)
			assert.Equal(t, noLength, len(got) > 0, "with a Content-Length nothing is written")
			assert.Len(t, h.requests, 1)
			_, err = written(t, h, func(f *File) { f.MaxSize = 1 << 20 })
			assert.NoError(t, err, "exactly as large as allowed")
		})
	}
}

// stalls answers with some bytes and then with none until the request's context is over.
func stalls(first []byte) answer {
	return func(req *http.Request) *http.Response {
		resp := whole(nil, etag(`"a"`))(req)
		resp.ContentLength, resp.Body = 1000, io.NopCloser(io.MultiReader(bytes.NewReader(first), silence{req.Context()}))
		return resp
	}
}

type silence struct{ ctx context.Context }

func (s silence) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }

func TestAttemptDropsASilentConnection(t *testing.T) {
	for _, first := range []int{0, 600} {
		synctest.Test(t, func(t *testing.T) {
			h := &host{content: videoOf(1000), header: etag(`"a"`), answers: map[int]answer{0: stalls(videoOf(first))}}
			start := time.Now()
			got, err := written(t, h)
			require.NoError(t, err, "the next one brings the file")
			assert.Equal(t, h.content, got)
			assert.InDelta(t, 30.4, time.Since(start).Seconds(), 0.2)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		never := roundTrip(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done() // no header either
			return nil, req.Context().Err()
		})
		_, err := written(t, never, func(f *File) { f.Idle = time.Second })
		assert.Equal(t, "no byte came for 1s", failureOf(t, err).Reason)
		assert.NotErrorIs(t, err, context.Canceled)
	})
	synctest.Test(t, func(t *testing.T) {
		slow := writer(func(b []byte) (int, error) { time.Sleep(time.Minute); return len(b), nil })
		_, err := newClient(&host{content: videoOf(200_000)}).ToWriter(t.Context(), fileAt(fileURL), slow)
		assert.NoError(t, err, "the writer's time is not the host's")
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func TestAttemptEndsWhenTheWriterFails(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want error
	}{
		{"with_an_error", syscall.EPIPE, syscall.EPIPE},
		{"without_one", nil, io.ErrShortWrite},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &host{content: videoOf(100), header: etag(`"a"`)}
			n, err := newClient(h).ToWriter(t.Context(), fileAt(fileURL), writer(func([]byte) (int, error) { return 30, tt.err }))
			assert.Equal(t, NotWritten, failureOf(t, err).Kind)
			assert.Equal(t, tt.want, failureOf(t, err).Err)
			assert.EqualValues(t, 30, n)
			assert.Len(t, h.requests, 1)
		})
	}
}

func TestAttemptReportsProgressThatOnlyGrows(t *testing.T) {
	for _, noLength := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			last, lastTotal, calls := int64(-1), int64(-1), 0
			h := &host{content: videoOf(300_000), cuts: []int{200_000, 150_000}, noLength: noLength}
			_, err := saved(t, h, func(f *File) {
				f.Progress = func(done, total int64) {
					calls++
					assert.True(t, done > last || noLength && done == 300_000, "%d after %d", done, last)
					if noLength && done < 300_000 {
						assert.EqualValues(t, -1, total)
					} else if !noLength {
						assert.EqualValues(t, 300_000, total)
					}
					last, lastTotal = done, total
				}
			})
			require.NoError(t, err)
			assert.EqualValues(t, 300_000, last)
			assert.EqualValues(t, 300_000, lastTotal)
			assert.Greater(t, calls, 3)
		})
	}
}

func TestAttemptKeepsNothingInMemory(t *testing.T) {
	const size = 256 << 20
	h := &host{answers: map[int]answer{0: func(req *http.Request) *http.Response {
		return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: size, Request: req, Body: io.NopCloser(io.LimitReader(zeros{}, size))}
	}}}
	client := newClient(h)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := client.ToWriter(t.Context(), fileAt(fileURL), io.Discard)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	assert.EqualValues(t, size, n)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "bytes allocated for 256 MiB")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// wire is a server that sends bytes as they are, one response for each connection; the last one again and
// again.
type wire struct {
	*httptest.Server
	connections atomic.Int32
}

func newWire(t *testing.T, responses ...string) *wire {
	w := new(wire)
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(rw).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer conn.Close()
		io.WriteString(conn, responses[min(int(w.connections.Add(1)), len(responses))-1])
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *wire) file(f *File) {
	f.Private = true
	f.Locate = func(context.Context) (string, error) { return w.URL + "/video.mp4?signature=s1gned", nil }
}

func TestAttemptNeedsAnEndThatIsNotTheConnections(t *testing.T) {
	all := string(videoOf(1500))
	half, length := all[:900], "Content-Length: 1500\r\n\r\n"
	const ok, a, b = "HTTP/1.1 200 OK\r\n", "ETag: \"a\"\r\n", "ETag: \"b\"\r\n"
	const lookalike = "if truncated, it would look complete"
	tests := []struct {
		name      string
		responses []string
		want      string // error
	}{
		{"HTTP/1.1", []string{ok + "\r\n" + half}, lookalike},
		{"HTTP/1.0", []string{"HTTP/1.0 200 OK\r\n\r\n" + half}, lookalike},
		{"without_a_byte", []string{"HTTP/1.0 200 OK\r\n\r\n"}, lookalike},
		{"after_another_file", []string{ok + a + length + half, ok + b + "\r\n" + half}, lookalike},
		{"in_chunks", []string{ok + "Transfer-Encoding: chunked\r\n\r\n" + strconv.FormatInt(1500, 16) + "\r\n" + all + "\r\n0\r\n\r\n"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWire(t, tt.responses...)
			got, err := saved(t, new(http.Transport), w.file)
			assert.EqualValues(t, len(tt.responses), w.connections.Load())
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, all, got)
				return
			}
			assert.ErrorContains(t, err, tt.want)
			assert.Equal(t, oldFile, got)
		})
	}
}

func TestAttemptResumesOnARealConnection(t *testing.T) {
	content := videoOf(1 << 20)
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"a"`)
		if asked.Add(1) == 1 {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			w.Write(content[:500_000])
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	defer server.Close()
	var out strings.Builder
	_, err := newClient(new(http.Transport)).ToWriter(t.Context(), fileAt(server.URL, private), &out)
	require.NoError(t, err)
	assert.True(t, string(content) == out.String())
	assert.EqualValues(t, 2, asked.Load())
}

func TestRunGivesUpAfterAMinuteWithoutProgress(t *testing.T) {
	tests := []struct {
		name string
		cuts []int
	}{
		{"without_a_byte", make([]int, 1000)},
		{"with_a_thousand_bytes_each", repeat(1000, 1000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &host{content: videoOf(1 << 20), header: etag(`"a"`), cuts: tt.cuts}
				start := time.Now()
				_, err := written(t, h)
				assert.Contains(t, failureOf(t, err).Reason, syscall.ECONNRESET.Error())
				assert.InDelta(t, 65, time.Since(start).Seconds(), 6)
				assert.Less(t, len(h.requests), 20)
			})
		})
	}
	t.Run("with_progress_there_is_no_end_to_them", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, err := written(t, &host{content: videoOf(1 << 20), header: etag(`"a"`), cuts: repeat(100_000, 10)})
			assert.NoError(t, err)
		})
	})
	t.Run("an_empty_file_may_be_there_the_next_time", func(t *testing.T) {
		for _, noLength := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				h := &host{noLength: noLength}
				got, err := saved(t, h)
				assert.Equal(t, "the host sent an empty file", failureOf(t, err).Reason)
				assert.Less(t, len(h.requests), 20)
				assert.Equal(t, oldFile, got)
				later := &host{content: videoOf(100), answers: map[int]answer{0: whole(nil, nil)}}
				got, err = saved(t, later)
				require.NoError(t, err)
				assert.Equal(t, string(later.content), got)
			})
		}
	})
	t.Run("a_file_shorter_than_its_length_is_truncated", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, err := saved(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				resp := whole(videoOf(9), nil)(req) // and then io.EOF
				resp.ContentLength = 10
				return resp, nil
			}))
			assert.Contains(t, failureOf(t, err).Reason, "it was truncated")
		})
	})
}

func repeat(n, times int) (all []int) {
	for range times {
		all = append(all, n)
	}
	return all
}

func TestRunObeysItsContext(t *testing.T) {
	broken := func() *host { return &host{content: videoOf(1000), cuts: make([]int, 1000)} }
	t.Run("a_pause_that_would_pass_the_deadline_is_not_begun", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := newClient(broken()).ToWriter(ctx, fileAt(fileURL), new(bytes.Buffer))
			assert.Equal(t, Broken, failureOf(t, err).Kind)
			assert.Less(t, time.Since(start), time.Second)
		})
	})
	why := errors.New("shutting down")
	t.Run("in_a_pause", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
			start := time.Now()
			_, err := newClient(broken()).ToWriter(ctx, fileAt(fileURL), new(bytes.Buffer))
			failure := failureOf(t, err)
			assert.Equal(t, Ended, failure.Kind)
			assert.Equal(t, context.Canceled, failure.Err)
			assert.Equal(t, "context canceled: shutting down", failure.Reason, "the cause is text")
			assert.Equal(t, 100*time.Millisecond, time.Since(start))
		})
	})
	t.Run("in_an_attempt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, why)
			defer cancel()
			h := &host{answers: map[int]answer{0: stalls(nil)}}
			_, err := newClient(h).ToWriter(ctx, fileAt(fileURL), new(bytes.Buffer))
			failure := failureOf(t, err)
			assert.Equal(t, Ended, failure.Kind)
			assert.Equal(t, context.DeadlineExceeded, failure.Err)
			assert.Equal(t, "context deadline exceeded: shutting down", failure.Reason)
		})
	})
	t.Run("while_the_file_is_located", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := newClient(broken()).ToWriter(ctx, fileAt("", func(f *File) {
			f.Locate = func(context.Context) (string, error) { cancel(); return "", errors.New("no response") }
		}), new(bytes.Buffer))
		assert.Equal(t, context.Canceled, failureOf(t, err).Err)
	})
}

// at locates a file at one URL after another, the last of which stays, and counts.
func at(reads *int, urls ...string) func(*File) {
	return func(f *File) {
		f.Locate = func(context.Context) (string, error) {
			*reads++
			return urls[min(*reads, len(urls))-1], nil
		}
	}
}

func TestRunLocatesTheFileAgainWhenItsURLMayHaveExpired(t *testing.T) {
	for _, code := range []int{400, 401, 403, 404, 410} {
		synctest.Test(t, func(t *testing.T) {
			reads := 0
			h := &host{content: videoOf(100), answers: map[int]answer{0: status(code)}}
			_, err := written(t, h, at(&reads, fileURL, "https://files.test/fresh.mp4?signature=s1gned2"))
			require.NoError(t, err)
			assert.Equal(t, "/fresh.mp4", h.requests[1].URL.Path)
			assert.Equal(t, 2, reads)
		})
	}
	t.Run("in_the_middle_as_well", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			reads := 0
			h := &host{content: videoOf(1000), header: etag(`"a"`), cuts: []int{600}, answers: map[int]answer{1: status(403)}}
			got, err := written(t, h, at(&reads, fileURL, "https://other.test/fresh.mp4"))
			require.NoError(t, err)
			assert.Equal(t, h.content, got)
			assert.Equal(t, "bytes=600-", h.requests[2].Header.Get("Range"))
		})
	})
	t.Run("and_reports_that_it_cannot", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gone := errors.New("no such job")
			reads := 0
			_, err := written(t, &host{answers: map[int]answer{0: status(404)}}, func(f *File) {
				f.Locate = func(context.Context) (string, error) {
					if reads++; reads == 1 {
						return fileURL, nil
					}
					return "", gone
				}
			})
			assert.Equal(t, NotLocated, failureOf(t, err).Kind)
			assert.Equal(t, gone, failureOf(t, err).Err)
		})
	})
}

func TestRunRepeatsAnAttemptWhereThatMayHelp(t *testing.T) {
	tests := []struct {
		name     string
		answer   answer
		attempts int
		pause    time.Duration // at least
	}{
		{"408", status(408), 2, 0},
		{"425", status(425), 2, 0},
		{"429", status(429), 2, 0},
		{"500", status(500), 2, 0},
		{"502", status(502), 2, 0},
		{"503", status(503), 2, 0},
		{"503_that_asks_for_time", status(503, "Retry-After", "30"), 2, 30 * time.Second},
		{"504", status(504), 2, 0},
		{"520", status(520), 2, 0},
		{"522", status(522), 2, 0},
		{"524", status(524), 2, 0},
		{"599", status(599), 2, 0},
		{"a_part_that_was_not_asked_for", part([]byte("video"), 0, 5, nil), 2, 0},
		{"not_402", status(402), 1, 0},
		{"not_451", status(451), 1, 0},
		{"not_501", status(501), 1, 0},
		{"not_505", status(505), 1, 0},
		{"not_503_that_asks_for_too_much_time", status(503, "Retry-After", "61"), 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &host{content: videoOf(100), answers: map[int]answer{0: tt.answer}}
				start := time.Now()
				got, err := written(t, h)
				assert.Len(t, h.requests, tt.attempts)
				assert.GreaterOrEqual(t, time.Since(start), tt.pause)
				if tt.attempts > 1 {
					require.NoError(t, err)
					assert.Equal(t, h.content, got)
				} else {
					assert.Equal(t, h.answers[0](nil).StatusCode, failureOf(t, err).Status)
				}
			})
		})
	}
	t.Run("not_a_certificate_that_is_not_trusted", func(t *testing.T) {
		attempts := 0
		_, err := written(t, roundTrip(func(*http.Request) (*http.Response, error) {
			attempts++
			return nil, &tls.CertificateVerificationError{Err: errors.New("expired")}
		}))
		assert.ErrorContains(t, err, "expired")
		assert.Equal(t, 1, attempts)
	})
}

func TestRunNamesTheHostButNotTheQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := written(t, roundTrip(func(*http.Request) (*http.Response, error) {
			return nil, errors.New("cannot GET " + fileURL + strings.Repeat(" again", 100))
		}))
		failure := failureOf(t, err)
		assert.Equal(t, "files.test", failure.Host)
		assert.Contains(t, failure.Reason, "cannot GET https://files.test/video.mp4?[redacted] again")
		assert.Less(t, len(failure.Reason), 400)
	})
}

func TestRunWaitsForAFileThatIsMissing(t *testing.T) {
	appears := func(after time.Duration) (http.RoundTripper, *int) {
		asked, start := new(int), time.Now()
		return roundTrip(func(req *http.Request) (*http.Response, error) {
			if *asked++; time.Since(start) < after {
				return status(404)(req), nil
			}
			return whole(videoOf(100), nil)(req), nil
		}), asked
	}
	tests := []struct {
		name  string
		after time.Duration
		most  time.Duration // until it is there
	}{
		{"for_4_s", 4 * time.Second, 8 * time.Second},
		{"for_50_s", 50 * time.Second, 60 * time.Second},
		{"but_not_for_90_s", 90 * time.Second, 75 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt, asked := appears(tt.after)
				reads, start := 0, time.Now()
				_, err := written(t, rt, at(&reads, fileURL))
				took := time.Since(start)
				if took < tt.after {
					assert.Equal(t, 404, failureOf(t, err).Status)
					assert.Greater(t, took, 50*time.Second)
				} else {
					assert.NoError(t, err)
				}
				assert.Less(t, took, tt.most)
				assert.Less(t, *asked, 20)
				assert.Equal(t, 2, reads, "the URL is asked for once more")
			})
		})
	}
	t.Run("however_often_the_host_fails_in_between", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := &host{content: videoOf(100), answers: map[int]answer{}}
			for i := range 10 {
				h.answers[i] = status(404)
			}
			h.answers[3], h.answers[5] = status(502), status(503)
			_, err := written(t, h)
			assert.NoError(t, err)
		})
	})
}
