package wait

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var extremes = []time.Duration{math.MinInt64, -1, 0, 1, time.Millisecond, time.Second, time.Minute, time.Hour, 3 * time.Hour, math.MaxInt64}

func TestFitAndJitterStaySaneWhateverTheInput(t *testing.T) {
	for _, delay := range extremes {
		for _, draw := range []float64{0, 0.5, 0.999} {
			if got := Jitter(delay, draw); got < delay || (delay > 0 && float64(got) > 1.06*float64(delay)) {
				t.Errorf("Jitter(%v, %v) = %v", delay, draw, got)
			}
		}
		for _, left := range extremes {
			for _, roundTrip := range extremes {
				got, poll := Fit(delay, left, roundTrip)
				if got < 0 || got > max(left, 0) {
					t.Errorf("Fit(%v, %v, %v) = %v, negative or past the deadline", delay, left, roundTrip, got)
				}
				if poll && got >= left {
					t.Errorf("Fit(%v, %v, %v) leaves no time for the poll", delay, left, roundTrip)
				}
			}
		}
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
		{"the last poll took long", 10 * time.Second, 5 * time.Second, time.Second, 2900 * time.Millisecond, true},
		{"no time for a poll", 10 * time.Second, 50 * time.Millisecond, 0, 50 * time.Millisecond, false},
		{"no time at all", 10 * time.Second, -time.Second, 0, 0, false},
	}
	for _, tt := range tests {
		if got, poll := Fit(tt.delay, tt.left, tt.roundTrip); got != tt.want || poll != tt.poll {
			t.Errorf("%s: got %v, %v, want %v, %v", tt.name, got, poll, tt.want, tt.poll)
		}
	}
}

func TestNextStaysBetweenFloorAndCeilingWhateverTheInput(t *testing.T) {
	m := NewModel()
	r := rand.New(rand.NewPCG(1, 1))
	var odd []Seen
	for _, a := range extremes {
		for _, b := range extremes {
			odd = append(odd, Seen{a, b})
		}
	}
	for _, belief := range []Belief{m.Prior(), m.Learn(nil), m.Learn(odd), m.Learn([]Seen{{}}), m.Learn(seenFrom(r, 50, constant))} {
		for _, lag := range []float64{1e-9, 0.01, 1, 100, 1e9} {
			plan := belief.Plan(lag)
			for _, age := range extremes {
				for _, f := range []Forecast{{}, {math.NaN(), math.NaN()}, {-1, 1}, {1e9, 1e-9}, {60, 5}, {60, math.Inf(1)},
					NewForecast(0, 0, age, 0.5), NewForecast(age, 0.2, math.MaxInt64, 1e-300)} {
					if got := plan.Next(age, f); got < Floor || got > Ceiling {
						t.Fatalf("lag %v, age %v, forecast %v: %v", lag, age, f, got)
					}
				}
			}
		}
	}
}

func TestABeliefIsADistribution(t *testing.T) {
	m := NewModel()
	r := rand.New(rand.NewPCG(2, 2))
	for name, b := range map[string]Belief{"prior": m.Prior(), "learned": m.Learn(seenFrom(r, 100, lognormal)), "nothing seen": m.Learn(nil)} {
		sum := 0.0
		for i, p := range b.mass {
			if !(p >= 0) {
				t.Fatalf("%s: cell %d has %v", name, i, p)
			}
			sum += p
		}
		if math.Abs(sum-1) > 0.01 {
			t.Errorf("%s: the cells add up to %v", name, sum)
		}
	}
}

func TestTheColdPlanGrowsItsIntervals(t *testing.T) {
	plan := NewModel().Prior().Plan(1)
	at := func(age time.Duration) time.Duration { return plan.Next(age, Forecast{}) }
	if first := at(0); first < 3*time.Second || first > 12*time.Second {
		t.Errorf("the first poll comes after %v", first)
	}
	if a, b := at(10*time.Second), at(5*time.Minute); b < 2*a {
		t.Errorf("after 10 s the interval is %v, after 5 min %v", a, b)
	}
}

func TestMoreIsPolledWhenLagIsDear(t *testing.T) {
	prior := NewModel().Prior()
	last := time.Duration(0)
	for _, lag := range []float64{10, 1, 0.1} {
		got := prior.Plan(lag).Next(30*time.Second, Forecast{})
		if got <= last {
			t.Errorf("with a second of lag worth %v polls the interval is %v, not longer than %v", lag, got, last)
		}
		last = got
	}
}

// The distributions that the plans are tried on, in seconds.
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

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// watch polls one job by a plan, and says what it cost and what was seen.
func watch(plan *Plan, r *rand.Rand, end time.Duration) (cost float64, seen Seen) {
	var age, last time.Duration
	for age < end {
		last = age
		age += Jitter(plan.Next(age, Forecast{}), r.Float64())
		cost++
	}
	return cost + (age - end).Seconds(), Seen{last, age}
}

