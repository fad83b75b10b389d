// Package cli is what the example programs share: how they start and end, and the line in which they show
// their progress.
package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// Main runs a program in this process. Its context ends with the first Ctrl-C or SIGTERM; a second one kills
// the process.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer, opts ...creatify.Option) (exitCode int)) {
	signal.Ignore(syscall.SIGPIPE) // so that a program can say that nobody reads its output
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Parse sets flags from args, and reports whether the environment names an account. For -h it prints the help
// and returns flag.ErrHelp.
func Parse(set *flag.FlagSet, help string, args []string, stdout io.Writer) (account bool, err error) {
	set.SetOutput(io.Discard)
	err = set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, fit(help, stdout))
	case err == nil && set.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: everything is given by flags", set.Arg(0))
	}
	if err != nil {
		return false, err
	}
	return environment()
}

// fit joins the broken lines of a text, and breaks them as a narrow terminal needs it.
func fit(text string, out io.Writer) string {
	width := widthOf(out)
	if width == nil || width() >= 80 {
		return text
	}
	text = regexp.MustCompile(`(\S)\n(?: {10,})?(\S)`).ReplaceAllString(text, "$1 $2")
	var fitted strings.Builder
	for line := range strings.Lines(text) {
		indent := regexp.MustCompile(`^ *(-\S+ (\S+ )? +)?`).FindString(line)
		for len(line) > width()+1 {
			end := strings.LastIndex(line[:width()+1], " ")
			if end <= len(indent) {
				break
			}
			fitted.WriteString(line[:end] + "\n")
			line = strings.Repeat(" ", len(indent)) + line[end+1:]
		}
		fitted.WriteString(line)
	}
	return fitted.String()
}

// environment reports whether the environment names an account. Half of one is an error: whoever means the
// real API must not get the fake.
func environment() (account bool, err error) {
	id, key := os.Getenv("CREATIFY_API_ID") != "", os.Getenv("CREATIFY_API_KEY") != ""
	if id == key {
		return id, nil
	}
	missing := "CREATIFY_API_ID"
	if id {
		missing = "CREATIFY_API_KEY"
	}
	return false, fmt.Errorf("%s is missing: set CREATIFY_API_ID and CREATIFY_API_KEY for an account, or neither for the built-in fake", missing)
}

// BadUsage prints why a program does not start, and returns its exit code: 2, or 0 where Parse has printed
// the help.
func BadUsage(stderr io.Writer, program string, err error) (exitCode int) {
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(stderr, "%v\nNothing was sent. For the usage: go run ./examples/%s -h\n", err, program)
	return 2
}

// Client returns a client of the environment's account. Without an account it is that of a new fake, whose
// previews take 8 s, and stderr says so.
func Client(account bool, stderr io.Writer, opts ...creatify.Option) (*creatify.Client, error) {
	if account {
		return creatify.NewFromEnv(opts...)
	}
	fmt.Fprintln(stderr, NoAccount)
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 8 * time.Second}})
	return creatify.New(creatifytest.APIID, creatifytest.APIKey, append([]creatify.Option{creatify.WithHTTPClient(fake.HTTPClient())}, opts...)...)
}

// Orders returns the file of a program's orders. Without an account it is in a folder of its own, which
// remove removes: a fake's jobs end with the program, and so do the orders.
func Orders(account bool, file string) (path string, remove func()) {
	if account {
		return file, func() {}
	}
	folder := filepath.Join(os.TempDir(), "creatify-"+rand.Text())
	_ = os.Mkdir(folder, 0o700) // if that fails, so does whoever opens the file
	return filepath.Join(folder, "orders.db"), func() { os.RemoveAll(folder) }
}

// NoAccount is what a program says when it uses the fake.
const NoAccount = `This is a fake API, built in: nothing is charged.
Set CREATIFY_API_ID and CREATIFY_API_KEY for real.`
