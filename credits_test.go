package creatify_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
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

func TestEstimateCredits(t *testing.T) {
	const preview, video, render = creatify.OperationPreview, creatify.OperationVideo, creatify.OperationRender
	for _, tt := range []struct {
		name      string
		operation creatify.Operation
		model     creatify.ModelVersion
		length    time.Duration
		credits   float64
		listed    bool
	}{
		{"preview_of_one_block", preview, "", 30 * time.Second, 1, true},
		{"preview_of_a_started_block", preview, creatify.ModelStandard, 30*time.Second + 1, 2, true},
		{"video", video, "", 45 * time.Second, 10, true},
		{"video_of_3_s", video, "", 3 * time.Second, 5, true},
		{"render", render, "", time.Minute, 8, true},
		{"no_length", render, "", 0, 0, true},
		{"video_by_the_second", video, creatify.ModelAuroraV1, 45 * time.Second, 45, true},
		{"video_by_the_half_second", video, creatify.ModelAuroraV1Fast, 45 * time.Second, 22.5, true},
		{"preview_with_the_price_of_its_model", preview, creatify.ModelAuroraV1, 45 * time.Second, 45, false},
		{"render_with_its_own_price", render, creatify.ModelAuroraV1Fast, 2 * time.Second, 4, false},
		{"unknown_model", video, "aurora_v9", 45 * time.Second, 45, false},
		{"unknown_operation", "dream", "", 45 * time.Second, 10, false},
		{"negative_length", preview, "", -1, 0, false},
		{"longest_length", preview, "", math.MaxInt64, math.Ceil(float64(math.MaxInt64) / 30e9), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			credits, listed := creatify.EstimateCredits(tt.operation, tt.model, tt.length)
			assert.Equal(t, tt.credits, credits)
			assert.Equal(t, tt.listed, listed)
		})
	}
}

func TestEstimateCredits_prices(t *testing.T) {
	const video = creatify.OperationVideo
	for _, tt := range []struct {
		name    string
		price   creatify.Price // appended to the documented ones
		credits float64        // of a video of 20 s with aurora_v1
	}{
		{"later_price_wins", creatify.Price{Operation: video, Model: creatify.ModelAuroraV1, Credits: 20, Per: 15 * time.Second}, 40},
		{"whole_video", creatify.Price{Operation: video, Model: creatify.ModelAuroraV1, Credits: 7}, 7},
		{"free", creatify.Price{Operation: video, Model: creatify.ModelAuroraV1}, 0},
		{"of_another_model", creatify.Price{Operation: video, Credits: 100}, 20},
		{"negative_is_ignored", creatify.Price{Operation: video, Model: creatify.ModelAuroraV1, Credits: -1}, 20},
		{"no_number_is_ignored", creatify.Price{Operation: video, Model: creatify.ModelAuroraV1, Credits: math.NaN()}, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			prices := creatify.DocumentedPrices()
			prices.Prices = append(prices.Prices, tt.price)
			credits, listed := creatify.EstimateCredits(video, creatify.ModelAuroraV1, 20*time.Second, prices)
			assert.Equal(t, tt.credits, credits)
			assert.True(t, listed)
		})
	}
	t.Run("empty_list", func(t *testing.T) {
		credits, listed := creatify.EstimateCredits(video, "", time.Minute, creatify.PriceList{})
		assert.Zero(t, credits)
		assert.False(t, listed)
	})
}

func TestDocumentedPrices(t *testing.T) {
	prices := creatify.DocumentedPrices()
	_, err := time.Parse(time.DateOnly, prices.AsOf)
	assert.NoError(t, err)
	assert.Contains(t, prices.Source, "https://docs.creatify.ai/")
	prices.Prices[0].Credits = 99
	credits, _ := creatify.EstimateCredits(creatify.OperationPreview, "", time.Second)
	assert.Equal(t, 1.0, credits, "each caller has a list of its own")
}

func newBudget(credits float64) *creatify.Budget {
	return creatify.NewBudget(creatify.BudgetOptions{Credits: credits})
}

