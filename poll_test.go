package creatify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
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

const (
	running = `{"id":"` + jobID + `","status":"running"}`
	denied  = `{"detail": "No."}`
)

// hangs is a transport that never responds.
var hangs = roundTrip(func(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
})

func TestWaitForPreview(t *testing.T) {
	t.Run("begins with a poll, since nobody knows the job's age", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			job := create(t, api, client, creatifytest.Life{})
			time.Sleep(time.Hour)
			start := time.Now()
			got, err := client.Jobs.WaitForPreview(t.Context(), job.ID)
			require.NoError(t, err)
			assert.NotEmpty(t, got.Preview)
			assert.Zero(t, time.Since(start))
		})
	})
	t.Run("polls on for a status that it does not know", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			job := create(t, api, client, creatifytest.Life{Steps: []creatifytest.Step{
				{At: 1, Status: "reticulating_splines"}, {At: time.Minute, Status: ""}, {At: 2 * time.Minute, Status: "done", Progress: 1}}})
			got, err := client.Jobs.WaitForPreview(t.Context(), job.ID)
			require.NoError(t, err)
			assert.Equal(t, creatify.StatusDone, got.Status)
		})
	})
	t.Run("result wins over context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			cancel()
			return respond(req, 200, liveLike), nil
		}))
		job, err := client.Jobs.WaitForPreview(ctx, jobID)
		require.NoError(t, err)
		assert.NotEmpty(t, job.Preview)
	})
	t.Run("reads a result from malformed JSON", func(t *testing.T) {
		client := newClient(t, says(200, `{"id":"`+jobID+`","status":"done","preview":"https://app.test/p","duration":NaN}`))
		job, err := client.Jobs.WaitForPreview(t.Context(), jobID)
		require.NoError(t, err)
		assert.Equal(t, "https://app.test/p", job.Preview)
	})
	t.Run("reads no failure from truncated JSON", func(t *testing.T) {
		const whole = `{"id":"` + jobID + `","status":"failed","failed_reason":"the photo cannot be fetched"}`
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, numbered(func(req *http.Request, n int) (*http.Response, error) {
				return respond(req, 200, whole[:len(whole)-5*(n%2)]), nil
			}))
			_, err := client.Jobs.WaitForPreview(t.Context(), jobID)
			assert.ErrorContains(t, err, "the photo cannot be fetched")
		})
	})
	t.Run("is not misled by a server's wrong clock", func(t *testing.T) {
		for _, wrong := range []time.Duration{-5 * time.Hour, -time.Hour, time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
					status := "running"
					if time.Since(start) >= time.Minute {
						status = "done"
					}
					return respond(req, 200, fmt.Sprintf(`{"id":%q,"status":%q,"preview":"https://app.test/p","created_at":%q}`,
						jobID, status, start.Add(wrong).Format(time.RFC3339)), "Date", time.Now().Add(wrong).UTC().Format(http.TimeFormat)), nil
				}))
				_, err := client.Jobs.WaitForPreview(t.Context(), jobID)
				require.NoError(t, err)
				assert.Less(t, time.Since(start), 80*time.Second, "off by %v", wrong)
			})
		}
	})
	t.Run("returns the preview of a job that is not terminal after two minutes without a change", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			client := newClient(t, says(200, `{"id":"`+jobID+`","status":"pending","preview":"https://app.test/p"}`))
			job, err := client.Jobs.WaitForPreview(t.Context(), jobID)
			require.NoError(t, err)
			assert.InDelta(t, 2*time.Minute, time.Since(start), float64(2*time.Second))
			assert.False(t, job.Status.Terminal())
			over, err := job.Outcome(creatify.KindPreview)
			assert.False(t, over)
			assert.NoError(t, err)
		})
	})
	t.Run("honors a Retry-After of any length", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start, polls := time.Now(), []time.Duration(nil)
			client := newClient(t, numbered(func(req *http.Request, n int) (*http.Response, error) {
				polls = append(polls, time.Since(start))
				return respond(req, 429, "", "Retry-After", "480"), nil
			}))
			_, err := client.Jobs.WaitForPreview(t.Context(), jobID)
			require.ErrorIs(t, err, creatify.ErrWaitTimeout, "only WithMaxWait ends it")
			assert.InDelta(t, 30*time.Minute, time.Since(start), float64(time.Second))
			for i := range len(polls) - 2 {
				assert.GreaterOrEqual(t, polls[i+1]-polls[i], 8*time.Minute)
				assert.LessOrEqual(t, polls[i+1]-polls[i], 8*time.Minute+30*time.Second)
			}
			assert.InDelta(t, 30*time.Minute, polls[len(polls)-1], float64(time.Second), "the last poll comes before the deadline")
		})
	})
	t.Run("spreads the next polls of jobs that were refused together", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			second := make(chan time.Duration, 100)
			for _, id := range testkit.IDs(100) {
				client := newClient(t, numbered(func(req *http.Request, n int) (*http.Response, error) {
					if n == 2 {
						second <- time.Since(start)
					}
					return respond(req, 429, `{"detail": "Request was throttled. Expected available in 40 seconds."}`), nil
				}))
				go client.Jobs.WaitForPreview(t.Context(), id, creatify.WithMaxPollErrors(2))
			}
			first, last := time.Hour, time.Duration(0)
			for range 100 {
				at := <-second
				first, last = min(first, at), max(last, at)
			}
			assert.GreaterOrEqual(t, first, 40*time.Second, "none comes before its time")
			assert.GreaterOrEqual(t, last-first, 3*time.Second)
			assert.LessOrEqual(t, last, 50*time.Second)
		})
	})
	t.Run("puts a poll off that its limiter does not let through", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			job := create(t, api, client, creatifytest.Life{Duration: time.Hour})
			busy, err := client.With(creatify.WithLimiter(busyLimiter{[]error{errors.New("no more today")}}))
			require.NoError(t, err)
			_, err = busy.Jobs.WaitForPreview(t.Context(), job.ID, creatify.WithMaxWait(10*time.Minute))
			assert.ErrorIs(t, err, creatify.ErrWaitTimeout, "not ErrPollsFailed after ten")
			assert.ErrorContains(t, err, "polls: 0")
			assert.Zero(t, api.Calls(get))
		})
	})
	t.Run("counts no time in a rate limit's queue as silence", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var polls atomic.Int32
			client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				if polls.Add(1)%50 == 0 {
					return respond(req, 503, ""), nil
				}
				status := "running"
				if time.Since(start) > 25*time.Minute {
					status = "done"
				}
				return testkit.Polled(func(string) string { return status })(req)
			}), creatify.WithRateLimit(1.0/6, 5))
			ends := make(chan error)
			for _, id := range testkit.IDs(100) { // a turn of each takes ten minutes
				go func() {
					_, err := client.Jobs.WaitForPreview(t.Context(), id, creatify.WithMaxWait(2*time.Hour), creatify.WithStallTimeout(40*time.Minute))
					ends <- err
				}()
			}
			for range 100 {
				require.NoError(t, <-ends)
			}
		})
	})
	t.Run("leaves nothing running", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) { // which panics if a goroutine is left
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := client.Jobs.WaitForPreview(ctx, create(t, api, client, creatifytest.Life{}).ID)
			assert.Error(t, err)
		})
	})
}

