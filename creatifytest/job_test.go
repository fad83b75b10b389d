package creatifytest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestGetJob(t *testing.T) {
	t.Run("shows a result once there is one", func(t *testing.T) {
		tests := []struct {
			name string
			life creatifytest.Life
			at   time.Duration
			want map[string]any // "id" stands for a string with the job's ID in it, "uuid" for a UUID
		}{
			{
				name: "a new job shows no result",
				at:   time.Second,
				want: map[string]any{"preview": nil, "media_job": nil, "duration": nil, "failed_reason": nil, "credits_used": 0.0},
			},
			{
				name: "a running job has a media job",
				at:   10 * time.Second,
				want: map[string]any{"preview": nil, "media_job": "uuid", "duration": nil, "failed_reason": nil, "credits_used": 0.0},
			},
			{
				name: "a job that is done shows its preview, duration and price",
				life: creatifytest.Life{VideoSeconds: 31},
				at:   20 * time.Second,
				want: map[string]any{"preview": "id", "media_job": "uuid", "duration": 31.0, "failed_reason": nil, "credits_used": 2.0},
			},
			{
				name: "a failed job shows why and what it cost",
				life: creatifytest.Life{End: "failed", Reason: "no such voice"},
				at:   20 * time.Second,
				want: map[string]any{"preview": nil, "media_job": "uuid", "duration": nil, "failed_reason": "no such voice", "credits_used": 1.0},
			},
			{
				name: "a rejected job without a reason shows null",
				life: creatifytest.Life{End: "rejected"},
				at:   20 * time.Second,
				want: map[string]any{"preview": nil, "media_job": "uuid", "duration": nil, "failed_reason": nil, "credits_used": 1.0},
			},
			{
				name: "credits_used stays when a job continues after its end",
				life: creatifytest.Life{Steps: []creatifytest.Step{{At: 2 * time.Second, Status: "done"}, {At: 3 * time.Second, Status: "running"}}},
				at:   4 * time.Second,
				want: map[string]any{"preview": nil, "duration": nil, "credits_used": 1.0},
			},
			{
				name: "a job that continues after its end shows no price before it",
				life: creatifytest.Life{Steps: []creatifytest.Step{{At: 3 * time.Second, Status: "running"}, {At: 2 * time.Second, Status: "done"}}},
				at:   time.Second,
				want: map[string]any{"credits_used": 0.0},
			},
			{
				name: "the reason is not shown before the end",
				life: creatifytest.Life{End: "failed", Reason: "no such voice"},
				at:   19 * time.Second,
				want: map[string]any{"failed_reason": nil},
			},
			{
				name: "a step may be the end",
				life: creatifytest.Life{Steps: []creatifytest.Step{{Status: "done", Progress: 1}}},
				at:   0,
				want: map[string]any{"preview": "id", "media_job": "uuid", "duration": 15.0, "credits_used": 1.0},
			},
		}
		uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := creatifytest.New(creatifytest.Config{Life: test.life})
					id := create(t, api)["id"].(string)
					time.Sleep(test.at)
					job := get(t, api, id)
					for key, want := range test.want {
						switch want {
						case "id":
							equal(t, key, job[key].(string), "https://app.creatify.ai/preview?layout="+id)
						case "uuid":
							if s, _ := job[key].(string); !uuid.MatchString(s) {
								t.Errorf("%s is %v, want a UUID of version 4", key, job[key])
							}
						default:
							equal(t, key, job[key], want)
						}
					}
				})
			})
		}
	})

	t.Run("has the documented keys in order", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, validBody))
		equal(t, "Content-Type", got.header.Get("Content-Type"), "application/json")

		var keys []string
		decoder := json.NewDecoder(strings.NewReader(strings.ReplaceAll(got.body, "{}", "null")))
		decoder.Token()
		for decoder.More() {
			key, err := decoder.Token()
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key.(string))
			decoder.Token()
		}
		equal(t, "the list of keys", strings.Join(keys, " "), "id created_at updated_at variables media_job video_output preview editor_url "+
			"failed_reason credits_used duration status progress name webhook_url model_version is_hidden")
	})

	t.Run("echoes the request", func(t *testing.T) {
		tests := []struct {
			name string
			body string
			want map[string]any
		}{
			{
				name: "fields which are left out have their defaults",
				body: validBody,
				want: map[string]any{"name": nil, "webhook_url": nil, "model_version": "standard", "is_hidden": false},
			},
			{
				name: "fields which may be null have their defaults",
				body: strings.Replace(validBody, "{", `{"name":null,"webhook_url":null,`, 1),
				want: map[string]any{"name": nil, "webhook_url": nil},
			},
			{
				name: "fields which are there are shown again",
				body: strings.Replace(validBody, "{", ` { "name": "Spring", "webhook_url": "https://example.com/h?x=1", "model_version": "aurora_v1_fast", "is_hidden": true, `, 1),
				want: map[string]any{"name": "Spring", "webhook_url": "https://example.com/h?x=1", "model_version": "aurora_v1_fast", "is_hidden": true},
			},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, test.body))
				job := decode(t, got, 201)
				for key, want := range test.want {
					equal(t, key, job[key], want)
				}
				if _, ok := job["template_id"]; ok {
					t.Error("the template's ID is shown, but the API never does")
				}
			})
		}
	})

	t.Run("echoes variables", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		body := `{"template_id":"` + creatifytest.TemplateID + `","variables":{"headline": {"type":"text","properties":{"content":"a < b"}}}}`
		job := decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, body)), 201)
		headline := job["variables"].(map[string]any)["headline"].(map[string]any)
		equal(t, "the content", headline["properties"].(map[string]any)["content"], any("a < b"))
	})

	t.Run("has timestamps with an offset", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { // a bubble begins at 2000-01-01T00:00:00Z
			api := creatifytest.New(creatifytest.Config{})
			job := create(t, api)
			equal(t, "created_at", job["created_at"], any("1999-12-31T17:00:00.000000-07:00"))
			equal(t, "updated_at at first", job["updated_at"], job["created_at"])
			time.Sleep(30 * time.Second)
			job = get(t, api, job["id"])
			equal(t, "updated_at", job["updated_at"], any("1999-12-31T17:00:20.000000-07:00"))
		})
	})

	t.Run("Edit edits what is shown", func(t *testing.T) {
		life := creatifytest.Life{Edit: func(job map[string]any) {
			job["progress"] = "0.5"
			delete(job, "name")
		}}
		api := creatifytest.New(creatifytest.Config{Life: life})
		created := create(t, api)
		for what, job := range map[string]map[string]any{"the created job": created, "the job read": get(t, api, created["id"])} {
			equal(t, "progress in "+what, job["progress"], any("0.5"))
			if _, ok := job["name"]; ok {
				t.Errorf("%s has a name", what)
			}
		}
	})

	t.Run("a Edit that JSON cannot express is an error", func(t *testing.T) {
		life := creatifytest.Life{Edit: func(job map[string]any) { job["progress"] = func() {} }}
		api := creatifytest.New(creatifytest.Config{Life: life})
		got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, validBody))
		equal(t, "the status", got.status, 500)
	})
}

