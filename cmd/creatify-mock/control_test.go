package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestControl_faults(t *testing.T) {
	p := start(t)
	resp, body := p.send(t, "POST", "/_mock/faults", `{"fault": "503", "call": "credits", "times": 2}`)
	assert.Equal(t, http.StatusCreated, resp.StatusCode)
	assert.JSONEq(t, `[{"fault": "503", "call": "credits", "times": 2}]`, body)
	resp, _ = p.send(t, "GET", creditsPath, "")
	assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	_, body = p.send(t, "GET", "/_mock/faults", "")
	assert.JSONEq(t, `[{"fault": "503", "call": "credits", "times": 1}]`, body, "after it has hit")

	resp, _ = p.send(t, "DELETE", "/_mock/faults", "")
	assert.Equal(t, http.StatusNoContent, resp.StatusCode)
	resp, _ = p.send(t, "GET", creditsPath, "")
	assert.Equal(t, http.StatusOK, resp.StatusCode)

	// A bad one leaves the sandbox as it is.
	status, refusal := p.call(t, "POST", "/_mock/faults", `{"fault": "503", "skip": -1}`)
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, refusal["error"], "must not be negative")
	resp, _ = p.send(t, "GET", creditsPath, "")
	assert.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestControl_lostResponse(t *testing.T) {
	p := start(t)
	p.send(t, "POST", "/_mock/faults", `{"fault": "lose", "call": "preview"}`)
	req, err := http.NewRequestWithContext(t.Context(), "POST", p.url+previewPath, strings.NewReader(strings.Replace(jobBody, "{", `{"webhook_url": "http://127.0.0.1:9/?ref=order-1",`, 1)))
	require.NoError(t, err)
	req.Header = http.Header{"X-Api-Id": {"creatifytest-api-id"}, "X-Api-Key": {"creatifytest-api-key"}, "Content-Type": {"application/json"}}
	_, err = client.Do(req)
	require.Error(t, err)

	var charges, jobs []map[string]any
	_, body := p.send(t, "GET", "/_mock/charges", "")
	require.NoError(t, json.Unmarshal([]byte(body), &charges))
	require.Len(t, charges, 1)
	assert.Equal(t, []any{"preview", 1.0, "secret name", "order-1", map[string]any{}},
		[]any{charges[0]["call"], charges[0]["credits"], charges[0]["name"], charges[0]["reference"], charges[0]["variables"]})
	_, body = p.send(t, "GET", "/_mock/jobs", "")
	require.NoError(t, json.Unmarshal([]byte(body), &jobs))
	require.Len(t, jobs, 1)
	assert.Equal(t, charges[0]["job"], jobs[0]["id"])
	assert.Equal(t, []any{"pending", 1.0, 0.0, "order-1"}, []any{jobs[0]["status"], jobs[0]["charged"], jobs[0]["reads"], jobs[0]["reference"]})
}

func TestControl_credits(t *testing.T) {
	p := start(t, "-credits", "10")
	for _, step := range []struct {
		body string
		want float64
	}{
		{`{"add": 5.5}`, 15.5}, {`{"add": -1}`, 14.5}, {`{"set": 0}`, 0}, {`{"add": -3}`, 0}, {`{"set": 7}`, 7},
	} {
		status, body := p.call(t, "POST", "/_mock/credits", step.body)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, map[string]any{"credits": step.want}, body, step.body)
	}
	_, state := p.call(t, "GET", "/_mock", "")
	assert.Equal(t, map[string]any{
		"credits": 7.0, "charged": 0.0, "jobs": 0.0, "requests": 0.0, "leaked_credentials": 0.0, "faults": []any{},
	}, state)
}