func TestWaitForPreviewContext(t *testing.T) {
	why := &creatify.OutcomeUnknownError{Call: "create_preview", Err: errors.New("lost")} // as errgroup cancels with another call's error
	for _, tt := range []struct {
		name   string
		server http.RoundTripper
		end    time.Duration
		polls  int
	}{
		{"before the first poll", says(200, running), 0, 0},
		{"between two polls", says(200, running), 1500 * time.Millisecond, 1},
		{"in a poll", hangs, 3 * time.Second, 0},
	} {
		t.Run("canceled "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				start := time.Now()
				if tt.end == 0 {
					cancel(why)
				} else {
					time.AfterFunc(tt.end, func() { cancel(why) })
				}
				_, err := newClient(t, tt.server).Jobs.WaitForPreview(ctx, jobID)
				assert.Equal(t, tt.end, time.Since(start))
				e := waitError(t, err)
				assert.Equal(t, jobID, e.JobID)
				assert.Equal(t, tt.polls, e.Polls)
				assert.NoError(t, e.LastPollErr, "an end of the context is no failed poll")
				assert.Equal(t, []error{context.Canceled}, testkit.Matched(err), "the cause is no identity of this wait")
				assert.Equal(t, creatify.ChargedYes, creatify.Charged(err))
				_, ok := errors.AsType[*creatify.OutcomeUnknownError](err)
				assert.False(t, ok)
			})
		})
	}
	t.Run("deadline ends the wait with its own error", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			start := time.Now()
			_, err := newClient(t, says(401, denied)).Jobs.WaitForPreview(ctx, jobID)
			assert.Equal(t, 10*time.Second, time.Since(start))
			assert.Equal(t, []error{context.DeadlineExceeded}, testkit.Matched(err))
			assert.ErrorContains(t, err, "last poll: 401 Unauthorized", "the text names the refusal")
			assert.ErrorIs(t, waitError(t, err).LastPollErr, creatify.ErrUnauthorized)
		})
	})
	t.Run("deadline leaves time for a last poll", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, numbered(func(req *http.Request, n int) (*http.Response, error) {
				return respond(req, 200, map[bool]string{true: running, false: liveLike}[n == 1]), nil
			}))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := client.Jobs.WaitForPreview(ctx, jobID, creatify.WithSchedule(creatify.FixedInterval(time.Hour)))
			assert.NoError(t, err)
		})
	})
}

func TestWaitForPreviewFailedPolls(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault creatifytest.Fault
		times int // 4 if zero
	}{
		{name: "500", fault: creatifytest.Fault{Status: 500}},
		{name: "502 with a page", fault: creatifytest.Fault{Status: 502, Body: "<html>"}},
		{name: "503 with a Retry-After", fault: creatifytest.Fault{Status: 503, Header: http.Header{"Retry-After": {"7"}}}},
		{name: "429", fault: creatifytest.Fault{Status: 429, Body: `{"detail": "Request was throttled. Expected available in 3 seconds."}`}},
		{name: "429 with a Retry-After that overflows", fault: creatifytest.Fault{Status: 429, Header: http.Header{"Retry-After": {"99999999999999999999"}}}, times: 1},
		{name: "404 of a proxy", fault: creatifytest.Fault{Status: 404, Body: "<html>"}},
		{name: "404 of the API once", fault: creatifytest.Fault{Status: 404, Body: testkit.NoSuchJob}, times: 1},
		{name: "404 of the API in mid-wait", fault: creatifytest.Fault{Skip: 1, Status: 404, Body: testkit.NoSuchJob}, times: 1},
		{name: "401 once", fault: creatifytest.Fault{Status: 401, Body: denied}, times: 1},
		{name: "403 once", fault: creatifytest.Fault{Status: 403, Body: denied}, times: 1},
		{name: "401 without a body", fault: creatifytest.Fault{Status: 401}},
		{name: "403 with a page of a firewall", fault: creatifytest.Fault{Status: 403, Body: "<html>"}},
		{name: "400", fault: creatifytest.Fault{Status: 400, Body: `{"detail": "odd"}`}},
		{name: "redirect to a login page", fault: creatifytest.Fault{Status: 302, Header: http.Header{"Location": {"https://login.test/"}}}},
		{name: "lost connection", fault: creatifytest.Fault{Drop: creatifytest.DropAfter}},
		{name: "refused connection", fault: creatifytest.Fault{Drop: creatifytest.Refuse}},
		{name: "body truncated before the ID", fault: creatifytest.Fault{Cut: 4}},
		{name: "body truncated after the ID", fault: creatifytest.Fault{Cut: 300}},
		{name: "page instead of JSON", fault: creatifytest.Fault{Body: "<html>Sign in</html>"}},
		{name: "empty object", fault: creatifytest.Fault{Body: "{}"}},
		{name: "another job", fault: creatifytest.Fault{Body: `{"id":"someone-elses","status":"done","preview":"https://evil.test"}`}},
		{name: "poll that hangs", fault: creatifytest.Fault{Delay: time.Hour}},
	} {
		t.Run("a healthy job survives/"+tt.name, func(t *testing.T) {
			for _, known := range []bool{true, false} {
				inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
					tt.fault.Call, tt.fault.Times = get, max(tt.times, 1)
					if tt.times == 0 {
						tt.fault.Times = 4
					}
					api.Inject(tt.fault)
					var job *creatify.Job
					var err error
					if known {
						job, err = client.Jobs.CreatePreviewAndWait(t.Context(), params())
					} else {
						job, err = client.Jobs.WaitForPreview(t.Context(), create(t, api, client, creatifytest.Life{}).ID)
					}
					require.NoError(t, err)
					assert.Contains(t, job.Preview, "https://app.creatify.ai/")
				})
			}
		})
	}
	t.Run("are one request each", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			api.Inject(creatifytest.Fault{Call: get, Status: 500, Times: -1})
			_, err := client.Jobs.WaitForPreview(t.Context(), jobID, creatify.WithMaxPollErrors(3))
			assert.ErrorIs(t, err, creatify.ErrPollsFailed)
			assert.Equal(t, 3, waitError(t, err).Polls)
			assert.Equal(t, 3, api.Calls(get))
		})
	})
	t.Run("end the wait for an unseen job after ten in a row", func(t *testing.T) {
		for _, server := range []http.RoundTripper{says(500, ""), hangs} {
			synctest.Test(t, func(t *testing.T) {
				_, err := newClient(t, server).Jobs.WaitForPreview(t.Context(), jobID)
				assert.Equal(t, []error{creatify.ErrPollsFailed}, testkit.Matched(err))
				e := waitError(t, err)
				assert.Equal(t, 10, e.Polls)
				assert.Nil(t, e.Last)
				assert.Error(t, e.LastPollErr)
				assert.ErrorContains(t, err, "last poll: ")
			})
		}
	})
	t.Run("do not end the wait for a job that was read once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			client := newClient(t, numbered(func(req *http.Request, n int) (*http.Response, error) {
				if n == 1 {
					return respond(req, 200, `{"id":"`+jobID+`","status":"running","progress":0.4}`), nil
				}
				return respond(req, 502, ""), nil
			}))
			_, err := client.Jobs.WaitForPreview(t.Context(), jobID)
			assert.Equal(t, []error{creatify.ErrWaitTimeout}, testkit.Matched(err))
			assert.InDelta(t, 30*time.Minute, time.Since(start), float64(time.Second))
			assert.ErrorContains(t, err, "; last seen running at 40 %; last poll: 502 Bad Gateway")
			assert.Equal(t, 502, testkit.As[*creatify.APIError](t, waitError(t, err).LastPollErr).StatusCode)
			assert.Less(t, waitError(t, err).Polls, 120, "they slow it down")
		})
	})
	t.Run("count only in a row", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			client := newClient(t, numbered(func(req *http.Request, n int) (*http.Response, error) {
				switch {
				case n%2 == 1:
					return respond(req, 500, ""), nil
				case time.Since(start) < 10*time.Minute:
					return respond(req, 200, running), nil
				}
				return respond(req, 200, liveLike), nil
			}))
			_, err := client.Jobs.WaitForPreview(t.Context(), jobID, creatify.WithMaxPollErrors(2))
			assert.NoError(t, err)
		})
	})
}

func TestWaitForPreviewRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		is     error // of the last poll; nil if the refusals do not end the wait
		next   string
	}{
		{"401", 401, denied, creatify.ErrUnauthorized, "check the API ID and key, then wait for the same ID again"},
		{"403", 403, denied, creatify.ErrUnauthorized, "check the API ID and key, then wait for the same ID again"},
		{"404", 404, testkit.NoSuchJob, creatify.ErrNotFound, "check the ID and the key's workspace, then wait for the same ID again"},
		{"403 about credits", 403, `{"detail": "Insufficient credits."}`, creatify.ErrInsufficientCredits, "add credits to the account, then wait for the same ID again"},
		{"403 of a firewall", 403, "<html>", nil, ""},
		{"404 without a body", 404, "", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, known := range []bool{true, false} {
				synctest.Test(t, func(t *testing.T) {
					client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
						if req.Method == http.MethodPost {
							return respond(req, 201, `{"id":"`+jobID+`","status":"pending"}`), nil
						}
						return respond(req, tt.status, tt.body), nil
					}))
					start := time.Now()
					var err error
					schedule := creatify.WithSchedule(creatify.FixedInterval(time.Second))
					if known {
						_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params(), schedule)
					} else {
						_, err = client.Jobs.WaitForPreview(t.Context(), jobID, schedule)
					}
					if tt.is == nil {
						assert.ErrorIs(t, err, map[bool]error{true: creatify.ErrWaitTimeout, false: creatify.ErrPollsFailed}[known])
						assert.Greater(t, time.Since(start), time.Minute)
						return
					}
					assert.Equal(t, []error{creatify.ErrPollsFailed}, testkit.Matched(err))
					assert.GreaterOrEqual(t, waitError(t, err).Polls, 3)
					assert.InDelta(t, 13*time.Second, time.Since(start), float64(3*time.Second))
					assert.ErrorIs(t, waitError(t, err).LastPollErr, tt.is)
					assert.ErrorContains(t, err, tt.next)
					assert.NotContains(t, err.Error(), "charged", "it is a job that was paid for")
				})
			}
		})
	}
}

func TestWaitForPreviewDone(t *testing.T) {
	late := func(after time.Duration) creatifytest.Life {
		created := time.Now()
		return creatifytest.Life{Duration: 10 * time.Second, Edit: func(job map[string]any) {
			if time.Since(created) < after {
				job["preview"] = nil
			}
		}}
	}
	for _, tt := range []struct {
		name string
		life func() creatifytest.Life
		most time.Duration // the wait takes at most so long
		is   error
	}{
		{"the preview may come late", func() creatifytest.Life { return late(40 * time.Second) }, 46 * time.Second, nil},
		{"the grace begins when the job is done", func() creatifytest.Life {
			life := late(5*time.Minute + 20*time.Second)
			life.Duration = 5 * time.Minute
			return life
		}, 5*time.Minute + 26*time.Second, nil},
		{"the grace begins anew when the job is active again", func() creatifytest.Life {
			created := time.Now()
			return creatifytest.Life{Duration: 10 * time.Second, Edit: func(job map[string]any) {
				switch age := time.Since(created); {
				case age > 50*time.Second && age < 4*time.Minute:
					job["status"] = "running"
				case age < 4*time.Minute+20*time.Second:
					job["preview"] = nil
				}
			}}
		}, 5 * time.Minute, nil},
		{"without a preview it has no output", func() creatifytest.Life { return late(time.Hour) }, 100 * time.Second, creatify.ErrNoOutput},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				start := time.Now()
				_, err := client.Jobs.WaitForPreview(t.Context(), create(t, api, client, tt.life()).ID)
				assert.LessOrEqual(t, time.Since(start), tt.most)
				if tt.is == nil {
					assert.NoError(t, err)
					return
				}
				assert.Equal(t, []error{tt.is}, testkit.Matched(err))
				assert.Equal(t, creatify.StatusDone, waitError(t, err).Last.Status)
			})
		})
	}
	for _, preview := range []string{`5`, `"  "`, `"null"`, `"javascript:alert(1)"`, `"/relative"`} {
		t.Run("no preview is "+preview, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := newClient(t, says(200, `{"id":"`+jobID+`","status":"done","preview":`+preview+`}`)).Jobs.WaitForPreview(t.Context(), jobID)
				assert.ErrorIs(t, err, creatify.ErrNoOutput)
			})
		})
	}
}

