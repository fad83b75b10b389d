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
	redact func(text []byte, shortest int) []byte
}

const (
	// minSecret is the shortest credential that is taken out of texts: a shorter one is part of ordinary words.
	minSecret = 6
	// minSecretInData is the shortest one that is taken out of a successful reply, where a wrong guess would do harm: a
	// made-up key such as "preview" is part of every job.
	minSecretInData = 16
)

// NewCredentials keeps an API ID and its key.
func NewCredentials(apiID, apiKey string) *Credentials {
	id, key := []string{apiID}, []string{apiKey}
	return &Credentials{
		set: func(h http.Header) { h["X-Api-Id"], h["X-Api-Key"] = id, key },
		redact: func(text []byte, shortest int) []byte {
			for _, secret := range []string{apiKey, apiID} {
				if len(secret) >= shortest {
					text = redact(text, secret)
				}
			}
			return text
		},
	}
}

// redactBody takes the credentials out of a reply's body.
func (c *Credentials) redactBody(status int, body []byte) []byte {
	if status >= 200 && status <= 299 {
		return c.redact(body, minSecretInData)
	}
	return c.redact(body, minSecret)
}

// redactError takes the credentials out of an error, and with them whatever it wraps: any of that could show them. It also
// shortens what is not fit to be a line of a log, which comes from a broken server by way of net/http.
func (c *Credentials) redactError(err error) error {
	text := err.Error()
	if OneLine(text) == text && !c.inChain(err) {
		return err
	}
	// At first, since a credential that the shortening cuts would not be found; and then, since it may take out what parts one.
	return errorText(c.redactText(OneLine(c.redactText(text))))
}

// redactText takes the credentials out of an error's text, and what may be the beginning of one at its end: there it may be
// in quotes, or somebody may have put dots for the rest.
func (c *Credentials) redactText(text string) string {
	text = string(c.redact([]byte(text), minSecret))
	open := strings.TrimRight(text, `"'.…`)
	return string(c.redact([]byte(open), minSecret)) + text[len(open):]
}

type errorText string

func (e errorText) Error() string { return string(e) }

// inChain says whether the credentials are in the text of an error or of anything that it wraps.
func (c *Credentials) inChain(err error) bool {
	return anyInChain(err, func(text string) bool { return c.redactText(text) != text })
}

// anyInChain says whether the text of an error, or of anything that it wraps, is of a kind.
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

const redacted = "[redacted]"

// redact replaces a secret however it is spelled: as it is, or with escapes of JSON, of a quoted string or of a URL. Of one
// that the text's end cuts off, a beginning of minSecret characters or more is enough.
func redact(text []byte, secret string) []byte {
	plain := bytes.IndexByte(text, '\\') < 0 && bytes.IndexByte(text, '%') < 0
	if plain && !bytes.Contains(text, []byte(secret)) && !endsWithin(text, secret) {
		return text
	}
	var clean []byte
	done := 0 // what is before it is in clean
	for i := 0; i < len(text); i++ {
		if c := text[i]; c != secret[0] && c != '\\' && c != '%' {
			continue
		}
		if n := spelled(text[i:], secret); n > 0 {
			clean = append(append(clean, text[done:i]...), redacted...)
			done = i + n
			i = done - 1
		}
	}
	if done == 0 {
		return text
	}
	return append(clean, text[done:]...)
}

// endsWithin says whether a text without escapes ends in a beginning of a secret.
func endsWithin(text []byte, secret string) bool {
	for n := min(len(text), len(secret)-1); n >= minSecret; n-- {
		if tail := text[len(text)-n:]; tail[0] == secret[0] && string(tail) == secret[:n] {
			return true
		}
	}
	return false
}

// spelled returns the length of the secret, or of enough of it at the text's end, at the start of a text; 0 if it is not
// there.
func spelled(text []byte, secret string) int {
	if bytes.HasPrefix(text, []byte(secret)) { // also one that holds what looks like an escape
		return len(secret)
	}
	n := 0
	for i := range len(secret) {
		length := spelledByte(text[n:], secret[i])
		switch {
		case length == 0 && i >= minSecret && isCut(text[n:]):
			return len(text)
		case length == 0:
			return 0
		}
		n += length
	}
	return n
}

// isCut says whether nothing is left of a text, or the beginning of an escape.
func isCut(text []byte) bool {
	return len(text) == 0 || text[0] == '%' && len(text) < 3 ||
		text[0] == '\\' && len(text) < 6 && (len(text) == 1 || text[1] == 'u')
}

func spelledByte(text []byte, c byte) int {
	isHex := func(from, to int) bool {
		code, err := strconv.ParseUint(string(text[from:to]), 16, 8)
		return err == nil && byte(code) == c
	}
	switch {
	case len(text) >= 6 && text[0] == '\\' && text[1] == 'u' && isHex(2, 6):
		return 6
	case len(text) >= 3 && text[0] == '%' && isHex(1, 3):
		return 3
	case len(text) >= 2 && text[0] == '\\' && text[1] == c && strings.IndexByte(`"\/`, c) >= 0:
		return 2
	case len(text) >= 1 && text[0] == c:
		return 1
	}
	return 0
}
