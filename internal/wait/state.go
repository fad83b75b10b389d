package wait

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"
)

// Class is what a poll showed.
type Class int8

// The classes of good polls come first, then those of failed ones.
const (
	Active       Class = iota // the job has not ended
	Done                      // it has, by its status
	Failed                    // it has, without a result
	Bad                       // no usable response: none at all, a 5xx, a proxy's page, malformed JSON
	Throttled                 // 429
	Unauthorized              // 401 or 403 in the API's own words
	NotFound                  // 404 in the API's own words
)

// Observation is one poll, or the response that created the job.
type Observation struct {
	Class      Class
	Output     bool          // the wanted URL is there
	Position   uint32        // changes when status or progress does
	Content    uint32        // changes when anything does that a caller looks at
	Progress   float64       // 0 to 1
	Age        time.Duration // of the job by the server's clock; 0 if unknown
	RetryAfter time.Duration // of a failed poll
	Took       time.Duration // from request to response
}

// End is why a wait is over.
type End int8

// A wait that continues has the zero End.
const (
	Continues   End = iota
	Ready           // the job has the wanted URL
	JobEnded        // the job failed or was rejected
	TimedOut        // the deadline came first
	Stalled         // nothing moved for Rules.StallTimeout
	NoOutput        // the job is done, and its URL did not appear
	PollsFailed     // too many polls failed
)

// Judge returns how one snapshot, by itself, ends a wait.
func Judge(class Class, output bool) End {
	switch {
	case class == Failed:
		return JobEnded
	case class == Done && output:
		return Ready
	}
	return Continues
}

// Rules are the caller's settings for a wait.
type Rules struct {
	StallTimeout  time.Duration                                       // 0 is off
	MaxPollErrors int                                                 // in a row end the wait; 0 is the default rule
	Schedule      func(waited time.Duration, polls int) time.Duration // nil polls by the plan
}

// Terms are what does not change during a wait, except for the plan.
type Terms struct {
	Rules
	Plan     *Plan
	ID       string // of the job; spreads polls
	Video    bool   // the wait is for the video, not the preview
	Deadline time.Time
}

const (
	// standing is how long a preview must stand unchanged in a job that is not terminal to be the result. A
	// sibling family's documented webhook has finished previews at status pending.
	standing = 2 * time.Minute
	// previewGrace and videoGrace are how long a job may be done without its URL. Right after Render a job
	// may read as done for as long as the rendering takes, which is not documented.
	previewGrace, videoGrace = time.Minute, 15 * time.Minute
	// A wait ends after so many refusals in the API's words over refusedFor, with a poll every refusalRetry.
	refusals, refusedFor, refusalRetry = 3, 10 * time.Second, 5 * time.Second

	settling        = 5 * time.Second        // the longest interval for a job that is about to show its preview
	slowestRetry    = 30 * time.Second       // the longest interval after failed polls, without a Retry-After
	fastestSchedule = 100 * time.Millisecond // the shortest interval of a caller's schedule
	unknownErrors   = 10                     // failed polls in a row that end the wait for a job nobody has seen
	lateness        = time.Minute            // how late a good poll may come without a gap in Watched
	oldest          = 24 * time.Hour         // the oldest age that is believed when a server gives it
	longest         = 365 * 24 * time.Hour   // the longest Retry-After that counts
	most            = 10 * longest           // the longest time in a state, whose age is at most half of that
	never           = -1                     // marks a time that has not come
)

// State is what one wait has seen. It is stored as JSON after each poll and continues in any process. Times
// are counted from Started, or in the time that the job was watched; those of events that have not happened
// are negative.
type State struct {
	Started time.Time     `json:"started"`
	Born    time.Duration `json:"born"`  // when the job was
	Known   bool          `json:"known"` // the job exists: somebody has created or read it

	Polls    int32 `json:"polls"`
	Failures int32 `json:"failures"` // failed polls in a row
	Refusals int32 `json:"refusals"` // of these, refusals in the API's own words

	Next    time.Duration `json:"next"`    // when the next poll is due
	Delay   time.Duration `json:"delay"`   // from the decision to Next
	Held    time.Duration `json:"held"`    // earliest next poll, by a Retry-After
	Woken   time.Duration `json:"woken"`   // when Expedite last had the job polled
	Good    time.Duration `json:"good"`    // the latest good poll
	Refused time.Duration `json:"refused"` // the first of the refusals
	Took    time.Duration `json:"took"`    // by the latest poll

	Watched time.Duration `json:"watched"` // under good polls: no outage, no long queue, and somebody waiting
	Moved   time.Duration `json:"moved"`   // watched when status or progress last changed
	Changed time.Duration `json:"changed"` // watched when anything last changed
	Ended   time.Duration `json:"ended"`   // watched when the job was first done without its URL

	Position uint32        `json:"position"`
	Content  uint32        `json:"content"`
	Progress float64       `json:"progress"`
	At       time.Duration `json:"at"`    // the job's age when its progress last grew
	Alive    time.Duration `json:"alive"` // the job's age when it was last seen not to have ended
	Forecast Forecast      `json:"-"`     // made again from the next progress
}

