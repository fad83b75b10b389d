// Package hostile_test runs the library against hostile and broken servers, and with a caller's own
// transports.
package hostile_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// calls has a call of each kind, with its result.
var calls = []struct {
	name string
	do   func(context.Context, *creatify.Client) (any, error)
}{
	{"CreatePreview", func(ctx context.Context, c *creatify.Client) (any, error) {
		return c.Jobs.CreatePreview(ctx, testkit.LeakyParams())
	}},
	{"Render", func(ctx context.Context, c *creatify.Client) (any, error) { return c.Jobs.Render(ctx, testkit.JobID) }},
	{"Get", func(ctx context.Context, c *creatify.Client) (any, error) { return c.Jobs.Get(ctx, testkit.JobID) }},
	{"WaitForPreview", func(ctx context.Context, c *creatify.Client) (any, error) {
		return c.Jobs.WaitForPreview(ctx, testkit.JobID, creatify.WithMaxPollErrors(1), creatify.WithMaxWait(time.Minute))
	}},
	{"Templates.Get", func(ctx context.Context, c *creatify.Client) (any, error) {
		return c.Templates.Get(ctx, creatifytest.TemplateID)
	}},
	{"Templates.List", func(ctx context.Context, c *creatify.Client) (any, error) { return c.Templates.List(ctx) }},
	{"Personas.List", func(ctx context.Context, c *creatify.Client) (any, error) { return c.Personas.List(ctx) }},
	{"Voices.List", func(ctx context.Context, c *creatify.Client) (any, error) { return c.Voices.List(ctx) }},
	{"RemainingCredits", func(ctx context.Context, c *creatify.Client) (any, error) { return c.Workspace.RemainingCredits(ctx) }},
}

// wrapped hides the text of the error that it wraps.
type wrapped struct{ error }

func (wrapped) Error() string   { return "it did not work" }
func (w wrapped) Unwrap() error { return w.error }

func TestKeyIsInNoResultErrorOrLog(t *testing.T) {
	key := `"` + strings.ReplaceAll(testkit.Key, `"`, `\"`) + `"`
	var escaped strings.Builder
	for _, c := range testkit.Key {
		fmt.Fprintf(&escaped, `\u%04X`, c)
	}
	esc := `"` + escaped.String() + `"`
	const id = `{"id":"` + testkit.JobID + `",`
	for _, tt := range []struct {
		name   string
		status int
		body   string
	}{
		{"of a job", 200, id + `"status":"failed","failed_reason":` + key + `,"name":` + key + `,"template_id":` + key + `,"remaining_credits":` + key + `}`},
		{"of a job, in escapes", 200, id + `"status":"failed","failed_reason":` + esc + `,"name":` + esc + `,"variables":{` + esc + `:1}}`},
		{"as the ID of a job", 200, `{"id":` + key + `}`},
		{"as the ID of a job, in escapes", 200, `{"id":` + esc + `}`},
		{"in a list", 200, `[{"template_id":` + key + `,"variables":{"a":` + key + `}}]`},
		{"in JSON that is malformed", 200, id + `"name":` + key + `,`},
		{"of a refusal", 400, `{"detail":` + key + `,` + key + `:[` + key + `]}`},
		{"of a refusal, in escapes", 401, `{"detail":` + esc + `,` + esc + `:[` + esc + `]}`},
		{"in a bare array", 400, `[` + esc + `]`},
		{"as the ID in a 502", 502, `{"id":` + esc + `,"status":"pending"}`},
		{"in a page", 404, "<html>" + testkit.Key},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, call := range calls {
				synctest.Test(t, func(t *testing.T) {
					client, log := testkit.NewLeakyClient(t, testkit.BaseURL, testkit.Says(tt.status, tt.body, "X-Echo", testkit.Key),
						creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1}))
					value, err := call.do(t.Context(), client)
					said := testkit.Emitted(value, err) + log.String()
					switch value := value.(type) {
					case *creatify.Job:
						if value != nil {
							said += testkit.Emitted(*value, value.Variables) + string(value.RawJSON()) + value.Preview
						}
					case *creatify.Template:
						if value != nil {
							said += testkit.Emitted(*value) + string(value.Raw)
						}
					}
					testkit.NoKey(t, said)
					assert.NotContains(t, said, escaped.String())
				})
			}
		})
	}
	t.Run("of the caller's transport", func(t *testing.T) {
		for _, call := range calls {
			synctest.Test(t, func(t *testing.T) {
				client, log := testkit.NewLeakyClient(t, testkit.BaseURL, testkit.RoundTrip(func(req *http.Request) (*http.Response, error) {
					return nil, wrapped{errors.Join(errors.New("other"), errors.New("dump: "+req.Header.Get("X-API-KEY")))}
				}))
				_, err := call.do(t.Context(), client)
				require.Error(t, err)
				testkit.NoKey(t, testkit.Emitted(err)+log.String())
			})
		}
	})
	t.Run("of a panic of the caller's transport", func(t *testing.T) {
		client, _ := testkit.NewLeakyClient(t, testkit.BaseURL, testkit.RoundTrip(func(*http.Request) (*http.Response, error) { panic("boom") }))
		defer func() {
			said := fmt.Sprint(recover(), string(debug.Stack()))
			assert.Contains(t, said, "boom")
			testkit.NoKey(t, said)
		}()
		client.Jobs.CreatePreview(t.Context(), testkit.LeakyParams())
	})
	t.Run("of a Location", func(t *testing.T) {
		client, log := testkit.NewLeakyClient(t, testkit.BaseURL, testkit.Says(302, "", "Location", "http://[::1]:"+testkit.Key))
		_, err := client.Jobs.Get(t.Context(), testkit.JobID)
		require.Error(t, err)
		testkit.NoKey(t, testkit.Emitted(err)+log.String())
	})
	t.Run("of values that are printed", func(t *testing.T) {
		client, _ := testkit.NewLeakyClient(t, testkit.BaseURL, nil)
		_, badOption := creatify.New("id", testkit.Key, creatify.WithTimeout(-1), creatify.WithBaseURL("http://"+testkit.Key))
		_, badKey := creatify.New("id", testkit.Key+"\n")
		testkit.NoKey(t, testkit.Emitted(client, *client, client.Jobs, *client.Jobs, client.Templates, *client.Templates, client.Workspace,
			*client.Workspace, struct{ C *creatify.Client }{client}, creatify.Option(creatify.WithTimeout(1)), creatify.RetryPolicy{},
			badOption, badKey))
	})
}

