package creatify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go/internal/transport"
	"github.com/creatify-community/creatify-go/internal/wait"
)

// JobKind is the result that a wait is for.
type JobKind string

// The kinds of results.
const (
	KindPreview JobKind = "preview"
	KindVideo   JobKind = "video"
)

// output returns the URL that a wait of this kind is for, or "" if the job does not have it.
func (k JobKind) output(job *Job) string {
	url := job.Preview
	if k == KindVideo {
		url = job.VideoOutput
	}
	if !outputURL.MatchString(url) {
		return ""
	}
	return url
}

// WaitForPreview waits until a job's preview is ready and returns the job. Free. Any process may repeat it.
//
// A job that ends without a preview is a [*JobError]. A wait that ends before its job is a [*WaitError],
// which matches [ErrWaitTimeout], [ErrStalled], [ErrNoOutput], [ErrPollsFailed] or the context's error.
func (s *JobsService) WaitForPreview(ctx context.Context, id string, opts ...WaitOption) (*Job, error) {
	return s.waitFor(ctx, PendingJob{ID: id, Kind: KindPreview}, opts, nil)
}

// WaitForVideo waits until a job's video is rendered, after [JobsService.Render] or
// [JobsService.CreateVideo], and returns the job. Free. Its errors are those of [JobsService.WaitForPreview].
//
// A job that is done from its preview, without a video, is polled for 15 minutes before [ErrNoOutput].
func (s *JobsService) WaitForVideo(ctx context.Context, id string, opts ...WaitOption) (*Job, error) {
	return s.waitFor(ctx, PendingJob{ID: id, Kind: KindVideo}, opts, nil)
}

// WatchPreview waits as [JobsService.WaitForPreview] does and yields each snapshot that has changed. It ends
// with the snapshot that has the Preview, or with one error. Free. Leaving the loop ends the wait.
func (s *JobsService) WatchPreview(ctx context.Context, id string, opts ...WaitOption) iter.Seq2[*Job, error] {
	return s.watch(ctx, PendingJob{ID: id, Kind: KindPreview}, opts)
}

// WatchVideo is [JobsService.WatchPreview] for the video.
func (s *JobsService) WatchVideo(ctx context.Context, id string, opts ...WaitOption) iter.Seq2[*Job, error] {
	return s.watch(ctx, PendingJob{ID: id, Kind: KindVideo}, opts)
}

func (s *JobsService) watch(ctx context.Context, job PendingJob, opts []WaitOption) iter.Seq2[*Job, error] {
	return func(yield func(*Job, error) bool) {
		_, err := s.waitFor(ctx, job, opts, func(news *Job) bool { return yield(news.clone(), nil) })
		if err != nil {
			yield(nil, err)
		}
	}
}

func (s *JobsService) waitFor(ctx context.Context, job PendingJob, opts []WaitOption,
	yield func(*Job) bool) (*Job, error) {
	config := newWaitConfig(shortWait, opts)
	if err := s.api.check(ctx, append(config.problemList, jobIDProblems(job.ID)...)...); err != nil {
		return nil, err
	}
	return s.newPoller(job, config, time.Now()).follow(ctx, yield)
}

// follow polls until the wait is over. If yield is set and returns false, it returns neither job nor error.
func (p *Poller) follow(ctx context.Context, yield func(*Job) bool) (*Job, error) {
	for {
		if yield != nil && p.news && !is[*JobError](p.failure) && !yield(p.last) {
			return nil, nil
		}
		if p.isOver() {
			return p.Result()
		}
		p.step(ctx)
	}
}

// step sleeps until the next poll, before the deadline of ctx, and makes it. The end of ctx ends the wait.
func (p *Poller) step(ctx context.Context) {
	delay, more := time.Until(p.Next()), true
	if deadline, ok := ctx.Deadline(); ok && delay > 0 {
		delay, more = wait.Fit(delay, time.Until(deadline), p.state.Took)
	}
	var due <-chan time.Time // nil if there is no time for a poll
	if more {
		due = time.After(delay)
	}
	select {
	case <-ctx.Done():
	case <-due:
	}
	if ctx.Err() != nil {
		p.giveUp(ctx, transport.ContextError(ctx))
		return
	}
	p.Poll(ctx)
}

