package wait

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// poll is one row of a wait: at a time since its beginning an observation comes in, and a decision out.
type poll struct {
	at   time.Duration
	saw  Observation
	end  End
	next [2]time.Duration // bounds of the delay to the next poll; zero is not checked
}

var (
	start   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	prior   = Prior()
	active  = Observation{Class: Active, Position: 1, Content: 1}
	done    = Observation{Class: Done, Position: 2, Content: 2}
	ready   = Observation{Class: Done, Output: true, Position: 2, Content: 3}
	failed  = Observation{Class: Failed, Position: 3, Content: 4}
	bad     = Observation{Class: Bad}
	refused = Observation{Class: NotFound}
	preview = Observation{Class: Active, Output: true, Position: 1, Content: 5}
)

func terms(rules Rules) Terms {
	return Terms{Rules: rules, Plan: prior, ID: "job-1", Deadline: start.Add(30 * time.Minute)}
}

func repeat(n int, first, every time.Duration, saw Observation) []poll {
	polls := make([]poll, n)
	for i := range polls {
		polls[i] = poll{at: first + time.Duration(i)*every, saw: saw}
	}
	return polls
}

func with(polls []poll, last ...poll) []poll { return append(polls, last...) }

func TestState_Observe(t *testing.T) {
	const s, m = time.Second, time.Minute
	video := terms(Rules{})
	video.Video = true
	for _, tt := range []struct {
		name  string
		terms Terms
		known bool
		polls []poll
	}{
		{"a job with its URL is ready", terms(Rules{}), true, []poll{{at: 9 * s, saw: ready, end: Ready}}},
		{"a failed job ends the wait", terms(Rules{}), true, []poll{{at: 9 * s, saw: failed, end: JobEnded}}},
		{"an active job is polled again by the plan", terms(Rules{}), true,
			[]poll{{at: 9 * s, saw: active, next: [2]time.Duration{s, m}}}},
		{"a caller's schedule replaces the plan", terms(Rules{Schedule: func(time.Duration, int) time.Duration { return 7 * s }}), true,
			[]poll{{at: 9 * s, saw: active, next: [2]time.Duration{7 * s, 7 * s}}}},
		{"a caller's schedule polls ten times a second at most", terms(Rules{Schedule: func(time.Duration, int) time.Duration { return 0 }}), true,
			[]poll{{at: 9 * s, saw: active, next: [2]time.Duration{100 * time.Millisecond, 100 * time.Millisecond}}}},

		{"a done job without its preview is polled often for a minute", terms(Rules{}), true, []poll{
			{at: 9 * s, saw: done, next: [2]time.Duration{s, 5 * s}}, {at: 14 * s, saw: done}, {at: 19 * s, saw: ready, end: Ready}}},
		{"a done job whose preview does not come has no output", terms(Rules{}), true,
			with(repeat(12, 0, 5*s, done), poll{at: 60 * s, saw: done, end: NoOutput})},
		{"a done job whose video does not come has no output after 15 minutes", video, true,
			with(repeat(15, 0, m, done), poll{at: 15 * m, saw: done, end: NoOutput})},
		{"a job that becomes active again gets a new grace", terms(Rules{}), true,
			with(repeat(10, 0, 5*s, done), poll{at: 50 * s, saw: active}, poll{at: 61 * s, saw: done}, poll{at: 65 * s, saw: done})},

		{"a preview that stands in an active job for two minutes is the result", terms(Rules{}), true,
			with(repeat(12, 0, 10*s, preview), poll{at: 2 * m, saw: preview, end: Ready})},
		{"a preview of a job that moves is not the result yet", terms(Rules{}), true,
			with(repeat(11, 0, 10*s, preview), poll{at: 110 * s, saw: Observation{Class: Active, Output: true, Position: 9, Content: 9}},
				poll{at: 2 * m, saw: Observation{Class: Active, Output: true, Position: 9, Content: 9}})},
		{"a video that stands in an active job is not the result", video, true, with(repeat(13, 0, 10*s, preview))},

		{"failed polls slow the wait to one in half a minute", terms(Rules{}), true, []poll{
			{at: 9 * s, saw: bad, next: [2]time.Duration{s, 2 * s}}, {at: 11 * s, saw: bad, next: [2]time.Duration{2 * s, 4 * s}},
			{at: 15 * s, saw: bad, next: [2]time.Duration{4 * s, 8 * s}}, {at: 23 * s, saw: bad}, {at: 39 * s, saw: bad, next: [2]time.Duration{15 * s, 30 * s}}}},
		{"failed polls do not end the wait for a known job", terms(Rules{}), true,
			with(repeat(50, 0, 30*s, bad), poll{at: 26 * m, saw: ready, end: Ready})},
		{"ten failed polls in a row end the wait for a job that nobody has seen", terms(Rules{}), false,
			with(repeat(9, 0, 10*s, bad), poll{at: 90 * s, saw: bad, end: PollsFailed})},
		{"one good poll makes a job known", terms(Rules{}), false, with(with(repeat(9, 0, 10*s, bad), poll{at: 90 * s, saw: active}), repeat(20, 100*s, 30*s, bad)...)},
		{"the caller's limit of failed polls holds for every job", terms(Rules{MaxPollErrors: 3}), true,
			[]poll{{at: s, saw: bad}, {at: 3 * s, saw: bad}, {at: 6 * s, saw: bad, end: PollsFailed}}},
		{"the caller's limit may be above the default", terms(Rules{MaxPollErrors: 12}), false,
			with(repeat(11, 0, 10*s, bad), poll{at: 110 * s, saw: bad, end: PollsFailed})},

		{"one refusal does not end the wait", terms(Rules{}), true,
			[]poll{{at: s, saw: refused, next: [2]time.Duration{s, 5 * s}}, {at: 6 * s, saw: active}}},
		{"three refusals over ten seconds end the wait", terms(Rules{}), true,
			[]poll{{at: s, saw: refused}, {at: 6 * s, saw: refused}, {at: 11 * s, saw: refused, end: PollsFailed}}},
		{"three refusals within ten seconds do not", terms(Rules{}), true,
			[]poll{{at: s, saw: refused}, {at: 2 * s, saw: refused}, {at: 3 * s, saw: refused, next: [2]time.Duration{s, 5 * s}}}},
		{"a bad poll between refusals does not take them back", terms(Rules{}), true,
			[]poll{{at: s, saw: refused}, {at: 4 * s, saw: bad}, {at: 6 * s, saw: refused}, {at: 11 * s, saw: refused, end: PollsFailed}}},
		{"a good poll between refusals does", terms(Rules{}), true,
			[]poll{{at: s, saw: refused}, {at: 6 * s, saw: refused}, {at: 9 * s, saw: active}, {at: 12 * s, saw: refused}, {at: 17 * s, saw: refused}}},

		{"a Retry-After is honored in full", terms(Rules{}), true,
			[]poll{{at: s, saw: Observation{Class: Throttled, RetryAfter: 8 * m}, next: [2]time.Duration{8 * m, 8*m + 30*s}}}},
		{"a Retry-After beyond the deadline leaves one poll before it", terms(Rules{}), true,
			[]poll{{at: 10 * m, saw: Observation{Class: Throttled, RetryAfter: time.Hour}, next: [2]time.Duration{20*m - s, 20 * m}},
				{at: 30*m - 100*time.Millisecond, saw: active, end: TimedOut}}},

		{"the last poll comes before the deadline", terms(Rules{Schedule: func(time.Duration, int) time.Duration { return time.Hour }}), true,
			[]poll{{at: s, saw: active, next: [2]time.Duration{30*m - 2*s, 30 * m}}, {at: 30*m - 100*time.Millisecond, saw: active, end: TimedOut}}},
		{"a poll after the deadline is the last", terms(Rules{}), true, []poll{{at: time.Hour, saw: bad, end: TimedOut}}},
		{"a poll after the deadline may bring the result", terms(Rules{}), true, []poll{{at: time.Hour, saw: ready, end: Ready}}},

		{"a job that does not move stalls", terms(Rules{StallTimeout: m}), true,
			with(repeat(6, 0, 10*s, active), poll{at: m, saw: active, end: Stalled})},
		{"a job that moves does not stall", terms(Rules{StallTimeout: m}), true,
			with(repeat(6, 0, 10*s, active), poll{at: 55 * s, saw: Observation{Class: Active, Position: 8, Content: 8}}, poll{at: 65 * s, saw: Observation{Class: Active, Position: 8, Content: 8}})},
		{"an outage does not make a job stall", terms(Rules{StallTimeout: m}), true,
			with(with(repeat(3, 0, 10*s, active), repeat(10, 40*s, 30*s, bad)...), poll{at: 6 * m, saw: active})},
		{"the last poll before a stall comes in time to see it", terms(Rules{StallTimeout: 5 * m}), true,
			with(repeat(4, 0, m, active), poll{at: 4*m + 30*s, saw: active, next: [2]time.Duration{s, 30 * s}})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			born := time.Time{}
			if tt.known {
				born = start
			}
			state := Begin(start, born, tt.terms)
			for i, p := range tt.polls {
				now := start.Add(p.at)
				d := state.Observe(p.saw, now, tt.terms)
				assert.Equal(t, p.end, d.End, "poll %d at %v", i, p.at)
				if delay := state.Due().Sub(now); p.next != [2]time.Duration{} {
					assert.GreaterOrEqual(t, delay, p.next[0], "poll %d at %v", i, p.at)
					assert.LessOrEqual(t, delay, p.next[1], "poll %d at %v", i, p.at)
				}
			}
		})
	}
}

