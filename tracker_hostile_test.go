package creatify_test

import (
	"context"
	"net/http"
	"path"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// statusOf answers each poll with a job that has this status.
func statusOf(of func(id string) string) roundTrip {
	return func(req *http.Request) (*http.Response, error) {
		id := strings.Split(req.URL.Path, "/")[3]
		return respond(req, 200, `{"id":"`+id+`","status":"`+of(id)+`","preview":"https://x.test"}`), nil
	}
}

func TestAWaitOfATrackerEndsInTimeHoweverLongTheQueue(t *testing.T) {
	for name, tt := range map[string]struct {
		rate float64
		rt   http.RoundTripper
	}{
		"a small budget": {1, statusOf(func(string) string { return "running" })},
		"next to none":   {1e-9, statusOf(func(string) string { return "running" })},
		"429 all the time": {0, roundTrip(func(req *http.Request) (*http.Response, error) {
			return respond(req, 429, `{"detail": "Expected available in 60 seconds."}`), nil
		})},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tracker := newClient(t, tt.rt).Jobs.NewTracker(creatify.TrackerOptions{PollsPerSecond: tt.rate,
					Wait: []creatify.WaitOption{creatify.WithMaxWait(65 * time.Second)}})
				defer tracker.Close()
				for _, id := range manyIDs(1000) {
					require.NoError(t, tracker.Add(creatify.PendingJob{ID: id}))
				}
				tracker.Finish()
				start, n := time.Now(), 0
				for r := range tracker.Results(t.Context()) {
					err := r.Err
					require.ErrorIs(t, err, creatify.ErrWaitTimeout)
					n++
				}
				assert.Equal(t, 1000, n)
				assert.Equal(t, 65*time.Second, time.Since(start))
			})
		})
	}
}

func TestNoticesForOneJobDoNotStarveTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, statusOf(func(id string) string { return map[string]string{"a": "running", "b": "done"}[id] }))
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{PollsPerSecond: 1, Concurrency: 1})
		defer tracker.Close()
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: "a"}))
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() {
			for ctx.Err() == nil {
				time.Sleep(200 * time.Millisecond)
				tracker.Expedite("a")
			}
		}()
		time.Sleep(10 * time.Second)
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: "b"}))
		start := time.Now()
		for r := range tracker.Results(t.Context()) {
			job, err := r.Job, r.Err
			require.NoError(t, err)
			assert.Equal(t, "b", job.ID)
			break
		}
		assert.Less(t, time.Since(start), 10*time.Second)
		stop()
		time.Sleep(time.Second)
	})
}

func TestNoticesDuringAnOutageDoNotEndAHealthyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		done := statusOf(func(string) string { return "done" })
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			if time.Since(start) < 2500*time.Millisecond {
				return respond(req, 503, ""), nil
			}
			return done(req)
		}))
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: "x"}))
		go func() {
			for range 30 {
				time.Sleep(50 * time.Millisecond)
				tracker.Expedite("x")
			}
		}()
		for r := range tracker.Results(t.Context()) {
			err := r.Err
			assert.NoError(t, err)
			break
		}
		time.Sleep(5 * time.Second)
	})
}

func TestABurstOf429sIsOneRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		done := statusOf(func(string) string { return "done" })
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			if time.Since(start) < time.Second {
				return respond(req, 429, ""), nil
			}
			return done(req)
		}))
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		for _, id := range manyIDs(16) {
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: id}))
		}
		tracker.Finish()
		for range tracker.Results(t.Context()) {
		}
		assert.Less(t, time.Since(start), 5*time.Second)
	})
}

func TestA429ThatComesLateBesideASuccessDoesNotEndTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var polls atomic.Int64
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			switch id := path.Base(req.URL.Path); {
			case polls.Add(1) > 3:
				return respond(req, 200, `{"id":"`+id+`","status":"done","preview":"https://app.test/p"}`), nil
			case id == "b": // of three polls under way together, the second is answered, between two that are refused
				time.Sleep(2 * time.Second)
				return respond(req, 200, `{"id":"b","status":"running"}`), nil
			case id == "c":
				time.Sleep(3 * time.Second)
			}
			return respond(req, 429, ""), nil
		}))
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		for _, id := range []string{"a", "b", "c"} {
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: id}))
		}
		tracker.Finish()
		ended := 0
		for r := range tracker.Results(t.Context()) {
			err := r.Err
			require.NoError(t, err)
			ended++
		}
		assert.Equal(t, 3, ended)
	})
}

