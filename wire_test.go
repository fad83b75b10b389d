package creatify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAJobIsReadInFull(t *testing.T) {
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder("GET", jobURL, httpmock.NewStringResponder(200, liveLike))
	job, err := newClient(t, mock).Jobs.Get(t.Context(), jobID)
	require.NoError(t, err)

	assert.Equal(t, jobID, job.ID)
	assert.Equal(t, creatify.StatusDone, job.Status)
	assert.Equal(t, 1.0, job.Progress)
	assert.Equal(t, "https://app.creatify.ai/preview?layout=1", job.Preview)
	assert.Empty(t, job.VideoOutput+job.EditorURL+job.FailedReason+job.WebhookURL+job.MediaJob)
	assert.Equal(t, 1.0, job.CreditsUsed)
	assert.Equal(t, 5*time.Second, job.Duration)
	assert.True(t, job.CreatedAt.Equal(time.Date(2024, 5, 1, 10, 4, 5, 123456000, time.UTC)))
	assert.Equal(t, "spring", job.Name)
	assert.Equal(t, creatify.ModelStandard, job.ModelVersion)
	assert.True(t, job.IsHidden)
	assert.Equal(t, creatify.TypeText, job.Variables["headline"].Type())
	assert.Equal(t, "Spring sale", job.Variables["headline"].Value())
	assert.Equal(t, creatify.TypeVoiceover, job.Variables["vo"].Type())
	assert.JSONEq(t, liveLike, string(job.RawJSON()), "what this version does not know is kept")
}

func TestEachFieldOfAJobIsRead(t *testing.T) {
	job, err := newClient(t, says(200, `{"id":"`+jobID+`","status":"failed","progress":0.5,"preview":"https://a.test/p",
		"video_output":"https://a.test/v","editor_url":"https://a.test/e","failed_reason":"why","credits_used":2.5,"duration":1,
		"created_at":"2024-05-01T03:04:05Z","updated_at":"2024-05-01T03:04:06Z","name":"n","webhook_url":"https://a.test/w",
		"model_version":"aurora_v1","is_hidden":true,"media_job":"m","variables":{"a":1}}`)).Jobs.Get(t.Context(), jobID)
	require.NoError(t, err)
	at := time.Date(2024, 5, 1, 3, 4, 5, 0, time.UTC)
	want := creatify.Job{ID: jobID, Status: creatify.StatusFailed, Progress: 0.5, Preview: "https://a.test/p", VideoOutput: "https://a.test/v",
		EditorURL: "https://a.test/e", FailedReason: "why", CreditsUsed: 2.5, Duration: time.Second, CreatedAt: at, UpdatedAt: at.Add(time.Second),
		Name: "n", WebhookURL: "https://a.test/w", ModelVersion: creatify.ModelAuroraV1, IsHidden: true, MediaJob: "m",
		Variables: creatify.Variables{"a": creatify.RawVariable([]byte("1"))}}
	for i, field := range reflect.VisibleFields(reflect.TypeFor[creatify.Job]()) {
		if field.IsExported() {
			assert.Equal(t, reflect.ValueOf(want).Field(i).Interface(), reflect.ValueOf(*job).Field(i).Interface(), field.Name)
			assert.NotZero(t, reflect.ValueOf(want).Field(i).Interface(), "%s is to be tested", field.Name)
		}
	}
}

