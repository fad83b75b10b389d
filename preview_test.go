package creatify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBadParametersCostNothing(t *testing.T) {
	photo := func(v creatify.Variable) func(*creatify.JobParams) {
		return func(p *creatify.JobParams) { p.Variables["photo"] = v }
	}
	tests := []struct {
		name   string
		change func(*creatify.JobParams)
		want   creatify.Problem
	}{
		{"an empty template ID", func(p *creatify.JobParams) { p.TemplateID = "" },
			creatify.Problem{Field: "template_id", Message: "must be a UUID"}},
		{"a malformed template ID", func(p *creatify.JobParams) { p.TemplateID = "3c90c3cc-0d44-4b50-8888-8dd25736052g" },
			creatify.Problem{Field: "template_id", Message: "must be a UUID"}},
		{"a template ID without hyphens", func(p *creatify.JobParams) { p.TemplateID = "3c90c3cc0d444b5088888dd25736052a0000" },
			creatify.Problem{Field: "template_id", Message: "must be a UUID"}},
		{"nil variables", func(p *creatify.JobParams) { p.Variables = nil },
			creatify.Problem{Field: "variables", Message: "is nil"}},
		{"a variable without a name", func(p *creatify.JobParams) { p.Variables[""] = creatify.Text("x") },
			creatify.Problem{Field: "variables", Message: "a name is empty"}},
		{"a zero variable", photo(creatify.Variable{}), creatify.Problem{Field: "variables.photo", Message: "has no value"}},
		{"a relative image URL", photo(creatify.Image("/a.png")), creatify.Problem{Field: "variables.photo", Message: "must be an absolute http or https URL"}},
		{"a video URL without a scheme", photo(creatify.Video("a.test/v.mp4")), creatify.Problem{Field: "variables.photo", Message: "must be an absolute"}},
		{"an audio URL of a file", photo(creatify.Audio("file:///a.mp3")), creatify.Problem{Field: "variables.photo", Message: "must be an absolute"}},
		{"an image URL without a host", photo(creatify.Image("https:///a.png")), creatify.Problem{Field: "variables.photo", Message: "must be an absolute"}},
		{"an empty image URL", photo(creatify.Image("")), creatify.Problem{Field: "variables.photo", Message: "must be an absolute"}},
		{"an empty avatar ID", photo(creatify.Avatar("")), creatify.Problem{Field: "variables.photo", Message: "the avatar's ID is empty"}},
		{"raw JSON that is none", photo(creatify.RawVariable([]byte(`{"type":`))), creatify.Problem{Field: "variables.photo", Message: "is not valid JSON"}},
		{"no raw JSON", photo(creatify.RawVariable(nil)), creatify.Problem{Field: "variables.photo", Message: "is not valid JSON"}},
		{"text that is not UTF-8", photo(creatify.Text("\xff")), creatify.Problem{Field: "variables.photo", Message: "is not valid UTF-8"}},
		{"a name of 256 characters", func(p *creatify.JobParams) { p.Name = strings.Repeat("é", 256) },
			creatify.Problem{Field: "name", Message: "has 256 characters, more than 255"}},
		{"a variable's name that is not UTF-8", func(p *creatify.JobParams) { p.Variables = creatify.Variables{"a\xff": creatify.Text("")} },
			creatify.Problem{Field: `variables."a\xff"`, Message: "its name is not valid UTF-8"}},
		{"raw JSON that is not UTF-8", photo(creatify.RawVariable([]byte("\"\xff\""))), creatify.Problem{Field: "variables.photo", Message: "is not valid JSON"}},
		{"a name that is not UTF-8", func(p *creatify.JobParams) { p.Name = "\xff" }, creatify.Problem{Field: "name", Message: "is not valid UTF-8"}},
		{"a relative webhook URL", func(p *creatify.JobParams) { p.WebhookURL = "/hook" },
			creatify.Problem{Field: "webhook_url", Message: "must be an absolute"}},
		{"a webhook URL of 201 characters", func(p *creatify.JobParams) { p.WebhookURL = "https://a.test/" + strings.Repeat("x", 186) },
			creatify.Problem{Field: "webhook_url", Message: "has 201 characters, more than 200"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			client := newClient(t, api)
			p := params()
			tt.change(&p)
			for _, call := range []func() (*creatify.Job, error){
				func() (*creatify.Job, error) { return client.Jobs.CreatePreview(t.Context(), p) },
				func() (*creatify.Job, error) { return client.Jobs.CreatePreviewAndWait(t.Context(), p) },
			} {
				job, err := call()
				assert.Nil(t, job)
				require.ErrorIs(t, err, creatify.ErrInvalidParams)
				invalid, ok := errors.AsType[*creatify.ValidationError](err)
				require.True(t, ok)
				require.Len(t, invalid.Problems, 1)
				assert.Equal(t, tt.want.Field, invalid.Problems[0].Field)
				assert.Contains(t, invalid.Problems[0].Message, tt.want.Message)
			}
			assert.Zero(t, api.Calls(""), "nothing may be sent")
		})
	}
}

