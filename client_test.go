package creatify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
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
		{"a key with a newline from a file", "id", "key\n", nil, "API key: has a character that no key has: white space"},
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
		{"a base URL with a query", "id", "key", creatify.WithBaseURL("https://api.test/?a=b"), "base URL: must not have a query"},
		{"a base URL with an empty query", "id", "key", creatify.WithBaseURL("https://api.test/?"), "base URL: must not have a query"},
		{"a base URL with a fragment", "id", "key", creatify.WithBaseURL("https://api.test/#x"), "base URL: must not have a query or a fragment"},
		{"a base URL with a password", "id", "key", creatify.WithBaseURL("https://me:pw@api.test"), "base URL: must not hold a user name"},
		{"a base URL over plain http", "id", "key", creatify.WithBaseURL("http://api.test"), "base URL: must be https"},
		{"a base URL whose host only looks like loopback", "id", "key", creatify.WithBaseURL("http://127.0.0.1.api.test"), "base URL: must be https"},
		{"a base URL of another scheme", "id", "key", creatify.WithBaseURL("ftp://api.test"), "base URL: must be https"},
		{"a base URL that is loopback to some resolvers only", "id", "key", creatify.WithBaseURL("http://127.1:8080"), "base URL: must be https"},
		{"a base URL with loopback in hex", "id", "key", creatify.WithBaseURL("http://0x7f.0.0.1"), "base URL: must be https"},
		{"a base URL that is any address", "id", "key", creatify.WithBaseURL("http://0.0.0.0"), "base URL: must be https"},
		{"a nil option", "id", "key", nil, ""},
		{"a nil HTTP client", "id", "key", creatify.WithHTTPClient(nil), "WithHTTPClient: the client is nil"},
		{"a nil logger", "id", "key", creatify.WithLogger(nil), "WithLogger: the logger is nil"},
		{"a nil middleware", "id", "key", creatify.WithMiddleware(nil), "WithMiddleware: the function is nil"},
		{"a middleware that returns nothing", "id", "key", creatify.WithMiddleware(func(http.RoundTripper) http.RoundTripper { return nil }),
			"WithMiddleware: returned no http.RoundTripper"},
		{"a nil limiter", "id", "key", creatify.WithLimiter(nil), "WithLimiter: the limiter is nil"},
		{"a negative grace", "id", "key", creatify.WithPaidGrace(-1), "WithPaidGrace: must not be negative"},
		{"a time-out of zero", "id", "key", creatify.WithTimeout(0), "WithTimeout: must be above zero, not 0s"},
		{"a rate of zero", "id", "key", creatify.WithRateLimit(0, 1), "WithRateLimit: perSecond must be above zero"},
		{"a rate that is no number", "id", "key", creatify.WithRateLimit(math.NaN(), 1), "WithRateLimit: perSecond must be above zero"},
		{"an infinite rate", "id", "key", creatify.WithRateLimit(math.Inf(1), 1), "WithRateLimit: perSecond must be above zero"},
		{"a burst of zero", "id", "key", creatify.WithRateLimit(1, 0), "WithRateLimit: burst must be at least 1"},
		{"a negative number of attempts", "id", "key", creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: -1}), "WithRetry: a negative value"},
		{"a backoff that starts above its end", "id", "key",
			creatify.WithRetry(creatify.RetryPolicy{MinBackoff: 2, MaxBackoff: 1}), "WithRetry: MinBackoff 2ns is above MaxBackoff 1ns"},
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
		"http://localhost:1", "http://LOCALHOST", "http://[::1]:80", "http://[::ffff:127.0.0.1]", "HTTPS://API.TEST"} {
		_, err := creatify.New("id", "key", creatify.WithBaseURL(base))
		assert.NoError(t, err, base)
	}
}

func TestNewAcceptsABackoffThatDoesNotGrow(t *testing.T) {
	_, err := creatify.New("id", "key", creatify.WithRetry(creatify.RetryPolicy{MinBackoff: time.Second, MaxBackoff: time.Second}))
	assert.NoError(t, err)
}

