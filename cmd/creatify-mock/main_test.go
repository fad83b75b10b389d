package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// program is run under way.
type program struct {
	url    string
	stdout string // up to the last line to export
	stop   func() (code int, stderr string)
}

// start runs the program until it has said where it listens. The test stops it
// in the end, if it has not been stopped before.
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
	code, stopped := 0, false
	stop := func() (int, string) {
		if !stopped {
			stopped = true
			cancel()
			code = <-exited
		}
		return code, stderr.String()
	}
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

// call sends a request and returns the status of the reply and its JSON.
func (p program) call(t *testing.T, method, path, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-ID", creatifytest.APIID)
	req.Header.Set("X-API-KEY", creatifytest.APIKey)
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var reply map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, reply
}

const jobBody = `{"template_id": "` + creatifytest.TemplateID + `", "variables": {}, "name": "secret name"}`

func (p program) create(t *testing.T) (id string) {
	t.Helper()
	status, job := p.call(t, "POST", "/api/custom_template_jobs/preview_async/", jobBody)
	if status != http.StatusCreated {
		t.Fatalf("creating a job: status %d: %v", status, job)
	}
	return job["id"].(string)
}

func TestRunPrintsWhatToExport(t *testing.T) {
	p := start(t)
	want := "Creatify's custom-template API, in memory, at " + p.url + "\n\n" +
		"export CREATIFY_BASE_URL=" + p.url + "\n" +
		"export CREATIFY_API_ID=" + creatifytest.APIID + "\n" +
		"export CREATIFY_API_KEY=" + creatifytest.APIKey + "\n"
	if p.stdout != want {
		t.Errorf("stdout is\n%swant\n%s", p.stdout, want)
	}
	if !strings.HasPrefix(p.url, "http://127.0.0.1:") {
		t.Errorf("the URL is %s, want one of this machine alone", p.url)
	}
}

func TestRunServesJobs(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		status string
		reason any
	}{
		{"a job is pending at first", nil, "pending", nil},
		{"a short job is done", []string{"-job-duration", "1ns"}, "done", nil},
		{"a job fails if told to", []string{"-job-duration", "1ns", "-fail", "no such voice"}, "failed", "no such voice"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, test.args...)
			_, job := p.call(t, "GET", "/api/custom_template_jobs/"+p.create(t)+"/", "")
			if job["status"] != test.status || job["failed_reason"] != test.reason {
				t.Errorf("the job is %v because of %v, want %v because of %v", job["status"], job["failed_reason"], test.status, test.reason)
			}
		})
	}
}

// open fetches a URL as a browser does.
func open(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content)
}

func TestRunServesPreviewsAndVideos(t *testing.T) {
	p := start(t, "-job-duration", "1ns", "-render-duration", "1ns")
	path := "/api/custom_template_jobs/" + p.create(t) + "/"
	p.call(t, "POST", path+"render/", "{}")
	_, job := p.call(t, "GET", path, "")

	if preview := job["preview"].(string); !strings.HasPrefix(preview, p.url+"/preview?layout=") {
		t.Errorf("the preview's URL is %s", preview)
	}
	if status, page := open(t, job["preview"].(string)); status != 200 || !strings.Contains(page, "<h1>secret name</h1>") {
		t.Errorf("the preview is %d %s", status, page)
	}
	if status, video := open(t, job["video_output"].(string)); status != 200 || len(video) != 15*64<<10 {
		t.Errorf("the video is %d and has %d bytes", status, len(video))
	}
}

func TestRunRendersInTheTimeGiven(t *testing.T) {
	p := start(t, "-job-duration", "1ns", "-render-duration", "1h")
	path := "/api/custom_template_jobs/" + p.create(t) + "/"
	p.call(t, "POST", path+"render/", "{}")
	if _, job := p.call(t, "GET", path, ""); job["status"] != "running" {
		t.Errorf("the job is %v, want running", job["status"])
	}
}

func TestRunSendsWebhooks(t *testing.T) {
	notices := make(chan map[string]any, 2)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var notice map[string]any
		json.NewDecoder(r.Body).Decode(&notice)
		notices <- notice
	}))
	defer hook.Close()
	host := strings.TrimPrefix(hook.URL, "http://")
	tests := []struct {
		name string
		args []string
		host string
	}{
		{"to this machine", nil, host},
		{"to this machine by its name", nil, strings.Replace(host, "127.0.0.1", "localhost", 1)},
		// What this address leads to is this machine too, but it does not say so.
		{"to any machine if told to", []string{"-webhooks-anywhere"}, strings.Replace(host, "127.0.0.1", "0.0.0.0", 1)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.HasPrefix(test.host, "0.0.0.0") {
				t.Skip("Windows connects to no such address")
			}
			p := start(t, append(test.args, "-job-duration", "1ms")...)
			body := strings.Replace(jobBody, "{", `{"webhook_url": "http://`+test.host+`/secret?secret=1",`, 1)
			for range 2 { // when the second notice comes, the first is logged
				_, job := p.call(t, "POST", "/api/custom_template_jobs/preview_async/", body)
				if notice := <-notices; notice["id"] != job["id"] || notice["status"] != "done" {
					t.Errorf("the notice is %v, want that job %v is done", notice, job["id"])
				}
			}
			_, log := p.stop()
			if want := "msg=webhook host=" + test.host + " status=200"; !strings.Contains(log, want) {
				t.Errorf("the log lacks %q:\n%s", want, log)
			}
			if strings.Contains(log, "secret") {
				t.Errorf("the log holds a secret:\n%s", log)
			}
		})
	}
}

