package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "LocalHost": true, "127.0.0.1": true, "127.9.8.7": true, "::1": true, "0:0:0:0:0:0:0:1": true,
		"::ffff:127.0.0.1": true, "::FFFF:7f00:1": true, "::1%lo": true,
		"": false, "127.1": false, "2130706433": false, "0x7f.0.0.1": false, "0177.0.0.1": false, "127.0.0.1.": false, "localhost.": false,
		"127.0.0.1.api.test": false, "localhost.api.test": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "::ffff:10.0.0.1": false,
		"api.test": false, "foo.localhost": false,
	} {
		assert.Equal(t, want, IsLoopback(host), host)
	}
}

// replaceDefault replaces net/http's default transport for a test.
func replaceDefault(t *testing.T, rt http.RoundTripper) {
	old := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = old })
	http.DefaultTransport = rt
}

func TestNewTransport(t *testing.T) {
	api, err := url.Parse("https://api.test")
	require.NoError(t, err)
	t.Run("copies the default", func(t *testing.T) {
		ours := newTransport(http.DefaultTransport.(*http.Transport), api)
		assert.Equal(t, 16, ours.MaxIdleConnsPerHost, "many jobs are polled on one host")
		assert.Equal(t, 90*time.Second, ours.IdleConnTimeout)
		assert.EqualValues(t, 1<<20, ours.MaxResponseHeaderBytes)
		assert.LessOrEqual(t, ours.HTTP2.SendPingTimeout+ours.HTTP2.PingTimeout, 30*time.Second)
		assert.NotNil(t, ours.Proxy)
		assert.Zero(t, http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost, "the program's own is left as it is")
		assert.Nil(t, http.DefaultTransport.(*http.Transport).HTTP2)
	})
	t.Run("has time limits where the default has none", func(t *testing.T) {
		replaceDefault(t, new(http.Transport))
		ours := newTransport(http.DefaultTransport.(*http.Transport), api)
		assert.Equal(t, 90*time.Second, ours.IdleConnTimeout)
		assert.Equal(t, 10*time.Second, ours.TLSHandshakeTimeout)
	})
	t.Run("keeps those of the program", func(t *testing.T) {
		replaceDefault(t, &http.Transport{IdleConnTimeout: time.Second, TLSHandshakeTimeout: 2 * time.Second,
			HTTP2: &http.HTTP2Config{PingTimeout: 3 * time.Second, MaxReadFrameSize: 1 << 20}})
		ours := newTransport(http.DefaultTransport.(*http.Transport), api)
		assert.Equal(t, time.Second, ours.IdleConnTimeout)
		assert.Equal(t, 2*time.Second, ours.TLSHandshakeTimeout)
		assert.Equal(t, 3*time.Second, ours.HTTP2.PingTimeout)
		assert.Equal(t, 1<<20, ours.HTTP2.MaxReadFrameSize)
	})
	for _, base := range []string{"http://LOCALHOST:1", "http://127.8.0.1", "http://[::1]:8080", "https://[::ffff:127.0.0.1]"} {
		t.Run("has no proxy for "+base, func(t *testing.T) {
			u, err := url.Parse(base)
			require.NoError(t, err)
			assert.Nil(t, newTransport(http.DefaultTransport.(*http.Transport), u).Proxy)
		})
	}
}

func TestNewUsesWhatStandsInTheDefaultsPlace(t *testing.T) {
	replaceDefault(t, scripted(respond(200, `{"by": "another"}`)))
	for _, tt := range []struct {
		name   string
		client *http.Client
	}{{"without a client of the caller's", nil}, {"with a client that has no transport", new(http.Client)}} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newClient(t, nil, func(c *Config) { c.HTTPClient = tt.client }).Do(t.Context(), free)
			require.NoError(t, err)
			assert.Equal(t, `{"by": "another"}`, string(got.Body))
		})
	}
}

// connections serves 201 and keeps the remote address and the protocol of each request.
type connections struct {
	mu     sync.Mutex
	remote []string
	protos []string
}

