package creatify_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCreatePreviewAndWait(t *testing.T) {
	t.Run("returns the preview", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			api.NextJob(creatifytest.Life{Duration: 90 * time.Second})
			start := time.Now()
			job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
			require.NoError(t, err)
			assert.Equal(t, []string{job.ID}, api.Jobs())
			assert.Equal(t, creatify.StatusDone, job.Status)
			assert.Contains(t, job.Preview, "https://app.creatify.ai/preview?layout=")
			assert.Equal(t, 1.0, job.CreditsUsed)
			assert.Equal(t, 1.0, api.Charged())
			assert.Less(t, time.Since(start), 2*time.Minute)
			assert.Less(t, api.Calls(get), 25, "polls")
		})
	})
	t.Run("does not poll for a preview that is there at once", func(t *testing.T) {
		job, err := newClient(t, says(201, liveLike)).Jobs.CreatePreviewAndWait(t.Context(), params())
		require.NoError(t, err)
		assert.NotEmpty(t, job.Preview)
	})
	t.Run("notices the end of a first job of 3 s after about 6 s", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			api.NextJob(creatifytest.Life{Duration: 3 * time.Second})
			start := time.Now()
			_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
			require.NoError(t, err)
			assert.LessOrEqual(t, time.Since(start), 7*time.Second)
		})
	})
	t.Run("does not judge a job by a truncated response to the create", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				if req.Method == http.MethodPost {
					return respond(req, 201, `{"id":"`+jobID+`","status":"failed","failed_rea`), nil
				}
				return respond(req, 200, liveLike), nil
			}))
			_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
			assert.NoError(t, err)
		})
	})
	for _, tt := range []struct {
		name, end, reason string
		is                error
		message           string
	}{
		{"failed with a reason", "failed", "the image could not be fetched", creatify.ErrJobFailed, "failed: the image could not be fetched; 1 credits used"},
		{"failed without a reason", "failed", "", creatify.ErrJobFailed, "failed: no reason given"},
		{"rejected", "rejected", "content policy", creatify.ErrJobRejected, "rejected: content policy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				api.NextJob(creatifytest.Life{End: tt.end, Reason: tt.reason})
				job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
				assert.Nil(t, job)
				assert.Equal(t, []error{tt.is}, testkit.Matched(err))
				ended := testkit.As[*creatify.JobError](t, err)
				assert.Equal(t, api.Jobs()[0], ended.Job.ID)
				assert.Equal(t, tt.reason, ended.Job.FailedReason)
				assert.ErrorContains(t, err, "creatify: job "+ended.Job.ID+": "+tt.message)
			})
		})
	}
	t.Run("gives up on a job that it created and that the API never shows", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			api.Inject(creatifytest.Fault{Call: get, Status: 404, Body: testkit.NoSuchJob, Times: -1})
			start := time.Now()
			_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
			assert.ErrorIs(t, err, creatify.ErrPollsFailed)
			assert.ErrorIs(t, waitError(t, err).LastPollErr, creatify.ErrNotFound)
			assert.Equal(t, api.Jobs()[0], waitError(t, err).JobID)
			assert.InDelta(t, 20*time.Second, time.Since(start), float64(10*time.Second))
		})
	})
	t.Run("waits for a malformed ID and prints it safely", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				if req.Method == http.MethodGet {
					assert.Equal(t, "/api/custom_template_jobs/a%20b%2F%07%1B%5B31m/", req.URL.EscapedPath())
				}
				return respond(req, 201, `{"id":"a b/\u0007\u001b[31m","status":"run\u001bning"}`), nil
			}))
			_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
			assert.ErrorIs(t, err, creatify.ErrWaitTimeout, "a job that was paid for is no invalid parameter")
			assert.Equal(t, "a b/\u0007\u001b[31m", waitError(t, err).JobID)
			assert.NotContains(t, err.Error(), "\x1b")
			assert.Greater(t, waitError(t, err).Polls, 10)
		})
	})
	for _, tt := range []struct {
		name   string
		config creatifytest.Config
		is     error
	}{
		{"too few credits", creatifytest.Config{Credits: 0.5}, creatify.ErrInsufficientCredits},
		{"wrong key", creatifytest.Config{APIKey: "another-key"}, creatify.ErrUnauthorized},
	} {
		t.Run("is refused for "+tt.name, func(t *testing.T) {
			api := creatifytest.New(tt.config)
			_, err := newClient(t, api).Jobs.CreatePreviewAndWait(t.Context(), params())
			assert.Equal(t, []error{tt.is}, testkit.Matched(err))
			assert.Equal(t, creatify.ChargedNo, creatify.Charged(err))
			assert.Empty(t, api.Jobs())
		})
	}
	t.Run("reports all bad arguments and options at once, without their values", func(t *testing.T) {
		var nobody context.Context
		_, err := newClient(t, hangs).Jobs.CreatePreviewAndWait(nobody, creatify.JobParams{
			TemplateID: "secret-1",
			Variables:  creatify.Variables{"b": creatify.Image("secret-2"), "a": creatify.Video("secret-3")},
			WebhookURL: "secret-4",
		}, nil, creatify.WithMaxWait(0), creatify.WithMaxPollErrors(0), creatify.WithStallTimeout(-1), creatify.WithSchedule(nil))
		var fields []string
		for _, p := range problemsOf(t, err) {
			fields = append(fields, p.Field)
		}
		assert.Equal(t, []string{"ctx", "wait option 1", "WithMaxWait", "WithMaxPollErrors", "WithStallTimeout", "WithSchedule", "template_id",
			"variables.a", "variables.b", "webhook_url"}, fields)
		assert.NotContains(t, err.Error(), "secret")
	})
}

func TestCreateVideoAndWait(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		p := params()
		p.ModelVersion = creatify.ModelAuroraV1Fast
		job, err := client.Jobs.CreateVideoAndWait(t.Context(), p)
		require.NoError(t, err)
		assert.NotEmpty(t, job.VideoOutput)
		assert.Equal(t, 1, api.Calls(creatifytest.CallCreateVideo))
		assert.Equal(t, p.ModelVersion, job.ModelVersion)

		p.TemplateID = "x"
		_, err = client.Jobs.CreateVideoAndWait(t.Context(), p, nil)
		assert.Len(t, problemsOf(t, err), 2)
	})
}

func TestRenderAndWait(t *testing.T) {
	t.Run("returns the video", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			api.NextJob(creatifytest.Life{Render: creatifytest.RenderLife{Lag: time.Minute, Duration: 3 * time.Minute}})
			job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
			require.NoError(t, err)
			var stored []string
			video, err := client.Jobs.RenderAndWait(t.Context(), job.ID, creatify.WithOnCreated(func(job *creatify.Job) error {
				stored = append(stored, job.ID)
				return nil
			}))
			require.NoError(t, err)
			assert.NotEmpty(t, video.VideoOutput)
			assert.Equal(t, []string{job.ID}, stored)
			assert.Equal(t, 5.0, api.Charged())
		})
	})
	t.Run("sends nothing for a bad ID or option", func(t *testing.T) {
		_, err := newClient(t, hangs).Jobs.RenderAndWait(t.Context(), "a/b", creatify.WithMaxWait(0))
		assert.Len(t, problemsOf(t, err), 2)
	})
	t.Run("returns the errors of Render", func(t *testing.T) {
		_, err := newClient(t, says(503, "")).Jobs.RenderAndWait(t.Context(), jobID)
		assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
	})
}

func TestWithOnCreated(t *testing.T) {
	t.Run("is called before the wait, with a job of its own", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			start := time.Now()
			var stored string
			job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithOnCreated(func(job *creatify.Job) error {
				assert.Zero(t, time.Since(start))
				assert.Zero(t, api.Calls(get))
				stored = job.ID
				job.ID = "changed by the callback"
				return nil
			}))
			require.NoError(t, err)
			assert.Equal(t, job.ID, stored)
		})
	})
	t.Run("ends the wait with its error, which keeps the job", func(t *testing.T) {
		full := errors.New("disk full")
		for _, wrapped := range []error{full, errors.Join(full, errors.New("and no space left"))} {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params(),
					creatify.WithOnCreated(func(*creatify.Job) error { return wrapped }))
				assert.Nil(t, job)
				e := waitError(t, err)
				assert.ErrorIs(t, err, full)
				assert.Equal(t, wrapped, e.Err)
				assert.Equal(t, api.Jobs()[0], e.JobID)
				assert.Equal(t, api.Jobs()[0], e.Last.ID)
				assert.Zero(t, e.Polls)
				assert.Empty(t, testkit.Matched(err))
				assert.Equal(t, creatify.ChargedYes, creatify.Charged(err))
				assert.Equal(t, "callback", creatify.Reason(err))
				assert.True(t, strings.HasPrefix(err.Error(), "creatify: wait for job "+e.JobID+": disk full"), "%v", err)
				assert.Zero(t, api.Calls(get))
			})
		}
	})
	t.Run("keeps the ID when the context ends with the create", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := client.Jobs.CreatePreviewAndWait(ctx, params(), creatify.WithOnCreated(func(*creatify.Job) error { cancel(); return nil }))
			assert.Equal(t, []error{context.Canceled}, testkit.Matched(err))
			assert.Equal(t, api.Jobs()[0], waitError(t, err).JobID)
			assert.Zero(t, waitError(t, err).Polls)
			assert.Zero(t, api.Calls(get))
		})
	})
}
