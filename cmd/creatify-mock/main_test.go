package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	t.Run("prints what to export", func(t *testing.T) {
		p := start(t)
		assert.Equal(t, "A sandbox of Creatify's API: open "+p.url+"/ to see its jobs and charges.\n\n"+
			"export CREATIFY_BASE_URL="+p.url+"\n"+
			"export CREATIFY_API_ID="+creatifytest.APIID+"\n"+
			"export CREATIFY_API_KEY="+creatifytest.APIKey+"\n", p.stdout)
		assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, p.url)
	})

	t.Run("has other job IDs each time", func(t *testing.T) {
		assert.NotEqual(t, start(t).create(t), start(t).create(t))
	})

	t.Run("has the same job IDs for a seed", func(t *testing.T) {
		assert.Equal(t, start(t, "-seed", "7").create(t), start(t, "-seed", "7").create(t))
	})

	t.Run("renders in the time given", func(t *testing.T) {
		p := start(t, "-job-duration", "1ns", "-render-duration", "1h")
		path := jobsPath + p.create(t) + "/"
		p.call(t, "POST", path+"render/", "{}")
		_, job := p.call(t, "GET", path, "")
		assert.Equal(t, "running", job["status"])
	})

	t.Run("starts with the credits given", func(t *testing.T) {
		for _, credits := range []string{"2.5", "0"} {
			_, body := start(t, "-credits", credits).send(t, "GET", creditsPath, "")
			assert.JSONEq(t, `{"remaining_credits": `+credits+`}`, body)
		}
	})

	t.Run("limits requests", func(t *testing.T) {
		p := start(t, "-rate", "1")
		p.call(t, "GET", creditsPath, "")
		status, _ := p.call(t, "GET", creditsPath, "")
		assert.Equal(t, http.StatusTooManyRequests, status)
	})

	t.Run("charges by the length", func(t *testing.T) {
		p := start(t, "-video-length", "31s")
		p.create(t)
		_, state := p.call(t, "GET", "/_mock/", "")
		assert.Equal(t, 2.0, state["charged"])
	})

	t.Run("injects faults", func(t *testing.T) {
		p := start(t, "-fault", "503,call=credits", "-fault", "404,call=credits,skip=0")
		for _, want := range []int{503, 404, 200} {
			resp, _ := p.send(t, "GET", creditsPath, "")
			assert.Equal(t, want, resp.StatusCode)
		}
	})

	t.Run("lets previews load their images on demand", func(t *testing.T) {
		for _, args := range [][]string{nil, {"-images"}} {
			p := start(t, args...)
			resp, _ := p.send(t, "GET", "/preview?layout="+p.create(t), "")
			assert.Equal(t, args != nil, strings.Contains(resp.Header.Get("Content-Security-Policy"), "img-src"), args)
		}
	})
	t.Run("stops with its context", func(t *testing.T) {
		code, stderr := start(t).stop()
		assert.Equal(t, 0, code, stderr)
	})

	t.Run("logs requests without secrets", func(t *testing.T) {
		p := start(t)
		p.create(t)
		p.call(t, "GET", jobsPath+"unknown/?token=secret-query", "")
		_, log := p.stop()
		assert.Contains(t, log, "method=POST path=/api/custom_template_jobs/preview_async/ status=201")
		assert.Contains(t, log, "method=GET path=/api/custom_template_jobs/unknown/ status=404")
		for _, secret := range []string{creatifytest.APIID, creatifytest.APIKey, "secret"} {
			assert.NotContains(t, log, secret)
		}
	})

	t.Run("needs its address", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer taken.Close()
		var stdout, stderr bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		assert.Equal(t, 1, run(ctx, []string{"-addr", taken.Addr().String()}, &stdout, &stderr))
		assert.Contains(t, stderr.String(), "(-addr 127.0.0.1:0 picks a free port)\n")
		assert.Empty(t, stdout.String())
	})

	t.Run("fails when its URL cannot be printed", func(t *testing.T) {
		var stderr bytes.Buffer
		assert.Equal(t, 1, run(t.Context(), nil, fullDisk{}, &stderr))
		assert.Contains(t, stderr.String(), "creatify-mock: disk full\n")
	})
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestRun_jobs(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		status string
		reason any
	}{
		{"a job is pending at first", []string{"-job-duration", "1h"}, "pending", nil},
		{"a short job is done", []string{"-job-duration", "1ns"}, "done", nil},
		{"a job fails on demand", []string{"-job-duration", "1ns", "-fail", "no such voice"}, "failed", "no such voice"},
		{"a job fails without a reason", []string{"-job-duration", "1ns", "-fail", ""}, "failed", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, test.args...)
			_, job := p.call(t, "GET", jobsPath+p.create(t)+"/", "")
			assert.Equal(t, test.status, job["status"])
			assert.Equal(t, test.reason, job["failed_reason"])
		})
	}
}

func TestRun_files(t *testing.T) {
	p := start(t, "-job-duration", "1ns", "-render-duration", "1ns")
	path := jobsPath + p.create(t) + "/"
	p.call(t, "POST", path+"render/", "{}")
	_, job := p.call(t, "GET", path, "")

	preview, ok := strings.CutPrefix(job["preview"].(string), p.url)
	require.True(t, ok, job["preview"])
	resp, body := p.send(t, "GET", preview, "")
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Contains(t, body, "<h1>secret name</h1>")

	video, ok := strings.CutPrefix(job["video_output"].(string), p.url)
	require.True(t, ok, job["video_output"])
	resp, body = p.send(t, "GET", video, "", func(r *http.Request) { r.Header.Set("Range", "bytes=4-11") })
	assert.Equal(t, http.StatusPartialContent, resp.StatusCode)
	assert.Equal(t, "ftypisom", body)
}

