package creatify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
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

// Validate checks variables against those of the template, and their values as [JobParams.Validate] does. It
// returns one [*ValidationError] with all problems. Free. Since the API does not document how a template
// lists its variables, only what is surely wrong is refused: docs/variables.md has the rules.
func (t *Template) Validate(vars Variables) error {
	return validation(append(vars.problems(false), t.mismatches(vars)...))
}

// mismatches lists where variables do not fit those of the template. A template that has no variable with a
// type, such as one from a list, has them in an unknown form: the names may not be names.
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

// isNeeded reports whether a template's variable surely needs a value: its type is known and can hold one, it
// has no default under any name, and nothing calls it optional.
func (v Variable) isNeeded() bool {
	definition, _ := v.MarshalJSON()
	kind, properties := readRaw(definition)
	if kind.property() == "" || kind == TypeVoiceover || !properties.IsNull() && !properties.IsObject() {
		return false
	}
	own, _ := property(properties, kind.property())
	needed := isBlank(own)
	read := func(name []byte, v lenient.Value) {
		switch string(name) {
		case "required":
			needed = needed && v.Text() != "false"
		case "optional":
			needed = needed && !v.Bool()
		case "default":
			needed = needed && isBlank(v)
		}
	}
	ended := lenient.Members(definition, read)
	lenient.Members(properties, func(name []byte, v lenient.Value) {
		read(name, v)
		needed = needed && (own != nil || isBlank(v)) // without its own property, any may be the default
	})
	return needed && ended
}

func isBlank(v lenient.Value) bool { return v.IsNull() || string(v) == `""` }

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

// List returns the account's templates, without their variables. Free. Of a paginated response it returns the
// first page. More than 10,000 are an error.
//
// API page: https://docs.creatify.ai/api-reference/custom-templates
func (s *TemplatesService) List(ctx context.Context) ([]Template, error) {
	return readList(ctx, s.api, transport.Call{Name: "list_templates", Path: templatesPath}, decodeTemplate)
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

// WithTemplateCheck compares the variables of each create with the template before anything is charged. What
// [Template.Validate] refuses is a [*ValidationError], such as a misspelt text variable, which the API would
// render blank. The template is read, free of charge, at most once per maxAge, and once more before a refusal.
//
// One that cannot be read within 10 s stops nothing: a warning is logged, and a minute later the next create
// tries again. At most 1,000 templates are kept.
func WithTemplateCheck(maxAge time.Duration) Option {
	return func(c *config) {
		if maxAge <= 0 {
			c.refuse("WithTemplateCheck", "must be above zero, not %v", maxAge)
		}
		c.templates = &templateReads{maxAge: maxAge, latest: make(map[string]*templateRead)}
	}
}

const (
	maxTemplateReads    = 1000
	templateReadTimeout = 10 * time.Second
	templateRetryAfter  = time.Minute
)

// templateReads holds the latest read of each template, by ID. Creates that need one read share it.
type templateReads struct {
	maxAge time.Duration

	mu     sync.Mutex
	latest map[string]*templateRead
}

type templateRead struct {
	begun    time.Time
	done     chan struct{} // closed when the other fields are set
	template *Template     // empty if it could not be read
	err      error
	gaveUp   bool // the create that read it ended first
}

// checkTemplate refuses checked parameters that do not fit their template.
func (a *api) checkTemplate(ctx context.Context, params JobParams) error {
	if a.templates == nil {
		return nil
	}
	read, own := a.readTemplate(ctx, params.TemplateID, nil)
	problems := read.template.mismatches(params.Variables)
	if len(problems) > 0 && !own { // the template may have changed
		read, _ = a.readTemplate(ctx, params.TemplateID, read)
		problems = read.template.mismatches(params.Variables)
	}
	return validation(problems)
}

// readTemplate returns the latest read of a template unless it is outdated, and reports whether it was made
// for this call.
func (a *api) readTemplate(ctx context.Context, id string, outdated *templateRead) (read *templateRead, own bool) {
	for {
		read, own = a.templates.join(id, outdated, time.Now())
		if own {
			a.fillTemplate(ctx, id, read)
			return read, true
		}
		select {
		case <-read.done:
			if !read.gaveUp {
				return read, false
			}
		case <-ctx.Done(): // which the create will find, too
			return &templateRead{template: new(Template)}, false
		}
	}
}

// join returns the latest read if it is good enough, be it under way, or else a new one for the caller to make.
func (r *templateReads) join(id string, outdated *templateRead, now time.Time) (read *templateRead, own bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id = foldID(id)
	if read := r.latest[id]; read != nil && read != outdated && read.isGood(now, r.maxAge) {
		return read, false
	}
	if r.latest[id] == nil && len(r.latest) >= maxTemplateReads {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(r.latest)), func(a, b string) int {
			return r.latest[a].begun.Compare(r.latest[b].begun)
		})
		delete(r.latest, oldest) // whoever waits for it still has it
	}
	read = &templateRead{begun: now, done: make(chan struct{}), template: new(Template), gaveUp: true}
	r.latest[id] = read
	return read, true
}

// isGood reports whether a read is under way or has a result that is not too old.
func (r *templateRead) isGood(now time.Time, maxAge time.Duration) bool {
	select {
	case <-r.done:
	default:
		return true
	}
	if r.err != nil {
		maxAge = min(maxAge, templateRetryAfter)
	}
	return !r.gaveUp && now.Sub(r.begun) < maxAge
}

// fillTemplate reads the template, and keeps its variables alone.
func (a *api) fillTemplate(ctx context.Context, id string, read *templateRead) {
	defer close(read.done)
	limited, cancel := context.WithTimeout(ctx, templateReadTimeout)
	defer cancel()
	template, err := (&TemplatesService{a}).Get(limited, id)
	if err == nil && !sameID(template.ID, id) {
		err = errors.New("the response is about another template")
	}
	read.err, read.gaveUp = err, err != nil && ctx.Err() != nil
	if err == nil {
		read.template = &Template{Variables: template.Variables}
	} else if !read.gaveUp {
		a.logger.LogAttrs(ctx, slog.LevelWarn, "creatify: template not checked",
			slog.String("template_id", id), slog.String("reason", Reason(err)))
	}
}
