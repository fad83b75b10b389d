package creatify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/internal/fetch"
	"github.com/creatify-community/creatify-go/internal/transport"
	"github.com/creatify-community/creatify-go/internal/wait"
)

// api is what the services share: one call of the API, from checked parameters to a body, a job or an error.
type api struct {
	transport *transport.Client
	files     *fetch.Client
	learned   *wait.Learner
	budget    *Budget // nil for none
	loopback  bool    // the base URL is on this machine: a fake, which may reach any host
	logger    *slog.Logger
	hooks     Hooks
	rendering *memory        // jobs whose Render has been sent, for webhooks
	templates *templateReads // nil without [WithTemplateCheck]
}

// check is the first step of every call.
func (a *api) check(ctx context.Context, problems ...Problem) error {
	if ctx == nil {
		problems = append([]Problem{{"ctx", "is nil; use context.Background()"}}, problems...)
	}
	return validation(problems)
}

// get makes a free call.
func (a *api) get(ctx context.Context, call transport.Call) (*transport.Response, error) {
	call.Method = http.MethodGet
	response, err := a.transport.Do(ctx, call)
	if err != nil {
		return nil, &callError{call: describe(call.Name, call.JobID), err: err}
	}
	if !isSuccess(response.Status) {
		return nil, newAPIError(call, response)
	}
	return response, nil
}

// unreadable is the error of a free call whose response lacks what it must hold.
func unreadable(call transport.Call, format string, args ...any) error {
	return &callError{call: describe(call.Name, call.JobID), err: fmt.Errorf(format, args...)}
}

// pay makes a paid call. Its outcome is unknown until the response shows a job, the server refuses, or the request provably
// never left. Only the latter two give the budget's credits back.
func (a *api) pay(ctx context.Context, call transport.Call, operation Operation, params JobParams) (*Job, error) {
	ctx, end := a.paid(ctx, PaidCall{Operation: operation, Call: call.Name, JobID: call.JobID, Model: params.ModelVersion})
	job, err := a.payWithinBudget(ctx, call, operation, params)
	if errors.Is(err, ErrOutcomeUnknown) {
		a.logger.LogAttrs(ctx, slog.LevelWarn, "creatify: outcome unknown", slog.String("call", call.Name), slog.String("job_id", call.JobID))
	}
	end(job, err)
	return job, err
}

func (a *api) payWithinBudget(ctx context.Context, call transport.Call, operation Operation, params JobParams) (*Job, error) {
	settle, err := a.reserve(ctx, call, operation, params)
	if err != nil {
		return nil, err
	}
	job, err := a.send(ctx, call, params)
	settle(job, err)
	if operation == OperationRender && Charged(err) != ChargedNo {
		a.rendering.add(foldID(call.JobID))
	}
	return job, err
}

func (a *api) send(ctx context.Context, call transport.Call, params JobParams) (*Job, error) {
	call.Method, call.Paid, call.TookEffect = http.MethodPost, true, showsJob
	unknown := &OutcomeUnknownError{Call: call.Name, Method: call.Method, Path: call.Path, Params: params, JobID: call.JobID}
	response, err := a.transport.Do(ctx, call)
	if failure, ok := errors.AsType[*transport.Error](err); ok {
		if !failure.Reached {
			return nil, &callError{call: describe(call.Name, call.JobID), unsent: true, err: err}
		}
		response, unknown.Err = failure.Response, failure.Err
	}
	if response == nil {
		return nil, unknown
	}
	unknown.Body = firstOf(response.Body)
	if isSuccess(response.Status) {
		job, err := decodeJob(response.Body)
		switch {
		case err == nil && (call.JobID == "" || sameID(job.ID, call.JobID)):
			return job, nil
		case err == nil:
			unknown.Err = fmt.Errorf("the response is about another job, %s", oneLine(job.ID))
		case unknown.Err == nil:
			unknown.Err = err
		}
		return nil, unknown
	}
	refusal := newAPIError(call, response)
	job := jobIn(response.Body)
	if isRefusal(response.Status) && job == nil {
		return nil, refusal
	}
	if job != nil && unknown.JobID == "" {
		unknown.JobID = job.ID
	}
	unknown.Err = refusal
	return nil, unknown
}

// jobIn returns the job in body, or nil. An object with an id but no status is not a job, nor is one whose status is an HTTP
// status.
func jobIn(body []byte) *Job {
	job, err := decodeJob(body)
	if err != nil || strings.Trim(string(job.Status), "0123456789") == "" && !job.broken {
		return nil
	}
	return job
}

func showsJob(body []byte) bool { return jobIn(body) != nil }

func isSuccess(status int) bool { return status >= 200 && status <= 299 }

// isRefusal reports whether the server read the request and did not act on it. A 408 does not say so, nor do the statuses of
// proxies that lost a server which may be at work.
func isRefusal(status int) bool {
	switch status {
	case http.StatusRequestTimeout, 444, 460, 499:
		return false
	}
	return status >= 400 && status <= 499
}

func newAPIError(call transport.Call, response *transport.Response) *APIError {
	e := &APIError{StatusCode: response.Status, Call: call.Name, JobID: call.JobID, Method: call.Method, Path: call.Path,
		RequestID: response.RequestID}
	e.RetryAfter, _ = transport.RetryAfter(response, time.Now())
	e.Body = firstOf(response.Body)
	e.read(response.Body)
	return e
}

// read takes the messages out of a body of any of the API's shapes: {"detail": …}, {"field": […]}, […]. Another body, such
// as a proxy's page, leaves them empty.
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
// use, and no more.
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

// messagesOf returns the strings of a list or a single one; anything else as its JSON.
func messagesOf(value any) []string {
	switch value := value.(type) {
	case nil:
		return nil
	case string:
		return []string{value}
	case []any:
		var all []string
		for _, v := range value[:min(len(value), maxMessages)] {
			if text, ok := v.(string); ok {
				all = append(all, text)
			} else if v != nil {
				all = append(all, jsonOf(v))
			}
		}
		return all
	}
	return []string{jsonOf(value)}
}

const maxMessages = 100

func jsonOf(value any) string {
	text, _ := json.Marshal(value)
	return string(text)
}

// oneLine makes a server's text fit for a line of a log.
func oneLine(text string) string { return transport.OneLine(text) }

// firstOf copies as much of a body as errors keep.
func firstOf(body []byte) []byte { return bytes.Clone(body[:min(len(body), maxKeptBody)]) }
