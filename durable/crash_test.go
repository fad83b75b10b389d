package durable

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// TestCrash kills a process at each point of an order's way. Another process takes over.
func TestCrash(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		killAt  string
		later   time.Duration // after that point
		kind    Kind
		fault   *creatifytest.Fault
		state   State // that the other process brings the order to
		charged float64
		after   func(t *testing.T, q *Queue, fake *api) // what a person does then, for the order to be done
		held    float64                                 // beyond the charge: what the lost call may have cost
	}{
		{name: "preview_before_the_call", killAt: "claimed", kind: Preview, state: StateUnknown, charged: 0, after: resendIt, held: 1},
		{name: "preview_under_way", killAt: "claimed", later: 300 * time.Millisecond, kind: Preview, state: StateUnknown, charged: 0, after: resendIt,
			held: 1, fault: &creatifytest.Fault{Call: creatifytest.CallCreatePreview, Delay: 1500 * time.Millisecond}},
		{name: "preview_answered", killAt: "answered", kind: Preview, state: StateUnknown, charged: 1, after: resolveIt},
		{name: "preview_not_charged_and_not_recorded", killAt: "answered", kind: Preview, state: StateUnknown, charged: 0, after: resendIt, held: 1,
			fault: &creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: http.StatusTooManyRequests}},
		{name: "preview_recorded", killAt: "recorded", kind: Preview, state: StateDone, charged: 1},
		{name: "preview_polled", killAt: "polled", kind: Preview, state: StateDone, charged: 1},
		{name: "preview_end_seen", killAt: "seen", kind: Preview, state: StateDone, charged: 1},
		{name: "preview_ended", killAt: "ended", kind: Preview, state: StateDone, charged: 1},
		{name: "render_before_the_call", killAt: "claimed", kind: Render, state: StateUnknown, charged: 0, after: resendIt, held: 4},
		{name: "render_answered", killAt: "answered", kind: Render, state: StateDone, charged: 4},
		{name: "render_not_charged_and_not_recorded", killAt: "answered", kind: Render, state: StateUnknown, charged: 0, after: resendIt, held: 4,
			fault: &creatifytest.Fault{Call: creatifytest.CallRender, Status: http.StatusTooManyRequests}},
		{name: "render_recorded", killAt: "recorded", kind: Render, state: StateDone, charged: 4},
		{name: "render_polled", killAt: "polled", kind: Render, state: StateDone, charged: 4},
		{name: "render_end_seen", killAt: "seen", kind: Render, state: StateDone, charged: 4},
		{name: "render_ended", killAt: "ended", kind: Render, state: StateDone, charged: 4},
	}
	for _, d := range dialects {
		for _, test := range tests {
			t.Run(test.name+"/"+d.name, func(t *testing.T) {
				t.Parallel()
				fake := newAPI(t, creatifytest.Config{Life: creatifytest.Life{Duration: time.Second,
					Render: creatifytest.RenderLife{Duration: 6 * time.Second}}})
				at := newPlace(t, d.dialect)
				q := at.queue(t, quickOptions(fake.client(t)))
				order := previewOrder("victim")
				paid := 0.0
				if test.kind == Render {
					stop := run(t, q)
					mustSubmit(t, q, previewOrder("preview"))
					reaches(t, q, "preview", StateDone)
					stop()
					order, paid = Order{ID: "victim", Kind: Render, Of: "preview"}, 1
				}
				if test.fault != nil {
					require.NoError(t, fake.Inject(*test.fault))
				}
				mustSubmit(t, q, order)

				dying := worker{Place: at, URL: fake.url, KillAt: test.killAt, Later: test.later, Victim: "victim"}.start(t)
				require.Error(t, dying.Wait())
				require.Equal(t, syscall.SIGKILL, dying.ProcessState.Sys().(syscall.WaitStatus).Signal())
				run(t, q)
				reaches(t, q, "victim", test.state)
				assert.Equal(t, paid+test.charged, fake.Charged())
				if test.after != nil {
					test.after(t, q, fake)
					reaches(t, q, "victim", StateDone)
				}
				done, err := q.Get(t.Context(), "victim")
				require.NoError(t, err)
				assert.Equal(t, fake.Charged()-paid+test.held, done.Credits)
			})
		}
	}
}

func resendIt(t *testing.T, q *Queue, _ *api) {
	require.Eventually(t, func() bool { return q.Resend(t.Context(), "victim", "anna") == nil }, patience, 100*time.Millisecond)
}

func resolveIt(t *testing.T, q *Queue, fake *api) {
	jobs := fake.Jobs()
	require.NoError(t, q.Resolve(t.Context(), "victim", jobs[len(jobs)-1], "anna"))
}

// TestCrash_submitted_only: the process that submitted is gone before any ran.
func TestCrash_submitted_only(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, creatifytest.Config{Life: creatifytest.Life{Duration: time.Second}})
		q, _, err := at.open(t.Context(), quickOptions(fake.client(t)))
		require.NoError(t, err)
		mustSubmit(t, q, previewOrder("a"))
		require.NoError(t, q.Close())

		other := at.queue(t, quickOptions(fake.client(t)))
		run(t, other)
		reaches(t, other, "a", StateDone)
		assert.Equal(t, 1.0, fake.Charged())
	})
}
