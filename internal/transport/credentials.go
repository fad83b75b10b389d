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
	text = replace(text, text, func(at int) int { return at }, secret, inURLs)
	for _, paired := range []bool{false, true} {
		if !bytes.ContainsAny(text, `\%`) || paired && !bytes.Contains(text, []byte(`\\`)) {
			break
		}
		plain, begins := decode(text, paired)
		text = replace(text, plain, func(at int) int { return begins[at] }, secret, inURLs)
	}
	return text
}

// replace replaces a secret in a text that reads as plain, whose characters begin in it where begin says.
func replace(text, plain []byte, begin func(at int) int, secret string, inURLs bool) []byte {
	var clean []byte
	inURL, done, copied := false, 0, 0
	for {
		at, n := find(plain[done:], secret)
		if n == 0 {
			break
		}
		from, to := begin(done+at), begin(done+at+n)
		inURL = !inURLs && endsInURL(text[begin(done):from], inURL)
		if !inURL {
			clean = append(append(clean, text[copied:from]...), redacted...)
			copied = to
		}
		done += at + n
	}
	if copied == 0 {
		return text
	}
	return append(clean, text[copied:]...)
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

// decode reads \u0041, %41, \" and \/, and returns where each character begins. A \\ is one character if paired,
// and else two, the second of which may begin an escape.
func decode(text []byte, paired bool) (plain []byte, begins []int) {
	plain, begins = make([]byte, 0, len(text)), make([]int, 0, len(text)+1)
	for at := 0; at < len(text); {
		rest := text[at:]
		c, length := rest[0], 1
		switch {
		case c == '\\' && len(rest) > 1 && (rest[1] == '"' || rest[1] == '/' || paired && rest[1] == '\\'):
			c, length = rest[1], 2
		case c == '%':
			c, length = unescape(rest, len(`%41`))
		case bytes.HasPrefix(rest, []byte(`\u00`)):
			c, length = unescape(rest, len(`\u0041`))
		}
		plain, begins = append(plain, c), append(begins, at)
		at += length
	}
	return plain, append(begins, len(text))
}

// unescape reads an escape of some length that ends in two digits, or else one character.
func unescape(text []byte, length int) (byte, int) {
	var c [1]byte
	if len(text) >= length {
		if _, err := hex.Decode(c[:], text[length-2:length]); err == nil {
			return c[0], length
		}
	}
	return text[0], 1
}
