package creatify

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/creatify-community/creatify-go/internal/lenient"
	"github.com/creatify-community/creatify-go/internal/transport"
)

// PersonasService lists the avatars that the account may use. It is [Client.Personas].
type PersonasService struct{ api *api }

// Persona is a person who can speak in a video. Null and absent values read as "".
type Persona struct {
	ID          string // for Avatar
	CreatorName string
	Gender      string
	AgeRange    string
	Location    string
	Style       string

	Raw json.RawMessage // with fields that are not documented, such as preview images
}

// List returns the personas. Free. Of a paginated response it returns the first page. More than 10,000 are an
// error. API page: https://docs.creatify.ai/api-reference/personas
func (s *PersonasService) List(ctx context.Context) ([]Persona, error) {
	call := transport.Call{Name: "list_personas", Path: "/api/personas/"}
	return readList(ctx, s.api, call, func(p *Persona, body lenient.Value) error {
		p.Raw = json.RawMessage(body)
		return lenient.Read(body, lenient.Fields{"id": &p.ID, "creator_name": &p.CreatorName, "gender": &p.Gender,
			"age_range": &p.AgeRange, "location": &p.Location, "style": &p.Style})
	})
}

// VoicesService lists the voices that the account may use. It is [Client.Voices].
type VoicesService struct{ api *api }

// Voice is a speaker with one or more accents. Null and absent values read as the zero value.
type Voice struct {
	Name    string
	Gender  string
	Accents []Accent

	Raw json.RawMessage // with fields that are not documented
}

// Accent is one way in which a voice speaks.
type Accent struct {
	ID         string // for Voiceover
	Name       string
	PreviewURL string // a sample of the sound
}

// List returns the voices. Free. Of a paginated response it returns the first page. More than 10,000 voices,
// or more than 10,000 accents in all, are an error. API page: https://docs.creatify.ai/api-reference/voices
func (s *VoicesService) List(ctx context.Context) ([]Voice, error) {
	call := transport.Call{Name: "list_voices", Path: "/api/voices/"}
	accents := 0
	return readList(ctx, s.api, call, func(voice *Voice, body lenient.Value) error {
		var list lenient.Value
		voice.Raw = json.RawMessage(body)
		err := lenient.Read(body, lenient.Fields{"name": &voice.Name, "gender": &voice.Gender, "accents": &list})
		items, _ := lenient.Items(list)
		for _, item := range items {
			var a Accent
			if lenient.Read(item, lenient.Fields{"id": &a.ID, "accent_name": &a.Name, "preview_url": &a.PreviewURL}) != nil {
				continue
			}
			if accents++; accents > lenient.MaxEntries {
				return fmt.Errorf("brings the accents to more than %d", lenient.MaxEntries)
			}
			voice.Accents = append(voice.Accents, a)
		}
		return err
	})
}

// readList makes a free call and reads each item of the list, or of the page's results, in its response.
func readList[T any](ctx context.Context, a *api, call transport.Call, read func(*T, lenient.Value) error) (
	[]T, error) {
	response, err := a.get(ctx, call)
	if err != nil {
		return nil, err
	}
	list := lenient.Value(response.Body)
	_ = lenient.Read(response.Body, lenient.Fields{"results": &list}) // none, unless it is a page
	items, ok := lenient.Items(list)
	switch {
	case !ok:
		return nil, unreadable(call, "the response is not a list")
	case len(items) > lenient.MaxEntries:
		return nil, unreadable(call, "the response has more than %d items", lenient.MaxEntries)
	}
	all := make([]T, len(items))
	for i, item := range items {
		if err := read(&all[i], item); err != nil {
			return nil, unreadable(call, "item %d of the response %w", i, err)
		}
	}
	return all, nil
}