func TestBegin(t *testing.T) {
	due := prior.Next(0, Forecast{})
	for _, tt := range []struct {
		name string
		born time.Time
		want time.Duration
	}{
		{"a job of unknown age is polled at once", time.Time{}, 0},
		{"a job that was just created is polled when it is due", start, due},
		{"a young job is polled when it is due", start.Add(-due / 2), due - due/2},
		{"an old job is polled at once", start.Add(-time.Hour), 0},
		{"a job from the future was just created", start.Add(time.Hour), due},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := Begin(start, tt.born, terms(Rules{}))
			assert.Equal(t, tt.want, state.Due().Sub(start))
		})
	}
}

func TestState_Expedite(t *testing.T) {
	slow := terms(Rules{Schedule: func(time.Duration, int) time.Duration { return 10 * time.Minute }})
	t.Run("makes the next poll due now", func(t *testing.T) {
		state := Begin(start, start, slow)
		state.Observe(active, start, slow)
		state.Expedite(start.Add(time.Minute))
		assert.Equal(t, start.Add(time.Minute), state.Due())
	})
	t.Run("once a second at most", func(t *testing.T) {
		state := Begin(start, start, slow)
		for range 2 {
			state.Observe(active, start, slow)
			state.Expedite(start)
		}
		assert.Equal(t, start.Add(time.Second), state.Due())
	})
	t.Run("not before a Retry-After is over", func(t *testing.T) {
		state := Begin(start, start, slow)
		state.Observe(Observation{Class: Throttled, RetryAfter: 5 * time.Minute}, start, slow)
		state.Expedite(start.Add(time.Minute))
		assert.Equal(t, start.Add(5*time.Minute), state.Due())
	})
	t.Run("never delays a poll", func(t *testing.T) {
		state := Begin(start, start, slow)
		due := state.Due()
		state.Expedite(start.Add(time.Minute))
		assert.Equal(t, due, state.Due())
	})
}