func TestNewBudget(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options creatify.BudgetOptions
		spent   float64
		allowed bool // a preview
	}{
		{"zero", creatify.BudgetOptions{}, 0, false},
		{"negative", creatify.BudgetOptions{Credits: -1}, 0, false},
		{"no_number", creatify.BudgetOptions{Credits: math.NaN()}, 0, false},
		{"no_number_spent", creatify.BudgetOptions{Credits: 5, Spent: math.NaN()}, 0, false},
		{"negative_spent", creatify.BudgetOptions{Credits: 1, Spent: -1}, 0, true},
		{"all_spent", creatify.BudgetOptions{Credits: 5, Spent: 4.5}, 4.5, false},
		{"enough_left", creatify.BudgetOptions{Credits: 5, Spent: 4}, 4, true},
		{"longer_video", creatify.BudgetOptions{Credits: 1, VideoLength: time.Minute}, 0, false},
		{"negative_length_is_30_s", creatify.BudgetOptions{Credits: 1, VideoLength: -1}, 0, true},
		{"own_prices", creatify.BudgetOptions{Credits: 1, Prices: creatify.PriceList{
			Prices: []creatify.Price{{Operation: creatify.OperationPreview, Credits: 1.5}}}}, 0, false},
		{"infinite", creatify.BudgetOptions{Credits: math.Inf(1)}, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			budget := creatify.NewBudget(tt.options)
			assert.Equal(t, tt.spent, budget.Spent())
			client := newClient(t, creatifytest.New(creatifytest.Config{}), creatify.WithBudget(budget))
			_, err := client.Jobs.CreatePreview(t.Context(), params())
			assert.Equal(t, tt.allowed, err == nil, "%v", err)
			assert.Equal(t, !tt.allowed, errors.Is(err, creatify.ErrBudgetExceeded))
		})
	}
}

func TestNewBudget_prices_are_copied(t *testing.T) {
	prices := creatify.DocumentedPrices()
	budget := creatify.NewBudget(creatify.BudgetOptions{Credits: 10, Prices: prices})
	prices.Prices[0].Credits = 99
	client := newClient(t, creatifytest.New(creatifytest.Config{}), creatify.WithBudget(budget))
	_, err := client.Jobs.CreatePreview(t.Context(), params())
	require.NoError(t, err)
	assert.Equal(t, 1.0, budget.Spent())
}

