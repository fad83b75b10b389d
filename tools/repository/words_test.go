package repository

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// words are words and phrases with a shorter or more usual substitute.
var words = regexp.MustCompile(`(?i)\b(repl(y|ies)|says? (whether|nothing (itself )?of)|(an?|the|each|every|no) notices?|at the most|` +
	`go(es)? on (to|with|as|while|after|in)|comes? about|br(eaks?|oke|oken) off|hand(ed|s) over|in vain|as far as can be told|bears? to be|` +
	`(is|are|was|were) (let in|told)|gives? back|stands? still|has gone|such an? one|mend(s|ed|ing)?|setbacks?|foresees?|poke[sd]?|` +
	`hurr(y|ies)|has to do with it|what there is to)\b`)

func TestWords(t *testing.T) {
	eachSource(t, func(path string, lines []string) {
		for i, line := range lines {
			if word := words.FindString(line); word != "" && filepath.Base(path) != "words_test.go" {
				t.Errorf("%s:%d: %q: use another word: %s", path, i+1, word, strings.TrimSpace(line))
			}
		}
	}, ".go", ".md")
}

// eachSource calls f for each file of the repository with one of these endings.
func eachSource(t *testing.T, f func(path string, lines []string), endings ...string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		switch {
		case entry.IsDir() && (name == ".git" || name == "node_modules" || name == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || !slices.Contains(endings, filepath.Ext(name)):
			return nil
		}
		source, err := os.ReadFile(path)
		if err == nil {
			f(filepath.ToSlash(path), strings.Split(string(source), "\n"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
