package creatify_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// idOf is the ID of the job that a result is about.
func idOf(t *testing.T, job *creatify.Job, err error) string {
	t.Helper()
	if err == nil {
		return job.ID
	}
	assert.Nil(t, job)
	if ended, ok := errors.AsType[*creatify.JobError](err); ok {
		return ended.Job.ID
	}
	return waitError(t, err).JobID
}

func TestATrackerYieldsJobsInTheOrderOfTheirEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		slow := create(t, api, client, creatifytest.Life{Duration: 5 * time.Minute})
		failed := create(t, api, client, creatifytest.Life{Duration: 2 * time.Minute, End: "failed", Reason: "no such font"})
		fast := create(t, api, client, creatifytest.Life{Duration: 20 * time.Second})
		stuck := create(t, api, client, creatifytest.Life{Duration: -1})
		for _, job := range []*creatify.Job{slow, failed, stuck} {
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: job.ID}))
		}
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: slow.ID}), "twice is once")
		require.NoError(t, tracker.Add(creatify.NewPendingJob(fast, params())))
		tracker.Finish()
		assert.ErrorIs(t, tracker.Add(creatify.PendingJob{ID: jobID}), creatify.ErrTrackerClosed)

		var order []string
		for r := range tracker.Results(t.Context()) {
			job, err := r.Job, r.Err
			order = append(order, idOf(t, job, err))
			switch order[len(order)-1] {
			case failed.ID:
				assert.ErrorIs(t, err, creatify.ErrJobFailed)
			case stuck.ID:
				assert.ErrorIs(t, err, creatify.ErrWaitTimeout)
				assert.Equal(t, 24*time.Hour, waitError(t, err).Elapsed.Round(time.Second))
			default:
				assert.NotEmpty(t, job.Preview)
			}
		}
		assert.Equal(t, []string{fast.ID, failed.ID, slow.ID, stuck.ID}, order)
		assert.Empty(t, tracker.Pending())
	})
}

func TestJobsCanBeAddedWhileResultsAreRead(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		const chains, length = 10, 5
		for range chains {
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{}).ID}))
		}
		seen := 0
		for r := range tracker.Results(t.Context()) {
			job, err := r.Job, r.Err
			require.NoError(t, err)
			require.Equal(t, creatify.StatusDone, job.Status)
			if seen++; seen == chains*length {
				break
			}
			if seen <= chains*(length-1) {
				go tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{}).ID})
			}
			synctest.Wait()
		}
		assert.Equal(t, chains*length, seen)
	})
}

func TestATrackerSurvivesARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		before := client.Jobs.NewTracker(creatify.TrackerOptions{})
		var want []string
		for i := range 20 {
			job := create(t, api, client, creatifytest.Life{Duration: time.Duration(i+1) * 20 * time.Second})
			want = append(want, job.ID)
			require.NoError(t, before.Add(creatify.PendingJob{ID: job.ID}))
		}
		handed := 0
		for range before.Results(t.Context()) {
			if handed == 4 {
				break // with the fifth, which stays
			}
			handed++
		}
		time.Sleep(time.Minute) // some more end, and nobody takes their results
		before.Close()
		before.Close()
		assert.ErrorIs(t, before.Add(creatify.PendingJob{ID: jobID}), creatify.ErrTrackerClosed)
		for range before.Results(t.Context()) {
			handed++
		}
		stored, err := json.Marshal(before.Pending())
		require.NoError(t, err)
		synctest.Wait()

		time.Sleep(time.Minute)
		var pending []creatify.PendingJob
		require.NoError(t, json.Unmarshal(stored, &pending))
		require.Len(t, pending, 20-handed)
		after := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer after.Close()
		require.NoError(t, after.Add(pending...))
		after.Finish()
		for r := range after.Results(t.Context()) {
			job, err := r.Job, r.Err
			require.NoError(t, err)
			want = slices.DeleteFunc(want, func(id string) bool { return id == job.ID })
		}
		assert.Len(t, want, handed, "the rest comes after the restart")
	})
}

func TestATrackerGoesOnWithTheNextJobWhenThereWasNone(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		time.AfterFunc(time.Hour, func() {
			assert.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{}).ID}))
		})
		for range 3 {
			results := 0
			for r := range tracker.Results(t.Context()) {
				job, err := r.Job, r.Err // which does not end for want of jobs
				require.NoError(t, err)
				results++
				assert.False(t, tracker.Expedite(job.ID))
				synctest.Wait()
				break
			}
			assert.Equal(t, 1, results)
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{}).ID}))
		}
		time.Sleep(time.Hour)
		id := tracker.Pending()[0].ID
		assert.False(t, tracker.Expedite(id))
	})
}

