//go:build unix

package durable

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// TestQueue_Run_wakes_after_its_rescue: a process that sleeps through its rescue wakes with a response in its
// hands.
func TestQueue_Run_wakes_after_its_rescue(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			fake := newAPI(t, creatifytest.Config{Life: creatifytest.Life{Duration: time.Second}})
			require.NoError(t, fake.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Delay: 2 * time.Second}))
			at := newPlace(t, d.dialect)
			q := at.queue(t, quickOptions(fake.client(t)))
			mustSubmit(t, q, previewOrder("a"))
			sleeper := worker{Place: at, URL: fake.url}.start(t)
			reaches(t, q, "a", StateSending)
			time.Sleep(300 * time.Millisecond)  // the call is under way
			require.Eventually(t, func() bool { // a process that stops within a transaction would lock a file for all
				assert.NoError(t, sleeper.Process.Signal(syscall.SIGSTOP))
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				_, err := q.exec(ctx, q.db, "UPDATE {s}limits SET spent = spent")
				if err != nil {
					assert.NoError(t, sleeper.Process.Signal(syscall.SIGCONT))
				}
				return err == nil
			}, patience, 20*time.Millisecond)

			run(t, q)
			reaches(t, q, "a", StateUnknown)
			require.NoError(t, sleeper.Process.Signal(syscall.SIGCONT))
			reaches(t, q, "a", StateDone)
			assert.Equal(t, 1.0, fake.Charged())
			require.NoError(t, sleeper.Process.Signal(os.Interrupt))
		})
	}
}
