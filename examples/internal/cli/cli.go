// Package cli is what the example programs share: how they start and end, and the line in which they show
// their progress.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// Main runs a program in this process. Its context ends with the first Ctrl-C or SIGTERM; a second one kills
// the process.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) (exitCode int)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Parse sets flags from args. For -h it prints the help and returns flag.ErrHelp.
func Parse(set *flag.FlagSet, help string, args []string, stdout io.Writer) error {
	set.SetOutput(io.Discard)
	err := set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, help)
	case err == nil && set.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q: everything is given by flags", set.Arg(0))
	}
	return err
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

// Account reports whether the environment names an account. Half of one is an error: whoever means the real
// API must not get the fake.
func Account() (bool, error) {
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

// Client returns a client of the environment's account. Without an account it is the fake's, and stderr says
// so.
func Client(account bool, fake *creatifytest.API, stderr io.Writer, opts ...creatify.Option) (*creatify.Client, error) {
	if account {
		return creatify.NewFromEnv(opts...)
	}
	fmt.Fprintln(stderr, NoAccount)
	return creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
}

// NoAccount is what a program says when it uses the fake.
const NoAccount = `This is a fake API, built in: nothing is charged.
Set CREATIFY_API_ID and CREATIFY_API_KEY for real.`
