package creatify_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestJobParams_zero_values_are_not_sent(t *testing.T) {
	got, err := json.Marshal(params())
	require.NoError(t, err)
	assert.JSONEq(t, `{"template_id":"`+creatifytest.TemplateID+`",
		"variables":{"headline":{"type":"text","properties":{"content":"Spring sale"}}}}`, string(got))
	full := params()
	full.Name, full.WebhookURL, full.ModelVersion, full.IsHidden = "n", "https://a.test/hook", creatify.ModelAuroraV1, true
	got, err = json.Marshal(full)
	require.NoError(t, err)
	assert.JSONEq(t, `{"template_id":"`+creatifytest.TemplateID+`","name":"n","webhook_url":"https://a.test/hook",
		"variables":{"headline":{"type":"text","properties":{"content":"Spring sale"}}},"model_version":"aurora_v1","is_hidden":true}`, string(got))
}

func TestJobParams_Validate(t *testing.T) {
	tests := []struct {
		name           string
		change         func(*creatify.JobParams)
		field, message string // "" if the parameters are accepted
	}{
		{"good parameters", func(*creatify.JobParams) {}, "", ""},
		{"template ID that is no UUID", func(p *creatify.JobParams) { p.TemplateID = "7" }, "template_id", "must be a UUID"},
		{"nil variables", func(p *creatify.JobParams) { p.Variables = nil }, "variables", "is nil"},
		{"name of 255 characters", func(p *creatify.JobParams) { p.Name = strings.Repeat("é", 255) }, "", ""},
		{"name of 256 characters", func(p *creatify.JobParams) { p.Name = strings.Repeat("é", 256) }, "name", "has 256 characters, more than 255"},
		{"name with NUL", func(p *creatify.JobParams) { p.Name = "a\x00" }, "name", "contains NUL"},
		{"name that is not UTF-8", func(p *creatify.JobParams) { p.Name = "\xff" }, "name", "is not valid UTF-8"},
		{"unknown model", func(p *creatify.JobParams) { p.ModelVersion = "aurora_v9" }, "", ""},
		{"model with NUL", func(p *creatify.JobParams) { p.ModelVersion = "standard\x00" }, "model_version", "contains NUL"},
		{"public webhook", func(p *creatify.JobParams) { p.WebhookURL = "https://shop.test:8443/hook?ref=7" }, "", ""},
		{"webhook on this machine", func(p *creatify.JobParams) { p.WebhookURL = "http://localhost:8080/hook" }, "webhook_url", "must have a public host"},
		{"webhook with NUL", func(p *creatify.JobParams) { p.WebhookURL = "https://shop.test/\x00" }, "webhook_url", "contains NUL"},
		{"webhook without a scheme", func(p *creatify.JobParams) { p.WebhookURL = "shop.test/hook" }, "webhook_url", "must be an absolute http or https URL"},
		{"webhook of 201 characters", func(p *creatify.JobParams) { p.WebhookURL = "https://a.test/" + strings.Repeat("x", 186) },
			"webhook_url", "has 201 characters, more than 200"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := params()
			test.change(&p)
			err := p.Validate()
			if test.field == "" {
				assert.NoError(t, err)
				return
			}
			problems := problemsOf(t, err)
			require.Len(t, problems, 1)
			assert.Equal(t, test.field, problems[0].Field)
			assert.Contains(t, problems[0].Message, test.message)
		})
	}
}

func TestJobParams_Validate_reports_all_problems_and_no_value(t *testing.T) {
	p := creatify.JobParams{TemplateID: "secret-1", Variables: creatify.Variables{"b": creatify.Image("secret-2"), "a": creatify.Video("secret-3")},
		Name: strings.Repeat("secret-4", 50), WebhookURL: "secret-5"}
	err := p.Validate()
	var fields []string
	for _, problem := range problemsOf(t, err) {
		fields = append(fields, problem.Field)
	}
	assert.Equal(t, []string{"template_id", "variables.a", "variables.b", "name", "webhook_url"}, fields)
	assert.NotContains(t, err.Error(), "secret")
}