func TestWithBudget(t *testing.T) {
	t.Run("refuses_a_budget_without_NewBudget", func(t *testing.T) {
		for _, budget := range []*creatify.Budget{nil, {}} {
			_, err := creatify.New("id", "key", creatify.WithBudget(budget))
			assert.ErrorContains(t, err, "WithBudget: the budget was not made by NewBudget")
		}
	})

	t.Run("is_asked_before_each_paid_call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			budget := newBudget(10.5)
			clients := []*creatify.Client{newClient(t, api, creatify.WithBudget(budget)), newClient(t, api, creatify.WithBudget(budget))}
			var calls sync.WaitGroup
			var refused atomic.Int32
			for i := range 100 {
				calls.Go(func() {
					_, err := clients[i%2].Jobs.CreatePreview(t.Context(), params())
					if err != nil {
						assert.ErrorIs(t, err, creatify.ErrBudgetExceeded)
						refused.Add(1)
					}
				})
			}
			calls.Wait()
			assert.Equal(t, int32(90), refused.Load())
			assert.Equal(t, 10, api.Calls(""), "nothing of the others was sent")
			assert.Equal(t, 10.0, budget.Spent())
			id := api.Jobs()[0]
			_, err := clients[0].Jobs.Get(t.Context(), id)
			assert.NoError(t, err, "what costs nothing is not refused")
			for _, tt := range []struct {
				name string
				call func() error
			}{
				{"CreatePreviewSync", func() error { _, err := clients[0].Jobs.CreatePreviewSync(t.Context(), params()); return err }},
				{"CreateVideo", func() error { _, err := clients[0].Jobs.CreateVideo(t.Context(), params()); return err }},
				{"Render", func() error { _, err := clients[0].Jobs.Render(t.Context(), id); return err }},
				{"CreatePreviewAndWait", func() error { _, err := clients[0].Jobs.CreatePreviewAndWait(t.Context(), params()); return err }},
			} {
				assert.ErrorIs(t, tt.call(), creatify.ErrBudgetExceeded, tt.name)
			}
			assert.Equal(t, 10.0, api.Charged())
		})
	})

	t.Run("names_the_next_step", func(t *testing.T) {
		client := newClient(t, creatifytest.New(creatifytest.Config{}), creatify.WithBudget(creatify.NewBudget(creatify.BudgetOptions{Credits: 35, Spent: 10})))
		p := params()
		p.ModelVersion = creatify.ModelAuroraV1
		_, err := client.Jobs.CreatePreview(t.Context(), p)
		assert.EqualError(t, err, creatify.ErrBudgetExceeded.Error()+": a preview with aurora_v1 may cost 30, and 25 of 35 credits are left "+
			"(nothing was sent; raise BudgetOptions.Credits, or call again when other jobs have ended)")
	})

	t.Run("keeps_or_releases_what_a_failed_call_held", func(t *testing.T) {
		for _, tt := range []struct {
			name  string
			fault creatifytest.Fault
			spent float64
		}{
			{"refused", creatifytest.Fault{Status: 400, Body: `["No."]`}, 0},
			{"not_sent", creatifytest.Fault{Drop: creatifytest.Refuse, Times: -1}, 0},
			{"outcome_unknown", creatifytest.Fault{Drop: creatifytest.DropBefore}, 1},
			{"outcome_unknown_by_a_500", creatifytest.Fault{Status: 500}, 1},
		} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := creatifytest.New(creatifytest.Config{})
					api.Inject(tt.fault)
					budget := newBudget(5)
					_, err := newClient(t, api, creatify.WithBudget(budget)).Jobs.CreatePreview(t.Context(), params())
					assert.Error(t, err)
					assert.Equal(t, tt.spent, budget.Spent())
				})
			})
		}
	})

	t.Run("is_settled_by_what_jobs_report", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			budget := creatify.NewBudget(creatify.BudgetOptions{Credits: 100, VideoLength: time.Minute})
			client := newClient(t, api, creatify.WithBudget(budget))
			api.NextJob(creatifytest.Life{VideoSeconds: 100})
			created, err := client.Jobs.CreatePreview(t.Context(), params())
			require.NoError(t, err)
			assert.Equal(t, 2.0, budget.Spent(), "the estimate for a minute")
			_, err = client.Jobs.WaitForPreview(t.Context(), created.ID)
			require.NoError(t, err)
			assert.Equal(t, 4.0, budget.Spent(), "four blocks, as the job says")

			_, err = client.Jobs.Render(t.Context(), created.ID)
			require.NoError(t, err)
			assert.Equal(t, 20.0, budget.Spent(), "the estimate for the duration that the job has")
			_, err = client.Jobs.Get(t.Context(), created.ID)
			require.NoError(t, err)
			assert.Equal(t, 20.0, budget.Spent(), "not by the end of the preview")
			_, err = client.Jobs.WaitForVideo(t.Context(), created.ID)
			require.NoError(t, err)
			assert.Equal(t, api.Charged(), budget.Spent())

			api.NextJob(creatifytest.Life{End: "failed", VideoSeconds: 10})
			_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params())
			assert.ErrorIs(t, err, creatify.ErrJobFailed)
			assert.Equal(t, api.Charged(), budget.Spent(), "failed jobs report what they used as well")
		})
	})
}

