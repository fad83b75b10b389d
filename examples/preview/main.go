// Preview makes a preview of a custom template, waits for it and prints its URL. Without an account it uses a
// fake of the API that is built in. For its flags and exit codes: go run ./examples/preview -h
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/examples/internal/cli"
)

// The exit codes.
const (
	ready       = 0
	noPreview   = 1
	badUsage    = 2
	notKnownYet = 3
)

func main() { cli.Main(run) }

// run is the program without its process. The options are for its client.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, opts ...creatify.Option) (exitCode int) {
	flags, err := parseFlags(args, stdout)
	if err != nil {
		return cli.BadUsage(stderr, "preview", err)
	}
	progress := cli.NewProgress(stderr)
	defer progress.Stop()
	failed := creatify.Hooks{Poll: func(ctx context.Context, poll creatify.PollCall) (context.Context, func(creatify.PollResult)) {
		return ctx, func(r creatify.PollResult) {
			if r.Err != nil && ctx.Err() == nil {
				progress.Say("Poll %d failed, and is tried again: %v", poll.Number, r.Err)
			}
		}
	}}
	client, err := cli.Client(flags.account, stderr, append(opts, creatify.WithHooks(failed))...)
	if err != nil {
		return cli.BadUsage(stderr, "preview", err)
	}

	created := context.AfterFunc(ctx, func() { progress.Say("Stopping when the API has responded, in 10 s at most.") })
	options := []creatify.WaitOption{
		creatify.WithMaxWait(flags.maxWait),
		creatify.WithOnCreated(func(job *creatify.Job) error {
			created()
			// A service stores the ID here: with it, the wait can be resumed after a crash without a second
			// charge.
			progress.Say("Job %s is created.\n%s", job.ID, resume(job.ID, flags.account))
			return nil
		}),
		creatify.WithOnUpdate(func(job *creatify.Job) { progress.Show(job.Progress, string(job.Status)) }),
	}
	if !flags.account { // the fake's progress is worth watching
		options = append(options, creatify.WithSchedule(creatify.FixedInterval(time.Second)))
	}
	var job *creatify.Job
	if flags.jobID != "" {
		created()
		progress.Show(-1, "waiting for the API to show job "+flags.jobID)
		job, err = client.Jobs.WaitForPreview(ctx, flags.jobID, options...)
	} else {
		progress.Show(-1, "waiting for the API to create the job")
		job, err = client.Jobs.CreatePreviewAndWait(ctx, flags.params, options...)
	}
	progress.Stop()
	if err != nil {
		return explain(err, flags.account, stderr)
	}
	if flags.account {
		fmt.Fprintf(stderr, "The preview is ready (credits used: %v). Its page:\n", job.CreditsUsed)
	} else {
		fmt.Fprintln(stderr, "The preview is ready. Its page (of the fake API):")
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
		text += "\n(With an account: the fake ends with the program.)"
	}
	return text
}
