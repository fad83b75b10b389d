package creatify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const secretKey = "s3cr3t-recognisable-key"

func TestNewRefusesBadArgumentsAndOptions(t *testing.T) {
	tests := []struct {
		name    string
		id, key string
		opt     creatify.Option
		want    string
	}{
		{"an empty API ID", "", "key", nil, "API ID: is empty"},
		{"an empty API key", "id", "", nil, "API key: is empty"},
		{"a blank API key", "id", "  ", nil, "API key: is empty"},
		{"a key with a newline from a file", "id", "key\n", nil, "API key: has white space around it"},
		{"a key with a control character", "id", "k\x00ey", nil, "API key: has a character"},
		{"a base URL that is relative", "id", "key", creatify.WithBaseURL("/api"), "base URL: must be absolute"},
		{"a base URL that is empty", "id", "key", creatify.WithBaseURL(""), "base URL: must be absolute"},
		{"a base URL that is no URL", "id", "key", creatify.WithBaseURL("http://[::1"), "base URL: must be absolute"},
		{"a base URL with a port and no host", "id", "key", creatify.WithBaseURL("https://:443"), "base URL: must be absolute"},
		{"a base URL with an empty fragment", "id", "key", creatify.WithBaseURL("https://api.test/#"), "base URL: must not have a query or a fragment"},
		{"a key with a space in it", "id", "k ey", nil, "API key: has a character"},
		{"a key beyond ASCII", "id", "kéy", nil, "API key: has a character"},
		{"a negative backoff", "id", "key", creatify.WithRetry(creatify.RetryPolicy{MinBackoff: -1}), "WithRetry: a negative value"},
		{"a negative longest backoff", "id", "key", creatify.WithRetry(creatify.RetryPolicy{MaxBackoff: -1}), "WithRetry: a negative value"},
		{"a user agent beyond ASCII", "id", "key", creatify.WithUserAgent("é"), "WithUserAgent: must be printable"},
		{"a base URL with a query", "id", "key", creatify.WithBaseURL("https://api.test/?a=b"), "base URL: must not have a query"},
		{"a base URL with an empty query", "id", "key", creatify.WithBaseURL("https://api.test/?"), "base URL: must not have a query"},
		{"a base URL with a fragment", "id", "key", creatify.WithBaseURL("https://api.test/#x"), "base URL: must not have a query or a fragment"},
		{"a base URL with a password", "id", "key", creatify.WithBaseURL("https://me:pw@api.test"), "base URL: must not hold a user name"},
		{"a base URL over plain http", "id", "key", creatify.WithBaseURL("http://api.test"), "base URL: must be https"},
		{"a base URL whose host only looks like loopback", "id", "key", creatify.WithBaseURL("http://127.0.0.1.api.test"), "base URL: must be https"},
		{"a base URL of another scheme", "id", "key", creatify.WithBaseURL("ftp://api.test"), "base URL: must be https"},
		{"a nil option", "id", "key", nil, ""},
		{"a nil HTTP client", "id", "key", creatify.WithHTTPClient(nil), "WithHTTPClient: the client is nil"},
		{"a nil logger", "id", "key", creatify.WithLogger(nil), "WithLogger: the logger is nil"},
		{"a time-out of zero", "id", "key", creatify.WithTimeout(0), "WithTimeout: must be above zero, not 0s"},
		{"a rate of zero", "id", "key", creatify.WithRateLimit(0, 1), "WithRateLimit: perSecond must be above zero"},
		{"a rate that is no number", "id", "key", creatify.WithRateLimit(math.NaN(), 1), "WithRateLimit: perSecond must be above zero"},
		{"an infinite rate", "id", "key", creatify.WithRateLimit(math.Inf(1), 1), "WithRateLimit: perSecond must be above zero"},
		{"a burst of zero", "id", "key", creatify.WithRateLimit(1, 0), "WithRateLimit: burst must be at least 1"},
		{"a negative number of attempts", "id", "key", creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: -1}), "WithRetry: a negative value"},
		{"a backoff that starts above its end", "id", "key",
			creatify.WithRetry(creatify.RetryPolicy{MinBackoff: 2, MaxBackoff: 1}), "WithRetry: MinBackoff 2ns is above MaxBackoff 1ns"},
		{"an empty user agent", "id", "key", creatify.WithUserAgent(""), "WithUserAgent: must be printable"},
		{"a user agent with a line break", "id", "key", creatify.WithUserAgent("a\r\nX-Evil: b"), "WithUserAgent: must be printable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := []creatify.Option{tt.opt}
			if tt.opt == nil && tt.want != "" {
				opts = nil
			}
			client, err := creatify.New(tt.id, tt.key, opts...)
			assert.Nil(t, client)
			require.ErrorIs(t, err, creatify.ErrInvalidParams)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

func TestNewReportsEverythingAtOnce(t *testing.T) {
	_, err := creatify.New("", "", nil, creatify.WithTimeout(-1), creatify.WithBaseURL("http://api.test?x"))
	for _, want := range []string{"API ID", "API key", "option 1: is nil", "WithTimeout", "must be https", "must not have a query"} {
		assert.ErrorContains(t, err, want)
	}
	invalid, ok := errors.AsType[*creatify.ValidationError](err)
	require.True(t, ok)
	assert.Len(t, invalid.Problems, 6, "one error has them all, for whoever shows them one by one")
}

func TestNewAcceptsUsualBaseURLs(t *testing.T) {
	for _, base := range []string{"https://api.test", "https://api.test/", "https://api.test:8443/creatify/", "http://127.0.0.1:8080",
		"http://localhost:1", "http://[::1]:80", "HTTPS://API.TEST"} {
		_, err := creatify.New("id", "key", creatify.WithBaseURL(base))
		assert.NoError(t, err, base)
	}
}

func TestNewAcceptsABackoffThatDoesNotGrow(t *testing.T) {
	_, err := creatify.New("id", "key", creatify.WithRetry(creatify.RetryPolicy{MinBackoff: time.Second, MaxBackoff: time.Second}))
	assert.NoError(t, err)
}

func TestRetriesComeLaterAndLaterByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []time.Time
		_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			times = append(times, time.Now())
			return respond(req, 502, ""), nil
		})).Jobs.Get(t.Context(), jobID)
		assert.Error(t, err)
		require.Len(t, times, 4)
		for i, longest := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second} {
			wait := times[i+1].Sub(times[i])
			assert.GreaterOrEqual(t, wait, longest/2, "wait %d", i+1)
			assert.LessOrEqual(t, wait, longest, "wait %d", i+1)
		}
	})
}

func TestAnAttemptEndsAtTheTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := roundTrip(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		for limit, opts := range map[time.Duration][]creatify.Option{time.Minute: nil, 7 * time.Second: {creatify.WithTimeout(7 * time.Second)}} {
			start := time.Now()
			_, err := newClient(t, hang, opts...).Jobs.CreatePreview(t.Context(), params())
			assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
			assert.Equal(t, limit, time.Since(start))
		}
	})
}

func TestABaseURLMayHaveAPath(t *testing.T) {
	var path string
	client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		path = req.URL.Path
		return respond(req, 200, `{"id":"7"}`), nil
	}), creatify.WithBaseURL("https://gateway.test/creatify/"))
	_, err := client.Jobs.Get(t.Context(), "7")
	require.NoError(t, err)
	assert.Equal(t, "/creatify/api/custom_template_jobs/7/", path)
}

func TestNewFromEnv(t *testing.T) {
	t.Run("without variables names those that are missing", func(t *testing.T) {
		t.Setenv("CREATIFY_API_ID", "")
		t.Setenv("CREATIFY_API_KEY", "")
		_, err := creatify.NewFromEnv()
		assert.ErrorIs(t, err, creatify.ErrInvalidParams)
		assert.Equal(t, &creatify.ValidationError{Problems: []creatify.Problem{
			{Field: "CREATIFY_API_ID", Message: "is not set in the environment"},
			{Field: "CREATIFY_API_KEY", Message: "is not set in the environment"},
		}}, err)
	})
	t.Run("takes the credentials and the base URL", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{APIID: "env-id", APIKey: secretKey})
		t.Setenv("CREATIFY_API_ID", "env-id")
		t.Setenv("CREATIFY_API_KEY", secretKey)
		t.Setenv("CREATIFY_BASE_URL", "http://127.0.0.1:9")
		client, err := creatify.NewFromEnv(creatify.WithHTTPClient(api.HTTPClient()))
		require.NoError(t, err)
		assert.Equal(t, "creatify.Client(http://127.0.0.1:9)", client.String())
		_, err = client.Jobs.Get(t.Context(), "unknown")
		assert.ErrorIs(t, err, creatify.ErrNotFound, "which the fake says only to the right key")
		client, err = creatify.NewFromEnv(creatify.WithBaseURL("https://option.test"))
		require.NoError(t, err)
		assert.Equal(t, "creatify.Client(https://option.test)", client.String(), "an option wins")
	})
}