func TestFinishAndCloseEndAllResults(t *testing.T) {
	for name, tt := range map[string]struct {
		end     func(*creatify.Tracker)
		results int
	}{"Finish": {(*creatify.Tracker).Finish, 1}, "Close": {(*creatify.Tracker).Close, 0}} {
		for _, jobs := range []int{0, 1} {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
				defer tracker.Close()
				for range jobs {
					require.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{Duration: time.Minute}).ID}))
				}
				var readers sync.WaitGroup
				results := atomic.Int32{}
				for range 3 {
					readers.Go(func() {
						for range tracker.Results(t.Context()) {
							results.Add(1)
						}
					})
				}
				synctest.Wait()
				tt.end(tracker)
				readers.Wait()
				assert.Equal(t, int32(jobs*tt.results), results.Load(), name)
			})
		}
	}
}

func TestCloseStopsAtOnceAndLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		updates := atomic.Int32{}
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Wait: []creatify.WaitOption{
			creatify.WithOnUpdate(func(*creatify.Job) { updates.Add(1) })}})
		slow, other := create(t, api, client, creatifytest.Life{}), create(t, api, client, creatifytest.Life{Duration: time.Hour})
		api.Inject(creatifytest.Fault{Call: get, Delay: time.Minute})
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: slow.ID}))
		synctest.Wait()
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: other.ID}))
		time.Sleep(10 * time.Second)
		polls, told := api.Calls(get), updates.Load()
		assert.Greater(t, polls, 1)
		start := time.Now()
		tracker.Close()
		assert.Zero(t, time.Since(start), "a poll under way is broken off")
		assert.Len(t, tracker.Pending(), 2)
		time.Sleep(2 * time.Hour)
		assert.Equal(t, polls, api.Calls(get))
		assert.Equal(t, told, updates.Load())
	})
}

func TestPendingTellsTheOldestFirstByTheirCreation(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		var jobs []*creatify.Job
		for range 10 {
			jobs = append(jobs, create(t, api, client, creatifytest.Life{Duration: 10 * time.Hour}))
			time.Sleep(time.Minute)
		}
		for _, job := range slices.Backward(jobs) {
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: job.ID}))
		}
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: jobs[0].ID, Kind: creatify.KindVideo}), "how old its rendering is, is not told")
		given := time.Now()
		time.Sleep(time.Second)
		pending := tracker.Pending()
		require.Len(t, pending, 11)
		for i, job := range jobs {
			assert.Equal(t, job.ID, pending[i].ID)
			assert.WithinDuration(t, job.CreatedAt, pending[i].Started, 0)
		}
		assert.WithinDuration(t, given, pending[10].Started, 0)
	})
}

func TestAJobWhoseTimeIsUpIsNotPolledAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Wait: []creatify.WaitOption{creatify.WithMaxWait(2 * time.Hour)}})
		defer tracker.Close()
		for range 2 { // the second keeps the tracker at work
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{Duration: -1}).ID}))
			time.Sleep(119 * time.Minute)
		}
		tracker.Finish()
		got := map[string]int{}
		for r := range tracker.Results(t.Context()) {
			job, err := r.Job, r.Err
			assert.ErrorIs(t, err, creatify.ErrWaitTimeout)
			got[idOf(t, job, err)]++
		}
		assert.Equal(t, map[string]int{api.Jobs()[0]: 1, api.Jobs()[1]: 1}, got)
	})
}

func TestATroubleThatIsNotARefusalHoldsBackOneJobOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Concurrency: 1})
		defer tracker.Close()
		api.Inject(creatifytest.Fault{Call: get, Status: 503, Header: http.Header{"Retry-After": {"30"}}})
		for range 50 {
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{}).ID}))
		}
		synctest.Wait()
		assert.Equal(t, 50, api.Calls(get))
	})
}

