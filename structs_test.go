package creatify_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type (
	shade    string
	size     int // has a String method
	byText   struct{ A, B string }
	onlySeen struct{ name string }
	broken   struct{}
	panicky  struct{ fmt.Stringer }
	fragile  struct{}
	emptied  string // has an IsZero method
	self     *self
)

func (s size) String() string                  { return []string{"small", "large"}[s] }
func (b *byText) MarshalText() ([]byte, error) { return []byte(b.A + "/" + b.B), nil }
func (b *byText) UnmarshalText(text []byte) (err error) {
	var ok bool
	if b.A, b.B, ok = strings.Cut(string(text), "/"); !ok {
		err = errors.New("no slash in " + string(text))
	}
	return err
}
func (o onlySeen) String() string             { return o.name }
func (broken) MarshalText() ([]byte, error)   { return nil, errors.New("secret") }
func (fragile) MarshalText() ([]byte, error)  { return []byte("fine"), nil }
func (*fragile) UnmarshalText(b []byte) error { panic("secret") }
func (e emptied) IsZero() bool                { return e == "nothing" }

func parseURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

const photoURL = "https://example.com/a%20b.jpg?x=1&y=2"

func TestVariablesFromWritesEachTypeOfField(t *testing.T) {
	photo := *parseURL(photoURL)
	for name, c := range map[string]struct {
		from any
		want creatify.Variables
	}{
		"a string of each kind": {struct {
			A string `creatify:"a,text"`
			B string `creatify:"b,image"`
			C string `creatify:"c,video"`
			D string `creatify:"d,audio"`
			E string `creatify:"e,avatar"`
			F string `creatify:"f,voiceover"`
		}{"1", "https://b", "https://c", "http://d", "5", "6"}, creatify.Variables{
			"a": creatify.Text("1"), "b": creatify.Image("https://b"), "c": creatify.Video("https://c"),
			"d": creatify.Audio("http://d"), "e": creatify.Avatar("5"), "f": creatify.Voiceover("6")}},
		"an empty text is a text": {struct {
			A string `creatify:"a,text"`
		}{}, creatify.Variables{"a": creatify.Text("")}},
		"a named string": {struct {
			A shade `creatify:"a,text"`
		}{"red"}, creatify.Variables{"a": creatify.Text("red")}},
		"a pointer to a string": {struct {
			A *string `creatify:"a,text"`
		}{new("red")}, creatify.Variables{"a": creatify.Text("red")}},
		"a URL": {struct {
			A url.URL `creatify:"a,image"`
		}{photo}, creatify.Variables{"a": creatify.Image(photoURL)}},
		"a pointer to a URL": {struct {
			A *url.URL `creatify:"a,image"`
		}{&photo}, creatify.Variables{"a": creatify.Image(photoURL)}},
		"a MarshalText method": {struct {
			A netip.Addr `creatify:"a,text"`
		}{netip.MustParseAddr("::1")}, creatify.Variables{"a": creatify.Text("::1")}},
		"a MarshalText method of the pointer, in a struct without an address": {struct {
			A byText `creatify:"a,text"`
		}{byText{"x", "y"}}, creatify.Variables{"a": creatify.Text("x/y")}},
		"a MarshalText method behind a pointer": {struct {
			A *big.Int `creatify:"a,text"`
		}{big.NewInt(7)}, creatify.Variables{"a": creatify.Text("7")}},
		"an interface with MarshalText": {struct {
			A encoding.TextMarshaler `creatify:"a,text"`
		}{big.NewInt(7)}, creatify.Variables{"a": creatify.Text("7")}},
		"a String method": {struct {
			A onlySeen `creatify:"a,avatar"`
		}{onlySeen{"an ID"}}, creatify.Variables{"a": creatify.Avatar("an ID")}},
		"a String method goes before the number": {struct {
			A size          `creatify:"a,text"`
			B time.Duration `creatify:"b,text"`
		}{1, time.Minute}, creatify.Variables{"a": creatify.Text("large"), "b": creatify.Text("1m0s")}},
		"integers": {struct {
			A int8   `creatify:"a,text"`
			B uint64 `creatify:"b,text"`
			C *int   `creatify:"c,text"`
		}{math.MinInt8, math.MaxUint64, new(3)}, creatify.Variables{
			"a": creatify.Text("-128"), "b": creatify.Text("18446744073709551615"), "c": creatify.Text("3")}},
		"floats, without an exponent and no longer than their type needs": {struct {
			A float32 `creatify:"a,text"`
			B float64 `creatify:"b,text"`
		}{0.1, 1e21}, creatify.Variables{"a": creatify.Text("0.1"), "b": creatify.Text("1000000000000000000000")}},
		"bools": {struct {
			A bool `creatify:"a,text"`
			B bool `creatify:"b,text"`
		}{true, false}, creatify.Variables{"a": creatify.Text("true"), "b": creatify.Text("false")}},
		"a Variable without a kind": {struct {
			A creatify.Variable  `creatify:"a"`
			B *creatify.Variable `creatify:"b"`
		}{creatify.Image(photoURL), new(creatify.Text("x"))},
			creatify.Variables{"a": creatify.Image(photoURL), "b": creatify.Text("x")}},
		"a Variable of the kind in its tag, or of an unknown one": {struct {
			A creatify.Variable `creatify:"a,image"`
			B creatify.Variable `creatify:"b,image"`
		}{creatify.Image(photoURL), creatify.RawVariable([]byte(`{"type":"gif"}`))},
			creatify.Variables{"a": creatify.Image(photoURL), "b": creatify.RawVariable([]byte(`{"type":"gif"}`))}},
		"raw JSON": {struct {
			A json.RawMessage `creatify:"a,raw"`
			B json.RawMessage `creatify:"b"`
		}{json.RawMessage(`{"x": 1}`), json.RawMessage(`2`)},
			creatify.Variables{"a": creatify.RawVariable([]byte(`{"x": 1}`)), "b": creatify.RawVariable([]byte(`2`))}},
		"a pointer to a struct": {&struct {
			A string `creatify:"a,text"`
		}{"1"}, creatify.Variables{"a": creatify.Text("1")}},
		"a name may have spaces, and be a dash before a comma": {struct {
			A string `creatify:"main title,text"`
			B string `creatify:"-,text"`
		}{"1", "2"}, creatify.Variables{"main title": creatify.Text("1"), "-": creatify.Text("2")}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := creatify.VariablesFrom(c.from)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestVariablesFromLeavesOut(t *testing.T) {
	for name, from := range map[string]any{
		"fields without a tag": struct {
			A string
			B chan int
			c string
		}{A: "1", c: "2"},
		"a field with the tag -": struct {
			A string `creatify:"-"`
		}{"1"},
		"an embedded struct with the tag -": struct {
			Media `creatify:"-"`
		}{Media{Photo: "https://b"}},
		"nil pointers": struct {
			A *string            `creatify:"a,text"`
			B *url.URL           `creatify:"b,image"`
			C *creatify.Variable `creatify:"c"`
			D *int               `creatify:"d,text"`
		}{},
		"nil pointers to types with methods": struct {
			A *byText   `creatify:"a,text"`
			B *onlySeen `creatify:"b,text"`
			C *big.Int  `creatify:"c,text"`
		}{},
		"nil interfaces, and interfaces that hold a nil pointer": struct {
			A encoding.TextMarshaler  `creatify:"a,text"`
			B fmt.Stringer            `creatify:"b,text"`
			C *fmt.Stringer           `creatify:"c,text"`
			D encoding.TextMarshaler  `creatify:"d,text"`
			E *encoding.TextMarshaler `creatify:"e,text"`
		}{B: (*onlySeen)(nil), C: new(fmt.Stringer), D: (*byText)(nil)},
		"nil raw JSON": struct {
			A json.RawMessage  `creatify:"a"`
			B *json.RawMessage `creatify:"b"`
		}{B: new(json.RawMessage)},
		"empty values with omitempty": struct {
			A string          `creatify:"a,image,omitempty"`
			B shade           `creatify:"b,text,omitempty"`
			C int             `creatify:"c,text,omitempty"`
			D bool            `creatify:"d,omitempty,text"`
			E json.RawMessage `creatify:"e,omitempty"`
		}{E: json.RawMessage{}},
		"zero values with omitzero": struct {
			A string            `creatify:"a,image,omitzero"`
			B url.URL           `creatify:"b,image,omitzero"`
			C creatify.Variable `creatify:"c,omitzero"`
			D time.Time         `creatify:"d,text,omitzero"`
			E float64           `creatify:"e,text,omitzero"`
		}{D: time.Time{}.In(time.FixedZone("", 3600))},
		"what says itself that it is zero, with omitzero": struct {
			A emptied  `creatify:"a,text,omitzero"`
			B *emptied `creatify:"b,text,omitzero"`
		}{"nothing", new(emptied("nothing"))},
		"the fields of a nil embedded pointer": struct{ *Media }{},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := creatify.VariablesFrom(from)
			require.NoError(t, err)
			assert.Equal(t, creatify.Variables{}, got)
		})
	}
}

func TestVariablesFromDoesNotLeaveOut(t *testing.T) {
	for name, from := range map[string]any{
		"a struct with omitempty": struct {
			A time.Time `creatify:"a,text,omitempty"`
		}{},
		"a pointer to an empty value with omitempty": struct {
			A *string `creatify:"a,text,omitempty"`
		}{new("")},
		"a pointer to a zero value with omitzero": struct {
			A *string `creatify:"a,text,omitzero"`
		}{new("")},
		"what says itself that it is not zero, with omitzero": struct {
			A emptied `creatify:"a,text,omitzero"`
		}{""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := creatify.VariablesFrom(from)
			require.NoError(t, err)
			assert.Len(t, got, 1)
		})
	}
}

