package hostile_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWithHTTPClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		var cookies, asked []string
		callers := &http.Client{
			Jar:     jar,
			Timeout: 7 * time.Second,
			CheckRedirect: func(req *http.Request, _ []*http.Request) error {
				asked = append(asked, req.URL.Path)
				return errors.New("not with me")
			},
			Transport: testkit.RoundTrip(func(req *http.Request) (*http.Response, error) {
				switch cookies = append(cookies, req.Header.Get("Cookie")); len(cookies) {
				case 1:
					return testkit.Respond(req, 200, testkit.JobDone, "Set-Cookie", "session=1"), nil
				case 2:
					return testkit.Respond(req, 302, "", "Location", "/elsewhere/"), nil
				case 3:
					return testkit.Respond(req, 302, "", "Location", "https://elsewhere.test/"), nil
				}
				<-req.Context().Done()
				return nil, req.Context().Err()
			}),
		}
		before := *callers
		client := testkit.NewClient(t, nil, creatify.WithHTTPClient(callers), creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1}))
		_, err = client.Jobs.Get(t.Context(), testkit.JobID)
		require.NoError(t, err)
		_, err = client.Jobs.Get(t.Context(), testkit.JobID)
		assert.ErrorContains(t, err, "not with me")
		_, err = client.Jobs.Get(t.Context(), testkit.JobID)
		assert.ErrorContains(t, err, "redirects are not followed")
		start := time.Now()
		_, err = client.Jobs.Get(t.Context(), testkit.JobID)
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, 7*time.Second, time.Since(start), "its Timeout bounds an attempt")
		assert.Equal(t, []string{"", "session=1", "session=1", "session=1"}, cookies, "its Jar keeps cookies")
		assert.Equal(t, []string{"/elsewhere/"}, asked, "its CheckRedirect is asked only about what would be followed")
		assert.Equal(t, reflect.ValueOf(before.Transport).Pointer(), reflect.ValueOf(callers.Transport).Pointer(), "it is not changed")
		assert.Equal(t, reflect.ValueOf(before.CheckRedirect).Pointer(), reflect.ValueOf(callers.CheckRedirect).Pointer(), "it is not changed")
		assert.Equal(t, before.Jar, callers.Jar, "it is not changed")
		assert.Equal(t, before.Timeout, callers.Timeout, "it is not changed")
	})
}

func TestProxyOfACallersTransport(t *testing.T) {
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
		testkit.NoKey(t, fmt.Sprint(r.Header)) // the tunnel hides the rest from the proxy
		there, err := new(net.Dialer).DialContext(r.Context(), "tcp", r.Host)
		require.NoError(t, err)
		here, _, err := http.NewResponseController(w).Hijack()
		require.NoError(t, err)
		io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(there, here); there.Close() }()
		io.Copy(here, there)
		here.Close()
	}))
	defer proxy.Close()
	proxyURL, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	for _, tt := range []struct {
		name, method string
		start        func(http.Handler) *httptest.Server
	}{
		{"forwards http", http.MethodGet, httptest.NewServer},
		{"tunnels https", http.MethodConnect, httptest.NewTLSServer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen = nil
			server := tt.start(creatifytest.New(creatifytest.Config{APIID: "the-id", APIKey: testkit.Key}))
			defer server.Close()
			transport := server.Client().Transport.(*http.Transport).Clone()
			transport.Proxy = http.ProxyURL(proxyURL)
			defer transport.CloseIdleConnections()
			client, _ := testkit.NewLeakyClient(t, server.URL, transport)
			_, err := client.Workspace.RemainingCredits(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []string{tt.method}, seen)
		})
	}
}
