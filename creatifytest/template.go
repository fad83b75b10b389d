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

func demoTemplates() []Template {
	return []Template{{
		ID:          TemplateID,
		Name:        "Demo",
		AspectRatio: "9x16",
		Variables:   map[string]string{"headline": "text", "photo": "image"},
	}}
}

// templateReply is a template as replies show it:
// https://docs.creatify.ai/api-reference/custom-templates
type templateReply struct {
	TemplateID  string                   `json:"template_id"`
	Name        string                   `json:"name"`
	Preview     string                   `json:"preview"`
	AspectRatio *string                  `json:"aspect_ratio"`
	CreatedAt   string                   `json:"created_at"`
	UpdatedAt   string                   `json:"updated_at"`
	Variables   map[string]variableReply `json:"variables,omitzero"`
}

type variableReply struct {
	Type       string   `json:"type"`
	Properties struct{} `json:"properties"`
}

// templateDate is when all templates were made.
const templateDate = "2026-01-02T03:04:05.678901-08:00"

// show returns the template without its variables.
func (t *Template) show() templateReply {
	return templateReply{
		TemplateID:  t.ID,
		Name:        t.Name,
		Preview:     filesURL + "templates/" + t.ID + ".mp4",
		AspectRatio: orNull(t.AspectRatio),
		CreatedAt:   templateDate,
		UpdatedAt:   templateDate,
	}
}

func (a *API) listTemplates() reply {
	shown := make([]templateReply, len(a.config.Templates)) // not nil, which would show as null
	for i := range a.config.Templates {
		shown[i] = a.config.Templates[i].show()
	}
	return jsonReply(http.StatusOK, shown)
}

func (a *API) getTemplate(id string) reply {
	for i := range a.config.Templates {
		template := &a.config.Templates[i]
		if template.ID != id {
			continue
		}
		shown := template.show()
		shown.Variables = make(map[string]variableReply, len(template.Variables))
		for name, kind := range template.Variables {
			shown.Variables[name] = variableReply{Type: kind}
		}
		return jsonReply(http.StatusOK, shown)
	}
	return detail(http.StatusNotFound, "No CustomTemplate matches the given query.")
}

// refuseVariables returns the reply that refuses a job whose variables are not
// those of its template, nil if they are or nobody looks.
func (a *API) refuseVariables(request jobRequest) *reply {
	if !a.config.StrictTemplates {
		return nil
	}
	i := slices.IndexFunc(a.config.Templates, func(t Template) bool { return strings.EqualFold(t.ID, request.templateID) })
	if i < 0 {
		refusal := jsonReply(http.StatusBadRequest, map[string][]string{
			"template_id": {fmt.Sprintf("Invalid pk %q - object does not exist.", request.templateID)},
		})
		return &refusal
	}
	want := a.config.Templates[i].Variables
	var given map[string]struct {
		Type any `json:"type"`
	}
	var wrong []string
	if err := json.Unmarshal(request.variables, &given); err != nil {
		wrong = append(wrong, "Expected a dictionary of dictionaries.")
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if kind, ok := want[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("Variable %q is not in the template.", name))
		} else if given[name].Type != kind {
			wrong = append(wrong, fmt.Sprintf("Variable %q must be of type %q.", name, kind))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, ok := given[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("Variable %q is required.", name))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	refusal := jsonReply(http.StatusBadRequest, map[string][]string{"variables": wrong})
	return &refusal
}
