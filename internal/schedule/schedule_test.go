package schedule

import (
	"math"
	"testing"
	"time"
)

func TestIntervalGrowsFromFloorToCeiling(t *testing.T) {
	if got := Interval(0); got != floor {
		t.Errorf("the first interval is %v, want %v", got, floor)
	}
	if got := Interval(time.Hour); got != ceiling {
		t.Errorf("after an hour the interval is %v, want %v", got, ceiling)
	}
	for last, waited := time.Duration(0), time.Duration(0); waited < 10*time.Minute; waited += time.Second {
		got := Interval(waited)
		if got < last {
			t.Fatalf("after %v the interval shrinks from %v to %v", waited, last, got)
		}
		last = got
	}
	if got := Interval(30 * time.Second); got < 12*time.Second || got > 15*time.Second {
		t.Errorf("after 30 s the interval is %v, want about 13 s", got)
	}
}

func TestAnyInputGivesASaneDelay(t *testing.T) {
	extremes := []time.Duration{math.MinInt64, -1, 0, 1, time.Millisecond, time.Second, time.Hour, math.MaxInt64}
	for _, waited := range extremes {
		if got := Interval(waited); got < floor || got > ceiling {
			t.Errorf("Interval(%v) = %v, outside floor and ceiling", waited, got)
		}
		for _, left := range extremes {
			for _, roundTrip := range extremes {
				got, poll := Fit(waited, left, roundTrip)
				if got > max(left, 0) && left < waited {
					t.Errorf("Fit(%v, %v, %v) = %v, past the deadline", waited, left, roundTrip, got)
				}
				if poll && got >= left {
					t.Errorf("Fit(%v, %v, %v) leaves no time for the poll", waited, left, roundTrip)
				}
			}
		}
	}
}

func TestJitterStaysWithinATenth(t *testing.T) {
	if low, high := Jitter(10*time.Second, 0), Jitter(10*time.Second, 1); low != 9*time.Second || high != 11*time.Second {
		t.Errorf("jitter goes from %v to %v, want 9s to 11s", low, high)
	}
}

func TestTheLastPollComesBeforeTheDeadline(t *testing.T) {
	tests := []struct {
		name                   string
		delay, left, roundTrip time.Duration
		want                   time.Duration
		poll                   bool
	}{
		{"the deadline is far", 10 * time.Second, time.Minute, 0, 10 * time.Second, true},
		{"the deadline comes first", 10 * time.Second, 5 * time.Second, 0, 4900 * time.Millisecond, true},
		{"the last poll took long", 10 * time.Second, 5 * time.Second, time.Second, 3 * time.Second, true},
		{"no time for a poll", 10 * time.Second, 50 * time.Millisecond, 0, 50 * time.Millisecond, false},
		{"no time at all", 10 * time.Second, -time.Second, 0, 0, false},
	}
	for _, tt := range tests {
		if got, poll := Fit(tt.delay, tt.left, tt.roundTrip); got != tt.want || poll != tt.poll {
			t.Errorf("%s: got %v, %v, want %v, %v", tt.name, got, poll, tt.want, tt.poll)
		}
	}
}