type (
	Media struct {
		Photo string `creatify:"photo,image"`
		Title string `creatify:"title,text"`
	}
	hidden struct {
		Photo string `creatify:"photo,image"`
	}
	Other struct {
		Title string `creatify:"title,text"`
	}
	Loop struct {
		*Loop
		Title string `creatify:"title,text"`
	}
	Ping struct {
		*Pong
		A string `creatify:"a,text"`
	}
	Pong struct {
		*Ping
		B string `creatify:"b,text"`
	}
)

func TestVariablesFromFlattensEmbeddedStructs(t *testing.T) {
	media := Media{"https://b", "deep"}
	both := creatify.Variables{"photo": creatify.Image("https://b"), "title": creatify.Text("deep")}
	for name, c := range map[string]struct {
		from any
		want creatify.Variables
	}{
		"by value":         {struct{ Media }{media}, both},
		"by pointer":       {struct{ *Media }{&media}, both},
		"through two":      {struct{ Wrapped }{Wrapped{&media}}, both},
		"not exported":     {struct{ hidden }{hidden{"https://b"}}, creatify.Variables{"photo": creatify.Image("https://b")}},
		"a pointer to one": {struct{ *hidden }{&hidden{"https://b"}}, creatify.Variables{"photo": creatify.Image("https://b")}},
		"the shallower field wins": {struct {
			Media
			Title string `creatify:"title,text"`
		}{media, "shallow"}, creatify.Variables{"photo": creatify.Image("https://b"), "title": creatify.Text("shallow")}},
		"a type that embeds itself": {Loop{&Loop{nil, "inner"}, "outer"}, creatify.Variables{"title": creatify.Text("outer")}},
		"types that embed each other": {Ping{&Pong{&Ping{nil, "inner"}, "2"}, "1"},
			creatify.Variables{"a": creatify.Text("1"), "b": creatify.Text("2")}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := creatify.VariablesFrom(c.from)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

type Wrapped struct{ *Media }

func problemsOf(t *testing.T, err error) []creatify.Problem {
	t.Helper()
	require.ErrorIs(t, err, creatify.ErrInvalidParams)
	invalid, ok := errors.AsType[*creatify.ValidationError](err)
	require.True(t, ok)
	return invalid.Problems
}

func TestVariablesFromRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		from          any
		path, message string
	}{
		"a kind that does not exist": {struct {
			A string `creatify:"a,picture"`
		}{}, "struct.A", `the tag has the unknown kind or option "picture"; the kinds are text, image, video, audio, avatar, voiceover, raw`},
		"a missing kind": {struct {
			A string `creatify:"a,omitempty"`
		}{}, "struct.A", "the tag has no kind"},
		"two kinds": {struct {
			A string `creatify:"a,text,image"`
		}{}, "struct.A", "the tag has two kinds"},
		"an empty name": {struct {
			A string `creatify:",text"`
		}{}, "struct.A", "the tag has no name"},
		"an empty tag": {struct {
			A string `creatify:""`
		}{}, "struct.A", "the tag has no name"},
		"a name that stands twice": {struct {
			A string `creatify:"x,text"`
			B string `creatify:"x,text"`
		}{}, "struct.B", `the variable "x" is also that of struct.A`},
		"a name that stands twice at the same depth": {struct {
			Media
			Other
		}{Media: Media{Photo: "https://b"}}, "struct.Other.Title", `the variable "title" is also that of struct.Media.Title`},
		"a tagged field that is not exported": {struct {
			a string `creatify:"a,text"`
		}{"1"}, "struct.a", "has a tag but is not exported"},
		"an embedded type that is not exported, with a tag": {struct {
			shade `creatify:"a,text"`
		}{}, "struct.shade", "has a tag but is not exported"},
		"a channel": {struct {
			A chan int `creatify:"a,text"`
		}{}, "struct.A", "has type chan int, which cannot be written"},
		"a struct": {struct {
			A Media `creatify:"a,text"`
		}{}, "struct.A", "has type creatify_test.Media, which cannot be written"},
		"an interface without methods": {struct {
			A any `creatify:"a,text"`
		}{"x"}, "struct.A", "has type interface {}, which cannot be written"},
		"a nil pointer to what cannot be written": {struct {
			A *[]byte `creatify:"a,text"`
		}{}, "struct.A", "has type []uint8, which cannot be written"},
		"a pointer to a pointer": {struct {
			A **big.Int `creatify:"a,text"`
		}{}, "struct.A", "has type *big.Int, which cannot be written"},
		"a pointer to itself": {struct {
			A self `creatify:"a,text"`
		}{}, "struct.A", "which cannot be written"},
		"a number for a picture": {struct {
			A int `creatify:"a,image"`
		}{1}, "struct.A", "has type int, which is for text only"},
		"raw JSON of another kind": {struct {
			A json.RawMessage `creatify:"a,text"`
		}{}, "struct.A", "its kind is raw, or none"},
		"a string of kind raw": {struct {
			A string `creatify:"a,raw"`
		}{}, "struct.A", "the kind raw is for a json.RawMessage"},
		"a Variable of another kind than in its tag": {struct {
			A creatify.Variable `creatify:"a,image"`
		}{creatify.Text("x")}, "struct.A", `the variable is of type "text", not "image"`},
		"a Variable without a value": {struct {
			A creatify.Variable `creatify:"a"`
		}{}, "struct.A", "has no value"},
		"a URL that is not one of the web": {struct {
			A string `creatify:"a,image"`
		}{"photo.jpg"}, "struct.A", "must be an absolute http or https URL"},
		"an avatar without an ID": {struct {
			A string `creatify:"a,avatar"`
		}{}, "struct.A", "the avatar's ID is empty"},
		"raw JSON that is none": {struct {
			A json.RawMessage `creatify:"a"`
		}{json.RawMessage("{")}, "struct.A", "is not valid JSON"},
		"infinity": {struct {
			A float64 `creatify:"a,text"`
		}{math.Inf(1)}, "struct.A", "is not a finite number"},
		"a MarshalText method that fails": {struct {
			A broken `creatify:"a,text"`
		}{}, "struct.A", "its MarshalText method returned an error"},
		"a String method that panics": {struct {
			A panicky `creatify:"a,text"`
		}{}, "struct.A", "its String method panicked"},
		"a named type, by its name": {Media{"", "x"}, "Media.Photo", "must be an absolute http or https URL"},
		"an embedded field, by its path": {struct{ *Media }{new(Media)}, "struct.Media.Photo",
			"must be an absolute http or https URL"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := creatify.VariablesFrom(c.from)
			assert.Nil(t, got)
			problems := problemsOf(t, err)
			require.Len(t, problems, 1)
			assert.Equal(t, "VariablesFrom: "+c.path, problems[0].Field)
			assert.Contains(t, problems[0].Message, c.message)
			assert.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestOnlyStructsHaveFields(t *testing.T) {
	for name, c := range map[string]struct {
		v          any
		from, into string
	}{
		"nil":                    {v: nil, from: "not nil", into: "not nil"},
		"a nil pointer":          {v: (*Media)(nil), from: "not a nil *creatify_test.Media", into: "not a nil *creatify_test.Media"},
		"a string":               {v: "x", from: "not a string", into: "not a string"},
		"a map":                  {v: creatify.Variables{}, from: "not a creatify.Variables", into: "not a creatify.Variables"},
		"a pointer to a pointer": {v: new(&Media{}), from: "not a **creatify_test.Media", into: "not a **creatify_test.Media"},
		"a pointer to itself":    {v: self(nil), from: "not a nil creatify_test.self", into: "not a nil creatify_test.self"},
		"a pointer to an interface": {v: new(any(Media{})), from: "not a *interface {}",
			into: "not a *interface {}"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := creatify.VariablesFrom(c.v)
			assert.ErrorContains(t, err, "VariablesFrom: needs a struct or a pointer to one, "+c.from)
			problemsOf(t, err)
			err = creatify.Variables{}.Into(c.v)
			assert.ErrorContains(t, err, "Into: needs a pointer to a struct, "+c.into)
			problemsOf(t, err)
		})
	}
	assert.ErrorContains(t, creatify.Variables{}.Into(Media{}), "Into: needs a pointer to a struct, not a creatify_test.Media")
}

func TestVariablesFromTellsAllProblemsAtOnce(t *testing.T) {
	_, err := creatify.VariablesFrom(struct {
		A string   `creatify:"a,picture"`
		B chan int `creatify:"b,text"`
		C string   `creatify:"c,image"`
		d string   `creatify:"d,text"`
		E string   `creatify:"e,text"`
	}{})
	fields := []string{}
	for _, p := range problemsOf(t, err) {
		fields = append(fields, strings.TrimPrefix(p.Field, "VariablesFrom: struct."))
	}
	assert.ElementsMatch(t, []string{"A", "B", "C", "d"}, fields)
}

func TestFieldsWithoutANameDoNotHideOneAnother(t *testing.T) {
	type Nameless struct {
		A string `creatify:",text"`
	}
	_, err := creatify.VariablesFrom(struct {
		Nameless
		B string `creatify:",text"`
		C string `creatify:",text"`
	}{})
	assert.Len(t, problemsOf(t, err), 3)
}

// everything has a field of each type that can be read.
type everything struct {
	Text    string             `creatify:"text,text"`
	Shade   shade              `creatify:"shade,text"`
	Pointer *string            `creatify:"pointer,text"`
	Image   *url.URL           `creatify:"image,image"`
	Video   url.URL            `creatify:"video,video"`
	Audio   string             `creatify:"audio,audio"`
	Avatar  string             `creatify:"avatar,avatar"`
	Voice   string             `creatify:"voice,voiceover"`
	ByText  byText             `creatify:"bytext,text"`
	Big     *big.Int           `creatify:"big,text"`
	Time    time.Time          `creatify:"time,text"`
	Int     int8               `creatify:"int,text"`
	Uint    *uint16            `creatify:"uint,text"`
	Float   float32            `creatify:"float,text"`
	Bool    bool               `creatify:"bool,text"`
	Any     creatify.Variable  `creatify:"any"`
	AnyP    *creatify.Variable `creatify:"anyp,text"`
	Raw     json.RawMessage    `creatify:"raw"`
	*Wrapped
}

func whole() everything {
	return everything{Text: "a < b", Shade: "red", Pointer: new(""), Image: parseURL(photoURL), Video: *parseURL("http://v/"),
		Audio: "https://a", Avatar: "5", ByText: byText{"x", "y/z"}, Big: big.NewInt(-7), Time: time.Unix(1, 5).UTC(),
		Int: -128, Uint: new(uint16(65535)), Float: 0.1, Bool: true, Any: creatify.RawVariable([]byte(`{"type":"gif"}`)),
		AnyP: new(creatify.RawVariable([]byte(`{"type":"text"}`))), Raw: json.RawMessage(`[1]`),
		Wrapped: &Wrapped{&Media{"https://p", "t"}}}
}

func TestIntoReadsWhatVariablesFromWrote(t *testing.T) {
	sent, err := creatify.VariablesFrom(whole())
	require.NoError(t, err)
	require.Len(t, sent, 20)
	reply, err := json.Marshal(sent)
	require.NoError(t, err)
	var returned creatify.Variables
	require.NoError(t, json.Unmarshal(reply, &returned))
	for name, vs := range map[string]creatify.Variables{"as they were made": sent, "as they come in a reply": returned} {
		t.Run(name, func(t *testing.T) {
			var got everything
			require.NoError(t, vs.Into(&got))
			assert.Equal(t, whole(), got)
		})
	}
}

func TestIntoReadsURLsAsTheServerRewroteThem(t *testing.T) {
	var got struct {
		Photo *url.URL `creatify:"photo,image"`
		Clip  string   `creatify:"clip,video"`
	}
	vs := variables(t, `{"photo":{"type":"image","properties":{"url":"https://cdn.example/1?sig=a%2Fb"}},
		"clip":{"type":"video","properties":{"url":"relative"}}}`)
	require.NoError(t, vs.Into(&got))
	assert.Equal(t, "https://cdn.example/1?sig=a%2Fb", got.Photo.String())
	assert.Equal(t, "relative", got.Clip)
}

func variables(t testing.TB, text string) (vs creatify.Variables) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &vs))
	return vs
}

