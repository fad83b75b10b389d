package wait

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestJitter(t *testing.T) {
	for _, delay := range []time.Duration{0, 1, Floor, time.Minute, Ceiling} {
		for _, draw := range []float64{0, 0.5, 0.999} {
			got := Jitter(delay, draw)
			assert.GreaterOrEqual(t, got, delay)
			assert.LessOrEqual(t, float64(got), 1.05*float64(delay), "%v, drawn %v", delay, draw)
		}
	}
}

func TestFit(t *testing.T) {
	tests := []struct {
		name                   string
		delay, left, roundTrip time.Duration
		want                   time.Duration
		poll                   bool
	}{
		{"deadline is far", 10 * time.Second, time.Minute, 0, 10 * time.Second, true},
		{"deadline comes first", 10 * time.Second, 5 * time.Second, 0, 4900 * time.Millisecond, true},
		{"last poll took long", 10 * time.Second, 5 * time.Second, time.Second, 2900 * time.Millisecond, true},
		{"no time for a poll", 10 * time.Second, 50 * time.Millisecond, 0, 50 * time.Millisecond, false},
		{"deadline is over", 10 * time.Second, -time.Second, 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, poll := Fit(tt.delay, tt.left, tt.roundTrip)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.poll, poll)
		})
	}
	t.Run("any input", func(t *testing.T) {
		for _, delay := range extremes {
			for _, left := range extremes {
				for _, roundTrip := range extremes {
					got, poll := Fit(delay, left, roundTrip)
					assert.True(t, got >= 0 && got <= max(left, 0), "Fit(%v, %v, %v) = %v", delay, left, roundTrip, got)
					assert.True(t, !poll || got < left, "Fit(%v, %v, %v) leaves no time for the poll", delay, left, roundTrip)
				}
			}
		}
	})
}
