package creatifytest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestFaultsHitTheCallsTheyName(t *testing.T) {
	const preview, credits = creatifytest.CallCreatePreview, creatifytest.CallCredits
	tests := []struct {
		name   string
		faults []creatifytest.Fault
		want   []int // statuses of requests for the credits
	}{
		{"a fault hits once", []creatifytest.Fault{{Status: 500}}, []int{500, 200, 200}},
		{"a fault can hit twice", []creatifytest.Fault{{Status: 500, Times: 2}}, []int{500, 500, 200}},
		{"a fault can hit for ever", []creatifytest.Fault{{Status: 500, Times: -1}}, []int{500, 500, 500, 500}},
		{"a fault can let calls through first", []creatifytest.Fault{{Status: 500, Skip: 2}}, []int{200, 200, 500, 200}},
		{"a fault for ever can let calls through first", []creatifytest.Fault{{Status: 500, Skip: 1, Times: -1}}, []int{200, 500, 500}},
		{"a fault for another call does not hit", []creatifytest.Fault{{Call: preview, Status: 500}}, []int{200}},
		{"a fault for the call hits", []creatifytest.Fault{{Call: credits, Status: 500}}, []int{500, 200}},
		{"faults hit one after the other", []creatifytest.Fault{{Status: 500}, {Status: 502}}, []int{500, 502, 200}},
		{"a fault that skips lets the next hit", []creatifytest.Fault{{Status: 500, Skip: 1}, {Status: 502}}, []int{502, 500, 200}},
		{"a fault does not count calls that another hits", []creatifytest.Fault{{Status: 500}, {Status: 502, Skip: 1}}, []int{500, 200, 502, 200}},
		{"a status that is none is not used", []creatifytest.Fault{{Status: 99}, {Status: 1000}, {Status: -1}}, []int{200, 200, 200}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			api.Inject(test.faults...)
			var got []int
			for range test.want {
				got = append(got, roundTrip(t, api, newRequest(t.Context(), "GET", creditsURL, "")).status)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("the statuses are %v, want %v", got, test.want)
			}
		})
	}
}

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

const (
	previewPath = "/api/custom_template_jobs/preview_async/"
	creditsPath = "/api/remaining_credits/"
)

func TestServing(t *testing.T) {
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
}

func TestFaultReplies(t *testing.T) {
	tests := []struct {
		name        string
		fault       creatifytest.Fault
		status      int
		body        string
		contentType string
		charged     float64
	}{
		{
			name:   "a status without a body",
			fault:  creatifytest.Fault{Status: 503},
			status: 503,
		},
		{
			name:   "a status with a page",
			fault:  creatifytest.Fault{Status: 502, Body: "<html>Bad Gateway</html>"},
			status: 502, body: "<html>Bad Gateway</html>", contentType: "text/html; charset=utf-8",
		},
		{
			name:   "a status with JSON",
			fault:  creatifytest.Fault{Status: 400, Body: `["no"]`},
			status: 400, body: `["no"]`, contentType: "application/json",
		},
		{
			name:   "a status with a type of its own",
			fault:  creatifytest.Fault{Status: 400, Body: `["no"]`, Header: http.Header{"content-type": {"text/plain"}}},
			status: 400, body: `["no"]`, contentType: "text/plain",
		},
		{
			name:   "a processed reply with another body",
			fault:  creatifytest.Fault{Body: `{"id":`},
			status: 201, body: `{"id":`, contentType: "application/json", charged: 1,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			clients(t, func(t *testing.T, api *creatifytest.API, client *http.Client, host string) {
				api.Inject(test.fault)
				resp, err := client.Do(newRequest(t.Context(), "POST", host+previewPath, validBody))
				if err != nil {
					t.Fatal(err)
				}
				got := read(t, resp)
				equal(t, "the status", got.status, test.status)
				equal(t, "the body", got.body, test.body)
				equal(t, "Content-Type", got.header.Get("Content-Type"), test.contentType)
				equal(t, "Charged", api.Charged(), test.charged)
			})
		})
	}
}

func TestFaultHeaderReplacesTheReplys(t *testing.T) {
	clients(t, func(t *testing.T, api *creatifytest.API, client *http.Client, host string) {
		api.Inject(creatifytest.Fault{Header: http.Header{"retry-after": {"7"}, "Content-Type": {"text/html"}}})
		resp, err := client.Do(newRequest(t.Context(), "GET", host+creditsPath, ""))
		if err != nil {
			t.Fatal(err)
		}
		got := read(t, resp)
		equal(t, "Retry-After", got.header.Get("Retry-After"), "7")
		equal(t, "Content-Type", strings.Join(got.header.Values("Content-Type"), ","), "text/html")
	})
}

