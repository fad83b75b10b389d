package creatifytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Request is what a client asked for when it created a job.
type Request struct {
	Call         Call   // the call that creates the job or, in a [Charge] for a render, CallRender
	TemplateID   string // as sent: the case of its letters may differ from the template's
	Name         string
	WebhookURL   string
	ModelVersion string // "standard" if the client did not send one
	IsHidden     bool
	Variables    json.RawMessage // the object as sent; must not be changed
}

// Reference returns the caller's own reference, which package creatify puts into the webhook URL as its
// parameter ref.
func (r Request) Reference() string {
	u, err := url.Parse(r.WebhookURL)
	if err != nil {
		return ""
	}
	return u.Query().Get("ref")
}

// Text returns the content of a text variable, "" if there is none of that name.
func (r Request) Text(variable string) string {
	var variables map[string]json.RawMessage
	var text struct {
		Properties struct{ Content string }
	}
	if json.Unmarshal(r.Variables, &variables) != nil || json.Unmarshal(variables[variable], &text) != nil {
		return ""
	}
	return text.Properties.Content
}

// maxBody is the length in bytes of the longest request body that is accepted.
const maxBody = 1 << 20

// readBody reads the body of a request, up to the first byte too many.
func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(r.Body, maxBody+1))
}

// parseRequest returns the request in a body, or the response that refuses it.
func parseRequest(call Call, contentType string, body []byte) (Request, *response) {
	fields, refusal := parseBody(contentType, body)
	if refusal != nil {
		return Request{}, refusal
	}
	p := fieldParser{fields: fields, errors: make(map[string][]string)}
	request := Request{
		Call:         call,
		TemplateID:   p.templateID(),
		Variables:    p.variables(),
		Name:         p.optionalString("name", 255),
		WebhookURL:   p.webhookURL(),
		ModelVersion: p.modelVersion(),
		IsHidden:     p.isHidden(),
	}
	if len(p.errors) > 0 {
		return Request{}, new(jsonResponse(http.StatusBadRequest, p.errors))
	}
	return request, nil
}

// parseBody returns the fields of the object in a body, none for no body, or the response that refuses it.
func parseBody(contentType string, body []byte) (map[string]json.RawMessage, *response) {
	if len(body) > maxBody {
		refusal := detail(http.StatusRequestEntityTooLarge, "Request body exceeds "+strconv.Itoa(maxBody)+" bytes.")
		return nil, &refusal
	}
	if len(body) == 0 {
		return nil, nil
	}
	if mediaType, _, err := mime.ParseMediaType(contentType); err != nil || mediaType != jsonType {
		refusal := detail(http.StatusUnsupportedMediaType, "Unsupported media type "+strconv.Quote(contentType)+" in request.")
		return nil, &refusal
	}
	var fields map[string]json.RawMessage
	err := json.Unmarshal(body, &fields)
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, new(detail(http.StatusBadRequest, "JSON parse error - "+err.Error()))
	}
	if kind := kindOf(bytes.TrimSpace(body)); kind != "dict" {
		return nil, new(jsonResponse(http.StatusBadRequest, map[string][]string{
			"non_field_errors": {"Invalid data. Expected a dictionary, but got " + kind + "."},
		}))
	}
	return fields, nil
}

// kindOf names the kind of a JSON value as Python does.
func kindOf(value json.RawMessage) string {
	switch value[0] {
	case '{':
		return "dict"
	case '[':
		return "list"
	case '"':
		return "str"
	case 't', 'f':
		return "bool"
	case 'n':
		return "NoneType"
	}
	if strings.ContainsAny(string(value), ".eE") {
		return "float"
	}
	return "int"
}

// fieldParser reads the fields of a request and collects their errors.
type fieldParser struct {
	fields map[string]json.RawMessage
	errors map[string][]string
}

func (p *fieldParser) fail(field, format string, args ...any) {
	p.errors[field] = append(p.errors[field], fmt.Sprintf(format, args...))
}

// has reports whether a field is there. A field that is null is an error.
func (p *fieldParser) has(field string) bool {
	value, ok := p.fields[field]
	if ok && isNull(value) {
		p.fail(field, "This field may not be null.")
		return false
	}
	return ok
}

// require is has for a field that must be there.
func (p *fieldParser) require(field string) bool {
	if _, ok := p.fields[field]; !ok {
		p.fail(field, "This field is required.")
	}
	return p.has(field)
}

func isNull(value json.RawMessage) bool {
	return kindOf(value) == "NoneType"
}

func (p *fieldParser) templateID() (id string) {
	if !p.require("template_id") {
		return ""
	}
	if err := json.Unmarshal(p.fields["template_id"], &id); err != nil || !isUUID(id) {
		p.fail("template_id", "Must be a valid UUID.")
	}
	return id
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch i {
		case 8, 13, 18, 23:
			if s[i] != '-' {
				return false
			}
		default:
			if !strings.ContainsRune("0123456789abcdefABCDEF", rune(s[i])) {
				return false
			}
		}
	}
	return true
}

func (p *fieldParser) variables() json.RawMessage {
	if !p.require("variables") {
		return nil
	}
	value := p.fields["variables"]
	var variables map[string]json.RawMessage
	if err := json.Unmarshal(value, &variables); err != nil {
		p.fail("variables", "Expected a dictionary of items but got type %q.", kindOf(value))
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if kind := kindOf(variables[name]); kind != "dict" {
			p.fail("variables", "Variable %q: expected a dictionary but got type %q.", name, kind)
		}
	}
	return value
}

// optionalString returns "" for a field that is missing, null or wrong.
func (p *fieldParser) optionalString(field string, maxLength int) (s string) {
	value, ok := p.fields[field]
	if !ok || isNull(value) {
		return ""
	}
	if err := json.Unmarshal(value, &s); err != nil {
		p.fail(field, "Not a valid string.")
		return ""
	}
	if utf8.RuneCountInString(s) > maxLength {
		p.fail(field, "Ensure this field has no more than %d characters.", maxLength)
		return ""
	}
	return s
}

func (p *fieldParser) webhookURL() string {
	s := p.optionalString("webhook_url", 200)
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		p.fail("webhook_url", "Enter a valid URL.")
	}
	return s
}

// The models that make videos.
const (
	standard     = "standard"
	auroraV1     = "aurora_v1"
	auroraV1Fast = "aurora_v1_fast"
)

func (p *fieldParser) modelVersion() string {
	if !p.has("model_version") {
		return standard
	}
	value := p.fields["model_version"]
	var version string
	if err := json.Unmarshal(value, &version); err != nil {
		version = string(value) // shown in the error
	}
	switch version {
	case standard, auroraV1, auroraV1Fast:
		return version
	}
	p.fail("model_version", `"%s" is not a valid choice.`, version)
	return standard
}

func (p *fieldParser) isHidden() bool {
	if !p.has("is_hidden") {
		return false
	}
	var hidden bool
	if err := json.Unmarshal(p.fields["is_hidden"], &hidden); err != nil {
		p.fail("is_hidden", "Must be a valid boolean.")
	}
	return hidden
}
