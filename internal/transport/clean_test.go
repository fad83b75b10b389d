package transport

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCredentials_Redact_leaves_no_beginning_of_a_query(t *testing.T) {
	file, _ := url.Parse("https://files.test/v?signature=recognisable")
	for i := range len(file.RawQuery) {
		for _, text := range []string{strings.Repeat("x", 300-i) + file.RawQuery, "dump: " + file.RawQuery[:i]} {
			clean := NewCredentials("the-api-id", testKey).Redact(text, file.RawQuery)
			assert.NotContains(t, clean, file.RawQuery[:minSecret], text)
		}
	}
}
