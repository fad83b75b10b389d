// Package screen is a terminal for tests: it shows what a person would see.
package screen

import (
	"slices"
	"strings"
	"sync"
)

// Screen is a terminal that knows the line feed and the carriage return. It is as high as it needs to be.
type Screen struct {
	Columns int

	mu       sync.Mutex
	lines    [][]rune
	row, col int
}

// Width returns the number of columns.
func (s *Screen) Width() int { return s.Columns }

// Write shows text. It never fails.
func (s *Screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range string(text) {
		switch {
		case r == '\r':
			s.col = 0
			continue
		case r == '\n':
			s.row, s.col = s.row+1, 0
			continue
		case s.col == s.Columns:
			s.row, s.col = s.row+1, 0
		}
		for len(s.lines) <= s.row {
			s.lines = append(s.lines, nil)
		}
		if len(s.lines[s.row]) <= s.col {
			s.lines[s.row] = append(s.lines[s.row], slices.Repeat([]rune{' '}, s.col+1-len(s.lines[s.row]))...)
		}
		s.lines[s.row][s.col] = r
		s.col++
	}
	return len(text), nil
}

// Lines returns what stands on the screen.
func (s *Screen) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, line := range s.lines {
		lines = append(lines, strings.TrimRight(string(line), " "))
	}
	return lines
}
