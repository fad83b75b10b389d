package transport

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Credentials is an API ID and its key. They live in functions, so that no print, dump or comparison of a
// value that holds a *Credentials can show them.
type Credentials struct {
	set    func(http.Header)
	redact func(text []byte, shortest int, urls bool) []byte
}

const (
	// minSecret is the shortest credential that is taken out of texts: a shorter one is part of ordinary
	// words.
	minSecret = 6
	// minSecretInData is the shortest one that is taken out of a successful response, where a wrong guess
	// would do harm: a made-up key such as "preview" is part of every job.
	minSecretInData = 16
)

// NewCredentials keeps an API ID and its key.
func NewCredentials(apiID, apiKey string) *Credentials {
	id, key := []string{apiID}, []string{apiKey}
	return &Credentials{
		set: func(h http.Header) { h["X-Api-Id"], h["X-Api-Key"] = id, key },
		redact: func(text []byte, shortest int, urls bool) []byte {
			for _, secret := range []string{apiKey, apiID} {
				if len(secret) >= shortest {
					text = redactIn(text, secret, urls)
				}
			}
			return text
		},
	}
}

// redactBody takes the credentials out of a response's body. It leaves the URLs of a success alone: an API ID
// may be part of a video's URL, which works only as it is.
func (c *Credentials) redactBody(status int, body []byte) []byte {
	if status >= 200 && status <= 299 {
		return c.redact(body, minSecretInData, false)
	}
	return c.redact(body, minSecret, true)
}

// Redact makes the text of an error about a file fit to be shown: one line, without the credentials, the
// other secrets and the queries of URLs, which may be signed.
func (c *Credentials) Redact(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			text = string(redact([]byte(text), secret))
		}
	}
	return c.redactLine(query.ReplaceAllString(text, "?"+redacted))
}

var query = regexp.MustCompile(`\?[^\s"]*`)

// redactLine redacts a text and makes it one line. It redacts before, since a credential that OneLine cuts
// would not be found, and after, since OneLine may remove what separates the halves of one.
func (c *Credentials) redactLine(text string) string {
	return c.redactText(OneLine(c.redactText(text)))
}

// redactText takes the credentials out of an error's text, and the beginning of one at its end, which may be
// in quotes or followed by dots.
func (c *Credentials) redactText(text string) string {
	text = string(c.redact([]byte(text), minSecret, true))
	open := strings.TrimRight(text, `"'.…`)
	return string(c.redact([]byte(open), minSecret, true)) + text[len(open):]
}

// inChain reports whether the credentials are in the text of an error or of anything that it wraps.
func (c *Credentials) inChain(err error) bool {
	if err == nil {
		return false
	}
	if text := err.Error(); c.redactText(text) != text {
		return true
	}
	switch err := err.(type) { //nolint:errorlint // it is this one's own Unwrap that is called for
	case interface{ Unwrap() error }:
		return c.inChain(err.Unwrap())
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(err.Unwrap(), c.inChain)
	}
	return false
}

// requestID returns the ID that a server or a proxy has given a request; empty if there is none.
func (c *Credentials) requestID(h http.Header) string {
	for _, name := range []string{"X-Request-Id", "Cf-Ray", "Traceparent"} {
		if id := h.Get(name); id != "" {
			return c.redactLine(id)
		}
	}
	return ""
}
