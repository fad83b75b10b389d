package creatifytest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"
)

// Job is the state of a job, as [API.Job] returns it.
type Job struct {
	ID       string
	Status   string
	Progress float64 // from 0 to 1
	Reason   string  // why it failed or was rejected
	Preview  string  // URL of the preview's page; "" while there is none
	Video    string  // URL of the video; "" while there is none
	Created  time.Time
	Charged  float64 // credits, for its render too
	Reads    int     // by CallGetJob
	Request  Request // that created it
}

// Job returns a job as the API shows it now, and whether there is one of that ID. It does not count as a
// request or a read, and [Life.Edit] does not edit it.
func (a *API) Job(id string) (Job, bool) {
	j := a.job(id)
	if j == nil {
		return Job{}, false
	}
	shown := j.show(j.now())
	return Job{
		ID:       j.id,
		Status:   shown.Status,
		Progress: shown.Progress,
		Reason:   orEmpty(shown.FailedReason),
		Preview:  orEmpty(shown.Preview),
		Video:    orEmpty(shown.VideoOutput),
		Created:  j.created,
		Charged:  j.charged,
		Reads:    int(j.reads.Load()),
		Request:  j.request,
	}, true
}

type job struct {
	api      *API
	id       string
	mediaJob string
	created  time.Time
	rendered time.Time // when the render was requested; zero if it was not
	charged  float64
	life     Life
	end      time.Duration // of the life
	reads    *atomic.Int64
	request  Request
}

func (a *API) create(call Call, contentType string, body []byte) response {
	j, refusal := a.newJob(call, contentType, body)
	if refusal != nil {
		return *refusal
	}
	return j.response(http.StatusCreated, j.created)
}

// previewSync responds when the job has ended or ctx has.
func (a *API) previewSync(ctx context.Context, contentType string, body []byte) response {
	j, refusal := a.newJob(CallPreviewSync, contentType, body)
	if refusal != nil {
		return *refusal
	}
	switch {
	case j.end < 0:
		<-ctx.Done()
	case j.life.PerRead > 0:
		j.reads.Store(int64((j.end + j.life.PerRead - 1) / j.life.PerRead))
	default:
		_ = sleep(ctx, time.Until(j.created.Add(j.end))) // if ctx ends first, nobody sees the response
	}
	return j.response(http.StatusOK, j.now())
}

// newJob creates a job and charges it, or returns the response that refuses it.
func (a *API) newJob(call Call, contentType string, body []byte) (*job, *response) {
	request, refusal := parseRequest(call, contentType, body)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := a.refuseVariables(request); refusal != nil {
		return nil, refusal
	}
	life := a.config.Life
	if a.config.LifeFor != nil {
		life = a.config.LifeFor(request) // without the mutex, so that it may use the API
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.next) > 0 {
		life = a.next[0]
	}
	credits := price(call, request.ModelVersion, life.videoSeconds())
	if credits > a.credits {
		return nil, insufficientCredits()
	}
	if len(a.next) > 0 {
		a.next = a.next[1:]
	}
	j := &job{
		api:      a,
		id:       newUUID(a.ids),
		mediaJob: newUUID(a.ids),
		created:  time.Now(),
		charged:  credits,
		life:     life,
		end:      life.end(),
		reads:    new(atomic.Int64),
		request:  request,
	}
	a.charge(j.id, request, credits)
	a.jobs[j.id] = j
	a.order = append(a.order, j.id)
	a.announce(j, j.created, j.life.changes)
	return j, nil
}

func (a *API) getJob(id string) response {
	j := a.job(id)
	if j == nil {
		return unknownJob()
	}
	j.reads.Add(1)
	return j.response(http.StatusOK, j.now())
}

// now returns the time by the job's clock, always after the latest change of the job: a job of a nanosecond
// has ended when it is read, even where the clock stalls, as in a bubble of [testing/synctest] and, for
// milliseconds, on some systems.
func (j *job) now() time.Time {
	now, before := time.Now(), j.created
	if j.life.PerRead > 0 {
		now = j.created.Add(time.Duration(j.reads.Load()) * j.life.PerRead)
	}
	if !j.rendered.IsZero() {
		before = j.rendered
	}
	if now.After(before) {
		return now
	}
	return before.Add(1)
}

