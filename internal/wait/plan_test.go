package wait

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var extremes = []time.Duration{math.MinInt64, -1, 0, 1, time.Millisecond, time.Second, time.Minute, time.Hour, 3 * time.Hour, math.MaxInt64}

func extremeSeen() []Seen {
	var all []Seen
	for _, after := range extremes {
		for _, by := range extremes {
			all = append(all, Seen{after, by})
		}
	}
	return all
}

// distribution draws a duration in seconds.
type distribution func(*rand.Rand) float64

func lognormal(r *rand.Rand) float64 { return 60 * math.Exp(0.5*r.NormFloat64()) }
func constant(*rand.Rand) float64    { return 6 }
func bimodal(r *rand.Rand) float64 {
	peak := 20.0
	if r.Float64() > 0.6 {
		peak = 300
	}
	return peak * math.Exp(0.2*r.NormFloat64())
}

// polls returns the ages in seconds at which a job is polled that lasts as long as end.
func polls(plan *Plan, r *rand.Rand, end float64) []float64 {
	var at []float64
	for age := time.Duration(0); age.Seconds() < end; at = append(at, age.Seconds()) {
		age += Jitter(plan.Next(age, Forecast{}), r.Float64())
	}
	return at
}

// seenFrom returns the ends of n jobs, polled by what was learned from those before.
func seenFrom(r *rand.Rand, n int, d distribution) []Seen {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	plan := Prior()
	var all []Seen
	for i := range n {
		at := append([]float64{0}, polls(plan, r, d(r))...)
		all = append(all, Seen{seconds(at[len(at)-2]), seconds(at[len(at)-1])})
		if i%10 == 0 {
			plan = prior.Learn(all)
		}
	}
	return all
}

func TestPlan(t *testing.T) {
	t.Run("first job of 2 s to 10 min is noticed within 0.60 on average", func(t *testing.T) {
		plan, r := Prior(), rand.New(rand.NewPCG(1, 1))
		var jobs [2000][]float64
		for i := range jobs {
			jobs[i] = polls(plan, r, 601)
		}
		worst, at := 0.0, 0.0
		for duration := 2.0; duration < 600; duration *= 1.002 {
			lag := 0.0
			for _, ages := range jobs {
				lag += (ages[sort.SearchFloat64s(ages, duration)] - duration) / float64(len(jobs))
			}
			if relative := lag / max(duration, 6); relative > worst {
				worst, at = relative, duration
			}
		}
		assert.LessOrEqual(t, worst, 0.60, "%.2f s", at)
	})
	t.Run("bound on intervals loosens as jobs are seen", func(t *testing.T) {
		seen := Seen{95 * time.Second, 105 * time.Second}
		first := prior.Next(0, Forecast{})
		for _, n := range []int{1, 4, 16} {
			var all []Seen
			for range n {
				all = append(all, seen)
			}
			next := prior.Learn(all).Next(0, Forecast{})
			assert.Greater(t, next, first, "after %d jobs", n)
			first = next
		}
	})
}

func TestNext(t *testing.T) {
	forecasts := []Forecast{{}, {math.NaN(), math.NaN()}, {-1, 1}, {1e9, 1e-9}, {60, 5}, {60, math.Inf(1)}, NewForecast(0, 0, 60, 0.5)}
	tests := []struct {
		name string
		plan *Plan
	}{
		{"prior", prior},
		{"no jobs", prior.Learn(nil)},
		{"a job that took no time", prior.Learn([]Seen{{}})},
		{"impossible jobs", prior.Learn(extremeSeen())},
		{"a constant", prior.Learn(seenFrom(rand.New(rand.NewPCG(1, 1)), 50, constant))},
	}
	for _, tt := range tests {
		t.Run("stays between Floor and Ceiling/"+tt.name, func(t *testing.T) {
			for _, age := range extremes {
				for _, f := range forecasts {
					got := tt.plan.Next(age, f)
					assert.True(t, got >= Floor && got <= Ceiling, "Next(%v, %v) = %v", age, f, got)
				}
			}
		})
	}
}

func TestNewForecast(t *testing.T) {
	const age = time.Minute
	tests := []struct {
		name           string
		fromAge        time.Duration
		from, progress float64
	}{
		{"progress stalls", time.Second, 0.5, 0.5},
		{"progress falls", time.Second, 0.5, 0.4},
		{"progress is complete", time.Second, 0.5, 1},
		{"no time has passed", age, 0.5, 0.6},
		{"progress is not a number", time.Second, 0.5, math.NaN()},
	}
	for _, tt := range tests {
		t.Run("none when "+tt.name, func(t *testing.T) {
			assert.Zero(t, NewForecast(tt.fromAge, tt.from, age, tt.progress))
		})
	}

	soon := NewForecast(30*time.Second, 0.45, age, 0.9) // 7 s left
	late := NewForecast(30*time.Second, 0.05, age, 0.1) // 9 min left
	none := prior.Next(age, Forecast{})
	t.Run("soon shortens the interval", func(t *testing.T) { assert.Less(t, prior.Next(age, soon), none) })
	t.Run("late lengthens it", func(t *testing.T) { assert.Greater(t, prior.Next(age, late), none) })
	t.Run("late is not trusted blindly", func(t *testing.T) { assert.Less(t, prior.Next(age, late), 3*time.Minute) })
	t.Run("past one is dropped", func(t *testing.T) {
		assert.Equal(t, prior.Next(10*time.Minute, Forecast{}), prior.Next(10*time.Minute, soon))
	})
}

func FuzzNext(f *testing.F) {
	plan := Prior()
	f.Add(int64(0), int64(0), 0.0, 0.5)
	f.Add(int64(time.Minute), int64(time.Second), 0.1, 0.2)
	f.Fuzz(func(t *testing.T, age, from int64, before, now float64) {
		got := plan.Next(time.Duration(age), NewForecast(time.Duration(from), before, time.Duration(age), now))
		assert.True(t, got >= Floor && got <= Ceiling, got)
	})
}

func BenchmarkNext(b *testing.B) {
	plan := Prior()
	b.Run("by belief", func(b *testing.B) {
		for b.Loop() {
			plan.Next(time.Minute, Forecast{})
		}
	})
	b.Run("with a forecast", func(b *testing.B) {
		f := NewForecast(30*time.Second, 0.2, time.Minute, 0.5)
		for b.Loop() {
			plan.Next(time.Minute, f)
		}
	})
}