// hosts are judged alike for media and webhooks.
var hosts = []struct {
	name, url string
	public    bool
}{
	{"name", "https://cdn.example.com/a.png?b=c#d", true},
	{"name with a port", "http://cdn.example.com:8080/a.png", true},
	{"name with a dot at its end", "https://cdn.example.com./a.png", true},
	{"name for tests", "https://files.test/a.png", true},
	{"name in upper case", "HTTPS://CDN.EXAMPLE.COM/a.png", true},
	{"name in Punycode", "https://xn--bcher-kva.example/a.png", true},
	{"name with an underscore", "https://my_bucket.example.com/a.png", true},
	{"public address", "http://93.184.215.14/a.png", true},
	{"public IPv6 address", "http://[2606:4700::1111]/a.png", true},
	{"localhost", "http://localhost/a.png", false},
	{"localhost in upper case, with a dot", "http://LOCALHOST./a.png", false},
	{"name below localhost", "http://app.localhost/a.png", false},
	{"name without a dot", "http://printer/a.png", false},
	{"name whose only dot is at its end", "http://printer./a.png", false},
	{"two dots at the end", "http://printer../a.png", false},
	{"empty label", "http://cdn..example.com/a.png", false},
	{"label of 64 characters", "http://" + strings.Repeat("a", 64) + ".example.com/a.png", false},
	{"name below local", "http://printer.local/a.png", false},
	{"name below internal", "http://metadata.google.internal/a.png", false},
	{"name below home.arpa", "http://nas.home.arpa/a.png", false},
	{"name that ends in -local.example", "http://my-local.example/local", true},
	{"loopback", "http://127.0.0.1/a.png", false},
	{"other loopback", "http://127.9.9.9:8080/a.png", false},
	{"loopback with a dot at its end", "http://127.0.0.1./a.png", false},
	{"private 10", "http://10.1.2.3/a.png", false},
	{"private 172", "http://172.16.0.1/a.png", false},
	{"private 192", "http://192.168.0.1/a.png", false},
	{"carrier's network", "http://100.64.0.1/a.png", false},
	{"link-local: cloud metadata", "http://169.254.169.254/latest/meta-data", false},
	{"unspecified", "http://0.0.0.0/a.png", false},
	{"multicast", "http://224.0.0.1/a.png", false},
	{"broadcast", "http://255.255.255.255/a.png", false},
	{"IPv6 loopback", "http://[::1]/a.png", false},
	{"IPv6 unspecified", "http://[::]/a.png", false},
	{"IPv6 link-local", "http://[fe80::1]/a.png", false},
	{"IPv6 with a zone", "http://[fe80::1%25eth0]/a.png", false},
	{"public IPv6 with a zone", "http://[2606:4700::1111%25eth0]/a.png", false},
	{"IPv6 private", "http://[fd00::1]/a.png", false},
	{"IPv4 in IPv6", "http://[::ffff:127.0.0.1]/a.png", false},
	{"IPv4 in IPv6, in hexadecimal", "http://[::ffff:7f00:1]/a.png", false},
	{"IPv4 in NAT64", "http://[64:ff9b::7f00:1]/a.png", false},
	{"IPv4 in 6to4", "http://[2002:7f00:1::]/a.png", false},
	{"address as one number", "http://2130706433/a.png", false},
	{"address in hexadecimal", "http://0x7f000001/a.png", false},
	{"address in octal", "http://0177.0.0.1/a.png", false},
	{"address with a hexadecimal part", "http://127.0.0.0x1/a.png", false},
	{"short address", "http://127.1/a.png", false},
	{"short address with a dot at its end", "http://127.1./a.png", false},
	{"address in wide digits", "http://１２７.０.０.１/a.png", false},
	{"address with ideographic dots", "http://127。0。0。1/a.png", false},
	{"name in another script", "https://bücher.example/a.png", false},
}

func TestJobParams_Validate_keeps_100_problems(t *testing.T) {
	p := params()
	p.Variables = creatify.Variables{}
	for i := range 1000 {
		p.Variables[fmt.Sprintf("v%03d", i)] = creatify.Avatar("")
	}
	problems := problemsOf(t, p.Validate())
	require.Len(t, problems, 101)
	assert.Equal(t, "variables.v099", problems[99].Field)
	assert.Equal(t, creatify.Problem{Field: "parameters", Message: "have 900 more problems"}, problems[100])
}

