package creatify_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inBubble runs a test in virtual time with a fake of its own.
func inBubble(t *testing.T, f func(*testing.T, *creatifytest.API, *creatify.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		f(t, api, newClient(t, api))
	})
}

const get = creatifytest.CallGetJob

func waitError(t *testing.T, err error) *creatify.WaitError {
	t.Helper()
	e, ok := errors.AsType[*creatify.WaitError](err)
	require.True(t, ok, "a *WaitError, not %v", err)
	return e
}

func TestPreviewEndsWithThePreview(t *testing.T) {
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
		assert.Less(t, api.Calls(get), 15, "polls")
	})
}

func TestAPreviewThatIsReadyAtOnceIsNotPolledFor(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		api.NextJob(creatifytest.Life{Duration: 1})
		api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Body: liveLike})
		job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
		require.NoError(t, err)
		assert.Equal(t, jobID, job.ID)
		assert.Zero(t, api.Calls(get))
	})
}

func TestAJobThatEndsBadlySaysWhy(t *testing.T) {
	for _, tt := range []struct {
		end, reason string
		is, not     error
		message     string
	}{
		{"failed", "the image could not be fetched", creatify.ErrJobFailed, creatify.ErrJobRejected, "failed: the image could not be fetched"},
		{"rejected", "content policy", creatify.ErrJobRejected, creatify.ErrJobFailed, "rejected: content policy"},
		{"failed", "", creatify.ErrJobFailed, creatify.ErrJobRejected, "failed: no reason given"},
	} {
		t.Run(tt.message, func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				api.NextJob(creatifytest.Life{End: tt.end, Reason: tt.reason})
				job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
				assert.Nil(t, job)
				require.ErrorIs(t, err, tt.is)
				assert.NotErrorIs(t, err, tt.not)
				ended, ok := errors.AsType[*creatify.JobError](err)
				require.True(t, ok)
				assert.Equal(t, api.Jobs()[0], ended.Job.ID)
				assert.Equal(t, tt.reason, ended.Job.FailedReason)
				assert.ErrorContains(t, err, ended.Job.ID+": "+tt.message)
				assert.ErrorContains(t, err, "1 credits used")
			})
		})
	}
}

func TestOnCreatedComesBeforeAnyWaiting(t *testing.T) {
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
		assert.Equal(t, job.ID, stored, "the callback's job is its own")
	})
}

func TestOnUpdateSeesEachChangeOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		api.NextJob(creatifytest.Life{Steps: []creatifytest.Step{
			{At: time.Minute, Status: "running", Progress: 0.5},
			{At: 3 * time.Minute, Status: "running", Progress: 0.7},
			{At: 5 * time.Minute, Status: "done", Progress: 1},
		}})
		var seen []float64
		_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithOnUpdate(func(job *creatify.Job) {
			seen = append(seen, job.Progress)
			job.Progress = 17
		}))
		require.NoError(t, err)
		assert.Equal(t, []float64{0, 0.5, 0.7, 1}, seen, "the first is the reply to the create")
		assert.Greater(t, api.Calls(get), 3)
	})
}

func TestOnUpdateSeesTheFirstSnapshotOfAResumedWait(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		job, err := client.Jobs.CreatePreview(t.Context(), params())
		require.NoError(t, err)
		time.Sleep(time.Hour)
		var seen []creatify.Status
		start := time.Now()
		_, err = client.Jobs.WaitForPreview(t.Context(), job.ID, creatify.WithOnUpdate(func(job *creatify.Job) { seen = append(seen, job.Status) }))
		require.NoError(t, err)
		assert.Equal(t, []creatify.Status{creatify.StatusDone}, seen)
		assert.Zero(t, time.Since(start), "a wait for a job that exists begins with a poll")
	})
}

func TestAWaitEndsByItself(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		api.NextJob(creatifytest.Life{Duration: -1})
		start := time.Now()
		job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
		assert.Nil(t, job)
		assert.Equal(t, 30*time.Minute-100*time.Millisecond, time.Since(start), "by default after 30 minutes, with the last poll")
		require.ErrorIs(t, err, creatify.ErrWaitTimeout)
		assert.NotErrorIs(t, err, context.DeadlineExceeded, "the caller set no deadline")
		e := waitError(t, err)
		assert.Equal(t, api.Jobs()[0], e.JobID)
		assert.Equal(t, creatify.StatusRunning, e.Last.Status)
		assert.Equal(t, api.Calls(get), e.Polls)
		assert.Equal(t, 30*time.Minute-100*time.Millisecond, e.Elapsed)
		for _, want := range []string{e.JobID, "29m59.9s", "last seen running", "wait for the same ID again"} {
			assert.ErrorContains(t, err, want)
		}
		assert.Less(t, e.Polls, 120, "the first half of a minute has ten of them")
		assert.Equal(t, 1.0, api.Charged())
	})
}

func TestTheLastPollIsFittedBeforeTheDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		for i := range 50 { // the job ends a second before the wait does, wherever the schedule stands
			wait := 20*time.Second + time.Duration(i)*7*time.Second
			api.NextJob(creatifytest.Life{Duration: wait - time.Second})
			_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithMaxWait(wait))
			require.NoError(t, err, "a wait of %v", wait)
		}
	})
}

func TestTheLastPollIsFittedInHoweverSlowPollsAre(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		api.Inject(creatifytest.Fault{Call: get, Delay: 2 * time.Second, Times: -1})
		for i := range 50 {
			wait := 20*time.Second + time.Duration(i)*7*time.Second
			api.NextJob(creatifytest.Life{Duration: wait - 5*time.Second})
			_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithMaxWait(wait))
			require.NoError(t, err, "a wait of %v", wait)
		}
		job := create(t, api, client, creatifytest.Life{Duration: 50 * time.Second})
		_, err := client.Jobs.WaitForPreview(t.Context(), job.ID, creatify.WithMaxWait(time.Minute),
			creatify.WithSchedule(creatify.FixedInterval(time.Hour)))
		require.NoError(t, err, "after one that took as long")
	})
}

func TestAPollThatTheWaitsEndCutsOffIsNoBadPoll(t *testing.T) {
	hang := roundTrip(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	})
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, hang)
		start := time.Now()
		_, err := client.Jobs.WaitForPreview(t.Context(), jobID, creatify.WithMaxWait(10*time.Second), creatify.WithMaxPollErrors(1))
		assert.ErrorIs(t, err, creatify.ErrWaitTimeout, "it says nothing about the job")
		assert.Equal(t, 10*time.Second, time.Since(start))
		assert.Equal(t, jobID, waitError(t, err).JobID)

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err = client.Jobs.WaitForPreview(ctx, jobID, creatify.WithMaxPollErrors(1))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, jobID, waitError(t, err).JobID)
		assert.NoError(t, waitError(t, err).LastPollErr)
	})
}

func TestAResultThatComesAsTheContextEndsIsTheResult(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		cancel()
		return respond(req, 200, liveLike), nil
	}))
	job, err := client.Jobs.WaitForPreview(ctx, jobID)
	require.NoError(t, err)
	assert.NotEmpty(t, job.Preview)
}

func TestTheContextEndsAWaitAtOnce(t *testing.T) {
	why := errors.New("shutting down")
	for name, slow := range map[string]time.Duration{"between two polls": 0, "in the middle of a poll": time.Hour} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				api.Inject(creatifytest.Fault{Call: get, Delay: slow})
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(3*time.Second, func() { cancel(why) })
				start := time.Now()
				_, err := client.Jobs.CreatePreviewAndWait(ctx, params())
				assert.Equal(t, 3*time.Second, time.Since(start))
				require.ErrorIs(t, err, context.Canceled)
				assert.ErrorContains(t, err, why.Error())
				assert.NotErrorIs(t, err, why, "the cause is text only")
				assert.NotErrorIs(t, err, creatify.ErrOutcomeUnknown)
				assert.Equal(t, api.Jobs()[0], waitError(t, err).JobID)
			})
		})
	}
}

func TestTheContextsDeadlineIsNotTheWaitsOwn(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		_, err := client.Jobs.CreatePreviewAndWait(ctx, params())
		assert.Equal(t, 10*time.Second, time.Since(start))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, creatify.ErrWaitTimeout)
	})
}

func TestAContextCancelledWithTheCreateKeepsTheID(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := client.Jobs.CreatePreviewAndWait(ctx, params(), creatify.WithOnCreated(func(*creatify.Job) error { cancel(); return nil }))
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, api.Jobs()[0], waitError(t, err).JobID)
		assert.Zero(t, api.Calls(get))
	})
}

