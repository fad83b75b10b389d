package creatify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/creatify-community/creatify-go/internal/transport"
)

// JobsService makes and reads custom-template jobs. It is [Client.Jobs].
type JobsService struct {
	api *api
}

const jobsPath = "/api/custom_template_jobs/"

// Get reads a job. It costs nothing.
//
// An ID that the API does not know is [ErrNotFound].
//
// API page: https://docs.creatify.ai/api-reference/custom-template-jobs
func (s *JobsService) Get(ctx context.Context, id string) (*Job, error) {
	if err := s.api.check(ctx, jobIDProblems(id)...); err != nil {
		return nil, err
	}
	return s.read(ctx, id, false)
}

// read reads a job whose ID the caller or the server gave; once only, for somebody who will read it again anyway.
func (s *JobsService) read(ctx context.Context, id string, once bool) (*Job, error) {
	path := jobPath(id)
	response, err := s.api.get(ctx, transport.Call{Name: "get_job", JobID: id, Path: path, Once: once})
	if err != nil {
		return nil, err
	}
	job, err := decodeJob(response.Body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("creatify: GET %s: %w", path, err)
	case !sameID(job.ID, id):
		return nil, fmt.Errorf("creatify: GET %s: the response is about another job, %s", path, oneLine(job.ID))
	}
	job.skew = skew(response.Header, time.Now())
	s.api.budget.settle(job)
	return job, nil
}

// skew is how far the server's clock is behind ours, as far as a reply tells: its Date has whole seconds, and has come a way.
func skew(header http.Header, now time.Time) time.Duration {
	const usual = 5 * time.Second
	date, err := http.ParseTime(header.Get("Date"))
	if behind := now.Sub(date); err == nil && behind.Abs() > usual {
		return behind
	}
	return 0
}

// CreateVideo starts rendering a final video without a preview, and returns its job, which is pending. It costs 5 credits
// per 30 s of video, says the documentation, or what [ModelVersion] says.
//
// Store the job's ID. An error that is [ErrOutcomeUnknown] means that the video may have been started and charged; any
// other error, that it was not.
//
// API page: https://docs.creatify.ai/api-reference/custom-template-jobs
func (s *JobsService) CreateVideo(ctx context.Context, params JobParams) (*Job, error) {
	return s.create(ctx, transport.Call{Name: "create_video", Path: jobsPath}, OperationVideo, params)
}

// Render starts rendering the final video of a job whose preview is ready. It costs 4 credits per 30 s of video, says the
// documentation. Right after it the job may still read as done, from its preview, with no VideoOutput.
//
// An error that is [ErrOutcomeUnknown] means that the rendering may have been started and charged. A [JobsService.Get] of
// the same job settles it, unless it comes at once: a job that is being rendered is no longer done, or has a VideoOutput.
// Any other error means that the rendering was not started.
//
// Concurrent calls of one client for one job share one request and its answer.
//
// API page: https://docs.creatify.ai/api-reference/custom-template-jobs
func (s *JobsService) Render(ctx context.Context, id string) (*Job, error) {
	if err := s.api.check(ctx, jobIDProblems(id)...); err != nil {
		return nil, err
	}
	call := transport.Call{Name: "render", JobID: id, Path: jobPath(id) + "render/", Body: []byte("{}")}
	for {
		render, leads := s.api.renders.join(foldID(id))
		if leads {
			defer s.api.renders.leave(foldID(id), render)
			render.err = &OutcomeUnknownError{Method: http.MethodPost, Path: call.Path, JobID: id, Err: errors.New("the call panicked")}
			render.job, render.err = s.api.pay(ctx, call, OperationRender, OutcomeUnknownError{JobID: id})
			if render.err != nil {
				return nil, render.err
			}
			return render.job.clone(), nil
		}
		select {
		case <-render.done:
		case <-ctx.Done():
			return nil, &OutcomeUnknownError{Method: http.MethodPost, Path: call.Path, JobID: id, Err: transport.ContextError(ctx)}
		}
		switch {
		case render.err == nil:
			return render.job.clone(), nil
		case !isContextError(render.err) || errors.Is(render.err, ErrOutcomeUnknown):
			return nil, render.err
		} // else the other caller gave up before anything was sent: it is this one's turn
	}
}

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// renders are the calls of Render that are under way, by job.
type renders struct {
	mu    sync.Mutex
	calls map[string]*renderCall
}

type renderCall struct {
	done chan struct{} // closed when the rest is set
	job  *Job
	err  error
}

// join returns the call for a job, and whether the caller is to make it.
func (r *renders) join(id string) (call *renderCall, leads bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if call := r.calls[id]; call != nil {
		return call, false
	}
	if r.calls == nil {
		r.calls = make(map[string]*renderCall)
	}
	call = &renderCall{done: make(chan struct{})}
	r.calls[id] = call
	return call, true
}

func (r *renders) leave(id string, call *renderCall) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.calls, id)
	close(call.done)
}

func jobPath(id string) string { return jobsPath + url.PathEscape(id) + "/" }

func jobIDProblems(id string) []Problem { return idProblems("id", id) }

// idProblems lets through whatever can be one element of a path. IDs are documented as UUIDs, but the server is the judge
// of that.
func idProblems(field, id string) []Problem {
	switch {
	case id == "":
		return []Problem{{field, "is empty"}}
	case id == "." || id == ".." || len(id) > 1000 || strings.ContainsFunc(id, func(r rune) bool {
		return r == '/' || r == '\\' || r == unicode.ReplacementChar || unicode.IsControl(r)
	}):
		return []Problem{{field, "cannot be an ID"}}
	}
	return nil
}

// sameID compares two IDs. In UUIDs, neither case nor hyphens matter.
func sameID(a, b string) bool { return foldID(a) == foldID(b) }

// foldID spells a UUID the one way that all its spellings have in common. Any other ID has one spelling.
func foldID(id string) string {
	folded := strings.ToLower(strings.ReplaceAll(id, "-", ""))
	if len(folded) != 32 || strings.Trim(folded, "0123456789abcdef") != "" {
		return id
	}
	return folded
}
