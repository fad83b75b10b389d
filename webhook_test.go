package creatify_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseWebhook(t *testing.T) {
	for _, tt := range []struct {
		name string
		body string
		want creatify.WebhookEvent
	}{
		{"with_video_output", `{"id":"7","status":"done","failed_reason":null,"video_output":"https://v.test/1"}`,
			creatify.WebhookEvent{JobID: "7", Status: "done", VideoOutput: "https://v.test/1"}},
		{"with_output", `{"id":"7","status":"done","output":"https://v.test/1","video_output":null}`,
			creatify.WebhookEvent{JobID: "7", Status: "done", VideoOutput: "https://v.test/1"}},
		{"with_a_reason", `{"id":"7","status":"failed","failed_reason":"no such voice"}`,
			creatify.WebhookEvent{JobID: "7", Status: "failed", FailedReason: "no such voice"}},
		{"with_an_unknown_status", `{"id":"7","status":"reticulated","new":[1]}`,
			creatify.WebhookEvent{JobID: "7", Status: "reticulated"}},
		{"after_a_byte_order_mark", "\ufeff" + `{"id":7,"status":"done"}`, creatify.WebhookEvent{JobID: "7", Status: "done"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			event, err := creatify.ParseWebhook([]byte(tt.body))
			require.NoError(t, err)
			assert.Equal(t, tt.want, *event)
		})
	}
	for _, tt := range []struct{ name, body string }{
		{"refuses_nothing", ``},
		{"refuses_a_list", `[1]`},
		{"refuses_null", `null`},
		{"refuses_a_missing_ID", `{"status":"done"}`},
		{"refuses_a_missing_status", `{"id":"7"}`},
		{"refuses_an_ID_that_leads_elsewhere", `{"id":"../admin","status":"done"}`},
		{"refuses_truncated_JSON", `{"id":"7","status":"done"`},
		{"refuses_a_form", `id=7&status=done`},
		{"refuses_more_than_64_KiB", `{"id":"7","status":"done","x":"` + strings.Repeat("x", 64<<10) + `"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			event, err := creatify.ParseWebhook([]byte(tt.body))
			assert.ErrorIs(t, err, creatify.ErrInvalidWebhook)
			assert.Nil(t, event)
		})
	}
}

func FuzzParseWebhook(f *testing.F) {
	for _, seed := range []string{`{"id":"7","status":"done","output":"x"}`, `{}`, `[]`, `{"id":7,"status":1}`,
		`{"id":"7","status":"done","video_output":null}`, `{"id":"a/b","status":"done"}`, `{"id":"7","status":"\ud800"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		event, err := creatify.ParseWebhook(body)
		if err != nil {
			assert.ErrorIs(t, err, creatify.ErrInvalidWebhook)
			assert.Nil(t, event)
			return
		}
		assert.NotEmpty(t, event.JobID)
		assert.NotContains(t, event.JobID, "/")
		assert.NotEmpty(t, event.Status)
	})
}

func TestWebhookOptions_URL(t *testing.T) {
	secret := creatify.WebhookOptions{Secret: "s3cret"}
	for _, tt := range []struct {
		name      string
		options   creatify.WebhookOptions
		base, ref string
		want      string
	}{
		{"adds_both", secret, "https://h.test/in", "order 7&8", "https://h.test/in?ref=order+7%268&secret=s3cret"},
		{"adds_only_a_reference", creatify.WebhookOptions{}, "https://h.test/in", "7", "https://h.test/in?ref=7"},
		{"adds_only_a_secret", secret, "https://h.test", "", "https://h.test?secret=s3cret"},
		{"adds_nothing", creatify.WebhookOptions{}, "https://h.test/in?ref=1", "", "https://h.test/in?ref=1"},
		{"keeps_a_query", secret, "https://h.test/in?z=1&a=2", "7", "https://h.test/in?z=1&a=2&ref=7&secret=s3cret"},
		{"keeps_what_Go_does_not_parse", secret, "https://h.test/in?token=abc;def&x=%zz", "7",
			"https://h.test/in?token=abc;def&x=%zz&ref=7&secret=s3cret"},
		{"keeps_an_empty_query", secret, "https://h.test/in?", "", "https://h.test/in?secret=s3cret"},
		{"keeps_user_info", secret, "https://user:p%40ss@h.test:8443/a%2Fb", "7", "https://user:p%40ss@h.test:8443/a%2Fb?ref=7&secret=s3cret"},
		{"takes_200_characters", creatify.WebhookOptions{}, "https://h.test/é", strings.Repeat("x", 179), "https://h.test/é?ref=" + strings.Repeat("x", 179)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.options.URL(tt.base, tt.ref)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
	for _, tt := range []struct{ name, base, ref, text string }{
		{"refuses_a_path", "/in", "7", "absolute http or https URL"},
		{"refuses_another_scheme", "ftp://h.test/in", "7", "absolute http or https URL"},
		{"refuses_a_fragment", "https://h.test/in#top", "7", "fragment"},
		{"refuses_an_empty_fragment", "https://h.test/in#", "7", "fragment"},
		{"refuses_a_second_reference", "https://h.test/in?ref=1", "7", `the parameter "ref"`},
		{"refuses_a_second_secret", "https://h.test/in?%73ecret=1", "", `the parameter "secret"`},
		{"refuses_201_characters", "https://h.test/in", strings.Repeat("x", 165), "has 201 characters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := secret.URL(tt.base, tt.ref)
			require.ErrorIs(t, err, creatify.ErrInvalidParams)
			assert.Empty(t, got)
			assert.ErrorContains(t, err, tt.text)
			assert.NotContains(t, err.Error(), "s3cret")
		})
	}
}

func FuzzWebhookOptions_URL(f *testing.F) {
	f.Add("https://h.test/in", "order-7", "s3cret")
	f.Add("https://h.test/in?token=abc;def", "a;b", "c&d=e")
	f.Add("https://u:p@h.test?ref;=%zz&&", "\x00\xff", "é#?")
	f.Fuzz(func(t *testing.T, base, reference, secret string) {
		got, err := creatify.WebhookOptions{Secret: secret}.URL(base, reference)
		if err != nil {
			assert.ErrorIs(t, err, creatify.ErrInvalidParams)
			return
		}
		assert.True(t, strings.HasPrefix(got, base), "%q begins with %q", got, base)
		assert.LessOrEqual(t, utf8.RuneCountInString(got), 200)
		u, err := url.Parse(got)
		require.NoError(t, err)
		assert.Empty(t, u.Fragment)
		if reference != "" {
			assert.Equal(t, reference, u.Query().Get("ref"))
		}
		if secret != "" {
			assert.Equal(t, secret, u.Query().Get("secret"))
		}
	})
}

func TestWebhookReference(t *testing.T) {
	assert.Empty(t, creatify.WebhookReference(context.Background()))
}

// hook is a handler under test with the deliveries that its function has accepted.
type hook struct {
	t       *testing.T
	api     *creatifytest.API
	client  *creatify.Client
	handler http.Handler
	log     bytes.Buffer
	mu      sync.Mutex
	jobs    []*creatify.Job
	refs    []string
	err     error // of the function
}

// newHook makes a handler on a fake of the API, or on a transport in its place.
func newHook(t *testing.T, options creatify.WebhookOptions, transport http.RoundTripper) *hook {
	h := &hook{t: t, api: creatifytest.New(creatifytest.Config{})}
	if transport == nil {
		transport = h.api
	}
	h.client = newClient(t, transport, creatify.WithLogger(slog.New(slog.NewTextHandler(&h.log, nil))))
	h.handler = h.client.Jobs.WebhookHandler(options, func(ctx context.Context, job *creatify.Job) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.err == nil {
			h.jobs = append(h.jobs, job)
			h.refs = append(h.refs, creatify.WebhookReference(ctx))
		}
		return h.err
	})
	return h
}

func (h *hook) post(body string, change ...func(*http.Request)) *http.Response {
	req := httptest.NewRequestWithContext(h.t.Context(), http.MethodPost, "https://shop.test/hook?ref=order-7&secret=right", strings.NewReader(body))
	for _, f := range change {
		f(req)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, req)
	return w.Result()
}

func event(id, status string) string { return `{"id":"` + id + `","status":"` + status + `"}` }

// shows answers reads with a job that has these members.
func shows(members *string) http.RoundTripper {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		if req.Method == http.MethodPost {
			return respond(req, 200, `{"id":"`+jobID+`","status":"done","preview":"https://x.test"}`), nil
		}
		return respond(req, 200, `{"id":"`+path.Base(req.URL.Path)+`",`+*members+`}`), nil
	})
}

