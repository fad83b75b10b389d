package creatify_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
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

func TestGet(t *testing.T) {
	for _, tt := range []struct{ name, body string }{
		{"another job", `{"id":"someone-elses"}`},
		{"no ID", `{"status":"done"}`},
		{"no object", `[]`},
		{"null", `null`},
		{"nothing", ``},
		{"a page", `<html>Sign in to the hotel's network</html>`},
	} {
		t.Run("refuses "+tt.name, func(t *testing.T) {
			job, err := newClient(t, says(200, tt.body)).Jobs.Get(t.Context(), jobID)
			assert.Nil(t, job)
			assert.ErrorContains(t, err, "creatify: get job "+jobID+": the response ")
			assert.Equal(t, "unavailable", creatify.Reason(err))
		})
	}
	t.Run("accepts the ID in another spelling", func(t *testing.T) {
		_, err := newClient(t, says(200, liveLike)).Jobs.Get(t.Context(), strings.ToUpper(strings.ReplaceAll(jobID, "-", "")))
		assert.NoError(t, err)
	})
	t.Run("escapes the ID", func(t *testing.T) {
		_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			assert.Equal(t, "/api/custom_template_jobs/a%3Fb%23c%252F/", req.URL.EscapedPath())
			return respond(req, 200, `{"id":"a?b#c%2F"}`), nil
		})).Jobs.Get(t.Context(), "a?b#c%2F")
		assert.NoError(t, err)
	})
	t.Run("does not retry when its context has ended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := newClient(t, hangs).Jobs.Get(ctx, jobID)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))
		})
	})
}

func TestJobsCheckTheirArguments(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	client := newClient(t, api)
	var nobody context.Context
	for _, tt := range []struct {
		name string
		call func() (*creatify.Job, error)
		want string
	}{
		{"Get without an ID", func() (*creatify.Job, error) { return client.Jobs.Get(t.Context(), "") }, "id: is empty"},
		{"Get of the parent", func() (*creatify.Job, error) { return client.Jobs.Get(t.Context(), "..") }, "id: cannot be an ID"},
		{"Get of the folder", func() (*creatify.Job, error) { return client.Jobs.Get(t.Context(), ".") }, "id: cannot be an ID"},
		{"Get with a backslash", func() (*creatify.Job, error) { return client.Jobs.Get(t.Context(), `a\b`) }, "id: cannot be an ID"},
		{"Get with what is not UTF-8", func() (*creatify.Job, error) { return client.Jobs.Get(t.Context(), "a\xff") }, "id: cannot be an ID"},
		{"Get with a long ID", func() (*creatify.Job, error) { return client.Jobs.Get(t.Context(), strings.Repeat("a", 201)) }, "id: cannot be an ID"},
		{"WaitForPreview with a path", func() (*creatify.Job, error) { return client.Jobs.WaitForPreview(t.Context(), "a/../b") }, "id: cannot be an ID"},
		{"WaitForVideo with a line break", func() (*creatify.Job, error) { return client.Jobs.WaitForVideo(t.Context(), jobID+"\n") }, "id: cannot be an ID"},
		{"Render without an ID", func() (*creatify.Job, error) { return client.Jobs.Render(t.Context(), "") }, "id: is empty"},
		{"Get without a context", func() (*creatify.Job, error) { return client.Jobs.Get(nobody, jobID) }, "ctx: is nil"},
		{"CreatePreview without a context", func() (*creatify.Job, error) { return client.Jobs.CreatePreview(nobody, params()) }, "ctx: is nil"},
		{"CreateVideo without a template", func() (*creatify.Job, error) { return client.Jobs.CreateVideo(t.Context(), creatify.JobParams{}) }, "template_id: must be a UUID"},
		{"CreatePreviewSync without variables", func() (*creatify.Job, error) { return client.Jobs.CreatePreviewSync(t.Context(), creatify.JobParams{}) }, "variables: is nil"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			job, err := tt.call()
			assert.Nil(t, job)
			assert.NotEmpty(t, problemsOf(t, err))
			assert.ErrorContains(t, err, tt.want)
			assert.Equal(t, creatify.ChargedNo, creatify.Charged(err))
		})
	}
	assert.Zero(t, api.Calls(""), "nothing may be sent")
}

