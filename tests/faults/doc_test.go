package faults_test

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
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

// TestReliabilityTable compares the table in the document with that of the test, from which -update writes
// it.
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

// TestReliabilitySnippets finds each of the document's Go snippets in this file, where it is tested below.
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
		return job, err // it was started, or it was not and nothing was charged
	}
	select { // at once, a job whose rendering has been started may still read as done
	case <-time.After(time.Minute):
	case <-ctx.Done():
		return nil, err // still unknown; read the job later
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

const webhookSecret = "a-secret-of-the-test"

// order is one of yours, and reference what only you can guess of it.
type order struct {
	reference, webhookURL, jobID string
	unknown                      bool // whether its job was made
}

func start(ctx context.Context, client *creatify.Client, o *order, params creatify.JobParams) (err error) {
	options := creatify.WebhookOptions{Secret: webhookSecret}
	if o.webhookURL, err = options.URL("https://hooks.example.com/creatify", o.reference); err != nil {
		return err
	}
	params.WebhookURL = o.webhookURL
	job, err := client.Jobs.CreatePreview(ctx, params)
	if err == nil {
		o.jobID = job.ID
	}
	o.unknown = errors.Is(err, creatify.ErrOutcomeUnknown)
	return err
}

func webhooks(client *creatify.Client, find func(reference string) *order) http.Handler {
	options := creatify.WebhookOptions{Secret: webhookSecret}
	return client.Jobs.WebhookHandler(options, func(ctx context.Context, job *creatify.Job) error {
		o := find(creatify.WebhookReference(ctx))
		if o != nil && o.jobID == "" && job.WebhookURL == o.webhookURL { // perhaps before the response to the create is lost
			o.jobID, o.unknown = job.ID, false
		}
		return nil
	})
}

func TestReliabilityWebhook(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	client := testkit.NewClient(t, api)
	api.Inject(creatifytest.Fault{Drop: creatifytest.DropAfter})
	o := &order{reference: "f3a9"}
	err := start(t.Context(), client, o, testkit.Params())
	assert.ErrorContains(t, err, "a webhook event may name the job")
	require.True(t, o.unknown)

	other := &order{reference: "77b1"}
	require.NoError(t, start(t.Context(), client, other, testkit.Params()))
	handler := webhooks(client, func(reference string) *order { return map[string]*order{"f3a9": o}[reference] })
	notify := func(query, id string) int {
		req := httptest.NewRequest("POST", "/creatify?"+query, strings.NewReader(`{"id":"`+id+`","status":"pending"}`))
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		return w.Code
	}
	const right = "ref=f3a9&secret=" + webhookSecret
	assert.Equal(t, 403, notify("ref=f3a9&secret=guessed", api.Jobs()[0]))
	assert.Equal(t, 503, notify(right, "00000000-0000-0000-0000-000000000000"), "a job that the API does not know")
	assert.Equal(t, 204, notify(right, other.jobID))
	assert.True(t, o.unknown, "a job that is another order's does not count")
	assert.Equal(t, 204, notify(right, api.Jobs()[0]))
	assert.Equal(t, api.Jobs()[0], o.jobID)
	assert.False(t, o.unknown)
}
