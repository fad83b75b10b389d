package creatify_test

import (
	"context"
	"errors"
	"io"
	"net/http"
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
				assert.ErrorContains(t, err, "connection lost")
				assert.NotErrorIs(t, err, lost, "what a transport of the caller's returns may be another call's error")
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
