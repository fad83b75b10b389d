package creatify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Tests against a server that means harm, or is merely broken.

// onWire answers every connection with the same bytes, and closes it when the test ends.
func onWire(t *testing.T, reply string) string {
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
				io.WriteString(conn, reply)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

func onWireClient(t *testing.T, baseURL string, opts ...creatify.Option) *creatify.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return newClient(t, transport, append([]creatify.Option{creatify.WithBaseURL(baseURL),
		creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 2, MinBackoff: 1, MaxBackoff: 2})}, opts...)...)
}

func TestSwitchingProtocolsDoesNotHang(t *testing.T) {
	client := onWireClient(t, onWire(t, "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"))
	done := make(chan error, 2)
	go func() { _, err := client.Jobs.Get(t.Context(), jobID); done <- err }()
	go func() { _, err := client.Jobs.CreatePreview(t.Context(), params()); done <- err }()
	for range 2 {
		select {
		case err := <-done:
			if unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err); ok {
				err = unknown.Err
			}
			refusal, ok := errors.AsType[*creatify.APIError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, 101, refusal.StatusCode)
		case <-time.After(10 * time.Second):
			t.Fatal("the call hangs")
		}
	}
}

// wrapped says nothing itself about what it wraps.
type wrapped struct{ error }

func (wrapped) Error() string   { return "it did not work" }
func (w wrapped) Unwrap() error { return w.error }

func TestEchoedCredentialsGetIntoNoError(t *testing.T) {
	const key, id = creatifytest.APIKey, creatifytest.APIID
	escaped := fmt.Sprintf(`\u%04x`, key[0]) + key[1:]
	echo := func(req *http.Request) (*http.Response, error) {
		return nil, wrapped{errors.Join(errors.New("other"), errors.New("dump: "+req.Header.Get("X-API-KEY")))}
	}
	get := func(t *testing.T, rt http.RoundTripper) error {
		_, err := newClient(t, rt).Jobs.WaitForPreview(t.Context(), jobID, creatify.WithMaxPollErrors(1))
		return err
	}
	create := func(t *testing.T, rt http.RoundTripper) error {
		_, err := newClient(t, rt).Jobs.CreatePreview(t.Context(), params())
		return err
	}
	for name, call := range map[string]func(*testing.T) error{
		"the reason of a failure": func(t *testing.T) error {
			return get(t, says(200, `{"id":"`+jobID+`","status":"failed","failed_reason":"bad key `+key+`"}`))
		},
		"a reason in escapes": func(t *testing.T) error {
			return get(t, says(200, `{"id":"`+jobID+`","status":"failed","failed_reason":"bad key `+escaped+`"}`))
		},
		"another job's ID":          func(t *testing.T) error { return get(t, says(200, `{"id":"`+escaped+`"}`)) },
		"the ID in a 502":           func(t *testing.T) error { return create(t, says(502, `{"id":"`+escaped+`","status":"pending"}`)) },
		"the API ID":                func(t *testing.T) error { return get(t, says(401, `{"detail":"unknown API ID `+id+`"}`)) },
		"the body of a refusal":     func(t *testing.T) error { return get(t, says(401, `{"detail":"`+escaped+`"}`)) },
		"an error of the transport": func(t *testing.T) error { return get(t, roundTrip(echo)) },
		"the same of a paid call":   func(t *testing.T) error { return create(t, roundTrip(echo)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := call(t)
				require.Error(t, err)
				var all strings.Builder
				tell(&all, err)
				slog.New(slog.NewJSONHandler(&all, nil)).Error("x", "err", err)
				assert.NotContains(t, all.String(), key)
				assert.NotContains(t, all.String(), escaped)
				assert.NotContains(t, all.String(), id)
			})
		})
	}
}

// tell writes all that an error says, at every level.
func tell(w io.Writer, err error) {
	if err == nil {
		return
	}
	asJSON, _ := json.Marshal(err)
	fmt.Fprintf(w, "%v\n%+v\n%#v\n%s\n%s\n", err, err, err, err, asJSON)
	if refusal, ok := errors.AsType[*creatify.APIError](err); ok {
		w.Write(refusal.Body)
	}
	switch err := err.(type) { //nolint:errorlint // it is this one's own Unwrap that is called for
	case interface{ Unwrap() error }:
		tell(w, err.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range err.Unwrap() {
			tell(w, e)
		}
	}
}

func TestALocationWithTheKeyIsNotQuoted(t *testing.T) {
	const odd = `se"cret\key-123456`
	client, err := creatify.New("the-id", odd, creatify.WithHTTPClient(&http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"http://[::1]:" + odd}}, Body: http.NoBody, Request: req}, nil
	})}))
	require.NoError(t, err)
	_, err = client.Jobs.Get(t.Context(), jobID)
	assert.NotContains(t, err.Error(), `se\"cret\\key-123456`)
	assert.NotContains(t, err.Error(), odd)
}

func TestASmallReplyDoesNotMakeALargeError(t *testing.T) {
	var body strings.Builder
	body.WriteString(`{"` + strings.Repeat("A", 32<<10) + `":{"z":1`)
	for i := 0; body.Len() < 64<<10-20; i++ {
		fmt.Fprintf(&body, `,"%x":1`, i)
	}
	body.WriteString("}}")
	client := newClient(t, says(400, body.String()))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := client.Jobs.Get(t.Context(), jobID)
	text := err.Error()
	runtime.ReadMemStats(&after)
	assert.Less(t, (after.TotalAlloc-before.TotalAlloc)>>20, uint64(8), "MiB for a reply of 64 KiB")
	assert.Less(t, len(text), 1000)
}

func TestErrorsFromBelowAreShortLines(t *testing.T) {
	long := strings.Repeat("M", 500_000)
	_, err := onWireClient(t, onWire(t, "HTTP/1.1 201 X\r\nbad line "+long+"\r\n\r\n")).Jobs.CreatePreview(t.Context(), params())
	assert.Less(t, len(err.Error()), 1000)
	proxy, _ := url.Parse(onWire(t, "HTTP/1.1 502 boom\x1b[31m"+long[:1000]+"\r\nContent-Length: 0\r\n\r\n"))
	_, err = newClient(t, &http.Transport{Proxy: http.ProxyURL(proxy)},
		creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1})).Jobs.CreatePreview(t.Context(), params())
	assert.Less(t, len(err.Error()), 1000)
	assert.NotContains(t, err.Error(), "\x1b")
	assert.NotErrorIs(t, err, creatify.ErrOutcomeUnknown, "a refused CONNECT is before the request")
}

func TestCookiesDoNotPileUpFromRetryToRetry(t *testing.T) {
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
	client := newClient(t, nil, creatify.WithHTTPClient(&http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}),
		creatify.WithBaseURL(server.URL), creatify.WithRetry(creatify.RetryPolicy{MinBackoff: 1, MaxBackoff: 2}))
	_, err = client.Jobs.Get(t.Context(), jobID)
	assert.Error(t, err)
	assert.Equal(t, 4, n)
}

func TestAContextThatEndsInAnErrorsBodyIsTheError(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := onWireClient(t, onWire(t, "HTTP/1.1 503 X\r\nContent-Length: 100\r\n\r\n{")).Jobs.Get(ctx, jobID)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}
