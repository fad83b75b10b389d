package main

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var endless = creatifytest.Life{Duration: -1}

func TestRun_with_an_account(t *testing.T) {
	tests := []struct {
		name        string
		args        []string // newJob if there are none
		life        creatifytest.Life
		faults      []creatifytest.Fault
		interruptAt time.Duration
		code        int
		says        []string
		resumable   bool // the resume command for the job is printed
		charged     float64
		creates     int
		took        time.Duration // where it is exact
		silentOf    string        // what the program must not claim
	}{
		{
			name: "done",
			code: 0, says: []string{"ready"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name: "failed, with the reason",
			life: creatifytest.Life{End: "failed", Reason: "photo has a size of 0"},
			code: 1, says: []string{"failed", "photo has a size of 0"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name: "rejected, with the reason",
			life: creatifytest.Life{End: "rejected", Reason: "against the rules"},
			code: 1, says: []string{"rejected", "against the rules"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name:   "credentials refused",
			faults: []creatifytest.Fault{{Status: 401, Body: `{"detail":"Not the key: ` + creatifytest.APIKey + `"}`}},
			code:   1, says: []string{"401", "check the API ID and key"}, creates: 1,
		},
		{
			name: "parameter refused",
			args: []string{newJob, "-model=abacus"},
			code: 1, says: []string{"400", "abacus"}, creates: 1,
		},
		{
			name:   "API not reached",
			faults: []creatifytest.Fault{{Times: -1, Drop: creatifytest.Refuse}},
			code:   1, says: []string{"nothing was charged"}, creates: 4,
		},
		{
			name: "wait timed out",
			args: []string{newJob, "-max-wait=10s"}, life: endless,
			code: 3, says: []string{"wait timed out"}, resumable: true, charged: 1, creates: 1, took: 9900 * time.Millisecond,
		},
		{
			name: "interrupted between polls",
			life: endless, interruptAt: 3 * time.Second,
			code: 3, says: []string{"canceled"}, resumable: true, charged: 1, creates: 1, took: 3 * time.Second,
		},
		{
			name:        "interrupted during a poll",
			faults:      []creatifytest.Fault{{Call: creatifytest.CallGetJob, Delay: time.Minute}},
			interruptAt: 3 * time.Second,
			code:        3, says: []string{"canceled"}, resumable: true, charged: 1, creates: 1, took: 3 * time.Second,
		},
		{
			name:        "interrupted during a create whose response comes",
			faults:      []creatifytest.Fault{{Call: creatifytest.CallCreatePreview, Delay: 5 * time.Second}},
			interruptAt: time.Second,
			code:        3, says: []string{"Stopping when the API has responded"}, resumable: true, charged: 1, creates: 1, took: 5 * time.Second,
		},
		{
			name:        "interrupted during a create without a response",
			faults:      []creatifytest.Fault{{Call: creatifytest.CallCreatePreview, Delay: 30 * time.Second}},
			interruptAt: time.Second,
			code:        3, says: []string{"may have been charged", "look for the job in the account", "Stopping when the API has responded"}, creates: 1, took: 11 * time.Second,
		},
		{
			name:   "response to the create lost",
			faults: []creatifytest.Fault{{Call: creatifytest.CallCreatePreview, Drop: creatifytest.DropAfter}},
			code:   3, says: []string{"may have been charged", "look for the job in the account"}, charged: 1, creates: 1,
		},
		{
			name:   "server error that names the job",
			faults: []creatifytest.Fault{{Status: 500, Body: `{"id": "` + someJobID + `", "status": "pending"}`}},
			code:   3, says: []string{"may have been charged", resumeIt + someJobID + "\n"}, creates: 1,
		},
		{
			name:   "credentials refused during the wait",
			faults: []creatifytest.Fault{{Call: creatifytest.CallGetJob, Times: -1, Status: 401, Body: `{"detail":"No."}`}},
			code:   3, says: []string{"401"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name:   "created job not found",
			faults: []creatifytest.Fault{{Call: creatifytest.CallGetJob, Times: -1, Status: 404, Body: `{"detail":"Not found."}`}},
			code:   3, says: []string{"404"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name: "ID that cannot be polled",
			life: creatifytest.Life{Edit: func(job map[string]any) { job["id"] = "a b" }},
			code: 3, says: []string{resumeIt + "a b"}, charged: 1, creates: 1,
		},
		{
			name: "unknown ID, perhaps of another workspace",
			args: []string{"-job=" + someJobID},
			code: 3, says: []string{"404", "check the ID and the key's workspace", resumeIt + someJobID + "\n"}, silentOf: "charged",
		},
		{
			name:   "one stray 404",
			faults: []creatifytest.Fault{{Call: creatifytest.CallGetJob, Status: 404, Body: `{"detail":"Not found."}`}},
			code:   0, says: []string{"404", "tried again"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name:   "silent API",
			faults: []creatifytest.Fault{{Call: creatifytest.CallCreatePreview, Delay: 20 * time.Second}},
			code:   0, says: []string{"0s waiting for the API to create the job", "10s waiting"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name:   "failed polls",
			args:   []string{"-job=" + someJobID},
			faults: []creatifytest.Fault{{Times: -1, Drop: creatifytest.Refuse}},
			code:   3, says: []string{"Poll 1 failed, and is tried again: ", "waiting for the API to show job " + someJobID, "polls failed"}, silentOf: "charged",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			setAccount(t)
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{Life: test.life})
				api.Inject(test.faults...)
				ctx := t.Context()
				if test.interruptAt > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithCancel(ctx)
					defer cancel()
					time.AfterFunc(test.interruptAt, cancel)
				}
				args := test.args
				if args == nil {
					args = []string{newJob}
				}
				start := time.Now()
				got := preview(t, ctx, api, args...)
				assert.Equal(t, test.code, got.code, "exit code; stderr:\n%s", got.stderr)
				for _, text := range test.says {
					assert.Contains(t, got.stderr, text)
				}
				if test.resumable && assert.Len(t, api.Jobs(), 1) {
					assert.Contains(t, got.stderr, resumeIt+api.Jobs()[0]+"\n", "the command which resumes the wait")
				}
				if test.code == 0 {
					assert.Regexp(t, `^https://\S+\n$`, got.stdout)
				} else {
					assert.Empty(t, got.stdout)
				}
				if test.code == 3 && test.resumable {
					assert.True(t, strings.HasSuffix(got.stderr, resumeIt+api.Jobs()[0]+"\n"), "it ends with the resume command:\n%s", got.stderr)
				}
				assert.Equal(t, test.charged, api.Charged(), "credits charged")
				assert.Equal(t, test.creates, api.Calls(creatifytest.CallCreatePreview), "create calls")
				if test.silentOf != "" {
					assert.NotContains(t, strings.ReplaceAll(got.stderr, "free of charge", ""), test.silentOf)
				}
				if test.took > 0 {
					assert.Equal(t, test.took, time.Since(start), "duration")
				}
			})
		})
	}
}

func TestRun_resumes_without_a_second_charge(t *testing.T) {
	setAccount(t)
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		first := preview(t, ctx, api, newJob)
		require.Equal(t, 3, first.code, first.stderr)

		command := regexp.MustCompile(`go run ./examples/preview (.*)\n$`).FindStringSubmatch(first.stderr)
		require.NotNil(t, command, first.stderr)
		second := preview(t, t.Context(), api, strings.Fields(command[1])...)
		assert.Equal(t, 0, second.code, second.stderr)
		assert.Contains(t, second.stdout, api.Jobs()[0])
		assert.Equal(t, 1.0, api.Charged(), "credits charged")
		assert.Equal(t, 1, api.Calls(creatifytest.CallCreatePreview), "create calls")
	})
}