func TestCut(t *testing.T) {
	tests := []struct {
		name string
		cut  int
		want string
		err  error
	}{
		{"a body is cut within", 5, `{"rem`, io.ErrUnexpectedEOF},
		{"a cut at the end changes nothing", len(`{"remaining_credits":1000}`), `{"remaining_credits":1000}`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			clients(t, func(t *testing.T, api *creatifytest.API, client *http.Client, host string) {
				api.Inject(creatifytest.Fault{Cut: test.cut})
				resp, err := client.Do(newRequest(t.Context(), "GET", host+creditsPath, ""))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				equal(t, "ContentLength", resp.ContentLength, int64(len(`{"remaining_credits":1000}`)))
				body, err := io.ReadAll(resp.Body)
				equal(t, "what is read", string(body), test.want)
				if !errors.Is(err, test.err) {
					t.Errorf("reading ends with %v, want %v", err, test.err)
				}
			})
		})
	}
}

func TestDrop(t *testing.T) {
	tests := []struct {
		name    string
		drop    creatifytest.Drop
		charged float64
	}{
		{"before processing nothing is charged", creatifytest.DropBefore, 0},
		{"after processing the job is charged", creatifytest.DropAfter, 1},
		{"a refused connection charges nothing", creatifytest.Refuse, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			clients(t, func(t *testing.T, api *creatifytest.API, client *http.Client, host string) {
				api.Inject(creatifytest.Fault{Drop: test.drop})
				resp, err := client.Do(newRequest(t.Context(), "POST", host+previewPath, validBody))
				if err == nil {
					resp.Body.Close()
					t.Errorf("the status is %d, want no reply", resp.StatusCode)
				}
				equal(t, "Charged", api.Charged(), test.charged)
				equal(t, "the number of jobs", len(api.Jobs()), int(test.charged))
			})
		})
	}
}

func TestDropErrors(t *testing.T) {
	tests := []struct {
		drop creatifytest.Drop
		op   string
		want error
	}{
		{creatifytest.DropBefore, "read", syscall.ECONNRESET},
		{creatifytest.DropAfter, "read", syscall.ECONNRESET},
		{creatifytest.Refuse, "dial", syscall.ECONNREFUSED},
	}
	for _, test := range tests {
		api := creatifytest.New(creatifytest.Config{})
		api.Inject(creatifytest.Fault{Drop: test.drop})
		_, err := api.RoundTrip(newRequest(t.Context(), "POST", previewURL, validBody))
		var opErr *net.OpError
		if !errors.As(err, &opErr) || opErr.Op != test.op || !errors.Is(err, test.want) {
			t.Errorf("drop %d: the error is %v, want %s: %v", test.drop, err, test.op, test.want)
		}
	}
}

func TestTraceReportsHowFarARequestGets(t *testing.T) {
	const sent = "GetConn GotConn WroteHeaderField WroteHeaders WroteRequest"
	tests := []struct {
		name  string
		fault creatifytest.Fault
		want  string
	}{
		{"a request that is answered", creatifytest.Fault{}, sent + " GotFirstResponseByte"},
		{"a request that is answered with an error", creatifytest.Fault{Status: 500}, sent + " GotFirstResponseByte"},
		{"a connection that is lost before processing", creatifytest.Fault{Drop: creatifytest.DropBefore}, sent},
		{"a connection that is lost after processing", creatifytest.Fault{Drop: creatifytest.DropAfter}, sent},
		{"a connection that is refused", creatifytest.Fault{Drop: creatifytest.Refuse}, "GetConn"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			api.Inject(test.fault)
			ctx, hooks := traced(t.Context())
			if resp, err := api.RoundTrip(newRequest(ctx, "POST", previewURL, validBody)); err == nil {
				resp.Body.Close()
			}
			equal(t, "the list of hooks", strings.Join(slices.Compact(*hooks), " "), test.want)
		})
	}
}

func TestTraceIsThatOfTheRealTransport(t *testing.T) {
	var want []string
	clients(t, func(t *testing.T, api *creatifytest.API, client *http.Client, host string) {
		ctx, hooks := traced(t.Context())
		resp, err := client.Do(newRequest(ctx, "POST", host+previewPath, validBody))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		got := slices.Compact(*hooks)
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("the hooks are %v, without a socket they are %v", got, want)
		}
	})
}

// traced returns a context with a trace, and the names of the hooks called.
func traced(ctx context.Context) (context.Context, *[]string) {
	var hooks []string
	hook := func(name string) { hooks = append(hooks, name) }
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { hook("GetConn") },
		GotConn:              func(httptrace.GotConnInfo) { hook("GotConn") },
		WroteHeaderField:     func(string, []string) { hook("WroteHeaderField") },
		WroteHeaders:         func() { hook("WroteHeaders") },
		WroteRequest:         func(httptrace.WroteRequestInfo) { hook("WroteRequest") },
		GotFirstResponseByte: func() { hook("GotFirstResponseByte") },
	}), &hooks
}

func TestTraceNamesHostAndConnection(t *testing.T) {
	tests := map[string]string{
		"https://api.creatify.ai":  "api.creatify.ai:443",
		"http://api.creatify.ai":   "api.creatify.ai:80",
		"https://[::1]:8443":       "[::1]:8443",
		"http://localhost.test:81": "localhost.test:81",
	}
	for host, want := range tests {
		var got string
		var conn net.Conn
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GetConn: func(hostPort string) { got = hostPort },
			GotConn: func(info httptrace.GotConnInfo) { conn = info.Conn },
		})
		roundTrip(t, creatifytest.New(creatifytest.Config{}), newRequest(ctx, "GET", host+creditsPath, ""))
		equal(t, "GetConn's argument for "+host, got, want)
		if conn == nil || conn.RemoteAddr() == nil {
			t.Errorf("GotConn gets the connection %v, want one with an address", conn)
		}
	}
}