func TestJobParams_Validate_hosts(t *testing.T) {
	loopback := newClient(t, creatifytest.New(creatifytest.Config{}), creatify.WithBaseURL("http://127.0.0.1:1"))
	for _, test := range hosts {
		t.Run(test.name, func(t *testing.T) {
			p := params()
			p.Variables["photo"], p.WebhookURL = creatify.Image(test.url), test.url
			_, err := loopback.Jobs.CreatePreview(t.Context(), p)
			assert.NoError(t, err, "a fake on this machine may reach any host")
			if err := p.Validate(); test.public {
				assert.NoError(t, err)
			} else {
				const message = "must have a public host (in ASCII) that Creatify's servers can reach"
				assert.Equal(t, []creatify.Problem{{Field: "variables.photo", Message: message}, {Field: "webhook_url", Message: message}}, problemsOf(t, err))
			}
		})
	}
}

// Whatever the API's address, these are refused.
func TestJobParams_Validate_URLs(t *testing.T) {
	const relative = "must be an absolute http or https URL"
	tests := []struct{ name, url, want string }{
		{"relative", "/a.png", relative},
		{"without a scheme", "cdn.example.com/a.png", relative},
		{"without a host", "https:///a.png", relative},
		{"port without a host", "https://:443/a.png", relative},
		{"script", "javascript:alert(1)", relative},
		{"data", "data:image/png;base64,AAAA", relative},
		{"file", "file:///a.png", relative},
		{"invalid escape", "https://cdn.example.com/100%.png", relative},
		{"line feed", "https://cdn.example.com/a.png\n", relative},
		{"escaped dots in an address", "http://127%2e0%2e0%2e1/a.png", relative},
		{"backslash", `https://cdn.example.com\@127.0.0.1/a.png`, relative},
		{"space before", " https://cdn.example.com/a.png", relative},
		{"space behind", "https://cdn.example.com/a.png ", relative},
		{"user name", "https://user@cdn.example.com/a.png", "must not contain a user name or password"},
		{"password", "https://user:pass@cdn.example.com/a.png", "must not contain a user name or password"},
		{"empty user name", "https://@cdn.example.com/a.png", "must not contain a user name or password"},
	}
	api := creatifytest.New(creatifytest.Config{})
	loopback := newClient(t, api, creatify.WithBaseURL("http://127.0.0.1:1"))
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := params()
			p.Variables["photo"], p.WebhookURL = creatify.Image(test.url), test.url
			want := []creatify.Problem{{Field: "variables.photo", Message: test.want}, {Field: "webhook_url", Message: test.want}}
			assert.Equal(t, want, problemsOf(t, p.Validate()))
			_, err := loopback.Jobs.CreatePreview(t.Context(), p)
			assert.Equal(t, want, problemsOf(t, err))
		})
	}
	assert.Zero(t, api.Calls(""))
}

func TestCreates_check_their_parameters(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	client := newClient(t, api)
	var p creatify.JobParams
	require.NoError(t, json.Unmarshal([]byte(`{"template_id":"`+creatifytest.TemplateID+`","variables":{
		"photo":{"type":"image","properties":{"url":"http://192.168.0.1/a.png"}},"host":{"type":"avatar","properties":{"avatar_id":""}}}}`), &p))
	tests := []struct {
		name string
		call func() (*creatify.Job, error)
	}{
		{"CreatePreview", func() (*creatify.Job, error) { return client.Jobs.CreatePreview(t.Context(), p) }},
		{"CreatePreviewSync", func() (*creatify.Job, error) { return client.Jobs.CreatePreviewSync(t.Context(), p) }},
		{"CreateVideo", func() (*creatify.Job, error) { return client.Jobs.CreateVideo(t.Context(), p) }},
		{"CreatePreviewAndWait", func() (*creatify.Job, error) { return client.Jobs.CreatePreviewAndWait(t.Context(), p) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.call()
			assert.Len(t, problemsOf(t, err), 2)
		})
	}
	assert.Zero(t, api.Calls(""), "nothing may be sent")
}

