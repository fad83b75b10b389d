package creatifytest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// FuzzRoundTrip sends any request, and opens the page of each job that comes of it.
func FuzzRoundTrip(f *testing.F) {
	for _, path := range []string{
		"/", "//", "/api/custom_template_jobs", "/api/custom_template_jobs/preview_async/", "/api/custom_template_jobs/preview/",
		"/api/custom_template_jobs/", "/api/custom_template_jobs/x/render/", "/api/personas/", "/api/voices/", "/api/custom_templates/x/",
		"/videos/x.mp4", "/x.mp4", "/preview", "/api/custom_template_jobs/%2e%2e/", "/api/custom_template_jobs/\x00\r\n",
	} {
		for _, body := range []string{
			"", validBody, `{`, `[`, `null`, `0`, `"`, "\x00", `{"template_id":null,"variables":1}`,
			strings.Replace(validBody, `{}`, `{"a":{"type":"text","properties":{"content":"<script>"}},"b":{"type":"image","properties":{"url":"javascript:x"}}}`, 1),
			strings.Replace(validBody, `{}`, `{"\ud800":{"x":1e999,"":{}}}`, 1), strings.Replace(validBody, `{`, `{"webhook_url":"http://[::1]:x/?ref=%zz",`, 1),
		} {
			f.Add("POST", path, "application/json", body, "")
		}
		f.Add("GET", path, "", "", "bytes=-1")
		f.Add("", path, "\xff", "", "bytes=9-1,0-0,5-")
		f.Add("HEAD", path, "", "", "")
	}
	f.Fuzz(func(t *testing.T, method, path, contentType, body, ranges string) {
		if strings.Contains(path, "preview/") && !strings.HasSuffix(path, "preview_async/") {
			return // it waits
		}
		api := creatifytest.New(creatifytest.Config{Life: atOnce, LoadImages: true})
		req := newRequest(t.Context(), "GET", base, "")
		req.Method, req.URL.Path, req.Body = method, path, io.NopCloser(strings.NewReader(body))
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Range", ranges)
		got := roundTrip(t, api, req)
		if got.status < 200 || got.status >= 500 {
			t.Errorf("the status is %d: %s", got.status, got.body)
		}
		if length := got.header.Get("Content-Length"); method != "HEAD" && length != strconv.Itoa(len(got.body)) {
			t.Errorf("Content-Length is %s for %d bytes", length, len(got.body))
		}
		if got.header.Get("Content-Type") == "application/json" && method != "HEAD" && !json.Valid([]byte(got.body)) {
			t.Errorf("the body is no JSON: %s", got.body)
		}
		created := method == "POST" && got.status == http.StatusCreated
		equal(t, "whether something is charged", api.Charged() > 0, created)
		equal(t, "the number of jobs", len(api.Jobs()) == 1, created)
		for _, charge := range api.Charges() {
			_, _ = charge.Reference(), charge.Text("a")
			page := roundTrip(t, api, fileRequest(t.Context(), "GET", "https://app.creatify.ai/preview?layout="+charge.JobID))
			equal(t, "the status of the page", page.status, 200)
			if strings.Contains(strings.ToLower(page.body), "<script") || strings.Contains(page.body, `="javascript:`) {
				t.Errorf("the page has a script:\n%s", page.body)
			}
		}
	})
}

func TestServeHTTP_hostile(t *testing.T) {
	// raw returns the status 0 for a connection that is closed. Only then is the request's end told.
	raw := func(t *testing.T, api http.Handler, request string, end bool) (status int, header http.Header) {
		t.Helper()
		server := httptest.NewServer(api)
		defer server.Close()
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		go func() {
			_, _ = io.WriteString(conn, request) // fails when the server has heard enough
			if end {
				_ = conn.(*net.TCPConn).CloseWrite()
			}
		}()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the request is not answered")
		}
		if err != nil {
			return 0, nil
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header
	}
	credentials := "Host: x\r\nX-API-ID: " + creatifytest.APIID + "\r\nX-API-KEY: " + creatifytest.APIKey + "\r\nContent-Type: application/json\r\n"
	post := "POST " + previewPath + " HTTP/1.1\r\n" + credentials
	tests := []struct {
		name    string
		request string
		status  int // 0 for a connection that is closed
	}{
		{"a body that ends too early", post + "Content-Length: 1000\r\n\r\n" + validBody, 0},
		{"a chunk of no length", post + "Transfer-Encoding: chunked\r\n\r\nz\r\n", 0},
		{"two lengths", post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400},
		{"a length and chunks", post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"a body of 8 MiB", post + "Content-Length: 8388608\r\n\r\n" + strings.Repeat(" ", 8<<20), 413},
		{"endless nesting", post + "Content-Length: 1000000\r\n\r\n" + strings.Repeat("[", 1_000_000), 400},
		{"a header of 2 MiB", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n", 431},
		{"a method of its own", "STEAL " + creditsPath + " HTTP/1.1\r\n" + credentials + "\r\n", 405},
		{"CONNECT", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 404},
		{"OPTIONS of all", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"another host in the request line", "GET http://evil.example" + creditsPath + " HTTP/1.1\r\n" + credentials + "\r\n", 200},
		{"a path without its slash and a line break", "GET /api/custom_template_jobs/x%0d%0aSet-Cookie:y HTTP/1.1\r\n" + credentials + "\r\n", 301},
		{"an escaped slash", "GET /api/custom_template_jobs/a%2fb/ HTTP/1.1\r\n" + credentials + "\r\n", 404},
		{"no HTTP", "\x16\x03\x01\r\n\r\n", 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			status, header := raw(t, api, test.request, test.status == 0)
			equal(t, "the status", status, test.status)
			equal(t, "a header that the request makes up", header.Get("Set-Cookie"), "")
			equal(t, "Charged", api.Charged(), 0)
		})
	}
}

