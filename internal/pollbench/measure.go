package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// way is a way to wait.
type way struct {
	name, short string
	ours        experience
	schedule    func(*rand.Rand) creatify.Schedule // of those who do not learn
}

// experience is what the client has to go by.
type experience int

const (
	none         experience = iota // it is not the client's own schedule
	cold                           // each job has a new client
	warm                           // a client has seen jobs end
	warmProgress                   // and the jobs tell their progress
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

func fixed(seconds float64) func(*rand.Rand) creatify.Schedule {
	return func(*rand.Rand) creatify.Schedule { return creatify.FixedInterval(duration(seconds)) }
}

func growing(first, factor, most float64) func(*rand.Rand) creatify.Schedule {
	return func(*rand.Rand) creatify.Schedule {
		return func(_ time.Duration, polls int) time.Duration {
			return duration(min(first*math.Pow(factor, float64(polls)), most))
		}
	}
}

// awsWaiter draws from what lies between the shortest interval and one that doubles.
func awsWaiter(r *rand.Rand) creatify.Schedule {
	return func(_ time.Duration, polls int) time.Duration {
		most := min(15*math.Pow(2, float64(polls)), 120)
		return duration(15 + (most-15)*r.Float64())
	}
}

// gax draws from what lies between nothing and an interval that doubles.
func gax(r *rand.Rand) creatify.Schedule {
	return func(_ time.Duration, polls int) time.Duration {
		return duration(r.Float64() * min(math.Pow(2, float64(polls)), 60))
	}
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

type config struct {
	seed    uint64
	jobs    int // measured for each way and distribution
	clients int // that share the measured jobs of a warm client
	warmUp  int // jobs that each of those sees before
	lambda  float64
}

// result is what one way cost for one distribution, per job.
type result struct {
	way
	polls, lag, lag95 float64
	ratio             float64 // of the cost to that of the optimum
}

// results are those for one distribution.
type results struct {
	distribution
	best result // the optimum
	ways []result
}

// task is a row of jobs, one after another, in a bubble of its own.
type task struct {
	way
	before, measured []float64
	random           *rand.Rand
	outcomes         []outcome
	err              error
}

// outcome is what became of one job.
type outcome struct {
	polls int
	lag   float64
}

// measure tries the ways on the same durations.
func (c config) measure(t *testing.T, ways []way) ([]results, error) {
	tasks := make([][][]*task, len(distributions))
	t.Run("all", func(t *testing.T) {
		for d, distribution := range distributions {
			measured := distribution.sample(c.random(d, 0), c.jobs)
			tasks[d] = make([][]*task, len(ways))
			for w, way := range ways {
				parts := 1
				if way.ours >= warm {
					parts = c.clients
				}
				for p := range parts {
					k := &task{way: way, random: c.random(d, 1+p), measured: measured[p*c.jobs/parts : (p+1)*c.jobs/parts]}
					if way.ours >= warm {
						k.before = distribution.draw(k.random, c.warmUp)
					}
					tasks[d][w] = append(tasks[d][w], k)
					t.Run(distribution.name+", "+way.name, func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) { k.run(t.Context(), c.lambda) })
					})
				}
			}
		}
	})
	all := make([]results, len(distributions))
	for d, distribution := range distributions {
		polls, lag := optimum(distribution.points(quantiles), c.lambda)
		all[d] = results{distribution: distribution, best: result{polls: polls, lag: lag}}
		for w, way := range ways {
			var outcomes []outcome
			for _, k := range tasks[d][w] {
				if k.err != nil {
					return nil, fmt.Errorf("%s, %s: %w", distribution.name, way.name, k.err)
				}
				outcomes = append(outcomes, k.outcomes...)
			}
			r := summary(outcomes)
			r.way, r.ratio = way, (r.polls+c.lambda*r.lag)/(polls+c.lambda*lag)
			all[d].ways = append(all[d].ways, r)
		}
	}
	return all, nil
}

// quantiles is by how many durations the optimum knows a distribution.
const quantiles = 2000

// random returns a source that is the same for the same purpose in all ways.
func (c config) random(distribution, purpose int) *rand.Rand {
	return rand.New(rand.NewPCG(c.seed, uint64(distribution)<<32+uint64(purpose)))
}

func summary(outcomes []outcome) result {
	var r result
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

func (k *task) run(ctx context.Context, lambda float64) {
	// The client's jitter follows from the jobs' IDs, and these from the seed.
	api := creatifytest.New(creatifytest.Config{Credits: 1e9, Seed: k.random.Uint64()})
	options := []creatify.WaitOption{creatify.WithMaxWait(24 * time.Hour)}
	if k.schedule != nil {
		options = append(options, creatify.WithSchedule(k.schedule(k.random)))
	} else {
		_ = lambda
	}
	var client *creatify.Client
	for i, seconds := range slices.Concat(k.before, k.measured) {
		if client == nil || k.ours == cold {
			if client, k.err = creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient())); k.err != nil {
				return
			}
		}
		o, err := preview(ctx, api, client, k.life(duration(seconds)), options)
		if err != nil {
			k.err = err
			return
		}
		if i >= len(k.before) {
			k.outcomes = append(k.outcomes, o)
		}
	}
}

// life is how a job goes that does not give its end away before it is there. How real jobs report their progress is not
// documented, and the time of their last change was seen to stand still.
func (k *task) life(d time.Duration) creatifytest.Life {
	if k.ours == warmProgress {
		return creatifytest.Life{Duration: d}
	}
	life := creatifytest.Life{Duration: d, Steps: []creatifytest.Step{{Status: "running"}, {At: d, Status: "done"}}}
	if k.ours != none { // the others do not look, and are faster without
		life.Reply = func(job map[string]any) { job["progress"], job["updated_at"] = 0, job["created_at"] }
	}
	return life
}

func preview(ctx context.Context, api *creatifytest.API, client *creatify.Client, life creatifytest.Life, options []creatify.WaitOption) (outcome, error) {
	api.NextJob(life)
	before, start := api.Calls(creatifytest.CallGetJob), time.Now()
	_, err := client.Jobs.CreatePreviewAndWait(ctx, creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
	}, options...)
	return outcome{api.Calls(creatifytest.CallGetJob) - before, (time.Since(start) - life.Duration).Seconds()}, err
}