func TestBudget_render(t *testing.T) {
	aurora := params()
	aurora.ModelVersion = creatify.ModelAuroraV1

	t.Run("costs_what_the_model_of_the_job_costs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{VideoSeconds: 30}})
			budget := newBudget(35)
			client := newClient(t, api, creatify.WithBudget(budget))
			var ids []string
			for range 3 {
				job, err := client.Jobs.CreatePreviewAndWait(t.Context(), aurora)
				require.NoError(t, err)
				ids = append(ids, job.ID)
			}
			refused := 0
			for _, id := range ids {
				if _, err := client.Jobs.Render(t.Context(), id); err != nil {
					assert.ErrorIs(t, err, creatify.ErrBudgetExceeded)
					assert.ErrorContains(t, err, "a render with aurora_v1 may cost 30, and 2 of 35 credits are left")
					refused++
				}
			}
			assert.Equal(t, 2, refused)
			assert.Equal(t, 33.0, api.Charged())
			assert.Equal(t, 33.0, budget.Spent())
		})
	})

	t.Run("of_a_job_of_another_client_excludes_its_earlier_credits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{VideoSeconds: 60}})
			job, err := newClient(t, api).Jobs.CreatePreviewAndWait(t.Context(), params())
			require.NoError(t, err)
			budget := newBudget(10)
			client := newClient(t, api, creatify.WithBudget(budget))
			_, err = client.Jobs.Render(t.Context(), job.ID)
			require.NoError(t, err)
			assert.Equal(t, 8.0, budget.Spent(), "the estimate for the duration that the job has")
			_, err = client.Jobs.WaitForVideo(t.Context(), job.ID)
			require.NoError(t, err)
			assert.Equal(t, 8.0, budget.Spent(), "without the preview's 2")
		})
	})

	t.Run("is_not_sent_if_the_job_cannot_be_read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			budget := newBudget(10)
			client := newClient(t, api, creatify.WithBudget(budget))
			_, err := client.Jobs.Render(t.Context(), jobID)
			assert.ErrorIs(t, err, creatify.ErrNotFound)
			assert.ErrorContains(t, err, "creatify: render "+jobID+": not sent: its price is unknown: ")
			assert.Equal(t, creatify.ChargedNo, creatify.Charged(err))
			assert.Zero(t, api.Calls(creatifytest.CallRender))
			assert.Zero(t, budget.Spent())
		})
	})

	for _, tt := range []struct {
		name  string
		fault creatifytest.Fault
		spent float64 // with the preview's 3
		after float64 // when the job has been read again
	}{
		{"refused_is_released", creatifytest.Fault{Status: 400, Body: `["No."]`}, 3, 3},
		{"of_unknown_outcome_is_settled_by_the_video", creatifytest.Fault{Drop: creatifytest.DropAfter}, 19, 15},
		{"of_unknown_outcome_stays_spent", creatifytest.Fault{Drop: creatifytest.DropBefore}, 19, 19},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{VideoSeconds: 90}})
				budget := creatify.NewBudget(creatify.BudgetOptions{Credits: 20, VideoLength: 2 * time.Minute})
				client := newClient(t, api, creatify.WithBudget(budget))
				job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
				require.NoError(t, err)
				tt.fault.Call = creatifytest.CallRender
				api.Inject(tt.fault)
				_, err = client.Jobs.Render(t.Context(), job.ID)
				require.Error(t, err)
				assert.Equal(t, tt.spent, budget.Spent())
				time.Sleep(time.Minute)
				_, err = client.Jobs.Get(t.Context(), job.ID)
				require.NoError(t, err)
				assert.Equal(t, tt.after, budget.Spent())
			})
		})
	}

	t.Run("is_forgotten_when_refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			other := newClient(t, api)
			job, err := other.Jobs.CreatePreviewAndWait(t.Context(), params())
			require.NoError(t, err)
			budget := newBudget(10)
			client := newClient(t, api, creatify.WithBudget(budget))
			api.Inject(creatifytest.Fault{Call: creatifytest.CallRender, Status: 400, Body: `["No."]`})
			_, err = client.Jobs.Render(t.Context(), job.ID)
			require.Error(t, err)
			_, err = other.Jobs.Render(t.Context(), job.ID)
			require.NoError(t, err)
			_, err = client.Jobs.WaitForVideo(t.Context(), job.ID)
			require.NoError(t, err)
			assert.Zero(t, budget.Spent(), "by this client")
		})
	})

	t.Run("is_not_settled_by_the_late_charge_of_the_preview", func(t *testing.T) {
		members := `"status":"done","preview":"https://x.test","credits_used":0`
		budget := newBudget(10)
		client := newClient(t, shows(&members), creatify.WithBudget(budget))
		_, err := client.Jobs.CreatePreview(t.Context(), params())
		require.NoError(t, err)
		_, err = client.Jobs.Render(t.Context(), jobID)
		require.NoError(t, err)
		members = `"status":"done","preview":"https://x.test","credits_used":1`
		_, err = client.Jobs.Get(t.Context(), jobID)
		require.NoError(t, err)
		assert.Equal(t, 5.0, budget.Spent())
	})

	t.Run("leaves_the_preview_to_be_settled_when_refused", func(t *testing.T) {
		used := "0"
		budget := newBudget(10)
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/render/") {
				return respond(req, 400, `["No."]`), nil
			}
			return respond(req, 200, `{"id":"`+jobID+`","status":"done","preview":"https://x.test","credits_used":`+used+`}`), nil
		}), creatify.WithBudget(budget))
		_, err := client.Jobs.CreatePreview(t.Context(), params())
		require.NoError(t, err)
		_, err = client.Jobs.Render(t.Context(), jobID)
		require.Error(t, err)
		assert.Equal(t, 1.0, budget.Spent())
		used = "0.5"
		_, err = client.Jobs.Get(t.Context(), jobID)
		require.NoError(t, err)
		assert.Equal(t, 0.5, budget.Spent())
	})

	t.Run("is_not_settled_by_a_read_from_before_it", func(t *testing.T) {
		charged, video, used := 0.0, "null", 0.0
		budget := newBudget(10)
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			switch {
			case strings.HasSuffix(req.URL.Path, "preview_async/"):
				charged, used = charged+1, 1
				return respond(req, 201, `{"id":"`+jobID+`","status":"pending"}`), nil
			case req.Method == http.MethodPost:
				charged += 4
			}
			return respond(req, 200, fmt.Sprintf(`{"id":"%s","status":"done","preview":"https://x.test","video_output":%s,"credits_used":%v}`, jobID, video, used)), nil
		}), creatify.WithBudget(budget))
		_, err := client.Jobs.CreatePreview(t.Context(), params())
		require.NoError(t, err)
		video = `"https://x.test/v"` // which the API shows before it has counted the credits
		for range 20 {
			if _, err = client.Jobs.Render(t.Context(), jobID); err != nil {
				break
			}
			client.Jobs.Get(t.Context(), jobID)
		}
		assert.ErrorIs(t, err, creatify.ErrBudgetExceeded)
		assert.LessOrEqual(t, charged, 10.0)
	})

	t.Run("is_not_settled_while_under_way", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			members := `"status":"done","preview":"https://x.test","credits_used":0`
			budget := newBudget(10)
			client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				if strings.HasSuffix(req.URL.Path, "/render/") {
					time.Sleep(10 * time.Second)
					return respond(req, 400, `["No."]`), nil
				}
				return respond(req, 200, `{"id":"`+jobID+`",`+members+`}`), nil
			}), creatify.WithBudget(budget))
			_, err := client.Jobs.CreatePreview(t.Context(), params())
			require.NoError(t, err)
			var render sync.WaitGroup
			render.Go(func() { client.Jobs.Render(t.Context(), jobID) })
			synctest.Wait()
			members = `"status":"failed","credits_used":3`
			_, err = client.Jobs.Get(t.Context(), jobID)
			require.NoError(t, err)
			assert.Equal(t, 5.0, budget.Spent())
			render.Wait()
			assert.Equal(t, 1.0, budget.Spent())
			_, err = client.Jobs.Get(t.Context(), jobID)
			require.NoError(t, err)
			assert.Equal(t, 3.0, budget.Spent())
		})
	})
}

