package main

import (
	"path/filepath"
	"testing"
)

// Whether each mutant is noticed takes minutes, and is the program's task; whether each has its place takes
// none.
func TestApply(t *testing.T) {
	for _, m := range all {
		if _, _, err := m.apply(filepath.Join("../..", m.dir)); err != nil {
			t.Errorf("%s: %v", m.breach, err)
		}
	}
}
