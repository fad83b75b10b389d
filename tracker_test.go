package creatify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
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

// track returns a tracker with these jobs, which is closed with the test.
func track(t testing.TB, client *creatify.Client, options creatify.TrackerOptions, ids ...string) *creatify.Tracker {
	t.Helper()
	tracker := client.Jobs.NewTracker(options)
	t.Cleanup(tracker.Close)
	for _, id := range ids {
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: id}))
	}
	return tracker
}

// addInOrder adds jobs that end in this order.
func addInOrder(t *testing.T, tracker *creatify.Tracker, ids ...string) {
	for _, id := range ids {
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: id}))
		time.Sleep(time.Second)
	}
}

// results takes at most n results.
func results(t testing.TB, tracker *creatify.Tracker, n int) (all []creatify.Result) {
	t.Helper()
	if n == 0 {
		return nil
	}
	for r := range tracker.Results(t.Context()) {
		if all = append(all, r); len(all) == n {
			tracker.Finish() // so that the loop ends by itself, and its last result is gone
		}
	}
	return all
}

// statuses is a transport whose jobs have a status for their ID, and are done without one.
func statuses(of map[string]string) roundTrip {
	return testkit.Polled(func(id string) string {
		if status, ok := of[id]; ok {
			return status
		}
		return "done"
	})
}

var (
	allRun  = testkit.Polled(func(string) string { return "running" })
	allDone = statuses(nil)
	hourly  = []creatify.WaitOption{creatify.WithSchedule(creatify.FixedInterval(time.Hour))}
)

