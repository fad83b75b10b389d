package creatifytest

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// Life says how a job goes from its creation to its end. The zero value is a
// job that is done after 20 s. The slice and the function in it are not copied
// and must not be changed while the API is in use.
type Life struct {
	// Duration is the time from the job's creation to its end. 0 means 20 s.
	// A negative job never ends: it goes as one of 20 s does, but stays running.
	Duration time.Duration

	// End is the last status: "done", "failed" or "rejected".
	// Empty, it is "done".
	End string

	// Reason is the failed_reason of a failed or rejected job; "" shows as null.
	Reason string

	// VideoSeconds is the length of the video, which decides the price and,
	// once the job is done, its duration. 0 means 15.
	VideoSeconds float64

	// VideoSize is the length of the video's file in bytes. 0 means 64 KiB for
	// each of the VideoSeconds.
	VideoSize int64

	// Render says how the render of the job goes, if one is asked for.
	Render RenderLife

	// Steps, if there are any, replace the usual way, and Duration and End with
	// it. They may be in any order. The usual way is pending, in_queue after
	// 10 % of the time, running after 20 %, and then End; progress rises evenly
	// from 0 to 1.
	Steps []Step

	// Reply, if not nil, edits each reply that shows the job before it is
	// encoded, to give it an odd shape: a progress that is a string, say, a
	// missing key or an unknown status. Numbers in the map are float64. It may
	// be called from several goroutines at once.
	Reply func(job map[string]any)
}

// Step is what a job shows from some time on, until the next step.
type Step struct {
	At       time.Duration // since the job's creation; before the first step it is pending
	Status   string        // such as "running"; from the first "done", "failed" or "rejected" on, credits_used shows what was charged
	Progress float64       // from 0 to 1
}

// The statuses a job takes by itself.
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

// at returns what the job shows some time after its creation. The step's At is
// when the status began.
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

// changes returns the steps at which the job takes on another status.
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

func (l *Life) stepAt(elapsed time.Duration) Step {
	last := Step{Status: pending}
	for _, step := range l.Steps {
		if last.At <= step.At && step.At <= elapsed {
			last = step
		}
	}
	return last
}

// end returns the time from the job's creation to its first end. It returns
// false if the job never ends.
func (l *Life) end() (end time.Duration, ends bool) {
	if len(l.Steps) == 0 {
		return cmp.Or(l.Duration, defaultDuration), l.Duration >= 0
	}
	for _, step := range l.Steps {
		if isEnd(l.stepAt(step.At).Status) && (!ends || step.At < end) {
			end, ends = step.At, true
		}
	}
	return end, ends
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

// price returns what a call for a job costs, in credits.
// https://docs.creatify.ai/billing
func price(call Call, model string, seconds float64) float64 {
	begun := math.Ceil(seconds / 30)
	switch {
	case call == CallCreatePreview || call == CallPreviewSync:
		return begun
	case model == auroraV1:
		return seconds
	case model == auroraV1Fast:
		return seconds / 2
	case call == CallRender:
		return 4 * begun
	default:
		return 5 * begun
	}
}

type job struct {
	api      *API
	id       string
	mediaJob string
	created  time.Time
	rendered time.Time // when the render was asked for; zero if it was not
	charged  float64
	call     Call // the one that created the job
	life     Life
	request  jobRequest
}

func (a *API) create(call Call, contentType string, body []byte) reply {
	j, refusal := a.newJob(call, contentType, body)
	if refusal != nil {
		return *refusal
	}
	return j.reply(http.StatusCreated, j.created)
}

// previewSync replies when the job has ended or ctx has.
func (a *API) previewSync(ctx context.Context, contentType string, body []byte) reply {
	j, refusal := a.newJob(CallPreviewSync, contentType, body)
	if refusal != nil {
		return *refusal
	}
	if end, ends := j.life.end(); ends {
		_ = sleep(ctx, time.Until(j.created.Add(end))) // if ctx ends first, nobody sees the reply
	} else {
		<-ctx.Done()
	}
	return a.getJob(j.id)
}

// newJob creates a job and charges it, or returns the reply that refuses it.
func (a *API) newJob(call Call, contentType string, body []byte) (*job, *reply) {
	request, refusal := parseJobRequest(contentType, body)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := a.refuseVariables(request); refusal != nil {
		return nil, refusal
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	life := a.config.Life
	if len(a.next) > 0 {
		life = a.next[0]
	}
	price := price(call, request.modelVersion, life.videoSeconds())
	if !a.charge(price) {
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
		charged:  price,
		call:     call,
		life:     life,
		request:  request,
	}
	a.jobs[j.id] = j
	a.order = append(a.order, j.id)
	a.announce(j, j.created, j.life.changes())
	return j, nil
}

// charge takes a price from the credits. It returns false if they do not
// suffice. The caller holds the mutex.
func (a *API) charge(price float64) bool {
	if price > a.credits {
		return false
	}
	a.credits -= price
	a.charged += price
	return true
}

func insufficientCredits() *reply {
	return new(detail(http.StatusPaymentRequired, "Insufficient credits."))
}

func (a *API) getJob(id string) reply {
	j := a.job(id)
	if j == nil {
		return unknownJob()
	}
	return j.reply(http.StatusOK, j.now())
}

// now is the time, and later than what was done to the job last: so a job of a
// nanosecond has ended when it is read, also where the clock stands still, as it
// does in a bubble of [testing/synctest] and, for milliseconds, on some systems.
func (j *job) now() time.Time {
	now, before := time.Now(), j.created
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

func unknownJob() reply {
	return detail(http.StatusNotFound, "No CustomTemplateJob matches the given query.")
}

// reply returns the reply that shows the job as it is at the time now.
func (j *job) reply(status int, now time.Time) reply {
	shown := j.show(now)
	if j.life.Reply == nil {
		return jsonReply(status, shown)
	}
	encoded, err := json.Marshal(shown)
	if err != nil {
		return unencodable(err)
	}
	var edited map[string]any
	if err := json.Unmarshal(encoded, &edited); err != nil {
		return unencodable(err)
	}
	j.life.Reply(edited)
	return jsonReply(status, edited)
}

// jobReply is a job as replies show it, in the order of the documentation:
// https://docs.creatify.ai/api-reference/custom-template-jobs
type jobReply struct {
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
func (j *job) show(now time.Time) jobReply {
	var shown jobReply
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
func (j *job) showCreated(now time.Time) jobReply {
	elapsed := now.Sub(j.created)
	step := j.life.at(elapsed)
	shown := jobReply{
		ID:           j.id,
		CreatedAt:    timestamp(j.created),
		UpdatedAt:    timestamp(j.created.Add(step.At)),
		Variables:    j.request.variables,
		Status:       step.Status,
		Progress:     step.Progress,
		Name:         j.request.name,
		WebhookURL:   j.request.webhookURL,
		ModelVersion: j.request.modelVersion,
		IsHidden:     j.request.isHidden,
	}
	if step.Status != pending && step.Status != inQueue {
		shown.MediaJob = &j.mediaJob
	}
	if end, ends := j.life.end(); ends && elapsed >= end {
		shown.CreditsUsed = j.charged
	}
	switch step.Status {
	case done:
		shown.Duration = new(j.life.videoSeconds())
		if j.call == CallCreateVideo {
			shown.VideoOutput = new(j.videoURL(now))
		} else {
			shown.Preview = new(j.previewURL())
		}
	case failed, rejected:
		shown.FailedReason = orNull(j.life.Reason)
	}
	return shown
}

// orNull returns what shows as null if s is empty.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// zone is the offset seen in live replies.
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
