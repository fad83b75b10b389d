package creatifytest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// previewURL returns the URL of the job's preview: a page, not a file.
func (j *job) previewURL() string {
	if base := j.api.config.BaseURL; base != "" {
		return base + "/preview?layout=" + j.id
	}
	return "https://app.creatify.ai/preview?layout=" + j.id
}

//go:embed preview.html
var previewHTML string

var previewPage = template.Must(template.New("preview").Parse(previewHTML))

// servePreview answers a request for the page of a preview, which shows the job also while there is no
// preview.
func (a *API) servePreview(id string) response {
	j := a.job(id)
	if j == nil {
		return htmlResponse(http.StatusNotFound, notFoundPage)
	}
	var page bytes.Buffer
	if err := previewPage.Execute(&page, a.preview(j)); err != nil {
		return unencodable(err)
	}
	resp := htmlResponse(http.StatusOK, page.String())
	// The texts come from the job's creator, and a page of a test must not fetch from other hosts.
	policy := "default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; base-uri 'none'; form-action 'none'"
	if a.config.LoadImages {
		policy += "; img-src http: https:"
	}
	resp.header.Set("Content-Security-Policy", policy)
	resp.header.Set("X-Content-Type-Options", "nosniff")
	resp.header.Set("Referrer-Policy", "no-referrer")
	return resp
}

// preview is what the page of a preview shows.
type preview struct {
	ID, Name, Status, Reason string
	Percent                  int
	Ready, Over              bool
	Video                    string // URL, relative to the page's
	Width, Height            int    // of the frame, in proportion
	Texts                    []string
	Image                    string // URL of the first image; "" if there is none
	LoadImages               bool
	Variables                []variable
}

type variable struct{ Name, Type, Value, JSON string }

func (a *API) preview(j *job) preview {
	shown := j.show(j.now())
	p := preview{
		ID:         j.id,
		Name:       j.request.Name,
		Status:     shown.Status,
		Reason:     orEmpty(shown.FailedReason),
		Percent:    int(100 * min(max(shown.Progress, 0), 1)),
		Ready:      shown.Preview != nil,
		Over:       isEnd(shown.Status),
		Video:      strings.TrimPrefix(orEmpty(shown.VideoOutput), a.config.BaseURL+"/"),
		LoadImages: a.config.LoadImages,
		Variables:  variablesOf(j.request.Variables),
	}
	p.Width, p.Height = a.shapeOf(j.request.TemplateID)
	for _, v := range p.Variables {
		switch v.Type {
		case "text":
			p.Texts = append(p.Texts, v.Value)
		case "image":
			if p.Image == "" {
				p.Image = v.Value
			}
		}
	}
	return p
}

// shapeOf returns the aspect ratio of a template, 9 to 16 if it is unknown.
func (a *API) shapeOf(templateID string) (width, height int) {
	if template := a.template(templateID); template != nil {
		w, h, _ := strings.Cut(strings.ReplaceAll(template.AspectRatio, ":", "x"), "x")
		width, _ = strconv.Atoi(w)
		height, _ = strconv.Atoi(h)
	}
	if width < 1 || height < 1 || max(width, height) > 4*min(width, height) {
		return 9, 16
	}
	return width, height
}

// variablesOf returns the variables of a job by name.
func variablesOf(raw json.RawMessage) []variable {
	var byName map[string]json.RawMessage
	_ = json.Unmarshal(raw, &byName) // parseRequest has accepted them
	var all []variable
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		v := variable{Name: name, JSON: indent(byName[name])}
		var members struct {
			Type       string
			Properties map[string]any
		}
		if json.Unmarshal(byName[name], &members) == nil {
			v.Type = members.Type
			for _, key := range []string{"content", "url", "avatar_id", "voice_id"} {
				if value, ok := members.Properties[key].(string); ok {
					v.Value = value
				}
			}
		}
		all = append(all, v)
	}
	return all
}

// maxDepth is how deep a JSON value may be nested to be indented: without a bound, the spaces grow with its
// square.
const maxDepth = 10

// indent returns a JSON value for people: over lines, with no escapes but those that JSON needs.
func indent(value json.RawMessage) string {
	if depthOf(value) > maxDepth {
		return string(value)
	}
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var decoded any
	_ = decoder.Decode(&decoded)
	var indented strings.Builder
	encoder := json.NewEncoder(&indented)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(decoded)
	return indented.String()
}

// depthOf returns how deep a valid JSON value is nested.
func depthOf(value json.RawMessage) int {
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}
