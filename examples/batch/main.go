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
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/durable"
	"github.com/creatify-community/creatify-go/examples/internal/cli"
	"github.com/gofrs/flock"
)

//go:generate go run github.com/creatify-community/creatify-go/cmd/creatify-gen -out templates_gen.go

//go:embed help.txt
var help string

//go:embed rows.csv
var sample []byte

func main() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 4 * time.Second}})
	cli.Main(func(ctx context.Context, args []string, stdout, stderr io.Writer) int {
		return run(ctx, args, stdout, stderr, fake)
	})
}

type batch struct {
	out      string // the file of the results
	budget   float64
	orders   []durable.Order // as the rows ask for them
	queue    *durable.Queue
	progress *cli.Progress
}

// parse reads the flags and the rows.
func parse(args []string, account bool, stdout io.Writer) (*batch, error) {
	b, in, text := &batch{}, "", sample
	set := flag.NewFlagSet("batch", flag.ContinueOnError)
	set.StringVar(&in, "in", "", "")
	set.StringVar(&b.out, "out", "results.csv", "")
	set.Float64Var(&b.budget, "budget", 0, "")
	err := cli.Parse(set, help, args, stdout)
	if !account {
		b.budget = cmp.Or(b.budget, 20)
	}
	input, _ := os.Stat(in)
	output, _ := os.Stat(b.out)
	switch {
	case err != nil:
		return nil, err
	case account && in == "":
		return nil, errors.New("-in is missing: with an account the rows must be yours")
	case input != nil && output != nil && os.SameFile(input, output):
		return nil, errors.New("-in and -out are the same file")
	case !(b.budget > 0 && b.budget < math.MaxInt32):
		return nil, errors.New("-budget must be a number of credits above zero")
	case in != "":
		if text, err = os.ReadFile(in); err != nil {
			return nil, err
		}
	}
	if b.orders, err = readRows(text); err != nil {
		return nil, fmt.Errorf("%s:\n%w", in, err)
	}
	return b, nil
}

// run is the program without its process. The options are for the client of a real account.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, fake *creatifytest.API, opts ...creatify.Option) int {
	bad := func(err error) int { return cli.BadUsage(stderr, "batch", err) }
	account, err := cli.Account()
	if err != nil {
		return bad(err)
	}
	b, err := parse(args, account, stdout)
	if err != nil {
		return bad(err)
	}
	client, err := cli.Client(account, fake, stderr, append(opts, creatify.WithTemplateCheck(time.Hour))...)
	if err != nil {
		return bad(err)
	}
	database := b.out + ".db"
	if !account { // the fake's jobs end with this process, and so do the orders
		dir, err := os.MkdirTemp("", "batch-*")
		if err != nil {
			return bad(err)
		}
		defer os.RemoveAll(dir)
		database = filepath.Join(dir, "fake.db")
	}
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
	paused, err := b.follow(ctx)
	b.progress.Stop()
	exitCode, reportErr := b.report(context.WithoutCancel(ctx), paused, stdout, stderr)
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
		b.progress.Show(float64(len(rows))/float64(len(b.orders)), "storing the rows")
		if _, err := b.queue.Submit(ctx, row); errors.Is(err, durable.ErrConflict) {
			return fmt.Errorf("row %q: an earlier run has it with other values (give a changed row a new id)", row.ID)
		} else if err != nil {
			return err
		}
	}
	all, err := b.queue.List(ctx, durable.Filter{Limit: math.MaxInt32})
	for _, o := range all {
		switch {
		case o.State == durable.StateQueued && !rows[o.ID]: // the row is gone
			err = errors.Join(err, b.queue.Cancel(ctx, o.ID))
		case o.State == durable.StateExpired:
			if err := b.queue.Resolve(ctx, o.ID, o.JobID, "batch"); err != nil {
				b.progress.Say("%v", err)
			}
		}
	}
	return errors.Join(err, b.queue.Resume(ctx)) // by now the account may have credits, or the right key
}

// mostLost is how many responses may be lost in a run. Each leaves a row of which nobody knows whether it was
// paid.
const mostLost = 10

