package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

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
	escaped := strings.NewReplacer(`"`, `\"`, `\`, `\\`, `/`, `\/`).Replace(key)
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

func TestRedact(t *testing.T) {
	const secret = `se"cr/et&`
	for _, tt := range []struct{ name, text, want string }{
		{"alone", secret, redacted},
		{"in the middle", "a " + secret + " b", "a [redacted] b"},
		{"twice", secret + secret, redacted + redacted},
		{"in JSON", `"se\"cr/et&"`, `"[redacted]"`},
		{"in JSON with an escaped slash", `"se\"cr\/et&"`, `"[redacted]"`},
		{"in JSON as Go writes it", `"se\"cr/et\u0026"`, `"[redacted]"`},
		{"in a path", `/se%22cr%2Fet&/`, `/[redacted]/`},
		{"in a query", `?k=se%22cr%2Fet%26`, `?k=[redacted]`},
		{"letter by letter", `\u0073\u0065\u0022cr%2fet\u0026!`, `[redacted]!`},
		{"with something in between", `sex"cr/et&`, `sex"cr/et&`},
		{"nothing", ``, ``},
		{"cut by the end", `a se"cr/et`, "a [redacted]"},
		{"cut at six characters", `a se"cr/`, "a [redacted]"},
		{"cut at five", `a se"cr`, `a se"cr`},
		{"cut and quoted", `a "se"cr/e"`, `a "[redacted]"`},
		{"cut and followed by dots", `a se"cr/e...`, `a [redacted]...`},
		{"not cut but wrong", `a se"cr/e b`, `a se"cr/e b`},
		{"cut with an escape", `a se%22cr`, `a [redacted]`},
		{"cut in an escape", `"se\"cr/et\u00`, `"[redacted]`},
		{"cut behind a backslash", `"se\"cr\`, `"[redacted]`},
		{"cut in a percent", `se%22cr%2`, redacted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, string(redact([]byte(tt.text), spellings(secret))))
		})
	}
}

func TestRedactOutsideURLs(t *testing.T) {
	const secret = "3c90c3cc-0d44-4b50"
	for _, tt := range []struct{ name, text, want string }{
		{"in a path", `"https://cdn.test/` + secret + `/v.mp4"`, `"https://cdn.test/` + secret + `/v.mp4"`},
		{"in a query", `"http://cdn.test/v?owner=` + secret + `"`, `"http://cdn.test/v?owner=` + secret + `"`},
		{"with escaped slashes", `"https:\/\/cdn.test\/` + secret + `\/v.mp4"`, `"https:\/\/cdn.test\/` + secret + `\/v.mp4"`},
		{"behind an escaped ampersand", `"https://a.test/?b\u0026c=` + secret + `"`, `"https://a.test/?b\u0026c=` + secret + `"`},
		{"behind an escaped space", `"https://cdn.test/a%20b/` + secret + `"`, `"https://cdn.test/a%20b/` + secret + `"`},
		{"in a URL that is cut", `"https://cdn.test/3c90c3c`, `"https://cdn.test/3c90c3c`},
		{"twice", `https://a.test/` + secret + `/` + secret, `https://a.test/` + secret + `/` + secret},
		{"before and behind", `"` + secret + `","https://a.test/` + secret + `","` + secret + `"`, `"[redacted]","https://a.test/` + secret + `","[redacted]"`},
		{"behind a space", `https://a.test/ ` + secret, `https://a.test/ [redacted]`},
		{"behind an escaped quote", `"see \"https://a.test/\" for ` + secret + `"`, `"see \"https://a.test/\" for [redacted]"`},
		{"behind an escaped line break", `"see https://a.test/\n` + secret + `"`, `"see https://a.test/\n[redacted]"`},
		{"behind half a scheme", `http:/` + secret, `http:/[redacted]`},
		{"cut by the end", `{"owner":"` + secret[:9], `{"owner":"[redacted]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, string(NewCredentials("the-id", secret).redactData([]byte(tt.text))))
		})
	}
}

// A server knows the key, and may send what takes longest.
func TestRedactIsLinear(t *testing.T) {
	key := strings.Repeat("a", 999) + "b"
	creds := NewCredentials("the-id", key)
	took := func(pattern string) time.Duration {
		text := bytes.Repeat([]byte(pattern), 1<<20/len(pattern))
		start := time.Now()
		creds.redactData(text)
		return time.Since(start)
	}
	for _, tt := range []struct{ name, pattern string }{
		{"percents", "%"},
		{"backslashes", `\`},
		{"the beginning of the key", "a"},
		{"the key over and over", key},
		{"nearly the key", strings.Repeat("a", 998) + "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			usual, worst := time.Hour, time.Hour // the best of several runs, since others may use the machine
			for range 10 {
				usual, worst = min(usual, took("%41 plain")), min(worst, took(tt.pattern))
				if worst < 50*usual { // quadratic, it would be some hundred times
					return
				}
			}
			t.Errorf("it takes %v instead of %v", worst, usual)
		})
	}
}

func FuzzRedact(f *testing.F) {
	f.Add(`a se\"cr\/et b`, `se"cr/et`)
	f.Add(`"https://cdn.test/recognisable-key"`, testKey)
	f.Add(`%25%2525\\\u005c`, `abc%25\defghij`)
	f.Fuzz(func(t *testing.T, text, secret string) {
		if len(secret) < minSecret || strings.ContainsAny(secret, "[]") || strings.Contains(redacted, secret) {
			return
		}
		if clean := redact([]byte(text), spellings(secret)); bytes.Contains(clean, []byte(secret)) {
			t.Errorf("%q is in %q", secret, clean)
		}
		NewCredentials("the-id", secret).redactData([]byte(text))
	})
}