func TestWaitForVideo(t *testing.T) {
	for _, lag := range []time.Duration{0, 30 * time.Second, 5 * time.Minute} {
		t.Run(fmt.Sprintf("waits through %v in which the job still reads as done", lag), func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				job := create(t, api, client, creatifytest.Life{Render: creatifytest.RenderLife{Lag: lag, Duration: lag + 4*time.Minute}})
				time.Sleep(20 * time.Second)
				_, err := client.Jobs.Render(t.Context(), job.ID)
				require.NoError(t, err)
				video, err := client.Jobs.WaitForVideo(t.Context(), job.ID)
				require.NoError(t, err)
				assert.NotEmpty(t, video.VideoOutput)
			})
		})
	}
	t.Run("has no output after 15 minutes", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			job := create(t, api, client, creatifytest.Life{}) // and never rendered
			start := time.Now()
			_, err := client.Jobs.WaitForVideo(t.Context(), job.ID)
			assert.ErrorIs(t, err, creatify.ErrNoOutput)
			assert.InDelta(t, 15*time.Minute, time.Since(start), float64(5*time.Minute))
			assert.Less(t, waitError(t, err).Polls, 70)
		})
	})
	t.Run("returns why a rendering failed", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			job := create(t, api, client, creatifytest.Life{Render: creatifytest.RenderLife{End: "failed", Reason: "no disk"}})
			time.Sleep(20 * time.Second)
			_, err := client.Jobs.Render(t.Context(), job.ID)
			require.NoError(t, err)
			_, err = client.Jobs.WaitForVideo(t.Context(), job.ID)
			assert.ErrorIs(t, err, creatify.ErrJobFailed)
		})
	})
	for _, tt := range []struct{ name, url, want string }{
		{"takes a URL with white space around it", `\nhttps://files.test/v.mp4 \n`, "https://files.test/v.mp4"},
		{"takes a URL with a malformed escape", "https://files.test/100%.mp4", "https://files.test/100%.mp4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := newClient(t, says(200, `{"id":"`+jobID+`","status":"done","video_output":"`+tt.url+`"}`))
			job, err := client.Jobs.WaitForVideo(t.Context(), jobID)
			require.NoError(t, err)
			assert.Equal(t, tt.want, job.VideoOutput)
		})
	}
}

func TestWatchPreview(t *testing.T) {
	t.Run("yields each change and the end", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			job := create(t, api, client, creatifytest.Life{Steps: []creatifytest.Step{
				{At: time.Minute, Status: "running", Progress: 0.5}, {At: 3 * time.Minute, Status: "done", Progress: 1}}})
			var seen []creatify.Status
			for snapshot, err := range client.Jobs.WatchPreview(t.Context(), job.ID) {
				require.NoError(t, err)
				seen = append(seen, snapshot.Status)
				snapshot.Status = "changed by the loop"
			}
			assert.Equal(t, []creatify.Status{"pending", "running", "done"}, seen)
		})
	})
	t.Run("yields a job's failure as one error", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			var errs []error
			for snapshot, err := range client.Jobs.WatchPreview(t.Context(), create(t, api, client, creatifytest.Life{End: "failed"}).ID) {
				assert.Equal(t, err == nil, snapshot != nil)
				assert.False(t, snapshot != nil && snapshot.Status == creatify.StatusFailed)
				errs = append(errs, err)
			}
			assert.ErrorIs(t, errs[len(errs)-1], creatify.ErrJobFailed)
			assert.NoError(t, errors.Join(errs[:len(errs)-1]...))
		})
	})
	t.Run("ends the wait when the loop is left", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			for range client.Jobs.WatchPreview(t.Context(), create(t, api, client, creatifytest.Life{}).ID) {
				break
			}
			time.Sleep(time.Hour)
			assert.Equal(t, 1, api.Calls(get))
		})
	})
	t.Run("yields bad arguments as one error", func(t *testing.T) {
		var errs []error
		for _, err := range newClient(t, hangs).Jobs.WatchPreview(t.Context(), "", creatify.WithMaxWait(0)) {
			errs = append(errs, err)
		}
		require.Len(t, errs, 1)
		assert.Len(t, problemsOf(t, errs[0]), 2)
	})
}

func TestWatchVideo(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		job := create(t, api, client, creatifytest.Life{Render: creatifytest.RenderLife{Duration: time.Minute}})
		time.Sleep(20 * time.Second)
		_, err := client.Jobs.Render(t.Context(), job.ID)
		require.NoError(t, err)
		var last *creatify.Job
		for snapshot, err := range client.Jobs.WatchVideo(t.Context(), job.ID) {
			require.NoError(t, err)
			last = snapshot
		}
		assert.NotEmpty(t, last.VideoOutput)
	})
}

func TestWithMaxWait(t *testing.T) {
	t.Run("is 30 minutes by default", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := newClient(t, says(200, running)).Jobs.WaitForPreview(t.Context(), jobID)
			assert.Equal(t, []error{creatify.ErrWaitTimeout}, testkit.Matched(err), "the caller has set no deadline")
			assert.InDelta(t, 30*time.Minute, time.Since(start), float64(200*time.Millisecond))
			e := waitError(t, err)
			assert.Equal(t, jobID, e.JobID)
			assert.Equal(t, creatify.StatusRunning, e.Last.Status)
			assert.Equal(t, time.Since(start), e.Elapsed)
			assert.Less(t, e.Polls, 120)
			for _, want := range []string{"creatify: wait for job " + jobID + ": wait timed out after 29m59.9s", "last seen running at 0 %",
				"the job may continue: wait for the same ID again; do not create another"} {
				assert.ErrorContains(t, err, want)
			}
		})
	})
	for _, took := range []time.Duration{0, 2 * time.Second} {
		t.Run(fmt.Sprintf("leaves time for a last poll of %v", took), func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				api.Inject(creatifytest.Fault{Call: get, Delay: took, Times: -1})
				for i := range 50 { // the job ends shortly before the wait, wherever the schedule is
					limit := 20*time.Second + time.Duration(i)*7*time.Second
					api.NextJob(creatifytest.Life{Duration: limit - 2*took - time.Second})
					_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithMaxWait(limit))
					require.NoError(t, err, "a wait of %v", limit)
				}
			})
		})
	}
	t.Run("does not count the poll that it ends as failed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := newClient(t, hangs).Jobs.WaitForPreview(t.Context(), jobID, creatify.WithMaxWait(10*time.Second), creatify.WithMaxPollErrors(1))
			assert.ErrorIs(t, err, creatify.ErrWaitTimeout)
			assert.Equal(t, 10*time.Second, time.Since(start))
			assert.NoError(t, waitError(t, err).LastPollErr)
		})
	})
	t.Run("is not reached early in a rate limit's queue", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, testkit.Polled(func(string) string { return "running" }), creatify.WithRateLimit(0.25, 1))
			start, ends := time.Now(), make(chan error)
			for _, id := range testkit.IDs(100) { // of which the limit serves a tenth
				go func() {
					_, err := client.Jobs.WaitForPreview(t.Context(), id, creatify.WithMaxWait(5*time.Minute))
					ends <- err
				}()
			}
			for range 100 {
				err := <-ends
				assert.Equal(t, []error{creatify.ErrWaitTimeout}, testkit.Matched(err))
				assert.InDelta(t, 5*time.Minute, time.Since(start), float64(11*time.Second))
			}
		})
	})
}

