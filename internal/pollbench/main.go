// Pollbench measures how late the client notices the end of a job, and with how many polls. It compares both
// with the schedules of other libraries, and with the optimum for a client that knows the distribution of
// durations. Waits take virtual time, and the same flags give the same output.
package main

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

func main() {
	c := config{clients: 5, warmUp: 300, learned: 1000, constant: 4000, api: 200}
	flag.Uint64Var(&c.seed, "seed", 1, "of the durations and the jitter")
	flag.IntVar(&c.jobs, "jobs", 40_000, "the jobs for each distribution and each schedule that does not learn")
	picture := flag.String("svg", "", "write the picture to this `file`")
	flag.Parse()
	if c.jobs < 100 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "pollbench: -jobs must be at least 100, and there are no arguments")
		os.Exit(2)
	}
	// Virtual time exists only in a test. Main would print a verdict of its own after it.
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

// run reports whether the goals are met.
func run(t *testing.T, c config, picture string) (met bool, err error) {
	m, err := c.measure(t)
	if err != nil {
		return false, err
	}
	report(os.Stdout, m)
	met = true
	for _, g := range judge(m) {
		fmt.Println(g)
		met = met && g.met()
	}
	if picture != "" {
		err = os.WriteFile(picture, draw(m.results), 0o644)
	}
	return met, err
}
