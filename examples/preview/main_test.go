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

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	newJob    = "-template=" + creatifytest.TemplateID
	resumeIt  = "go run ./examples/preview -job "
	someJobID = "01234567-89ab-4cde-8f01-23456789abcd"
)

var endless = creatifytest.Life{Duration: -1}

func TestOutcomesWithAnAccount(t *testing.T) {
	cases := []struct {
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
			name: "a job that is done is ready",
			code: 0, says: []string{"ready"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name: "a failed job is no preview, and the reason is said",
			life: creatifytest.Life{End: "failed", Reason: "photo has a size of 0"},
			code: 1, says: []string{"failed", "photo has a size of 0"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name: "a rejected job is no preview, and the reason is said",
			life: creatifytest.Life{End: "rejected", Reason: "against the rules"},
			code: 1, says: []string{"rejected", "against the rules"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name:   "refused credentials are no preview",
			faults: []creatifytest.Fault{{Status: 401, Body: `{"detail":"Not the key: ` + creatifytest.APIKey + `"}`}},
			code:   1, says: []string{"401", "check the API ID and key"}, creates: 1,
		},
		{
			name: "a refused parameter is no preview",
			args: []string{newJob, "-model=abacus"},
			code: 1, says: []string{"400", "abacus"}, creates: 1,
		},
		{
			name:   "an API that is not reached is no preview",
			faults: []creatifytest.Fault{{Times: -1, Drop: creatifytest.Refuse}},
			code:   1, says: []string{"nothing was charged"}, creates: 4,
		},
		{
			name: "a wait that takes too long is not known yet",
			args: []string{newJob, "-max-wait=10s"}, life: endless,
			code: 3, says: []string{"wait timed out"}, resumable: true, charged: 1, creates: 1, took: 9900 * time.Millisecond,
		},
		{
			name: "an interruption ends the wait at once",
			life: endless, interruptAt: 3 * time.Second,
			code: 3, says: []string{"canceled"}, resumable: true, charged: 1, creates: 1, took: 3 * time.Second,
		},
		{
			name:        "an interruption ends a poll at once",
			faults:      []creatifytest.Fault{{Call: creatifytest.CallGetJob, Delay: time.Minute}},
			interruptAt: 3 * time.Second,
			code:        3, says: []string{"canceled"}, resumable: true, charged: 1, creates: 1, took: 3 * time.Second,
		},
		{
			name:        "an interruption while the job is created is not known, and not tried again",
			faults:      []creatifytest.Fault{{Call: creatifytest.CallCreatePreview, Delay: 30 * time.Second}},
			interruptAt: time.Second,
			code:        3, says: []string{"may have been charged", "look for the job in the account", "stopping when the API has responded"}, creates: 1, took: 11 * time.Second,
		},
		{
			name:   "a lost response to the create call is not known, and charged once",
			faults: []creatifytest.Fault{{Call: creatifytest.CallCreatePreview, Drop: creatifytest.DropAfter}},
			code:   3, says: []string{"may have been charged", "look for the job in the account"}, charged: 1, creates: 1,
		},
		{
			name:   "a server error that names the job can be resumed",
			faults: []creatifytest.Fault{{Status: 500, Body: `{"id": "` + someJobID + `", "status": "pending"}`}},
			code:   3, says: []string{"may have been charged", resumeIt + someJobID + "\n"}, creates: 1,
		},
		{
			name:   "credentials refused during the wait leave the job not known",
			faults: []creatifytest.Fault{{Call: creatifytest.CallGetJob, Times: -1, Status: 401, Body: `{"detail":"No."}`}},
			code:   3, says: []string{"401"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name:   "a job that was created and is not found any more is not known",
			faults: []creatifytest.Fault{{Call: creatifytest.CallGetJob, Times: -1, Status: 404, Body: `{"detail":"Not found."}`}},
			code:   3, says: []string{"404"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name: "a job with an ID that cannot be asked for is not known, and not taken for bad usage",
			life: creatifytest.Life{Reply: func(job map[string]any) { job["id"] = "a b" }},
			code: 3, says: []string{resumeIt + "a b"}, charged: 1, creates: 1,
		},
		{
			name: "a job that the API does not know may be another workspace's",
			args: []string{"-job=" + someJobID},
			code: 3, says: []string{"404", "check the ID and the key's workspace", resumeIt + someJobID + "\n"}, silentOf: "charged",
		},
		{
			name:   "one stray 404 does not end the wait",
			faults: []creatifytest.Fault{{Call: creatifytest.CallGetJob, Status: 404, Body: `{"detail":"Not found."}`}},
			code:   0, says: []string{"404", "tried again"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name:   "an API that is silent is named",
			faults: []creatifytest.Fault{{Call: creatifytest.CallCreatePreview, Delay: 20 * time.Second}},
			code:   0, says: []string{"0s waiting for the API to create the job", "10s waiting"}, resumable: true, charged: 1, creates: 1,
		},
		{
			name:   "polls that fail are reported as they do",
			args:   []string{"-job=" + someJobID},
			faults: []creatifytest.Fault{{Times: -1, Drop: creatifytest.Refuse}},
			code:   3, says: []string{"Poll 1 failed, and is tried again: ", "waiting for the API to show job " + someJobID, "polls failed"}, silentOf: "charged",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			setAccount(t)
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{Life: c.life})
				api.Inject(c.faults...)
				ctx := t.Context()
				if c.interruptAt > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithCancel(ctx)
					defer cancel()
					time.AfterFunc(c.interruptAt, cancel)
				}
				args := c.args
				if args == nil {
					args = []string{newJob}
				}
				start := time.Now()
				got := preview(t, ctx, api, args...)
				assert.Equal(t, c.code, got.code, "exit code; stderr:\n%s", got.stderr)
				for _, text := range c.says {
					assert.Contains(t, got.stderr, text)
				}
				if c.resumable && assert.Len(t, api.Jobs(), 1) {
					assert.Contains(t, got.stderr, resumeIt+api.Jobs()[0]+"\n", "the command which resumes the wait")
				}
				if c.code == 0 {
					assert.Regexp(t, `^https://\S+\n$`, got.stdout)
				} else {
					assert.Empty(t, got.stdout)
				}
				if c.code == 3 && c.resumable {
					assert.True(t, strings.HasSuffix(got.stderr, resumeIt+api.Jobs()[0]+"\n"), "it ends with the resume command:\n%s", got.stderr)
				}
				assert.Equal(t, c.charged, api.Charged(), "credits charged")
				assert.Equal(t, c.creates, api.Calls(creatifytest.CallCreatePreview), "create calls")
				if c.silentOf != "" {
					assert.NotContains(t, strings.ReplaceAll(got.stderr, "free of charge", ""), c.silentOf)
				}
				if c.took > 0 {
					assert.Equal(t, c.took, time.Since(start), "duration")
				}
			})
		})
	}
}

