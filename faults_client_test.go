package creatify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// escapedKey is the key with each character as JSON may escape it.
func escapedKey() string {
	var all strings.Builder
	for _, c := range leakedKey {
		fmt.Fprintf(&all, `\u%04X`, c)
	}
	return all.String()
}

func TestAServerThatEchoesTheKeyDoesNotBringItIntoAnyResultOrError(t *testing.T) {
	key := quote(leakedKey)
	for name, body := range map[string]string{
		"as it is":               `{"id":"` + jobID + `","status":"failed","failed_reason":` + key + `,"name":` + key + `,"template_id":` + key + `,"remaining_credits":` + key + `}`,
		"in escapes":             `{"id":"` + jobID + `","status":"failed","failed_reason":"` + escapedKey() + `","name":"` + escapedKey() + `","variables":{"` + escapedKey() + `":1}}`,
		"as the ID of a job":     `{"id":` + key + `}`,
		"in a list":              `[{"template_id":` + key + `,"variables":{"a":` + key + `}}]`,
		"in JSON that is broken": `{"id":"` + jobID + `","name":` + key + `,`,
	} {
		t.Run(name, func(t *testing.T) {
			client, logged := leakyClient(t, creatify.DefaultBaseURL, roundTrip(func(req *http.Request) (*http.Response, error) {
				resp := respond(req, 200, body)
				resp.Header.Set("X-Echo", leakedKey)
				return resp, nil
			}))
			for _, call := range apiCalls {
				value, err := call.do(t.Context(), client, jobID)
				said := emitted(value, err)
				switch value := value.(type) {
				case *creatify.Job:
					if value != nil {
						said += emitted(*value, value.Variables) + string(value.RawJSON()) + value.Preview
					}
				case *creatify.Template:
					if value != nil {
						said += emitted(*value) + string(value.RawJSON())
					}
				}
				assertNoKey(t, said)
				assert.NotContains(t, said, escapedKey())
			}
			assertNoKey(t, logged.String())
		})
	}
}

func TestAMadeUpKeyDoesNotSpoilReplies(t *testing.T) {
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmock.NewStringResponder(200, liveLike))
	client, err := creatify.New("id", "preview", creatify.WithHTTPClient(&http.Client{Transport: mock}))
	require.NoError(t, err)
	job, err := client.Jobs.Get(t.Context(), jobID)
	require.NoError(t, err)
	assert.Equal(t, "https://app.creatify.ai/preview?layout=1", job.Preview)
}

func TestAPanicOfTheCallersTransportDoesNotShowTheKey(t *testing.T) {
	client, _ := leakyClient(t, creatify.DefaultBaseURL, roundTrip(func(*http.Request) (*http.Response, error) { panic("boom") }))
	defer func() {
		said := fmt.Sprint(recover(), string(debug.Stack()))
		assert.Contains(t, said, "boom")
		assertNoKey(t, said)
	}()
	client.Jobs.CreatePreview(t.Context(), leakyParams())
}

func TestThePublicValuesDoNotShowTheKey(t *testing.T) {
	client, _ := leakyClient(t, creatify.DefaultBaseURL, nil)
	_, badOption := creatify.New("id", leakedKey, creatify.WithTimeout(-1), creatify.WithBaseURL("http://"+leakedKey))
	_, badKey := creatify.New("id", leakedKey+"\n")
	assertNoKey(t, emitted(client, *client, client.Jobs, *client.Jobs, client.Templates, *client.Templates, client.Workspace,
		*client.Workspace, struct{ C *creatify.Client }{client}, creatify.Option(creatify.WithTimeout(1)), creatify.RetryPolicy{},
		badOption, badKey))
}

