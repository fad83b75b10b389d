package creatify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// paidCalls are the four calls that cost credits, by path.
var paidCalls = []struct {
	name, path string
	call       func(context.Context, *creatify.Client) (*creatify.Job, error)
}{
	{"CreatePreview", "/api/custom_template_jobs/preview_async/", func(ctx context.Context, c *creatify.Client) (*creatify.Job, error) {
		return c.Jobs.CreatePreview(ctx, params())
	}},
	{"CreatePreviewSync", "/api/custom_template_jobs/preview/", func(ctx context.Context, c *creatify.Client) (*creatify.Job, error) {
		return c.Jobs.CreatePreviewSync(ctx, params())
	}},
	{"CreateVideo", "/api/custom_template_jobs/", func(ctx context.Context, c *creatify.Client) (*creatify.Job, error) {
		return c.Jobs.CreateVideo(ctx, params())
	}},
	{"Render", "/api/custom_template_jobs/" + jobID + "/render/", func(ctx context.Context, c *creatify.Client) (*creatify.Job, error) {
		return c.Jobs.Render(ctx, jobID)
	}},
}

func TestPaidCalls(t *testing.T) {
	for _, tt := range paidCalls {
		for _, status := range []int{200, 201} { // the documentation has one of the two for some calls only
			t.Run(fmt.Sprintf("%s answered %d", tt.name, status), func(t *testing.T) {
				job, err := tt.call(t.Context(), newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
					assert.Equal(t, http.MethodPost, req.Method)
					assert.Equal(t, tt.path, req.URL.Path)
					return respond(req, status, liveLike), nil
				})))
				require.NoError(t, err)
				assert.Equal(t, jobID, job.ID)
			})
		}
		t.Run(tt.name+" lost", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent, lost := 0, errors.New("connection lost")
				_, err := tt.call(t.Context(), newClient(t, roundTrip(func(*http.Request) (*http.Response, error) {
					sent++
					return nil, lost
				})))
				assert.Equal(t, 1, sent)
				assert.Equal(t, []error{creatify.ErrOutcomeUnknown}, testkit.Matched(err))
				assert.NotErrorIs(t, err, lost, "what a caller's transport returns may be another call's error")
				assert.ErrorContains(t, err, "connection lost")
			})
		})
	}
	t.Run("ends as canceled, whatever outcome another call's cause had", func(t *testing.T) {
		lost := &creatify.OutcomeUnknownError{Call: "create_preview", JobID: "7", Err: errors.New("lost")}
		for _, tt := range paidCalls {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(lost)
				_, err := tt.call(ctx, newClient(t, hangs))
				assert.Equal(t, []error{context.Canceled}, testkit.Matched(err), tt.name)
				assert.Equal(t, creatify.ChargedNo, creatify.Charged(err))
				assert.ErrorContains(t, err, "nothing was charged")
				_, ok := errors.AsType[*creatify.OutcomeUnknownError](err)
				assert.False(t, ok)

				ctx, cancel = context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(&creatify.APIError{StatusCode: 429, Method: http.MethodPost}) })
				_, err = tt.call(ctx, newClient(t, hangs))
				assert.Equal(t, []error{creatify.ErrOutcomeUnknown}, testkit.Matched(err), tt.name)
				assert.Equal(t, creatify.ChargedUnknown, creatify.Charged(err))
			})
		}
	})
}

