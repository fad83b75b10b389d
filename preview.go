package creatify

import (
	"context"
	"time"

	"github.com/creatify-community/creatify-go/internal/transport"
)

// CreatePreviewAndWait starts a preview, waits for it and returns the job with its Preview. Costs 1 credit
// per 30 s of video; the wait is free. To store the ID before the wait begins, use [WithOnCreated].
//
// The errors are those of [JobsService.CreatePreview] and [JobsService.WaitForPreview]. Once the job exists,
// every error is a [*JobError] or a [*WaitError], which hold its ID.
func (s *JobsService) CreatePreviewAndWait(ctx context.Context, params JobParams, opts ...WaitOption) (*Job, error) {
	return s.createAndWait(ctx, previewCall, OperationPreview, params, opts)
}

// CreateVideoAndWait starts a video without a preview, waits for it and returns the job with its VideoOutput.
// Costs 5 credits per 30 s of video, or the price of its [ModelVersion]; the wait is free. Otherwise it is
// like [JobsService.CreatePreviewAndWait].
func (s *JobsService) CreateVideoAndWait(ctx context.Context, params JobParams, opts ...WaitOption) (*Job, error) {
	return s.createAndWait(ctx, videoCall, OperationVideo, params, opts)
}

// RenderAndWait renders the final video of a job whose preview is ready, waits for it and returns the job
// with its VideoOutput. Costs 4 credits per 30 s of video; the wait is free. The errors are those of
// [JobsService.Render] and [JobsService.WaitForVideo].
func (s *JobsService) RenderAndWait(ctx context.Context, id string, opts ...WaitOption) (*Job, error) {
	config := newWaitConfig(shortWait, opts)
	job, err := s.render(ctx, id, config.problemList...)
	if err != nil {
		return nil, err
	}
	return s.waitForNew(ctx, job, PendingJob{ID: job.ID, Kind: KindVideo, Trace: job.trace}, config)
}

func (s *JobsService) createAndWait(ctx context.Context, call transport.Call, operation Operation, params JobParams,
	opts []WaitOption) (*Job, error) {
	config := newWaitConfig(shortWait, opts)
	job, err := s.create(ctx, call, operation, params, config.problemList...)
	if err != nil {
		return nil, err
	}
	pending := NewPendingJob(job, params)
	if operation == OperationVideo {
		pending.Kind = KindVideo
	}
	return s.waitForNew(ctx, job, pending, config)
}

// waitForNew waits for a job that this call has paid for. The response that created it is the first snapshot.
func (s *JobsService) waitForNew(ctx context.Context, job *Job, pending PendingJob, config *waitConfig) (*Job, error) {
	pending.Started = time.Now()
	p := s.newPoller(pending, config, pending.Started)
	p.last = job
	if config.onCreated != nil {
		if err := config.onCreated(job.clone()); err != nil {
			p.giveUp(ctx, err)
			return p.Result()
		}
	}
	if !job.broken { // a malformed response may lack anything
		now := time.Now()
		p.apply(p.state.See(p.observation(job, nil), now, p.terms()), now)
		p.tell(ctx)
	}
	return p.follow(ctx, nil)
}
