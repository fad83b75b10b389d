package creatify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
)

func TestCharged(t *testing.T) {
	var (
		foreign  = errors.New("foreign")
		unknown  = &creatify.OutcomeUnknownError{Err: foreign}
		refused  = &creatify.APIError{StatusCode: 429, Method: http.MethodPost}
		invalid  = &creatify.ValidationError{}
		waiting  = &creatify.WaitError{Err: creatify.ErrWaitTimeout}
		failed   = &creatify.JobError{Job: &creatify.Job{Status: creatify.StatusFailed}}
		canceled = &creatify.WaitError{Err: context.Canceled}
	)
	for _, tt := range []struct {
		name string
		err  error
		want creatify.Charge
	}{
		{"nil", nil, creatify.ChargedYes},
		{"failed job", failed, creatify.ChargedYes},
		{"rejected job", &creatify.JobError{Job: &creatify.Job{Status: creatify.StatusRejected}}, creatify.ChargedYes},
		{"job error without a job", &creatify.JobError{}, creatify.ChargedYes},
		{"wait timed out", waiting, creatify.ChargedYes},
		{"wait canceled", canceled, creatify.ChargedYes},
		{"wait whose last poll was refused", &creatify.WaitError{Err: creatify.ErrPollsFailed, LastPollErr: refused}, creatify.ChargedYes},
		{"wait ended by a callback", &creatify.WaitError{Err: foreign}, creatify.ChargedYes},
		{"wait ended by a callback whose own call was refused", &creatify.WaitError{Err: refused}, creatify.ChargedYes},
		{"wrapped wait", fmt.Errorf("order 7: %w", waiting), creatify.ChargedYes},
		{"wait joined with a foreign error", errors.Join(foreign, waiting), creatify.ChargedYes},
		{"wait joined with a validation error", errors.Join(invalid, waiting), creatify.ChargedYes},

		{"outcome unknown", unknown, creatify.ChargedUnknown},
		{"outcome unknown by a refusal", &creatify.OutcomeUnknownError{Err: refused}, creatify.ChargedUnknown},
		{"outcome unknown joined with a refusal", errors.Join(refused, unknown), creatify.ChargedUnknown},
		{"outcome unknown joined with a wait", errors.Join(waiting, unknown), creatify.ChargedUnknown},
		{"ErrOutcomeUnknown by itself", creatify.ErrOutcomeUnknown, creatify.ChargedUnknown},

		{"validation error", invalid, creatify.ChargedNo},
		{"wrapped validation error", fmt.Errorf("order 7: %w", invalid), creatify.ChargedNo},
		{"budget exceeded", creatify.ErrBudgetExceeded, creatify.ChargedNo},
		{"429", refused, creatify.ChargedNo},
		{"400", &creatify.APIError{StatusCode: 400, Method: http.MethodPost}, creatify.ChargedNo},
		{"402", &creatify.APIError{StatusCode: 402, Method: http.MethodPost}, creatify.ChargedNo},
		{"wrapped refusal", fmt.Errorf("order 7: %w", refused), creatify.ChargedNo},

		{"refusal of a free call", &creatify.APIError{StatusCode: 401, Method: http.MethodGet}, creatify.ChargedUnknown},
		{"500", &creatify.APIError{StatusCode: 500, Method: http.MethodPost}, creatify.ChargedUnknown},
		{"408", &creatify.APIError{StatusCode: 408, Method: http.MethodPost}, creatify.ChargedUnknown},
		{"499", &creatify.APIError{StatusCode: 499, Method: http.MethodPost}, creatify.ChargedUnknown},
		{"redirect", &creatify.APIError{StatusCode: 302, Method: http.MethodPost}, creatify.ChargedUnknown},
		{"ErrRateLimited by itself", creatify.ErrRateLimited, creatify.ChargedUnknown},
		{"context canceled", context.Canceled, creatify.ChargedUnknown},
		{"context deadline", context.DeadlineExceeded, creatify.ChargedUnknown},
		{"download", &creatify.DownloadError{Err: io.ErrUnexpectedEOF}, creatify.ChargedUnknown},
		{"tracker closed", creatify.ErrTrackerClosed, creatify.ChargedUnknown},
		{"foreign", foreign, creatify.ChargedUnknown},
		{"foreign error with a StatusCode", &foreignError{429}, creatify.ChargedUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, creatify.Charged(tt.err))
		})
	}
	t.Run("canceled before it was sent", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(unknown) // of another call
		_, err := newClient(t, hangs).Jobs.CreatePreview(ctx, params())
		assert.Equal(t, creatify.ChargedNo, creatify.Charged(err))
		assert.Equal(t, "canceled", creatify.Reason(err))
	})
	t.Run("free call that failed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, err := newClient(t, roundTrip(func(*http.Request) (*http.Response, error) { return nil, foreign })).Jobs.Get(t.Context(), jobID)
			assert.Equal(t, creatify.ChargedUnknown, creatify.Charged(err))
			assert.Equal(t, "unavailable", creatify.Reason(err))
		})
	})
	t.Run("not sent", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			api.Inject(creatifytest.Fault{Drop: creatifytest.Refuse, Times: -1})
			_, err := client.Jobs.CreatePreview(t.Context(), params())
			assert.Equal(t, creatify.ChargedNo, creatify.Charged(err))
			assert.Equal(t, "not_sent", creatify.Reason(err))
		})
	})
}