func TestPrintingAClientNeverShowsTheKey(t *testing.T) {
	client, err := creatify.New("the-id", secretKey)
	require.NoError(t, err)
	var all strings.Builder
	for _, v := range []any{client, *client, client.Jobs, *client.Jobs, struct{ C *creatify.Client }{client}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			fmt.Fprintf(&all, verb+"\n", v)
		}
		j, err := json.Marshal(v)
		require.NoError(t, err)
		all.Write(j)
	}
	slog.New(slog.NewJSONHandler(&all, nil)).Info("x", "client", client)
	slog.New(slog.NewTextHandler(&all, nil)).Info("x", "client", client)
	assert.NotContains(t, all.String(), secretKey)
	assert.NotContains(t, all.String(), fmt.Sprintf("%x", secretKey))
	assert.Contains(t, all.String(), "creatify.Client(https://api.creatify.ai)")
	assert.Equal(t, "creatify.Client(nil)", (*creatify.Client)(nil).String())
	assert.Equal(t, "creatify.Client(https://api.creatify.ai)", fmt.Sprintf("%v", client))
	assert.Equal(t, client.String(), client.GoString())
}

func TestRequestsCarryWhatTheAPIAsksFor(t *testing.T) {
	var header http.Header
	client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		header = req.Header.Clone()
		return respond(req, 201, `{"id":"7"}`), nil
	}))
	_, err := client.Jobs.CreatePreview(t.Context(), params())
	require.NoError(t, err)
	assert.Equal(t, creatifytest.APIID, header.Get("X-API-ID"))
	assert.Equal(t, creatifytest.APIKey, header.Get("X-API-KEY"))
	assert.Equal(t, "application/json", header.Get("Content-Type"))
	assert.Equal(t, "application/json", header.Get("Accept"))
	assert.True(t, strings.HasPrefix(header.Get("User-Agent"), "creatify-go/"+creatify.Version))

	var agent string
	client = newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		agent = req.Header.Get("User-Agent")
		return respond(req, 200, `{"id":"7"}`), nil
	}), creatify.WithUserAgent("the shop/7 ~"))
	_, err = client.Jobs.Get(t.Context(), "7")
	require.NoError(t, err)
	assert.Equal(t, "the shop/7 ~", agent)
}

func TestLogsHoldNeitherKeysNorBodies(t *testing.T) {
	var logged bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	api := creatifytest.New(creatifytest.Config{})
	client := newClient(t, api, creatify.WithLogger(logger), creatify.WithTimeout(time.Second))
	job, err := client.Jobs.CreatePreview(t.Context(), params())
	require.NoError(t, err)
	assert.Contains(t, logged.String(), `"method":"POST","path":"/api/custom_template_jobs/preview_async/","attempt":1,"outcome":"status 201"`)
	for _, secret := range []string{creatifytest.APIKey, creatifytest.APIID, "Spring sale", job.ID} {
		assert.NotContains(t, logged.String(), secret)
	}
}
