// Package contract checks the requests of the client and the responses of the fake API against
// api/openapi.yaml.
//
// It is a module of its own, so that the library's users do not get its dependencies. Run it in this folder:
//
//	GOWORK=off go test -race -count=1 ./...
//
// Without -count=1 go test does not notice that the document, which lies outside the module, has changed.
//
// Not checked are the responses of the fake that the document does not have: 402 to a preview or a render,
// 405, 413 and 415, 429 to a reading of the credits or of templates, and to an unknown path, 301 or a 404 in
// HTML.
package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// calls are the calls that the fake serves, by method and path as in the document.
var calls = []creatifytest.Call{
	creatifytest.CallCreatePreview,
	creatifytest.CallPreviewSync,
	creatifytest.CallCreateVideo,
	creatifytest.CallRender,
	creatifytest.CallGetJob,
	creatifytest.CallListTemplates,
	creatifytest.CallGetTemplate,
	creatifytest.CallListPersonas,
	creatifytest.CallListVoices,
	creatifytest.CallCredits,
}

// creations are the calls that create jobs.
var creations = []creatifytest.Call{
	creatifytest.CallCreatePreview,
	creatifytest.CallPreviewSync,
	creatifytest.CallCreateVideo,
}

const (
	previewPath = "/api/custom_template_jobs/preview_async/"
	creditsPath = "/api/remaining_credits/"
	unknownID   = "5f0c2b9e-6d0a-4c3f-9a57-1f2e3d4c5b6a"
	validBody   = `{"template_id": "` + creatifytest.TemplateID + `", "variables": {}}`
)

