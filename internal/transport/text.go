package transport

import (
	"strings"
	"unicode"
)

// OneLine makes a server's text fit for a line of a log: without control characters, and not endless.
func OneLine(text string) string {
	const most = 300
	short := strings.ToValidUTF8(text[:min(len(text), 2*most)], "")
	short = strings.Join(strings.FieldsFunc(short, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(short) <= most && len(text) <= 2*most {
		return short
	}
	return strings.ToValidUTF8(short[:min(len(short), most)], "") + "…"
}
