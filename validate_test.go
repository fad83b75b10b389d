package creatify_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// template is as the client reads it from a reply with these variables.
func template(t testing.TB, variables string) *creatify.Template {
	t.Helper()
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmock.NewStringResponder(200, `{"template_id":"`+creatifytest.TemplateID+`","variables":`+variables+`}`))
	got, err := newClient(t, mock).Templates.Get(t.Context(), creatifytest.TemplateID)
	require.NoError(t, err)
	return got
}

const demo = `{"headline":{"type":"text","properties":{}},"photo":{"type":"image","properties":{"url":""}}}`

func demoVariables() creatify.Variables {
	return creatify.Variables{"headline": creatify.Text("Hi"), "photo": creatify.Image("https://a")}
}

func TestValidateRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		template string
		change   func(creatify.Variables)
		problem  creatify.Problem
	}{
		"an unknown name": {demo, func(vs creatify.Variables) { vs["music"] = creatify.Text("") },
			creatify.Problem{Field: "variables.music", Message: "is not in the template"}},
		"a slip in a name, with the right one": {demo, func(vs creatify.Variables) { vs["headlnie"] = creatify.Text("") },
			creatify.Problem{Field: "variables.headlnie", Message: `is not in the template; did you mean "headline"?`}},
		"a name in other letters, with the right one": {demo, func(vs creatify.Variables) { vs["PHOTO"] = creatify.Text("") },
			creatify.Problem{Field: "variables.PHOTO", Message: `is not in the template; did you mean "photo"?`}},
		"a name cut short, with the whole one": {demo, func(vs creatify.Variables) { vs["pho"] = creatify.Text("") },
			creatify.Problem{Field: "variables.pho", Message: `is not in the template; did you mean "photo"?`}},
		"a name that shares little with any": {`{"ab":{"type":"voiceover"},"headline":{"type":"text"},"photo":{"type":"image"}}`,
			func(vs creatify.Variables) { vs["cd"] = creatify.Text("") },
			creatify.Problem{Field: "variables.cd", Message: "is not in the template"}},
		"a name among variables some of which are odd": {`{"headline":{"type":"text"},"photo":7}`,
			func(vs creatify.Variables) { vs["music"] = creatify.Text("") },
			creatify.Problem{Field: "variables.music", Message: "is not in the template"}},
		"a wrong type": {demo, func(vs creatify.Variables) { vs["photo"] = creatify.Video("https://a") },
			creatify.Problem{Field: "variables.photo", Message: `is of type "video"; the template has "image"`}},
		"a wrong type of a raw variable": {demo, func(vs creatify.Variables) { vs["photo"] = creatify.RawVariable([]byte(`{"type":"text"}`)) },
			creatify.Problem{Field: "variables.photo", Message: `is of type "text"; the template has "image"`}},
		"a missing variable": {demo, func(vs creatify.Variables) { delete(vs, "headline") },
			creatify.Problem{Field: "variables.headline", Message: `is missing; the template has it with type "text" and no default`}},
		"a missing variable whose default is empty": {demo, func(vs creatify.Variables) { delete(vs, "photo") },
			creatify.Problem{Field: "variables.photo", Message: `is missing; the template has it with type "image" and no default`}},
		"a missing variable whose other properties are no default": {
			`{"headline":{"type":"text","properties":{"content":null,"max_length":40}},"photo":{"type":"image"}}`,
			func(vs creatify.Variables) { delete(vs, "headline") },
			creatify.Problem{Field: "variables.headline", Message: `is missing; the template has it with type "text" and no default`}},
		"a missing variable that is said to be required": {`{"photo":{"type":"image"},"headline":{"type":"text","required":true}}`,
			func(vs creatify.Variables) { delete(vs, "headline") },
			creatify.Problem{Field: "variables.headline", Message: `is missing; the template has it with type "text" and no default`}},
		"a missing variable, without the control characters in its name": {
			`{"headline":{"type":"text"},"photo":{"type":"image"},"a\n\u001bb":{"type":"text"}}`, func(creatify.Variables) {},
			creatify.Problem{Field: "variables.a b", Message: `is missing; the template has it with type "text" and no default`}},
		"a bad value": {demo, func(vs creatify.Variables) { vs["photo"] = creatify.Image("photo.jpg") },
			creatify.Problem{Field: "variables.photo", Message: "must be an absolute http or https URL"}},
		"a bad value where the template's variables are not known": {`null`, func(vs creatify.Variables) { vs["photo"] = creatify.Image("") },
			creatify.Problem{Field: "variables.photo", Message: "must be an absolute http or https URL"}},
		"an empty name, once": {demo, func(vs creatify.Variables) { vs[""] = creatify.Text("") },
			creatify.Problem{Field: "variables", Message: "one has no name"}},
		"a variable without a value, once": {demo, func(vs creatify.Variables) { vs["photo"] = creatify.Variable{} },
			creatify.Problem{Field: "variables.photo", Message: "has no value; use Text, Image, Video, Audio, Avatar, Voiceover or RawVariable"}},
	} {
		t.Run(name, func(t *testing.T) {
			vs := demoVariables()
			c.change(vs)
			assert.Equal(t, []creatify.Problem{c.problem}, problemsOf(t, template(t, c.template).Validate(vs)))
		})
	}
}