func TestWithStallTimeout(t *testing.T) {
	t.Run("ends the wait for a job that does not move", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := newClient(t, says(200, running)).Jobs.WaitForPreview(t.Context(), jobID, creatify.WithStallTimeout(7*time.Minute))
			assert.Equal(t, []error{creatify.ErrStalled}, testkit.Matched(err))
			assert.Equal(t, 7*time.Minute, time.Since(start))
			assert.Less(t, waitError(t, err).Polls, 40)
		})
	})
	for _, tt := range []struct {
		name  string
		life  creatifytest.Life
		stall time.Duration
	}{
		{"waits for a slow job", creatifytest.Life{Duration: 20 * time.Minute}, 5 * time.Minute},
		{"waits for a job whose status moves", creatifytest.Life{Steps: []creatifytest.Step{{At: 2 * time.Minute, Status: "in_queue"},
			{At: 4 * time.Minute, Status: "running"}, {At: 6 * time.Minute, Status: "done", Progress: 1}}}, 150 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				api.NextJob(tt.life)
				_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithStallTimeout(tt.stall))
				assert.NoError(t, err)
			})
		})
	}
}

func TestWithSchedule(t *testing.T) {
	t.Run("replaces the learned schedule", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start, polls := time.Now(), []time.Duration(nil)
			client := newClient(t, numbered(func(req *http.Request, n int) (*http.Response, error) {
				polls = append(polls, time.Since(start))
				return respond(req, 200, running), nil
			}))
			_, err := client.Jobs.WaitForPreview(t.Context(), jobID, creatify.WithMaxWait(time.Minute),
				creatify.WithSchedule(func(waited time.Duration, polls int) time.Duration {
					assert.Equal(t, time.Since(start), waited)
					return time.Duration(polls*10) * time.Second
				}))
			assert.ErrorIs(t, err, creatify.ErrWaitTimeout)
			assert.Equal(t, []time.Duration{0, 10 * time.Second, 30 * time.Second, time.Minute - 100*time.Millisecond}, polls)
		})
	})
	for _, delay := range []time.Duration{0, -time.Hour, math.MinInt64} {
		t.Run(fmt.Sprintf("keeps polls 100 ms apart for %v", delay), func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				job := create(t, api, client, creatifytest.Life{Duration: 10 * time.Second})
				_, err := client.Jobs.WaitForPreview(t.Context(), job.ID, creatify.WithSchedule(creatify.FixedInterval(delay)))
				require.NoError(t, err)
				assert.Equal(t, 101, api.Calls(get))
			})
		})
	}
	t.Run("is lengthened by failed polls", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := newClient(t, says(500, "")).Jobs.WaitForPreview(t.Context(), jobID, creatify.WithSchedule(creatify.FixedInterval(time.Second)))
			assert.ErrorIs(t, err, creatify.ErrPollsFailed)
			assert.Greater(t, time.Since(start), 75*time.Second)
		})
	})
}

func TestWithOnUpdate(t *testing.T) {
	t.Run("sees each change once", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			api.NextJob(creatifytest.Life{Steps: []creatifytest.Step{
				{At: time.Minute, Status: "running", Progress: 0.5},
				{At: 3 * time.Minute, Status: "running", Progress: 0.7},
				{At: 5 * time.Minute, Status: "done", Progress: 1},
			}})
			var seen []float64
			job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithOnUpdate(func(job *creatify.Job) {
				seen = append(seen, job.Progress)
				job.Progress = 17
				job.Variables["x"] = creatify.Text("the callback's own")
			}))
			require.NoError(t, err)
			assert.Equal(t, []float64{0, 0.5, 0.7, 1}, seen, "the first is the response to the create")
			assert.Greater(t, api.Calls(get), 3)
			assert.NotContains(t, job.Variables, "x")
		})
	})
	t.Run("sees the first snapshot of a resumed wait", func(t *testing.T) {
		var seen []creatify.Status
		_, err := newClient(t, says(200, liveLike)).Jobs.WaitForPreview(t.Context(), jobID,
			creatify.WithOnUpdate(func(job *creatify.Job) { seen = append(seen, job.Status) }))
		require.NoError(t, err)
		assert.Equal(t, []creatify.Status{creatify.StatusDone}, seen)
	})
}

// pollUntilOver polls when the poller asks for it and returns how often.
func pollUntilOver(t *testing.T, p *creatify.Poller) (polls int) {
	t.Helper()
	for {
		time.Sleep(time.Until(p.Next()))
		polls++
		if p.Poll(t.Context()) {
			return polls
		}
		require.Less(t, polls, 10_000)
	}
}

// restart puts the poller down and resumes it with another client.
func restart(t *testing.T, p *creatify.Poller, rt http.RoundTripper, opts ...creatify.WaitOption) *creatify.Poller {
	t.Helper()
	state, err := json.Marshal(p)
	require.NoError(t, err)
	p, err = newClient(t, rt).Jobs.ResumePoller(state, opts...)
	require.NoError(t, err)
	return p
}

