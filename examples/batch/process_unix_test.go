//go:build unix

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
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

// program is the program as a process, with a fake on a socket as its account, in a folder of its own.
type program struct {
	t      *testing.T
	fake   *creatifytest.API
	folder string
	env    []string
}

func newProgram(t *testing.T, rows int, life creatifytest.Life) *program {
	p := &program{t: t, fake: creatifytest.New(creatifytest.Config{Life: life}), folder: t.TempDir()}
	server := httptest.NewServer(p.fake)
	t.Cleanup(server.Close)
	p.env = append(os.Environ(), "RUN_THE_PROGRAM=yes", "CREATIFY_API_ID="+creatifytest.APIID, "CREATIFY_API_KEY="+creatifytest.APIKey, "CREATIFY_BASE_URL="+server.URL)
	text := "id,headline,photo\n"
	for i := range rows {
		text += fmt.Sprintf("row%d,Sale %d,https://example.com/%d.jpg\n", i, i, i)
	}
	require.NoError(t, os.WriteFile(filepath.Join(p.folder, "in.csv"), []byte(text), 0o600))
	return p
}

// start starts the program. It is killed when the test ends.
func (p *program) start() (command *exec.Cmd, stderr *bytes.Buffer) {
	stderr = &bytes.Buffer{}
	command = exec.Command(os.Args[0], "-in=in.csv", "-budget=100")
	command.Dir, command.Env, command.Stderr = p.folder, p.env, stderr
	require.NoError(p.t, command.Start())
	p.t.Cleanup(func() {
		if command.ProcessState == nil {
			_ = command.Process.Kill()
			_ = command.Wait()
		}
	})
	return command, stderr
}

// states returns how the rows stand in the results.
func (p *program) states() map[string]string {
	return results(p.t, filepath.Join(p.folder, "results.csv"), "state")
}

// calls waits until the fake has had n paid calls.
func (p *program) calls(n int) {
	require.Eventually(p.t, func() bool { return p.fake.Calls(creatifytest.CallCreatePreview) >= n }, time.Minute, time.Millisecond)
}

// TestRun_killed kills the program twice in each of a few folders, at random moments and while paid calls are
// under way, which take 100 ms. A killed call keeps its place among the four that may be under way for 130 s;
// until then it may have been the API's.
func TestRun_killed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than two minutes")
	}
	t.Parallel()
	const folders, rows, kills = 4, 16, 2
	var programs []*program
	var last []*exec.Cmd
	for range folders {
		p := newProgram(t, rows, creatifytest.Life{Duration: 3 * time.Second})
		require.NoError(t, p.fake.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: -1, Delay: 100 * time.Millisecond}))
		for range kills {
			before := p.fake.Calls(creatifytest.CallCreatePreview)
			run, _ := p.start()
			for deadline := time.Now().Add(3 * time.Second); p.fake.Calls(creatifytest.CallCreatePreview) == before && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(rand.N(300 * time.Millisecond))
			require.NoError(t, run.Process.Signal(syscall.SIGKILL))
			require.Error(t, run.Wait())
		}
		run, _ := p.start()
		programs, last = append(programs, p), append(last, run)
	}
	for i, p := range programs {
		_ = last[i].Wait()
		states := p.states()
		assert.Len(t, states, rows)
		assertPaidOnce(t, p.fake, states)
		n := map[string]int{}
		for _, state := range states {
			n[state]++
		}
		assert.LessOrEqual(t, n["unknown"], kills*4, "rows whose calls were under way when the program was killed")
		assert.Equal(t, rows, n["done"]+n["unknown"])
		assert.Equal(t, map[bool]int{true: 0, false: 3}[n["unknown"] == 0], last[i].ProcessState.ExitCode())
		t.Logf("%d kills: %v; %d paid calls, %v credits", kills, n, p.fake.Calls(creatifytest.CallCreatePreview), p.fake.Charged())
	}
}

func TestRun_beside_another(t *testing.T) {
	t.Parallel()
	p := newProgram(t, 4, creatifytest.Life{Duration: time.Hour})
	first, _ := p.start()
	p.calls(4)
	second, stderr := p.start()
	require.Error(t, second.Wait())
	assert.Equal(t, 2, second.ProcessState.ExitCode())
	assert.Contains(t, stderr.String(), "results.csv.db is in use by another run: wait for its end\nNothing was sent.")

	require.NoError(t, first.Process.Kill()) // which leaves the file of the lock
	require.Error(t, first.Wait())
	polls := p.fake.Calls(creatifytest.CallGetJob)
	third, _ := p.start()
	require.Eventually(t, func() bool { return p.fake.Calls(creatifytest.CallGetJob) > polls }, 2*time.Minute, time.Millisecond)
	require.NoError(t, third.Process.Signal(syscall.SIGTERM))
	require.Error(t, third.Wait())
	assert.Equal(t, 3, third.ProcessState.ExitCode())
	assert.Equal(t, 4.0, p.fake.Charged())
}

func TestRun_interrupted(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			p := newProgram(t, 4, creatifytest.Life{Duration: time.Second})
			require.NoError(t, p.fake.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: -1, Delay: 3 * time.Second}))
			first, stderr := p.start()
			p.calls(4)
			require.NoError(t, first.Process.Signal(signal))
			require.Error(t, first.Wait())
			assert.Equal(t, 3, first.ProcessState.ExitCode())
			assert.True(t, strings.HasSuffix(stderr.String(), again), stderr.String())
			for row, state := range p.states() {
				assert.Equal(t, "waiting", state, "the responses of the calls under way are awaited, also that for %s", row)
			}
			second, stderr := p.start()
			assert.NoError(t, second.Wait(), stderr.String())
			assertPaidOnce(t, p.fake, p.states())
			assert.Equal(t, 4.0, p.fake.Charged())
		})
	}
}
