package creatifytest_test

import (
	"testing"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestTemplates(t *testing.T) {
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

func TestJobNeedsNoTemplateThatIsThere(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{Templates: []creatifytest.Template{}})
	create(t, api)
}