func TestIntoLeavesFieldsWhoseVariablesAreMissing(t *testing.T) {
	got := whole()
	require.NoError(t, creatify.Variables{"unknown": creatify.Text("x")}.Into(&got))
	assert.Equal(t, whole(), got)
	require.NoError(t, creatify.Variables(nil).Into(&got))
	assert.Equal(t, whole(), got)
}

func TestIntoDoesNotWriteThroughPointersOfTheStruct(t *testing.T) {
	shared := "before"
	got := everything{Pointer: &shared}
	require.NoError(t, creatify.Variables{"pointer": creatify.Text("after")}.Into(&got))
	assert.Equal(t, "after", *got.Pointer)
	assert.Equal(t, "before", shared)
}

func TestIntoMakesEmbeddedStructsOnlyWhereTheyAreNeeded(t *testing.T) {
	var got everything
	require.NoError(t, creatify.Variables{"text": creatify.Text("x")}.Into(&got))
	assert.Nil(t, got.Wrapped)
	require.NoError(t, creatify.Variables{"title": creatify.Text("x")}.Into(&got))
	assert.Equal(t, "x", got.Title)

	kept := &Media{Photo: "https://p"}
	got.Wrapped = &Wrapped{kept}
	require.NoError(t, creatify.Variables{"title": creatify.Text("y")}.Into(&got))
	assert.Equal(t, Media{"https://p", "y"}, *kept, "an embedded struct is a part of the outer one")
}