// job returns nil for an unknown ID.
func (a *API) job(id string) *job {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.jobs[id]
}

func unknownJob() response {
	return detail(http.StatusNotFound, "No CustomTemplateJob matches the given query.")
}

// response returns the response that shows the job as it is at the time now.
func (j *job) response(status int, now time.Time) response {
	shown := j.show(now)
	if j.life.Edit == nil {
		return jsonResponse(status, shown)
	}
	encoded, err := json.Marshal(shown)
	if err != nil {
		return unencodable(err)
	}
	var edited map[string]any
	if err := json.Unmarshal(encoded, &edited); err != nil {
		return unencodable(err)
	}
	j.life.Edit(edited)
	return jsonResponse(status, edited)
}

// shownJob is a job as responses show it, in the order of
// https://docs.creatify.ai/api-reference/custom-template-jobs.
type shownJob struct {
	ID           string          `json:"id"`
	CreatedAt    string          `json:"created_at"`
	UpdatedAt    string          `json:"updated_at"`
	Variables    json.RawMessage `json:"variables"`
	MediaJob     *string         `json:"media_job"`
	VideoOutput  *string         `json:"video_output"`
	Preview      *string         `json:"preview"`
	EditorURL    *string         `json:"editor_url"`
	FailedReason *string         `json:"failed_reason"`
	CreditsUsed  float64         `json:"credits_used"`
	Duration     *float64        `json:"duration"`
	Status       string          `json:"status"`
	Progress     float64         `json:"progress"`
	Name         *string         `json:"name"`
	WebhookURL   *string         `json:"webhook_url"`
	ModelVersion string          `json:"model_version"`
	IsHidden     bool            `json:"is_hidden"`
}

// show returns the job as it is at the time now.
func (j *job) show(now time.Time) shownJob {
	var shown shownJob
	if j.rendered.IsZero() {
		shown = j.showCreated(now)
	} else {
		shown = j.showCreated(j.rendered)
		j.showRender(&shown, now)
	}
	if shown.Progress < 1e-6 { // such as that of a nanosecond
		shown.Progress = 0
	}
	return shown
}

// showCreated returns the job without its render.
func (j *job) showCreated(now time.Time) shownJob {
	elapsed := now.Sub(j.created)
	step := j.life.at(elapsed)
	shown := shownJob{
		ID:           j.id,
		CreatedAt:    timestamp(j.created),
		UpdatedAt:    timestamp(j.created.Add(step.At)),
		Variables:    j.request.Variables,
		Status:       step.Status,
		Progress:     step.Progress,
		Name:         orNull(j.request.Name),
		WebhookURL:   orNull(j.request.WebhookURL),
		ModelVersion: j.request.ModelVersion,
		IsHidden:     j.request.IsHidden,
	}
	if step.Status != pending && step.Status != inQueue {
		shown.MediaJob = &j.mediaJob
	}
	if j.end >= 0 && elapsed >= j.end {
		shown.CreditsUsed = j.charged
	}
	isVideo := j.request.Call == CallCreateVideo
	switch step.Status {
	case done:
		shown.Duration = new(j.life.videoSeconds())
		if isVideo {
			shown.VideoOutput = new(j.videoURL(now))
		}
	case failed, rejected:
		shown.FailedReason = orNull(j.life.Reason)
	}
	if !isVideo && (step.Status == done || step.Preview) {
		shown.Preview = new(j.previewURL())
	}
	return shown
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// zone is the offset seen in live responses.
var zone = time.FixedZone("", -7*60*60)

func timestamp(t time.Time) string {
	return t.In(zone).Format("2006-01-02T15:04:05.000000-07:00")
}

// newUUID returns a random UUID of version 4.
func newUUID(r *rand.Rand) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], r.Uint64())
	binary.BigEndian.PutUint64(b[8:], r.Uint64())
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