func TestNotifyPollsOneJobNow(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Wait: []creatify.WaitOption{
			creatify.WithSchedule(creatify.FixedInterval(10 * time.Minute))}})
		defer tracker.Close()
		job := create(t, api, client, creatifytest.Life{Duration: time.Minute})
		other := create(t, api, client, creatifytest.Life{})
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: job.ID}))
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: other.ID}))
		start := time.Now()
		time.AfterFunc(61*time.Second, func() { assert.True(t, tracker.Expedite(job.ID)) })
		for r := range tracker.Results(t.Context()) {
			got, err := r.Job, r.Err
			require.NoError(t, err)
			assert.Equal(t, job.ID, got.ID)
			assert.Equal(t, 61*time.Second, time.Since(start))
			break
		}
		assert.False(t, tracker.Expedite(job.ID), "it is no longer tracked")
		assert.False(t, tracker.Expedite("unknown"))
		assert.Equal(t, 3, api.Calls(get))
	})
}

func TestManyNoticesPollAJobOnceASecondAtTheMost(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		var tracker *creatify.Tracker
		notify := func(job *creatify.Job) { tracker.Expedite(job.ID) } // from within, each poll would bring the next
		tracker = client.Jobs.NewTracker(creatify.TrackerOptions{Wait: []creatify.WaitOption{creatify.WithOnUpdate(notify)}})
		defer tracker.Close()
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{Duration: time.Hour}).ID}))
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			tracker.Expedite(api.Jobs()[0])
		}
		assert.InDelta(t, 12, api.Calls(get), 2, "ten for the notices, and some by the schedule")
	})
}

func TestANoticeDuringAPollIsNotLost(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Wait: []creatify.WaitOption{
			creatify.WithSchedule(creatify.FixedInterval(20 * time.Minute))}})
		defer tracker.Close()
		job := create(t, api, client, creatifytest.Life{Duration: 10 * time.Second})
		api.Inject(creatifytest.Fault{Call: get, Delay: 15 * time.Second, Body: `{"id":"` + job.ID + `","status":"running"}`})
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: job.ID}))
		time.AfterFunc(11*time.Second, func() { assert.True(t, tracker.Expedite(job.ID)) })
		start := time.Now()
		for r := range tracker.Results(t.Context()) {
			err := r.Err
			require.NoError(t, err)
			break
		}
		assert.Equal(t, 15*time.Second, time.Since(start))
	})
}

func TestTheContextEndsResultsAndTheNextCallGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{Duration: time.Minute}).ID}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for range tracker.Results(ctx) {
			t.Error("a result before the job's end")
		}
		assert.Len(t, tracker.Pending(), 1)
		tracker.Finish()
		got := 0
		for r := range tracker.Results(t.Context()) {
			err := r.Err
			require.NoError(t, err)
			got++
		}
		assert.Equal(t, 1, got)
	})
}

func TestAllJobsShareOneBudgetAndNoneStarves(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		const jobs, perSecond = 200, 4 // the ideal schedule would want more
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{PollsPerSecond: perSecond, Concurrency: 4})
		defer tracker.Close()
		for range jobs {
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{Duration: 3 * time.Minute}).ID}))
		}
		tracker.Finish()
		start := time.Now()
		var lags []time.Duration
		for r := range tracker.Results(t.Context()) {
			err := r.Err
			require.NoError(t, err)
			lags = append(lags, time.Since(start)-3*time.Minute)
		}
		assert.Len(t, lags, jobs)
		polls := float64(api.Calls(get))
		assert.LessOrEqual(t, polls, perSecond*time.Since(start).Seconds()+4)
		assert.Less(t, slices.Max(lags), 2*time.Minute, "one round of all jobs takes 50 s")
	})
}

func TestA429SlowsAllJobs(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Concurrency: 1})
		defer tracker.Close()
		api.Inject(creatifytest.Fault{Call: get, Status: 429, Header: http.Header{"Retry-After": {"30"}}})
		for range 50 {
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{}).ID}))
		}
		tracker.Finish()
		time.Sleep(29 * time.Second)
		assert.Equal(t, 1, api.Calls(get), "the first poll was refused, and holds the others back")
		for r := range tracker.Results(t.Context()) {
			err := r.Err
			require.NoError(t, err)
		}
	})
}

