package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIndexPage(t *testing.T) {
	t.Run("shows how to use the sandbox", func(t *testing.T) {
		p := start(t)
		resp, body := p.send(t, "GET", "/", "")
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
		assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'unsafe-inline'; ")
		for _, want := range []string{
			"export CREATIFY_BASE_URL=" + p.url, "export CREATIFY_API_KEY=" + creatifytest.APIKey, "curl " + p.url + previewPath,
			creatifytest.TemplateID, "curl " + p.url + "/_mock/faults", "curl -X DELETE " + p.url, "None yet", "this machine only",
		} {
			assert.Contains(t, body, want)
		}
		assert.NotContains(t, body, "<script")
		assert.NotContains(t, body, "refresh", "nothing changes")
	})

	t.Run("shows jobs, charges and faults", func(t *testing.T) {
		p := start(t, "-job-duration", "1h")
		first := p.create(t)
		p.call(t, "POST", jobsPath, `{"template_id": "`+creatifytest.TemplateID+`", "variables": {}, "name": "<script>x", "webhook_url": "http://127.0.0.1:9/?ref=order-17"}`)
		p.send(t, "POST", "/_mock/faults", `{"fault": "503", "for": "1h"}`)
		p.send(t, "GET", "/preview?layout="+first, "")
		_, body := p.send(t, "GET", "/", "")
		for _, want := range []string{
			"<dd>994</dd>", "<dd>6</dd>", "<dd>2</dd>", `<dd class="bad">1</dd>`, "secret name", "&lt;script&gt;x", "ref order-17", first,
			"{&#34;fault&#34;:&#34;503&#34;,&#34;times&#34;:-1", `http-equiv="refresh"`, `href="/preview?layout=` + first, "1 request for a preview or video carried",
		} {
			assert.Contains(t, body, want)
		}
		assert.NotContains(t, body, "<script")
		assert.Less(t, strings.Index(body, "&lt;script"), strings.Index(body, "secret name"), "the newest comes first")
	})

	t.Run("shows the newest of many jobs", func(t *testing.T) {
		p := start(t, "-job-duration", "1ns")
		for range maxShown + 2 {
			p.create(t)
		}
		_, body := p.send(t, "GET", "/", "")
		assert.Equal(t, maxShown, strings.Count(body, `data-label="Charged"`))
		assert.Contains(t, body, "2 older jobs")
		assert.NotContains(t, body, "refresh")
	})

	t.Run("HEAD has no body", func(t *testing.T) {
		resp, body := start(t).send(t, "HEAD", "/", "")
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Empty(t, body)
	})
}

func TestExampleBody(t *testing.T) {
	t.Run("creates a job of any template", func(t *testing.T) {
		variables := map[string]any{"it's": map[string]string{"type": "text"}}
		for _, kind := range []string{"image", "video", "audio", "avatar", "voiceover", "unheard-of"} {
			variables[kind] = map[string]string{"type": kind}
		}
		file, err := json.Marshal(map[string]any{"template_id": creatifytest.TemplateID, "variables": variables})
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "templates.json")
		require.NoError(t, os.WriteFile(path, file, 0o600))
		p := start(t, "-templates", path, "-strict")

		templates, err := readTemplates(path)
		require.NoError(t, err)
		quoted := exampleBody(templates)
		assert.Contains(t, quoted, `it'\''s`)
		status, job := p.call(t, "POST", previewPath, strings.ReplaceAll(quoted, `'\''`, "'"))
		assert.Equal(t, http.StatusCreated, status, fmt.Sprint(job))
	})
}