// seenFrom watches jobs with a plan that learns as it goes.
func seenFrom(r *rand.Rand, n int, d distribution) []Seen {
	m := NewModel()
	plan := m.Prior().Plan(1)
	var all []Seen
	for i := range n {
		_, seen := watch(plan, r, duration(d(r)))
		all = append(all, seen)
		if i%10 == 0 {
			plan = m.Learn(all).Plan(1)
		}
	}
	return all
}

func TestAPlanThatHasLearnedIsNearTheOptimum(t *testing.T) {
	for name, tt := range map[string]struct {
		distribution
		ratio float64
	}{"lognormal": {lognormal, 1.15}, "bimodal": {bimodal, 1.3}, "constant": {constant, 1.5}} {
		r := rand.New(rand.NewPCG(3, 3))
		plan := NewModel().Learn(seenFrom(r, 256, tt.distribution)).Plan(1)
		var ends []float64
		total := 0.0
		for range 2000 {
			end := tt.distribution(r)
			ends = append(ends, end)
			cost, _ := watch(plan, r, duration(end))
			total += cost
		}
		if ratio := total / optimum(ends); ratio > tt.ratio {
			t.Errorf("%s: %.2f times the optimum, want at most %v", name, ratio, tt.ratio)
		}
	}
}

// optimum is the least cost for somebody who knows the distribution, of all jobs together.
func optimum(ends []float64) float64 {
	slices.Sort(ends)
	n := len(ends)
	upTo := sums(ends)
	cost := make([]float64, n+1)
	for i := n - 1; i >= 0; i-- {
		cost[i] = math.Inf(1)
		for j := i + 1; j <= n; j++ { // the next poll comes at the end of job j-1
			cost[i] = min(cost[i], float64(n-i)+ends[j-1]*float64(j-i)-(upTo[j]-upTo[i])+cost[j])
		}
	}
	return cost[0]
}

func TestTwoPeaksStayTwo(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	m := NewModel()
	b := m.Learn(seenFrom(r, 200, bimodal))
	upTo := sums(b.mass)
	between := upTo[cellOf(m.edges, 140)] - upTo[cellOf(m.edges, 45)]
	first := upTo[cellOf(m.edges, 45)]
	if between > 0.03 || math.Abs(first-0.6) > 0.1 {
		t.Errorf("%.2f is believed to end by 45 s, want 0.6; %.3f between the peaks, want next to nothing", first, between)
	}
}

func TestAForecastSharpensTheBeliefWithoutBeingTrustedBlindly(t *testing.T) {
	prior := NewModel().Prior().Plan(1)
	age := 60 * time.Second
	soon := NewForecast(30*time.Second, 0.45, age, 0.9) // about 7 s to go
	late := NewForecast(30*time.Second, 0.05, age, 0.1) // about 9 min to go
	blind, near, far := prior.Next(age, Forecast{}), prior.Next(age, soon), prior.Next(age, late)
	if near >= blind || far <= blind {
		t.Errorf("the next poll comes in %v without a forecast, in %v with one for soon, in %v with one for late", blind, near, far)
	}
	if far > 3*time.Minute {
		t.Errorf("a forecast for late puts the next poll off by %v: it is trusted blindly", far)
	}
	if long := prior.Next(10*time.Minute, soon); long != prior.Next(10*time.Minute, Forecast{}) {
		t.Errorf("a forecast that did not come true still counts: %v", long)
	}
}

func TestNoForecastFromProgressThatSaysNothing(t *testing.T) {
	for name, f := range map[string]Forecast{
		"it stands still":    NewForecast(time.Second, 0.5, time.Minute, 0.5),
		"it goes back":       NewForecast(time.Second, 0.5, time.Minute, 0.4),
		"it is complete":     NewForecast(time.Second, 0.5, time.Minute, 1),
		"no time has passed": NewForecast(time.Minute, 0.5, time.Minute, 0.6),
		"it is no number":    NewForecast(time.Second, 0.5, time.Minute, math.NaN()),
	} {
		if f != (Forecast{}) {
			t.Errorf("%s: forecast %v", name, f)
		}
	}
}

func FuzzNext(f *testing.F) {
	plan := NewModel().Prior().Plan(1)
	f.Add(int64(0), int64(0), 0.0, 0.5)
	f.Add(int64(time.Minute), int64(time.Second), 0.1, 0.2)
	f.Fuzz(func(t *testing.T, age, from int64, before, now float64) {
		got := plan.Next(time.Duration(age), NewForecast(time.Duration(from), before, time.Duration(age), now))
		if got < Floor || got > Ceiling {
			t.Errorf("Next = %v", got)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	plan := NewModel().Prior().Plan(1)
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

func BenchmarkLearn(b *testing.B) {
	m := NewModel()
	seen := seenFrom(rand.New(rand.NewPCG(5, 5)), 256, lognormal)
	for b.Loop() {
		m.Learn(seen).Plan(1)
	}
}
