package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzSandbox sends any request to the control and the pages.
func FuzzSandbox(f *testing.F) {
	for _, path := range []string{"/", "/_mock", "/_mock/", "/_mock/faults", "/_mock/credits", "/_mock/jobs/", "/_mock/charges", "/_mock/../", "/preview", "/_mock/\x00"} {
		for _, body := range []string{
			"", "null", "[]", "{", `{"fault": "lose"}`, `{"fault": "503", "for": "1h", "body": "\u0000"}`, `{"fault": "999", "times": -9, "retry_after": 9}`,
			`{"fault": "cut", "skip": 9223372036854775807}`, `{"fault": "slow", "delay": "1h"}`, `{"add": -1e308}`, `{"set": 1e308}`, `{"add": null}`,
		} {
			f.Add("POST", path, "127.0.0.1", "application/json", body)
		}
		f.Add("GET", path, "[::1]:80", "", "")
		f.Add("DELETE", path, "evil.example", "\xff", "")
		f.Add("HEAD", path, "[", "", "")
	}
	f.Fuzz(func(t *testing.T, method, path, host, contentType, body string) {
		api := creatifytest.New(creatifytest.Config{})
		handler := sandbox(api, options{}, "http://127.0.0.1:80", newLogger(io.Discard))
		r := httptest.NewRequest("GET", "/", strings.NewReader(body))
		r.Method, r.URL.Path, r.Host = method, path, host
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		assert.True(t, w.Code >= 200 && w.Code < 500, w.Code)
		if w.Header().Get("Content-Type") == "application/json" && method != "HEAD" {
			assert.True(t, json.Valid(w.Body.Bytes()), w.Body)
		}

		// Whatever came, the page and the state can be read, and the sandbox can be reset.
		for _, request := range [][2]string{{"GET", "/"}, {"GET", "/_mock/"}, {"DELETE", "/_mock/faults"}, {"GET", creditsPath}} {
			r := httptest.NewRequest(request[0], request[1], nil)
			r.Host = "127.0.0.1"
			r.Header.Set("X-API-ID", creatifytest.APIID)
			r.Header.Set("X-API-KEY", creatifytest.APIKey)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			assert.Less(t, w.Code, 300, request)
		}
	})
}

func TestSandbox_hostile(t *testing.T) {
	t.Run("all at once", func(t *testing.T) {
		const workers, each = 8, 6
		p := start(t, "-credits", "1e6")
		var running sync.WaitGroup
		for w := range workers {
			running.Go(func() {
				for i := range each {
					for _, request := range [][3]string{
						{"POST", previewPath, strings.Replace(jobBody, "secret name", fmt.Sprint(w, i), 1)},
						{"POST", "/_mock/faults", `{"fault": "lose", "call": "preview"}`},
						{"POST", "/_mock/faults", `{"fault": "nonsense"}`},
						{"POST", "/_mock/credits", `{"add": 1}`},
						{"GET", "/", ""}, {"GET", "/_mock/charges", ""}, {"GET", "/_mock/jobs", ""}, {"GET", "/_mock", ""},
					} {
						req, err := http.NewRequestWithContext(t.Context(), request[0], p.url+request[1], strings.NewReader(request[2]))
						if !assert.NoError(t, err) {
							return
						}
						req.Header = http.Header{"X-Api-Id": {creatifytest.APIID}, "X-Api-Key": {creatifytest.APIKey}, "Content-Type": {"application/json"}}
						resp, err := client.Do(req)
						if err != nil { // lost
							assert.Equal(t, previewPath, request[1], err)
							continue
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						assert.Less(t, resp.StatusCode, 500, request)
					}
				}
			})
		}
		running.Wait()
		var charges []struct{ Name string }
		_, body := p.send(t, "GET", "/_mock/charges", "")
		require.NoError(t, json.Unmarshal([]byte(body), &charges))
		names := make(map[string]bool)
		for _, charge := range charges {
			names[charge.Name] = true
		}
		assert.Len(t, charges, workers*each)
		assert.Len(t, names, workers*each)
		_, state := p.call(t, "GET", "/_mock", "")
		assert.Equal(t, 1e6, state["credits"], "each preview costs what is added")
	})

	t.Run("a body of the control is bounded", func(t *testing.T) {
		p := start(t)
		for _, body := range []string{
			`{"fault": "503", "body": "` + strings.Repeat("x", 2<<20) + `"}`,
			strings.Repeat("[", 2<<20), strings.Repeat(" ", 2<<20),
		} {
			req, err := http.NewRequestWithContext(t.Context(), "POST", p.url+"/_mock/faults", strings.NewReader(body))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/json")
			resp, err := client.Do(req)
			if err != nil {
				continue // the connection is closed while the body is sent
			}
			resp.Body.Close()
			assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
		}
		_, state := p.call(t, "GET", "/_mock", "")
		assert.Equal(t, []any{}, state["faults"])
	})

	t.Run("the number of faults is bounded", func(t *testing.T) {
		p := start(t)
		const fault = `{"fault": "503", "call": "voices", "times": -1}`
		for range maxFaults {
			p.send(t, "POST", "/_mock/faults", fault)
		}
		resp, body := p.send(t, "POST", "/_mock/faults", fault)
		assert.Equal(t, http.StatusConflict, resp.StatusCode)
		assert.Contains(t, body, "clear them by DELETE /_mock/faults")
	})
}
