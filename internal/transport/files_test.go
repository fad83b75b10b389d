package transport

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNoBeginningOfAFilesQueryIsLeftWhereAnErrorIsShortened(t *testing.T) {
	file, _ := url.Parse("https://files.test/v?signature=recognisable")
	for i := range len(file.RawQuery) {
		for _, text := range []string{strings.Repeat("x", 300-i) + file.RawQuery, "dump: " + file.RawQuery[:i]} {
			err := newClient(t, nil).CleanFileError(errors.New(text), file)
			assert.NotContains(t, err.Error(), file.RawQuery[:minSecret], text)
		}
	}
}
