package creatify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/creatify-community/creatify-go/internal/lenient"
	"github.com/creatify-community/creatify-go/internal/transport"
)

// TemplatesService reads the account's custom templates. It is [Client.Templates].
// API page: https://docs.creatify.ai/api-reference/custom-templates
type TemplatesService struct{ api *api }

// Template is a custom template. Null and absent values read as the zero value.
type Template struct {
	ID          string    // for JobParams.TemplateID
	Name        string    // for people
	Preview     string    // URL
	AspectRatio string    // as the API writes it
	CreatedAt   time.Time // by the server's clock
	UpdatedAt   time.Time // by the server's clock
	Variables   Variables // by name; nil in a list, in an unknown form, or beyond 10,000

	Raw json.RawMessage // with fields that are not documented
}

// Validate checks variables against those of the template, and their values as [JobParams.Validate] does. It
// returns one [*ValidationError] with all problems. Free. Since the API does not document how a template
// lists its variables, only what is surely wrong is refused: docs/variables.md has the rules.
func (t *Template) Validate(vars Variables) error {
	return validation(append(vars.problems(false), t.mismatches(vars)...))
}

// mismatches lists where variables do not fit those of the template. If no variable of the template has a
// type, as in a list, the names may be something else, so nothing is compared.
func (t *Template) mismatches(vars Variables) []Problem {
	names := slices.Sorted(maps.Keys(t.Variables))
	if !slices.ContainsFunc(names, func(name string) bool { return t.Variables[name].kind != "" }) {
		return nil
	}
	var all problemList
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		definition, ok := t.Variables[name]
		switch want, got := definition.kind, vars[name].kind; {
		case name == "": // a problem already
		case !ok:
			all.refuse(variableField(name), "is not in the template, whose variables are %.100q", names[:min(len(names), 10)])
		case want != got && properties[want] != "" && properties[got] != "":
			all.refuse(variableField(name), "is of type %q; the template has %q", got, want)
		}
	}
	for _, name := range names {
		_, given := vars[name]
		all.require(given || !t.Variables[name].isNeeded(), variableField(name),
			"is missing; the template has it with type %q and no default", t.Variables[name].kind)
	}
	return all
}

// isNeeded reports whether a template's variable surely needs a value: it has a known type other than
// voiceover, is not optional, and has no default. Any property with a value counts as a default.
func (v Variable) isNeeded() bool {
	if properties[v.kind] == "" || v.kind == TypeVoiceover {
		return false
	}
	definition, _ := v.MarshalJSON()
	var required, optional, fallback, inside lenient.Value
	err := lenient.Read(definition, lenient.Fields{"required": &required, "optional": &optional, "default": &fallback,
		"properties": &inside})
	filled := err != nil || required.Text() == "false" || optional.Text() == "true" || fallback.Text() != ""
	ended := lenient.Members(inside, func(_ []byte, v lenient.Value) { filled = filled || v.Text() != "" })
	return !filled && (ended || inside.IsNull())
}

const templatesPath = "/api/custom_templates/"

// List returns the account's templates, without their variables. Free. Of a paginated response it returns the
// first page. More than 10,000 are an error.
func (s *TemplatesService) List(ctx context.Context) ([]Template, error) {
	return readList(ctx, s.api, transport.Call{Name: "list_templates", Path: templatesPath}, (*Template).read)
}

// Get returns a template with its variables. Free. An ID that the API does not know is [ErrNotFound].
func (s *TemplatesService) Get(ctx context.Context, templateID string) (*Template, error) {
	call := transport.Call{Name: "get_template", Path: templatesPath + url.PathEscape(templateID) + "/"}
	response, err := s.api.get(ctx, call, idProblems("template_id", templateID)...)
	if err != nil {
		return nil, err
	}
	template := new(Template)
	if err := template.read(response.Body); err != nil {
		return nil, unreadable(call, "the response %w", err)
	}
	template.ID = cmp.Or(template.ID, templateID)
	return template, nil
}

// read reads an object, whatever its members are. It keeps body.
func (t *Template) read(body lenient.Value) error {
	t.Raw = json.RawMessage(lenient.Trim(body))
	return lenient.Read(body, lenient.Fields{"template_id": &t.ID, "name": &t.Name, "preview": &t.Preview,
		"aspect_ratio": &t.AspectRatio, "created_at": &t.CreatedAt, "updated_at": &t.UpdatedAt,
		"variables": func(v lenient.Value) { t.Variables = decodeVariables(v) }})
}

// WithTemplateCheck compares the variables of each create with the template before anything is charged. It
// refuses what [Template.Validate] refuses, such as a misspelled text variable, which the API would render
// blank. The template is read (free) at most once per maxAge, and once more before a refusal. If it cannot be
// read within 10 s, a warning is logged, and creates are not checked for up to a minute. At most 1,000
// templates are kept.
func WithTemplateCheck(maxAge time.Duration) Option {
	return func(c *config) {
		c.require(maxAge > 0, "WithTemplateCheck", "must be above zero, not %v", maxAge)
		c.templates = &templateReads{maxAge: maxAge, latest: make(map[string]chan templateRead)}
	}
}

// templateReads holds the latest read of each template, by ID. Creates of the same template take turns.
type templateReads struct {
	maxAge time.Duration

	mu     sync.Mutex
	latest map[string]chan templateRead
}

// templateRead is the result of reading a template. The zero value is due at once.
type templateRead struct {
	template         Template // without variables if it could not be read
	begun, goodUntil time.Time
}

// of returns the channel that holds the latest read of a template.
func (r *templateReads) of(id string) chan templateRead {
	r.mu.Lock()
	defer r.mu.Unlock()
	id = foldID(id)
	if r.latest[id] == nil {
		if len(r.latest) >= 1000 {
			clear(r.latest)
		}
		r.latest[id] = make(chan templateRead, 1)
		r.latest[id] <- templateRead{}
	}
	return r.latest[id]
}

// checkTemplate refuses checked parameters that do not fit their template.
func (a *api) checkTemplate(ctx context.Context, params JobParams) error {
	if a.templates == nil {
		return nil
	}
	start, latest := time.Now(), a.templates.of(params.TemplateID)
	var read templateRead
	select {
	case read = <-latest:
		defer func() { latest <- read }()
	case <-ctx.Done(): // which ends the create as well
		return nil
	}
	if time.Now().Before(read.goodUntil) {
		problems := read.template.mismatches(params.Variables)
		if len(problems) == 0 || read.begun.After(start) { // otherwise the template may have changed
			return validation(problems)
		}
	}
	read = a.readTemplate(ctx, params.TemplateID)
	return validation(read.template.mismatches(params.Variables))
}

// readTemplate reads a template, and keeps its variables alone.
func (a *api) readTemplate(ctx context.Context, id string) templateRead {
	read := templateRead{begun: time.Now()}
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	template, err := (&TemplatesService{a}).Get(limited, id)
	if err == nil && !sameID(template.ID, id) {
		err = errors.New("the response is about another template")
	}
	switch {
	case err == nil:
		read.template.Variables = template.Variables
		read.goodUntil = read.begun.Add(a.templates.maxAge)
	case ctx.Err() == nil: // otherwise the create has ended, and the next one reads
		read.goodUntil = read.begun.Add(min(a.templates.maxAge, time.Minute))
		a.Logger.LogAttrs(ctx, slog.LevelWarn, "creatify: template not checked",
			slog.String("call", "get_template"), slog.String("template_id", id), slog.String("reason", Reason(err)))
	}
	return read
}