func TestWithRetryBacksOffByDefault(t *testing.T) {
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

func TestWithTimeoutEndsAnAttempt(t *testing.T) {
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

func TestWithBaseURLKeepsItsPath(t *testing.T) {
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
	t.Run("names the missing variables", func(t *testing.T) {
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
		var hosts []string
		watch := creatify.WithHTTPClient(&http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			hosts = append(hosts, req.URL.Host)
			return api.RoundTrip(req)
		})})
		t.Setenv("CREATIFY_API_ID", "env-id")
		t.Setenv("CREATIFY_API_KEY", secretKey)
		t.Setenv("CREATIFY_BASE_URL", "http://127.0.0.1:9")
		client, err := creatify.NewFromEnv(watch)
		require.NoError(t, err)
		_, err = client.Jobs.Get(t.Context(), "unknown")
		assert.ErrorIs(t, err, creatify.ErrNotFound, "which the fake says only to the right key")
		client, err = creatify.NewFromEnv(watch, creatify.WithBaseURL("https://option.test"))
		require.NoError(t, err)
		_, err = client.Workspace.RemainingCredits(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"127.0.0.1:9", "option.test"}, hosts, "an option wins")
	})
}

func TestClientPrintsWithoutTheKey(t *testing.T) {
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
	assert.NotContains(t, all.String(), "the-id")
}

func TestWith(t *testing.T) {
	budget := creatify.NewBudget(creatify.BudgetOptions{Credits: 2})
	api := creatifytest.New(creatifytest.Config{})
	client := newClient(t, api, creatify.WithBudget(budget), creatify.WithRateLimit(1000, 1))

	t.Run("shares the credentials and the budget", func(t *testing.T) {
		other, err := client.With(creatify.WithTimeout(time.Second))
		require.NoError(t, err)
		_, err = other.Jobs.CreatePreview(t.Context(), params())
		require.NoError(t, err)
		assert.Equal(t, 1.0, budget.Spent())
	})
	t.Run("shares what waits have learned", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, creatifytest.New(creatifytest.Config{}))
			other, err := client.With(creatify.WithTimeout(time.Second))
			require.NoError(t, err)
			first := func(c *creatify.Client) time.Duration {
				p, err := c.Jobs.NewPoller(creatify.NewPendingJob(&creatify.Job{ID: jobID}, params()))
				require.NoError(t, err)
				return time.Until(p.Next())
			}
			untaught := first(client)
			for range 20 {
				_, err = other.Jobs.CreatePreviewAndWait(t.Context(), params())
				require.NoError(t, err)
			}
			assert.NotEqual(t, untaught, first(client))
			assert.Equal(t, first(other), first(client))
		})
	})
	t.Run("replaces the given options only", func(t *testing.T) {
		var seen []string
		watch := creatify.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(req *http.Request) (*http.Response, error) {
				seen = append(seen, req.URL.Path)
				return next.RoundTrip(req)
			})
		})
		other, err := client.With(creatify.WithBudget(creatify.NewBudget(creatify.BudgetOptions{})), watch)
		require.NoError(t, err)
		_, err = other.Jobs.CreatePreview(t.Context(), params())
		assert.ErrorIs(t, err, creatify.ErrBudgetExceeded)
		_, err = other.Workspace.RemainingCredits(t.Context())
		require.NoError(t, err)
		third, err := other.With(watch)
		require.NoError(t, err)
		_, err = third.Workspace.RemainingCredits(t.Context())
		require.NoError(t, err)
		_, err = client.Workspace.RemainingCredits(t.Context())
		require.NoError(t, err)
		assert.Len(t, seen, 3, "the first client is left as it is, and the third has both")
	})
	t.Run("replaces a rate limit by a limiter", func(t *testing.T) {
		_, err := client.With(creatify.WithLimiter(rate.NewLimiter(1, 1)))
		assert.NoError(t, err)
	})
	t.Run("refuses bad options", func(t *testing.T) {
		other, err := client.With(nil, creatify.WithBaseURL("ftp://api.test"))
		assert.Nil(t, other)
		assert.Equal(t, []creatify.Problem{{Field: "option 1", Message: "is nil"}, {Field: "base URL", Message: "must be https"}}, problemsOf(t, err))
	})
}

func TestWithLimiterExcludesWithRateLimit(t *testing.T) {
	limiter := creatify.WithLimiter(rate.NewLimiter(1, 1))
	_, err := creatify.New("id", "key", creatify.WithRateLimit(1, 1), limiter)
	assert.Equal(t, []creatify.Problem{{Field: "WithLimiter", Message: "cannot be combined with WithRateLimit"}}, problemsOf(t, err))
	_, err = creatify.New("id", "key", limiter, creatify.WithRateLimit(1, 1))
	assert.Equal(t, []creatify.Problem{{Field: "WithRateLimit", Message: "cannot be combined with WithLimiter"}}, problemsOf(t, err))
	_, err = creatify.New("id", "key", limiter, limiter)
	assert.NoError(t, err, "the last one wins")
}

