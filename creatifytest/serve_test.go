package creatifytest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// clients runs a test without a socket and over a real connection, each with an
// API of its own.
func clients(t *testing.T, test func(t *testing.T, api *creatifytest.API, client *http.Client, host string)) {
	t.Run("without a socket", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		test(t, api, api.HTTPClient(), base)
	})
	t.Run("over a connection", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		server := httptest.NewServer(api)
		defer server.Close()
		test(t, api, server.Client(), server.URL)
	})
}

func TestServeHTTP(t *testing.T) {
	t.Run("serves as the transport does", func(t *testing.T) {
		clients(t, func(t *testing.T, api *creatifytest.API, client *http.Client, host string) {
			resp, err := client.Do(newRequest(t.Context(), "POST", host+previewPath, validBody))
			if err != nil {
				t.Fatal(err)
			}
			length := resp.ContentLength
			got := read(t, resp)
			job := decode(t, got, 201)
			equal(t, "the protocol", resp.Proto, "HTTP/1.1")
			equal(t, "the status line", resp.Status, "201 Created")
			equal(t, "ContentLength", length, int64(len(got.body)))
			equal(t, "the ID", job["id"], any(api.Jobs()[0]))
			if resp.Request == nil || resp.Request.URL.Path != previewPath {
				t.Errorf("the response's request is %v", resp.Request)
			}
		})
	})

	t.Run("frees the connection when the client does not wait", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: -1}})
		server := httptest.NewServer(api)
		defer server.Close() // waits for requests under way
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := server.Client().Do(newRequest(ctx, "POST", server.URL+"/api/custom_template_jobs/preview/", validBody))
			failed <- err
		}()
		for len(api.Jobs()) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v, want %v", err, context.Canceled)
		}
	})

	t.Run("aborts when the client does not wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			defer func() {
				equal(t, "what it panics with", recover(), any(http.ErrAbortHandler))
				equal(t, "the number of jobs", len(api.Jobs()), 1)
			}()
			api.ServeHTTP(httptest.NewRecorder(), newRequest(ctx, "POST", syncURL, validBody))
		})
	})
}

func TestRoundTrip(t *testing.T) {
	t.Run("a cancelled request does not arrive", func(t *testing.T) {
		cause := errors.New("changed my mind")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		api := creatifytest.New(creatifytest.Config{})
		_, err := api.RoundTrip(newRequest(ctx, "POST", previewURL, validBody))
		if !errors.Is(err, cause) {
			t.Errorf("the error is %v, want %v", err, cause)
		}
		equal(t, "the number of requests", api.Calls(""), 0)
	})

	t.Run("a request without a URL is an error", func(t *testing.T) {
		if _, err := creatifytest.New(creatifytest.Config{}).RoundTrip(&http.Request{}); err == nil {
			t.Error("there is no error")
		}
	})

	t.Run("an empty method is GET", func(t *testing.T) {
		req := newRequest(t.Context(), "", creditsURL, "")
		req.Method = ""
		api := creatifytest.New(creatifytest.Config{})
		equal(t, "the status", roundTrip(t, api, req).status, 200)
		equal(t, "CallCredits", api.Calls(creatifytest.CallCredits), 1)
	})

	t.Run("HEAD has no body", func(t *testing.T) {
		clients(t, func(t *testing.T, _ *creatifytest.API, client *http.Client, host string) {
			resp, err := client.Do(newRequest(t.Context(), "HEAD", host+creditsPath, ""))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "the body", read(t, resp).body, "")
		})
	})

	t.Run("HEAD is answered as GET", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		got := roundTrip(t, api, newRequest(t.Context(), "HEAD", creditsURL, ""))
		equal(t, "the status", got.status, 200)
		equal(t, "Content-Length", got.header.Get("Content-Length"), strconv.Itoa(len(`{"remaining_credits":1000}`)))
		equal(t, "CallCredits", api.Calls(creatifytest.CallCredits), 1)
		equal(t, "the status where only creation is possible", roundTrip(t, api, newRequest(t.Context(), "HEAD", previewURL, "")).status, 405)
	})

	t.Run("the body of the request is closed", func(t *testing.T) {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		tests := []struct {
			name  string
			ctx   context.Context
			fault creatifytest.Fault
			read  bool
		}{
			{"when it is processed", t.Context(), creatifytest.Fault{}, true},
			{"when the response is lost", t.Context(), creatifytest.Fault{Drop: creatifytest.DropAfter}, true},
			{"when the connection is refused", t.Context(), creatifytest.Fault{Drop: creatifytest.Refuse}, false},
			{"when it is cancelled", cancelled, creatifytest.Fault{}, false},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				api.Inject(test.fault)
				body := &closeRecorder{Reader: strings.NewReader(validBody)}
				req := newRequest(test.ctx, "POST", previewURL, validBody)
				req.Body = body
				if resp, err := api.RoundTrip(req); err == nil {
					resp.Body.Close()
				}
				equal(t, "closed", body.closed, true)
				equal(t, "read", body.Reader.Len() == 0, test.read)
			})
		}
	})

	t.Run("a broken body of the request is an error", func(t *testing.T) {
		broken := errors.New("disk on fire")
		api := creatifytest.New(creatifytest.Config{})
		req := newRequest(t.Context(), "POST", previewURL, validBody)
		req.Body = io.NopCloser(io.MultiReader(strings.NewReader(validBody), errorReader{broken}))
		_, err := api.RoundTrip(req)
		if !errors.Is(err, broken) {
			t.Errorf("the error is %v, want %v", err, broken)
		}
		equal(t, "the number of jobs", len(api.Jobs()), 0)
	})

	t.Run("the body of the response ends with the context", func(t *testing.T) {
		life := atOnce
		life.VideoSize = 1 << 40
		served(t, creatifytest.Config{Life: life}, func(t *testing.T, api *creatifytest.API, client *http.Client) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			resp := must(client.Do(fileRequest(ctx, "GET", createVideo(t, api)["video_output"])))
			defer resp.Body.Close()
			if _, err := io.CopyN(io.Discard, resp.Body, 1000); err != nil {
				t.Fatal(err)
			}
			cancel()
			if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, context.Canceled) {
				t.Errorf("reading ends with %v, want %v", err, context.Canceled)
			}
		})
	})
}