func TestJob_RawJSON(t *testing.T) {
	job, err := newClient(t, says(200, liveLike)).Jobs.Get(t.Context(), jobID)
	require.NoError(t, err)
	assert.Equal(t, creatify.StatusDone, job.Status)
	assert.True(t, job.CreatedAt.Equal(time.Date(2024, 5, 1, 10, 4, 5, 123456000, time.UTC)))
	assert.Equal(t, creatify.TypeText, job.Variables["headline"].Type())
	assert.Equal(t, "Spring sale", job.Variables["headline"].Value())
	assert.Equal(t, creatify.TypeVoiceover, job.Variables["vo"].Type())
	assert.JSONEq(t, liveLike, string(job.RawJSON()), "what this version does not know is kept")
}

func TestJob_UnmarshalJSON_reads_each_field(t *testing.T) {
	var job creatify.Job
	err := json.Unmarshal([]byte(`{"id":"`+jobID+`","status":"failed","progress":0.5,"preview":"https://a.test/p",
		"video_output":"https://a.test/v","editor_url":"https://a.test/e","failed_reason":"why","credits_used":2.5,"duration":1,
		"created_at":"2024-05-01T03:04:05Z","updated_at":"2024-05-01T03:04:06Z","name":"n","webhook_url":"https://a.test/w",
		"model_version":"aurora_v1","is_hidden":true,"media_job":"m","variables":{"a":1}}`), &job)
	require.NoError(t, err)
	at := time.Date(2024, 5, 1, 3, 4, 5, 0, time.UTC)
	want := creatify.Job{ID: jobID, Status: creatify.StatusFailed, Progress: 0.5, Preview: "https://a.test/p", VideoOutput: "https://a.test/v",
		EditorURL: "https://a.test/e", FailedReason: "why", CreditsUsed: 2.5, Duration: time.Second, CreatedAt: at, UpdatedAt: at.Add(time.Second),
		Name: "n", WebhookURL: "https://a.test/w", ModelVersion: creatify.ModelAuroraV1, IsHidden: true, MediaJob: "m",
		Variables: creatify.Variables{"a": creatify.RawVariable([]byte("1"))}}
	for i, field := range reflect.VisibleFields(reflect.TypeFor[creatify.Job]()) {
		if field.IsExported() {
			assert.Equal(t, reflect.ValueOf(want).Field(i).Interface(), reflect.ValueOf(job).Field(i).Interface(), field.Name)
			assert.NotZero(t, reflect.ValueOf(want).Field(i).Interface(), "%s is to be tested", field.Name)
		}
	}
}

