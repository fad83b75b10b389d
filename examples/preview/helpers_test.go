package main

import (
	"bytes"
	"context"
	"os"
	"testing"
	"testing/synctest"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
)

const (
	newJob    = "-template=" + creatifytest.TemplateID
	resumeIt  = "go run ./examples/preview -job "
	someJobID = "01234567-89ab-4cde-8f01-23456789abcd"
)

// TestMain runs the tests, or the program: a test that needs it as a process starts this binary again.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_THE_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

type result struct {
	code           int
	stdout, stderr string
}

// preview runs the program, with the API as that of the account and as the fake.
func preview(t *testing.T, ctx context.Context, api *creatifytest.API, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, &stdout, &stderr, creatify.WithHTTPClient(api.HTTPClient()))
	assert.NotContains(t, stdout.String()+stderr.String(), creatifytest.APIKey, "the key is shown")
	return result{code, stdout.String(), stderr.String()}
}

func setAccount(t *testing.T) {
	t.Setenv("CREATIFY_API_ID", creatifytest.APIID)
	t.Setenv("CREATIFY_API_KEY", creatifytest.APIKey)
	t.Setenv("CREATIFY_BASE_URL", "")
}

func unsetAccount(t *testing.T) {
	t.Setenv("CREATIFY_API_ID", "")
	t.Setenv("CREATIFY_API_KEY", "")
	t.Setenv("CREATIFY_BASE_URL", "")
}

func assertBadUsage(t *testing.T, args []string, says ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		got := preview(t, t.Context(), api, args...)
		assert.Equal(t, 2, got.code, "exit code; stderr:\n%s", got.stderr)
		for _, text := range says {
			assert.Contains(t, got.stderr, text)
		}
		assert.Empty(t, got.stdout)
		assert.Zero(t, api.Calls(""), "requests sent")
	})
}