func TestBudget_settlement(t *testing.T) {
	const preview, video = `"preview":"https://x.test",`, `"video_output":"https://x.test/v",`
	for _, tt := range []struct {
		name  string
		call  string // what is paid for
		reads []string
		spent float64
	}{
		{"by_the_response_of_a_sync_preview", "sync", nil, 3},
		{"by_a_preview_that_is_done", "preview", []string{preview + `"status":"done","credits_used":3`}, 3},
		{"not_by_a_preview_without_a_URL", "preview", []string{`"status":"done","credits_used":3`}, 1},
		{"not_by_a_preview_in_a_pending_job", "preview", []string{preview + `"status":"pending","credits_used":3`}, 1},
		{"not_by_a_preview_in_a_running_job", "preview", []string{preview + `"status":"running","credits_used":3`}, 1},
		{"not_by_a_truncated_response", "preview", []string{preview + `"status":"done","credits_used":3,"x":"`}, 1},
		{"beside_a_value_that_is_not_JSON", "preview", []string{preview + `"status":"done","credits_used":3,"x":NaN`}, 3},
		{"not_by_an_unknown_status", "preview", []string{preview + `"status":"reticulated","credits_used":3`}, 1},
		{"by_a_preview_that_failed", "preview", []string{`"status":"failed","credits_used":3`}, 3},
		{"by_a_preview_that_was_rejected", "preview", []string{`"status":"rejected","credits_used":3`}, 3},
		{"not_by_a_job_that_was_not_charged_yet", "preview", []string{preview + `"status":"done","credits_used":0`}, 1},
		{"by_a_job_that_is_charged_later", "preview", []string{preview + `"status":"done"`, preview + `"status":"done","credits_used":3`}, 3},
		{"of_a_preview_once", "preview", []string{preview + `"status":"done","credits_used":3`, video + `"status":"done","credits_used":7`}, 3},
		{"by_a_video_that_is_done", "video", []string{video + `"status":"done","credits_used":3`}, 3},
		{"not_by_a_video_without_a_URL", "video", []string{preview + `"status":"done","credits_used":3`}, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reads := 0
			budget := newBudget(10)
			client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				body := `"status":"pending"`
				switch {
				case strings.HasSuffix(req.URL.Path, "/preview/"):
					body = preview + `"status":"done","credits_used":3`
				case req.Method == http.MethodGet:
					body = tt.reads[reads]
					reads++
				}
				return respond(req, 200, `{"id":"`+jobID+`",`+body+`}`), nil
			}), creatify.WithBudget(budget))
			calls := map[string]func(context.Context, creatify.JobParams) (*creatify.Job, error){
				"sync": client.Jobs.CreatePreviewSync, "preview": client.Jobs.CreatePreview, "video": client.Jobs.CreateVideo}
			_, err := calls[tt.call](t.Context(), params())
			require.NoError(t, err)
			for range tt.reads {
				_, err := client.Jobs.Get(t.Context(), jobID)
				require.NoError(t, err)
			}
			assert.Equal(t, tt.spent, budget.Spent())
		})
	}

	t.Run("may_come_up_to_24_hours_later", func(t *testing.T) {
		for _, tt := range []struct {
			late  time.Duration
			spent float64
		}{{24 * time.Hour, 3}, {24*time.Hour + 1, 1}} {
			synctest.Test(t, func(t *testing.T) {
				budget := newBudget(10)
				client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
					body := `"status":"pending"`
					if req.Method == http.MethodGet {
						body = preview + `"status":"done","credits_used":3`
					}
					return respond(req, 200, `{"id":"`+jobID+`",`+body+`}`), nil
				}), creatify.WithBudget(budget))
				_, err := client.Jobs.CreatePreview(t.Context(), params())
				require.NoError(t, err)
				time.Sleep(tt.late)
				_, err = client.Jobs.Get(t.Context(), jobID)
				require.NoError(t, err)
				assert.Equal(t, tt.spent, budget.Spent(), "after %v", tt.late)
			})
		}
	})
}

