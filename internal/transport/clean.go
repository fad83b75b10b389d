package transport

import "regexp"

// CleanFileError takes the credentials out of an error of a download, and the query of its URL, which may be signed.
func (c *Credentials) CleanFileError(err error, signed string) error {
	unsigned := func(text string) string {
		if len(signed) >= minSecret {
			text = string(redact([]byte(text), signed))
		}
		return query.ReplaceAllString(text, "?"+redacted)
	}
	if anyInChain(err, func(text string) bool { return unsigned(text) != text }) {
		err = errorText(unsigned(err.Error())) // before it is shortened
	}
	return c.redactError(err)
}

var query = regexp.MustCompile(`\?[^\s"]*`)
