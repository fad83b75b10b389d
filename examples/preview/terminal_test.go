package main

import (
	"bytes"
	"flag"
	"fmt"
	"html"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go/examples/internal/screen"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/terminal.svg")

// TestTerminal: docs/terminal.svg is what a terminal shows of go run ./examples/preview, in virtual time. To
// write it:
//
//	go test ./preview -run Terminal -update
func TestTerminal(t *testing.T) {
	unsetAccount(t)
	synctest.Test(t, func(t *testing.T) {
		terminal := &screen.Screen{Columns: 80}
		fmt.Fprintln(terminal, "$ go run ./examples/preview")
		code := run(t.Context(), nil, terminal, terminal)
		require.Equal(t, 0, code)
		picture := svg(terminal.Lines(), terminal.Columns)
		const path = "../../docs/terminal.svg"
		if *update {
			require.NoError(t, os.WriteFile(path, picture, 0o644))
		}
		kept, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(picture), string(bytes.ReplaceAll(kept, []byte("\r\n"), []byte("\n"))), "write it with -update")
	})
}

// svg draws a terminal. Each line is as long as in a font of that width, whichever font is there.
func svg(lines []string, columns int) []byte {
	const width, height, edge, bar = 8.4, 20, 16, 32
	var b bytes.Buffer
	w, h := int(float64(columns)*width)+2*edge, len(lines)*height+2*edge+bar
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="A terminal with go run ./examples/preview">
<style>
svg { --paper: #fbfbfd; --ink: #1d2433; --line: #d5d9e2; --accent: #2747c4; --quiet: #5a6478; --good: #18794e }
@media (prefers-color-scheme: dark) { svg { --paper: #14171f; --ink: #dfe3ec; --line: #333a49; --accent: #93a8ff; --quiet: #97a1b5; --good: #5ccf96 } }
rect { fill: var(--paper); stroke: var(--line) } circle { fill: var(--line) }
text { fill: var(--ink); font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre }
.command { font-weight: 600 } .url { fill: var(--accent) } .note { fill: var(--quiet) } .bar { fill: var(--good) }
</style>
<rect x="0.5" y="0.5" width="%d" height="%d" rx="10"/>
<circle cx="20" cy="18" r="5.5"/><circle cx="38" cy="18" r="5.5"/><circle cx="56" cy="18" r="5.5"/>
`, w, h, w, h, w-1, h-1)
	for i, line := range lines {
		class := "plain"
		switch {
		case strings.HasPrefix(line, "$ "):
			class = "command"
		case strings.HasPrefix(line, "https://"):
			class = "url"
		case strings.Contains(line, "█"):
			class = "bar"
		case i < 3 || strings.HasPrefix(line, "("):
			class = "note"
		}
		fmt.Fprintf(&b, "<text class=\"%s\" x=\"%d\" y=\"%d\" textLength=\"%.1f\" lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">%s</text>\n",
			class, edge, edge+bar+i*height+height/2, float64(utf8.RuneCountInString(line))*width, html.EscapeString(line))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