func TestValidateDoesNotRefuseWhatMayBeRight(t *testing.T) {
	for name, variables := range map[string]string{
		"variables that fit":                           demo,
		"variables of a template that has none":        `{}`,
		"a reply with null for variables":              `null`,
		"a reply with a list of variables":             `[{"name":"a","type":"text"}]`,
		"a reply with a schema of the variables":       `{"type":"object","properties":{"a":{"type":"text"}}}`,
		"a reply with a page of variables":             `{"count":1,"results":[{"name":"a","type":"text"}]}`,
		"a reply with other objects than variables":    `{"text":{"a":{"required":true}},"image":{}}`,
		"types that are not known":                     `{"headline":{"type":"string"},"photo":{"type":"media"},"a":{"type":"gif"}}`,
		"types that cannot be read":                    `{"headline":{"type":"text"},"photo":{"type":7},"a":{"properties":{}},"b":"text","c":null}`,
		"a missing variable with a default":            with(`{"type":"text","properties":{"content":"Hi"}}`),
		"a missing variable with an odd default":       with(`{"type":"text","properties":{"content":17}}`),
		"a missing variable with a property not known": with(`{"type":"image","properties":{"src":"https://a"}}`),
		"a missing variable with a default beside":     with(`{"type":"image","default":{"url":"https://a"},"properties":{"url":""}}`),
		"a missing variable with a default within":     with(`{"type":"image","properties":{"url":"","default":"https://a"}}`),
		"a missing variable that is not required":      with(`{"type":"text","required":false}`),
		"a missing variable that is optional":          with(`{"type":"text","properties":{"optional":true}}`),
		"a missing variable with odd properties":       with(`{"type":"text","properties":["content"]}`),
		"a missing voiceover":                          with(`{"type":"voiceover","properties":{}}`),
	} {
		t.Run(name, func(t *testing.T) {
			assert.NoError(t, template(t, variables).Validate(demoVariables()))
		})
	}
}

// with is the demo's variables and one more.
func with(variable string) string { return strings.TrimSuffix(demo, "}") + `,"a":` + variable + `}` }

func TestValidateDoesNotRefuseARawVariableOfATypeThatIsNotKnown(t *testing.T) {
	for _, raw := range []string{`{"type":"gif"}`, `{"properties":{}}`, `7`, `null`} {
		vs := demoVariables()
		vs["photo"] = creatify.RawVariable(json.RawMessage(raw))
		assert.NoError(t, template(t, demo).Validate(vs), raw)
	}
}

