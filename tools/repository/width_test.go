package repository

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// columns is how wide a comment may be, with a tab as four columns.
const columns = 110

// TestCommentWidth passes over the output of examples, which is the program's.
func TestCommentWidth(t *testing.T) {
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil || strings.HasPrefix(string(source), "// Code generated") {
			return err
		}
		output := false
		for i, line := range strings.Split(string(source), "\n") {
			text := strings.TrimSpace(line)
			if !strings.HasPrefix(text, "//") {
				output = false
				continue
			}
			output = output || text == "// Output:"
			width := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    "))
			if width > columns && !output && !strings.HasPrefix(text, "//go:") {
				t.Errorf("%s:%d: a comment of %d columns", filepath.ToSlash(path), i+1, width)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
