package creatify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"path"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bareJob is a job as somebody would write it who calls the API by hand.
type bareJob struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Variables map[string]struct {
		Type       string         `json:"type"`
		Properties map[string]any `json:"properties"`
	} `json:"variables"`
	MediaJob     *string `json:"media_job"`
	VideoOutput  *string `json:"video_output"`
	Preview      *string `json:"preview"`
	EditorURL    *string `json:"editor_url"`
	FailedReason *string `json:"failed_reason"`
	CreditsUsed  float64 `json:"credits_used"`
	Duration     float64 `json:"duration"`
	Status       string  `json:"status"`
	Progress     float64 `json:"progress"`
	Name         *string `json:"name"`
	WebhookURL   *string `json:"webhook_url"`
	ModelVersion string  `json:"model_version"`
	IsHidden     bool    `json:"is_hidden"`
}

func bareGet(ctx context.Context, client *http.Client, url string) (*bareJob, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-API-ID", creatifytest.APIID)
	req.Header.Set("X-API-KEY", creatifytest.APIKey)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var job bareJob
	return &job, json.Unmarshal(body, &job)
}

// memoryTransport answers every request with the same response, as cheaply as can be.
func memoryTransport() http.RoundTripper {
	header := http.Header{"Content-Type": {"application/json"}}
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: header, Body: io.NopCloser(strings.NewReader(liveLike)),
			ContentLength: int64(len(liveLike)), Request: req}, nil
	})
}

