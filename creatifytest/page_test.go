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

func TestPreviewIsAPage(t *testing.T) {
	tests := []struct {
		name string
		set  map[string]any
		want []string
	}{
		{
			name: "it says that it is a fake",
			want: []string{"This is a fake preview", "<h1>Preview without a name</h1>", "It has no variables."},
		},
		{
			name: "it shows the name and the variables",
			set: map[string]any{"name": "Spring", "variables": map[string]any{
				"headline": map[string]any{"type": "text", "properties": map[string]any{"content": "Spring & sale"}},
				"vo":       map[string]any{"type": "voiceover"},
			}},
			want: []string{"<title>Spring (fake)</title>", "<h1>Spring</h1>", "<th>headline</th>", "Spring &amp; sale", "<th>vo</th>", "voiceover"},
		},
		{
			name: "it shows markup as text",
			set: map[string]any{"name": "</title><script>alert(1)</script>", "variables": map[string]any{
				"<script>a</script>": map[string]any{"type": `<script src="//x">`},
			}},
			want: []string{"&lt;script&gt;alert(1)", "<th>&lt;script&gt;a", "//x"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			served(t, creatifytest.Config{Life: atOnce}, func(t *testing.T, api *creatifytest.API, client *http.Client) {
				job := decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, bodyWith(t, test.set))), 201)
				got := read(t, must(client.Do(fileRequest(t.Context(), "GET", job["preview"]))))
				equal(t, "the status", got.status, 200)
				equal(t, "Content-Type", got.header.Get("Content-Type"), "text/html; charset=utf-8")
				equal(t, "Content-Security-Policy", got.header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'unsafe-inline'")
				for _, want := range append(test.want, job["id"].(string)) {
					if !strings.Contains(got.body, want) {
						t.Errorf("the page lacks %q:\n%s", want, got.body)
					}
				}
				if strings.Contains(got.body, "<script") {
					t.Errorf("the page has a script:\n%s", got.body)
				}
			})
		})
	}
}

func TestPreviewIsAPageOnceItIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		id := create(t, api)["id"].(string)
		open := func(id string) result {
			return roundTrip(t, api, fileRequest(t.Context(), "GET", "https://app.creatify.ai/preview?layout="+id))
		}
		equal(t, "the status at first", open(id).status, 404)
		equal(t, "the status for an unknown job", open(unknownID).status, 404)
		equal(t, "the status for none", open("").status, 404)
		time.Sleep(20 * time.Second)
		equal(t, "the status at the end", open(id).status, 200)
		equal(t, "whether the page has a link before the render", strings.Contains(open(id).body, "<a "), false)
		render(t, api, id)
		time.Sleep(20 * time.Second)
		if got, link := open(id).body, `<a href="https://video.creatify.test/`+id+`.mp4">`; !strings.Contains(got, link) {
			t.Errorf("the page lacks %s:\n%s", link, got)
		}
	})
}

func TestAllVariablesAcceptedAreShown(t *testing.T) {
	for _, variables := range []string{`{}`, ` { "a" : {} } `, `{"a":{"b":[1,null,{"c":"d"}]}}`, `{"":{"a":1e400}}`} {
		api := creatifytest.New(creatifytest.Config{Life: atOnce})
		set := map[string]any{"variables": json.RawMessage(variables)}
		roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, bodyWith(t, set)))
		url := "https://app.creatify.ai/preview?layout=" + api.Jobs()[0]
		equal(t, "the status for "+variables, roundTrip(t, api, fileRequest(t.Context(), "GET", url)).status, 200)
	}
}
