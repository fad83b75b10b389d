package main

import "testing"

// Whether each mutant is noticed takes minutes to find out, and is the program's task; whether it still fits takes none.
func TestEachMutantFitsItsFile(t *testing.T) {
	breaches := make(map[string]bool)
	for _, m := range all {
		if breaches[m.breach] {
			t.Errorf("two mutants are %q", m.breach)
		}
		breaches[m.breach] = true
		if _, err := m.overlay("../..", t.TempDir()); err != nil {
			t.Errorf("%s: %v", m.breach, err)
		}
	}
}
