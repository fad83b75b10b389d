package creatify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The sentinels. An error of this package matches at most one of them with [errors.Is]. For its details, get
// its type with [errors.AsType].
var (
	ErrInvalidParams       = errors.New("creatify: invalid parameters")    // bad parameter or option; nothing was sent
	ErrUnauthorized        = errors.New("creatify: unauthorized")          // wrong ID or key (401), or not allowed (403)
	ErrNotFound            = errors.New("creatify: not found")             // the API itself knows no such job or template
	ErrRateLimited         = errors.New("creatify: rate limited")          // too many requests (429), after retries
	ErrInsufficientCredits = errors.New("creatify: insufficient credits")  // the account has too few credits
	ErrOutcomeUnknown      = errors.New("creatify: outcome unknown")       // a paid call may have been charged
	ErrJobFailed           = errors.New("creatify: job failed")            // the job ended as failed
	ErrJobRejected         = errors.New("creatify: job rejected")          // the job ended as rejected
	ErrWaitTimeout         = errors.New("creatify: wait timed out")        // the deadline came; the job continues
	ErrStalled             = errors.New("creatify: job stalled")           // the job did not move for WithStallTimeout
	ErrNoOutput            = errors.New("creatify: job has no output")     // the job is done without the wanted URL
	ErrPollsFailed         = errors.New("creatify: polls failed")          // see WaitError.LastPollErr
	ErrBudgetExceeded      = errors.New("creatify: budget exceeded")       // a Budget is too small; nothing was sent
	ErrTrackerClosed       = errors.New("creatify: tracker closed")        // a job was added after Close or Finish
	ErrInvalidWebhook      = errors.New("creatify: invalid webhook event") // a request body is not a webhook event
	ErrTooLarge            = errors.New("creatify: video too large")       // the video is larger than WithMaxSize
	ErrRefusedURL          = errors.New("creatify: refused URL")           // the video's URL or a redirect is not followed
)

// Charge tells whether a paid call was charged.
type Charge int

// The zero value is the cautious one.
const (
	ChargedUnknown Charge = iota // perhaps charged: do not repeat the call
	ChargedNo                    // refused or never sent: the call may be repeated
	ChargedYes                   // the job exists
)

// Charged reports whether the paid call that returned err was charged. It is ChargedNo only for errors that
// mark the call as refused or unsent, ChargedYes for nil, a [*JobError] and a [*WaitError], and
// ChargedUnknown for any other error.
func Charged(err error) Charge {
	call, _ := errors.AsType[*callError](err)
	refusal, _ := errors.AsType[*APIError](err)
	switch {
	case err == nil:
		return ChargedYes
	case errors.Is(err, ErrOutcomeUnknown):
		return ChargedUnknown
	case is[*WaitError](err) || is[*JobError](err):
		return ChargedYes
	case errors.Is(err, ErrInvalidParams) || errors.Is(err, ErrBudgetExceeded),
		call != nil && call.unsent,
		refusal != nil && refusal.Method == http.MethodPost && isRefusal(refusal.StatusCode):
		return ChargedNo
	}
	return ChargedUnknown
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// meanings has the word of each sentinel for [Reason], and the next step that error texts give, if any.
var meanings = []struct {
	err        error
	word, next string
}{
	{ErrOutcomeUnknown, "outcome_unknown", ""},
	{ErrInvalidParams, "invalid_params", ""},
	{ErrBudgetExceeded, "budget_exceeded", ""},
	{ErrJobFailed, "job_failed", "there will be no video: create another job"},
	{ErrJobRejected, "job_rejected", "there will be no video: create another job"},
	{ErrWaitTimeout, "wait_timeout", ""},
	{ErrStalled, "stalled", ""},
	{ErrNoOutput, "no_output", "wait with WaitForVideo, after Render if the rendering was not started"},
	{ErrPollsFailed, "polls_failed", ""},
	{ErrUnauthorized, "unauthorized", "check the API ID and key"},
	{ErrNotFound, "not_found", "check the ID and the key's workspace"},
	{ErrRateLimited, "rate_limited", ""},
	{ErrInsufficientCredits, "insufficient_credits", "add credits to the account"},
	{ErrTrackerClosed, "tracker_closed", ""},
	{ErrInvalidWebhook, "invalid_webhook", ""},
	{ErrTooLarge, "too_large", "WithMaxSize sets the limit"},
	{ErrRefusedURL, "refused_url", "check where the URL leads; WithPrivateAddresses is for a host of your own"},
	{context.Canceled, "canceled", ""},
	{context.DeadlineExceeded, "deadline_exceeded", ""},
}

// meaningOf returns empty strings for an error that matches no sentinel.
func meaningOf(err error) (word, next string) {
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			return m.word, m.next
		}
	}
	return "", ""
}

