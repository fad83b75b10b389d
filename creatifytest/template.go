package creatifytest

import "net/http"

// Template is a custom template of the account.
type Template struct {
	ID          string // a UUID
	Name        string
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
