package main

import (
	"path/filepath"
	"testing"
)

// That each mutant is noticed takes minutes and is the program's task. That each has a place in the code is
// quick to check.
func TestApply(t *testing.T) {
	for _, m := range all {
		if _, _, err := m.apply(filepath.Join("../..", m.dir)); err != nil {
			t.Errorf("%s: %v", m.breach, err)
		}
	}
}
