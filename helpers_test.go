package creatify_test

import (
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
