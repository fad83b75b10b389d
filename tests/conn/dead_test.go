package conn_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clients are the two kinds of transport: the library's and the caller's.
var clients = []struct {
	name string
	make func(network, *testing.T, ...creatify.Option) *creatify.Client
}{{"our own transport", network.ours}, {"a transport of the caller's", network.callers}}

func credits(t *testing.T, client *creatify.Client) func() error {
	return func() error {
		_, err := client.Workspace.RemainingCredits(t.Context())
		return err
	}
}

func create(t *testing.T, client *creatify.Client) func() error {
	return func() error {
		_, err := client.Jobs.CreatePreview(t.Context(), params())
		return err
	}
}

// TestPaidCallsSurviveDeadConnections silences every kept connection without closing it.
func TestPaidCallsSurviveDeadConnections(t *testing.T) {
	for _, p := range protocols {
		for _, c := range clients {
			t.Run(p.name+", "+c.name, func(t *testing.T) {
				n := serve(t, p, nil)
				client := c.make(n, t, creatify.WithTimeout(20*time.Second))
				require.NoError(t, credits(t, client)())
				require.Equal(t, 1, n.relay.swallow())
				for range 5 {
					assert.NoError(t, create(t, client)())
				}
				assert.Len(t, n.api.Jobs(), 5)
			})
		}
	}
}

// gathering holds requests until n have arrived, so that each needs a connection of its own.
func gathering(n int) func(http.Handler) http.Handler {
	var all sync.WaitGroup
	all.Add(n)
	var mu sync.Mutex
	left := n
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			if left > 0 {
				left--
				all.Done()
			}
			mu.Unlock()
			all.Wait()
			next.ServeHTTP(w, r)
		})
	}
}

func TestPaidCallsSurviveAPoolOfDeadConnections(t *testing.T) {
	for _, p := range protocols[:2] {
		for _, c := range clients {
			t.Run(p.name+", "+c.name, func(t *testing.T) {
				n := serve(t, p, gathering(16))
				client := c.make(n, t, creatify.WithTimeout(20*time.Second))
				for _, err := range together(16, credits(t, client)) {
					require.NoError(t, err)
				}
				require.Equal(t, 16, n.relay.swallow(), "the pool is full")
				for _, err := range together(20, create(t, client)) {
					assert.NoError(t, err)
				}
				assert.Len(t, n.api.Jobs(), 20)
			})
		}
	}
}

func TestAtMostOneFreeCallIsLostToDeadConnections(t *testing.T) {
	attempt := creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1})
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			size := 16
			if p.http2 {
				size = 1 // which is shared
			}
			n := serve(t, p, gathering(size))
			client := n.ours(t, attempt)
			for _, err := range together(size, credits(t, client)) {
				require.NoError(t, err)
			}
			require.Equal(t, size, n.relay.swallow())
			short, err := client.With(creatify.WithTimeout(2 * time.Second))
			require.NoError(t, err)
			assert.Error(t, credits(t, short)(), "one call finds out")
			for range 19 {
				assert.NoError(t, credits(t, client)(), "no other is lost")
			}
		})
		t.Run(p.name+", with retries", func(t *testing.T) {
			n := serve(t, p, nil)
			client := n.ours(t, creatify.WithTimeout(2*time.Second))
			require.NoError(t, credits(t, client)())
			n.relay.swallow()
			assert.NoError(t, credits(t, client)(), "none is")
		})
	}
}

// With the default time-out of a minute, pings find a dead HTTP/2 connection first.
func TestPingsFindADeadConnection(t *testing.T) {
	t.Parallel()
	n := serve(t, protocols[2], nil)
	client := n.ours(t)
	require.NoError(t, credits(t, client)())
	require.Equal(t, 1, n.relay.swallow())
	start := time.Now()
	for _, err := range together(8, credits(t, client)) {
		assert.NoError(t, err)
	}
	assert.Less(t, time.Since(start), 45*time.Second, "found within 30 s, and then retried")
	assert.Greater(t, n.relay.connections(), 1)
}
