package creatify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const templateJSON = `{"template_id":"` + creatifytest.TemplateID + `","name":"Demo","preview":" https://a.test/p\n","aspect_ratio":"9x16",
	"created_at":"2024-05-01T03:04:05.123456-07:00","updated_at":"never","variables":{
	"headline":{"type":"text","properties":{"content":"Hi"},"max_length":40},"odd":17},"owner":{"id":3}}`

func TestTemplates_Get_keeps_what_it_does_not_know(t *testing.T) {
	template, err := newClient(t, says(200, templateJSON)).Templates.Get(t.Context(), creatifytest.TemplateID)
	require.NoError(t, err)
	assert.Equal(t, creatifytest.TemplateID, template.ID)
	assert.Equal(t, "Demo", template.Name)
	assert.Equal(t, "https://a.test/p", template.Preview)
	assert.Equal(t, "9x16", template.AspectRatio)
	assert.Equal(t, 2024, template.CreatedAt.Year())
	assert.True(t, template.UpdatedAt.IsZero())
	assert.Equal(t, creatify.TypeText, template.Variables["headline"].Type())
	assert.Contains(t, template.Variables, "odd")
	assert.JSONEq(t, templateJSON, string(template.Raw))
}

func TestTemplates_Get(t *testing.T) {
	tests := []struct {
		name, body string
		ok         bool
	}{
		{"empty object", `{}`, true},
		{"list of variables", `{"variables":[]}`, true},
		{"members of other types", `{"template_id":7,"variables":null,"name":{}}`, true},
		{"value that is not JSON", `{"name":"Demo","x":NaN}`, true},
		{"truncated", `{"name":"Demo","variables":{`, false},
		{"nothing", ``, false},
		{"null", `null`, false},
		{"list", `[]`, false},
		{"page", `<html>`, false},
		{"string", `"x"`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			template, err := newClient(t, says(200, test.body)).Templates.Get(t.Context(), creatifytest.TemplateID)
			if test.ok {
				require.NoError(t, err)
				assert.NotEmpty(t, template.ID)
				return
			}
			assert.ErrorContains(t, err, "creatify: get template: the response is not a JSON object")
		})
	}
}

func TestTemplates_List(t *testing.T) {
	const two = `[` + templateJSON + `, {"template_id":"b"}]`
	tests := []struct {
		name, body string
		want       []string // IDs
		problem    string
	}{
		{"empty list", ` [ ] `, []string{}, ""},
		{"two templates", two, []string{creatifytest.TemplateID, "b"}, ""},
		{"byte order mark", "\ufeff" + two, []string{creatifytest.TemplateID, "b"}, ""},
		{"nothing", ``, nil, "the response is not a list"},
		{"null", `null`, nil, "the response is not a list"},
		{"object", `{"detail":"odd"}`, nil, "the response is not a list"},
		{"truncated list", `[{}`, nil, "the response is not a list"},
		{"text behind the list", `[{}] x`, nil, "the response is not a list"},
		{"comma is missing", `[{"a":1} {"b":2}]`, nil, "the response is not a list"},
		{"number in the list", `[{},1]`, nil, "item 1 of the response is not a JSON object"},
		{"null in the list", `[null]`, nil, "item 0 of the response is not a JSON object"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			templates, err := newClient(t, says(200, test.body)).Templates.List(t.Context())
			if test.problem != "" {
				assert.EqualError(t, err, "creatify: list templates: "+test.problem)
				return
			}
			require.NoError(t, err)
			ids := []string{}
			for _, template := range templates {
				ids = append(ids, template.ID)
			}
			assert.Equal(t, test.want, ids)
		})
	}
}

