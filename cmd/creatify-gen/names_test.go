package main

import (
	"cmp"
	"go/token"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go"
)

func TestExported(t *testing.T) {
	tests := []struct {
		name, text          string
		field, param, type_ string
	}{
		{"a word gets an upper case letter", "headline", "Headline", "headline", "Headline"},
		{"words are joined", "a long_name-with.dots", "ALongNameWithDots", "aLongNameWithDots", "ALongNameWithDots"},
		{"upper case within a word stays", "headlineText", "HeadlineText", "headlineText", "HeadlineText"},
		{"upper case throughout stays but for the parameter", "CTA", "CTA", "cta", "CTA"},
		{"ID and URL are spelt as Go does", "photo url id", "PhotoURLID", "photoURLID", "PhotoURLID"},
		{"nothing but URL", "url", "URL", "url", "URL"},
		{"a digit first gets a prefix", "2nd line", "V2ndLine", "v2ndLine", "Template2ndLine"},
		{"a script without upper case gets a prefix", "日本語", "V日本語", "v日本語", "Template日本語"},
		{"other scripts with upper case get none", "заголовок", "Заголовок", "заголовок", "Заголовок"},
		{"accents stay where they are part of the letter", "été", "Été", "été", "Été"},
		{"accents of their own are dropped", "cafe\u0301 bar", "CafeBar", "cafeBar", "CafeBar"},
		{"vowel signs are dropped", "हिन्दी", "Vहनद", "vहनद", "Templateहनद"},
		{"digits of other scripts count as digits", "٣ lines", "V٣Lines", "v٣Lines", "Template٣Lines"},
		{"a letter of two gets the upper case of both", "ǆez", "Ǆez", "ǆez", "Ǆez"},
		{"a letter without upper case gets a prefix", "ß", "Vß", "vß", "Templateß"},
		{"a letter without lower case gives a prefix to the parameter", "𝐀b", "𝐀b", "v𝐀b", "𝐀b"},
		{"a keyword is one only as a parameter", "type", "Type", "type_", "Type"},
		{"the name of the library's package is another as a parameter", "creatify", "Creatify", "creatify_", "Creatify"},
		{"no name at all", "", "V", "v", "Template"},
		{"nothing but white space", " \t\n", "V", "v", "Template"},
		{"nothing but underscores", "__", "V", "v", "Template"},
		{"nothing but emoji", "🎉🎉", "V", "v", "Template"},
		{"a blank letter is dropped", "\u3164", "V", "v", "Template"},
		{"marks of direction are dropped", "head\u202eline\u200f", "Headline", "headline", "Headline"},
		{"bytes that are no text are dropped", "head\xffline", "HeadLine", "headLine", "HeadLine"},
		{"code is words", `"; os.Exit(1); //`, "OsExit1", "osExit1", "OsExit1"},
		{"the end of a comment is nothing", "a*/b", "AB", "ab", "AB"},
		{"a long name is cut", strings.Repeat("é", 300), "É" + strings.Repeat("é", 59), strings.Repeat("é", 60), "É" + strings.Repeat("é", 59)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			field := fieldName(test.text)
			if field != test.field {
				t.Errorf("the field is %s, want %s", field, test.field)
			}
			if got := paramName(field); got != test.param {
				t.Errorf("the parameter is %s, want %s", got, test.param)
			}
			if got := typeName(test.text); got != test.type_ {
				t.Errorf("the type is %s, want %s", got, test.type_)
			}
		})
	}
}

