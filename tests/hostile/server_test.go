package hostile_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// onWire answers every connection with the same bytes, and closes it when the test ends. It returns the
// server's URL.
func onWire(t *testing.T, response string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				conn.Read(make([]byte, 4096))
				io.WriteString(conn, response)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

func onWireClient(t *testing.T, baseURL string) *creatify.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return testkit.NewClient(t, transport, creatify.WithBaseURL(baseURL),
		creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 2, MinBackoff: 1, MaxBackoff: 2}))
}

func TestSwitchingProtocolsEndsACall(t *testing.T) {
	client := onWireClient(t, onWire(t, "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := client.Jobs.Get(ctx, testkit.JobID)
	assert.Equal(t, 101, testkit.As[*creatify.APIError](t, err).StatusCode)
	_, err = client.Jobs.CreatePreview(ctx, testkit.Params())
	assert.Equal(t, 101, testkit.As[*creatify.APIError](t, testkit.As[*creatify.OutcomeUnknownError](t, err).Err).StatusCode)
}

func TestContextThatEndsInARefusalsBodyIsTheError(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := onWireClient(t, onWire(t, "HTTP/1.1 503 X\r\nContent-Length: 100\r\n\r\n{")).Jobs.Get(ctx, testkit.JobID)
	assert.Equal(t, []error{context.DeadlineExceeded}, testkit.Matched(err))
}

func TestErrorsAreSmall(t *testing.T) {
	t.Run("of a body with a long name and many fields", func(t *testing.T) {
		var body strings.Builder
		body.WriteString(`{"` + strings.Repeat("A", 32<<10) + `":{"z":1`)
		for i := 0; body.Len() < 64<<10-20; i++ {
			fmt.Fprintf(&body, `,"%x":1`, i)
		}
		body.WriteString("}}")
		checkSmall(t, testkit.Says(400, body.String()))
	})
	t.Run("of a body of nested lists", func(t *testing.T) {
		checkSmall(t, testkit.Says(400, `{"a":`+strings.Repeat("[", 30<<10)+strings.Repeat("]", 30<<10)+"}"))
	})
	t.Run("of a long header line", func(t *testing.T) {
		_, err := onWireClient(t, onWire(t, "HTTP/1.1 201 X\r\nbad line "+strings.Repeat("M", 500_000)+"\r\n\r\n")).Jobs.CreatePreview(t.Context(), testkit.Params())
		assert.Less(t, len(err.Error()), 1000)
	})
	t.Run("of a proxy's long status line", func(t *testing.T) {
		proxy, err := url.Parse(onWire(t, "HTTP/1.1 502 boom\x1b[31m"+strings.Repeat("M", 1000)+"\r\nContent-Length: 0\r\n\r\n"))
		require.NoError(t, err)
		_, err = testkit.NewClient(t, &http.Transport{Proxy: http.ProxyURL(proxy)}, creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1})).
			Jobs.CreatePreview(t.Context(), testkit.Params())
		assert.Less(t, len(err.Error()), 1000)
		assert.NotContains(t, err.Error(), "\x1b")
		assert.Equal(t, creatify.ChargedNo, creatify.Charged(err), "a refused CONNECT is before the request")
	})
}

// checkSmall checks that the error of a response of 64 KiB takes little memory and is short.
func checkSmall(t *testing.T, rt http.RoundTripper) {
	client := testkit.NewClient(t, rt)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := client.Jobs.Get(t.Context(), testkit.JobID)
	require.Error(t, err)
	text := err.Error()
	runtime.ReadMemStats(&after)
	assert.Less(t, (after.TotalAlloc-before.TotalAlloc)>>20, uint64(8), "MiB for a response of 64 KiB")
	assert.Less(t, len(text), 1000)
}

func TestCookiesDoNotAddUpFromRetryToRetry(t *testing.T) {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.LessOrEqual(t, len(r.Cookies()), 1, "attempt %d", n+1)
		n++
		http.SetCookie(w, &http.Cookie{Name: "session", Value: fmt.Sprint(n), Path: "/"})
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := testkit.NewClient(t, nil, creatify.WithHTTPClient(&http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}),
		creatify.WithBaseURL(server.URL), creatify.WithRetry(creatify.RetryPolicy{MinBackoff: 1, MaxBackoff: 2}))
	_, err = client.Jobs.Get(t.Context(), testkit.JobID)
	assert.Error(t, err)
	assert.Equal(t, 4, n)
}

// FuzzResponse reads any body as each of the responses that are no refusals.
func FuzzResponse(f *testing.F) {
	const template = `{"template_id":"` + creatifytest.TemplateID + `","name":"Demo","variables":{"headline":{"type":"text","properties":{"content":"Hi"}},"odd":17}}`
	for _, seed := range []string{``, `null`, `[]`, `{}`, `<html>`, testkit.JobDone, template, `[` + template + `]`, `[null]`, `[{"template_id":7}]`,
		`{"remaining_credits": 379.0}`, `{"remaining_credits":"12.5"}`, `{"remaining_credits":1e999}`, `{"remaining_credits":null}`,
		`{"remaining_credits":"NaN"}`, `{"variables":[]}`, `{"variables":{"a":{"type":"text","properties":{}}}}`, `{"progress":"0.5"}`,
		`{"template_id":"a","created_at":"2024-05-01T03:04:05.123456-07:00","updated_at":5}`, "\ufeff[]", `{"TEMPLATE_ID":"x"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		client := testkit.NewClient(t, testkit.Says(200, string(body)))
		if template, err := client.Templates.Get(t.Context(), "asked-for"); err == nil {
			checkTemplate(t, *template)
			if template.ID == "" {
				t.Errorf("a template without an ID from %q", body)
			}
		}
		templates, err := client.Templates.List(t.Context())
		for _, template := range templates {
			checkTemplate(t, template)
		}
		if err == nil && templates == nil {
			t.Errorf("no list and no error from %q", body)
		}
		if credits, err := client.Workspace.RemainingCredits(t.Context()); credits != credits || err != nil && credits != 0 {
			t.Errorf("%v credits and error %v from %q", credits, err, body)
		}
		if job, err := client.Jobs.CreatePreview(t.Context(), testkit.Params()); err == nil && job.ID == "" || err != nil && !errors.Is(err, creatify.ErrOutcomeUnknown) {
			t.Errorf("job %v and error %v from %q", job, err, body)
		}
	})
}

func checkTemplate(t *testing.T, template creatify.Template) {
	for name, v := range template.Variables {
		if _, err := v.MarshalJSON(); err != nil {
			t.Errorf("variable %q of %q: %v", name, template.Raw, err)
		}
		_, _ = v.Type(), v.Value()
	}
	if raw := template.Raw; len(raw) == 0 || raw[0] != '{' {
		t.Errorf("%q is not the template as it came", raw)
	}
}
