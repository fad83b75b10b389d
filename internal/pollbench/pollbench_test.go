package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"testing"
)

func TestTheOptimumIsRightWhereItCanBeWorkedOutByHand(t *testing.T) {
	tests := []struct {
		name            string
		ends            []float64
		lambda          float64
		wantPolls, want float64 // polls and lag per job
	}{
		{"one duration takes one poll at its end", []float64{7}, 1, 1, 0},
		{"all the same take one poll", []float64{6, 6, 6, 6}, 1, 1, 0},
		// One poll at 11 leaves the first a lag of 10, which costs 5 per job; two polls are 1.5 per job.
		{"two far apart are worth a poll each", []float64{1, 11}, 1, 1.5, 0},
		{"two near each other share a poll", []float64{10, 10.5}, 1, 1, 0.25},
		{"cheap lag lets the first wait", []float64{1, 11}, 0.05, 1, 5},
		// Polls at 2 and 11.5: 4 + 2 polls, and 1 s and 0.5 s of lag, for 4 jobs.
		{"two pairs take two polls", []float64{1, 2, 11, 11.5}, 1, 1.5, 0.375},
	}
	for _, tt := range tests {
		if polls, lag := optimum(tt.ends, tt.lambda); polls != tt.wantPolls || lag != tt.want {
			t.Errorf("%s: %v polls and %v s, want %v and %v", tt.name, polls, lag, tt.wantPolls, tt.want)
		}
	}
}

func TestTheOptimumIsBelowEveryFixedInterval(t *testing.T) {
	for _, d := range distributions {
		points := d.points(1000)
		polls, lag := optimum(points, 1)
		for every := 1.0; every < 100; every++ {
			cost := 0.0
			for _, end := range points {
				n := math.Ceil(end / every)
				cost += n + n*every - end
			}
			if cost /= float64(len(points)); polls+lag > cost+1e-9 {
				t.Errorf("%s: the optimum costs %v, polls every %v s cost %v", d.name, polls+lag, every, cost)
			}
		}
	}
}

func TestTheDistributionsAreThoseThatTheyAreSaidToBe(t *testing.T) {
	for name, want := range map[string]struct{ median, mean float64 }{
		"lognormal": {60, 60 * math.Exp(0.125)},
		"bimodal":   {20 * math.Exp(0.2*normal(0.5/0.6)), (0.6*20 + 0.4*300) * math.Exp(0.02)},
		"normal":    {120, 120},
		"gamma":     {50.35, 60},
		"constant":  {6, 6},
	} {
		for _, d := range distributions {
			if d.name != name {
				continue
			}
			mean := 0.0
			for _, p := range d.points(quantiles) {
				mean += p / quantiles
			}
			if median := d.quantile(0.5); math.Abs(median/want.median-1) > 1e-3 || math.Abs(mean/want.mean-1) > 1e-3 {
				t.Errorf("%s: median %v and mean %v, want %v and %v", name, median, mean, want.median, want.mean)
			}
		}
	}
}

func TestTheGoalsAreMet(t *testing.T) {
	all, err := config{seed: 1, jobs: 200, clients: 1, warmUp: 300, lambda: 1}.measure(t, ways[1:2])
	if err != nil {
		t.Fatal(err)
	}
	few, err := config{seed: 1, jobs: 30, lambda: 1}.measure(t, ways[:1])
	if err != nil {
		t.Fatal(err)
	}
	for d := range all {
		all[d].ways = append(all[d].ways, few[d].ways...)
	}
	for _, g := range judge(all) {
		const noise = 1.1 // of one client: what it pays for the constant goes up and down over hundreds of jobs
		if t.Log(g); g.is > noise*g.max {
			t.Error("missed by more than the noise of a small sample")
		}
	}
}

func TestTwoRunsAreEqual(t *testing.T) {
	tiny := config{seed: 1, jobs: 5, clients: 1, warmUp: 1, lambda: 1}
	few := []way{ways[0], ways[1], ways[2], ways[len(ways)-1]}
	var tables [2]bytes.Buffer
	var pictures [2][]byte
	for i := range 2 {
		all, err := tiny.measure(t, few)
		if err != nil {
			t.Fatal(err)
		}
		report(&tables[i], all)
		pictures[i] = draw(all[:1], tiny.lambda)
	}
	if !bytes.Equal(tables[0].Bytes(), tables[1].Bytes()) || !bytes.Equal(pictures[0], pictures[1]) {
		t.Error("two runs with the same seed differ")
	}
	for d := xml.NewDecoder(bytes.NewReader(pictures[0])); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal("the picture is not XML:", err)
		}
	}
}