func TestContract(t *testing.T) {
	contract := load(t)
	run := func(name string, config creatifytest.Config, talk func(*testing.T, *validator)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				talk(t, contract.validator(creatifytest.New(config), func(err error) { t.Error(err) }))
			})
		})
	}

	for name, params := range previews() {
		run("a preview with "+name, creatifytest.Config{}, func(t *testing.T, v *validator) {
			job, err := v.client(t, creatifytest.APIKey).Jobs.CreatePreview(t.Context(), params)
			require.NoError(t, err)
			assert.Equal(t, creatify.StatusPending, job.Status)
		})
	}

	for _, status := range []creatify.Status{
		creatify.StatusPending, creatify.StatusInQueue, creatify.StatusRunning,
		creatify.StatusDone, creatify.StatusFailed, creatify.StatusRejected,
	} {
		life := creatifytest.Life{
			Steps:  []creatifytest.Step{{Status: string(status), Progress: 0.5}},
			Reason: "The video could not be made.",
		}
		run("a job that is "+string(status), creatifytest.Config{Life: life}, func(t *testing.T, v *validator) {
			client := v.client(t, creatifytest.APIKey)
			created, err := client.Jobs.CreatePreview(t.Context(), preview())
			require.NoError(t, err)
			job, err := client.Jobs.Get(t.Context(), created.ID)
			require.NoError(t, err)
			assert.Equal(t, status, job.Status)
		})
	}

	pending := creatifytest.Life{Steps: []creatifytest.Step{{Status: "pending", Preview: true}}}
	run("a preview of a job that stays pending", creatifytest.Config{Life: pending}, func(t *testing.T, v *validator) {
		job, err := v.client(t, creatifytest.APIKey).Jobs.CreatePreview(t.Context(), preview())
		require.NoError(t, err)
		assert.NotEmpty(t, job.Preview)
	})

	run("a preview from its start to its end", creatifytest.Config{}, func(t *testing.T, v *validator) {
		job, err := v.client(t, creatifytest.APIKey).Jobs.CreatePreviewAndWait(t.Context(), preview())
		require.NoError(t, err)
		assert.NotEmpty(t, job.Preview)
	})

	unexplained := creatifytest.Life{End: "failed"}
	run("a preview that fails without a reason", creatifytest.Config{Life: unexplained}, func(t *testing.T, v *validator) {
		_, err := v.client(t, creatifytest.APIKey).Jobs.CreatePreviewAndWait(t.Context(), preview())
		require.ErrorIs(t, err, creatify.ErrJobFailed)
	})

	run("an unknown job", creatifytest.Config{}, func(t *testing.T, v *validator) {
		_, err := v.client(t, creatifytest.APIKey).Jobs.Get(t.Context(), unknownID)
		require.ErrorIs(t, err, creatify.ErrNotFound)
	})

	run("a wrong key", creatifytest.Config{}, func(t *testing.T, v *validator) {
		client := v.client(t, "wrong")
		_, err := client.Jobs.CreatePreview(t.Context(), preview())
		require.ErrorIs(t, err, creatify.ErrUnauthorized)
		_, err = client.Jobs.Get(t.Context(), unknownID)
		require.ErrorIs(t, err, creatify.ErrUnauthorized)

		req := request("GET", creditsPath, "")
		req.Header.Set("X-API-KEY", "wrong")
		assert.Equal(t, http.StatusUnauthorized, v.status(t, req))
	})

	run("no key", creatifytest.Config{}, func(t *testing.T, v *validator) {
		v.onlyResponses = true
		req := request("GET", creditsPath, "")
		req.Header.Del("X-API-KEY")
		assert.Equal(t, http.StatusUnauthorized, v.status(t, req))
	})

	// The client refuses to send these.
	for name, body := range map[string]string{
		"no field":         `{}`,
		"every field bad":  `{"template_id": 1, "variables": [], "name": 1, "webhook_url": "x", "model_version": "x", "is_hidden": "x"}`,
		"a variable bad":   `{"template_id": "` + creatifytest.TemplateID + `", "variables": {"headline": "Spring sale"}}`,
		"a list as body":   `[]`,
		"a truncated body": `{`,
		"no body":          ``,
	} {
		for _, call := range creations {
			run(string(call)+" refused with "+name, creatifytest.Config{}, func(t *testing.T, v *validator) {
				v.onlyResponses = true
				assert.Equal(t, http.StatusBadRequest, v.status(t, requestFor(call, "", body)))
			})
		}
	}

	run("a preview to wait for", creatifytest.Config{}, func(t *testing.T, v *validator) {
		assert.Equal(t, http.StatusOK, v.status(t, requestFor(creatifytest.CallPreviewSync, "", validBody)))
	})

	run("a video without a preview", creatifytest.Config{}, func(t *testing.T, v *validator) {
		assert.Equal(t, http.StatusCreated, v.status(t, requestFor(creatifytest.CallCreateVideo, "", validBody)))
		time.Sleep(time.Minute)
		assert.Equal(t, http.StatusOK, v.status(t, requestFor(creatifytest.CallGetJob, v.api.Jobs()[0], "")))
	})

	for _, end := range []string{"done", "failed", "rejected"} {
		render := creatifytest.RenderLife{Lag: 5 * time.Second, End: end, Reason: "The video could not be made."}
		config := creatifytest.Config{Life: creatifytest.Life{Render: render}}
		run("a render that is "+end, config, func(t *testing.T, v *validator) {
			assert.Equal(t, http.StatusOK, v.status(t, requestFor(creatifytest.CallPreviewSync, "", validBody)))
			id := v.api.Jobs()[0]
			assert.Equal(t, http.StatusOK, v.status(t, requestFor(creatifytest.CallRender, id, `{}`)))
			for range 3 { // the job reads as done, as running, and has its end
				assert.Equal(t, http.StatusOK, v.status(t, requestFor(creatifytest.CallGetJob, id, "")))
				time.Sleep(10 * time.Second)
			}
			assert.Equal(t, http.StatusBadRequest, v.status(t, requestFor(creatifytest.CallRender, id, `{}`)), "a second time")
		})
	}

	run("a render too early", creatifytest.Config{}, func(t *testing.T, v *validator) {
		assert.Equal(t, http.StatusCreated, v.status(t, requestFor(creatifytest.CallCreatePreview, "", validBody)))
		assert.Equal(t, http.StatusBadRequest, v.status(t, requestFor(creatifytest.CallRender, v.api.Jobs()[0], `{}`)))
	})

	run("the render of an unknown job", creatifytest.Config{}, func(t *testing.T, v *validator) {
		assert.Equal(t, http.StatusNotFound, v.status(t, requestFor(creatifytest.CallRender, unknownID, `{}`)))
	})

	for name, templates := range map[string][]creatifytest.Template{
		"the templates by default":          nil,
		"templates with no more than an ID": {{ID: unknownID}, {ID: creatifytest.TemplateID}},
	} {
		run(name, creatifytest.Config{Templates: templates}, func(t *testing.T, v *validator) {
			assert.Equal(t, http.StatusOK, v.status(t, requestFor(creatifytest.CallListTemplates, "", "")))
			assert.Equal(t, http.StatusOK, v.status(t, requestFor(creatifytest.CallGetTemplate, creatifytest.TemplateID, "")))
		})
	}

	run("no templates", creatifytest.Config{Templates: []creatifytest.Template{}}, func(t *testing.T, v *validator) {
		assert.Equal(t, http.StatusOK, v.status(t, requestFor(creatifytest.CallListTemplates, "", "")))
		assert.Equal(t, http.StatusNotFound, v.status(t, requestFor(creatifytest.CallGetTemplate, creatifytest.TemplateID, "")))
	})

	for _, call := range calls {
		run(string(call)+" with a wrong key", creatifytest.Config{}, func(t *testing.T, v *validator) {
			req := requestFor(call, unknownID, validBody)
			req.Header.Set("X-API-KEY", "wrong")
			assert.Equal(t, http.StatusUnauthorized, v.status(t, req))
		})
	}

	for _, call := range append(creations, creatifytest.CallRender, creatifytest.CallGetJob, creatifytest.CallListPersonas, creatifytest.CallListVoices) {
		run(string(call)+" too often", creatifytest.Config{RequestsPerMinute: 1}, func(t *testing.T, v *validator) {
			v.status(t, request("GET", creditsPath, ""))
			assert.Equal(t, http.StatusTooManyRequests, v.status(t, requestFor(call, unknownID, validBody)))
		})
	}

	run("too many requests", creatifytest.Config{RequestsPerMinute: 1}, func(t *testing.T, v *validator) {
		client := v.client(t, creatifytest.APIKey)
		_, err := client.Jobs.CreatePreview(t.Context(), preview())
		require.NoError(t, err)
		job, err := client.Jobs.CreatePreview(t.Context(), preview())
		require.NoError(t, err, "after the throttle accepts again")
		_, err = client.Jobs.Get(t.Context(), job.ID)
		require.NoError(t, err, "after the throttle accepts again")
	})

	run("too few credits", creatifytest.Config{Credits: -1}, func(t *testing.T, v *validator) {
		assert.Equal(t, http.StatusPaymentRequired, v.status(t, requestFor(creatifytest.CallCreateVideo, "", validBody)))
	})

	run("the catalog by default", creatifytest.Config{}, func(t *testing.T, v *validator) {
		client := v.client(t, creatifytest.APIKey)
		personas, err := client.Personas.List(t.Context())
		require.NoError(t, err)
		voices, err := client.Voices.List(t.Context())
		require.NoError(t, err)
		assert.Equal(t, creatifytest.PersonaID, personas[0].ID)
		assert.Equal(t, creatifytest.AccentID, voices[0].Accents[0].ID)
	})

	for name, config := range map[string]creatifytest.Config{
		"an empty catalog":         {Personas: []creatifytest.Persona{}, Voices: []creatifytest.Voice{}},
		"a catalog of empty items": {Personas: []creatifytest.Persona{{ID: unknownID}}, Voices: []creatifytest.Voice{{Accents: []creatifytest.Accent{{}}}}},
	} {
		run(name, config, func(t *testing.T, v *validator) {
			assert.Equal(t, http.StatusOK, v.status(t, requestFor(creatifytest.CallListPersonas, "", "")))
			assert.Equal(t, http.StatusOK, v.status(t, requestFor(creatifytest.CallListVoices, "", "")))
		})
	}

	run("the credits that remain", creatifytest.Config{Credits: 0.5}, func(t *testing.T, v *validator) {
		assert.Equal(t, http.StatusOK, v.status(t, request("GET", creditsPath, "")))
	})

	t.Run("every documented response was seen", func(t *testing.T) {
		// Success is 200 or 201: which one is not known. The document allows both; the fake answers 200.
		assert.Equal(t, []string{
			string(creatifytest.CallPreviewSync) + " 201",
			string(creatifytest.CallRender) + " 201",
		}, contract.unseen())
	})
}

