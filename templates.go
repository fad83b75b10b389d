package creatify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go/internal/lenient"
	"github.com/creatify-community/creatify-go/internal/transport"
)

// TemplatesService reads the account's custom templates. It is [Client.Templates].
type TemplatesService struct {
	api *api
}

// Template is a custom template. Null and absent values read as the zero value.
//
// API page: https://docs.creatify.ai/api-reference/custom-templates
type Template struct {
	ID          string    // for JobParams.TemplateID
	Name        string    // for people
	Preview     string    // URL
	AspectRatio string    // as the API writes it
	CreatedAt   time.Time // by the server's clock
	UpdatedAt   time.Time // by the server's clock
	Variables   Variables // by name; nil in a list. Their form is not documented: RawJSON has them as they came

	raw []byte
}

// RawJSON returns the template as it came, with what this version of the library does not know.
func (t *Template) RawJSON() json.RawMessage {
	if t == nil {
		return nil
	}
	return slices.Clone(t.raw)
}

// Validate compares variables with those of the template, and checks their values, free of charge. What is wrong is one
// [*ValidationError] with all problems.
//
// The API does not document the variables of a template, so Validate refuses only what it is sure of. Without a template
// that has a variable of a readable type, such as one from [TemplatesService.List], it checks the values alone. Else a name
// is refused that the template does not have, and so is a variable whose type is known and differs from a known one in the
// template. A variable is missing if its type in the template is known and it has no default there: a value among its
// properties, or anything as its "default". One that is said to be optional, or is a voiceover, may be left out.
func (t *Template) Validate(vars Variables) error {
	if t == nil {
		return invalid("template", "is nil")
	}
	problems := vars.problems()
	if t.Variables.areReadable() {
		problems = append(problems, t.Variables.refusals(vars)...)
		problems = append(problems, t.Variables.missing(vars)...)
	}
	return validation(problems)
}

// areReadable says whether a template's variables have the expected form. Otherwise their names may not be names.
func (vs Variables) areReadable() bool {
	for _, v := range vs {
		if v.Type() != "" {
			return true
		}
	}
	return false
}

// refusals lists what a template with the variables vs has no place for.
func (vs Variables) refusals(given Variables) []Problem {
	var all []Problem
	for _, name := range slices.Sorted(maps.Keys(given)) {
		want, known := vs[name]
		switch wanted, got := want.Type(), given[name].Type(); {
		case name == "": // which is a problem already
		case !known:
			all = append(all, Problem{"variables." + name, "is not in the template" + vs.suggestion(name)})
		case wanted != got && wanted.property() != "" && got.property() != "":
			all = append(all, Problem{"variables." + name, fmt.Sprintf("is of type %q; the template has %q", got, wanted)})
		}
	}
	return all
}

// missing lists what a template with the variables vs needs besides.
func (vs Variables) missing(given Variables) []Problem {
	var all []Problem
	for _, name := range slices.Sorted(maps.Keys(vs)) {
		if _, ok := given[name]; !ok && vs[name].isNeeded() {
			field := "variables." + oneLine(name)
			all = append(all, Problem{field, fmt.Sprintf("is missing; the template has it with type %q and no default", vs[name].Type())})
		}
	}
	return all
}

// isNeeded says whether a variable of a template surely needs a value.
func (v Variable) isNeeded() bool {
	own := v.Type().property()
	if own == "" || v.Type() == TypeVoiceover {
		return false
	}
	b, _ := v.MarshalJSON()
	var definition map[string]any
	if json.Unmarshal(b, &definition) != nil {
		return false
	}
	properties, ok := definition["properties"].(map[string]any)
	if !ok && definition["properties"] != nil {
		return false
	}
	for _, m := range []map[string]any{definition, properties} {
		if m["required"] == false || m["optional"] == true || !isBlank(m["default"]) {
			return false
		}
	}
	if value, ok := properties[own]; ok {
		return isBlank(value)
	}
	for _, value := range properties { // one may be the default, by a name that is not known
		if !isBlank(value) {
			return false
		}
	}
	return true
}

