package creatifytest_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestLife(t *testing.T) {
	const s = time.Second
	type seen struct {
		after    time.Duration
		status   string
		progress float64
	}
	tests := []struct {
		name string
		life creatifytest.Life
		want []seen
	}{
		{
			name: "by default a job is done after 20 s",
			want: []seen{
				{0, "pending", 0}, {2*s - 1, "pending", 0.1}, {2 * s, "in_queue", 0.1}, {4*s - 1, "in_queue", 0.2},
				{4 * s, "running", 0.2}, {10 * s, "running", 0.5}, {20*s - 1, "running", 1}, {20 * s, "done", 1}, {time.Hour, "done", 1},
			},
		},
		{
			name: "the duration stretches the way",
			life: creatifytest.Life{Duration: 100 * s},
			want: []seen{{9 * s, "pending", 0.09}, {10 * s, "in_queue", 0.1}, {20 * s, "running", 0.2}, {99 * s, "running", 0.99}, {100 * s, "done", 1}},
		},
		{
			name: "a job that ends at once is created as pending all the same",
			life: creatifytest.Life{Duration: 1},
			want: []seen{{0, "pending", 0}, {1, "done", 1}},
		},
		{
			name: "a job can fail",
			life: creatifytest.Life{End: "failed"},
			want: []seen{{19 * s, "running", 0.95}, {20 * s, "failed", 1}},
		},
		{
			name: "a job can be rejected",
			life: creatifytest.Life{End: "rejected"},
			want: []seen{{19 * s, "running", 0.95}, {20 * s, "rejected", 1}},
		},
		{
			name: "a job of negative duration never ends",
			life: creatifytest.Life{Duration: -1},
			want: []seen{{0, "pending", 0}, {3 * s, "in_queue", 0.15}, {10 * s, "running", 0.5}, {1000 * time.Hour, "running", 0.99}},
		},
		{
			name: "steps replace the usual way",
			life: creatifytest.Life{Steps: []creatifytest.Step{
				{At: 5 * s, Status: "running", Progress: 0.7},
				{At: 6 * s, Status: "paused", Progress: 0.4},
				{At: 90 * s, Status: "done", Progress: 1},
			}},
			want: []seen{{0, "pending", 0}, {5 * s, "running", 0.7}, {6 * s, "paused", 0.4}, {89 * s, "paused", 0.4}, {90 * s, "done", 1}},
		},
		{
			name: "steps may be in any order",
			life: creatifytest.Life{Steps: []creatifytest.Step{
				{At: 9 * s, Status: "done", Progress: 1},
				{At: 5 * s, Status: "running", Progress: 0.7},
			}},
			want: []seen{{5 * s, "running", 0.7}, {9 * s, "done", 1}},
		},
		{
			name: "a job can be created running",
			life: creatifytest.Life{Steps: []creatifytest.Step{{Status: "running", Progress: 0.1}}},
			want: []seen{{0, "running", 0.1}, {time.Hour, "running", 0.1}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{Life: test.life})
				start := time.Now()
				job := create(t, api)
				for _, want := range test.want {
					time.Sleep(time.Until(start.Add(want.after)))
					if want.after > 0 {
						job = get(t, api, job["id"])
					}
					if job["status"] != want.status {
						t.Errorf("after %v the status is %v, want %s", want.after, job["status"], want.status)
					}
					if diff := job["progress"].(float64) - want.progress; diff < -1e-6 || diff > 1e-6 {
						t.Errorf("after %v the progress is %v, want %v", want.after, job["progress"], want.progress)
					}
				}
			})
		})
	}
}

func TestWhatTakesANanosecondHasEndedWhenItIsReadThoughTheClockStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, Render: creatifytest.RenderLife{Duration: 1}}})
		start := time.Now()
		job := get(t, api, create(t, api)["id"])
		if job["status"] != "done" || job["preview"] == nil {
			t.Errorf("the job is %v with the preview %v", job["status"], job["preview"])
		}
		render(t, api, job["id"])
		if job = get(t, api, job["id"]); job["status"] != "done" || job["video_output"] == nil {
			t.Fatalf("the rendered job is %v with the video %v", job["status"], job["video_output"])
		}
		for _, file := range []any{job["preview"], job["video_output"]} {
			if got := roundTrip(t, api, newRequest(t.Context(), "GET", file.(string), "")); got.status != http.StatusOK {
				t.Errorf("%v is answered with %d", file, got.status)
			}
		}
		if time.Now() != start {
			t.Error("the clock has moved")
		}
	})
}

func TestJobShowsResultOnlyOnceItIsThere(t *testing.T) {
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
			name: "credits_used stays when a job goes on after its end",
			life: creatifytest.Life{Steps: []creatifytest.Step{{At: 2 * time.Second, Status: "done"}, {At: 3 * time.Second, Status: "running"}}},
			at:   4 * time.Second,
			want: map[string]any{"preview": nil, "duration": nil, "credits_used": 1.0},
		},
		{
			name: "a job that goes on after its end shows no price before it",
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
}

func TestJobHasTheDocumentedKeysInOrder(t *testing.T) {
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
}

func TestJobEchoesTheRequest(t *testing.T) {
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
}

func TestJobEchoesVariables(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	body := `{"template_id":"` + creatifytest.TemplateID + `","variables":{"headline": {"type":"text","properties":{"content":"a < b"}}}}`
	job := decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, body)), 201)
	headline := job["variables"].(map[string]any)["headline"].(map[string]any)
	equal(t, "the content", headline["properties"].(map[string]any)["content"], any("a < b"))
}

func TestTimestamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a bubble begins at 2000-01-01T00:00:00Z
		api := creatifytest.New(creatifytest.Config{})
		job := create(t, api)
		equal(t, "created_at", job["created_at"], any("1999-12-31T17:00:00.000000-07:00"))
		equal(t, "updated_at at first", job["updated_at"], job["created_at"])
		time.Sleep(30 * time.Second)
		job = get(t, api, job["id"])
		equal(t, "updated_at", job["updated_at"], any("1999-12-31T17:00:20.000000-07:00"))
	})
}

func TestReplyEditsWhatIsShown(t *testing.T) {
	life := creatifytest.Life{Reply: func(job map[string]any) {
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
}

func TestReplyThatJSONCannotExpressIsAnError(t *testing.T) {
	life := creatifytest.Life{Reply: func(job map[string]any) { job["progress"] = func() {} }}
	api := creatifytest.New(creatifytest.Config{Life: life})
	got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, validBody))
	equal(t, "the status", got.status, 500)
}

func TestNextJobs(t *testing.T) {
	steps := func(status string) creatifytest.Life {
		return creatifytest.Life{Steps: []creatifytest.Step{{Status: status}}}
	}
	api := creatifytest.New(creatifytest.Config{Life: steps("running")})
	api.NextJob(steps("failed"), steps("rejected"))
	for _, want := range []string{"failed", "rejected", "running"} {
		equal(t, "the status", create(t, api)["status"], any(want))
	}
}

func TestRefusedRequestTakesNoNextJob(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	api.NextJob(creatifytest.Life{Steps: []creatifytest.Step{{Status: "failed"}}})
	roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, `{}`))
	equal(t, "the status", create(t, api)["status"], any("failed"))
}

func TestSeedDecidesIDs(t *testing.T) {
	ids := func(seed uint64) string {
		api := creatifytest.New(creatifytest.Config{Seed: seed})
		first, second := create(t, api)["id"], create(t, api)["id"]
		if first == second {
			t.Fatalf("two jobs have the ID %v", first)
		}
		return strings.Join(api.Jobs(), " ")
	}
	equal(t, "the IDs for the same seed", ids(7), ids(7))
	if ids(7) == ids(8) {
		t.Error("two seeds give the same IDs")
	}
}

func TestJobsAreInOrderOfCreation(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	var want []string
	for range 20 {
		want = append(want, create(t, api)["id"].(string))
	}
	equal(t, "the list of jobs", strings.Join(api.Jobs(), " "), strings.Join(want, " "))
}

func TestPrice(t *testing.T) {
	const preview, wait, video = creatifytest.CallCreatePreview, creatifytest.CallPreviewSync, creatifytest.CallCreateVideo
	tests := []struct {
		name    string
		call    creatifytest.Call
		model   string
		seconds float64
		want    float64
	}{
		{"a video of no stated length costs as one of 15 s", preview, "standard", 0, 1},
		{"a second of preview costs as much as 30", preview, "standard", 1, 1},
		{"30 s of preview cost 1 credit", preview, "standard", 30, 1},
		{"what is over 30 s costs another credit", preview, "standard", 30.5, 2},
		{"90 s of preview cost 3 credits", preview, "standard", 90, 3},
		{"the model does not change the price of a preview", preview, "aurora_v1", 90, 3},
		{"a preview to wait for costs the same", wait, "standard", 31, 2},
		{"the model does not change the price of a preview to wait for", wait, "aurora_v1_fast", 31, 2},
		{"30 s of video cost 5 credits", video, "standard", 30, 5},
		{"what is over 30 s costs another 5", video, "standard", 31, 10},
		{"a second of video with aurora_v1 costs 1 credit", video, "aurora_v1", 31, 31},
		{"a second of video with aurora_v1_fast costs half a credit", video, "aurora_v1_fast", 31, 15.5},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{Credits: 100, Life: creatifytest.Life{VideoSeconds: test.seconds}})
				_, path, _ := strings.Cut(string(test.call), " ")
				roundTrip(t, api, newRequest(t.Context(), "POST", base+path, bodyWith(t, map[string]any{"model_version": test.model})))
				equal(t, "Charged", api.Charged(), test.want)
				equal(t, "Credits", api.Credits(), 100-test.want)
				time.Sleep(20 * time.Second)
				equal(t, "credits_used", get(t, api, api.Jobs()[0])["credits_used"], any(test.want))
			})
		})
	}
}

func TestFailedJobStaysCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{End: "failed"}})
		job := create(t, api)
		time.Sleep(time.Minute)
		equal(t, "the status", get(t, api, job["id"])["status"], any("failed"))
		equal(t, "Charged", api.Charged(), 1)
	})
}

func TestCredits(t *testing.T) {
	tests := []struct {
		name    string
		credits float64
		want    string
	}{
		{"by default the balance is 1000", 0, `{"remaining_credits":1000}`},
		{"a balance may be fractional", 379.5, `{"remaining_credits":379.5}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Credits: test.credits})
			got := roundTrip(t, api, newRequest(t.Context(), "GET", creditsURL, ""))
			equal(t, "the body", got.body, test.want)
		})
	}
}

func TestTooFewCreditsCreateNothing(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{Credits: 1.5})
	create(t, api)
	got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, validBody))
	equal(t, "the status", got.status, 402)
	equal(t, "the body", got.body, `{"detail":"Insufficient credits."}`)
	equal(t, "the number of jobs", len(api.Jobs()), 1)
	equal(t, "Charged", api.Charged(), 1)
}
