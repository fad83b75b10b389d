package creatify

import (
	"encoding/json"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go/internal/fetch"
	"github.com/creatify-community/creatify-go/internal/lenient"
)

// Variables holds the values for a template's variables, by name.
type Variables map[string]Variable

// Variable holds the value of one variable of a template. Make it with [Text], [Image], [Video], [Audio], [Avatar],
// [Voiceover] or [RawVariable]. The zero value is refused.
type Variable struct {
	kind  VariableType
	value string
	raw   json.RawMessage // replaces the others, in a RawVariable and in what was read from JSON
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

// Text returns a text variable. The content may be empty.
func Text(content string) Variable { return Variable{kind: TypeText, value: content} }

// Image returns an image variable. Creatify's servers fetch the URL, so it must be http or https on a public host.
func Image(url string) Variable { return Variable{kind: TypeImage, value: url} }

// Video returns a video variable. Creatify's servers fetch the URL, so it must be http or https on a public host.
func Video(url string) Variable { return Variable{kind: TypeVideo, value: url} }

// Audio returns an audio variable. Creatify's servers fetch the URL, so it must be http or https on a public host.
func Audio(url string) Variable { return Variable{kind: TypeAudio, value: url} }

// Avatar returns an avatar variable: the person who speaks, by the ID of a persona.
func Avatar(avatarID string) Variable { return Variable{kind: TypeAvatar, value: avatarID} }

// Voiceover returns a voiceover variable: a voice, by the ID of an accent. An empty ID leaves the choice to the template.
func Voiceover(voiceID string) Variable { return Variable{kind: TypeVoiceover, value: voiceID} }

// RawVariable returns a variable that is sent as this JSON, for forms that this version of the library does not know. The
// value of a known type is checked as its constructor's would be.
func RawVariable(raw json.RawMessage) Variable {
	return Variable{raw: append(json.RawMessage{}, lenient.Trim(raw)...)}
}

// property returns the name of the property that holds the value; "" for an unknown type.
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
	Type       VariableType      `json:"type"`
	Properties map[string]string `json:"properties"`
}

// Type returns the type, or "" for a raw variable without one.
func (v Variable) Type() VariableType {
	if v.raw == nil {
		return v.kind
	}
	kind, _ := readRaw(v.raw)
	return kind
}

// Value returns the text, the URL or the ID, or "" for a raw variable in another form.
func (v Variable) Value() string {
	if v.raw == nil {
		return v.value
	}
	kind, properties := readRaw(v.raw)
	if value, _ := property(properties, kind.property()); value.IsString() && kind.property() != "" {
		return value.String()
	}
	return ""
}

// readRaw reads the two members of a variable. Of two members with one name the last counts, as in most JSON decoders.
func readRaw(raw []byte) (kind VariableType, properties lenient.Value) {
	lenient.Members(raw, func(name []byte, v lenient.Value) {
		switch {
		case string(name) == "properties":
			properties = v
		case string(name) == "type" && v.IsString():
			kind = VariableType(v.String())
		case string(name) == "type":
			kind = ""
		}
	})
	return kind, properties
}

// property returns the property of a name, and reports whether there are others.
func property(properties lenient.Value, name string) (value lenient.Value, others bool) {
	lenient.Members(properties, func(n []byte, v lenient.Value) {
		if string(n) == name {
			value = v
		} else {
			others = true
		}
	})
	return value, others
}

// MarshalJSON writes the variable in the API's form.
func (v Variable) MarshalJSON() ([]byte, error) {
	if v.raw != nil {
		return v.raw, nil
	}
	w := wireVariable{Type: v.kind, Properties: map[string]string{}}
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

// problems lists what is wrong with names and values. Loopback is as in [urlProblem].
func (vs Variables) problems(loopback bool) []Problem {
	var all []Problem
	for _, name := range slices.Sorted(maps.Keys(vs)) {
		field := variableField(name)
		if name == "" {
			all = append(all, Problem{"variables", "a name is empty"})
		}
		if problem := textProblem(name); problem != "" {
			all = append(all, Problem{field, "its name " + problem})
		}
		if problem := vs[name].problem(loopback); problem != "" {
			all = append(all, Problem{field, problem})
		}
	}
	return all
}

// variableField names a variable in a [Problem]. A name that is not printable is quoted, and a long one is shortened.
func variableField(name string) string {
	const longest = 200
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "") + "…"
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !strconv.IsPrint(r) }) {
		name = strconv.Quote(name)
	}
	return "variables." + name
}