// Decision is the consequence of an observation.
type Decision struct {
	End     End
	Changed bool // the snapshot tells something new
}

// Begin begins a wait for a job that was born at the given time, or at an unknown one. The first poll is due
// when the plan first polls a job, or at once for a job that is older or of unknown age.
func Begin(now, born time.Time, t Terms) State {
	s := State{Started: now, Good: never, Ended: never, Refused: never, Alive: never, Woken: -Floor}
	delay := time.Duration(0)
	if !born.IsZero() {
		s.Known = true
		s.Born = min(max(born.Sub(now), -most/2), 0)
		if t.Schedule == nil {
			delay = max(t.Plan.Next(0, Forecast{})+s.Born, 0)
		}
	}
	s.schedule(delay, now, t) // one poll is made in any case
	return s
}

// Observe applies the result of a poll.
func (s *State) Observe(o Observation, now time.Time, t Terms) Decision {
	s.Polls++
	s.Took = o.Took
	if o.Class >= Bad {
		return Decision{End: s.failed(o, now, t)}
	}
	return s.See(o, now, t)
}

// Queued postpones a poll that was not made, since its turn by a rate limit did not come.
func (s *State) Queued(now time.Time, t Terms) Decision {
	return Decision{End: s.schedule(slowestRetry, now, t)}
}

// See applies a snapshot: that of a good poll, or the response that created the job.
func (s *State) See(o Observation, now time.Time, t Terms) Decision {
	since, first := s.since(now), s.Good == never
	if !first {
		late := lateness
		if s.Failures > 0 {
			late = 0
		}
		s.Watched += max(min(since-s.Good, s.Delay+late), 0)
	} else if !s.Known && !t.Video && o.Age > 0 && o.Age < oldest {
		// The server gives the age of the job. That of a video counts from the wait's beginning: when its
		// rendering began is not documented.
		s.Born = since - o.Age
	}
	if first || o.Position != s.Position {
		s.Moved = s.Watched
	}
	changed := first || o.Content != s.Content
	if changed {
		s.Changed = s.Watched
	}
	s.Known, s.Good, s.Failures, s.Refusals, s.Held = true, since, 0, 0, 0
	s.Position, s.Content = o.Position, o.Content
	end := s.judge(o, t)
	if end == Continues {
		s.Alive = s.age(since)
		if o.Progress != s.Progress {
			s.Forecast = NewForecast(s.At, s.Progress, s.Alive, o.Progress)
			s.Progress, s.At = o.Progress, s.Alive
		}
		end = s.schedule(s.interval(o, since, t), now, t)
	}
	return Decision{end, changed}
}

// judge returns whether and how a snapshot ends the wait.
func (s *State) judge(o Observation, t Terms) End {
	if end := Judge(o.Class, o.Output); end != Continues {
		return end
	}
	if o.Class != Done {
		s.Ended = never
	} else if s.Ended == never {
		s.Ended = s.Watched
	}
	grace := previewGrace
	if t.Video {
		grace = videoGrace
	}
	switch {
	case o.Output && !t.Video && s.Watched-s.Changed >= standing:
		return Ready
	case s.Ended != never && s.Watched-s.Ended >= grace:
		return NoOutput
	case t.StallTimeout > 0 && s.Watched-s.Moved >= t.StallTimeout:
		return Stalled
	}
	return Continues
}

// interval returns how long after a good poll the next one is worth making.
func (s *State) interval(o Observation, since time.Duration, t Terms) time.Duration {
	if t.Schedule != nil {
		return max(t.Schedule(since, int(s.Polls)), fastestSchedule)
	}
	delay := Jitter(t.Plan.Next(s.age(since), s.Forecast), s.draw(t.ID))
	if !t.Video && o.Class == Done {
		delay = min(delay, settling)
	}
	if !t.Video && o.Output {
		delay = min(delay, s.Changed+standing-s.Watched)
	}
	if t.StallTimeout > 0 {
		delay = min(delay, s.Moved+t.StallTimeout-s.Watched)
	}
	return max(delay, Floor)
}

