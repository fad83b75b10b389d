// Package lenient reads JSON that may be malformed or truncated. It knows nothing of the API.
//
// encoding/json rejects a document as a whole. One bad value, or a cut at the end, would then lose the ID of
// a job that was paid for. All functions take time proportional to their input, and copy nothing but the
// strings they return.
package lenient

import (
	"bytes"
	"encoding/json"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxEntries is how many members or items callers should keep of one response of at most 8 MiB, which can
// hold 2.8 million of them. Kept as Go values of 40 to 200 bytes they would take up to 500 MiB; 10,000 take 2
// MiB.
const MaxEntries = 10_000

const space = " \t\r\n"

// Trim returns b without white space around it and without a byte order mark. The result need not be valid.
func Trim(b []byte) Value { return bytes.Trim(bytes.TrimPrefix(b, []byte("\ufeff")), space) }

// Members calls f with each readable member of a JSON object, in order, and reports whether the object ends
// with its brace and nothing follows. If not, the object was truncated. A member whose value is not valid
// JSON is skipped. Of a name that occurs twice, f sees both members.
func Members(object []byte, f func(name []byte, v Value)) (ended bool) {
	rest, ok := bytes.CutPrefix(Trim(object), []byte("{"))
	for ok {
		rest = trimLeft(rest)
		if after, closed := bytes.CutPrefix(rest, []byte("}")); closed { // also after a comma, which JSON forbids
			return len(after) == 0
		}
		var name, v []byte
		if name, rest, ok = cutString(rest); !ok {
			break
		}
		if rest, ok = bytes.CutPrefix(trimLeft(rest), []byte(":")); !ok {
			break
		}
		v, rest = cutValue(trimLeft(rest))
		// Digits, true, false and null at the very end may have been longer.
		complete := len(rest) > 0 || len(v) > 0 && bytes.IndexByte([]byte(`"}]`), v[len(v)-1]) >= 0
		if complete && json.Valid(v) {
			f(unquote(name), v)
		}
		rest = bytes.TrimPrefix(rest, []byte(",")) // otherwise the brace comes, or nothing
	}
	return false
}

// Items returns the items of list, and reports whether list is a list and valid JSON.
func Items(list []byte) (items iter.Seq[Value], ok bool) {
	list = Trim(list)
	if !bytes.HasPrefix(list, []byte("[")) || !json.Valid(list) {
		return nil, false
	}
	return func(yield func(Value) bool) {
		for rest := trimLeft(list[1:]); rest[0] != ']'; rest = trimLeft(bytes.TrimPrefix(rest, []byte(","))) {
			var item []byte
			item, rest = cutValue(rest)
			if !yield(item) {
				return
			}
		}
	}, true
}

func trimLeft(b []byte) []byte { return bytes.TrimLeft(b, space) }

// cutString cuts the quoted string with which b begins.
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

// unquote returns the text of a quoted string, copied only where it has escapes.
func unquote(s []byte) []byte {
	if bytes.IndexByte(s, '\\') >= 0 {
		return []byte(Value(s).String())
	}
	return s[1 : len(s)-1]
}

// cutValue cuts the value with which b begins, up to the comma, bracket or brace that follows it. It may be
// invalid.
func cutValue(b []byte) (v, rest []byte) {
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
				return bytes.TrimRight(b[:i], space), b[i:]
			}
			if b[i] != ',' {
				depth--
			}
		}
	}
	return bytes.TrimRight(b, space), nil
}

// Value is a valid JSON value without white space around it. Its type may differ from what a caller expects.
// The empty Value reads as null.
type Value []byte

// IsString reports whether v is a string.
func (v Value) IsString() bool { return v.first() == '"' }

// IsObject reports whether v is an object.
func (v Value) IsObject() bool { return v.first() == '{' }

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return v.first() == 'n' || len(v) == 0 }

func (v Value) first() byte {
	if len(v) == 0 {
		return 0
	}
	return v[0]
}

// String returns a string, or the digits of a number. It is empty for other types.
func (v Value) String() string {
	switch c := v.first(); {
	case c == '"':
		// Most strings need no decoder.
		if inner := v[1 : len(v)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
			return string(inner)
		}
		var s string
		_ = json.Unmarshal(v, &s) // v is valid
		return s
	case c == '-' || c >= '0' && c <= '9':
		return string(v)
	}
	return ""
}

// URL returns a string without the white space around it.
func (v Value) URL() string { return strings.TrimSpace(v.String()) }

// Text returns a string, or the JSON of a value of another type. It is empty for null.
func (v Value) Text() string {
	if v.IsString() || v.IsNull() {
		return v.String()
	}
	return string(v)
}

// Number returns a number, also one in a string. It is 0 for other values, and for numbers beyond float64.
func (v Value) Number() float64 {
	f, _ := strconv.ParseFloat(strings.TrimSpace(v.String()), 64)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// Bool reports whether v is true, also in a string.
func (v Value) Bool() bool { return string(v) == "true" || string(v) == `"true"` }

// Time returns a time in RFC 3339. It is zero for other values, and for offsets that Go cannot format again.
func (v Value) Time() time.Time {
	t, _ := time.Parse(time.RFC3339, v.String())
	if _, offset := t.Zone(); max(offset, -offset) >= 24*60*60 {
		return time.Time{}
	}
	return t
}

// HasBadText reports whether a string or a name anywhere in v holds NUL or half of a surrogate pair. Both are
// valid JSON, and neither can be stored by PostgreSQL or written as UTF-8.
func (v Value) HasBadText() bool {
	for rest := []byte(v); ; {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 {
			return false
		}
		r, size := escaped(rest[i:])
		if r == 0 {
			return true
		}
		if utf16.IsSurrogate(r) {
			low, _ := escaped(rest[i+size:])
			if utf16.DecodeRune(r, low) == utf8.RuneError {
				return true
			}
			size *= 2
		}
		rest = rest[min(i+size, len(rest)):]
	}
}

// escaped returns the character of the \u escape with which b begins, and its length. Otherwise it returns a
// backslash and the length of a short escape.
func escaped(b []byte) (r rune, size int) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return '\\', 2
	}
	n, _ := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), 6
}
