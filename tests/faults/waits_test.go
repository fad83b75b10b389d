package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// withEachFault runs f with each fault that the fake can produce on a call: at every request, and once.
func withEachFault(t *testing.T, route creatifytest.Call, run func(t *testing.T, ctx context.Context, f fault, w when, client *creatify.Client, log *testkit.Log)) {
	for _, f := range faults {
		if f.virtual == nil {
			continue
		}
		for _, w := range []when{always, once} {
			t.Run(fmt.Sprintf("%s, %v", f.name, w), func(t *testing.T) {
				for variant := range f.virtual() {
					synctest.Test(t, func(t *testing.T) {
						api := creatifytest.New(creatifytest.Config{APIID: "the-id", APIKey: testkit.Key})
						client, log := testkit.NewLeakyClient(t, testkit.BaseURL, nil, creatify.WithHTTPClient(&http.Client{Transport: api}))
						bad := f.virtual()[variant]
						bad.Call, bad.Times = route, 1
						if w == always && len(bad.Body) < 1<<20 { // a large one takes time
							bad.Times = -1
						}
						api.Inject(bad)
						ctx := t.Context()
						if f.context != nil {
							var cancel context.CancelFunc
							ctx, cancel = f.context(ctx)
							defer cancel()
						}
						run(t, ctx, f, w, client, log)
					})
				}
			})
		}
	}
}

// checkIdentity checks that an error matches one sentinel and shows no secret.
func checkIdentity(t *testing.T, err error, log *testkit.Log) {
	t.Helper()
	assert.LessOrEqual(t, len(testkit.Matched(err)), 1, "%q matches %q", err, testkit.Matched(err))
	assert.NotEqual(t, "other", creatify.Reason(err), "%q", err)
	_, ok := errors.AsType[*creatify.APIError](err)
	assert.False(t, ok, "a refusal is no identity of %q", err)
	testkit.NoKey(t, testkit.Emitted(err)+log.String())
	assert.NotContains(t, fmt.Sprintf("%v%+v%s", err, err, log), testkit.Variable)
}

func TestWaits(t *testing.T) {
	ends := []string{"wait_timeout", "polls_failed", "canceled", "deadline_exceeded"}
	for _, tt := range []struct {
		name string
		wait func(context.Context, *creatify.Client, creatify.JobParams) (*creatify.Job, error)
	}{
		{"CreatePreviewAndWait", func(ctx context.Context, c *creatify.Client, p creatify.JobParams) (*creatify.Job, error) {
			return c.Jobs.CreatePreviewAndWait(ctx, p)
		}},
		{"WaitForPreview", func(ctx context.Context, c *creatify.Client, p creatify.JobParams) (*creatify.Job, error) {
			job, err := c.Jobs.CreatePreview(context.Background(), p)
			if err != nil {
				return nil, err
			}
			return c.Jobs.WaitForPreview(ctx, job.ID)
		}},
		{"Tracker", func(ctx context.Context, c *creatify.Client, p creatify.JobParams) (*creatify.Job, error) {
			job, err := c.Jobs.CreatePreview(context.Background(), p)
			if err != nil {
				return nil, err
			}
			tracker := c.Jobs.NewTracker(creatify.TrackerOptions{Wait: []creatify.WaitOption{creatify.WithMaxWait(30 * time.Minute)}})
			defer tracker.Close()
			if err := tracker.Add(creatify.NewPendingJob(job, p)); err != nil {
				return nil, err
			}
			tracker.Finish()
			for r := range tracker.Results(context.Background()) {
				return r.Job, r.Err
			}
			return nil, errors.New("no result")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			withEachFault(t, creatifytest.CallGetJob, func(t *testing.T, ctx context.Context, f fault, w when, client *creatify.Client, log *testkit.Log) {
				start := time.Now()
				job, err := tt.wait(ctx, client, testkit.LeakyParams())
				assert.LessOrEqual(t, time.Since(start), 30*time.Minute)
				if ctx.Done() == nil && w == once || err == nil {
					require.NoError(t, err)
					assert.NotEmpty(t, job.Preview)
					return
				}
				if f.name == faults[0].name && tt.name == "CreatePreviewAndWait" { // the context had ended before the create
					assert.Equal(t, creatify.ChargedNo, creatify.Charged(err))
					return
				}
				e := testkit.As[*creatify.WaitError](t, err)
				assert.NotEmpty(t, e.JobID)
				assert.Equal(t, creatify.ChargedYes, creatify.Charged(err))
				assert.Contains(t, ends, creatify.Reason(err))
				assert.LessOrEqual(t, len(testkit.Matched(e.LastPollErr)), 1)
				checkIdentity(t, err, log)
			})
		})
	}
}

func TestDownloads(t *testing.T) {
	withEachFault(t, creatifytest.CallVideo, func(t *testing.T, ctx context.Context, f fault, w when, client *creatify.Client, log *testkit.Log) {
		job, err := client.Jobs.CreateVideoAndWait(context.Background(), testkit.LeakyParams())
		require.NoError(t, err)
		var video bytes.Buffer
		_, err = client.Jobs.Download(ctx, job.ID, &video)
		if err == nil {
			assert.NotZero(t, video.Len())
			return
		}
		testkit.As[*creatify.DownloadError](t, err)
		assert.Equal(t, creatify.ChargedUnknown, creatify.Charged(err))
		checkIdentity(t, err, log)
	})
}
