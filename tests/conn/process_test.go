//go:build unix

package conn_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
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
	if limits := os.Getenv("CONN_TEST_CREATE_WITHIN"); limits != "" {
		createWithin(limits)
		return
	}
	os.Exit(m.Run())
}

const ended = "the context has ended\n"

// createWithin starts a preview in a context that ends after a time or with SIGTERM. It prints the end of
// the context and the outcome.
func createWithin(limits string) {
	first, second, _ := strings.Cut(limits, " ")
	within, err1 := time.ParseDuration(first)
	grace, err2 := time.ParseDuration(second)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	context.AfterFunc(ctx, func() { fmt.Print(ended) })
	client, err := creatify.NewFromEnv(creatify.WithPaidGrace(grace))
	if err := errors.Join(err, err1, err2); err != nil {
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
func creating(t *testing.T, limits, base string) *exec.Cmd {
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "CONN_TEST_CREATE_WITHIN="+limits, "CREATIFY_BASE_URL="+base,
		"CREATIFY_API_ID="+creatifytest.APIID, "CREATIFY_API_KEY="+creatifytest.APIKey)
	child.Stderr = os.Stderr
	return child
}

func TestAPaidCallSurvivesTheEndOfItsProcess(t *testing.T) {
	t.Parallel() // it waits
	for _, tt := range []struct {
		name   string
		limits string // of the context, and the grace
		during func(t *testing.T, p *os.Process, out *bufio.Reader, respond func())
		want   string
	}{
		{"told by SIGTERM", "1m 1m", func(t *testing.T, p *os.Process, out *bufio.Reader, respond func()) {
			require.NoError(t, p.Signal(syscall.SIGTERM))
			line, _ := out.ReadString('\n')
			assert.Equal(t, ended, line)
			respond()
		}, "job ID context canceled"},
		{"told by SIGTERM, and no response comes in the grace", "1m 1s", func(t *testing.T, p *os.Process, _ *bufio.Reader, _ func()) {
			require.NoError(t, p.Signal(syscall.SIGTERM))
		}, "it may have been charged"},
		{"stopped for longer than the deadline and the grace", "8s 5s", func(t *testing.T, p *os.Process, _ *bufio.Reader, respond func()) {
			require.NoError(t, p.Signal(syscall.SIGSTOP))
			respond()
			time.Sleep(14 * time.Second)
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
			child := creating(t, tt.limits, n.url)
			stdout, err := child.StdoutPipe()
			require.NoError(t, err)
			out := bufio.NewReader(stdout)
			require.NoError(t, child.Start())
			select {
			case <-arrived:
			case <-time.After(30 * time.Second):
				t.Fatal("the request did not arrive")
			}
			start := time.Now()
			tt.during(t, child.Process, out, respond)
			said, _ := io.ReadAll(out)
			line := strings.Replace(string(said), ended, "", 1)
			require.NoError(t, child.Wait())
			assert.Less(t, time.Since(start), 30*time.Second)
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
			child := creating(t, "20s 2s", "http://"+net.JoinHostPort(strings.Trim(host, "[]"), port))
			child.Env = append(child.Env, "HTTP_PROXY="+proxy.URL, "NO_PROXY=")
			out, err := child.Output()
			require.NoError(t, err)
			assert.Contains(t, string(out), "job ")
			assert.Zero(t, asked.Load(), "the proxy would see the key")
		})
	}
}