func TestATrackedJobGetsEveryGraceOfAWait(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		updates := atomic.Int32{}
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Wait: []creatify.WaitOption{
			creatify.WithOnUpdate(func(*creatify.Job) { updates.Add(1) })}})
		defer tracker.Close()
		job := create(t, api, client, creatifytest.Life{Duration: time.Minute})
		api.Inject(creatifytest.Fault{Call: get, Status: 502, Body: "<html>", Times: 5})
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: job.ID}))
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: jobID, Kind: creatify.KindVideo}))
		tracker.Finish()
		ends := map[string]error{}
		for r := range tracker.Results(t.Context()) {
			job, err := r.Job, r.Err
			ends[idOf(t, job, err)] = err
		}
		assert.NoError(t, ends[job.ID], "bad polls do not fail a healthy job")
		assert.ErrorIs(t, ends[jobID], creatify.ErrPollsFailed)
		assert.Positive(t, updates.Load())
	})
}

func TestAJobThatIsAddedAsItIsCreatedKeepsItsTemplate(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Concurrency: 1})
		job := create(t, api, client, creatifytest.Life{Duration: time.Minute})
		require.NoError(t, tracker.Add(creatify.NewPendingJob(job, params())))
		require.NoError(t, tracker.Add(creatify.NewPendingJob(job, params())), "twice is once")
		assert.Zero(t, api.Calls(get))
		assert.ErrorIs(t, tracker.Add(creatify.NewPendingJob(&creatify.Job{}, params())), creatify.ErrInvalidParams)
		tracker.Close()
		other := *job
		other.ID = jobID
		assert.ErrorIs(t, tracker.Add(creatify.NewPendingJob(&other, params())), creatify.ErrTrackerClosed, "else its ID would be lost")
		pending := tracker.Pending()
		require.Len(t, pending, 1)
		assert.Equal(t, creatifytest.TemplateID, pending[0].TemplateID)
		assert.Equal(t, creatify.ModelStandard, pending[0].ModelVersion)

		after := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer after.Close()
		time.Sleep(10 * time.Second)
		require.NoError(t, after.Add(pending...))
		resumed := after.Pending()
		require.Len(t, resumed, 1)
		assert.WithinDuration(t, pending[0].Started, resumed[0].Started, time.Microsecond, "which a poll may have told anew")
		resumed[0].Started = pending[0].Started
		assert.Equal(t, pending, resumed)
		later := creatify.PendingJob{ID: jobID, Kind: creatify.KindPreview, Started: time.Now().Add(time.Hour)}
		require.NoError(t, after.Add([]creatify.PendingJob{later}...))
		assert.WithinDuration(t, time.Now(), after.Pending()[1].Started, 0, "none was created in the future")
		after.Finish()
		for range after.Results(t.Context()) {
		}
	})
}

func TestAJobThatIsDoneAsItIsCreatedIsHandedOverAfterOnePoll(t *testing.T) {
	const cut = `{"id":"` + jobID + `","status":"failed","failed_rea`
	for body, polls := range map[string]int{liveLike: 1, cut: 1} {
		synctest.Test(t, func(t *testing.T) {
			polled := 0
			client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				if req.Method == http.MethodPost {
					return respond(req, 201, body), nil
				}
				polled++
				return respond(req, 200, liveLike), nil
			}))
			tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
			defer tracker.Close()
			job, err := client.Jobs.CreatePreview(t.Context(), params())
			require.NoError(t, err)
			require.NoError(t, tracker.Add(creatify.NewPendingJob(job, params())))
			tracker.Finish()
			results := 0
			for r := range tracker.Results(t.Context()) {
				job, err := r.Job, r.Err
				require.NoError(t, err)
				assert.NotEmpty(t, job.Preview)
				results++
			}
			assert.Equal(t, 1, results)
			assert.Equal(t, polls, polled, "a reply that is cut is no snapshot")
		})
	}
}

func TestThePreviewAndTheVideoOfAJobAreTwoWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
		defer tracker.Close()
		job := create(t, api, client, creatifytest.Life{})
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: job.ID}))
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: job.ID, Kind: creatify.KindVideo}))
		assert.Len(t, tracker.Pending(), 2)
		tracker.Finish()
		var got []bool
		for r := range tracker.Results(t.Context()) {
			job, err := r.Job, r.Err
			require.NoError(t, err)
			got = append(got, job.VideoOutput != "")
			if len(got) == 1 {
				_, err := client.Jobs.Render(t.Context(), job.ID)
				require.NoError(t, err)
				assert.True(t, tracker.Expedite(job.ID))
			}
		}
		assert.Equal(t, []bool{false, true}, got)
		assert.False(t, tracker.Expedite(job.ID))
	})
}