// BenchmarkGet compares one Get through the client with the same call by hand, with and without the time
// limit that the client gives every attempt.
func BenchmarkGet(b *testing.B) {
	bare := func(timeout time.Duration) func(*testing.B) {
		return func(b *testing.B) {
			client := &http.Client{Transport: memoryTransport(), Timeout: timeout}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bareGet(b.Context(), client, jobURL); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("client", func(b *testing.B) {
		client := newClient(b, memoryTransport())
		b.ReportAllocs()
		for b.Loop() {
			if _, err := client.Jobs.Get(b.Context(), jobID); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare", bare(0))
	b.Run("bare with a time limit", bare(time.Minute))
}

func TestGetAllocations(t *testing.T) {
	client, byHand := newClient(t, memoryTransport()), &http.Client{Transport: memoryTransport()}
	ours, bare := math.Inf(1), math.Inf(1)
	for range 10 { // the best of them counts: the collector and -race empty pools
		ours = min(ours, testing.AllocsPerRun(100, func() {
			_, err := client.Jobs.Get(t.Context(), jobID)
			require.NoError(t, err)
		}))
		bare = min(bare, testing.AllocsPerRun(100, func() {
			_, err := bareGet(t.Context(), byHand, jobURL)
			require.NoError(t, err)
		}))
	}
	assert.LessOrEqual(t, ours, 1.5*bare)
}

// liveHeap is what the heap takes after a collection.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// snapshotSize is what the last snapshot of a tracked job takes: it has no response and no variables.
func snapshotSize(ids []string) float64 {
	snapshots := make([]*creatify.Job, len(ids))
	before := liveHeap()
	for i, id := range ids {
		snapshots[i] = &creatify.Job{ID: strings.Clone(id), Status: creatify.Status(strings.Clone("running")), Progress: 0.5}
	}
	size := float64(liveHeap()-before) / float64(len(ids))
	runtime.KeepAlive(snapshots)
	return size
}

// liveMemory is what the heap and the stacks of the goroutines take.
func liveMemory() float64 {
	heap := liveHeap()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(heap + m.StackInuse)
}

// BenchmarkTracker_memory compares a tracker with one goroutine per job: what a job takes beyond its last
// snapshot while it waits for its next poll, and how many goroutines all of them take.
func BenchmarkTracker_memory(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("tracker/jobs=%d", n), func(b *testing.B) {
			benchmarkMemory(b, n, func(ctx context.Context, client *creatify.Client, ids []string, options []creatify.WaitOption) func() {
				tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Wait: options})
				for _, id := range ids {
					require.NoError(b, tracker.Add(creatify.PendingJob{ID: id}))
				}
				return tracker.Close
			})
		})
		b.Run(fmt.Sprintf("goroutines/jobs=%d", n), func(b *testing.B) {
			benchmarkMemory(b, n, func(ctx context.Context, client *creatify.Client, ids []string, options []creatify.WaitOption) func() {
				var waits sync.WaitGroup
				for _, id := range ids {
					waits.Go(func() { client.Jobs.WaitForPreview(ctx, id, options...) })
				}
				return waits.Wait
			})
		})
	}
}

// benchmarkMemory measures the waits that start begins, and whose end it returns once the context has ended.
func benchmarkMemory(b *testing.B, n int, start func(context.Context, *creatify.Client, []string, []creatify.WaitOption) (end func())) {
	ids := testkit.IDs(n)
	client := newClient(b, allRun)
	snapshot := snapshotSize(ids)
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		polled := atomic.Int64{}
		goroutines, before := runtime.NumGoroutine(), liveMemory()
		update := creatify.WithOnUpdate(func(*creatify.Job) { polled.Add(1) })
		end := start(ctx, client, ids, append(hourly, update, creatify.WithMaxWait(24*time.Hour)))
		for polled.Load() < int64(n) {
			runtime.Gosched()
		}
		liveHeap() // shrinks the stacks too, and the last polls come to their end meanwhile
		b.ReportMetric((liveMemory()-before)/float64(n)-snapshot, "B/job")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines")
		cancel()
		end()
		runtime.KeepAlive(ids)
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

// BenchmarkTracker_polls keeps a tracker busier than it can be, with the fake answering in the same process.
// Run it with -cpu 1 for what one core can sustain.
func BenchmarkTracker_polls(b *testing.B) {
	const jobs = 10_000
	api := creatifytest.New(creatifytest.Config{Credits: jobs, Life: creatifytest.Life{Duration: -1}})
	var polls atomic.Int64
	enough, want := make(chan struct{}), int64(0)
	client := newClient(b, roundTrip(func(req *http.Request) (*http.Response, error) {
		if req.Method == http.MethodGet && polls.Add(1) == want {
			close(enough)
		}
		return api.RoundTrip(req)
	}))
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Wait: []creatify.WaitOption{
		creatify.WithSchedule(creatify.FixedInterval(100 * time.Millisecond)), creatify.WithMaxWait(24 * time.Hour)}})
	defer tracker.Close()
	ids := make([]string, jobs)
	for i := range ids {
		job, err := client.Jobs.CreatePreview(b.Context(), params())
		require.NoError(b, err)
		ids[i] = job.ID
	}
	want = int64(b.N)
	b.ReportAllocs()
	b.ResetTimer()
	for _, id := range ids {
		require.NoError(b, tracker.Add(creatify.PendingJob{ID: id}))
	}
	<-enough
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "polls/s")
}

// BenchmarkTracker_Add adds a job that is done at its first poll, and takes its result, beside so many that
// continue.
func BenchmarkTracker_Add(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("tracked=%d", n), func(b *testing.B) {
			var polled atomic.Int64
			client := newClient(b, roundTrip(func(req *http.Request) (*http.Response, error) {
				polled.Add(1)
				if strings.HasPrefix(path.Base(req.URL.Path), "done") {
					return allDone(req)
				}
				return allRun(req)
			}))
			tracker := track(b, client, creatify.TrackerOptions{Wait: hourly}, testkit.IDs(n)...)
			for polled.Load() < int64(n) {
				runtime.Gosched()
			}
			next, stop := iter.Pull(tracker.Results(b.Context()))
			defer stop()
			runtime.GC() // of the polls before
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				id := fmt.Sprintf("done-%d", i)
				i++
				require.NoError(b, tracker.Add(creatify.PendingJob{ID: id}))
				if r, _ := next(); r.Err != nil || r.Job.ID != id {
					b.Fatal(r)
				}
			}
		})
	}
}