func TestWebhooksStayOnThisMachine(t *testing.T) {
	const elsewhere = "http://192.0.2.1:9/secret" // an address that nobody has
	redirect := httptest.NewServer(http.RedirectHandler(elsewhere, http.StatusTemporaryRedirect))
	defer redirect.Close()
	for name, url := range map[string]string{
		"another machine":                 elsewhere,
		"this machine, which redirects":   redirect.URL,
		"another machine, in IPv6":        "http://[2001:db8::1]:9/secret",
		"another machine, in mapped IPv4": "http://[::ffff:192.0.2.1]:9/secret",
		"any address":                     "http://0.0.0.0:9/secret",
		"a name, which is not looked up":  "http://creatify.test/secret",
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			client := webhookClient(slog.New(slog.NewTextHandler(&log, nil)), false)
			resp, err := client.Post(url, "application/json", strings.NewReader("{}"))
			if err == nil {
				resp.Body.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "see -webhooks-anywhere") {
				t.Errorf("the error is %v, want that the host is not on this machine", err)
			}
			if !strings.Contains(log.String(), "level=WARN msg=webhook") || strings.Contains(log.String(), "secret") {
				t.Errorf("the log is %s, want a warning without the path", &log)
			}
		})
	}
}

func TestWebhooksStayOnThisMachineIfLocalhostIsAnother(t *testing.T) {
	for address, want := range map[string]error{
		"127.0.0.1:80": nil, "127.9.9.9:80": nil, "[::1]:80": nil, "[::ffff:127.0.0.1]:80": nil,
		"192.0.2.1:80": errNotHere, "[2001:db8::1]:80": errNotHere, "[fe80::1%eth0]:80": errNotHere,
	} {
		if err := toLoopback("tcp", address, nil); !errors.Is(err, want) {
			t.Errorf("the error for %s is %v, want %v", address, err, want)
		}
	}
}

func TestRunStartsWithTheCreditsGiven(t *testing.T) {
	p := start(t, "-credits", "2.5")
	_, reply := p.call(t, "GET", "/api/remaining_credits/", "")
	if reply["remaining_credits"] != 2.5 {
		t.Errorf("the reply is %v, want 2.5 credits", reply)
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	p := start(t)
	if code, stderr := p.stop(); code != 0 {
		t.Errorf("the exit code is %d, want 0: %s", code, stderr)
	}
}

func TestRunLogsRequestsWithoutSecrets(t *testing.T) {
	p := start(t)
	p.create(t)
	p.call(t, "GET", "/api/custom_template_jobs/unknown/?token=secret-query", "")
	_, log := p.stop()
	for _, want := range []string{
		"method=POST path=/api/custom_template_jobs/preview_async/ status=201",
		"method=GET path=/api/custom_template_jobs/unknown/ status=404",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	for _, secret := range []string{creatifytest.APIID, creatifytest.APIKey, "secret"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q:\n%s", secret, log)
		}
	}
}

func TestRunRefusesBadFlags(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"an unknown flag", []string{"-x"}, "flag provided but not defined: -x"},
		{"an argument", []string{"x"}, `unexpected argument "x"`},
		{"no duration", []string{"-job-duration", "0s"}, "-job-duration is 0s, but must be more than 0"},
		{"a negative duration", []string{"-job-duration", "-1s"}, "-job-duration is -1s, but must be more than 0"},
		{"no duration of a render", []string{"-render-duration", "0s"}, "-render-duration is 0s, but must be more than 0"},
		{"no credits", []string{"-credits", "0"}, "-credits is 0, but must be a number more than 0"},
		{"credits without end", []string{"-credits", "Inf"}, "-credits is +Inf, but must be a number more than 0"},
		{"credits that are no number", []string{"-credits", "NaN"}, "-credits is NaN, but must be a number more than 0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), test.args, &stdout, &stderr); code != 2 {
				t.Errorf("the exit code is %d, want 2", code)
			}
			if !strings.Contains(stderr.String(), test.want) || !strings.Contains(stderr.String(), "-job-duration time") {
				t.Errorf("stderr is %q, want %q and the usage", &stderr, test.want)
			}
			if stdout.Len() > 0 {
				t.Errorf("stdout is %q, want nothing", &stdout)
			}
		})
	}
}

func TestRunShowsHelp(t *testing.T) {
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-h"}, io.Discard, &stderr); code != 0 {
		t.Errorf("the exit code is %d, want 0", code)
	}
	if !strings.Contains(stderr.String(), "-job-duration time") {
		t.Errorf("stderr is %q, want the usage", &stderr)
	}
}

func TestRunNeedsItsAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if code := run(ctx, []string{"-addr", taken.Addr().String()}, &stdout, &stderr); code != 1 {
		t.Errorf("the exit code is %d, want 1", code)
	}
	if stderr.Len() == 0 || stdout.Len() > 0 {
		t.Errorf("stdout is %q and stderr %q, want a message in stderr alone", &stdout, &stderr)
	}
}