// mustDescribe fails the test where templates cannot be described.
func mustDescribe(t *testing.T, templates ...*creatify.Template) []templateCode {
	t.Helper()
	all, err := describe(templates)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDescribe_tells_fields_apart_by_their_names(t *testing.T) {
	code := mustDescribe(t, texts(idA, "Demo", "a-b", "a b", "A.B", "Variables", "params", "template_id", "ABC", "abc", "other"))[0]
	want := []struct{ name, base, param string }{
		{"A.B", "AB", "ab"}, {"ABC", "ABC", "abc"}, {"Variables", "Variables", "variables"}, {"a b", "AB", "ab"}, {"a-b", "AB", "ab"},
		{"abc", "Abc", "abc"}, {"other", "Other", "other"}, {"params", "Params", "params"}, {"template_id", "TemplateID", "templateID"},
	}
	if len(code.Variables) != len(want) {
		t.Fatalf("there are %d variables, want %d", len(code.Variables), len(want))
	}
	for i, w := range want {
		suffix := suffix(w.name)
		if w.name == "other" {
			suffix = ""
		}
		expected := w.name + " " + w.base + suffix + " Demo" + w.base + suffix + " " + w.param + suffix
		v := code.Variables[i]
		if got := strings.Join([]string{v.Name, v.Field, v.Arg, v.Param}, " "); got != expected {
			t.Errorf("the names are %s, want %s", got, expected)
		}
	}
}

func TestDescribe_tells_templates_apart_by_their_IDs(t *testing.T) {
	a, b := suffix(idA), suffix(idB)
	tests := []struct {
		name      string
		templates [][3]string // ID, name and the one variable
		want      string      // types, in the order of names and IDs
	}{
		{"each has a name of its own", [][3]string{{idA, "Demo"}, {idB, "Other"}}, "Demo Other"},
		{"same name", [][3]string{{idB, "Demo"}, {idA, "Demo"}}, "Demo" + a + " Demo" + b},
		{"names that look alike", [][3]string{{idA, "demo"}, {idB, "Demo"}}, "Demo" + b + " Demo" + a},
		{"IDs that begin alike", [][3]string{{idA + "2", "Demo"}, {idA + "1", "Demo"}}, "Demo" + suffix(idA+"1") + " Demo" + suffix(idA+"2")},
		{"no name", [][3]string{{idA, ""}}, "Template" + a},
		{"IDs in another script", [][3]string{{"日本", ""}, {"語", ""}}, "Template" + suffix("日本") + " Template" + suffix("語")},
		{"name of a constructor", [][3]string{{idA, "Demo"}, {idB, "New Demo"}}, "Demo" + a + " NewDemo" + b},
		{"name of an argument", [][3]string{{idA, "Demo", "photo"}, {idB, "Demo Photo"}}, "Demo" + a + " DemoPhoto" + b},
		{"name of a constant", [][3]string{{idA, "Demo"}, {idB, "Demo Template ID"}}, "Demo" + a + " DemoTemplateID" + b},
		{"a constructor's name for an argument of the same template", [][3]string{{idA, "New", "new"}}, "New"},
		{"arguments of two templates", [][3]string{{idA, "Demo", "photo url"}, {idB, "Demo photo", "url"}}, "Demo" + a + " DemoPhoto" + b},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			all := templates()
			for _, entry := range test.templates {
				all = append(all, texts(entry[0], entry[1], cmp.Or(entry[2], "headline")))
			}
			var got []string
			for _, code := range mustDescribe(t, all...) {
				got = append(got, code.Type)
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("the types are %s, want %s", got, test.want)
			}
			typeCheck(t, mustGenerate(t, all...), "")
		})
	}
}

func TestDescribe_refuses_equal_suffixes(t *testing.T) {
	// The hashes of both names begin with the same 30 bits.
	one, two := equalSuffixes(t)
	_, err := describe(templates(texts(idA, "Demo", one, two)))
	if err == nil || !strings.Contains(err.Error(), "(rename a template or a variable)") {
		t.Errorf("the error is %v", err)
	}
}

// equalSuffixes finds two names with one suffix and one field, which takes about 40,000 tries.
func equalSuffixes(t *testing.T) (one, two string) {
	t.Helper()
	seen := make(map[string]string)
	for n := 1; n < 1_000_000; n++ {
		name := "a" + strings.Map(func(r rune) rune { return rune(" -"[r-'0']) }, strconv.FormatInt(int64(n), 2))
		if other, ok := seen[suffix(name)]; ok {
			return other, name
		}
		seen[suffix(name)] = name
	}
	t.Fatal("no two names have one suffix")
	return "", ""
}

