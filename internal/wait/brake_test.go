package wait

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// server answers the polls that a brake lets through, one at a time, and counts them.
type server struct {
	brake  Brake
	now    time.Time
	jobs   int
	polls  int
	answer func(now time.Time) Observation
}

// run polls as fast as the brake allows, and at most a thousand times a second.
func (s *server) run(d time.Duration) (polls int) {
	before, end := s.polls, s.now.Add(d)
	for s.now.Before(end) {
		if next := s.brake.Next(); next.After(s.now) {
			if next.After(end) {
				s.now = end
				break
			}
			s.now = next
		}
		s.brake.Started(s.now, s.jobs)
		started := s.now
		s.now = s.now.Add(time.Millisecond)
		if o := s.answer(started); o.Class >= Bad {
			s.brake.Failed(uint64(s.polls%s.jobs), o, started, s.now)
		} else {
			s.brake.Good(s.now)
		}
		s.polls++
	}
	return s.polls - before
}

func answers(o Observation) func(time.Time) Observation {
	return func(time.Time) Observation { return o }
}

func TestBrake(t *testing.T) {
	t.Run("does not slow polls that succeed", func(t *testing.T) {
		s := &server{now: start, jobs: 100, answer: answers(active)}
		assert.Equal(t, 1000, s.run(time.Second))
	})
	t.Run("makes one poll a second in an outage", func(t *testing.T) {
		for _, class := range []Class{Bad, Unauthorized} {
			s := &server{now: start, jobs: 100, answer: answers(Observation{Class: class})}
			s.run(time.Second)
			assert.InDelta(t, 3600, s.run(time.Hour), 2)
			assert.WithinDuration(t, start, s.brake.FailingSince(), time.Second)
		}
	})
	t.Run("doubles the rate with each good poll after an outage", func(t *testing.T) {
		s := &server{now: start, jobs: 100, answer: answers(bad)}
		s.run(time.Hour)
		s.answer = answers(active)
		s.run(3 * time.Second)
		assert.Equal(t, 1000, s.run(time.Second))
		assert.True(t, s.brake.FailingSince().IsZero())
	})
	t.Run("takes no single job's failures for an outage", func(t *testing.T) {
		var brake Brake
		brake.Started(start, 100)
		for range 50 {
			_, outage := brake.Failed(7, bad, start, start)
			assert.False(t, outage)
		}
	})
	t.Run("reports the beginning and the end of an outage once", func(t *testing.T) {
		var brake Brake
		brake.Started(start, 100)
		begins := 0
		for job := range uint64(20) {
			if _, outage := brake.Failed(job, bad, start, start); outage {
				begins++
			}
		}
		assert.Equal(t, 1, begins)
		assert.Equal(t, time.Minute, brake.Good(start.Add(time.Minute)))
		assert.Zero(t, brake.Good(start.Add(time.Minute)))
	})
	t.Run("takes a refusal of several jobs for the account's", func(t *testing.T) {
		var brake Brake
		denied := Observation{Class: Unauthorized}
		shared, _ := brake.Failed(1, denied, start, start)
		assert.False(t, shared, "one job's may be its own")
		shared, _ = brake.Failed(2, denied, start, start)
		assert.True(t, shared)
		brake.Good(start)
		shared, _ = brake.Failed(3, denied, start, start)
		assert.False(t, shared, "after a good poll")
	})
	t.Run("holds all polls for a Retry-After", func(t *testing.T) {
		var brake Brake
		brake.Started(start, 100)
		brake.Failed(1, Observation{Class: Throttled, RetryAfter: 8 * time.Minute}, start.Add(1), start.Add(2))
		assert.Equal(t, start.Add(8*time.Minute+2), brake.Next())
	})
	t.Run("finds the rate of a server that counts by the minute", func(t *testing.T) {
		minute, count, refused := start, 0, 0
		s := &server{now: start, jobs: 1000, answer: func(now time.Time) Observation {
			if now.Sub(minute) >= time.Minute {
				minute, count = now.Truncate(time.Minute), 0
			}
			if count++; count > 60 {
				refused++
				return Observation{Class: Throttled}
			}
			return active
		}}
		s.run(10 * time.Minute)
		refused = 0
		polls := s.run(time.Hour)
		t.Logf("%d polls in an hour at 60 a minute, %d of them refused", polls, refused)
		assert.Greater(t, polls-refused, 3600*6/10)
		assert.Less(t, refused, polls/20)
	})
}
