package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// serve lets the program find an account with these templates in the environment.
func serve(t *testing.T, templates ...creatifytest.Template) *creatifytest.API {
	t.Helper()
	api := creatifytest.New(creatifytest.Config{Templates: templates})
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	t.Setenv("CREATIFY_BASE_URL", server.URL)
	t.Setenv("CREATIFY_API_ID", creatifytest.APIID)
	t.Setenv("CREATIFY_API_KEY", creatifytest.APIKey)
	t.Setenv("GOPACKAGE", "")
	return api
}

// mustRun runs the program and returns its output. It fails the test if the exit code is another one.
func mustRun(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(t.Context(), args, &out, &errs); got != code {
		t.Fatalf("creatify-gen %q ended with %d, want %d\n%s%s", args, got, code, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

const (
	idA = "aaaaaaaa-0d44-4b50-8888-8dd25736052a"
	idB = "bbbbbbbb-0d44-4b50-8888-8dd25736052a"
)

func demo() creatifytest.Template {
	return creatifytest.Template{ID: idA, Name: "Demo", Variables: map[string]string{"headline": "text", "photo": "image"}}
}

// texts makes a template that has a text for each name.
func texts(id, name string, variables ...string) *creatify.Template {
	t := &creatify.Template{ID: id, Name: name, Variables: creatify.Variables{}}
	for _, variable := range variables {
		t.Variables[variable] = creatify.Text("")
	}
	return t
}

func templates(all ...*creatify.Template) []*creatify.Template { return all }