func TestCreatePreviewOutcomeUnknown(t *testing.T) {
	const c = creatifytest.CallCreatePreview
	for _, tt := range []struct {
		name    string
		fault   creatifytest.Fault
		charged float64
		cause   string
	}{
		{"lost response", creatifytest.Fault{Call: c, Drop: creatifytest.DropAfter}, 1, "connection reset"},
		{"lost request", creatifytest.Fault{Call: c, Drop: creatifytest.DropBefore}, 0, "connection reset"},
		{"no response in time", creatifytest.Fault{Call: c, Delay: time.Hour}, 0, "no whole response within 1m0s"},
		{"truncated before the ID", creatifytest.Fault{Call: c, Cut: 5}, 1, "the response is truncated"},
		{"page", creatifytest.Fault{Call: c, Body: "<html>OK</html>"}, 1, "no job ID"},
		{"no ID", creatifytest.Fault{Call: c, Body: `{"status":"pending"}`}, 1, "no job ID"},
		{"empty body", creatifytest.Fault{Call: c, Status: 201}, 0, "no job ID"},
		{"500", creatifytest.Fault{Call: c, Status: 500, Body: "oops"}, 0, "500 Internal Server Error"},
		{"502 of a proxy", creatifytest.Fault{Call: c, Status: 502, Body: "<html>"}, 0, "502 Bad Gateway"},
		{"503 with Retry-After", creatifytest.Fault{Call: c, Status: 503, Header: http.Header{"Retry-After": {"1"}}}, 0, "503 Service Unavailable"},
		{"504", creatifytest.Fault{Call: c, Status: 504}, 0, "504 Gateway Timeout"},
		{"408", creatifytest.Fault{Call: c, Status: 408}, 0, "408 Request Timeout"},
		{"redirect", creatifytest.Fault{Call: c, Status: 303, Header: http.Header{"Location": {"/login/"}}}, 0, "303 See Other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				api.Inject(tt.fault)
				p := params()
				p.Variables["secret"] = creatify.Text("s3cr3t-variable")
				job, err := newClient(t, api).Jobs.CreatePreview(t.Context(), p)
				assert.Nil(t, job)
				assert.Equal(t, []error{creatify.ErrOutcomeUnknown}, testkit.Matched(err))
				assert.Equal(t, creatify.ChargedUnknown, creatify.Charged(err))
				assert.ErrorContains(t, err, "creatify: create preview: outcome unknown: ")
				assert.ErrorContains(t, err, tt.cause)
				assert.ErrorContains(t, err, "it may have been charged: do not send it again; look for the job in the account")
				assert.NotContains(t, err.Error(), "try again")
				assert.Equal(t, 1, api.Calls(c), "sent once")
				assert.Equal(t, tt.charged, api.Charged())

				unknown := testkit.As[*creatify.OutcomeUnknownError](t, err)
				assert.Equal(t, http.MethodPost, unknown.Method)
				assert.Equal(t, p, unknown.Params, "what was sent")
				if tt.fault.Status != 0 && tt.fault.Status != 201 {
					assert.Equal(t, tt.fault.Status, testkit.As[*creatify.APIError](t, unknown.Err).StatusCode)
				}
				dump, err := json.Marshal(unknown)
				require.NoError(t, err)
				for _, text := range []string{unknown.Error(), fmt.Sprintf("%v %+v %#v %q", unknown, unknown, unknown, *unknown), string(dump)} {
					assert.NotContains(t, text, "s3cr3t-variable")
					assert.NotContains(t, text, creatifytest.APIKey)
				}
			})
		})
	}
	t.Run("keeps the params as they were sent", func(t *testing.T) {
		sent := params()
		sent.Variables = creatify.Variables{"headline": creatify.Text("the first order")}
		_, err := newClient(t, says(502, "")).Jobs.CreatePreview(t.Context(), sent)
		sent.Variables["headline"] = creatify.Text("the second order")
		assert.Equal(t, "the first order", testkit.As[*creatify.OutcomeUnknownError](t, err).Params.Variables["headline"].Value())
	})
	t.Run("mentions the webhook that may name the job", func(t *testing.T) {
		p := params()
		p.WebhookURL = "https://shop.test/hook"
		_, err := newClient(t, says(502, "")).Jobs.CreatePreview(t.Context(), p)
		assert.ErrorContains(t, err, "; a webhook event may name the job)")
	})
	t.Run("keeps the body of the response", func(t *testing.T) {
		for _, body := range []string{`[{"id":"` + jobID + `"}]`, `{"data":{"id":"` + jobID + `"}}`, `{xid":"` + jobID + `"}`, `{id:"` + jobID + `"}`, `{:"` + jobID + `"}`} {
			_, err := newClient(t, says(201, body)).Jobs.CreatePreview(t.Context(), params())
			assert.Equal(t, body, string(testkit.As[*creatify.OutcomeUnknownError](t, err).Body))
		}
	})
}

