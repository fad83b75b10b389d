package creatify_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVariable_MarshalJSON(t *testing.T) {
	tests := []struct {
		name     string
		variable creatify.Variable
		want     string
	}{
		{"text", creatify.Text("Spring sale"), `{"type":"text","properties":{"content":"Spring sale"}}`},
		{"empty text", creatify.Text(""), `{"type":"text","properties":{"content":""}}`},
		{"image", creatify.Image("https://a.test/i"), `{"type":"image","properties":{"url":"https://a.test/i"}}`},
		{"video", creatify.Video("https://a.test/v"), `{"type":"video","properties":{"url":"https://a.test/v"}}`},
		{"audio", creatify.Audio("https://a.test/a"), `{"type":"audio","properties":{"url":"https://a.test/a"}}`},
		{"avatar", creatify.Avatar("p"), `{"type":"avatar","properties":{"avatar_id":"p"}}`},
		{"voiceover", creatify.Voiceover("v"), `{"type":"voiceover","properties":{"voice_id":"v"}}`},
		{"voiceover of the template", creatify.Voiceover(""), `{"type":"voiceover","properties":{}}`},
		{"raw", creatify.RawVariable([]byte(" {\"type\":\"hologram\",\"properties\":{\"depth\":3},\"extra\":true}\n")),
			`{"type":"hologram","properties":{"depth":3},"extra":true}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := json.Marshal(test.variable)
			require.NoError(t, err)
			assert.Equal(t, test.want, string(got))
			var again creatify.Variable
			require.NoError(t, json.Unmarshal(got, &again))
			assert.Equal(t, test.variable.Type(), again.Type())
			assert.Equal(t, test.variable.Value(), again.Value())
			written, err := json.Marshal(again)
			require.NoError(t, err)
			assert.Equal(t, test.want, string(written))
		})
	}
}

func TestVariable_Value_of_raw_JSON(t *testing.T) {
	tests := []struct {
		name, raw string
		kind      creatify.VariableType
		value     string
	}{
		{"escapes in names and values", `{"\u0074ype":"\u0069mage","properties":{"\u0075rl":"https:\/\/a.test"}}`, creatify.TypeImage, "https://a.test"},
		{"last of two types", `{"type":"text","type":"image","properties":{"content":"a","url":"b"}}`, creatify.TypeImage, "b"},
		{"last of two properties", `{"type":"text","properties":{"content":"a","content":"b"}}`, creatify.TypeText, "b"},
		{"names in upper case are other names", `{"type":"text","TYPE":"image","properties":{"content":"a"},"Properties":{"content":"b"}}`,
			creatify.TypeText, "a"},
		{"type that is a number", `{"type":7,"properties":{"":"x"}}`, "", ""},
		{"unknown type", `{"type":"hologram","properties":{"":"x","url":"y"}}`, "hologram", ""},
		{"properties that are a string", `{"type":"text","properties":"x"}`, creatify.TypeText, ""},
		{"value that is a number", `{"type":"text","properties":{"content":7}}`, creatify.TypeText, ""},
		{"list", `[{"type":"text"}]`, "", ""},
		{"nothing", ``, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := creatify.RawVariable([]byte(test.raw))
			assert.Equal(t, test.kind, v.Type())
			assert.Equal(t, test.value, v.Value())
		})
	}
}

// Each variable is checked as made by its constructor and, where there is one, by decoding its JSON.
func TestVariables_are_checked_however_they_were_made(t *testing.T) {
	const (
		notURL  = "must be an absolute http or https URL"
		private = "must have a public host (in ASCII) that Creatify's servers can reach"
	)
	tests := []struct {
		name string
		made *creatify.Variable // nil if no constructor makes it
		json string
		want string // "" if it is accepted
	}{
		{"text", new(creatify.Text("Spring sale")), `{"type":"text","properties":{"content":"Spring sale"}}`, ""},
		{"empty text", new(creatify.Text("")), `{"type":"text","properties":{"content":""}}`, ""},
		{"text with NUL", new(creatify.Text("a\x00b")), `{"type":"text","properties":{"content":"a\u0000b"}}`, "contains NUL"},
		{"text without content", nil, `{"type":"text"}`, ""},
		{"text whose content is a number", nil, `{"type":"text","properties":{"content":7}}`, "its content is not a string"},
		{"text with half of a surrogate pair", nil, `{"type":"text","properties":{"content":"\ud83d"}}`, "half of a surrogate pair"},
		{"text with a whole surrogate pair", new(creatify.Text("😀")), `{"type":"text","properties":{"content":"\ud83d\ude00"}}`, ""},
		{"NUL in the name of a property", nil, `{"type":"gif","properties":{"a\u0000":1}}`, "contains NUL"},
		{"text that is not UTF-8", new(creatify.Text("\xff")), "{\"type\":\"text\",\"properties\":{\"content\":\"\xff\"}}", "is not valid"},
		{"image", new(creatify.Image("https://a.test/i.png")), `{"type":"image","properties":{"url":"https://a.test/i.png"}}`, ""},
		{"image with other properties, too", nil, `{"type":"image","properties":{"url":"https://a.test/i.png","fit":"cover"}}`, ""},
		{"image by a property that may be new", nil, `{"type":"image","properties":{"asset_id":"7"}}`, ""},
		{"image by script", new(creatify.Image("javascript:alert(1)")), `{"type":"image","properties":{"url":"javascript:alert(1)"}}`, notURL},
		{"script behind a good URL", nil,
			`{"type":"image","properties":{"url":"https://a.test","url":"javascript:alert(1)"}}`, notURL},
		{"script beside a good URL in upper case", nil,
			`{"type":"image","properties":{"url":"javascript:alert(1)"},"Properties":{"url":"https://a.test"}}`, notURL},
		{"image without a URL", new(creatify.Image("")), `{"type":"image","properties":{"url":""}}`, notURL},
		{"image without properties", nil, `{"type":"image"}`, notURL},
		{"image whose URL is null", nil, `{"type":"image","properties":{"url":null}}`, notURL},
		{"image whose URL is a list", nil, `{"type":"image","properties":{"url":["https://a.test"]}}`, "its url is not a string"},
		{"image whose properties are a list", nil, `{"type":"image","properties":["https://a.test"]}`, "its url is not a string"},
		{"text whose properties are a list", nil, `{"type":"text","properties":["x"]}`, "its content is not a string"},
		{"text whose properties are a string", nil, `{"type":"text","properties":"x"}`, "its content is not a string"},
		{"image on this machine", new(creatify.Image("http://127.0.0.1/x.png")), `{"type":"image","properties":{"url":"http://127.0.0.1/x.png"}}`, private},
		{"image on a host of 257 characters", new(creatify.Image("http://" + strings.Repeat("a.", 125) + "example")),
			`{"type":"image","properties":{"url":"http://` + strings.Repeat("a.", 125) + `example"}}`, private},
		{"video on a private network", new(creatify.Video("http://192.168.1.7/v.mp4")), `{"type":"video","properties":{"url":"http://192.168.1.7/v.mp4"}}`, private},
		{"audio of a file", new(creatify.Audio("file:///a.mp3")), `{"type":"audio","properties":{"url":"file:///a.mp3"}}`, notURL},
		{"avatar", new(creatify.Avatar("anna")), `{"type":"avatar","properties":{"avatar_id":"anna"}}`, ""},
		{"avatar without an ID", new(creatify.Avatar("")), `{"type":"avatar","properties":{"avatar_id":""}}`, "the avatar's ID is empty"},
		{"avatar without properties", nil, `{"type":"avatar","properties":{}}`, "the avatar's ID is empty"},
		{"avatar whose ID is a number", nil, `{"type":"avatar","properties":{"avatar_id":7}}`, "its avatar_id is not a string"},
		{"avatar whose ID has NUL", new(creatify.Avatar("a\x00")), `{"type":"avatar","properties":{"avatar_id":"a\u0000"}}`, "contains NUL"},
		{"voiceover", new(creatify.Voiceover("v")), `{"type":"voiceover","properties":{"voice_id":"v"}}`, ""},
		{"voiceover of the template", new(creatify.Voiceover("")), `{"type":"voiceover","properties":{}}`, ""},
		{"unknown type", nil, `{"type":"gif","properties":{"url":"http://127.0.0.1"}}`, ""},
		{"no type", nil, `{"properties":{"url":"javascript:alert(1)"}}`, ""},
		{"null", nil, `null`, "is null"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			decoded := creatify.JobParams{TemplateID: creatifytest.TemplateID}
			require.NoError(t, json.Unmarshal([]byte(`{"variables":{"v":`+test.json+`}}`), &decoded))
			all := map[string]creatify.Variable{"decoded": decoded.Variables["v"], "raw": creatify.RawVariable([]byte(test.json))}
			if test.made != nil {
				all["made"] = *test.made
			}
			for how, v := range all {
				p := params()
				p.Variables = creatify.Variables{"v": v}
				if err := p.Validate(); test.want == "" {
					assert.NoError(t, err, how)
				} else if problems := problemsOf(t, err); assert.Len(t, problems, 1, how) {
					assert.Equal(t, "variables.v", problems[0].Field, how)
					assert.Contains(t, problems[0].Message, test.want, how)
				}
			}
		})
	}
}

func TestVariables_names(t *testing.T) {
	tests := []struct{ name, variable, field, message string }{
		{"empty", "", "variables", "a name is empty"},
		{"NUL", "a\x00b", `variables."a\x00b"`, "its name contains NUL"},
		{"not UTF-8", "a\xff", `variables."a\xff"`, "its name is not valid UTF-8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := params()
			p.Variables = creatify.Variables{test.variable: creatify.Text("x")}
			assert.Equal(t, []creatify.Problem{{Field: test.field, Message: test.message}}, problemsOf(t, p.Validate()))
		})
	}
}

func TestVariables_names_are_quoted_in_errors(t *testing.T) {
	tests := []struct{ name, variable, want string }{
		{"plain", "photo url", "variables.photo url"},
		{"other scripts", "日本語", "variables.日本語"},
		{"new line", "a\nb", `variables."a\nb"`},
		{"escape sequence", "\x1b[31mred", `variables."\x1b[31mred"`},
		{"change of direction", "a\u202eb", `variables."a\u202eb"`},
		{"quotes among control characters", "\"\r", `variables."\"\r"`},
		{"long", strings.Repeat("é", 150), "variables." + strings.Repeat("é", 100) + "…"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := params()
			p.Variables = creatify.Variables{test.variable: creatify.Avatar("")}
			problems := problemsOf(t, p.Validate())
			require.Len(t, problems, 1)
			assert.Equal(t, test.want, problems[0].Field)
		})
	}
}

func TestWaitForVideo_accepts_output_URLs_that_Go_cannot_parse(t *testing.T) {
	tests := []struct {
		name, url string
		ok        bool
	}{
		{"plain", "https://cdn.example.com/v.mp4", true},
		{"invalid escape in the path", "https://cdn.example.com/100%.mp4", true},
		{"invalid escape in the query", "https://cdn.example.com/v.mp4?discount=5%", true},
		{"no path", "https://cdn.example.com", true},
		{"query behind the host", "https://cdn.example.com?id=7", true},
		{"upper case", "HTTPS://CDN.EXAMPLE.COM/V.MP4", true},
		{"private host, as a fake has", "http://127.0.0.1:8080/v.mp4", true},
		{"invalid escape in the host", "https://cdn%.example.com/v.mp4", false},
		{"no host", "https:///v.mp4", false},
		{"no host before a query", "https://?v.mp4", false},
		{"no scheme", "cdn.example.com/v.mp4", false},
		{"script", "javascript:alert(1)//https://a.test", false},
		{"words", "not yet", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body, err := json.Marshal(map[string]string{"id": jobID, "status": "done", "video_output": test.url})
				require.NoError(t, err)
				job, err := newClient(t, says(200, string(body))).Jobs.WaitForVideo(t.Context(), jobID)
				if !test.ok {
					assert.ErrorIs(t, err, creatify.ErrNoOutput)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, test.url, job.VideoOutput)
			})
		})
	}
}