func TestCreatePreview(t *testing.T) {
	t.Run("sends parameters at their limits", func(t *testing.T) {
		p := params()
		p.TemplateID = strings.ToUpper(p.TemplateID)
		p.Name = strings.Repeat("é", 255)
		p.WebhookURL = "https://a.test/" + strings.Repeat("x", 185)
		p.Variables = creatify.Variables{}
		job, err := newClient(t, creatifytest.New(creatifytest.Config{})).Jobs.CreatePreview(t.Context(), p)
		require.NoError(t, err)
		assert.Equal(t, p.Name, job.Name)
		assert.Equal(t, p.WebhookURL, job.WebhookURL)
	})
	headline, photo := creatify.Text("Hi"), creatify.Image("https://a.test/photo.jpg")
	for _, tt := range []struct {
		name      string
		template  string
		variables creatify.Variables
		want      string // "" if it is accepted
	}{
		{"unknown template", jobID, creatify.Variables{}, "template_id: Invalid pk"},
		{"unknown variable", creatifytest.TemplateID, creatify.Variables{"headline": headline, "photo": photo, "foto": photo}, `Variable "foto" is not in the template`},
		{"missing variable", creatifytest.TemplateID, creatify.Variables{"headline": headline}, `Variable "photo" is required`},
		{"variable of another type", creatifytest.TemplateID, creatify.Variables{"headline": headline, "photo": headline}, `Variable "photo" must be of type "image"`},
		{"variables as they are", creatifytest.TemplateID, creatify.Variables{"headline": headline, "photo": photo}, ""},
	} {
		t.Run("is refused by a strict API for "+tt.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{StrictTemplates: true})
			_, err := newClient(t, api).Jobs.CreatePreview(t.Context(), creatify.JobParams{TemplateID: tt.template, Variables: tt.variables})
			if tt.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tt.want)
			assert.Zero(t, api.Charged(), "a refusal costs nothing")
		})
	}
}

func TestCreatePreviewSync(t *testing.T) {
	answersAfter := func(d time.Duration) http.RoundTripper {
		return roundTrip(func(req *http.Request) (*http.Response, error) {
			select {
			case <-time.After(d):
				return respond(req, 200, liveLike), nil
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
		})
	}
	for _, tt := range []struct {
		name     string
		responds time.Duration
		timeout  time.Duration // of the caller's client
		takes    time.Duration
		is       error
	}{
		{"waits for minutes", 9 * time.Minute, 0, 9 * time.Minute, nil},
		{"does not wait for hours", time.Hour, 0, 10 * time.Minute, creatify.ErrOutcomeUnknown},
		{"waits no longer than the caller's client", time.Hour, time.Minute, time.Minute, creatify.ErrOutcomeUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				callers := &http.Client{Transport: answersAfter(tt.responds), Timeout: tt.timeout}
				start := time.Now()
				_, err := newClient(t, nil, creatify.WithHTTPClient(callers)).Jobs.CreatePreviewSync(t.Context(), params())
				assert.ErrorIs(t, err, tt.is)
				assert.Equal(t, tt.takes, time.Since(start))
			})
		})
	}
	for _, tt := range []struct {
		name, body string
		is         error
		text       string
	}{
		{"failed job", `{"id":"7","status":"failed","failed_reason":"no such voice"}`, creatify.ErrJobFailed, "creatify: job 7: failed: no such voice"},
		{"rejected job", `{"id":"7","status":"rejected"}`, creatify.ErrJobRejected, "creatify: job 7: rejected: no reason given"},
	} {
		t.Run("returns the error of a "+tt.name, func(t *testing.T) {
			_, err := newClient(t, says(200, tt.body)).Jobs.CreatePreviewSync(t.Context(), params())
			assert.ErrorIs(t, err, tt.is)
			assert.ErrorContains(t, err, tt.text)
		})
	}
}