func TestCreatePreviewKeepsTheID(t *testing.T) {
	t.Run("of a response truncated after the ID", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Cut: 120})
		job, err := newClient(t, api).Jobs.CreatePreview(t.Context(), params())
		require.NoError(t, err)
		assert.Equal(t, api.Jobs(), []string{job.ID})
		assert.Equal(t, 1.0, api.Charged())
	})
	for _, tt := range []struct{ name, body, end string }{
		{"string", `{"status": "pending", "id": "` + jobID + `" , "progress": 0.25}`, ""},
		{"number", `{"status": "pending", "id": 1234567 , "progress": 0.25}`, " ,"}, // which tells that no digit is missing
	} {
		t.Run("or reports none, wherever a response is truncated, as a "+tt.name, func(t *testing.T) {
			var want creatify.Job
			require.NoError(t, json.Unmarshal([]byte(tt.body), &want))
			whole := strings.Index(tt.body, " , ")
			for i := range tt.body {
				job, err := newClient(t, says(201, tt.body[:i])).Jobs.CreatePreview(t.Context(), params())
				if err == nil {
					assert.Equal(t, want.ID, job.ID, "cut to %q", tt.body[:i])
				} else {
					assert.Less(t, i, whole+len(tt.end), "the ID is whole in %q", tt.body[:i])
					assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
				}
			}
		})
	}
	deep := strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001)
	for _, tt := range []struct{ name, body string }{
		{"NaN", `{"progress":NaN,"id":"` + jobID + `"}`},
		{"a line break in a string", "{\"name\":\"a\nb\",\"id\":\"" + jobID + `"}`},
		{"deep nesting", `{"variables":` + deep + `,"id":"` + jobID + `"}`},
		{"an ID in a string", `{"name":"\",\"id\":\"evil","id":"` + jobID + `","ID":7}`},
		{"a comma too many", `{"id":"` + jobID + `",}`},
	} {
		t.Run("next to "+tt.name, func(t *testing.T) {
			job, err := newClient(t, says(201, tt.body)).Jobs.CreatePreview(t.Context(), params())
			require.NoError(t, err)
			assert.Equal(t, jobID, job.ID)
		})
	}
	for _, status := range []int{401, 402, 403, 404, 409, 429, 499, 500, 503} {
		t.Run(fmt.Sprintf("of a job in a %d", status), func(t *testing.T) {
			sent := 0
			_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				sent++
				return respond(req, status, `{"id":"`+jobID+`","status":"pending"}`), nil
			})).Jobs.CreatePreview(t.Context(), params())
			unknown := testkit.As[*creatify.OutcomeUnknownError](t, err)
			assert.Equal(t, jobID, unknown.JobID)
			assert.Equal(t, 1, sent)
			assert.Equal(t, []error{creatify.ErrOutcomeUnknown}, testkit.Matched(err), "nobody is to call again because of the status")
			assert.Equal(t, status, testkit.As[*creatify.APIError](t, unknown.Err).StatusCode)
			assert.ErrorContains(t, err, "read job "+jobID)
		})
	}
	t.Run("of a truncated job in a 429", func(t *testing.T) {
		_, err := newClient(t, says(429, `{"id":"`+jobID+`","stat`)).Jobs.CreatePreview(t.Context(), params())
		assert.Equal(t, jobID, testkit.As[*creatify.OutcomeUnknownError](t, err).JobID)
	})
}