func (c *connections) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	io.Copy(io.Discard, r.Body)
	c.remote, c.protos = append(c.remote, r.RemoteAddr), append(c.protos, r.Proto)
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, "{}")
}

func (c *connections) count() int {
	distinct := map[string]bool{}
	for _, r := range c.remote {
		distinct[r] = true
	}
	return len(distinct)
}

func TestPaidCallsHaveAConnectionOfTheirOwn(t *testing.T) {
	dialH2 := func(roots *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			config := roots.Clone()
			config.NextProtos = []string{"h2"}
			return (&tls.Dialer{Config: config}).DialContext(ctx, network, addr)
		}
	}
	for _, tt := range []struct {
		name   string
		start  func(*httptest.Server)
		change func(*http.Transport)
		free   string // the protocol of free calls
		paid   string
	}{
		{"over HTTP/1.1", (*httptest.Server).Start, func(*http.Transport) {}, "HTTP/1.1", "HTTP/1.1"},
		{"over TLS", (*httptest.Server).StartTLS, func(*http.Transport) {}, "HTTP/1.1", "HTTP/1.1"},
		{"where free calls use HTTP/2", (*httptest.Server).StartTLS, func(t *http.Transport) { t.ForceAttemptHTTP2 = true }, "HTTP/2.0", "HTTP/1.1"},
		{"where the caller has set protocols", (*httptest.Server).StartTLS, func(t *http.Transport) {
			t.Protocols = new(http.Protocols)
			t.Protocols.SetHTTP2(true)
			t.TLSClientConfig.NextProtos = []string{"h2", "http/1.1"}
		}, "HTTP/2.0", "HTTP/1.1"},
		{"where the caller's dialer picks HTTP/2", (*httptest.Server).StartTLS, func(t *http.Transport) {
			t.ForceAttemptHTTP2 = true
			t.DialTLSContext = dialH2(t.TLSClientConfig)
		}, "HTTP/2.0", "HTTP/2.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			served := new(connections)
			server := httptest.NewUnstartedServer(served)
			server.EnableHTTP2 = true
			tt.start(server)
			defer server.Close()
			callers := &http.Transport{TLSClientConfig: new(tls.Config)}
			if known := server.Client().Transport.(*http.Transport).TLSClientConfig; known != nil {
				callers.TLSClientConfig.RootCAs = known.RootCAs
			}
			tt.change(callers)
			base, err := url.Parse(server.URL)
			require.NoError(t, err)
			client := newClient(t, callers, func(c *Config) { c.BaseURL = base })
			defer client.CloseIdleConnections()

			for range 3 {
				_, err := client.Do(t.Context(), free)
				require.NoError(t, err)
			}
			assert.Equal(t, 1, served.count(), "connections of free calls")
			assert.Equal(t, tt.free, served.protos[2])
			for range 3 {
				_, err := client.Do(t.Context(), paid)
				require.NoError(t, err)
			}
			assert.Equal(t, 4, served.count(), "and of paid ones")
			assert.Equal(t, tt.paid, served.protos[5])
			assert.False(t, callers.DisableKeepAlives, "the caller's transport is left alone")
		})
	}
}

func TestPaidCallsThatNetHTTPDoesNotSendAreNotSent(t *testing.T) {
	for _, tt := range []struct {
		name      string
		transport *http.Transport
		base      string
		text      string
	}{
		{"a proxy that cannot be told", &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return nil, errors.New("no proxy today") }},
			"https://api.test", "no proxy today"},
		{"a scheme that is not registered", new(http.Transport), "gopher://api.test", "unsupported protocol scheme"},
		{"a dialer that fails", &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no line") }},
			"https://api.test", "no line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base, err := url.Parse(tt.base)
			require.NoError(t, err)
			_, err = newClient(t, tt.transport, func(c *Config) {
				c.BaseURL, c.Retry = base, Retry{MaxAttempts: 2, MinBackoff: 1, MaxBackoff: 1}
			}).Do(t.Context(), paid)
			assert.ErrorContains(t, err, tt.text)
			failure, ok := errors.AsType[*Error](err)
			require.True(t, ok)
			assert.False(t, failure.Reached)
		})
	}
}

func TestATimeOutReplacesOurTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replaceDefault(t, &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go io.Copy(io.Discard, there) // until here is closed
			return here, nil
		}})
		base, err := url.Parse("http://127.0.0.1")
		require.NoError(t, err)
		client := newClient(t, nil, func(c *Config) { c.BaseURL, c.HTTPClient = base, nil })
		ours := &client.wire.ours
		first := ours.Load()

		ctx, cancel := cancelAfter(time.Second)(t.Context())
		defer cancel()
		_, err = client.Do(ctx, once)
		assert.ErrorIs(t, err, context.Canceled)
		assert.Same(t, first, ours.Load(), "a cancellation is no sign of a dead connection")

		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { client.Do(t.Context(), once) })
		}
		both.Wait()
		second := ours.Load()
		assert.NotSame(t, first, second)
		assert.Equal(t, first.IdleConnTimeout, second.IdleConnTimeout)
		client.wire.timedOut(first)
		assert.Same(t, second, ours.Load(), "a request that is older was not on it")
		client.CloseIdleConnections()
	})
}

func TestMiddleware(t *testing.T) {
	type roundTrip = func(*http.Request) (*http.Response, error)
	var seen []string
	named := func(name string) func(http.RoundTripper) http.RoundTripper {
		return func(next http.RoundTripper) http.RoundTripper {
			seen = append(seen, "made "+name)
			return roundTripper(func(req *http.Request) (*http.Response, error) {
				seen = append(seen, name+" "+req.Method)
				assert.Empty(t, req.Header.Get("X-API-KEY"), "the key is added below")
				return next.RoundTrip(req)
			})
		}
	}
	with := func(all ...func(http.RoundTripper) http.RoundTripper) func(*Config) {
		return func(c *Config) { c.Middleware = all }
	}
	observed := func(f func(next http.RoundTripper) roundTrip) func(http.RoundTripper) http.RoundTripper {
		return func(next http.RoundTripper) http.RoundTripper { return roundTripper(f(next)) }
	}

	t.Run("is around paid and free calls, the first one outside", func(t *testing.T) {
		seen = nil
		s := scripted(respond(201, "{}"))
		client := newClient(t, s, with(named("a"), named("b")))
		for _, call := range []Call{paid, free} {
			_, err := client.Do(t.Context(), call)
			require.NoError(t, err)
		}
		assert.Equal(t, []string{"made b", "made a", "a POST", "b POST", "a GET", "b GET"}, seen)
		assert.Equal(t, testKey, s.headers[0].Get("X-API-KEY"))
	})
	t.Run("keeps the proof that nothing left, and its own trace", func(t *testing.T) {
		asked := 0
		client := newClient(t, &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no line") }},
			with(observed(func(next http.RoundTripper) roundTrip {
				return func(req *http.Request) (*http.Response, error) {
					return next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GetConn: func(string) { asked++ }})))
				}
			})), func(c *Config) { c.Retry = Retry{MaxAttempts: 3, MinBackoff: 1, MaxBackoff: 1} })
		_, err := client.Do(t.Context(), paid)
		failure, ok := errors.AsType[*Error](err)
		require.True(t, ok)
		assert.False(t, failure.Reached)
		assert.Equal(t, 3, asked)
	})
	t.Run("cannot send the key to another origin", func(t *testing.T) {
		s := scripted(respond(201, "{}"))
		_, err := newClient(t, s, with(observed(func(next http.RoundTripper) roundTrip {
			return func(req *http.Request) (*http.Response, error) {
				req = req.Clone(req.Context())
				req.URL.Host = "elsewhere.test"
				return next.RoundTrip(req)
			}
		}))).Do(t.Context(), paid)
		assert.ErrorContains(t, err, "refused to send credentials to another origin")
		failure, ok := errors.AsType[*Error](err)
		require.True(t, ok)
		assert.False(t, failure.Reached)
		assert.Zero(t, s.calls)
	})
	t.Run("cannot send what its context's end finds in it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := cancelAfter(time.Second)(t.Context())
			defer cancel()
			start := time.Now()
			client := newClient(t, scripted(respond(201, "{}")), with(observed(func(next http.RoundTripper) roundTrip {
				return after(time.Minute, next.RoundTrip)
			})))
			_, err := client.Do(ctx, paid)
			assert.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, time.Second, time.Since(start), "the grace is for what may have left")
		})
	})
	t.Run("leaves the outcome unknown if it fails by itself", func(t *testing.T) {
		_, err := newClient(t, scripted(respond(201, "{}")), with(observed(func(http.RoundTripper) roundTrip {
			return func(*http.Request) (*http.Response, error) { return nil, errors.New("the breaker is open") }
		}))).Do(t.Context(), paid)
		failure, ok := errors.AsType[*Error](err)
		require.True(t, ok)
		assert.True(t, failure.Reached, "it may have sent the request by another way")
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// What was written may have been read, whichever of net/http's reports of it is the first to come.
func TestDoDoesNotRetryWhatMayHaveLeft(t *testing.T) {
	for _, tt := range []struct {
		name   string
		report func(*httptrace.ClientTrace)
	}{
		{"a connection", func(t *httptrace.ClientTrace) { t.GotConn(httptrace.GotConnInfo{}) }},
		{"the headers", func(t *httptrace.ClientTrace) { t.WroteHeaders() }},
		{"the request", func(t *httptrace.ClientTrace) { t.WroteRequest(httptrace.WroteRequestInfo{}) }},
		{"a byte of the response", func(t *httptrace.ClientTrace) { t.GotFirstResponseByte() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scripted(func(req *http.Request) (*http.Response, error) {
					trace := httptrace.ContextClientTrace(req.Context())
					trace.GetConn("api.test:443")
					tt.report(trace)
					return nil, syscall.ECONNREFUSED
				})
				_, err := newClient(t, s).Do(t.Context(), paid)
				failure, ok := errors.AsType[*Error](err)
				require.True(t, ok)
				assert.True(t, failure.Reached)
				assert.Equal(t, 1, s.calls)
			})
		})
	}
}