func TestATrackersBadOptionsAndIDsAreReported(t *testing.T) {
	client := newClient(t, creatifytest.New(creatifytest.Config{}))
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Concurrency: -1, PollsPerSecond: -1,
		Wait: []creatify.WaitOption{creatify.WithMaxWait(0)}})
	defer tracker.Close()
	err := tracker.Add(creatify.PendingJob{ID: jobID})
	for _, want := range []string{"Concurrency", "PollsPerSecond", "WithMaxWait"} {
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, tracker.Add(creatify.NewPendingJob(&creatify.Job{ID: jobID}, params())), want)
	}
	assert.ErrorContains(t, client.Jobs.NewTracker(creatify.TrackerOptions{Concurrency: 61}).Add(creatify.PendingJob{ID: jobID}), "Concurrency: must be from 0 to 60")
	tracker = client.Jobs.NewTracker(creatify.TrackerOptions{})
	defer tracker.Close()
	assert.ErrorIs(t, tracker.Add(creatify.PendingJob{ID: ""}), creatify.ErrInvalidParams)
	assert.ErrorIs(t, tracker.Add(creatify.NewPendingJob(nil, params())), creatify.ErrInvalidParams)
	err = tracker.Add([]creatify.PendingJob{{ID: "a/b"}, {ID: "c", Kind: "poem"}, {ID: jobID}}...)
	assert.Equal(t, &creatify.ValidationError{Problems: []creatify.Problem{
		{Field: "jobs[0].id", Message: "cannot be an ID"},
		{Field: "jobs[1].kind", Message: "is neither preview nor video"},
	}}, err)
	assert.Len(t, tracker.Pending(), 1, "what is right is taken")
}

func TestATrackerWithNothingToDoRunsNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client := newClient(t, api)
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{}) // and is not closed
	job, err := client.Jobs.CreatePreview(t.Context(), params())
	require.NoError(t, err)
	require.NoError(t, tracker.Add(creatify.PendingJob{ID: job.ID}))
	for range tracker.Results(t.Context()) {
		break
	}
	// Eventually runs its condition in a goroutine of its own.
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 5*time.Second, time.Millisecond)
}

// endless answers every poll at once, about a job that runs on.
func endless() http.RoundTripper {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		id := strings.Split(req.URL.Path, "/")[3]
		return respond(req, 200, `{"id":"`+id+`","status":"running","progress":0.5}`), nil
	})
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// snapshotSize is what the last snapshot of an endless job takes, which is kept for the error of its wait.
func snapshotSize(t testing.TB, client *creatify.Client, ids []string) float64 {
	snapshots := make([]*creatify.Job, len(ids))
	before := liveHeap()
	for i, id := range ids {
		job, err := client.Jobs.Get(context.Background(), id)
		require.NoError(t, err)
		snapshots[i] = job
	}
	size := float64(liveHeap()-before) / float64(len(ids))
	runtime.KeepAlive(snapshots)
	return size
}

func TestAHundredThousandJobsTakeLittleMemoryAndFewGoroutines(t *testing.T) {
	const n = 100_000
	ids := testkit.IDs(n)
	polled := atomic.Int64{}
	answer := endless()
	client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		polled.Add(1)
		return answer.RoundTrip(req)
	}))
	snapshot := snapshotSize(t, client, ids[:n/10])
	polled.Store(0)

	goroutines, before := runtime.NumGoroutine(), liveHeap()
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Wait: []creatify.WaitOption{
		creatify.WithSchedule(creatify.FixedInterval(time.Hour)), creatify.WithMaxWait(24 * time.Hour)}})
	defer tracker.Close()
	for _, id := range ids {
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: id}))
	}
	most := 0
	require.Eventually(t, func() bool {
		most = max(most, runtime.NumGoroutine())
		return polled.Load() == n && runtime.NumGoroutine() <= goroutines+2 // this one and the dispatcher
	}, time.Minute, time.Millisecond)
	perJob := float64(liveHeap()-before)/float64(n) - snapshot
	t.Logf("%d jobs: %.0f B each beyond a last snapshot of %.0f B, %d goroutines at the most", n, perJob, snapshot, most-goroutines)
	assert.LessOrEqual(t, perJob, 512.0)
	assert.LessOrEqual(t, most-goroutines, 64)
	assert.Len(t, tracker.Pending(), n)
}