func TestRun_webhooks(t *testing.T) {
	events := make(chan map[string]any, 2)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var event map[string]any
		_ = json.NewDecoder(r.Body).Decode(&event)
		events <- event
	}))
	defer hook.Close()
	host := strings.TrimPrefix(hook.URL, "http://")
	tests := []struct {
		name   string
		args   []string
		host   string
		status string
	}{
		{"to this machine", nil, host, "done"},
		{"to this machine by its name", nil, strings.Replace(host, "127.0.0.1", "localhost", 1), "done"},
		// This address leads to this machine too, but does not say so.
		{"to any machine on demand", []string{"-webhooks", "any"}, strings.Replace(host, "127.0.0.1", "0.0.0.0", 1), "done"},
		{"of other statuses on demand", []string{"-webhook-statuses", "running,failed"}, host, "running"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.HasPrefix(test.host, "0.0.0.0") {
				t.Skip("Windows connects to no such address")
			}
			p := start(t, append(test.args, "-job-duration", "1ms")...)
			body := strings.Replace(jobBody, "{", `{"webhook_url": "http://`+test.host+`/secret?secret=1",`, 1)
			for range 2 { // when the second event comes, the first is logged
				_, job := p.call(t, "POST", previewPath, body)
				event := <-events
				assert.Equal(t, job["id"], event["id"])
				assert.Equal(t, test.status, event["status"])
			}
			_, log := p.stop()
			assert.Contains(t, log, "msg=webhook host="+test.host+" status=200")
			assert.NotContains(t, log, "secret")
		})
	}

	t.Run("none on demand", func(t *testing.T) {
		p := start(t, "-job-duration", "1ns", "-webhooks", "off")
		body := strings.Replace(jobBody, "{", `{"webhook_url": "http://`+host+`/hook",`, 1)
		p.call(t, "POST", previewPath, body)
		select {
		case event := <-events:
			t.Errorf("there is the event %v", event)
		case <-time.After(50 * time.Millisecond):
		}
	})
}

func TestURLOf(t *testing.T) {
	tests := []struct{ name, addr, want string }{
		{"loopback", "127.0.0.1:80", "http://127.0.0.1:80"},
		{"loopback of IPv6", "[::1]:80", "http://[::1]:80"},
		{"any address", "0.0.0.0:80", "http://127.0.0.1:80"},
		{"any address of IPv6", "[::]:80", "http://127.0.0.1:80"},
		{"another address", "192.0.2.1:80", "http://192.0.2.1:80"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			addr, err := net.ResolveTCPAddr("tcp", test.addr)
			require.NoError(t, err)
			assert.Equal(t, test.want, urlOf(addr))
		})
	}

	t.Run("is reached", func(t *testing.T) {
		p := start(t, "-addr", "0.0.0.0:0")
		assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, p.url)
		p.create(t)
	})
}

// TestNewServer shortens the time limits, each of which ends a connection.
func TestNewServer(t *testing.T) {
	serve := func(t *testing.T, life creatifytest.Life, limit time.Duration) *httptest.Server {
		api := creatifytest.New(creatifytest.Config{Life: life})
		logger := newLogger(io.Discard)
		server := httptest.NewUnstartedServer(nil)
		server.Config = newServer(sandbox(api, options{}, "http://127.0.0.1:80", logger), logger)
		require.Positive(t, min(server.Config.ReadTimeout, server.Config.IdleTimeout))
		server.Config.ReadTimeout, server.Config.IdleTimeout = limit, limit
		server.Start()
		t.Cleanup(server.Close)
		return server
	}
	const half = "POST " + previewPath + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n"
	tests := []struct{ name, sent string }{
		{"a connection that sends nothing", ""},
		{"half a header", "POST / HTTP/1.1\r\nHost:"},
		{"half a body", half + "\r\n{"},
		{"a body that is only promised", half + "Expect: 100-continue\r\n\r\n"},
		{"a connection that is not used again", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := serve(t, creatifytest.Life{}, 500*time.Millisecond)
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, test.sent)
			require.NoError(t, err)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
			_, err = io.Copy(io.Discard, conn) // until the server closes it
			assert.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		})
	}

	t.Run("a response may take longer", func(t *testing.T) {
		server := serve(t, creatifytest.Life{Duration: 6 * time.Second}, 5*time.Second)
		p := program{url: server.URL}
		status, job := p.call(t, "POST", jobsPath+"preview/", jobBody)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "done", job["status"])
	})
}

// An event that never comes is an error at once.
func TestParseFlags_statuses(t *testing.T) {
	o, err := parseFlags([]string{"-webhook-statuses", "done, failed"})
	assert.NoError(t, err)
	assert.Equal(t, []string{"done", "failed"}, o.config.Webhooks.Statuses)
	_, err = parseFlags([]string{"-webhook-statuses", "done,finished"})
	assert.ErrorContains(t, err, `"finished"`)
}
