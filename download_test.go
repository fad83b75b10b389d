package creatify_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const videoURL = "https://files.test/video.mp4?signature=s1gned"

// video begins as an MP4 file does.
const video = "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom and the rest of it"

// jobWith is the response about a job whose video is at a URL.
func jobWith(video string) string {
	return `{"id":"` + jobID + `","status":"done","progress":1,"video_output":"` + video + `"}`
}

// withVideo answers for the API with a job whose video is at a URL, and for the video's host with answer.
func withVideo(at string, answer roundTrip) http.RoundTripper {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		if req.URL.Host == "api.creatify.ai" {
			return respond(req, 200, jobWith(at)), nil
		}
		return answer(req)
	})
}

// file answers with a status and a body.
func file(status int, body string) roundTrip {
	return func(req *http.Request) (*http.Response, error) {
		resp := respond(req, status, body)
		resp.Header.Set("Content-Type", "video/mp4")
		return resp, nil
	}
}

// downloadError returns the *DownloadError, which must name the job and hide the query of a signed URL.
func downloadError(t *testing.T, err error) *creatify.DownloadError {
	t.Helper()
	failure, ok := errors.AsType[*creatify.DownloadError](err)
	require.True(t, ok, "%T: %v", err, err)
	assert.Contains(t, err.Error(), jobID)
	said := testkit.Emitted(err)
	assert.NotContains(t, said, "s1gned")
	assert.NotContains(t, said, creatifytest.APIKey)
	return failure
}

func TestDownload(t *testing.T) {
	client := newClient(t, withVideo(videoURL, file(200, video)))
	var out strings.Builder
	n, err := client.Jobs.Download(t.Context(), jobID, &out)
	require.NoError(t, err)
	assert.Equal(t, video, out.String())
	assert.EqualValues(t, len(video), n)
}

func TestDownloadReadsTheJob(t *testing.T) {
	t.Run("again_when_the_API_is_busy", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				if requests++; requests == 1 {
					return respond(req, 503, ""), nil
				}
				return withVideo(videoURL, file(200, video)).RoundTrip(req)
			})).Jobs.Download(t.Context(), jobID, io.Discard)
			assert.NoError(t, err)
		})
	})
	t.Run("again_when_the_URL_has_expired", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			reads := 0
			_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				switch {
				case req.URL.Host == "api.creatify.ai":
					reads++
					return respond(req, 200, jobWith(fmt.Sprintf("https://files.test/%d.mp4", reads))), nil
				case req.URL.Path == "/2.mp4":
					return file(200, video)(req)
				}
				return respond(req, 403, "Request has expired"), nil
			})).Jobs.Download(t.Context(), jobID, io.Discard)
			assert.NoError(t, err)
			assert.Equal(t, 2, reads)
		})
	})
}

// downloadSentinels are what an error may be, those of contexts and disks among them.
var downloadSentinels = map[string]error{
	"ErrInvalidParams": creatify.ErrInvalidParams, "ErrUnauthorized": creatify.ErrUnauthorized, "ErrNotFound": creatify.ErrNotFound,
	"ErrRateLimited": creatify.ErrRateLimited, "ErrInsufficientCredits": creatify.ErrInsufficientCredits,
	"ErrOutcomeUnknown": creatify.ErrOutcomeUnknown, "ErrJobFailed": creatify.ErrJobFailed, "ErrJobRejected": creatify.ErrJobRejected,
	"ErrWaitTimeout": creatify.ErrWaitTimeout, "ErrStalled": creatify.ErrStalled, "ErrPollsFailed": creatify.ErrPollsFailed, "ErrNoOutput": creatify.ErrNoOutput,
	"ErrBudgetExceeded": creatify.ErrBudgetExceeded, "ErrTrackerClosed": creatify.ErrTrackerClosed,
	"ErrInvalidWebhook": creatify.ErrInvalidWebhook, "ErrTooLarge": creatify.ErrTooLarge, "ErrRefusedURL": creatify.ErrRefusedURL,
	"Canceled": context.Canceled, "DeadlineExceeded": context.DeadlineExceeded, "permission denied": fs.ErrPermission,
	"no space left": syscall.ENOSPC,
}