// reports has net/http's report of a connection come before the answer.
func reports(next answer) answer {
	return func(req *http.Request) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(req.Context())
		trace.GetConn("api.test:443")
		trace.GotConn(httptrace.GotConnInfo{})
		return next(req)
	}
}

// connecting has net/http's report that it needs a connection come before the answer.
func connecting(next answer) answer {
	return func(req *http.Request) (*http.Response, error) {
		httptrace.ContextClientTrace(req.Context()).GetConn("api.test:443")
		return next(req)
	}
}

func TestDoWaitsForAPaidResponseWhenTheContextEnds(t *testing.T) {
	const ends, grace = 5 * time.Second, 10 * time.Second
	created := respond(201, `{"id":"7"}`)
	slowBody := func(req *http.Request) (*http.Response, error) {
		resp, _ := created(req)
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"id":`), &lateReader{req.Context(), 8 * time.Second, strings.NewReader(`"7"}`)}))
		return resp, nil
	}
	for _, tt := range []struct {
		name    string
		call    Call
		answer  answer
		change  func(*Config)
		took    time.Duration
		status  int  // 0 for an error
		reached bool // of the error
		text    string
	}{
		{"a response that comes in the grace is the result", paid, after(8*time.Second, created), nil, 8 * time.Second, 201, false, ""},
		{"so it is with net/http's report of a connection", paid, reports(after(8*time.Second, created)), nil, 8 * time.Second, 201, false, ""},
		{"a body that comes in the grace is read", paid, slowBody, nil, 8 * time.Second, 201, false, ""},
		{"a refusal that comes in the grace is the result", paid, after(8*time.Second, respond(402, "")), nil, 8 * time.Second, 402, false, ""},
		{"a 429 is the result, and no pause is made", paid, after(8*time.Second, respond(429, "", "Retry-After", "1")), nil, 8 * time.Second, 429, false, ""},
		{"what came of a body in the grace is kept", paid, func(req *http.Request) (*http.Response, error) {
			resp, _ := created(req)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"id":"7"`), &lateReader{req.Context(), time.Hour, nil}))
			return resp, nil
		}, nil, ends + grace, 0, true, "context canceled"},
		{"a response that comes later is lost", paid, after(ends+grace+1, created), nil, ends + grace, 0, true, "context canceled"},
		{"the attempt's own time limit holds", paid, hang, func(c *Config) { c.Timeout = 7 * time.Second }, 7 * time.Second, 0, true, "context canceled"},
		{"an error in the grace ends the call", paid, after(8*time.Second, reset), nil, 8 * time.Second, 0, true,
			"context canceled, and then: read tcp: connection reset by peer"},
		{"what has not left ends with the context", paid, connecting(hang), nil, ends, 0, false, "context canceled"},
		{"what has not left at the attempt's time limit has not been sent", paid, connecting(hang),
			func(c *Config) { c.Timeout, c.Retry.MaxAttempts = 3*time.Second, 1 }, 3 * time.Second, 0, false, "no connection within 3s: i/o timeout"},
		{"what is not sent in the end is not sent", paid, connecting(after(ends-1, refuseConnection)), func(c *Config) { c.Retry.MaxAttempts = 1 }, ends - 1, 0, false,
			"dial tcp: connection refused"},
		{"a grace of zero ends the call with the context", paid, after(8*time.Second, created), func(c *Config) { c.Grace = 0 }, ends, 0, true, "context canceled"},
		{"a free call ends with the context", free, after(8*time.Second, created), nil, ends, 0, true, "context canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // which finds a goroutine that is left behind
				ctx, cancel := cancelAfter(ends)(t.Context())
				defer cancel()
				config := newConfig(scripted(tt.answer))
				if tt.change != nil {
					tt.change(&config)
				}
				client, err := New(config, nil)
				require.NoError(t, err)
				start := time.Now()
				got, err := client.Do(ctx, tt.call)
				assert.Equal(t, tt.took, time.Since(start))
				if tt.status != 0 {
					require.NoError(t, err)
					assert.Equal(t, tt.status, got.Status)
					return
				}
				assert.EqualError(t, err, tt.text)
				failure, ok := errors.AsType[*Error](err)
				require.True(t, ok)
				assert.Equal(t, tt.reached, failure.Reached)
				if strings.Contains(tt.name, "is kept") {
					assert.Equal(t, `{"id":"7"`, string(failure.Response.Body))
				}
			})
		})
	}
}