func preview() creatify.JobParams {
	return creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
}

func previews() map[string]creatify.JobParams {
	all := map[string]creatify.JobParams{
		"nothing but a template": preview(),
		"every parameter": {
			TemplateID:   creatifytest.TemplateID,
			Variables:    creatify.Variables{"headline": creatify.Text("Spring sale")},
			Name:         strings.Repeat("é", 255),
			WebhookURL:   "https://example.com/" + strings.Repeat("x", 180),
			ModelVersion: creatify.ModelAuroraV1,
			IsHidden:     true,
		},
	}
	for _, model := range []creatify.ModelVersion{
		creatify.ModelStandard, creatify.ModelAuroraV1, creatify.ModelAuroraV1Fast,
	} {
		params := preview()
		params.ModelVersion = model
		all["the model "+string(model)] = params
	}
	for name, variable := range map[string]creatify.Variable{
		"a text":           creatify.Text("Spring sale"),
		"an empty text":    creatify.Text(""),
		"an image":         creatify.Image("https://example.com/photo.jpg"),
		"a video":          creatify.Video("https://example.com/clip.mp4"),
		"an audio":         creatify.Audio("https://example.com/music.mp3"),
		"an avatar":        creatify.Avatar("1e0b3f2c-9a57-4c3f-8d0a-5b6a1f2e3d4c"),
		"a voiceover":      creatify.Voiceover("7c3f9a57-3d4c-4b6a-9b9e-6d0a5f0c2b9e"),
		"any voiceover":    creatify.Voiceover(""),
		"a variable as is": creatify.RawVariable(json.RawMessage(`{"type": "text", "properties": {"content": "x", "size": 12}}`)),
	} {
		params := preview()
		params.Variables["variable"] = variable
		all[name] = params
	}
	return all
}