// Reason returns a fixed word for an error, such as "wait_timeout", for use as a metric label. It is empty
// for nil and "other" for unknown errors. docs/operating.md lists the words.
func Reason(err error) string {
	if word, _ := meaningOf(err); word != "" || err == nil {
		return word
	}
	call, _ := errors.AsType[*callError](err)
	refusal, _ := errors.AsType[*APIError](err)
	switch {
	case is[*WaitError](err):
		return "callback"
	case is[*DownloadError](err):
		return "download_failed"
	case call != nil && call.unsent:
		return "not_sent"
	case call != nil || refusal != nil && refusal.StatusCode >= 500:
		return "unavailable"
	case refusal != nil:
		return "refused"
	}
	return "other"
}

// ValidationError lists all problems of a call's parameters. Nothing was sent. It matches [ErrInvalidParams].
type ValidationError struct {
	Problems []Problem // at least one; the first 100
}

// Problem is one bad parameter.
type Problem struct {
	Field   string // as the API names it, such as "template_id" or "variables.photo"; or the option or argument
	Message string // never contains the value, which may be a secret
}

func invalid(field, format string, args ...any) *ValidationError {
	return &ValidationError{[]Problem{{field, fmt.Sprintf(format, args...)}}}
}

// validation returns the error with these problems, or nil if there are none.
func validation(problems []Problem) error {
	const most = 100 // parameters from a stranger may have a million
	if len(problems) == 0 {
		return nil
	}
	if more := len(problems) - most; more > 0 {
		problems = append(problems[:most:most], Problem{"parameters", fmt.Sprintf("have %d more problems", more)})
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

// Is matches [ErrInvalidParams].
func (e *ValidationError) Is(target error) bool { return target == ErrInvalidParams }

// callError reports a call without a usable response. It matches the context's error or no sentinel. A Render
// that its budget could not price matches the sentinel of the failed read of its job.
type callError struct {
	call   string // as describe has it
	unsent bool   // a paid call that provably never left
	err    error
}

func (e *callError) Error() string {
	if e.unsent {
		return fmt.Sprintf("creatify: %s: not sent: %v (nothing was charged; call it again)", e.call, e.err)
	}
	return fmt.Sprintf("creatify: %s: %v", e.call, e.err)
}

func (e *callError) Unwrap() error { return e.err }

// causeOf returns the text of an error for use within the text of another.
func causeOf(err error) string {
	if refusal, ok := errors.AsType[*APIError](err); ok {
		return refusal.cause()
	}
	return strings.TrimPrefix(fmt.Sprint(err), "creatify: ")
}

// describe names a call and its job, for error texts.
func describe(call, jobID string) string {
	name := strings.ReplaceAll(call, "_", " ")
	if jobID != "" {
		name += " " + oneLine(jobID)
	}
	return name
}

// APIError is an HTTP response other than 2xx, of the API or a proxy. It matches one of [ErrUnauthorized],
// [ErrNotFound], [ErrRateLimited] and [ErrInsufficientCredits], or no sentinel.
type APIError struct {
	StatusCode int                 // HTTP status
	Call       string              // name of the call, such as "create_preview"
	JobID      string              // job of the call, if it has one
	Method     string              // HTTP method
	Path       string              // path from the base URL on
	Detail     string              // message about the call as a whole, if any
	Fields     map[string][]string // messages by field; non_field_errors concerns several
	RetryAfter time.Duration       // wait that the server asks for; 0 if it asks for none
	RequestID  string              // of the response, to quote to support; often empty
	Body       []byte              // first 4 KiB of the response

	bare bool // Detail comes from a bare array
}

const maxKeptBody = 4 << 10

func (e *APIError) Error() string {
	text := "creatify: " + describe(e.Call, e.JobID) + ": " + e.cause()
	if next := e.next(); next != "" {
		text += " (" + next + ")"
	}
	return text
}

// cause returns the status and the server's message.
func (e *APIError) cause() string {
	status := strings.TrimSpace(fmt.Sprint(e.StatusCode, " ", http.StatusText(e.StatusCode)))
	var messages []string
	if e.Detail != "" {
		messages = append(messages, e.Detail)
	}
	for _, field := range slices.Sorted(maps.Keys(e.Fields)) {
		messages = append(messages, field+": "+strings.Join(e.Fields[field], ", "))
	}
	switch {
	case len(messages) > 0:
		return status + ": " + strings.TrimSuffix(oneLine(strings.Join(messages, "; ")), ".")
	case len(e.Body) > 0:
		return status + ": not in the API's format, perhaps from a proxy"
	}
	return status
}

// next returns what the caller can do about the error.
func (e *APIError) next() string {
	_, next := meaningOf(e.sentinel())
	switch {
	case next != "":
		return next
	case e.StatusCode == http.StatusTooManyRequests && e.RetryAfter > 0 && e.RetryAfter < 24*time.Hour:
		return fmt.Sprintf("try again in %v", e.RetryAfter)
	case e.StatusCode == http.StatusTooManyRequests || e.StatusCode >= 500:
		return "try again later"
	case e.StatusCode >= 300 && e.StatusCode <= 399:
		return "redirects are not followed: check the base URL"
	}
	return ""
}

// Is matches the sentinel of the status. A 404 is [ErrNotFound] only in the API's own words. Too few credits
// have no documented response: 402 matches, and a 400 or 403 whose message speaks of lacking credits.
func (e *APIError) Is(target error) bool {
	return target != nil && target == e.sentinel()
}

func (e *APIError) sentinel() error {
	switch {
	case e.StatusCode == http.StatusPaymentRequired,
		(e.StatusCode == http.StatusBadRequest || e.StatusCode == http.StatusForbidden) && e.lacksCredits():
		return ErrInsufficientCredits
	case e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden:
		return ErrUnauthorized
	case e.StatusCode == http.StatusNotFound && e.inOwnWords():
		return ErrNotFound
	case e.StatusCode == http.StatusTooManyRequests:
		return ErrRateLimited
	}
	return nil
}

// inOwnWords reports whether the API itself refused: with {"detail": …}, not with a proxy's page.
func (e *APIError) inOwnWords() bool { return e.Detail != "" && !e.bare }

// lacksCredits reports whether a message about the call as a whole says that credits are lacking. The names
// of fields, and messages about one field, such as a variable credit_card_offer, are not about the account.
func (e *APIError) lacksCredits() bool {
	messages := []string{e.Detail}
	for _, field := range []string{"non_field_errors", "error", "message", "credits", "remaining_credits"} {
		messages = append(messages, e.Fields[field]...)
	}
	return slices.ContainsFunc(messages, lackOfCredits.MatchString)
}

var lackOfCredits = regexp.MustCompile(
	`(?i)\b(insufficient|not enough|no|without|out of|too few|lacks?|low|more)\b[^.]*\bcredits?\b|\bcredits?\b[^.]*` +
		`\b(insufficient|not enough|exhausted|exceeded|required|needed|remaining|left|low|run out|used up)\b`)

// OutcomeUnknownError reports a paid call that was sent and got no usable response: none at all, a truncated
// or malformed one, or a server error. It may have been charged and was not retried. It matches
// [ErrOutcomeUnknown]; its cause is in Err only. docs/reliability.md says how to find out.
type OutcomeUnknownError struct {
	Call   string    // name of the call, such as "create_preview"
	Method string    // HTTP method
	Path   string    // path from the base URL on
	Params JobParams `json:"-"` // as sent; zero for a call on an existing job
	JobID  string    // ID of the job, if known
	Body   []byte    // first 4 KiB of the response, if one came
	Err    error     // cause; not unwrapped, so that it is no reason to repeat the call
}

func (e *OutcomeUnknownError) Error() string {
	next := "look for the job in the account"
	switch {
	case e.JobID != "":
		next = "read job " + oneLine(e.JobID)
	case e.Params.WebhookURL != "":
		next = "a webhook event may name the job"
	}
	return fmt.Sprintf("creatify: %s: outcome unknown: %s (it may have been charged: do not send it again; %s)",
		describe(e.Call, e.JobID), causeOf(e.Err), next)
}

// Format prints the message for every verb, so that none shows the variables.
func (e OutcomeUnknownError) Format(f fmt.State, _ rune) { io.WriteString(f, e.Error()) }

// Is matches [ErrOutcomeUnknown].
func (e *OutcomeUnknownError) Is(target error) bool { return target == ErrOutcomeUnknown }

// JobError reports a job that ended for good without a result. It matches [ErrJobFailed] or [ErrJobRejected].
type JobError struct {
	Job *Job // final snapshot; FailedReason says why, if the API does
}

func (e *JobError) Error() string {
	if e.Job == nil {
		return "creatify: job failed"
	}
	text := fmt.Sprintf("creatify: job %s: %s: %s", oneLine(e.Job.ID), oneLine(string(e.Job.Status)),
		cmp.Or(oneLine(e.Job.FailedReason), "no reason given"))
	if e.Job.CreditsUsed > 0 {
		text += fmt.Sprintf("; %v credits used", e.Job.CreditsUsed)
	}
	return text + " (fix the cause and create another job)"
}

// Is matches [ErrJobFailed] or [ErrJobRejected].
func (e *JobError) Is(target error) bool {
	return e.Job != nil && (target == ErrJobFailed && e.Job.Status == StatusFailed ||
		target == ErrJobRejected && e.Job.Status == StatusRejected)
}

// WaitError reports a wait that ended before its job. The job may continue: wait for the same JobID again,
// and do not create another. It unwraps to one of [ErrWaitTimeout], [ErrStalled], [ErrNoOutput],
// [ErrPollsFailed], the context's error, or the error of [WithOnCreated].
type WaitError struct {
	JobID       string        // job to resume with
	Last        *Job          // last snapshot; nil if no poll succeeded
	LastPollErr error         // of the last poll; nil if it succeeded. It is not unwrapped
	Polls       int           // answered or failed, over all processes
	Elapsed     time.Duration // since the wait began, over all processes
	Err         error         // why it ended
}

func (e *WaitError) Error() string {
	text := fmt.Sprintf("creatify: wait for job %s: %s after %v, polls: %d", oneLine(e.JobID), causeOf(e.Err),
		e.Elapsed.Round(time.Millisecond), e.Polls)
	if e.Last != nil {
		status := cmp.Or(oneLine(string(e.Last.Status)), "without a status")
		text += fmt.Sprintf("; last seen %s at %.0f %%", status, e.Last.Progress*100)
	}
	if e.LastPollErr != nil {
		text += "; last poll: " + causeOf(e.LastPollErr)
	}
	next := "wait for the same ID again; do not create another"
	if _, check := meaningOf(e.LastPollErr); check != "" {
		next = check + ", then wait for the same ID again"
	}
	return text + " (the job may continue: " + next + ")"
}

// Unwrap returns why the wait ended.
func (e *WaitError) Unwrap() error { return e.Err }

// DownloadError reports a video that was not downloaded. It unwraps to one of [ErrNoOutput], [ErrJobFailed],
// [ErrJobRejected], [ErrTooLarge], [ErrRefusedURL], [ErrNotFound], [ErrUnauthorized] and [ErrRateLimited]; to
// the error of the context, the writer or the disk; or to nothing.
type DownloadError struct {
	JobID      string // of the job whose video it is
	Host       string // of the video's URL, whose other parts may be secret; empty for a job without a video
	StatusCode int    // with which the host refused; 0 if it did not
	Written    int64  // bytes; DownloadFile leaves none of them
	Err        error  // why it was not downloaded
}

func (e *DownloadError) Error() string {
	from, next := "", "download again, free of charge"
	if e.Host != "" {
		from = fmt.Sprintf(" from %s, %d bytes written", oneLine(e.Host), e.Written)
	}
	if _, other := meaningOf(e.Err); other != "" {
		next = other
	}
	return fmt.Sprintf("creatify: %s%s: %v (%s)", describe("download", e.JobID), from, e.Err, next)
}

// Unwrap returns the cause.
func (e *DownloadError) Unwrap() error { return e.Err }
