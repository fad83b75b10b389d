// Command mutants breaks the promises of the library, one line at a time, and sees that a test fails each time. A promise
// that no test notices the loss of is no promise. The files stay as they are: the go command is told to read the broken one
// in their place.
//
//	go run ./internal/mutants [-v] [part of a breach, such as "money:"]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// mutant is one line that breaks a promise.
type mutant struct {
	breach string // what the library would do, after the promise that it breaks
	file   string // from the module's root
	old    string // stands once in the file
	new    string
	tests  string // the package with the tests that must notice it
	run    string // and which of its tests, as go test -run has it
}

func main() {
	verbose := flag.Bool("v", false, "print what the failing tests say")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := check(ctx, flag.Arg(0), *verbose); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

// check tries the mutants whose breach has the given part.
func check(ctx context.Context, part string, verbose bool) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	if err := passUnbroken(ctx, root); err != nil {
		return err
	}
	tried, survived := 0, 0
	for _, m := range all {
		if !strings.Contains(m.breach, part) {
			continue
		}
		start := time.Now()
		noticed, output, err := m.try(ctx, root, temp)
		if err != nil {
			return fmt.Errorf("%s: %w", m.breach, err)
		}
		tried++
		if noticed == "" {
			survived++
			noticed = "NOT NOTICED"
		}
		fmt.Printf("%5.1f s  %s: %s\n", time.Since(start).Seconds(), m.breach, noticed)
		if verbose || noticed == "NOT NOTICED" {
			fmt.Printf("%s\n", output)
		}
	}
	fmt.Printf("%d passed, %d failed\n", tried-survived, survived)
	if tried == 0 || survived > 0 {
		return errors.New("the tests do not hold these promises up")
	}
	return nil
}

// passUnbroken sees that the tests pass without a mutant: one that fails anyway notices nothing.
func passUnbroken(ctx context.Context, root string) error {
	args := []string{"test"}
	for _, m := range all {
		if !slices.Contains(args, m.tests) {
			args = append(args, m.tests)
		}
	}
	if output, err := goCommand(ctx, root, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("the tests do not pass as it is: %w\n%s", err, output)
	}
	return nil
}

func goCommand(ctx context.Context, root string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the arguments are those of the list
	command.Dir = root
	command.Env = append(os.Environ(), "GOWORK=off")
	return command
}

func moduleRoot(ctx context.Context) (string, error) {
	file, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	return filepath.Dir(strings.TrimSpace(string(file))), err
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// try returns the test that has noticed the mutant, or nothing, and what the tests have printed.
func (m *mutant) try(ctx context.Context, root, temp string) (noticed string, output []byte, err error) {
	overlay, err := m.overlay(root, temp)
	if err != nil {
		return "", nil, err
	}
	const limit = 3 * time.Minute // building included
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	output, err = goCommand(ctx, root, "test", "-overlay", overlay, "-vet=off", "-count=1", "-failfast", "-timeout=1m",
		"-run", m.run, m.tests).CombinedOutput()
	match := failed.FindSubmatch(output)
	switch {
	case bytes.Contains(output, []byte("[no tests to run]")):
		return "", nil, fmt.Errorf("there is no test %s in %s", m.run, m.tests)
	case err == nil:
		return "", output, nil
	case ctx.Err() != nil:
		return "", output, ctx.Err()
	case match != nil:
		return string(match[1]), output, nil
	case bytes.Contains(output, []byte("panic: ")): // also that of a test which takes too long
		return "a test that hangs or panics", output, nil
	}
	return "", output, fmt.Errorf("no test has failed, as when the mutant does not compile: %w\n%s", err, output)
}

// overlay writes the broken file, and what makes the go command read it.
func (m *mutant) overlay(root, temp string) (file string, err error) {
	path := filepath.Join(root, filepath.FromSlash(m.file))
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := bytes.Count(source, []byte(m.old)); n != 1 {
		return "", fmt.Errorf("%s has %q %d times, not once", m.file, m.old, n)
	}
	broken := filepath.Join(temp, "broken.go")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: broken}})
	if err != nil {
		return "", err
	}
	file = filepath.Join(temp, "overlay.json")
	source = bytes.Replace(source, []byte(m.old), []byte(m.new), 1)
	//nolint:gosec // the files are in a folder of our own
	return file, errors.Join(os.WriteFile(broken, source, 0o600), os.WriteFile(file, overlay, 0o600))
}