func TestAPIIDIsInNoError(t *testing.T) {
	client := testkit.NewClient(t, testkit.Says(401, `{"detail":"unknown API ID `+creatifytest.APIID+`"}`))
	_, err := client.Jobs.Get(t.Context(), testkit.JobID)
	assert.NotContains(t, testkit.Emitted(err), creatifytest.APIID)
}

func TestShortKeyLeavesResponsesAlone(t *testing.T) {
	client, err := creatify.New("id", "preview", creatify.WithHTTPClient(&http.Client{Transport: testkit.Says(200, testkit.JobDone)}))
	require.NoError(t, err)
	job, err := client.Jobs.Get(t.Context(), testkit.JobID)
	require.NoError(t, err)
	assert.Equal(t, "https://app.creatify.ai/preview?layout=1", job.Preview)
}

func TestKeyStaysInItsOrigin(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
	}{
		{"another host", func(r *http.Request) { r.URL.Host = "elsewhere.test" }},
		{"another scheme", func(r *http.Request) { r.URL.Scheme = "http" }},
		{"another port", func(r *http.Request) { r.URL.Host = "api.creatify.ai:444" }},
	} {
		t.Run("whatever the caller's CheckRedirect does: "+tt.name, func(t *testing.T) {
			callers := &http.Client{
				CheckRedirect: func(req *http.Request, _ []*http.Request) error {
					tt.change(req)
					return nil
				},
				Transport: &testkit.Recorder{T: t, Base: testkit.BaseURL, Next: testkit.Says(302, "", "Location", "/near/")},
			}
			client, _ := testkit.NewLeakyClient(t, testkit.BaseURL, nil, creatify.WithHTTPClient(callers))
			_, err := client.Jobs.Get(t.Context(), testkit.JobID)
			assert.ErrorContains(t, err, "refused to send credentials to another origin")
		})
	}
}

// TestKeyIsNotShownToMiddleware looks where middleware may: at requests, responses and net/http's trace.
func TestKeyIsNotShownToMiddleware(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	server := httptest.NewServer(api)
	defer server.Close()
	for _, base := range []http.RoundTripper{nil, &http.Transport{}, testkit.RoundTrip((&http.Transport{DisableKeepAlives: true}).RoundTrip)} {
		var seen http.Header
		look := func(next http.RoundTripper) http.RoundTripper {
			return testkit.RoundTrip(func(req *http.Request) (*http.Response, error) {
				ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
					WroteHeaderField: func(name string, values []string) { seen[name] = append(seen[name], values...) }})
				resp, err := next.RoundTrip(req.WithContext(ctx))
				if err == nil {
					for name, values := range resp.Request.Header {
						seen[name] = append(seen[name], values...)
					}
				}
				return resp, err
			})
		}
		options := []creatify.Option{creatify.WithBaseURL(server.URL), creatify.WithMiddleware(look)}
		if base != nil {
			options = append(options, creatify.WithHTTPClient(&http.Client{Transport: base}))
		}
		client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, options...)
		require.NoError(t, err)
		seen = http.Header{}
		job, err := client.Jobs.CreatePreview(t.Context(), creatify.JobParams{TemplateID: creatifytest.TemplateID,
			Variables: creatify.Variables{"headline": creatify.Text("Hello")}})
		require.NoError(t, err)
		_, err = client.Jobs.Get(t.Context(), job.ID)
		require.NoError(t, err)
		assert.NotEmpty(t, seen)
		assert.NotContains(t, fmt.Sprint(seen), creatifytest.APIKey)
		assert.NotContains(t, fmt.Sprint(seen), creatifytest.APIID)
		client.CloseIdleConnections()
	}
}
