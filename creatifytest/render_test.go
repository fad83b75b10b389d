package creatifytest_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRender(t *testing.T) {
	const s = time.Second
	type seen struct {
		after    time.Duration // since the call for the render
		status   string
		progress float64
		result   string // what there is: "video", the failed_reason, or nothing
	}
	tests := []struct {
		name   string
		render creatifytest.RenderLife
		want   []seen
	}{
		{
			name: "by default a render is done after 20 s",
			want: []seen{
				{0, "running", 0, ""}, {5 * s, "running", 0.25, ""}, {20*s - 1, "running", 1, ""}, {20 * s, "done", 1, "video"}, {time.Hour, "done", 1, "video"},
			},
		},
		{
			name:   "the duration stretches it",
			render: creatifytest.RenderLife{Duration: 100 * s},
			want: []seen{
				{0, "running", 0, ""}, {50 * s, "running", 0.5, ""}, {100*s - 1, "running", 1, ""}, {100 * s, "done", 1, "video"},
			},
		},
		{
			name:   "a job may read done for a while",
			render: creatifytest.RenderLife{Lag: 4 * s, Duration: 14 * s},
			want: []seen{
				{0, "done", 1, ""}, {4*s - 1, "done", 1, ""}, {4 * s, "running", 0, ""}, {9 * s, "running", 0.5, ""}, {14*s - 1, "running", 1, ""}, {14 * s, "done", 1, "video"},
			},
		},
		{
			name:   "a render may never be seen running",
			render: creatifytest.RenderLife{Lag: 30 * s, Duration: 10 * s},
			want: []seen{
				{10*s - 1, "done", 1, ""}, {10 * s, "done", 1, "video"},
			},
		},
		{
			name:   "a negative lag is none",
			render: creatifytest.RenderLife{Lag: -10 * s, Duration: 10 * s},
			want: []seen{
				{0, "running", 0, ""}, {5 * s, "running", 0.5, ""}, {10 * s, "done", 1, "video"},
			},
		},
		{
			name:   "a render can fail",
			render: creatifytest.RenderLife{End: "failed", Reason: "no more paint"},
			want: []seen{
				{0, "running", 0, ""}, {20*s - 1, "running", 1, ""}, {20 * s, "failed", 1, "no more paint"},
			},
		},
		{
			name:   "a render can be rejected without a reason",
			render: creatifytest.RenderLife{Duration: 2 * s, End: "rejected"},
			want: []seen{
				{1 * s, "running", 0.5, ""}, {2 * s, "rejected", 1, ""},
			},
		},
		{
			name:   "a render of negative duration never ends",
			render: creatifytest.RenderLife{Lag: 30 * s, Duration: -1},
			want: []seen{
				{30*s - 1, "done", 1, ""}, {30 * s, "running", 0, ""}, {40 * s, "running", 0.5, ""}, {1000 * time.Hour, "running", 0.99, ""},
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Render: test.render}})
				id := create(t, api)["id"]
				time.Sleep(time.Minute)
				preview := get(t, api, id)["preview"]
				start := time.Now()
				job := render(t, api, id)
				for _, want := range test.want {
					time.Sleep(time.Until(start.Add(want.after)))
					if want.after > 0 {
						job = get(t, api, id)
					}
					if job["status"] != want.status {
						t.Errorf("after %v the status is %v, want %s", want.after, job["status"], want.status)
					}
					if diff := job["progress"].(float64) - want.progress; diff < -1e-6 || diff > 1e-6 {
						t.Errorf("after %v the progress is %v, want %v", want.after, job["progress"], want.progress)
					}
					video, reason := any(nil), any(nil)
					switch want.result {
					case "video":
						video = "https://video.creatify.test/" + id.(string) + ".mp4"
					case "":
					default:
						reason = want.result
					}
					equal(t, "video_output after "+want.after.String(), job["video_output"], video)
					equal(t, "failed_reason after "+want.after.String(), job["failed_reason"], reason)
					equal(t, "preview after "+want.after.String(), job["preview"], preview)
					equal(t, "duration after "+want.after.String(), job["duration"], any(15.0))
					equal(t, "credits_used after "+want.after.String(), job["credits_used"], any(5.0))
				}
			})
		})
	}
}