func TestAVoiceoverWithoutAnIDReadsAsEmpty(t *testing.T) {
	for _, text := range []string{`{}`, `{"voice_id":null}`, `{"voice_id":""}`} {
		got := everything{Voice: "before"}
		require.NoError(t, variables(t, `{"voice":{"type":"voiceover","properties":`+text+`}}`).Into(&got), text)
		assert.Empty(t, got.Voice, text)
	}
}

func TestIntoRefuses(t *testing.T) {
	type target struct {
		everything
		Length time.Duration            `creatify:"length,text"`
		Face   encoding.TextUnmarshaler `creatify:"face,text"`
		Bytes  []byte                   `creatify:"bytes,text"`
		Broken fragile                  `creatify:"fragile,text"`
		*hidden
	}
	for name, c := range map[string]struct{ vs, path, message string }{
		"another type": {`{"text":{"type":"image","properties":{"url":"https://a"}}}`, "everything.Text",
			`the variable is of type "image", not "text"`},
		"a type that is not known": {`{"text":{"type":"secret\n","properties":{"content":"a"}}}`, "everything.Text",
			`the variable is of type "secret", not "text"`},
		"no type":                       {`{"text":{"properties":{"content":"a"}}}`, "everything.Text", "the variable's type cannot be read"},
		"a variable that is no object":  {`{"text":"a"}`, "everything.Text", "the variable's type cannot be read"},
		"a variable that is null":       {`{"text":null}`, "everything.Text", "the variable's type cannot be read"},
		"no value":                      {`{"text":{"type":"text","properties":{}}}`, "everything.Text", "the variable's value cannot be read"},
		"a value that is no string":     {`{"text":{"type":"text","properties":{"content":{}}}}`, "everything.Text", "the variable's value cannot be read"},
		"properties that are no object": {`{"text":{"type":"text","properties":[]}}`, "everything.Text", "the variable's value cannot be read"},
		"a Variable of another kind than in its tag": {`{"anyp":{"type":"image","properties":{}}}`, "everything.AnyP",
			`the variable is of type "image", not "text"`},
		"a number that is too large": {text("int", "128"), "everything.Int", "the variable's value is not of type int8"},
		"a number that is negative":  {text("uint", "-1"), "everything.Uint", "the variable's value is not of type uint16"},
		"a number that is none":      {text("float", "NaN"), "everything.Float", "the variable's value is not of type float32"},
		"a bool that is none":        {text("bool", "secret"), "everything.Bool", "the variable's value is not of type bool"},
		"a URL that is none": {`{"image":{"type":"image","properties":{"url":"https://secret:x:y"}}}`, "everything.Image",
			"the variable's value is not of type url.URL"},
		"a text that UnmarshalText refuses": {text("bytext", "secret"), "everything.ByText", "the variable's value is not of type creatify_test.byText"},
		"a text that UnmarshalText panics at": {text("fragile", "secret"), "Broken",
			"the variable's value is not of type creatify_test.fragile"},
		"a type that has a String method only": {text("length", "1m0s"), "Length",
			"has type time.Duration, which can be written but not read back: it has no UnmarshalText method"},
		"an interface": {text("face", "x"), "Face", "has type encoding.TextUnmarshaler, which cannot be read"},
		"a type that can be neither written nor read":             {text("bytes", "x"), "Bytes", "has type []uint8, which cannot be read"},
		"a nil embedded pointer to a struct that is not exported": {`{"photo":{"type":"image","properties":{"url":"https://a"}}}`, "hidden.Photo", "lies behind a nil pointer"},
	} {
		t.Run(name, func(t *testing.T) {
			got := target{everything: whole()}
			problems := problemsOf(t, variables(t, c.vs).Into(&got))
			require.Len(t, problems, 1)
			assert.Equal(t, "Into: target."+c.path, problems[0].Field)
			assert.Contains(t, problems[0].Message, c.message)
			if !strings.Contains(c.message, "secret") {
				assert.NotContains(t, problems[0].Message, "secret")
			}
			assert.Equal(t, target{everything: whole()}, got, "the field stays as it is")
		})
	}
}

