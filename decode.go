package creatify

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

var errNoJobID = errors.New("the reply holds no job ID")

// decodeJob reads a job from a reply, which it keeps. A reply with an ID always gives a job, whatever else is wrong with it.
func decodeJob(body []byte) (*Job, error) {
	j := &Job{raw: body}
	j.broken = !members(body, func(name []byte, v value) {
		switch string(name) {
		case "id":
			j.ID = cmp.Or(v.string(), j.ID)
		case "status":
			j.Status = Status(v.string())
		case "progress":
			j.Progress = min(max(v.number(), 0), 1)
		case "preview":
			j.Preview = v.string()
		case "video_output":
			j.VideoOutput = v.string()
		case "editor_url":
			j.EditorURL = v.string()
		case "failed_reason":
			j.FailedReason = v.text()
		case "credits_used":
			j.CreditsUsed = v.number()
		case "duration":
			j.Duration = seconds(v.number())
		case "created_at":
			j.CreatedAt = v.time()
		case "updated_at":
			j.UpdatedAt = v.time()
		case "name":
			j.Name = v.string()
		case "webhook_url":
			j.WebhookURL = v.string()
		case "model_version":
			j.ModelVersion = ModelVersion(v.string())
		case "is_hidden":
			j.IsHidden = v.bool()
		case "media_job":
			j.MediaJob = v.string()
		case "variables":
			j.Variables = v.variables()
		}
	})
	if j.ID == "" {
		return nil, errNoJobID
	}
	return j, nil
}

func seconds(s float64) time.Duration {
	if s <= 0 || s >= math.MaxInt64/float64(time.Second) {
		return 0
	}
	return time.Duration(math.Round(s * float64(time.Second)))
}

// members calls f with each member of an object: of a name that stands in it twice, with both. It says whether the object is
// whole and nothing else is there. Of a broken one it reads the members that can be read: encoding/json would give up, and
// with that lose the ID of a job that was paid for, because of one bad value or a cut at the end. Nor does it, as
// encoding/json does, take a name in other letters for the same.
func members(object []byte, f func(name []byte, v value)) (whole bool) {
	object = bytes.TrimPrefix(object, []byte("\ufeff")) // a byte order mark
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(object, space), []byte("{"))
	for ok {
		rest = bytes.TrimLeft(rest, space)
		if bytes.HasPrefix(rest, []byte("}")) { // also after a comma, which is wrong
			return json.Valid(bytes.TrimSpace(object))
		}
		var name, v []byte
		if name, rest, ok = cutString(rest); !ok {
			break
		}
		if rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, space), []byte(":")); !ok {
			break
		}
		v, rest = cutValue(bytes.TrimLeft(rest, space))
		complete := len(rest) > 0 || len(v) > 0 && bytes.IndexByte([]byte(`"}]`), v[len(v)-1]) >= 0
		if complete && json.Valid(v) {
			if bytes.IndexByte(name, '\\') >= 0 {
				name = []byte(`"` + value(name).string() + `"`)
			}
			f(name[1:len(name)-1], v)
		}
		rest = bytes.TrimPrefix(rest, []byte(",")) // else the closing brace comes, or nothing
	}
	return false
}

const space = " \t\r\n"

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

// cutValue cuts the value with which the JSON begins, up to the comma or brace that follows it. It may be no valid one.
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

// value is valid JSON that may be of another type than expected.
type value []byte

// string is a string, or a number by its digits, else empty.
func (v value) string() string {
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

// text is string, and the JSON of a value of another type.
func (v value) text() string {
	if s := v.string(); s != "" || v[0] == '"' || string(v) == "null" {
		return s
	}
	return string(v)
}

// number is a number, also in a string, else 0.
func (v value) number() float64 {
	f, _ := strconv.ParseFloat(strings.TrimSpace(v.string()), 64) // 0 for no number, infinite for too large a one
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// bool is whether it is true, also in a string.
func (v value) bool() bool {
	return string(v) == "true" || string(v) == `"true"`
}

// time is a time in RFC 3339 that can be written so again, else zero.
func (v value) time() time.Time {
	t, _ := time.Parse(time.RFC3339, v.string()) // zero for what is none
	if _, offset := t.Zone(); max(offset, -offset) >= 24*60*60 {
		return time.Time{}
	}
	return t
}

// variables is an object, else nil.
func (v value) variables() Variables {
	if v[0] != '{' {
		return nil
	}
	all := make(Variables)
	members(v, func(name []byte, v value) { all[string(name)] = RawVariable(json.RawMessage(v)) })
	return all
}