func TestEveryProblemIsReportedAtOnceAndNoValueIsQuoted(t *testing.T) {
	client := newClient(t, creatifytest.New(creatifytest.Config{}))
	var nobody context.Context
	_, err := client.Jobs.CreatePreviewAndWait(nobody, creatify.JobParams{
		TemplateID: "secret-1",
		Variables:  creatify.Variables{"b": creatify.Image("secret-2"), "a": creatify.Video("secret-3")},
		WebhookURL: "secret-4",
	}, nil, creatify.WithMaxWait(0), creatify.WithMaxPollErrors(0), creatify.WithStallTimeout(-1))
	invalid, ok := errors.AsType[*creatify.ValidationError](err)
	require.True(t, ok)
	var fields []string
	for _, p := range invalid.Problems {
		fields = append(fields, p.Field)
	}
	assert.Equal(t, []string{"ctx", "wait option 1", "WithMaxWait", "WithMaxPollErrors", "WithStallTimeout", "template_id",
		"variables.a", "variables.b", "webhook_url"}, fields)
	assert.NotContains(t, err.Error(), "secret")
}

func TestParametersAtTheirLimitsAreSent(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	p := params()
	p.TemplateID = strings.ToUpper(p.TemplateID)
	p.Name = strings.Repeat("é", 255)
	p.WebhookURL = "https://a.test/" + strings.Repeat("x", 185)
	p.Variables = creatify.Variables{}
	job, err := newClient(t, api).Jobs.CreatePreview(t.Context(), p)
	require.NoError(t, err)
	assert.Equal(t, p.Name, job.Name)
	assert.Equal(t, p.WebhookURL, job.WebhookURL)
}

func TestBadIDsAndNilsGetClearErrors(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	client := newClient(t, api)
	var nobody context.Context
	for name, call := range map[string]func() error{
		"id: is empty":            func() error { _, err := client.Jobs.Get(t.Context(), ""); return err },
		"id: cannot be an ID\n":   func() error { _, err := client.Jobs.Get(t.Context(), ".."); return err },
		"id: cannot be an ID":     func() error { _, err := client.Jobs.Get(t.Context(), "."); return err },
		"id: cannot be an ID  ":   func() error { _, err := client.Jobs.Get(t.Context(), `a\b`); return err },
		"id: cannot be an ID   ":  func() error { _, err := client.Jobs.Get(t.Context(), "a\xff"); return err },
		"id: cannot be an ID    ": func() error { _, err := client.Jobs.Get(t.Context(), strings.Repeat("a", 1001)); return err },
		"id: cannot be an ID ":    func() error { _, err := client.Jobs.WaitForPreview(t.Context(), "a/../b"); return err },
		"id: cannot be an ID\t": func() error {
			_, err := client.Jobs.WaitForPreview(t.Context(), jobID+"\n")
			return err
		},
		"ctx: is nil":  func() error { _, err := client.Jobs.Get(nobody, jobID); return err },
		"ctx: is nil ": func() error { _, err := client.Jobs.CreatePreview(nobody, params()); return err },
	} {
		err := call()
		assert.ErrorIs(t, err, creatify.ErrInvalidParams)
		assert.ErrorContains(t, err, strings.TrimSpace(name))
	}
	assert.Zero(t, api.Calls(""))
}

