package wait

import (
	"math"
	"slices"
	"time"
)

// Prior returns the plan before any job was seen to end. Jobs of a sibling API took from 6 s to 5 min, and
// nine tenths of the prior lie there: it is even in log time between two durations, smoothed so that neither
// end is sharp. Any other duration is unlikely, but not impossible.
func Prior() *Plan {
	const shortest, longest, smoothing, unlikely = 6, 160, 48, 0.005
	edges, mass := make([]float64, cells+1), make([]float64, cells)
	for i := 1; i <= cells; i++ {
		edges[i] = firstEdge * math.Pow(step, float64(i-1))
	}
	first, last := cellOf(edges, shortest), cellOf(edges, longest)
	for i := range mass {
		mass[i] = unlikely / cells
		if i >= first && i <= last {
			mass[i] += (1 - unlikely) / float64(last-first+1)
		}
	}
	smooth(mass, smoothing)
	return newPlan(edges, mass, 1)
}

// Seen is a job that one poll found alive at the age After, and the next one found ended at the age By.
type Seen struct {
	After, By time.Duration
}

// Learn returns the plan after seeing these jobs. The receiver is the prior.
//
// Each job is known to an interval only. Expectation-maximization finds the distribution that explains the
// intervals best; each round is followed by smoothing in log time. The prior keeps the weight of two jobs, so
// that an unusually late job is still polled.
func (p *Plan) Learn(seen []Seen) *Plan {
	const rounds, weight = 15, 2 // of the prior, in jobs
	spans := make([]span, len(seen))
	for i, s := range seen {
		first, last := cellOf(p.edges, s.After.Seconds()), cellOf(p.edges, s.By.Seconds())
		if p.edges[last] == s.By.Seconds() { // the cell begins where the interval ends
			last--
		}
		spans[i] = span{first, max(first, last)}
	}
	n, width := float64(len(spans)), bandwidth(spans)
	mass, share := slices.Clone(p.mass), make([]float64, cells+1)
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
		smooth(mass, width)
	}
	prior := weight / (weight + n)
	for i, m := range p.mass {
		mass[i] = prior*m + (1-prior)*mass[i]
	}
	return newPlan(p.edges, mass, prior)
}

// span is a range of cells, both ends included.
type span struct{ first, last int }

func (s span) twiceMiddle() int { return s.first + s.last }

// bandwidth returns the width for smoothing, in cells: half the range in which an eighth of the jobs ended,
// as the median over the jobs. So two peaks stay two, and a constant stays one.
func bandwidth(spans []span) int {
	const narrowest, widest = 1, 48
	slices.SortFunc(spans, func(a, b span) int { return a.twiceMiddle() - b.twiceMiddle() })
	eighth := len(spans)/8 + 1
	var ranges []int // twice their lengths
	for i := eighth; i < len(spans); i++ {
		ranges = append(ranges, spans[i].twiceMiddle()-spans[i-eighth].twiceMiddle())
	}
	if ranges == nil {
		return widest
	}
	slices.Sort(ranges)
	return min(max(ranges[len(ranges)/2]/4, narrowest), widest)
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
