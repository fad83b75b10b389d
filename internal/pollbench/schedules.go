package main

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/creatify-community/creatify-go/internal/wait"
)

// way is a way to wait.
type way struct {
	name, short string
	ours        experience
	schedule    func(r *rand.Rand, polls int) float64 // seconds to the next poll, for schedules that are not ours
}

// experience is what the client's own schedule has learned.
type experience int

const (
	none         experience = iota // the schedule is not ours
	cold                           // no job has ended
	warm                           // jobs were seen to end
	warmProgress                   // and they report their progress
)

var ways = []way{
	{name: "this client, cold", short: "cold", ours: cold},
	{name: "this client, warm", short: "warm", ours: warm},
	{name: "this client, warm, with progress", ours: warmProgress},
	{name: "1 s (openai-go, replicate-go)", short: "1 s", schedule: fixed(1)},
	{name: "2 s", short: "2 s", schedule: fixed(2)},
	{name: "5 s", short: "5 s", schedule: fixed(5)},
	{name: "30 s (azcore)", short: "30 s", schedule: fixed(30)},
	{name: "3 s × 1.5 to 60 s", short: "3 s × 1.5", schedule: growing(3, 1.5, 60)},
	{name: "2 s × 2 to 30 s", short: "2 s × 2", schedule: growing(2, 2, 30)},
	{name: "15 s to 120 s, jitter (AWS waiters)", short: "AWS", schedule: awsWaiter},
	{name: "1 s to 60 s, full jitter (gax)", short: "gax", schedule: gax},
}

func fixed(seconds float64) func(*rand.Rand, int) float64 {
	return func(*rand.Rand, int) float64 { return seconds }
}

func growing(first, factor, most float64) func(*rand.Rand, int) float64 {
	return func(_ *rand.Rand, polls int) float64 { return min(first*math.Pow(factor, float64(polls)), most) }
}

// awsWaiter draws between the shortest interval and one that doubles.
func awsWaiter(r *rand.Rand, polls int) float64 {
	most := min(15*math.Pow(2, float64(polls)), 120)
	return 15 + (most-15)*r.Float64()
}

// gax draws between nothing and an interval that doubles.
func gax(r *rand.Rand, polls int) float64 {
	return r.Float64() * min(math.Pow(2, float64(polls)), 60)
}

// outcome is the cost of one job.
type outcome struct {
	polls int
	lag   float64 // seconds
}

// waiter waits for one job after another.
type waiter struct {
	way
	random  *rand.Rand
	learner wait.Learner
	ages    []float64 // of the latest job at its polls, in seconds
}

// wait waits for a job that ends after end.
func (w *waiter) wait(end time.Duration) outcome {
	w.ages = w.ages[:0]
	if w.ours != none {
		w.waitOurs(end)
	} else {
		for age := 0.0; age < end.Seconds(); w.ages = append(w.ages, age) {
			age += w.schedule(w.random, len(w.ages))
		}
	}
	return outcome{len(w.ages), w.ages[len(w.ages)-1] - end.Seconds()}
}

// waitOurs makes the client's decisions without its requests. Unless progress is measured, a job shows none
// before its end, since the progress of real jobs is not documented. A wait that ends without the job lasts
// forever.
func (w *waiter) waitOurs(end time.Duration) {
	created := time.Unix(0, 0)
	key := wait.Key{Template: "template"}
	terms := wait.Terms{Deadline: created.Add(2 * longest * time.Second),
		ID: strconv.FormatUint(w.random.Uint64(), 36), Plan: w.learner.Plan(key)}
	state := wait.Begin(created, created, terms)
	decision := state.See(wait.Observation{}, created, terms)
	for decision.End == wait.Continues {
		age := state.Due().Sub(created)
		w.ages = append(w.ages, age.Seconds())
		var seen wait.Observation
		if age >= end {
			seen = wait.Observation{Class: wait.Done, Output: true}
		} else if w.ours == warmProgress {
			seen.Progress = float64(age) / float64(end)
		}
		decision = state.Observe(seen, state.Due(), terms)
	}
	if decision.End != wait.Ready {
		w.ages = append(w.ages, math.Inf(1))
	}
	if lived, ok := state.Lived(state.Due()); ok && w.ours != cold {
		w.learner.Add(key, lived)
	}
}