func TestAReplyWithAJobIDIsNeverAnError(t *testing.T) {
	const id = `"id":"` + jobID + `"`
	tests := []struct {
		name, body string
		check      func(*testing.T, *creatify.Job)
	}{
		{"with nothing else", `{` + id + `}`, nil},
		{"with everything null", `{` + id + `,"status":null,"progress":null,"preview":null,"video_output":null,"editor_url":null,
			"failed_reason":null,"credits_used":null,"duration":null,"created_at":null,"updated_at":null,"name":null,
			"webhook_url":null,"model_version":null,"is_hidden":null,"media_job":null,"variables":null}`,
			func(t *testing.T, job *creatify.Job) {
				assert.True(t, job.CreatedAt.IsZero())
				assert.Nil(t, job.Variables)
			}},
		{"with numbers as strings", `{` + id + `,"progress":"0.4","credits_used":"2.5","duration":"12"}`,
			func(t *testing.T, job *creatify.Job) {
				assert.Equal(t, 0.4, job.Progress)
				assert.Equal(t, 2.5, job.CreditsUsed)
				assert.Equal(t, 12*time.Second, job.Duration)
			}},
		{"with strings that are no numbers", `{` + id + `,"progress":"NaN","credits_used":"Infinity","duration":""}`,
			func(t *testing.T, job *creatify.Job) {
				assert.Zero(t, job.Progress)
				assert.Zero(t, job.CreditsUsed)
				assert.Zero(t, job.Duration)
			}},
		{"with numbers out of range", `{` + id + `,"progress":45,"duration":1e300,"credits_used":-1}`,
			func(t *testing.T, job *creatify.Job) {
				assert.Equal(t, 1.0, job.Progress)
				assert.Zero(t, job.Duration)
			}},
		{"with a negative duration", `{` + id + `,"duration":-5}`,
			func(t *testing.T, job *creatify.Job) { assert.Zero(t, job.Duration) }},
		{"with an empty reason", `{` + id + `,"failed_reason":""}`,
			func(t *testing.T, job *creatify.Job) { assert.Empty(t, job.FailedReason) }},
		{"with text that is not UTF-8", `{` + id + `,"name":"a` + "\xff" + `"}`,
			func(t *testing.T, job *creatify.Job) { assert.Equal(t, "a\ufffd", job.Name) }},
		{"with an escape at the beginning", `{` + id + `,"name":"\u0061bc"}`,
			func(t *testing.T, job *creatify.Job) { assert.Equal(t, "abc", job.Name) }},
		{"with a negative progress", `{` + id + `,"progress":-3}`,
			func(t *testing.T, job *creatify.Job) { assert.Zero(t, job.Progress) }},
		{"with odd dates", `{` + id + `,"created_at":"yesterday","updated_at":17}`,
			func(t *testing.T, job *creatify.Job) { assert.True(t, job.CreatedAt.IsZero()) }},
		{"with values of other types", `{` + id + `,"status":7,"preview":{"url":"x"},"name":[1],"is_hidden":"true","variables":[1],
			"media_job":true}`,
			func(t *testing.T, job *creatify.Job) {
				assert.Equal(t, creatify.Status("7"), job.Status)
				assert.Empty(t, job.Preview)
				assert.True(t, job.IsHidden)
			}},
		{"with a reason that is no string", `{` + id + `,"failed_reason":{"code":3}}`,
			func(t *testing.T, job *creatify.Job) { assert.Equal(t, `{"code":3}`, job.FailedReason) }},
		{"with an unknown status", `{` + id + `,"status":"paused"}`,
			func(t *testing.T, job *creatify.Job) {
				assert.Equal(t, creatify.Status("paused"), job.Status)
				assert.False(t, job.Status.Terminal())
			}},
		{"with variables of unknown shapes", `{` + id + `,"variables":{"a":1,"b":null,"c":{"type":"hologram"},"d":{"type":5}}}`,
			func(t *testing.T, job *creatify.Job) {
				assert.Len(t, job.Variables, 4)
				assert.Equal(t, creatify.VariableType("hologram"), job.Variables["c"].Type())
			}},
		{"with escapes", `{` + id + `,"name":"caf\u00e9 \"x\""}`,
			func(t *testing.T, job *creatify.Job) { assert.Equal(t, `café "x"`, job.Name) }},
		{"that breaks off", `{` + id + `,"status":"pending","variables":{"headline":{"ty`,
			func(t *testing.T, job *creatify.Job) { assert.Equal(t, creatify.StatusPending, job.Status) }},
		{"that is broken further on", `{` + id + `,"progress":NaN,"status":"running"}`, nil},
		{"with something behind it", `{` + id + `} trailing`, nil},
		{"with a byte order mark", "\ufeff{" + id + `}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mock := httpmock.NewMockTransport()
			mock.RegisterResponder("GET", jobURL, httpmock.NewStringResponder(200, tt.body))
			mock.RegisterResponder("POST", createURL, httpmock.NewStringResponder(201, tt.body))
			client := newClient(t, mock)
			created, err := client.Jobs.CreatePreview(t.Context(), params())
			require.NoError(t, err)
			read, err := client.Jobs.Get(t.Context(), jobID)
			require.NoError(t, err)
			for _, job := range []*creatify.Job{created, read} {
				assert.Equal(t, jobID, job.ID)
				if tt.check != nil {
					tt.check(t, job)
				}
			}
		})
	}
}

func TestAnIDMayBeANumber(t *testing.T) {
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder("POST", createURL, httpmock.NewStringResponder(201, `{"id": 4711}`))
	job, err := newClient(t, mock).Jobs.CreatePreview(t.Context(), params())
	require.NoError(t, err)
	assert.Equal(t, "4711", job.ID)
}

func TestACreateWhoseReplyBreaksOffBehindTheIDIsAJob(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Cut: 120})
	job, err := newClient(t, api).Jobs.CreatePreview(t.Context(), params())
	require.NoError(t, err)
	assert.Equal(t, api.Jobs(), []string{job.ID})
	assert.Equal(t, 1.0, api.Charged())
}

func TestGetRefusesAReplyThatIsNotAboutTheJob(t *testing.T) {
	for name, body := range map[string]string{
		"another job": `{"id":"someone-elses"}`,
		"no ID":       `{"status":"done"}`,
		"no object":   `[]`,
		"null":        `null`,
		"nothing":     ``,
		"a page":      `<html>Sign in to the hotel's network</html>`,
	} {
		t.Run(name, func(t *testing.T) {
			mock := httpmock.NewMockTransport()
			mock.RegisterResponder("GET", jobURL, httpmock.NewStringResponder(200, body))
			job, err := newClient(t, mock).Jobs.Get(t.Context(), jobID)
			assert.Nil(t, job)
			assert.ErrorContains(t, err, jobID, "the message names the job")
		})
	}
}

func TestGetTakesTheIDInAnotherSpelling(t *testing.T) {
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmock.NewStringResponder(200, liveLike))
	_, err := newClient(t, mock).Jobs.Get(t.Context(), strings.ToUpper(strings.ReplaceAll(jobID, "-", "")))
	assert.NoError(t, err)
}

