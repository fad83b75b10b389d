package promises_test

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClientsThrottledTogether(t *testing.T) {
	for _, tt := range []struct {
		name          string
		header        http.Header
		first, spread time.Duration
		most          int // within 100 ms
	}{
		{"with Retry-After", http.Header{"Retry-After": {"30"}}, 30 * time.Second, 5 * time.Second, 12},
		{"with a small Retry-After", http.Header{"Retry-After": {"0"}}, 0, 300 * time.Millisecond, 60},
		{"without Retry-After", nil, 250 * time.Millisecond, 200 * time.Millisecond, 75},
	} {
		t.Run("do not retry together "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const clients = 100
				api := creatifytest.New(creatifytest.Config{})
				api.Inject(creatifytest.Fault{Status: 429, Header: tt.header, Times: clients})
				var mu sync.Mutex
				var arrivals []time.Duration
				start := time.Now()
				var all sync.WaitGroup
				for range clients {
					client := testkit.NewClient(t, testkit.RoundTrip(func(req *http.Request) (*http.Response, error) {
						mu.Lock()
						defer mu.Unlock()
						arrivals = append(arrivals, time.Since(start))
						return api.RoundTrip(req)
					}))
					all.Go(func() {
						_, err := client.Jobs.CreatePreview(t.Context(), testkit.Params())
						assert.NoError(t, err)
					})
				}
				all.Wait()
				assert.Len(t, api.Jobs(), clients, "each got one job")
				require.Len(t, arrivals, 2*clients)
				again := arrivals[clients:]
				slices.Sort(again)
				assert.GreaterOrEqual(t, again[0], tt.first, "none comes early")
				assert.GreaterOrEqual(t, again[clients-1]-again[0], tt.spread, "from the first retry to the last")
				for i, at := range again {
					n, _ := slices.BinarySearch(again, at+100*time.Millisecond)
					require.LessOrEqual(t, n-i, tt.most, "requests within 100 ms of %v", at)
				}
			})
		})
	}
}

func TestWithRateLimit(t *testing.T) {
	t.Run("bounds calls, retries and polls", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 5 * time.Minute}})
			api.Inject(creatifytest.Fault{Call: creatifytest.CallCredits, Status: 503, Times: 2})
			var times []time.Time
			client := testkit.NewClient(t, testkit.RoundTrip(func(req *http.Request) (*http.Response, error) {
				times = append(times, time.Now())
				return api.RoundTrip(req)
			}), creatify.WithRateLimit(1.0/30, 1))
			_, err := client.Workspace.RemainingCredits(t.Context())
			require.NoError(t, err)
			_, err = client.Jobs.CreatePreviewAndWait(t.Context(), testkit.Params())
			require.NoError(t, err)
			assert.Greater(t, len(times), 3+1+5, "three of the credits, one create, and polls")
			for i := range times[1:] {
				assert.GreaterOrEqual(t, times[i+1].Sub(times[i]), 30*time.Second-time.Microsecond, "between request %d and the next", i+1)
			}
		})
	})
	for _, tt := range []struct {
		name    string
		context func(context.Context) (context.Context, context.CancelFunc)
		takes   time.Duration
		is      error
	}{
		{"leaves its queue as soon as the context is canceled", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, time.Second, context.Canceled},
		{"does not wait for a turn after the deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 10*time.Second)
		}, 0, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				client := testkit.NewClient(t, api, creatify.WithRateLimit(1.0/30, 1))
				_, err := client.Workspace.RemainingCredits(t.Context()) // takes the turn
				require.NoError(t, err)
				start := time.Now()
				ctx, cancel := tt.context(t.Context())
				defer cancel()
				_, err = client.Jobs.CreatePreview(ctx, testkit.Params())
				assert.Equal(t, []error{tt.is}, testkit.Matched(err))
				assert.Equal(t, creatify.ChargedNo, creatify.Charged(err))
				assert.Equal(t, tt.takes, time.Since(start))
				assert.Equal(t, 1, api.Calls(""))
			})
		})
	}
}