// follow runs the queue until nothing moves, nothing is to be sent, or ctx ends. It returns why nothing is
// sent.
func (b *batch) follow(ctx context.Context) (paused string, err error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	before, err := b.queue.Counts(ctx)
	ended := make(chan error)
	go func() { ended <- b.queue.Run(running) }()
	for ticks := time.Tick(200 * time.Millisecond); ; {
		counts, lookErr := b.look(context.WithoutCancel(ctx))
		n := counts.Orders
		if n[durable.StateUnknown]-before.Orders[durable.StateUnknown] >= mostLost {
			counts.Paused = "outcome_unknown"
			stop()
		}
		if n[durable.StateSending]+n[durable.StateWaiting] == 0 && (n[durable.StateQueued] == 0 || counts.Paused != "") || lookErr != nil {
			stop()
		}
		select {
		case endErr := <-ended:
			return counts.Paused, errors.Join(err, endErr, lookErr)
		case <-ticks:
		}
	}
}

// look counts the orders, and shows how far they are.
func (b *batch) look(ctx context.Context) (durable.Counts, error) {
	counts, err := b.queue.Counts(ctx)
	n := counts.Orders
	open := n[durable.StateQueued] + n[durable.StateSending] + n[durable.StateWaiting]
	text := summary(n)
	if first, _ := b.queue.List(ctx, durable.Filter{State: durable.StateQueued, Limit: 1}); len(first) > 0 && first[0].Reason != "" {
		text += " (" + first[0].Reason + ")"
	}
	b.progress.Show(1-float64(open)/float64(len(b.orders)), text)
	return counts, err
}

func summary(n map[durable.State]int) string {
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%d %s", n[state], state))
	}
	return strings.Join(parts, ", ")
}

// todo is what a person can do about a state, or about the reason of a pause.
var todo = map[string]string{
	"failed":    "the results say why",
	"rejected":  "the results say why",
	"refused":   "not paid; the results say why (give a corrected row a new id)",
	"unknown":   "perhaps paid, and not sent again (look in the account for a job of the row's name; without one, give the row a new id)",
	"cancelled": "missing in an earlier run (give the row a new id)",

	"insufficient_credits": "The account has too few credits: add some. ",
	"unauthorized":         "The API refuses the key: check CREATIFY_API_ID and CREATIFY_API_KEY. ",
	"outcome_unknown":      "Too many responses were lost: see whether the API is well. ",
	"budget_exceeded":      "The budget is used up: give a larger -budget. ",
}

// report writes the results, and prints what to do about the rows that are not done.
func (b *batch) report(ctx context.Context, paused string, stdout, stderr io.Writer) (exitCode int, err error) {
	var final []*durable.Order
	n, credits := map[durable.State]int{}, map[durable.State]float64{}
	for _, row := range b.orders {
		o, err := b.queue.Get(ctx, row.ID)
		if err != nil {
			return 0, err
		}
		final = append(final, o)
		n[o.State]++
		credits[o.State] += o.Credits
	}
	counts, err := b.queue.Counts(ctx)
	if err = errors.Join(err, writeResults(b.out, final)); err != nil {
		return 0, err
	}
	unknown := credits[durable.StateUnknown] + credits[durable.StateSending]
	fmt.Fprintf(stdout, "Results: %s\n%d rows: %s\nCredits: %v spent, %v unknown, %v of %v left\n", b.out, len(final), summary(n),
		counts.Credits-unknown, unknown, b.budget-counts.Credits, b.budget)
	for _, state := range slices.Sorted(maps.Keys(n)) {
		if hint := todo[string(state)]; hint != "" {
			fmt.Fprintf(stderr, "%d %s: %s.\n", n[state], state, hint)
		}
	}
	open := n[durable.StateQueued] + n[durable.StateSending] + n[durable.StateWaiting] + n[durable.StateExpired]
	if open > 0 {
		fmt.Fprint(stderr, todo[paused], again)
	}
	switch {
	case open+n[durable.StateUnknown] > 0:
		return 3, nil
	case n[durable.StateDone] < len(final):
		return 1, nil
	}
	return 0, nil
}
