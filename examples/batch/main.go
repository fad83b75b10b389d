// Batch makes previews of a custom template for all rows of a CSV file, under a budget, and writes a CSV file
// of results. It may be stopped or killed at any time, and run again without paying twice for a row. Without
// an account it uses a fake of the API that is built in. For its flags and exit codes: go run
// ./examples/batch -h
package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/durable"
	"github.com/creatify-community/creatify-go/examples/internal/cli"
	"github.com/gofrs/flock"
)

//go:generate go run github.com/creatify-community/creatify-go/cmd/creatify-gen -out templates_gen.go

//go:embed help.txt
var help string

//go:embed rows.csv
var sample []byte

func main() { cli.Main(run) }

type batch struct {
	account  bool // there is one in the environment
	out      string
	budget   float64
	orders   []durable.Order // one for each row
	queue    *durable.Queue
	progress *cli.Progress
	unknown  int    // orders, before this run
	paused   string // why nothing is sent
}

// parse reads the flags and the rows.
func parse(args []string, stdout io.Writer) (b *batch, err error) {
	b = &batch{}
	set, rows := flag.NewFlagSet("batch", flag.ContinueOnError), sample
	in := set.String("in", "", "")
	set.StringVar(&b.out, "out", "results.csv", "")
	set.Float64Var(&b.budget, "budget", 20, "")
	b.account, err = cli.Parse(set, help, args, stdout)
	input, _ := os.Stat(*in)
	output, _ := os.Stat(b.out)
	switch {
	case err != nil:
		return nil, err
	case b.account && *in == "":
		return nil, errors.New("-in is missing: with an account the rows must be yours")
	case b.out == "" || output != nil && !output.Mode().IsRegular(): // found at the end, it would be after the payment
		return nil, errors.New("-out must be a file")
	case os.SameFile(input, output):
		return nil, errors.New("-in and -out are the same file")
	case !(b.budget > 0 && b.budget < math.MaxInt32):
		return nil, errors.New("-budget must be a number of credits above zero")
	case *in != "":
		if rows, err = os.ReadFile(*in); err != nil {
			return nil, err
		}
	}
	if b.orders, err = readRows(rows); err != nil {
		return nil, fmt.Errorf("%s:\n%w", *in, err)
	}
	return b, nil
}

// run is the program without its process. The options are for its client.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, opts ...creatify.Option) (exitCode int) {
	bad := func(err error) int { return cli.BadUsage(stderr, "batch", err) }
	b, err := parse(args, stdout)
	if err != nil {
		return bad(err)
	}
	client, err := cli.Client(b.account, stderr, append(opts, creatify.WithTemplateCheck(time.Hour))...)
	if err != nil {
		return bad(err)
	}
	database, remove := cli.Orders(b.account, b.out+".db")
	defer remove()
	lock := flock.New(database + ".lock")
	if locked, err := lock.TryLock(); err != nil || !locked {
		return bad(cmp.Or(err, fmt.Errorf("%s is in use by another run: wait for its end", database)))
	}
	defer lock.Unlock()
	b.progress = cli.NewProgress(stderr)
	defer b.progress.Stop()
	log := slog.New(slog.NewTextHandler(b.progress, nil))
	if b.queue, err = durable.OpenFile(ctx, database, durable.Options{Client: client, Credits: b.budget, Logger: log}); err != nil {
		return bad(err)
	}
	defer b.queue.Close()
	if err := b.submit(ctx); err != nil {
		return bad(err)
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error)
	go func() { ended <- b.queue.Run(running) }()
	err = b.watch(context.WithoutCancel(ctx), stop, ended)
	b.progress.Stop()
	exitCode, reportErr := b.report(context.WithoutCancel(ctx), stdout, stderr)
	if err = errors.Join(err, reportErr); err != nil {
		fmt.Fprintf(stderr, "%v\n%s", err, again)
		return 3
	}
	return exitCode
}

const again = "Run the same command again to continue. No row is paid twice.\n"

