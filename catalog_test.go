package creatify_test

import (
	"encoding/json"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	personaJSON = `{"id":"p1","creator_name":"Robin","gender":"f","age_range":"adult","location":"indoor","style":"presenter",
		"video_scene":"office","suitable_industries":["retail"],"preview_image_9_16":"https://a.test/p.jpg"}`
	voiceJSON = `{"name":"Robin","gender":"female","accents":[
		{"id":"a1","accent_name":"American","preview_url":" https://a.test/a1.mp3\n"},{"id":7,"accent_name":null}],"tone":"warm"}`
)

func TestPersonas_List(t *testing.T) {
	full := creatify.Persona{ID: "p1", CreatorName: "Robin", Gender: "f", AgeRange: "adult", Location: "indoor", Style: "presenter"}
	tests := []struct {
		name, body string
		want       []creatify.Persona
	}{
		{"list", `[` + personaJSON + `,{"id":"p2"}]`, []creatify.Persona{full, {ID: "p2"}}},
		{"empty list", `[]`, []creatify.Persona{}},
		{"page", `{"count":9,"next":"https://a.test/?page=2","previous":null,"results":[` + personaJSON + `]}`, []creatify.Persona{full}},
		{"members of other types", `[{"id":7,"creator_name":null,"gender":["f"],"style":{"a":1}}]`, []creatify.Persona{{ID: "7"}}},
		{"byte order mark", "\ufeff[{\"id\":\"p2\"}]", []creatify.Persona{{ID: "p2"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var path string
			got, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				path = req.Method + " " + req.URL.Path
				return respond(req, 200, test.body), nil
			})).Personas.List(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "GET /api/personas/", path)
			require.Len(t, got, len(test.want))
			for i, want := range test.want {
				assert.True(t, json.Valid(got[i].Raw))
				got[i].Raw = nil
				assert.EqualExportedValues(t, want, got[i])
			}
		})
	}
}

func TestPersona_Raw_keeps_what_is_not_documented(t *testing.T) {
	personas, err := newClient(t, says(200, `[`+personaJSON+`,{"id":"p2"}]`)).Personas.List(t.Context())
	require.NoError(t, err)
	assert.JSONEq(t, personaJSON, string(personas[0].Raw))
	_ = append(personas[0].Raw, "behind"...)
	assert.Equal(t, `{"id":"p2"}`, string(personas[1].Raw), "appending to one changes no other")
}

func TestVoices_List(t *testing.T) {
	full := creatify.Voice{Name: "Robin", Gender: "female",
		Accents: []creatify.Accent{{ID: "a1", Name: "American", PreviewURL: "https://a.test/a1.mp3"}, {ID: "7"}}}
	tests := []struct {
		name, body string
		want       []creatify.Voice
	}{
		{"list", `[` + voiceJSON + `,{"name":"Kim"}]`, []creatify.Voice{full, {Name: "Kim"}}},
		{"page", `{"results":[` + voiceJSON + `]}`, []creatify.Voice{full}},
		{"no accents", `[{"name":"Kim","accents":[]},{"name":"Lee","accents":null}]`, []creatify.Voice{{Name: "Kim"}, {Name: "Lee"}}},
		{"accents of other types", `[{"accents":{"id":"a1"}},{"accents":[1,null,[],{"id":"a2"}]}]`,
			[]creatify.Voice{{}, {Accents: []creatify.Accent{{ID: "a2"}}}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var path string
			got, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				path = req.Method + " " + req.URL.Path
				return respond(req, 200, test.body), nil
			})).Voices.List(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "GET /api/voices/", path)
			require.Len(t, got, len(test.want))
			for i, want := range test.want {
				assert.True(t, json.Valid(got[i].Raw))
				got[i].Raw = nil
				assert.EqualExportedValues(t, want, got[i])
			}
		})
	}
}

func TestCatalog_refuses_what_is_no_list_or_too_long(t *testing.T) {
	many := func(item string, n int) string {
		return `[` + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + `]`
	}
	tests := []struct{ name, body, want string }{
		{"nothing", ``, "the response is not a list"},
		{"page without results", `{"count":0}`, "the response is not a list"},
		{"page whose results are an object", `{"results":{"id":"p1"}}`, "the response is not a list"},
		{"truncated list", `[` + personaJSON, "the response is not a list"},
		{"HTML", `<html>`, "the response is not a list"},
		{"IDs", `["p1","p2"]`, "item 0 of the response is not a JSON object"},
		{"null among objects", `[{},null]`, "item 1 of the response is not a JSON object"},
		{"10,001 items", many(`{}`, 10_001), "the response has more than 10000 items"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client := newClient(t, says(200, test.body))
			_, err := client.Personas.List(t.Context())
			assert.EqualError(t, err, "creatify: list personas: "+test.want)
			_, err = client.Voices.List(t.Context())
			assert.EqualError(t, err, "creatify: list voices: "+test.want)
		})
	}
	for _, body := range []string{many(`{"accents":`+many(`{}`, 5_001)+`}`, 2), `[{"accents":` + many(`{}`, 2_000_000) + `}]`} {
		client := newClient(t, says(200, body))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := client.Voices.List(t.Context())
		runtime.ReadMemStats(&after)
		assert.ErrorContains(t, err, "brings the accents to more than 10000")
		assert.Less(t, (after.TotalAlloc-before.TotalAlloc)>>20, uint64(64), "MiB for a response of %d", len(body))
	}
}

func TestCatalog_of_the_fake_fills_an_avatar_and_a_voiceover(t *testing.T) {
	client := newClient(t, creatifytest.New(creatifytest.Config{}))
	personas, err := client.Personas.List(t.Context())
	require.NoError(t, err)
	voices, err := client.Voices.List(t.Context())
	require.NoError(t, err)
	p := params()
	p.Variables = creatify.Variables{"host": creatify.Avatar(personas[0].ID), "voice": creatify.Voiceover(voices[0].Accents[0].ID)}
	_, err = client.Jobs.CreatePreview(t.Context(), p)
	require.NoError(t, err)
	assert.Equal(t, creatifytest.PersonaID, personas[0].ID)
	assert.Equal(t, creatifytest.AccentID, voices[0].Accents[0].ID)
}