func TestTracker_Results(t *testing.T) {
	t.Run("yields jobs in the order of their ends", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			slow := create(t, api, client, creatifytest.Life{Duration: 5 * time.Minute})
			failed := create(t, api, client, creatifytest.Life{Duration: 2 * time.Minute, End: "failed", Reason: "no such font"})
			fast := create(t, api, client, creatifytest.Life{Duration: 20 * time.Second})
			stuck := create(t, api, client, creatifytest.Life{Duration: -1})
			tracker := track(t, client, creatify.TrackerOptions{}, slow.ID, failed.ID, stuck.ID)
			pending := creatify.NewPendingJob(fast, params())
			pending.Key = "order 7"
			require.NoError(t, tracker.Add(pending))
			tracker.Finish()
			var order []string
			for r := range tracker.Results(t.Context()) {
				order = append(order, r.ID)
				assert.Equal(t, creatify.KindPreview, r.Kind)
				assert.Zero(t, r.Deadline, "so that it can be added again")
				assert.Equal(t, r.Err == nil, r.Job != nil)
				switch r.ID {
				case failed.ID:
					assert.ErrorIs(t, r.Err, creatify.ErrJobFailed)
					assert.Equal(t, failed.ID, testkit.As[*creatify.JobError](t, r.Err).Job.ID)
				case stuck.ID:
					assert.Equal(t, []error{creatify.ErrWaitTimeout}, testkit.Matched(r.Err))
					assert.Equal(t, 24*time.Hour, waitError(t, r.Err).Elapsed.Round(time.Second))
				case fast.ID:
					assert.Equal(t, "order 7", r.Key)
					assert.Equal(t, creatifytest.TemplateID, r.TemplateID)
					assert.NotEmpty(t, r.Job.Preview)
				default:
					assert.NotEmpty(t, r.Job.Preview)
				}
			}
			assert.Equal(t, []string{fast.ID, failed.ID, slow.ID, stuck.ID}, order)
			assert.Empty(t, tracker.Pending())
		})
	})
	t.Run("keeps a result pending while the body runs, for no other loop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, allDone), creatify.TrackerOptions{}, "a")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for r := range tracker.Results(t.Context()) {
				assert.Len(t, tracker.Pending(), 1)
				assert.Zero(t, tracker.Stats().Results)
				for range tracker.Results(ctx) {
					t.Error("the result is delivered twice")
				}
				tracker.Finish()
				assert.Equal(t, "a", r.ID)
			}
			assert.Empty(t, tracker.Pending())
		})
	})
	for _, tt := range []struct {
		name  string
		leave func(*creatify.Tracker)
	}{
		{"break", func(tracker *creatify.Tracker) {
			for range tracker.Results(context.Background()) {
				break
			}
		}},
		{"return", func(tracker *creatify.Tracker) {
			for range tracker.Results(context.Background()) {
				return
			}
		}},
		{"panic", func(tracker *creatify.Tracker) {
			defer func() { recover() }()
			for range tracker.Results(context.Background()) {
				panic("the database is gone")
			}
		}},
		{"Goexit", func(tracker *creatify.Tracker) {
			var left sync.WaitGroup
			left.Go(func() {
				for range tracker.Results(context.Background()) {
					runtime.Goexit()
				}
			})
			left.Wait()
		}},
	} {
		t.Run("delivers a result again, first, after a "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tracker := track(t, newClient(t, allDone), creatify.TrackerOptions{})
				addInOrder(t, tracker, "a", "b", "c")
				for range 3 {
					tt.leave(tracker)
				}
				assert.Len(t, tracker.Pending(), 3)
				assert.Equal(t, 3, tracker.Stats().Results)
				var order []string
				for _, r := range results(t, tracker, 3) {
					order = append(order, r.ID)
				}
				assert.Equal(t, []string{"a", "b", "c"}, order)
				assert.Empty(t, tracker.Pending())
			})
		})
	}
	t.Run("delivers the second result again as the second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, allDone), creatify.TrackerOptions{})
			addInOrder(t, tracker, "a", "b", "c")
			for r := range tracker.Results(t.Context()) {
				if r.ID == "b" {
					break
				}
			}
			var order []string
			for _, r := range results(t, tracker, 2) {
				order = append(order, r.ID)
			}
			assert.Equal(t, []string{"b", "c"}, order)
		})
	})
	t.Run("lets its body add the same job, as a new wait", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			tracker := track(t, client, creatify.TrackerOptions{Wait: []creatify.WaitOption{creatify.WithMaxWait(time.Minute)}},
				create(t, api, client, creatifytest.Life{Duration: 150 * time.Second}).ID)
			start, timeouts := time.Now(), 0
			for r := range tracker.Results(t.Context()) {
				if r.Err != nil {
					timeouts++
					assert.ErrorIs(t, r.Err, creatify.ErrWaitTimeout)
					require.NoError(t, tracker.Add(r.PendingJob))
					assert.Len(t, tracker.Pending(), 1)
					continue
				}
				tracker.Finish()
				assert.GreaterOrEqual(t, time.Since(start), 150*time.Second)
			}
			assert.Equal(t, 2, timeouts)
			assert.Empty(t, tracker.Pending())
		})
	})
	t.Run("lets a body that breaks keep both waits of a job", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, allDone), creatify.TrackerOptions{}, "a")
			for r := range tracker.Results(t.Context()) {
				require.NoError(t, tracker.Add(r.PendingJob))
				break
			}
			assert.Len(t, results(t, tracker, 2), 2)
			assert.Empty(t, tracker.Pending())
		})
	})
	t.Run("lets other jobs be added while it is read", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			const chains, length = 10, 5
			tracker := track(t, client, creatify.TrackerOptions{})
			for range chains {
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{}).ID}))
			}
			seen := 0
			for r := range tracker.Results(t.Context()) {
				require.NoError(t, r.Err)
				if seen++; seen <= chains*(length-1) {
					go tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{}).ID})
					synctest.Wait()
				} else if seen == chains*length {
					tracker.Finish()
				}
			}
			assert.Equal(t, chains*length, seen)
		})
	})
	t.Run("waits for bodies elsewhere when the tracker is finished", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, allDone), creatify.TrackerOptions{}, "a")
			tracker.Finish()
			failed := make(chan struct{})
			go func() {
				defer close(failed)
				for range tracker.Results(context.Background()) {
					time.Sleep(time.Hour)
					break // the result is there again
				}
			}()
			time.Sleep(time.Minute)
			start, n := time.Now(), 0
			for range tracker.Results(t.Context()) {
				n++
			}
			assert.Equal(t, 1, n)
			assert.Equal(t, 59*time.Minute, time.Since(start))
			<-failed
		})
	})
	t.Run("delivers each result once to many loops", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, allDone), creatify.TrackerOptions{}, testkit.IDs(100)...)
			tracker.Finish()
			var loops sync.WaitGroup
			var mu sync.Mutex
			seen := make(map[string]int)
			for range 3 {
				loops.Go(func() {
					for r := range tracker.Results(t.Context()) {
						mu.Lock()
						seen[r.ID]++
						mu.Unlock()
						time.Sleep(time.Second)
					}
				})
			}
			loops.Wait()
			assert.Len(t, seen, 100)
			for id, n := range seen {
				assert.Equal(t, 1, n, id)
			}
		})
	})
	t.Run("ends with its context, and the next call continues", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			tracker := track(t, client, creatify.TrackerOptions{}, create(t, api, client, creatifytest.Life{Duration: time.Minute}).ID)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			for range tracker.Results(ctx) {
				t.Error("a result before the job's end")
			}
			assert.Len(t, tracker.Pending(), 1)
			time.Sleep(5 * time.Minute)
			for range tracker.Results(ctx) {
				t.Error("a result for a context that has ended")
			}
			assert.Len(t, results(t, tracker, 1), 1)
		})
	})
	t.Run("does not end while there are no jobs", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			tracker := track(t, client, creatify.TrackerOptions{})
			for range 2 {
				time.AfterFunc(time.Hour, func() {
					assert.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{}).ID}))
				})
				for range tracker.Results(t.Context()) {
					synctest.Wait()
					break
				}
				tracker.Remove(tracker.Pending()[0].ID, "")
			}
		})
	})
}

