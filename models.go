package creatify

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/internal/lenient"
	"github.com/creatify-community/creatify-go/internal/wait"
)

// Job is a snapshot of a custom-template job. Null and absent values read as the zero value.
type Job struct {
	ID           string        // UUID, as documented
	Status       Status        // see Status.Terminal
	Progress     float64       // 0 to 1
	Preview      string        // URL of a page for an iframe, not of a file; empty until the preview is ready
	VideoOutput  string        // URL of the rendered video; it may expire, so download it at once
	EditorURL    string        // expires after 24 h; only for accounts with access to the editor
	FailedReason string        // why the job failed or was rejected, if the API says
	CreditsUsed  float64       // 0 at creation; may be charged later
	Duration     time.Duration // of the video; 0 until known
	CreatedAt    time.Time     // by the server's clock
	UpdatedAt    time.Time     // by the server's clock; may stay unchanged while the job moves
	Name         string        // as in JobParams
	WebhookURL   string        // where webhook events go
	ModelVersion ModelVersion  // model that renders the video
	IsHidden     bool          // hides the video on the website's projects page
	MediaJob     string        // undocumented ID
	Variables    Variables     // media URLs may come back rewritten

	raw    []byte
	skew   time.Duration // how far the server's clock was behind ours
	trace  string        // W3C traceparent of the paid call
	broken bool          // raw is not a whole JSON object, so values may be missing
}

// Outcome judges one snapshot: over reports whether the job has ended for a wait of this kind, and err is a
// [*JobError] if it has ended without a result. A done job without the wanted URL is not over yet.
func (j *Job) Outcome(kind JobKind) (over bool, err error) {
	switch wait.Judge(j.class(), kind.output(j) != "") {
	case wait.JobEnded:
		return true, &JobError{j}
	case wait.Ready:
		return true, nil
	}
	return false, nil
}

func (j *Job) class() wait.Class {
	switch j.Status {
	case StatusDone:
		return wait.Done
	case StatusFailed, StatusRejected:
		return wait.Failed
	}
	return wait.Active
}

// RawJSON returns the response that the job was read from, with the fields that this version of the library
// does not know. It is invalid JSON if the response was malformed, and nil if there was no response.
func (j *Job) RawJSON() json.RawMessage { return slices.Clone(j.raw) }

// LogValue shows the job's ID, status and progress, and nothing that may be secret.
func (j Job) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", j.ID), slog.String("status", string(j.Status)), slog.Float64("progress", j.Progress))
}

// clone is a copy for a callback, which may change it.
func (j *Job) clone() *Job {
	k := *j
	k.Variables = maps.Clone(j.Variables)
	return &k
}

// trimmed is a copy without the response and the variables, for a tracked job that nobody looks at.
func (j *Job) trimmed() *Job {
	k := *j
	k.raw, k.Variables, k.MediaJob, k.WebhookURL = nil, nil, "", ""
	return &k
}

// UnmarshalJSON reads a job as tolerantly as responses are read: numbers may be strings, malformed dates are
// zero, and values of unexpected types are left out. null is the zero Job; any other JSON needs an ID.
func (j *Job) UnmarshalJSON(b []byte) error {
	if string(bytes.TrimSpace(b)) == "null" {
		*j = Job{}
		return nil
	}
	job, err := decodeJob(bytes.Clone(b))
	if err == nil {
		*j = *job
	}
	return err
}

// MarshalJSON writes the job in the API's form, which UnmarshalJSON reads. The zero Job is null.
func (j Job) MarshalJSON() ([]byte, error) {
	if j.ID == "" {
		return []byte("null"), nil
	}
	fields := j.fields()
	fields["duration"], fields["variables"] = j.Duration.Seconds(), j.Variables
	return json.Marshal(fields)
}

// Status is the state of a job. Unknown values are kept; they are not terminal.
type Status string

// The documented statuses.
const (
	StatusPending  Status = "pending"
	StatusInQueue  Status = "in_queue"
	StatusRunning  Status = "running"
	StatusDone     Status = "done"
	StatusFailed   Status = "failed"
	StatusRejected Status = "rejected"
)

// Terminal reports whether a job with this status has ended: done, failed or rejected.
func (s Status) Terminal() bool {
	return s == StatusDone || s == StatusFailed || s == StatusRejected
}

// ModelVersion is the model that renders a video; it determines the price. The zero value leaves the choice
// to the API, which uses ModelStandard. The prices are the documented ones for the final video.
type ModelVersion string

// The documented models.
const (
	ModelStandard     ModelVersion = "standard"       // 5 credits per 30 s
	ModelAuroraV1     ModelVersion = "aurora_v1"      // 1 credit per second
	ModelAuroraV1Fast ModelVersion = "aurora_v1_fast" // 0.5 credits per second
)

