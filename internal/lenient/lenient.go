// Package lenient reads JSON that may be malformed or truncated. It knows nothing of the API.
package lenient

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Members calls f with each member of an object: of a name that stands in it twice, with both. It says whether the object is
// whole and nothing else is there. Of a broken one it reads the members that can be read: encoding/json would give up, and
// with that lose the ID of a job that was paid for, because of one bad value or a cut at the end. Nor does it, as
// encoding/json does, take a name in other letters for the same.
func Members(object []byte, f func(name []byte, v Value)) (whole bool) {
	object = bytes.TrimPrefix(object, []byte("\ufeff")) // a byte order mark
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(object, Space), []byte("{"))
	for ok {
		rest = bytes.TrimLeft(rest, Space)
		if bytes.HasPrefix(rest, []byte("}")) { // also after a comma, which is wrong
			return json.Valid(bytes.TrimSpace(object))
		}
		var name, v []byte
		if name, rest, ok = cutString(rest); !ok {
			break
		}
		if rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, Space), []byte(":")); !ok {
			break
		}
		v, rest = CutValue(bytes.TrimLeft(rest, Space))
		complete := len(rest) > 0 || len(v) > 0 && bytes.IndexByte([]byte(`"}]`), v[len(v)-1]) >= 0
		if complete && json.Valid(v) {
			if bytes.IndexByte(name, '\\') >= 0 {
				name = []byte(`"` + Value(name).String() + `"`)
			}
			f(name[1:len(name)-1], v)
		}
		rest = bytes.TrimPrefix(rest, []byte(",")) // else the closing brace comes, or nothing
	}
	return false
}

const Space = " \t\r\n"

// cutString cuts the string, in its quotes, with which the JSON begins.
func cutString(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, b, false
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[:i+1], b[i+1:], true
		}
	}
	return nil, b, false
}

// CutValue cuts the value with which the JSON begins, up to the comma or brace that follows it. It may be no valid one.
func CutValue(b []byte) (v, rest []byte) {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			s, _, ok := cutString(b[i:])
			if !ok {
				return b, nil
			}
			i += len(s) - 1
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				return bytes.TrimRight(b[:i], Space), b[i:]
			}
			if b[i] != ',' {
				depth--
			}
		}
	}
	return bytes.TrimRight(b, Space), nil
}

// Value is valid JSON that may be of another type than expected.
type Value []byte

// String is a string, or a number by its digits, else empty.
func (v Value) String() string {
	switch c := v[0]; {
	case c == '"':
		// The plain ones do without the decoder's machinery.
		if inner := v[1 : len(v)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
			return string(inner)
		}
		var s string
		_ = json.Unmarshal(v, &s) // it is valid
		return s
	case c == '-' || c >= '0' && c <= '9':
		return string(v)
	}
	return ""
}

// Text is string, and the JSON of a value of another type.
func (v Value) Text() string {
	if s := v.String(); s != "" || v[0] == '"' || string(v) == "null" {
		return s
	}
	return string(v)
}

// Number is a number, also in a string, else 0.
func (v Value) Number() float64 {
	f, _ := strconv.ParseFloat(strings.TrimSpace(v.String()), 64) // 0 for no number, infinite for too large a one
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// Bool is whether it is true, also in a string.
func (v Value) Bool() bool {
	return string(v) == "true" || string(v) == `"true"`
}

// Time is a time in RFC 3339 that can be written so again, else zero.
func (v Value) Time() time.Time {
	t, _ := time.Parse(time.RFC3339, v.String()) // zero for what is none
	if _, offset := t.Zone(); max(offset, -offset) >= 24*60*60 {
		return time.Time{}
	}
	return t
}