func TestState_Resume(t *testing.T) {
	stored := func(t *testing.T) State {
		state := Begin(start, start, terms(Rules{}))
		state.Observe(active, start.Add(9*time.Second), terms(Rules{}))
		text, err := json.Marshal(state)
		require.NoError(t, err)
		var read State
		require.NoError(t, json.Unmarshal(text, &read))
		assert.Equal(t, state.Due().UTC(), read.Due().UTC())
		return read
	}
	t.Run("continues where it was", func(t *testing.T) {
		state := stored(t)
		due := state.Due()
		require.True(t, state.Resume(start.Add(10*time.Second)))
		assert.Equal(t, due, state.Due())
		assert.Equal(t, int32(1), state.Polls)
	})
	t.Run("is due at once after its time", func(t *testing.T) {
		state := stored(t)
		require.True(t, state.Resume(start.Add(time.Hour)))
		assert.True(t, state.Due().Before(start.Add(time.Hour)))
	})
	t.Run("is not put off by a clock that is behind", func(t *testing.T) {
		state := stored(t)
		now := start.Add(-5 * time.Hour)
		require.True(t, state.Resume(now))
		assert.LessOrEqual(t, state.Due().Sub(now), state.Delay)
	})
	t.Run("of a job that is older than times can be", func(t *testing.T) {
		state := Begin(start, time.Time{}.Add(1), terms(Rules{}))
		assert.True(t, state.Resume(start))
		state.Observe(active, start.Add(9*time.Second), terms(Rules{}))
		assert.Greater(t, state.Due().Sub(start), time.Minute, "the next poll is that of an old job")
		assert.True(t, state.Resume(start))
	})
	for _, edited := range []string{`{}`, `{"started":"2026-01-02T03:04:05Z","polls":-1}`, `{"started":"2026-01-02T03:04:05Z","progress":7}`,
		`{"started":"2026-01-02T03:04:05Z","next":9223372036854775807}`, `{"started":"0000-01-01T00:00:00Z"}`, `{"started":"2026-01-02T03:04:05Z","delay":-1}`} {
		t.Run(fmt.Sprintf("refuses %s", edited), func(t *testing.T) {
			var state State
			require.NoError(t, json.Unmarshal([]byte(edited), &state))
			assert.False(t, state.Resume(start))
		})
	}
}

func TestState_Lived(t *testing.T) {
	state := Begin(start, start.Add(-time.Minute), terms(Rules{}))
	_, ok := state.Lived(start)
	assert.False(t, ok, "a job that was not seen before its end")
	state.Observe(active, start.Add(10*time.Second), terms(Rules{}))
	state.Observe(ready, start.Add(15*time.Second), terms(Rules{}))
	seen, ok := state.Lived(start.Add(15 * time.Second))
	require.True(t, ok)
	assert.Equal(t, Seen{After: 70 * time.Second, By: 75 * time.Second}, seen)
}

func TestState_BornAt(t *testing.T) {
	state := Begin(start, time.Time{}, terms(Rules{}))
	assert.True(t, state.BornAt().IsZero(), "unknown before the first good poll")
	state.Observe(Observation{Class: Active, Age: time.Minute}, start.Add(time.Second), terms(Rules{}))
	assert.Equal(t, start.Add(-59*time.Second), state.BornAt(), "by the server's word")
}
