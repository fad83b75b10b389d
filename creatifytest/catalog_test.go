package creatifytest_test

import (
	"strings"
	"testing"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestListTemplates(t *testing.T) {
	const (
		tail     = `"created_at":"2026-01-02T03:04:05.678901-08:00","updated_at":"2026-01-02T03:04:05.678901-08:00"`
		demo     = `{"template_id":"` + creatifytest.TemplateID + `","name":"Demo","preview":"https://video.creatify.test/templates/` + creatifytest.TemplateID + `.mp4","aspect_ratio":"9x16",` + tail
		demoVars = `"variables":{"headline":{"type":"text","properties":{}},"photo":{"type":"image","properties":{}}}`
		bare     = `{"template_id":"` + unknownID + `","name":"","preview":"https://video.creatify.test/templates/` + unknownID + `.mp4","aspect_ratio":null,` + tail
	)
	tests := []struct {
		name      string
		templates []creatifytest.Template
		url       string
		want      string
	}{
		{
			name: "by default there is one",
			url:  templatesURL,
			want: `[` + demo + `}]`,
		},
		{
			name: "one template has its variables",
			url:  templatesURL + creatifytest.TemplateID + "/",
			want: demo + `,` + demoVars + `}`,
		},
		{
			name:      "there may be none",
			templates: []creatifytest.Template{},
			url:       templatesURL,
			want:      `[]`,
		},
		{
			name: "those configured replace it, in their order",
			templates: []creatifytest.Template{{ID: unknownID}, {
				ID: creatifytest.TemplateID, Name: "Demo", AspectRatio: "9x16", Variables: map[string]string{"voice": "voiceover"},
			}},
			url:  templatesURL,
			want: `[` + bare + `},` + demo + `}]`,
		},
		{
			name:      "the variables of a template without any are an empty object",
			templates: []creatifytest.Template{{ID: creatifytest.TemplateID}, {ID: unknownID}},
			url:       templatesURL + unknownID + "/",
			want:      bare + `,"variables":{}}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Templates: test.templates})
			got := roundTrip(t, api, newRequest(t.Context(), "GET", test.url, ""))
			equal(t, "the status", got.status, 200)
			equal(t, "the body", got.body, test.want)
			equal(t, "Content-Type", got.header.Get("Content-Type"), "application/json")
			equal(t, "Charged", api.Charged(), 0)
		})
	}
}

func TestGetTemplate(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	got := roundTrip(t, api, newRequest(t.Context(), "GET", templatesURL+strings.ToUpper(creatifytest.TemplateID)+"/", ""))
	equal(t, "the template by its ID in capitals", decode(t, got, 200)["template_id"], any(creatifytest.TemplateID))
}

func TestListPersonas(t *testing.T) {
	tests := []struct {
		name     string
		personas []creatifytest.Persona
		want     string
	}{
		{"by default there is one", nil,
			`[{"id":"` + creatifytest.PersonaID + `","creator_name":"Robin","gender":"female","age_range":"adult","location":"indoor","style":"presenter"}]`},
		{"there may be none", []creatifytest.Persona{}, `[]`},
		{"empty fields are null", []creatifytest.Persona{{ID: unknownID}},
			`[{"id":"` + unknownID + `","creator_name":null,"gender":null,"age_range":null,"location":null,"style":null}]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Personas: test.personas})
			got := roundTrip(t, api, newRequest(t.Context(), "GET", base+"/api/personas/", ""))
			equal(t, "the body", got.body, test.want)
			equal(t, "CallListPersonas", api.Calls(creatifytest.CallListPersonas), 1)
		})
	}
}

func TestListVoices(t *testing.T) {
	tests := []struct {
		name   string
		voices []creatifytest.Voice
		want   string
	}{
		{"by default there is one", nil, `[{"name":"Robin","gender":"female","accents":[{"id":"` + creatifytest.AccentID +
			`","accent_name":"American","preview_url":"https://video.creatify.test/voices/` + creatifytest.AccentID + `.mp3"}]}]`},
		{"there may be none", []creatifytest.Voice{}, `[]`},
		{"no accents are an empty list", []creatifytest.Voice{{Name: "Kim"}}, `[{"name":"Kim","gender":null,"accents":[]}]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Voices: test.voices})
			got := roundTrip(t, api, newRequest(t.Context(), "GET", base+"/api/voices/", ""))
			equal(t, "the body", got.body, test.want)
			equal(t, "CallListVoices", api.Calls(creatifytest.CallListVoices), 1)
		})
	}
}

func TestRefuseVariables(t *testing.T) {
	text := map[string]any{"type": "text"}
	tests := []struct {
		name string
		set  map[string]any
		want string // "" for a job
	}{
		{"what the template has", map[string]any{"variables": map[string]any{"headline": text, "photo": map[string]any{"type": "image"}}}, ""},
		{"an unknown template", map[string]any{"template_id": unknownID}, `{"template_id":["Invalid pk \"` + unknownID + `\" - object does not exist."]}`},
		{"nothing", nil, `{"variables":["Variable \"headline\" is required.","Variable \"photo\" is required."]}`},
		{"another name and type", map[string]any{"variables": map[string]any{"headline": text, "photo": text, "x": text}},
			`{"variables":["Variable \"photo\" must be of type \"image\".","Variable \"x\" is not in the template."]}`},
		{"a type that is no string", map[string]any{"variables": map[string]any{"headline": text, "photo": map[string]any{"type": map[string]any{}}}},
			`{"variables":["Variable \"photo\" must be of type \"image\"."]}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{StrictTemplates: true})
			got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, bodyWith(t, test.set)))
			if test.want == "" {
				equal(t, "the status", got.status, 201)
				return
			}
			equal(t, "the body", got.body, test.want)
			equal(t, "Charged", api.Charged(), 0)
		})
	}
}
