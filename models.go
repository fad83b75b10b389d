package creatify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Job is a snapshot of a custom-template job. Null and absent values read as the zero value.
//
// API page: https://docs.creatify.ai/api-reference/custom-template-jobs
type Job struct {
	ID           string
	Status       Status
	Progress     float64       // from 0 to 1
	Preview      string        // URL of a page to show in an iframe, not of a file; there when the preview is ready
	VideoOutput  string        // URL of the rendered video; its lifetime is not documented, so fetch it at once
	EditorURL    string        // expires after 24 h; only for accounts with access to the editor
	FailedReason string        // why the job failed or was rejected, as far as the API says
	CreditsUsed  float64       // 0 at creation; may be charged later
	Duration     time.Duration // of the video; 0 until it is known
	CreatedAt    time.Time
	UpdatedAt    time.Time // may stand still while the job moves
	Name         string
	WebhookURL   string
	ModelVersion ModelVersion
	IsHidden     bool
	MediaJob     string
	Variables    Variables // media URLs may come back rewritten

	raw []byte
}

// RawJSON returns the reply that the job was read from, with what this version of the library does not know. It is not
// valid JSON if the reply was cut, and nil for a job that came from no reply.
func (j *Job) RawJSON() json.RawMessage { return slices.Clone(j.raw) }

// UnmarshalJSON reads a job as tolerantly as replies are read: numbers may be numbers, strings or null, an odd date leaves
// a zero time, and what is of another type than expected is left out. Only the ID must be there.
func (j *Job) UnmarshalJSON(b []byte) error {
	job, err := decodeJob(bytes.Clone(b))
	if err == nil {
		*j = *job
	}
	return err
}

// MarshalJSON writes the job in the API's form, so that what UnmarshalJSON has read can be stored and read again.
func (j Job) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{
		"id": j.ID, "status": j.Status, "progress": j.Progress, "preview": orNull(j.Preview),
		"video_output": orNull(j.VideoOutput), "editor_url": orNull(j.EditorURL), "failed_reason": orNull(j.FailedReason),
		"credits_used": j.CreditsUsed, "duration": j.Duration.Seconds(), "created_at": j.CreatedAt, "updated_at": j.UpdatedAt,
		"name": orNull(j.Name), "webhook_url": orNull(j.WebhookURL), "model_version": j.ModelVersion, "is_hidden": j.IsHidden,
		"media_job": orNull(j.MediaJob), "variables": j.Variables,
	})
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// sameAs says whether two snapshots tell the same to somebody who waits.
func (j *Job) sameAs(k *Job) bool {
	return j.Status == k.Status && j.Progress == k.Progress && j.Preview == k.Preview && j.VideoOutput == k.VideoOutput &&
		j.FailedReason == k.FailedReason && j.CreditsUsed == k.CreditsUsed && j.Duration == k.Duration
}

// Status is where a job stands. A value that this version does not know is kept, and is not terminal.
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

// Terminal says whether a job with this status has ended: it is done, failed or rejected.
func (s Status) Terminal() bool {
	return s == StatusDone || s == StatusFailed || s == StatusRejected
}

// ModelVersion is the model that renders a video, and so its price. The zero value leaves the choice to the API, which
// takes ModelStandard. Prices are those of the documentation for the final video.
type ModelVersion string

// The documented models.
const (
	ModelStandard     ModelVersion = "standard"       // 5 credits per 30 s
	ModelAuroraV1     ModelVersion = "aurora_v1"      // 1 credit per second
	ModelAuroraV1Fast ModelVersion = "aurora_v1_fast" // 0.5 credits per second
)

// JobParams is what a job is made of. A zero value is not sent, except for the first two fields, which the API requires.
type JobParams struct {
	TemplateID   string       `json:"template_id"`           // a UUID
	Variables    Variables    `json:"variables"`             // not nil; empty for a template without variables
	Name         string       `json:"name,omitempty"`        // at most 255 characters
	WebhookURL   string       `json:"webhook_url,omitempty"` // absolute, http or https, at most 200 characters
	ModelVersion ModelVersion `json:"model_version,omitempty"`
	IsHidden     bool         `json:"is_hidden,omitempty"`
}

const (
	maxName       = 255 // characters, as documented
	maxWebhookURL = 200
)

// problems lists what the API would refuse, or worse, accept and fail on.
func (p JobParams) problems() []Problem {
	var all []Problem
	if !isUUID(p.TemplateID) {
		all = append(all, Problem{"template_id", "must be a UUID, such as 3c90c3cc-0d44-4b50-8888-8dd25736052a"})
	}
	if p.Variables == nil {
		all = append(all, Problem{"variables", "is nil; use creatify.Variables{} for a template without variables"})
	}
	all = append(all, p.Variables.problems()...)
	if n := utf8.RuneCountInString(p.Name); n > maxName {
		all = append(all, Problem{"name", fmt.Sprintf("has %d characters, more than %d", n, maxName)})
	}
	if !utf8.ValidString(p.Name) {
		all = append(all, Problem{"name", "is not valid UTF-8"})
	}
	if p.WebhookURL != "" {
		if !isWebURL(p.WebhookURL) {
			all = append(all, Problem{"webhook_url", "must be an absolute http or https URL"})
		}
		if n := utf8.RuneCountInString(p.WebhookURL); n > maxWebhookURL {
			all = append(all, Problem{"webhook_url", fmt.Sprintf("has %d characters, more than %d", n, maxWebhookURL)})
		}
	}
	return all
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return true
}

