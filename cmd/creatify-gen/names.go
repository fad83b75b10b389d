package main

import (
	"go/token"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// scope holds the identifiers that are taken.
type scope map[string]bool

// claim takes the name, or the first of name_2, name_3 and so on that is free.
func (s scope) claim(name string) string {
	free := name
	for n := 2; s[free]; n++ {
		free = name + "_" + strconv.Itoa(n)
	}
	s[free] = true
	return free
}

// noTemplateName is the type of a template in whose name is no letter or digit.
const noTemplateName = "Template"

func typeName(template string) string { return exported(template, noTemplateName) }

func fieldName(variable string) string { return exported(variable, "V") }

// maxName is in characters. It keeps code readable whose names come from whole paragraphs.
const maxName = 60

// exported makes an exported identifier without underscores of any text. The prefix precedes what could not begin one: a
// digit, a letter of a script without upper case, or nothing at all.
func exported(text, prefix string) string {
	words := strings.FieldsFunc(strings.Map(dropInvisible, text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	for i, word := range words {
		if upper := strings.ToUpper(word); upper == "ID" || upper == "URL" {
			words[i] = upper
			continue
		}
		first, size := utf8.DecodeRuneInString(word)
		words[i] = string(unicode.ToUpper(first)) + word[size:]
	}
	name := []rune(strings.Join(words, ""))
	name = name[:min(len(name), maxName)]
	if len(name) == 0 || !unicode.IsUpper(name[0]) {
		return prefix + string(name)
	}
	return string(name)
}

// dropInvisible is for strings.Map. Accents of their own and marks of direction are in the midst of words, but cannot be in
// identifiers; some blank letters can, but must not.
func dropInvisible(r rune) rune {
	if unicode.In(r, unicode.M, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point) {
		return -1
	}
	return r
}

// idSuffix tells templates of one name apart.
func idSuffix(id string) string {
	id = strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return -1
	}, id)
	return "_" + id[:min(len(id), 8)]
}

// paramName makes an identifier of a field's that hides nothing a constructor needs.
func paramName(field string) string {
	first, size := utf8.DecodeRuneInString(field)
	name := string(unicode.ToLower(first)) + field[size:]
	if strings.ToUpper(field) == field { // such as URL
		name = strings.ToLower(field)
	}
	if first, _ = utf8.DecodeRuneInString(name); unicode.IsUpper(first) { // some have no lower case
		name = "v" + name
	}
	if token.IsKeyword(name) || name == "string" || name == "creatify" {
		name += "_"
	}
	return name
}

// packageName makes a package's name of a folder's.
func packageName(folder string) string {
	name := strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, folder))
	switch {
	case name == "":
		return "templates"
	case !token.IsIdentifier(name):
		return "p" + name
	}
	return name
}