func TestBadPollsDoNotFailAHealthyJob(t *testing.T) {
	faults := map[string]creatifytest.Fault{
		"a 500":                      {Status: 500},
		"a 502 with a page":          {Status: 502, Body: "<html>"},
		"a 503 with a Retry-After":   {Status: 503, Header: http.Header{"Retry-After": {"7"}}},
		"a 429":                      {Status: 429, Body: `{"detail": "Request was throttled. Expected available in 3 seconds."}`},
		"a 429 that overflows":       {Status: 429, Header: http.Header{"Retry-After": {"99999999999999999999"}}},
		"a 404 of a proxy":           {Status: 404, Body: "<html>"},
		"a 400":                      {Status: 400, Body: `{"detail": "odd"}`},
		"a redirect to a login page": {Status: 302, Header: http.Header{"Location": {"https://login.test/"}}},
		"a lost connection":          {Drop: creatifytest.DropAfter},
		"a refused connection":       {Drop: creatifytest.Refuse},
		"a cut body before the ID":   {Cut: 4},
		"a cut body":                 {Cut: 300},
		"a page":                     {Body: "<html>Sign in</html>"},
		"an empty object":            {Body: "{}"},
		"another job":                {Body: `{"id":"someone-elses","status":"done","preview":"https://evil.test"}`},
		"a poll that hangs":          {Delay: time.Hour},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				fault.Call, fault.Times = get, 4
				if name == "a 429 that overflows" { // after which only the last poll is left
					fault.Times = 1
				}
				api.Inject(fault)
				job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
				require.NoError(t, err)
				assert.Contains(t, job.Preview, "https://app.creatify.ai/")
			})
		})
	}
}

func TestManyBadPollsInARowEndTheWait(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		api.Inject(creatifytest.Fault{Call: get, Status: 500, Times: -1})
		_, err := client.Jobs.WaitForPreview(t.Context(), jobID)
		require.ErrorIs(t, err, creatify.ErrPollsFailed)
		e := waitError(t, err)
		assert.Equal(t, 10, e.Polls, "by default after 10 for a job that nobody has seen")
		assert.Equal(t, 10, api.Calls(get), "each of which is one request")
		refusal, ok := errors.AsType[*creatify.APIError](e.LastPollErr)
		require.True(t, ok, "the last poll's error")
		assert.Equal(t, 500, refusal.StatusCode)

		_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params())
		require.ErrorIs(t, err, creatify.ErrWaitTimeout, "never for a job that was just created")
		assert.Equal(t, creatify.StatusPending, waitError(t, err).Last.Status)

		_, err = client.Jobs.WaitForPreview(t.Context(), api.Jobs()[0], creatify.WithMaxPollErrors(3))
		assert.Equal(t, 3, waitError(t, err).Polls)
		assert.Nil(t, waitError(t, err).Last)
	})
}

func TestAServersWrongClockDoesNotMakeAJobOld(t *testing.T) {
	for _, wrong := range []time.Duration{-5 * time.Hour, -time.Hour, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				status := "running"
				if time.Since(start) >= time.Minute {
					status = "done"
				}
				resp := respond(req, 200, fmt.Sprintf(`{"id":%q,"status":%q,"preview":"https://app.test/p","created_at":%q}`,
					jobID, status, start.Add(wrong).Format(time.RFC3339)))
				resp.Header.Set("Date", time.Now().Add(wrong).UTC().Format(http.TimeFormat))
				return resp, nil
			}))
			_, err := client.Jobs.WaitForPreview(t.Context(), jobID)
			require.NoError(t, err)
			assert.Less(t, time.Since(start), 80*time.Second, "off by %v", wrong)
		})
	}
}

func TestTenMinutesOfSilenceEndTheWaitForAJobThatNobodyHasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}))
		start := time.Now()
		_, err := client.Jobs.WaitForPreview(t.Context(), jobID)
		assert.ErrorIs(t, err, creatify.ErrPollsFailed)
		assert.Equal(t, 10, waitError(t, err).Polls, "which took a minute each, and the waits between them")
		assert.InDelta(t, 13*time.Minute, time.Since(start), float64(80*time.Second))
	})
}