// lateReader brings its text when a time has passed since it was first read.
type lateReader struct {
	ctx  context.Context
	wait time.Duration
	text io.Reader
}

func (r *lateReader) Read(p []byte) (int, error) {
	select {
	case <-time.After(r.wait):
		r.wait = 0
		return r.text.Read(p)
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}

func TestDoWaitsForAPaidResponsePastTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var deadline time.Time
		got, err := newClient(t, scripted(func(req *http.Request) (*http.Response, error) {
			deadline, _ = req.Context().Deadline()
			return after(8*time.Second, respond(201, "{}"))(req)
		})).Do(ctx, paid)
		require.NoError(t, err)
		assert.Equal(t, 201, got.Status)
		assert.Equal(t, 52*time.Second, time.Until(deadline), "the transport sees the attempt's limit")
	})
}

func TestDoKeepsTheValuesOfThePaidContext(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "span")
	var got any
	_, err := newClient(t, scripted(func(req *http.Request) (*http.Response, error) {
		got = req.Context().Value(key{})
		return respond(201, "{}")(req)
	})).Do(ctx, paid)
	require.NoError(t, err)
	assert.Equal(t, "span", got)
}

// The context's end and the response may come at once. Whichever is first, nothing may be left behind.
func TestDoWhenTheContextEndsWithTheResponse(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := cancelAfter(time.Second)(t.Context())
			defer cancel()
			got, err := newClient(t, scripted(after(time.Second, respond(201, "{}")))).Do(ctx, paid)
			require.NoError(t, err)
			assert.Equal(t, 201, got.Status)
		})
	}
}
