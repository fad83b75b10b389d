package cli

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go/examples/internal/screen"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestParse_help reads the help of each program.
func TestParse_help(t *testing.T) {
	texts, err := filepath.Glob("../../*/help.txt")
	require.NoError(t, err)
	require.Len(t, texts, 3)
	for _, name := range texts {
		t.Run(filepath.Base(filepath.Dir(name)), func(t *testing.T) {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
			assert.LessOrEqual(t, len(lines), 23, "lines, of a terminal that has 24 with the prompt")
			for i, line := range lines {
				assert.LessOrEqual(t, utf8.RuneCountInString(line), 80, "columns of line %d", i+1)
			}
			sources, err := filepath.Glob(filepath.Join(filepath.Dir(name), "*.go"))
			require.NoError(t, err)
			flags := 0
			for _, source := range sources {
				code, err := os.ReadFile(source)
				require.NoError(t, err)
				for _, found := range regexp.MustCompile(`set\.\w+\((?:[^"\n]+, )?"([a-z-]+)", `).FindAllSubmatch(code, -1) {
					flags++
					assert.Contains(t, string(text), "\n  -"+string(found[1])+" ")
				}
			}
			assert.Greater(t, flags, 2)
			narrow := &screen.Screen{Columns: 50}
			_, err = Parse(flag.NewFlagSet("", flag.ContinueOnError), string(text), []string{"-h"}, narrow)
			assert.ErrorIs(t, err, flag.ErrHelp)
			assert.Equal(t, strings.Fields(string(text)), strings.Fields(strings.Join(narrow.Lines(), "\n")), "no word is broken")
			t.Log("\n" + strings.Join(narrow.Lines(), "\n"))
			for _, part := range []string{"go run ./examples/", "Environment: ", "Exit codes"} {
				assert.Contains(t, string(text), part)
			}
		})
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		err    string
		stdout string
	}{
		{"flags", []string{"-n=1"}, "", ""},
		{"help", []string{"-n=1", "-h"}, "flag: help requested", "the help\n"},
		{"an argument", []string{"x"}, `unexpected argument "x": everything is given by flags`, ""},
		{"an unknown flag", []string{"-x"}, "flag provided but not defined: -x", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("CREATIFY_API_ID", "")
			t.Setenv("CREATIFY_API_KEY", "")
			set := flag.NewFlagSet("", flag.ContinueOnError)
			set.Int("n", 0, "")
			var stdout bytes.Buffer
			account, err := Parse(set, "the help\n", test.args, &stdout)
			if test.err == "" {
				assert.NoError(t, err)
			} else {
				assert.EqualError(t, err, test.err)
			}
			assert.False(t, account)
			assert.Equal(t, test.stdout, stdout.String())
		})
	}
}

func TestBadUsage(t *testing.T) {
	var stderr bytes.Buffer
	assert.Equal(t, 0, BadUsage(&stderr, "batch", flag.ErrHelp))
	assert.Empty(t, stderr.String())
	assert.Equal(t, 2, BadUsage(&stderr, "batch", errors.New("-in is missing")))
	assert.Equal(t, "-in is missing\nNothing was sent. For the usage: go run ./examples/batch -h\n", stderr.String())
}

func TestParse_account(t *testing.T) {
	tests := []struct {
		name, id, key string
		account       bool
		err           string
	}{
		{"both", "a", "b", true, ""},
		{"neither", "", "", false, ""},
		{"no key", "a", "", false, "CREATIFY_API_KEY is missing"},
		{"no ID", "", "b", false, "CREATIFY_API_ID is missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("CREATIFY_API_ID", test.id)
			t.Setenv("CREATIFY_API_KEY", test.key)
			account, err := Parse(flag.NewFlagSet("", flag.ContinueOnError), "", nil, io.Discard)
			assert.Equal(t, test.account, account)
			if test.err == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, test.err)
			}
		})
	}
}

func TestOrders(t *testing.T) {
	path, remove := Orders(true, "results.csv.db")
	assert.Equal(t, "results.csv.db", path)
	remove()

	path, remove = Orders(false, "results.csv.db")
	assert.NotContains(t, path, "results")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	remove()
	assert.NoDirExists(t, filepath.Dir(path))
}