func TestValidator(t *testing.T) {
	contract := load(t)
	withoutKey := request("GET", creditsPath, "")
	withoutKey.Header.Del("X-API-KEY")
	withoutID := request("GET", creditsPath, "")
	withoutID.Header.Del("X-API-ID")
	withoutType := request("POST", previewPath, validBody)
	withoutType.Header.Del("Content-Type")
	edit := func(edit func(map[string]any)) creatifytest.Life { return creatifytest.Life{Edit: edit} }

	for _, test := range []struct {
		name   string
		life   creatifytest.Life
		fault  creatifytest.Fault
		req    *http.Request
		report string // a part of what is reported first; empty if nothing is
	}{
		{
			name: "nothing is wrong",
			req:  request("POST", previewPath, validBody),
		},
		{
			name:   "the request lacks the key",
			req:    withoutKey,
			report: "X-API-KEY is missing",
		},
		{
			name:   "the request lacks the API ID",
			req:    withoutID,
			report: "X-API-ID is missing",
		},
		{
			name:   "the request lacks its content type",
			req:    withoutType,
			report: "header Content-Type",
		},
		{
			name:   "the request's path lacks the slash at its end",
			req:    request("GET", strings.TrimSuffix(creditsPath, "/"), ""),
			report: "no matching operation",
		},
		{
			name:   "the request's path has an ID that is no UUID",
			req:    request("GET", "/api/custom_template_jobs/42/", ""),
			report: `parameter "id"`,
		},
		{
			name:   "the request lacks a required field",
			req:    request("POST", previewPath, `{"template_id": "`+creatifytest.TemplateID+`"}`),
			report: `"variables" is missing`,
		},
		{
			name:   "the request has a template ID that is no UUID",
			req:    request("POST", previewPath, `{"template_id": "42", "variables": {}}`),
			report: `at "/template_id"`,
		},
		{
			name: "the request has a webhook URL that is not absolute",
			req: request("POST", previewPath,
				`{"template_id": "`+creatifytest.TemplateID+`", "variables": {}, "webhook_url": "/hook"}`),
			report: `at "/webhook_url"`,
		},
		{
			name: "the request has a field that is not documented",
			req: request("POST", previewPath,
				`{"template_id": "`+creatifytest.TemplateID+`", "variables": {}, "webhook": "https://example.com/"}`),
			report: `"webhook" is unsupported`,
		},
		{
			name: "the request has a variable of an unknown type",
			req: request("POST", previewPath,
				`{"template_id": "`+creatifytest.TemplateID+`", "variables": {"x": {"type": "smell", "properties": {}}}}`),
			report: `at "/variables/x/type"`,
		},
		{
			name:   "the response lacks a required key",
			life:   edit(func(job map[string]any) { delete(job, "credits_used") }),
			req:    request("POST", previewPath, validBody),
			report: `"credits_used" is missing`,
		},
		{
			name:   "the response has a key that is not documented",
			life:   edit(func(job map[string]any) { job["state"] = "done" }),
			req:    request("POST", previewPath, validBody),
			report: `"state" is unsupported`,
		},
		{
			name:   "the response has a value of the wrong type",
			life:   edit(func(job map[string]any) { job["progress"] = "0.5" }),
			req:    request("POST", previewPath, validBody),
			report: `at "/progress"`,
		},
		{
			name:   "the response has an unknown job status",
			life:   edit(func(job map[string]any) { job["status"] = "paused" }),
			req:    request("POST", previewPath, validBody),
			report: `at "/status"`,
		},
		{
			name:   "the response has a date of another form",
			life:   edit(func(job map[string]any) { job["created_at"] = "yesterday" }),
			req:    request("POST", previewPath, validBody),
			report: `at "/created_at"`,
		},
		{
			name:   "the response has a status that is not documented",
			fault:  creatifytest.Fault{Status: http.StatusTeapot, Body: `{"detail": "I'm a teapot."}`},
			req:    request("GET", creditsPath, ""),
			report: "status is not supported",
		},
		{
			name:   "the response is HTML",
			fault:  creatifytest.Fault{Status: http.StatusOK, Body: "<!doctype html>"},
			req:    request("GET", creditsPath, ""),
			report: "text/html",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: test.life})
			api.Inject(test.fault)
			var reports []error
			v := contract.validator(api, func(err error) { reports = append(reports, err) })
			v.status(t, test.req)
			if test.report == "" {
				require.Empty(t, reports)
				return
			}
			require.NotEmpty(t, reports)
			assert.ErrorContains(t, reports[0], test.report)
		})
	}
}

