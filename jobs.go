package creatify

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/creatify-community/creatify-go/internal/transport"
)

// JobsService makes, reads and waits for custom-template jobs. It is [Client.Jobs].
//
// API page: https://docs.creatify.ai/api-reference/custom-template-jobs
type JobsService struct {
	api *api
}

const jobsPath = "/api/custom_template_jobs/"

// Get reads a job. Free. An ID that the API does not know is [ErrNotFound].
func (s *JobsService) Get(ctx context.Context, id string) (*Job, error) {
	return s.read(ctx, transport.Call{JobID: id})
}

// CreatePreview starts a preview and returns its pending job. Costs 1 credit per 30 s of video. Store the ID.
//
// On an error, [Charged] reports whether you paid; after [ErrOutcomeUnknown], the preview may exist.
func (s *JobsService) CreatePreview(ctx context.Context, params JobParams) (*Job, error) {
	return s.create(ctx, previewCall, OperationPreview, params)
}

// CreatePreviewSync makes a preview with one call that blocks for minutes. Costs 1 credit per 30 s of video.
// A failed or rejected job is a [*JobError]. If the returned job is not Terminal, wait for it.
//
// Prefer [JobsService.CreatePreviewAndWait]: if this call's response is lost, so is the job's ID.
func (s *JobsService) CreatePreviewSync(ctx context.Context, params JobParams) (*Job, error) {
	call := transport.Call{Name: "create_preview_sync", Path: jobsPath + "preview/", Patience: 10 * time.Minute}
	job, err := s.create(ctx, call, OperationPreview, params)
	if err != nil {
		return nil, err
	}
	if _, err := job.Outcome(KindPreview); err != nil {
		return nil, err
	}
	return job, nil
}

// CreateVideo starts rendering a final video without a preview and returns its pending job. Costs 5 credits
// per 30 s of video, or the price of its [ModelVersion]. Store the ID.
//
// On an error, [Charged] reports whether you paid; after [ErrOutcomeUnknown], the video may exist.
func (s *JobsService) CreateVideo(ctx context.Context, params JobParams) (*Job, error) {
	return s.create(ctx, videoCall, OperationVideo, params)
}

// Render starts rendering the final video of a job whose preview is ready. Costs 4 credits per 30 s of video.
// Right afterwards the job may still be done from its preview, without a VideoOutput.
//
// After [ErrOutcomeUnknown], a [JobsService.Get] a minute later shows whether the render was started: see
// docs/reliability.md. Do not call Render concurrently for one job.
func (s *JobsService) Render(ctx context.Context, id string) (*Job, error) {
	return s.render(ctx, id)
}

var (
	previewCall = transport.Call{Name: "create_preview", Path: jobsPath + "preview_async/"}
	videoCall   = transport.Call{Name: "create_video", Path: jobsPath}
)

// create checks parameters and makes a job from them. Problems are those that the caller has found.
func (s *JobsService) create(ctx context.Context, call transport.Call, operation Operation, params JobParams,
	problems ...Problem) (*Job, error) {
	loopback := transport.IsLoopback(s.api.BaseURL.Hostname())
	if err := s.api.check(ctx, append(problems, params.problems(loopback)...)...); err != nil {
		return nil, err
	}
	params.Variables = maps.Clone(params.Variables) // as sent, whatever the caller does with them afterwards
	if err := s.api.checkTemplate(ctx, params); err != nil {
		return nil, err
	}
	call.Body, _ = json.Marshal(params) // checked, so it can be written
	return s.api.pay(ctx, call, operation, params)
}

// render checks an ID and renders its job. Problems are those that the caller has found.
func (s *JobsService) render(ctx context.Context, id string, problems ...Problem) (*Job, error) {
	if err := s.api.check(ctx, append(problems, jobIDProblems(id)...)...); err != nil {
		return nil, err
	}
	call := transport.Call{Name: "render", JobID: id, Path: jobPath(id) + "render/", Body: []byte("{}")}
	return s.api.pay(ctx, call, OperationRender, JobParams{})
}

// read checks the call's job ID and reads its job.
func (s *JobsService) read(ctx context.Context, call transport.Call) (*Job, error) {
	call.Name, call.Path = "get_job", jobPath(call.JobID)
	response, err := s.api.get(ctx, call, jobIDProblems(call.JobID)...)
	if err != nil {
		return nil, err
	}
	job, err := jobOf(call, response)
	if err != nil {
		return nil, unreadable(call, "%w", err)
	}
	job.skew = skew(response.Header, time.Now())
	s.api.budget.settle(job)
	return job, nil
}

// skew returns how far the server's clock is behind ours. A Date header has whole seconds and takes time to
// arrive, so differences of up to 5 s are ignored.
func skew(header http.Header, now time.Time) time.Duration {
	const usual = 5 * time.Second
	date, err := http.ParseTime(header.Get("Date"))
	if behind := now.Sub(date); err == nil && behind.Abs() > usual {
		return behind
	}
	return 0
}

func jobPath(id string) string { return jobsPath + url.PathEscape(id) + "/" }

func jobIDProblems(id string) []Problem { return idProblems("id", id) }

// idProblems accepts what can be one path element. Whether an ID must be a UUID is left to the server.
func idProblems(field, id string) []Problem {
	switch {
	case id == "":
		return []Problem{{field, "is empty"}}
	case id == "." || id == ".." || len(id) > maxID || strings.ContainsFunc(id, func(r rune) bool {
		return r == '/' || r == '\\' || r == unicode.ReplacementChar || unicode.IsControl(r)
	}):
		return []Problem{{field, "cannot be an ID"}}
	}
	return nil
}

const maxID = 200 // bytes; a UUID has 36

// sameID compares two IDs. In UUIDs, neither case nor hyphens matter.
func sameID(a, b string) bool { return a == b || foldID(a) == foldID(b) }

// foldID returns a UUID in the spelling of responses, and any other ID unchanged.
func foldID(id string) string {
	if isUUID(id) {
		return strings.ToLower(id)
	}
	digits := strings.ToLower(strings.ReplaceAll(id, "-", ""))
	if len(digits) != 32 || strings.Trim(digits, "0123456789abcdef") != "" {
		return id
	}
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
}