func TestTracker_Add(t *testing.T) {
	t.Run("leaves a tracked job unchanged", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, allRun), creatify.TrackerOptions{}, jobID)
			deadline := tracker.Pending()[0].Deadline
			time.Sleep(time.Minute)
			for _, id := range []string{jobID, strings.ToUpper(jobID), strings.ReplaceAll(jobID, "-", "")} {
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: id, Key: "again"}))
			}
			pending := tracker.Pending()
			require.Len(t, pending, 1)
			assert.Equal(t, deadline, pending[0].Deadline)
			assert.Empty(t, pending[0].Key)
			for _, id := range []string{"job-1-12", "job-11-2", "JOB-1-12"} {
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: id}))
			}
			assert.Len(t, tracker.Pending(), 4, "other IDs have one spelling each")
		})
	})
	t.Run("keeps the preview and the video of a job apart", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			job := create(t, api, client, creatifytest.Life{})
			tracker := track(t, client, creatify.TrackerOptions{}, job.ID)
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: job.ID, Kind: creatify.KindVideo}))
			assert.Len(t, tracker.Pending(), 2)
			tracker.Finish()
			var got []creatify.JobKind
			for r := range tracker.Results(t.Context()) {
				require.NoError(t, r.Err)
				if got = append(got, r.Kind); len(got) == 1 {
					_, err := client.Jobs.Render(t.Context(), job.ID)
					require.NoError(t, err)
				}
			}
			assert.Equal(t, []creatify.JobKind{creatify.KindPreview, creatify.KindVideo}, got)
		})
	})
	t.Run("first polls a young job when it is due", func(t *testing.T) {
		for _, tt := range []struct {
			name        string
			started     func(now time.Time) time.Time
			least, most time.Duration
		}{
			{"just created", func(now time.Time) time.Time { return now }, 2 * time.Second, 12 * time.Second},
			{"created an hour ago", func(now time.Time) time.Time { return now.Add(-time.Hour) }, 0, 0},
			{"created in the future", func(now time.Time) time.Time { return now.Add(time.Hour) }, 2 * time.Second, 12 * time.Second},
			{"of unknown age", func(time.Time) time.Time { return time.Time{} }, 0, 0},
		} {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				tracker := track(t, newClient(t, allDone), creatify.TrackerOptions{})
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: "a", Started: tt.started(start)}))
				require.Len(t, results(t, tracker, 1), 1)
				assert.GreaterOrEqual(t, time.Since(start), tt.least, tt.name)
				assert.LessOrEqual(t, time.Since(start), tt.most, tt.name)
			})
		}
	})
	t.Run("makes one last poll for a deadline in the past", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			polls := atomic.Int32{}
			tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				polls.Add(1)
				return statuses(map[string]string{"a": "running", "b": "done"})(req)
			})), creatify.TrackerOptions{})
			past := time.Now().Add(-time.Hour)
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: "a", Deadline: past}, creatify.PendingJob{ID: "b", Deadline: past}))
			for _, r := range results(t, tracker, 2) {
				if r.ID == "a" {
					assert.ErrorIs(t, r.Err, creatify.ErrWaitTimeout)
				} else {
					assert.NoError(t, r.Err)
				}
			}
			assert.Equal(t, int32(2), polls.Load())
		})
	})
	t.Run("reports all bad jobs at once and tracks the others", func(t *testing.T) {
		tracker := track(t, newClient(t, hangs), creatify.TrackerOptions{})
		err := tracker.Add(creatify.PendingJob{ID: "a/b"}, creatify.PendingJob{ID: jobID}, creatify.PendingJob{ID: "c", Kind: "poem"},
			creatify.PendingJob{}, creatify.PendingJob{ID: "d", Key: strings.Repeat("x", 501)})
		assert.Equal(t, []creatify.Problem{
			{Field: "jobs[0].id", Message: "cannot be an ID"},
			{Field: "jobs[2].kind", Message: "is neither preview nor video"},
			{Field: "jobs[3].id", Message: "is empty"},
			{Field: "jobs[4].key", Message: "has 501 bytes in JSON, more than 500"},
		}, problemsOf(t, err))
		assert.Len(t, tracker.Pending(), 1)
		assert.ErrorIs(t, tracker.Add(creatify.NewPendingJob(nil, params())), creatify.ErrInvalidParams)
		assert.NoError(t, tracker.Add())
	})
	t.Run("reports bad options", func(t *testing.T) {
		jobs := newClient(t, hangs).Jobs
		err := jobs.NewTracker(creatify.TrackerOptions{Concurrency: -1, PollsPerSecond: -1, Wait: []creatify.WaitOption{creatify.WithMaxWait(0)}}).
			Add(creatify.PendingJob{ID: jobID})
		var fields []string
		for _, p := range problemsOf(t, err) {
			fields = append(fields, p.Field)
		}
		assert.Equal(t, []string{"WithMaxWait", "Concurrency", "PollsPerSecond"}, fields)
		err = jobs.NewTracker(creatify.TrackerOptions{Concurrency: 61}).Add(creatify.PendingJob{ID: jobID})
		assert.ErrorContains(t, err, "Concurrency: must be from 0 to 60")
	})
	t.Run("fails after Finish and Close", func(t *testing.T) {
		for _, end := range []func(*creatify.Tracker){(*creatify.Tracker).Finish, (*creatify.Tracker).Close} {
			tracker := track(t, newClient(t, hangs), creatify.TrackerOptions{})
			end(tracker)
			err := tracker.Add(creatify.PendingJob{ID: jobID})
			assert.Equal(t, []error{creatify.ErrTrackerClosed}, testkit.Matched(err), "else its ID would be lost")
		}
	})
}

