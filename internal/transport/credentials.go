package transport

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// Credentials is an API ID and its key. They live in functions, so that no print, dump or comparison of a value that
// holds a *Credentials can show them.
type Credentials struct {
	set    func(http.Header)
	redact func(string) string
	isIn   func([]byte) bool
}

// minSecret is the shortest key that is taken out of texts: a shorter one is part of ordinary words.
const minSecret = 6

const redacted = "[redacted]"

// NewCredentials keeps an API ID and its key.
func NewCredentials(apiID, apiKey string) *Credentials {
	id, key := []string{apiID}, []string{apiKey}
	var pairs []string
	for _, secret := range []string{apiKey, apiID} {
		if len(secret) < minSecret {
			continue
		}
		pairs = append(pairs, secret, redacted)
		if quoted := strings.Trim(strconv.Quote(secret), `"`); quoted != secret {
			pairs = append(pairs, quoted, redacted)
		}
	}
	replacer := strings.NewReplacer(pairs...)
	return &Credentials{
		set:    func(h http.Header) { h["X-Api-Id"], h["X-Api-Key"] = id, key },
		redact: replacer.Replace,
		isIn: func(text []byte) bool {
			for i := 0; i < len(pairs); i += 2 {
				if bytes.Contains(text, []byte(pairs[i])) {
					return true
				}
			}
			return false
		},
	}
}

// redactBytes takes the credentials out of a body.
func (c *Credentials) redactBytes(body []byte) []byte {
	if !c.isIn(body) {
		return body
	}
	return []byte(c.redact(string(body)))
}

// redactError takes the credentials out of an error, and with them whatever it wraps: any of that could show them. It also
// shortens what is not fit to be a line of a log, which comes from a broken server by way of net/http.
func (c *Credentials) redactError(err error) error {
	text := err.Error()
	if clean := OneLine(text); clean != text || c.inChain(err) {
		return errorText(c.redact(clean))
	}
	return err
}

type errorText string

func (e errorText) Error() string { return string(e) }

// inChain says whether the credentials are in the text of an error or of anything that it wraps.
func (c *Credentials) inChain(err error) bool {
	if err == nil {
		return false
	}
	if c.isIn([]byte(err.Error())) {
		return true
	}
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return c.inChain(err.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range err.Unwrap() {
			if c.inChain(e) {
				return true
			}
		}
	}
	return false
}
