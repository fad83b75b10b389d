package main

import (
	"go/token"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestIdentifiers(t *testing.T) {
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
		{"a name the constructor needs is another as a parameter", "string", "String", "string_", "String"},
		{"so is the library's", "creatify", "Creatify", "creatify_", "Creatify"},
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

func TestFieldsThatCollideAreNumbered(t *testing.T) {
	code := describe(templates(texts(idA, "Demo", "a-b", "a b", "A.B", "Variables", "params", "ABC", "abc")))[0]
	var got []string
	for _, v := range code.Variables {
		got = append(got, v.Name+" "+v.Field+" "+v.Type+" "+v.Param)
	}
	want := "A.B AB DemoAB ab, ABC ABC DemoABC abc, Variables Variables_2 DemoVariables_2 variables_2, a b AB_2 DemoAB_2 ab_2, " +
		"a-b AB_3 DemoAB_3 ab_3, abc Abc DemoAbc abc_2, params Params_2 DemoParams_2 params_2"
	if got := strings.Join(got, ", "); got != want {
		t.Errorf("the names are %s\nwant %s", got, want)
	}
}

func TestTemplatesThatCollideAreToldApartByID(t *testing.T) {
	tests := []struct {
		name      string
		templates [][2]string // ID and name
		want      string      // types, in the order of names and IDs
	}{
		{"one has the name alone", [][2]string{{idA, "Demo"}, {idB, "Other"}}, "Demo Other"},
		{"two have one name", [][2]string{{idB, "Demo"}, {idA, "Demo"}}, "Demo_aaaaaaaa Demo_bbbbbbbb"},
		{"two names look alike", [][2]string{{idA, "demo"}, {idB, "Demo"}}, "Demo_bbbbbbbb Demo_aaaaaaaa"},
		{"the IDs begin alike", [][2]string{{idA + "2", "Demo"}, {idA + "1", "Demo"}}, "Demo_aaaaaaaa Demo_aaaaaaaa_2"},
		{"one has no name", [][2]string{{idA, ""}}, "Template_aaaaaaaa"},
		{"an ID is of other letters", [][2]string{{"日本", ""}, {"語", ""}}, "Template_ Template__2"},
		{"a name is that of a constructor", [][2]string{{idA, "Demo"}, {idB, "New Demo"}}, "Demo NewDemo"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			all := templates()
			for _, idAndName := range test.templates {
				all = append(all, texts(idAndName[0], idAndName[1], "headline"))
			}
			var got []string
			for _, code := range describe(all) {
				got = append(got, code.Type)
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("the types are %s, want %s", got, test.want)
			}
			typeCheck(t, mustGenerate(t, all...), "")
		})
	}
}

func TestPackageNames(t *testing.T) {
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
