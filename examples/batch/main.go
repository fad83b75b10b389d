// Batch makes previews of a custom template for all rows of a CSV file, under a budget, and writes a CSV of results. It can be
// stopped or killed at any time and run again without paying twice for a row. Without an account it uses a fake of the API that
// is built in. For its flags and exit codes: go run ./examples/batch -h
package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/durable"
	"github.com/gofrs/flock"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

//go:generate go run github.com/creatify-community/creatify-go/cmd/creatify-gen -out templates_gen.go

//go:embed rows.csv
var sample string

const about = `Makes a preview for each row of a CSV file, which has a column id and one for each
variable of the template.

  go run ./examples/batch                    try it, with rows that are built in
  go run ./examples/batch -in rows.csv -out results.csv -budget 20

With CREATIFY_API_ID and CREATIFY_API_KEY set it uses that account, at CREATIFY_BASE_URL
if that is set, and each preview costs credits. With neither set it uses a fake of the
API, and nothing is charged. The template is that of templates_gen.go, which go generate
writes anew for an account.

The orders are in a SQLite file beside the results. Run the same command again after a
stop or a crash: no row is paid twice, and jobs that exist are waited for, free.

`

const exitCodes = `
Exit codes (go run prints them, and itself exits with 1):
  0  all rows are done
  1  some failed, were rejected or were refused; the reasons are in the results
  2  bad usage or bad rows; nothing was sent
  3  not finished: stopped, out of budget, or unknown; what to do is printed
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

type flags struct {
	account bool // there is one in the environment
	in, out string
	budget  float64
}

func parseFlags(args []string, stderr io.Writer) (*flags, error) {
	f := &flags{}
	set := flag.NewFlagSet("batch", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.in, "in", "", "the `file` of rows; required with an account")
	set.StringVar(&f.out, "out", "results.csv", "the `file` of results; its orders are in the same with .db")
	set.Float64Var(&f.budget, "budget", 0, "the most `credits` that the rows may cost, over all runs;\nrequired with an account (default 20 with the fake)")
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		set.SetOutput(stderr)
		fmt.Fprint(stderr, about)
		set.PrintDefaults()
		fmt.Fprint(stderr, exitCodes)
		return nil, err
	} else if err != nil {
		return nil, err
	}
	id, key := os.Getenv("CREATIFY_API_ID") != "", os.Getenv("CREATIFY_API_KEY") != ""
	f.account = id && key
	if !f.account {
		f.budget = cmp.Or(f.budget, 20)
	}
	input, _ := os.Stat(f.in)
	output, _ := os.Stat(f.out)
	switch {
	case id != key: // whoever means the real API must not get the fake
		return nil, errors.New("one of CREATIFY_API_ID and CREATIFY_API_KEY is missing: set both for an account, or neither for the fake")
	case set.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: everything is given by flags", set.Arg(0))
	case f.out == "":
		return nil, errors.New("-out is empty")
	case f.account && f.in == "":
		return nil, errors.New("-in is missing: with an account the rows must be yours")
	case input != nil && output != nil && os.SameFile(input, output):
		return nil, errors.New("-in and -out are the same file")
	case !(f.budget > 0):
		return nil, errors.New("-budget must be a number above zero")
	}
	return f, nil
}

// run is the program without its process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	bad := func(err error) int {
		fmt.Fprintln(stderr, err)
		fmt.Fprintln(stderr, "Nothing was sent. For the usage: go run ./examples/batch -h")
		return 2
	}
	flags, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return bad(err)
	}
	input := io.Reader(strings.NewReader(sample))
	if flags.in != "" {
		file, err := os.Open(flags.in)
		if err != nil {
			return bad(err)
		}
		defer file.Close()
		input = file
	}
	orders, err := readRows(input)
	if err != nil {
		return bad(fmt.Errorf("%s:\n%w", cmp.Or(flags.in, "the sample"), err))
	}
	database := flags.out + ".db"
	var client *creatify.Client
	if flags.account {
		client, err = creatify.NewFromEnv()
	} else {
		fmt.Fprintln(stderr, "No CREATIFY_API_ID and CREATIFY_API_KEY set: running against the built-in fake API, nothing is charged.")
		dir, tempErr := os.MkdirTemp("", "batch-*") // the fake's jobs end with this process, and so do the orders
		if tempErr != nil {
			return bad(tempErr)
		}
		defer os.RemoveAll(dir)
		database = filepath.Join(dir, "fake.db")
		fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 4 * time.Second}})
		client, err = creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	}
	if err != nil {
		return bad(err)
	}
	lock := flock.New(database + ".lock")
	if locked, err := lock.TryLock(); err != nil || !locked {
		return bad(fmt.Errorf("%s is in use by another run: wait for its end (%w)", database, cmp.Or(err, errors.New("locked"))))
	}
	defer lock.Unlock()
	queue, err := durable.OpenFile(ctx, database, durable.Options{Client: client, Credits: flags.budget})
	if err != nil {
		return bad(err)
	}
	defer queue.Close()
	var changed error
	for _, o := range orders {
		if _, err := queue.Submit(ctx, o); err != nil {
			changed = errors.Join(changed, fmt.Errorf("row %s: %w (give a changed row a new id)", o.ID, err))
		}
	}
	if changed != nil {
		return bad(changed)
	}
	final, err := follow(ctx, queue, orders, newProgress(stderr, len(orders)))
	if err != nil {
		fmt.Fprintf(stderr, "The orders cannot be read: %v\nRun the same command again; no row is paid twice.\n", err)
		return 3
	}
	return report(flags, final, stdout, stderr)
}

// follow runs the queue until nothing moves, nothing is sent any more, or ctx ends, and returns the orders as they are then.
func follow(ctx context.Context, queue *durable.Queue, orders []durable.Order, p *progress) (final []*durable.Order, err error) {
	defer p.stop()
	running, stop := context.WithCancel(ctx)
	var queueErr error
	var done sync.WaitGroup
	done.Go(func() { queueErr = queue.Run(running) })
	for stopped := false; ; {
		var readErr error
		if final, readErr = read(context.WithoutCancel(ctx), queue, orders); stopped {
			return final, errors.Join(readErr, queueErr)
		}
		counts, err := queue.Counts(context.WithoutCancel(ctx))
		if p.show(final); readErr != nil || err != nil || running.Err() != nil || !p.moves(counts.Paused != "") {
			stop()
			done.Wait()
			stopped = true // and read once more what Run has put down
			continue
		}
		select {
		case <-running.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func read(ctx context.Context, queue *durable.Queue, orders []durable.Order) (all []*durable.Order, err error) {
	for _, o := range orders {
		now, err := queue.Get(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, now)
	}
	return all, nil
}

// report writes the results and says what to do about the rows that are not done.
func report(f *flags, orders []*durable.Order, stdout, stderr io.Writer) (exitCode int) {
	n, spent := map[durable.State]int{}, 0.0
	for _, o := range orders {
		n[o.State]++
		spent += o.Credits
	}
	var results bytes.Buffer
	err := writeResults(&results, orders)
	if err = errors.Join(err, os.WriteFile(f.out+".tmp", results.Bytes(), 0o600)); err == nil {
		err = os.Rename(f.out+".tmp", f.out)
	}
	if err != nil {
		fmt.Fprintf(stderr, "The results cannot be written: %v\nRun the same command again; nothing is paid twice.\n", err)
		exitCode = 3
	} else {
		fmt.Fprintf(stdout, "Results: %s\n", f.out)
	}
	fmt.Fprintf(stdout, "%d rows:", len(orders))
	for _, state := range []durable.State{durable.StateDone, durable.StateFailed, durable.StateRejected, durable.StateRefused,
		durable.StateExpired, durable.StateWaiting, durable.StateQueued, durable.StateUnknown} {
		if n[state] > 0 {
			fmt.Fprintf(stdout, " %d %s", n[state], state)
		}
	}
	unknown := n[durable.StateUnknown] + n[durable.StateSending]
	fmt.Fprintf(stdout, "\nCredits: %v spent or held, %v left, %d rows unknown\n", spent, f.budget-spent, unknown)
	if unknown > 0 {
		fmt.Fprintf(stderr, "Unknown: %d. They may have been paid, and are not sent again. Look in the account for jobs named as the rows; give a row "+
			"that has no job a new id.\n", unknown)
	}
	open := n[durable.StateQueued] + n[durable.StateWaiting] + n[durable.StateExpired]
	if open > 0 {
		fmt.Fprintln(stderr, "Run the same command again to continue, with a larger -budget if that is used up. No row is paid twice.")
	}
	switch {
	case exitCode != 0 || open+unknown > 0:
		return 3
	case n[durable.StateDone] < len(orders):
		return 1
	}
	return 0
}

// progress is one bar on a terminal, and a line for each change elsewhere.
type progress struct {
	out                     io.Writer
	bars                    *mpb.Progress
	bar                     *mpb.Bar
	states                  map[string]durable.State
	ended, queued, underWay int
}

func newProgress(out io.Writer, rows int) *progress {
	p := &progress{out: out, states: map[string]durable.State{}}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(40))
		p.bar = p.bars.AddBar(int64(rows), mpb.PrependDecorators(decor.CountersNoUnit("%d of %d rows ")),
			mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 8})))
		p.out = p.bars
	}
	return p
}

func (p *progress) show(orders []*durable.Order) {
	p.ended, p.queued, p.underWay = 0, 0, 0
	for _, o := range orders {
		troubled := false
		switch o.State {
		case durable.StateQueued:
			p.queued++
		case durable.StateSending, durable.StateWaiting:
			p.underWay++
		default:
			p.ended++
			troubled = o.State != durable.StateDone
		}
		if p.states[o.ID] != o.State && o.State != durable.StateQueued && (p.bar == nil || troubled) {
			fmt.Fprintln(p.out, strings.TrimSpace(fmt.Sprintf("%s: %s %s %s", o.ID, o.State, o.JobID, o.Reason)))
		}
		p.states[o.ID] = o.State
	}
	if p.bar != nil {
		p.bar.SetCurrent(int64(p.ended))
	}
}

// moves reports whether an order will change by itself. While the queue is paused, nothing queued is sent.
func (p *progress) moves(paused bool) bool { return p.underWay > 0 || p.queued > 0 && !paused }

func (p *progress) stop() {
	if p.bars != nil {
		p.bar.Abort(false)
		p.bars.Wait()
	}
}
