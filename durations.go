package creatify

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	schedule "github.com/creatify-community/creatify-go/internal/wait"
)

// DurationSet is what a client has seen of how long jobs of one kind take. It is what waits learn their schedule from; see
// [JobsService.ExportDurations].
type DurationSet struct {
	TemplateID   string       `json:"template_id,omitempty"`   // empty for all templates together
	ModelVersion ModelVersion `json:"model_version,omitempty"` // empty where it is not known
	Kind         JobKind      `json:"kind"`                    // what was waited for
	Seen         []Duration   `json:"seen"`                    // at most 256, the oldest first
}

// Duration is how long one job took, as far as polls can tell: more than After, and no more than By. Both are in
// nanoseconds in JSON.
type Duration struct {
	After time.Duration `json:"after"` // the job had not ended by then
	By    time.Duration `json:"by"`    // but by then it had
}

// ExportDurations returns what the client has learned of how long jobs take, for a caller who wants to keep it. It costs
// nothing. The library itself stores nothing.
func (s *JobsService) ExportDurations() []DurationSet {
	if s == nil || s.api == nil {
		return nil
	}
	return s.api.durations.export()
}

// ImportDurations takes in what [JobsService.ExportDurations] returned, perhaps in another process, so that the first waits
// know already when to look. It adds to what the client has learned. Values that make no sense are [ErrInvalidParams], and
// then nothing is taken in.
func (s *JobsService) ImportDurations(sets []DurationSet) error {
	var problems []Problem
	for i, set := range sets {
		if set.Kind != KindPreview && set.Kind != KindVideo {
			problems = append(problems, Problem{fmt.Sprintf("sets[%d].kind", i), "is neither preview nor video"})
		}
		for j, d := range set.Seen {
			if d.After < 0 || d.By <= d.After {
				problems = append(problems, Problem{fmt.Sprintf("sets[%d].seen[%d]", i, j),
					fmt.Sprintf("must be from 0 up, not from %v to %v", d.After, d.By)})
			}
		}
	}
	if s == nil || s.api == nil {
		problems = append(problems, Problem{"client", "was not made by New"})
	}
	if err := validation(problems); err != nil {
		return err
	}
	s.api.durations.take(sets)
	return nil
}

const (
	maxDurationSets = 64  // of templates, those last used
	maxSeen         = 256 // of a set, the last ones
	// enoughSeen is from when on a template's own durations tell more than those of all templates together.
	enoughSeen = 8
	maxPlans   = 4 // of a set, for different costs of lag
)

// durations learns how long jobs take, by template, model and kind, and over all templates. It is bounded, and safe for
// concurrent use.
type durations struct {
	mu    sync.Mutex
	model *schedule.Model // nil until it is needed
	sets  map[durationKey]*durationSet
	uses  uint64
}

type durationKey struct {
	template string
	model    ModelVersion
	kind     JobKind
}

// all is the key of all templates together.
func (k durationKey) all() durationKey { return durationKey{kind: k.kind} }

type durationSet struct {
	seen     []schedule.Seen
	fresh    int // how many of them the belief does not know
	learning bool
	belief   schedule.Belief
	plans    map[float64]*schedule.Plan // by what a second of lag costs
	lastUse  uint64
}

// plan returns when to poll for a job, where a second of lag costs as much as so many polls.
func (d *durations) plan(key durationKey, lag float64) *schedule.Plan {
	d.mu.Lock()
	defer d.mu.Unlock()
	set := d.sets[key]
	if set == nil || len(set.seen) < enoughSeen {
		set = d.set(key.all())
	}
	d.uses++
	set.lastUse = d.uses
	if set.fresh > len(set.seen)/8 && !set.learning {
		d.learn(set)
	}
	plan := set.plans[lag]
	if plan == nil {
		if len(set.plans) >= maxPlans {
			clear(set.plans)
		}
		plan = set.belief.Plan(lag)
		set.plans[lag] = plan
	}
	return plan
}

// learn renews a set's belief. That takes some milliseconds, in which others go on with the old one.
func (d *durations) learn(set *durationSet) {
	seen := slices.Clone(set.seen)
	set.learning, set.fresh = true, 0
	d.mu.Unlock()
	belief := d.model.Learn(seen)
	d.mu.Lock()
	set.learning, set.belief = false, belief
	clear(set.plans)
}

// add takes in a job that was seen to end.
func (d *durations) add(key durationKey, seen schedule.Seen) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.set(key).add(seen)
	if all := key.all(); key != all {
		d.set(all).add(seen)
	}
}

func (d *durations) take(sets []DurationSet) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, set := range sets {
		into := d.set(durationKey{set.TemplateID, set.ModelVersion, set.Kind})
		for _, seen := range set.Seen {
			into.add(schedule.Seen(seen))
		}
	}
}

func (s *durationSet) add(seen schedule.Seen) {
	if len(s.seen) == maxSeen {
		s.seen = slices.Delete(s.seen, 0, 1)
	}
	s.seen = append(s.seen, seen)
	s.fresh++
}

// set returns the set for a key, and makes room for it if it is new.
func (d *durations) set(key durationKey) *durationSet {
	if d.model == nil {
		d.model = schedule.NewModel()
		d.sets = make(map[durationKey]*durationSet)
	}
	set := d.sets[key]
	if set == nil {
		if len(d.sets) >= maxDurationSets {
			d.forgetOne()
		}
		d.uses++
		set = &durationSet{belief: d.model.Prior(), plans: make(map[float64]*schedule.Plan), lastUse: d.uses}
		d.sets[key] = set
	}
	return set
}

// forgetOne drops the set of a template that was used the longest ago.
func (d *durations) forgetOne() {
	var oldest durationKey
	for key, set := range d.sets {
		if key != key.all() && (d.sets[oldest] == nil || set.lastUse < d.sets[oldest].lastUse) {
			oldest = key
		}
	}
	delete(d.sets, oldest)
}

func (d *durations) export() []DurationSet {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []DurationSet
	for key, set := range d.sets {
		if len(set.seen) == 0 {
			continue
		}
		export := DurationSet{key.template, key.model, key.kind, make([]Duration, len(set.seen))}
		for i, seen := range set.seen {
			export.Seen[i] = Duration(seen)
		}
		all = append(all, export)
	}
	slices.SortFunc(all, func(a, b DurationSet) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.TemplateID, b.TemplateID), cmp.Compare(a.ModelVersion, b.ModelVersion))
	})
	return all
}
