//go:build unix

package main

import (
	"bytes"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestASignalEndsTheWaitAndThePrintedCommandResumesIt(t *testing.T) {
	program := filepath.Join(t.TempDir(), "preview")
	built, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(built))

	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: time.Second}})
			server := httptest.NewServer(api)
			defer server.Close()
			setAccount(t)
			t.Setenv("CREATIFY_BASE_URL", server.URL)

			var stdout bytes.Buffer
			first := exec.Command(program, newJob)
			first.Stdout = &stdout
			stderr, err := first.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, first.Start())
			defer first.Process.Kill()

			said := readUntil(t, stderr, "pending 0 %\n")
			require.NoError(t, first.Process.Signal(signal))
			interrupted := time.Now()
			rest, err := io.ReadAll(stderr)
			require.NoError(t, err)
			first.Wait()
			assert.Less(t, time.Since(interrupted), time.Second, "the wait continued after the signal")
			assert.Equal(t, 3, first.ProcessState.ExitCode(), "%s%s", said, rest)
			assert.Empty(t, stdout.String())
			require.Len(t, api.Jobs(), 1)
			assert.True(t, strings.HasSuffix(string(rest), resumeIt+api.Jobs()[0]+"\n"), "it ends with the resume command:\n%s", rest)

			second := exec.Command(program, "-job", api.Jobs()[0])
			url, err := second.Output()
			require.NoError(t, err)
			assert.Contains(t, string(url), api.Jobs()[0])
			assert.Equal(t, 1.0, api.Charged(), "credits charged")
		})
	}
}

func readUntil(t *testing.T, r io.Reader, end string) string {
	t.Helper()
	var said []byte
	for buf := make([]byte, 1); !strings.HasSuffix(string(said), end); said = append(said, buf...) {
		_, err := r.Read(buf)
		require.NoError(t, err, "it said: %s", said)
	}
	return string(said)
}
