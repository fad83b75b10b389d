package wait

import (
	"slices"
	"sync"
)

const (
	maxSets  = 64  // templates, the most recently used
	maxSeen  = 256 // ended jobs for each set, the latest
	minSeen  = 8   // ended jobs from which a template's own durations tell more than those of all templates
	relearns = 8   // a belief is renewed when a part of this size is new
)

// Key names the jobs that are expected to take equally long.
type Key struct {
	Template, Model string
	Video           bool
}

// all returns the key for the jobs of all templates together.
func (k Key) all() Key { return Key{Video: k.Video} }

// Learner learns how long jobs take, by template, model and kind. Its memory is bounded, it is safe for concurrent use, and
// its zero value is ready.
type Learner struct {
	mu    sync.Mutex
	model *Model // nil until it is needed
	prior *Plan
	sets  map[Key]*learned
	uses  uint64
}

// learned is the knowledge about one key.
type learned struct {
	seen     []Seen
	fresh    int // how many of seen the plan does not reflect
	learning bool
	plan     *Plan
	lastUse  uint64
}

// Plan returns when to poll jobs of this key.
func (l *Learner) Plan(key Key) *Plan {
	l.mu.Lock()
	defer l.mu.Unlock()
	set := l.sets[key]
	if set == nil || len(set.seen) < minSeen {
		set = l.set(key.all())
	}
	l.uses++
	set.lastUse = l.uses
	if set.fresh > len(set.seen)/relearns && !set.learning {
		l.learn(set)
	}
	return set.plan
}

// learn renews a set's plan. It takes milliseconds, during which others use the old plan.
func (l *Learner) learn(set *learned) {
	seen := slices.Clone(set.seen)
	set.learning, set.fresh = true, 0
	l.mu.Unlock()
	plan := l.model.Learn(seen).Plan()
	l.mu.Lock()
	set.learning, set.plan = false, plan
}

// Add adds a job that was seen to end.
func (l *Learner) Add(key Key, seen Seen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set(key).add(seen)
	if all := key.all(); key != all {
		l.set(all).add(seen)
	}
}

func (s *learned) add(seen Seen) {
	if len(s.seen) == maxSeen {
		s.seen = slices.Delete(s.seen, 0, 1)
	}
	s.seen = append(s.seen, seen)
	s.fresh++
}

// set returns the set of a key, which it makes if there is none.
func (l *Learner) set(key Key) *learned {
	if l.model == nil {
		l.model = NewModel()
		l.prior = l.model.Prior().Plan()
		l.sets = make(map[Key]*learned)
	}
	set := l.sets[key]
	if set == nil {
		if len(l.sets) >= maxSets {
			l.forgetOne()
		}
		l.uses++
		set = &learned{plan: l.prior, lastUse: l.uses}
		l.sets[key] = set
	}
	return set
}

// forgetOne drops the template that was used the longest ago.
func (l *Learner) forgetOne() {
	var oldest Key
	for key, set := range l.sets {
		if key != key.all() && (l.sets[oldest] == nil || set.lastUse < l.sets[oldest].lastUse) {
			oldest = key
		}
	}
	delete(l.sets, oldest)
}
