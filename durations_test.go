package creatify_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cost is what the previews of jobs that take so long cost on average: their polls, and the seconds of lag.
func cost(t *testing.T, api *creatifytest.API, client *creatify.Client, jobs int, takes time.Duration, opts ...creatify.WaitOption) float64 {
	t.Helper()
	polls, lag := api.Calls(get), time.Duration(0)
	for range jobs {
		// Neither progress nor updated_at is to give the end away.
		api.NextJob(creatifytest.Life{Duration: takes, Reply: func(job map[string]any) {
			job["progress"], job["updated_at"] = 0.0, job["created_at"]
		}})
		start := time.Now()
		_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params(), opts...)
		require.NoError(t, err)
		lag += time.Since(start) - takes
	}
	return (float64(api.Calls(get)-polls) + lag.Seconds()) / float64(jobs)
}

func TestWaitsLearnFromTheJobsThatEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		cold := cost(t, api, client, 1, 2*time.Minute)
		cost(t, api, client, 60, 2*time.Minute)
		warm := cost(t, api, client, 20, 2*time.Minute)
		assert.Less(t, warm, cold/2, "polls and seconds of lag per job: %.1f at first, %.1f after 60 jobs", cold, warm)

		stored, err := json.Marshal(client.Jobs.ExportDurations())
		require.NoError(t, err)
		var sets []creatify.DurationSet
		require.NoError(t, json.Unmarshal(stored, &sets))
		another := newClient(t, api)
		require.NoError(t, another.Jobs.ImportDurations(sets))
		assert.Less(t, cost(t, api, another, 20, 2*time.Minute), cold/2, "and another process knows it too")
		assert.Len(t, sets, 2, "those of the template, and of all together")
	})
}

func TestProgressSharpensAWait(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		for _, takes := range []time.Duration{45 * time.Second, 2 * time.Minute, 7 * time.Minute} {
			without := cost(t, api, newClient(t, api), 1, takes)
			polls, start := api.Calls(get), time.Now()
			api.NextJob(creatifytest.Life{Duration: takes})
			_, err := newClient(t, api).Jobs.CreatePreviewAndWait(t.Context(), params())
			require.NoError(t, err)
			with := float64(api.Calls(get)-polls) + (time.Since(start) - takes).Seconds()
			t.Logf("%v: %.1f without progress, %.1f with", takes, without, with)
			assert.Less(t, with, without)
		}
	})
}

func TestProgressThatLiesDoesNotHoldAWaitUp(t *testing.T) {
	lies := map[string]func(map[string]any){
		"it stands at 99 %": func(job map[string]any) { job["progress"] = 0.99 },
		"it is a string":    func(job map[string]any) { job["progress"] = fmt.Sprint(job["progress"]) },
		"it creeps":         func(job map[string]any) { job["progress"] = job["progress"].(float64) / 100 },
		"it is complete":    func(job map[string]any) { job["progress"] = 1 },
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
				start := time.Now()
				api.NextJob(creatifytest.Life{Duration: 3 * time.Minute, Reply: lie})
				_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
				require.NoError(t, err)
				assert.Less(t, time.Since(start), 4*time.Minute)
				assert.Less(t, api.Calls(get), 60)
			})
		})
	}
}

func TestWhatIsLearnedIsBounded(t *testing.T) {
	client := newClient(t, creatifytest.New(creatifytest.Config{}))
	var sets []creatify.DurationSet
	for i := range 200 {
		set := creatify.DurationSet{TemplateID: fmt.Sprint(i), Kind: creatify.KindPreview}
		for range 400 {
			set.Seen = append(set.Seen, creatify.Duration{After: time.Second, By: time.Minute})
		}
		sets = append(sets, set)
	}
	require.NoError(t, client.Jobs.ImportDurations(sets))
	exported := client.Jobs.ExportDurations()
	assert.LessOrEqual(t, len(exported), 64)
	for _, set := range exported {
		assert.LessOrEqual(t, len(set.Seen), 256)
	}
	assert.Equal(t, "199", exported[len(exported)-1].TemplateID, "the last ones stay")
}

func TestDurationsThatMakeNoSenseAreRefusedAsAWhole(t *testing.T) {
	client := newClient(t, creatifytest.New(creatifytest.Config{}))
	err := client.Jobs.ImportDurations([]creatify.DurationSet{
		{Kind: creatify.KindVideo, Seen: []creatify.Duration{{After: 1, By: 2}}},
		{Kind: "poem", Seen: []creatify.Duration{{After: -1, By: 2}, {After: 2, By: 2}}},
	})
	require.ErrorIs(t, err, creatify.ErrInvalidParams)
	for _, want := range []string{"sets[1].kind", "sets[1].seen[0]", "sets[1].seen[1]"} {
		assert.ErrorContains(t, err, want)
	}
	assert.Empty(t, client.Jobs.ExportDurations())
}

func TestACallersScheduleIsFollowed(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, client *creatify.Client) {
		api.NextJob(creatifytest.Life{Duration: 59 * time.Second})
		start := time.Now()
		_, err := client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithSchedule(creatify.FixedInterval(10*time.Second)))
		require.NoError(t, err)
		assert.Equal(t, time.Minute, time.Since(start))
		assert.Equal(t, 6, api.Calls(get))

		var waited []time.Duration
		_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithSchedule(func(d time.Duration, polls int) time.Duration {
			assert.Equal(t, len(waited), polls)
			waited = append(waited, d)
			return -1
		}))
		require.NoError(t, err)
		assert.Equal(t, 100*time.Millisecond, waited[1], "but never faster than this")
	})
}

func TestMoreIsPolledWhenLagCostsMore(t *testing.T) {
	inBubble(t, func(t *testing.T, api *creatifytest.API, _ *creatify.Client) {
		polls := func(lag float64) int {
			before := api.Calls(get)
			api.NextJob(creatifytest.Life{Duration: 5 * time.Minute})
			_, err := newClient(t, api).Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithLagCost(lag))
			require.NoError(t, err)
			return api.Calls(get) - before
		}
		few, usual, many := polls(0.01), polls(1), polls(100)
		assert.Less(t, few, usual)
		assert.Less(t, usual, many)
	})
	_, err := newClient(t, creatifytest.New(creatifytest.Config{})).Jobs.CreatePreviewAndWait(t.Context(), params(), creatify.WithLagCost(0), creatify.WithSchedule(nil))
	assert.ErrorContains(t, err, "WithLagCost")
	assert.ErrorContains(t, err, "WithSchedule")
}
