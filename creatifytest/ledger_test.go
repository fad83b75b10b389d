package creatifytest_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestPrice(t *testing.T) {
	t.Run("of a job", func(t *testing.T) {
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
	})

	t.Run("of a render", func(t *testing.T) {
		tests := []struct {
			name    string
			model   string
			seconds float64
			want    float64
		}{
			{"30 s cost 4 credits", "standard", 30, 4},
			{"what is over 30 s costs another 4", "standard", 31, 8},
			{"a second with aurora_v1 costs 1 credit", "aurora_v1", 31, 31},
			{"a second with aurora_v1_fast costs half a credit", "aurora_v1_fast", 31, 15.5},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := creatifytest.New(creatifytest.Config{Credits: 100, Life: creatifytest.Life{VideoSeconds: test.seconds}})
					id := decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", syncURL, bodyWith(t, map[string]any{"model_version": test.model}))), 200)["id"]
					preview := api.Charged()
					job := render(t, api, id)
					equal(t, "what is charged for it", api.Charged()-preview, test.want)
					equal(t, "Credits", api.Credits(), 100-preview-test.want)
					equal(t, "credits_used", job["credits_used"], any(preview+test.want))
				})
			})
		}
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

func TestCharge(t *testing.T) {
	t.Run("a failed job stays charged", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{End: "failed"}})
			job := create(t, api)
			time.Sleep(time.Minute)
			equal(t, "the status", get(t, api, job["id"])["status"], any("failed"))
			equal(t, "Charged", api.Charged(), 1)
		})
	})

	t.Run("too few credits create nothing", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Credits: 1.5})
		create(t, api)
		got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, validBody))
		equal(t, "the status", got.status, 402)
		equal(t, "the body", got.body, `{"detail":"Insufficient credits."}`)
		equal(t, "the number of jobs", len(api.Jobs()), 1)
		equal(t, "Charged", api.Charged(), 1)
	})
}

func TestAddCredits(t *testing.T) {
	tests := []struct {
		name string
		add  []float64
		want float64
	}{
		{"adds", []float64{5, 0.5}, 15.5},
		{"takes away", []float64{-4}, 6},
		{"stops at nothing", []float64{-1e300, 3}, 3},
		{"stops at all there is", []float64{math.Inf(1), math.Inf(1)}, math.MaxFloat64},
		{"ignores what is no number", []float64{math.NaN()}, 10},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Credits: 10})
			for _, credits := range test.add {
				api.AddCredits(credits)
			}
			equal(t, "Credits", api.Credits(), test.want)
			equal(t, "Charged", api.Charged(), 0)
		})
	}

	t.Run("a refused call succeeds afterwards", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Credits: -1})
		equal(t, "the status", roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, validBody)).status, 402)
		api.AddCredits(1)
		create(t, api)
	})
}

func TestCharges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Credits: 8, Life: atOnce})
		order := func(n string) string {
			return bodyWith(t, map[string]any{"name": "order " + n, "webhook_url": "https://shop.example/hook?ref=" + n})
		}
		api.Inject(
			creatifytest.Fault{Drop: creatifytest.DropBefore},
			creatifytest.Fault{Drop: creatifytest.DropAfter},
			creatifytest.Fault{Status: 503},
			creatifytest.Fault{Status: 504, Processed: true},
		)
		for range 5 { // two responses are lost, the last is not
			if resp, err := api.RoundTrip(newRequest(t.Context(), "POST", previewURL, order("1"))); err == nil {
				resp.Body.Close()
			}
		}
		start := time.Now()
		time.Sleep(time.Minute)
		render(t, api, api.Jobs()[0])
		equal(t, "the status without credits", roundTrip(t, api, newRequest(t.Context(), "POST", jobsURL, order("2"))).status, 402)

		var got []string
		sum := 0.0
		for _, c := range api.Charges() {
			sum += c.Credits
			got = append(got, fmt.Sprintln(c.JobID == api.Jobs()[0], c.Credits, c.At.Sub(start), c.Call, c.Name, c.Reference()))
		}
		equal(t, "the charges", strings.Join(got, ""), ""+
			"true 1 0s POST /api/custom_template_jobs/preview_async/ order 1 1\n"+
			"false 1 0s POST /api/custom_template_jobs/preview_async/ order 1 1\n"+
			"false 1 0s POST /api/custom_template_jobs/preview_async/ order 1 1\n"+
			"true 4 1m0s POST /api/custom_template_jobs/{id}/render/ order 1 1\n")
		equal(t, "their sum", sum, api.Charged())
	})
}