// PendingJob is a job to wait for: store one for each job. Key and Trace have at most 500 bytes in JSON.
type PendingJob struct {
	ID           string       `json:"id"`
	Kind         JobKind      `json:"kind"`                    // empty is KindPreview
	Key          string       `json:"key,omitempty"`           // the caller's own, such as an order number
	Started      time.Time    `json:"started,omitzero"`        // when the job was created; zero if unknown
	Deadline     time.Time    `json:"deadline,omitzero"`       // over all restarts; by WithMaxWait if zero
	TemplateID   string       `json:"template_id,omitempty"`   // empty if unknown
	ModelVersion ModelVersion `json:"model_version,omitempty"` // empty if unknown
	Trace        string       `json:"trace,omitempty"`         // W3C traceparent of the create, from [Hooks]
}

// NewPendingJob returns the PendingJob of a job created with these parameters. Set its Key to your own. For a
// video, set Kind to KindVideo; after [JobsService.Render], also set Started to the time of that call.
func NewPendingJob(job *Job, params JobParams) PendingJob {
	now := time.Now()
	p := PendingJob{Kind: KindPreview, Started: now, TemplateID: params.TemplateID,
		ModelVersion: cmp.Or(params.ModelVersion, ModelStandard)}
	if job == nil {
		return p
	}
	p.ID, p.Trace = job.ID, job.trace
	if born := job.CreatedAt.Add(job.skew); !job.CreatedAt.IsZero() && born.Before(now) {
		p.Started = born
	}
	return p
}

// LogValue shows the job's ID, kind and key.
func (p PendingJob) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", p.ID), slog.String("kind", string(p.Kind)), slog.String("key", p.Key))
}

func (p PendingJob) problems() []Problem {
	all := problemList(jobIDProblems(p.ID))
	known := p.Kind == KindPreview || p.Kind == KindVideo || p.Kind == ""
	all.require(known, "kind", "is neither preview nor video")
	all.add("key", storedProblem(p.Key, 500))
	all.add("trace", storedProblem(p.Trace, 500))
	all.add("template_id", storedProblem(p.TemplateID, 100))
	all.add("model_version", storedProblem(string(p.ModelVersion), 100))
	return all
}

// storedProblem bounds a text in JSON, so that a Poller's state stays small.
func storedProblem(text string, most int) string {
	quoted, _ := json.Marshal(text)
	switch n := len(quoted) - len(`""`); {
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	case n > most:
		return fmt.Sprintf("has %d bytes in JSON, more than %d", n, most)
	}
	return ""
}

// Poller is one wait that can be stored and resumed: each Poll makes one request, and Next says when the next
// one is worth making. Make it with [JobsService.NewPoller] or [JobsService.ResumePoller]. All methods but
// Poll may be called concurrently, also during a Poll.
//
//	for !p.Poll(ctx) {
//		state, err := json.Marshal(p) // store it, and sleep until p.Next()
//	}
//	job, err := p.Result()
type Poller struct {
	jobs   *JobsService
	config *waitConfig
	job    PendingJob

	mu      sync.Mutex // guards what follows: the polling goroutine writes all, Expedite only wake and state
	state   wait.State
	wake    bool  // expedited since the latest poll began
	news    bool  // the latest poll told something new
	over    bool  // whether the wait is over
	last    *Job  // the last snapshot
	failure error // why a wait that is over has no job
	err     error // of the latest poll
	judged  error // of the latest poll that counts for the wait
}

// NewPoller returns a Poller for a job. It makes no request. A zero Deadline is set from [WithMaxWait], by
// default 24 h. The error is a [*ValidationError].
func (s *JobsService) NewPoller(job PendingJob, opts ...WaitOption) (*Poller, error) {
	config := newWaitConfig(longWait, opts)
	if err := validation(append(config.problemList, job.problems()...)); err != nil {
		return nil, err
	}
	return s.newPoller(job, config, time.Now()), nil
}

