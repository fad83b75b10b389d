package wait

import (
	"math"
	"sort"
	"time"
)

// Time since a job's creation is divided into cells: the first from 0 to firstEdge seconds, and each later one longer than
// the one before it by the factor step, to about two hours. Within a cell one moment is as likely as another.
const (
	cells     = 780
	firstEdge = 0.5
	step      = 1.0124
)

// makeEdges returns where the cells begin and end, in seconds.
func makeEdges() []float64 {
	edges := make([]float64, cells+1)
	for i := 1; i <= cells; i++ {
		edges[i] = firstEdge * math.Pow(step, float64(i-1))
	}
	return edges
}

// cellOf returns the cell that holds a time.
func cellOf(edges []float64, t float64) int {
	if !(t >= firstEdge) {
		return 0
	}
	return min(sort.Search(len(edges), func(i int) bool { return edges[i] > t })-1, cells-1)
}

// Plan is when to poll for the end of a job whose duration is believed to follow some distribution. It does not change.
type Plan struct {
	edges []float64
	mass  []float64 // probability of each cell
	upTo  []float64 // of all cells before an edge
	mean  []float64 // probability times time, of all cells before an edge
	cost  []float64 // of the best polls from an edge on, times the probability that the job has not ended there
	lag   float64   // what a second between the end and the poll that notices it costs, in polls
}

// newPlan finds the best polls by dynamic programming, from the last edge backwards: each edge weighs the edges at which
// the next poll could be, by the lag that it would leave and by the cost from there on. This is the exact optimum for the
// believed distribution, down to the width of a cell, also where the continuous rule of one poll to every unit of the
// integral of sqrt(lag·hazard/2) is off: at narrow peaks and in the gaps between them.
func newPlan(edges, mass []float64, lag float64) *Plan {
	p := &Plan{edges: edges, mass: mass, lag: lag,
		upTo: make([]float64, cells+1), mean: make([]float64, cells+1), cost: make([]float64, cells+1)}
	for i, m := range mass {
		p.upTo[i+1] = p.upTo[i] + m
		p.mean[i+1] = p.mean[i] + m*(edges[i]+edges[i+1])/2
	}
	for i := cells - 1; i >= 0; i-- {
		_, p.cost[i] = p.best(edges[i], i)
	}
	return p
}

// Next returns how long after age the next poll is due, for a job that had not ended by then: between Floor and Ceiling. A
// forecast sharpens the belief; a zero Forecast leaves it as it is.
func (p *Plan) Next(age time.Duration, forecast Forecast) time.Duration {
	t := max(age, 0).Seconds()
	poll := t + Ceiling.Seconds()
	if t < p.edges[cells] {
		cell := cellOf(p.edges, t)
		if forecast.means(t) {
			poll = p.withForecast(forecast, t, cell)
		} else {
			poll, _ = p.best(t, cell)
		}
	}
	delay := time.Duration((poll - t) * float64(time.Second))
	return min(max(delay, Floor), Ceiling)
}

// best returns when the next poll is best for a job that has not ended by the time t, in the given cell, and what the polls
// from t on cost, times the probability that the job has not ended by t. There is an edge beyond t.
func (p *Plan) best(t float64, cell int) (poll, cost float64) {
	rest := p.rest(t, cell)
	before := p.upTo[cell+1] - rest
	meanBefore := p.mean[cell+1] - rest*p.middle(t, cell)
	alive := p.upTo[cells] - before

	first, last := p.reach(t, cell)
	cost = math.Inf(1)
	for i := first; i <= last; i++ {
		u := p.edges[i]
		lag := p.lag * (u*(p.upTo[i]-before) - (p.mean[i] - meanBefore))
		if c := alive + lag + p.cost[i]; c < cost {
			poll, cost = u, c
		} else if alive+lag > cost {
			break // and later ones leave more lag
		}
	}
	return poll, cost
}

// reach returns the edges at which the poll after t may be: between floor and ceiling, and at least one.
func (p *Plan) reach(t float64, cell int) (first, last int) {
	first = cell + 1
	for first < cells && p.edges[first] < t+Floor.Seconds() {
		first++
	}
	last = first
	for last < cells && p.edges[last+1] <= t+Ceiling.Seconds() {
		last++
	}
	return first, last
}

// Forecast is an estimate of when a job ends, from the progress that it reports. It is not trusted blindly: the belief is
// weighed by how near to the estimate a moment is, and a part of it is left as it is.
type Forecast struct {
	end   float64 // seconds since the creation
	width float64 // how far off it may well be; 0 for no forecast
}

// NewForecast extrapolates from two readings of the progress, in [0, 1], at two ages. It is the zero Forecast when that
// cannot be done: when the progress has not moved forward, or is complete.
func NewForecast(fromAge time.Duration, from float64, age time.Duration, progress float64) Forecast {
	moved, took := progress-from, (age - fromAge).Seconds()
	if !(moved > 0) || !(took > 0) || !(progress < 1) {
		return Forecast{}
	}
	recent := (1 - progress) * took / moved              // by the pace since the last reading
	overall := (1 - progress) * age.Seconds() / progress // by the pace since the creation
	apart := math.Abs(math.Log(recent / overall))        // 0 when both agree
	left := math.Sqrt(recent * overall)
	return Forecast{age.Seconds() + left, left * min(0.15+apart, 2)}
}

// means says whether the forecast still has a meaning at the time t: when a job is long past it, it was wrong.
func (f Forecast) means(t float64) bool {
	return f.width > 0 && t < f.end+2*f.width
}

// near says how near a moment is to the estimate, from 1 for very near to 0.
func (f Forecast) near(t float64) float64 {
	z := (t - f.end) / f.width
	return 1 / (1 + z*z*z*z)
}

// unswayed is the part of the belief that a forecast leaves as it is.
const unswayed = 0.1

// withForecast returns when to poll next by a belief of which a part is weighed by how near to the forecast it is. The plan
// does not hold for such a belief, so the poll comes by the continuous rule: when the integral of sqrt(lag·hazard/2) has
// grown by one.
func (p *Plan) withForecast(f Forecast, t float64, cell int) float64 {
	believed, near := 0.0, 0.0
	for i := cell; i < cells; i++ {
		m := p.rest(t, i)
		believed += m
		near += m * f.near(p.middle(t, i))
	}
	if !(near > 0) {
		poll, _ := p.best(t, cell)
		return poll
	}
	polls, alive := 0.0, 1.0
	for i := cell; i < cells; i++ {
		m := p.rest(t, i) * (unswayed/believed + (1-unswayed)*f.near(p.middle(t, i))/near)
		from, to := max(t, p.edges[i]), p.edges[i+1]
		hazard := m / (to - from) / max(alive-m/2, 1e-12)
		grows := (to - from) * math.Sqrt(p.lag*hazard/2)
		if polls+grows >= 1 {
			return from + (to-from)*(1-polls)/grows
		}
		polls += grows
		alive -= m
	}
	return p.edges[cells]
}

// rest returns the probability of what is left of a cell after the time t.
func (p *Plan) rest(t float64, cell int) float64 {
	from, to := max(t, p.edges[cell]), p.edges[cell+1]
	return p.mass[cell] * (to - from) / (to - p.edges[cell])
}

func (p *Plan) middle(t float64, cell int) float64 {
	return (max(t, p.edges[cell]) + p.edges[cell+1]) / 2
}
