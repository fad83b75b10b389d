package creatifytest_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestRefusals(t *testing.T) {
	tests := []struct {
		name   string
		method string
		url    string
		body   string
		edit   func(http.Header)
		status int
		want   string
	}{
		{
			name: "no API ID", method: "GET", url: creditsURL,
			edit:   func(h http.Header) { h.Del("X-API-ID") },
			status: 401, want: `{"detail":"Authentication credentials were not provided."}`,
		},
		{
			name: "no API key", method: "GET", url: creditsURL,
			edit:   func(h http.Header) { h.Del("X-API-KEY") },
			status: 401, want: `{"detail":"Authentication credentials were not provided."}`,
		},
		{
			name: "a wrong API ID", method: "GET", url: creditsURL,
			edit:   func(h http.Header) { h.Set("X-API-ID", "x") },
			status: 401, want: `{"detail":"Invalid API credentials."}`,
		},
		{
			name: "a wrong API key", method: "GET", url: creditsURL,
			edit:   func(h http.Header) { h.Set("X-API-KEY", "x") },
			status: 401, want: `{"detail":"Invalid API credentials."}`,
		},
		{
			name: "credentials are checked before the method", method: "PUT", url: creditsURL,
			edit:   func(h http.Header) { h.Del("X-API-KEY") },
			status: 401, want: `{"detail":"Authentication credentials were not provided."}`,
		},
		{
			name: "credentials are checked before the body", method: "POST", url: previewURL, body: "{",
			edit:   func(h http.Header) { h.Del("X-API-KEY") },
			status: 401, want: `{"detail":"Authentication credentials were not provided."}`,
		},
		{
			name: "a method that a path does not have", method: "PUT", url: previewURL, body: validBody,
			status: 405, want: `{"detail":"Method \"PUT\" not allowed."}`,
		},
		{
			name: "reading where only creation is possible", method: "GET", url: previewURL,
			status: 405, want: `{"detail":"Method \"GET\" not allowed."}`,
		},
		{
			name: "an unknown job", method: "GET", url: jobsURL + unknownID + "/",
			status: 404, want: `{"detail":"No CustomTemplateJob matches the given query."}`,
		},
		{
			name: "a list of jobs", method: "GET", url: jobsURL,
			status: 405, want: `{"detail":"Method \"GET\" not allowed."}`,
		},
		{
			name: "reading where only a preview is possible", method: "GET", url: syncURL,
			status: 405, want: `{"detail":"Method \"GET\" not allowed."}`,
		},
		{
			name: "reading where only a render is possible", method: "GET", url: renderURL(unknownID),
			status: 405, want: `{"detail":"Method \"GET\" not allowed."}`,
		},
		{
			name: "creating a template", method: "POST", url: templatesURL, body: "{}",
			status: 405, want: `{"detail":"Method \"POST\" not allowed."}`,
		},
		{
			name: "the render of an unknown job", method: "POST", url: renderURL(unknownID), body: "{}",
			status: 404, want: `{"detail":"No CustomTemplateJob matches the given query."}`,
		},
		{
			name: "a render with a body that is not an object", method: "POST", url: renderURL(unknownID), body: "[]",
			status: 400, want: `{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`,
		},
		{
			name: "an unknown template", method: "GET", url: templatesURL + unknownID + "/",
			status: 404, want: `{"detail":"No CustomTemplate matches the given query."}`,
		},
		{
			name: "a preview to wait for with a wrong field", method: "POST", url: syncURL, body: `{"variables":{}}`,
			status: 400, want: `{"template_id":["This field is required."]}`,
		},
		{
			name: "a video with a wrong field", method: "POST", url: jobsURL, body: `{"variables":{}}`,
			status: 400, want: `{"template_id":["This field is required."]}`,
		},
		{
			name: "a body that is not JSON by its type", method: "POST", url: previewURL, body: validBody,
			edit:   func(h http.Header) { h.Set("Content-Type", "text/plain") },
			status: 415, want: `{"detail":"Unsupported media type \"text/plain\" in request."}`,
		},
		{
			name: "a body without a type", method: "POST", url: previewURL, body: validBody,
			edit:   func(h http.Header) { h.Del("Content-Type") },
			status: 415, want: `{"detail":"Unsupported media type \"\" in request."}`,
		},
		{
			name: "a body that breaks off", method: "POST", url: previewURL, body: `{"name":`,
			status: 400, want: `{"detail":"JSON parse error - unexpected end of JSON input"}`,
		},
		{
			name: "a body that is not an object", method: "POST", url: previewURL, body: ` [1]`,
			status: 400, want: `{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`,
		},
		{
			name: "a body that is null", method: "POST", url: previewURL, body: `null`,
			status: 400, want: `{"non_field_errors":["Invalid data. Expected a dictionary, but got NoneType."]}`,
		},
		{
			name: "no body", method: "POST", url: previewURL,
			status: 400, want: `{"template_id":["This field is required."],"variables":["This field is required."]}`,
		},
		{
			name: "a body over 1 MiB", method: "POST", url: previewURL,
			body:   strings.Replace(validBody, "{}", `{}`+strings.Repeat(" ", 1<<20), 1),
			status: 413, want: `{"detail":"Request body exceeds 1048576 bytes."}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			req := newRequest(t.Context(), test.method, test.url, test.body)
			if test.edit != nil {
				test.edit(req.Header)
			}
			got := roundTrip(t, api, req)
			equal(t, "the status", got.status, test.status)
			equal(t, "the body", got.body, test.want)
			equal(t, "Content-Type", got.header.Get("Content-Type"), "application/json")
			equal(t, "the number of jobs", len(api.Jobs()), 0)
			equal(t, "Charged", api.Charged(), 0)
		})
	}
}

func TestFieldErrors(t *testing.T) {
	tests := []struct {
		name string
		set  map[string]any // in place of what a valid body has
		want string
	}{
		{"a template ID that is null", map[string]any{"template_id": nil}, `{"template_id":["This field may not be null."]}`},
		{"a template ID that is no UUID", map[string]any{"template_id": "x"}, `{"template_id":["Must be a valid UUID."]}`},
		{"a template ID with a wrong digit", map[string]any{"template_id": "3c90c3cc-0d44-4b50-8888-8dd25736052g"}, `{"template_id":["Must be a valid UUID."]}`},
		{"a template ID with a digit for a dash", map[string]any{"template_id": "3c90c3cc00d44-4b50-8888-8dd25736052a"}, `{"template_id":["Must be a valid UUID."]}`},
		{"a template ID that is no string", map[string]any{"template_id": 1}, `{"template_id":["Must be a valid UUID."]}`},
		{"variables that are null", map[string]any{"variables": nil}, `{"variables":["This field may not be null."]}`},
		{"variables that are a list", map[string]any{"variables": []int{}}, `{"variables":["Expected a dictionary of items but got type \"list\"."]}`},
		{"a variable that is no object", map[string]any{"variables": map[string]any{"b": 1.5, "a": nil, "ok": map[string]any{}}},
			`{"variables":["Variable \"a\": expected a dictionary but got type \"NoneType\".","Variable \"b\": expected a dictionary but got type \"float\"."]}`},
		{"a name that is no string", map[string]any{"name": 1}, `{"name":["Not a valid string."]}`},
		{"a name of 256 characters", map[string]any{"name": strings.Repeat("é", 256)}, `{"name":["Ensure this field has no more than 255 characters."]}`},
		{"a webhook URL of 201 characters", map[string]any{"webhook_url": "https://example.com/" + strings.Repeat("x", 181)}, `{"webhook_url":["Ensure this field has no more than 200 characters."]}`},
		{"a webhook URL without a host", map[string]any{"webhook_url": "/hook"}, `{"webhook_url":["Enter a valid URL."]}`},
		{"a webhook URL of another scheme", map[string]any{"webhook_url": "mailto:a@b"}, `{"webhook_url":["Enter a valid URL."]}`},
		{"an unknown model version", map[string]any{"model_version": "v9"}, `{"model_version":["\"v9\" is not a valid choice."]}`},
		{"a model version that is null", map[string]any{"model_version": nil}, `{"model_version":["This field may not be null."]}`},
		{"a model version that is no string", map[string]any{"model_version": 9}, `{"model_version":["\"9\" is not a valid choice."]}`},
		{"is_hidden that is no boolean", map[string]any{"is_hidden": "yes"}, `{"is_hidden":["Must be a valid boolean."]}`},
		{"several wrong fields", map[string]any{"template_id": "x", "is_hidden": nil}, `{"is_hidden":["This field may not be null."],"template_id":["Must be a valid UUID."]}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, bodyWith(t, test.set)))
			equal(t, "the status", got.status, 400)
			equal(t, "the body", got.body, test.want)
			equal(t, "the number of jobs", len(api.Jobs()), 0)
		})
	}
}

