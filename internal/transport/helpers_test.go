package transport

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const testKey = "recognisable-key"

type answer = func(*http.Request) (*http.Response, error)

// script answers request after request; the last answer repeats.
type script struct {
	mu      sync.Mutex
	answers []answer
	calls   int
	times   []time.Time
	bodies  []string
	headers []http.Header
}

func scripted(answers ...answer) *script { return &script{answers: answers} }

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	next := s.answers[min(s.calls, len(s.answers)-1)]
	s.calls++
	s.times = append(s.times, time.Now())
	s.headers = append(s.headers, req.Header)
	if req.Body != nil {
		body, _ := io.ReadAll(req.Body)
		req.Body.Close()
		s.bodies = append(s.bodies, string(body))
	}
	s.mu.Unlock()
	return next(req)
}

func respond(status int, body string, header ...string) answer {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)),
			ContentLength: int64(len(body)), Request: req}, nil
	}
}

// truncated responds with a status and a body that ends with an error.
func truncated(status int, body string, err error) answer {
	return func(req *http.Request) (*http.Response, error) {
		resp, _ := respond(status, "")(req)
		resp.Body = &brokenBody{strings.NewReader(body), err}
		return resp, nil
	}
}

type brokenBody struct {
	*strings.Reader
	err error
}

func (b *brokenBody) Read(p []byte) (int, error) {
	if n, err := b.Reader.Read(p); err == nil {
		return n, nil
	}
	return 0, b.err
}

func (b *brokenBody) Close() error { return nil }

func fail(err error) answer {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

var (
	reset    = fail(&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET})
	cutShort = truncated(200, `{"id":"7",`, io.ErrUnexpectedEOF)
)

// refuseConnection fails as net/http does when it gets no connection, and reports it as net/http does.
func refuseConnection(req *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil {
		trace.GetConn("api.test:443")
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// after answers when d has passed, unless the request ends first.
func after(d time.Duration, next answer) answer {
	return func(req *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return next(req)
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
}

func newConfig(rt http.RoundTripper) Config {
	base, _ := url.Parse("https://api.test")
	return Config{
		BaseURL:     base,
		Credentials: NewCredentials("the-id", testKey),
		UserAgent:   "test",
		HTTPClient:  &http.Client{Transport: rt},
		Timeout:     time.Minute,
		Grace:       10 * time.Second,
		Logger:      slog.New(slog.DiscardHandler),
		Retry:       Retry{MaxAttempts: 4, MinBackoff: 500 * time.Millisecond, MaxBackoff: 30 * time.Second},
	}
}

func newClient(t testing.TB, rt http.RoundTripper, change ...func(*Config)) *Client {
	t.Helper()
	config := newConfig(rt)
	for _, f := range change {
		f(&config)
	}
	client, err := New(config, nil)
	require.NoError(t, err)
	return client
}

var (
	paid = Call{Name: "pay", Method: http.MethodPost, Path: "/pay/", Body: []byte(`{"a":1}`), Paid: true}
	free = Call{Name: "read", JobID: "job-7", Method: http.MethodGet, Path: "/read/"}
	once = Call{Name: "read", Method: http.MethodGet, Path: "/read/", Once: true}
)
