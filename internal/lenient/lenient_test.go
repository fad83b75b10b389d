package lenient_test

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go/internal/lenient"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// members reads an object into lines such as `id="7"`.
func members(object string) (lines []string, ended bool) {
	ended = lenient.Members([]byte(object), func(name []byte, v lenient.Value) {
		lines = append(lines, string(name)+"="+string(v))
	})
	return lines, ended
}

func TestMembers(t *testing.T) {
	tests := []struct {
		name, object string
		want         []string
		ended        bool
	}{
		{"whole object", `{"id":"7","n":[1,{"a":2}]}`, []string{`id="7"`, `n=[1,{"a":2}]`}, true},
		{"empty object", ` { } `, nil, true},
		{"white space everywhere", " {\n\t\"id\" : \"7\" ,\r\n\"n\" : null }\n", []string{`id="7"`, `n=null`}, true},
		{"byte order mark", "\ufeff{\"id\":7}", []string{`id=7`}, true},
		{"duplicate name", `{"id":"7","id":null}`, []string{`id="7"`, `id=null`}, true},
		{"names in other letters are other names", `{"id":1,"ID":2}`, []string{`id=1`, `ID=2`}, true},
		{"escape in a name", `{"\u0069d":"7"}`, []string{`id="7"`}, true},
		{"brackets and quotes in strings", `{"a":"}],{\"","b":1}`, []string{`a="}],{\""`, `b=1`}, true},
		{"value that is not JSON", `{"id":"7","x":NaN,"status":"done"}`, []string{`id="7"`, `status="done"`}, true},
		{"name that is not JSON", `{"a\x":1,"id":"7"}`, []string{`id="7"`}, true},
		{"comma at the end", `{"id":"7",}`, []string{`id="7"`}, true},
		{"text behind it", `{"id":"7"} trailing`, []string{`id="7"`}, false},
		{"second object behind it", `{"id":"7"}{"id":"8"}`, []string{`id="7"`}, false},
		{"truncated in a value", `{"id":"7","name":"Spr`, []string{`id="7"`}, false},
		{"truncated in a nested object", `{"id":"7","variables":{"a":{}`, []string{`id="7"`}, false},
		{"truncated behind a string", `{"id":"7"`, []string{`id="7"`}, false},
		{"truncated number may have been longer", `{"id":71`, nil, false},
		{"truncated true may be a word", `{"id":"7","hidden":true`, []string{`id="7"`}, false},
		{"truncated in a name", `{"id":"7","na`, []string{`id="7"`}, false},
		{"truncated before a value", `{"id":`, nil, false},
		{"colon is missing", `{"id" "7"}`, nil, false},
		{"comma is missing", `{"id":"7" "status":"done"}`, nil, true},
		{"closing bracket of another kind", `{"id":"7","a":]}`, []string{`id="7"`}, false},
		{"name without quotes", `{id:"7"}`, nil, false},
		{"list", `[{"id":"7"}]`, nil, false},
		{"null", `null`, nil, false},
		{"nothing", ``, nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ended := members(test.object)
			assert.Equal(t, test.want, got)
			assert.Equal(t, test.ended, ended)
		})
	}
}

func TestMembers_of_an_object_cut_anywhere_are_whole_or_absent(t *testing.T) {
	const object = `{"id":"0b39","n":4711,"hidden":true,"sub":{"a":[1,2]},"text":"caf\u00e9 \"x\""}`
	all, _ := members(object)
	for cut := range len(object) {
		got, ended := members(object[:cut])
		assert.Subset(t, all, got, object[:cut])
		assert.False(t, ended, object[:cut])
	}
}

func TestRead(t *testing.T) {
	var got struct {
		text, other, cut string
		number           float64
		yes, no          bool
		at               time.Time
		value, given     lenient.Value
	}
	fields := lenient.Fields{"text": &got.text, "other": &got.other, "cut": &got.cut, "number": &got.number, "yes": &got.yes,
		"no": &got.no, "at": &got.at, "value": &got.value, "given": func(v lenient.Value) { got.given = v }}
	const object = `{"text":" a\n","other":["a"],"number":"1.5","yes":"true","no":1,"at":"2024-05-01T10:04:05Z","value":[1],"given":{},"new":1`
	require.NoError(t, lenient.Read([]byte(object+`}`), fields))
	assert.Equal(t, "a", got.text)
	assert.Empty(t, got.other)
	assert.Equal(t, 1.5, got.number)
	assert.True(t, got.yes)
	assert.False(t, got.no)
	assert.Equal(t, time.Date(2024, 5, 1, 10, 4, 5, 0, time.UTC), got.at)
	assert.Equal(t, "[1] {}", string(got.value)+" "+string(got.given))
	assert.EqualError(t, lenient.Read([]byte(`{"text":null,"yes":true,"cut":"b`), fields), "is not a JSON object")
	assert.Empty(t, got.text+got.cut)
	assert.True(t, got.yes)
	assert.Error(t, lenient.Read([]byte(`["text"]`), fields))
}

