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

// jobRequest is the body of a request for a job, without what is not shown
// again.
type jobRequest struct {
	templateID   string
	variables    json.RawMessage
	name         *string
	webhookURL   *string
	modelVersion string
	isHidden     bool
}

// maxBody is the longest body of a request that is accepted, in bytes.
const maxBody = 1 << 20

// readBody reads the body of a request, but not much more than is accepted.
func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(r.Body, maxBody+1))
}

// parseJobRequest returns the request in a body, or the reply that refuses it.
func parseJobRequest(contentType string, body []byte) (jobRequest, *reply) {
	fields, refusal := parseBody(contentType, body)
	if refusal != nil {
		return jobRequest{}, refusal
	}
	p := fieldParser{fields: fields, errors: make(map[string][]string)}
	request := jobRequest{
		templateID:   p.templateID(),
		variables:    p.variables(),
		name:         p.optionalString("name", 255),
		webhookURL:   p.webhookURL(),
		modelVersion: p.modelVersion(),
		isHidden:     p.isHidden(),
	}
	if len(p.errors) > 0 {
		refusal := jsonReply(http.StatusBadRequest, p.errors)
		return jobRequest{}, &refusal
	}
	return request, nil
}

// parseBody returns the fields of the object that is the body, none if there is
// no body, or the reply that refuses it.
func parseBody(contentType string, body []byte) (map[string]json.RawMessage, *reply) {
	if len(body) > maxBody {
		refusal := detail(http.StatusRequestEntityTooLarge, "Request body exceeds "+strconv.Itoa(maxBody)+" bytes.")
		return nil, &refusal
	}
	if len(body) == 0 {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	refusal := parseObject(contentType, body, &fields)
	return fields, refusal
}

// parseObject fills fields with those of the object that is the body, or returns
// the reply that refuses it.
func parseObject(contentType string, body []byte, fields *map[string]json.RawMessage) *reply {
	if mediaType, _, err := mime.ParseMediaType(contentType); err != nil || mediaType != "application/json" {
		refusal := detail(http.StatusUnsupportedMediaType, "Unsupported media type "+strconv.Quote(contentType)+" in request.")
		return &refusal
	}
	err := json.Unmarshal(body, fields)
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		refusal := detail(http.StatusBadRequest, "JSON parse error - "+err.Error())
		return &refusal
	}
	if kind := kindOf(bytes.TrimSpace(body)); kind != "dict" {
		refusal := jsonReply(http.StatusBadRequest, map[string][]string{
			"non_field_errors": {"Invalid data. Expected a dictionary, but got " + kind + "."},
		})
		return &refusal
	}
	return nil
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

// fieldParser reads the fields of a request and collects what is wrong with
// them.
type fieldParser struct {
	fields map[string]json.RawMessage
	errors map[string][]string
}

func (p *fieldParser) fail(field, format string, args ...any) {
	p.errors[field] = append(p.errors[field], fmt.Sprintf(format, args...))
}

// has reports whether a field is there and not null. If it is null, which it
// may not be, that is an error.
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

// optionalString returns nil for a field that is missing, null or wrong.
func (p *fieldParser) optionalString(field string, maxLength int) *string {
	value, ok := p.fields[field]
	if !ok || isNull(value) {
		return nil
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		p.fail(field, "Not a valid string.")
		return nil
	}
	if utf8.RuneCountInString(s) > maxLength {
		p.fail(field, "Ensure this field has no more than %d characters.", maxLength)
		return nil
	}
	return &s
}

func (p *fieldParser) webhookURL() *string {
	s := p.optionalString("webhook_url", 200)
	if s == nil {
		return nil
	}
	u, err := url.Parse(*s)
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
		version = string(value)
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
