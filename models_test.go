package creatify_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
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
	{"name without a dot but at its end", "http://printer./a.png", false},
	{"two dots at the end", "http://printer../a.png", false},
	{"empty label", "http://cdn..example.com/a.png", false},
	{"label of 64 characters", "http://" + strings.Repeat("a", 64) + ".example.com/a.png", false},
	{"name below local", "http://printer.local/a.png", false},
	{"name below internal", "http://metadata.google.internal/a.png", false},
	{"name below home.arpa", "http://nas.home.arpa/a.png", false},
	{"name that only ends alike", "http://my-local.example/local", true},
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
		{"space behind", "https://cdn.example.com/a.png ", "has white space at its end"},
		{"user name", "https://user@cdn.example.com/a.png", "must not contain a user name or password"},
		{"password", "https://user:pass@cdn.example.com/a.png", "must not contain a user name or password"},
		{"empty user name", "https://@cdn.example.com/a.png", "must not contain a user name or password"},
		{"port 0", "https://cdn.example.com:0/a.png", "has a port that does not exist"},
		{"port beyond 65535", "https://cdn.example.com:65536/a.png", "has a port that does not exist"},
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
