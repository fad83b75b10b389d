package conn_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

// ledger counts by name the creates that reach a server, and delays, resets and refuses some.
type ledger struct {
	mu   sync.Mutex
	made map[string]int
}

func (l *ledger) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // it was not there whole
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		time.Sleep(rand.N(20 * time.Millisecond))
		if rand.N(10) == 0 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		var order struct{ Name string }
		if json.Unmarshal(body, &order) == nil {
			l.mu.Lock()
			l.made[order.Name]++
			l.mu.Unlock()
		}
		if rand.N(10) == 0 {
			panic(http.ErrAbortHandler) // the response is lost
		}
		next.ServeHTTP(w, r)
	})
}

// TestAStormOfCreatesIsCountedRight cancels creates at random times, on a client with a limiter, retries and
// middleware.
func TestAStormOfCreatesIsCountedRight(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			l := &ledger{made: map[string]int{}}
			n := serve(t, p, l.wrap)
			pass := func(next http.RoundTripper) http.RoundTripper { return next }
			base := n.ours(t, creatify.WithLimiter(rate.NewLimiter(1000, 20)), creatify.WithMiddleware(pass),
				creatify.WithRetry(creatify.RetryPolicy{MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond}))
			goroutines := runtime.NumGoroutine()
			var mu sync.Mutex
			ended := map[string]creatify.Charge{}
			together(16, func() error {
				client, err := base.With(creatify.WithMiddleware(pass), creatify.WithPaidGrace(rand.N(30*time.Millisecond)))
				require.NoError(t, err)
				for range 25 {
					order := params()
					order.Name = fmt.Sprint(rand.Uint64())
					ctx, cancel := context.WithTimeout(t.Context(), rand.N(20*time.Millisecond<<rand.N(8)))
					job, err := client.Jobs.CreatePreview(ctx, order)
					cancel()
					mu.Lock()
					ended[order.Name] = creatify.Charged(err)
					mu.Unlock()
					if err == nil {
						assert.NotEmpty(t, job.ID)
					}
				}
				return nil
			})
			base.CloseIdleConnections()
			settles(t, goroutines)
			time.Sleep(100 * time.Millisecond) // in which a request arrives that was said not to have left

			count := map[creatify.Charge]int{}
			l.mu.Lock()
			for name, charge := range ended {
				count[charge]++
				assert.LessOrEqual(t, l.made[name], 1, "made twice")
				switch charge {
				case creatify.ChargedYes:
					assert.Equal(t, 1, l.made[name], "a job that was not made")
				case creatify.ChargedNo:
					assert.Zero(t, l.made[name], "made, and said not to be charged")
				}
			}
			l.mu.Unlock()
			assert.Positive(t, count[creatify.ChargedYes])
			assert.Positive(t, count[creatify.ChargedNo])
			t.Logf("%d jobs, %d not charged, %d unknown", count[creatify.ChargedYes], count[creatify.ChargedNo], count[creatify.ChargedUnknown])
		})
	}
}