func TestItems(t *testing.T) {
	tests := []struct {
		name, list string
		want       []string
		ok         bool
	}{
		{"list", `[1, "a,b]" ,{"c":[2,3]},[]]`, []string{`1`, `"a,b]"`, `{"c":[2,3]}`, `[]`}, true},
		{"empty list", " [ ] \n", nil, true},
		{"byte order mark", "\ufeff[1]", []string{`1`}, true},
		{"truncated list", `[1,2`, nil, false},
		{"comma at the end", `[1,]`, nil, false},
		{"comma is missing", `[1 2]`, nil, false},
		{"text behind it", `[1] x`, nil, false},
		{"item that is not JSON", `[NaN]`, nil, false},
		{"object", `{"a":[]}`, nil, false},
		{"nothing", ``, nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			items, ok := lenient.Items([]byte(test.list))
			require.Equal(t, test.ok, ok)
			if !ok {
				return
			}
			var got []string
			for _, item := range items {
				got = append(got, string(item))
			}
			assert.Equal(t, test.want, got)
		})
	}
}

func TestItems_returns_one_more_than_MaxEntries(t *testing.T) {
	items, ok := lenient.Items([]byte("[" + strings.Repeat("1,", 2*lenient.MaxEntries) + "1]"))
	assert.True(t, ok)
	assert.Len(t, items, lenient.MaxEntries+1)
}

func TestValue(t *testing.T) {
	at := time.Date(2024, 5, 1, 10, 4, 5, 0, time.UTC)
	type reading struct {
		String, Text string
		Number       float64
		Time         time.Time
	}
	tests := []struct {
		name, json string
		want       reading
	}{
		{"string", `"a b"`, reading{String: "a b", Text: "a b"}},
		{"string with escapes", `"caf\u00e9 \"x\"\n"`, reading{String: "café \"x\"\n", Text: "café \"x\"\n"}},
		{"string that is not UTF-8", "\"a\xff\"", reading{String: "a\ufffd", Text: "a\ufffd"}},
		{"URL with white space around it", `" https://a.test/100%.mp4\r\n"`, reading{String: " https://a.test/100%.mp4\r\n",
			Text: " https://a.test/100%.mp4\r\n"}},
		{"empty string", `""`, reading{}},
		{"number", `-1.5e1`, reading{String: "-1.5e1", Text: "-1.5e1", Number: -15}},
		{"number in a string", `" 12 "`, reading{String: " 12 ", Text: " 12 ", Number: 12}},
		{"number beyond float64", `1e400`, reading{String: "1e400", Text: "1e400"}},
		{"string that Go reads as a number", `"Infinity"`, reading{String: "Infinity", Text: "Infinity"}},
		{"true", `true`, reading{Text: "true"}},
		{"true in a string", `"true"`, reading{String: "true", Text: "true"}},
		{"false", `false`, reading{Text: "false"}},
		{"null", `null`, reading{}},
		{"no value", ``, reading{}},
		{"object", `{"code":3}`, reading{Text: `{"code":3}`}},
		{"list", `[1]`, reading{Text: `[1]`}},
		{"time", `"2024-05-01T03:04:05-07:00"`, reading{String: "2024-05-01T03:04:05-07:00", Text: "2024-05-01T03:04:05-07:00", Time: at}},
		{"time at an offset of a day", `"2024-05-01T03:04:05+24:00"`, reading{String: "2024-05-01T03:04:05+24:00",
			Text: "2024-05-01T03:04:05+24:00"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := lenient.Value(test.json)
			assert.Equal(t, test.want, reading{v.String(), v.Text(), v.Number(), inUTC(v.Time())})
			assert.Equal(t, strings.HasPrefix(test.json, `"`), v.IsString())
			assert.Equal(t, test.json == "" || test.json == "null", v.IsNull())
		})
	}
}