func TestTemplates_List_is_capped(t *testing.T) {
	list := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("{},", n), ",") + "]" }
	templates, err := newClient(t, says(200, list(10_000))).Templates.List(t.Context())
	require.NoError(t, err)
	assert.Len(t, templates, 10_000)
	for _, n := range []int{10_001, 2_700_000} {
		client := newClient(t, says(200, list(n)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = client.Templates.List(t.Context())
		runtime.ReadMemStats(&after)
		assert.ErrorContains(t, err, "more than 10000 items")
		assert.Less(t, (after.TotalAlloc-before.TotalAlloc)>>20, uint64(64), "MiB for a response of 8 MiB")
	}
}

func TestTemplates_Get_keeps_at_most_10000_variables(t *testing.T) {
	variables := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"%x":1,`, i)
		}
		return `{"variables":{` + strings.TrimSuffix(b.String(), ",") + `}}`
	}
	read := func(n int) *creatify.Template {
		template, err := newClient(t, says(200, variables(n))).Templates.Get(t.Context(), creatifytest.TemplateID)
		require.NoError(t, err)
		return template
	}
	assert.Len(t, read(10_000).Variables, 10_000)
	before := liveHeap()
	huge := read(800_000)
	live := int(liveHeap()) - int(before)
	assert.Nil(t, huge.Variables)
	assert.NoError(t, huge.Validate(demoVariables()), "variables that are not known refuse nothing")
	body := len(huge.Raw)
	assert.Less(t, live, 2*body+4<<20, "bytes live for a response of %d", body)
}

// template returns what the client reads from a response with these variables.
func template(t testing.TB, variables string) *creatify.Template {
	t.Helper()
	body := `{"template_id":"` + creatifytest.TemplateID + `","variables":` + variables + `}`
	got, err := newClient(t, says(200, body)).Templates.Get(t.Context(), creatifytest.TemplateID)
	require.NoError(t, err)
	return got
}

const demo = `{"headline":{"type":"text","properties":{}},"photo":{"type":"image","properties":{"url":""}}}`

const notInDemo = `is not in the template, whose variables are ["headline" "photo"]`

func demoVariables() creatify.Variables {
	return creatify.Variables{"headline": creatify.Text("Hi"), "photo": creatify.Image("https://a.test")}
}

// with returns the demo's variables and one more.
func with(variable string) string { return strings.TrimSuffix(demo, "}") + `,"a":` + variable + `}` }

func TestTemplate_Validate_refuses(t *testing.T) {
	const textMissing = `is missing; the template has it with type "text" and no default`
	set := func(name string, v creatify.Variable) func(creatify.Variables) {
		return func(vs creatify.Variables) { vs[name] = v }
	}
	drop := func(name string) func(creatify.Variables) { return func(vs creatify.Variables) { delete(vs, name) } }
	tests := []struct {
		name, template string
		change         func(creatify.Variables)
		field, message string
	}{
		{"unknown name", demo, set("music", creatify.Text("")), "variables.music", notInDemo},
		{"name in upper case", demo, set("PHOTO", creatify.Text("")), "variables.PHOTO", notInDemo},
		{"name with control characters", demo, set("a\n\x1b[31mb", creatify.Text("")),
			`variables."a\n\x1b[31mb"`, notInDemo},
		{"unknown name beside a malformed definition", `{"headline":{"type":"text"},"photo":7}`, set("music", creatify.Text("")),
			"variables.music", notInDemo},
		{"wrong type", demo, set("photo", creatify.Video("https://a.test")),
			"variables.photo", `is of type "video"; the template has "image"`},
		{"wrong type of a raw variable", demo, set("photo", creatify.RawVariable([]byte(`{"type":"text"}`))),
			"variables.photo", `is of type "text"; the template has "image"`},
		{"missing variable", demo, drop("headline"), "variables.headline", textMissing},
		{"missing variable with an empty default", demo, drop("photo"),
			"variables.photo", `is missing; the template has it with type "image" and no default`},
		{"missing variable that is required", `{"photo":{"type":"image"},"headline":{"type":"text","required":true}}`,
			drop("headline"), "variables.headline", textMissing},
		{"missing variable whose name has control characters",
			`{"headline":{"type":"text"},"photo":{"type":"image"},"a\n\u001bb":{"type":"text"}}`, func(creatify.Variables) {},
			`variables."a\n\x1bb"`, textMissing},
		{"bad value", demo, set("photo", creatify.Image("photo.jpg")), "variables.photo", "must be an absolute http or https URL"},
		{"bad value where the template's variables are unknown", `null`, set("photo", creatify.Image("")),
			"variables.photo", "must be an absolute http or https URL"},
		{"empty name", demo, set("", creatify.Text("")), "variables", "a name is empty"},
		{"zero variable", demo, set("photo", creatify.Variable{}),
			"variables.photo", "has no value; use Text, Image, Video, Audio, Avatar, Voiceover or RawVariable"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			vs := demoVariables()
			test.change(vs)
			want := []creatify.Problem{{Field: test.field, Message: test.message}}
			assert.Equal(t, want, problemsOf(t, template(t, test.template).Validate(vs)))
		})
	}
}

func TestTemplate_Validate_accepts_what_may_be_right(t *testing.T) {
	tests := []struct{ name, variables string }{
		{"variables that fit", demo},
		{"template without variables", `{}`},
		{"null", `null`},
		{"list of variables", `[{"name":"a","type":"text"}]`},
		{"schema of the variables", `{"type":"object","properties":{"a":{"type":"text"}}}`},
		{"page of variables", `{"count":1,"results":[{"name":"a","type":"text"}]}`},
		{"objects that are no variables", `{"text":{"a":{"required":true}},"image":{}}`},
		{"unknown types", `{"headline":{"type":"string"},"photo":{"type":"media"},"a":{"type":"gif"}}`},
		{"types that cannot be read", `{"headline":{"type":"text"},"photo":{"type":7},"a":{"properties":{}},"b":"text","c":null}`},
		{"missing variable with a default", with(`{"type":"text","properties":{"content":"Hi"}}`)},
		{"missing variable whose default is a number", with(`{"type":"text","properties":{"content":17}}`)},
		{"missing variable with another property than its own", with(`{"type":"text","properties":{"content":null,"max_length":40}}`)},
		{"missing variable with an unknown property", with(`{"type":"image","properties":{"src":"https://a.test"}}`)},
		{"missing variable with a default beside its properties", with(`{"type":"image","default":{"url":"https://a.test"},"properties":{"url":""}}`)},
		{"missing variable with a default among its properties", with(`{"type":"image","properties":{"url":"","default":"https://a.test"}}`)},
		{"missing variable that is not required", with(`{"type":"text","required":false}`)},
		{"missing variable that is optional", with(`{"type":"text","properties":{"optional":true}}`)},
		{"missing variable whose properties are a list", with(`{"type":"text","properties":["content"]}`)},
		{"missing voiceover", with(`{"type":"voiceover","properties":{}}`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			assert.NoError(t, template(t, test.variables).Validate(demoVariables()))
		})
	}
}

func TestTemplate_Validate_accepts_raw_variables_of_unknown_types(t *testing.T) {
	for _, raw := range []string{`{"type":"gif"}`, `{"properties":{}}`, `7`} {
		vs := demoVariables()
		vs["photo"] = creatify.RawVariable(json.RawMessage(raw))
		assert.NoError(t, template(t, demo).Validate(vs), raw)
	}
}

func TestTemplate_Validate_reports_all_problems_at_once(t *testing.T) {
	problems := problemsOf(t, template(t, demo).Validate(creatify.Variables{
		"photos": creatify.Image("photo.jpg"), "headline": creatify.Audio("https://a.test")}))
	messages := []string{}
	for _, p := range problems {
		messages = append(messages, p.Field+" "+p.Message)
	}
	assert.Equal(t, []string{
		"variables.photos must be an absolute http or https URL",
		`variables.headline is of type "audio"; the template has "text"`,
		"variables.photos " + notInDemo,
		`variables.photo is missing; the template has it with type "image" and no default`,
	}, messages)
}

func TestTemplate_Validate_names_some_variables_of_the_template(t *testing.T) {
	for _, tt := range []struct {
		name string
		of   string // the beginning of each name
		want string
	}{
		{"few", "photo", `["photo0" "photo1" "photo10" "photo100" "photo101" "photo102" "photo103" "photo104" "photo105" "photo106"]`},
		{"long", strings.Repeat("a", 1<<20), `"` + strings.Repeat("a", 100) + `"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			many := creatify.Variables{}
			for i := range 1000 {
				many[fmt.Sprint(tt.of, i)] = creatify.Voiceover("")
			}
			err := (&creatify.Template{Variables: many}).Validate(creatify.Variables{"foto": creatify.Text("")})
			assert.ErrorContains(t, err, tt.want)
			assert.Less(t, len(err.Error()), 1500)
		})
	}
}

