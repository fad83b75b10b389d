package creatifytest

import (
	"cmp"
	"net/http"
	"time"
)

// RenderLife sets the course of a render from its call to its end. The zero value is a render that is done
// after 20 s. The job keeps its preview, and its later Steps do not happen.
type RenderLife struct {
	// Lag is how long after the call the job remains "done" without a video, as the real API may show it.
	// Then it is running, and its progress rises evenly from 0 to 1.
	Lag time.Duration

	// Duration is the time from the call to the end. 0 means 20 s. Less than 0 means that the render never
	// ends: it begins like a render of 20 s and stays running.
	Duration time.Duration

	// End is the last status: "done", "failed" or "rejected". If empty, it is "done".
	End string

	// Reason is the failed_reason of a failed or rejected render; "" shows as null.
	Reason string

	// URLLifetime is how long a URL of the job's video works; 0 means forever. If it is set, each response
	// that shows the job has a new URL, and an expired URL gets 403. It also holds for a video without a
	// preview.
	URLLifetime time.Duration
}

// at returns the state of the job some time after the call for its render, from which the step's At counts.
// It returns false while the job shows nothing of the render.
func (l *RenderLife) at(elapsed time.Duration) (Step, bool) {
	lag := max(l.Lag, 0)
	duration := cmp.Or(l.Duration, defaultDuration)
	endless := duration < 0
	if endless {
		duration = lag + defaultDuration
	}
	switch {
	case elapsed >= duration && !endless:
		return Step{At: duration, Status: cmp.Or(l.End, done), Progress: 1}, true
	case elapsed < lag:
		return Step{}, false
	}
	progress := float64(elapsed-lag) / float64(duration-lag)
	if endless {
		progress = min(progress, stuck)
	}
	return Step{At: lag, Status: running, Progress: progress}, true
}

// changes returns the steps at which the render takes another status.
func (l *RenderLife) changes() []Step {
	var changes []Step
	for _, t := range []time.Duration{l.Lag, cmp.Or(l.Duration, defaultDuration)} {
		if step, begun := l.at(max(t, 0)); begun {
			changes = appendChange(changes, step)
		}
	}
	return changes
}

func (a *API) render(id, contentType string, body []byte) response {
	// The documentation requires the body of a create here, but clients send {}, so its fields are ignored.
	if _, refusal := parseBody(contentType, body); refusal != nil {
		return *refusal
	}
	j, refusal := a.startRender(id)
	if refusal != nil {
		return *refusal
	}
	return j.response(http.StatusOK, j.rendered)
}

// startRender begins the render of a job and charges it, or returns the response that refuses it.
func (a *API) startRender(id string) (*job, *response) {
	a.mu.Lock()
	defer a.mu.Unlock()
	j := a.jobs[id]
	switch {
	case j == nil:
		return nil, new(unknownJob())
	case !j.rendered.IsZero():
		return nil, new(jsonResponse(http.StatusBadRequest, []string{"The custom template job has been rendered already."}))
	case j.show(j.now()).Preview == nil:
		return nil, new(jsonResponse(http.StatusBadRequest, []string{"The custom template job has no preview to render."}))
	}
	credits := price(CallRender, j.request.ModelVersion, j.life.videoSeconds())
	if credits > a.credits {
		return nil, insufficientCredits()
	}
	request := j.request
	request.Call = CallRender
	a.charge(id, request, credits)
	rendered := *j
	rendered.rendered = j.now()
	rendered.charged += credits
	a.jobs[id] = &rendered
	a.announce(&rendered, rendered.rendered, j.life.Render.changes)
	return &rendered, nil
}

// showRender adds the render's state to a job that is done.
func (j *job) showRender(shown *shownJob, now time.Time) {
	step, begun := j.life.Render.at(now.Sub(j.rendered))
	if !begun {
		return
	}
	shown.UpdatedAt = timestamp(j.rendered.Add(step.At))
	shown.Status = step.Status
	shown.Progress = step.Progress
	if isEnd(step.Status) { // the preview may stand in a job that had not ended
		shown.CreditsUsed = j.charged
	}
	switch step.Status {
	case done:
		shown.VideoOutput = new(j.videoURL(now))
		shown.Duration = new(j.life.videoSeconds())
	case failed, rejected:
		shown.FailedReason = orNull(j.life.Render.Reason)
	}
}
