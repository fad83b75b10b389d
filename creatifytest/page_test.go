package creatifytest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestServePreview(t *testing.T) {
	const policy = "default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; base-uri 'none'; form-action 'none'"
	text := func(content string) any {
		return map[string]any{"type": "text", "properties": map[string]any{"content": content}}
	}
	image := map[string]any{"type": "image", "properties": map[string]any{"url": "https://example.com/photo.jpg"}}
	tests := []struct {
		name   string
		config creatifytest.Config
		set    map[string]any
		want   []string
		not    []string
		policy string
	}{
		{
			name: "it says that it is a fake",
			want: []string{"This is a fake preview", "<h1>Without a name</h1>", "It has no variables.", "aspect-ratio: 9 / 16"},
		},
		{
			name: "texts are in the frame and variables in a list",
			set: map[string]any{"name": "Spring", "variables": map[string]any{
				"headline": text("Spring & sale"), "vo": map[string]any{"type": "voiceover"},
			}},
			want: []string{"<title>Spring (fake)</title>", "<h1>Spring</h1>", "<p>Spring &amp; sale</p>", "<dt>vo · voiceover</dt>", "<details>"},
			not:  []string{"<svg"},
		},
		{
			name: "markup is text",
			set: map[string]any{"name": "</title><script>alert(1)</script>", "variables": map[string]any{
				"<script>a</script>": map[string]any{"type": `<script src="//x">`}, "b": text("<script>b</script>"),
			}},
			want: []string{"&lt;script&gt;alert(1)", "<dt>&lt;script&gt;a", "<p>&lt;script&gt;b", "//x"},
		},
		{
			name: "an image is a placeholder",
			set:  map[string]any{"variables": map[string]any{"photo": image}},
			want: []string{"<svg", "https://example.com/photo.jpg"},
			not:  []string{"<img"},
		},
		{
			name:   "an image is loaded on demand",
			config: creatifytest.Config{LoadImages: true},
			set:    map[string]any{"variables": map[string]any{"photo": image}},
			want:   []string{`<img src="https://example.com/photo.jpg"`},
			policy: policy + "; img-src http: https:",
		},
		{
			name:   "an image of another scheme is not",
			config: creatifytest.Config{LoadImages: true},
			set:    map[string]any{"variables": map[string]any{"photo": map[string]any{"type": "image", "properties": map[string]any{"url": "javascript:alert(1)"}}}},
			want:   []string{`<img src="#ZgotmplZ"`},
			policy: policy + "; img-src http: https:",
		},
		{
			name:   "the frame has the shape of the template",
			config: creatifytest.Config{Templates: []creatifytest.Template{{ID: strings.ToUpper(creatifytest.TemplateID), AspectRatio: "16:9"}}},
			want:   []string{"aspect-ratio: 16 / 9"},
		},
		{
			name:   "a shape that cannot be shown is not used",
			config: creatifytest.Config{Templates: []creatifytest.Template{{ID: creatifytest.TemplateID, AspectRatio: "1x1000"}}},
			want:   []string{"aspect-ratio: 9 / 16"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.config.Life = atOnce
			served(t, test.config, func(t *testing.T, api *creatifytest.API, client *http.Client) {
				job := decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, bodyWith(t, test.set))), 201)
				got := read(t, must(client.Do(fileRequest(t.Context(), "GET", job["preview"]))))
				equal(t, "the status", got.status, 200)
				equal(t, "Content-Type", got.header.Get("Content-Type"), "text/html; charset=utf-8")
				want := policy
				if test.policy != "" {
					want = test.policy
				}
				equal(t, "Content-Security-Policy", got.header.Get("Content-Security-Policy"), want)
				for _, want := range append(test.want, job["id"].(string)) {
					if !strings.Contains(got.body, want) {
						t.Errorf("the page lacks %q:\n%s", want, got.body)
					}
				}
				for _, not := range append(test.not, "<script") {
					if strings.Contains(got.body, not) {
						t.Errorf("the page has %q:\n%s", not, got.body)
					}
				}
			})
		})
	}
}

func TestServePreview_states(t *testing.T) {
	const refresh = `http-equiv="refresh"`
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{BaseURL: "http://127.0.0.1:8080"})
		api.NextJob(creatifytest.Life{}, creatifytest.Life{End: "failed", Reason: "no such voice"})
		shows := func(id string, texts ...string) {
			t.Helper()
			got := roundTrip(t, api, fileRequest(t.Context(), "GET", "http://127.0.0.1:8080/preview?layout="+id))
			equal(t, "the status", got.status, 200)
			for _, text := range texts {
				text, not := strings.CutPrefix(text, "not ")
				if strings.Contains(got.body, text) == not {
					t.Errorf("the page shows %q: %v\n%s", text, !not, got.body)
				}
			}
		}
		id, failing := create(t, api)["id"].(string), create(t, api)["id"].(string)
		time.Sleep(5 * time.Second)
		shows(id, refresh, "Not ready yet", "25 %", ": running", "not <video")
		time.Sleep(time.Minute)
		shows(id, ": done", "not "+refresh, "not <video", "not <a ")
		shows(failing, "No result: failed", "no such voice", "not "+refresh)
		render(t, api, id)
		shows(id, ": running", "not <video")
		time.Sleep(time.Minute)
		shows(id, `<video src="videos/`+id+`.mp4"`, `<a href="videos/`+id+`.mp4"`)

		for _, id := range []string{unknownID, ""} {
			got := roundTrip(t, api, fileRequest(t.Context(), "GET", "http://127.0.0.1:8080/preview?layout="+id))
			equal(t, "the status for "+id, got.status, 404)
		}
	})
}

func TestServePreview_variables(t *testing.T) {
	for _, variables := range []string{`{}`, ` { "a" : {} } `, `{"a":{"b":[1,null,{"c":"d"}]}}`, `{"":{"a":1e400}}`, `{"a":{"type":1,"properties":"x"}}`} {
		api := creatifytest.New(creatifytest.Config{Life: atOnce})
		set := map[string]any{"variables": json.RawMessage(variables)}
		roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, bodyWith(t, set)))
		url := "https://app.creatify.ai/preview?layout=" + api.Jobs()[0]
		equal(t, "the status for "+variables, roundTrip(t, api, fileRequest(t.Context(), "GET", url)).status, 200)
	}
}
