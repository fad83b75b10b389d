package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRunGivesUpAfterFiveAttemptsWithoutProgress(t *testing.T) {
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
				_, err := written(t, h)
				assert.Contains(t, failureOf(t, err).Reason, syscall.ECONNRESET.Error())
				assert.Len(t, h.requests, 6)
			})
		})
	}
	t.Run("with_progress_there_is_no_end_to_them", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, err := written(t, &host{content: videoOf(2 << 20), header: etag(`"a"`), cuts: repeat(100_000, 20)})
			assert.NoError(t, err)
		})
	})
	t.Run("an_empty_file_may_be_there_the_next_time", func(t *testing.T) {
		for _, noLength := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				h := &host{noLength: noLength}
				got, err := saved(t, h)
				assert.Equal(t, "the host sent an empty file", failureOf(t, err).Reason)
				assert.Len(t, h.requests, 6)
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
			_, err := written(t, roundTrip(func(req *http.Request) (*http.Response, error) {
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
			assert.Equal(t, Failed, failureOf(t, err).Kind)
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
	t.Run("but_does_not_recognize_a_file_at_another_path_by_its_date", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			reads := 0
			h := &host{content: videoOf(1000), header: dated, cuts: []int{600}, answers: map[int]answer{1: status(403)}}
			got, err := saved(t, h, at(&reads, fileURL, "https://files.test/fresh.mp4"))
			require.NoError(t, err)
			assert.Equal(t, string(h.content), got)
			assert.Equal(t, []string{"", "bytes=600-", ""}, h.ranges())
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