func TestDownloadErrorMatchesOneSentinel(t *testing.T) {
	says := func(status int, body string) http.RoundTripper {
		return roundTrip(func(req *http.Request) (*http.Response, error) {
			resp := respond(req, status, body)
			resp.Header.Set("Retry-After", "120")
			return resp, nil
		})
	}
	job := func(rest string) http.RoundTripper { return says(200, `{"id":"`+jobID+`",`+rest) }
	fails := func(err error) http.RoundTripper {
		return withVideo(videoURL, func(*http.Request) (*http.Response, error) { return nil, err })
	}
	good := withVideo(videoURL, file(200, video))
	writes := func(err error) io.Writer { return writer(func([]byte) (int, error) { return 3, err }) }
	elsewhere := fmt.Errorf("another call: %w", &creatify.JobError{Job: &creatify.Job{Status: creatify.StatusFailed}})
	tests := []struct {
		name string
		api  http.RoundTripper
		w    io.Writer
		opt  creatify.DownloadOption
		end  error  // the cause with which the context is canceled as the video is asked for
		is   string // empty for nothing
		text string
	}{
		{name: "no video yet", api: job(`"status":"running"}`), is: "ErrNoOutput", text: "is running (wait with WaitForVideo"},
		{name: "a preview only", api: job(`"status":"done","preview":"https://x.test","video_output":""}`), is: "ErrNoOutput", text: "is done (wait"},
		{name: "no URL", api: job(`"status":"done","video_output":"null"}`), is: "ErrNoOutput", text: "is done"},
		{name: "no status", api: job(`"progress":1}`), is: "ErrNoOutput", text: "is without a status"},
		{name: "failed", api: job(`"status":"failed","failed_reason":"bad photo"}`), is: "ErrJobFailed", text: "the job failed: bad photo (there will be no video: create another job)"},
		{name: "rejected", api: job(`"status":"rejected"}`), is: "ErrJobRejected", text: "the job was rejected: the API gives no reason (there will be no video"},
		{name: "half a response", api: job(`"status":"done","video_ou`), text: "malformed JSON (download again, free of charge)"},
		{name: "unknown job", api: says(404, `{"detail":"Not found."}`), is: "ErrNotFound", text: "(check the ID and the key's workspace)"},
		{name: "wrong key", api: says(401, `{"detail":"No."}`), is: "ErrUnauthorized", text: "(check the API ID and key)"},
		{name: "forbidden", api: says(403, `{"detail":"No."}`), is: "ErrUnauthorized", text: "403 Forbidden"},
		{name: "throttled", api: says(429, `{"detail":"Slowly."}`), is: "ErrRateLimited", text: "429 Too Many Requests"},
		{name: "out of credits", api: says(402, `{"detail":"No credits."}`), text: "402 Payment Required"},
		{name: "unavailable", api: says(503, ``), text: "503 Service Unavailable"},
		{name: "another job", api: says(200, `{"id":"other","status":"done"}`), text: "another job, other"},
		{name: "unreachable API", api: roundTrip(func(*http.Request) (*http.Response, error) { return nil, os.ErrDeadlineExceeded }), text: "i/o timeout"},
		{name: "http", api: withVideo("http://files.test/v", nil), is: "ErrRefusedURL", text: " from files.test, 0 bytes written: its URL is not https (check where the URL leads"},
		{name: "loopback", api: withVideo("https://127.0.0.1/v", nil), is: "ErrRefusedURL", text: " from 127.0.0.1, 0 bytes written: "},
		{name: "malformed URL", api: withVideo("https://[::1/v", nil), is: "ErrRefusedURL", text: "its URL is malformed"},
		{name: "too large", api: good, opt: creatify.WithMaxSize(9), is: "ErrTooLarge", text: "larger than 9 bytes (WithMaxSize sets the limit)"},
		{name: "401 of the host", api: withVideo(videoURL, file(401, "")), text: "the host answered 401 Unauthorized"},
		{name: "404 of the host", api: withVideo(videoURL, file(404, `{"detail":"Not found."}`)), text: "the host answered 404 Not Found"},
		{name: "429 of the host", api: withVideo(videoURL, file(429, "")), text: "the host answered 429 Too Many Requests"},
		{name: "501 of the host", api: withVideo(videoURL, file(501, "")), text: "501 Not Implemented (download again, free of charge)"},
		{name: "broken connection", api: fails(syscall.ECONNRESET), text: "connection reset by peer"},
		{name: "time-out of a connection", api: fails(os.ErrDeadlineExceeded), text: "i/o timeout"},
		{name: "bad certificate", api: fails(&tls.CertificateVerificationError{Err: errors.New("expired")}), text: "expired"},
		{name: "signed URL", api: fails(&url.Error{Op: "Get", URL: videoURL, Err: errors.New("GET " + videoURL + ": no signature=s1gned")}), text: "?[redacted]"},
		{name: "echoed key", api: fails(errors.New("bad key " + creatifytest.APIKey)), text: "bad key [redacted]"},
		{name: "sentinel in the error of the transport", api: fails(elsewhere), text: "another call: creatify: job"},
		{name: "canceled", api: fails(context.Canceled), end: context.Canceled, is: "Canceled", text: "context canceled (download again"},
		{name: "canceled by another call", api: fails(context.Canceled), end: elsewhere, is: "Canceled", text: "context canceled: another call: creatify: job"},
		{name: "full disk", api: good, w: writes(&fs.PathError{Op: "write", Path: "v", Err: syscall.ENOSPC}), is: "no space left", text: "it cannot be written: write v: no space left"},
		{name: "no permission", api: good, w: writes(fs.ErrPermission), is: "permission denied", text: ", 3 bytes written: it cannot be written"},
		{name: "short write", api: good, w: writes(nil), text: "short write"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
					if tt.end != nil && req.URL.Host == "files.test" {
						cancel(tt.end)
					}
					return tt.api.RoundTrip(req)
				}), creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1}))
				opts := []creatify.DownloadOption{creatify.WithIdleTimeout(time.Second)}
				if tt.opt != nil {
					opts = append(opts, tt.opt)
				}
				w := tt.w
				if w == nil {
					w = new(bytes.Buffer)
				}
				_, err := client.Jobs.Download(ctx, jobID, w, opts...)
				failure := downloadError(t, err)
				assert.Contains(t, err.Error(), tt.text)
				var is []string
				for name, sentinel := range downloadSentinels {
					if errors.Is(failure, sentinel) {
						is = append(is, name)
					}
				}
				assert.Equal(t, tt.is, strings.Join(is, " and "))
				_, api := errors.AsType[*creatify.APIError](err)
				_, job := errors.AsType[*creatify.JobError](err)
				assert.False(t, api || job)
			})
		})
	}
}

func TestDownloadEndsInTheQueueAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, withVideo(videoURL, nil), creatify.WithRateLimit(0.01, 1))
		_, err := client.Jobs.Get(t.Context(), jobID)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = client.Jobs.Download(ctx, jobID, io.Discard)
		downloadError(t, err)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestDownloadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "video.mp4")
	for _, want := range []struct {
		name, host string
		status     int
		content    string
	}{
		{"is_written", video, 200, video},
		{"is_kept_when_the_download_fails", "", 501, video},
		{"is_replaced", video + "2", 200, video + "2"},
	} {
		t.Run(want.name, func(t *testing.T) {
			n, err := newClient(t, withVideo(videoURL, file(want.status, want.host))).Jobs.DownloadFile(t.Context(), jobID, path)
			assert.Equal(t, want.status == 200, err == nil)
			assert.EqualValues(t, len(want.host), n)
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, want.content, string(got))
			left, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			assert.Len(t, left, 1)
		})
	}
	t.Run("fails_without_its_folder", func(t *testing.T) {
		_, err := newClient(t, withVideo(videoURL, nil)).Jobs.DownloadFile(t.Context(), jobID, filepath.Join(t.TempDir(), "none", "video.mp4"))
		downloadError(t, err)
		assert.ErrorIs(t, err, fs.ErrNotExist)
	})
}

func TestDownloadOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []string
		client := newClient(t, withVideo("http://127.0.0.1/v", func(req *http.Request) (*http.Response, error) {
			resp := respond(req, 200, video)
			resp.Header.Set("Content-Type", "video/mp4")
			return resp, nil
		}))
		_, err := client.Jobs.Download(t.Context(), jobID, io.Discard, creatify.WithPrivateAddresses(), creatify.WithProgress(func(done, total int64) {
			calls = append(calls, fmt.Sprintf("%d of %d", done, total))
		}))
		require.NoError(t, err)
		assert.Equal(t, []string{fmt.Sprintf("%d of %d", len(video), len(video))}, calls)
	})
	t.Run("the_largest_file_is_4_GiB_by_default", func(t *testing.T) {
		_, err := newClient(t, withVideo(videoURL, func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: 4<<30 + 1, Body: http.NoBody}, nil
		})).Jobs.Download(t.Context(), jobID, io.Discard)
		assert.ErrorIs(t, err, creatify.ErrTooLarge)
	})
	t.Run("a_connection_may_be_silent_for_30_s_by_default", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start, asked := time.Now(), 0
			_, err := newClient(t, withVideo(videoURL, func(req *http.Request) (*http.Response, error) {
				if asked++; asked == 1 {
					<-req.Context().Done()
					return nil, req.Context().Err()
				}
				return file(200, video)(req)
			})).Jobs.Download(t.Context(), jobID, io.Discard)
			require.NoError(t, err)
			assert.InDelta(t, 30.4, time.Since(start).Seconds(), 0.2)
		})
	})
}

func TestDownloadRefusesBadParameters(t *testing.T) {
	jobs := newClient(t, roundTrip(func(*http.Request) (*http.Response, error) { panic("nothing is sent") })).Jobs
	download := func(id string, w io.Writer, opts ...creatify.DownloadOption) error {
		_, err := jobs.Download(t.Context(), id, w, opts...)
		return err
	}
	tests := []struct {
		want string
		err  error
	}{
		{"id: is empty; w: is nil", download("", nil)},
		{"download option 2: is nil", download(jobID, io.Discard, creatify.WithMaxSize(1), nil)},
		{"WithMaxSize: must be above zero, not 0", download(jobID, io.Discard, creatify.WithMaxSize(0))},
		{"WithIdleTimeout: must be above zero, not -1ns", download(jobID, io.Discard, creatify.WithIdleTimeout(-1))},
	}
	for path, want := range map[string]string{"": "names no file", t.TempDir(): "exists and is not a regular file"} {
		_, err := jobs.DownloadFile(t.Context(), jobID, path)
		tests = append(tests, struct {
			want string
			err  error
		}{"path: " + want, err})
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			assert.ErrorIs(t, tt.err, creatify.ErrInvalidParams)
			assert.ErrorContains(t, tt.err, tt.want)
		})
	}
}

func TestDownloadCarriesNoCredentials(t *testing.T) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	var seen []http.Header
	server := httptest.NewServer(nil)
	defer server.Close()
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			io.WriteString(w, jobWith(server.URL+"/video.mp4?signature=s1gned"))
			return
		}
		seen = append(seen, r.Header.Clone())
		http.SetCookie(w, &http.Cookie{Name: "tracking", Value: "1", Path: "/"})
		if r.URL.Path == "/video.mp4" {
			http.Redirect(w, r, "/moved.mp4", http.StatusFound)
			return
		}
		io.WriteString(w, video)
	})
	at, _ := url.Parse(server.URL)
	jar.SetCookies(at, []*http.Cookie{{Name: "session", Value: "secret"}})
	client := newClient(t, nil, creatify.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Jar: jar}),
		creatify.WithBaseURL(server.URL))
	_, err = client.Jobs.Download(t.Context(), jobID, io.Discard, creatify.WithPrivateAddresses())
	require.NoError(t, err)
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

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
