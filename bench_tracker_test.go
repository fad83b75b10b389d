package creatify_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/require"
)

// seldom makes a wait poll once, and then rest for longer than a benchmark takes.
var seldom = []creatify.WaitOption{creatify.WithSchedule(creatify.FixedInterval(time.Hour)), creatify.WithMaxWait(24 * time.Hour)}

// liveMemory is what the heap and the stacks of the goroutines take.
func liveMemory() float64 {
	heap := liveHeap()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(heap + m.StackInuse)
}

// BenchmarkMemoryPerWait compares a tracker with one goroutine per job: what a job takes beyond its last snapshot while it
// waits for its next poll, and how many goroutines all of them take.
func BenchmarkMemoryPerWait(b *testing.B) {
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
	client := newClient(b, endless())
	snapshot := snapshotSize(b, client, ids[:10_000])
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		polled := atomic.Int64{}
		goroutines, before := runtime.NumGoroutine(), liveMemory()
		update := creatify.WithOnUpdate(func(*creatify.Job) { polled.Add(1) })
		end := start(ctx, client, ids, append([]creatify.WaitOption{update}, seldom...))
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

// BenchmarkPollsThroughATracker keeps a tracker busier than it can be, with the fake answering in the same process. Run it
// with -cpu 1 for what one core can sustain.
func BenchmarkPollsThroughATracker(b *testing.B) {
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

// BenchmarkAddAndFinish adds a job that is done at its first poll, and takes its result, beside so many that go on.
func BenchmarkAddAndFinish(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("tracked=%d", n), func(b *testing.B) {
			var polled atomic.Int64
			running := endless()
			client := newClient(b, roundTrip(func(req *http.Request) (*http.Response, error) {
				polled.Add(1)
				if id := strings.Split(req.URL.Path, "/")[3]; strings.HasPrefix(id, "done") {
					return respond(req, 200, `{"id":"`+id+`","status":"done","preview":"https://a.test/"}`), nil
				}
				return running.RoundTrip(req)
			}))
			tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Wait: seldom})
			defer tracker.Close()
			for _, id := range testkit.IDs(n) {
				require.NoError(b, tracker.Add(creatify.PendingJob{ID: id}))
			}
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