func TestJob_is_read_whatever_else_is_wrong(t *testing.T) {
	const id = `"id":"` + jobID + `"`
	tests := []struct {
		name, body string
		check      func(*testing.T, *creatify.Job)
	}{
		{"two members of a name", `{` + id + `,"preview":"https://x.test","preview":null}`,
			func(t *testing.T, job *creatify.Job) { assert.Empty(t, job.Preview, "the last one counts") }},
		{"names in other cases and with a long s", `{` + id + `,"status":"running","Status":"failed","STATUS":"done","\u017ftatus":"failed"}`,
			func(t *testing.T, job *creatify.Job) { assert.Equal(t, creatify.StatusRunning, job.Status) }},
		{"URL with white space around it", `{` + id + `,"video_output":"\nhttps://x.test/v.mp4 "}`,
			func(t *testing.T, job *creatify.Job) { assert.Equal(t, "https://x.test/v.mp4", job.VideoOutput) }},
		{"nothing else", `{` + id + `}`, nil},
		{"everything null", `{` + id + `,"status":null,"progress":null,"preview":null,"video_output":null,"editor_url":null,
			"failed_reason":null,"credits_used":null,"duration":null,"created_at":null,"updated_at":null,"name":null,
			"webhook_url":null,"model_version":null,"is_hidden":null,"media_job":null,"variables":null}`,
			func(t *testing.T, job *creatify.Job) {
				assert.True(t, job.CreatedAt.IsZero())
				assert.Nil(t, job.Variables)
			}},
		{"numbers as strings", `{` + id + `,"progress":"0.4","credits_used":"2.5","duration":"12"}`,
			func(t *testing.T, job *creatify.Job) {
				assert.Equal(t, 0.4, job.Progress)
				assert.Equal(t, 2.5, job.CreditsUsed)
				assert.Equal(t, 12*time.Second, job.Duration)
			}},
		{"strings that are not numbers", `{` + id + `,"progress":"NaN","credits_used":"Infinity","duration":""}`,
			func(t *testing.T, job *creatify.Job) {
				assert.Zero(t, job.Progress)
				assert.Zero(t, job.CreditsUsed)
				assert.Zero(t, job.Duration)
			}},
		{"numbers out of range", `{` + id + `,"progress":45,"duration":1e300,"credits_used":-1}`,
			func(t *testing.T, job *creatify.Job) {
				assert.Equal(t, 1.0, job.Progress)
				assert.Zero(t, job.Duration)
			}},
		{"a negative duration", `{` + id + `,"duration":-5}`,
			func(t *testing.T, job *creatify.Job) { assert.Zero(t, job.Duration) }},
		{"an empty reason", `{` + id + `,"failed_reason":""}`,
			func(t *testing.T, job *creatify.Job) { assert.Empty(t, job.FailedReason) }},
		{"text that is not UTF-8", `{` + id + `,"name":"a` + "\xff" + `"}`,
			func(t *testing.T, job *creatify.Job) { assert.Equal(t, "a\ufffd", job.Name) }},
		{"an escape at the beginning", `{` + id + `,"name":"\u0061bc"}`,
			func(t *testing.T, job *creatify.Job) { assert.Equal(t, "abc", job.Name) }},
		{"a negative progress", `{` + id + `,"progress":-3}`,
			func(t *testing.T, job *creatify.Job) { assert.Zero(t, job.Progress) }},
		{"malformed dates", `{` + id + `,"created_at":"yesterday","updated_at":17}`,
			func(t *testing.T, job *creatify.Job) { assert.True(t, job.CreatedAt.IsZero()) }},
		{"values of other types", `{` + id + `,"status":7,"preview":{"url":"x"},"name":[1],"is_hidden":"true","variables":[1],
			"media_job":true}`,
			func(t *testing.T, job *creatify.Job) {
				assert.Equal(t, creatify.Status("7"), job.Status)
				assert.Empty(t, job.Preview)
				assert.True(t, job.IsHidden)
			}},
		{"a reason that is an object", `{` + id + `,"failed_reason":{"code":3}}`,
			func(t *testing.T, job *creatify.Job) { assert.Equal(t, `{"code":3}`, job.FailedReason) }},
		{"an unknown status", `{` + id + `,"status":"paused"}`,
			func(t *testing.T, job *creatify.Job) {
				assert.Equal(t, creatify.Status("paused"), job.Status)
				assert.False(t, job.Status.Terminal())
			}},
		{"variables of unknown shapes", `{` + id + `,"variables":{"a":1,"b":null,"c":{"type":"hologram"},"d":{"type":5}}}`,
			func(t *testing.T, job *creatify.Job) {
				assert.Len(t, job.Variables, 4)
				assert.Equal(t, creatify.VariableType("hologram"), job.Variables["c"].Type())
			}},
		{"escapes", `{` + id + `,"name":"caf\u00e9 \"x\""}`,
			func(t *testing.T, job *creatify.Job) { assert.Equal(t, `café "x"`, job.Name) }},
		{"truncated after the ID", `{` + id + `,"status":"pending","variables":{"headline":{"ty`,
			func(t *testing.T, job *creatify.Job) { assert.Equal(t, creatify.StatusPending, job.Status) }},
		{"malformed after the ID", `{` + id + `,"progress":NaN,"status":"running"}`, nil},
		{"text after the object", `{` + id + `} trailing`, nil},
		{"a byte order mark", "\ufeff{" + id + `}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := newClient(t, says(200, tt.body))
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

func TestJob_ID_may_be_a_number(t *testing.T) {
	job, err := newClient(t, says(201, `{"id": 4711}`)).Jobs.CreatePreview(t.Context(), params())
	require.NoError(t, err)
	assert.Equal(t, "4711", job.ID)
}

func TestJob_MarshalJSON(t *testing.T) {
	for _, tt := range []struct{ name, body string }{
		{"as responses are", liveLike},
		{"date with an offset of a day", `{"id":"7","created_at":"2024-01-01T00:00:00+24:00"}`},
		{"date with a negative offset", `{"id":"7","created_at":"2024-01-01T00:00:00-23:59"}`},
		{"date with a leap second", `{"id":"7","created_at":"9999-12-31T23:59:60Z"}`},
		{"the zero Job", `null`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var job, again creatify.Job
			require.NoError(t, json.Unmarshal([]byte(tt.body), &job))
			stored, err := json.Marshal(job)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(stored, &again))
			assert.True(t, job.CreatedAt.Equal(again.CreatedAt))
			restored, err := json.Marshal(again)
			require.NoError(t, err)
			assert.JSONEq(t, string(stored), string(restored))
		})
	}
	t.Run("an object without an ID is no job", func(t *testing.T) {
		assert.Error(t, json.Unmarshal([]byte(`{"status":"done"}`), new(creatify.Job)))
	})
	t.Run("null in a record is the zero Job", func(t *testing.T) {
		record := struct{ Job creatify.Job }{creatify.Job{ID: "7"}}
		require.NoError(t, json.Unmarshal([]byte(`{"Job":null}`), &record))
		assert.Zero(t, record.Job)
	})
}

func TestJob_LogValue(t *testing.T) {
	job, err := newClient(t, says(200, liveLike)).Jobs.Get(t.Context(), jobID)
	require.NoError(t, err)
	p := params()
	p.Name, p.WebhookURL, p.ModelVersion = "order of Ms Example", "https://shop.test/hook?secret=s3cr3t", creatify.ModelAuroraV1
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"job", job, "logged.id=" + jobID + " logged.status=done logged.progress=1\n"},
		{"job by value", *job, "logged.id=" + jobID + " logged.status=done logged.progress=1\n"},
		{"zero job", creatify.Job{}, "logged.id=\"\" logged.status=\"\" logged.progress=0\n"},
		{"pending job", creatify.PendingJob{ID: "7", Kind: creatify.KindVideo, Key: "order 7", Trace: "00-0af"}, "logged.id=7 logged.kind=video logged.key=\"order 7\"\n"},
		{"parameters", p, "logged.template_id=" + creatifytest.TemplateID + " logged.model_version=aurora_v1 logged.variables=1 logged.named=true\n"},
		{"pointer to parameters", &p, "logged.template_id=" + creatifytest.TemplateID + " logged.model_version=aurora_v1 logged.variables=1 logged.named=true\n"},
		{"no parameters", creatify.JobParams{}, "logged.template_id=\"\" logged.model_version=\"\" logged.variables=0 logged.named=false\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log strings.Builder
			slog.New(slog.NewTextHandler(&log, nil)).Info("", "logged", tt.value)
			assert.True(t, strings.HasSuffix(log.String(), tt.want), "%s", &log)
			log.Reset()
			slog.New(slog.NewJSONHandler(&log, nil)).Info("", "logged", tt.value)
			assert.NotContains(t, log.String(), "s3cr3t")
			assert.NotContains(t, log.String(), "variables\":{")
		})
	}
	t.Run("a nil pointer does not end the program", func(t *testing.T) {
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("created", "job", (*creatify.Job)(nil), "after", 1)
		assert.Contains(t, log.String(), `msg=created job="LogValue panicked`)
		assert.Contains(t, log.String(), " after=1")
	})
}