// busyLimiter cannot be compared, and lets nothing through.
type busyLimiter struct{ reasons []error }

func (l busyLimiter) Wait(context.Context) error { return l.reasons[0] }

func TestWithLimiterChargesNothing(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	client := newClient(t, api, creatify.WithLimiter(busyLimiter{[]error{fmt.Errorf("limiter: %w", creatify.ErrOutcomeUnknown)}}))
	client, err := client.With(creatify.WithTimeout(time.Second))
	require.NoError(t, err)
	_, err = client.Jobs.CreatePreview(t.Context(), params())
	assert.ErrorContains(t, err, "nothing was charged")
	assert.NotErrorIs(t, err, creatify.ErrOutcomeUnknown, "which another call's error is")
	assert.Zero(t, api.Calls(""))
}

func TestWithRateLimitLetsPaidCallsGoBeforePolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: time.Hour}})
		unlimited := newClient(t, api)
		client, err := unlimited.With(creatify.WithRateLimit(2, 1))
		require.NoError(t, err)
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		for range 500 {
			job, err := unlimited.Jobs.CreatePreview(t.Context(), params())
			require.NoError(t, err)
			require.NoError(t, tracker.Add(creatify.NewPendingJob(job, params())))
		}
		for range 30 {
			time.Sleep(31 * time.Second)
			start := time.Now()
			_, err := client.Jobs.CreatePreview(t.Context(), params())
			require.NoError(t, err)
			assert.LessOrEqual(t, time.Since(start), time.Second, "the turn of one poll, and its own")
		}
		assert.Greater(t, api.Calls(creatifytest.CallGetJob), 1700, "the polls use what is left of the rate")
	})
}

func TestWithPaidGrace(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []creatify.Option
		took time.Duration
		job  bool
	}{
		{"returns the job by default", nil, 8 * time.Second, true},
		{"ends with the context at 0", []creatify.Option{creatify.WithPaidGrace(0)}, time.Second, false},
		{"ends after a shorter grace", []creatify.Option{creatify.WithPaidGrace(2 * time.Second)}, 3 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Delay: 8 * time.Second})
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				start := time.Now()
				job, err := newClient(t, api, tt.opts...).Jobs.CreatePreview(ctx, params())
				assert.Equal(t, tt.took, time.Since(start))
				if tt.job {
					require.NoError(t, err)
					assert.Equal(t, api.Jobs(), []string{job.ID})
					return
				}
				assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
			})
		})
	}
}

func TestNewSetsTheHeadersOfRequests(t *testing.T) {
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
	assert.True(t, strings.HasPrefix(header.Get("User-Agent"), "creatify-go/0.1.0 (go"))
}

