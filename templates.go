package creatify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// TemplatesService reads the account's custom templates. It is [Client.Templates].
type TemplatesService struct {
	api *api
}

// Template is a custom template. Null and absent values read as the zero value.
//
// API page: https://docs.creatify.ai/api-reference/custom-templates
type Template struct {
	ID          string
	Name        string
	Preview     string // URL
	AspectRatio string
	CreatedAt   time.Time
	UpdatedAt   time.Time
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

const templatesPath = "/api/custom_templates/"

// List returns all templates of the account, without their variables. It costs nothing.
//
// API page: https://docs.creatify.ai/api-reference/custom-templates
func (s *TemplatesService) List(ctx context.Context) ([]Template, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	body, err := s.api.get(ctx, templatesPath, false)
	if err != nil {
		return nil, err
	}
	var items []json.RawMessage
	if err := json.Unmarshal(body, &items); err != nil {
		return nil, fmt.Errorf("creatify: GET %s: the reply is not a list: %w", templatesPath, err)
	} else if items == nil {
		return nil, fmt.Errorf("creatify: GET %s: the reply is not a list but null", templatesPath)
	}
	templates := make([]Template, len(items))
	for i, item := range items {
		if templates[i], err = decodeTemplate(item); err != nil {
			return nil, fmt.Errorf("creatify: GET %s: item %d is not a template: %w", templatesPath, i, err)
		}
	}
	return templates, nil
}

// Get returns a template with its variables. It costs nothing. An ID that the API does not know is [ErrNotFound].
//
// API page: https://docs.creatify.ai/api-reference/custom-templates
func (s *TemplatesService) Get(ctx context.Context, templateID string) (*Template, error) {
	if err := s.check(ctx, idProblems("template_id", templateID)...); err != nil {
		return nil, err
	}
	path := templatesPath + url.PathEscape(templateID) + "/"
	body, err := s.api.get(ctx, path, false)
	if err != nil {
		return nil, err
	}
	template, err := decodeTemplate(body)
	if err != nil {
		return nil, fmt.Errorf("creatify: GET %s: the reply is not a template: %w", path, err)
	}
	template.ID = cmp.Or(template.ID, templateID)
	return &template, nil
}

func (s *TemplatesService) check(ctx context.Context, problems ...Problem) error {
	if s == nil {
		s = new(TemplatesService)
	}
	return s.api.check(ctx, problems...)
}

// decodeTemplate reads an object, whatever its members are.
func decodeTemplate(body []byte) (Template, error) {
	t := Template{raw: body}
	whole := members(body, func(name []byte, v value) {
		switch string(name) {
		case "template_id":
			t.ID = v.string()
		case "name":
			t.Name = v.string()
		case "preview":
			t.Preview = v.string()
		case "aspect_ratio":
			t.AspectRatio = v.string()
		case "created_at":
			t.CreatedAt = v.time()
		case "updated_at":
			t.UpdatedAt = v.time()
		case "variables":
			t.Variables = v.variables()
		}
	})
	if !whole {
		return Template{}, errors.New("it is not a JSON object")
	}
	return t, nil
}
