package creatifytest

import (
	"cmp"
	"slices"
	"time"
)

// Life sets the course of a job from its creation to its end. The zero value is a job that is done after 20
// s. The slice and the function in it are not copied and must not be changed while the API is in use.
type Life struct {
	// Duration is the time from the job's creation to its end. 0 means 20 s. Less than 0 means that the job
	// never ends: it begins like a job of 20 s and stays running.
	Duration time.Duration

	// End is the last status: "done", "failed" or "rejected". If empty, it is "done".
	End string

	// Reason is the failed_reason of a failed or rejected job; "" shows as null.
	Reason string

	// VideoSeconds is the length of the video, which determines the price and, once the job is done, its
	// duration. 0 means 15.
	VideoSeconds float64

	// VideoSize is the length of the video's file in bytes. 0 means 64 KiB for each of the VideoSeconds.
	VideoSize int64

	// Render sets the course of the job's render, if one is requested.
	Render RenderLife

	// Steps, if there are any, replace the usual course, Duration and End. They may be in any order. The
	// usual course is pending, in_queue after 10 % of the time, running after 20 %, and then End; progress
	// rises evenly from 0 to 1.
	Steps []Step

	// PerRead, if more than 0, makes the job's clock count reads instead of time: each [CallGetJob] advances
	// it by PerRead, so that with 10 s a job of 20 s is done at its second read. [CallPreviewSync] then
	// responds at once, and the job sends no webhook events.
	PerRead time.Duration

	// Edit, if not nil, edits each response that shows the job before it is encoded, to make it malformed:
	// with a string as progress, a missing key or an unknown status, for example. Numbers in the map are
	// float64. It may be called by several goroutines at once.
	Edit func(job map[string]any)
}

// Step is the state of a job from a time until the next step.
type Step struct {
	At       time.Duration // since the job's creation; before the first step it is pending
	Status   string        // such as "running"; from the first "done", "failed" or "rejected" on, credits_used is set
	Progress float64       // from 0 to 1
	Preview  bool          // shows the preview already, although the status is not "done"
}

// The statuses of jobs without Steps.
const (
	pending  = "pending"
	inQueue  = "in_queue"
	running  = "running"
	done     = "done"
	failed   = "failed"
	rejected = "rejected"
)

const (
	defaultDuration     = 20 * time.Second
	defaultVideoSeconds = 15
	// stuck is the progress at which a job that never ends stays.
	stuck = 0.99
)

// at returns the state of the job some time after its creation. The step's At is when the status began.
func (l *Life) at(elapsed time.Duration) Step {
	if len(l.Steps) > 0 {
		return l.stepAt(elapsed)
	}
	duration := cmp.Or(l.Duration, defaultDuration)
	endless := duration < 0
	if endless {
		duration = defaultDuration
	}
	progress := float64(elapsed) / float64(duration)
	switch {
	case elapsed < max(duration/10, 1): // at its creation, every job is pending
		return Step{At: 0, Status: pending, Progress: progress}
	case elapsed < duration/5:
		return Step{At: duration / 10, Status: inQueue, Progress: progress}
	case endless:
		return Step{At: duration / 5, Status: running, Progress: min(progress, stuck)}
	case elapsed < duration:
		return Step{At: duration / 5, Status: running, Progress: progress}
	default:
		return Step{At: duration, Status: cmp.Or(l.End, done), Progress: 1}
	}
}

func (l *Life) stepAt(elapsed time.Duration) Step {
	last := Step{Status: pending}
	for _, step := range l.Steps {
		if last.At <= step.At && step.At <= elapsed {
			last = step
		}
	}
	return last
}

// changes returns the steps at which the job takes another status.
func (l *Life) changes() []Step {
	duration := cmp.Or(l.Duration, defaultDuration)
	if duration < 0 {
		duration = defaultDuration
	}
	times := []time.Duration{0, duration / 10, duration / 5, duration}
	if len(l.Steps) > 0 {
		times = []time.Duration{0}
		for _, step := range l.Steps {
			times = append(times, step.At)
		}
		slices.Sort(times)
	}
	var changes []Step
	for _, t := range times {
		changes = appendChange(changes, l.at(t))
	}
	return changes
}

// appendChange appends a step, unless it has the status of the last.
func appendChange(steps []Step, step Step) []Step {
	if len(steps) > 0 && steps[len(steps)-1].Status == step.Status {
		return steps
	}
	return append(steps, step)
}

// end returns the time from the job's creation to its first end, less than 0 if it never ends.
func (l *Life) end() time.Duration {
	if len(l.Steps) == 0 {
		return cmp.Or(l.Duration, defaultDuration)
	}
	end := time.Duration(-1)
	for _, step := range l.Steps {
		if isEnd(step.Status) && (end < 0 || step.At < end) && isEnd(l.stepAt(step.At).Status) {
			end = step.At
		}
	}
	return end
}

func isEnd(status string) bool {
	return status == done || status == failed || status == rejected
}

func (l *Life) videoSeconds() float64 {
	if l.VideoSeconds > 0 {
		return l.VideoSeconds
	}
	return defaultVideoSeconds
}