func TestTemplate_Validate_of_a_template_made_by_hand(t *testing.T) {
	assert.NoError(t, new(creatify.Template).Validate(demoVariables()))
	byHand := &creatify.Template{Variables: creatify.Variables{
		"headline": creatify.Text(""), "photo": creatify.Image(""), "music": creatify.Audio("https://default.test")}}
	assert.NoError(t, byHand.Validate(demoVariables()))
	assert.Len(t, problemsOf(t, byHand.Validate(creatify.Variables{"photo": creatify.Text("x")})), 2)
	broken := &creatify.Template{Variables: creatify.Variables{"a": creatify.RawVariable([]byte(`{"type":"text","properties":`))}}
	assert.NoError(t, broken.Validate(creatify.Variables{"a": creatify.Text("x")}))
	assert.NoError(t, broken.Validate(nil), "what cannot be read is not missing")
}

func TestTemplate_Validate_of_nil_variables(t *testing.T) {
	assert.NoError(t, template(t, `{}`).Validate(nil))
	assert.Len(t, problemsOf(t, template(t, demo).Validate(nil)), 2)
}

func TestTemplate_Validate_of_the_template_of_the_fake(t *testing.T) {
	client := newClient(t, creatifytest.New(creatifytest.Config{}))
	fake, err := client.Templates.Get(t.Context(), creatifytest.TemplateID)
	require.NoError(t, err)
	assert.NoError(t, fake.Validate(demoVariables()))
	assert.ErrorContains(t, fake.Validate(creatify.Variables{"headline": creatify.Text("")}), "variables.photo: is missing")
}

