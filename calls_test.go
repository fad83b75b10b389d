package creatify_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEachPaidCallGoesToItsPathOnceAndMayHaveAnUnknownOutcome(t *testing.T) {
	calls := map[string]func(context.Context, *creatify.Client) (*creatify.Job, error){
		"/api/custom_template_jobs/preview_async/": func(ctx context.Context, c *creatify.Client) (*creatify.Job, error) {
			return c.Jobs.CreatePreview(ctx, params())
		},
		"/api/custom_template_jobs/preview/": func(ctx context.Context, c *creatify.Client) (*creatify.Job, error) {
			return c.Jobs.CreatePreviewSync(ctx, params())
		},
		"/api/custom_template_jobs/": func(ctx context.Context, c *creatify.Client) (*creatify.Job, error) {
			return c.Jobs.CreateVideo(ctx, params())
		},
		"/api/custom_template_jobs/" + jobID + "/render/": func(ctx context.Context, c *creatify.Client) (*creatify.Job, error) {
			return c.Jobs.Render(ctx, jobID)
		},
	}
	for path, call := range calls {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, status := range []int{200, 201} { // which of the two is documented for some only
					mock := httpmock.NewMockTransport()
					mock.RegisterResponder("POST", "https://api.creatify.ai"+path, httpmock.NewStringResponder(status, liveLike))
					job, err := call(t.Context(), newClient(t, mock))
					require.NoError(t, err)
					assert.Equal(t, jobID, job.ID)
				}
				sent := 0
				lost := errors.New("connection lost")
				_, err := call(t.Context(), newClient(t, roundTrip(func(*http.Request) (*http.Response, error) {
					sent++
					return nil, lost
				})))
				assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
				assert.NotErrorIs(t, err, lost, "the cause is no identity")
				assert.Equal(t, 1, sent)
			})
		})
	}
}

func TestRenderSendsAnEmptyObjectAndNamesTheJobWhenItsOutcomeIsUnknown(t *testing.T) {
	var body string
	client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		b, _ := io.ReadAll(req.Body)
		body = string(b)
		return respond(req, 504, "<html>"), nil
	}))
	_, err := client.Jobs.Render(t.Context(), jobID)
	assert.Equal(t, "{}", body)
	unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err)
	require.True(t, ok)
	assert.Equal(t, jobID, unknown.JobID)
	assert.ErrorContains(t, err, "read job "+jobID)
}

func TestPreviewSyncIsPatient(t *testing.T) {
	answerAfter := func(d time.Duration) http.RoundTripper {
		return roundTrip(func(req *http.Request) (*http.Response, error) {
			select {
			case <-time.After(d):
				return respond(req, 200, liveLike), nil
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		_, err := newClient(t, answerAfter(9*time.Minute)).Jobs.CreatePreviewSync(t.Context(), params())
		assert.NoError(t, err, "it takes minutes by nature")
		start := time.Now()
		_, err = newClient(t, answerAfter(time.Hour)).Jobs.CreatePreviewSync(t.Context(), params())
		assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown, "but not for ever")
		assert.Equal(t, 10*time.Minute, time.Since(start))

		callers := &http.Client{Transport: answerAfter(time.Hour), Timeout: time.Minute}
		start = time.Now()
		_, err = newClient(t, nil, creatify.WithHTTPClient(callers)).Jobs.CreatePreviewSync(t.Context(), params())
		assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
		assert.Equal(t, time.Minute, time.Since(start), "the caller's client has the last word")
	})
}

func TestPreviewSyncOfAJobThatFails(t *testing.T) {
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmock.NewStringResponder(200, `{"id":"7","status":"failed","failed_reason":"no such voice"}`))
	_, err := newClient(t, mock).Jobs.CreatePreviewSync(t.Context(), params())
	assert.ErrorIs(t, err, creatify.ErrJobFailed)
	assert.ErrorContains(t, err, "job 7: failed: no such voice")
	_, err = newClient(t, says(200, `{"id":"7","status":"rejected"}`)).Jobs.CreatePreviewSync(t.Context(), params())
	assert.ErrorIs(t, err, creatify.ErrJobRejected)
}

