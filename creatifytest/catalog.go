package creatifytest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Template is a custom template of the account.
type Template struct {
	ID          string            // a UUID
	Name        string            // for people
	AspectRatio string            // such as "9x16"; "" shows as null
	Variables   map[string]string // the type of each variable, such as "text", by the variable's name
}

// Persona is an avatar of the account. Empty fields show as null.
type Persona struct {
	ID          string // a UUID, for the avatar_id of a variable
	CreatorName string
	Gender      string
	AgeRange    string
	Location    string
	Style       string
}

// Voice is a voice of the account.
type Voice struct {
	Name    string
	Gender  string // "" shows as null
	Accents []Accent
}

// Accent is one of the ways in which a [Voice] speaks.
type Accent struct {
	ID   string // a UUID, for the voice_id of a variable
	Name string
}

func demoTemplates() []Template {
	return []Template{{
		ID:          TemplateID,
		Name:        "Demo",
		AspectRatio: "9x16",
		Variables:   map[string]string{"headline": "text", "photo": "image"},
	}}
}

func demoPersonas() []Persona {
	return []Persona{{ID: PersonaID, CreatorName: "Robin", Gender: "female", AgeRange: "adult", Location: "indoor", Style: "presenter"}}
}

func demoVoices() []Voice {
	return []Voice{{Name: "Robin", Gender: "female", Accents: []Accent{{ID: AccentID, Name: "American"}}}}
}

// shownTemplate is a template as responses show it: https://docs.creatify.ai/api-reference/custom-templates.
type shownTemplate struct {
	TemplateID  string                   `json:"template_id"`
	Name        string                   `json:"name"`
	Preview     string                   `json:"preview"`
	AspectRatio *string                  `json:"aspect_ratio"`
	CreatedAt   string                   `json:"created_at"`
	UpdatedAt   string                   `json:"updated_at"`
	Variables   map[string]shownVariable `json:"variables,omitzero"`
}

type shownVariable struct {
	Type       string   `json:"type"`
	Properties struct{} `json:"properties"`
}

// templateDate is when all templates were made.
const templateDate = "2026-01-02T03:04:05.678901-08:00"

// show returns the template without its variables.
func (t *Template) show() shownTemplate {
	return shownTemplate{
		TemplateID:  t.ID,
		Name:        t.Name,
		Preview:     filesURL + "templates/" + t.ID + ".mp4",
		AspectRatio: orNull(t.AspectRatio),
		CreatedAt:   templateDate,
		UpdatedAt:   templateDate,
	}
}

func (a *API) listTemplates() response {
	return listResponse(a.config.Templates, (*Template).show)
}

// listResponse shows each item, and no items as an empty list.
func listResponse[Item, Shown any](items []Item, show func(*Item) Shown) response {
	shown := make([]Shown, len(items))
	for i := range items {
		shown[i] = show(&items[i])
	}
	return jsonResponse(http.StatusOK, shown)
}

func (a *API) getTemplate(id string) response {
	template := a.template(id)
	if template == nil {
		return detail(http.StatusNotFound, "No CustomTemplate matches the given query.")
	}
	shown := template.show()
	shown.Variables = make(map[string]shownVariable, len(template.Variables))
	for name, kind := range template.Variables {
		shown.Variables[name] = shownVariable{Type: kind}
	}
	return jsonResponse(http.StatusOK, shown)
}

// template returns nil for an unknown ID.
func (a *API) template(id string) *Template {
	for i := range a.config.Templates {
		if strings.EqualFold(a.config.Templates[i].ID, id) {
			return &a.config.Templates[i]
		}
	}
	return nil
}

// refuseVariables returns the response that refuses a job whose variables do not fit its template, or nil if
// they fit or are not checked.
func (a *API) refuseVariables(request Request) *response {
	if !a.config.StrictTemplates {
		return nil
	}
	template := a.template(request.TemplateID)
	if template == nil {
		return new(jsonResponse(http.StatusBadRequest, map[string][]string{
			"template_id": {fmt.Sprintf("Invalid pk %q - object does not exist.", request.TemplateID)},
		}))
	}
	if wrong := template.problems(request.Variables); len(wrong) > 0 {
		return new(jsonResponse(http.StatusBadRequest, map[string][]string{"variables": wrong}))
	}
	return nil
}

// problems returns how the variables do not fit the template.
func (t *Template) problems(variables json.RawMessage) []string {
	var given map[string]struct {
		Type any `json:"type"`
	}
	if err := json.Unmarshal(variables, &given); err != nil {
		return []string{"Expected a dictionary of dictionaries."}
	}
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if kind, ok := t.Variables[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("Variable %q is not in the template.", name))
		} else if given[name].Type != kind {
			wrong = append(wrong, fmt.Sprintf("Variable %q must be of type %q.", name, kind))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Variables)) {
		if _, ok := given[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("Variable %q is required.", name))
		}
	}
	return wrong
}

type shownPersona struct {
	ID          string  `json:"id"`
	CreatorName *string `json:"creator_name"`
	Gender      *string `json:"gender"`
	AgeRange    *string `json:"age_range"`
	Location    *string `json:"location"`
	Style       *string `json:"style"`
}

func (a *API) listPersonas() response {
	return listResponse(a.config.Personas, func(p *Persona) shownPersona {
		return shownPersona{
			ID:          p.ID,
			CreatorName: orNull(p.CreatorName),
			Gender:      orNull(p.Gender),
			AgeRange:    orNull(p.AgeRange),
			Location:    orNull(p.Location),
			Style:       orNull(p.Style),
		}
	})
}

type shownVoice struct {
	Name    string        `json:"name"`
	Gender  *string       `json:"gender"`
	Accents []shownAccent `json:"accents"`
}

type shownAccent struct {
	ID         string `json:"id"`
	AccentName string `json:"accent_name"`
	PreviewURL string `json:"preview_url"`
}

func (a *API) listVoices() response {
	return listResponse(a.config.Voices, func(v *Voice) shownVoice {
		shown := shownVoice{Name: v.Name, Gender: orNull(v.Gender), Accents: make([]shownAccent, len(v.Accents))}
		for i, accent := range v.Accents {
			shown.Accents[i] = shownAccent{accent.ID, accent.Name, filesURL + "voices/" + accent.ID + ".mp3"}
		}
		return shown
	})
}