func TestJobsService_WebhookHandler(t *testing.T) {
	for _, tt := range []struct {
		name   string
		body   string
		change func(*http.Request)
		status int
	}{
		{"refuses_GET", event(jobID, "done"), func(r *http.Request) { r.Method = http.MethodGet }, 405},
		{"refuses_PUT", event(jobID, "done"), func(r *http.Request) { r.Method = http.MethodPut }, 405},
		{"refuses_a_wrong_secret", event(jobID, "done"), func(r *http.Request) { r.URL.RawQuery = "secret=wrong" }, 403},
		{"refuses_a_missing_secret", event(jobID, "done"), func(r *http.Request) { r.URL.RawQuery = "" }, 403},
		{"refuses_a_secret_in_a_header", event(jobID, "done"), func(r *http.Request) {
			r.URL.RawQuery = ""
			r.Header.Set("Secret", "right")
		}, 403},
		{"refuses_too_large_a_body", event(jobID, "done") + strings.Repeat(" ", 64<<10), func(*http.Request) {}, 413},
		{"refuses_a_body_that_is_no_event", `{"hello":"world"}`, func(*http.Request) {}, 400},
		{"refuses_a_truncated_body", event(jobID, "done"), func(r *http.Request) {
			r.Body = io.NopCloser(io.MultiReader(r.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
		}, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHook(t, creatify.WebhookOptions{Secret: "right"}, nil)
			got := h.post(tt.body, tt.change)
			assert.Equal(t, tt.status, got.StatusCode)
			assert.Equal(t, tt.status == 405, got.Header.Get("Allow") == "POST")
			assert.Zero(t, h.api.Calls(""), "nothing is read")
			assert.Empty(t, h.jobs)
		})
	}

	t.Run("ignores_the_content_type", func(t *testing.T) {
		for _, contentType := range []string{"", "text/plain", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "?"} {
			members := `"status":"running"`
			h := newHook(t, creatify.WebhookOptions{}, shows(&members))
			assert.Equal(t, 204, h.post(event(jobID, "running"), func(r *http.Request) { r.Header.Set("Content-Type", contentType) }).StatusCode, contentType)
			assert.Len(t, h.jobs, 1, contentType)
		}
	})

	t.Run("delivers_each_state_once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHook(t, creatify.WebhookOptions{}, nil)
			job := create(t, h.api, h.client, creatifytest.Life{Duration: time.Minute})
			time.Sleep(30 * time.Second)
			assert.Equal(t, 204, h.post(event(job.ID, "running")).StatusCode)
			time.Sleep(30 * time.Second)
			var posts sync.WaitGroup
			for range 20 {
				posts.Go(func() { assert.Equal(t, 204, h.post(event(job.ID, "done")).StatusCode) })
			}
			posts.Wait()
			assert.Equal(t, 204, h.post(event(job.ID, "failed")).StatusCode, "a lie changes nothing")
			require.Len(t, h.jobs, 2)
			assert.Equal(t, creatify.StatusRunning, h.jobs[0].Status)
			assert.NotEmpty(t, h.jobs[1].Preview, "the job itself, not what the event says of it")
			assert.Equal(t, []string{"order-7", "order-7"}, h.refs)
		})
	})

	t.Run("delivers_a_preview_that_stands_in_a_running_job", func(t *testing.T) {
		members := `"status":"running"`
		h := newHook(t, creatify.WebhookOptions{}, shows(&members))
		for _, members = range []string{members, `"status":"running","preview":"https://x.test"`, `"status":"done","preview":"https://x.test"`} {
			assert.Equal(t, 204, h.post(event(jobID, "running")).StatusCode)
		}
		assert.Len(t, h.jobs, 3)
	})

	t.Run("answers_503_until_the_job_can_be_read", func(t *testing.T) {
		reads := 0
		h := newHook(t, creatify.WebhookOptions{}, roundTrip(func(req *http.Request) (*http.Response, error) {
			switch reads++; {
			case reads == 1:
				return respond(req, 404, `{"detail":"No CustomTemplateJob matches the given query."}`), nil
			case reads == 2:
				return respond(req, 503, `<html>`), nil
			case reads == 3:
				return respond(req, 200, `{"id":"`+jobID+`","status":"running","progress":0.5`), nil // truncated
			}
			return respond(req, 200, liveLike), nil
		}))
		for range 3 {
			got := h.post(event(jobID, "running"))
			assert.Equal(t, 503, got.StatusCode)
			assert.Equal(t, "10", got.Header.Get("Retry-After"))
		}
		assert.Contains(t, h.log.String(), `level=WARN msg="creatify: webhook event not delivered" call=webhook job_id=`+jobID)
		assert.Contains(t, h.log.String(), "404 Not Found")
		assert.Equal(t, 204, h.post(event(jobID, "done")).StatusCode, "at once, without a memory of unknown IDs")
		assert.Len(t, h.jobs, 1)
	})

	for _, tt := range []struct{ name, event, members string }{
		{"answers_503_to_an_event_that_is_ahead_of_its_job", event(jobID, "done"), `"status":"running"`},
		{"answers_503_to_an_event_with_a_video_that_the_job_lacks",
			`{"id":"` + jobID + `","status":"done","output":"https://v.test"}`, `"status":"done","preview":"https://x.test"`},
		{"answers_503_while_the_job_has_no_output", event(jobID, "done"), `"status":"done"`},
		{"answers_503_to_a_late_event_while_the_job_has_no_output", event(jobID, "running"), `"status":"done"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHook(t, creatify.WebhookOptions{}, shows(&tt.members))
			got := h.post(tt.event)
			assert.Equal(t, 503, got.StatusCode)
			assert.Equal(t, "10", got.Header.Get("Retry-After"))
			assert.Empty(t, h.jobs)
			assert.Empty(t, h.log.String(), "it is nothing to worry about")
		})
	}

	t.Run("delivers_a_video_without_a_preview", func(t *testing.T) {
		reads := 0
		h := newHook(t, creatify.WebhookOptions{}, roundTrip(func(req *http.Request) (*http.Response, error) {
			reads++
			return respond(req, 200, jobWith(videoURL)), nil
		}))
		for _, id := range []string{jobID, jobID, strings.ToUpper(jobID)} {
			assert.Equal(t, 204, h.post(event(id, "done")).StatusCode)
		}
		assert.Len(t, h.jobs, 1)
		assert.Equal(t, 1, reads, "nothing follows a video")
	})

	t.Run("limits_reads", func(t *testing.T) {
		for _, tt := range []struct {
			perSecond float64
			most      int
		}{{0, 51}, {1, 11}, {-1, 51}} {
			synctest.Test(t, func(t *testing.T) {
				h := newHook(t, creatify.WebhookOptions{ReadsPerSecond: tt.perSecond}, nil)
				for _, id := range testkit.IDs(1000) {
					assert.Equal(t, 503, h.post(event(id, "done")).StatusCode)
				}
				assert.Equal(t, tt.most, h.api.Calls(get))
				assert.Equal(t, 1, strings.Count(h.log.String(), "ReadsPerSecond"), "logged once a second")
				time.Sleep(time.Minute)
				h.post(event(jobID, "done"))
				assert.Equal(t, tt.most+1, h.api.Calls(get))
			})
		}
	})

	t.Run("reads_before_queued_polls", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: time.Hour}})
			client := newClient(t, api, creatify.WithRateLimit(2, 1))
			handler := client.Jobs.WebhookHandler(creatify.WebhookOptions{}, func(context.Context, *creatify.Job) error { return nil })
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			job, err := newClient(t, api).Jobs.CreatePreview(ctx, params())
			require.NoError(t, err)
			var waits sync.WaitGroup
			for range 100 {
				waits.Go(func() { client.Jobs.WaitForPreview(ctx, job.ID) })
			}
			time.Sleep(time.Minute)
			start := time.Now()
			assert.Equal(t, 204, (&hook{t: t, handler: handler}).post(event(job.ID, "running")).StatusCode)
			assert.LessOrEqual(t, time.Since(start), time.Second, "behind one poll at most")
			stop()
			waits.Wait()
		})
	})

	t.Run("ends_a_read_after_10_seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHook(t, creatify.WebhookOptions{}, nil)
			h.api.Inject(creatifytest.Fault{Call: get, Delay: time.Hour})
			start := time.Now()
			assert.Equal(t, 503, h.post(event(jobID, "done")).StatusCode)
			assert.Equal(t, 10*time.Second, time.Since(start))
		})
	})

	t.Run("answers_503_when_its_function_fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHook(t, creatify.WebhookOptions{Secret: "right"}, nil)
			job := create(t, h.api, h.client, creatifytest.Life{})
			time.Sleep(20 * time.Second)
			h.err = errors.New("the database is down")
			assert.Equal(t, 500, h.post(event(job.ID, "done")).StatusCode)
			assert.Contains(t, h.log.String(), `level=WARN msg="creatify: webhook event not delivered" call=webhook job_id=`+job.ID+` reason=other status=500 error="the database is down"`)
			assert.NotContains(t, h.log.String(), "right")
			h.err = nil
			assert.Equal(t, 204, h.post(event(job.ID, "done")).StatusCode)
			assert.Len(t, h.jobs, 1)
		})
	})

	t.Run("logs_a_wrong_secret_once_a_second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHook(t, creatify.WebhookOptions{Secret: "right"}, nil)
			forged := func(r *http.Request) { r.URL.RawQuery = "ref=order-7&secret=wrong" }
			for range 100 {
				assert.Equal(t, 403, h.post(event(jobID, "done"), forged).StatusCode)
			}
			time.Sleep(time.Second)
			h.post(event(jobID, "done"), forged)
			assert.Equal(t, 2, strings.Count(h.log.String(), `level=WARN msg="creatify: webhook with a wrong secret" call=webhook from=192.0.2.1:1234`))
			for _, private := range []string{"right", "=wrong", "order-7", jobID} {
				assert.NotContains(t, h.log.String(), private)
			}
		})
	})

	t.Run("without_a_function_is_an_error", func(t *testing.T) {
		h := newHook(t, creatify.WebhookOptions{}, says(200, liveLike))
		h.handler = h.client.Jobs.WebhookHandler(creatify.WebhookOptions{}, nil)
		assert.Equal(t, 500, h.post(event(jobID, "done")).StatusCode)
		assert.Contains(t, h.log.String(), "was given no function")
	})

	t.Run("remembers_10,000_deliveries", func(t *testing.T) {
		members := `"status":"done","video_output":"https://v.test"`
		h := newHook(t, creatify.WebhookOptions{ReadsPerSecond: 1e6}, shows(&members))
		deliveries := func(id string) int {
			h.post(event(id, "done"))
			return len(h.jobs)
		}
		ids := testkit.IDs(10_001)
		for i, id := range ids[:10_000] {
			require.Equal(t, i+1, deliveries(id))
		}
		assert.Equal(t, 10_000, deliveries(ids[0]), "all are remembered")
		assert.Equal(t, 10_001, deliveries(ids[10_000]))
		assert.Equal(t, 10_001, deliveries(ids[1]), "but the oldest")
		assert.Equal(t, 10_002, deliveries(ids[0]))
	})
}

// TestJobsService_WebhookHandler_render is about events of a render that look like those of its preview.
func TestJobsService_WebhookHandler_render(t *testing.T) {
	const (
		running   = `"status":"running","preview":"https://x.test"`
		previewed = `"status":"done","preview":"https://x.test"`
		rendered  = `"status":"done","preview":"https://x.test","video_output":"https://v.test"`
		failed    = `"status":"failed","preview":"https://x.test"`
	)
	type step struct {
		after   time.Duration
		event   string // status; of the render without a video_output
		members string // of the job when it is read
		status  int
	}
	for _, tt := range []struct {
		name      string
		render    bool // by a copy of this client, after the first step
		steps     []step
		delivered []string // statuses, and video
	}{
		{"delivers_the_video_that_the_event_lacks", false,
			[]step{{0, "done", previewed, 204}, {time.Hour, "done", rendered, 204}}, []string{"done", "done video"}},
		{"answers_503_until_the_video_is_there", true,
			[]step{{0, "done", previewed, 204}, {time.Minute, "done", previewed, 503}, {time.Minute, "done", running, 503},
				{time.Minute, "done", rendered, 204}, {time.Hour, "done", "", 204}}, []string{"done", "done video"}},
		{"answers_503_to_a_failure_until_the_job_shows_it", true,
			[]step{{0, "done", previewed, 204}, {time.Minute, "failed", previewed, 503}, {time.Minute, "failed", failed, 204}}, []string{"done", "failed"}},
		{"expects_a_video_of_a_job_at_work_again", false,
			[]step{{0, "done", previewed, 204}, {time.Minute, "running", running, 204}, {time.Minute, "done", previewed, 503},
				{time.Minute, "done", rendered, 204}}, []string{"done", "running", "done video"}},
		{"accepts_another_event_of_a_preview_that_is_not_rendered", false,
			[]step{{0, "done", previewed, 204}, {time.Minute, "done", previewed, 204}}, []string{"done"}},
		{"accepts_an_event_of_a_preview_that_stood_in_a_running_job", false,
			[]step{{0, "running", running, 204}, {time.Minute, "done", previewed, 204}, {time.Minute, "done", previewed, 204}}, []string{"running", "done"}},
		{"gives_up_on_a_render_without_a_video_after_15_minutes", true,
			[]step{{0, "done", previewed, 204}, {15 * time.Minute, "done", previewed, 503}, {1, "done", previewed, 204}}, []string{"done"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				members := ""
				h := newHook(t, creatify.WebhookOptions{}, shows(&members))
				for i, s := range tt.steps {
					time.Sleep(s.after)
					members = s.members
					assert.Equal(t, s.status, h.post(event(jobID, s.event)).StatusCode, "step %d", i)
					if i == 0 && tt.render {
						client, err := h.client.With(creatify.WithTimeout(time.Second))
						require.NoError(t, err)
						_, err = client.Jobs.Render(t.Context(), jobID)
						require.NoError(t, err)
					}
				}
				var delivered []string
				for _, job := range h.jobs {
					video := ""
					if job.VideoOutput != "" {
						video = " video"
					}
					delivered = append(delivered, string(job.Status)+video)
				}
				assert.Equal(t, tt.delivered, delivered)
			})
		})
	}
}

func TestJobsService_WebhookHandler_context(t *testing.T) {
	impatient := func(r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 200*time.Millisecond)
		context.AfterFunc(ctx, cancel)
		*r = *r.WithContext(ctx)
	}

	t.Run("outlives_an_impatient_sender", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			members := `"status":"running"`
			h := newHook(t, creatify.WebhookOptions{}, shows(&members))
			begun, finished := 0, 0
			h.handler = h.client.Jobs.WebhookHandler(creatify.WebhookOptions{}, func(ctx context.Context, _ *creatify.Job) error {
				begun++
				select {
				case <-time.After(5 * time.Second):
					finished++
				case <-ctx.Done():
				}
				return ctx.Err()
			})
			var posts sync.WaitGroup
			for range 4 {
				posts.Go(func() { h.post(event(jobID, "running"), impatient) })
				time.Sleep(time.Second)
			}
			posts.Wait()
			assert.Equal(t, 204, h.post(event(jobID, "running"), impatient).StatusCode)
			assert.Equal(t, 1, begun)
			assert.Equal(t, 1, finished)
		})
	})

	t.Run("outlives_an_impatient_sender_while_the_job_is_read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHook(t, creatify.WebhookOptions{}, nil)
			job := create(t, h.api, h.client, creatifytest.Life{})
			time.Sleep(20 * time.Second)
			h.api.Inject(creatifytest.Fault{Call: get, Delay: 5 * time.Second, Times: -1})
			h.post(event(job.ID, "done"), impatient)
			assert.Len(t, h.jobs, 1)
		})
	})

	t.Run("ends_after_a_minute", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHook(t, creatify.WebhookOptions{}, says(200, liveLike))
			h.handler = h.client.Jobs.WebhookHandler(creatify.WebhookOptions{}, func(ctx context.Context, _ *creatify.Job) error {
				<-ctx.Done()
				return ctx.Err()
			})
			start := time.Now()
			assert.Equal(t, 500, h.post(event(jobID, "done")).StatusCode)
			assert.Equal(t, time.Minute, time.Since(start))
		})
	})

	t.Run("holds_the_values_of_the_request", func(t *testing.T) {
		type key struct{}
		var value any
		h := newHook(t, creatify.WebhookOptions{}, says(200, liveLike))
		h.handler = h.client.Jobs.WebhookHandler(creatify.WebhookOptions{}, func(ctx context.Context, _ *creatify.Job) error {
			value = ctx.Value(key{})
			return nil
		})
		h.post(event(jobID, "done"), func(r *http.Request) { *r = *r.WithContext(context.WithValue(r.Context(), key{}, "trace")) })
		assert.Equal(t, "trace", value)
	})

	t.Run("is_waited_for_by_other_events_of_the_job", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHook(t, creatify.WebhookOptions{}, nil)
			job := create(t, h.api, h.client, creatifytest.Life{})
			other := create(t, h.api, h.client, creatifytest.Life{})
			time.Sleep(20 * time.Second)
			deliveries := 0
			h.handler = h.client.Jobs.WebhookHandler(creatify.WebhookOptions{}, func(_ context.Context, delivered *creatify.Job) error {
				if delivered.ID == job.ID {
					deliveries++
					time.Sleep(30 * time.Second)
				}
				return nil
			})
			var posts sync.WaitGroup
			posts.Go(func() { assert.Equal(t, 204, h.post(event(job.ID, "done")).StatusCode) })
			synctest.Wait()
			assert.Equal(t, 204, h.post(event(other.ID, "done")).StatusCode)
			start := time.Now()
			assert.Equal(t, 503, h.post(event(job.ID, "done")).StatusCode, "but not for ever")
			assert.Equal(t, 10*time.Second, time.Since(start))
			time.Sleep(15 * time.Second)
			assert.Equal(t, 204, h.post(event(job.ID, "done")).StatusCode)
			posts.Wait()
			assert.Equal(t, 1, deliveries)
		})
	})

	t.Run("is_released_by_a_panic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHook(t, creatify.WebhookOptions{}, says(200, liveLike))
			deliveries := 0
			h.handler = h.client.Jobs.WebhookHandler(creatify.WebhookOptions{}, func(context.Context, *creatify.Job) error {
				if deliveries++; deliveries == 1 {
					panic("a bug")
				}
				return nil
			})
			assert.Panics(t, func() { h.post(event(jobID, "done")) })
			assert.Equal(t, 204, h.post(event(jobID, "done")).StatusCode)
			assert.Equal(t, 2, deliveries)
		})
	})
}

// pipeListener accepts connections that live in memory, and so in virtual time.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	close sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.close.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (l *pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// servePipe serves a handler in memory, without any time limit of the server's.
func servePipe(t *testing.T, handler http.Handler) *pipeListener {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: handler}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l
}

func TestJobsService_WebhookHandler_body_that_never_ends(t *testing.T) {
	for _, tt := range []struct {
		name   string
		head   string
		status string
	}{
		{"of_an_event", "POST /?secret=right HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n{", "408"},
		{"in_chunks", "POST /?secret=right HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "408"},
		{"with_a_wrong_secret", "POST /?secret=wrong HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n{", "403"},
		{"of_another_method", "PUT /?secret=right HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n{", "405"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHook(t, creatify.WebhookOptions{Secret: "right"}, nil)
				conn, err := servePipe(t, h.handler).dial(t.Context(), "", "")
				require.NoError(t, err)
				start := time.Now()
				go io.WriteString(conn, tt.head)
				answer, err := io.ReadAll(conn)
				assert.NoError(t, err)
				assert.Equal(t, "HTTP/1.1 "+tt.status, string(answer[:12]))
				assert.LessOrEqual(t, time.Since(start), 11*time.Second, "the connection is closed")
			})
		})
	}

	t.Run("over_HTTP/2", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHook(t, creatify.WebhookOptions{}, nil)
			transport := &http.Transport{DialContext: servePipe(t, h.handler).dial, Protocols: new(http.Protocols)}
			transport.Protocols.SetUnencryptedHTTP2(true)
			defer transport.CloseIdleConnections()
			body, end := io.Pipe()
			defer end.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://h.test/", body)
			require.NoError(t, err)
			resp, err := transport.RoundTrip(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			assert.Equal(t, 2, resp.ProtoMajor)
			assert.Equal(t, 408, resp.StatusCode)
		})
	})

	t.Run("keeps_the_connection_of_a_patient_sender", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHook(t, creatify.WebhookOptions{}, says(200, liveLike))
			h.handler = h.client.Jobs.WebhookHandler(creatify.WebhookOptions{}, func(ctx context.Context, _ *creatify.Job) error {
				time.Sleep(30 * time.Second)
				return ctx.Err()
			})
			conn, err := servePipe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.handler.ServeHTTP(w, r)
				assert.NoError(t, r.Context().Err(), "of the request, for middleware")
			})).dial(t.Context(), "", "")
			require.NoError(t, err)
			defer conn.Close()
			answers := bufio.NewReader(conn)
			for range 2 {
				body := event(jobID, "done")
				go func() {
					fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", len(body))
					time.Sleep(5 * time.Second)
					io.WriteString(conn, body)
				}()
				resp, err := http.ReadResponse(answers, nil)
				require.NoError(t, err)
				assert.Equal(t, 204, resp.StatusCode)
				time.Sleep(time.Minute)
			}
		})
	})
}

func TestJobsService_WebhookHandler_hostile_sender(t *testing.T) {
	members := `"status":"done","preview":"https://x.test"`
	h := newHook(t, creatify.WebhookOptions{Secret: "right"}, shows(&members))
	server := httptest.NewServer(h.handler)
	defer server.Close()
	good := server.URL + "/?ref=order-7&secret=right"
	endless := func() io.Reader { return io.MultiReader(strings.NewReader(`{"id":"`), forever('7')) }
	for _, tt := range []struct {
		name        string
		method, url string
		body        func() io.Reader
		header      http.Header
		status      int
	}{
		{"endless_body", "POST", good, endless, nil, 413},
		{"endless_body_with_a_wrong_secret", "POST", server.URL, endless, nil, 403},
		{"large_headers", "POST", good, nil, http.Header{"X": {strings.Repeat("x", 2<<20)}}, 431},
		{"large_reference", "POST", server.URL + "/?secret=right&ref=" + strings.Repeat("x", 100<<10), nil, nil, 204},
		{"many_secrets", "POST", server.URL + "/?" + strings.Repeat("secret=wrong&", 1000) + "secret=right", nil, nil, 403},
		{"secret_in_the_body", "POST", server.URL, func() io.Reader { return strings.NewReader("secret=right") }, nil, 403},
		{"DELETE", "DELETE", good, nil, nil, 405},
		{"CONNECT", "CONNECT", good, nil, nil, 405},
		{"TRACE", "TRACE", good, nil, nil, 405},
		{"nested_body", "POST", good, func() io.Reader { return strings.NewReader(strings.Repeat(`{"a":[`, 8<<10)) }, nil, 400},
		{"compressed_body", "POST", good, func() io.Reader { return strings.NewReader("\x1f\x8b\x08\x00") }, http.Header{"Content-Encoding": {"gzip"}}, 400},
		{"ID_of_another_path", "POST", good, func() io.Reader { return strings.NewReader(event("../../remaining_credits", "done")) }, nil, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			send := func() (status int) {
				body := io.Reader(strings.NewReader(event(jobID, "done")))
				if tt.body != nil {
					body = tt.body()
				}
				req, err := http.NewRequestWithContext(t.Context(), tt.method, tt.url, body)
				require.NoError(t, err)
				maps.Copy(req.Header, tt.header)
				resp, err := server.Client().Do(req)
				if err != nil {
					return 0 // a sender that is slow to read may find the connection closed
				}
				defer resp.Body.Close()
				return resp.StatusCode
			}
			status := send()
			for range 5 {
				if status == 0 {
					status = send()
				}
			}
			assert.Equal(t, tt.status, status)
		})
	}
	t.Run("parallel_duplicates", func(t *testing.T) {
		var posts sync.WaitGroup
		for range 40 {
			posts.Go(func() {
				resp, err := server.Client().Post(good, "", strings.NewReader(event(jobID, "done")))
				if assert.NoError(t, err) {
					resp.Body.Close()
					assert.Equal(t, 204, resp.StatusCode)
				}
			})
		}
		posts.Wait()
		assert.Len(t, h.jobs, 1, "over all that was sent")
	})
}

// forever reads as one byte without end.
type forever byte

func (f forever) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(f)
	}
	return len(p), nil
}

