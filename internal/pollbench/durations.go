package main

import (
	"math"
	"math/rand/v2"
)

// distribution is one of how long jobs take.
type distribution struct {
	name     string
	quantile func(u float64) float64 // in seconds, for u in (0, 1)
	constant bool
}

var distributions = []distribution{
	{name: "lognormal", quantile: func(u float64) float64 { return lognormal(u, 60, 0.5) }},
	{name: "bimodal", quantile: func(u float64) float64 {
		if u < 0.6 {
			return lognormal(u/0.6, 20, 0.2)
		}
		return lognormal((u-0.6)/0.4, 300, 0.2)
	}},
	{name: "heavy tail", quantile: func(u float64) float64 { return 15 * math.Pow(1-u, -1/1.3) }},
	{name: "normal", quantile: func(u float64) float64 { return max(120+15*normal(u), 1) }},
	{name: "gamma", quantile: gamma},
	{name: "constant", quantile: func(float64) float64 { return 6 }, constant: true},
}

func normal(u float64) float64                   { return math.Sqrt2 * math.Erfinv(2*u-1) }
func lognormal(u, median, sigma float64) float64 { return median * math.Exp(sigma*normal(u)) }

// gamma is of shape 2 and scale 30 s, found by bisection.
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

// longest is where durations are cut off, in seconds, for the schedules and the optimum alike.
const longest = 12 * 60 * 60

// points returns n durations that are equally likely, in order.
func (d distribution) points(n int) []float64 {
	points := make([]float64, n)
	for i := range points {
		points[i] = min(d.quantile((float64(i)+0.5)/float64(n)), longest)
	}
	return points
}

// sample draws n durations, one from each n-th of the distribution and in random order: so the tail has its due share
// in every sample.
func (d distribution) sample(r *rand.Rand, n int) []float64 {
	sample := make([]float64, n)
	for i, at := range r.Perm(n) {
		sample[i] = min(d.quantile((float64(at)+r.Float64())/float64(n)), longest)
	}
	return sample
}

// draw draws n durations, each by itself.
func (d distribution) draw(r *rand.Rand, n int) []float64 {
	drawn := make([]float64, n)
	for i := range drawn {
		drawn[i] = min(d.quantile(r.Float64()), longest)
	}
	return drawn
}

// optimum returns the polls and the lag in seconds, per job, of somebody who knows that these durations are equally
// likely, and to whom a second of lag is worth lambda polls. They are in order. Each poll is best at one of them.
func optimum(ends []float64, lambda float64) (polls, lag float64) {
	n := len(ends)
	upTo := make([]float64, n+1)
	for i, end := range ends {
		upTo[i+1] = upTo[i] + end
	}
	late := func(i, j int) float64 { return ends[j-1]*float64(j-i) - (upTo[j] - upTo[i]) }
	cost := make([]float64, n+1) // of all jobs from one on, which have not ended when those before have
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
