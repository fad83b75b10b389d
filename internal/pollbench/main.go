// Pollbench measures the client's waiting: how late it notices the end of a job, with how many polls, beside the
// schedules of other libraries and beside the optimum for somebody who knows the distribution of the durations. Nothing
// is waited for really, and the same flags give the same output.
package main

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

func main() {
	c := config{clients: 5, warmUp: 300}
	flag.Uint64Var(&c.seed, "seed", 1, "of the durations and of the jitter")
	flag.IntVar(&c.jobs, "jobs", 1000, "how many to measure for each schedule and distribution")
	flag.Float64Var(&c.lambda, "lambda", 1, "what a second of lag is worth, in polls")
	picture := flag.String("svg", "", "write the picture to this `file`")
	flag.Parse()
	if c.jobs < 100 || !(c.lambda >= 1e-6 && c.lambda <= 1e6) || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "pollbench: -jobs must be at least 100, -lambda from 1e-6 to 1e6, and nothing else is taken")
		os.Exit(2)
	}
	// A bubble of virtual time is only to be had in a test. Main would print a verdict of its own after it.
	all := func(string, string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{Name: "pollbench", F: func(t *testing.T) {
		met, err := run(t, c, *picture)
		if err != nil {
			fmt.Fprintln(os.Stderr, "pollbench:", err)
		}
		if err != nil || !met {
			os.Exit(1)
		}
		os.Exit(0)
	}}}, nil, nil)
}

// run says whether the goals are met, which are for a lambda of 1.
func run(t *testing.T, c config, picture string) (met bool, err error) {
	results, err := c.measure(t, ways)
	if err != nil {
		return false, err
	}
	report(os.Stdout, results)
	met = true
	if c.lambda == 1 {
		for _, g := range judge(results) {
			fmt.Println(g)
			met = met && g.met()
		}
	}
	if picture != "" {
		err = os.WriteFile(picture, draw(results, c.lambda), 0o644)
	}
	return met, err
}