func TestAnIDIsEscapedInThePath(t *testing.T) {
	var path string
	client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		path = req.URL.EscapedPath()
		return respond(req, 200, `{"id":"a?b#c%2F"}`), nil
	}))
	_, err := client.Jobs.Get(t.Context(), "a?b#c%2F")
	require.NoError(t, err)
	assert.Equal(t, "/api/custom_template_jobs/a%3Fb%23c%252F/", path)
}

func TestAnAmbiguousCreateIsNeverRepeated(t *testing.T) {
	const c = creatifytest.CallCreatePreview
	retryAfter := http.Header{"Retry-After": {"1"}}
	tests := []struct {
		name    string
		fault   creatifytest.Fault
		charged float64
		cause   string
	}{
		{"the reply is lost", creatifytest.Fault{Call: c, Drop: creatifytest.DropAfter}, 1, "connection reset"},
		{"the request is lost", creatifytest.Fault{Call: c, Drop: creatifytest.DropBefore}, 0, "connection reset"},
		{"no reply comes in time", creatifytest.Fault{Call: c, Delay: time.Hour}, 0, "no whole response within 1m0s"},
		{"the reply breaks off before the ID", creatifytest.Fault{Call: c, Cut: 5}, 1, "the response is truncated"},
		{"the reply is a page", creatifytest.Fault{Call: c, Body: "<html>OK</html>"}, 1, "no job ID"},
		{"the reply has no ID", creatifytest.Fault{Call: c, Body: `{"status":"pending"}`}, 1, "no job ID"},
		{"the reply is empty", creatifytest.Fault{Call: c, Status: 201}, 0, "no job ID"},
		{"a 500", creatifytest.Fault{Call: c, Status: 500, Body: "oops"}, 0, "500 Internal Server Error"},
		{"a 502 of a proxy", creatifytest.Fault{Call: c, Status: 502, Body: "<html>"}, 0, "502 Bad Gateway"},
		{"a 503 with Retry-After", creatifytest.Fault{Call: c, Status: 503, Header: retryAfter}, 0, "503 Service Unavailable"},
		{"a 504", creatifytest.Fault{Call: c, Status: 504}, 0, "504 Gateway Timeout"},
		{"a 408", creatifytest.Fault{Call: c, Status: 408}, 0, "408 Request Timeout"},
		{"a redirect", creatifytest.Fault{Call: c, Status: 303, Header: http.Header{"Location": {"/login/"}}}, 0, "303 See Other"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				api.Inject(tt.fault)
				p := params()
				p.Variables["secret"] = creatify.Text("s3cr3t-variable")
				job, err := newClient(t, api).Jobs.CreatePreview(t.Context(), p)
				assert.Nil(t, job)
				require.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
				assert.ErrorContains(t, err, tt.cause)
				assert.ErrorContains(t, err, "do not send it again")
				assert.Equal(t, 1, api.Calls(c), "sent once")
				assert.Equal(t, tt.charged, api.Charged())

				unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err)
				require.True(t, ok)
				assert.Equal(t, "POST", unknown.Method)
				assert.Equal(t, p, unknown.Params, "what was sent")
				dump, jsonErr := json.Marshal(unknown)
				require.NoError(t, jsonErr)
				assert.Equal(t, err.Error(), fmt.Sprintf("%+v", unknown), "whatever the verb")
				assert.ErrorContains(t, err, "; look for the job in the account")
				for _, text := range []string{err.Error(), fmt.Sprintf("%v %+v %#v %q", unknown, unknown, unknown, unknown), string(dump)} {
					assert.NotContains(t, text, "s3cr3t-variable")
					assert.NotContains(t, text, creatifytest.APIKey)
				}
			})
		})
	}
}