// templateServer answers creates with a job, and reads of any template with variables that a test may change.
type templateServer struct {
	mu        sync.Mutex
	variables string                                      // of each template
	answer    func(*http.Request) (*http.Response, error) // instead, if set
	reads     int
	creates   int
}

func (s *templateServer) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.Method == http.MethodPost {
		s.creates++
		return respond(req, 201, `{"id":"`+jobID+`","status":"pending"}`), nil
	}
	s.reads++
	if s.answer != nil {
		s.mu.Unlock()
		defer s.mu.Lock()
		return s.answer(req)
	}
	id := path.Base(req.URL.Path)
	return respond(req, 200, `{"template_id":"`+id+`","variables":`+s.variables+`}`), nil
}

func demoParams() creatify.JobParams {
	return creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: demoVariables()}
}

func misspelled() creatify.JobParams {
	p := demoParams()
	p.Variables["headlin"] = p.Variables["headline"]
	delete(p.Variables, "headline")
	return p
}

func TestWithTemplateCheck_refuses_a_misspelled_variable_free_of_charge(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	client := newClient(t, api, creatify.WithTemplateCheck(time.Hour))
	tests := []struct {
		name string
		call func(creatify.JobParams) (*creatify.Job, error)
	}{
		{"CreatePreview", func(p creatify.JobParams) (*creatify.Job, error) { return client.Jobs.CreatePreview(t.Context(), p) }},
		{"CreatePreviewSync", func(p creatify.JobParams) (*creatify.Job, error) {
			return client.Jobs.CreatePreviewSync(t.Context(), p)
		}},
		{"CreateVideo", func(p creatify.JobParams) (*creatify.Job, error) { return client.Jobs.CreateVideo(t.Context(), p) }},
		{"CreatePreviewAndWait", func(p creatify.JobParams) (*creatify.Job, error) {
			return client.Jobs.CreatePreviewAndWait(t.Context(), p)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.call(misspelled())
			assert.Equal(t, []creatify.Problem{
				{Field: "variables.headlin", Message: notInDemo},
				{Field: "variables.headline", Message: `is missing; the template has it with type "text" and no default`},
			}, problemsOf(t, err))
			assert.Equal(t, creatify.ChargedNo, creatify.Charged(err))
		})
	}
	assert.Zero(t, api.Charged())
	_, err := client.Jobs.CreatePreview(t.Context(), demoParams())
	assert.NoError(t, err)
}

func TestWithTemplateCheck_reads_a_template_once_per_maxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &templateServer{variables: demo}
		client := newClient(t, server, creatify.WithTemplateCheck(time.Hour))
		create := func(client *creatify.Client, id string) {
			t.Helper()
			p := demoParams()
			p.TemplateID = id
			_, err := client.Jobs.CreatePreview(t.Context(), p)
			assert.NoError(t, err)
		}
		for range 5 {
			create(client, creatifytest.TemplateID)
			create(client, strings.ToUpper(creatifytest.TemplateID))
		}
		assert.Equal(t, 1, server.reads)
		create(client, jobID)
		assert.Equal(t, 2, server.reads, "another template is read by itself")
		shared, err := client.With(creatify.WithTimeout(time.Second))
		require.NoError(t, err)
		create(shared, creatifytest.TemplateID)
		assert.Equal(t, 2, server.reads, "a copy of the client shares what was read")
		time.Sleep(time.Hour - time.Nanosecond)
		create(client, creatifytest.TemplateID)
		assert.Equal(t, 2, server.reads)
		time.Sleep(time.Nanosecond)
		create(client, creatifytest.TemplateID)
		assert.Equal(t, 3, server.reads)
	})
}

