package creatify

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"unicode"
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
	return s.get(ctx, id, false)
}

// get reads a job, once only for somebody who will read it again anyway.
func (s *JobsService) get(ctx context.Context, id string, once bool) (*Job, error) {
	if err := s.check(ctx, jobIDProblems(id)...); err != nil {
		return nil, err
	}
	path := jobPath(id)
	body, err := s.api.get(ctx, path, once)
	if err != nil {
		return nil, err
	}
	job, err := decodeJob(body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("creatify: GET %s: %w", path, err)
	case !sameID(job.ID, id):
		return nil, fmt.Errorf("creatify: GET %s: the reply is about another job, %q", path, oneLine(job.ID))
	}
	return job, nil
}

// check is what every call begins with.
func (s *JobsService) check(ctx context.Context, problems ...Problem) error {
	if s == nil {
		return (*api)(nil).check(ctx, problems...)
	}
	return s.api.check(ctx, problems...)
}

func jobPath(id string) string { return jobsPath + url.PathEscape(id) + "/" }

// jobIDProblems lets through whatever can be one element of a path. IDs are documented as UUIDs, but the server is the
// judge of that.
func jobIDProblems(id string) []Problem {
	switch {
	case id == "":
		return []Problem{{"id", "is empty"}}
	case id == "." || id == ".." || len(id) > 200 || strings.ContainsFunc(id, func(r rune) bool {
		return r == '/' || r == '\\' || r == unicode.ReplacementChar || unicode.IsSpace(r) || unicode.IsControl(r)
	}):
		return []Problem{{"id", "is not a job ID"}}
	}
	return nil
}

// sameID compares two IDs as UUIDs are compared: neither case nor hyphens matter.
func sameID(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, "-", ""), strings.ReplaceAll(b, "-", ""))
}
