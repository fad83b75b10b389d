package main

import (
	"crypto/sha256"
	"encoding/base32"
	"go/token"
	"strings"
	"unicode"
	"unicode/utf8"
)

// noTemplateName begins the type of a template whose name has no letter or digit.
const noTemplateName = "Template"

func typeName(template string) string { return exported(template, noTemplateName) }

func fieldName(variable string) string { return exported(variable, "V") }

// maxName is in characters. It keeps code readable whose names come from whole paragraphs.
const maxName = 60

// exported makes an exported identifier without underscores from any text. The prefix precedes what cannot
// begin an identifier: a digit or a letter of a script without upper case. It also replaces text without
// letters and digits.
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

// dropInvisible is for strings.Map. Combining accents and marks of direction occur within words but not in
// identifiers; blank letters could be in both.
func dropInvisible(r rune) rune {
	if unicode.In(r, unicode.M, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point) {
		return -1
	}
	return r
}

// suffix tells apart names that would have the same identifier. It depends on the variable's name or the
// template's ID alone, and never on other names, so that an identifier keeps its meaning when others come and
// go.
func suffix(wire string) string {
	hash := sha256.Sum256([]byte(wire))
	return "_" + strings.ToLower(base32.StdEncoding.EncodeToString(hash[:])[:6])
}

// paramName makes a parameter name from a field name. It does not shadow anything that a constructor uses.
func paramName(field string) string {
	first, size := utf8.DecodeRuneInString(field)
	name := string(unicode.ToLower(first)) + field[size:]
	if strings.ToUpper(field) == field { // such as URL
		name = strings.ToLower(field)
	}
	if first, _ = utf8.DecodeRuneInString(name); unicode.IsUpper(first) { // some have no lower case
		name = "v" + name
	}
	if token.IsKeyword(name) || name == "creatify" {
		name += "_"
	}
	return name
}

// packageName makes a package name of a folder's.
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
