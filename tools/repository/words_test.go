package repository

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// words are words and phrases with a shorter or more usual substitute.
var words = regexp.MustCompile(`(?i)\b(repl(y|ies)|says? (whether|nothing (itself )?of)|(an?|the|each|every|no) notices?|at the most|` +
	`go(es)? on (to|with|as|while|after|in)|comes? about|br(eaks?|oke|oken) off|hand(ed|s) over|in vain|as far as can be told|bears? to be|` +
	`(is|are|was|were) (let in|told)|gives? back|stands? still|has gone|such an? one|mend(s|ed|ing)?|setbacks?|foresees?|poke[sd]?|` +
	`hurr(y|ies)|has to do with it|what there is to)\b`)

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
			if word := words.FindString(line); word != "" {
				t.Errorf("%s:%d: %q: use another word: %s", filepath.ToSlash(path), i+1, word, strings.TrimSpace(line))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
