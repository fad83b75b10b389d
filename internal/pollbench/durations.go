package main

import (
	"math"
	"math/rand/v2"
	"time"
)

// distribution is a distribution of durations.
type distribution struct {
	name     string
	quantile func(u float64) float64 // in seconds, for u in (0, 1)
}

var distributions = []distribution{
	{"lognormal", func(u float64) float64 { return lognormal(u, 60, 0.5) }},
	{"bimodal", func(u float64) float64 {
		if u < 0.6 {
			return lognormal(u/0.6, 20, 0.2)
		}
		return lognormal((u-0.6)/0.4, 300, 0.2)
	}},
	{"heavy tail", func(u float64) float64 { return 15 * math.Pow(1-u, -1/1.3) }},
	{"normal", func(u float64) float64 { return max(120+15*normal(u), 1) }},
	{"gamma", gamma},
}

// constants are durations shared by all jobs, in seconds.
var constants = []float64{2, 3, 6, 10, 20, 30, 60, 120, 300, 600}

func constant(seconds float64) distribution {
	return distribution{"constant", func(float64) float64 { return seconds }}
}

func normal(u float64) float64                   { return math.Sqrt2 * math.Erfinv(2*u-1) }
func lognormal(u, median, sigma float64) float64 { return median * math.Exp(sigma*normal(u)) }

// gamma has shape 2 and scale 30 s. It is found by bisection.
func gamma(u float64) float64 {
	low, high := 0.0, 60.0
	for range 60 {
		if x := (low + high) / 2; 1-(1+x)*math.Exp(-x) < u {
			low = x
		} else {
			high = x
		}
	}
	return 30 * low
}

// longest caps the durations, in seconds, for schedules and optimum alike.
const longest = 12 * 60 * 60

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

func (d distribution) at(u float64) time.Duration { return duration(min(d.quantile(u), longest)) }

// sample draws n durations in random order, one from each n-th of the distribution, so that each sample has
// its share of the tail.
func (d distribution) sample(r *rand.Rand, n int) []time.Duration {
	sample := make([]time.Duration, n)
	for i, part := range r.Perm(n) {
		sample[i] = d.at((float64(part) + r.Float64()) / float64(n))
	}
	return sample
}

// draw draws n durations independently.
func (d distribution) draw(r *rand.Rand, n int) []time.Duration {
	drawn := make([]time.Duration, n)
	for i := range drawn {
		drawn[i] = d.at(r.Float64())
	}
	return drawn
}

// points returns n durations in seconds that are equally likely, in order.
func (d distribution) points(n int) []float64 {
	points := make([]float64, n)
	for i := range points {
		points[i] = d.at((float64(i) + 0.5) / float64(n)).Seconds()
	}
	return points
}

// optimum returns the polls and the lag in seconds, per job, of a client that knows that these durations
// are equally likely, if a second of lag costs as much as lambda polls. The durations are sorted. Each best
// poll is at one of them.
func optimum(ends []float64, lambda float64) (polls, lag float64) {
	n := len(ends)
	upTo := make([]float64, n+1)
	for i, end := range ends {
		upTo[i+1] = upTo[i] + end
	}
	late := func(i, j int) float64 { return ends[j-1]*float64(j-i) - (upTo[j] - upTo[i]) }
	cost := make([]float64, n+1) // of the jobs from an index on, once those before have ended
	next := make([]int, n)
	for i := n - 1; i >= 0; i-- {
		cost[i] = math.Inf(1)
		for j := i + 1; j <= n; j++ {
			here := float64(n-i) + lambda*late(i, j)
			if here > cost[i] {
				break // later polls leave more lag
			}
			if c := here + cost[j]; c < cost[i] {
				cost[i], next[i] = c, j
			}
		}
	}
	for i := 0; i < n; i = next[i] {
		polls += float64(n - i)
		lag += late(i, next[i])
	}
	return polls / float64(n), lag / float64(n)
}
