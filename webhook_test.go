package creatify_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBothFormsOfANoticeAreRead(t *testing.T) {
	for _, output := range []string{"video_output", "output"} {
		notice, err := creatify.ParseWebhook([]byte(`{"id":"` + jobID + `","status":"reticulated","failed_reason":null,"` + output + `":"https://v.test/1"}`))
		require.NoError(t, err)
		assert.Equal(t, creatify.WebhookEvent{JobID: jobID, Status: "reticulated", VideoOutput: "https://v.test/1"}, *notice)
	}
	notice, err := creatify.ParseWebhook([]byte(`{"id":"7","status":"failed","failed_reason":"no such voice"}`))
	require.NoError(t, err)
	assert.Equal(t, creatify.WebhookEvent{JobID: "7", Status: creatify.StatusFailed, FailedReason: "no such voice"}, *notice)
}

func TestWhatIsNoNoticeIsRefused(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":     ``,
		"no object":   `[1]`,
		"null":        `null`,
		"no ID":       `{"status":"done"}`,
		"no status":   `{"id":"7"}`,
		"an odd ID":   `{"id":"../admin","status":"done"}`,
		"broken JSON": `{"id":"7","status":"done"`,
		"too large":   `{"id":"7","status":"done","x":"` + strings.Repeat("x", 64<<10) + `"}`,
	} {
		_, err := creatify.ParseWebhook([]byte(body))
		assert.ErrorIs(t, err, creatify.ErrInvalidWebhook, name)
	}
}

