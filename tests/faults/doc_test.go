package faults_test

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the table in docs/reliability.md")

const reliability = "../../docs/reliability.md"

// TestReliabilityTable compares the document's table with the test's. With -update it writes the document's.
func TestReliabilityTable(t *testing.T) {
	var table strings.Builder
	table.WriteString("| What goes wrong | A call that costs credits | A call that is free |\n|---|---|---|\n")
	for _, f := range faults {
		table.WriteString("| " + f.name + " | " + f.paid.text + " | " + f.free.text + " |\n")
	}
	doc, err := os.ReadFile(reliability)
	require.NoError(t, err)
	const begin, end = "<!-- This table is written by a test: go test -run TestReliability ./tests/faults -update -->\n", "<!-- end of the table -->"
	before, rest, ok := strings.Cut(string(doc), begin)
	require.True(t, ok, "the beginning of the table is not marked")
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "the end of the table is not marked")
	want := before + begin + table.String() + end + after
	if *update {
		require.NoError(t, os.WriteFile(reliability, []byte(want), 0o644))
		return
	}
	assert.Equal(t, want, string(doc), "the document and the test differ; run: go test -run TestReliability ./tests/faults -update")
}

// TestReliabilitySnippets checks that each Go snippet of the document is in this file, where it is tested
// below.
func TestReliabilitySnippets(t *testing.T) {
	doc, err := os.ReadFile(reliability)
	require.NoError(t, err)
	here, err := os.ReadFile("doc_test.go")
	require.NoError(t, err)
	snippets := strings.Split(string(doc), "```go\n")[1:]
	assert.NotEmpty(t, snippets)
	for _, snippet := range snippets {
		snippet, _, _ = strings.Cut(snippet, "```")
		assert.Contains(t, string(here), snippet)
	}
}

func renderOnce(ctx context.Context, client *creatify.Client, id string) (*creatify.Job, error) {
	job, err := client.Jobs.Render(ctx, id)
	if !errors.Is(err, creatify.ErrOutcomeUnknown) {
		return job, err
	}
	select {
	case <-time.After(time.Minute):
	case <-ctx.Done():
		return nil, err // still unknown: read the job later
	}
	job, readErr := client.Jobs.Get(ctx, id)
	if readErr == nil && (job.Status != creatify.StatusDone || job.VideoOutput != "") {
		return job, nil // it was started
	}
	return nil, errors.Join(err, readErr) // still unknown
}

func TestReliabilityRenderOnce(t *testing.T) {
	for _, tt := range []struct {
		name    string
		drop    creatifytest.Drop
		started bool
	}{{"that was started", creatifytest.DropAfter, true}, {"that was not started", creatifytest.DropBefore, false}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Render: creatifytest.RenderLife{Lag: 30 * time.Second, Duration: time.Hour}}})
				client := testkit.NewClient(t, api)
				job, err := client.Jobs.CreatePreviewAndWait(t.Context(), testkit.Params())
				require.NoError(t, err)
				api.Inject(creatifytest.Fault{Call: creatifytest.CallRender, Drop: tt.drop})
				rendering, err := renderOnce(t.Context(), client, job.ID)
				assert.Equal(t, 1, api.Calls(creatifytest.CallRender), "it is not paid for twice")
				if tt.started {
					require.NoError(t, err)
					assert.Equal(t, creatify.StatusRunning, rendering.Status)
					return
				}
				require.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
				_, err = client.Jobs.WaitForVideo(t.Context(), job.ID)
				assert.ErrorIs(t, err, creatify.ErrNoOutput)
			})
		})
	}
}

// orders is your table of orders. Its methods lock, since an event may come before the create returns.
type orders interface {
	Created(reference, jobID string) error // records the job; a second record of the same job is no error
	Unknown(reference string) error        // does nothing if the job is recorded
}

var hook = creatify.WebhookOptions{Secret: "from your configuration"}

func start(ctx context.Context, client *creatify.Client, table orders, reference string, params creatify.JobParams) (err error) {
	if params.WebhookURL, err = hook.URL("https://hooks.example.com/creatify", reference); err != nil {
		return err
	}
	job, err := client.Jobs.CreatePreview(ctx, params)
	if err == nil {
		return table.Created(reference, job.ID)
	}
	if creatify.Charged(err) == creatify.ChargedUnknown {
		return errors.Join(err, table.Unknown(reference))
	}
	return err
}

func webhooks(client *creatify.Client, table orders) http.Handler {
	return client.Jobs.WebhookHandler(hook, func(ctx context.Context, job *creatify.Job) error {
		reference := creatify.WebhookReference(ctx)
		if want, err := hook.URL("https://hooks.example.com/creatify", reference); err != nil || job.WebhookURL != want {
			return err // somebody else's job
		}
		return table.Created(reference, job.ID)
	})
}

// table is a table of orders in memory. jobs maps a reference to its job, or to "unknown".
type table struct {
	mu   sync.Mutex
	jobs map[string]string
}

func (o *table) Created(reference, jobID string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.jobs[reference] = jobID
	return nil
}

func (o *table) Unknown(reference string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.jobs[reference] == "" {
		o.jobs[reference] = "unknown"
	}
	return nil
}

func (o *table) of(reference string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.jobs[reference]
}

// event delivers a webhook event and returns the status of the response.
func event(handler http.Handler, reference, secret, jobID string) int {
	query := url.Values{"ref": {reference}, "secret": {secret}}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("POST", "/creatify?"+query.Encode(), strings.NewReader(`{"id":"`+jobID+`","status":"pending"}`)))
	return w.Code
}

func TestReliabilityWebhook(t *testing.T) {
	t.Run("an event names the job of a lost response", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		client, o := testkit.NewClient(t, api), &table{jobs: map[string]string{}}
		require.NoError(t, api.Inject(creatifytest.Fault{Drop: creatifytest.DropAfter}))
		assert.ErrorContains(t, start(t.Context(), client, o, "f3a9", testkit.Params()), "a webhook event may name the job")
		require.Equal(t, "unknown", o.of("f3a9"))
		require.NoError(t, start(t.Context(), client, o, "77b1", testkit.Params()))
		handler := webhooks(client, o)
		lost := api.Jobs()[0]
		assert.Equal(t, 403, event(handler, "f3a9", "guessed", lost))
		assert.Equal(t, 503, event(handler, "f3a9", hook.Secret, "00000000-0000-0000-0000-000000000000"), "a job that the API does not know")
		assert.Equal(t, 204, event(handler, "f3a9", hook.Secret, o.of("77b1")))
		assert.Equal(t, "unknown", o.of("f3a9"), "another order's job does not count")
		assert.Equal(t, 204, event(handler, "f3a9", hook.Secret, lost))
		assert.Equal(t, lost, o.of("f3a9"))
	})
	t.Run("an event may come before the create returns", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		o := &table{jobs: map[string]string{}}
		reader := testkit.NewClient(t, api)
		early := testkit.RoundTrip(func(req *http.Request) (*http.Response, error) {
			resp, err := api.RoundTrip(req)
			assert.Equal(t, 204, event(webhooks(reader, o), "f3a9", hook.Secret, api.Jobs()[0]))
			return resp, err
		})
		require.NoError(t, api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Drop: creatifytest.DropAfter}))
		require.Error(t, start(t.Context(), testkit.NewClient(t, early), o, "f3a9", testkit.Params()))
		assert.Equal(t, api.Jobs()[0], o.of("f3a9"), "the unknown outcome does not take it back")
	})
}