func TestCreatePreviewRefused(t *testing.T) {
	for _, status := range []int{400, 402, 409} {
		for _, body := range []string{`{"id":"error-reference-77","detail":"No."}`, `{"id":"error-reference-77","status":400}`} {
			t.Run(fmt.Sprintf("%d with an ID that is no job: %s", status, body), func(t *testing.T) {
				_, err := newClient(t, says(status, body)).Jobs.CreatePreview(t.Context(), params())
				assert.NotErrorIs(t, err, creatify.ErrOutcomeUnknown)
				assert.Equal(t, creatify.ChargedNo, creatify.Charged(err))
			})
		}
	}
	for _, tt := range []struct {
		status  int
		started bool
	}{{200, true}, {299, true}, {300, false}, {399, false}} {
		t.Run(fmt.Sprintf("%d started a job: %v", tt.status, tt.started), func(t *testing.T) {
			job, err := newClient(t, says(tt.status, liveLike)).Jobs.CreatePreview(t.Context(), params())
			assert.Equal(t, tt.started, job != nil)
			assert.Equal(t, !tt.started, errors.Is(err, creatify.ErrOutcomeUnknown))
		})
	}
	for _, status := range []int{408, 444, 460, 499} {
		t.Run(fmt.Sprintf("%d is a proxy's, and the server may be at work", status), func(t *testing.T) {
			_, err := newClient(t, says(status, "")).Jobs.CreatePreview(t.Context(), params())
			assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
		})
	}
}

func TestCreatePreviewRetries(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault creatifytest.Fault
		takes time.Duration
	}{
		{"what never left", creatifytest.Fault{Drop: creatifytest.Refuse, Times: 2}, 0},
		{"a 429 after its Retry-After", creatifytest.Fault{Status: 429, Header: http.Header{"Retry-After": {"30"}}}, 30 * time.Second},
		{"a 429 with an ID that is no job", creatifytest.Fault{Status: 429, Body: `{"id":"error-reference-77","detail":"No."}`}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				api.Inject(tt.fault)
				start := time.Now()
				job, err := client.Jobs.CreatePreview(t.Context(), params())
				require.NoError(t, err)
				assert.Equal(t, []string{job.ID}, api.Jobs())
				assert.Equal(t, 1.0, api.Charged())
				assert.GreaterOrEqual(t, time.Since(start), tt.takes)
			})
		})
	}
	t.Run("gives up as not sent", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			api.Inject(creatifytest.Fault{Drop: creatifytest.Refuse, Times: -1})
			_, err := client.Jobs.CreatePreview(t.Context(), params())
			assert.Empty(t, testkit.Matched(err))
			assert.Equal(t, creatify.ChargedNo, creatify.Charged(err))
			assert.Equal(t, "not_sent", creatify.Reason(err))
			assert.ErrorContains(t, err, "creatify: create preview: not sent: ")
			assert.ErrorContains(t, err, "connection refused (nothing was charged; call it again)")
		})
	})
	t.Run("gives up on a 429 that asks for more than a minute", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		api.Inject(creatifytest.Fault{Status: 429, Header: http.Header{"Retry-After": {"120"}}, Times: -1})
		_, err := newClient(t, api).Jobs.CreatePreview(t.Context(), params())
		assert.Equal(t, []error{creatify.ErrRateLimited}, testkit.Matched(err))
		assert.Equal(t, 2*time.Minute, testkit.As[*creatify.APIError](t, err).RetryAfter)
		assert.ErrorContains(t, err, "429 Too Many Requests (try again in 2m0s)")
		assert.Equal(t, 1, api.Calls(""))
	})
}