func TestAServersTroubleIsStillAnAPIError(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	api.Inject(creatifytest.Fault{Status: 503, Body: `{"id":"` + jobID + `","status":"pending"}`})
	_, err := newClient(t, api).Jobs.CreatePreview(t.Context(), params())
	unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err)
	require.True(t, ok)
	assert.Equal(t, jobID, unknown.JobID, "an ID is never thrown away")
	assert.ErrorContains(t, err, "read job "+jobID)
	refusal, ok := errors.AsType[*creatify.APIError](unknown.Err)
	require.True(t, ok)
	assert.Equal(t, 503, refusal.StatusCode)
	assert.NotContains(t, err.Error(), "try again")
}

func TestACreateCancelledOnItsWayHasAnUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		api.Inject(creatifytest.Fault{Delay: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := newClient(t, api).Jobs.CreatePreview(ctx, params())
		assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
		assert.NotErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, context.DeadlineExceeded.Error())
	})
}

func TestACreateThatNeverLeftIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		api.Inject(creatifytest.Fault{Drop: creatifytest.Refuse, Times: 2})
		job, err := newClient(t, api).Jobs.CreatePreview(t.Context(), params())
		require.NoError(t, err)
		assert.Equal(t, []string{job.ID}, api.Jobs())
		assert.Equal(t, 1.0, api.Charged())
	})
}

func TestACreateThatNeverLeavesIsNotAnUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		api.Inject(creatifytest.Fault{Drop: creatifytest.Refuse, Times: -1})
		_, err := newClient(t, api).Jobs.CreatePreview(t.Context(), params())
		require.Error(t, err)
		assert.NotErrorIs(t, err, creatify.ErrOutcomeUnknown)
		assert.ErrorContains(t, err, "not sent: ")
		assert.ErrorContains(t, err, "connection refused")
	})
}

func TestAThrottledCreateIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{RequestsPerMinute: 2})
		client := newClient(t, api)
		start := time.Now()
		for range 3 {
			_, err := client.Jobs.CreatePreview(t.Context(), params())
			require.NoError(t, err)
		}
		assert.Len(t, api.Jobs(), 3)
		assert.GreaterOrEqual(t, time.Since(start), 30*time.Second, "as Retry-After asked")
	})
}

func TestAThrottledCreateThatGivesUpSaysWhenToComeBack(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	api.Inject(creatifytest.Fault{Status: 429, Header: http.Header{"Retry-After": {"120"}}, Times: -1})
	_, err := newClient(t, api).Jobs.CreatePreview(t.Context(), params())
	require.ErrorIs(t, err, creatify.ErrRateLimited)
	refusal, _ := errors.AsType[*creatify.APIError](err)
	assert.Equal(t, 2*time.Minute, refusal.RetryAfter)
	assert.ErrorContains(t, err, "try again in 2m0s")
	assert.Equal(t, 1, api.Calls(""), "two minutes are over the cap")
}

func TestTooFewCreditsIsARefusal(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{Credits: 0.5})
	_, err := newClient(t, api).Jobs.CreatePreviewAndWait(t.Context(), params())
	assert.ErrorIs(t, err, creatify.ErrInsufficientCredits)
	assert.NotErrorIs(t, err, creatify.ErrOutcomeUnknown)
}

func TestAWrongKeyIsUnauthorized(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{APIKey: "another-key"})
	_, err := newClient(t, api).Jobs.CreatePreviewAndWait(t.Context(), params())
	assert.ErrorIs(t, err, creatify.ErrUnauthorized)
}
