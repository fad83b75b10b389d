package creatify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/creatify-community/creatify-go/internal/lenient"
	"github.com/creatify-community/creatify-go/internal/transport"
)

// PersonasService lists the avatars that the account may use. It is [Client.Personas].
type PersonasService struct {
	api *api
}

// Persona is a person who can speak in a video. Null and absent values read as "".
type Persona struct {
	ID          string // for Avatar
	CreatorName string
	Gender      string
	AgeRange    string
	Location    string
	Style       string

	raw []byte
}

// RawJSON returns a copy of the persona's JSON, with fields that are not documented, such as preview images.
func (p *Persona) RawJSON() json.RawMessage { return slices.Clone(p.raw) }

// List returns the personas. Free. Of a paginated response it returns the first page. More than 10,000 are an error.
//
// API page: https://docs.creatify.ai/api-reference/personas
func (s *PersonasService) List(ctx context.Context) ([]Persona, error) {
	return readList(ctx, s.api, transport.Call{Name: "list_personas", Path: "/api/personas/"}, decodePersona)
}

func decodePersona(body lenient.Value) (Persona, error) {
	p := Persona{raw: body}
	ended := lenient.Members(body, func(name []byte, v lenient.Value) {
		switch string(name) {
		case "id":
			p.ID = v.String()
		case "creator_name":
			p.CreatorName = v.String()
		case "gender":
			p.Gender = v.String()
		case "age_range":
			p.AgeRange = v.String()
		case "location":
			p.Location = v.String()
		case "style":
			p.Style = v.String()
		}
	})
	if !ended {
		return Persona{}, errNoObject
	}
	return p, nil
}

// VoicesService lists the voices that the account may use. It is [Client.Voices].
type VoicesService struct {
	api *api
}

// Voice is a speaker with one or more accents. Null and absent values read as the zero value.
type Voice struct {
	Name    string
	Gender  string
	Accents []Accent

	raw []byte
}

// Accent is one way in which a voice speaks.
type Accent struct {
	ID         string // for Voiceover
	Name       string
	PreviewURL string // a sample of the sound
}

// RawJSON returns a copy of the voice's JSON, with fields that are not documented.
func (v *Voice) RawJSON() json.RawMessage { return slices.Clone(v.raw) }

// List returns the voices. Free. Of a paginated response it returns the first page. More than 10,000 voices, or more than
// 10,000 accents in all, are an error.
//
// API page: https://docs.creatify.ai/api-reference/voices
func (s *VoicesService) List(ctx context.Context) ([]Voice, error) {
	accents := 0
	call := transport.Call{Name: "list_voices", Path: "/api/voices/"}
	return readList(ctx, s.api, call, func(body lenient.Value) (Voice, error) {
		voice, err := decodeVoice(body)
		if accents += len(voice.Accents); accents > lenient.MaxEntries {
			err = fmt.Errorf("brings the accents to more than %d", lenient.MaxEntries)
		}
		return voice, err
	})
}

func decodeVoice(body lenient.Value) (Voice, error) {
	voice := Voice{raw: body}
	ended := lenient.Members(body, func(name []byte, v lenient.Value) {
		switch string(name) {
		case "name":
			voice.Name = v.String()
		case "gender":
			voice.Gender = v.String()
		case "accents":
			voice.Accents = decodeAccents(v)
		}
	})
	if !ended {
		return Voice{}, errNoObject
	}
	return voice, nil
}

// decodeAccents skips items that are not objects, and stops when there are too many.
func decodeAccents(list lenient.Value) (accents []Accent) {
	items, ok := lenient.Items(list)
	if !ok {
		return nil
	}
	for item := range items {
		var a Accent
		ended := lenient.Members(item, func(name []byte, v lenient.Value) {
			switch string(name) {
			case "id":
				a.ID = v.String()
			case "accent_name":
				a.Name = v.String()
			case "preview_url":
				a.PreviewURL = v.URL()
			}
		})
		if ended {
			accents = append(accents, a)
		}
		if len(accents) > lenient.MaxEntries {
			break
		}
	}
	return accents
}

var errNoObject = errors.New("is not a JSON object")

// readList makes a free call and decodes each item of the list in its response. The list may also be the results of a page.
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
		lenient.Members(response.Body, func(name []byte, v lenient.Value) {
			if string(name) == "results" {
				items, ok = lenient.Items(v)
			}
		})
	}
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