func TestTracker_Pending(t *testing.T) {
	t.Run("survives a restart", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			before := track(t, client, creatify.TrackerOptions{})
			want := make(map[string]creatify.PendingJob)
			for i := range 20 {
				job := creatify.NewPendingJob(create(t, api, client, creatifytest.Life{Duration: time.Duration(i+1) * 20 * time.Second}), params())
				job.Key, job.Trace = fmt.Sprint("order ", i), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
				require.NoError(t, before.Add(job))
			}
			for _, job := range before.Pending() {
				want[job.ID] = job
			}
			taken := 0
			for r := range before.Results(t.Context()) {
				if taken == 4 {
					break // with the fifth, which stays
				}
				taken++
				delete(want, r.ID)
			}
			time.Sleep(time.Minute) // some more end, and nobody takes their results
			before.Close()
			before.Close()
			stored, err := json.Marshal(before.Pending())
			require.NoError(t, err)
			time.Sleep(time.Minute)

			var pending []creatify.PendingJob
			require.NoError(t, json.Unmarshal(stored, &pending))
			require.Len(t, pending, len(want))
			after := track(t, client, creatify.TrackerOptions{})
			require.NoError(t, after.Add(pending...))
			for _, job := range after.Pending() {
				assert.WithinDuration(t, want[job.ID].Started, job.Started, 0)
				assert.WithinDuration(t, want[job.ID].Deadline, job.Deadline, 0)
				job.Started, job.Deadline = want[job.ID].Started, want[job.ID].Deadline
				assert.Equal(t, want[job.ID], job)
			}
			for _, r := range results(t, after, len(want)) {
				assert.NoError(t, r.Err)
				delete(want, r.ID)
			}
			assert.Empty(t, want)
		})
	})
	t.Run("keeps the deadline over restarts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start, client := time.Now(), newClient(t, allRun)
			pending := []creatify.PendingJob{{ID: "a"}}
			for range 3 {
				tracker := track(t, client, creatify.TrackerOptions{Wait: []creatify.WaitOption{creatify.WithMaxWait(time.Hour)}})
				require.NoError(t, tracker.Add(pending...))
				time.Sleep(15 * time.Minute)
				tracker.Close()
				pending = tracker.Pending()
			}
			tracker := track(t, client, creatify.TrackerOptions{})
			require.NoError(t, tracker.Add(pending...))
			assert.ErrorIs(t, results(t, tracker, 1)[0].Err, creatify.ErrWaitTimeout)
			assert.InDelta(t, time.Hour, time.Since(start), float64(time.Second))
		})
	})
	t.Run("has the oldest job first", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			tracker := track(t, client, creatify.TrackerOptions{})
			var jobs []*creatify.Job
			for range 10 {
				jobs = append(jobs, create(t, api, client, creatifytest.Life{Duration: 10 * time.Hour}))
				time.Sleep(time.Minute)
			}
			for _, job := range slices.Backward(jobs) {
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: job.ID}))
			}
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: jobs[0].ID, Kind: creatify.KindVideo}), "how old its rendering is, is not known")
			added := time.Now()
			time.Sleep(time.Second)
			pending := tracker.Pending()
			require.Len(t, pending, 11)
			for i, job := range jobs {
				assert.Equal(t, job.ID, pending[i].ID)
				assert.WithinDuration(t, job.CreatedAt, pending[i].Started, 0)
			}
			assert.WithinDuration(t, added, pending[10].Started, 0)
		})
	})
}

func TestTracker_Remove(t *testing.T) {
	t.Run("stops the polls of a job", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, allRun), creatify.TrackerOptions{Wait: []creatify.WaitOption{creatify.WithMaxWait(time.Minute)}}, jobID)
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: jobID, Kind: creatify.KindVideo}))
			time.Sleep(10 * time.Second)
			tracker.Remove(strings.ToUpper(jobID), "")
			tracker.Remove("unknown", creatify.KindPreview)
			got := results(t, tracker, 1)
			require.Len(t, got, 1)
			assert.Equal(t, creatify.KindVideo, got[0].Kind, "the other wait of the job is not affected")
			assert.Empty(t, tracker.Pending())
		})
	})
	t.Run("drops a job whose poll is under way", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				time.Sleep(10 * time.Second)
				return allDone(req)
			})), creatify.TrackerOptions{}, "a", "b")
			time.Sleep(5 * time.Second)
			tracker.Remove("a", creatify.KindPreview)
			got := results(t, tracker, 1)
			require.Len(t, got, 1)
			assert.Equal(t, "b", got[0].ID)
			time.Sleep(time.Minute)
			assert.Equal(t, creatify.TrackerStats{}, tracker.Stats())
		})
	})
	t.Run("drops a job that was added again, and its earlier result", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, allDone), creatify.TrackerOptions{}, jobID)
			for r := range tracker.Results(t.Context()) {
				require.NoError(t, tracker.Add(r.PendingJob))
				break // so that the result stays
			}
			tracker.Remove(jobID, creatify.KindPreview)
			tracker.Finish()
			for r := range tracker.Results(t.Context()) {
				t.Errorf("a result of %s", r.ID)
			}
		})
	})
	t.Run("drops a result that nobody has taken", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, allDone), creatify.TrackerOptions{})
			addInOrder(t, tracker, "a", "b")
			tracker.Remove("a", creatify.KindPreview)
			got := results(t, tracker, 1)
			require.Len(t, got, 1)
			assert.Equal(t, "b", got[0].ID)
		})
	})
	t.Run("does not affect a result in the body of a loop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, allDone), creatify.TrackerOptions{}, "a")
			for r := range tracker.Results(t.Context()) {
				tracker.Remove(r.ID, r.Kind)
				break
			}
			assert.Len(t, results(t, tracker, 1), 1, "it is delivered again")
		})
	})
	t.Run("ends the loops of a finished tracker with its last job", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, allRun), creatify.TrackerOptions{}, "a")
			tracker.Finish()
			time.AfterFunc(time.Minute, func() { tracker.Remove("a", creatify.KindPreview) })
			start := time.Now()
			for range tracker.Results(t.Context()) {
				t.Error("a result of a removed job")
			}
			assert.Equal(t, time.Minute, time.Since(start))
		})
	})
}