func TestJob_Outcome(t *testing.T) {
	for _, tt := range []struct {
		name string
		job  creatify.Job
		kind creatify.JobKind
		over bool
		is   error
	}{
		{"running", creatify.Job{Status: creatify.StatusRunning}, creatify.KindPreview, false, nil},
		{"running with a preview", creatify.Job{Status: creatify.StatusRunning, Preview: "https://a.test"}, creatify.KindPreview, false, nil},
		{"done with a preview", creatify.Job{Status: creatify.StatusDone, Preview: "https://a.test"}, creatify.KindPreview, true, nil},
		{"done without it", creatify.Job{Status: creatify.StatusDone}, creatify.KindPreview, false, nil},
		{"done with what is no URL", creatify.Job{Status: creatify.StatusDone, Preview: "javascript:alert(1)"}, creatify.KindPreview, false, nil},
		{"done with a preview, for the video", creatify.Job{Status: creatify.StatusDone, Preview: "https://a.test"}, creatify.KindVideo, false, nil},
		{"done with a video", creatify.Job{Status: creatify.StatusDone, VideoOutput: "https://a.test"}, creatify.KindVideo, true, nil},
		{"failed", creatify.Job{Status: creatify.StatusFailed, Preview: "https://a.test"}, creatify.KindPreview, true, creatify.ErrJobFailed},
		{"rejected", creatify.Job{Status: creatify.StatusRejected}, creatify.KindVideo, true, creatify.ErrJobRejected},
		{"unknown status", creatify.Job{Status: "paused"}, creatify.KindPreview, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			over, err := tt.job.Outcome(tt.kind)
			assert.Equal(t, tt.over, over)
			assert.ErrorIs(t, err, tt.is)
		})
	}
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

