package repository

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheSupportedGoVersionsAreThoseThatCIRuns compares what is said of Go versions in four places.
func TestTheSupportedGoVersionsAreThoseThatCIRuns(t *testing.T) {
	var minor int
	if _, err := fmt.Sscanf(regexp.MustCompile(`(?m)^go .*$`).FindString(file(t, "go.mod")), "go 1.%d.0", &minor); err != nil {
		t.Fatal("go.mod names no Go version without a patch level: ", err)
	}
	older, newer := fmt.Sprintf("1.%d", minor), fmt.Sprintf("1.%d", minor+1)
	for name, want := range map[string]string{
		".github/workflows/ci.yml": fmt.Sprintf(`go: ["%s.x", "%s.x"]`, older, newer),
		"docs/stability.md":        fmt.Sprintf("now %s and %s", older, newer),
		"README.md":                fmt.Sprintf("Go %s or later", older),
	} {
		if !strings.Contains(file(t, name), want) {
			t.Errorf("go.mod asks for Go %s, but %s does not say %q", older, name, want)
		}
	}
	modules, err := filepath.Glob(filepath.Join(root, "*", "go.mod"))
	if err != nil || len(modules) < 5 {
		t.Fatalf("%d modules beside the root, %v", len(modules), err)
	}
	deeper, _ := filepath.Glob(filepath.Join(root, "*", "*", "go.mod"))
	for _, name := range append(modules, deeper...) {
		mod, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^go %s\.0\r?$`, regexp.QuoteMeta(older))).Match(mod) {
			t.Errorf("%s asks for another Go than the root", name)
		}
	}
}

// TestTheRootModuleHasOnlyTheDependenciesOfItsPolicy is about go.mod, as depguard is about imports: every
// user inherits it.
func TestTheRootModuleHasOnlyTheDependenciesOfItsPolicy(t *testing.T) {
	mod := file(t, "go.mod")
	policy := []string{"github.com/hashicorp/go-retryablehttp", "golang.org/x/time", "github.com/jarcoal/httpmock",
		"github.com/stretchr/testify"}
	direct := regexp.MustCompile(`(?m)^\s+(\S+) v\S+$`).FindAllStringSubmatch(mod, -1)
	if len(direct) != len(policy) {
		t.Errorf("go.mod has %d direct dependencies, not %d", len(direct), len(policy))
	}
	for _, path := range policy {
		if !strings.Contains(mod, "\t"+path+" v") {
			t.Errorf("go.mod does not have %s", path)
		}
	}
	for _, line := range []string{"replace", "toolchain", "exclude", "tool"} {
		if regexp.MustCompile(`(?m)^` + line + `\b`).MatchString(mod) {
			t.Errorf("go.mod has a line %q, which means nothing, or too much, to a user", line)
		}
	}
}

func file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}