func TestTracker_Stats(t *testing.T) {
	t.Run("counts jobs, polls and results", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				time.Sleep(10 * time.Second)
				return statuses(map[string]string{"c": "running"})(req)
			})), creatify.TrackerOptions{Concurrency: 2, Wait: hourly}, "a", "b", "c")
			time.Sleep(5 * time.Second)
			assert.Equal(t, creatify.TrackerStats{Waiting: 3, Polling: 2}, tracker.Stats())
			time.Sleep(time.Minute)
			assert.Equal(t, creatify.TrackerStats{Waiting: 1, Results: 2}, tracker.Stats())
			for range tracker.Results(t.Context()) {
				assert.Equal(t, creatify.TrackerStats{Waiting: 1, Results: 1}, tracker.Stats(), "the result in the body is not counted")
				break
			}
		})
	})
	t.Run("has the last error while all polls fail", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				if time.Since(start) < 10*time.Minute {
					return respond(req, 503, ""), nil
				}
				return allRun(req)
			})), creatify.TrackerOptions{})
			for _, id := range testkit.IDs(20) {
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: id, Started: start.Add(-time.Minute)}))
			}
			time.Sleep(5 * time.Minute)
			stats := tracker.Stats()
			assert.Equal(t, start, stats.FailingSince)
			assert.Equal(t, 503, testkit.As[*creatify.APIError](t, stats.Err).StatusCode)
			time.Sleep(6 * time.Minute)
			stats = tracker.Stats()
			assert.Zero(t, stats.FailingSince)
			assert.NoError(t, stats.Err)
			assert.Equal(t, 20, stats.Waiting)
		})
	})
}

func TestTracker_Expedite(t *testing.T) {
	t.Run("polls one job now", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start, polls := time.Now(), atomic.Int32{}
			tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				polls.Add(1)
				if time.Since(start) > time.Minute {
					return allDone(req)
				}
				return allRun(req)
			})), creatify.TrackerOptions{Wait: hourly}, jobID, "other")
			time.AfterFunc(61*time.Second, func() { assert.True(t, tracker.Expedite(strings.ToUpper(jobID))) })
			for r := range tracker.Results(t.Context()) {
				require.NoError(t, r.Err)
				assert.Equal(t, jobID, r.ID)
				assert.Equal(t, 61*time.Second, time.Since(start))
				assert.False(t, tracker.Expedite(jobID), "its wait is over")
				assert.False(t, tracker.Expedite("unknown"))
				assert.Equal(t, int32(3), polls.Load())
				break
			}
		})
	})
	t.Run("polls a job at most once a second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var tracker *creatify.Tracker
			polls := atomic.Int32{}
			tracker = track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				polls.Add(1)
				return allRun(req)
			})), creatify.TrackerOptions{Wait: append(hourly, creatify.WithOnUpdate(func(job *creatify.Job) { tracker.Expedite(job.ID) }))})
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: "a"}))
			for range 1000 {
				time.Sleep(10 * time.Millisecond)
				tracker.Expedite("a")
			}
			assert.InDelta(t, 11, polls.Load(), 1)
		})
	})
	t.Run("is not lost during a poll", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start, polls := time.Now(), atomic.Int32{}
			tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				if polls.Add(1) == 1 {
					time.Sleep(15 * time.Second)
					return allRun(req)
				}
				return allDone(req)
			})), creatify.TrackerOptions{Wait: hourly}, "a")
			time.AfterFunc(11*time.Second, func() { assert.True(t, tracker.Expedite("a")) })
			require.Len(t, results(t, tracker, 1), 1)
			assert.Equal(t, 15*time.Second, time.Since(start))
		})
	})
	t.Run("does not starve other jobs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, statuses(map[string]string{"a": "running"})), creatify.TrackerOptions{PollsPerSecond: 1, Concurrency: 1}, "a")
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
				assert.Equal(t, "b", r.ID)
				break
			}
			assert.Less(t, time.Since(start), 10*time.Second)
			stop()
			time.Sleep(time.Second)
		})
	})
	t.Run("does not end a wait in an outage", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				if time.Since(start) < 2500*time.Millisecond {
					return respond(req, 503, ""), nil
				}
				return allDone(req)
			})), creatify.TrackerOptions{}, "x")
			go func() {
				for range 30 {
					time.Sleep(50 * time.Millisecond)
					tracker.Expedite("x")
				}
			}()
			assert.NoError(t, results(t, tracker, 1)[0].Err)
		})
	})
	t.Run("does not delay the last poll", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				time.Sleep(50 * time.Millisecond)
				if time.Since(start) > 9500*time.Millisecond {
					return allDone(req)
				}
				return allRun(req)
			})), creatify.TrackerOptions{Wait: []creatify.WaitOption{creatify.WithMaxWait(10 * time.Second)}}, "a")
			for _, at := range []time.Duration{9010 * time.Millisecond, 9030 * time.Millisecond} { // the second in the poll of the first
				time.AfterFunc(at, func() { tracker.Expedite("a") })
			}
			assert.NoError(t, results(t, tracker, 1)[0].Err)
		})
	})
}

