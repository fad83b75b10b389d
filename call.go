package creatify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/creatify-community/creatify-go/internal/fetch"
	"github.com/creatify-community/creatify-go/internal/transport"
)

// api is what the services share: one call of the API, from its parameters to a typed result or a typed error.
type api struct {
	transport *transport.Client
	files     *fetch.Client
	durations durations
	renders   renders
	budget    *Budget // nil for none
}

// check is what every call begins with.
func (a *api) check(ctx context.Context, problems ...Problem) error {
	if ctx == nil {
		problems = append([]Problem{{"ctx", "is nil; use context.Background()"}}, problems...)
	}
	return validation(problems)
}

// get makes a call that costs nothing and returns the body of its reply.
func (a *api) get(ctx context.Context, path string, once bool) ([]byte, error) {
	reply, err := a.getReply(ctx, path, once)
	if err != nil {
		return nil, err
	}
	return reply.Body, nil
}

func (a *api) getReply(ctx context.Context, path string, once bool) (*transport.Reply, error) {
	call := transport.Call{Method: http.MethodGet, Path: path, Once: once}
	reply, err := a.transport.Do(ctx, call)
	if err != nil {
		return nil, fmt.Errorf("creatify: %s %s: %w", call.Method, path, err)
	}
	if !isSuccess(reply.Status) {
		return nil, newAPIError(call, reply)
	}
	return reply, nil
}

// pay makes a call that costs credits. Either the job comes back, or the server refused and nothing was charged, or the
// request provably never left, or the outcome is unknown: unknown is what such a call is until it is proved otherwise.
func (a *api) pay(ctx context.Context, call transport.Call, operation Operation, sent OutcomeUnknownError) (*Job, error) {
	held, err := a.budget.reserve(operation, sent.Params.ModelVersion)
	if err != nil {
		return nil, err
	}
	job, err := a.send(ctx, call, sent)
	switch {
	case err == nil:
		held.assign(job.ID)
		a.budget.settle(job)
	case !errors.Is(err, ErrOutcomeUnknown):
		held.release()
	}
	return job, err
}

func (a *api) send(ctx context.Context, call transport.Call, sent OutcomeUnknownError) (*Job, error) {
	call.Method, call.Paid, call.TookEffect = http.MethodPost, true, showsJob
	sent.Method, sent.Path = call.Method, call.Path
	reply, err := a.transport.Do(ctx, call)
	if failure, ok := errors.AsType[*transport.Error](err); ok {
		if !failure.Reached {
			return nil, fmt.Errorf("creatify: %s %s was not sent, so nothing was charged and it can be called again: %w",
				call.Method, call.Path, err)
		}
		reply, sent.Err = failure.Reply, failure.Err
	}
	if reply == nil {
		return nil, &sent
	}
	sent.Body = firstOf(reply.Body)
	if isSuccess(reply.Status) {
		job, err := decodeJob(reply.Body)
		switch {
		case err != nil && sent.Err == nil:
			sent.Err = err
		case err == nil && sent.JobID != "" && !sameID(job.ID, sent.JobID):
			sent.Err = fmt.Errorf("the reply is about another job, %s", oneLine(job.ID))
		case err == nil:
			return job, nil
		}
		return nil, &sent
	}
	refusal := newAPIError(call, reply)
	job := jobIn(reply.Body)
	if isRefusal(reply.Status) && job == nil {
		return nil, refusal
	}
	if job != nil && sent.JobID == "" {
		sent.JobID = job.ID
	}
	refusal.unsure = true
	sent.Err = refusal
	return nil, &sent
}

// jobIn is the job that a body shows, with an ID and a status or what is left of one, and not just something with an ID, or
// with an HTTP status as well; nil if it shows none.
func jobIn(body []byte) *Job {
	job, err := decodeJob(body)
	if err != nil || strings.Trim(string(job.Status), "0123456789") == "" && !job.broken {
		return nil
	}
	return job
}

func showsJob(body []byte) bool { return jobIn(body) != nil }

func isSuccess(status int) bool { return status >= 200 && status <= 299 }

// isRefusal says that the server read the request and did not act on it. Left out are 408, and what proxies say when they
// have lost a server that may be at work.
func isRefusal(status int) bool {
	switch status {
	case http.StatusRequestTimeout, 444, 460, 499:
		return false
	}
	return status >= 400 && status <= 499
}
