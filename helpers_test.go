package creatify_test

import (
	"context"
	"errors"
	"testing"

	"github.com/creatify-community/creatify-go"
	"github.com/stretchr/testify/require"
)

// problemsOf returns the problems of a *ValidationError, which err must be.
func problemsOf(t *testing.T, err error) []creatify.Problem {
	t.Helper()
	require.ErrorIs(t, err, creatify.ErrInvalidParams)
	invalid, ok := errors.AsType[*creatify.ValidationError](err)
	require.True(t, ok)
	return invalid.Problems
}

// sentinels are all errors that an error may match.
var sentinels = []error{
	creatify.ErrInvalidParams, creatify.ErrUnauthorized, creatify.ErrNotFound, creatify.ErrRateLimited, creatify.ErrInsufficientCredits,
	creatify.ErrOutcomeUnknown, creatify.ErrJobFailed, creatify.ErrJobRejected, creatify.ErrWaitTimeout, creatify.ErrStalled,
	creatify.ErrNoOutput, creatify.ErrPollsFailed, creatify.ErrBudgetExceeded, creatify.ErrTrackerClosed, creatify.ErrInvalidWebhook,
	creatify.ErrTooLarge, creatify.ErrRefusedURL, context.Canceled, context.DeadlineExceeded,
}

// matchedSentinels returns the sentinels that err matches. There must be at most one.
func matchedSentinels(err error) (matched []error) {
	for _, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			matched = append(matched, sentinel)
		}
	}
	return matched
}