func TestPoller(t *testing.T) {
	t.Run("makes one request a poll until it is over", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			job := create(t, api, client, creatifytest.Life{Duration: time.Minute})
			p, err := client.Jobs.NewPoller(creatify.NewPendingJob(job, params()))
			require.NoError(t, err)
			assert.Zero(t, api.Calls(get))
			early, err := p.Result()
			assert.Nil(t, early)
			assert.ErrorContains(t, err, "not over")
			assert.Empty(t, testkit.Matched(err))
			polls := pollUntilOver(t, p)
			assert.Equal(t, polls, api.Calls(get))
			assert.True(t, p.Poll(t.Context()))
			assert.Equal(t, polls, api.Calls(get), "none when it is over")
			assert.Zero(t, p.Next())
			got, err := p.Result()
			require.NoError(t, err)
			assert.NotEmpty(t, got.Preview)
		})
	})
	t.Run("has the error of the latest poll", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, err := newClient(t, numbered(func(req *http.Request, n int) (*http.Response, error) {
				return respond(req, []int{503, 200}[n-1], liveLike), nil
			})).Jobs.NewPoller(creatify.PendingJob{ID: jobID})
			require.NoError(t, err)
			assert.NoError(t, p.Err())
			assert.False(t, p.Poll(t.Context()))
			assert.Equal(t, 503, testkit.As[*creatify.APIError](t, p.Err()).StatusCode)
			assert.True(t, p.Poll(t.Context()))
			assert.NoError(t, p.Err())
		})
	})
	t.Run("keeps its state when the context ends first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, err := newClient(t, hangs).Jobs.NewPoller(creatify.PendingJob{ID: jobID}, creatify.WithMaxPollErrors(1))
			require.NoError(t, err)
			before, err := json.Marshal(p)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			for range 3 {
				assert.False(t, p.Poll(ctx))
			}
			assert.Equal(t, []error{context.DeadlineExceeded}, testkit.Matched(p.Err()))
			after, err := json.Marshal(p)
			require.NoError(t, err)
			assert.JSONEq(t, string(before), string(after))
			var nobody context.Context
			assert.False(t, p.Poll(nobody))
			assert.ErrorIs(t, p.Err(), creatify.ErrInvalidParams)
		})
	})
	t.Run("makes one last poll when its deadline has passed", func(t *testing.T) {
		for _, tt := range []struct {
			body string
			is   error
		}{{running, creatify.ErrWaitTimeout}, {"<html>", creatify.ErrWaitTimeout}, {liveLike, nil}} {
			synctest.Test(t, func(t *testing.T) {
				client := newClient(t, says(200, tt.body))
				p, err := client.Jobs.NewPoller(creatify.PendingJob{ID: jobID, Started: time.Now(), Deadline: time.Now().Add(-time.Hour)})
				require.NoError(t, err)
				assert.Equal(t, time.Now(), p.Next())
				require.True(t, p.Poll(t.Context()))
				_, err = p.Result()
				assert.ErrorIs(t, err, tt.is)
			})
		}
	})
	t.Run("sets a deadline of zero and keeps any other", func(t *testing.T) {
		jobs := newClient(t, hangs).Jobs
		at := time.Now().Add(time.Hour)
		for _, tt := range []struct {
			name     string
			deadline time.Time
			opts     []creatify.WaitOption
			want     time.Time
		}{
			{"24 hours", time.Time{}, nil, time.Now().Add(24 * time.Hour)},
			{"WithMaxWait", time.Time{}, []creatify.WaitOption{creatify.WithMaxWait(time.Minute)}, time.Now().Add(time.Minute)},
			{"the job's own", at, []creatify.WaitOption{creatify.WithMaxWait(time.Minute)}, at},
		} {
			p, err := jobs.NewPoller(creatify.PendingJob{ID: jobID, Deadline: tt.deadline}, tt.opts...)
			require.NoError(t, err)
			assert.WithinDuration(t, tt.want, p.Pending().Deadline, time.Second, tt.name)
		}
	})
	t.Run("first polls a young job when it is due", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			jobs, now := newClient(t, hangs).Jobs, time.Now()
			for _, tt := range []struct {
				name        string
				started     time.Time
				least, most time.Duration
			}{
				{"just created", now, 2 * time.Second, 12 * time.Second},
				{"created an hour ago", now.Add(-time.Hour), 0, 0},
				{"created in the future, by another clock", now.Add(time.Hour), 2 * time.Second, 12 * time.Second},
				{"of unknown age", time.Time{}, 0, 0},
			} {
				p, err := jobs.NewPoller(creatify.PendingJob{ID: jobID, Started: tt.started})
				require.NoError(t, err)
				assert.GreaterOrEqual(t, p.Next().Sub(now), tt.least, tt.name)
				assert.LessOrEqual(t, p.Next().Sub(now), tt.most, tt.name)
				assert.False(t, p.Pending().Started.After(now), tt.name)
			}
		})
	})
	t.Run("reports all bad fields and options", func(t *testing.T) {
		long := strings.Repeat("x", 501)
		p, err := newClient(t, hangs).Jobs.NewPoller(creatify.PendingJob{Kind: "poem", Key: long, Trace: "\xff", TemplateID: long, ModelVersion: creatify.ModelVersion(long)},
			creatify.WithMaxWait(0))
		assert.Nil(t, p)
		var fields []string
		for _, problem := range problemsOf(t, err) {
			fields = append(fields, problem.Field)
		}
		assert.Equal(t, []string{"WithMaxWait", "id", "kind", "key", "trace", "template_id", "model_version"}, fields)
	})
}

func TestPoller_Expedite(t *testing.T) {
	hourly := creatify.WithSchedule(creatify.FixedInterval(time.Hour))
	t.Run("polls now", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, err := newClient(t, says(200, running)).Jobs.NewPoller(creatify.PendingJob{ID: jobID}, hourly)
			require.NoError(t, err)
			p.Poll(t.Context())
			time.Sleep(time.Minute)
			assert.Equal(t, 59*time.Minute, time.Until(p.Next()))
			p.Expedite()
			assert.Zero(t, time.Until(p.Next()))
		})
	})
	t.Run("polls at most once a second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, err := newClient(t, says(200, running)).Jobs.NewPoller(creatify.PendingJob{ID: jobID}, hourly)
			require.NoError(t, err)
			polls := 0
			for range 1000 {
				p.Expedite()
				if !p.Next().After(time.Now()) {
					p.Poll(t.Context())
					polls++
				}
				time.Sleep(10 * time.Millisecond)
			}
			assert.LessOrEqual(t, polls, 11)
			assert.GreaterOrEqual(t, polls, 9)
		})
	})
	t.Run("waits for a Retry-After", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			server := says(429, "", "Retry-After", "60")
			p, err := newClient(t, server).Jobs.NewPoller(creatify.PendingJob{ID: jobID})
			require.NoError(t, err)
			p.Poll(t.Context())
			p.Expedite()
			assert.Equal(t, time.Minute, time.Until(p.Next()))
			time.Sleep(10 * time.Second)
			p = restart(t, p, server)
			p.Expedite()
			assert.Equal(t, 50*time.Second, time.Until(p.Next()), "also after a restart")
		})
	})
	t.Run("is not lost during a poll", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var p *creatify.Poller
			client := newClient(t, numbered(func(req *http.Request, n int) (*http.Response, error) {
				if n == 2 {
					p.Expedite() // too late for this response
				}
				return respond(req, 200, running), nil
			}))
			p, err := client.Jobs.NewPoller(creatify.PendingJob{ID: jobID}, hourly)
			require.NoError(t, err)
			p.Poll(t.Context())
			assert.Equal(t, time.Hour, time.Until(p.Next()))
			p.Poll(t.Context())
			assert.LessOrEqual(t, time.Until(p.Next()), time.Second)
		})
	})
	t.Run("does nothing when the wait is over", func(t *testing.T) {
		p, err := newClient(t, says(200, liveLike)).Jobs.NewPoller(creatify.PendingJob{ID: jobID})
		require.NoError(t, err)
		require.True(t, p.Poll(t.Context()))
		p.Expedite()
		assert.Zero(t, p.Next())
	})
	t.Run("may be called beside Poll", func(t *testing.T) { // for -race
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
				time.Sleep(10 * time.Millisecond)
				return respond(req, 200, running), nil
			}))
			p, err := client.Jobs.NewPoller(creatify.PendingJob{ID: jobID})
			require.NoError(t, err)
			go func() {
				for range 100 {
					p.Expedite()
					p.Next()
					p.Result()
					p.Err()
					p.Pending()
					json.Marshal(p)
					time.Sleep(time.Millisecond)
				}
			}()
			for range 20 {
				p.Poll(t.Context())
			}
		})
	})
}

