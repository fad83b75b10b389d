package transport

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Credentials is an API ID and its key. They live in functions, so that no print or dump of it can show them.
type Credentials struct {
	set    func(http.Header)
	redact func(text []byte, shortest int, inURLs bool) []byte
}

const (
	redacted        = "[redacted]"
	minSecret       = 6  // characters; a shorter credential stays in texts, where it is part of ordinary words
	minSecretInData = 16 // of one in a successful response: a made-up key such as "preview" is part of every job
)

// NewCredentials keeps an API ID and its key.
func NewCredentials(apiID, apiKey string) *Credentials {
	id, key := []string{apiID}, []string{apiKey}
	return &Credentials{
		set: func(h http.Header) { h["X-Api-Id"], h["X-Api-Key"] = id, key },
		redact: func(text []byte, shortest int, inURLs bool) []byte {
			for _, secret := range []string{apiKey, apiID} {
				if len(secret) >= shortest {
					text = redact(text, secret, inURLs)
				}
			}
			return text
		},
	}
}

// Redact makes the text of an error about a file fit to be shown: one line, without credentials, other
// secrets and the queries of URLs, which may be signed.
func (c *Credentials) Redact(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			text = string(redact([]byte(text), secret, true))
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

// redact replaces a secret however it is spelled: as it is, or with escapes of JSON, of a quoted string or of
// a URL. Of a secret that the text's end cuts, a beginning of minSecret characters is enough. Unless inURLs,
// it stays where it is part of a URL. The time is linear in the text's length, whatever a server sends.
func redact(text []byte, secret string, inURLs bool) []byte {
	text = replace(text, text, secret, inURLs, plainByte)
	if bytes.ContainsAny(text, `\%`) {
		text = replace(text, spelling(escapedByte).decode(text), secret, inURLs, escapedByte)
	}
	if bytes.Contains(text, []byte(`\\`)) {
		text = replace(text, spelling(pairedByte).decode(text), secret, inURLs, pairedByte)
	}
	return text
}

// replace replaces a secret in one spelling, in which the text reads as plain.
func replace(text, plain []byte, secret string, inURLs bool, spelled spelling) []byte {
	var clean []byte
	inURL := false
	for {
		at, n := find(plain, secret)
		if n == 0 {
			break
		}
		from := spelled.length(text, at)
		to := from + spelled.length(text[from:], n)
		inURL = !inURLs && endsInURL(text[:from], inURL)
		clean = append(clean, text[:from]...)
		if inURL {
			clean = append(clean, text[from:to]...)
		} else {
			clean = append(clean, redacted...)
		}
		text, plain = text[to:], plain[at+n:]
	}
	if clean == nil {
		return text
	}
	return append(clean, text...)
}

// find returns where a secret is first, and its length there: the text's end may cut it. 0 is for none.
func find(plain []byte, secret string) (at, n int) {
	if at = bytes.Index(plain, []byte(secret)); at >= 0 {
		return at, len(secret)
	}
	ends := []int{len(plain)}
	tail := plain[max(0, len(plain)-len(`\u000`)):]
	if at := bytes.LastIndexAny(tail, `\%`); at >= 0 && cutEscape.Match(tail[at:]) {
		ends = append(ends, len(plain)-len(tail)+at)
	}
	for _, end := range ends {
		for n := min(end, len(secret)-1); n >= minSecret; n-- {
			if string(plain[end-n:end]) == secret[:n] {
				return end - n, len(plain) - end + n
			}
		}
	}
	return 0, 0
}

var (
	cutEscape = regexp.MustCompile(`^(%[0-9a-fA-F]?|\\(u[0-9a-fA-F]{0,3})?)$`)
	cutURL    = regexp.MustCompile(`(?i):(\\?/|\\u002f){2}([^\x00-\x20"<>\\]|\\/|\\u00(26|2f|3d|3f))*$`)
)

// endsInURL reports whether a text ends in a URL, which may have begun before.
func endsInURL(text []byte, before bool) bool {
	if before {
		text = append([]byte("://"), text...)
	}
	return cutURL.Match(text)
}

// spelling returns the character with which a text begins, and how many bytes spell it.
type spelling func(text []byte) (c byte, length int)

func (s spelling) decode(text []byte) []byte {
	plain := make([]byte, 0, len(text))
	for len(text) > 0 {
		c, n := s(text)
		plain, text = append(plain, c), text[n:]
	}
	return plain
}

// length returns how many bytes spell the first characters of a text.
func (s spelling) length(text []byte, characters int) int {
	length := 0
	for range characters {
		_, n := s(text[length:])
		length += n
	}
	return length
}

func plainByte(text []byte) (byte, int) { return text[0], 1 }

// escapedByte reads \u0041, %41, \" and \/. A \\ is two characters, the second of which may begin an escape.
func escapedByte(text []byte) (byte, int) {
	length := len(`%41`)
	switch {
	case text[0] == '\\' && len(text) >= 2 && (text[1] == '"' || text[1] == '/'):
		return text[1], 2
	case bytes.HasPrefix(text, []byte(`\u00`)):
		length = len(`\u0041`)
	case text[0] != '%':
		return text[0], 1
	}
	if len(text) >= length {
		var c [1]byte
		if _, err := hex.Decode(c[:], text[length-2:length]); err == nil {
			return c[0], length
		}
	}
	return text[0], 1
}

// pairedByte is escapedByte, but a \\ is one character.
func pairedByte(text []byte) (byte, int) {
	if bytes.HasPrefix(text, []byte(`\\`)) {
		return '\\', 2
	}
	return escapedByte(text)
}
