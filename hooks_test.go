package creatify_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type spanKey struct{}

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestWithHooks(t *testing.T) {
	t.Run("one preview is one paid call, its polls and one end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var calls []creatify.PaidCall
			var paid []creatify.PaidResult
			var polls []creatify.PollCall
			var polled []creatify.PollResult
			var ends []creatify.WaitEnd
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: time.Minute}})
			client := newClient(t, api, creatify.WithHooks(creatify.Hooks{
				Trace: func(ctx context.Context) string { return ctx.Value(spanKey{}).(string) },
				Paid: func(ctx context.Context, call creatify.PaidCall) (context.Context, func(creatify.PaidResult)) {
					calls = append(calls, call)
					return context.WithValue(ctx, spanKey{}, traceparent), func(r creatify.PaidResult) { paid = append(paid, r) }
				},
				Poll: func(ctx context.Context, poll creatify.PollCall) (context.Context, func(creatify.PollResult)) {
					polls = append(polls, poll)
					return ctx, func(r creatify.PollResult) { polled = append(polled, r) }
				},
				WaitEnd: func(_ context.Context, end creatify.WaitEnd) { ends = append(ends, end) },
			}))
			start := time.Now()
			job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
			require.NoError(t, err)
			require.Len(t, calls, 1)
			assert.Equal(t, creatify.PaidCall{Operation: creatify.OperationPreview, Call: "create_preview", Estimate: 1}, calls[0])
			require.Len(t, paid, 1)
			assert.Equal(t, creatify.ChargedYes, paid[0].Charged)
			assert.Equal(t, job.ID, paid[0].Job.ID)
			assert.Len(t, polls, api.Calls(get))
			require.Len(t, polled, len(polls))
			for i, poll := range polls {
				assert.Equal(t, i+1, poll.Number)
				assert.Equal(t, traceparent, poll.Job.Trace)
				assert.Equal(t, poll.Due.UTC(), polled[i].Made.UTC(), "nothing delays a poll here")
			}
			require.Len(t, ends, 1)
			end := ends[0]
			assert.Equal(t, traceparent, end.Job.Trace)
			assert.Equal(t, len(polls), end.Polls)
			assert.Equal(t, start.UTC(), end.Born.UTC())
			assert.Equal(t, time.Now().UTC(), end.Ended.UTC())
			assert.Positive(t, end.MaxLag)
			assert.LessOrEqual(t, end.Ended.Sub(start)-time.Minute, end.MaxLag)
			assert.Equal(t, job.ID, end.Result.ID)
			assert.NoError(t, end.Err)
		})
	})

	t.Run("a poll whose context a hook ends is a failed poll", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			polls := 0
			client := newClient(t, creatifytest.New(creatifytest.Config{}), creatify.WithHooks(creatify.Hooks{
				Poll: func(ctx context.Context, _ creatify.PollCall) (context.Context, func(creatify.PollResult)) {
					if polls++; polls == 1 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithCancel(ctx)
						cancel()
					}
					return ctx, nil
				},
			}))
			_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
			assert.NoError(t, err)
			assert.Greater(t, polls, 1)
		})
	})

	t.Run("a resumed wait knows its create's trace", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: time.Minute}})
			before := newClient(t, api, creatify.WithHooks(creatify.Hooks{Trace: func(context.Context) string { return traceparent }}))
			job, err := before.Jobs.CreatePreview(t.Context(), params())
			require.NoError(t, err)
			poller, err := before.Jobs.NewPoller(creatify.NewPendingJob(job, params()))
			require.NoError(t, err)
			state, err := json.Marshal(poller)
			require.NoError(t, err)

			var ends []creatify.WaitEnd
			after := newClient(t, api, creatify.WithHooks(creatify.Hooks{WaitEnd: func(_ context.Context, end creatify.WaitEnd) { ends = append(ends, end) }}))
			resumed, err := after.Jobs.ResumePoller(state)
			require.NoError(t, err)
			for !resumed.Poll(t.Context()) {
				time.Sleep(time.Until(resumed.Next()))
			}
			require.Len(t, ends, 1)
			assert.Equal(t, traceparent, ends[0].Job.Trace)
		})
	})

	t.Run("a failed paid call tells its charge", func(t *testing.T) {
		var got []creatify.PaidResult
		client := newClient(t, says(402, `{"detail": "Not enough credits."}`), creatify.WithHooks(creatify.Hooks{
			Paid: func(ctx context.Context, _ creatify.PaidCall) (context.Context, func(creatify.PaidResult)) {
				return ctx, func(r creatify.PaidResult) { got = append(got, r) }
			}}))
		_, err := client.Jobs.CreatePreview(t.Context(), params())
		require.Len(t, got, 1)
		assert.Equal(t, creatify.ChargedNo, got[0].Charged)
		assert.Equal(t, err, got[0].Err)
		assert.Nil(t, got[0].Job)
	})

	t.Run("a hundred tracked jobs end a hundred times", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var ends, polls, failed atomic.Int64
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: time.Minute}})
			client := newClient(t, api, creatify.WithHooks(creatify.Hooks{
				Poll: func(ctx context.Context, _ creatify.PollCall) (context.Context, func(creatify.PollResult)) {
					polls.Add(1)
					return ctx, nil
				},
				WaitEnd: func(_ context.Context, end creatify.WaitEnd) {
					ends.Add(1)
					if end.Err != nil {
						failed.Add(1)
					}
				}}))
			tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Wait: []creatify.WaitOption{creatify.WithMaxWait(time.Hour)}})
			defer tracker.Close()
			for i := range 100 {
				if i < 3 {
					api.NextJob(creatifytest.Life{Duration: -1}) // ends by its deadline
				}
				job, err := client.Jobs.CreatePreview(t.Context(), params())
				require.NoError(t, err)
				require.NoError(t, tracker.Add(creatify.NewPendingJob(job, params())))
			}
			tracker.Finish()
			for range tracker.Results(t.Context()) {
			}
			synctest.Wait()
			assert.Equal(t, int64(100), ends.Load())
			assert.Equal(t, int64(3), failed.Load())
			assert.Equal(t, int64(api.Calls(get)), polls.Load())
		})
	})
}
