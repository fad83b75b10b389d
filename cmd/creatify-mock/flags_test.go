package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseFlags_help(t *testing.T) {
	for _, arg := range []string{"-h", "-help", "--help"} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, 0, run(t.Context(), []string{arg}, &stdout, &stderr))
		assert.Equal(t, help, stdout.String())
		assert.Empty(t, stderr.String())
	}
	lines := strings.Split(strings.TrimSuffix(help, "\n"), "\n")
	assert.LessOrEqual(t, len(lines), 23, "lines, of a terminal that has 24 with the prompt")
	for _, line := range lines {
		columns := 80
		if strings.HasPrefix(line, "  -") {
			columns = 50
		}
		assert.LessOrEqual(t, len(line), columns, line)
	}
	for _, part := range []string{"Example: ", "Environment: ", "Exit codes: "} {
		assert.Contains(t, help, part)
	}
}

func TestParseFlags_refuses(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"an unknown flag", []string{"-x"}, "flag provided but not defined: -x (creatify-mock -h lists the flags)"},
		{"an argument", []string{"x"}, `unexpected argument "x" (creatify-mock -h lists the flags)`},
		{"a URL without a host", []string{"-url", "mock:8080"}, `-url is "mock:8080", but must be like http://mock.example:8080`},
		{"a URL with a query", []string{"-url", "http://mock?x"}, `-url is "http://mock?x"`},
		{"no duration", []string{"-job-duration", "0s"}, "-job-duration is 0s, but must be more than 0"},
		{"a negative duration", []string{"-job-duration", "-1s"}, "-job-duration is -1s, but must be more than 0"},
		{"no duration of a render", []string{"-render-duration", "0s"}, "-render-duration is 0s, but must be more than 0"},
		{"no length", []string{"-video-length", "0s"}, "-video-length is 0s, but must be more than 0 and at most 1h"},
		{"negative credits", []string{"-credits", "-1"}, "-credits is -1, but must be a number of at least 0"},
		{"endless credits", []string{"-credits", "Inf"}, "-credits is +Inf, but must be a number of at least 0"},
		{"credits that are no number", []string{"-credits", "NaN"}, "-credits is NaN, but must be a number of at least 0"},
		{"a negative rate", []string{"-rate", "-1"}, "-rate is -1, but must be at least 0, for no limit"},
		{"webhooks to elsewhere", []string{"-webhooks", "remote"}, `-webhooks is "remote", but must be off, local or any`},
		{"an unknown fault", []string{"-fault", "explode"}, `unknown fault "explode" (use lose, reset, slow, cut or a status from 300 on)`},
		{"a file that is not there", []string{"-templates", "no such file"}, "-templates: open no such file: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			assert.Equal(t, 2, run(t.Context(), test.args, &stdout, &stderr))
			assert.Contains(t, stderr.String(), test.want)
			assert.True(t, strings.HasPrefix(stderr.String(), "creatify-mock: ") && strings.HasSuffix(stderr.String(), ")\n"), stderr.String())
			assert.Empty(t, stdout.String())
		})
	}
}

func TestReadTemplates(t *testing.T) {
	offer := creatifytest.Template{ID: "11111111-2222-4333-8444-555555555555", Name: "Offer", AspectRatio: "16x9", Variables: map[string]string{"price": "text"}}
	const shown = `{"template_id": "11111111-2222-4333-8444-555555555555", "name": "Offer", "aspect_ratio": "16x9", "preview": null,
		"variables": {"price": {"type": "text", "properties": {}}}}`
	tests := []struct {
		name    string
		content string
		want    []creatifytest.Template
		err     string
	}{
		{name: "a list", content: "[" + shown + "]", want: []creatifytest.Template{offer}},
		{name: "a single one", content: shown, want: []creatifytest.Template{offer}},
		{name: "none", content: "[]", want: []creatifytest.Template{}},
		{name: "no JSON", content: "price: text", err: `(want [{"template_id": "…", "variables": {"headline": {"type": "text"}}}])`},
		{name: "no ID", content: "[" + shown + ", {}]", err: "template 2 has no template_id (use a UUID)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "templates.json")
			require.NoError(t, os.WriteFile(path, []byte(test.content), 0o600))
			templates, err := readTemplates(path)
			if test.err != "" {
				assert.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.want, templates)
		})
	}

	t.Run("serves and checks them", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "templates.json")
		require.NoError(t, os.WriteFile(path, []byte(shown), 0o600))
		p := start(t, "-templates", path, "-strict")
		_, template := p.call(t, "GET", "/api/custom_templates/"+offer.ID+"/", "")
		assert.Equal(t, "Offer", template["name"])
		status, refusal := p.call(t, "POST", previewPath, `{"template_id": "`+offer.ID+`", "variables": {}}`)
		assert.Equal(t, 400, status)
		assert.Equal(t, map[string]any{"variables": []any{`Variable "price" is required.`}}, refusal)
	})
}
