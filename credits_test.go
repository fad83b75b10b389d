package creatify_test

import (
	"context"
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
	tests := []struct {
		name       string
		operation  creatify.Operation
		model      creatify.ModelVersion
		length     time.Duration
		credits    float64
		documented bool
	}{
		{"a preview of one block", preview, "", 30 * time.Second, 1, true},
		{"a preview a little longer", preview, creatify.ModelStandard, 30*time.Second + 1, 2, true},
		{"a video", video, "", 45 * time.Second, 10, true},
		{"a rendering", render, "", time.Minute, 8, true},
		{"nothing at all", render, "", 0, 0, true},
		{"a video by the second", video, creatify.ModelAuroraV1, 45 * time.Second, 45, true},
		{"a video by the half second", video, creatify.ModelAuroraV1Fast, 45 * time.Second, 22.5, true},
		{"a preview whose price is not documented", preview, creatify.ModelAuroraV1, 45 * time.Second, 45, false},
		{"a rendering whose price is not documented", render, creatify.ModelAuroraV1Fast, 2 * time.Second, 4, false},
		{"an unknown model", video, "aurora_v9", 45 * time.Second, 10, false},
		{"an unknown operation", "dream", "", time.Minute, 0, false},
		{"a negative length", preview, "", -1, 0, false},
		{"the longest there is", preview, "", math.MaxInt64, math.Ceil(float64(math.MaxInt64) / 30e9), true},
	}
	for _, tt := range tests {
		credits, documented := creatify.EstimateCredits(tt.operation, tt.model, tt.length)
		assert.Equal(t, tt.credits, credits, tt.name)
		assert.Equal(t, tt.documented, documented, tt.name)
	}
}

func TestABudgetIsAskedBeforeEachPaidCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		budget := creatify.NewBudget(10.5, 0)
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
		assert.Equal(t, 0.5, budget.Remaining())
		for name, call := range map[string]func() error{
			"CreatePreviewSync": func() error { _, err := clients[0].Jobs.CreatePreviewSync(t.Context(), params()); return err },
			"CreateVideo":       func() error { _, err := clients[0].Jobs.CreateVideo(t.Context(), params()); return err },
			"Render":            func() error { _, err := clients[0].Jobs.Render(t.Context(), jobID); return err },
			"Preview":           func() error { _, err := clients[0].Jobs.CreatePreviewAndWait(t.Context(), params()); return err },
		} {
			assert.ErrorIs(t, call(), creatify.ErrBudgetExceeded, name)
		}
		_, err := clients[0].Jobs.Get(t.Context(), api.Jobs()[0])
		assert.NoError(t, err, "what costs nothing is not refused")
	})
}

func TestABudgetIsSettledByWhatTheJobReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		budget := creatify.NewBudget(100, time.Minute)
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
		assert.Equal(t, 12.0, budget.Spent())
		_, err = client.Jobs.Get(t.Context(), created.ID)
		require.NoError(t, err)
		assert.Equal(t, 12.0, budget.Spent(), "not settled by the end of the preview")
		_, err = client.Jobs.WaitForVideo(t.Context(), created.ID)
		require.NoError(t, err)
		assert.Equal(t, api.Charged(), budget.Spent())

		api.NextJob(creatifytest.Life{End: "failed", VideoSeconds: 10})
		_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params())
		assert.ErrorIs(t, err, creatify.ErrJobFailed)
		assert.Equal(t, api.Charged(), budget.Spent(), "failed jobs report what they used as well")
	})
}

func TestWhatSettlesABudget(t *testing.T) {
	const preview, video = `"preview":"https://x.test",`, `"video_output":"https://x.test/v",`
	for _, tt := range []struct {
		name  string
		call  string // what is paid for
		reads []string
		spent float64
	}{
		{"the reply itself, if the job is done", "sync", nil, 3},
		{"a preview that is done", "preview", []string{preview + `"status":"done","credits_used":3`}, 3},
		{"a preview that is done without a URL is not", "preview", []string{`"status":"done","credits_used":3`}, 1},
		{"a preview that runs is not", "preview", []string{preview + `"status":"running","credits_used":3`}, 1},
		{"a preview that failed", "preview", []string{`"status":"failed","credits_used":3`}, 3},
		{"a preview that was rejected", "preview", []string{`"status":"rejected","credits_used":3`}, 3},
		{"a preview whose response is truncated is not", "preview", []string{preview + `"status":"done","credits_used":3,"x":"`}, 1},
		{"a preview beside a value that is not JSON", "preview", []string{preview + `"status":"done","credits_used":3,"x":NaN`}, 3},
		{"a preview only once", "preview", []string{preview + `"status":"done","credits_used":3`, video + `"status":"done","credits_used":7`}, 3},
		{"a video that is done", "video", []string{video + `"status":"done","credits_used":3`}, 3},
		{"a video that is done without a URL is not", "video", []string{preview + `"status":"done","credits_used":3`}, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reads := 0
			budget := creatify.NewBudget(10, 0)
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
}

func TestABudgetAllowsWhatItCoversExactlyAndReadsOfAnyJob(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	other, err := newClient(t, api).Jobs.CreatePreview(t.Context(), params())
	require.NoError(t, err)
	budget := creatify.NewBudget(1, 0)
	client := newClient(t, api, creatify.WithBudget(budget))
	_, err = client.Jobs.Get(t.Context(), other.ID)
	require.NoError(t, err, "of one that the budget has not paid for")
	_, err = client.Jobs.CreatePreview(t.Context(), params())
	require.NoError(t, err)
	assert.Zero(t, budget.Remaining())
	_, err = client.Jobs.CreatePreview(t.Context(), params())
	assert.ErrorIs(t, err, creatify.ErrBudgetExceeded)
	assert.ErrorContains(t, err, "a preview may cost 1 credits, and 0 of 1 are left; nothing was sent")
}

func TestWhatABudgetGivesBack(t *testing.T) {
	for name, tt := range map[string]struct {
		fault creatifytest.Fault
		spent float64
	}{
		"a refused call is not spent":                  {creatifytest.Fault{Status: 400, Body: `["No."]`}, 0},
		"nor is one that never left":                   {creatifytest.Fault{Drop: creatifytest.Refuse, Times: -1}, 0},
		"one whose outcome is unknown counts as spent": {creatifytest.Fault{Drop: creatifytest.DropBefore}, 1},
		"so does one that was answered with a 500":     {creatifytest.Fault{Status: 500}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				api.Inject(tt.fault)
				budget := creatify.NewBudget(5, 0)
				_, err := newClient(t, api, creatify.WithBudget(budget)).Jobs.CreatePreview(t.Context(), params())
				assert.Error(t, err)
				assert.Equal(t, tt.spent, budget.Spent())
			})
		})
	}
}

func TestAnOddBudgetIsEmptyAndNoneIsAnError(t *testing.T) {
	for _, credits := range []float64{0, -1, math.NaN()} {
		client := newClient(t, creatifytest.New(creatifytest.Config{}), creatify.WithBudget(creatify.NewBudget(credits, -1)))
		_, err := client.Jobs.CreatePreview(context.Background(), params())
		assert.ErrorIs(t, err, creatify.ErrBudgetExceeded)
	}
	for _, budget := range []*creatify.Budget{nil, {}} {
		_, err := creatify.New("id", "key", creatify.WithBudget(budget))
		assert.ErrorContains(t, err, "WithBudget: the budget was not made by NewBudget")
	}
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