// submit stores the rows beside what earlier runs have stored. It sends none.
func (b *batch) submit(ctx context.Context) error {
	rows := map[string]bool{}
	for _, row := range b.orders {
		rows[row.ID] = true
		if _, err := b.queue.Submit(ctx, row); errors.Is(err, durable.ErrConflict) {
			return fmt.Errorf("row %q: an earlier run has it with other values (give a changed row a new id)", row.ID)
		} else if err != nil {
			return err
		}
	}
	all, err := b.queue.List(ctx, durable.Filter{Limit: math.MaxInt32})
	for _, o := range all {
		switch {
		case o.State == durable.StateQueued && !rows[o.ID]:
			fmt.Fprintf(b.progress, "Row %q has left the file and is not sent.\n", o.ID)
			err = errors.Join(err, b.queue.Cancel(ctx, o.ID))
		case o.State == durable.StateExpired:
			_ = b.queue.Resolve(ctx, o.ID, "", "batch") // otherwise it stays expired
		case o.State == durable.StateUnknown:
			b.unknown++
		}
	}
	return errors.Join(err, b.queue.Resume(ctx)) // by now the account may have credits, or the right key
}

// watch shows the progress until the run has ended. It stops the run when no order moves, and when many
// responses are lost.
func (b *batch) watch(ctx context.Context, stop func(), ended <-chan error) error {
	for {
		select {
		case err := <-ended:
			return err
		case <-time.After(200 * time.Millisecond):
		}
		counts, err := b.queue.Counts(ctx)
		n := counts.Orders
		queued, moving := n[durable.StateQueued], n[durable.StateSending]+n[durable.StateWaiting]
		text := fmt.Sprintf("%d done, %d under way, %d queued", n[durable.StateDone], moving, queued)
		if first, _ := b.queue.List(ctx, durable.Filter{State: durable.StateQueued, Limit: 1}); len(first) > 0 && first[0].Reason != "" {
			text += " (" + first[0].Reason + ")"
		}
		b.progress.Show(1-float64(queued+moving)/float64(len(b.orders)), text)
		b.paused = counts.Paused
		if n[durable.StateUnknown] >= b.unknown+10 { // each of them is perhaps paid
			b.paused, moving = "outcome_unknown", 0
		}
		if err != nil || moving == 0 && (queued == 0 || b.paused != "") {
			stop()
		}
	}
}

// hints are what a person can do about a state, or about the reason why nothing is sent.
var hints = map[string]string{
	"refused":              ", not paid: the results say why (give a corrected row a new id)",
	"unknown":              ", perhaps paid, and not sent again: look in the account for a job of the row's name (without one, give the row a new id)",
	"cancelled":            ", missing in an earlier run (give the row a new id)",
	"insufficient_credits": "The account has too few credits: add some. ",
	"unauthorized":         "The API refuses the key: check CREATIFY_API_ID and CREATIFY_API_KEY. ",
	"outcome_unknown":      "Many responses were lost: see whether the API is well. ",
	"budget_exceeded":      "The budget is used up: give a larger -budget. ",
}

// report writes the results, and prints what to do about the rows that are not done.
func (b *batch) report(ctx context.Context, stdout, stderr io.Writer) (exitCode int, err error) {
	n, unknown := map[durable.State]int{}, 0.0
	for i, row := range b.orders {
		o, err := b.queue.Get(ctx, row.ID)
		if err != nil {
			return 0, err
		}
		b.orders[i] = *o
		n[o.State]++
	}
	counts, err := b.queue.Counts(ctx)
	for _, state := range []durable.State{durable.StateUnknown, durable.StateSending} { // also of rows that have left the file
		all, listErr := b.queue.List(ctx, durable.Filter{State: state, Limit: math.MaxInt32})
		err = errors.Join(err, listErr)
		for i, o := range all {
			n[state], unknown = i+1, unknown+o.Credits
		}
	}
	if err = errors.Join(err, writeResults(b.out, b.orders)); err != nil {
		return 0, err
	}
	fmt.Fprintf(stdout, "Results: %s, with %d rows\n", b.out, len(b.orders))
	for _, state := range slices.Sorted(maps.Keys(n)) {
		fmt.Fprintf(stdout, "  %d %s%s\n", n[state], state, hints[string(state)])
	}
	fmt.Fprintf(stdout, "Credits: %v spent, %v unknown, %v of %v left\n", counts.Credits-unknown, unknown, b.budget-counts.Credits, b.budget)
	open := n[durable.StateQueued] + n[durable.StateSending] + n[durable.StateWaiting] + n[durable.StateExpired]
	switch {
	case open > 0:
		fmt.Fprint(stderr, hints[b.paused], again)
		return 3, nil
	case n[durable.StateUnknown] > 0:
		return 3, nil
	case n[durable.StateDone] < len(b.orders):
		return 1, nil
	}
	return 0, nil
}
