package creatify

import (
	"bytes"
	"cmp"
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
	config
	transport *transport.Client
	files     *fetch.Client
	learned   *wait.Learner
	rendering *memory // jobs whose Render has been sent, for webhooks
}

// check is the first step of every call.
func (a *api) check(ctx context.Context, problems ...Problem) error {
	if ctx == nil {
		problems = append([]Problem{{"ctx", "is nil; use context.Background()"}}, problems...)
	}
	return validation(problems)
}

// get makes a free call, unless there are problems.
func (a *api) get(ctx context.Context, call transport.Call, problems ...Problem) (*transport.Response, error) {
	if err := a.check(ctx, problems...); err != nil {
		return nil, err
	}
	call.Method = http.MethodGet
	response, err := a.transport.Do(ctx, call)
	if err != nil {
		return nil, &callError{call: describe(call.Name, call.JobID), err: err}
	}
	if !response.Success() {
		return nil, newAPIError(call, response)
	}
	return response, nil
}

// unreadable returns the error of a free call whose response cannot be used.
func unreadable(call transport.Call, format string, args ...any) error {
	return &callError{call: describe(call.Name, call.JobID), err: fmt.Errorf(format, args...)}
}

// pay makes a paid call within the budget and calls the hooks.
func (a *api) pay(ctx context.Context, call transport.Call, operation Operation, params JobParams) (*Job, error) {
	var end func(PaidResult)
	if a.hooks.Paid != nil {
		estimate, _ := EstimateCredits(operation, params.ModelVersion, priceBlock)
		ctx, end = a.hooks.Paid(ctx, PaidCall{operation, call.Name, call.JobID, params.ModelVersion, estimate})
	}
	settle, err := a.reserve(ctx, call, operation, params)
	var job *Job
	if err == nil {
		job, err = a.send(ctx, call, params)
		settle(job, err)
		if operation == OperationRender && Charged(err) != ChargedNo {
			a.rendering.add(foldID(call.JobID))
		}
	}
	if unknown, ok := errors.AsType[*OutcomeUnknownError](err); ok {
		a.Logger.LogAttrs(ctx, slog.LevelWarn, "creatify: outcome unknown", slog.String("call", call.Name),
			slog.String("job_id", unknown.JobID), slog.String("reason", Reason(err)))
	}
	if job != nil && a.hooks.Trace != nil {
		job.trace = a.hooks.Trace(ctx)
	}
	if end != nil {
		end(PaidResult{job, Charged(err), err})
	}
	return job, err
}

// send makes a paid call. Its outcome is unknown until the response shows a job, the server refuses, or the
// request provably never left. Only the latter two release the budget's credits.
func (a *api) send(ctx context.Context, call transport.Call, params JobParams) (*Job, error) {
	call.Method, call.Paid = http.MethodPost, true
	call.TookEffect = func(body []byte) bool { return jobIn(body) != nil }
	unknown := &OutcomeUnknownError{Call: call.Name, JobID: call.JobID, Method: call.Method, Path: call.Path,
		Params: params}
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
	if !response.Success() {
		refusal, job := newAPIError(call, response), jobIn(response.Body)
		if isRefusal(response.Status) && job == nil {
			return nil, refusal
		}
		if job != nil {
			unknown.JobID = cmp.Or(unknown.JobID, job.ID)
		}
		unknown.Err = refusal
		return nil, unknown
	}
	job, err := jobOf(call, response)
	if err == nil {
		job.skew = skew(response.Header, time.Now())
		return job, nil
	}
	unknown.Err = cmp.Or(unknown.Err, err)
	return nil, unknown
}

// jobOf returns the job of a successful response. If the call names a job, it must be that one.
func jobOf(call transport.Call, response *transport.Response) (*Job, error) {
	job, err := decodeJob(response.Body)
	if err == nil && call.JobID != "" && !sameID(job.ID, call.JobID) {
		return nil, fmt.Errorf("the response is about another job, %s", oneLine(job.ID))
	}
	return job, err
}

// jobIn returns the job in body, or nil. An object without a status, or with an HTTP status, is not a job.
func jobIn(body []byte) *Job {
	job, err := decodeJob(body)
	if err != nil || strings.Trim(string(job.Status), "0123456789") == "" && !job.broken {
		return nil
	}
	return job
}

// isRefusal reports whether the server read the request and did not act on it. A 408 does not show that, nor
// do the statuses with which proxies report a lost server: it may still be working.
func isRefusal(status int) bool {
	switch status {
	case http.StatusRequestTimeout, 444, 460, 499:
		return false
	}
	return status >= 400 && status <= 499
}

func newAPIError(call transport.Call, response *transport.Response) *APIError {
	e := &APIError{StatusCode: response.Status, Call: call.Name, JobID: call.JobID, Method: call.Method, Path: call.Path,
		RequestID: response.RequestID, Body: firstOf(response.Body)}
	e.RetryAfter, _ = transport.RetryAfter(response, time.Now())
	// The API's shapes are {"detail": …}, {"field": […]} and […]. Other bodies, such as pages, are ignored.
	var shape any
	_ = json.Unmarshal(response.Body, &shape)
	switch shape := shape.(type) {
	case []any:
		e.add("", shape)
		e.Detail, e.bare = strings.Join(e.Fields[""], "; "), true
		delete(e.Fields, "")
	case map[string]any:
		if text, ok := shape["detail"].(string); ok {
			e.Detail = text
			delete(shape, "detail")
		}
		e.add("", shape)
	}
	return e
}

// add collects the messages about a field and its subfields, unless the joined name is too long to read.
func (e *APIError) add(field string, value any) {
	const longest = 200
	if len(field) > longest {
		return
	}
	switch value := value.(type) {
	case nil:
	case map[string]any:
		for name, v := range value {
			e.add(strings.TrimPrefix(field+"."+name, "."), v)
		}
	case []any:
		for _, v := range value {
			e.add(field, v)
		}
	default:
		if e.Fields == nil {
			e.Fields = make(map[string][]string)
		}
		e.Fields[field] = append(e.Fields[field], fmt.Sprint(value))
	}
}

// oneLine makes a server's text safe to print within one line of a log.
func oneLine(text string) string { return transport.OneLine(text) }

// firstOf copies as much of a body as errors keep.
func firstOf(body []byte) []byte { return bytes.Clone(body[:min(len(body), maxKeptBody)]) }
