package wait

import (
	"slices"
	"sync"
)

const (
	maxSets  = 64  // keys; beyond that, any is forgotten
	maxSeen  = 256 // ended jobs for each key, the latest
	minSeen  = 8   // ended jobs from which a template's own durations are used, not those of all templates
	relearns = 8   // a plan is renewed when more than one in so many of its jobs is new
)

// Key names the jobs that are expected to take equally long.
type Key struct {
	Template, Model string
	Video           bool
}

// all returns the key for the jobs of all templates together.
func (k Key) all() Key { return Key{Video: k.Video} }

// Learner learns how long jobs take, by template, model and kind. Its memory is bounded, it is safe for
// concurrent use, and its zero value is ready.
type Learner struct {
	mu    sync.Mutex
	prior *Plan // nil until it is needed
	sets  map[Key]*learned
}

// learned is the knowledge about one key.
type learned struct {
	seen  []Seen
	fresh int // how many of seen the plan does not reflect
	plan  *Plan
}

// Plan returns when to poll jobs of this key.
func (l *Learner) Plan(key Key) *Plan {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own := l.sets[key]; own == nil || len(own.seen) < minSeen {
		key = key.all()
	}
	set := l.set(key)
	if set.fresh > len(set.seen)/relearns {
		set.plan, set.fresh = l.prior.Learn(set.seen), 0
	}
	return set.plan
}

// Add adds a job that was seen to end.
func (l *Learner) Add(key Key, seen Seen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range slices.Compact([]Key{key, key.all()}) {
		set := l.set(key)
		set.seen = append(set.seen, seen)
		if len(set.seen) > maxSeen {
			set.seen = slices.Delete(set.seen, 0, 1)
		}
		set.fresh++
	}
}

// set returns the set of a key, which it makes if there is none.
func (l *Learner) set(key Key) *learned {
	if l.prior == nil {
		l.prior, l.sets = Prior(), make(map[Key]*learned)
	}
	if l.sets[key] == nil {
		for old := range l.sets {
			if len(l.sets) >= maxSets && old != old.all() {
				delete(l.sets, old)
			}
		}
		l.sets[key] = &learned{plan: l.prior}
	}
	return l.sets[key]
}
