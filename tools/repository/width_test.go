package repository

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// columns is how wide a comment may be, with a tab as four columns.
const columns = 110

// TestCommentWidth skips the output of examples, which is the program's, and generated files.
func TestCommentWidth(t *testing.T) {
	eachSource(t, func(path string, lines []string) {
		if strings.HasPrefix(lines[0], "// Code generated") {
			return
		}
		output := false
		for i, line := range lines {
			text := strings.TrimSpace(line)
			output = strings.HasPrefix(text, "//") && (output || text == "// Output:")
			width := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    "))
			if width > columns && strings.HasPrefix(text, "//") && !output && !strings.HasPrefix(text, "//go:") {
				t.Errorf("%s:%d: a comment of %d columns", path, i+1, width)
			}
		}
	}, ".go")
}