func TestRemainingCredits(t *testing.T) {
	for body, want := range map[string]float64{
		`{"remaining_credits": 379.0}`:     379,
		`{"remaining_credits": "12.5"}`:    12.5,
		`{"remaining_credits": 0}`:         0,
		`{"remaining_credits": -3, "a":1}`: -3,
		`{"remaining_credits": "0.00"}`:    0,
		`{"remaining_credits": -0.0}`:      0,
		`{"remaining_credits": " 5 "}`:     5,
	} {
		mock := httpmock.NewMockTransport()
		mock.RegisterResponder("GET", "https://api.creatify.ai/api/remaining_credits/", httpmock.NewStringResponder(200, body))
		got, err := newClient(t, mock).Workspace.RemainingCredits(t.Context())
		require.NoError(t, err, body)
		assert.Equal(t, want, got)
	}
	for _, body := range []string{``, `null`, `{}`, `[]`, `<html>`, `{"remaining_credits": null}`, `{"remaining_credits": "many"}`,
		`{"remaining_credits": "0abc"}`, `{"remaining_credits": "0,5"}`, `{"remaining_credits": "0.3.4"}`, `{"remaining_credits": ""}`,
		`{"remaining_credits": 1e400}`, `{"remaining_credits": "Inf"}`, `{"remaining_credits": "NaN"}`, `{"remaining_credits": false}`} {
		mock := httpmock.NewMockTransport()
		mock.RegisterNoResponder(httpmock.NewStringResponder(200, body))
		_, err := newClient(t, mock).Workspace.RemainingCredits(t.Context())
		assert.ErrorContains(t, err, "creatify: remaining credits: ", "an error is an error, never 0: %s", body)
	}
	api := creatifytest.New(creatifytest.Config{Credits: 17})
	got, err := newClient(t, api).Workspace.RemainingCredits(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 17.0, got)
}

const templateReply = `{"template_id":"` + creatifytest.TemplateID + `","name":"Demo","preview":null,"aspect_ratio":"9x16",
	"created_at":"2024-05-01T03:04:05.123456-07:00","updated_at":"never","variables":{
	"headline":{"type":"text","properties":{"content":"Hi"},"max_length":40},"odd":17},"owner":{"id":3}}`

func TestATemplateIsReadWhateverItsVariablesAre(t *testing.T) {
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder("GET", "https://api.creatify.ai/api/custom_templates/"+creatifytest.TemplateID+"/",
		httpmock.NewStringResponder(200, templateReply))
	template, err := newClient(t, mock).Templates.Get(t.Context(), creatifytest.TemplateID)
	require.NoError(t, err)
	assert.Equal(t, creatifytest.TemplateID, template.ID)
	assert.Equal(t, "Demo", template.Name)
	assert.Equal(t, "9x16", template.AspectRatio)
	assert.Equal(t, 2024, template.CreatedAt.Year())
	assert.True(t, template.UpdatedAt.IsZero())
	assert.Equal(t, creatify.TypeText, template.Variables["headline"].Type())
	assert.Contains(t, template.Variables, "odd")
	assert.JSONEq(t, templateReply, string(template.RawJSON()))

	for _, body := range []string{`{}`, `{"variables":[]}`, `{"template_id":7,"variables":null,"name":{}}`} {
		mock := httpmock.NewMockTransport()
		mock.RegisterNoResponder(httpmock.NewStringResponder(200, body))
		_, err := newClient(t, mock).Templates.Get(t.Context(), creatifytest.TemplateID)
		assert.NoError(t, err, body)
	}
	for _, body := range []string{``, `null`, `[]`, `<html>`, `"x"`} {
		mock := httpmock.NewMockTransport()
		mock.RegisterNoResponder(httpmock.NewStringResponder(200, body))
		_, err := newClient(t, mock).Templates.Get(t.Context(), creatifytest.TemplateID)
		assert.ErrorContains(t, err, "creatify: get template: ", body)
	}
}

