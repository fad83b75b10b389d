package creatify

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go/internal/fetch"
	"github.com/creatify-community/creatify-go/internal/lenient"
)

// Variables holds the values for a template's variables, by name.
type Variables map[string]Variable

// Variable holds the value of one variable of a template. Make it with [Text], [Image], [Video], [Audio],
// [Avatar], [Voiceover] or [RawVariable]. The zero value is refused.
type Variable struct {
	kind  VariableType
	value string
	raw   json.RawMessage // what is sent, in a RawVariable and in what was read from JSON
}

// VariableType names the kind of value that a variable holds.
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

// properties names the property that holds the value, by type.
var properties = map[VariableType]string{TypeText: "content", TypeImage: "url", TypeVideo: "url",
	TypeAudio: "url", TypeAvatar: "avatar_id", TypeVoiceover: "voice_id"}

// Text returns a text variable. The content may be empty.
func Text(content string) Variable { return Variable{kind: TypeText, value: content} }

// Image returns an image variable. Creatify's servers fetch the URL: http or https, on a public host.
func Image(url string) Variable { return Variable{kind: TypeImage, value: url} }

// Video returns a video variable. Creatify's servers fetch the URL: http or https, on a public host.
func Video(url string) Variable { return Variable{kind: TypeVideo, value: url} }

// Audio returns an audio variable. Creatify's servers fetch the URL: http or https, on a public host.
func Audio(url string) Variable { return Variable{kind: TypeAudio, value: url} }

// Avatar returns an avatar variable: the person who speaks, by the ID of a persona.
func Avatar(avatarID string) Variable { return Variable{kind: TypeAvatar, value: avatarID} }

// Voiceover returns a voiceover variable: a voice, by the ID of its accent. If empty, the template chooses.
func Voiceover(voiceID string) Variable { return Variable{kind: TypeVoiceover, value: voiceID} }

// RawVariable returns a variable that is sent as this JSON, for forms that this version of the library does
// not know. The value of a known type is checked as its constructor's would be.
func RawVariable(raw json.RawMessage) Variable {
	v := Variable{raw: append(json.RawMessage{}, lenient.Trim(raw)...)}
	kind, own, _ := readRaw(v.raw)
	v.kind = kind
	if own.IsString() {
		v.value = own.String()
	}
	return v
}

// readRaw reads the type of a variable and the property that holds its value, and reports whether there are
// only other properties. Of two members with one name the last counts, as in most JSON decoders.
func readRaw(raw []byte) (kind VariableType, own lenient.Value, others bool) {
	var name, all lenient.Value
	_ = lenient.Read(raw, lenient.Fields{"type": &name, "properties": &all})
	if name.IsString() {
		kind = VariableType(name.String())
	}
	ended := lenient.Members(all, func(name []byte, v lenient.Value) {
		if len(name) > 0 && string(name) == properties[kind] {
			own = v
		} else {
			others = true
		}
	})
	if !ended && !all.IsNull() {
		return kind, lenient.Value("false"), false // like any value that is not a string
	}
	return kind, own, others && own.IsNull()
}

// Type returns the type, or "" for a raw variable without one.
func (v Variable) Type() VariableType { return v.kind }

// Value returns the text, the URL or the ID, or "" for a raw variable in another form.
func (v Variable) Value() string { return v.value }

// MarshalJSON writes the variable in the API's form.
func (v Variable) MarshalJSON() ([]byte, error) {
	if v.raw != nil {
		return v.raw, nil
	}
	own := map[string]string{}
	if v.value != "" || v.kind != TypeVoiceover {
		own[properties[v.kind]] = v.value
	}
	return json.Marshal(struct {
		Type       VariableType      `json:"type"`
		Properties map[string]string `json:"properties"`
	}{v.kind, own})
}

// UnmarshalJSON keeps the JSON, whatever it is.
func (v *Variable) UnmarshalJSON(b []byte) error {
	*v = RawVariable(b)
	return nil
}

// problems lists what is wrong with names and values. Loopback is as in [urlProblem].
func (vs Variables) problems(loopback bool) []Problem {
	var all problemList
	for _, name := range slices.Sorted(maps.Keys(vs)) {
		all.require(name != "", "variables", "a name is empty")
		if problem := textProblem(name, unlimited); problem != "" {
			all.add(variableField(name), "its name "+problem)
		}
		all.add(variableField(name), vs[name].problem(loopback))
	}
	return all
}

// variableField names a variable in a [Problem]. A long name is shortened; one that is not plain is quoted.
func variableField(name string) string {
	const longest = 200
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "") + "…"
	}
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		name = quoted
	}
	return "variables." + name
}

// problem returns why the API would refuse this variable, or charge it without a usable result; "" if
// neither. A raw variable of a known type is checked like a constructor's, unless it has only other
// properties, which may be new.
func (v Variable) problem(loopback bool) string {
	if v.raw != nil {
		_, own, others := readRaw(v.raw)
		switch raw := lenient.Value(v.raw); {
		case !json.Valid(raw) || !utf8.Valid(raw):
			return "is not valid JSON"
		case raw.IsNull():
			return "is null; leave it out, or give it a value"
		case raw.HasBadText():
			return "contains NUL or half of a surrogate pair"
		case properties[v.kind] == "" || others: // unknown to this version
			return ""
		case !own.IsNull() && !own.IsString():
			return "its " + properties[v.kind] + " is not a string"
		}
	}
	switch problem := textProblem(v.value, unlimited); {
	case v.kind == "":
		return "has no value; use Text, Image, Video, Audio, Avatar, Voiceover or RawVariable"
	case problem != "":
		return problem
	case properties[v.kind] == "url":
		return urlProblem(v.value, loopback)
	case v.kind == TypeAvatar && v.value == "":
		return "the avatar's ID is empty"
	}
	return ""
}

// textProblem returns why a text cannot be stored by the API's database, or "".
func textProblem(text string, most int) string {
	switch n := utf8.RuneCountInString(text); {
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	case strings.ContainsRune(text, 0):
		return "contains NUL"
	case n > most:
		return fmt.Sprintf("has %d characters, more than %d", n, most)
	}
	return ""
}

// urlProblem returns why Creatify's servers cannot fetch or call a URL, or "". It resolves no names. With
// loopback, the API is a fake on this machine, which may reach any host.
func urlProblem(text string, loopback bool) string {
	u := webURL(text)
	switch {
	case u == nil || strings.TrimSpace(text) != text:
		return "must be an absolute http or https URL"
	case u.User != nil:
		return "must not contain a user name or password"
	case !loopback && !fetch.IsPublicHost(u.Hostname()):
		return "must have a public host (in ASCII) that Creatify's servers can reach"
	}
	return ""
}

// webURL parses an absolute http or https URL. Of any other text it returns nil.
func webURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil
	}
	return u
}

// outputURL matches a URL that a server may show. The path may have an invalid escape, such as in /100%.mp4.
var outputURL = regexp.MustCompile(`^(?i:https?)://[^\s%:/?#]+([:/?#]|$)`)