func TestRun_without_an_account(t *testing.T) {
	unsetAccount(t)

	t.Run("uses the fake and says so", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var variables any
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{
				Edit: func(job map[string]any) { variables = job["variables"] },
			}})
			got := preview(t, t.Context(), api)
			assert.Equal(t, 0, got.code, got.stderr)
			assert.Contains(t, got.stderr, "This is a fake API, built in: nothing is charged.")
			assert.Regexp(t, `(?m)^\d+s running \d+ %$`, got.stderr)
			assert.Contains(t, got.stderr, "the fake ends with the program")
			assert.Regexp(t, `^https://\S+\n$`, got.stdout)
			assert.Contains(t, variables, "headline", "the sample variable")
		})
	})

	t.Run("says that the job ends with the program", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			api := creatifytest.New(creatifytest.Config{Life: endless})
			got := preview(t, ctx, api)
			assert.Equal(t, 3, got.code, got.stderr)
			assert.Contains(t, got.stderr, resumeIt+api.Jobs()[0])
			assert.True(t, strings.HasSuffix(got.stderr, "the fake ends with the program.)\n"), got.stderr)
		})
	})
}

func TestRun_prints_its_help_on_stdout(t *testing.T) {
	got := preview(t, t.Context(), creatifytest.New(creatifytest.Config{}), "-h")
	assert.Equal(t, result{code: 0, stdout: help}, got)
}

func TestRun_reports_a_URL_that_cannot_be_written(t *testing.T) {
	unsetAccount(t)
	synctest.Test(t, func(t *testing.T) {
		var stderr bytes.Buffer
		code := run(t.Context(), nil, full{}, &stderr)
		assert.Equal(t, noPreview, code)
		assert.Regexp(t, `could not be written: no space left on device\. It is https://`, stderr.String())
	})
}

// full is a device without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }
