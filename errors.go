package creatify

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/internal/transport"
)

// The sentinels tell errors apart with [errors.Is]. The types below carry the details; find them with [errors.AsType].
var (
	// ErrInvalidParams: a parameter or an option is bad. Nothing was sent.
	ErrInvalidParams = errors.New("creatify: invalid parameters")
	// ErrUnauthorized: the API ID and key are wrong (401), or not allowed to do this (403).
	ErrUnauthorized = errors.New("creatify: unauthorized")
	// ErrNotFound: the API itself says that there is no such job or template. A bare 404 of a proxy is not this.
	ErrNotFound = errors.New("creatify: not found")
	// ErrRateLimited: too many requests (429), also after retries.
	ErrRateLimited = errors.New("creatify: rate limited")
	// ErrInsufficientCredits: the account has too few credits.
	ErrInsufficientCredits = errors.New("creatify: insufficient credits")
	// ErrOutcomeUnknown: a call that costs credits was sent, and whether it took effect is not known.
	ErrOutcomeUnknown = errors.New("creatify: outcome unknown")
	// ErrJobFailed: the job ended as failed.
	ErrJobFailed = errors.New("creatify: job failed")
	// ErrJobRejected: the job ended as rejected.
	ErrJobRejected = errors.New("creatify: job rejected")
	// ErrWaitTimeout: the wait took as long as [WithMaxWait] allows. The job goes on.
	ErrWaitTimeout = errors.New("creatify: no end within the longest wait allowed")
	// ErrStalled: the job stood still for as long as [WithStallTimeout] allows.
	ErrStalled = errors.New("creatify: the job stands still")
	// ErrNoOutput: the job is done, but the URL that was waited for did not appear.
	ErrNoOutput = errors.New("creatify: the job is done but has no output")
	// ErrBudgetExceeded: a [Budget] does not cover the call. Nothing was sent.
	ErrBudgetExceeded = errors.New("creatify: the budget is exceeded")
	// ErrTrackerClosed: a job was given to a [Tracker] after its Close or Finish.
	ErrTrackerClosed = errors.New("creatify: the tracker is closed")
	// ErrInvalidWebhook: a body is not a webhook's.
	ErrInvalidWebhook = errors.New("creatify: not a webhook notice")
	// ErrTooLarge: the video is larger than [WithMaxSize] allows.
	ErrTooLarge = errors.New("creatify: the video is too large")
	// ErrRefusedURL: the video's URL, the address that it leads to, or a redirect is one that is not downloaded from.
	ErrRefusedURL = errors.New("creatify: refused URL")
)

// ValidationError lists everything that is wrong with a call's parameters. Nothing was sent. It is [ErrInvalidParams].
type ValidationError struct {
	Problems []Problem // at least one
}

// Problem is one thing that is wrong with a parameter.
type Problem struct {
	Field   string // as the API names it, such as "template_id" or "variables.photo"; or the option or argument
	Message string // what is wrong; never the value, which may be a secret
}

func invalid(field, format string, args ...any) *ValidationError {
	return &ValidationError{[]Problem{{field, fmt.Sprintf(format, args...)}}}
}

// validation is the error with these problems, or nil when there are none.
func validation(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &ValidationError{problems}
}

func (e *ValidationError) Error() string {
	problems := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		problems[i] = p.Field + ": " + p.Message
	}
	return "creatify: invalid parameters: " + strings.Join(problems, "; ")
}

// Is makes the error [ErrInvalidParams].
func (e *ValidationError) Is(target error) bool { return target == ErrInvalidParams }

// APIError is a reply in which the server refused a call. Depending on what it says it is [ErrUnauthorized],
// [ErrNotFound], [ErrRateLimited] or [ErrInsufficientCredits].
type APIError struct {
	StatusCode int                 // of the reply
	Method     string              // of the call
	Path       string              // of the call, from the base URL on
	Detail     string              // the message about the call as a whole; empty when there is none
	Fields     map[string][]string // messages by field; non_field_errors is what concerns several
	RetryAfter time.Duration       // how long the server asks to wait; 0 when it does not say
	Body       []byte              // the first 4 KiB of the reply

	bare   bool // Detail comes from a bare array
	unsure bool // part of an unknown outcome, and so no refusal
}

const maxKeptBody = 4 << 10

func newAPIError(call transport.Call, reply *transport.Reply) *APIError {
	e := &APIError{StatusCode: reply.Status, Method: call.Method, Path: call.Path}
	e.RetryAfter, _ = transport.RetryAfter(reply, time.Now())
	e.Body = firstOf(reply.Body)
	e.read(reply.Body)
	if reply.Status >= 300 && reply.Status <= 399 {
		e.Detail = "a redirect, which is not followed: a POST never is, nor anything to another origin; check the base URL"
	}
	return e
}

// read takes the messages out of a body of any of the API's shapes: {"detail": …}, {"field": […]}, […]. Another body,
// such as a proxy's page, leaves them empty.
func (e *APIError) read(body []byte) {
	var shape any
	if json.Unmarshal(body, &shape) != nil {
		return
	}
	switch shape := shape.(type) {
	case []any:
		e.Detail, e.bare = strings.Join(messagesOf(shape), "; "), true
	case map[string]any:
		for field, value := range shape {
			if text, ok := value.(string); ok && field == "detail" {
				e.Detail = text
			} else {
				e.addFields(field, value, 0)
			}
		}
	}
}

// addFields descends into nested objects, which is how the API speaks of a field within a field. It keeps what a reader can
// make use of, and no more.
func (e *APIError) addFields(field string, value any, depth int) {
	const mostFields, longestField, deepest = 100, 200, 8
	if len(e.Fields) >= mostFields || len(field) > longestField {
		return
	}
	if nested, ok := value.(map[string]any); ok && depth < deepest {
		for name, v := range nested {
			e.addFields(field+"."+name, v, depth+1)
		}
		return
	}
	if messages := messagesOf(value); len(messages) > 0 {
		if e.Fields == nil {
			e.Fields = make(map[string][]string)
		}
		e.Fields[field] = append(e.Fields[field], messages...)
	}
}

func messagesOf(value any) []string {
	switch value := value.(type) {
	case nil:
		return nil
	case string:
		return []string{value}
	case []any:
		var all []string
		for _, v := range value {
			all = append(all, messagesOf(v)...)
		}
		return all
	}
	text, _ := json.Marshal(value)
	return []string{string(text)}
}

func (e *APIError) Error() string {
	if next := e.next(); next != "" {
		return e.what() + " (" + next + ")"
	}
	return e.what()
}

// what says what happened, without what to do about it.
func (e *APIError) what() string {
	text := fmt.Sprintf("creatify: %s %s: %d %s", e.Method, e.Path, e.StatusCode, http.StatusText(e.StatusCode))
	messages := []string{}
	if e.Detail != "" {
		messages = append(messages, e.Detail)
	}
	for _, field := range slices.Sorted(maps.Keys(e.Fields)) {
		messages = append(messages, field+": "+strings.Join(e.Fields[field], ", "))
	}
	switch {
	case len(messages) > 0:
		text += ": " + strings.TrimSuffix(oneLine(strings.Join(messages, "; ")), ".")
	case len(e.Body) > 0:
		text += ": not in a form of the API's, so perhaps from a proxy"
	}
	return text
}

// next says what to do about it.
func (e *APIError) next() string {
	switch {
	case e.Is(ErrInsufficientCredits):
		return "add credits to the account"
	case e.Is(ErrUnauthorized):
		return "check the API ID and key"
	case e.Is(ErrRateLimited) && e.RetryAfter > 0 && e.RetryAfter < 24*time.Hour:
		return fmt.Sprintf("try again in %v", e.RetryAfter)
	case e.Is(ErrRateLimited) || e.StatusCode >= 500:
		return "try again later"
	}
	return ""
}