// handlerTransport lets the fake send its events to a handler that is set later, without a socket.
func handlerTransport(handler *http.Handler) *http.Client {
	return &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		(*handler).ServeHTTP(w, req)
		return w.Result(), nil
	})}
}

func TestJobsService_WebhookHandler_lost_create(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		orders := map[string]*creatify.Job{}
		var handler http.Handler
		api := creatifytest.New(creatifytest.Config{Webhooks: creatifytest.Webhooks{Client: handlerTransport(&handler), Duplicates: 2}})
		client := newClient(t, api)
		options := creatify.WebhookOptions{Secret: "s3cret"}
		handler = client.Jobs.WebhookHandler(options, func(ctx context.Context, job *creatify.Job) error {
			orders[creatify.WebhookReference(ctx)] = job
			return nil
		})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go api.RunWebhooks(ctx)

		p := params()
		var err error
		p.WebhookURL, err = options.URL("https://shop.test/hook?a=1;2", "order-7")
		require.NoError(t, err)
		api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Drop: creatifytest.DropAfter})
		_, err = client.Jobs.CreatePreviewAndWait(ctx, p)
		require.ErrorIs(t, err, creatify.ErrOutcomeUnknown)

		time.Sleep(time.Minute)
		synctest.Wait()
		job := orders["order-7"]
		require.NotNil(t, job, "the event has named the job")
		assert.Equal(t, api.Jobs(), []string{job.ID})
		assert.NotEmpty(t, job.Preview)
		assert.Equal(t, 1.0, api.Charged())
		_, err = client.Jobs.Render(ctx, job.ID)
		assert.NoError(t, err, "and the preview can be used")
	})
}

