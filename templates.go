package creatify

import (
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
	Variables   Variables // by name; nil in a list, in an unknown form, or beyond 10,000

	raw []byte
}

// RawJSON returns a copy of the template's JSON, with fields that this version of the library does not know.
func (t *Template) RawJSON() json.RawMessage { return slices.Clone(t.raw) }

// Validate checks variables against those of the template, and their values as [JobParams.Validate] does. It returns one
// [*ValidationError] with all problems. Free. Since the API does not document how a template lists its variables, only
// what is surely wrong is refused: docs/variables.md has the rules.
func (t *Template) Validate(vars Variables) error {
	return validation(append(vars.problems(false), t.mismatches(vars)...))
}

// mismatches lists where variables do not fit those of the template. A template that has no variable with a type, such as
// one from a list, has them in an unknown form: the names may not be names.
func (t *Template) mismatches(vars Variables) []Problem {
	readable := false
	for _, definition := range t.Variables {
		readable = readable || definition.Type() != ""
	}
	if !readable {
		return nil
	}
	var all []Problem
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		definition, ok := t.Variables[name]
		switch want, got := definition.Type(), vars[name].Type(); {
		case name == "": // a problem already
		case !ok:
			all = append(all, Problem{variableField(name), "is not in the template" + t.suggestion(name)})
		case want != got && want.property() != "" && got.property() != "":
			all = append(all, Problem{variableField(name), fmt.Sprintf("is of type %q; the template has %q", got, want)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Variables)) {
		if _, ok := vars[name]; !ok && t.Variables[name].isNeeded() {
			all = append(all, Problem{variableField(name),
				fmt.Sprintf("is missing; the template has it with type %q and no default", t.Variables[name].Type())})
		}
	}
	return all
}

// isNeeded reports whether a template's variable surely needs a value: its type is known and can hold one, it has no default
// under any name, and nothing calls it optional.
func (v Variable) isNeeded() bool {
	own := v.Type().property()
	if own == "" || v.Type() == TypeVoiceover {
		return false
	}
	var definition map[string]any
	b, _ := v.MarshalJSON()
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
	for _, value := range properties { // any of them may be the default
		if !isBlank(value) {
			return false
		}
	}
	return true
}

func isBlank(v any) bool { return v == nil || v == "" }

// suggestion returns the name in the template that is nearest to a misspelt one, if it is near enough.
func (t *Template) suggestion(name string) string {
	const longest, most = 64, 1000 // comparing takes time proportional to both lengths and to the number of names
	if len(t.Variables) > most || len(name) > longest {
		return ""
	}
	best, nearest := "", 3
	for _, known := range slices.Sorted(maps.Keys(t.Variables)) {
		if len(known) > longest {
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

// editDistance counts the letters to insert, delete or replace.
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

const templatesPath = "/api/custom_templates/"

// List returns all templates of the account, without their variables. Free. More than 10,000 are an error.
//
// API page: https://docs.creatify.ai/api-reference/custom-templates
func (s *TemplatesService) List(ctx context.Context) ([]Template, error) {
	return readList(ctx, s.api, transport.Call{Name: "list_templates", Path: templatesPath}, decodeTemplate)
}

// readList makes a free call and decodes the items of the list in its response.
func readList[T any](ctx context.Context, api *api, call transport.Call, decode func(lenient.Value) (T, error)) ([]T, error) {
	if err := api.check(ctx); err != nil {
		return nil, err
	}
	response, err := api.get(ctx, call)
	if err != nil {
		return nil, err
	}
	items, ok := lenient.Items(response.Body)
	if !ok {
		return nil, unreadable(call, "the response is not a list")
	}
	all := []T{}
	for item := range items {
		if len(all) == lenient.MaxEntries {
			return nil, unreadable(call, "the response has more than %d items", lenient.MaxEntries)
		}
		decoded, err := decode(item)
		if err != nil {
			return nil, unreadable(call, "item %d of the response %w", len(all), err)
		}
		all = append(all, decoded)
	}
	return all, nil
}

// Get returns a template with its variables. Free. An ID that the API does not know is [ErrNotFound].
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
		return nil, unreadable(call, "the response %w", err)
	}
	template.ID = cmp.Or(template.ID, templateID)
	return &template, nil
}

var errNoObject = errors.New("is not a JSON object")

// decodeTemplate reads an object, whatever its members are. It keeps body.
func decodeTemplate(body lenient.Value) (Template, error) {
	t := Template{raw: lenient.Trim(body)}
	ended := lenient.Members(body, func(name []byte, v lenient.Value) {
		switch string(name) {
		case "template_id":
			t.ID = v.String()
		case "name":
			t.Name = v.String()
		case "preview":
			t.Preview = v.URL()
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
	if !ended {
		return Template{}, errNoObject
	}
	return t, nil
}