type closeRecorder struct {
	*strings.Reader
	closed bool
}

func (c *closeRecorder) Close() error {
	c.closed = true
	return nil
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestProcess_refuses(t *testing.T) {
	tests := []struct {
		name   string
		method string
		url    string
		body   string
		edit   func(http.Header)
		status int
		want   string
	}{
		{
			name: "no API ID", method: "GET", url: creditsURL,
			edit:   func(h http.Header) { h.Del("X-API-ID") },
			status: 401, want: `{"detail":"Authentication credentials were not provided."}`,
		},
		{
			name: "no API key", method: "GET", url: creditsURL,
			edit:   func(h http.Header) { h.Del("X-API-KEY") },
			status: 401, want: `{"detail":"Authentication credentials were not provided."}`,
		},
		{
			name: "a wrong API ID", method: "GET", url: creditsURL,
			edit:   func(h http.Header) { h.Set("X-API-ID", "x") },
			status: 401, want: `{"detail":"Invalid API credentials."}`,
		},
		{
			name: "a wrong API key", method: "GET", url: creditsURL,
			edit:   func(h http.Header) { h.Set("X-API-KEY", "x") },
			status: 401, want: `{"detail":"Invalid API credentials."}`,
		},
		{
			name: "credentials are checked before the method", method: "PUT", url: creditsURL,
			edit:   func(h http.Header) { h.Del("X-API-KEY") },
			status: 401, want: `{"detail":"Authentication credentials were not provided."}`,
		},
		{
			name: "credentials are checked before the body", method: "POST", url: previewURL, body: "{",
			edit:   func(h http.Header) { h.Del("X-API-KEY") },
			status: 401, want: `{"detail":"Authentication credentials were not provided."}`,
		},
		{
			name: "a method that a path does not have", method: "PUT", url: previewURL, body: validBody,
			status: 405, want: `{"detail":"Method \"PUT\" not allowed."}`,
		},
		{
			name: "reading where only creation is possible", method: "GET", url: previewURL,
			status: 405, want: `{"detail":"Method \"GET\" not allowed."}`,
		},
		{
			name: "an unknown job", method: "GET", url: jobsURL + unknownID + "/",
			status: 404, want: `{"detail":"No CustomTemplateJob matches the given query."}`,
		},
		{
			name: "a list of jobs", method: "GET", url: jobsURL,
			status: 405, want: `{"detail":"Method \"GET\" not allowed."}`,
		},
		{
			name: "reading where only a preview is possible", method: "GET", url: syncURL,
			status: 405, want: `{"detail":"Method \"GET\" not allowed."}`,
		},
		{
			name: "reading where only a render is possible", method: "GET", url: renderURL(unknownID),
			status: 405, want: `{"detail":"Method \"GET\" not allowed."}`,
		},
		{
			name: "creating a template", method: "POST", url: templatesURL, body: "{}",
			status: 405, want: `{"detail":"Method \"POST\" not allowed."}`,
		},
		{
			name: "the render of an unknown job", method: "POST", url: renderURL(unknownID), body: "{}",
			status: 404, want: `{"detail":"No CustomTemplateJob matches the given query."}`,
		},
		{
			name: "a render with a body that is not an object", method: "POST", url: renderURL(unknownID), body: "[]",
			status: 400, want: `{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`,
		},
		{
			name: "an unknown template", method: "GET", url: templatesURL + unknownID + "/",
			status: 404, want: `{"detail":"No CustomTemplate matches the given query."}`,
		},
		{
			name: "a preview to wait for with a wrong field", method: "POST", url: syncURL, body: `{"variables":{}}`,
			status: 400, want: `{"template_id":["This field is required."]}`,
		},
		{
			name: "a video with a wrong field", method: "POST", url: jobsURL, body: `{"variables":{}}`,
			status: 400, want: `{"template_id":["This field is required."]}`,
		},
		{
			name: "a body that is not JSON by its type", method: "POST", url: previewURL, body: validBody,
			edit:   func(h http.Header) { h.Set("Content-Type", "text/plain") },
			status: 415, want: `{"detail":"Unsupported media type \"text/plain\" in request."}`,
		},
		{
			name: "a body without a type", method: "POST", url: previewURL, body: validBody,
			edit:   func(h http.Header) { h.Del("Content-Type") },
			status: 415, want: `{"detail":"Unsupported media type \"\" in request."}`,
		},
		{
			name: "a body that is truncated", method: "POST", url: previewURL, body: `{"name":`,
			status: 400, want: `{"detail":"JSON parse error - unexpected end of JSON input"}`,
		},
		{
			name: "a body that is not an object", method: "POST", url: previewURL, body: ` [1]`,
			status: 400, want: `{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`,
		},
		{
			name: "a body that is null", method: "POST", url: previewURL, body: `null`,
			status: 400, want: `{"non_field_errors":["Invalid data. Expected a dictionary, but got NoneType."]}`,
		},
		{
			name: "no body", method: "POST", url: previewURL,
			status: 400, want: `{"template_id":["This field is required."],"variables":["This field is required."]}`,
		},
		{
			name: "a body over 1 MiB", method: "POST", url: previewURL,
			body:   strings.Replace(validBody, "{}", `{}`+strings.Repeat(" ", 1<<20), 1),
			status: 413, want: `{"detail":"Request body exceeds 1048576 bytes."}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			req := newRequest(t.Context(), test.method, test.url, test.body)
			if test.edit != nil {
				test.edit(req.Header)
			}
			got := roundTrip(t, api, req)
			equal(t, "the status", got.status, test.status)
			equal(t, "the body", got.body, test.want)
			equal(t, "Content-Type", got.header.Get("Content-Type"), "application/json")
			equal(t, "the number of jobs", len(api.Jobs()), 0)
			equal(t, "Charged", api.Charged(), 0)
		})
	}
}

func TestProcess(t *testing.T) {
	t.Run("Allow names the methods of a path", func(t *testing.T) {
		for url, want := range map[string]string{
			previewURL:             "POST, OPTIONS",
			syncURL:                "POST, OPTIONS",
			jobsURL:                "POST, OPTIONS",
			renderURL("x"):         "POST, OPTIONS",
			jobsURL + "x/":         "GET, HEAD, OPTIONS",
			templatesURL:           "GET, HEAD, OPTIONS",
			templatesURL + "x/":    "GET, HEAD, OPTIONS",
			creditsURL:             "GET, HEAD, OPTIONS",
			base + "/videos/x.mp4": "GET, HEAD, OPTIONS",
			base + "/preview":      "GET, HEAD, OPTIONS",
		} {
			got := roundTrip(t, creatifytest.New(creatifytest.Config{}), newRequest(t.Context(), "DELETE", url, ""))
			equal(t, "Allow for "+url, got.header.Get("Allow"), want)
		}
	})

	t.Run("an unknown path gets a page", func(t *testing.T) {
		for _, path := range []string{
			"", "/", "/api/", "/api/custom_template_jobs//", "/api/custom_template_jobs/x/y/", "/api/custom_template_jobs//render/",
			"/api/custom_template_jobs/x/y/render/", "/api/custom_template_jobs/x/render/y/", "/api/custom_templates/x/y/",
			"/api/remaining_credits/x/",
		} {
			t.Run(path, func(t *testing.T) {
				got := roundTrip(t, creatifytest.New(creatifytest.Config{}), newRequest(t.Context(), "GET", base+path, ""))
				equal(t, "the status", got.status, 404)
				equal(t, "Content-Type", got.header.Get("Content-Type"), "text/html; charset=utf-8")
				if !strings.Contains(got.body, "<h1>Not Found</h1>") {
					t.Errorf("the body is %q, want a page", got.body)
				}
			})
		}
	})

	t.Run("a path without its slash is redirected", func(t *testing.T) {
		for _, path := range []string{
			"/api/custom_template_jobs", "/api/custom_template_jobs/preview_async", "/api/custom_template_jobs/x/render", "/api/custom_templates",
		} {
			for _, method := range []string{"GET", "POST"} {
				t.Run(method+" "+path, func(t *testing.T) {
					api := creatifytest.New(creatifytest.Config{})
					got := roundTrip(t, api, newRequest(t.Context(), method, base+path+"?a=b", ""))
					equal(t, "the status", got.status, 301)
					equal(t, "Location", got.header.Get("Location"), path+"/?a=b")
				})
			}
		}
	})
}

func TestThrottle(t *testing.T) {
	t.Run("a minute is a sliding window", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{RequestsPerMinute: 2})
			try := func() result {
				return roundTrip(t, api, newRequest(t.Context(), "GET", creditsURL, ""))
			}
			equal(t, "the status of the first request", try().status, 200)
			time.Sleep(20 * time.Second)
			equal(t, "the status of the second", try().status, 200)
			time.Sleep(500 * time.Millisecond)

			got := try()
			equal(t, "the status of one too many", got.status, 429)
			equal(t, "Retry-After", got.header.Get("Retry-After"), "40")
			equal(t, "the body", got.body, `{"detail":"Request was throttled. Expected available in 40 seconds."}`)

			time.Sleep(39 * time.Second)
			got = try()
			equal(t, "the status a moment before the minute is over", got.status, 429)
			equal(t, "the body then", got.body, `{"detail":"Request was throttled. Expected available in 1 second."}`)

			time.Sleep(500 * time.Millisecond)
			equal(t, "the status a minute after the first request", try().status, 200)
			equal(t, "the status of one more", try().status, 429)
			time.Sleep(20 * time.Second)
			equal(t, "the status a minute after the second", try().status, 200)
		})
	})

	t.Run("comes after the credentials and before the method", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{RequestsPerMinute: 1})
		unknown := newRequest(t.Context(), "GET", creditsURL, "")
		unknown.Header.Del("X-API-ID")
		equal(t, "the status without credentials", roundTrip(t, api, unknown).status, 401)
		equal(t, "the status of the first request let in", roundTrip(t, api, newRequest(t.Context(), "PUT", creditsURL, "")).status, 405)
		equal(t, "the status of the second", roundTrip(t, api, newRequest(t.Context(), "PUT", creditsURL, "")).status, 429)
		equal(t, "the status without credentials then", roundTrip(t, api, unknown).status, 401)
	})

	t.Run("files are not limited", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Life: atOnce, RequestsPerMinute: 1})
		url := createVideo(t, api)["video_output"]
		for range 3 {
			equal(t, "the status", roundTrip(t, api, fileRequest(t.Context(), "HEAD", url)).status, 200)
		}
	})
}

func BenchmarkRoundTrip(b *testing.B) {
	send := func(b *testing.B, api *creatifytest.API, method, url, body string) {
		resp, err := api.RoundTrip(newRequest(b.Context(), method, url, body))
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
	for _, jobs := range []int{1, 20_000} {
		b.Run(fmt.Sprintf("create beside %d jobs", jobs), func(b *testing.B) {
			api := creatifytest.New(creatifytest.Config{Credits: math.MaxFloat64, Webhooks: creatifytest.Webhooks{Shuffle: time.Hour}})
			for range jobs {
				send(b, api, "POST", previewURL, hookedBody)
			}
			b.ReportAllocs()
			for b.Loop() {
				send(b, api, "POST", previewURL, hookedBody)
			}
		})
		b.Run(fmt.Sprintf("read beside %d jobs", jobs), func(b *testing.B) {
			api := creatifytest.New(creatifytest.Config{Credits: math.MaxFloat64})
			for range jobs {
				send(b, api, "POST", previewURL, validBody)
			}
			url := jobsURL + api.Jobs()[0] + "/"
			b.ReportAllocs()
			for b.Loop() {
				send(b, api, "GET", url, "")
			}
		})
	}
}