// Is makes the error the sentinels that fit it, and none within an [OutcomeUnknownError], where it is no reason to send the
// call again. A 404 counts as not found only with the API's own words. Too few credits have no documented reply: 402 counts,
// and 400 and 403 where a message speaks of credits.
func (e *APIError) Is(target error) bool {
	if e.unsure {
		return false
	}
	switch target {
	case ErrUnauthorized:
		return e.StatusCode == http.StatusUnauthorized || (e.StatusCode == http.StatusForbidden && !e.speaksOfCredits())
	case ErrNotFound:
		return e.StatusCode == http.StatusNotFound && e.Detail != "" && !e.bare
	case ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests
	case ErrInsufficientCredits:
		return e.StatusCode == http.StatusPaymentRequired || e.speaksOfCredits() &&
			(e.StatusCode == http.StatusBadRequest || e.StatusCode == http.StatusForbidden)
	}
	return false
}

func (e *APIError) speaksOfCredits() bool {
	messages := []string{e.Detail}
	for _, m := range e.Fields {
		messages = append(messages, m...)
	}
	return strings.Contains(strings.ToLower(strings.Join(messages, "\n")), "credit")
}

// OutcomeUnknownError says that a call that costs credits was sent, and that its reply was lost, cut, unreadable, or a
// server's trouble: it may have taken effect and been charged. It was not sent again. It is [ErrOutcomeUnknown], and
// unwraps to the cause. How to find out what became of it is in docs/reliability.md.
type OutcomeUnknownError struct {
	Method, Path string    // of the call
	Params       JobParams `json:"-"` // what was sent; zero for a call on an existing job
	JobID        string    // of the job, where it is known
	Body         []byte    // the first 4 KiB of the reply, if one came: perhaps a person can read what this library cannot
	Err          error     // why the outcome is unknown
}

func (e *OutcomeUnknownError) Error() string {
	cause := fmt.Sprint(e.Err)
	if refusal, ok := errors.AsType[*APIError](e.Err); ok {
		cause = refusal.what() // to try again later is no advice for this
	}
	text := fmt.Sprintf("creatify: %s %s was sent, but whether it took effect is unknown: %s; it may have been charged, so "+
		"do not simply send it again", e.Method, e.Path, cause)
	switch {
	case e.JobID != "":
		text += ": read job " + oneLine(e.JobID) + " first"
	case e.Params.WebhookURL != "":
		text += ": a notice to the webhook URL, if one comes, names the job, and a reference of yours in that URL tells whose it is"
	default:
		text += ": look for the job in the account first"
	}
	return text
}

// Format prints the message, whatever the verb, so that no verb shows the variables.
func (e OutcomeUnknownError) Format(f fmt.State, _ rune) { io.WriteString(f, e.Error()) }

// Unwrap returns the cause.
func (e *OutcomeUnknownError) Unwrap() error { return e.Err }

// Is makes the error [ErrOutcomeUnknown].
func (e *OutcomeUnknownError) Is(target error) bool { return target == ErrOutcomeUnknown }

// JobError says that a job ended badly. It is [ErrJobFailed] or [ErrJobRejected].
type JobError struct {
	Job *Job // as it was at the end; FailedReason says why, as far as the API does
}

func (e *JobError) Error() string {
	if e.Job == nil {
		return "creatify: job failed"
	}
	reason := cmp.Or(oneLine(e.Job.FailedReason), "the API gives no reason")
	text := fmt.Sprintf("creatify: job %s %s: %s", oneLine(e.Job.ID), oneLine(string(e.Job.Status)), reason)
	if e.Job.CreditsUsed > 0 {
		text += fmt.Sprintf(" (credits used: %v)", e.Job.CreditsUsed)
	}
	return text + "; this job will not change: mend the cause and create another"
}

// Is makes the error [ErrJobFailed] or [ErrJobRejected].
func (e *JobError) Is(target error) bool {
	return e.Job != nil && (target == ErrJobFailed && e.Job.Status == StatusFailed ||
		target == ErrJobRejected && e.Job.Status == StatusRejected)
}