func TestAnInterruptedWaitIsResumedWithoutASecondCharge(t *testing.T) {
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

func TestWithoutAnAccount(t *testing.T) {
	unsetAccount(t)

	t.Run("the whole job runs against the fake, and that is said", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var variables any
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{
				Reply: func(job map[string]any) { variables = job["variables"] },
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

	t.Run("an interruption says that the fake job ends too", func(t *testing.T) {
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

func TestBadUsageIsSaidAndNothingIsSent(t *testing.T) {
	const anAccount, none = true, false
	types := []string{"-var", "audio, avatar, image, raw, text, video, voiceover"}
	cases := []struct {
		name    string
		account bool
		args    []string
		says    []string
	}{
		{"an unknown flag", none, []string{"-colour=red"}, []string{"-colour"}},
		{"an argument that is no flag", none, []string{"headline"}, []string{`"headline"`}},
		{"a variable without =", none, []string{"-var", "headline"}, types},
		{"a variable without a type", none, []string{"-var", "headline=Hello"}, types},
		{"a variable without a name", none, []string{"-var", "=text:Hello"}, types},
		{"a variable of an unknown type", none, []string{"-var", "headline=words:Hello"}, append(types, `"words"`)},
		{"a variable that is given twice", none, []string{"-var", "a=text:1", "-var", "a=text:2"}, append(types, "twice")},
		{"a variable that is no URL", none, []string{"-var", "photo=image:a.jpg"}, []string{"-var photo", "URL"}},
		{"a variable that is no JSON", none, []string{"-var", "x=raw:{"}, []string{"-var x", "JSON"}},
		{"a template ID that is none", none, []string{"-template", "abc"}, []string{"-template", "UUID"}},
		{"a name that is too long", none, []string{"-name", strings.Repeat("x", 256)}, []string{"-name", "256"}},
		{"two problems, both of which are said", none, []string{"-template", "abc", "-var", "a=image:b"}, []string{"-template", "-var a"}},
		{"a longest wait that is no duration", none, []string{"-max-wait", "long"}, []string{"-max-wait"}},
		{"a longest wait of nothing", none, []string{"-max-wait", "0"}, []string{"-max-wait"}},
		{"a longest wait below zero", none, []string{"-max-wait", "-1s"}, []string{"-max-wait"}},
		{"a job to resume, of the fake", none, []string{"-job", someJobID}, []string{"-job", "fake", "CREATIFY_API_ID"}},
		{"no template, with an account", anAccount, nil, []string{"-template"}},
		{"an empty job ID", anAccount, []string{"-job", ""}, []string{"-job"}},
		{"a job ID that cannot be one", anAccount, []string{"-job", "a/b"}, []string{"-job"}},
		{"a job and a template", anAccount, []string{"-job", someJobID, newJob}, []string{"-job", "-template"}},
		{"a job and a variable", anAccount, []string{"-job", someJobID, "-var=a=text:b"}, []string{"-job", "-var"}},
		{"a job and a name", anAccount, []string{"-job", someJobID, "-name=a"}, []string{"-job", "-name"}},
		{"a job and a model", anAccount, []string{"-job", someJobID, "-model=standard"}, []string{"-job", "-model"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.account {
				setAccount(t)
			} else {
				unsetAccount(t)
			}
			assertBadUsage(t, c.args, c.says...)
		})
	}

	environments := []struct {
		name            string
		id, key, server string
		says            string
	}{
		{"an API ID without a key", creatifytest.APIID, "", "", "CREATIFY_API_KEY is missing"},
		{"a key without an API ID", "", creatifytest.APIKey, "", "CREATIFY_API_ID is missing"},
		{"a key with a line break", creatifytest.APIID, creatifytest.APIKey + "\n", "", "API key"},
		{"a base URL without TLS", creatifytest.APIID, creatifytest.APIKey, "http://example.com", "base URL"},
	}
	for _, c := range environments {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("CREATIFY_API_ID", c.id)
			t.Setenv("CREATIFY_API_KEY", c.key)
			t.Setenv("CREATIFY_BASE_URL", c.server)
			assertBadUsage(t, []string{newJob}, c.says)
		})
	}
}

func assertBadUsage(t *testing.T, args []string, says ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		got := preview(t, t.Context(), api, args...)
		assert.Equal(t, 2, got.code, "exit code; stderr:\n%s", got.stderr)
		for _, text := range says {
			assert.Contains(t, got.stderr, text)
		}
		assert.Empty(t, got.stdout)
		assert.Zero(t, api.Calls(""), "requests sent")
	})
}

func TestRun_prints_its_help_on_stdout(t *testing.T) {
	got := preview(t, t.Context(), creatifytest.New(creatifytest.Config{}), "-h")
	assert.Equal(t, result{code: 0, stdout: help}, got)
}

func TestFlagsBecomeParameters(t *testing.T) {
	setAccount(t)
	var stderr bytes.Buffer
	f, err := parseFlags([]string{
		newJob, "-name=Spring", "-model=aurora_v1", "-max-wait=90s",
		"-var", "headline=text:a=b: c", "-var", "empty=text:", "-var", "photo=image:https://example.com/a?b=c:d",
		"-var", "clip=video:https://example.com/v", "-var", "song=audio:https://example.com/s",
		"-var", "host=avatar:a1", "-var", "voice=voiceover:v1", "-var", `odd=raw:{"type":"x"}`,
	}, &stderr)
	require.NoError(t, err)
	assert.Equal(t, creatify.JobParams{
		TemplateID:   creatifytest.TemplateID,
		Name:         "Spring",
		ModelVersion: creatify.ModelAuroraV1,
		Variables: creatify.Variables{
			"headline": creatify.Text("a=b: c"),
			"empty":    creatify.Text(""),
			"photo":    creatify.Image("https://example.com/a?b=c:d"),
			"clip":     creatify.Video("https://example.com/v"),
			"song":     creatify.Audio("https://example.com/s"),
			"host":     creatify.Avatar("a1"),
			"voice":    creatify.Voiceover("v1"),
			"odd":      creatify.RawVariable([]byte(`{"type":"x"}`)),
		},
	}, f.params)
	assert.Equal(t, 90*time.Second, f.maxWait)
}

type result struct {
	code           int
	stdout, stderr string
}

func TestRun_says_that_the_URL_could_not_be_written(t *testing.T) {
	unsetAccount(t)
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		var stderr bytes.Buffer
		code := run(t.Context(), nil, full{}, &stderr, api)
		assert.Equal(t, noPreview, code)
		assert.Regexp(t, `could not be written: no space left on device\. It is https://`, stderr.String())
	})
}

// full is a device without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// preview runs the program, with the API as the fake and as what the account is at.
func preview(t *testing.T, ctx context.Context, api *creatifytest.API, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, &stdout, &stderr, api, creatify.WithHTTPClient(api.HTTPClient()))
	assert.NotContains(t, stdout.String()+stderr.String(), creatifytest.APIKey, "the key is shown")
	return result{code, stdout.String(), stderr.String()}
}

func setAccount(t *testing.T) {
	t.Setenv("CREATIFY_API_ID", creatifytest.APIID)
	t.Setenv("CREATIFY_API_KEY", creatifytest.APIKey)
	t.Setenv("CREATIFY_BASE_URL", "")
}

func unsetAccount(t *testing.T) {
	t.Setenv("CREATIFY_API_ID", "")
	t.Setenv("CREATIFY_API_KEY", "")
	t.Setenv("CREATIFY_BASE_URL", "")
}
