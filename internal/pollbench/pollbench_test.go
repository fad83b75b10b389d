package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOptimum(t *testing.T) {
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
		t.Run(tt.name, func(t *testing.T) {
			polls, lag := optimum(tt.ends, tt.lambda)
			assert.Equal(t, tt.wantPolls, polls)
			assert.Equal(t, tt.want, lag)
		})
	}
	for _, d := range distributions {
		t.Run("is below every fixed interval/"+d.name, func(t *testing.T) {
			points := d.points(1000)
			polls, lag := optimum(points, 1)
			for every := 1.0; every < 100; every++ {
				cost := 0.0
				for _, end := range points {
					n := math.Ceil(end / every)
					cost += (n + n*every - end) / float64(len(points))
				}
				assert.LessOrEqual(t, polls+lag, cost+1e-9, "polls every %v s", every)
			}
		})
	}
}

func TestDistributions(t *testing.T) {
	want := map[string]struct{ median, mean float64 }{
		"lognormal":  {60, 60 * math.Exp(0.125)},
		"bimodal":    {20 * math.Exp(0.2*normal(0.5/0.6)), (0.6*20 + 0.4*300) * math.Exp(0.02)},
		"heavy tail": {15 * math.Pow(2, 1/1.3), math.NaN()},
		"normal":     {120, 120},
		"gamma":      {50.35, 60},
	}
	for _, d := range distributions {
		t.Run(d.name, func(t *testing.T) {
			mean := 0.0
			for _, p := range d.points(quantiles) {
				mean += p / quantiles
			}
			assert.InEpsilon(t, want[d.name].median, d.quantile(0.5), 1e-3)
			if !math.IsNaN(want[d.name].mean) { // the heavy tail is cut off
				assert.InEpsilon(t, want[d.name].mean, mean, 1e-3)
			}
		})
	}
}

func TestMeasure(t *testing.T) {
	small := config{seed: 1, jobs: 2000, clients: 1, warmUp: 100, learned: 100, constant: 500, api: 50}
	m, err := small.measure(t)
	require.NoError(t, err)
	for _, g := range judge(m) {
		t.Run("small sample meets the goal but for noise/"+g.name, func(t *testing.T) {
			const noise = 1.1
			assert.LessOrEqual(t, g.is, noise*g.max)
		})
	}
	t.Run("client polls as its schedule does", func(t *testing.T) {
		for i, r := range m.api {
			assert.InEpsilon(t, m.results[0].ways[i].ratio, r.ratio, 0.15, r.name)
		}
	})
	t.Run("second run is equal", func(t *testing.T) {
		var tables [2]bytes.Buffer
		for i := range tables {
			tiny, err := config{seed: 1, jobs: 20, clients: 2, warmUp: 4, learned: 4, constant: 4, api: 2}.measure(t)
			require.NoError(t, err)
			report(&tables[i], tiny)
		}
		assert.Equal(t, tables[0].String(), tables[1].String())
	})
	t.Run("picture is XML", func(t *testing.T) {
		for d := xml.NewDecoder(bytes.NewReader(draw(m.results[:1]))); ; {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			require.NoError(t, err)
		}
	})
}