func TestWithTemplateCheck_reads_once_more_before_it_refuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &templateServer{variables: demo}
		client := newClient(t, server, creatify.WithTemplateCheck(time.Hour))
		_, err := client.Jobs.CreatePreview(t.Context(), demoParams())
		require.NoError(t, err)
		server.variables = with(`{"type":"text"}`)
		p := demoParams()
		p.Variables["a"] = creatify.Text("new")
		_, err = client.Jobs.CreatePreview(t.Context(), p)
		assert.NoError(t, err, "the template has gained the variable since it was read")
		assert.Equal(t, 2, server.reads)
		_, err = client.Jobs.CreatePreview(t.Context(), misspelled())
		assert.ErrorIs(t, err, creatify.ErrInvalidParams)
		assert.Equal(t, 3, server.reads)
		p.TemplateID = jobID
		delete(p.Variables, "a")
		_, err = client.Jobs.CreatePreview(t.Context(), p)
		assert.ErrorIs(t, err, creatify.ErrInvalidParams)
		assert.Equal(t, 4, server.reads, "a template that was read for this create is not read again")
		assert.Equal(t, 2, server.creates)
	})
}

func TestWithTemplateCheck_allows_creates_while_the_template_cannot_be_read(t *testing.T) {
	says := func(status int, body string) func(*http.Request) (*http.Response, error) {
		return func(req *http.Request) (*http.Response, error) { return respond(req, status, body), nil }
	}
	tests := []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		reason string
		took   time.Duration // at most
	}{
		{"unknown", says(404, `{"detail":"No CustomTemplate matches the given query."}`), "not_found", 0},
		{"forbidden", says(403, `{"detail":"No."}`), "unauthorized", 0},
		{"page of a proxy", says(200, `<html>`), "unavailable", 0},
		{"another template", says(200, `{"template_id":"`+jobID+`","variables":{"x":{"type":"text"}}}`), "other", 0},
		{"outage", says(503, ``), "unavailable", 10 * time.Second},
		{"nothing", func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}, "deadline_exceeded", 10 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				server := &templateServer{answer: test.answer}
				client := newClient(t, server, creatify.WithTemplateCheck(time.Hour),
					creatify.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
				start := time.Now()
				for range 3 {
					_, err := client.Jobs.CreatePreview(t.Context(), misspelled())
					assert.NoError(t, err)
				}
				assert.LessOrEqual(t, time.Since(start), test.took)
				var line map[string]string
				require.NoError(t, json.Unmarshal(log.Bytes(), &line), "one warning: %s", log.String())
				delete(line, "time")
				assert.Equal(t, map[string]string{"level": "WARN", "msg": "creatify: template not checked", "call": "get_template",
					"template_id": creatifytest.TemplateID, "reason": test.reason}, line)
				server.answer, server.variables = nil, demo
				time.Sleep(time.Minute)
				_, err := client.Jobs.CreatePreview(t.Context(), misspelled())
				assert.ErrorIs(t, err, creatify.ErrInvalidParams, "it is tried again after a minute")
			})
		})
	}
}

func TestWithTemplateCheck_shares_one_read_among_concurrent_creates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &templateServer{}
		server.answer = func(req *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return respond(req, 200, `{"variables":`+demo+`}`), nil
		}
		client := newClient(t, server, creatify.WithTemplateCheck(time.Hour))
		var group sync.WaitGroup
		for i := range 100 {
			group.Go(func() {
				if i%2 == 0 {
					_, err := client.Jobs.CreatePreview(t.Context(), demoParams())
					assert.NoError(t, err)
					return
				}
				_, err := client.Jobs.CreatePreview(t.Context(), misspelled())
				assert.ErrorIs(t, err, creatify.ErrInvalidParams)
			})
		}
		group.Wait()
		assert.LessOrEqual(t, server.reads, 2, "one for all, and one before the refusals")
		assert.Equal(t, 50, server.creates)
	})
}