func TestRenderOutcomeUnknown(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
	}{
		{"error with an ID that is no job's", 500, `{"id":"error-reference-77","message":"oops"}`},
		{"error with another job", 500, `{"id":"another","status":"pending"}`},
		{"another job", 200, `{"id":"another","status":"pending"}`},
		{"page of a proxy", 504, "<html>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newClient(t, says(tt.status, tt.body)).Jobs.Render(t.Context(), jobID)
			assert.Equal(t, jobID, testkit.As[*creatify.OutcomeUnknownError](t, err).JobID, "it is known which job it is")
			assert.ErrorContains(t, err, "do not send it again; read job "+jobID)
		})
	}
	t.Run("truncated before the ID", func(t *testing.T) {
		_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			resp := respond(req, 200, `{"name":"`)
			resp.Body = io.NopCloser(io.MultiReader(resp.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
			return resp, nil
		})).Jobs.Render(t.Context(), jobID)
		assert.Equal(t, []error{creatify.ErrOutcomeUnknown}, testkit.Matched(err))
		assert.ErrorContains(t, err, io.ErrUnexpectedEOF.Error())
	})
}

func TestAPIError_shapes(t *testing.T) {
	const page = "<html><head><title>502 Bad Gateway</title></head></html>"
	none := map[string][]string{}
	for _, tt := range []struct {
		name    string
		status  int
		body    string
		detail  string
		fields  map[string][]string
		is      error
		message string
	}{
		{"detail", 401, `{"detail": "Authentication credentials were not provided."}`, "Authentication credentials were not provided.", nil,
			creatify.ErrUnauthorized, "401 Unauthorized: Authentication credentials were not provided (check the API ID and key)"},
		{"fields", 400, `{"template_id": ["Must be a valid UUID."], "non_field_errors": ["No."]}`, "",
			map[string][]string{"template_id": {"Must be a valid UUID."}, "non_field_errors": {"No."}}, nil,
			"400 Bad Request: non_field_errors: No.; template_id: Must be a valid UUID"},
		{"field with a string", 400, `{"name": "too long"}`, "", map[string][]string{"name": {"too long"}}, nil, "name: too long"},
		{"field within a field", 400, `{"variables": {"photo": ["bad URL"]}}`, "", map[string][]string{"variables.photo": {"bad URL"}}, nil,
			"variables.photo: bad URL"},
		{"bare array", 400, `["AI model not found"]`, "AI model not found", none, nil, "400 Bad Request: AI model not found"},
		{"bare array of objects", 400, `[{"photo": "bad URL"}]`, "", map[string][]string{"photo": {"bad URL"}}, nil, "400 Bad Request: photo: bad URL"},
		{"fields in a list", 400, `{"scenes": [{"photo": ["bad URL", 7, null]}]}`, "", map[string][]string{"scenes.photo": {"bad URL", "7"}}, nil,
			"scenes.photo: bad URL, 7"},
		{"page of a proxy", 403, page, "", nil, creatify.ErrUnauthorized, "not in the API's format, perhaps from a proxy"},
		{"nothing", 404, "", "", nil, nil, "404 Not Found"},
		{"too few credits by status", 402, `{"detail": "Pay."}`, "Pay.", nil, creatify.ErrInsufficientCredits, "add credits"},
		{"too few credits by the words of a 400", 400, `["Not enough credits"]`, "Not enough credits", none, creatify.ErrInsufficientCredits, "add credits"},
		{"too few credits by the words of a 403", 403, `{"detail": "Insufficient credits."}`, "Insufficient credits.", nil, creatify.ErrInsufficientCredits, "add credits"},
		{"too few credits by the words under non_field_errors", 400, `{"non_field_errors": ["Not enough credits."]}`, "",
			map[string][]string{"non_field_errors": {"Not enough credits."}}, creatify.ErrInsufficientCredits, "add credits"},
		{"words about a variable named credit_card_offer", 400, `{"credit_card_offer": ["This variable is required: not enough credits text."]}`, "",
			map[string][]string{"credit_card_offer": {"This variable is required: not enough credits text."}}, nil, "400 Bad Request"},
		{"variable whose name speaks of credits", 400, `{"detail": "Variable \"credit_card_offer\" is required."}`,
			`Variable "credit_card_offer" is required.`, nil, nil, "400 Bad Request"},
		{"the word credit by itself", 409, `{"detail": "The credit line is in use."}`, "The credit line is in use.", nil, nil, "409 Conflict"},
		{"forbidden", 403, `{"detail": "No."}`, "No.", nil, creatify.ErrUnauthorized, "check the API ID and key"},
		{"unknown job", 404, testkit.NoSuchJob, "No CustomTemplateJob matches the given query.", nil, creatify.ErrNotFound, "404 Not Found"},
		{"404 of a proxy is no unknown job", 404, page, "", nil, nil, "perhaps from a proxy"},
		{"404 with a bare array is none", 404, `["Not found."]`, "Not found.", none, nil, "404 Not Found: Not found"},
		{"404 with JSON of another kind is none", 404, `{"message": "no route"}`, "", map[string][]string{"message": {"no route"}}, nil, "no route"},
		{"detail that is no string", 404, `{"detail": ["No."]}`, "", map[string][]string{"detail": {"No."}}, nil, "404 Not Found: detail: No"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := newClient(t, says(tt.status, tt.body))
			_, err := client.Jobs.CreatePreview(t.Context(), params())
			_, getErr := client.Jobs.Get(t.Context(), jobID)
			for _, err := range []error{err, getErr} {
				refusal := testkit.As[*creatify.APIError](t, err)
				assert.Equal(t, tt.status, refusal.StatusCode)
				assert.Equal(t, tt.detail, refusal.Detail)
				assert.Equal(t, tt.fields, refusal.Fields)
				assert.Equal(t, tt.body, string(refusal.Body))
				assert.ErrorContains(t, err, tt.message)
				if tt.is == nil {
					assert.Empty(t, testkit.Matched(err))
				} else {
					assert.Equal(t, []error{tt.is}, testkit.Matched(err))
				}
			}
			assert.ErrorContains(t, err, "creatify: create preview: ")
			assert.ErrorContains(t, getErr, "creatify: get job "+jobID+": ")
		})
	}
}