func isBlank(v any) bool { return v == nil || v == "" }

// suggestion is the name nearest to one that does not exist, if it may be a slip of it.
func (vs Variables) suggestion(name string) string {
	const longest, most = 64, 1000 // what is longer is no slip, and slow to compare; so are more
	if len(vs) > most {
		return ""
	}
	best, nearest := "", 3
	for _, known := range slices.Sorted(maps.Keys(vs)) {
		if max(len(known), len(name)) > longest {
			continue
		}
		if d := editDistance(strings.ToLower(name), strings.ToLower(known)); d < nearest && 2*d <= utf8.RuneCountInString(known) {
			best, nearest = known, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance counts the letters to insert, drop or replace.
func editDistance(from, to string) int {
	a, b := []rune(from), []rune(to)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

const (
	templatesPath = "/api/custom_templates/"
	maxTemplates  = 10_000 // in a list: each takes far more memory than the shortest JSON for one
)

// List returns all templates of the account, without their variables. It costs nothing. More than 10,000 are an error.
//
// API page: https://docs.creatify.ai/api-reference/custom-templates
func (s *TemplatesService) List(ctx context.Context) ([]Template, error) {
	if err := s.api.check(ctx); err != nil {
		return nil, err
	}
	call := transport.Call{Name: "list_templates", Path: templatesPath}
	response, err := s.api.get(ctx, call)
	if err != nil {
		return nil, err
	}
	list := bytes.TrimLeft(bytes.TrimPrefix(response.Body, []byte("\ufeff")), lenient.Space)
	if !json.Valid(list) || list[0] != '[' {
		return nil, unreadable(call, "the response is not a list")
	}
	templates := []Template{}
	for rest := bytes.TrimLeft(list[1:], lenient.Space); rest[0] != ']'; rest = bytes.TrimLeft(bytes.TrimPrefix(rest, []byte(",")), lenient.Space) {
		if len(templates) == maxTemplates {
			return nil, unreadable(call, "the response holds more than %d templates", maxTemplates)
		}
		var item []byte
		item, rest = lenient.CutValue(rest)
		template, err := decodeTemplate(item)
		if err != nil {
			return nil, unreadable(call, "item %d is not a template: %w", len(templates), err)
		}
		templates = append(templates, template)
	}
	return templates, nil
}

// Get returns a template with its variables. It costs nothing. An ID that the API does not know is [ErrNotFound].
//
// API page: https://docs.creatify.ai/api-reference/custom-templates
func (s *TemplatesService) Get(ctx context.Context, templateID string) (*Template, error) {
	if err := s.api.check(ctx, idProblems("template_id", templateID)...); err != nil {
		return nil, err
	}
	call := transport.Call{Name: "get_template", Path: templatesPath + url.PathEscape(templateID) + "/"}
	response, err := s.api.get(ctx, call)
	if err != nil {
		return nil, err
	}
	template, err := decodeTemplate(response.Body)
	if err != nil {
		return nil, unreadable(call, "the response is not a template: %w", err)
	}
	template.ID = cmp.Or(template.ID, templateID)
	return &template, nil
}

// decodeTemplate reads an object, whatever its members are.
func decodeTemplate(body []byte) (Template, error) {
	t := Template{raw: body}
	whole := lenient.Members(body, func(name []byte, v lenient.Value) {
		switch string(name) {
		case "template_id":
			t.ID = v.String()
		case "name":
			t.Name = v.String()
		case "preview":
			t.Preview = v.String()
		case "aspect_ratio":
			t.AspectRatio = v.String()
		case "created_at":
			t.CreatedAt = v.Time()
		case "updated_at":
			t.UpdatedAt = v.Time()
		case "variables":
			t.Variables = decodeVariables(v)
		}
	})
	if !whole {
		return Template{}, errors.New("it is not a JSON object")
	}
	return t, nil
}