func TestResumePoller(t *testing.T) {
	t.Run("continues in another process after each poll", func(t *testing.T) {
		inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
			start := time.Now()
			job := create(t, api, client, creatifytest.Life{Duration: 3 * time.Minute})
			pending := creatify.NewPendingJob(job, params())
			pending.Key, pending.Trace = "order 7", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
			p, err := client.Jobs.NewPoller(pending)
			require.NoError(t, err)
			want := p.Pending()
			polls := 0
			for over := false; !over; polls++ {
				next := p.Next()
				p = restart(t, p, api)
				assert.WithinDuration(t, next, p.Next(), 0)
				time.Sleep(time.Until(p.Next()))
				over = p.Poll(t.Context())
				got := p.Pending()
				assert.WithinDuration(t, want.Started, got.Started, 0)
				assert.WithinDuration(t, want.Deadline, got.Deadline, 0)
				got.Started, got.Deadline = want.Started, want.Deadline
				assert.Equal(t, want, got)
			}
			_, err = p.Result()
			require.NoError(t, err)
			assert.Less(t, time.Since(start), 4*time.Minute)
			assert.Less(t, polls, 30, "the age of the job is not forgotten")
		})
	})
	t.Run("keeps the deadline over restarts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start, server := time.Now(), says(200, running)
			p, err := newClient(t, server).Jobs.NewPoller(creatify.PendingJob{ID: jobID}, creatify.WithMaxWait(time.Hour))
			require.NoError(t, err)
			polls := 1
			for !p.Poll(t.Context()) {
				polls++
				p = restart(t, p, server, creatify.WithMaxWait(time.Hour))
				time.Sleep(time.Until(p.Next()))
			}
			_, err = p.Result()
			assert.ErrorIs(t, err, creatify.ErrWaitTimeout)
			assert.InDelta(t, time.Hour, time.Since(start), float64(time.Second))
			assert.Equal(t, polls, waitError(t, err).Polls, "over all processes")
			assert.Equal(t, time.Since(start), waitError(t, err).Elapsed, "over all processes")
		})
	})
	t.Run("does not count the time that nobody waited as a stall", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			server, stall := says(200, running), creatify.WithStallTimeout(10*time.Minute)
			p, err := newClient(t, server).Jobs.NewPoller(creatify.PendingJob{ID: jobID}, stall)
			require.NoError(t, err)
			p.Poll(t.Context())
			time.Sleep(5 * time.Hour)
			p = restart(t, p, server, stall)
			assert.False(t, p.Poll(t.Context()))
			start := time.Now()
			pollUntilOver(t, p)
			_, err = p.Result()
			assert.ErrorIs(t, err, creatify.ErrStalled)
			assert.Greater(t, time.Since(start), 5*time.Minute)
		})
	})
	t.Run("counts failed polls and refusals over restarts", func(t *testing.T) {
		for _, tt := range []struct {
			name   string
			server http.RoundTripper
			polls  int
		}{{"failed polls", says(500, ""), 10}, {"refusals", says(404, testkit.NoSuchJob), 4}} {
			synctest.Test(t, func(t *testing.T) {
				p, err := newClient(t, tt.server).Jobs.NewPoller(creatify.PendingJob{ID: jobID})
				require.NoError(t, err)
				for range tt.polls - 1 {
					require.False(t, p.Poll(t.Context()))
					p = restart(t, p, tt.server)
					time.Sleep(time.Until(p.Next()))
				}
				assert.True(t, p.Poll(t.Context()), tt.name)
				_, err = p.Result()
				assert.ErrorIs(t, err, creatify.ErrPollsFailed)
			})
		}
	})
	t.Run("is due at once if it was over", func(t *testing.T) {
		for _, server := range []http.RoundTripper{says(200, liveLike), says(200, running)} {
			synctest.Test(t, func(t *testing.T) {
				p, err := newClient(t, server).Jobs.NewPoller(creatify.PendingJob{ID: jobID}, creatify.WithMaxWait(time.Minute))
				require.NoError(t, err)
				pollUntilOver(t, p)
				p = restart(t, p, server)
				assert.False(t, p.Next().After(time.Now()), "%v", time.Until(p.Next()))
				assert.True(t, p.Poll(t.Context()))
			})
		}
	})
	t.Run("clamps a due time that another clock has set too far ahead", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			server := says(200, running)
			time.Sleep(10 * time.Hour) // this clock is ten hours ahead
			p, err := newClient(t, server).Jobs.NewPoller(creatify.PendingJob{ID: jobID}, creatify.WithMaxWait(100*time.Hour))
			require.NoError(t, err)
			p.Poll(t.Context())
			delay := time.Until(p.Next())
			var state map[string]any
			stored, err := json.Marshal(p)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(stored, &state))
			state["wait"].(map[string]any)["started"] = time.Now().Add(10 * time.Hour)
			state["job"].(map[string]any)["started"] = time.Now().Add(10 * time.Hour)
			stored, err = json.Marshal(state)
			require.NoError(t, err)
			p, err = newClient(t, server).Jobs.ResumePoller(stored)
			require.NoError(t, err)
			assert.LessOrEqual(t, time.Until(p.Next()), delay)
			assert.False(t, p.Pending().Started.After(time.Now()))
			time.Sleep(time.Until(p.Next()))
			assert.False(t, p.Poll(t.Context()))
			assert.LessOrEqual(t, time.Until(p.Next()), 5*time.Minute+15*time.Second)
		})
	})
	t.Run("keeps the job of a newer version and drops its wait", func(t *testing.T) {
		p, err := newClient(t, hangs).Jobs.ResumePoller([]byte(`{"v":2,"job":{"id":"` + jobID + `","kind":"video","key":"order 7","priority":9},"wait":["new"],"extra":{}}`))
		require.NoError(t, err)
		assert.Equal(t, "order 7", p.Pending().Key)
		assert.Equal(t, creatify.KindVideo, p.Pending().Kind)
		assert.False(t, p.Next().After(time.Now()))
	})
	t.Run("writes at most 4 KiB with the longest fields", func(t *testing.T) {
		for _, char := range []string{"x", "é", "<", `"`, "\x01", "\u2028"} {
			synctest.Test(t, func(t *testing.T) {
				jobs := newClient(t, hangs).Jobs
				pending := creatify.PendingJob{ID: strings.Repeat("<", 200), Started: time.Now()}
				for _, field := range []*string{&pending.Key, &pending.Trace, &pending.TemplateID, (*string)(&pending.ModelVersion)} {
					for err := error(nil); err == nil; _, err = jobs.NewPoller(pending) {
						*field += char
					}
					*field = strings.TrimSuffix(*field, char)
					assert.NotEmpty(t, *field)
				}
				server := roundTrip(func(req *http.Request) (*http.Response, error) {
					time.Sleep(59 * time.Second)
					return respond(req, 429, "", "Retry-After", "99999999999999999999"), nil
				})
				p, err := newClient(t, server).Jobs.NewPoller(pending, creatify.WithMaxWait(100*365*24*time.Hour))
				require.NoError(t, err)
				for range 3 {
					p.Poll(t.Context())
				}
				state, err := json.Marshal(p)
				require.NoError(t, err)
				assert.LessOrEqual(t, len(state), 4<<10, "%q", char)
				assert.Equal(t, pending.Key, restart(t, p, hangs).Pending().Key)
			})
		}
	})
	t.Run("refuses a state that is cut or edited", func(t *testing.T) {
		p, err := newClient(t, hangs).Jobs.NewPoller(creatify.PendingJob{ID: jobID, Key: "order 7"})
		require.NoError(t, err)
		state, err := json.Marshal(p)
		require.NoError(t, err)
		states := [][]byte{nil, []byte("null"), []byte("{}"), []byte("[]"), []byte(`{"v":1,"job":{"id":"a"}}`), []byte(`{"v":1,"job":{"id":"a"},"wait":null}`),
			[]byte(`{"v":-1,"job":{"id":"a"}}`), []byte(`{"v":2}`), []byte(`{"v":2,"job":{"id":"a/b"}}`), []byte(strings.Repeat(" ", 4<<10) + string(state))}
		for i := range state {
			states = append(states, state[:i])
		}
		for _, edit := range []struct{ from, to string }{{`"v":1`, `"v":0`}, {jobID, "../"}, {`"kind":"preview"`, `"kind":"poem"`},
			{`"polls":0`, `"polls":-1`}, {`"took":0`, `"took":-5`}, {`"delay":0`, `"delay":-5`}, {`"good":-1`, `"good":9223372036854775807`},
			{`"progress":0`, `"progress":7`}, {`"started":"2`, `"started":"x`}} {
			edited := strings.Replace(string(state), edit.from, edit.to, 1)
			require.NotEqual(t, string(state), edited, edit.from)
			states = append(states, []byte(edited))
		}
		for _, state := range states {
			p, err := newClient(t, hangs).Jobs.ResumePoller(state)
			assert.Nil(t, p)
			require.ErrorIs(t, err, creatify.ErrInvalidParams, "%s", state)
			assert.NotContains(t, err.Error(), "order 7")
		}
		_, err = newClient(t, hangs).Jobs.ResumePoller([]byte("{}"), creatify.WithMaxWait(0))
		assert.Len(t, problemsOf(t, err), 3, "the option, the state and the ID")
	})
}