func TestTracker_Close(t *testing.T) {
	t.Run("stops at once and loses nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			polls := atomic.Int32{}
			tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				polls.Add(1)
				if path.Base(req.URL.Path) == "slow" {
					return hangs(req)
				}
				return allRun(req)
			})), creatify.TrackerOptions{}, "slow", "other")
			time.Sleep(10 * time.Second)
			before, start := polls.Load(), time.Now()
			assert.Greater(t, before, int32(1))
			tracker.Close()
			assert.Zero(t, time.Since(start), "a poll under way is ended")
			assert.Len(t, tracker.Pending(), 2)
			time.Sleep(2 * time.Hour)
			assert.Equal(t, before, polls.Load())
		})
	})
	for _, tt := range []struct {
		name string
		end  func(*creatify.Tracker)
		jobs int
		want int // results
	}{
		{"Finish without a job", (*creatify.Tracker).Finish, 0, 0},
		{"Finish with a job", (*creatify.Tracker).Finish, 1, 1},
		{"Close without a job", (*creatify.Tracker).Close, 0, 0},
		{"Close with a job", (*creatify.Tracker).Close, 1, 0},
	} {
		t.Run("ends all loops, as does "+tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				tracker := track(t, client, creatify.TrackerOptions{})
				for range tt.jobs {
					require.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{Duration: time.Minute}).ID}))
				}
				var loops sync.WaitGroup
				got := atomic.Int32{}
				for range 3 {
					loops.Go(func() {
						for range tracker.Results(t.Context()) {
							got.Add(1)
						}
					})
				}
				synctest.Wait()
				tt.end(tracker)
				loops.Wait()
				assert.Equal(t, tt.want, int(got.Load()))
			})
		})
	}
	t.Run("is not needed to end the goroutines once no job is left", func(t *testing.T) {
		before := runtime.NumGoroutine()
		tracker := newClient(t, allDone).Jobs.NewTracker(creatify.TrackerOptions{}) // and is not closed
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: "a"}))
		require.Len(t, results(t, tracker, 1), 1)
		// Eventually runs its condition in a goroutine of its own.
		assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, time.Minute, time.Millisecond)
	})
}

func TestTrackerDeadline(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rate   float64
		server http.RoundTripper
	}{
		{"with few polls a second", 1, allRun},
		{"with next to none", 1e-9, allRun},
		{"with 429 all the time", 0, says(429, `{"detail": "Expected available in 60 seconds."}`)},
		{"in an outage", 0, says(503, "")},
	} {
		t.Run("comes in time however long the queue "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var most atomic.Int64 // goroutines
				hooks := creatify.Hooks{WaitEnd: func(context.Context, creatify.WaitEnd) {
					for n, old := int64(runtime.NumGoroutine()), most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
					}
				}}
				tracker := track(t, newClient(t, tt.server, creatify.WithHooks(hooks)), creatify.TrackerOptions{PollsPerSecond: tt.rate,
					Wait: []creatify.WaitOption{creatify.WithMaxWait(65 * time.Second)}})
				for _, id := range testkit.IDs(1000) {
					require.NoError(t, tracker.Add(creatify.PendingJob{ID: id, Started: time.Now()}))
				}
				start := time.Now()
				for _, r := range results(t, tracker, 1000) {
					require.Equal(t, []error{creatify.ErrWaitTimeout}, testkit.Matched(r.Err))
				}
				assert.Equal(t, 65*time.Second, time.Since(start))
				assert.Less(t, most.Load(), int64(100), "goroutines, however many deadlines come at once")
			})
		})
	}
	for _, tt := range []struct {
		name   string
		server roundTrip
		opts   []creatify.WaitOption
	}{
		{"in a slow callback", allRun, []creatify.WaitOption{creatify.WithOnUpdate(func(*creatify.Job) { time.Sleep(3 * time.Second) })}},
		{"in a poll that obeys no context", func(req *http.Request) (*http.Response, error) {
			time.Sleep(5 * time.Second)
			return allRun(req)
		}, nil},
	} {
		t.Run("is not missed "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tracker := track(t, newClient(t, tt.server), creatify.TrackerOptions{Wait: append(tt.opts, creatify.WithMaxWait(2*time.Second))}, "a")
				assert.ErrorIs(t, results(t, tracker, 1)[0].Err, creatify.ErrWaitTimeout)
				assert.Empty(t, tracker.Pending())
			})
		})
	}
	t.Run("ends a wait once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, allRun), creatify.TrackerOptions{Wait: []creatify.WaitOption{creatify.WithMaxWait(2 * time.Hour)}})
			for _, id := range []string{"a", "b"} { // b keeps the tracker at work
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: id}))
				time.Sleep(119 * time.Minute)
			}
			var order []string
			for _, r := range results(t, tracker, 2) {
				assert.ErrorIs(t, r.Err, creatify.ErrWaitTimeout)
				order = append(order, r.ID)
			}
			assert.Equal(t, []string{"a", "b"}, order)
		})
	})
}

