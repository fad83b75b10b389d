package creatifytest_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestPreviewToWaitForIsAnsweredAtItsEnd(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name   string
		life   creatifytest.Life
		after  time.Duration
		status string
	}{
		{"by default it is answered after 20 s", creatifytest.Life{}, 20 * s, "done"},
		{"the duration says when", creatifytest.Life{Duration: 90 * s}, 90 * s, "done"},
		{"a failure is answered as well", creatifytest.Life{End: "failed"}, 20 * s, "failed"},
		{"the first of the steps that is an end counts", creatifytest.Life{Steps: []creatifytest.Step{
			{At: 9 * s, Status: "done"}, {At: 3 * s, Status: "running"}, {At: 7 * s, Status: "rejected"},
		}}, 7 * s, "rejected"},
		{"a step that is an end at once", creatifytest.Life{Steps: []creatifytest.Step{{Status: "done"}}}, 0, "done"},
		{"a step that never shows does not count", creatifytest.Life{Steps: []creatifytest.Step{
			{At: 2 * s, Status: "done"}, {At: 2 * s, Status: "running"}, {At: 5 * s, Status: "failed"},
		}}, 5 * s, "failed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{Life: test.life})
				start := time.Now()
				job := decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", syncURL, validBody)), 200)
				equal(t, "the time it took", time.Since(start), test.after)
				equal(t, "the status", job["status"], any(test.status))
				equal(t, "credits_used", job["credits_used"], any(1.0))
				equal(t, "the ID", job["id"], any(api.Jobs()[0]))
				equal(t, "whether there is a preview", job["preview"] != nil, test.status == "done")
				equal(t, "video_output", job["video_output"], nil)
			})
		})
	}
}

func TestClientThatDoesNotWaitForItsPreviewPaysForIt(t *testing.T) {
	for name, life := range map[string]creatifytest.Life{
		"a job that ends":       {},
		"a job that never ends": {Duration: -1},
		"steps without an end":  {Steps: []creatifytest.Step{{Status: "running"}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{Life: life})
				gone := errors.New("gone")
				ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, gone)
				defer cancel()
				start := time.Now()
				_, err := api.RoundTrip(newRequest(ctx, "POST", syncURL, validBody))
				equal(t, "the error", err, gone)
				equal(t, "the time it took", time.Since(start), 5*time.Second)
				equal(t, "the number of jobs", len(api.Jobs()), 1)
				equal(t, "Charged", api.Charged(), 1)
				time.Sleep(15 * time.Second)
				equal(t, "whether the job is done in the end", get(t, api, api.Jobs()[0])["status"] == "done", name == "a job that ends")
			})
		})
	}
}

func TestConnectionIsFreedWhenTheClientDoesNotWait(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: -1}})
	server := httptest.NewServer(api)
	defer server.Close() // waits for requests under way
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := server.Client().Do(newRequest(ctx, "POST", server.URL+"/api/custom_template_jobs/preview/", validBody))
		failed <- err
	}()
	for len(api.Jobs()) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want %v", err, context.Canceled)
	}
}

func TestHandlerAbortsWhenTheClientDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		defer func() {
			equal(t, "what it panics with", recover(), any(http.ErrAbortHandler))
			equal(t, "the number of jobs", len(api.Jobs()), 1)
		}()
		api.ServeHTTP(httptest.NewRecorder(), newRequest(ctx, "POST", syncURL, validBody))
	})
}

func TestTooFewCreditsForAPreviewToWaitFor(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{Credits: 0.5})
	got := roundTrip(t, api, newRequest(t.Context(), "POST", syncURL, validBody))
	equal(t, "the status", got.status, 402)
	equal(t, "the number of jobs", len(api.Jobs()), 0)
}
