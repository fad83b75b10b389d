package transport

import (
	"bytes"
	"net/http"
	"strings"
)

// Credentials is an API ID and its key. They live in functions, so that no print, dump or comparison of a value that
// holds a *Credentials can show them.
type Credentials struct {
	set func(http.Header)
	key func() string
}

// NewCredentials keeps an API ID and its key.
func NewCredentials(apiID, apiKey string) *Credentials {
	id, key := []string{apiID}, []string{apiKey}
	return &Credentials{
		set: func(h http.Header) { h["X-Api-Id"], h["X-Api-Key"] = id, key },
		key: func() string { return apiKey },
	}
}

// minSecret is the shortest key that is taken out of texts: a shorter one is part of ordinary words.
const minSecret = 6

const redacted = "[redacted]"

// redact takes the key out of a text.
func (c *Credentials) redact(text string) string {
	if key := c.key(); len(key) >= minSecret {
		return strings.ReplaceAll(text, key, redacted)
	}
	return text
}

func (c *Credentials) redactBytes(text []byte) []byte {
	if key := c.key(); len(key) >= minSecret {
		return bytes.ReplaceAll(text, []byte(key), []byte(redacted))
	}
	return text
}