// problem returns why a job with this variable would be refused, or charged for nothing; "" if it would not. A raw variable
// of a known type is judged like a constructor's, unless it has other properties instead: those may be new.
func (v Variable) problem(loopback bool) string {
	if v.raw == nil {
		return v.kind.problem(v.value, loopback)
	}
	kind, properties := readRaw(v.raw)
	own, others := property(properties, kind.property())
	switch raw := lenient.Value(v.raw); {
	case !json.Valid(raw) || !utf8.Valid(raw):
		return "is not valid JSON"
	case raw.IsNull():
		return "is null; leave it out, or give it a value"
	case raw.HasBadText():
		return "contains NUL or half of a surrogate pair"
	case kind.property() == "" || own.IsNull() && others: // unknown to this version
		return ""
	case !properties.IsNull() && !properties.IsObject():
		return "its properties are not an object"
	case !own.IsNull() && !own.IsString():
		return "its " + kind.property() + " is not a string"
	}
	return kind.problem(own.String(), loopback)
}

// problem judges the value of a variable of type t.
func (t VariableType) problem(value string, loopback bool) string {
	switch problem := textProblem(value); {
	case t == "":
		return "has no value; use Text, Image, Video, Audio, Avatar, Voiceover or RawVariable"
	case problem != "":
		return problem
	case t.property() == "url":
		return urlProblem(value, loopback)
	case t == TypeAvatar && value == "":
		return "the avatar's ID is empty"
	}
	return ""
}

// textProblem returns why a text cannot be stored by the API's database, or "".
func textProblem(text string) string {
	switch {
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	case strings.ContainsRune(text, 0):
		return "contains NUL"
	}
	return ""
}

// urlProblem returns why Creatify's servers cannot fetch or call a URL, or "". It resolves no names. Loopback says that the
// API is a fake on this machine, which may reach any host.
func urlProblem(text string, loopback bool) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || !isWebURL(text):
		return "must be an absolute http or https URL"
	case strings.TrimSpace(text) != text:
		return "has white space at its end"
	case u.User != nil:
		return "must not contain a user name or password"
	case !isPort(u.Port()):
		return "has a port that does not exist"
	case !loopback && !isPublicHost(u.Hostname()):
		return "must have a public host in its ASCII form; Creatify's servers cannot reach a private or local one"
	}
	return ""
}

// isWebURL reports whether text is an absolute http or https URL.
func isWebURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

// isOutputURL reports whether text is a URL that a server may show. Only scheme and host are judged: the path may have an
// invalid escape, such as in /100%.mp4.
func isOutputURL(text string) bool {
	scheme, rest, _ := strings.Cut(text, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return isWebURL(scheme + "://" + rest)
}

func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// isPublicHost reports whether a host may be on the Internet: a public IP address in its usual form, or a name with a dot
// that is not reserved for local use. Names for tests, such as files.test, pass.
func isPublicHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == "" && fetch.IsPublic(addr)
	}
	dot := strings.LastIndexByte(host, '.')
	last := host[dot+1:]
	if dot <= 0 || last == "" || last[0] >= '0' && last[0] <= '9' { // 127.1 and 127.0.0.0x1 are addresses, too
		return false
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) { // １２７.０.０.１ as well
		return false
	}
	return !slices.ContainsFunc(localNames, func(local string) bool { return strings.HasSuffix("."+host, local) })
}

// From RFC 6761, RFC 6762, RFC 8375 and ICANN's resolution of 29 July 2024.
var localNames = []string{".localhost", ".local", ".home.arpa", ".internal"}
