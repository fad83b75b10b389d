package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func setEnvironment(t *testing.T, id, key, url, password, secret string) {
	t.Setenv("CREATIFY_API_ID", id)
	t.Setenv("CREATIFY_API_KEY", key)
	t.Setenv("CREATIFY_BASE_URL", url)
	t.Setenv("SHOP_PASSWORD", password)
	t.Setenv("SHOP_WEBHOOK_SECRET", secret)
}

func TestRun_without_an_account(t *testing.T) {
	setEnvironment(t, "", "", "", "", "")
	t.Chdir(t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("TMP", os.Getenv("TMPDIR")) // on Windows
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stdout, out := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int)
	go func() { ended <- run(ctx, []string{"-addr=127.0.0.1:0"}, out, &stderr) }()
	url := make([]byte, 100)
	n, err := stdout.Read(url)
	require.NoError(t, err)
	response, err := http.Get(strings.TrimSpace(string(url[:n])))
	require.NoError(t, err)
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	response.Body.Close()
	assert.Contains(t, string(page), "This shop is a trial: nothing is charged")
	stop()
	assert.Equal(t, 0, <-ended)
	assert.Contains(t, stderr.String(), "This is a fake API, built in: nothing is charged.")
	for _, dir := range []string{".", os.TempDir()} {
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left, "what is left in %s", dir)
	}
}

func TestRun_bad_usage(t *testing.T) {
	const id, key, template = creatifytest.APIID, creatifytest.APIKey, "-template=" + creatifytest.TemplateID
	tests := []struct {
		name, id, key, password, secret string
		args                            []string
		says                            string
	}{
		{"no template", id, key, "", "", nil, "-template is missing"},
		{"half an account", id, "", "", "", nil, "CREATIFY_API_KEY is missing"},
		{"orders of the fake that would stay", "", "", "", "", []string{"-db=orders.db"}, "-template, -db and -dir need an account"},
		{"an argument that is no flag", "", "", "", "", []string{"more"}, `"more"`},
		{"a public URL that is none", id, key, "secret", "", []string{template, "-public=shop.example.com"}, "-public must be a URL"},
		{"a public URL with a path", id, key, "secret", "", []string{template, "-public=https://example.com/shop"}, "-public must be a URL"},
		{"credits that are none", id, key, "", "", []string{template, "-credits=NaN"}, "-credits must be a number of credits"},
		{"a database in other words", id, key, "", "", []string{template, "-db=host=db password=s3cret"}, "-db must be a file, or a URL"},
		{"a public shop for everybody", id, key, "", "", []string{template, "-public=https://shop.example.com"}, "SHOP_PASSWORD is missing"},
		{"all addresses for everybody", id, key, "", "", []string{template, "-addr=0.0.0.0:0"}, "SHOP_PASSWORD is missing"},
		{"all addresses, in short, for everybody", id, key, "", "", []string{template, "-addr=:0"}, "SHOP_PASSWORD is missing"},
		{"an address without a port", id, key, "secret", "", []string{template, "-addr=localhost"}, "-addr must be HOST:PORT"},
		{"a port that is none", id, key, "secret", "", []string{template, "-addr=localhost:x"}, "-addr must be HOST:PORT"},
		{"webhooks to nowhere", id, key, "", "secret", []string{template}, "SHOP_WEBHOOK_SECRET needs -public"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			setEnvironment(t, test.id, test.key, "", test.password, test.secret)
			var stdout, stderr bytes.Buffer
			assert.Equal(t, 2, run(t.Context(), test.args, &stdout, &stderr))
			assert.Contains(t, stderr.String(), test.says)
			assert.Contains(t, stderr.String(), "For the usage: go run ./examples/service -h")
			assert.Empty(t, stdout.String())
		})
	}
}

func TestRun_help(t *testing.T) {
	var stdout, stderr bytes.Buffer
	assert.Equal(t, 0, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	assert.Equal(t, help, stdout.String())
}

func TestRun_broken(t *testing.T) {
	tests := []struct{ name, arg, says string }{
		{"an address in use by nobody here", "-addr=192.0.2.1:80", "(choose another -addr)"},
		{"a folder for the orders that does not exist", "-db=none/orders.db", "(check -db)"},
		{"a Postgres that does not exist", "-db=postgres://shop@127.0.0.1:1/shop", "(check -db)"},
		{"a URL of a Postgres that is malformed", "-db=postgres://shop:s3cret@%zz/shop", "postgres"},
	}
	api := httptest.NewServer(creatifytest.New(creatifytest.Config{}))
	defer api.Close()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			setEnvironment(t, creatifytest.APIID, creatifytest.APIKey, api.URL, "secret", "")
			t.Chdir(t.TempDir())
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			var stdout, stderr bytes.Buffer
			assert.Equal(t, 1, run(ctx, []string{"-template=" + creatifytest.TemplateID, test.arg}, &stdout, &stderr))
			assert.Contains(t, stderr.String(), test.says)
			assert.NotContains(t, stderr.String(), "s3cret")
		})
	}
}
