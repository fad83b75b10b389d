package transport

import (
	"net/http"
	"strings"
)

// Credentials is an API ID and its key. They live in functions, so that no print, dump or comparison of a value that
// holds a *Credentials can show them.
type Credentials struct {
	set    func(http.Header)
	redact func(text []byte, shortest int, urls bool) []byte
}

const (
	// minSecret is the shortest credential that is taken out of texts: a shorter one is part of ordinary words.
	minSecret = 6
	// minSecretInData is the shortest one that is taken out of a successful response, where a wrong guess would do harm: a
	// made-up key such as "preview" is part of every job.
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

// redactBody takes the credentials out of a response's body, but not out of the URLs of a success: an API ID may be part of
// a video's URL, which works as it is only.
func (c *Credentials) redactBody(status int, body []byte) []byte {
	if status >= 200 && status <= 299 {
		return c.redact(body, minSecretInData, false)
	}
	return c.redact(body, minSecret, true)
}

// redactError takes the credentials out of an error, and with them whatever it wraps: any of that could show them. It also
// shortens what is not fit to be a line of a log, which comes from a broken server by way of net/http.
func (c *Credentials) redactError(err error) error {
	text := err.Error()
	if OneLine(text) == text && !c.inChain(err) {
		return err
	}
	return errorText(c.redactLine(text))
}

type errorText string

func (e errorText) Error() string { return string(e) }

// redactLine redacts a text and makes it one line: at first, since a credential that the shortening cuts would not be found,
// and then, since OneLine may take out what parts one.
func (c *Credentials) redactLine(text string) string {
	return c.redactText(OneLine(c.redactText(text)))
}

// redactText takes the credentials out of an error's text, and what may be the beginning of one at its end: there it may be
// in quotes, or somebody may have put dots for the rest.
func (c *Credentials) redactText(text string) string {
	text = string(c.redact([]byte(text), minSecret, true))
	open := strings.TrimRight(text, `"'.…`)
	return string(c.redact([]byte(open), minSecret, true)) + text[len(open):]
}

// inChain reports whether the credentials are in the text of an error or of anything that it wraps.
func (c *Credentials) inChain(err error) bool {
	return anyInChain(err, func(text string) bool { return c.redactText(text) != text })
}

// anyInChain reports whether the text of an error, or of anything that it wraps, is of a kind.
func anyInChain(err error, is func(text string) bool) bool {
	if err == nil {
		return false
	}
	if is(err.Error()) {
		return true
	}
	switch err := err.(type) { //nolint:errorlint // it is this one's own Unwrap that is called for
	case interface{ Unwrap() error }:
		return anyInChain(err.Unwrap(), is)
	case interface{ Unwrap() []error }:
		for _, e := range err.Unwrap() {
			if anyInChain(e, is) {
				return true
			}
		}
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