func TestValidateTellsAllProblemsAtOnce(t *testing.T) {
	problems := problemsOf(t, template(t, demo).Validate(creatify.Variables{
		"photos": creatify.Image("photo.jpg"), "headline": creatify.Audio("https://a")}))
	messages := []string{}
	for _, p := range problems {
		messages = append(messages, p.Field+" "+p.Message)
	}
	assert.Equal(t, []string{
		"variables.photos must be an absolute http or https URL",
		`variables.headline is of type "audio"; the template has "text"`,
		`variables.photos is not in the template; did you mean "photo"?`,
		`variables.photo is missing; the template has it with type "image" and no default`,
	}, messages)
}

func TestValidateSuggestsTheNearestOfSeveral(t *testing.T) {
	near := template(t, `{"photo1":{"type":"voiceover"},"photo12":{"type":"voiceover"},"photo2":{"type":"voiceover"}}`)
	for given, want := range map[string]string{"photo22": "photo12", "photo": "photo1", "foto2": "photo2", "photos12": "photo12"} {
		err := near.Validate(creatify.Variables{given: creatify.Voiceover("")})
		assert.ErrorContains(t, err, `did you mean "`+want+`"?`, given)
	}
}

func TestValidateIsQuickWithLongNames(t *testing.T) {
	long := strings.Repeat("a", 1<<20)
	err := template(t, `{"`+long+`":{"type":"voiceover"}}`).Validate(creatify.Variables{long + "a": creatify.Text("")})
	assert.NotContains(t, err.Error(), "did you mean")
}

func TestValidateIsQuickWithManyNames(t *testing.T) {
	of := func(n int) *creatify.Template {
		many := creatify.Variables{"headline": creatify.Voiceover("")}
		for i := len(many); i < n; i++ {
			many[fmt.Sprintf("%064d", i)] = creatify.Voiceover("")
		}
		return &creatify.Template{Variables: many}
	}
	slips := creatify.Variables{}
	for i := range 50 {
		slips[fmt.Sprintf("%063d-", i)] = creatify.Voiceover("")
	}
	huge := of(50_000)
	start := time.Now()
	err := huge.Validate(slips)
	assert.Less(t, time.Since(start), 5*time.Second)
	assert.NotContains(t, err.Error(), "did you mean")
	slip := creatify.Variables{"headlin": creatify.Voiceover("")}
	assert.ErrorContains(t, of(1000).Validate(slip), `did you mean "headline"?`)
	assert.NotContains(t, of(1001).Validate(slip).Error(), "did you mean")
}

func TestValidateWithoutATemplateOrVariables(t *testing.T) {
	assert.ErrorContains(t, (*creatify.Template)(nil).Validate(demoVariables()), "template: is nil")
	assert.NoError(t, new(creatify.Template).Validate(demoVariables()))
	assert.NoError(t, template(t, `{}`).Validate(nil))
	assert.Len(t, problemsOf(t, template(t, demo).Validate(nil)), 2)
}

func TestValidateComparesWithATemplateMadeByHand(t *testing.T) {
	byHand := &creatify.Template{Variables: creatify.Variables{
		"headline": creatify.Text(""), "photo": creatify.Image(""), "music": creatify.Audio("https://default")}}
	assert.NoError(t, byHand.Validate(demoVariables()))
	assert.Len(t, problemsOf(t, byHand.Validate(creatify.Variables{"photo": creatify.Text("x")})), 2)
}

func TestValidateTakesTheTemplatesOfTheFake(t *testing.T) {
	client := newClient(t, creatifytest.New(creatifytest.Config{}))
	fake, err := client.Templates.Get(t.Context(), creatifytest.TemplateID)
	require.NoError(t, err)
	assert.NoError(t, fake.Validate(demoVariables()))
	assert.ErrorContains(t, fake.Validate(creatify.Variables{"headline": creatify.Text("")}), "variables.photo: is missing")
}
