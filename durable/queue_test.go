package durable

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestQueue_Run(t *testing.T) {
	t.Run("preview_then_render", func(t *testing.T) {
		onBoth(t, func(t *testing.T, at place) {
			fake := newAPI(t, creatifytest.Config{Life: creatifytest.Life{Duration: time.Second,
				Render: creatifytest.RenderLife{Duration: time.Second}}})
			q := at.queue(t, quickOptions(fake.client(t)))
			run(t, q)

			mustSubmit(t, q, previewOrder("order-17"))
			order, err := q.Wait(t.Context(), "order-17")
			require.NoError(t, err)
			assert.Equal(t, StateDone, order.State)
			assert.NotEmpty(t, order.Job.Preview)
			assert.Equal(t, params.Variables["headline"].Value(), order.Params.Variables["headline"].Value())

			mustSubmit(t, q, Order{ID: "order-17-video", Kind: Render, Of: "order-17"})
			video, err := q.Wait(t.Context(), "order-17-video")
			require.NoError(t, err)
			assert.Equal(t, StateDone, video.State)
			assert.Equal(t, order.JobID, video.JobID)
			assert.NotEmpty(t, video.Job.VideoOutput)

			assert.Equal(t, 5.0, fake.Charged())
			assert.Equal(t, 1.0, order.Credits)
			assert.Equal(t, 4.0, video.Credits)
			counts, err := q.Counts(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 5.0, counts.Credits)
			assert.Equal(t, map[State]int{StateDone: 2}, counts.Orders)
		})
	})
}