// newPoller returns a Poller for a checked job.
func (s *JobsService) newPoller(job PendingJob, config *waitConfig, now time.Time) *Poller {
	job.Kind = cmp.Or(job.Kind, KindPreview)
	if job.Deadline.IsZero() {
		job.Deadline = now.Add(config.maxWait)
	}
	if job.Started.After(now) { // by another clock
		job.Started = now
	}
	p := &Poller{jobs: s, config: config, job: job}
	p.state = wait.Begin(now, job.Started, p.terms())
	return p
}

// pollerState is a Poller's JSON.
type pollerState struct {
	Version int             `json:"v"`
	Job     PendingJob      `json:"job"`
	Wait    json.RawMessage `json:"wait"`
}

const (
	stateVersion = 1
	maxState     = 4 << 10 // bytes of a Poller's JSON
)

// MarshalJSON returns the state of the wait: at most 4 KiB, for [JobsService.ResumePoller] in any process and
// with any version of this library.
func (p *Poller) MarshalJSON() ([]byte, error) {
	p.mu.Lock()
	state, _ := json.Marshal(p.state) // numbers and a time can always be written
	p.mu.Unlock()
	return json.Marshal(pollerState{stateVersion, p.Pending(), state})
}

// ResumePoller continues a wait from the JSON of its [Poller]. It makes no request. The JSON holds the
// deadline, but not the options: pass them again. JSON that was truncated or edited is a [*ValidationError].
func (s *JobsService) ResumePoller(state []byte, opts ...WaitOption) (*Poller, error) {
	config := newWaitConfig(longWait, opts)
	now := time.Now()
	var stored pollerState
	var facts wait.State
	if err := json.Unmarshal(state, &stored); err != nil || len(state) > maxState || stored.Version < 1 ||
		stored.Version == stateVersion && (json.Unmarshal(stored.Wait, &facts) != nil || !facts.Resume(now)) {
		config.refuse("state", "is not a Poller's JSON, or was cut or edited")
	}
	if err := validation(append(config.problemList, stored.Job.problems()...)); err != nil {
		return nil, err
	}
	p := s.newPoller(stored.Job, config, now)
	if stored.Version == stateVersion { // the facts of a newer version may mean something else
		p.state = facts
	}
	return p, nil
}

// Poll makes one request, free, unless the wait is over, and reports whether the wait is over. If ctx ends
// first, only Err changes. A poll after the deadline is the last one.
func (p *Poller) Poll(ctx context.Context) (over bool) {
	if p.isOver() {
		return true
	}
	if err := p.jobs.api.check(ctx); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.err = err
		return false
	}
	p.poll(ctx)
	return p.isOver()
}

// poll makes one request, judges it and calls the caller's functions, which may use p. An Observer adjusts
// the observation by what other jobs have shown.
func (p *Poller) poll(ctx context.Context) {
	p.mu.Lock()
	state, last, judged := p.state, p.last, p.judged
	p.wake = false
	p.mu.Unlock()

	polling, end := p.polled(ctx, int(state.Polls)+1, state.Due())
	limited, started := polling, time.Now()
	if started.Before(p.job.Deadline) {
		var cancel context.CancelFunc
		limited, cancel = context.WithDeadline(polling, p.job.Deadline)
		defer cancel()
	}
	job, err := p.jobs.read(limited, transport.Call{JobID: p.job.ID, Once: true, Background: true})
	now := time.Now()
	end(PollResult{started, job, err})

	var decision wait.Decision
	switch {
	case err != nil && ctx.Err() != nil: // the state stays as it was
		err = transport.ContextError(ctx)
	case err != nil && limited.Err() != nil && polling.Err() == nil:
		decision.End = wait.TimedOut
	case errors.Is(err, transport.ErrQueue):
		decision = state.Queued(now, p.terms())
	default:
		// A malformed response counts only if it shows the result: a failure may lack its reason.
		if err == nil && job.broken && wait.Judge(job.class(), p.job.Kind.output(job) != "") != wait.Ready {
			err = unreadable(transport.Call{Name: "get_job", JobID: p.job.ID}, "the response is malformed JSON")
		}
		o := p.observation(job, err)
		o.Took = now.Sub(started)
		if observe, ok := ctx.Value(wait.ObserverKey{}).(wait.Observer); ok {
			o = observe(p.job.ID, o, err)
		}
		decision = state.Observe(o, now, p.terms())
		if judged = err; err == nil {
			last = job
		}
	}

	p.mu.Lock()
	p.state, p.last, p.judged, p.err = state, last, judged, err
	if p.wake { // the poll may have been too early to see the news
		p.state.Expedite(now)
	}
	p.apply(decision, now)
	p.mu.Unlock()
	p.tell(ctx)
}

