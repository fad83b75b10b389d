package wait

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPrior(t *testing.T) {
	b := Prior()
	upTo := sums(b.mass)
	between := upTo[cellOf(b.edges, 300)] - upTo[cellOf(b.edges, 6)]
	assert.InDelta(t, 0.9, between, 0.02, "nine tenths lie between 6 s and 5 min")
	assert.Equal(t, b, prior.Learn(nil))
}

func TestLearn(t *testing.T) {
	tests := []struct {
		name     string
		duration distribution
		from, to float64 // seconds
		want     float64 // the probability between them
		within   float64
	}{
		{"constant: not later", constant, 6.5, 3600, 0, 0.05},
		{"two peaks: the first", bimodal, 10, 45, 0.6, 0.1},
		{"two peaks: between", bimodal, 45, 140, 0, 0.03},
		{"two peaks: the second", bimodal, 140, 600, 0.4, 0.1},
		{"one wide peak: left half", lognormal, 1, 60, 0.5, 0.1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := prior.Learn(seenFrom(rand.New(rand.NewPCG(4, 4)), 200, tt.duration))
			upTo := sums(b.mass)
			assert.InDelta(t, tt.want, upTo[cellOf(b.edges, tt.to)]-upTo[cellOf(b.edges, tt.from)], tt.within)
		})
	}
	for _, tt := range []struct {
		name string
		seen []Seen
		sum  float64 // 0 if any will do
	}{
		{"no jobs", nil, 1},
		{"many jobs", seenFrom(rand.New(rand.NewPCG(2, 2)), 100, lognormal), 1},
		{"a job that took no time", []Seen{{}}, 0},
		{"impossible jobs", extremeSeen(), 0},
	} {
		t.Run("gives a distribution/"+tt.name, func(t *testing.T) {
			sum := 0.0
			for i, p := range prior.Learn(tt.seen).mass {
				assert.True(t, p >= 0 && !math.IsInf(p, 0), "cell %d has %v", i, p)
				sum += p
			}
			if tt.sum > 0 {
				assert.InDelta(t, tt.sum, sum, 0.01)
			}
		})
	}
}

func BenchmarkLearn(b *testing.B) {
	seen := seenFrom(rand.New(rand.NewPCG(5, 5)), 256, lognormal)
	for b.Loop() {
		prior.Learn(seen)
	}
}
