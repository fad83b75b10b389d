package wait

import (
	"math"
	"slices"
	"time"
)

// Model turns jobs that were seen to end into beliefs. It does not change.
type Model struct {
	edges []float64
	prior []float64
}

// NewModel returns a model that starts from what is known of Creatify's jobs in general: that sibling jobs were seen to
// take from 6 s to about 5 min. Every order of magnitude in between is as likely as another, and times beyond are not
// ruled out: the prior is a row of lognormal kernels, evenly spread in log time.
func NewModel() *Model {
	const (
		shortest, longest = 6, 300 // seconds
		kernels           = 12
		sigma             = 0.6
	)
	m := &Model{edges: makeEdges(), prior: make([]float64, cells)}
	for k := range kernels {
		mu := math.Log(shortest) + math.Log(longest/float64(shortest))*float64(k)/(kernels-1)
		before := 0.0
		for i := range m.prior {
			upTo := math.Erfc((mu-math.Log(m.edges[i+1]))/(sigma*math.Sqrt2)) / 2
			m.prior[i] += (upTo - before) / kernels
			before = upTo
		}
	}
	return m
}

// Seen is a job that ended between two polls, in time since its creation: it had not ended by After, and it had by By.
type Seen struct {
	After, By time.Duration
}

// Belief is what is believed of how long a job takes.
type Belief struct {
	edges, mass []float64
}

// Plan plans the polls for the belief. A second between the end of a job and the poll that notices it costs as much as lag
// polls.
func (b Belief) Plan(lag float64) *Plan { return newPlan(b.edges, b.mass, lag) }

// Prior is the belief before any job was seen to end.
func (m *Model) Prior() Belief { return Belief{m.edges, m.prior} }

// Learn is the belief after these jobs.
//
// Each of them is known to an interval only. The distribution that explains the intervals best is found by
// expectation-maximisation, and smoothed a little in every round, in log time. How much smoothing is right is decided by
// cross-validation: by how well intervals are foretold that were left out. So two peaks stay two, and a constant stays
// one. A rest of the prior is kept, so that a surprise is not waited for in vain.
func (m *Model) Learn(seen []Seen) Belief {
	spans := make([]span, len(seen))
	for i, s := range seen {
		spans[i] = m.spanOf(s)
	}
	bandwidth, best := bandwidths[0], math.Inf(-1)
	for _, candidate := range bandwidths {
		if likelihood := m.foretell(spans, candidate); likelihood > best {
			bandwidth, best = candidate, likelihood
		}
	}
	return Belief{m.edges, m.explain(spans, bandwidth, 15)}
}

// bandwidths are how much to smooth, in cells: the standard deviation in log time is from about 1 % to 60 %, the widest
// first, which is taken when nothing speaks for another.
var bandwidths = [...]int{48, 24, 14, 8, 4, 2, 1}

// span is a range of cells, both ends included.
type span struct{ first, last int }

func (m *Model) spanOf(s Seen) span {
	first, by := cellOf(m.edges, s.After.Seconds()), s.By.Seconds()
	last := cellOf(m.edges, by)
	if m.edges[last] == by { // By is where the cell begins
		last--
	}
	return span{first, max(first, last)}
}

// foretell returns how likely each part of the spans is, by logarithm, after the others.
func (m *Model) foretell(spans []span, bandwidth int) float64 {
	const parts, rounds = 4, 6
	sum := 0.0
	for part := range min(parts, len(spans)) {
		var others, these []span
		for i, s := range spans {
			if i%parts == part {
				these = append(these, s)
			} else {
				others = append(others, s)
			}
		}
		upTo := sums(m.explain(others, bandwidth, rounds))
		for _, s := range these {
			sum += math.Log(max(upTo[s.last+1]-upTo[s.first], 1e-12))
		}
	}
	return sum
}

// explain returns the distribution that explains the spans, with a rest of the prior that weighs as much as two jobs.
func (m *Model) explain(spans []span, bandwidth, rounds int) []float64 {
	const rest = 2
	n := float64(len(spans))
	mass := slices.Clone(m.prior)
	share := make([]float64, cells+1)
	for range rounds {
		upTo := sums(mass)
		clear(share)
		for _, s := range spans {
			weight := 1 / max(upTo[s.last+1]-upTo[s.first], 1e-12) / n
			share[s.first] += weight
			share[s.last+1] -= weight
		}
		weight := 0.0
		for i := range mass {
			weight += share[i]
			mass[i] *= max(weight, 0)
		}
		smooth(mass, bandwidth)
	}
	for i, p := range m.prior {
		mass[i] = (rest*p + n*mass[i]) / (rest + n)
	}
	return mass
}

// sums returns the sum of all values before each index.
func sums(values []float64) []float64 {
	upTo := make([]float64, len(values)+1)
	for i, v := range values {
		upTo[i+1] = upTo[i] + v
	}
	return upTo
}

// smooth is three running means one after another, which is close to a normal kernel with a deviation of width cells. It
// costs the same for every width.
func smooth(mass []float64, width int) {
	out := make([]float64, len(mass))
	for range 3 {
		sum := 0.0
		for i := -width; i < len(mass); i++ {
			if j := i + width; j < len(mass) {
				sum += mass[j]
			}
			if j := i - width - 1; j >= 0 {
				sum -= mass[j]
			}
			if i >= 0 {
				out[i] = max(sum, 0) / float64(2*width+1)
			}
		}
		copy(mass, out)
	}
}