// apply applies a decision. The caller holds mu.
func (p *Poller) apply(d wait.Decision, now time.Time) {
	p.news, p.over = d.Changed, d.End != wait.Continues
	if d.End == wait.JobEnded {
		p.failure = &JobError{p.last}
	} else if reason := endings[d.End]; reason != nil {
		p.failure = p.waitError(reason)
	}
	if seen, ok := p.state.Lived(now); ok && (d.End == wait.Ready || d.End == wait.JobEnded) {
		p.jobs.api.learned.Add(p.key(), seen)
	}
}

// endings are the errors of waits that end before their jobs.
var endings = map[wait.End]error{
	wait.TimedOut: ErrWaitTimeout, wait.Stalled: ErrStalled, wait.NoOutput: ErrNoOutput, wait.PollsFailed: ErrPollsFailed,
}

// giveUp ends the wait for a reason other than a poll.
func (p *Poller) giveUp(ctx context.Context, reason error) {
	p.mu.Lock()
	p.news, p.over, p.failure = false, true, p.waitError(reason)
	p.mu.Unlock()
	p.tell(ctx)
}

// waitError is called with mu held.
func (p *Poller) waitError(reason error) error {
	return &WaitError{JobID: p.job.ID, Last: p.last, LastPollErr: p.judged, Polls: int(p.state.Polls),
		Elapsed: time.Since(p.state.Started), Err: reason}
}

// tell calls the caller's functions after a poll or at the end of the wait.
func (p *Poller) tell(ctx context.Context) {
	if p.news && p.config.onUpdate != nil {
		p.config.onUpdate(p.last.clone())
	}
	if p.over {
		p.ended(ctx)
	}
}

// observation describes the result of a poll.
func (p *Poller) observation(job *Job, err error) wait.Observation {
	if err == nil {
		o := wait.Observation{Class: job.class(), Output: p.job.Kind.output(job) != "", Progress: job.Progress}
		if !job.CreatedAt.IsZero() {
			o.Age = time.Since(job.CreatedAt) - job.skew
		}
		o.Position = digest(job.Status, job.Progress)
		o.Content = digest(o.Position, job.Preview, job.VideoOutput, job.FailedReason, job.CreditsUsed, job.Duration)
		return o
	}
	o := wait.Observation{Class: wait.Bad}
	refusal, ok := errors.AsType[*APIError](err)
	if !ok {
		return o
	}
	o.RetryAfter = refusal.RetryAfter
	switch status := refusal.StatusCode; {
	case status == http.StatusTooManyRequests:
		o.Class = wait.Throttled
	case !refusal.inOwnWords(): // a proxy's page is not about the job
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		o.Class = wait.Unauthorized
	case status == http.StatusNotFound:
		o.Class = wait.NotFound
	}
	return o
}

// digest returns a hash that is the same in every process, since it is part of a Poller's state.
func digest(values ...any) uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%#v", values)
	return h.Sum32()
}

func (p *Poller) key() wait.Key {
	return wait.Key{Template: p.job.TemplateID, Model: string(p.job.ModelVersion), Video: p.job.Kind == KindVideo}
}

func (p *Poller) terms() wait.Terms {
	return wait.Terms{Rules: p.config.rules, Plan: p.jobs.api.learned.Plan(p.key()), ID: p.job.ID,
		Video: p.job.Kind == KindVideo, Deadline: p.job.Deadline}
}

// Next returns when the next poll is worth making: the zero time once the wait is over.
func (p *Poller) Next() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return time.Time{}
	}
	return p.state.Due()
}

