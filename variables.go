package creatify

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// Variables fills a template: the value of each of its variables, by name.
type Variables map[string]Variable

// Variable is the value of one variable of a template. Make it with [Text], [Image], [Video], [Audio], [Avatar],
// [Voiceover] or [RawVariable]; the zero value is none of them and is refused.
type Variable struct {
	kind  VariableType
	value string
	raw   json.RawMessage // set instead of the others by RawVariable and by replies
}

// VariableType says what a variable holds.
type VariableType string

// The known types. The API documents none of them; two independent clients agree on these.
const (
	TypeText      VariableType = "text"
	TypeImage     VariableType = "image"
	TypeVideo     VariableType = "video"
	TypeAudio     VariableType = "audio"
	TypeAvatar    VariableType = "avatar"
	TypeVoiceover VariableType = "voiceover"
)

// Text is a piece of text, possibly empty.
func Text(content string) Variable { return Variable{kind: TypeText, value: content} }

// Image is a picture at an absolute http or https URL, which Creatify's servers must be able to fetch.
func Image(url string) Variable { return Variable{kind: TypeImage, value: url} }

// Video is a video at an absolute http or https URL, which Creatify's servers must be able to fetch.
func Video(url string) Variable { return Variable{kind: TypeVideo, value: url} }

// Audio is a sound or a piece of music at an absolute http or https URL, which Creatify's servers must be able to fetch.
func Audio(url string) Variable { return Variable{kind: TypeAudio, value: url} }

// Avatar is a person who speaks, by the ID of a persona.
func Avatar(avatarID string) Variable { return Variable{kind: TypeAvatar, value: avatarID} }

// Voiceover is a voice, by the ID of an accent. An empty ID leaves the choice to the template.
func Voiceover(voiceID string) Variable { return Variable{kind: TypeVoiceover, value: voiceID} }

// RawVariable is a variable as JSON, for what this version of the library does not know. It is sent as it is.
func RawVariable(raw json.RawMessage) Variable {
	return Variable{raw: append(json.RawMessage{}, raw...)}
}

// property names the property that holds the value of a variable of each type.
func (t VariableType) property() string {
	switch t {
	case TypeText:
		return "content"
	case TypeImage, TypeVideo, TypeAudio:
		return "url"
	case TypeAvatar:
		return "avatar_id"
	case TypeVoiceover:
		return "voice_id"
	}
	return ""
}

type wireVariable struct {
	Type       VariableType   `json:"type"`
	Properties map[string]any `json:"properties"`
}

// Type says what the variable holds; it is empty where that cannot be told.
func (v Variable) Type() VariableType {
	kind, _, _ := v.read()
	return kind
}

// Value is the text, the URL or the ID that the variable holds; it is empty where that cannot be told.
func (v Variable) Value() string {
	_, value, _ := v.read()
	return value
}

// read says also whether there is a value, which may be empty. A voiceover may go without.
func (v Variable) read() (kind VariableType, value string, ok bool) {
	if v.raw == nil {
		return v.kind, v.value, v.kind != ""
	}
	var w wireVariable
	if json.Unmarshal(v.raw, &w) != nil {
		return w.Type, "", false
	}
	property := w.Properties[w.Type.property()]
	value, ok = property.(string)
	return w.Type, value, ok || property == nil && w.Type == TypeVoiceover
}

// MarshalJSON writes the variable in the API's form.
func (v Variable) MarshalJSON() ([]byte, error) {
	if v.raw != nil {
		return v.raw, nil
	}
	w := wireVariable{Type: v.kind, Properties: map[string]any{}}
	if v.value != "" || v.kind != TypeVoiceover {
		w.Properties[v.kind.property()] = v.value
	}
	return json.Marshal(w)
}

// UnmarshalJSON keeps the JSON, whatever it is.
func (v *Variable) UnmarshalJSON(b []byte) error {
	*v = RawVariable(b)
	return nil
}

func (vs Variables) problems() []Problem {
	var all []Problem
	for _, name := range slices.Sorted(maps.Keys(vs)) {
		if name == "" {
			all = append(all, Problem{"variables", "one has no name"})
		}
		if !utf8.ValidString(name) { // JSON would make the same of all such names
			all = append(all, Problem{fmt.Sprintf("variables.%q", name), "its name is not valid UTF-8"})
		}
		if problem := vs[name].problem(); problem != "" {
			all = append(all, Problem{"variables." + name, problem})
		}
	}
	return all
}

func (v Variable) problem() string {
	switch {
	case v.raw != nil:
		if !json.Valid(v.raw) || !utf8.Valid(v.raw) {
			return "is not valid JSON"
		}
	case v.kind == "":
		return "has no value; use Text, Image, Video, Audio, Avatar, Voiceover or RawVariable"
	case v.kind.property() == "url" && !isWebURL(v.value):
		return "must be an absolute http or https URL"
	case v.kind == TypeAvatar && v.value == "":
		return "the avatar's ID is empty"
	case !utf8.ValidString(v.value):
		return "is not valid UTF-8"
	}
	return ""
}