func TestWithLogger(t *testing.T) {
	const (
		request = `{"level":"DEBUG","msg":"creatify: request",`
		attempt = `"attempt":1,"status":502,"took":"a while"}`
		ofJob   = `"job_id":"` + jobID + `",`
		warning = `{"level":"WARN","msg":"creatify: `
		hook    = "https://shop.test/hook?secret=s3cret-of-a-hook"
		signed  = "https://cdn.test/v.mp4?signature=s3cret-of-a-url"
	)
	broken := says(502, `you sent `+creatifytest.APIKey)
	post := func(handler http.Handler, url string) {
		body := strings.NewReader(`{"id":"` + jobID + `","status":"done","video_output":"` + signed + `"}`)
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, url, body))
	}
	create := func(t *testing.T, client *creatify.Client) {
		p := params()
		p.WebhookURL, p.Variables = hook, creatify.Variables{"headline": creatify.Text("s3cret-of-a-variable")}
		client.Jobs.CreatePreview(t.Context(), p)
	}
	for _, tt := range []struct {
		name  string
		api   http.RoundTripper
		level slog.Level
		act   func(*testing.T, *creatify.Client)
		want  []string
	}{
		{"tells_each_attempt_and_retry", numbered(func(req *http.Request, n int) (*http.Response, error) {
			if n == 1 {
				return broken(req)
			}
			return respond(req, 200, `{"id":"`+jobID+`","status":"done","video_output":"`+signed+`"}`), nil
		}), slog.LevelDebug, func(t *testing.T, client *creatify.Client) {
			client.Jobs.Get(t.Context(), jobID)
		}, []string{
			request + `"call":"get_job",` + ofJob + attempt,
			`{"level":"INFO","msg":"creatify: will retry","call":"get_job",` + ofJob + `"attempt":1,"status":502,"wait":"a while"}`,
			request + `"call":"get_job",` + ofJob + `"attempt":2,"status":200,"took":"a while"}`,
		}},
		{"warns_of_a_create_whose_outcome_is_unknown", broken, slog.LevelDebug, create, []string{
			request + `"call":"create_preview",` + attempt,
			warning + `outcome unknown","call":"create_preview","job_id":"","reason":"outcome_unknown"}`,
		}},
		{"warns_of_a_render_whose_outcome_is_unknown", broken, slog.LevelDebug, func(t *testing.T, client *creatify.Client) {
			client.Jobs.Render(t.Context(), jobID)
		}, []string{
			request + `"call":"render",` + ofJob + attempt,
			warning + `outcome unknown","call":"render",` + ofJob + `"reason":"outcome_unknown"}`,
		}},
		{"warns_of_a_template_that_cannot_be_read", broken, slog.LevelWarn, func(t *testing.T, client *creatify.Client) {
			client, err := client.With(creatify.WithTemplateCheck(time.Hour), creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1}))
			require.NoError(t, err)
			create(t, client)
		}, []string{
			warning + `template not checked","call":"get_template","template_id":"` + creatifytest.TemplateID + `","reason":"unavailable"}`,
			warning + `outcome unknown","call":"create_preview","job_id":"","reason":"outcome_unknown"}`,
		}},
		{"warns_of_polls_that_fail_together", broken, slog.LevelInfo, func(t *testing.T, client *creatify.Client) {
			tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
			defer tracker.Close()
			for _, id := range testkit.IDs(4) {
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: id, Started: time.Now()}))
			}
			time.Sleep(5 * time.Minute)
		}, []string{
			warning + `polls fail together and are slowed down","call":"get_job","reason":"unavailable"}`,
		}},
		{"warns_of_a_webhook_with_a_wrong_secret", broken, slog.LevelDebug, func(t *testing.T, client *creatify.Client) {
			post(client.Jobs.WebhookHandler(creatify.WebhookOptions{Secret: "another"}, nil), hook)
		}, []string{
			warning + `webhook with a wrong secret","call":"webhook","from":"192.0.2.1:1234"}`,
		}},
		{"warns_of_a_webhook_whose_function_failed", says(200, `{"id":"`+jobID+`","status":"done","video_output":"`+signed+`"}`), slog.LevelInfo,
			func(t *testing.T, client *creatify.Client) {
				f := func(context.Context, *creatify.Job) error { return errors.New("the database is down") }
				post(client.Jobs.WebhookHandler(creatify.WebhookOptions{Secret: "s3cret-of-a-hook"}, f), hook)
			}, []string{
				warning + `webhook event not delivered","call":"webhook",` + ofJob + `"reason":"other","status":500,"error":"the database is down"}`,
			}},
		{"warns_of_a_webhook_whose_job_cannot_be_read", broken, slog.LevelInfo, func(t *testing.T, client *creatify.Client) {
			post(client.Jobs.WebhookHandler(creatify.WebhookOptions{}, nil), hook)
		}, []string{
			warning + `webhook event not delivered","call":"webhook",` + ofJob + `"reason":"unavailable","status":503,"error":"creatify: get job ` +
				jobID + `: 502 Bad Gateway: not in the API's format, perhaps from a proxy (try again later)"}`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				handler := slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: tt.level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					switch {
					case a.Key == slog.TimeKey:
						return slog.Attr{}
					case a.Value.Kind() == slog.KindDuration:
						return slog.String(a.Key, "a while")
					}
					return a
				}})
				tt.act(t, newClient(t, tt.api, creatify.WithLogger(slog.New(handler))))
				assert.Equal(t, tt.want, strings.Split(strings.TrimSpace(log.String()), "\n"))
				for _, secret := range []string{creatifytest.APIKey, creatifytest.APIID, "s3cret", "you sent"} {
					assert.NotContains(t, log.String(), secret)
				}
			})
		})
	}
}