func TestRefusalsInEveryShape(t *testing.T) {
	const page = "<html><head><title>502 Bad Gateway</title></head></html>"
	tests := []struct {
		name    string
		status  int
		body    string
		detail  string
		fields  map[string][]string
		is      error
		message string
	}{
		{"a detail", 401, `{"detail": "Authentication credentials were not provided."}`, "Authentication credentials were not provided.", nil,
			creatify.ErrUnauthorized, "401 Unauthorized: Authentication credentials were not provided (check the API ID and key)"},
		{"fields", 400, `{"template_id": ["Must be a valid UUID."], "non_field_errors": ["No."]}`, "",
			map[string][]string{"template_id": {"Must be a valid UUID."}, "non_field_errors": {"No."}}, nil,
			"400 Bad Request: non_field_errors: No.; template_id: Must be a valid UUID"},
		{"a field with a string", 400, `{"name": "too long"}`, "", map[string][]string{"name": {"too long"}}, nil, "name: too long"},
		{"a field within a field", 400, `{"variables": {"photo": ["bad URL"]}}`, "", map[string][]string{"variables.photo": {"bad URL"}}, nil,
			"variables.photo: bad URL"},
		{"a bare array", 400, `["AI model not found"]`, "AI model not found", nil, nil, "400 Bad Request: AI model not found"},
		{"a page of a proxy", 403, page, "", nil, creatify.ErrUnauthorized, "not in the API's format, perhaps from a proxy"},
		{"nothing at all", 404, "", "", nil, nil, "404 Not Found"},
		{"too few credits by status", 402, `{"detail": "Pay."}`, "Pay.", nil, creatify.ErrInsufficientCredits, "add credits"},
		{"too few credits by the words of a 400", 400, `["Not enough credits"]`, "Not enough credits", nil, creatify.ErrInsufficientCredits, "add credits"},
		{"too few credits by the words of a 403", 403, `{"detail": "Insufficient credits."}`, "Insufficient credits.", nil, creatify.ErrInsufficientCredits, "add credits"},
		{"forbidden", 403, `{"detail": "No."}`, "No.", nil, creatify.ErrUnauthorized, "check the API ID and key"},
		{"an unknown job", 404, `{"detail": "No CustomTemplateJob matches the given query."}`, "No CustomTemplateJob matches the given query.", nil,
			creatify.ErrNotFound, "404 Not Found"},
		{"a 404 of a proxy is not an unknown job", 404, page, "", nil, nil, "perhaps from a proxy"},
		{"a bare array with a 404 is not either", 404, `["Not found."]`, "Not found.", nil, nil, "404 Not Found: Not found"},
		{"a detail that is no string", 404, `{"detail": ["No."]}`, "", map[string][]string{"detail": {"No."}}, nil, "404 Not Found: detail: No"},
		{"too few credits by the words about a field", 400, `{"non_field_errors": ["Not enough credits."]}`, "",
			map[string][]string{"non_field_errors": {"Not enough credits."}}, creatify.ErrInsufficientCredits, "add credits"},
		{"the word credit by itself", 409, `{"detail": "The credit line is in use."}`, "The credit line is in use.", nil, nil, "409 Conflict"},
		{"a 404 with JSON of another kind is not either", 404, `{"message": "no route"}`, "", map[string][]string{"message": {"no route"}}, nil, "no route"},
	}
	sentinels := []error{creatify.ErrUnauthorized, creatify.ErrNotFound, creatify.ErrRateLimited, creatify.ErrInsufficientCredits,
		creatify.ErrOutcomeUnknown, creatify.ErrInvalidParams}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mock := httpmock.NewMockTransport()
			mock.RegisterNoResponder(httpmock.NewStringResponder(tt.status, tt.body))
			client := newClient(t, mock)
			_, err := client.Jobs.CreatePreview(t.Context(), params())
			_, getErr := client.Jobs.Get(t.Context(), jobID)
			for _, err := range []error{err, getErr} {
				refusal, ok := errors.AsType[*creatify.APIError](err)
				require.True(t, ok, "an *APIError, not %v", err)
				assert.Equal(t, tt.status, refusal.StatusCode)
				assert.Equal(t, tt.detail, refusal.Detail)
				assert.Equal(t, tt.fields, refusal.Fields)
				assert.Equal(t, tt.body, string(refusal.Body))
				assert.ErrorContains(t, err, tt.message)
				for _, sentinel := range sentinels {
					assert.Equal(t, errors.Is(tt.is, sentinel), errors.Is(err, sentinel), "is %v", sentinel)
				}
			}
			assert.ErrorContains(t, getErr, jobID, "the message names the job")
		})
	}
}

func TestARefusalSaysWhatToDoNext(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		wait   time.Duration
		want   string
	}{
		{"a throttled call", 429, 2 * time.Minute, "429 Too Many Requests (try again in 2m0s)"},
		{"one that is not told for how long", 429, 0, "429 Too Many Requests (try again later)"},
		{"one that is told nonsense", 429, math.MaxInt64, "429 Too Many Requests (try again later)"},
		{"a server in trouble", 503, 5 * time.Second, "503 Service Unavailable (try again later)"},
		{"a server's error", 500, 0, "500 Internal Server Error (try again later)"},
		{"any other", 400, 0, "400 Bad Request"},
	} {
		err := &creatify.APIError{StatusCode: tt.status, Call: "get_job", Method: "GET", Path: "/x/", RetryAfter: tt.wait}
		assert.Equal(t, "creatify: get job: "+tt.want, err.Error(), tt.name)
	}
}

func TestARefusalKeepsNoMoreThanAReaderCanUse(t *testing.T) {
	fields := make(map[string]any)
	for i := range 1000 {
		fields[fmt.Sprint(i)] = "No."
	}
	deep := any("No.")
	for range 100 {
		deep = map[string]any{"a": deep}
	}
	for name, tt := range map[string]struct {
		body any
		most int
	}{
		"many fields":      {fields, 100},
		"a long name":      {map[string]any{strings.Repeat("x", 201): "No."}, 0},
		"a name not long":  {map[string]any{strings.Repeat("x", 200): "No."}, 1},
		"fields in fields": {map[string]any{"a": deep}, 1},
	} {
		body, err := json.Marshal(tt.body)
		require.NoError(t, err)
		_, err = newClient(t, says(400, string(body))).Jobs.Get(t.Context(), jobID)
		refusal, ok := errors.AsType[*creatify.APIError](err)
		require.True(t, ok)
		assert.Len(t, refusal.Fields, tt.most, name)
		for field := range refusal.Fields {
			assert.LessOrEqual(t, strings.Count(field, ".a"), 8, name)
		}
	}
}

func TestABodyIsCappedAndAMessageIsOneLine(t *testing.T) {
	mock := httpmock.NewMockTransport()
	long, err := json.Marshal(map[string]string{"detail": strings.Repeat("all work\nand no play\x1b[31m ", 1000)})
	require.NoError(t, err)
	mock.RegisterNoResponder(httpmock.NewBytesResponder(400, long))
	_, err = newClient(t, mock).Jobs.Get(t.Context(), jobID)
	refusal, ok := errors.AsType[*creatify.APIError](err)
	require.True(t, ok)
	assert.Len(t, refusal.Body, 4<<10)
	assert.Less(t, len(err.Error()), 600)
	assert.NotContains(t, err.Error(), "\n")
	assert.NotContains(t, err.Error(), "\x1b")
}

func TestAnEchoedKeyIsTakenOut(t *testing.T) {
	var escaped strings.Builder
	for _, c := range creatifytest.APIKey {
		escaped.WriteString(`\u00` + strings.ToLower(hex(byte(c))))
	}
	for name, body := range map[string]string{
		"as it is":    `{"detail": "bad key ` + creatifytest.APIKey + `", "` + creatifytest.APIKey + `": ["` + creatifytest.APIKey + `"]}`,
		"in escapes":  `{"detail": "bad key ` + escaped.String() + `", "` + escaped.String() + `": ["` + escaped.String() + `"]}`,
		"in an array": `["` + escaped.String() + `"]`,
	} {
		t.Run(name, func(t *testing.T) {
			mock := httpmock.NewMockTransport()
			mock.RegisterNoResponder(httpmock.NewStringResponder(400, body))
			_, err := newClient(t, mock).Jobs.Get(t.Context(), jobID)
			refusal, ok := errors.AsType[*creatify.APIError](err)
			require.True(t, ok)
			refusal.Body = nil // compared apart: escapes stay as they came
			dump, _ := json.Marshal(refusal)
			assert.NotContains(t, err.Error()+string(dump), creatifytest.APIKey)
		})
	}
}

func hex(b byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[b>>4], digits[b&15]})
}

func TestAJobCanBeStoredAndReadAgain(t *testing.T) {
	var job, again creatify.Job
	require.NoError(t, json.Unmarshal([]byte(liveLike), &job))
	stored, err := json.Marshal(job)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(stored, &again))
	assert.Equal(t, job.CreatedAt.UnixNano(), again.CreatedAt.UnixNano())
	again.CreatedAt, again.UpdatedAt = job.CreatedAt, job.UpdatedAt
	restored, err := json.Marshal(again)
	require.NoError(t, err)
	assert.JSONEq(t, string(stored), string(restored))
	assert.Error(t, json.Unmarshal([]byte(`{"status":"done"}`), &job), "without an ID it is no job")
}

func FuzzJob(f *testing.F) {
	f.Add([]byte(liveLike))
	for _, seed := range []string{`{"id":"7"}`, `{"id":7,"progress":"0.5"}`, `{"id":"7","variables":{"a":{"ty`, `{"ID":"7"}`, `[]`, `null`,
		`{"id":"7","duration":1e400}`, `{"id":"7","failed_reason":["a"]}`, "\ufeff{\"id\":\"7\"}", `{"id":"7","id":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var job creatify.Job
		err := job.UnmarshalJSON(body)
		if err != nil {
			return
		}
		if job.ID == "" && strings.TrimSpace(string(body)) != "null" || job.Progress < 0 || job.Progress > 1 || job.Duration < 0 {
			t.Errorf("read %q as %+v", body, job)
		}
		if _, err := json.Marshal(job); err != nil {
			t.Errorf("what was read from %q cannot be written: %v", body, err)
		}
	})
}

func FuzzRefusal(f *testing.F) {
	for _, seed := range []string{`{"detail":"x"}`, `{"link":["Invalid link ID"]}`, `["AI model not found"]`, `<html>`, ``, `{"a":{"b":[1,null,{}]}}`} {
		f.Add(400, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 300 || status > 999 {
			return
		}
		mock := httpmock.NewMockTransport()
		mock.RegisterNoResponder(httpmock.NewBytesResponder(status, body))
		_, err := newClient(t, mock, creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1})).Jobs.Get(t.Context(), jobID)
		if e, ok := errors.AsType[*creatify.APIError](err); !ok || len(e.Error()) > 1000 || strings.ContainsAny(e.Error(), "\n\x1b") {
			t.Errorf("status %d, body %q: %v", status, body, err)
		}
	})
}
