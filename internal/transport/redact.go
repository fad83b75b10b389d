package transport

import (
	"bytes"
	"strings"
)

const redacted = "[redacted]"

// redact replaces a secret however it is spelled: as it is, or with escapes of JSON, of a quoted string or of
// a URL. Of a secret that the text's end cuts, a beginning of minSecret characters is enough. The time is
// linear in the text's length, whatever a server sends.
func redact(text []byte, secret string) []byte { return redactIn(text, secret, true) }

// redactIn is redact, which without urls leaves the secret where it is part of a URL.
func redactIn(text []byte, secret string, urls bool) []byte {
	text = replace(text, text, secret, urls, plainByte)
	if bytes.IndexByte(text, '\\') < 0 && bytes.IndexByte(text, '%') < 0 {
		return text
	}
	text = replace(text, decode(text, escapedByte), secret, urls, escapedByte)
	if strings.Contains(secret, `\`) {
		text = replace(text, decode(text, pairedByte), secret, urls, pairedByte)
	}
	return text
}

// replace replaces a secret in one spelling, in which the text reads as plain.
func replace(text, plain []byte, secret string, urls bool, spelled spelling) []byte {
	hit, cut := bytes.Index(plain, []byte(secret)), cutSecret(plain, secret)
	if hit < 0 && cut == len(plain) {
		return text
	}
	var clean []byte
	scheme, read := 0, 0 // how much of "://" has been read, all of it within a URL, and up to where
	for i, at := 0, 0; at < len(plain); {
		var length int
		switch at {
		case hit:
			length = len(secret)
			if hit = bytes.Index(plain[at+length:], []byte(secret)); hit >= 0 {
				hit += at + length
			}
		case cut:
			length = len(plain) - at
		default:
			if i >= read {
				c, n := escapedByte(text[i:])
				scheme, read = readURL(scheme, c, text[i] == '%'), i+n
			}
			_, n := spelled(text[i:])
			clean = append(clean, text[i:i+n]...)
			i, at = i+n, at+1
			continue
		}
		from := i
		for range length {
			_, n := spelled(text[i:])
			i += n
		}
		if scheme == len("://") && !urls {
			clean = append(clean, text[from:i]...)
		} else {
			clean = append(clean, redacted...)
		}
		at += length
	}
	return clean
}

// readURL advances in "://", or in the URL behind it, which ends with a character that no URL has as it is.
func readURL(scheme int, c byte, percent bool) int {
	switch {
	case scheme == len("://") && !percent && (c <= ' ' || strings.IndexByte(`"<>\`, c) >= 0):
		return 0
	case scheme == len("://"):
		return scheme
	case c == "://"[scheme]:
		return scheme + 1
	case c == ':':
		return 1
	}
	return 0
}

// cutSecret returns where a secret begins that the end of a text cuts, perhaps within an escape; the text's
// length if none does.
func cutSecret(text []byte, secret string) int {
	for _, end := range []int{len(text), len(text) - cutEscape(text)} {
		for n := min(end, len(secret)-1); n >= minSecret; n-- {
			if string(text[end-n:end]) == secret[:n] {
				return end - n
			}
		}
	}
	return len(text)
}

// cutEscape returns the length of an escape that the end of a text cuts.
func cutEscape(text []byte) int {
	for n := min(len(text), len(`\u004`)); n > 0; n-- {
		end := text[len(text)-n:]
		if end[0] == '%' && n < len("%41") || end[0] == '\\' && (n == 1 || end[1] == 'u') {
			return n
		}
	}
	return 0
}

// spelling returns the character with which a text begins, and how many bytes spell it.
type spelling func(text []byte) (c byte, length int)

func decode(text []byte, spelled spelling) []byte {
	plain := make([]byte, 0, len(text))
	for len(text) > 0 {
		c, n := spelled(text)
		plain, text = append(plain, c), text[n:]
	}
	return plain
}

func plainByte(text []byte) (byte, int) { return text[0], 1 }

// escapedByte reads \u0041, %41, \" and \/. A \\ is two characters, the second of which may begin an escape.
func escapedByte(text []byte) (byte, int) {
	switch {
	case text[0] == '%' && len(text) >= 3:
		if c, ok := hexByte(text[1], text[2]); ok {
			return c, 3
		}
	case text[0] == '\\' && len(text) >= 6 && string(text[1:4]) == "u00":
		if c, ok := hexByte(text[4], text[5]); ok {
			return c, 6
		}
	case text[0] == '\\' && len(text) >= 2 && (text[1] == '"' || text[1] == '/'):
		return text[1], 2
	}
	return text[0], 1
}

// pairedByte is escapedByte, but a \\ is one character.
func pairedByte(text []byte) (byte, int) {
	if text[0] == '\\' && len(text) >= 2 && text[1] == '\\' {
		return '\\', 2
	}
	return escapedByte(text)
}

func hexByte(high, low byte) (c byte, ok bool) {
	h, l := hexDigit(high), hexDigit(low)
	return h<<4 | l, h < 16 && l < 16
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}