func TestTracker_WebhookHandler(t *testing.T) {
	t.Run("limits_events", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
			defer tracker.Close()
			h := &hook{t: t, handler: tracker.WebhookHandler(creatify.WebhookOptions{ReadsPerSecond: 1})}
			job := create(t, api, client, creatifytest.Life{Duration: time.Hour})
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: job.ID}))
			answers := map[int]int{}
			var last *http.Response
			for range 100 {
				last = h.post(event(job.ID, "running"))
				answers[last.StatusCode]++
			}
			assert.Equal(t, map[int]int{204: 11, 503: 89}, answers)
			assert.Equal(t, "10", last.Header.Get("Retry-After"))
		})
	})

	t.Run("has_no_event_sent_again_for_a_job_that_it_has_delivered", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
			defer tracker.Close()
			h := &hook{t: t, handler: tracker.WebhookHandler(creatify.WebhookOptions{})}
			job := create(t, api, client, creatifytest.Life{})
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: job.ID}))
			tracker.Finish()
			for r := range tracker.Results(t.Context()) {
				assert.NoError(t, r.Err)
			}
			reads := api.Calls(get)
			assert.Equal(t, 204, h.post(event(job.ID, "done")).StatusCode, "a late duplicate")
			assert.Equal(t, 204, h.post(event(jobID, "done")).StatusCode, "a job that was never tracked")
			assert.Equal(t, reads, api.Calls(get))
		})
	})

	t.Run("refuses_what_is_not_an_event", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
			defer tracker.Close()
			h := &hook{t: t, handler: tracker.WebhookHandler(creatify.WebhookOptions{Secret: "right"})}
			assert.Equal(t, 400, h.post(`{}`).StatusCode)
			assert.Equal(t, 403, h.post(event(jobID, "done"), func(r *http.Request) { r.URL.RawQuery = "" }).StatusCode)
			assert.Zero(t, api.Calls(""))
		})
	})

	for _, tt := range []struct {
		name string
		send func(post func(id string), fast, slow string)
		most time.Duration // for the fast job's result
	}{
		{"ends_a_wait_with_one_read", func(post func(string), fast, slow string) { post(fast) }, 61 * time.Second},
		{"ends_a_wait_once_for_two_events", func(post func(string), fast, slow string) {
			post(slow)
			post(fast)
			post(fast)
		}, 61 * time.Second},
		{"leaves_a_wait_without_events_to_its_polls", func(func(string), string, string) {}, 90 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
				defer tracker.Close()
				h := &hook{t: t, handler: tracker.WebhookHandler(creatify.WebhookOptions{Secret: "right"})}
				fast := create(t, api, client, creatifytest.Life{Duration: time.Minute})
				slow := create(t, api, client, creatifytest.Life{Duration: 10 * time.Minute})
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: fast.ID}, creatify.PendingJob{ID: slow.ID}))
				time.AfterFunc(time.Minute, func() {
					tt.send(func(id string) { h.post(event(id, "done")) }, fast.ID, slow.ID)
				})
				start := time.Now()
				for r := range tracker.Results(t.Context()) {
					require.NoError(t, r.Err)
					assert.Equal(t, fast.ID, r.ID)
					assert.LessOrEqual(t, time.Since(start), tt.most)
					break
				}
			})
		})
	}

	for _, tt := range []struct {
		name     string
		webhooks creatifytest.Webhooks
		most     time.Duration // mean lag
	}{
		{"with_prompt_events", creatifytest.Webhooks{}, 0},
		{"with_events_by_the_other_documented_name", creatifytest.Webhooks{VideoField: "output"}, 0},
		{"with_events_twice_and_in_another_order", creatifytest.Webhooks{Duplicates: 1, Shuffle: 20 * time.Second, Delay: time.Second}, 20 * time.Second},
		{"with_each_second_event_lost", creatifytest.Webhooks{Lose: func(n int) bool { return n%2 == 0 }}, 20 * time.Second},
		{"with_all_events_lost", creatifytest.Webhooks{Lose: func(int) bool { return true }}, 20 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var handler http.Handler
				tt.webhooks.Client = handlerTransport(&handler)
				api := creatifytest.New(creatifytest.Config{Webhooks: tt.webhooks})
				client := newClient(t, api)
				tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
				defer tracker.Close()
				handler = tracker.WebhookHandler(creatify.WebhookOptions{ReadsPerSecond: 100})
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				go api.RunWebhooks(ctx)

				ends := map[string]time.Time{}
				p := params()
				p.WebhookURL = "https://shop.test/hook"
				for i := range 30 {
					life := creatifytest.Life{Duration: time.Duration(30+10*i) * time.Second}
					api.NextJob(life)
					job, err := client.Jobs.CreatePreview(ctx, p)
					require.NoError(t, err)
					ends[job.ID] = time.Now().Add(life.Duration)
					require.NoError(t, tracker.Add(creatify.NewPendingJob(job, p)))
				}
				tracker.Finish()
				lag, n := time.Duration(0), 0
				for r := range tracker.Results(ctx) {
					require.NoError(t, r.Err)
					lag += time.Since(ends[r.ID])
					n++
				}
				assert.Equal(t, 30, n, "each job once")
				t.Logf("mean lag %v, %d polls", lag/30, api.Calls(get))
				assert.LessOrEqual(t, lag/30, tt.most)
			})
		})
	}
}
