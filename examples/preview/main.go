// Preview makes a preview of a custom template, waits for it and prints its URL. Without an account it uses a fake of the API
// that is built in. For its flags and exit codes: go run ./examples/preview -h
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// The exit codes.
const (
	ready       = 0
	noPreview   = 1
	badUsage    = 2
	notKnownYet = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C kills
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 8 * time.Second}})
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, fake))
}

// run is the program without its process. The options are for the client of a real account.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, fake *creatifytest.API, opts ...creatify.Option) int {
	flags, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return ready
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		fmt.Fprintln(stderr, "For the usage: go run ./examples/preview -h")
		return badUsage
	}

	progress := newProgress(stderr)
	opts = append(opts, creatify.WithHooks(creatify.Hooks{Poll: progress.poll}))
	var client *creatify.Client
	if flags.account {
		client, err = creatify.NewFromEnv(opts...)
	} else {
		fmt.Fprintln(stderr, "No CREATIFY_API_ID and CREATIFY_API_KEY set: running against the built-in fake API, nothing is charged.")
		client, err = creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return badUsage
	}

	options := []creatify.WaitOption{
		creatify.WithMaxWait(flags.maxWait),
		creatify.WithOnCreated(func(job *creatify.Job) error {
			// A service stores the ID here: with it, the wait can be resumed after a crash without a second charge.
			progress.say("Job %s is created. %s", job.ID, resume(job.ID, flags.account))
			return nil
		}),
		creatify.WithOnUpdate(progress.show),
	}
	var job *creatify.Job
	if flags.jobID != "" {
		progress.await("the API to show job " + flags.jobID)
		job, err = client.Jobs.WaitForPreview(ctx, flags.jobID, options...)
	} else {
		progress.await("the API to create the job")
		job, err = client.Jobs.CreatePreviewAndWait(ctx, flags.params, options...)
	}
	progress.stop()
	if err != nil {
		return explain(err, flags.account, stderr)
	}
	if flags.account {
		fmt.Fprintf(stderr, "The preview is ready (credits used: %v). Its page:\n", job.CreditsUsed)
	} else {
		fmt.Fprintln(stderr, "The preview is ready. Its page, made up by the fake API:")
	}
	if _, err := fmt.Fprintln(stdout, job.Preview); err != nil {
		fmt.Fprintf(stderr, "The URL could not be written: %v. It is %s\n", err, job.Preview)
		return noPreview
	}
	return ready
}

// explain prints why there is no preview and what to do about it.
func explain(err error, account bool, stderr io.Writer) (exitCode int) {
	if wait, ok := errors.AsType[*creatify.WaitError](err); ok {
		fmt.Fprintln(stderr, err)
		fmt.Fprintln(stderr, resume(wait.JobID, account))
		return notKnownYet
	}
	if unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err); ok {
		fmt.Fprintln(stderr, err)
		if unknown.JobID != "" {
			fmt.Fprintln(stderr, resume(unknown.JobID, account))
		}
		return notKnownYet
	}
	if invalid, ok := errors.AsType[*creatify.ValidationError](err); ok {
		for _, p := range invalid.Problems {
			fmt.Fprintf(stderr, "%s: %s\n", flagOf(p.Field), p.Message)
		}
		fmt.Fprintln(stderr, "Nothing was sent, so nothing was charged.")
		return badUsage
	}
	fmt.Fprintln(stderr, err)
	return noPreview
}

// flagOf returns the flag that a parameter comes from.
func flagOf(parameter string) string {
	if name, ok := strings.CutPrefix(parameter, "variables."); ok {
		return "-var " + name
	}
	flags := map[string]string{"template_id": "-template", "name": "-name", "id": "-job"}
	return cmp.Or(flags[parameter], parameter)
}

func resume(jobID string, account bool) string {
	text := "To resume the wait, free of charge:\n  go run ./examples/preview -job " + jobID
	if !account {
		text += "\n(With an account, that is: this fake job ends with the program.)"
	}
	return text
}