// failed applies a failed poll. Failed polls slow a wait down. They end it only if nobody has seen the job,
// if the API itself refuses again and again, or if the caller has set a limit.
func (s *State) failed(o Observation, now time.Time, t Terms) End {
	since := s.since(now)
	s.Failures++
	delay := time.Duration(0)
	if t.Schedule != nil {
		delay = max(t.Schedule(since, int(s.Polls)), fastestSchedule)
	}
	// Jobs whose polls failed together are not polled together again.
	retry := min(slowestRetry, Floor<<min(s.Failures, 10))
	spread := s.draw(t.ID)
	delay = max(delay, retry/2+time.Duration(spread*float64(retry/2)))
	if o.Class == Unauthorized || o.Class == NotFound {
		if s.Refusals == 0 {
			s.Refused = since
		}
		s.Refusals++
		delay = min(delay, refusalRetry)
	}
	if after := min(o.RetryAfter, longest); after > 0 {
		s.Held = since + after
		delay = max(delay, after+time.Duration(spread*float64(min(after/10, slowestRetry))))
	}
	switch limit := t.MaxPollErrors; {
	case limit > 0 && int(s.Failures) >= limit,
		limit == 0 && !s.Known && s.Failures >= unknownErrors,
		s.Refusals >= refusals && since-s.Refused >= refusedFor:
		return PollsFailed
	}
	return s.schedule(delay, now, t)
}

// schedule sets when the next poll is due, or ends the wait if there is no time for one.
func (s *State) schedule(delay time.Duration, now time.Time, t Terms) End {
	end := Continues
	delay, more := Fit(delay, t.Deadline.Sub(now), s.Took)
	if !more {
		delay, end = 0, TimedOut // due at once, if it is resumed nevertheless
	}
	s.Delay, s.Next = delay, s.since(now)+delay
	return end
}

// Due returns when the next poll is worth making.
func (s *State) Due() time.Time { return s.Started.Add(s.Next) }

// Resume adapts a state to this process's clock. It returns false for a state that no process has written.
func (s *State) Resume(now time.Time) bool {
	const mostPolls = 1 << 30
	times := []time.Duration{s.Born, s.Next, s.Delay, s.Held, s.Woken, s.Good, s.Refused, s.Took,
		s.Watched, s.Moved, s.Changed, s.Ended, s.At, s.Alive}
	counts := []int32{s.Polls, s.Failures, s.Refusals}
	if slices.ContainsFunc(times, func(d time.Duration) bool { return d > most || d < -most }) ||
		slices.ContainsFunc(counts, func(n int32) bool { return n < 0 || n > mostPolls }) ||
		s.Started.IsZero() || s.since(now) > most/2 || s.Took < 0 || s.Delay < 0 || !(s.Progress >= 0 && s.Progress <= 1) {
		return false
	}
	if s.Started.After(now) { // the other clock was ahead
		s.Started = now
	}
	if s.Due().Sub(now) > s.Delay { // or has been set since
		s.Next = s.since(now) + s.Delay
	}
	s.Held = min(s.Held, s.Next)
	return true
}

// Expedite makes the next poll due now: at most once a second, and never before a Retry-After is over.
func (s *State) Expedite(now time.Time) {
	soonest := max(s.since(now), s.Woken+Floor, s.Held)
	if s.Next > soonest {
		s.Next, s.Woken = soonest, soonest
	}
}

// Lived returns the ages between which the job ended, if the wait has seen it before its end.
func (s *State) Lived(now time.Time) (Seen, bool) {
	age := s.age(s.since(now))
	return Seen{After: s.Alive, By: age}, s.Alive >= 0 && age > s.Alive
}

// BornAt returns when the job was created, or the zero time if that is unknown.
func (s *State) BornAt() time.Time {
	if !s.Known {
		return time.Time{}
	}
	return s.Started.Add(s.Born)
}

func (s *State) since(now time.Time) time.Duration     { return now.Sub(s.Started) }
func (s *State) age(since time.Duration) time.Duration { return max(since-s.Born, 0) }

// draw returns a number from [0, 1) that differs by job and by poll, and is the same in every run.
func (s *State) draw(id string) float64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return float64(rand.NewPCG(h.Sum64(), uint64(s.Polls)).Uint64()>>11) / (1 << 53)
}