func TestCreate(t *testing.T) {
	t.Run("makes a video without a preview", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			job := decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", jobsURL, validBody)), 201)
			equal(t, "the status at first", job["status"], any("pending"))
			equal(t, "video_output at first", job["video_output"], nil)
			equal(t, "credits_used at first", job["credits_used"], any(0.0))
			time.Sleep(20 * time.Second)
			job = get(t, api, job["id"])
			equal(t, "the status", job["status"], any("done"))
			equal(t, "video_output", job["video_output"], any("https://video.creatify.test/"+job["id"].(string)+".mp4"))
			equal(t, "preview", job["preview"], nil)
			equal(t, "duration", job["duration"], any(15.0))
			equal(t, "credits_used", job["credits_used"], any(5.0))
		})
	})

	t.Run("makes a video that fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{End: "failed", Reason: "no such voice"}})
			job := decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", jobsURL, validBody)), 201)
			time.Sleep(20 * time.Second)
			job = get(t, api, job["id"])
			equal(t, "failed_reason", job["failed_reason"], any("no such voice"))
			equal(t, "video_output", job["video_output"], nil)
		})
	})

	t.Run("does not need a known template", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Templates: []creatifytest.Template{}})
		create(t, api)
	})
}

func TestPreviewSync(t *testing.T) {
	t.Run("responds at the end of the job", func(t *testing.T) {
		const s = time.Second
		tests := []struct {
			name   string
			life   creatifytest.Life
			after  time.Duration
			status string
		}{
			{"by default it is answered after 20 s", creatifytest.Life{}, 20 * s, "done"},
			{"the duration says when", creatifytest.Life{Duration: 90 * s}, 90 * s, "done"},
			{"a failure is answered as well", creatifytest.Life{End: "failed"}, 20 * s, "failed"},
			{"the first of the steps that is an end counts", creatifytest.Life{Steps: []creatifytest.Step{
				{At: 9 * s, Status: "done"}, {At: 3 * s, Status: "running"}, {At: 7 * s, Status: "rejected"},
			}}, 7 * s, "rejected"},
			{"a step that is an end at once", creatifytest.Life{Steps: []creatifytest.Step{{Status: "done"}}}, 0, "done"},
			{"a step that never shows does not count", creatifytest.Life{Steps: []creatifytest.Step{
				{At: 2 * s, Status: "done"}, {At: 2 * s, Status: "running"}, {At: 5 * s, Status: "failed"},
			}}, 5 * s, "failed"},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := creatifytest.New(creatifytest.Config{Life: test.life})
					start := time.Now()
					job := decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", syncURL, validBody)), 200)
					equal(t, "the time it took", time.Since(start), test.after)
					equal(t, "the status", job["status"], any(test.status))
					equal(t, "credits_used", job["credits_used"], any(1.0))
					equal(t, "the ID", job["id"], any(api.Jobs()[0]))
					equal(t, "whether there is a preview", job["preview"] != nil, test.status == "done")
					equal(t, "video_output", job["video_output"], nil)
				})
			})
		}
	})

	t.Run("charges a client that does not wait", func(t *testing.T) {
		for name, life := range map[string]creatifytest.Life{
			"a job that ends":       {},
			"a job that never ends": {Duration: -1},
			"steps without an end":  {Steps: []creatifytest.Step{{Status: "running"}}},
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := creatifytest.New(creatifytest.Config{Life: life})
					gone := errors.New("gone")
					ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, gone)
					defer cancel()
					start := time.Now()
					_, err := api.RoundTrip(newRequest(ctx, "POST", syncURL, validBody))
					equal(t, "the error", err, gone)
					equal(t, "the time it took", time.Since(start), 5*time.Second)
					equal(t, "the number of jobs", len(api.Jobs()), 1)
					equal(t, "Charged", api.Charged(), 1)
					time.Sleep(15 * time.Second)
					equal(t, "whether the job is done in the end", get(t, api, api.Jobs()[0])["status"] == "done", name == "a job that ends")
				})
			})
		}
	})

	t.Run("refuses when credits do not suffice", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Credits: 0.5})
		got := roundTrip(t, api, newRequest(t.Context(), "POST", syncURL, validBody))
		equal(t, "the status", got.status, 402)
		equal(t, "the number of jobs", len(api.Jobs()), 0)
	})
}

func TestJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life := creatifytest.Life{Edit: func(job map[string]any) { clear(job) }}
		api := creatifytest.New(creatifytest.Config{Life: life})
		roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, bodyWith(t, map[string]any{"name": "Spring"})))
		id := api.Jobs()[0]
		check := func(want creatifytest.Job) {
			t.Helper()
			got, ok := api.Job(id)
			equal(t, "whether there is one", ok, true)
			equal(t, "Created", time.Since(got.Created) < time.Hour, true)
			equal(t, "Request.Name", got.Request.Name, "Spring")
			got.Created, got.Request, want.ID = time.Time{}, creatifytest.Request{}, id
			equal(t, "the job", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
		}
		check(creatifytest.Job{Status: "pending", Charged: 1})
		time.Sleep(10 * time.Second)
		roundTrip(t, api, newRequest(t.Context(), "GET", jobsURL+id+"/", ""))
		check(creatifytest.Job{Status: "running", Progress: 0.5, Charged: 1, Reads: 1})
		time.Sleep(10 * time.Second)
		preview := "https://app.creatify.ai/preview?layout=" + id
		check(creatifytest.Job{Status: "done", Progress: 1, Preview: preview, Charged: 1, Reads: 1})
		roundTrip(t, api, newRequest(t.Context(), "POST", renderURL(id), ""))
		time.Sleep(time.Minute)
		check(creatifytest.Job{Status: "done", Progress: 1, Preview: preview, Video: "https://video.creatify.test/" + id + ".mp4", Charged: 5, Reads: 1})
		equal(t, "the number of requests", api.Calls(""), 3)
	})

	t.Run("does not find an unknown job", func(t *testing.T) {
		_, ok := creatifytest.New(creatifytest.Config{}).Job(unknownID)
		equal(t, "whether there is one", ok, false)
	})

	t.Run("a failed job has its reason", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, End: "failed", Reason: "no such voice"}})
		create(t, api)
		job, _ := api.Job(api.Jobs()[0])
		equal(t, "Reason", job.Reason, "no such voice")
	})
}
