package wait

import (
	"math"
	"sort"
	"time"
)

// Cells divide the time since a job's creation: the first ends at firstEdge seconds, each later one is longer
// than the one before it by the factor step, and the last ends after two hours. Within a cell every moment is
// equally likely.
const (
	cells     = 780
	firstEdge = 0.5
	step      = 1.0125
)

// Without observations, these bounds keep the mean lag of each duration from 2 s to 10 min within
// 0.60 × max(duration, 6 s). The first poll is at (2 s + 0.60 × 6 s) / 1.025, since jitter adds 2.5 % on
// average. The growth was found by trying; another step needs another growth, since polls fall on edges.
const (
	firstPoll  = 5.46 // seconds since the job's creation
	pollGrowth = 1.65 // the age at a poll over the age at the poll before, at most
)

// Plan is a probability distribution of how long jobs take, and the polls that cost least for it, where a
// second of lag costs as much as a poll. It is immutable.
type Plan struct {
	edges []float64 // the bounds of the cells, in seconds
	mass  []float64 // the probability of each cell
	prior float64   // the share of the prior in mass: from just above 0 to 1, when nothing was learned

	upTo []float64 // the probability of all cells before an edge
	mean []float64 // probability times duration, of all cells before an edge
	cost []float64 // of the best polls from an edge on, times the probability that the job lasts that long
}

// newPlan finds the best polls by dynamic programming from the last edge backwards. Each edge weighs every
// next poll by the lag that it leaves and by the cost from there on. That is optimal to the width of a cell.
func newPlan(edges, mass []float64, prior float64) *Plan {
	p := &Plan{edges, mass, prior, sums(mass), make([]float64, cells+1), make([]float64, cells+1)}
	for i, m := range mass {
		p.mean[i+1] = p.mean[i] + m*(edges[i]+edges[i+1])/2
	}
	for i := cells - 1; i >= 0; i-- {
		_, p.cost[i] = p.best(edges[i], i)
	}
	return p
}

// sums returns the sum of the values before each index.
func sums(values []float64) []float64 {
	upTo := make([]float64, len(values)+1)
	for i, v := range values {
		upTo[i+1] = upTo[i] + v
	}
	return upTo
}

// cellOf returns the cell that holds t, or the nearest.
func cellOf(edges []float64, t float64) int {
	if !(t >= firstEdge) {
		return 0
	}
	return min(sort.Search(len(edges), func(i int) bool { return edges[i] > t })-1, cells-1)
}

// Next returns the time from age to the next poll, between Floor and Ceiling, for a job that had not ended by
// age. The zero Forecast changes nothing. Any other moves the poll right behind the expected end, but makes
// the time at most mostTrust times as long, since progress may mislead.
func (p *Plan) Next(age time.Duration, f Forecast) time.Duration {
	const mostTrust = 3
	t := max(age, 0).Seconds()
	poll := t + Ceiling.Seconds()
	if t < p.edges[cells] {
		poll, _ = p.best(t, cellOf(p.edges, t))
	}
	if f.width > 0 && t < f.end+2*f.width { // it may still come true
		poll = min(max(f.end+f.width/4, t+f.width/2), t+mostTrust*(poll-t))
	}
	delay := time.Duration((poll - t) * float64(time.Second))
	return min(max(delay, Floor), Ceiling)
}

// best returns the best next poll for a job that lasts longer than t, in the given cell, and the cost from t
// on, times the probability that a job lasts that long. The poll is at an edge between Floor and Ceiling,
// before the bound on what rests on the prior; if there is none, at the first edge after Floor.
func (p *Plan) best(t float64, cell int) (poll, cost float64) {
	from, to := max(t, p.edges[cell]), p.edges[cell+1]
	rest := p.mass[cell] * (to - from) / (to - p.edges[cell]) // of the cell, after t
	before := p.upTo[cell+1] - rest
	meanBefore := p.mean[cell+1] - rest*(from+to)/2
	alive := p.upTo[cells] - before

	bound := (max(firstPoll, pollGrowth*t) - t) / p.prior
	earliest, latest := t+Floor.Seconds(), t+min(bound, Ceiling.Seconds())
	cost = math.Inf(1)
	for i := cell + 1; i <= cells; i++ {
		u := p.edges[i]
		if u < earliest && i < cells {
			continue
		}
		lag := u*(p.upTo[i]-before) - (p.mean[i] - meanBefore)
		if poll > 0 && (u > latest || alive+lag > cost) { // even later polls leave even more lag
			break
		}
		if c := alive + lag + p.cost[i]; c < cost {
			poll, cost = u, c
		}
	}
	return poll, cost
}

// Forecast is an estimate of a job's end from its progress. The zero Forecast is none.
type Forecast struct {
	end   float64 // seconds since the job's creation
	width float64 // its likely error
}

// NewForecast extrapolates from two readings of the progress, in [0, 1], at two ages. It returns the zero
// Forecast if the progress did not grow or is complete.
func NewForecast(fromAge time.Duration, from float64, age time.Duration, progress float64) Forecast {
	moved, took := progress-from, (age - fromAge).Seconds()
	if !(moved > 0) || !(took > 0) || !(progress < 1) {
		return Forecast{}
	}
	recent := (1 - progress) * took / moved              // the time left at the pace since the last reading
	overall := (1 - progress) * age.Seconds() / progress // the time left at the pace since the creation
	apart := math.Abs(math.Log(recent / overall))        // 0 if both agree
	left := math.Sqrt(recent * overall)
	return Forecast{age.Seconds() + left, left * min(0.15+apart, 2)}
}
