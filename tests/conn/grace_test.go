package conn_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// settles waits until no more goroutines run than before.
func settles(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines instead of %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestAPaidCallWhoseContextEndsWaitsForTheGrace(t *testing.T) {
	for _, p := range protocols {
		for _, tt := range []struct {
			name  string
			grace time.Duration
			wait  time.Duration // of the server, after the context's end
			job   bool
		}{{"and returns the job", time.Minute, 100 * time.Millisecond, true}, {"and no longer", 500 * time.Millisecond, time.Hour, false}} {
			t.Run(p.name+", "+tt.name, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				n := serve(t, p, func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						body, _ := io.ReadAll(r.Body) // without which the server does not see the client go
						r.Body = io.NopCloser(bytes.NewReader(body))
						cancel()
						select {
						case <-time.After(tt.wait):
							next.ServeHTTP(w, r)
						case <-r.Context().Done():
						}
					})
				})
				client := n.ours(t, creatify.WithPaidGrace(tt.grace))
				goroutines := runtime.NumGoroutine()
				start := time.Now()
				job, err := client.Jobs.CreatePreview(ctx, params())
				took := time.Since(start)
				if tt.job {
					require.NoError(t, err)
					assert.Equal(t, n.api.Jobs(), []string{job.ID})
				} else {
					assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
					assert.GreaterOrEqual(t, took, tt.grace)
				}
				assert.Less(t, took, 30*time.Second)
				settles(t, goroutines)
			})
		}
	}
}

// A server that accepts connections and says nothing holds a TLS handshake up.
func TestAPaidCallThatHasNoConnectionEndsWithItsContext(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	n := network{url: "https://" + silent.Addr().String(), roots: new(tls.Config), api: creatifytest.New(creatifytest.Config{})}
	client := n.ours(t, creatify.WithPaidGrace(time.Hour))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = client.Jobs.CreatePreview(ctx, params())
	assert.Less(t, time.Since(start), time.Minute)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "nothing was charged")
	assert.NotErrorIs(t, err, creatify.ErrOutcomeUnknown)
}
