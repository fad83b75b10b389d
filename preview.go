package creatify

import (
	"context"
	"encoding/json"
	"time"

	"github.com/creatify-community/creatify-go/internal/transport"
)

// CreatePreview starts a preview and returns its job, which is pending. It costs 1 credit per 30 s of video, says the
// documentation.
//
// Store the job's ID. An error that is [ErrOutcomeUnknown] means that the preview may have been started and charged; any
// other error, that it was not.
//
// API page: https://docs.creatify.ai/api-reference/custom-template-jobs
func (s *JobsService) CreatePreview(ctx context.Context, params JobParams) (*Job, error) {
	return s.create(ctx, transport.Call{Path: jobsPath + "preview_async/"}, params)
}

// PreviewSync makes a preview with a call that blocks until it is ready, which takes minutes, and returns the job. It costs
// what [JobsService.CreatePreview] costs.
//
// Prefer [JobsService.Preview], as the documentation does: when this call's reply is lost, so is the job's ID, and the
// error is [ErrOutcomeUnknown]. An attempt may take ten minutes, or more where [WithTimeout] says so. A job that ends badly
// is a [*JobError].
//
// API page: https://docs.creatify.ai/api-reference/custom-template-jobs
func (s *JobsService) PreviewSync(ctx context.Context, params JobParams) (*Job, error) {
	job, err := s.create(ctx, transport.Call{Path: jobsPath + "preview/", Patience: 10 * time.Minute}, params)
	if err == nil && (job.Status == StatusFailed || job.Status == StatusRejected) {
		return nil, &JobError{job}
	}
	return job, err
}

// create makes a job, which is paid for.
func (s *JobsService) create(ctx context.Context, call transport.Call, params JobParams) (*Job, error) {
	if err := s.check(ctx, params.problems()...); err != nil {
		return nil, err
	}
	var err error
	if call.Body, err = json.Marshal(params); err != nil {
		return nil, invalid("params", "cannot be written as JSON: %v", err)
	}
	return s.api.pay(ctx, call, OutcomeUnknownError{Params: params})
}

// Preview starts a preview, waits for it, and returns the job with its Preview. It costs what [JobsService.CreatePreview]
// costs; the wait costs nothing.
//
// The errors are those of CreatePreview and of [JobsService.WaitForPreview]. To store the ID before the wait begins, use
// [WithOnCreated].
func (s *JobsService) Preview(ctx context.Context, params JobParams, opts ...WaitOption) (*Job, error) {
	options, problems := waitOptions(opts)
	if err := s.check(ctx, append(problems, params.problems()...)...); err != nil {
		return nil, err
	}
	job, err := s.CreatePreview(ctx, params)
	if err != nil {
		return nil, err
	}
	if options.onCreated != nil {
		options.onCreated(new(*job))
	}
	return s.wait(ctx, job.ID, job, options)
}

// WaitForPreview waits until a job's preview is ready, and returns the job. It costs nothing, and can be called as often as
// one likes for the same ID: after a restart, or after a wait that has ended early.
//
// A job that ends badly is a [*JobError], which is [ErrJobFailed] or [ErrJobRejected]. A wait that ends before the job is
// a [*WaitError], whose cause is one of [ErrWaitTimeout], [ErrStalled], [ErrNoOutput], the context's error, or the error
// of the last poll: at once if that is [ErrUnauthorized] or [ErrNotFound], else after [WithMaxPollErrors] in a row.
func (s *JobsService) WaitForPreview(ctx context.Context, id string, opts ...WaitOption) (*Job, error) {
	options, problems := waitOptions(opts)
	if err := s.check(ctx, append(problems, jobIDProblems(id)...)...); err != nil {
		return nil, err
	}
	return s.wait(ctx, id, nil, options)
}
