package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
)

func TestOnlyHosts(t *testing.T) {
	server := httptest.NewServer(sandbox(creatifytest.New(creatifytest.Config{}), options{}, "http://mock.example:8080", newLogger(io.Discard)))
	defer server.Close()
	p := program{url: server.URL}
	for _, host := range []string{"127.0.0.1:1", "127.0.0.1", "localhost:80", "LOCALHOST", "[::1]:80", "[::1]", "192.0.2.1", "mock.example", "MOCK.example:8080"} {
		t.Run(host, func(t *testing.T) {
			for _, path := range []string{"/", "/_mock/"} {
				resp, body := p.send(t, "GET", path, "", func(r *http.Request) { r.Host = host })
				assert.Equal(t, http.StatusOK, resp.StatusCode, body)
			}
		})
	}
}

func TestSandbox(t *testing.T) {
	t.Run("the API answers for any host", func(t *testing.T) {
		resp, _ := start(t).send(t, "GET", creditsPath, "", func(r *http.Request) { r.Host = "mock" })
		assert.Equal(t, http.StatusOK, resp.StatusCode)
	})

	t.Run("the API sees paths as they came", func(t *testing.T) {
		p := start(t)
		for _, path := range []string{"//api/remaining_credits/", "/api/../api/remaining_credits/", "/x", "/_mocks"} {
			resp, _ := p.send(t, "GET", path, "")
			assert.Equal(t, http.StatusNotFound, resp.StatusCode, path)
		}
	})

	t.Run("URLs in responses are below -url", func(t *testing.T) {
		p := start(t, "-url", "http://mock.example:8080/")
		assert.True(t, strings.HasPrefix(p.stdout, "A sandbox of Creatify's API: open http://mock.example:8080/ "), p.stdout)
		assert.Equal(t, "http://mock.example:8080", p.url)
	})
}