func TestAWaitErrorTellsTheLastPollsTrouble(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		api.NextJob(creatifytest.Life{Steps: []creatifytest.Step{{At: 1, Status: "running", Progress: 0.4}}})
		api.Inject(creatifytest.Fault{Call: get, Skip: 2, Status: 502, Times: -1})
		_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithMaxWait(2*time.Minute), creatify.WithMaxPollErrors(1000))
		require.ErrorIs(t, err, creatify.ErrWaitTimeout)
		assert.ErrorContains(t, err, "; last seen running at 40 %; last poll: get job ")
		refusal, ok := errors.AsType[*creatify.APIError](waitError(t, err).LastPollErr)
		require.True(t, ok)
		assert.Equal(t, 502, refusal.StatusCode)

	})
}

func TestBadPollsThatAreNotInARowDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 10 * time.Minute}})
		polls := 0
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodGet {
				if polls++; polls%2 == 1 {
					return respond(req, 500, ""), nil
				}
			}
			return api.RoundTrip(req)
		}))
		_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithMaxPollErrors(2))
		assert.NoError(t, err)
		assert.Greater(t, polls, 10)
	})
}

func TestARefusalEndsTheWaitWhenItComesThreeTimesOverTenSeconds(t *testing.T) {
	for name, tt := range map[string]struct {
		fault creatifytest.Fault
		ends  bool
		is    error
	}{
		"401":            {creatifytest.Fault{Status: 401, Body: `{"detail": "No."}`}, true, creatify.ErrUnauthorized},
		"403":            {creatifytest.Fault{Status: 403, Body: `{"detail": "No."}`}, true, creatify.ErrUnauthorized},
		"403 by a page":  {creatifytest.Fault{Status: 403, Body: "<html>"}, false, creatify.ErrUnauthorized},
		"a real 404":     {creatifytest.Fault{Status: 404, Body: `{"detail": "No CustomTemplateJob matches the given query."}`}, true, creatify.ErrNotFound},
		"403 on credits": {creatifytest.Fault{Status: 403, Body: `{"detail": "Insufficient credits."}`}, true, creatify.ErrInsufficientCredits},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				tt.fault.Call, tt.fault.Times = get, 1
				api.Inject(tt.fault)
				_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
				require.NoError(t, err, "one ends nothing")
				tt.fault.Times = -1
				api.Inject(tt.fault)
				start := time.Now()
				_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithSchedule(creatify.FixedInterval(time.Second)))
				if !tt.ends {
					assert.ErrorIs(t, err, creatify.ErrWaitTimeout)
					return
				}
				assert.ErrorIs(t, err, creatify.ErrPollsFailed)
				assert.ErrorIs(t, waitError(t, err).LastPollErr, tt.is)
				assert.GreaterOrEqual(t, waitError(t, err).Polls, 3)
				assert.InDelta(t, 13*time.Second, time.Since(start), float64(3*time.Second))
			})
		})
	}
}

func TestAJobThatWasJustCreatedMayBeUnknownForAWhile(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		notFound := creatifytest.Fault{Call: get, Status: 404, Body: `{"detail": "No CustomTemplateJob matches the given query."}`, Times: 2}
		api.Inject(notFound)
		_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
		require.NoError(t, err)

		notFound.Times = -1
		api.Inject(notFound)
		start := time.Now()
		_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params())
		assert.ErrorIs(t, err, creatify.ErrPollsFailed)
		assert.ErrorIs(t, waitError(t, err).LastPollErr, creatify.ErrNotFound)
		assert.InDelta(t, 20*time.Second, time.Since(start), float64(10*time.Second), "but not for long")
	})
}

func TestAnOddIDIsWaitedForAndPrintedSafely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const odd = "a b/\u0007\u001b[31m"
		polls := 0
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodGet {
				assert.Equal(t, "/api/custom_template_jobs/a%20b%2F%07%1B%5B31m/", req.URL.EscapedPath())
				polls++
			}
			return respond(req, 201, `{"id":"a b/\u0007\u001b[31m","status":"run\u001bning"}`), nil
		}))
		_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
		assert.ErrorIs(t, err, creatify.ErrWaitTimeout, "a job that was paid for is not an invalid parameter")
		assert.Equal(t, odd, waitError(t, err).JobID)
		assert.NotContains(t, err.Error(), "\x1b")
		assert.Greater(t, polls, 10)
	})
}

func TestAWaitErrorSaysWhatToDo(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		_, err := client.Jobs.WaitForPreview(t.Context(), jobID)
		assert.ErrorContains(t, err, "and 4 polls; last poll: ")
		assert.ErrorContains(t, err, "check the ID and the key")
		api.Inject(creatifytest.Fault{Status: 401, Body: `{"detail": "No."}`, Times: -1})
		_, err = client.Jobs.WaitForPreview(t.Context(), jobID)
		assert.ErrorContains(t, err, "check the API ID and key, then wait for the same ID again")
	})
}