func inUTC(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

func TestValue_HasBadText(t *testing.T) {
	tests := []struct {
		name, json string
		want       bool
	}{
		{"plain text", `{"a":["b"]}`, false},
		{"other escapes", `"\"\\\/\b\u0001\u00e9\ufffd"`, false},
		{"surrogate pair", `"\ud83d\ude00"`, false},
		{"backslash before u0000", `"\\u0000"`, false},
		{"NUL", `"a\u0000b"`, true},
		{"NUL after a backslash", `"\\\u0000"`, true},
		{"NUL in a nested name", `{"a":[{"b\u0000":1}]}`, true},
		{"first half of a pair at the end", `"\ud83d"`, true},
		{"first half of a pair before a letter", `"\uD83Dx"`, true},
		{"first half of a pair before another escape", `"\ud83d\n"`, true},
		{"first half of a pair twice", `"\ud83d\ud83d\ude00"`, true},
		{"second half of a pair", `"\ude00"`, true},
		{"nothing", ``, false},
		{"backslash alone, which is not JSON", `\`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.want, lenient.Value(test.json).HasBadText())
		})
	}
}

// 16 times the input takes a linear reader about 16 times as long, and a quadratic one 256 times. The best
// of many runs counts, since others may use the machine.
func TestMembers_takes_linear_time_on_hostile_input(t *testing.T) {
	tests := []struct{ name, begin, unit, closing, end string }{
		{"many members", `{`, `"a":1,`, ``, `"b":1}`},
		{"many members with escapes", `{`, `"\n":"\u0000",`, ``, `"b":1}`},
		{"many members, the last one truncated", `{`, `"a":"",`, ``, `"b":"`},
		{"many values that are not JSON", `{`, `"a":NaN,`, ``, `"b":1}`},
		{"nested lists", `{"a":`, `[`, ``, ``},
		{"nested lists that end", `{"a":`, `[`, `]`, `}`},
		{"nested objects", ``, `{"a":`, ``, ``},
		{"one long string", `{"a":"`, `x`, ``, `"}`},
		{"one long string of escapes", `{"a":"`, `\u00e9`, ``, `"}`},
		{"backslashes", `{"a":"`, `\\`, ``, ``},
		{"quotes", `{`, `"`, ``, ``},
		{"commas", `{`, `,`, ``, ``},
		{"percent signs", `{"a":"`, `%`, ``, `"}`},
		{"digits", `{"a":`, `9`, ``, `}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			took := func(size int) time.Duration {
				n := size / len(test.unit+test.closing)
				body := []byte(test.begin + strings.Repeat(test.unit, n) + strings.Repeat(test.closing, n) + test.end)
				start := time.Now()
				readAll(body)
				return time.Since(start)
			}
			least, most := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
			for start := time.Now(); time.Since(start) < time.Minute; {
				least, most = min(least, took(1<<14)), min(most, took(1<<18))
				if most < 64*least {
					return
				}
			}
			t.Errorf("16 KiB take %v, 256 KiB %v", least, most)
		})
	}
}

// readAll reads body in every way.
func readAll(body []byte) {
	lenient.Members(body, func(_ []byte, v lenient.Value) {
		v.Text()
		v.Number()
		v.Time()
		v.HasBadText()
	})
	lenient.Value(body).HasBadText()
	lenient.Items(body[5:])
}

func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{"id":"7","n":[1,{"a":2}]}`, `{"id":"7","x":NaN}`, `{"id":"7","na`, `{"id":71`, `{"a":]}`, `{"a":1,}`,
		"\ufeff{\"\\u0069d\":\"\\ud83d\\u0000\"}", `[1, "a,b]" ,{"c":[2,3]}]`, `["\\u0000"]`, `null`, "{\"a\":\"\xff\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var want map[string]json.RawMessage
		valid := json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &want) == nil && want != nil
		got := make(map[string]json.RawMessage)
		ended := lenient.Members(body, func(name []byte, v lenient.Value) {
			if !json.Valid(v) || v.IsString() != (v[0] == '"') {
				t.Errorf("%q gives the value %q", body, v)
			}
			if _, err := v.Time().MarshalText(); err != nil {
				t.Errorf("%q gives a time that cannot be written: %v", v, err)
			}
			if v.HasBadText() != hasBadText(v) {
				t.Errorf("HasBadText(%q) = %v", v, v.HasBadText())
			}
			got[strings.ToValidUTF8(string(name), "\ufffd")] = json.RawMessage(v)
		})
		if valid && (!ended || len(got) != len(want) && utf8.Valid(body)) {
			t.Errorf("%q is a whole object, read as %q (ended %v)", body, got, ended)
		}
		var list []json.RawMessage
		valid = json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &list) == nil && list != nil
		items, ok := lenient.Items(body)
		if ok != valid {
			t.Errorf("%q is a list: %v, want %v", body, ok, valid)
		}
		if !ok {
			return
		}
		n := 0
		for _, item := range items {
			if n == len(list) || !bytes.Equal(item, list[n]) {
				t.Fatalf("item %d of %q is %q", n, body, item)
			}
			n++
		}
		if n != len(list) {
			t.Errorf("%q has %d items, want %d", body, n, len(list))
		}
	})
}

var escapes = regexp.MustCompile(`\\(u[0-9A-Fa-f]{4}|.)`)

// hasBadText lists all escapes of valid JSON and pairs the surrogates that touch.
func hasBadText(v []byte) bool {
	half, end := rune(0), 0
	for _, at := range escapes.FindAllIndex(v, -1) {
		n, err := strconv.ParseUint(string(v[at[0]+2:at[1]]), 16, 16)
		r := rune(n)
		switch {
		case half != 0 && (at[0] != end || r < 0xdc00 || r > 0xdfff):
			return true
		case half != 0:
			half = 0
			continue
		case err == nil && r == 0 || r >= 0xdc00 && r <= 0xdfff:
			return true
		case r >= 0xd800 && r <= 0xdbff:
			half, end = r, at[1]
		}
	}
	return half != 0
}
