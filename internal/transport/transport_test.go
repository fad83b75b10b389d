package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

// TestDo is the table of what is sent how often.
func TestDo(t *testing.T) {
	tests := []struct {
		name    string
		call    Call
		answers []answer
		sent    int
		status  int  // of the response, 0 for an error
		reached bool // of the error
	}{
		{"a paid call that is answered", paid, []answer{respond(201, "{}")}, 1, 201, false},
		{"a paid call is not retried after 500", paid, []answer{respond(500, ""), respond(201, "{}")}, 1, 500, false},
		{"a paid call is not retried after 502", paid, []answer{respond(502, ""), respond(201, "{}")}, 1, 502, false},
		{"a paid call is not retried after 503", paid, []answer{respond(503, "", "Retry-After", "1"), respond(201, "{}")}, 1, 503, false},
		{"a paid call is not retried after 504", paid, []answer{respond(504, ""), respond(201, "{}")}, 1, 504, false},
		{"a paid call is not retried after 520", paid, []answer{respond(520, ""), respond(201, "{}")}, 1, 520, false},
		{"a paid call is not retried after 408", paid, []answer{respond(408, ""), respond(201, "{}")}, 1, 408, false},
		{"a paid call is not retried after 425", paid, []answer{respond(425, ""), respond(201, "{}")}, 1, 425, false},
		{"a paid call is not retried after a reset", paid, []answer{reset, respond(201, "{}")}, 1, 0, true},
		{"a paid call is not retried after a time-out", paid, []answer{hang, respond(201, "{}")}, 1, 0, true},
		{"a paid call is not retried after a truncated response", paid, []answer{cutShort, respond(201, "{}")}, 1, 0, true},
		{"a dial error without net/http's report proves nothing", paid,
			[]answer{fail(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), respond(201, "{}")}, 1, 0, true},
		{"a paid call that never left is retried", paid, []answer{refuseConnection, refuseConnection, respond(201, "{}")}, 3, 201, false},
		{"a paid call that never leaves ends as not reached", paid, []answer{refuseConnection}, 4, 0, false},
		{"a paid call is retried after 429", paid, []answer{respond(429, ""), respond(201, "{}")}, 2, 201, false},
		{"429 to the end is the response", paid, []answer{respond(429, "")}, 4, 429, false},
		{"a reset after a 429 ends a paid call", paid, []answer{respond(429, ""), reset, respond(201, "{}")}, 2, 0, true},
		{"a paid call is not retried after a redirect to what is no URL", paid,
			[]answer{respond(302, "", "Location", "http://[::1"), respond(201, "{}")}, 1, 0, true},
		{"a paid call is not retried when its refusal is truncated", paid,
			[]answer{truncated(400, `{"detail":"No`, io.ErrUnexpectedEOF), respond(201, "{}")}, 1, 400, false},
		{"a paid call without a response or an error is not retried", paid, []answer{fail(nil), respond(201, "{}")}, 1, 0, true},
		{"a truncated refusal is a refusal", free, []answer{truncated(404, `{"detail":"No`, io.ErrUnexpectedEOF), respond(200, "{}")}, 1, 404, false},
		{"a call that cannot be written is not sent", Call{Method: http.MethodPost, Path: "/%zz/", Paid: true}, []answer{respond(201, "{}")}, 0, 0, false},
		{"a free call is retried after 408", free, []answer{respond(408, ""), respond(200, "{}")}, 2, 200, false},
		{"a free call is retried after 425", free, []answer{respond(425, ""), respond(200, "{}")}, 2, 200, false},
		{"a free call is retried after 429", free, []answer{respond(429, ""), respond(200, "{}")}, 2, 200, false},
		{"a free call is retried after 500", free, []answer{respond(500, ""), respond(200, "{}")}, 2, 200, false},
		{"a free call is not retried after 501", free, []answer{respond(501, ""), respond(200, "{}")}, 1, 501, false},
		{"a free call is retried after 502", free, []answer{respond(502, ""), respond(200, "{}")}, 2, 200, false},
		{"a free call is retried after 503", free, []answer{respond(503, ""), respond(200, "{}")}, 2, 200, false},
		{"a free call is retried after 504", free, []answer{respond(504, ""), respond(200, "{}")}, 2, 200, false},
		{"a free call is not retried after 505", free, []answer{respond(505, ""), respond(200, "{}")}, 1, 505, false},
		{"a free call is retried after 520", free, []answer{respond(520, ""), respond(200, "{}")}, 2, 200, false},
		{"a free call is retried after 522", free, []answer{respond(522, ""), respond(200, "{}")}, 2, 200, false},
		{"a free call is retried after 524", free, []answer{respond(524, ""), respond(200, "{}")}, 2, 200, false},
		{"a free call is retried after 530", free, []answer{respond(530, ""), respond(200, "{}")}, 2, 200, false},
		{"a free call is retried after a reset", free, []answer{reset, respond(200, "{}")}, 2, 200, false},
		{"a free call is retried after a truncated response", free, []answer{cutShort, respond(200, "{}")}, 2, 200, false},
		{"a free call is retried after a time-out", free, []answer{hang, respond(200, "{}")}, 2, 200, false},
		{"a free call gives up after four attempts", free, []answer{reset}, 4, 0, true},
		{"a free call is not retried after 404", free, []answer{respond(404, "")}, 1, 404, false},
		{"a certificate that is not trusted", free, []answer{fail(&tls.CertificateVerificationError{Err: errors.New("x")})}, 1, 0, true},
		{"a response without a body", free, []answer{func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 204, Request: req}, nil
		}}, 1, 204, false},
		{"a call for once is sent once", once, []answer{respond(503, ""), respond(200, "{}")}, 1, 503, false},
		{"a transport that returns nothing at all", free, []answer{fail(nil)}, 4, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scripted(tt.answers...)
				got, err := newClient(t, s).Do(t.Context(), tt.call)
				assert.Equal(t, tt.sent, s.calls, "requests sent")
				for _, body := range s.bodies {
					assert.Equal(t, string(tt.call.Body), body, "each attempt carries the whole body")
				}
				if tt.status != 0 {
					require.NoError(t, err)
					assert.Equal(t, tt.status, got.Status)
					return
				}
				failure, ok := errors.AsType[*Error](err)
				require.True(t, ok, "an *Error, not %v", err)
				assert.Equal(t, tt.reached, failure.Reached, "reached")
			})
		})
	}
}

func TestDoWithAContextThatHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := scripted(respond(200, "{}"))
	_, err := newClient(t, s).Do(ctx, paid)
	failure, ok := errors.AsType[*Error](err)
	require.True(t, ok)
	assert.False(t, failure.Reached)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, s.calls)
}

func TestDoRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a request went to another origin, with the key: %v", r.Header.Get("X-API-KEY") != "")
	}))
	defer other.Close()
	var hits []string
	mux := http.NewServeMux()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits = append(hits, r.Method+" "+r.URL.Path)
		mux.ServeHTTP(w, r)
	}))
	defer server.Close()
	mux.HandleFunc("/away/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/read/", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/near/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/read/", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/loop/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop/", http.StatusFound) })
	mux.HandleFunc("/odd/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://[::1")
		w.WriteHeader(302)
	})
	mux.HandleFunc("/read/", func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, testKey, r.Header.Get("X-API-KEY"))
		io.WriteString(w, "{}")
	})
	base, err := url.Parse(server.URL)
	require.NoError(t, err)

	var loop []string
	for range maxRedirects {
		loop = append(loop, "GET /loop/")
	}
	tests := []struct {
		name   string
		call   Call
		status int
		hits   []string
	}{
		{"a GET to another origin is not followed", Call{Method: "GET", Path: "/away/"}, 307, []string{"GET /away/"}},
		{"a GET within the origin is", Call{Method: "GET", Path: "/near/"}, 200, []string{"GET /near/", "GET /read/"}},
		{"a POST within the origin is not", Call{Method: "POST", Path: "/near/", Body: []byte("{}"), Paid: true}, 307, []string{"POST /near/"}},
		{"nor is one that would become a GET", Call{Method: "POST", Path: "/loop/", Body: []byte("{}"), Paid: true}, 302, []string{"POST /loop/"}},
		{"a loop ends", Call{Method: "GET", Path: "/loop/"}, 302, loop},
		{"a Location that is no URL is an error", Call{Method: "GET", Path: "/odd/"}, 0, []string{"GET /odd/"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			hits = nil
			client := newClient(t, nil, func(c *Config) { c.BaseURL, c.HTTPClient = base, nil })
			defer client.CloseIdleConnections()
			got, err := client.Do(t.Context(), tt.call)
			if tt.status == 0 {
				assert.Error(t, err)
			} else if assert.NoError(t, err) {
				assert.Equal(t, tt.status, got.Status)
			}
			assert.Equal(t, tt.hits, hits)
		})
	}
}

func TestDoAsksTheCallersRedirectCheck(t *testing.T) {
	var asked []string
	rt := scripted(respond(302, "", "Location", "/elsewhere/"), respond(200, "{}"))
	client := newClient(t, nil, func(c *Config) {
		c.HTTPClient = &http.Client{Transport: rt, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
			asked = append(asked, req.URL.Path)
			return errors.New("not with me")
		}}
	})
	_, err := client.Do(t.Context(), free)
	assert.ErrorContains(t, err, "not with me")
	assert.Equal(t, []string{"/elsewhere/"}, asked)
	assert.Equal(t, 1, rt.calls)
}

func TestDoClosesNoConnectionOfTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &closeable{script: *scripted(respond(503, ""))}
		_, err := newClient(t, rt).Do(t.Context(), free)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = newClient(t, rt).Do(ctx, free)
		require.NoError(t, err)
		assert.Zero(t, rt.closed, "go-retryablehttp closes idle connections when a call fails")
		rt.answers = []answer{hang}
		_, err = newClient(t, rt).Do(t.Context(), free)
		require.Error(t, err)
		assert.Zero(t, rt.closed, "a time-out closes those of our own transport only")

		newClient(t, rt).CloseIdleConnections()
		assert.Equal(t, 1, rt.closed)
		newClient(t, scripted(respond(200, ""))).CloseIdleConnections() // a RoundTripper that cannot
	})
}

