//go:build unix

package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun_prints_the_job_after_a_signal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		signal syscall.Signal
		create time.Duration // until the response to the create
		says   string
	}{
		{"SIGINT while waiting", syscall.SIGINT, 0, "canceled"},
		{"SIGTERM while waiting", syscall.SIGTERM, 0, "canceled"},
		{"SIGINT before the response to the create", syscall.SIGINT, 6 * time.Second, "Stopping when the API has responded"},
		{"SIGTERM before the response to the create", syscall.SIGTERM, 6 * time.Second, "Stopping when the API has responded"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 3 * time.Second}})
			require.NoError(t, api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Delay: test.create}))
			server := httptest.NewServer(api)
			defer server.Close()
			program := func(args ...string) (command *exec.Cmd, stdout, stderr *bytes.Buffer) {
				stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
				command = exec.Command(os.Args[0], args...)
				command.Env = append(os.Environ(), "RUN_THE_PROGRAM=yes", "CREATIFY_API_ID="+creatifytest.APIID,
					"CREATIFY_API_KEY="+creatifytest.APIKey, "CREATIFY_BASE_URL="+server.URL)
				command.Stdout, command.Stderr = stdout, stderr
				require.NoError(t, command.Start())
				t.Cleanup(func() { _ = command.Process.Kill() })
				return command, stdout, stderr
			}
			first, stdout, stderr := program(newJob)
			require.Eventually(t, func() bool { return api.Calls(creatifytest.CallCreatePreview) > 0 }, time.Minute, time.Millisecond)
			time.Sleep(500 * time.Millisecond) // the response has come, where there is no delay
			require.NoError(t, first.Process.Signal(test.signal))
			require.Error(t, first.Wait())
			assert.Equal(t, notKnownYet, first.ProcessState.ExitCode(), stderr)
			assert.Empty(t, stdout.String())
			require.Len(t, api.Jobs(), 1)
			assert.Contains(t, stderr.String(), test.says)
			assert.True(t, strings.HasSuffix(stderr.String(), resumeIt+api.Jobs()[0]+"\n"), "it ends with the resume command:\n%s", stderr)

			second, stdout, stderr := program("-job", api.Jobs()[0])
			require.NoError(t, second.Wait(), stderr)
			assert.Contains(t, stdout.String(), api.Jobs()[0])
			assert.Equal(t, 1.0, api.Charged(), "credits charged")
		})
	}
}
