package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pipes is a listener whose connections are in memory, so that they have virtual time.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if conn, ok := <-p; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error { close(p); return nil }

func (p pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv6zero, Port: 8080} }

// dial connects and sends text.
func (p pipes) dial(t *testing.T, text string) net.Conn {
	client, server := net.Pipe()
	p <- server
	_, err := io.WriteString(client, text)
	assert.NoError(t, err)
	return client
}

func TestServe_cuts_off_who_is_slow(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
	tests := []struct {
		name, sends string
		reads       int // bytes of the response; -1 for all
		within      time.Duration
	}{
		{"an idle connection", "", -1, 16 * time.Second},
		{"half a header", request[:20], -1, 16 * time.Second},
		{"half a body", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf", -1, 17 * time.Second},
		{"a response that is not read", request, 10, 31 * time.Second},
		{"a connection that was used", request, -1, 62 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := make(pipes)
				ctx, stop := context.WithCancel(t.Context())
				served := make(chan error)
				go func() {
					served <- Serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						_, _ = io.Copy(io.Discard, r.Body)
						_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
					}))
				}()
				start := time.Now()
				conn := listener.dial(t, test.sends)
				if test.reads > 0 {
					_, err := io.ReadFull(conn, make([]byte, test.reads))
					require.NoError(t, err)
					time.Sleep(test.within)
				}
				_, _ = io.Copy(io.Discard, conn)
				assert.LessOrEqual(t, time.Since(start), test.within)
				stop()
				assert.NoError(t, <-served)
			})
		})
	}
}

func TestServe_lets_requests_finish(t *testing.T) {
	for _, test := range []struct{ takes, stops time.Duration }{{2 * time.Second, 2 * time.Second}, {time.Minute, 5 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			listener := make(pipes)
			ctx, stop := context.WithCancel(t.Context())
			served := make(chan error)
			go func() {
				served <- Serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					select {
					case <-time.After(test.takes):
					case <-r.Context().Done():
					}
				}))
			}()
			conn := listener.dial(t, "GET / HTTP/1.0\r\n\r\n")
			defer conn.Close()
			go io.Copy(io.Discard, conn)
			synctest.Wait()
			stop()
			start := time.Now()
			assert.NoError(t, <-served)
			assert.InDelta(t, test.stops.Seconds(), time.Since(start).Seconds(), 1)
		})
	}
}

func TestServe_reports_a_broken_listener(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	assert.True(t, errors.Is(Serve(t.Context(), listener, nil), net.ErrClosed))
}

func TestServeFake(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	client, url, err := ServeFake(ctx, time.Second)
	require.NoError(t, err)
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, url)
	_, err = client.Workspace.RemainingCredits(ctx)
	assert.NoError(t, err)
	stop()
	assert.Eventually(t, func() bool {
		response, err := http.Get(url)
		if err == nil {
			response.Body.Close()
		}
		return err != nil
	}, 10*time.Second, 10*time.Millisecond)
}

func TestURL(t *testing.T) {
	assert.Equal(t, "http://127.0.0.1:8080", URL(make(pipes)), "of all addresses")
}