func TestAStormOf429sDoesNotComeBackInStep(t *testing.T) {
	for name, tt := range map[string]struct {
		header        http.Header
		first, spread time.Duration
		most          int // within 100 ms
	}{
		"with Retry-After":         {http.Header{"Retry-After": {"30"}}, 30 * time.Second, 5 * time.Second, 12},
		"with a small Retry-After": {http.Header{"Retry-After": {"0"}}, 0, 300 * time.Millisecond, 60},
		"without Retry-After":      {nil, 250 * time.Millisecond, 200 * time.Millisecond, 75},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const clients = 100
				api := creatifytest.New(creatifytest.Config{})
				api.Inject(creatifytest.Fault{Status: 429, Header: tt.header, Times: clients})
				var mu sync.Mutex
				var arrivals []time.Duration
				start := time.Now()
				var all sync.WaitGroup
				for range clients {
					client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
						mu.Lock()
						defer mu.Unlock()
						arrivals = append(arrivals, time.Since(start))
						return api.RoundTrip(req)
					}))
					all.Go(func() {
						_, err := client.Jobs.CreatePreview(t.Context(), params())
						assert.NoError(t, err)
					})
				}
				all.Wait()
				assert.Len(t, api.Jobs(), clients, "each got its job, and one only")
				require.Len(t, arrivals, 2*clients)
				again := arrivals[clients:]
				slices.Sort(again)
				assert.GreaterOrEqual(t, again[0], tt.first, "none comes early")
				assert.GreaterOrEqual(t, again[clients-1]-again[0], tt.spread, "how far the second requests are spread")
				for i, at := range again {
					n, _ := slices.BinarySearch(again, at+100*time.Millisecond)
					require.LessOrEqual(t, n-i, tt.most, "requests within 100 ms of %v", at)
				}
			})
		})
	}
}

func TestTheRateLimitBoundsCallsRetriesAndPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 5 * time.Minute}})
		api.Inject(creatifytest.Fault{Call: creatifytest.CallCredits, Status: 503, Times: 2})
		var times []time.Time
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			times = append(times, time.Now())
			return api.RoundTrip(req)
		}), creatify.WithRateLimit(1.0/30, 1))
		_, err := client.Workspace.RemainingCredits(t.Context())
		require.NoError(t, err)
		_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params())
		require.NoError(t, err)
		assert.Greater(t, len(times), 3+1+5, "three of the credits, one create, and polls")
		for i := range times[1:] {
			assert.GreaterOrEqual(t, times[i+1].Sub(times[i]), 30*time.Second-time.Microsecond, "between request %d and the next", i+1)
		}

		sent := api.Calls("")
		_, err = client.Workspace.RemainingCredits(t.Context()) // leaves no turn to take
		require.NoError(t, err)
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = client.Jobs.CreatePreview(ctx, params())
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorContains(t, err, "nothing was charged")
		assert.Equal(t, time.Second, time.Since(start), "the queue is left as soon as the context ends")
		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = client.Jobs.CreatePreview(ctx, params())
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start), "a turn after the deadline is not waited for")
		assert.Equal(t, sent+1, api.Calls(""))
	})
}

func TestTheCallersClientIsHonouredAndNotChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jar, _ := cookiejar.New(nil)
		var cookies, asked []string
		forbid := errors.New("not with me")
		callers := &http.Client{
			Jar:     jar,
			Timeout: 7 * time.Second,
			CheckRedirect: func(req *http.Request, _ []*http.Request) error {
				asked = append(asked, req.URL.Path)
				return forbid
			},
			Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
				cookies = append(cookies, req.Header.Get("Cookie"))
				resp := respond(req, 302, "")
				switch len(cookies) {
				case 1:
					resp = respond(req, 200, liveLike)
					resp.Header.Set("Set-Cookie", "session=1")
				case 2:
					resp.Header.Set("Location", "/elsewhere/")
				case 3:
					resp.Header.Set("Location", "https://elsewhere.test/")
				default:
					<-req.Context().Done()
					return nil, req.Context().Err()
				}
				return resp, nil
			}),
		}
		before := *callers
		client := newClient(t, nil, creatify.WithHTTPClient(callers), creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1}))
		_, err := client.Jobs.Get(t.Context(), jobID)
		require.NoError(t, err)
		_, err = client.Jobs.Get(t.Context(), jobID)
		assert.ErrorContains(t, err, "not with me")
		_, err = client.Jobs.Get(t.Context(), jobID)
		assert.ErrorContains(t, err, "redirects are not followed")
		start := time.Now()
		_, err = client.Jobs.Get(t.Context(), jobID)
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, 7*time.Second, time.Since(start), "its Timeout bounds an attempt")
		assert.Equal(t, []string{"", "session=1", "session=1", "session=1"}, cookies, "its Jar keeps cookies")
		assert.Equal(t, []string{"/elsewhere/"}, asked, "its CheckRedirect is asked only about what would be followed")
		for _, f := range []func(*http.Client) any{
			func(c *http.Client) any { return reflect.ValueOf(c.Transport).Pointer() },
			func(c *http.Client) any { return reflect.ValueOf(c.CheckRedirect).Pointer() },
			func(c *http.Client) any { return c.Jar },
			func(c *http.Client) any { return c.Timeout },
		} {
			assert.Equal(t, f(&before), f(callers), "the caller's client was changed")
		}
	})
}