func TestUnseen(t *testing.T) {
	t.Run("a response counts once it is valid", func(t *testing.T) {
		contract := load(t)
		all := contract.unseen()
		require.Contains(t, all, "GET /api/remaining_credits/ 200")

		api := creatifytest.New(creatifytest.Config{})
		api.Inject(creatifytest.Fault{Body: `{}`})
		v := contract.validator(api, func(error) {})
		v.status(t, request("GET", creditsPath, ""))
		assert.Equal(t, all, contract.unseen(), "after a response without the balance")

		v.status(t, request("GET", creditsPath, ""))
		assert.ElementsMatch(t, all, append(contract.unseen(), "GET /api/remaining_credits/ 200"), "after a valid response")
	})
}

// contract is the document with the responses that were seen.
type contract struct {
	doc     *openapi3.T
	router  routers.Router
	options *openapi3filter.Options
	seen    map[string]bool // by seenKey
}

func load(t *testing.T) *contract {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../api/openapi.yaml")
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))

	// The document allows keys that it does not name, for the sake of future responses, and variables of any
	// form, since theirs is not documented. Neither the client nor the fake uses that freedom.
	schemas := doc.Components.Schemas
	schemas["Job"].Value.WithoutAdditionalProperties()
	schemas["JobRequest"].Value.WithoutAdditionalProperties()
	schemas["JobRequest"].Value.Properties["variables"].Value.AdditionalProperties.Schema = schemas["Variable"]

	for _, call := range calls {
		method, path, _ := strings.Cut(string(call), " ")
		require.NotNil(t, doc.Paths.Value(path), call)
		require.NotNil(t, doc.Paths.Value(path).GetOperation(method), call)
	}

	router, err := gorillamux.NewRouter(doc)
	require.NoError(t, err)
	return &contract{
		doc:    doc,
		router: router,
		options: &openapi3filter.Options{
			AuthenticationFunc:                hasCredential,
			IncludeResponseStatus:             true,
			MultiError:                        true,
			RejectWhenRequestBodyNotSpecified: true,
			SkipSettingDefaults:               true,
			SchemaValidationOptions: []openapi3.SchemaValidationOption{
				openapi3.DisableSchemaErrorDetails(),
				openapi3.WithStringFormatValidators(map[string]openapi3.StringFormatValidator{
					"uuid": openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringForUUIDOfRFC9562),
					"uri":  openapi3.NewCallbackValidator(isURI),
				}),
			},
		},
		seen: make(map[string]bool),
	}
}

func hasCredential(_ context.Context, input *openapi3filter.AuthenticationInput) error {
	name := input.SecurityScheme.Name
	if input.RequestValidationInput.Request.Header.Get(name) == "" {
		return input.NewError(errors.New(name + " is missing"))
	}
	return nil
}

