package transport

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
)

// Credentials is an API ID and its key. They live in functions, so that no print or dump of it can show them.
type Credentials struct {
	set    func(http.Header)
	redact func(text []byte, shortest int) []byte
}

const (
	redacted        = "[redacted]"
	minSecret       = 6  // characters; a shorter credential stays in texts, where it is part of ordinary words
	minSecretInData = 16 // in a successful response, where a made-up key such as "preview" is part of every job
)

// NewCredentials keeps an API ID and its key.
func NewCredentials(apiID, apiKey string) *Credentials {
	id, key := []string{apiID}, []string{apiKey}
	secrets := [][][]byte{spellings(apiKey), spellings(apiID)}
	return &Credentials{
		set: func(h http.Header) { h["X-Api-Id"], h["X-Api-Key"] = id, key },
		redact: func(text []byte, shortest int) []byte {
			for _, secret := range secrets {
				if len(secret[0]) >= shortest {
					text = redact(text, secret)
				}
			}
			return text
		},
	}
}

// Redact makes the text of an error about a file safe to show: on one line, without credentials, other
// secrets and the queries of URLs, which may be signed.
func (c *Credentials) Redact(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			text = string(redact([]byte(text), spellings(secret)))
		}
	}
	return c.redactLine(query.ReplaceAllString(text, "?"+redacted))
}

var query = regexp.MustCompile(`\?[^\s"]*`)

// redactLine redacts a text and makes it one line. It redacts before OneLine, which may cut a credential
// short, and after it, since removing characters may join the halves of one.
func (c *Credentials) redactLine(text string) string {
	text = OneLine(string(c.redact([]byte(text), minSecret)))
	return string(c.redact([]byte(text), minSecret))
}

// redactData redacts a successful response, but not its URLs: a video's may contain an API ID, and must work.
func (c *Credentials) redactData(text []byte) []byte {
	if bytes.Equal(c.redact(text, minSecretInData), text) {
		return text
	}
	var clean []byte
	for len(text) > 0 {
		from, to := len(text), len(text)
		if at := urls.FindIndex(text); at != nil {
			from, to = at[0], at[1]
		}
		clean = append(append(clean, c.redact(text[:from], minSecretInData)...), text[from:to]...)
		text = text[to:]
	}
	return clean
}

var urls = regexp.MustCompile(`https?:(\\?/){2}([^\s"<>\\]|\\/|\\u0026)*`)

// redact replaces a secret in each of its spellings. Where the text ends, before quotes or dots, the first
// minSecret characters of a secret are enough, since the text may have been cut.
func redact(text []byte, spellings [][]byte) []byte {
	if bytes.ContainsAny(text, `%\`) { // a server may escape any letter
		if plain := escapes.ReplaceAllFunc(text, unescape); bytes.Contains(plain, spellings[0]) {
			text = plain
		}
	}
	for _, spelling := range spellings {
		if bytes.Contains(text, spelling) {
			text = bytes.ReplaceAll(text, spelling, []byte(redacted))
		}
		cut := bytes.TrimRight(text, `"'.…`)
		for n := len(spelling) - 1; n >= minSecret; n-- {
			if before, found := bytes.CutSuffix(cut, spelling[:n]); found {
				text = slices.Concat(before, []byte(redacted), text[len(cut):])
				break
			}
		}
	}
	return text
}

var escapes = regexp.MustCompile(`(%|\\u00)[0-9a-fA-F]{2}`)

func unescape(escaped []byte) []byte {
	c, _ := strconv.ParseUint(string(escaped[len(escaped)-2:]), 16, 8)
	return []byte{byte(c)}
}

// spellings returns a secret as it is, and as URLs, JSON and quoted strings escape it. They are often equal.
func spellings(secret string) [][]byte {
	all := [][]byte{[]byte(secret), []byte(url.PathEscape(secret)), []byte(url.QueryEscape(secret))}
	inJSON, _ := json.Marshal(secret)
	for _, quoted := range [][]byte{inJSON, []byte(strconv.Quote(secret))} {
		quoted = quoted[1 : len(quoted)-1]
		all = append(all, quoted, bytes.ReplaceAll(quoted, []byte("/"), []byte(`\/`)))
	}
	return slices.CompactFunc(all, bytes.Equal)
}