func FuzzNotice(f *testing.F) {
	for _, seed := range []string{`{"id":"7","status":"done","output":"x"}`, `{}`, `[]`, `{"id":7,"status":1}`, `{"id":"7","status":"done","video_output":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if n, err := creatify.ParseWebhook(body); (err == nil) != (n != nil) || (n != nil && (n.JobID == "" || n.Status == "")) {
			t.Errorf("%q: %+v, %v", body, n, err)
		}
	})
}

func TestWebhookURL(t *testing.T) {
	got, err := creatify.WebhookURL("https://shop.test/hook?tenant=3", "order 7&8", "s3cret")
	require.NoError(t, err)
	assert.Equal(t, "https://shop.test/hook?ref=order+7%268&secret=s3cret&tenant=3", got)
	got, err = creatify.WebhookURL("https://shop.test/hook", "", "")
	require.NoError(t, err)
	assert.Equal(t, "https://shop.test/hook", got)
	_, err = creatify.WebhookURL("/hook", "a", "b")
	assert.ErrorIs(t, err, creatify.ErrInvalidParams)
	_, err = creatify.WebhookURL("https://shop.test/hook", strings.Repeat("x", 180), "b")
	assert.ErrorContains(t, err, "more than 200")
	assert.Empty(t, creatify.WebhookReference(context.Background()))
}

// hook is a handler under test, and the notices that are sent to it.
type hook struct {
	t       *testing.T
	api     *creatifytest.API
	client  *creatify.Client
	handler http.Handler
	mu      sync.Mutex
	jobs    []*creatify.Job
	refs    []string
	err     error // for the handler's function to return
}

func newHook(t *testing.T, options creatify.WebhookOptions) *hook {
	h := &hook{t: t, api: creatifytest.New(creatifytest.Config{})}
	h.client = newClient(t, h.api)
	h.handler = h.client.Jobs.WebhookHandler(options, func(ctx context.Context, job *creatify.Job) error {
		time.Sleep(time.Second)
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
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	for _, f := range change {
		f(req)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, req)
	return w.Result()
}

func notice(id, status string) string { return `{"id":"` + id + `","status":"` + status + `"}` }

func TestANoticeIsCheckedBeforeAnythingIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook(t, creatify.WebhookOptions{Secret: "right"})
		good := notice(jobID, "done")
		for name, tt := range map[string]struct {
			body   string
			change func(*http.Request)
			status int
		}{
			"a GET":              {good, func(r *http.Request) { r.Method = http.MethodGet }, 405},
			"a wrong secret":     {good, func(r *http.Request) { r.URL.RawQuery = "secret=wrong" }, 403},
			"no secret":          {good, func(r *http.Request) { r.URL.RawQuery = "" }, 403},
			"another media type": {good, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
			"too large a body":   {good + strings.Repeat(" ", 64<<10), func(*http.Request) {}, 413},
			"what is no notice":  {`{"hello":"world"}`, func(*http.Request) {}, 400},
		} {
			assert.Equal(t, tt.status, h.post(tt.body, tt.change).StatusCode, name)
		}
		assert.Zero(t, h.api.Calls(""))
		assert.Empty(t, h.jobs)
	})
}

func TestAJobIsHandedOverOncePerStatusHoweverOftenTheNoticeComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook(t, creatify.WebhookOptions{})
		job := create(t, h.api, h.client, creatifytest.Life{Duration: time.Minute})
		time.Sleep(30 * time.Second)
		assert.Equal(t, 204, h.post(notice(job.ID, "running")).StatusCode)
		time.Sleep(30 * time.Second)
		var posts sync.WaitGroup
		for range 20 {
			posts.Go(func() { assert.Equal(t, 204, h.post(notice(job.ID, "done")).StatusCode) })
		}
		posts.Wait()
		assert.Equal(t, 204, h.post(notice(job.ID, "done")).StatusCode)
		assert.Equal(t, 204, h.post(notice(job.ID, "failed"), func(*http.Request) {}).StatusCode, "a lie changes nothing")
		require.Len(t, h.jobs, 2)
		assert.Equal(t, creatify.StatusRunning, h.jobs[0].Status)
		assert.NotEmpty(t, h.jobs[1].Preview, "the job itself, not what the notice says of it")
		assert.Equal(t, []string{"order-7", "order-7"}, h.refs)
		assert.LessOrEqual(t, h.api.Calls(get), 4)
	})
}

func TestTheVideoOfAJobIsHandedOverAfterItsPreview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook(t, creatify.WebhookOptions{})
		job := create(t, h.api, h.client, creatifytest.Life{})
		time.Sleep(20 * time.Second)
		h.post(notice(job.ID, "done"))
		_, err := h.client.Jobs.Render(t.Context(), job.ID)
		require.NoError(t, err)
		video := `{"id":"` + job.ID + `","status":"done","output":"https://v.test/1"}`
		assert.Equal(t, 503, h.post(video).StatusCode, "not yet")
		time.Sleep(20 * time.Second)
		assert.Equal(t, 204, h.post(video).StatusCode)
		require.Len(t, h.jobs, 2)
		assert.NotEmpty(t, h.jobs[1].VideoOutput)
	})
}

func TestTheSenderMayTryAgainWhenTheCallbackFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook(t, creatify.WebhookOptions{})
		job := create(t, h.api, h.client, creatifytest.Life{})
		time.Sleep(20 * time.Second)
		h.err = errors.New("the database is down")
		assert.Equal(t, 500, h.post(notice(job.ID, "done")).StatusCode)
		h.err = nil
		assert.Equal(t, 204, h.post(notice(job.ID, "done")).StatusCode)
		assert.Len(t, h.jobs, 1)
	})
}

func TestANoticeThatIsAheadOfTheJobIsToComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook(t, creatify.WebhookOptions{})
		job := create(t, h.api, h.client, creatifytest.Life{})
		got := h.post(notice(job.ID, "done"))
		assert.Equal(t, 503, got.StatusCode)
		assert.Equal(t, "10", got.Header.Get("Retry-After"))
		h.api.Inject(creatifytest.Fault{Call: get, Status: 500})
		assert.Equal(t, 503, h.post(notice(job.ID, "pending")).StatusCode, "nor can it be read now")
		assert.Empty(t, h.jobs)
	})
}

func TestAFloodOfMadeUpIDsIsNoFloodOfReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook(t, creatify.WebhookOptions{ReadsPerSecond: 1})
		for range 50 {
			assert.Equal(t, 404, h.post(notice(jobID, "done")).StatusCode)
		}
		assert.Equal(t, 404, h.post(notice(strings.ToUpper(jobID), "done")).StatusCode)
		assert.Equal(t, 1, h.api.Calls(get), "that it is unknown is remembered, in every spelling")
		refused := 0
		for _, id := range testkit.IDs(1000) {
			if h.post(notice(id, "done")).StatusCode == 503 {
				refused++
			}
		}
		assert.Less(t, h.api.Calls(get), 15)
		assert.Greater(t, refused, 900)
		time.Sleep(2 * time.Minute)
		h.post(notice(jobID, "done"))
		assert.Less(t, h.api.Calls(get), 16, "and asked again later")
	})
}

func TestReadsForNoticesAreFewByDefaultAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook(t, creatify.WebhookOptions{})
		for _, id := range testkit.IDs(1000) {
			h.post(notice(id, "done"))
		}
		assert.LessOrEqual(t, h.api.Calls(get), 51, "five a second, and ten times as many at once")
		time.Sleep(time.Minute)
		h.api.Inject(creatifytest.Fault{Call: get, Delay: time.Hour})
		start := time.Now()
		assert.Equal(t, 503, h.post(notice(jobID, "done")).StatusCode)
		assert.Equal(t, 10*time.Second, time.Since(start), "the sender waits")
	})
}

func TestAnUnknownIDIsAskedForAgainAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook(t, creatify.WebhookOptions{})
		for after, reads := range []int{1, 1, 2} {
			assert.Equal(t, 404, h.post(notice(jobID, "done")).StatusCode)
			assert.Equal(t, reads, h.api.Calls(get), "after %d times 8 s", after)
			time.Sleep(8 * time.Second)
		}
	})
}

func TestWhatWasHandedOverIsRememberedForDaysAndNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads, handed := 0, 0
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			reads++
			return respond(req, 200, `{"id":"`+path.Base(req.URL.Path)+`","status":"running"}`), nil
		}))
		h := &hook{t: t, handler: client.Jobs.WebhookHandler(creatify.WebhookOptions{ReadsPerSecond: 1e6},
			func(context.Context, *creatify.Job) error { handed++; return nil })}
		h.post(notice(jobID, "running"))
		time.Sleep(6 * 24 * time.Hour)
		h.post(notice(jobID, "running"))
		assert.Equal(t, 1, handed)
		assert.Equal(t, 1, reads)
		ids := testkit.IDs(10_000)
		for _, id := range ids[:9999] {
			h.post(notice(id, "running"))
		}
		h.post(notice(jobID, "running"))
		assert.Equal(t, 10_000, handed, "the last 10,000 are remembered")
		h.post(notice(ids[9999], "running"))
		h.post(notice(ids[0], "running"))
		assert.Equal(t, 10_001, handed)
		h.post(notice(jobID, "running"))
		assert.Equal(t, 10_002, handed, "and the oldest makes room")
		h.post(notice(ids[1], "running"))
		assert.Equal(t, 10_002, handed)
		h.post(notice(ids[0], "running"))
		assert.Equal(t, 10_003, handed, "one after the other")
	})
}

func TestAVideoWithoutAPreviewIsHandedOver(t *testing.T) {
	handed := 0
	client := newClient(t, says(200, jobWith(videoURL)))
	h := &hook{t: t, handler: client.Jobs.WebhookHandler(creatify.WebhookOptions{}, func(context.Context, *creatify.Job) error { handed++; return nil })}
	assert.Equal(t, 204, h.post(notice(jobID, "done")).StatusCode)
	assert.Equal(t, 1, handed)
}

func TestAHandlerThatCannotWorkSaysSo(t *testing.T) {
	h := newHook(t, creatify.WebhookOptions{})
	assert.Equal(t, "POST", h.post("", func(r *http.Request) { r.Method = http.MethodGet }).Header.Get("Allow"))
	broken := func(r *http.Request) {
		r.Body = io.NopCloser(io.MultiReader(r.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
	}
	assert.Equal(t, 400, h.post(notice(jobID, "done"), broken).StatusCode, "what breaks off may have had more to say")
	assert.Zero(t, h.api.Calls(""))
}

func TestATrackersHandlerIsNoFloodGate(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		h := &hook{t: t, handler: tracker.WebhookHandler(creatify.WebhookOptions{ReadsPerSecond: 1})}
		job := create(t, api, client, creatifytest.Life{Duration: time.Hour})
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: job.ID}))
		answers := map[int]int{}
		var last *http.Response
		for range 100 {
			last = h.post(notice(job.ID, "running"))
			answers[last.StatusCode]++
		}
		assert.Equal(t, map[int]int{204: 11, 503: 89}, answers)
		assert.Equal(t, "10", last.Header.Get("Retry-After"))
	})
}

func TestATrackedWaitEndsWithinOneReadOfItsNotice(t *testing.T) {
	for name, tt := range map[string]struct {
		send func(post func(id string), fast, slow string)
		most time.Duration // for the fast job's result
	}{
		"when notices arrive": {func(post func(string), fast, slow string) { post(fast) }, 61 * time.Second},
		"when they come twice, late ones first": {func(post func(string), fast, slow string) {
			post(slow)
			post(fast)
			post(fast)
		}, 61 * time.Second},
		"when all are lost": {func(func(string), string, string) {}, 90 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
				defer tracker.Close()
				h := &hook{t: t, handler: tracker.WebhookHandler(creatify.WebhookOptions{Secret: "right"})}
				fast := create(t, api, client, creatifytest.Life{Duration: time.Minute})
				slow := create(t, api, client, creatifytest.Life{Duration: 10 * time.Minute})
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: fast.ID}))
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: slow.ID}))
				assert.Equal(t, 404, h.post(notice(jobID, "done")).StatusCode, "it is not tracked")
				time.AfterFunc(time.Minute, func() {
					// 404 is for a second notice, when the first has ended the wait.
					tt.send(func(id string) { h.post(notice(id, "done")) }, fast.ID, slow.ID)
				})
				start := time.Now()
				for r := range tracker.Results(t.Context()) {
					job, err := r.Job, r.Err
					require.NoError(t, err)
					assert.Equal(t, fast.ID, job.ID)
					assert.LessOrEqual(t, time.Since(start), tt.most)
					break
				}
			})
		})
	}
}

// handlerTransport lets the fake send its notices to a handler without a socket.
func handlerTransport(handler http.Handler) *http.Client {
	return &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		return w.Result(), nil
	})}
}

func TestTheWayBackFromALostCreate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		orders := map[string]*creatify.Job{}
		var handler http.Handler
		notices := handlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
		api := creatifytest.New(creatifytest.Config{Webhooks: creatifytest.Webhooks{Client: notices, Duplicates: 2}})
		client := newClient(t, api)
		handler = client.Jobs.WebhookHandler(creatify.WebhookOptions{Secret: "s3cret"}, func(ctx context.Context, job *creatify.Job) error {
			orders[creatify.WebhookReference(ctx)] = job
			return nil
		})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go api.RunWebhooks(ctx)

		p := params()
		var err error
		p.WebhookURL, err = creatify.WebhookURL("https://shop.test/hook", "order-7", "s3cret")
		require.NoError(t, err)
		api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Drop: creatifytest.DropAfter})
		_, err = client.Jobs.CreatePreviewAndWait(ctx, p)
		require.ErrorIs(t, err, creatify.ErrOutcomeUnknown)

		time.Sleep(time.Minute)
		synctest.Wait()
		job := orders["order-7"]
		require.NotNil(t, job, "the notice has named the job")
		assert.Equal(t, api.Jobs(), []string{job.ID})
		assert.NotEmpty(t, job.Preview)
		assert.Equal(t, 1.0, api.Charged(), "one charge")
		_, err = client.Jobs.Render(ctx, job.ID)
		assert.NoError(t, err, "and the preview can be used")
	})
}

func TestATrackerUnderWebhooksOfEveryKind(t *testing.T) {
	for name, webhooks := range map[string]creatifytest.Webhooks{
		"prompt":                       {},
		"twice and in another order":   {Duplicates: 1, Shuffle: 20 * time.Second, Delay: time.Second},
		"every second one is lost":     {Lose: func(n int) bool { return n%2 == 0 }},
		"all lost":                     {Lose: func(int) bool { return true }},
		"by the other documented name": {VideoField: "output"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var handler http.Handler
				webhooks.Client = handlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
				api := creatifytest.New(creatifytest.Config{Webhooks: webhooks})
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
					job, err := r.Job, r.Err
					require.NoError(t, err)
					lag += time.Since(ends[job.ID])
					n++
				}
				assert.Equal(t, 30, n, "each job once")
				t.Logf("mean lag %v, %d polls", lag/30, api.Calls(get))
				assert.Less(t, lag/30, 20*time.Second)
				if webhooks.Lose == nil && webhooks.Delay == 0 {
					assert.Zero(t, lag, "with notices a wait ends within one read")
				}
			})
		})
	}
}
