package main

import (
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"testing"
)

type config struct {
	seed     uint64
	jobs     int // for each distribution and schedule that does not learn
	clients  int // that learn; the figures are their mean
	warmUp   int // jobs that each of them sees first
	learned  int // jobs that all of them together are measured by
	constant int // jobs for each constant duration that do not teach anything
	api      int // jobs through the public API
}

// measured is everything that was measured.
type measured struct {
	results   []results
	constants []constantResult
	spread    spread
	api       []result // through the public API, for the first distribution
}

// results are those for one distribution.
type results struct {
	distribution
	best result // the optimum
	ways []result
}

// result is the cost of one way for one distribution, per job.
type result struct {
	way
	polls, lag, lag95 float64
	ratio             float64 // of the cost to that of the optimum
}

func (r result) cost() float64 { return r.polls + r.lag }

// constantResult is the cost of a constant duration.
type constantResult struct {
	seconds    float64
	cold, warm result
}

// relative returns the lag over the duration, or over 6 s for a shorter one.
func relative(lag, seconds float64) float64 { return lag / max(seconds, 6) }

// spread is the relative mean lag of all constant durations, cold.
type spread struct {
	mean    float64 // over log time
	worst   float64
	seconds float64 // the worst duration
}

// quantiles is the number of durations that stand for a distribution in the optimum.
const quantiles = 2000

// measure measures the ways by the same distributions.
func (c config) measure(t *testing.T) (m measured, err error) {
	m.results = make([]results, len(distributions))
	m.constants = make([]constantResult, len(constants))
	var group sync.WaitGroup
	for i, d := range distributions {
		m.results[i] = results{distribution: d, ways: make([]result, len(ways))}
		group.Go(func() {
			m.results[i].best.polls, m.results[i].best.lag = optimum(d.points(quantiles), 1)
		})
		for j, w := range ways {
			group.Go(func() { m.results[i].ways[j] = c.try(w, d, i, c.jobs) })
		}
	}
	for i, seconds := range constants {
		group.Go(func() {
			d := constant(seconds)
			m.constants[i] = constantResult{seconds, c.try(ways[0], d, i, c.constant), c.try(ways[1], d, i, 0)}
		})
	}
	group.Go(func() { m.spread = c.spread() })
	m.api, err = c.throughAPI(t, distributions[0])
	group.Wait()
	for i := range m.results {
		r := &m.results[i]
		for j := range r.ways {
			r.ways[j].ratio = r.ways[j].cost() / r.best.cost()
		}
	}
	for j := range m.api {
		m.api[j].ratio = m.api[j].cost() / m.results[0].best.cost()
	}
	return m, err
}

// try measures one way with n jobs, or with c.learned if it learns.
func (c config) try(w way, d distribution, index, jobs int) result {
	clients := 1
	if w.ours >= warm {
		jobs, clients = c.learned, c.clients
	}
	var outcomes []outcome
	for part := range slices.Chunk(d.sample(c.random(index, 0), jobs), jobs/clients) {
		k := &waiter{way: w, random: c.random(index, 1+len(outcomes))}
		if w.ours >= warm {
			for _, end := range d.draw(k.random, c.warmUp) {
				k.wait(end)
			}
		}
		for _, end := range part {
			outcomes = append(outcomes, k.wait(end))
		}
	}
	return summary(w, outcomes)
}

// spread measures all durations from the shortest to the longest constant, in steps of 0.2 %. The polls
// before a job's end do not depend on the end.
func (c config) spread() (s spread) {
	from, to := constants[0], constants[len(constants)-1]
	k := &waiter{way: ways[0], random: c.random(0, 1)}
	jobs := make([][]float64, c.constant)
	for i := range jobs {
		k.wait(duration(to))
		jobs[i] = slices.Clone(k.ages)
	}
	n := 0.0
	for seconds := from; seconds <= to; seconds *= 1.002 {
		lag := 0.0
		for _, ages := range jobs {
			lag += (ages[sort.SearchFloat64s(ages, seconds)] - seconds) / float64(len(jobs))
		}
		r := relative(lag, seconds)
		if r > s.worst {
			s.worst, s.seconds = r, seconds
		}
		s.mean += r
		n++
	}
	s.mean /= n
	return s
}

// random returns a source that is the same for all ways.
func (c config) random(index, purpose int) *rand.Rand {
	return rand.New(rand.NewPCG(c.seed, uint64(index)<<32+uint64(purpose)))
}

func summary(w way, outcomes []outcome) result {
	r := result{way: w}
	lags := make([]float64, len(outcomes))
	n := float64(len(outcomes))
	for i, o := range outcomes {
		lags[i] = o.lag
		r.polls += float64(o.polls) / n
		r.lag += o.lag / n
	}
	slices.Sort(lags)
	r.lag95 = lags[(len(lags)*95+99)/100-1]
	return r
}