func isURI(s string) error {
	u, err := url.Parse(s)
	if err == nil && !u.IsAbs() {
		err = errors.New("is not an absolute URI")
	}
	return err
}

func seenKey(method, path, status string) string { return method + " " + path + " " + status }

// unseen lists the documented responses to the calls that were not seen.
func (c *contract) unseen() []string {
	var all []string
	for _, call := range calls {
		method, path, _ := strings.Cut(string(call), " ")
		operation := c.doc.Paths.Value(path).GetOperation(method)
		for _, status := range operation.Responses.Keys() {
			if key := seenKey(method, path, status); !c.seen[key] {
				all = append(all, key)
			}
		}
	}
	slices.Sort(all)
	return all
}

func (c *contract) validator(api *creatifytest.API, report func(error)) *validator {
	return &validator{contract: c, api: api, report: report}
}

// validator reports violations of the contract in the traffic with an API. It is not safe for concurrent use.
type validator struct {
	contract      *contract
	api           *creatifytest.API
	report        func(error)
	onlyResponses bool // because the requests are wrong on purpose
}

func (v *validator) RoundTrip(req *http.Request) (*http.Response, error) {
	sent, err := readAll(req.Body)
	if err != nil {
		return nil, err
	}
	input := v.checkRequest(withBody(req, sent))
	resp, err := v.api.RoundTrip(withBody(req, sent))
	if err != nil {
		return nil, err
	}
	received, err := readAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if input != nil {
		v.checkResponse(input, resp, received)
	}
	resp.Body = io.NopCloser(bytes.NewReader(received))
	return resp, nil
}

// checkRequest returns nil if the request is for none of the documented operations.
func (v *validator) checkRequest(req *http.Request) *openapi3filter.RequestValidationInput {
	route, params, err := v.contract.router.FindRoute(req)
	if err != nil {
		v.report(fmt.Errorf("request %s %s: %w", req.Method, req.URL, err))
		return nil
	}
	input := &openapi3filter.RequestValidationInput{
		Request: req, PathParams: params, Route: route, Options: v.contract.options,
	}
	if !v.onlyResponses {
		if err := openapi3filter.ValidateRequest(req.Context(), input); err != nil {
			v.report(fmt.Errorf("request %s %s: %w", req.Method, req.URL, err))
		}
	}
	return input
}

func (v *validator) checkResponse(input *openapi3filter.RequestValidationInput, resp *http.Response, body []byte) {
	err := openapi3filter.ValidateResponse(input.Request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input,
		Status:                 resp.StatusCode,
		Header:                 resp.Header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                v.contract.options,
	})
	if err != nil {
		v.report(fmt.Errorf("response %s to %s %s: %w", resp.Status, input.Request.Method, input.Request.URL, err))
		return
	}
	v.contract.seen[seenKey(input.Route.Method, input.Route.Path, fmt.Sprint(resp.StatusCode))] = true
}

func readAll(body io.ReadCloser) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	defer body.Close()
	return io.ReadAll(body)
}

func withBody(req *http.Request, body []byte) *http.Request {
	req = req.Clone(req.Context())
	if req.Body != nil {
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	return req
}

// client is a client of the API whose traffic is checked.
func (v *validator) client(t *testing.T, key string) *creatify.Client {
	t.Helper()
	client, err := creatify.New(creatifytest.APIID, key, creatify.WithHTTPClient(&http.Client{Transport: v}))
	require.NoError(t, err)
	return client
}

// status sends a request that the client does not make, and returns the status of the response.
func (v *validator) status(t *testing.T, req *http.Request) int {
	t.Helper()
	resp, err := v.RoundTrip(req)
	require.NoError(t, err)
	return resp.StatusCode
}

// requestFor returns a request for a call, with the ID in its path and a body if the call has them.
func requestFor(call creatifytest.Call, id, body string) *http.Request {
	method, path, _ := strings.Cut(string(call), " ")
	if method == http.MethodGet {
		body = ""
	}
	return request(method, strings.NewReplacer("{id}", id, "{template_id}", id).Replace(path), body)
}

// request is a request with valid credentials.
func request(method, path, body string) *http.Request {
	req, err := http.NewRequest(method, "https://api.creatify.ai"+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("X-API-ID", creatifytest.APIID)
	req.Header.Set("X-API-KEY", creatifytest.APIKey)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	return req
}