// foreignError looks like an error of another API's client.
type foreignError struct{ StatusCode int }

func (e *foreignError) Error() string { return "429" }

func TestReason(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{&creatify.ValidationError{}, "invalid_params"},
		{creatify.ErrInvalidParams, "invalid_params"},
		{&creatify.APIError{StatusCode: 401}, "unauthorized"},
		{&creatify.APIError{StatusCode: 403}, "unauthorized"},
		{&creatify.APIError{StatusCode: 404, Detail: "No."}, "not_found"},
		{&creatify.APIError{StatusCode: 404}, "refused"},
		{&creatify.APIError{StatusCode: 429}, "rate_limited"},
		{&creatify.APIError{StatusCode: 402}, "insufficient_credits"},
		{&creatify.APIError{StatusCode: 409}, "refused"},
		{&creatify.APIError{StatusCode: 503}, "unavailable"},
		{creatify.ErrUnauthorized, "unauthorized"},
		{creatify.ErrNotFound, "not_found"},
		{creatify.ErrRateLimited, "rate_limited"},
		{creatify.ErrInsufficientCredits, "insufficient_credits"},
		{&creatify.OutcomeUnknownError{Err: creatify.ErrRateLimited}, "outcome_unknown"},
		{&creatify.JobError{Job: &creatify.Job{Status: creatify.StatusFailed}}, "job_failed"},
		{&creatify.JobError{Job: &creatify.Job{Status: creatify.StatusRejected}}, "job_rejected"},
		{&creatify.WaitError{Err: creatify.ErrWaitTimeout, LastPollErr: creatify.ErrUnauthorized}, "wait_timeout"},
		{&creatify.WaitError{Err: creatify.ErrStalled}, "stalled"},
		{&creatify.WaitError{Err: creatify.ErrNoOutput}, "no_output"},
		{&creatify.WaitError{Err: creatify.ErrPollsFailed, LastPollErr: creatify.ErrNotFound}, "polls_failed"},
		{&creatify.WaitError{Err: errors.New("disk full")}, "callback"},
		{&creatify.WaitError{Err: context.Canceled}, "canceled"},
		{&creatify.WaitError{Err: context.DeadlineExceeded}, "deadline_exceeded"},
		{context.Canceled, "canceled"},
		{fmt.Errorf("shop: %w", context.DeadlineExceeded), "deadline_exceeded"},
		{creatify.ErrBudgetExceeded, "budget_exceeded"},
		{creatify.ErrTrackerClosed, "tracker_closed"},
		{creatify.ErrInvalidWebhook, "invalid_webhook"},
		{&creatify.DownloadError{Err: creatify.ErrTooLarge}, "too_large"},
		{&creatify.DownloadError{Err: creatify.ErrRefusedURL}, "refused_url"},
		{&creatify.DownloadError{Err: io.ErrUnexpectedEOF}, "download_failed"},
		{errors.New("foreign"), "other"},
	} {
		t.Run(fmt.Sprintf("%v", tt.err), func(t *testing.T) {
			assert.Equal(t, tt.want, creatify.Reason(tt.err))
			if tt.err != nil {
				assert.Equal(t, tt.want, creatify.Reason(fmt.Errorf("order 7: %w", tt.err)))
			}
		})
	}
	t.Run("has a word of its own for each sentinel", func(t *testing.T) {
		words := make(map[string]bool)
		for _, sentinel := range testkit.Sentinels {
			words[creatify.Reason(sentinel)] = true
		}
		assert.Len(t, words, len(testkit.Sentinels))
		assert.NotContains(t, words, "other")
	})
}

func TestAPIError_Error(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		wait   time.Duration
		want   string
	}{
		{"throttled", 429, 2 * time.Minute, "429 Too Many Requests (try again in 2m0s)"},
		{"throttled for an unknown time", 429, 0, "429 Too Many Requests (try again later)"},
		{"throttled for ever", 429, math.MaxInt64, "429 Too Many Requests (try again later)"},
		{"503", 503, 5 * time.Second, "503 Service Unavailable (try again later)"},
		{"500", 500, 0, "500 Internal Server Error (try again later)"},
		{"302", 302, 0, "302 Found (redirects are not followed: check the base URL)"},
		{"401", 401, 0, "401 Unauthorized (check the API ID and key)"},
		{"402", 402, 0, "402 Payment Required (add credits to the account)"},
		{"400", 400, 0, "400 Bad Request"},
		{"unknown status", 799, 0, "799 (try again later)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := &creatify.APIError{StatusCode: tt.status, Call: "get_job", JobID: "7", Method: "GET", Path: "/x/", RetryAfter: tt.wait}
			assert.Equal(t, "creatify: get job 7: "+tt.want, err.Error())
		})
	}
}

func TestErrorsOfZeroValues(t *testing.T) {
	for _, err := range []error{&creatify.JobError{}, &creatify.WaitError{}, &creatify.APIError{}, &creatify.OutcomeUnknownError{},
		&creatify.ValidationError{}, &creatify.DownloadError{}} {
		t.Run(fmt.Sprintf("%T", err), func(t *testing.T) {
			assert.NotEmpty(t, err.Error())
			assert.LessOrEqual(t, len(testkit.Matched(err)), 1)
			assert.NotEmpty(t, creatify.Reason(err))
		})
	}
}