func TestDoneWithoutAPreview(t *testing.T) {
	late := func(after time.Duration) creatifytest.Life {
		created := time.Now()
		return creatifytest.Life{Duration: 10 * time.Second, Reply: func(job map[string]any) {
			if time.Since(created) < after {
				job["preview"] = nil
			}
		}}
	}
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		api.NextJob(late(40 * time.Second))
		job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
		require.NoError(t, err, "it may come late")
		assert.NotEmpty(t, job.Preview)

		api.NextJob(creatifytest.Life{Duration: 5 * time.Minute, Reply: late(5*time.Minute + 20*time.Second).Reply})
		start := time.Now()
		_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params())
		require.NoError(t, err, "the grace begins when the job is done")
		assert.LessOrEqual(t, time.Since(start), 5*time.Minute+26*time.Second, "and a job that is done is looked at often")

		created := time.Now()
		api.NextJob(creatifytest.Life{Duration: 10 * time.Second, Reply: func(job map[string]any) {
			switch age := time.Since(created); {
			case age > 50*time.Second && age < 4*time.Minute:
				job["status"] = "running"
			case age < 4*time.Minute+20*time.Second:
				job["preview"] = nil
			}
		}})
		_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params())
		require.NoError(t, err, "the grace begins anew when the job goes on meanwhile")

		api.NextJob(late(time.Hour))
		start = time.Now()
		_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params())
		require.ErrorIs(t, err, creatify.ErrNoOutput, "or never")
		assert.Equal(t, creatify.StatusDone, waitError(t, err).Last.Status)
		assert.InDelta(t, 80*time.Second, time.Since(start), float64(20*time.Second))
	})
}

func TestAnUnknownStatusIsPolledOn(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		api.NextJob(creatifytest.Life{Steps: []creatifytest.Step{
			{At: 1, Status: "reticulating_splines"}, {At: time.Minute, Status: ""}, {At: 2 * time.Minute, Status: "done", Progress: 1},
		}})
		job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
		require.NoError(t, err)
		assert.Equal(t, creatify.StatusDone, job.Status)
	})
}

func TestAStalledJob(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		api.NextJob(creatifytest.Life{Duration: -1})
		start := time.Now()
		_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithStallTimeout(3*time.Minute))
		require.ErrorIs(t, err, creatify.ErrStalled)
		assert.Less(t, time.Since(start), 6*time.Minute)

		api.NextJob(creatifytest.Life{Duration: 20 * time.Minute})
		_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithStallTimeout(5*time.Minute))
		assert.NoError(t, err, "a slow one is not a stalled one")

		api.NextJob(creatifytest.Life{Steps: []creatifytest.Step{{At: 2 * time.Minute, Status: "in_queue"},
			{At: 4 * time.Minute, Status: "running"}, {At: 6 * time.Minute, Status: "done", Progress: 1}}})
		_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithStallTimeout(150*time.Second))
		assert.NoError(t, err, "nor is one whose status moves")
	})
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := newClient(t, says(200, `{"id":"`+jobID+`","status":"running"}`)).Jobs.WaitForPreview(t.Context(), jobID, creatify.WithStallTimeout(7*time.Minute))
		require.ErrorIs(t, err, creatify.ErrStalled)
		assert.Equal(t, 7*time.Minute, time.Since(start), "it is told at once")
		assert.Less(t, waitError(t, err).Polls, 40, "and not for polling all the time")
	})
}

func TestARetryAfterOfAPollIsHonoured(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		api.Inject(creatifytest.Fault{Call: get, Status: 429, Header: http.Header{"Retry-After": {"45"}}})
		start := time.Now()
		_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
		require.NoError(t, err)
		assert.GreaterOrEqual(t, time.Since(start), 46*time.Second)
		assert.Equal(t, 2, api.Calls(get))
	})
}

func TestAWaitLeavesNothingRunning(t *testing.T) {
	// A bubble panics when a goroutine in it outlives its test; what is asserted here is that this one does not.
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := client.Jobs.CreatePreviewAndWait(ctx, params())
		assert.Error(t, err)
		synctest.Wait()
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