// isWebURL says whether a server elsewhere could call the URL.
func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

// wireJob is a job as it may come, field by field.
type wireJob struct {
	ID           looseString    `json:"id"`
	Status       looseString    `json:"status"`
	Progress     looseNumber    `json:"progress"`
	Preview      looseString    `json:"preview"`
	VideoOutput  looseString    `json:"video_output"`
	EditorURL    looseString    `json:"editor_url"`
	FailedReason looseText      `json:"failed_reason"`
	CreditsUsed  looseNumber    `json:"credits_used"`
	Duration     looseNumber    `json:"duration"`
	CreatedAt    looseTime      `json:"created_at"`
	UpdatedAt    looseTime      `json:"updated_at"`
	Name         looseString    `json:"name"`
	WebhookURL   looseString    `json:"webhook_url"`
	ModelVersion looseString    `json:"model_version"`
	IsHidden     looseBool      `json:"is_hidden"`
	MediaJob     looseString    `json:"media_job"`
	Variables    looseVariables `json:"variables"`
}

var errNoJobID = errors.New("the reply holds no job ID")

// decodeJob reads a job from a reply, which it keeps. A reply with an ID always gives a job, even if it breaks off later.
func decodeJob(body []byte) (*Job, error) {
	var w wireJob
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // a byte order mark, which JSON has no place for
	err := json.Unmarshal(body, &w)
	if err != nil {
		w = wireJob{}
		json.Unmarshal(wholeMembers(body), &w)
	}
	if w.ID == "" {
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoJobID, err)
		}
		return nil, errNoJobID
	}
	return &Job{
		ID:           string(w.ID),
		Status:       Status(w.Status),
		Progress:     min(max(float64(w.Progress), 0), 1),
		Preview:      string(w.Preview),
		VideoOutput:  string(w.VideoOutput),
		EditorURL:    string(w.EditorURL),
		FailedReason: string(w.FailedReason),
		CreditsUsed:  float64(w.CreditsUsed),
		Duration:     seconds(float64(w.Duration)),
		CreatedAt:    time.Time(w.CreatedAt),
		UpdatedAt:    time.Time(w.UpdatedAt),
		Name:         string(w.Name),
		WebhookURL:   string(w.WebhookURL),
		ModelVersion: ModelVersion(w.ModelVersion),
		IsHidden:     bool(w.IsHidden),
		MediaJob:     string(w.MediaJob),
		Variables:    Variables(w.Variables),
		raw:          body,
	}, nil
}

// wholeMembers makes an object of those members of a broken one that stand before the break.
func wholeMembers(body []byte) []byte {
	whole := []byte("{")
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err == nil && t == json.Delim('{') {
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				break
			}
			var value json.RawMessage
			if dec.Decode(&value) != nil {
				break
			}
			name, err := json.Marshal(key)
			if err != nil {
				break
			}
			if len(whole) > 1 {
				whole = append(whole, ',')
			}
			whole = append(append(append(whole, name...), ':'), value...)
		}
	}
	return append(whole, '}')
}

func seconds(s float64) time.Duration {
	if s <= 0 || s >= math.MaxInt64/float64(time.Second) {
		return 0
	}
	return time.Duration(math.Round(s * float64(time.Second)))
}

type (
	looseString    string    // a string; a number by its digits; else empty
	looseText      string    // the same, and the JSON of a value of any other type
	looseNumber    float64   // a number, or one in a string; else 0
	looseBool      bool      // true only for true, also in a string
	looseTime      time.Time // RFC 3339; else zero
	looseVariables Variables // an object; else nil
)

func (s *looseString) UnmarshalJSON(b []byte) error {
	switch c := b[0]; {
	case c == '"':
		*s = looseString(unquote(b))
	case c == '-' || c >= '0' && c <= '9':
		*s = looseString(b)
	}
	return nil
}

func (s *looseText) UnmarshalJSON(b []byte) error {
	switch {
	case b[0] == '"':
		*s = looseText(unquote(b))
	case string(b) != "null":
		*s = looseText(b)
	}
	return nil
}

func (n *looseNumber) UnmarshalJSON(b []byte) error {
	text := string(b)
	if b[0] == '"' {
		text = strings.TrimSpace(unquote(b))
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
		*n = looseNumber(f)
	}
	return nil
}

func (t *looseBool) UnmarshalJSON(b []byte) error {
	*t = string(b) == "true" || string(b) == `"true"`
	return nil
}

func (t *looseTime) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		if at, err := time.Parse(time.RFC3339, string(b[1:len(b)-1])); err == nil {
			*t = looseTime(at)
		}
	}
	return nil
}

func (v *looseVariables) UnmarshalJSON(b []byte) error {
	if b[0] != '{' {
		return nil
	}
	return json.Unmarshal(b, (*Variables)(v))
}

// unquote reads a JSON string, the plain ones without the decoder's machinery.
func unquote(b []byte) string {
	if inner := b[1 : len(b)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	json.Unmarshal(b, &s)
	return s
}
