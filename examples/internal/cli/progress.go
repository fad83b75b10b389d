package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/term"
)

// How often a program writes to a file or a pipe.
const (
	pause     = 5 * time.Second  // between changes, at least
	heartbeat = 10 * time.Second // at the latest
)

// Progress is a line that says what a program is doing. A terminal shows it in place, with a bar and the time
// that has passed. Elsewhere it is printed when it changes, at most every 5 s, and else every 10 s.
type Progress struct {
	out   io.Writer
	width func() int // of the terminal; nil where there is none
	start time.Time
	stop  func() // ends the clock; may be called twice
	ended sync.WaitGroup

	mu      sync.Mutex
	text    string
	done    float64
	printed time.Time
	changed bool // since then
	length  int  // of what stands on the terminal's last line
}

// NewProgress begins to show progress. A writer with a method Width is a terminal too.
func NewProgress(out io.Writer) *Progress {
	p := &Progress{out: out, start: time.Now()}
	stopped := make(chan struct{})
	p.stop = sync.OnceFunc(func() { close(stopped) })
	p.width = widthOf(out)
	p.ended.Go(func() { p.tick(stopped) })
	return p
}

// widthOf returns the columns of a terminal, or nil for another writer.
func widthOf(out io.Writer) func() int {
	switch out := out.(type) {
	case *os.File:
		if term.IsTerminal(int(out.Fd())) {
			return func() int { width, _, _ := term.GetSize(int(out.Fd())); return width }
		}
	case interface{ Width() int }:
		return out.Width
	}
	return nil
}

func (p *Progress) tick(stopped <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.mu.Lock()
			if p.width != nil || p.due() {
				p.draw()
			}
			p.mu.Unlock()
		case <-stopped:
			return
		}
	}
}

// Show replaces the line. The bar shows which part is done; below 0 there is none.
func (p *Progress) Show(done float64, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text = strings.Map(func(r rune) rune { // it may be a server's
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
	if text != p.text || done != p.done {
		p.text, p.done, p.changed = text, done, true
		if p.width != nil || p.due() {
			p.draw()
		}
	}
}

func (p *Progress) due() bool {
	silent := time.Since(p.printed)
	return p.changed && silent >= pause || silent >= heartbeat
}

// Say prints lines that stay.
func (p *Progress) Say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.length > 0 {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.length))
		p.length = 0
	}
	fmt.Fprintf(p.out, format+"\n", args...)
	if p.width != nil {
		p.draw()
	}
}

// Stop ends the display. The line stays.
func (p *Progress) Stop() {
	p.stop()
	p.ended.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed {
		p.draw()
	}
	if p.length > 0 {
		fmt.Fprintln(p.out)
	}
	p.text, p.length = "", 0
}

// Write says a line, for a log.
func (p *Progress) Write(line []byte) (int, error) {
	p.Say("%s", bytes.TrimSpace(line))
	return len(line), nil
}

const barLength = 20

func (p *Progress) draw() {
	if p.text == "" {
		return
	}
	p.printed, p.changed = time.Now(), false
	took := fmt.Sprintf("%ds", int(time.Since(p.start).Seconds()))
	percent, bar := "", ""
	if p.done >= 0 {
		done := min(p.done, 1)
		full := int(done * barLength)
		bar = " " + strings.Repeat("█", full) + strings.Repeat("░", barLength-full)
		percent = fmt.Sprintf(" %.0f %%", 100*done)
	}
	if p.width == nil {
		fmt.Fprintln(p.out, took, p.text+percent)
		return
	}
	line, room := []rune(p.text+bar+percent+"  "+took), max(p.width()-1, 1)
	if len(line) > room {
		line = []rune(p.text + percent + "  " + took)
	}
	if len(line) > room {
		line = append(line[:room-1], '…')
	}
	fmt.Fprintf(p.out, "\r%s%s", string(line), strings.Repeat(" ", max(p.length-len(line), 0)))
	p.length = len(line)
}
