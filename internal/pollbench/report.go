package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// report prints a table for each distribution, and one of all ratios.
func report(w io.Writer, all []results) {
	for _, d := range all {
		fmt.Fprintf(w, "%s\n", d.name)
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(table, "polls per job\tmean lag, s\tp95 lag, s\tcost/optimum\t")
		row := func(name string, polls, lag float64, rest string) {
			fmt.Fprintf(table, "%.2f\t%.2f\t%s\t  %s\n", polls, lag, rest, name)
		}
		row("the optimum", d.best.polls, d.best.lag, "\t1.00")
		for _, r := range d.ways {
			row(r.name, r.polls, r.lag, fmt.Sprintf("%.2f\t%.2f", r.lag95, r.ratio))
		}
		_ = table.Flush()
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "cost/optimum")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, d := range all {
		fmt.Fprintf(table, "%s\t", d.name)
	}
	fmt.Fprintln(table, "mean*\t")
	for i, r := range all[0].ways {
		for _, d := range all {
			fmt.Fprintf(table, "%.2f\t", d.ways[i].ratio)
		}
		fmt.Fprintf(table, "%.2f\t  %s\n", geometricMean(all, i), r.name)
	}
	_ = table.Flush()
	fmt.Fprint(w, "* geometric, without the constant\n\n")
}

// geometricMean is of the ratios of one way, over the distributions that are not a constant.
func geometricMean(all []results, way int) float64 {
	sum, n := 0.0, 0.0
	for _, d := range all {
		if !d.constant {
			sum += math.Log(d.ways[way].ratio)
			n++
		}
	}
	return math.Exp(sum / n)
}

// goal is an upper bound of a ratio to the optimum.
type goal struct {
	name    string
	is, max float64
}

func (g goal) met() bool { return g.is <= g.max }

func (g goal) String() string {
	verdict := "pass"
	if !g.met() {
		verdict = "FAIL"
	}
	return fmt.Sprintf("%s  %s: %.3f, at most %.2f", verdict, g.name, g.is, g.max)
}

// judge compares the results with the goals.
func judge(all []results) []goal {
	goals := []goal{}
	for i, r := range all[0].ways {
		switch r.ours {
		case cold:
			goals = append(goals, goal{"cold, geometric mean", geometricMean(all, i), 1.65})
		case warm:
			worst, constant := 0.0, 0.0
			for _, d := range all {
				if d.constant {
					constant = d.ways[i].ratio
				} else {
					worst = max(worst, d.ways[i].ratio)
				}
			}
			goals = append(goals, goal{"warm, geometric mean", geometricMean(all, i), 1.15},
				goal{"warm, the worst but the constant", worst, 1.3}, goal{"warm, the constant", constant, 1.5})
		}
	}
	return goals
}
