package transport

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func withCredentials(id, key string) func(*Config) {
	return func(c *Config) { c.Credentials = NewCredentials(id, key) }
}

func TestDoTakesCredentialsOut(t *testing.T) {
	const apiID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
	for _, tt := range []struct {
		name, key  string
		status     int
		body, want string
	}{
		{"of a refusal", testKey, 500, "you sent " + testKey, "you sent [redacted]"},
		{"of a refusal's URL", testKey, 400, "https://a.test/" + testKey, "https://a.test/[redacted]"},
		{"of a success", testKey, 200, `{"name":"` + testKey + `"}`, `{"name":"[redacted]"}`},
		{"not out of a success's URL", "x", 200, `{"owner":"` + apiID + `","video_output":"https://cdn.test/` + apiID + `/v.mp4"}`,
			`{"owner":"[redacted]","video_output":"https://cdn.test/` + apiID + `/v.mp4"}`},
		{"of 16 characters out of a success", "0123456789abcdef", 200, "0123456789abcdef", "[redacted]"},
		{"but not of 15, which may be a part of it", "0123456789abcde", 200, "0123456789abcde", "0123456789abcde"},
		{"of 15 characters out of a refusal", "0123456789abcde", 400, "0123456789abcde", "[redacted]"},
		{"of 6 characters out of a refusal", "012345", 500, "012345", "[redacted]"},
		{"but not of 5", "01234", 500, "01234", "01234"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, creds := range []func(*Config){withCredentials(apiID, tt.key), withCredentials(tt.key, apiID)} {
				got, err := newClient(t, scripted(respond(tt.status, tt.body)), creds).Do(t.Context(), once)
				require.NoError(t, err)
				assert.Equal(t, tt.want, string(got.Body))
			}
		})
	}
}

// A credential that is only in part where a text ends is not found by a search for the whole of it.
func TestDoLeavesNoBeginningOfTheKeyWhereATextIsCut(t *testing.T) {
	const key = `long"and\recognisable/key-0123456789`
	escaped := strings.NewReplacer(`"`, `\"`, `\`, `\\`, `/`, `\/`, `r`, `\u0072`).Replace(key)
	send := func(t *testing.T, answer answer) string {
		got, err := newClient(t, scripted(answer), withCredentials("the-id", key)).Do(t.Context(), paid)
		if failure, ok := errors.AsType[*Error](err); ok {
			got = &Response{}
			if failure.Response != nil {
				got = failure.Response
			}
			return err.Error() + "\n" + string(got.Body)
		}
		return string(got.Body)
	}
	for i := range len(escaped) {
		beginning := escaped[:i]
		for name, answer := range map[string]answer{
			"an error that is shortened":                  fail(errors.New(strings.Repeat("x", 300-i) + key)),
			"an error that is shortened and quoted":       fail(fmt.Errorf("malformed %q", strings.Repeat("x", 289-i)+key)),
			"an error with what OneLine takes out":        fail(errors.New(strings.Repeat("x", 300-i) + key[:9] + "\xff" + key[9:])),
			"an error that ends in the key":               fail(errors.New("dump: " + beginning)),
			"an error that ends in the key and is quoted": fail(fmt.Errorf(`dump: "%s"`, beginning)),
			"an error that somebody else shortened":       fail(errors.New("dump: " + beginning + "...")),
			"an error within":                             fail(branches{errors.New("dump: " + beginning)}),
			"a truncated success":                         truncated(200, `{"id":"7","key":"`+beginning, io.ErrUnexpectedEOF),
			"a success whose connection is closed":        truncated(200, `{"id":"7","key":"`+beginning, io.EOF),
			"a success over the cap":                      respond(200, strings.Repeat("x", maxBody-i)+escaped),
			"a truncated refusal":                         truncated(502, "X-Api-Key: "+beginning, io.ErrUnexpectedEOF),
			"a refusal whose connection is closed":        truncated(400, "X-Api-Key: "+beginning, io.EOF),
			"a refusal over the cap":                      respond(400, strings.Repeat("x", maxErrorBody-i)+escaped),
		} {
			if name == "a success over the cap" && i != 9 {
				continue // it takes long
			}
			text := send(t, answer)
			assert.NotContains(t, text, key[:minSecret], "%s, %d", name, i)
			assert.NotContains(t, text, `cognisable`, "%s, %d", name, i)
		}
	}
}

func TestRedactLeavesNoBeginningOfAQuery(t *testing.T) {
	const query = "signature=recognisable"
	for i := range len(query) {
		for _, text := range []string{strings.Repeat("x", 300-i) + query, "dump: " + query[:i]} {
			clean := NewCredentials("the-id", testKey).Redact(text, query)
			assert.NotContains(t, clean, query[:minSecret], text)
		}
	}
}