func TestTraceMayLackHooks(t *testing.T) {
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{})
	got := roundTrip(t, creatifytest.New(creatifytest.Config{}), newRequest(ctx, "GET", creditsURL, ""))
	equal(t, "the status", got.status, 200)
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		api.Inject(creatifytest.Fault{Delay: time.Hour})
		start := time.Now()
		create(t, api)
		equal(t, "the time it took", time.Since(start), time.Hour)
	})
}

func TestDelayEndsWithTheContext(t *testing.T) {
	for name, drop := range map[string]creatifytest.Drop{
		"a slow request":    creatifytest.NoDrop,
		"a slow connection": creatifytest.Refuse,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				api.Inject(creatifytest.Fault{Delay: time.Hour, Drop: drop})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				_, err := api.RoundTrip(newRequest(ctx, "POST", previewURL, validBody))
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the error is %v, want %v", err, context.DeadlineExceeded)
				}
				equal(t, "the time it took", time.Since(start), time.Second)
				equal(t, "Charged", api.Charged(), 0)
			})
		})
	}
}

func TestDelayEndsWithTheClientsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		api.Inject(creatifytest.Fault{Delay: time.Hour})
		client := api.HTTPClient()
		client.Timeout = 5 * time.Second
		_, err := client.Do(newRequest(t.Context(), "GET", creditsURL, ""))
		if urlErr := new(url.Error); !errors.As(err, &urlErr) || !urlErr.Timeout() {
			t.Errorf("the error is %v, want a timeout", err)
		}
	})
}

func TestDelayOverAConnectionEndsWhenTheClientGoes(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	server := httptest.NewServer(api)
	api.Inject(creatifytest.Fault{Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := server.Client().Do(newRequest(ctx, "POST", server.URL+previewPath, validBody))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v, want %v", err, context.DeadlineExceeded)
	}
	server.Close() // returns once no request is served
	equal(t, "Charged", api.Charged(), 0)
}

func TestCancelledRequestDoesNotArrive(t *testing.T) {
	cause := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	api := creatifytest.New(creatifytest.Config{})
	_, err := api.RoundTrip(newRequest(ctx, "POST", previewURL, validBody))
	if !errors.Is(err, cause) {
		t.Errorf("the error is %v, want %v", err, cause)
	}
	equal(t, "the number of requests", api.Calls(""), 0)
}

func TestRequestWithoutURLIsAnError(t *testing.T) {
	if _, err := creatifytest.New(creatifytest.Config{}).RoundTrip(&http.Request{}); err == nil {
		t.Error("there is no error")
	}
}

func TestEmptyMethodIsGet(t *testing.T) {
	req := newRequest(t.Context(), "", creditsURL, "")
	req.Method = ""
	api := creatifytest.New(creatifytest.Config{})
	equal(t, "the status", roundTrip(t, api, req).status, 200)
	equal(t, "CallCredits", api.Calls(creatifytest.CallCredits), 1)
}

func TestHeadHasNoBody(t *testing.T) {
	clients(t, func(t *testing.T, _ *creatifytest.API, client *http.Client, host string) {
		resp, err := client.Do(newRequest(t.Context(), "HEAD", host+creditsPath, ""))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the body", read(t, resp).body, "")
	})
}

func TestBodyOfTheRequestIsClosed(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name  string
		ctx   context.Context
		fault creatifytest.Fault
		read  bool
	}{
		{"when it is processed", t.Context(), creatifytest.Fault{}, true},
		{"when the reply is lost", t.Context(), creatifytest.Fault{Drop: creatifytest.DropAfter}, true},
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
}

type closeRecorder struct {
	*strings.Reader
	closed bool
}

func (c *closeRecorder) Close() error {
	c.closed = true
	return nil
}

func TestBrokenBodyOfTheRequestIsAnError(t *testing.T) {
	broken := errors.New("disk on fire")
	api := creatifytest.New(creatifytest.Config{})
	req := newRequest(t.Context(), "POST", previewURL, validBody)
	req.Body = io.NopCloser(io.MultiReader(strings.NewReader(validBody), errorReader{broken}))
	_, err := api.RoundTrip(req)
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v, want %v", err, broken)
	}
	equal(t, "the number of jobs", len(api.Jobs()), 0)
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func BenchmarkRoundTrip(b *testing.B) {
	api := creatifytest.New(creatifytest.Config{})
	resp, err := api.RoundTrip(newRequest(b.Context(), "POST", previewURL, validBody))
	if err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
	req := newRequest(b.Context(), "GET", jobsURL+api.Jobs()[0]+"/", "")
	b.ReportAllocs()
	for b.Loop() {
		resp, err := api.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
}