func text(name, content string) string {
	b, _ := json.Marshal(creatify.Variables{name: creatify.Text(content)})
	return string(b)
}

func TestIntoTellsAllProblemsAtOnceAndSetsTheOthers(t *testing.T) {
	var got struct {
		A string  `creatify:"a,picture"`
		B int     `creatify:"b,text"`
		C float64 `creatify:"c,text"`
		D string  `creatify:"d,text"`
	}
	err := creatify.Variables{"b": creatify.Text("x"), "c": creatify.Text("y"), "d": creatify.Text("z")}.Into(&got)
	assert.Len(t, problemsOf(t, err), 3)
	assert.Equal(t, "z", got.D)
}

func TestRawVariablesShareNoMemory(t *testing.T) {
	type order struct {
		Raw json.RawMessage `creatify:"raw"`
	}
	from := order{json.RawMessage(`1`)}
	vs, err := creatify.VariablesFrom(from)
	require.NoError(t, err)
	from.Raw[0] = '2'
	var into order
	require.NoError(t, vs.Into(&into))
	assert.Equal(t, `1`, string(into.Raw))
	into.Raw[0] = '3'
	assert.Equal(t, creatify.RawVariable([]byte(`1`)), vs["raw"])
}

func TestATypeMayBeUsedFirstByManyAtOnce(t *testing.T) {
	type order struct {
		*Wrapped
		A int `creatify:"a,text"`
	}
	var all sync.WaitGroup
	start := make(chan struct{})
	for range 16 {
		all.Go(func() {
			<-start
			vs, err := creatify.VariablesFrom(order{A: 7})
			assert.NoError(t, err)
			var got order
			assert.NoError(t, vs.Into(&got))
			assert.Equal(t, 7, got.A)
		})
	}
	close(start)
	all.Wait()
}

