// Package testkit is what the tests of the root and of tests/ share. Nothing else imports it.
package testkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// BaseURL is the API's own.
const BaseURL = "https://api.creatify.ai"

// JobID is the ID of JobDone.
const JobID = "0b39b0b4-9f7c-4a4a-8f5e-0d5a9f8f7c11"

// JobDone is a response in the form that live ones have: a job with a preview.
const JobDone = `{"id":"` + JobID + `","created_at":"2024-05-01T03:04:05.123456-07:00",
	"updated_at":"2024-05-01T03:04:05.123456-07:00","variables":{"headline":{"type":"text","properties":{"content":"Spring sale"}},
	"vo":{"type":"voiceover","properties":{}}},"media_job":null,"video_output":null,
	"preview":"https://app.creatify.ai/preview?layout=1","editor_url":null,"failed_reason":null,"credits_used":1,
	"duration":5.0,"status":"done","progress":1,"name":"spring","webhook_url":null,"model_version":"standard","is_hidden":true,
	"new_field":{"a":1}}`

// NoSuchJob is the API's own body of a 404.
const NoSuchJob = `{"detail": "No CustomTemplateJob matches the given query."}`

// RoundTrip is a transport that is a function.
type RoundTrip func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f RoundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Respond returns a response. The headers are pairs of a name and a value.
func Respond(req *http.Request, status int, body string, headers ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Request: req,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// Says returns a transport with the same response to every request.
func Says(status int, body string, headers ...string) RoundTrip {
	return func(req *http.Request) (*http.Response, error) { return Respond(req, status, body, headers...), nil }
}

// Polled returns a transport whose jobs have the status that of returns for their ID. Done jobs have a
// preview.
func Polled(of func(id string) string) RoundTrip {
	return func(req *http.Request) (*http.Response, error) {
		id := path.Base(req.URL.Path)
		status := of(id)
		if status == string(creatify.StatusDone) {
			return Respond(req, 200, fmt.Sprintf(`{"id":%q,"status":"done","progress":1,"preview":"https://app.test/p"}`, id)), nil
		}
		return Respond(req, 200, fmt.Sprintf(`{"id":%q,"status":%q,"progress":0.5}`, id, status)), nil
	}
}

// NewClient returns a client with the fake's credentials.
func NewClient(t testing.TB, rt http.RoundTripper, opts ...creatify.Option) *creatify.Client {
	t.Helper()
	opts = append([]creatify.Option{creatify.WithHTTPClient(&http.Client{Transport: rt})}, opts...)
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Params returns parameters that the fake accepts.
func Params() creatify.JobParams {
	return creatify.JobParams{TemplateID: creatifytest.TemplateID,
		Variables: creatify.Variables{"headline": creatify.Text("Spring sale")}}
}

// IDs returns n different IDs.
func IDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%08x-0000-4000-8000-000000000000", i)
	}
	return ids
}

// As returns the error of type E in err, and fails the test if there is none.
func As[E error](t testing.TB, err error) E {
	t.Helper()
	e, ok := errors.AsType[E](err)
	if !ok {
		t.Fatalf("%v is no %T", err, e)
	}
	return e
}

// Sentinels are all the errors that an error may match.
var Sentinels = []error{
	creatify.ErrInvalidParams, creatify.ErrUnauthorized, creatify.ErrNotFound, creatify.ErrRateLimited, creatify.ErrInsufficientCredits,
	creatify.ErrOutcomeUnknown, creatify.ErrJobFailed, creatify.ErrJobRejected, creatify.ErrWaitTimeout, creatify.ErrStalled,
	creatify.ErrNoOutput, creatify.ErrPollsFailed, creatify.ErrBudgetExceeded, creatify.ErrTrackerClosed, creatify.ErrInvalidWebhook,
	creatify.ErrTooLarge, creatify.ErrRefusedURL, context.Canceled, context.DeadlineExceeded,
}

// Matched returns the sentinels that err matches: at most one, by the library's promise.
func Matched(err error) (matched []error) {
	for _, sentinel := range Sentinels {
		if errors.Is(err, sentinel) {
			matched = append(matched, sentinel)
		}
	}
	return matched
}