func TestLongestFieldsAreAccepted(t *testing.T) {
	tests := []struct {
		name string
		set  map[string]any
	}{
		{"a name of 255 characters in 510 bytes", map[string]any{"name": strings.Repeat("é", 255)}},
		{"a webhook URL of 200 characters", map[string]any{"webhook_url": "https://example.com/" + strings.Repeat("x", 180)}},
		{"a template ID in capitals", map[string]any{"template_id": strings.ToUpper(creatifytest.TemplateID)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, bodyWith(t, test.set)))
			decode(t, got, 201)
		})
	}
}

func bodyWith(t *testing.T, set map[string]any) string {
	t.Helper()
	fields := map[string]any{"template_id": creatifytest.TemplateID, "variables": map[string]any{}}
	maps.Copy(fields, set)
	body, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestConfiguredCredentialsReplaceTheDefaults(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{APIID: "me", APIKey: "secret"})
	req := newRequest(t.Context(), "GET", creditsURL, "")
	equal(t, "the status with the defaults", roundTrip(t, api, req).status, 401)
	req.Header.Set("X-API-ID", "me")
	req.Header.Set("X-API-KEY", "secret")
	equal(t, "the status with those configured", roundTrip(t, api, req).status, 200)
}

func TestAllowNamesTheMethods(t *testing.T) {
	for url, want := range map[string]string{
		previewURL:             "POST, OPTIONS",
		syncURL:                "POST, OPTIONS",
		jobsURL:                "POST, OPTIONS",
		renderURL("x"):         "POST, OPTIONS",
		jobsURL + "x/":         "GET, HEAD, OPTIONS",
		templatesURL:           "GET, HEAD, OPTIONS",
		templatesURL + "x/":    "GET, HEAD, OPTIONS",
		creditsURL:             "GET, HEAD, OPTIONS",
		base + "/videos/x.mp4": "GET, HEAD, OPTIONS",
		base + "/preview":      "GET, HEAD, OPTIONS",
	} {
		got := roundTrip(t, creatifytest.New(creatifytest.Config{}), newRequest(t.Context(), "DELETE", url, ""))
		equal(t, "Allow for "+url, got.header.Get("Allow"), want)
	}
}

func TestUnknownPathGetsAPage(t *testing.T) {
	for _, path := range []string{
		"", "/", "/api/", "/api/custom_template_jobs//", "/api/custom_template_jobs/x/y/", "/api/custom_template_jobs//render/",
		"/api/custom_template_jobs/x/y/render/", "/api/custom_template_jobs/x/render/y/", "/api/custom_templates/x/y/",
		"/api/remaining_credits/x/",
	} {
		t.Run(path, func(t *testing.T) {
			got := roundTrip(t, creatifytest.New(creatifytest.Config{}), newRequest(t.Context(), "GET", base+path, ""))
			equal(t, "the status", got.status, 404)
			equal(t, "Content-Type", got.header.Get("Content-Type"), "text/html; charset=utf-8")
			if !strings.Contains(got.body, "<h1>Not Found</h1>") {
				t.Errorf("the body is %q, want a page", got.body)
			}
		})
	}
}

func TestPathWithoutSlashIsRedirected(t *testing.T) {
	for _, path := range []string{
		"/api/custom_template_jobs", "/api/custom_template_jobs/preview_async", "/api/custom_template_jobs/x/render", "/api/custom_templates",
	} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(method+" "+path, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				got := roundTrip(t, api, newRequest(t.Context(), method, base+path+"?a=b", ""))
				equal(t, "the status", got.status, 301)
				equal(t, "Location", got.header.Get("Location"), path+"/?a=b")
			})
		}
	}
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{RequestsPerMinute: 2})
		try := func() result {
			return roundTrip(t, api, newRequest(t.Context(), "GET", creditsURL, ""))
		}
		equal(t, "the status of the first request", try().status, 200)
		time.Sleep(20 * time.Second)
		equal(t, "the status of the second", try().status, 200)
		time.Sleep(500 * time.Millisecond)

		got := try()
		equal(t, "the status of one too many", got.status, 429)
		equal(t, "Retry-After", got.header.Get("Retry-After"), "40")
		equal(t, "the body", got.body, `{"detail":"Request was throttled. Expected available in 40 seconds."}`)

		time.Sleep(39 * time.Second)
		got = try()
		equal(t, "the status just before the minute is over", got.status, 429)
		equal(t, "the body then", got.body, `{"detail":"Request was throttled. Expected available in 1 second."}`)

		time.Sleep(500 * time.Millisecond)
		equal(t, "the status a minute after the first request", try().status, 200)
		equal(t, "the status of one more", try().status, 429)
		time.Sleep(20 * time.Second)
		equal(t, "the status a minute after the second", try().status, 200)
	})
}