// Err returns the error of the latest poll, or nil. A failed poll does not end the wait by itself.
func (p *Poller) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Result returns the job, a [*JobError] or a [*WaitError] once the wait is over. Before, it is an error.
func (p *Poller) Result() (*Job, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.over:
		return nil, fmt.Errorf("creatify: wait for job %s: not over (call Poll until it returns true)", oneLine(p.job.ID))
	case p.failure != nil:
		return nil, p.failure
	}
	return p.last, nil
}

// Expedite makes the next poll due now, for example on a webhook event: at most once a second, and never
// before a Retry-After is over.
func (p *Poller) Expedite() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake = true
	p.state.Expedite(time.Now())
}

// Pending returns the job with its deadline and its creation time, if known: what to store for a new wait.
func (p *Poller) Pending() PendingJob {
	p.mu.Lock()
	defer p.mu.Unlock()
	job := p.job
	if job.Started.IsZero() {
		job.Started = p.state.BornAt()
	}
	return job
}

func (p *Poller) isOver() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

const (
	shortWait = 30 * time.Minute // of a call that blocks
	longWait  = 24 * time.Hour   // of a Poller and a Tracker
)

// WaitOption sets how a wait works.
type WaitOption func(*waitConfig)

type waitConfig struct {
	maxWait   time.Duration
	rules     wait.Rules
	onCreated func(*Job) error
	onUpdate  func(*Job)
	problemList
}

func newWaitConfig(maxWait time.Duration, opts []WaitOption) *waitConfig {
	c := &waitConfig{maxWait: maxWait}
	applyOptions(opts, c, &c.problemList, "wait option")
	return c
}

// WithMaxWait ends the wait with [ErrWaitTimeout] after d. The default is 30 minutes for calls that block,
// and 24 hours for a [Poller] or [Tracker]. The last poll is made shortly before the end. A context that ends
// earlier ends the wait with its own error.
func WithMaxWait(d time.Duration) WaitOption {
	return func(c *waitConfig) {
		c.require(d > 0, "WithMaxWait", "must be above zero, not %v", d)
		c.maxWait = d
	}
}

// WithStallTimeout ends the wait with [ErrStalled] when neither status nor progress has changed for d. Time
// without good polls does not count. By default it is off.
func WithStallTimeout(d time.Duration) WaitOption {
	return func(c *waitConfig) {
		c.require(d > 0, "WithStallTimeout", "must be above zero, not %v", d)
		c.rules.StallTimeout = d
	}
}

// WithMaxPollErrors ends the wait with [ErrPollsFailed] after n failed polls in a row. By default a wait ends
// after ten for a job that was never seen, or when the API itself answers 401, 403 or 404 three times over at
// least ten seconds.
func WithMaxPollErrors(n int) WaitOption {
	return func(c *waitConfig) {
		c.require(n >= 1, "WithMaxPollErrors", "must be at least 1, not %d", n)
		c.rules.MaxPollErrors = n
	}
}

// FixedInterval returns a schedule that polls every d, for [WithSchedule].
func FixedInterval(d time.Duration) func(waited time.Duration, polls int) time.Duration {
	return func(time.Duration, int) time.Duration { return d }
}

// WithSchedule replaces the learned schedule. The function gets the time waited and the number of polls, and
// returns the delay until the next poll. Polls stay at least 100 ms apart; failed polls and a Retry-After
// lengthen the delay, and the last poll is made before the deadline.
func WithSchedule(schedule func(waited time.Duration, polls int) time.Duration) WaitOption {
	return func(c *waitConfig) {
		c.require(schedule != nil, "WithSchedule", "the schedule is nil")
		c.rules.Schedule = schedule
	}
}

// WithOnCreated calls f with the new job before the wait, so that its ID can be stored. Store it with
// [context.WithoutCancel]: the call's context may have ended. If f returns an error, the wait ends with a
// [*WaitError] that holds it and the JobID.
func WithOnCreated(f func(*Job) error) WaitOption {
	return func(c *waitConfig) { c.onCreated = f }
}

// WithOnUpdate calls f with the first snapshot and with each one that differs in status, progress, URLs,
// reason, credits or duration. The wait continues when f returns.
func WithOnUpdate(f func(*Job)) WaitOption {
	return func(c *waitConfig) { c.onUpdate = f }
}