// WaitError says that a wait ended before its job did. The job may go on, and so can the wait: WaitForPreview with JobID.
// It unwraps to [ErrWaitTimeout], [ErrStalled], [ErrNoOutput], the context's error, or the last poll's error. The latter
// may be any of the other sentinels, so test for a WaitError before them: a job that was created is there, whatever the
// cause. One that is [ErrNotFound] or [ErrUnauthorized] will not go better with the same ID or the same key.
type WaitError struct {
	JobID       string        // of the job that goes on, and that can be waited for again
	Last        *Job          // the last snapshot; nil when no poll succeeded
	LastPollErr error         // of the last poll; nil when it succeeded
	Polls       int           // made by this wait
	Elapsed     time.Duration // of this wait
	Err         error         // why it ended
}

func (e *WaitError) Error() string {
	polls := "polls"
	if e.Polls == 1 {
		polls = "poll"
	}
	text := fmt.Sprintf("creatify: the wait for job %s ended after %v and %d %s: %v", oneLine(e.JobID),
		e.Elapsed.Round(time.Millisecond), e.Polls, polls, e.Err)
	if e.Last != nil {
		status := cmp.Or(oneLine(string(e.Last.Status)), "without a status")
		text += fmt.Sprintf("; last seen %s at %.0f %%", status, e.Last.Progress*100)
	}
	if e.LastPollErr != nil && !errors.Is(e.Err, e.LastPollErr) {
		text += fmt.Sprintf("; last poll: %v", e.LastPollErr)
	}
	return text + "; " + e.next()
}

// next says what to do about it.
func (e *WaitError) next() string {
	switch {
	case errors.Is(e.Err, ErrNotFound):
		return "check that the ID is right and of this account"
	case errors.Is(e.Err, ErrUnauthorized):
		return "the job may go on: with the right API ID and key, wait for the same ID again"
	}
	return "the job may go on: wait for the same ID again, and do not create another"
}

// Unwrap returns why the wait ended.
func (e *WaitError) Unwrap() error { return e.Err }

// DownloadError says that a video was not downloaded. It unwraps to one of [ErrNoOutput], [ErrJobFailed],
// [ErrJobRejected], [ErrTooLarge], [ErrRefusedURL], [ErrNotFound], [ErrUnauthorized] and [ErrRateLimited]; to the
// error of the context, the writer or the disk; or to nothing.
type DownloadError struct {
	JobID      string // of the job whose video it is
	Host       string // of the video's URL, whose other parts may be secret; empty for a job without a video
	StatusCode int    // with which the host refused; 0 if it did not
	Written    int64  // bytes; DownloadFile leaves none of them
	Err        error  // why it was not downloaded
}

func (e *DownloadError) Error() string {
	from := ""
	if e.Host != "" {
		from = fmt.Sprintf(" from %s, %d bytes written", oneLine(e.Host), e.Written)
	}
	return fmt.Sprintf("creatify: download: job %s%s: %v (%s)", oneLine(e.JobID), from, e.Err, e.next())
}

// next returns what to do about it.
func (e *DownloadError) next() string {
	switch {
	case errors.Is(e.Err, ErrJobFailed) || errors.Is(e.Err, ErrJobRejected):
		return "there will be no video: create another job"
	case errors.Is(e.Err, ErrNoOutput):
		return "wait with WaitForVideo, after Render if the rendering was not started"
	case errors.Is(e.Err, ErrTooLarge):
		return "WithMaxSize sets the limit"
	case errors.Is(e.Err, ErrRefusedURL):
		return "check where the URL leads; WithPrivateAddresses is for a host of your own"
	case errors.Is(e.Err, ErrNotFound):
		return "check that the ID is right and of this account"
	case errors.Is(e.Err, ErrUnauthorized):
		return "check the API ID and key, and download again"
	}
	return "download again, free of charge"
}

// Unwrap returns the cause.
func (e *DownloadError) Unwrap() error { return e.Err }

// oneLine makes a server's text fit for a line of a log.
func oneLine(text string) string { return transport.OneLine(text) }

// firstOf copies as much of a body as errors keep.
func firstOf(body []byte) []byte { return bytes.Clone(body[:min(len(body), maxKeptBody)]) }