func TestRender(t *testing.T) {
	t.Run("sends an empty object", func(t *testing.T) {
		_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(req.Body)
			assert.NoError(t, err)
			assert.Equal(t, "{}", string(body))
			return respond(req, 200, liveLike), nil
		})).Jobs.Render(t.Context(), jobID)
		assert.NoError(t, err)
	})
	t.Run("may be followed by a Get that settles its outcome", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			job := create(t, api, client, creatifytest.Life{Render: creatifytest.RenderLife{Lag: 30 * time.Second, Duration: time.Hour}})
			time.Sleep(time.Minute)
			api.Inject(creatifytest.Fault{Call: creatifytest.CallRender, Drop: creatifytest.DropAfter})
			_, err := client.Jobs.Render(t.Context(), job.ID)
			require.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
			time.Sleep(time.Minute)
			job, err = client.Jobs.Get(t.Context(), job.ID)
			require.NoError(t, err)
			assert.Equal(t, creatify.StatusRunning, job.Status)
		})
	})
}

func TestJobParamsAreSentAsTheyAre(t *testing.T) {
	full := params()
	full.Name, full.WebhookURL, full.ModelVersion, full.IsHidden = "n", "https://a.test/hook", creatify.ModelAuroraV1, true
	want, err := json.Marshal(full)
	require.NoError(t, err)
	client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(req.Body)
		assert.NoError(t, err)
		assert.JSONEq(t, string(want), string(body), req.URL.Path)
		return respond(req, 200, liveLike), nil
	}))
	for _, create := range []func(context.Context, creatify.JobParams) (*creatify.Job, error){
		client.Jobs.CreatePreview, client.Jobs.CreatePreviewSync, client.Jobs.CreateVideo} {
		_, err := create(t.Context(), full)
		require.NoError(t, err)
	}
}

func TestCalls_go_to_their_paths(t *testing.T) {
	const api = "https://api.creatify.ai/api/"
	for _, tt := range []struct {
		name, method, path, body string
		call                     func(context.Context, *creatify.Client) error
	}{
		{"CreatePreview", "POST", "custom_template_jobs/preview_async/", liveLike, func(ctx context.Context, c *creatify.Client) error {
			_, err := c.Jobs.CreatePreview(ctx, params())
			return err
		}},
		{"CreatePreviewSync", "POST", "custom_template_jobs/preview/", liveLike, func(ctx context.Context, c *creatify.Client) error {
			_, err := c.Jobs.CreatePreviewSync(ctx, params())
			return err
		}},
		{"CreateVideo", "POST", "custom_template_jobs/", liveLike, func(ctx context.Context, c *creatify.Client) error {
			_, err := c.Jobs.CreateVideo(ctx, params())
			return err
		}},
		{"Render", "POST", "custom_template_jobs/" + jobID + "/render/", liveLike, func(ctx context.Context, c *creatify.Client) error {
			_, err := c.Jobs.Render(ctx, jobID)
			return err
		}},
		{"Get", "GET", "custom_template_jobs/" + jobID + "/", liveLike, func(ctx context.Context, c *creatify.Client) error {
			_, err := c.Jobs.Get(ctx, jobID)
			return err
		}},
		{"RemainingCredits", "GET", "remaining_credits/", `{"remaining_credits": 379.0}`, func(ctx context.Context, c *creatify.Client) error {
			_, err := c.Workspace.RemainingCredits(ctx)
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mock := httpmock.NewMockTransport()
			mock.RegisterResponder(tt.method, api+tt.path, httpmock.NewStringResponder(200, tt.body))
			require.NoError(t, tt.call(t.Context(), newClient(t, mock)))
			assert.Equal(t, 1, mock.GetTotalCallCount())
		})
	}
}