func TestAPIError_keeps_no_more_than_a_reader_can_use(t *testing.T) {
	deep := any("No.")
	for range 100 {
		deep = map[string]any{"a": deep}
	}
	for _, tt := range []struct {
		name string
		body any
		most int
	}{
		{"long name", map[string]any{strings.Repeat("x", 201): "No."}, 0},
		{"name of 200 characters", map[string]any{strings.Repeat("x", 200): "No."}, 1},
		{"fields within fields", map[string]any{"a": deep}, 0},
		{"long text", map[string]string{"detail": strings.Repeat("all work\nand no play\x1b[31m ", 1000)}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body, err := json.Marshal(tt.body)
			require.NoError(t, err)
			_, err = newClient(t, says(400, string(body))).Jobs.Get(t.Context(), jobID)
			refusal := testkit.As[*creatify.APIError](t, err)
			assert.Len(t, refusal.Fields, tt.most)
			assert.Len(t, refusal.Body, min(len(body), 4<<10))
			assert.Less(t, len(err.Error()), 1000)
			assert.NotContains(t, err.Error(), "\n")
			assert.NotContains(t, err.Error(), "\x1b")
		})
	}
}

func FuzzAPIError(f *testing.F) {
	for _, seed := range []string{`{"detail":"x"}`, `{"link":["Invalid link ID"]}`, `["AI model not found"]`, `<html>`, ``, `{"a":{"b":[1,null,{}]}}`} {
		f.Add(400, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 300 || status > 999 {
			return
		}
		client := newClient(t, says(status, string(body)), creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1}))
		_, err := client.Jobs.Get(t.Context(), jobID)
		if e, ok := errors.AsType[*creatify.APIError](err); !ok || len(e.Error()) > 1000 || strings.ContainsAny(e.Error(), "\n\x1b") {
			t.Errorf("status %d, body %q: %v", status, body, err)
		}
		if matched := testkit.Matched(err); len(matched) > 1 {
			t.Errorf("status %d, body %q matches %v", status, body, matched)
		}
	})
}
