//go:build unix

package conn_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain runs as the program under test if the environment asks for it.
func TestMain(m *testing.M) {
	if limit := os.Getenv("CONN_TEST_CREATE_WITHIN"); limit != "" {
		createWithin(limit)
		return
	}
	os.Exit(m.Run())
}

// createWithin starts a preview in a context that ends with SIGTERM, and prints the outcome.
func createWithin(limit string) {
	within, err := time.ParseDuration(limit)
	if err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	client, err := creatify.NewFromEnv(creatify.WithPaidGrace(2 * time.Second))
	if err != nil {
		panic(err)
	}
	job, err := client.Jobs.CreatePreview(ctx, params())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("job", job.ID, ctx.Err())
}

// creating returns the program, not yet started.
func creating(t *testing.T, within, base string) *exec.Cmd {
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "CONN_TEST_CREATE_WITHIN="+within, "CREATIFY_BASE_URL="+base,
		"CREATIFY_API_ID="+creatifytest.APIID, "CREATIFY_API_KEY="+creatifytest.APIKey)
	child.Stderr = os.Stderr
	return child
}

func TestAPaidCallSurvivesTheEndOfItsProcess(t *testing.T) {
	for _, tt := range []struct {
		name   string
		within string
		during func(t *testing.T, p *os.Process, respond func())
		want   string
	}{
		{"told by SIGTERM", "1m", func(t *testing.T, p *os.Process, respond func()) {
			require.NoError(t, p.Signal(syscall.SIGTERM))
			time.Sleep(300 * time.Millisecond)
			respond()
		}, "job ID context canceled"},
		{"told by SIGTERM, and no response comes in the grace", "1m", func(t *testing.T, p *os.Process, _ func()) {
			require.NoError(t, p.Signal(syscall.SIGTERM))
		}, "it may have been charged"},
		{"stopped for longer than the deadline and the grace", "1s", func(t *testing.T, p *os.Process, respond func()) {
			require.NoError(t, p.Signal(syscall.SIGSTOP))
			respond()
			time.Sleep(4 * time.Second)
			require.NoError(t, p.Signal(syscall.SIGCONT))
		}, "job ID "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			arrived, responds := make(chan struct{}), make(chan struct{})
			n := serve(t, protocols[0], func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					close(arrived)
					<-responds
					next.ServeHTTP(w, r)
				})
			})
			respond := sync.OnceFunc(func() { close(responds) })
			t.Cleanup(respond)
			child := creating(t, tt.within, n.url)
			out, err := child.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, child.Start())
			select {
			case <-arrived:
			case <-time.After(30 * time.Second):
				t.Fatal("the request did not arrive")
			}
			start := time.Now()
			tt.during(t, child.Process, respond)
			line, _ := bufio.NewReader(out).ReadString('\n')
			require.NoError(t, child.Wait())
			assert.Less(t, time.Since(start), 10*time.Second)
			if jobs := n.api.Jobs(); len(jobs) == 1 {
				line = strings.Replace(line, jobs[0], "ID", 1)
			}
			assert.Contains(t, line, tt.want)
		})
	}
}

// The environment of a process is read once by net/http, so this needs a process of its own.
func TestTheProxyOfTheEnvironmentDoesNotSeeLoopback(t *testing.T) {
	n := serve(t, protocols[0], nil)
	_, port, err := net.SplitHostPort(n.relay.listener.Addr().String())
	require.NoError(t, err)
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer proxy.Close()
	for _, host := range []string{"LOCALHOST", "LocalHost", "127.0.0.1", "[::ffff:127.0.0.1]", "[::FFFF:7F00:1]"} {
		t.Run(host, func(t *testing.T) {
			child := creating(t, "20s", "http://"+net.JoinHostPort(strings.Trim(host, "[]"), port))
			child.Env = append(child.Env, "HTTP_PROXY="+proxy.URL, "NO_PROXY=")
			out, err := child.Output()
			require.NoError(t, err)
			assert.Contains(t, string(out), "job ")
			assert.Zero(t, asked.Load(), "the proxy would see the key")
		})
	}
}