// JobParams describes a job to create. The first two fields are required; the others are not sent when zero.
type JobParams struct {
	TemplateID   string       `json:"template_id"`             // a UUID
	Variables    Variables    `json:"variables"`               // not nil; empty for a template without variables
	Name         string       `json:"name,omitempty"`          // at most 255 characters
	WebhookURL   string       `json:"webhook_url,omitempty"`   // public, http or https, at most 200 characters
	ModelVersion ModelVersion `json:"model_version,omitempty"` // decides the price
	IsHidden     bool         `json:"is_hidden,omitempty"`     // hides the video on the website's projects page
}

// LogValue shows the template's ID, the model, the number of variables and whether there is a name.
func (p JobParams) LogValue() slog.Value {
	return slog.GroupValue(slog.String("template_id", p.TemplateID), slog.String("model_version", string(p.ModelVersion)),
		slog.Int("variables", len(p.Variables)), slog.Bool("named", p.Name != ""))
}

const maxName, maxWebhookURL, unlimited = 255, 200, math.MaxInt // characters, as documented

// Validate returns what a create would refuse, as one [*ValidationError] with all problems. Free. It refuses
// URLs without a public host, which only a client with a loopback base URL may send.
func (p JobParams) Validate() error { return validation(p.problems(false)) }

// problems lists what the API would refuse, or charge for nothing. Loopback is as in [urlProblem].
func (p JobParams) problems(loopback bool) []Problem {
	var all problemList
	all.require(isUUID(p.TemplateID), "template_id", "must be a UUID, such as 3c90c3cc-0d44-4b50-8888-8dd25736052a")
	all.require(p.Variables != nil, "variables", "is nil; use creatify.Variables{} for a template without variables")
	all = append(all, p.Variables.problems(loopback)...)
	all.add("name", textProblem(p.Name, maxName))
	all.add("model_version", textProblem(string(p.ModelVersion), unlimited))
	if hook := p.WebhookURL; hook != "" {
		all.add("webhook_url", cmp.Or(textProblem(hook, maxWebhookURL), urlProblem(hook, loopback)))
	}
	return all
}

// problemList collects what is wrong with parameters or options.
type problemList []Problem

// add appends a problem unless its message is empty.
func (l *problemList) add(field, message string) {
	if message != "" {
		*l = append(*l, Problem{field, message})
	}
}

func (l *problemList) refuse(field, format string, args ...any) {
	l.add(field, fmt.Sprintf(format, args...))
}

// require refuses a value unless it is good.
func (l *problemList) require(good bool, field, format string, args ...any) {
	if !good {
		l.refuse(field, format, args...)
	}
}

// applyOptions applies the options. A nil option is a problem.
func applyOptions[C any, O ~func(*C)](opts []O, config *C, problems *problemList, name string) {
	for i, opt := range opts {
		if opt == nil {
			problems.refuse(fmt.Sprint(name, " ", i+1), "is nil")
			continue
		}
		opt(config)
	}
}

func isUUID(s string) bool {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	return err == nil && len(b) == 16 && len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
}

// fields maps the API's names to the fields that have the same form here.
func (j *Job) fields() lenient.Fields {
	return lenient.Fields{"id": &j.ID, "status": (*string)(&j.Status), "progress": &j.Progress, "preview": &j.Preview,
		"video_output": &j.VideoOutput, "editor_url": &j.EditorURL, "failed_reason": &j.FailedReason,
		"credits_used": &j.CreditsUsed, "created_at": &j.CreatedAt, "updated_at": &j.UpdatedAt, "name": &j.Name,
		"webhook_url": &j.WebhookURL, "model_version": (*string)(&j.ModelVersion), "is_hidden": &j.IsHidden,
		"media_job": &j.MediaJob}
}

// decodeJob reads a job from a response body, which it keeps. Only an ID is required.
func decodeJob(body []byte) (*Job, error) {
	j := &Job{raw: body}
	var duration float64
	fields := j.fields()
	fields["id"] = func(v lenient.Value) { j.ID = cmp.Or(strings.TrimSpace(v.String()), j.ID) }
	fields["failed_reason"] = func(v lenient.Value) { j.FailedReason = v.Text() }
	fields["duration"] = &duration
	fields["variables"] = func(v lenient.Value) { j.Variables = decodeVariables(v) }
	j.broken = lenient.Read(body, fields) != nil
	j.Progress = min(max(j.Progress, 0), 1)
	if duration > 0 && duration < math.MaxInt64/float64(time.Second) {
		j.Duration = time.Duration(math.Round(duration * float64(time.Second)))
	}
	if j.ID == "" {
		return nil, errors.New("the response holds no job ID")
	}
	return j, nil
}

// decodeVariables reads an object of at most [lenient.MaxEntries] variables. Anything else is nil.
func decodeVariables(v lenient.Value) Variables {
	all := make(Variables)
	ended := lenient.Members(v, func(name []byte, v lenient.Value) {
		if len(all) <= lenient.MaxEntries {
			all[string(name)] = RawVariable(json.RawMessage(v))
		}
	})
	if !ended || len(all) > lenient.MaxEntries {
		return nil
	}
	return all
}