type closeable struct {
	script
	closed int
}

func (c *closeable) CloseIdleConnections() { c.closed++ }

func TestDoLogs(t *testing.T) {
	quoting := fail(errors.New("malformed HTTP response " + testKey))
	var logged bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "wait" {
			return slog.Attr{}
		}
		return a
	}}))
	synctest.Test(t, func(t *testing.T) {
		withLogger := func(c *Config) { c.Logger = logger }
		_, err := newClient(t, scripted(quoting, cutShort, respond(500, "you sent "+testKey)), withLogger).Do(t.Context(), free)
		require.NoError(t, err)
		_, err = newClient(t, scripted(refuseConnection, respond(201, "{}")), withLogger).Do(t.Context(), paid)
		require.NoError(t, err)
	})
	assert.Equal(t, `level=DEBUG msg="creatify: request" call=read job_id=job-7 attempt=1 outcome="no response" took=0s
level=INFO msg="creatify: will retry" call=read job_id=job-7 attempt=1 outcome="no response"
level=DEBUG msg="creatify: request" call=read job_id=job-7 attempt=2 outcome="response truncated" took=0s
level=INFO msg="creatify: will retry" call=read job_id=job-7 attempt=2 outcome="response truncated"
level=DEBUG msg="creatify: request" call=read job_id=job-7 attempt=3 status=500 took=0s
level=INFO msg="creatify: will retry" call=read job_id=job-7 attempt=3 status=500
level=DEBUG msg="creatify: request" call=read job_id=job-7 attempt=4 status=500 took=0s
level=DEBUG msg="creatify: request" call=pay attempt=1 outcome="not sent" took=0s
level=INFO msg="creatify: will retry" call=pay attempt=1 outcome="not sent"
level=DEBUG msg="creatify: request" call=pay attempt=2 status=201 took=0s
`, logged.String())
}

func TestDoPrintsNothing(t *testing.T) {
	old := os.Stderr
	r, w, err := os.Pipe()
	require.NoError(t, err)
	os.Stderr = w
	t.Cleanup(func() { os.Stderr = old })
	synctest.Test(t, func(t *testing.T) {
		newClient(t, scripted(respond(503, ""), fail(errors.New("lost")), respond(200, "{}"))).Do(t.Context(), free)
	})
	w.Close()
	printed, _ := io.ReadAll(r)
	assert.Empty(t, string(printed))
}

func TestNewRefusesAMiddlewareThatReturnsNothing(t *testing.T) {
	config := newConfig(scripted(respond(200, "")))
	config.Middleware = []func(http.RoundTripper) http.RoundTripper{func(http.RoundTripper) http.RoundTripper { return nil }}
	_, err := New(config, nil)
	assert.ErrorContains(t, err, "returned no http.RoundTripper")
}

func TestNewSharesWhatStaysTheSame(t *testing.T) {
	queue := NewQueue(rate.NewLimiter(1, 1))
	client := newClient(t, nil, func(c *Config) { c.HTTPClient, c.Queue = nil, queue })
	for _, tt := range []struct {
		name   string
		change func(*Config)
		shares bool
	}{
		{"another time limit", func(c *Config) { c.Timeout = time.Second }, true},
		{"a middleware", func(c *Config) {
			c.Middleware = append(c.Middleware, func(next http.RoundTripper) http.RoundTripper { return next })
		}, true},
		{"a path of the same origin", func(c *Config) { c.BaseURL = c.BaseURL.JoinPath("v2") }, true},
		{"another origin", func(c *Config) { c.BaseURL, _ = url.Parse("https://elsewhere.test") }, false},
		{"a client of the caller's", func(c *Config) { c.HTTPClient = new(http.Client) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := client.config
			tt.change(&config)
			other, err := New(config, client)
			require.NoError(t, err)
			assert.Equal(t, tt.shares, client.wire == other.wire)
			assert.Same(t, queue, other.config.Queue)
		})
	}
}

func TestSameOrigin(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"https://api.test", "https://api.test/x?y", true},
		{"https://api.test", "https://API.test:443/", true},
		{"http://127.0.0.1", "http://127.0.0.1:80", true},
		{"https://api.test", "http://api.test", false},
		{"https://api.test", "http://api.test:443", false},
		{"https://api.test", "https://api.test:444", false},
		{"https://api.test", "https://api.test.evil", false},
		{"https://api.test", "https://evil@api.test", true},
	}
	for _, tt := range tests {
		t.Run(strings.TrimPrefix(tt.b, "https://"), func(t *testing.T) {
			a, err := url.Parse(tt.a)
			require.NoError(t, err)
			b, err := url.Parse(tt.b)
			require.NoError(t, err)
			assert.Equal(t, tt.want, SameOrigin(a, b))
		})
	}
}
