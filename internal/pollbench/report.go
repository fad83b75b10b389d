package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// report prints a table for each distribution, one of all ratios, one of the constants, and one of the public
// API.
func report(w io.Writer, m measured) {
	for _, d := range m.results {
		fmt.Fprintln(w, d.name)
		perJob(w, append([]result{d.best}, d.ways...))
	}
	fmt.Fprintln(w, "cost/optimum")
	table := newTable(w)
	for _, d := range m.results {
		fmt.Fprintf(table, "%s\t", d.name)
	}
	fmt.Fprintln(table, "mean*\t")
	for i, r := range m.results[0].ways {
		for _, d := range m.results {
			fmt.Fprintf(table, "%.2f\t", d.ways[i].ratio)
		}
		fmt.Fprintf(table, "%.2f\t  %s\n", geometricMean(m.results, i), r.name)
	}
	_ = table.Flush()
	fmt.Fprint(w, "* geometric\n\n")

	fmt.Fprintln(w, "constant durations")
	table = newTable(w)
	row := func(name, format string, value func(constantResult) any) {
		for _, c := range m.constants {
			fmt.Fprintf(table, format+"\t", value(c))
		}
		fmt.Fprintln(table, name)
	}
	row("", "%v s", func(c constantResult) any { return c.seconds })
	row("  polls, cold", "%.2f", func(c constantResult) any { return c.cold.polls })
	row("  polls, warm", "%.2f", func(c constantResult) any { return c.warm.polls })
	row("  mean lag, s, cold", "%.2f", func(c constantResult) any { return c.cold.lag })
	row("  mean lag, s, warm", "%.2f", func(c constantResult) any { return c.warm.lag })
	row("  over max(duration, 6 s), cold", "%.2f", func(c constantResult) any { return relative(c.cold.lag, c.seconds) })
	row("  over max(duration, 6 s), warm", "%.2f", func(c constantResult) any { return relative(c.warm.lag, c.seconds) })
	_ = table.Flush()
	fmt.Fprintf(w, "from 2 s to 10 min, cold: %.2f on average over log time, at worst %.2f, at %.1f s\n\n",
		m.spread.mean, m.spread.worst, m.spread.seconds)

	fmt.Fprintf(w, "through the public API, %s\n", m.results[0].name)
	perJob(w, m.api)
}

// perJob prints the cost of each way. The way without a name is the optimum.
func perJob(w io.Writer, all []result) {
	table := newTable(w)
	fmt.Fprintln(table, "polls per job\tmean lag, s\tp95 lag, s\tcost/optimum\t")
	for _, r := range all {
		if r.name == "" {
			fmt.Fprintf(table, "%.2f\t%.2f\t\t1.00\t  the optimum\n", r.polls, r.lag)
			continue
		}
		fmt.Fprintf(table, "%.2f\t%.2f\t%.2f\t%.2f\t  %s\n", r.polls, r.lag, r.lag95, r.ratio, r.name)
	}
	_ = table.Flush()
	fmt.Fprintln(w)
}

func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

// geometricMean returns the geometric mean of one way's ratios.
func geometricMean(all []results, way int) float64 {
	sum := 0.0
	for _, d := range all {
		sum += math.Log(d.ways[way].ratio)
	}
	return math.Exp(sum / float64(len(all)))
}

// goal is an upper bound of a figure.
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

// judge returns the goals for the ways of the client.
func judge(m measured) []goal {
	worst := 0.0
	for _, d := range m.results {
		worst = max(worst, d.ways[1].ratio)
	}
	return []goal{
		{"cold, worst lag of a constant/max(duration, 6 s)", m.spread.worst, 0.60},
		{"cold, cost/optimum", geometricMean(m.results, 0), 1.65},
		{"warm, cost/optimum", geometricMean(m.results, 1), 1.10},
		{"warm, cost/optimum, worst distribution", worst, 1.25},
		{"warm, cost/optimum through the public API", m.api[1].ratio, 1.25},
	}
}