func TestAWaitWhoseTimeIsUpWhileItsPollIsAnsweredEndsAllTheSame(t *testing.T) {
	running := statusOf(func(string) string { return "running" })
	late := roundTrip(func(req *http.Request) (*http.Response, error) { // heeds no context
		time.Sleep(5 * time.Second)
		return running(req)
	})
	slow := creatify.WithOnUpdate(func(*creatify.Job) { time.Sleep(3 * time.Second) })
	for name, tt := range map[string]struct {
		server roundTrip
		opts   []creatify.WaitOption
	}{
		"by a slow callback": {running, []creatify.WaitOption{slow}},
		"by a slow server":   {late, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tracker := newClient(t, tt.server).Jobs.NewTracker(creatify.TrackerOptions{
					Wait: append(tt.opts, creatify.WithMaxWait(2*time.Second))})
				defer tracker.Close()
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: "a"}))
				tracker.Finish()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				ended := 0
				for r := range tracker.Results(ctx) {
					err := r.Err
					assert.ErrorIs(t, err, creatify.ErrWaitTimeout)
					ended++
				}
				assert.Equal(t, 1, ended)
				assert.Empty(t, tracker.Pending())
			})
		})
	}
}

func TestANoticeDelaysNoPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			time.Sleep(50 * time.Millisecond)
			status := "running"
			if time.Since(start) > 9500*time.Millisecond {
				status = "done"
			}
			return statusOf(func(string) string { return status })(req)
		}))
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Wait: []creatify.WaitOption{creatify.WithMaxWait(10 * time.Second)}})
		defer tracker.Close()
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: "a"}))
		for _, at := range []time.Duration{9010 * time.Millisecond, 9030 * time.Millisecond} { // the second in the poll of the first
			time.AfterFunc(at, func() { tracker.Expedite("a") })
		}
		tracker.Finish()
		for r := range tracker.Results(t.Context()) {
			err := r.Err
			assert.NoError(t, err, "the last poll comes before the deadline")
		}
	})
}

func TestResultsTakesNothingForAContextThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newClient(t, statusOf(func(string) string { return "done" })).Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		for _, id := range manyIDs(10) {
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: id}))
		}
		time.Sleep(time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range tracker.Results(ctx) {
			t.Error("a result that nobody can do anything with")
		}
		assert.Len(t, tracker.Pending(), 10)
	})
}

func TestATrackerMayBeAskedWhileItPolls(t *testing.T) { // for -race
	synctest.Test(t, func(t *testing.T) {
		born := time.Now().Add(-time.Minute).Format(time.RFC3339)
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			id := strings.Split(req.URL.Path, "/")[3]
			return respond(req, 200, `{"id":"`+id+`","status":"running","created_at":"`+born+`"}`), nil
		}))
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		for _, id := range manyIDs(200) {
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: id}))
			tracker.Pending()
		}
		job := &creatify.Job{ID: "mine", Status: creatify.StatusPending}
		require.NoError(t, tracker.Add(creatify.NewPendingJob(job, params())))
		tracker.Expedite("mine")
		*job = creatify.Job{}
	})
}

func TestCallbacksMayUseTheTracker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tracker *creatify.Tracker
		use := func() {
			tracker.Pending()
			tracker.Expedite("x")
			tracker.Add(creatify.PendingJob{ID: "y"})
		}
		client := newClient(t, statusOf(func(string) string { return "running" }))
		tracker = client.Jobs.NewTracker(creatify.TrackerOptions{Wait: []creatify.WaitOption{
			creatify.WithOnUpdate(func(*creatify.Job) { use() }),
			creatify.WithSchedule(func(time.Duration, int) time.Duration {
				return time.Duration(len(tracker.Pending())) * time.Minute
			}),
		}})
		require.NoError(t, tracker.Add(creatify.NewPendingJob(&creatify.Job{ID: "x", Status: creatify.StatusPending}, params())))
		time.Sleep(5 * time.Minute)
		assert.Len(t, tracker.Pending(), 2)
		tracker.Close()
	})
}

func TestACallbackThatNeverReturnsDoesNotLoseTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		client := newClient(t, statusOf(func(string) string { return "done" }))
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Concurrency: 1, Wait: []creatify.WaitOption{
			creatify.WithOnUpdate(func(*creatify.Job) {
				if calls.Add(1) == 1 {
					runtime.Goexit() // as a test's FailNow does
				}
			})}})
		defer tracker.Close()
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: "a"}))
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: "b"}))
		tracker.Finish()
		n := 0
		for range tracker.Results(t.Context()) {
			n++
		}
		assert.Equal(t, 2, n)
	})
}

func TestAnIDInAnotherSpellingIsTheSameJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newClient(t, statusOf(func(string) string { return "running" })).Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: jobID}))
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: strings.ToUpper(jobID)}))
		assert.Len(t, tracker.Pending(), 1)
		assert.True(t, tracker.Expedite(strings.ReplaceAll(jobID, "-", "")))
		assert.True(t, tracker.Expedite(strings.ToUpper(jobID)))
		for _, id := range []string{"job-1-12", "job-11-2", "JOB-1-12"} {
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: id}))
		}
		assert.Len(t, tracker.Pending(), 4, "IDs that are no UUIDs are taken by the letter")
	})
}