func TestControl_refuses(t *testing.T) {
	p := start(t)
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(host string) func(*http.Request) {
		return func(r *http.Request) { r.Host = host }
	}
	const lose = `{"fault": "lose"}`
	tests := []struct {
		name   string
		method string
		path   string
		body   string
		edit   func(*http.Request)
		status int
		want   string
	}{
		{"a form", "POST", "/_mock/faults", lose, header("Content-Type", "application/x-www-form-urlencoded"), 415, "add the header Content-Type: application/json"},
		{"a body without a type", "POST", "/_mock/faults", lose, func(r *http.Request) { r.Header.Del("Content-Type") }, 415, "add the header"},
		{"text", "POST", "/_mock/credits", `{"add": 1}`, header("Content-Type", "text/plain"), 415, "add the header"},
		{"a page of another site", "POST", "/_mock/faults", lose, header("Sec-Fetch-Site", "cross-site"), 403, "another origin (send it from a program)"},
		{"a page of another port", "DELETE", "/_mock/faults", "", header("Origin", "http://127.0.0.1:1"), 403, "another origin"},
		{"a foreign name", "POST", "/_mock/faults", lose, host("evil.example"), 403, "names another machine (use http://127.0.0.1:"},
		{"a foreign name that reads", "GET", "/_mock/charges", "", host("evil.example:80"), 403, "start creatify-mock with -url"},
		{"a foreign name below localhost", "GET", "/_mock/", "", host("localhost.evil.example"), 403, "another machine"},
		{"a foreign name at the page", "GET", "/", "", host("evil.example"), 403, "another machine"},
		{"a foreign name at a preview", "GET", "/preview?layout=x", "", host("evil.example"), 403, "another machine"},
		{"another method", "PUT", "/_mock/faults", lose, nil, 405, "use DELETE, GET, POST"},
		{"another method at the page", "POST", "/", lose, nil, 405, "can only be read"},
		{"an unknown path", "GET", "/_mock/x", "", nil, 404, "use /_mock, /_mock/charges, "},
		{"no JSON", "POST", "/_mock/faults", `lose`, nil, 400, "the page at / has examples"},
		{"no body", "POST", "/_mock/faults", "", header("Content-Type", "application/json"), 400, "EOF"},
		{"a misspelled field", "POST", "/_mock/faults", `{"fault": "lose", "time": 1}`, nil, 400, `unknown field \"time\"`},
		{"two objects", "POST", "/_mock/faults", lose + lose, nil, 400, "something follows the object"},
		{"null", "POST", "/_mock/faults", `null`, nil, 400, `unknown fault \"\"`},
		{"an unknown call", "POST", "/_mock/faults", `{"fault": "lose", "call": "x"}`, nil, 400, `unknown call \"x\" (use credits, `},
		{"neither add nor set", "POST", "/_mock/credits", `{}`, nil, 400, `want {\"add\": 100}`},
		{"add and set", "POST", "/_mock/credits", `{"add": 1, "set": 1}`, nil, 400, "want"},
		{"a negative balance", "POST", "/_mock/credits", `{"set": -1}`, nil, 400, "want"},
		{"credits beyond numbers", "POST", "/_mock/credits", `{"add": 1e999}`, nil, 400, "cannot unmarshal number"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			edits := []func(*http.Request){}
			if test.edit != nil {
				edits = append(edits, test.edit)
			}
			resp, body := p.send(t, test.method, test.path, test.body, edits...)
			assert.Equal(t, test.status, resp.StatusCode)
			assert.Contains(t, body, test.want)
			assert.Equal(t, "application/json", resp.Header.Get("Content-Type"))
		})
	}
	_, state := p.call(t, "GET", "/_mock", "")
	assert.Equal(t, []any{}, state["faults"])
	assert.Equal(t, 1000.0, state["credits"])
}

// Between two balances that suffice there is none that does not.
func TestControl_set_refuses_nobody(t *testing.T) {
	p := start(t, "-credits", "100000")
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				p.send(t, "POST", "/_mock/credits", `{"set": 100000}`)
			}
		}
	})
	for range 1000 {
		if status, job := p.call(t, "POST", previewPath, jobBody); !assert.Equal(t, http.StatusCreated, status, job) {
			break
		}
	}
	close(stop)
	all.Wait()
}
