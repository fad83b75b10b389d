package creatifytest_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/creatify-community/creatify-go/creatifytest"
)

const (
	base         = "https://api.creatify.ai"
	jobsURL      = base + "/api/custom_template_jobs/" // also where videos are created
	previewURL   = jobsURL + "preview_async/"
	syncURL      = jobsURL + "preview/"
	templatesURL = base + "/api/custom_templates/"
	creditsURL   = base + "/api/remaining_credits/"

	previewPath = "/api/custom_template_jobs/preview_async/"
	creditsPath = "/api/remaining_credits/"

	unknownID = "11111111-2222-4333-8444-555555555555"

	validBody = `{"template_id":"` + creatifytest.TemplateID + `","variables":{}}`
)

// newRequest returns a request with valid credentials, and for a body, the
// content type of JSON.
func newRequest(ctx context.Context, method, url, body string) *http.Request {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, reader)
	if err != nil {
		panic(err)
	}
	req.Header.Set("X-API-ID", creatifytest.APIID)
	req.Header.Set("X-API-KEY", creatifytest.APIKey)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return req
}

// bodyWith returns the body of a request for a job, with fields in place of those of a valid one.
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

type result struct {
	status int
	header http.Header
	body   string
}

// roundTrip sends a request straight to the API: redirects are not followed.
func roundTrip(t *testing.T, api *creatifytest.API, req *http.Request) result {
	t.Helper()
	resp, err := api.RoundTrip(req)
	if err != nil {
		t.Fatalf("RoundTrip: %v", err)
	}
	return read(t, resp)
}

func read(t *testing.T, resp *http.Response) result {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the body: %v", err)
	}
	return result{status: resp.StatusCode, header: resp.Header, body: string(body)}
}

// create makes a job and returns it as the response shows it.
func create(t *testing.T, api *creatifytest.API) map[string]any {
	t.Helper()
	got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, validBody))
	return decode(t, got, http.StatusCreated)
}

func get(t *testing.T, api *creatifytest.API, id any) map[string]any {
	t.Helper()
	got := roundTrip(t, api, newRequest(t.Context(), "GET", jobsURL+id.(string)+"/", ""))
	return decode(t, got, http.StatusOK)
}

func renderURL(id any) string {
	return jobsURL + id.(string) + "/render/"
}

// render asks for the render of a job and returns the job as the response shows it.
func render(t *testing.T, api *creatifytest.API, id any) map[string]any {
	t.Helper()
	got := roundTrip(t, api, newRequest(t.Context(), "POST", renderURL(id), "{}"))
	return decode(t, got, http.StatusOK)
}

func decode(t *testing.T, got result, wantStatus int) map[string]any {
	t.Helper()
	if got.status != wantStatus {
		t.Fatalf("status %d, want %d; body %s", got.status, wantStatus, got.body)
	}
	var job map[string]any
	if err := json.Unmarshal([]byte(got.body), &job); err != nil {
		t.Fatalf("body %q: %v", got.body, err)
	}
	return job
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}
