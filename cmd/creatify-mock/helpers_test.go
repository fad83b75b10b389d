package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/require"
)

// program is a run under way.
type program struct {
	url    string
	stdout string // up to the last line to export
	stop   func() (code int, stderr string)
}

// start runs the program until it has printed its URL. The test stops it in the end, if it was not stopped
// before.
func start(t *testing.T, args ...string) program {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, stdout := io.Pipe()
	var stderr bytes.Buffer
	exited := make(chan int, 1)
	go func() {
		exited <- run(ctx, args, stdout, &stderr)
		stdout.Close()
	}()
	stop := sync.OnceValues(func() (int, string) {
		cancel()
		code := <-exited
		return code, stderr.String()
	})
	t.Cleanup(func() { stop() })

	p := program{stop: stop}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		p.stdout += lines.Text() + "\n"
		if url, ok := strings.CutPrefix(lines.Text(), "export CREATIFY_BASE_URL="); ok {
			p.url = url
		}
		if strings.HasPrefix(lines.Text(), "export CREATIFY_API_KEY=") {
			return p
		}
	}
	code, errors := stop()
	t.Fatalf("run ended with %d: %s", code, errors)
	return p
}

// client keeps no connections, so that a program stops at once.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// send sends a request with the API's credentials and returns the response and its body.
func (p program) send(t *testing.T, method, path, body string, edit ...func(*http.Request)) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-API-ID", creatifytest.APIID)
	req.Header.Set("X-API-KEY", creatifytest.APIKey)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, edit := range edit {
		edit(req)
	}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(content)
}

// call is send for a response of JSON.
func (p program) call(t *testing.T, method, path, body string) (status int, decoded map[string]any) {
	t.Helper()
	resp, content := p.send(t, method, path, body)
	require.NoError(t, json.Unmarshal([]byte(content), &decoded), content)
	return resp.StatusCode, decoded
}

const (
	jobsPath    = "/api/custom_template_jobs/"
	previewPath = jobsPath + "preview_async/"
	creditsPath = "/api/remaining_credits/"

	jobBody = `{"template_id": "` + creatifytest.TemplateID + `", "variables": {}, "name": "secret name"}`
)

func (p program) create(t *testing.T) (id string) {
	t.Helper()
	status, job := p.call(t, "POST", previewPath, jobBody)
	require.Equal(t, http.StatusCreated, status, job)
	return job["id"].(string)
}
