package transport

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOneLine(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tt := range []struct{ name, text, want string }{
		{"control characters and white space", "two\n\x1b[31m lines\u2028\u00a0here ", "two [31m lines here"},
		{"300 characters stay", long, long},
		{"one more is cut", long + "x", long + "…"},
		{"white space does not count", strings.Repeat(" ", 300) + long, long},
		{"unless there is too much of it", "a" + strings.Repeat(" ", 600), "a…"},
		{"what is not UTF-8", "\xff", ""},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, OneLine(tt.text)) })
	}
}
