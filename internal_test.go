package creatify

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What no caller can see: what a budget keeps, and what a hook that is nil costs.

func TestBudget_memory(t *testing.T) {
	for _, tt := range []struct {
		name string
		jobs int
		used float64 // by each; 0 leaves them unsettled
		kept int
	}{
		{"holds_none_of_a_million_settled_jobs", 1_000_000, 3, 0},
		{"holds_100,000_jobs_that_are_not_settled", 150_000, 0, 100_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBudget(BudgetOptions{Credits: 1e9})
			for i := range tt.jobs {
				end, err := b.reserve(OperationPreview, &Job{})
				if err != nil {
					t.Fatal(err)
				}
				end(&Job{ID: strconv.Itoa(i), Status: StatusDone, Preview: "https://x.test", CreditsUsed: tt.used}, nil)
			}
			assert.Len(t, b.jobs, tt.kept)
			assert.Equal(t, max(1, tt.used)*float64(tt.jobs), b.Spent())
		})
	}
	t.Run("forgets_a_job_whose_ID_came_twice", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := NewBudget(BudgetOptions{Credits: 10})
			for range 2 {
				end, err := b.reserve(OperationPreview, &Job{})
				require.NoError(t, err)
				end(&Job{ID: "1", Status: StatusPending}, nil)
			}
			time.Sleep(25 * time.Hour)
			assert.Nil(t, b.find("1"))
			assert.Equal(t, 2.0, b.Spent())
		})
	})
}

// Without hooks, observing allocates nothing.
func TestHooks_nil_allocate_nothing(t *testing.T) {
	poller := &Poller{jobs: &JobsService{&api{}}}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		ctx, polled := poller.polled(t.Context(), 1, time.Time{})
		polled(PollResult{})
		poller.ended(ctx)
	}))
}