func TestRemainingCredits(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       float64
		fails      bool
	}{
		{name: "number", body: `{"remaining_credits": 379.0}`, want: 379},
		{name: "string", body: `{"remaining_credits": "12.5"}`, want: 12.5},
		{name: "string with white space", body: `{"remaining_credits": " 5 "}`, want: 5},
		{name: "zero", body: `{"remaining_credits": 0}`},
		{name: "zero as a string", body: `{"remaining_credits": "0.00"}`},
		{name: "negative zero", body: `{"remaining_credits": -0.0}`},
		{name: "negative", body: `{"remaining_credits": -3, "a":1}`, want: -3},
		{name: "nothing", fails: true},
		{name: "null", body: `null`, fails: true},
		{name: "empty object", body: `{}`, fails: true},
		{name: "list", body: `[]`, fails: true},
		{name: "page", body: `<html>`, fails: true},
		{name: "null balance", body: `{"remaining_credits": null}`, fails: true},
		{name: "word", body: `{"remaining_credits": "many"}`, fails: true},
		{name: "number and letters", body: `{"remaining_credits": "0abc"}`, fails: true},
		{name: "comma", body: `{"remaining_credits": "0,5"}`, fails: true},
		{name: "two points", body: `{"remaining_credits": "0.3.4"}`, fails: true},
		{name: "empty string", body: `{"remaining_credits": ""}`, fails: true},
		{name: "overflow", body: `{"remaining_credits": 1e400}`, fails: true},
		{name: "infinity", body: `{"remaining_credits": "Inf"}`, fails: true},
		{name: "not a number", body: `{"remaining_credits": "NaN"}`, fails: true},
		{name: "boolean", body: `{"remaining_credits": false}`, fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newClient(t, says(200, tt.body)).Workspace.RemainingCredits(t.Context())
			assert.Equal(t, tt.want, got)
			if tt.fails {
				assert.ErrorContains(t, err, "creatify: remaining credits: ", "an error, never 0")
			} else {
				assert.NoError(t, err)
			}
		})
	}
	t.Run("of the fake", func(t *testing.T) {
		got, err := newClient(t, creatifytest.New(creatifytest.Config{Credits: 17})).Workspace.RemainingCredits(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 17.0, got)
	})
}

func TestRemainingCredits_refuses_a_nil_context(t *testing.T) {
	var nobody context.Context
	_, err := newClient(t, creatifytest.New(creatifytest.Config{})).Workspace.RemainingCredits(nobody)
	assert.ErrorIs(t, err, creatify.ErrInvalidParams)
}