func TestThrottleComesAfterCredentialsAndBeforeTheMethod(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{RequestsPerMinute: 1})
	unknown := newRequest(t.Context(), "GET", creditsURL, "")
	unknown.Header.Del("X-API-ID")
	equal(t, "the status without credentials", roundTrip(t, api, unknown).status, 401)
	equal(t, "the status of the first request let in", roundTrip(t, api, newRequest(t.Context(), "PUT", creditsURL, "")).status, 405)
	equal(t, "the status of the second", roundTrip(t, api, newRequest(t.Context(), "PUT", creditsURL, "")).status, 429)
	equal(t, "the status without credentials then", roundTrip(t, api, unknown).status, 401)
}

func TestCallsCountsWhateverHappens(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	api.Inject(
		creatifytest.Fault{Call: creatifytest.CallCreatePreview, Drop: creatifytest.Refuse},
		creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 503},
	)
	for _, body := range []string{validBody, validBody, `{}`, validBody} {
		if resp, err := api.RoundTrip(newRequest(t.Context(), "POST", previewURL, body)); err == nil {
			resp.Body.Close()
		}
	}
	get(t, api, api.Jobs()[0])
	roundTrip(t, api, newRequest(t.Context(), "GET", creditsURL, ""))
	roundTrip(t, api, newRequest(t.Context(), "PUT", creditsURL, ""))
	roundTrip(t, api, newRequest(t.Context(), "GET", base+"/", ""))

	equal(t, "CallCreatePreview", api.Calls(creatifytest.CallCreatePreview), 4)
	equal(t, "CallGetJob", api.Calls(creatifytest.CallGetJob), 1)
	equal(t, "CallCredits", api.Calls(creatifytest.CallCredits), 1)
	equal(t, "the number of all requests", api.Calls(""), 8)
}

func TestEachCallIsCountedForItself(t *testing.T) {
	tests := []struct {
		call   creatifytest.Call
		method string
		url    string
	}{
		{creatifytest.CallCreatePreview, "POST", previewURL},
		{creatifytest.CallPreviewSync, "POST", syncURL},
		{creatifytest.CallCreateVideo, "POST", jobsURL},
		{creatifytest.CallRender, "POST", renderURL(unknownID)},
		{creatifytest.CallGetJob, "GET", jobsURL + unknownID + "/"},
		{creatifytest.CallListTemplates, "GET", templatesURL},
		{creatifytest.CallGetTemplate, "GET", templatesURL + unknownID + "/"},
		{creatifytest.CallCredits, "GET", creditsURL},
		{creatifytest.CallVideo, "GET", base + "/videos/" + unknownID + ".mp4"},
	}
	api := creatifytest.New(creatifytest.Config{})
	for i, test := range tests {
		for range i + 1 {
			roundTrip(t, api, newRequest(t.Context(), test.method, test.url, ""))
		}
	}
	for i, test := range tests {
		equal(t, string(test.call), api.Calls(test.call), i+1)
	}
}

func TestConcurrentUse(t *testing.T) {
	const clients, each = 8, 50
	api := creatifytest.New(creatifytest.Config{Credits: clients*each - 10, RequestsPerMinute: 1e6})
	send := func(method, url, body string) {
		resp, err := api.RoundTrip(newRequest(t.Context(), method, url, body))
		if err != nil {
			t.Errorf("%s %s: %v", method, url, err)
			return
		}
		resp.Body.Close()
	}
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range each {
				api.NextJob(creatifytest.Life{Duration: time.Second})
				api.Inject(creatifytest.Fault{Call: creatifytest.CallCredits, Status: 503})
				send("POST", previewURL, validBody)
				send("GET", jobsURL+api.Jobs()[0]+"/", "")
				send("GET", creditsURL, "")
			}
		})
	}
	wg.Wait()
	equal(t, "the number of requests for a preview", api.Calls(creatifytest.CallCreatePreview), clients*each)
	equal(t, "the number of jobs", len(api.Jobs()), clients*each-10)
	equal(t, "Charged", api.Charged(), clients*each-10)
	equal(t, "Credits", api.Credits(), 0)
}
