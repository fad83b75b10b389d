package promises_test

import (
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// server answers polls in virtual time, after 100 ms each. Its jobs are done a minute after the start.
type server struct {
	start time.Time
	// fails returns the response to a request that fails, or two nils.
	fails func(req *http.Request, since time.Duration) (*http.Response, error)

	log    testkit.Log
	mu     sync.Mutex
	at     []time.Duration // of the requests
	failed int
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	since := time.Since(s.start)
	s.at = append(s.at, since)
	resp, err := s.fails(req, since)
	if resp != nil || err != nil {
		s.failed++
	}
	s.mu.Unlock()
	time.Sleep(100 * time.Millisecond)
	if resp != nil || err != nil {
		return resp, err
	}
	status := "running"
	if since >= time.Minute {
		status = "done"
	}
	return testkit.Polled(func(string) string { return status })(req)
}

// between returns how many requests came from one time to another.
func (s *server) between(from, to time.Duration) int {
	first, _ := slices.BinarySearch(s.at, from)
	last, _ := slices.BinarySearch(s.at, to)
	return last - first
}

// busiest returns the most requests that came within d, from one time to another.
func (s *server) busiest(d, from, to time.Duration) (most int) {
	for _, at := range s.at {
		if at >= from && at+d <= to {
			most = max(most, s.between(at, at+d))
		}
	}
	return most
}

// track tracks n jobs that begin now and returns the time of the last end. All must end with a job.
func (s *server) track(t *testing.T, n int, options creatify.TrackerOptions, watch func(*creatify.Tracker)) (last time.Duration) {
	s.start = time.Now()
	logger := slog.New(slog.NewTextHandler(&s.log, nil))
	tracker := testkit.NewClient(t, s, creatify.WithLogger(logger)).Jobs.NewTracker(options)
	defer tracker.Close()
	for _, id := range testkit.IDs(n) {
		require.NoError(t, tracker.Add(creatify.PendingJob{ID: id, Started: s.start}))
	}
	tracker.Finish()
	var watching sync.WaitGroup
	watching.Go(func() { watch(tracker) })
	ends, errs := 0, []error(nil)
	for r := range tracker.Results(t.Context()) {
		ends++
		if r.Err != nil {
			errs = append(errs, r.Err)
		}
	}
	last = time.Since(s.start)
	watching.Wait()
	slices.Sort(s.at)
	assert.Equal(t, n, ends)
	if len(errs) > 0 {
		t.Errorf("%d waits ended without a job, the first with: %v", len(errs), errs[0])
	}
	return last
}

func TestTrackerOutage(t *testing.T) {
	const begin, lasts = 30 * time.Second, 3 * time.Hour
	says := func(status int, body string, headers ...string) func(*http.Request) (*http.Response, error) {
		return testkit.Says(status, body, headers...)
	}
	for _, tt := range []struct {
		name       string
		jobs       int
		fails      func(*http.Request) (*http.Response, error)
		retryAfter time.Duration
		options    creatify.TrackerOptions
		most       int // requests within 10 s while catching up; 0 is no limit
	}{
		{name: "503", jobs: 10_000, fails: says(503, "")},
		{name: "connection refused", jobs: 10_000, fails: func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		}},
		{name: "429", jobs: 10_000, fails: says(429, `{"detail":"Request was throttled."}`)},
		{name: "429 with Retry-After", jobs: 10_000, fails: says(429, "", "Retry-After", "300"), retryAfter: 5 * time.Minute},
		{name: "503 with Retry-After", jobs: 1000, fails: says(503, "", "Retry-After", "120"), retryAfter: 2 * time.Minute},
		{name: "401, as while a key is replaced", jobs: 1000, fails: says(401, `{"detail":"Invalid API key."}`)},
		{name: "403", jobs: 1000, fails: says(403, `{"detail":"Forbidden."}`)},
		{name: "a page of a firewall", jobs: 1000, fails: says(403, "<html>")},
		{name: "503, with a limit of the tracker's own", jobs: 1000, fails: says(503, ""),
			options: creatify.TrackerOptions{PollsPerSecond: 20}, most: 20*10 + 16},
		{name: "503, three jobs", jobs: 3, fails: says(503, "")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{fails: func(req *http.Request, since time.Duration) (*http.Response, error) {
					if since < begin || since >= begin+lasts {
						return nil, nil
					}
					return tt.fails(req)
				}}
				last := s.track(t, tt.jobs, tt.options, func(tracker *creatify.Tracker) {
					time.Sleep(begin + lasts/2)
					stats := tracker.Stats()
					assert.Equal(t, tt.jobs, stats.Waiting)
					assert.Error(t, stats.Err)
					assert.WithinDuration(t, s.start.Add(begin), stats.FailingSince, 5*time.Minute)
				})
				const settled, recovery = begin + 20*time.Second, begin + lasts
				t.Logf("%d requests in 3 h, %d of them in the first 20 s; the last end %v after the recovery", s.between(begin, recovery),
					s.between(begin, settled), (last - recovery).Round(time.Second))
				assert.LessOrEqual(t, s.busiest(time.Second, settled, recovery), 1, "requests within a second of the outage")
				assert.LessOrEqual(t, last, recovery+tt.retryAfter+2*time.Minute, "the last end")
				assert.Equal(t, 1, strings.Count(s.log.String(), "level=WARN"), "warnings")
				assert.Equal(t, 1, strings.Count(s.log.String(), "polls succeed again"))
				if tt.most > 0 {
					assert.LessOrEqual(t, s.busiest(10*time.Second, recovery, last), tt.most, "requests while catching up")
				}
			})
		})
	}
}

func TestTrackerRateLimited(t *testing.T) {
	const jobs, perMinute = 1000, 60
	for _, tt := range []struct {
		name string
		says bool // when the next request will be accepted
	}{{"with Retry-After", true}, {"without Retry-After", false}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var accepted []time.Duration // within the last minute
				s := &server{fails: func(req *http.Request, since time.Duration) (*http.Response, error) {
					for len(accepted) > 0 && since-accepted[0] >= time.Minute {
						accepted = accepted[1:]
					}
					switch {
					case len(accepted) < perMinute:
						accepted = append(accepted, since)
						return nil, nil
					case tt.says:
						left := math.Ceil((accepted[0] + time.Minute - since).Seconds())
						return testkit.Respond(req, 429, "", "Retry-After", strconv.Itoa(int(left))), nil
					}
					return testkit.Respond(req, 429, ""), nil
				}}
				last := s.track(t, jobs, creatify.TrackerOptions{}, func(*creatify.Tracker) {})
				t.Logf("%d requests, %d of them throttled; the last end after %v", len(s.at), s.failed, last.Round(time.Second))
				assert.Less(t, s.failed, 60, "throttled requests")
				assert.Less(t, last, 25*time.Minute, "the last end; a poll of each job takes 17 minutes")
			})
		})
	}
}
