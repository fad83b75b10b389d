package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain runs the tests, or the program: a test that needs it as a process starts this binary again.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_THE_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// folder is a working directory with a file of rows, and the account that they are sent to.
type folder struct {
	t    *testing.T
	fake *creatifytest.API
}

// inFolder runs a test in virtual time, in a folder of its own with the sample as in.csv.
func inFolder(t *testing.T, config creatifytest.Config, test func(t *testing.T, f *folder)) {
	t.Helper()
	setAccount(t, creatifytest.APIID, creatifytest.APIKey, "")
	t.Chdir(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		f := &folder{t, creatifytest.New(config)}
		f.write("in.csv", string(sample))
		test(t, f)
		files, err := filepath.Glob("*")
		require.NoError(t, err)
		for _, name := range files {
			text, _ := os.ReadFile(name)
			assert.NotContains(t, string(text), creatifytest.APIKey, "the key is in %s", name)
			assert.NotContains(t, name, ".tmp")
		}
	})
}

func setAccount(t *testing.T, id, key, url string) {
	t.Setenv("CREATIFY_API_ID", id)
	t.Setenv("CREATIFY_API_KEY", key)
	t.Setenv("CREATIFY_BASE_URL", url)
}

func (f *folder) write(name, text string) {
	f.t.Helper()
	require.NoError(f.t, os.WriteFile(name, []byte(text), 0o600))
}

type output struct {
	code           int
	stdout, stderr string
}

// batch runs the program with the account, a budget of 20 and the rows of in.csv, unless args say otherwise.
func (f *folder) batch(ctx context.Context, args ...string) output {
	f.t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(ctx, append([]string{"-in=in.csv", "-budget=20"}, args...), &stdout, &stderr, creatify.WithHTTPClient(f.fake.HTTPClient()))
	assert.NotContains(f.t, stdout.String()+stderr.String(), creatifytest.APIKey, "the key is shown")
	return output{code, stdout.String(), stderr.String()}
}

// results returns a column of a file of results, by row.
func results(t *testing.T, name, column string) map[string]string {
	t.Helper()
	file, err := os.Open(name)
	require.NoError(t, err)
	defer file.Close()
	table, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	cells := map[string]string{}
	for i, name := range table[0] {
		if name == column {
			for _, record := range table[1:] {
				cells[record[0]] = record[i]
			}
		}
	}
	require.NotEmpty(t, cells, "there is no column %s", column)
	return cells
}

// assertPaidOnce checks the fake's books: no row was charged twice, and its state is true.
func assertPaidOnce(t *testing.T, fake *creatifytest.API, states map[string]string) {
	t.Helper()
	charges := map[string]int{}
	for _, charge := range fake.Charges() {
		charges[charge.Name]++
	}
	for row, n := range charges {
		assert.LessOrEqual(t, n, 1, "charges for row %s", row)
	}
	for row, state := range states {
		if assert.NotContains(t, []string{"sending", "waiting"}, state, "row %s", row); state == "done" {
			assert.Equal(t, 1, charges[row], "charges for row %s, which is done", row)
		}
		if state == "queued" || state == "refused" || state == "cancelled" {
			assert.Zero(t, charges[row], "charges for row %s, which is %s", row, state)
		}
	}
}