func TestTrackerRate(t *testing.T) {
	t.Run("is shared by all jobs, and none starves", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			const jobs, perSecond = 200, 4 // the ideal schedule would want more
			tracker := track(t, client, creatify.TrackerOptions{PollsPerSecond: perSecond, Concurrency: 4})
			for range jobs {
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: create(t, api, client, creatifytest.Life{Duration: 3 * time.Minute}).ID}))
			}
			tracker.Finish()
			start, last := time.Now(), time.Duration(0)
			for r := range tracker.Results(t.Context()) {
				require.NoError(t, r.Err)
				last = time.Since(start)
			}
			assert.LessOrEqual(t, float64(api.Calls(get)), perSecond*last.Seconds()+4)
			assert.Less(t, last, 5*time.Minute, "one round of all jobs takes 50 s")
		})
	})
	t.Run("is held for all jobs by a 429, and once by a burst of them", func(t *testing.T) {
		for _, concurrency := range []int{1, 16} {
			synctest.Test(t, func(t *testing.T) {
				start, polls := time.Now(), atomic.Int32{}
				tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
					time.Sleep(100 * time.Millisecond)
					if polls.Add(1) <= int32(concurrency) {
						return respond(req, 429, "", "Retry-After", "30"), nil
					}
					return allDone(req)
				})), creatify.TrackerOptions{Concurrency: concurrency}, testkit.IDs(50)...)
				time.Sleep(29 * time.Second)
				assert.Equal(t, concurrency, int(polls.Load()))
				for _, r := range results(t, tracker, 50) {
					assert.NoError(t, r.Err)
				}
				assert.Less(t, time.Since(start), 50*time.Second)
			})
		}
	})
	t.Run("is not held by a job's own 503", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ids := testkit.IDs(50)
			tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				if path.Base(req.URL.Path) == ids[0] {
					return respond(req, 503, "", "Retry-After", "30"), nil
				}
				return allDone(req)
			})), creatify.TrackerOptions{Concurrency: 1}, ids...)
			synctest.Wait()
			assert.Equal(t, 49, tracker.Stats().Results)
		})
	})
	t.Run("survives a 429 that comes late beside a success", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			polls := atomic.Int32{}
			tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				switch id := path.Base(req.URL.Path); {
				case polls.Add(1) > 3:
					return allDone(req)
				case id == "b": // of three polls under way together, the second succeeds between two that are refused
					time.Sleep(2 * time.Second)
					return allRun(req)
				case id == "c":
					time.Sleep(3 * time.Second)
				}
				return respond(req, 429, ""), nil
			})), creatify.TrackerOptions{}, "a", "b", "c")
			for _, r := range results(t, tracker, 3) {
				assert.NoError(t, r.Err)
			}
		})
	})
}

func TestTrackerFailedPolls(t *testing.T) {
	t.Run("end no wait for a healthy job, and refusals end their own job only", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			job := create(t, api, client, creatifytest.Life{Duration: time.Minute})
			api.Inject(creatifytest.Fault{Call: get, Status: 502, Body: "<html>", Times: 5})
			tracker := track(t, client, creatify.TrackerOptions{}, job.ID, jobID)
			for _, r := range results(t, tracker, 2) {
				if r.ID == job.ID {
					assert.NoError(t, r.Err)
				} else {
					assert.Equal(t, []error{creatify.ErrPollsFailed}, testkit.Matched(r.Err))
					assert.ErrorIs(t, waitError(t, r.Err).LastPollErr, creatify.ErrNotFound)
				}
			}
		})
	})
	t.Run("one stray 404 ends nothing", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			api.Inject(creatifytest.Fault{Call: get, Status: 404, Body: testkit.NoSuchJob})
			tracker := track(t, client, creatify.TrackerOptions{}, create(t, api, client, creatifytest.Life{}).ID)
			assert.NoError(t, results(t, tracker, 1)[0].Err)
		})
	})
	t.Run("one job that is denied ends when others are not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				if path.Base(req.URL.Path) == "foreign" {
					return respond(req, 403, denied), nil
				}
				return allRun(req)
			})), creatify.TrackerOptions{}, "foreign", "a", "b")
			for r := range tracker.Results(t.Context()) {
				assert.Equal(t, "foreign", r.ID)
				assert.ErrorIs(t, r.Err, creatify.ErrPollsFailed)
				assert.ErrorIs(t, waitError(t, r.Err).LastPollErr, creatify.ErrUnauthorized)
				break
			}
		})
	})
}

