package transport

import "regexp"

// Redact makes an error's text fit for a log: one line, without the credentials, the other secrets and the queries of URLs.
func (c *Credentials) Redact(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			text = string(redact([]byte(text), secret))
		}
	}
	// Before the text is shortened, since a secret that is cut would not be found; and after.
	return c.redactText(OneLine(c.redactText(query.ReplaceAllString(text, "?"+redacted))))
}

var query = regexp.MustCompile(`\?[^\s"]*`)
