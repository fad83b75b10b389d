package repository

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// words are not used here; the trade has others, or shorter ones.
var words = regexp.MustCompile(`(?i)\b(repl(y|ies)|says? whether|(an?|the|each|every|no) notices?|at the most|go(es)? on (to|with|as|while|after|in)|` +
	`comes? about|breaks? off|broke off|handed over|in vain|as far as can be told|bears? to be)\b`)

// honest are uses of such words that are right: names that stay, and other people's words.
var honest = regexp.MustCompile(`Life\.Reply|\bReply\b|Reply(:| func)`)

func TestWords(t *testing.T) {
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if name == ".git" || name == "node_modules" || name == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(name); ext != ".go" && ext != ".md" || name == "words_test.go" {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(source), "\n") {
			if word := words.FindString(honest.ReplaceAllString(line, "")); word != "" {
				t.Errorf("%s:%d: %q: use another word: %s", filepath.ToSlash(path), i+1, word, strings.TrimSpace(line))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
