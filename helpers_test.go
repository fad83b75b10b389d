package creatify_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/require"
)

// Short names for what these tests share with those of tests/.
const (
	jobID    = testkit.JobID
	liveLike = testkit.JobDone

	createURL = "https://api.creatify.ai/api/custom_template_jobs/preview_async/"
	jobURL    = "https://api.creatify.ai/api/custom_template_jobs/" + jobID + "/"

	get = creatifytest.CallGetJob
)

type roundTrip = testkit.RoundTrip

var (
	newClient = testkit.NewClient
	params    = testkit.Params
	respond   = testkit.Respond
	says      = testkit.Says
)

// problemsOf returns the problems of a *ValidationError, which err must be.
func problemsOf(t *testing.T, err error) []creatify.Problem {
	t.Helper()
	require.ErrorIs(t, err, creatify.ErrInvalidParams)
	return testkit.As[*creatify.ValidationError](t, err).Problems
}

// waitError returns the *WaitError that err must be.
func waitError(t *testing.T, err error) *creatify.WaitError {
	t.Helper()
	return testkit.As[*creatify.WaitError](t, err)
}

// inBubble runs a test in virtual time with a fake of its own.
func inBubble(t *testing.T, f func(*testing.T, *creatifytest.API, *creatify.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		f(t, api, newClient(t, api))
	})
}

// create makes a job with this life.
func create(t *testing.T, api *creatifytest.API, client *creatify.Client, life creatifytest.Life) *creatify.Job {
	t.Helper()
	api.NextJob(life)
	job, err := client.Jobs.CreatePreview(t.Context(), params())
	require.NoError(t, err)
	return job
}

// numbered is a transport for one request at a time, which f gets with its number, from 1.
func numbered(f func(req *http.Request, n int) (*http.Response, error)) roundTrip {
	n := 0
	return func(req *http.Request) (*http.Response, error) {
		n++
		return f(req, n)
	}
}
