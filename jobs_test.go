package creatify_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConcurrentRendersOfAJobAreOne(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		job := create(t, api, client, creatifytest.Life{})
		time.Sleep(20 * time.Second)
		api.Inject(creatifytest.Fault{Call: creatifytest.CallRender, Delay: 5 * time.Second})
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() {
				rendered, err := client.Jobs.Render(t.Context(), job.ID)
				if assert.NoError(t, err) {
					assert.Equal(t, job.ID, rendered.ID)
					rendered.Variables["mine"] = creatify.Text("x")
				}
			})
		}
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := client.Jobs.Render(impatient, job.ID)
		assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown, "the shared request is on its way")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		calls.Wait()
		assert.Equal(t, 1, api.Calls(creatifytest.CallRender))
		assert.Equal(t, 5.0, api.Charged())
		_, err = client.Jobs.Render(t.Context(), job.ID)
		refusal, ok := errors.AsType[*creatify.APIError](err)
		require.True(t, ok, "a later one is the server's to refuse")
		assert.Equal(t, 400, refusal.StatusCode)
	})
}

func TestARenderThatGaveUpBeforeItWasSentLeavesItToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		client := newClient(t, api, creatify.WithRateLimit(0.1, 1))
		job := create(t, api, client, creatifytest.Life{})
		first, cancel := context.WithCancel(t.Context())
		go func() {
			_, err := client.Jobs.Render(first, job.ID)
			assert.ErrorIs(t, err, context.Canceled)
			assert.NotErrorIs(t, err, creatify.ErrOutcomeUnknown)
		}()
		synctest.Wait()
		time.AfterFunc(time.Second, cancel)
		time.Sleep(500 * time.Millisecond)
		_, err := client.Jobs.Render(t.Context(), job.ID)
		refusal, ok := errors.AsType[*creatify.APIError](err)
		require.True(t, ok, "sent, and refused because there is no preview yet: %v", err)
		assert.Equal(t, 400, refusal.StatusCode)
		assert.Equal(t, 1, api.Calls(creatifytest.CallRender))
	})
}

func TestARenderThatGivesUpOnItsWayIsNotSentByTheOthers(t *testing.T) {
	for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"cancelled":       cancelledAfter(5 * time.Second),
		"at its deadline": deadlineAfter(5 * time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				api.Inject(creatifytest.Fault{Call: creatifytest.CallRender, Delay: time.Hour})
				var calls sync.WaitGroup
				calls.Go(func() {
					ctx, cancel := end(t.Context())
					defer cancel()
					_, err := client.Jobs.Render(ctx, jobID)
					assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
				})
				time.Sleep(time.Second)
				for range 5 {
					calls.Go(func() {
						_, err := client.Jobs.Render(t.Context(), jobID)
						assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown, "it may have been charged")
					})
				}
				calls.Wait()
				assert.Equal(t, 1, api.Calls(creatifytest.CallRender))
			})
		})
	}
}

func TestARenderThatEndsBeforeItHasAConnectionLeavesItToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dialled, sent atomic.Int32
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			if dialled.Add(1) == 1 {
				httptrace.ContextClientTrace(req.Context()).GetConn("api.creatify.ai:443")
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			sent.Add(1)
			return respond(req, 200, liveLike), nil
		}))
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := client.Jobs.Render(ctx, jobID)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.NotErrorIs(t, err, creatify.ErrOutcomeUnknown)
		}()
		time.Sleep(time.Second)
		_, err := client.Jobs.Render(t.Context(), jobID)
		assert.NoError(t, err)
		assert.Equal(t, int32(1), sent.Load())
	})
}

func TestConcurrentRendersShareARefusal(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		api.Inject(creatifytest.Fault{Call: creatifytest.CallRender, Delay: 5 * time.Second, Status: 402, Body: `{"detail":"Pay."}`})
		var calls sync.WaitGroup
		for range 5 {
			calls.Go(func() {
				_, err := client.Jobs.Render(t.Context(), jobID)
				assert.ErrorIs(t, err, creatify.ErrInsufficientCredits)
			})
		}
		calls.Wait()
		assert.Equal(t, 1, api.Calls(creatifytest.CallRender))
	})
}

func TestAVideoIsWaitedForThroughTheTimeInWhichTheJobStillReadsDone(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		for _, lag := range []time.Duration{0, 30 * time.Second, 5 * time.Minute} {
			job := create(t, api, client, creatifytest.Life{Render: creatifytest.RenderLife{Lag: lag, Duration: lag + 4*time.Minute}})
			time.Sleep(20 * time.Second)
			_, err := client.Jobs.Render(t.Context(), job.ID)
			require.NoError(t, err)
			video, err := client.Jobs.WaitForVideo(t.Context(), job.ID)
			require.NoError(t, err, "with a lag of %v", lag)
			assert.NotEmpty(t, video.VideoOutput)
		}
		job := create(t, api, client, creatifytest.Life{}) // and never rendered
		start := time.Now()
		_, err := client.Jobs.WaitForVideo(t.Context(), job.ID)
		assert.ErrorIs(t, err, creatify.ErrNoOutput)
		assert.InDelta(t, 15*time.Minute, time.Since(start), float64(5*time.Minute))
		assert.Less(t, waitError(t, err).Polls, 60, "which is long")

		job = create(t, api, client, creatifytest.Life{Render: creatifytest.RenderLife{End: "failed", Reason: "no disk"}})
		time.Sleep(20 * time.Second)
		_, err = client.Jobs.Render(t.Context(), job.ID)
		require.NoError(t, err)
		_, err = client.Jobs.WaitForVideo(t.Context(), job.ID)
		assert.ErrorIs(t, err, creatify.ErrJobFailed)
	})
}

func TestWatchYieldsEachChangeAndTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		job := create(t, api, client, creatifytest.Life{Steps: []creatifytest.Step{
			{At: time.Minute, Status: "running", Progress: 0.5}, {At: 3 * time.Minute, Status: "done", Progress: 1}}})
		var seen []creatify.Status
		for snapshot, err := range client.Jobs.WatchPreview(t.Context(), job.ID) {
			require.NoError(t, err)
			seen = append(seen, snapshot.Status)
		}
		assert.Equal(t, []creatify.Status{"pending", "running", "done"}, seen)

		failed := create(t, api, client, creatifytest.Life{End: "failed"})
		var last error
		yields := 0
		for snapshot, err := range client.Jobs.WatchPreview(t.Context(), failed.ID) {
			yields++
			assert.Equal(t, err == nil, snapshot != nil)
			assert.False(t, snapshot != nil && snapshot.Status == creatify.StatusFailed, "the end is the error")
			last = err
		}
		assert.ErrorIs(t, last, creatify.ErrJobFailed)
		assert.Positive(t, yields)

		polls := api.Calls(get)
		for range client.Jobs.WatchPreview(t.Context(), create(t, api, client, creatifytest.Life{}).ID) {
			break
		}
		assert.Equal(t, polls+1, api.Calls(get), "leaving the loop leaves nothing running")
		yields = 0
		for _, err := range client.Jobs.WatchPreview(t.Context(), "") {
			assert.ErrorIs(t, err, creatify.ErrInvalidParams)
			yields++
		}
		assert.Equal(t, 1, yields)
	})
}