func TestTheCallersRedirectCheckCannotSendTheKeyElsewhere(t *testing.T) {
	callers := &http.Client{
		CheckRedirect: func(req *http.Request, _ []*http.Request) error {
			req.URL.Host = "elsewhere.test"
			return nil
		},
		Transport: &witness{t, creatify.DefaultBaseURL, roundTrip(func(req *http.Request) (*http.Response, error) {
			resp := respond(req, 302, "")
			resp.Header.Set("Location", "/near/")
			return resp, nil
		})},
	}
	client, _ := leakyClient(t, creatify.DefaultBaseURL, nil, creatify.WithHTTPClient(callers))
	_, err := client.Jobs.Get(t.Context(), jobID)
	assert.ErrorContains(t, err, "refused to send credentials to another origin")
}

func TestProxiesWork(t *testing.T) {
	var seen []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method)
		if r.Method != http.MethodConnect {
			r.RequestURI = ""
			resp, err := http.DefaultTransport.RoundTrip(r)
			if assert.NoError(t, err) {
				defer resp.Body.Close()
				io.Copy(w, resp.Body)
			}
			return
		}
		assertNoKey(t, fmt.Sprint(r.Header)) // the tunnel hides the rest from the proxy
		there, err := dialTo(r.Context(), r.Host)
		require.NoError(t, err)
		here, _, err := http.NewResponseController(w).Hijack()
		require.NoError(t, err)
		io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(there, here); there.Close() }()
		io.Copy(here, there)
		here.Close()
	}))
	defer proxy.Close()
	proxyURL, _ := url.Parse(proxy.URL)
	for method, start := range map[string]func(http.Handler) *httptest.Server{"GET": httptest.NewServer, "CONNECT": httptest.NewTLSServer} {
		t.Run(method, func(t *testing.T) {
			seen = nil
			server := start(creatifytest.New(creatifytest.Config{APIID: "the-id", APIKey: leakedKey}))
			defer server.Close()
			transport := server.Client().Transport.(*http.Transport).Clone()
			transport.Proxy = http.ProxyURL(proxyURL)
			defer transport.CloseIdleConnections()
			client, _ := leakyClient(t, server.URL, transport)
			_, err := client.Workspace.RemainingCredits(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []string{method}, seen)
		})
	}
}

// FuzzReply reads any body as each of the replies that are not refusals.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{``, `null`, `[]`, `{}`, `<html>`, liveLike, templateJSON, `[` + templateJSON + `]`, `[null]`, `[{"template_id":7}]`,
		`{"remaining_credits": 379.0}`, `{"remaining_credits":"12.5"}`, `{"remaining_credits":1e999}`, `{"remaining_credits":null}`,
		`{"remaining_credits":"NaN"}`, `{"variables":[]}`, `{"variables":{"a":{"type":"text","properties":{}}}}`, `{"progress":"0.5"}`,
		`{"template_id":"a","created_at":"2024-05-01T03:04:05.123456-07:00","updated_at":5}`, "\ufeff[]", `{"TEMPLATE_ID":"x"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		mock := httpmock.NewMockTransport()
		mock.RegisterNoResponder(httpmock.NewBytesResponder(200, body))
		client := newClient(t, mock)
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
	})
}

func checkTemplate(t *testing.T, template creatify.Template) {
	for name, v := range template.Variables {
		if _, err := v.MarshalJSON(); err != nil {
			t.Errorf("variable %q of %q: %v", name, template.RawJSON(), err)
		}
		_, _ = v.Type(), v.Value()
	}
	if raw := template.RawJSON(); len(raw) == 0 || raw[0] != '{' {
		t.Errorf("%q is not the template as it came", raw)
	}
}