func TestTrackerCallbacks(t *testing.T) {
	t.Run("see each change of a job and may change it", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			var seen []creatify.Status
			tracker := track(t, client, creatify.TrackerOptions{Wait: []creatify.WaitOption{creatify.WithOnUpdate(func(job *creatify.Job) {
				seen = append(seen, job.Status)
				job.Status = "changed by the callback"
			})}}, create(t, api, client, creatifytest.Life{Steps: []creatifytest.Step{
				{At: time.Minute, Status: "running"}, {At: 2 * time.Minute, Status: "done", Progress: 1}}}).ID)
			r := results(t, tracker, 1)[0]
			assert.Equal(t, []creatify.Status{"pending", "running", "done"}, seen)
			assert.Equal(t, creatify.StatusDone, r.Job.Status)
			assert.NotEmpty(t, r.Job.RawJSON(), "the job of a result is whole")
			assert.NotEmpty(t, r.Job.Variables)
		})
	})
	t.Run("may use the tracker", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var tracker *creatify.Tracker // which the callbacks use
			tracker = track(t, newClient(t, allRun), creatify.TrackerOptions{Wait: []creatify.WaitOption{
				creatify.WithOnUpdate(func(*creatify.Job) {
					tracker.Pending()
					tracker.Stats()
					tracker.Expedite("x")
					tracker.Add(creatify.PendingJob{ID: "y"})
					tracker.Remove("z", "")
				}),
				creatify.WithSchedule(func(time.Duration, int) time.Duration { return time.Duration(len(tracker.Pending())) * time.Minute }),
			}})
			require.NoError(t, tracker.Add(creatify.PendingJob{ID: "x"}))
			time.Sleep(5 * time.Minute)
			assert.Len(t, tracker.Pending(), 2)
		})
	})
	t.Run("that never return do not lose a job", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			calls := atomic.Int32{}
			tracker := track(t, newClient(t, allDone), creatify.TrackerOptions{Concurrency: 1, Wait: []creatify.WaitOption{
				creatify.WithOnUpdate(func(*creatify.Job) {
					if calls.Add(1) == 1 {
						runtime.Goexit() // as a test's FailNow does
					}
				})}}, "a", "b")
			assert.Len(t, results(t, tracker, 2), 2)
		})
	})
	t.Run("and methods may run during polls", func(t *testing.T) { // for -race
		synctest.Test(t, func(t *testing.T) {
			born := time.Now().Add(-time.Minute).Format(time.RFC3339)
			tracker := track(t, newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				return respond(req, 200, `{"id":"`+path.Base(req.URL.Path)+`","status":"running","created_at":"`+born+`"}`), nil
			})), creatify.TrackerOptions{})
			for _, id := range testkit.IDs(200) {
				require.NoError(t, tracker.Add(creatify.PendingJob{ID: id}))
				tracker.Pending()
				tracker.Stats()
				tracker.Expedite(id)
			}
			job := &creatify.Job{ID: "mine", Status: creatify.StatusPending}
			require.NoError(t, tracker.Add(creatify.NewPendingJob(job, params())))
			*job = creatify.Job{}
		})
	})
}

func TestTrackerMemory(t *testing.T) {
	t.Run("is at most 512 B a job beyond its last snapshot", func(t *testing.T) {
		const n = 100_000
		ids := testkit.IDs(n)
		polled := atomic.Int64{}
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			polled.Add(1)
			return allRun(req)
		}))
		snapshot := snapshotSize(ids)
		goroutines, before := runtime.NumGoroutine(), liveHeap()
		tracker := track(t, client, creatify.TrackerOptions{Wait: hourly}, ids...)
		most := 0
		require.Eventually(t, func() bool {
			most = max(most, runtime.NumGoroutine())
			return polled.Load() == n && runtime.NumGoroutine() <= goroutines+2 // this one and the dispatcher
		}, 9*time.Minute, time.Millisecond)
		perJob := float64(liveHeap()-before)/float64(n) - snapshot
		t.Logf("%d jobs: %.0f B each beyond a last snapshot of %.0f B; at most %d goroutines", n, perJob, snapshot, most-goroutines)
		assert.LessOrEqual(t, perJob, 512.0)
		assert.LessOrEqual(t, most-goroutines, 64)
		assert.Equal(t, n, tracker.Stats().Waiting)
		took := func(read func()) time.Duration {
			start := time.Now()
			read()
			return time.Since(start)
		}
		stats, pending := time.Hour, took(func() { tracker.Pending() })
		for range 100 { // the best of them counts, since others may use the machine
			stats = min(stats, took(func() { tracker.Stats() }))
		}
		assert.Less(t, 1000*stats, pending, "Stats takes constant time, unlike Pending")
	})
	t.Run("keeps no responses and variables", func(t *testing.T) {
		const n, size = 500, 16 << 10
		polled, variable := atomic.Int64{}, strings.Repeat("x", size)
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			defer polled.Add(1)
			return respond(req, 200, `{"id":"`+path.Base(req.URL.Path)+`","status":"running","variables":{"a":"`+variable+`"}}`), nil
		}))
		before := liveHeap()
		tracker := track(t, client, creatify.TrackerOptions{Wait: hourly}, testkit.IDs(n)...)
		require.Eventually(t, func() bool { return polled.Load() == n && tracker.Stats().Polling == 0 }, time.Minute, time.Millisecond)
		assert.Less(t, liveHeap()-before, uint64(n*size/4))
	})
}
