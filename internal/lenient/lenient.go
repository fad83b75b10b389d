// Package lenient reads JSON that may be malformed or truncated. It knows nothing of the API.
//
// encoding/json rejects a document as a whole. One bad value, or a cut at the end, would then lose the ID of
// a job that was paid for. All functions take time proportional to their input.
package lenient

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxEntries is how many members or items callers should keep of one response: 8 MiB may have 2.8 million,
// which take up to 500 MiB as Go values.
const MaxEntries = 10_000

const space = " \t\r\n"

// Trim returns b without white space around it and without a byte order mark. The result need not be valid.
func Trim(b []byte) Value { return bytes.Trim(bytes.TrimPrefix(b, []byte("\ufeff")), space) }

func trimLeft(b []byte) []byte { return bytes.TrimLeft(b, space) }

// Fields tells [Read] where to put the values of members, by name: into a *string (without white space around
// it), *float64, *bool, *time.Time or *Value, or through a func(Value).
type Fields map[string]any

// Read reads the members of a JSON object as [Members] does. If it is truncated, or not an object, Read
// returns an error, but sets the values that could be read.
func Read(object []byte, fields Fields) error {
	ended := Members(object, func(name []byte, v Value) {
		switch to := fields[string(name)].(type) {
		case *string:
			*to = string(bytes.TrimSpace(v.text()))
		case *float64:
			*to = v.Number()
		case *bool:
			*to = string(v) == "true" || string(v) == `"true"`
		case *time.Time:
			*to = v.Time()
		case *Value:
			*to = v
		case func(Value):
			to(v)
		}
	})
	if !ended {
		return errors.New("is not a JSON object")
	}
	return nil
}

// Members calls f with each readable member of a JSON object, in order, and reports whether the object ends
// with its brace and nothing follows. If not, the object was truncated. A member whose name or value is not
// valid JSON is skipped. Of a name that occurs twice, f sees both members.
func Members(object []byte, f func(name []byte, v Value)) (ended bool) {
	rest, ok := bytes.CutPrefix(Trim(object), []byte("{"))
	for ok {
		rest = trimLeft(rest)
		if after, closed := bytes.CutPrefix(rest, []byte("}")); closed { // also after a comma, which JSON forbids
			return len(after) == 0
		}
		var name, v Value
		name, rest = cut(rest, ":")
		if rest, ok = bytes.CutPrefix(rest, []byte(":")); !ok || !name.IsString() {
			return false
		}
		v, rest = cut(trimLeft(rest), ",]}")
		// Digits, true, false and null at the very end may have been truncated.
		complete := len(rest) > 0 || len(v) > 0 && bytes.IndexByte([]byte(`"}]`), v[len(v)-1]) >= 0
		plain := bytes.IndexAny(name[1:], `"\`) == len(name)-2 // as most names are, which need no parser
		if complete && (plain || json.Valid(name)) && json.Valid(v) {
			f(name.text(), v)
		}
		rest = bytes.TrimPrefix(rest, []byte(",")) // otherwise the brace comes, or nothing
	}
	return false
}

// Items returns the items of list, at most MaxEntries+1, and reports whether list is a list and valid JSON.
// Appending to an item changes no other.
func Items(list []byte) (items []Value, ok bool) {
	list = Trim(list)
	if !bytes.HasPrefix(list, []byte("[")) || !json.Valid(list) {
		return nil, false
	}
	for rest := trimLeft(list[1:]); rest[0] != ']' && len(items) <= MaxEntries; {
		var item Value
		item, rest = cut(rest, ",]}")
		items, rest = append(items, slices.Clip(item)), trimLeft(bytes.TrimPrefix(rest, []byte(",")))
	}
	return items, true
}

// cut cuts b before the first of these characters outside strings, lists and objects. It may be invalid.
func cut(b []byte, ends string) (before Value, rest []byte) {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case depth == 0 && strings.IndexByte(ends, c) >= 0:
			return bytes.TrimRight(b[:i], space), b[i:]
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return bytes.TrimRight(b, space), nil
}

// Value is a valid JSON value, trimmed. Its type may differ from what a caller expects. Empty reads as null.
type Value []byte

// IsString reports whether v is a string.
func (v Value) IsString() bool { return bytes.HasPrefix(v, []byte(`"`)) }

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return len(v) == 0 || v[0] == 'n' }

// String returns a string, or the digits of a number. It is empty for other types.
func (v Value) String() string { return string(v.text()) }

// text is String, as part of v where that is possible.
func (v Value) text() []byte {
	switch {
	case v.IsNull() || !v.IsString() && v[0] != '-' && (v[0] < '0' || v[0] > '9'):
		return nil
	case !v.IsString():
		return v
	case bytes.IndexByte(v, '\\') < 0 && utf8.Valid(v):
		return v[1 : len(v)-1]
	}
	var s string
	_ = json.Unmarshal(v, &s) // it is valid
	return []byte(s)
}

// Text returns a string, or the JSON of a value of another type. It is empty for null.
func (v Value) Text() string {
	if v.IsString() || v.IsNull() {
		return v.String()
	}
	return string(v)
}

// Number returns a number, also one in a string. It is 0 for other values, and for numbers beyond float64.
func (v Value) Number() float64 {
	f, _ := strconv.ParseFloat(string(bytes.TrimSpace(v.text())), 64)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// Time returns a time in RFC 3339. It is zero for other values, and for offsets that Go cannot format again.
func (v Value) Time() time.Time {
	if !v.IsString() {
		return time.Time{}
	}
	t, _ := time.Parse(time.RFC3339, v.String())
	if _, err := t.MarshalText(); err != nil {
		return time.Time{}
	}
	return t
}

var (
	goodEscape = regexp.MustCompile(`\\[^u]|\\u[dD][89abAB]..\\u[dD][c-fC-F]..`)
	badEscape  = regexp.MustCompile(`\\u(0000|[dD][89a-fA-F])`)
)

// HasBadText reports whether a string or a name anywhere in v holds NUL or half of a surrogate pair. Both are
// valid JSON, and neither can be stored by PostgreSQL or written as UTF-8.
func (v Value) HasBadText() bool { return badEscape.Match(goodEscape.ReplaceAll(v, nil)) }