func TestStartRender(t *testing.T) {
	t.Run("refuses", func(t *testing.T) {
		const (
			noPreview = `["The custom template job has no preview to render."]`
			already   = `["The custom template job has been rendered already."]`
		)
		tests := []struct {
			name     string
			url      string // the call that creates the job; "" means previewURL
			life     creatifytest.Life
			at       time.Duration // since the job's creation
			rendered time.Duration // since a first render; 0 means that there is none
			credits  float64
			status   int
			want     string
		}{
			{name: "a job that is running", at: 20*time.Second - 1, status: 400, want: noPreview},
			{name: "a job that failed", life: creatifytest.Life{End: "failed"}, at: time.Minute, status: 400, want: noPreview},
			{name: "a video without a preview", url: jobsURL, at: time.Minute, status: 400, want: noPreview},
			{name: "a job that is done no more", life: creatifytest.Life{Steps: []creatifytest.Step{
				{Status: "done"}, {At: time.Second, Status: "running"},
			}}, at: time.Minute, status: 400, want: noPreview},
			{name: "a render under way", at: time.Minute, rendered: 10 * time.Second, status: 400, want: already},
			{name: "a render under way that does not show yet", life: creatifytest.Life{Render: creatifytest.RenderLife{Lag: 15 * time.Second}},
				at: time.Minute, rendered: 10 * time.Second, status: 400, want: already},
			{name: "a render that is done", at: time.Minute, rendered: time.Hour, status: 400, want: already},
			{name: "a render that failed", life: creatifytest.Life{Render: creatifytest.RenderLife{End: "failed"}},
				at: time.Minute, rendered: time.Hour, status: 400, want: already},
			{name: "too few credits", credits: 4.5, at: time.Minute, status: 402, want: `{"detail":"Insufficient credits."}`},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := creatifytest.New(creatifytest.Config{Credits: test.credits, Life: test.life})
					url := previewURL
					if test.url != "" {
						url = test.url
					}
					id := decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", url, validBody)), 201)["id"]
					time.Sleep(test.at)
					if test.rendered > 0 {
						render(t, api, id)
						time.Sleep(test.rendered)
					}
					charged, before := api.Charged(), roundTrip(t, api, newRequest(t.Context(), "GET", jobsURL+id.(string)+"/", ""))
					got := roundTrip(t, api, newRequest(t.Context(), "POST", renderURL(id), "{}"))
					equal(t, "the status", got.status, test.status)
					equal(t, "the body", got.body, test.want)
					equal(t, "Charged", api.Charged(), charged)
					after := roundTrip(t, api, newRequest(t.Context(), "GET", jobsURL+id.(string)+"/", ""))
					equal(t, "the job", after.body, before.body)
				})
			})
		}
	})

	t.Run("accepts any object or none", func(t *testing.T) {
		for _, body := range []string{"", "{}", validBody, `{"template_id":1}`} {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				id := create(t, api)["id"]
				time.Sleep(20 * time.Second)
				got := roundTrip(t, api, newRequest(t.Context(), "POST", renderURL(id), body))
				equal(t, "the status with the body "+body, got.status, 200)
			})
		}
	})

	t.Run("replaces the later steps", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{
				Steps:  []creatifytest.Step{{Status: "done", Progress: 1}, {At: 5 * time.Second, Status: "failed"}},
				Render: creatifytest.RenderLife{Lag: 10 * time.Second},
			}})
			id := create(t, api)["id"]
			render(t, api, id)
			time.Sleep(9 * time.Second)
			equal(t, "the status before the render shows", get(t, api, id)["status"], any("done"))
			time.Sleep(6 * time.Second)
			job := get(t, api, id)
			equal(t, "the status under way", job["status"], any("running"))
			equal(t, "whether the preview is there", job["preview"] != nil, true)
		})
	})

	t.Run("moves updated_at", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { // a bubble begins at 2000-01-01T00:00:00Z
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Render: creatifytest.RenderLife{Lag: 2 * time.Second}}})
			id := create(t, api)["id"]
			time.Sleep(time.Minute)
			equal(t, "updated_at at the call", render(t, api, id)["updated_at"], any("1999-12-31T17:00:20.000000-07:00"))
			time.Sleep(5 * time.Second)
			equal(t, "updated_at under way", get(t, api, id)["updated_at"], any("1999-12-31T17:01:02.000000-07:00"))
			time.Sleep(time.Hour)
			equal(t, "updated_at at the end", get(t, api, id)["updated_at"], any("1999-12-31T17:01:20.000000-07:00"))
		})
	})

	t.Run("allows a Edit to call the API", func(t *testing.T) {
		var api *creatifytest.API
		life := creatifytest.Life{
			Steps: []creatifytest.Step{{Status: "done"}},
			Edit:  func(job map[string]any) { job["name"] = api.Charged() },
		}
		api = creatifytest.New(creatifytest.Config{Life: life})
		equal(t, "the name", render(t, api, create(t, api)["id"])["name"], any(5.0))
	})

	t.Run("accepts one of many concurrent renders", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Steps: []creatifytest.Step{{Status: "done"}}}})
		id := create(t, api)["id"].(string)
		var wg sync.WaitGroup
		var taken atomic.Int64
		for range 8 {
			wg.Go(func() {
				for _, req := range []*http.Request{
					newRequest(t.Context(), "GET", jobsURL+id+"/", ""),
					newRequest(t.Context(), "POST", renderURL(id), "{}"),
					newRequest(t.Context(), "GET", jobsURL+id+"/", ""),
				} {
					resp, err := api.RoundTrip(req)
					if err != nil {
						t.Errorf("%s %s: %v", req.Method, req.URL, err)
						return
					}
					resp.Body.Close()
					if req.Method == "POST" && resp.StatusCode == 200 {
						taken.Add(1)
					}
				}
			})
		}
		wg.Wait()
		equal(t, "the number of renders taken", taken.Load(), 1)
		equal(t, "Charged", api.Charged(), 5)
	})
}

// The end of the render names what the job has cost.
func TestRender_of_a_preview_that_stands_in_a_pending_job(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Steps: []creatifytest.Step{{At: 5 * time.Second, Status: "pending", Preview: true}}}})
		client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
		require.NoError(t, err)
		job, err := client.Jobs.CreatePreviewAndWait(t.Context(), creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{"headline": creatify.Text("x")}})
		require.NoError(t, err)
		job, err = client.Jobs.RenderAndWait(t.Context(), job.ID)
		require.NoError(t, err)
		assert.Equal(t, creatify.StatusDone, job.Status)
		assert.Equal(t, 5.0, api.Charged())
		assert.Equal(t, 5.0, job.CreditsUsed)
		assert.Equal(t, 15*time.Second, job.Duration)
	})
}
