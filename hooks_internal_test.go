package creatify

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Without hooks, observing costs nothing.
func TestHooks_nil(t *testing.T) {
	poller := &Poller{jobs: &JobsService{&api{}}}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		ctx, end := poller.jobs.api.paid(t.Context(), PaidCall{Operation: OperationPreview, Call: "create_preview"})
		end(nil, nil)
		_, polled := poller.polled(ctx, 1, time.Time{})
		polled(time.Time{}, nil, nil)
		poller.ended(ctx, nil, nil)
	}))
}