func TestTheTemplatesAreListed(t *testing.T) {
	two := `[` + templateReply + `, {"template_id":"b"}]`
	for body, want := range map[string]int{`[]`: 0, " [ ] \n": 0, two: 2, "\ufeff" + two: 2} {
		mock := httpmock.NewMockTransport()
		mock.RegisterResponder("GET", "https://api.creatify.ai/api/custom_templates/", httpmock.NewStringResponder(200, body))
		templates, err := newClient(t, mock).Templates.List(t.Context())
		require.NoError(t, err)
		require.Len(t, templates, want)
		if want > 1 {
			assert.Equal(t, "Demo", templates[0].Name)
			assert.Equal(t, "b", templates[1].ID)
		}
	}
	for _, body := range []string{``, `null`, `{"detail":"odd"}`, `[1]`, `[null]`, `[{}`, `[{}]]`, `[{}] x`, `[{},]`,
		`[{"a":1} {"b":2}]`, `[{},1]`, `[`} {
		mock := httpmock.NewMockTransport()
		mock.RegisterNoResponder(httpmock.NewStringResponder(200, body))
		_, err := newClient(t, mock).Templates.List(t.Context())
		assert.ErrorContains(t, err, "creatify: list templates: ", body)
	}
}

func TestAListOfTemplatesIsCapped(t *testing.T) {
	list := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("{},", n), ",") + "]" }
	templates, err := newClient(t, says(200, list(10_000))).Templates.List(t.Context())
	require.NoError(t, err)
	assert.Len(t, templates, 10_000)
	for _, n := range []int{10_001, 2_700_000} {
		client := newClient(t, says(200, list(n)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = client.Templates.List(t.Context())
		runtime.ReadMemStats(&after)
		assert.ErrorContains(t, err, "more than 10000 items")
		assert.Less(t, (after.TotalAlloc-before.TotalAlloc)>>20, uint64(64), "MiB for a reply of 8 MiB")
	}
}

func TestTheOtherCallsCheckTheirArguments(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	client := newClient(t, api)
	var nobody context.Context
	for name, call := range map[string]func() error{
		"id: is empty":                func() error { _, err := client.Jobs.Render(t.Context(), ""); return err },
		"template_id: is empty":       func() error { _, err := client.Templates.Get(t.Context(), ""); return err },
		"template_id: cannot be":      func() error { _, err := client.Templates.Get(t.Context(), "a/b"); return err },
		"template_id: must be a UUID": func() error { _, err := client.Jobs.CreateVideo(t.Context(), creatify.JobParams{}); return err },
		"variables: is nil":           func() error { _, err := client.Jobs.CreatePreviewSync(t.Context(), creatify.JobParams{}); return err },
		"ctx: is nil":                 func() error { _, err := client.Templates.List(nobody); return err },
	} {
		err := call()
		assert.ErrorIs(t, err, creatify.ErrInvalidParams)
		assert.ErrorContains(t, err, name)
	}
	assert.Zero(t, api.Calls(""))
}

func TestTheFakeRefusesWhatATemplateDoesNotHave(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{StrictTemplates: true})
	client := newClient(t, api)
	headline, photo := creatify.Text("Hi"), creatify.Image("https://a.test/photo.jpg")
	for name, tt := range map[string]struct {
		template  string
		variables creatify.Variables
		want      string
	}{
		"an unknown template":   {jobID, creatify.Variables{}, "template_id: Invalid pk"},
		"an unknown variable":   {creatifytest.TemplateID, creatify.Variables{"headline": headline, "photo": photo, "foto": photo}, `Variable "foto" is not in the template`},
		"a variable missing":    {creatifytest.TemplateID, creatify.Variables{"headline": headline}, `Variable "photo" is required`},
		"one of another type":   {creatifytest.TemplateID, creatify.Variables{"headline": headline, "photo": headline}, `Variable "photo" must be of type "image"`},
		"variables as they are": {creatifytest.TemplateID, creatify.Variables{"headline": headline, "photo": photo}, ""},
	} {
		_, err := client.Jobs.CreatePreview(t.Context(), creatify.JobParams{TemplateID: tt.template, Variables: tt.variables})
		if tt.want == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, tt.want, name)
		}
	}
	assert.Equal(t, 1.0, api.Charged(), "a refusal costs nothing")
	template, err := client.Templates.Get(t.Context(), creatifytest.TemplateID)
	require.NoError(t, err)
	assert.ErrorContains(t, template.Validate(creatify.Variables{"headlin": headline, "photo": photo}), `did you mean "headline"`)
	assert.NoError(t, template.Validate(creatify.Variables{"headline": headline, "photo": photo}))
}