func TestAPI_hostile(t *testing.T) {
	t.Run("charges are exact under concurrent requests", func(t *testing.T) {
		const workers, each = 8, 100
		api := creatifytest.New(creatifytest.Config{Credits: 500, Life: atOnce, RequestsPerMinute: 1e6})
		var wg sync.WaitGroup
		var paid sync.Map
		var added atomic.Int64
		for w := range workers {
			wg.Go(func() {
				for i := range each {
					name := fmt.Sprintf("order-%d-%d", w, i)
					if i%10 == 0 {
						_ = api.Inject(creatifytest.Fault{Drop: creatifytest.Drop(i / 10 % 4)}, creatifytest.Fault{Status: 503, Processed: i%20 == 0})
					}
					bodies := []string{bodyWith(t, map[string]any{"name": name}), `{`, strings.Repeat("x", 2000)}
					resp, err := api.RoundTrip(newRequest(t.Context(), "POST", previewURL, bodies[i%3]))
					if err != nil {
						continue
					}
					if resp.StatusCode == http.StatusCreated {
						paid.Store(name, true)
					}
					resp.Body.Close()
					if i%50 == 0 {
						api.ClearFaults()
						api.AddCredits(1)
						added.Add(1)
						_, _, _ = api.Faults(), api.Charges(), api.Calls("")
					}
				}
			})
		}
		wg.Wait()
		names, sum := make(map[string]int), 0.0
		for _, charge := range api.Charges() {
			names[charge.Name]++
			sum += charge.Credits
			if job, ok := api.Job(charge.JobID); !ok || job.Charged != charge.Credits {
				t.Errorf("the job of %+v is %+v", charge, job)
			}
		}
		equal(t, "the sum of the charges", sum, api.Charged())
		equal(t, "what is charged and left", api.Charged()+api.Credits(), 500+float64(added.Load()))
		equal(t, "the number of jobs", len(api.Jobs()), len(api.Charges()))
		paid.Range(func(name, _ any) bool {
			equal(t, "the charges of "+name.(string), names[name.(string)], 1)
			return true
		})
	})

	t.Run("the page grows linearly with the variables", func(t *testing.T) {
		for _, variables := range []string{
			"{" + strings.Repeat(`"a":{},`, 100_000) + `"a":{}}`,
			`{"a":` + strings.Repeat(`{"a":`, 9_000) + `{}` + strings.Repeat(`}`, 9_001),
			`{"a":{"type":"text","properties":{"content":"` + strings.Repeat("<", 900_000) + `"}}}`,
		} {
			api := creatifytest.New(creatifytest.Config{Life: atOnce})
			body := strings.Replace(validBody, "{}", variables, 1)
			got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, body))
			equal(t, "the status", got.status, 201)
			page := roundTrip(t, api, fileRequest(t.Context(), "GET", "https://app.creatify.ai/preview?layout="+api.Jobs()[0]))
			equal(t, "the status of the page", page.status, 200)
			if len(page.body) > 16*len(body) {
				t.Errorf("the page has %d bytes for %d of the request", len(page.body), len(body))
			}
		}
	})

	t.Run("many ranges of a video cost no more than the video", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Life: atOnce})
		req := fileRequest(t.Context(), "GET", createVideo(t, api)["video_output"])
		req.Header.Set("Range", "bytes="+strings.Repeat("0-,", 10_000)+"0-")
		got := roundTrip(t, api, req)
		equal(t, "the length", len(got.body), 15*64<<10)
	})

	t.Run("a malformed query of the page is 404", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		for _, query := range []string{"layout=%zz", "layout=" + strings.Repeat("x", 1<<20), "layout=..%2f..%2f", ";;;", "layout=<script>"} {
			req := fileRequest(t.Context(), "GET", "https://app.creatify.ai/preview")
			req.URL = &url.URL{Scheme: "https", Host: "app.creatify.ai", Path: "/preview", RawQuery: query}
			got := roundTrip(t, api, req)
			equal(t, "the status", got.status, 404)
			equal(t, "whether the query is shown", bytes.Contains([]byte(got.body), []byte("<script")), false)
		}
	})
}
