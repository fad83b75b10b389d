package creatifytest_test

import (
	"strings"
	"testing"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestParseRequest(t *testing.T) {
	t.Run("wrong fields are named", func(t *testing.T) {
		tests := []struct {
			name string
			set  map[string]any // in place of what a valid body has
			want string
		}{
			{"a template ID that is null", map[string]any{"template_id": nil}, `{"template_id":["This field may not be null."]}`},
			{"a template ID that is no UUID", map[string]any{"template_id": "x"}, `{"template_id":["Must be a valid UUID."]}`},
			{"a template ID with a wrong digit", map[string]any{"template_id": "3c90c3cc-0d44-4b50-8888-8dd25736052g"}, `{"template_id":["Must be a valid UUID."]}`},
			{"a template ID with a digit for a dash", map[string]any{"template_id": "3c90c3cc00d44-4b50-8888-8dd25736052a"}, `{"template_id":["Must be a valid UUID."]}`},
			{"a template ID that is no string", map[string]any{"template_id": 1}, `{"template_id":["Must be a valid UUID."]}`},
			{"variables that are null", map[string]any{"variables": nil}, `{"variables":["This field may not be null."]}`},
			{"variables that are a list", map[string]any{"variables": []int{}}, `{"variables":["Expected a dictionary of items but got type \"list\"."]}`},
			{"a variable that is no object", map[string]any{"variables": map[string]any{"b": 1.5, "a": nil, "ok": map[string]any{}}},
				`{"variables":["Variable \"a\": expected a dictionary but got type \"NoneType\".","Variable \"b\": expected a dictionary but got type \"float\"."]}`},
			{"a name that is no string", map[string]any{"name": 1}, `{"name":["Not a valid string."]}`},
			{"a name of 256 characters", map[string]any{"name": strings.Repeat("é", 256)}, `{"name":["Ensure this field has no more than 255 characters."]}`},
			{"a webhook URL of 201 characters", map[string]any{"webhook_url": "https://example.com/" + strings.Repeat("x", 181)}, `{"webhook_url":["Ensure this field has no more than 200 characters."]}`},
			{"a webhook URL without a host", map[string]any{"webhook_url": "/hook"}, `{"webhook_url":["Enter a valid URL."]}`},
			{"a webhook URL of another scheme", map[string]any{"webhook_url": "mailto:a@b"}, `{"webhook_url":["Enter a valid URL."]}`},
			{"an unknown model version", map[string]any{"model_version": "v9"}, `{"model_version":["\"v9\" is not a valid choice."]}`},
			{"a model version that is null", map[string]any{"model_version": nil}, `{"model_version":["This field may not be null."]}`},
			{"a model version that is no string", map[string]any{"model_version": 9}, `{"model_version":["\"9\" is not a valid choice."]}`},
			{"is_hidden that is no boolean", map[string]any{"is_hidden": "yes"}, `{"is_hidden":["Must be a valid boolean."]}`},
			{"several wrong fields", map[string]any{"template_id": "x", "is_hidden": nil}, `{"is_hidden":["This field may not be null."],"template_id":["Must be a valid UUID."]}`},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, bodyWith(t, test.set)))
				equal(t, "the status", got.status, 400)
				equal(t, "the body", got.body, test.want)
				equal(t, "the number of jobs", len(api.Jobs()), 0)
			})
		}
	})

	t.Run("the longest fields are accepted", func(t *testing.T) {
		tests := []struct {
			name string
			set  map[string]any
		}{
			{"a name of 255 characters in 510 bytes", map[string]any{"name": strings.Repeat("é", 255)}},
			{"a webhook URL of 200 characters", map[string]any{"webhook_url": "https://example.com/" + strings.Repeat("x", 180)}},
			{"a template ID in capitals", map[string]any{"template_id": strings.ToUpper(creatifytest.TemplateID)}},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, bodyWith(t, test.set)))
				decode(t, got, 201)
			})
		}
	})
}

func TestRequest(t *testing.T) {
	var seen []creatifytest.Request
	api := creatifytest.New(creatifytest.Config{LifeFor: func(r creatifytest.Request) creatifytest.Life {
		seen = append(seen, r)
		return creatifytest.Life{}
	}})
	ask := func(url string, set map[string]any) creatifytest.Request {
		decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", url, bodyWith(t, set))), 201)
		return seen[len(seen)-1]
	}
	all := ask(jobsURL, map[string]any{
		"name": "Spring", "webhook_url": "https://example.com/hook?x=1&ref=order%2017&secret=s", "model_version": "aurora_v1", "is_hidden": true,
		"variables": map[string]any{
			"headline": map[string]any{"type": "text", "properties": map[string]any{"content": "Spring sale"}},
			"number":   map[string]any{"type": "text", "properties": map[string]any{"content": 1}},
			"photo":    map[string]any{"type": "image", "properties": map[string]any{"url": "https://example.com/photo.jpg"}},
		},
	})
	equal(t, "Call", all.Call, creatifytest.CallCreateVideo)
	equal(t, "TemplateID", all.TemplateID, creatifytest.TemplateID)
	equal(t, "Name", all.Name, "Spring")
	equal(t, "ModelVersion", all.ModelVersion, "aurora_v1")
	equal(t, "IsHidden", all.IsHidden, true)
	equal(t, "Reference", all.Reference(), "order 17")
	equal(t, "the headline", all.Text("headline"), "Spring sale")
	equal(t, "a text that is a number", all.Text("number"), "")
	equal(t, "an image", all.Text("photo"), "")
	equal(t, "an unknown variable", all.Text("x"), "")

	least := ask(previewURL, nil)
	equal(t, "Call", least.Call, creatifytest.CallCreatePreview)
	equal(t, "ModelVersion by default", least.ModelVersion, "standard")
	equal(t, "Reference without a webhook", least.Reference(), "")
	equal(t, "Variables", string(least.Variables), "{}")
}
