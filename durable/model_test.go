package durable

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The model and the SQL name the same transitions, from and to the same states.
func TestModel_names_the_transitions(t *testing.T) {
	model, err := os.ReadFile("model/order.pml")
	require.NoError(t, err)
	inModel := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^inline (\w+)\(.*\) \{ atomic \{ if :: (.*?) -> state = (\w+);`).FindAllStringSubmatch(string(model), -1) {
		var from []string
		for _, s := range regexp.MustCompile(`state == (\w+)`).FindAllStringSubmatch(m[2], -1) {
			from = append(from, s[1])
		}
		slices.Sort(from)
		inModel[m[1]] = strings.Join(from, ", ") + " to " + m[3]
	}
	require.Contains(t, string(model), "inline submit()")
	require.Contains(t, string(model), "mtype state = queued;")
	inModel[submit.name] = " to queued"
	inSQL := map[string]string{}
	for _, tr := range transitions {
		var from []string
		for _, s := range tr.from {
			from = append(from, string(s))
		}
		slices.Sort(from)
		to := string(tr.to)
		if to == "$2" { // one of the ends of a job
			to = string(StateDone)
		}
		inSQL[tr.name] = strings.Join(from, ", ") + " to " + to
	}
	assert.Equal(t, inSQL, inModel)
}

// Transitions are the only statements that write a state.
func TestTransitions_alone_write_states(t *testing.T) {
	source, err := os.ReadFile("sql.go")
	require.NoError(t, err)
	for _, update := range regexp.MustCompile("(?s)`UPDATE \\{s\\}orders SET(.*?)(WHERE|`)").FindAllStringSubmatch(string(source), -1) {
		assert.NotContains(t, update[1], "state")
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		args  []string
		holds bool
	}{
		{name: "holds", holds: true},
		{name: "refutes_a_claim_after_the_call", args: []string{"-DNAIVE"}},
	}
	model, err := filepath.Abs("model/order.pml")
	require.NoError(t, err)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			do := func(name string, args ...string) string {
				command := exec.Command(name, args...)
				command.Dir = dir
				output, err := command.CombinedOutput()
				require.NoError(t, err, "%s (apt-get install spin gcc)\n%s", name, output)
				return string(output)
			}
			do("spin", append(test.args, "-a", model)...)
			do("gcc", "-O2", "-DSAFETY", "-w", "-o", "pan", "pan.c")
			output := do("./pan", "-m100000")
			assert.Equal(t, test.holds, strings.Contains(output, "errors: 0"), output)
			assert.Equal(t, test.holds, !strings.Contains(output, "assertion violated ("), output)
		})
	}
}