func TestWithTemplateCheck_reads_for_the_next_create_when_one_ends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		server := &templateServer{}
		server.answer = func(req *http.Request) (*http.Response, error) {
			select {
			case <-time.After(5 * time.Second):
				return respond(req, 200, `{"variables":`+demo+`}`), nil
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
		}
		client := newClient(t, server, creatify.WithTemplateCheck(time.Hour), creatify.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		first, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var group sync.WaitGroup
		group.Go(func() {
			_, err := client.Jobs.CreatePreview(first, demoParams())
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, creatify.ChargedNo, creatify.Charged(err))
		})
		synctest.Wait()
		second, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		for _, ctx := range []context.Context{second, t.Context(), t.Context()} {
			group.Go(func() {
				_, err := client.Jobs.CreatePreview(ctx, misspelled())
				if ctx == second {
					assert.ErrorIs(t, err, context.DeadlineExceeded)
				} else {
					assert.ErrorIs(t, err, creatify.ErrInvalidParams)
				}
			})
		}
		group.Wait()
		assert.Zero(t, server.creates)
		assert.Empty(t, log.String(), "an ended create is no reason to warn")
	})
}

func TestWithTemplateCheck_keeps_1000_templates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &templateServer{variables: demo}
		client := newClient(t, server, creatify.WithTemplateCheck(time.Hour))
		ids := testkit.IDs(1001)
		create := func(id string) {
			p := demoParams()
			p.TemplateID = id
			_, err := client.Jobs.CreatePreview(t.Context(), p)
			require.NoError(t, err)
			time.Sleep(time.Millisecond)
		}
		for _, id := range ids[:1000] {
			create(id)
		}
		create(ids[0])
		assert.Equal(t, 1000, server.reads)
		create(ids[1000])
		assert.Equal(t, 1001, server.reads)
		create(ids[1000])
		assert.Equal(t, 1001, server.reads)
		create(ids[0])
		assert.Equal(t, 1002, server.reads, "the 1001st has replaced the others")
	})
}

func TestWithTemplateCheck_refuses_an_age_that_is_not_above_zero(t *testing.T) {
	for _, age := range []time.Duration{0, -time.Second} {
		_, err := creatify.New("id", "key", creatify.WithTemplateCheck(age))
		assert.Equal(t, []creatify.Problem{{Field: "WithTemplateCheck", Message: "must be above zero, not " + age.String()}}, problemsOf(t, err))
	}
}

// FuzzTemplate reads any template, fills it as it asks, and then wrongly.
func FuzzTemplate(f *testing.F) {
	for _, variables := range []string{demo, with(`{"type":"text","properties":["content"]}`), `{"a":{"type":7}}`, `{"":{"type":"text"}}`,
		`{"a\u0000":{"type":"image","properties":{"url":{}}}}`, `{"type":"object","properties":{"a":{"type":"text"}}}`, `[]`, `null`,
		`{"a":{"type":"text"},"a":{"type":"image"}}`, `{"photo url":{"type":"image"},"photo-url":{"type":"image"}}`,
		`{"a":{"type":"voiceover","properties":null,"required":false}}`, `{"a":{"type":"text","x":[[[[[[1]]]]]]}}`} {
		f.Add(variables, "headline")
	}
	f.Fuzz(func(t *testing.T, variables, name string) {
		body := `{"template_id":"` + creatifytest.TemplateID + `","variables":` + variables + `}`
		template, err := newClient(t, says(200, body)).Templates.Get(t.Context(), creatifytest.TemplateID)
		if err != nil {
			return
		}
		wrong := creatify.Variables{name: creatify.Image("relative"), "\x1b" + name: creatify.Variable{}}
		if err := template.Validate(wrong); err == nil || strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("%q: the error is %q", variables, err)
		}
		fits := make(creatify.Variables)
		for name, definition := range template.Variables {
			fits[name] = fill(definition.Type())
		}
		if problems := (creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: fits}).Validate(); problems != nil {
			return // by names that no job can have
		}
		if err := template.Validate(fits); err != nil {
			t.Errorf("%q: the variables that it asks for are refused: %v", variables, err)
		}
	})
}

// fill returns a variable of a type.
func fill(kind creatify.VariableType) creatify.Variable {
	switch kind {
	case creatify.TypeText:
		return creatify.Text("x")
	case creatify.TypeImage:
		return creatify.Image("https://a.test")
	case creatify.TypeVideo:
		return creatify.Video("https://a.test")
	case creatify.TypeAudio:
		return creatify.Audio("https://a.test")
	case creatify.TypeAvatar:
		return creatify.Avatar("x")
	case creatify.TypeVoiceover:
		return creatify.Voiceover("x")
	}
	return creatify.RawVariable([]byte(`{"type":"new"}`))
}
