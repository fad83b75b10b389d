package creatify

import (
	"context"
	"encoding/json"
	"maps"
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
	return s.create(ctx, transport.Call{Path: jobsPath + "preview_async/"}, OperationPreview, params)
}

// CreatePreviewSync makes a preview with a call that blocks until it is ready, which takes minutes, and returns the job as the
// reply shows it: one that is not Terminal goes on, for [JobsService.WaitForPreview]. It costs what
// [JobsService.CreatePreview] costs.
//
// Prefer [JobsService.CreatePreviewAndWait], as the documentation does: when this call's reply is lost, so is the job's ID, and the
// error is [ErrOutcomeUnknown]. An attempt may take ten minutes, or more where [WithTimeout] says so. A job that ends badly
// is a [*JobError].
//
// API page: https://docs.creatify.ai/api-reference/custom-template-jobs
func (s *JobsService) CreatePreviewSync(ctx context.Context, params JobParams) (*Job, error) {
	job, err := s.create(ctx, transport.Call{Path: jobsPath + "preview/", Patience: 10 * time.Minute}, OperationPreview, params)
	if err == nil && (job.Status == StatusFailed || job.Status == StatusRejected) {
		return nil, &JobError{job}
	}
	return job, err
}

// create makes a job, which is paid for.
func (s *JobsService) create(ctx context.Context, call transport.Call, operation Operation, params JobParams) (*Job, error) {
	if err := s.api.check(ctx, params.problems(s.api.loopback)...); err != nil {
		return nil, err
	}
	params.Variables = maps.Clone(params.Variables) // what was sent, whatever the caller makes of it afterwards
	call.Body, _ = json.Marshal(params)             // it has no problems, so it can be written
	return s.api.pay(ctx, call, operation, OutcomeUnknownError{Params: params})
}

// Preview starts a preview, waits for it, and returns the job with its Preview. It costs what [JobsService.CreatePreview]
// costs; the wait costs nothing.
//
// The errors are those of CreatePreview and of [JobsService.WaitForPreview]. To store the ID before the wait begins, use
// [WithOnCreated].
func (s *JobsService) CreatePreviewAndWait(ctx context.Context, params JobParams, opts ...WaitOption) (*Job, error) {
	config, problems := newWaitConfig(opts)
	if err := s.api.check(ctx, append(problems, params.problems(s.api.loopback)...)...); err != nil {
		return nil, err
	}
	job, err := s.CreatePreview(ctx, params)
	if err != nil {
		return nil, err
	}
	if config.onCreated != nil {
		config.onCreated(job.clone())
	}
	return s.follow(ctx, newCreatedWait(job, params, time.Now(), config), job, nil)
}
