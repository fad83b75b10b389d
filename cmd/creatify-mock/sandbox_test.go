package main

import (
	"io"
	"net"
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

func TestWatched(t *testing.T) {
	const limit = 300 * time.Millisecond
	ended := make(chan error, 1)
	server := httptest.NewServer(watched(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2 * limit) // does not count
		_, err := w.Write(make([]byte, 64<<20))
		ended <- err
	}), limit, newLogger(io.Discard)))
	defer server.Close()

	t.Run("a response that nobody reads ends", func(t *testing.T) {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
		require.NoError(t, err)
		assert.ErrorIs(t, <-ended, os.ErrDeadlineExceeded)
	})

	t.Run("the limit of a response is not that of the next", func(t *testing.T) {
		const limit = 3 * time.Second
		small := httptest.NewServer(watched(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		}), limit, newLogger(io.Discard)))
		defer small.Close()
		for i := range 2 {
			time.Sleep(time.Duration(i) * (limit + time.Second))
			req, err := http.NewRequestWithContext(t.Context(), "POST", small.URL, strings.NewReader("x"))
			require.NoError(t, err)
			req.Header.Set("Expect", "100-continue")
			resp, err := small.Client().Do(req)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			assert.Equal(t, "x", string(body))
		}
	})
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

// A browser asks for an icon by itself.
func TestSandbox_a_browser_hits_no_fault(t *testing.T) {
	p := start(t, "-fault", "503")
	resp, _ := p.send(t, "GET", "/favicon.ico", "")
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	resp, _ = p.send(t, "GET", creditsPath, "")
	assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode, "the fault still waits for a call")
}