func FuzzResumePoller(f *testing.F) {
	p, err := newClient(f, says(200, running)).Jobs.NewPoller(creatify.PendingJob{ID: jobID, Key: "order 7", Started: time.Unix(1e9, 0)})
	require.NoError(f, err)
	for range 3 {
		state, err := json.Marshal(p)
		require.NoError(f, err)
		f.Add(state)
		p.Poll(f.Context())
	}
	for _, seed := range []string{``, `null`, `{"v":1,"job":{"id":"a"},"wait":{}}`, `{"v":2,"job":{"id":"a","deadline":"0001-01-01T00:00:01Z"}}`,
		`{"v":1,"job":{"id":"a"},"wait":{"started":"9999-12-31T23:59:59Z","next":9000000000000000000}}`,
		`{"v":1,"job":{"id":"a","started":"2000-01-01T00:00:00Z"},"wait":{"started":"0000-01-01T00:00:00Z","failures":2147483647,"progress":1,"at":-1}}`,
		`{"v":1,"job":{"id":"0","kind":"preview"},"wait":{"started":"0000-01-01T00:00:00Z","polls":3,"failures":3,"next":-9223372031436012186,"delay":5418763623,"took":18564}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		for _, server := range []http.RoundTripper{says(200, running), says(503, "")} {
			p, err := newClient(t, server).Jobs.ResumePoller(state)
			if err != nil {
				require.ErrorIs(t, err, creatify.ErrInvalidParams)
				return
			}
			for range 3 {
				if next := time.Until(p.Next()); next > 400*24*time.Hour {
					t.Errorf("next poll in %v", next)
				}
				p.Expedite()
				if p.Poll(t.Context()) {
					_, err := p.Result()
					require.Error(t, err)
					break
				}
			}
			again, err := json.Marshal(p)
			require.NoError(t, err)
			require.LessOrEqual(t, len(again), 4<<10)
			_, err = newClient(t, server).Jobs.ResumePoller(again)
			require.NoError(t, err, "%s", again)
		}
	})
}

// The server's clock is behind: a job's age is taken from the Date of the response that created it.
func TestNewPendingJob_after_a_create(t *testing.T) {
	for _, behind := range []time.Duration{0, 10 * time.Minute, 5 * time.Hour, -time.Hour} {
		t.Run(behind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
					now := time.Now().Add(-behind).UTC()
					body := fmt.Sprintf(`{"id": %q, "status": "pending", "created_at": %q}`, jobID, now.Format(time.RFC3339Nano))
					return respond(req, 200, body, "Date", now.Format(http.TimeFormat)), nil
				}))
				job, err := client.Jobs.CreatePreview(t.Context(), params())
				require.NoError(t, err)
				assert.WithinDuration(t, time.Now(), creatify.NewPendingJob(job, params()).Started, time.Second)
			})
		})
	}
}

func TestNewPendingJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		p := params()
		p.ModelVersion = creatify.ModelAuroraV1
		for _, tt := range []struct {
			name string
			job  *creatify.Job
			want creatify.PendingJob
		}{
			{"no job", nil, creatify.PendingJob{Started: now}},
			{"without a creation time", &creatify.Job{ID: "7"}, creatify.PendingJob{ID: "7", Started: now}},
			{"with one", &creatify.Job{ID: "7", CreatedAt: now.Add(-time.Minute)}, creatify.PendingJob{ID: "7", Started: now.Add(-time.Minute)}},
			{"with a creation time in the future", &creatify.Job{ID: "7", CreatedAt: now.Add(time.Minute)}, creatify.PendingJob{ID: "7", Started: now}},
		} {
			tt.want.Kind, tt.want.TemplateID, tt.want.ModelVersion = creatify.KindPreview, p.TemplateID, creatify.ModelAuroraV1
			assert.Equal(t, tt.want, creatify.NewPendingJob(tt.job, p), tt.name)
		}
		assert.Equal(t, creatify.ModelStandard, creatify.NewPendingJob(nil, params()).ModelVersion)
	})
}
