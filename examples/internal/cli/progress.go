package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/term"
)

// heartbeat is how long a program that writes to a file or a pipe says nothing.
const heartbeat = 10 * time.Second

// Progress is a line that says what a program is doing. A terminal shows it in place, with a bar and the time that has passed.
// Elsewhere it is printed when it changes, and every 10 s.
type Progress struct {
	out   io.Writer
	width func() int // of the terminal; nil where there is none
	start time.Time
	stop  chan struct{}
	ended sync.WaitGroup

	mu      sync.Mutex
	text    string
	done    float64
	printed time.Time
	length  int // of what stands on the terminal's last line
}

// NewProgress begins to show progress. A writer with a method Width is a terminal too.
func NewProgress(out io.Writer) *Progress {
	p := &Progress{out: out, start: time.Now(), stop: make(chan struct{})}
	switch out := out.(type) {
	case *os.File:
		if term.IsTerminal(int(out.Fd())) {
			p.width = func() int { width, _, _ := term.GetSize(int(out.Fd())); return width }
		}
	case interface{ Width() int }:
		p.width = out.Width
	}
	p.ended.Go(p.tick)
	return p
}

func (p *Progress) tick() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.mu.Lock()
			if p.width != nil || time.Since(p.printed) >= heartbeat {
				p.draw()
			}
			p.mu.Unlock()
		case <-p.stop:
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
		p.text, p.done = text, done
		p.draw()
	}
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
	close(p.stop)
	p.ended.Wait()
	if p.length > 0 {
		fmt.Fprintln(p.out)
	}
}

const barLength = 20

func (p *Progress) draw() {
	if p.text == "" {
		return
	}
	p.printed = time.Now()
	took := fmt.Sprintf("%.0fs", time.Since(p.start).Seconds())
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
	line := []rune(p.text + bar + percent + "  " + took)
	if room := max(p.width()-1, 1); len(line) > room {
		line = append(line[:room-1], '…')
	}
	fmt.Fprintf(p.out, "\r%s%s", string(line), strings.Repeat(" ", max(p.length-len(line), 0)))
	p.length = len(line)
}