// A group of goroutines, such as errgroup's, cancels its context with the first error, which must not become the others'.
func TestTheCauseOfAContextIsNotTheErrorOfACall(t *testing.T) {
	throttled := &creatify.APIError{StatusCode: http.StatusTooManyRequests}
	lost := &creatify.OutcomeUnknownError{Err: errors.New("connection lost"), Params: params()}
	failed := &creatify.JobError{Job: &creatify.Job{ID: "another", Status: creatify.StatusFailed}}
	for _, tt := range []struct {
		name  string
		cause error
		call  func(context.Context, *creatify.Client, *creatifytest.API) error
		is    []error // of the sentinels
	}{
		{"a create under way is cancelled by a 429", throttled, func(ctx context.Context, c *creatify.Client, api *creatifytest.API) error {
			api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Delay: time.Hour})
			_, err := c.Jobs.CreatePreview(ctx, params())
			return err
		}, []error{creatify.ErrOutcomeUnknown}},
		{"a create that was not sent is cancelled by an unknown outcome", lost, func(ctx context.Context, c *creatify.Client, api *creatifytest.API) error {
			api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 429, Header: http.Header{"Retry-After": {"50"}}})
			_, err := c.Jobs.CreatePreview(ctx, params())
			return err
		}, nil},
		{"a wait is cancelled by an unknown outcome", lost, func(ctx context.Context, c *creatify.Client, api *creatifytest.API) error {
			_, err := c.Jobs.WaitForPreview(ctx, api.Jobs()[0])
			return err
		}, nil},
		{"a download is cancelled by a job that failed", failed, func(ctx context.Context, c *creatify.Client, api *creatifytest.API) error {
			api.Inject(creatifytest.Fault{Call: creatifytest.CallGetJob, Delay: time.Hour})
			_, err := c.Jobs.Download(ctx, api.Jobs()[0], io.Discard)
			return err
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: time.Hour}})
				budget := creatify.NewBudget(creatify.BudgetOptions{Credits: 100, VideoLength: 30 * time.Second})
				client := newClient(t, api, creatify.WithBudget(budget))
				_, err := client.Jobs.CreatePreview(t.Context(), params())
				require.NoError(t, err)
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(10*time.Second, func() { cancel(tt.cause) })
				before := budget.Remaining()
				err = tt.call(ctx, client, api)
				assert.ErrorContains(t, err, "context canceled")
				for _, sentinel := range []error{creatify.ErrOutcomeUnknown, creatify.ErrRateLimited, creatify.ErrJobFailed} {
					assert.Equal(t, slices.Contains(tt.is, sentinel), errors.Is(err, sentinel), "is %v", sentinel)
				}
				if unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err); ok {
					assert.NotEmpty(t, tt.is)
					assert.NotSame(t, lost, unknown)
				} else {
					assert.Equal(t, before, budget.Remaining(), "what was not sent is released")
				}
				if _, ok := errors.AsType[*creatify.JobError](err); ok {
					t.Error("another job's failure")
				}
			})
		})
	}
}
