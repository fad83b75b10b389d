package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseFlags(t *testing.T) {
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

func TestRun_bad_usage(t *testing.T) {
	const anAccount, none = true, false
	types := []string{"-var", "audio, avatar, image, raw, text, video, voiceover"}
	tests := []struct {
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
		{"an image that is no URL", none, []string{"-var", "photo=image:a.jpg"}, []string{"-var photo", "URL"}},
		{"a raw variable that is no JSON", none, []string{"-var", "x=raw:{"}, []string{"-var x", "JSON"}},
		{"a template that is no UUID", none, []string{"-template", "abc"}, []string{"-template", "UUID"}},
		{"a name that is too long", none, []string{"-name", strings.Repeat("x", 256)}, []string{"-name", "256"}},
		{"two problems", none, []string{"-template", "abc", "-var", "a=image:b"}, []string{"-template", "-var a"}},
		{"a wait that is no duration", none, []string{"-max-wait", "long"}, []string{"-max-wait"}},
		{"a wait of zero", none, []string{"-max-wait", "0"}, []string{"-max-wait"}},
		{"a negative wait", none, []string{"-max-wait", "-1s"}, []string{"-max-wait"}},
		{"a job of the fake to resume", none, []string{"-job", someJobID}, []string{"-job", "fake", "CREATIFY_API_ID"}},
		{"no template, with an account", anAccount, nil, []string{"-template"}},
		{"an empty job ID", anAccount, []string{"-job", ""}, []string{"-job"}},
		{"a malformed job ID", anAccount, []string{"-job", "a/b"}, []string{"-job"}},
		{"a job and a template", anAccount, []string{"-job", someJobID, newJob}, []string{"-job", "-template"}},
		{"a job and a variable", anAccount, []string{"-job", someJobID, "-var=a=text:b"}, []string{"-job", "-var"}},
		{"a job and a name", anAccount, []string{"-job", someJobID, "-name=a"}, []string{"-job", "-name"}},
		{"a job and a model", anAccount, []string{"-job", someJobID, "-model=standard"}, []string{"-job", "-model"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.account {
				setAccount(t)
			} else {
				unsetAccount(t)
			}
			assertBadUsage(t, test.args, test.says...)
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
	for _, test := range environments {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("CREATIFY_API_ID", test.id)
			t.Setenv("CREATIFY_API_KEY", test.key)
			t.Setenv("CREATIFY_BASE_URL", test.server)
			assertBadUsage(t, []string{newJob}, test.says)
		})
	}
}