// FuzzJobParams decodes any parameters. What Validate accepts can be sent, and holds nothing that the checks
// are about.
func FuzzJobParams(f *testing.F) {
	for _, variable := range []string{`{"type":"image","properties":{"url":"javascript:alert(1)"}}`, `{"type":"avatar","properties":{"avatar_id":""}}`,
		`{"type":"text","properties":{"content":"a\u0000"}}`, `{"type":"image","properties":{"url":"https://a.test","url":"http://127.1"}}`,
		`{"type":"image","properties":{"x":1}}`, `{"type":"text","properties":{"content":"\ud83d"}}`, `null`, `7`, `{"type":"gif"}`,
		`{"type":"video","properties":{"url":"https://a.test/v.mp4"}}`, `{"type":"voiceover"}`, `{"\u0074ype":"image","properties":{}}`,
		`{"type":"audio","Type":"text","properties":{"url":"http://[::1]/"}}`} {
		f.Add(`{"template_id":"` + creatifytest.TemplateID + `","variables":{"v":` + variable + `},"webhook_url":"https://shop.test/"}`)
	}
	for _, host := range hosts {
		f.Add(`{"template_id":"` + creatifytest.TemplateID + `","variables":{"v":{"type":"image","properties":{"url":"` + host.url + `"}}}}`)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var p creatify.JobParams
		if json.Unmarshal([]byte(body), &p) != nil {
			return
		}
		if err := p.Validate(); err != nil {
			if strings.ContainsFunc(err.Error(), unicode.IsControl) {
				t.Errorf("the error is %q", err)
			}
			return
		}
		sent, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var decoded map[string]any // with names as they are spelled, and the last of two
		require.NoError(t, json.Unmarshal(sent, &decoded))
		if strings.ContainsRune(fmt.Sprint(decoded), 0) {
			t.Errorf("%q is sent, with NUL", sent)
		}
		variables, _ := decoded["variables"].(map[string]any)
		for name, v := range variables {
			v, _ := v.(map[string]any)
			properties, _ := v["properties"].(map[string]any)
			kind, _ := v["type"].(string)
			link, isLink := properties["url"].(string)
			if u, err := url.Parse(link); isLink && slices.Contains([]string{"image", "video", "audio"}, kind) &&
				(err != nil || u.Scheme != "http" && u.Scheme != "https" || !strings.ContainsAny(u.Hostname(), ".:")) {
				t.Errorf("variable %q is sent with the URL %q", name, link)
			}
			if id, ok := properties["avatar_id"].(string); ok && kind == "avatar" && id == "" {
				t.Errorf("variable %q is sent without an avatar", name)
			}
		}
	})
}
