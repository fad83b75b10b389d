package creatifytest

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"
)

// callPreviewPage is not a call of the API, but what a preview's URL leads to.
const callPreviewPage Call = "GET /preview"

// previewURL returns the URL of the job's preview: a page, not a file.
func (j *job) previewURL() string {
	if base := j.api.config.BaseURL; base != "" {
		return base + "/preview?layout=" + j.id
	}
	return "https://app.creatify.ai/preview?layout=" + j.id
}

// servePreview answers a request for the page of a preview.
func (a *API) servePreview(id string) reply {
	j := a.job(id)
	if j == nil {
		return page(http.StatusNotFound, notFoundPage)
	}
	shown := j.show(j.now())
	if shown.Preview == nil {
		return page(http.StatusNotFound, notFoundPage)
	}
	var body bytes.Buffer
	if err := previewPage.Execute(&body, &shown); err != nil {
		return unencodable(err)
	}
	rep := page(http.StatusOK, body.String())
	// What the job says of itself is not to be trusted, and no page of a test
	// should fetch what is elsewhere.
	rep.header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	rep.header.Set("X-Content-Type-Options", "nosniff")
	return rep
}

// page returns a reply with a page for a browser.
func page(status int, html string) reply {
	rep := reply{status: status, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}
	rep.setBody([]byte(html))
	return rep
}

var previewPage = template.Must(template.New("preview").Funcs(template.FuncMap{"indent": indent, "variables": variables}).Parse(`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width">
  <title>{{with .Name}}{{.}}{{else}}Preview{{end}} (fake)</title>
  <style>
    body { font: 16px/1.5 sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em }
    .fake { background: #fe9; padding: .5em 1em }
    th { text-align: left; vertical-align: top; padding-right: 2em }
    pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere }
  </style>
</head>
<body>
  <p class="fake">This is a fake preview, made by creatifytest. Creatify has nothing to do with it.</p>
  <h1>{{with .Name}}{{.}}{{else}}Preview without a name{{end}}</h1>
  <p>Job {{.ID}} is {{.Status}}.{{with .VideoOutput}} Its <a href="{{.}}">video</a> is noise.{{end}}</p>
  <table>{{range $name, $value := variables .Variables}}
    <tr><th>{{$name}}</th><td><pre>{{indent $value}}</pre></td></tr>{{else}}
    <tr><td>It has no variables.</td></tr>{{end}}
  </table>
</body>
</html>
`))

func variables(value json.RawMessage) (map[string]json.RawMessage, error) {
	var variables map[string]json.RawMessage
	err := json.Unmarshal(value, &variables)
	return variables, err
}

// indent returns a JSON value for people: over lines, and with no escapes but
// those which JSON can't do without.
func indent(value json.RawMessage) (string, error) {
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var decoded any
	if err := decoder.Decode(&decoded); err != nil {
		return "", err
	}
	var indented strings.Builder
	encoder := json.NewEncoder(&indented)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(decoded)
	return indented.String(), err
}