// distinct makes values of n types that nobody has used before.
func distinct(n int) []any {
	all := make([]any, n)
	for i := range all {
		uses++
		fields := make([]reflect.StructField, 10)
		for j := range fields {
			tag := fmt.Sprintf(`creatify:"v%d,text" use:"%d"`, j, uses)
			fields[j] = reflect.StructField{Name: fmt.Sprint("V", j), Type: reflect.TypeFor[string](), Tag: reflect.StructTag(tag)}
		}
		all[i] = reflect.New(reflect.StructOf(fields)).Elem().Interface()
	}
	return all
}

var uses int

func TestTheTagsOfATypeAreReadOnce(t *testing.T) {
	const runs = 20
	allocs := func(values []any) float64 {
		i := -1
		return testing.AllocsPerRun(runs, func() {
			i++
			_, err := creatify.VariablesFrom(values[i%len(values)])
			require.NoError(t, err)
		})
	}
	first, again := allocs(distinct(runs+1)), allocs(distinct(1))
	assert.Less(t, 5*again, first)
}

func BenchmarkVariablesFrom(b *testing.B) {
	b.Run("a type used before", func(b *testing.B) {
		v := distinct(1)[0]
		b.ReportAllocs()
		for b.Loop() {
			if _, err := creatify.VariablesFrom(v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("a type used for the first time", func(b *testing.B) {
		values := distinct(b.N)
		b.ReportAllocs()
		b.ResetTimer()
		for _, v := range values {
			if _, err := creatify.VariablesFrom(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func FuzzInto(f *testing.F) {
	vs, err := creatify.VariablesFrom(whole())
	require.NoError(f, err)
	seed, err := json.Marshal(vs)
	require.NoError(f, err)
	f.Add(seed)
	for _, s := range []string{`{}`, `null`, `{"text":null,"raw":null,"any":7}`, text("float", "1e400"), text("time", "x"),
		`{"image":{"type":"image","properties":{"url":"%"}},"voice":{"type":"voiceover"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var vs creatify.Variables
		if json.Unmarshal(b, &vs) != nil {
			return
		}
		var got everything
		if err := vs.Into(&got); err != nil {
			assert.NotEmpty(t, problemsOf(t, err))
			return
		}
		sent, err := creatify.VariablesFrom(got)
		if err != nil { // such as a relative URL, which may be read but not sent
			return
		}
		var again everything
		require.NoError(t, sent.Into(&again))
		resent, err := creatify.VariablesFrom(again)
		require.NoError(t, err)
		assert.Equal(t, sent, resent, "what was read and written once is written the same for ever")
	})
}

func TestTheCodeInTheDocumentIsThatOfTheExamples(t *testing.T) {
	document, err := os.ReadFile("docs/variables.md")
	require.NoError(t, err)
	var examples []byte
	for _, name := range []string{"example_variables_test.go", "example_templates_test.go"} {
		file, err := os.ReadFile(name)
		require.NoError(t, err)
		examples = append(examples, file...)
	}
	unindented := regexp.MustCompile(`(?m)^\t`).ReplaceAllString(string(examples), "")
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(document, -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		code := string(block[1])
		assert.True(t, strings.Contains(string(examples), code) || strings.Contains(unindented, code), "no example has\n%s", code)
	}
	assert.LessOrEqual(t, strings.Count(string(document), "\n"), 120)
}