// Each of the spellings may come, go or replace another, in any combination: code that is not changed keeps its meaning, or no
// longer compiles, or the file is not written.
func TestNames_keep_their_meaning_when_others_come_and_go(t *testing.T) {
	var spellings []string
	for _, separator := range []string{" ", "-", "_", ".", "  ", "/", "\n", "🎉", "\u202e ", ""} {
		for _, words := range [][2]string{{"photo", "url"}, {"Photo", "url"}, {"photo", "URL"}, {"PHOTO", "URL"}, {"photo", "Url"},
			{"template", "id"}, {"New", "Demo"}, {"日", "本"}, {"2nd", "line"}, {"", "variables"}, {"params", ""}} {
			spellings = append(spellings, words[0]+separator+words[1])
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func() *creatify.Template {
		template := texts(idA, "Demo")
		for range random.IntN(12) {
			template.Variables[spellings[random.IntN(len(spellings))]] = creatify.Text("")
		}
		return template
	}
	for range 150 {
		before, after := pick(), pick()
		old, current := mustGenerate(t, before), mustGenerate(t, after)
		if len(changed([]byte(old), []byte(current))) > 0 {
			continue // the program refuses to write this file
		}
		fields := make(map[string]string)
		for _, v := range mustDescribe(t, before)[0].Variables {
			fields[v.Field], fields[v.Arg] = v.Name, v.Name
		}
		for _, v := range mustDescribe(t, after)[0].Variables {
			for _, name := range []string{v.Field, v.Arg} {
				if wire, ok := fields[name]; ok && wire != v.Name {
					t.Errorf("%s filled %q and fills %q now", name, wire, v.Name)
				}
			}
		}
	}
}

func TestPackageName(t *testing.T) {
	tests := []struct{ name, folder, want string }{
		{"a name that can be one", "videos", "videos"},
		{"upper case, hyphens and dots", "My-Videos.v2", "myvideosv2"},
		{"a digit first", "2026", "p2026"},
		{"a keyword", "func", "pfunc"},
		{"the root of all folders", "/", "templates"},
		{"another script", "日本語", "日本語"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := packageName(test.folder); got != test.want || !token.IsIdentifier(got) {
				t.Errorf("it is %q, want %q", got, test.want)
			}
		})
	}
}

func FuzzNames(f *testing.F) {
	f.Add("Demo", "headline", "photo")
	f.Add("", "日本語", "2nd line")
	f.Add("New Demo", "a b", "a-b")
	f.Add("𝐀b", "𝐀b", "type")
	f.Add("template id", "Variables", "ID")
	f.Add("*/", "\"; os.Exit(1); //", "\n//go:build x")
	f.Add("\u202e", "``", "\xff")
	f.Fuzz(func(t *testing.T, name, one, two string) {
		for _, text := range []string{name, one, two} {
			for _, id := range []string{typeName(text), fieldName(text)} {
				if !token.IsIdentifier(id) || !token.IsExported(id) || strings.Contains(id, "_") || utf8.RuneCountInString(id) > maxName+len(noTemplateName) {
					t.Errorf("%q gives %q", text, id)
				}
			}
			if id := paramName(fieldName(text)); !token.IsIdentifier(id) || token.IsExported(id) {
				t.Errorf("%q gives the parameter %q", text, id)
			}
			if id := packageName(text); !token.IsIdentifier(id) || id == "_" {
				t.Errorf("%q gives the package %q", text, id)
			}
		}
		all := templates(texts(idA, name, one, two), texts(one, two, name, one), texts(two, "new "+name, name))
		typeCheck(t, mustGenerate(t, all...), "")
	})
}
