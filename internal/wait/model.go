package wait

import (
	"math"
	"slices"
	"time"
)

// Prior returns the plan before any job was seen to end. Jobs of a sibling API were seen to take from 6 s to
// 5 min, and nine tenths of the prior lie there. It is a sum of lognormal kernels, evenly spread in log time,
// so that neither end is sharp.
func Prior() *Plan {
	const (
		shortest, longest = 6, 160 // seconds, the medians of the outer kernels
		kernels           = 12
		sigma             = 0.6
	)
	edges, mass := make([]float64, cells+1), make([]float64, cells)
	for i := 1; i <= cells; i++ {
		edges[i] = firstEdge * math.Pow(step, float64(i-1))
	}
	for k := range kernels {
		mu := math.Log(shortest) + math.Log(longest/float64(shortest))*float64(k)/(kernels-1)
		before := 0.0
		for i := range mass {
			upTo := math.Erfc((mu-math.Log(edges[i+1]))/(sigma*math.Sqrt2)) / 2
			mass[i] += (upTo - before) / kernels
			before = upTo
		}
	}
	return newPlan(edges, mass, 1)
}

// Seen is a job that ended between two polls. After is its age at the last poll that found it alive, By at
// the poll that found its end.
type Seen struct {
	After, By time.Duration
}

// bandwidths are the candidates for smoothing, in cells: a standard deviation of 60 % of the time down to 1
// %. The widest comes first and wins a tie.
var bandwidths = [...]int{48, 24, 14, 8, 4, 2, 1}

// Learn returns the plan after these jobs, for the plan before any.
//
// Each of them is known to an interval only. Expectation-maximization finds the distribution that explains
// the intervals best; each round is followed by smoothing in log time. The bandwidth is the one that predicts
// intervals best that were left out, so two peaks stay two and a constant stays one.
func (p *Plan) Learn(seen []Seen) *Plan {
	spans := make([]span, len(seen))
	for i, s := range seen {
		spans[i] = p.spanOf(s)
	}
	bandwidth, best := bandwidths[0], math.Inf(-1)
	for _, candidate := range bandwidths {
		if likelihood := p.crossValidate(spans, candidate); likelihood > best {
			bandwidth, best = candidate, likelihood
		}
	}
	mass, prior := p.explain(spans, bandwidth, 15)
	return newPlan(p.edges, mass, prior)
}

// span is a range of cells, both ends included.
type span struct{ first, last int }

func (p *Plan) spanOf(s Seen) span {
	first, by := cellOf(p.edges, s.After.Seconds()), s.By.Seconds()
	last := cellOf(p.edges, by)
	if p.edges[last] == by { // the cell begins where the interval ends
		last--
	}
	return span{first, max(first, last)}
}

// crossValidate returns the log likelihood of each part of the spans by what the other parts teach.
func (p *Plan) crossValidate(spans []span, bandwidth int) float64 {
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
		mass, _ := p.explain(others, bandwidth, rounds)
		upTo := sums(mass)
		for _, s := range these {
			sum += math.Log(max(upTo[s.last+1]-upTo[s.first], 1e-12))
		}
	}
	return sum
}

// explain returns the distribution that explains the spans, and the part of it that is the prior. That keeps
// the weight of two spans, so that an unusually late job is still polled.
func (p *Plan) explain(spans []span, bandwidth, rounds int) (mass []float64, prior float64) {
	const weight = 2
	n := float64(len(spans))
	mass = slices.Clone(p.mass)
	share := make([]float64, cells+1)
	for range rounds {
		upTo := sums(mass)
		clear(share)
		for _, s := range spans {
			each := 1 / max(upTo[s.last+1]-upTo[s.first], 1e-12) / n
			share[s.first] += each
			share[s.last+1] -= each
		}
		factor := 0.0
		for i := range mass {
			factor += share[i]
			mass[i] *= max(factor, 0)
		}
		smooth(mass, bandwidth)
	}
	prior = weight / (weight + n)
	for i, m := range p.mass {
		mass[i] = prior*m + (1-prior)*mass[i]
	}
	return mass, prior
}

// smooth applies three running means, which come close to a normal kernel with a standard deviation of width
// cells. The time it takes does not depend on the width.
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
