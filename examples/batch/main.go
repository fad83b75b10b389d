// Batch makes previews of a custom template for all rows of a CSV file, under a budget, and writes a CSV of results. It can
// be stopped and run again without paying twice for a row. Without an account it does so against a fake of the API that is
// built in. Its flags and exit codes: go run ./examples/batch -h
package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

//go:generate go run github.com/creatify-community/creatify-go/cmd/creatify-gen -out templates_gen.go

//go:embed rows.csv
var sample string

const about = `Makes a preview for each row of a CSV file: with a column id, which is unique, and one for each variable of the template.

  go run ./examples/batch                    try it with rows that are built in, against a fake of the API that is, too
  go run ./examples/batch -in rows.csv -out results.csv -budget 20

With CREATIFY_API_ID and CREATIFY_API_KEY set it uses that account, at CREATIFY_BASE_URL if that is set, and each preview
costs credits. With neither set it uses the fake, and nothing is charged. The template is that of templates_gen.go, which
go generate writes anew for an account.

Next to the results it keeps a journal, by which the same command goes on after a stop or a crash: jobs that there are are
waited for, free of charge, and rows that may have been paid are not sent again.

`

const exitCodes = `
Exit codes (go run prints them, and itself exits with 1):
  0  all rows are done
  1  some failed, were rejected, or were refused by the API; the reasons are in the results
  2  bad usage or bad rows; nothing was sent
  3  not finished: it was stopped, or the budget is used up, or it is not known what became of a row; what to do is printed
`

// grace is how long a create that is under way may go on after a stop: without its reply, what was paid is not known.
const grace = 5 * time.Second

// mostLost is how many creates in a row may get lost before no more are sent.
const mostLost = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C kills
	fake := creatifytest.New(creatifytest.Config{
		Life: creatifytest.Life{Duration: 8 * time.Second},
		Seed: uint64(time.Now().UnixNano()), // a run that goes on after another has jobs of its own
	})
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, fake))
}

type flags struct {
	account bool // there is one in the environment
	in, out string
	budget  float64
	length  time.Duration
}

func parseFlags(args []string, stderr io.Writer) (*flags, error) {
	f := &flags{}
	set := flag.NewFlagSet("batch", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.in, "in", "", "the `file` of rows; required with an account (default: rows that are built in)")
	set.StringVar(&f.out, "out", "results.csv", "the `file` of results; the journal has its name and .journal")
	set.Float64Var(&f.budget, "budget", 0, "the most `credits` that the rows may cost, over all runs; required with an account (default 20)")
	set.DurationVar(&f.length, "length", 30*time.Second, "the `length` of the videos, for the estimate of what each costs")
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
	budgetGiven := false
	set.Visit(func(g *flag.Flag) { budgetGiven = budgetGiven || g.Name == "budget" })
	if !f.account && !budgetGiven {
		f.budget = 20
	}
	input, _ := os.Stat(f.in)
	output, _ := os.Stat(f.out)
	switch {
	case id != key: // whoever means the real API must not get the fake
		return nil, errors.New("of CREATIFY_API_ID and CREATIFY_API_KEY one is missing: set both for an account, or neither for the built-in fake")
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
	case f.length <= 0:
		return nil, errors.New("-length must be above zero")
	}
	return f, nil
}

// run is the program, less the process around it. The options are for the client of a real account.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, fake *creatifytest.API, opts ...creatify.Option) int {
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
	rows, err := readRows(input)
	if err != nil {
		return bad(fmt.Errorf("%s:\n%w", cmp.Or(flags.in, "the sample"), err))
	}
	journal, err := openJournal(flags.out, flags.account)
	if err != nil {
		return bad(err)
	}
	defer journal.file.Close()
	if err := journal.changed(rows); err != nil {
		return bad(err)
	}

	estimate, _ := creatify.EstimateCredits(creatify.OperationPreview, "", flags.length)
	budget := creatify.WithBudget(creatify.NewBudget(creatify.BudgetOptions{Credits: flags.budget, Spent: journal.spent(estimate), VideoLength: flags.length}))
	var client *creatify.Client
	if flags.account {
		client, err = creatify.NewFromEnv(append(opts, budget)...)
	} else {
		fmt.Fprintln(stderr, "No CREATIFY_API_ID and CREATIFY_API_KEY set: running against the built-in fake API, nothing is charged.")
		client, err = creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()), budget)
	}
	if err != nil {
		return bad(err)
	}
	b := &batch{client: client, tracker: client.Jobs.NewTracker(creatify.TrackerOptions{}), journal: journal, rows: rows,
		progress: newProgress(stderr, len(rows))}
	b.run(ctx)
	return b.report(flags.out, stdout, stderr)
}

type batch struct {
	client   *creatify.Client
	tracker  *creatify.Tracker
	journal  *journal
	rows     []row
	progress *progress
	stop     context.CancelFunc
}

func (b *batch) run(ctx context.Context) {
	ctx, b.stop = context.WithCancel(ctx)
	defer b.stop()
	defer b.progress.stop()
	defer b.tracker.Close()
	for _, r := range b.rows {
		switch e := b.journal.row(r.id); e.Event {
		case created:
			job := creatify.PendingJob{ID: e.Job, Started: e.At, TemplateID: r.params.TemplateID}
			b.follow(e, func() error { return b.tracker.Resume([]creatify.PendingJob{job}) })
		case done, failed, rejected, unknown:
			b.progress.count(e)
		}
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer b.tracker.Finish()
		b.create(ctx)
	}()
	for job, err := range b.tracker.Results(ctx) {
		b.record(ended(job, err))
	}
	<-finished
}

// record puts an event into the journal, without which nothing must go on.
func (b *batch) record(e event) bool {
	e.Row = cmp.Or(e.Row, b.journal.rowOf(e.Job))
	if err := b.journal.record(e); err != nil {
		b.progress.say("The journal cannot be written, so that nothing more is sent: %v", err)
		b.progress.say("%s: %s %s", e.Row, e.Event, e.Job)
		b.stop()
		return false
	}
	b.progress.count(e)
	return true
}

// create makes the jobs of the rows that are open, one after the other, until something concerns all of them.
func (b *batch) create(ctx context.Context) {
	paid, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	for lost, i := 0, 0; i < len(b.rows) && lost < mostLost && ctx.Err() == nil; i++ {
		r := b.rows[i]
		if !b.journal.row(r.id).mayBeSent() {
			continue
		}
		if !b.record(event{Event: creating, Row: r.id, Sum: r.sum}) {
			return
		}
		job, err := b.client.Jobs.CreatePreview(paid, r.params)
		outcome, notKnown := errors.AsType[*creatify.OutcomeUnknownError](err)
		refusal, isRefusal := errors.AsType[*creatify.APIError](err)
		switch {
		case err == nil:
			lost = 0
			b.follow(event{Event: created, Row: r.id, Job: job.ID}, func() error { return b.tracker.AddCreated(job, r.params) })
		case notKnown && outcome.JobID != "":
			b.follow(event{Event: created, Row: r.id, Job: outcome.JobID, Reason: err.Error()}, func() error { return b.tracker.Add(outcome.JobID) })
		case notKnown:
			lost++
			b.record(event{Event: unknown, Row: r.id, Reason: err.Error()})
		case isRefusal:
			b.record(event{Event: refused, Row: r.id, Reason: err.Error()})
			if refusal.Is(creatify.ErrUnauthorized) || refusal.Is(creatify.ErrInsufficientCredits) || refusal.Is(creatify.ErrRateLimited) {
				return
			}
		default:
			b.record(event{Event: open, Row: r.id, Reason: err.Error()})
			return
		}
	}
}

// follow gives a job to the tracker when its ID is on disk.
func (b *batch) follow(e event, add func() error) {
	if !b.record(e) {
		return
	}
	if err := add(); err != nil {
		e.Reason = err.Error()
		b.record(e)
	}
}

// ended is the event of a result of the tracker.
func ended(job *creatify.Job, err error) event {
	if wait, ok := errors.AsType[*creatify.WaitError](err); ok {
		return event{Event: created, Job: wait.JobID, Reason: err.Error()} // whatever the cause: there is a job
	}
	e := event{}
	if bad, ok := errors.AsType[*creatify.JobError](err); ok {
		job, e.Reason = bad.Job, cmp.Or(bad.Job.FailedReason, "the API gives no reason")
	}
	e.Event, e.Job, e.Preview, e.Credits = string(job.Status), job.ID, job.Preview, job.CreditsUsed
	return e
}

// report writes the results, and says what to do about the rows that are not done.
func (b *batch) report(path string, stdout, stderr io.Writer) (exitCode int) {
	if err := b.journal.writeResults(path, b.rows); err != nil {
		fmt.Fprintf(stderr, "The results cannot be written; the journal has them: %v\n", err)
		exitCode = 3
	} else {
		fmt.Fprintf(stdout, "Results: %s\n", path)
	}
	n := b.journal.counts(b.rows)
	fmt.Fprintf(stdout, "%d rows: %d done, %d failed, %d rejected, %d refused, %d under way, %d unknown, %d not made yet\n", len(b.rows),
		n[done], n[failed], n[rejected], n[refused], n[created], n[unknown]+n[creating], n[open])
	if lost := n[unknown] + n[creating]; lost > 0 {
		fmt.Fprintf(stderr, "Unknown rows: %d. They may have been paid, and are not sent again. Look in the account for jobs with their ids as names; "+
			"for one that is not there, give the row a new id.\n", lost)
	}
	if n[open]+n[refused]+n[created] > 0 {
		fmt.Fprintln(stderr, "To go on, without paying twice for a row, run the same command again (or with a larger -budget, if that was used up).")
	}
	switch {
	case exitCode != 0 || n[created]+n[unknown]+n[creating]+n[open] > 0:
		return 3
	case n[done] < len(b.rows):
		return 1
	}
	return 0
}

// progress shows how far all rows are: by one bar on a terminal, else by a line for each step.
type progress struct {
	mu          sync.Mutex
	out         io.Writer
	bars        *mpb.Progress
	bar         *mpb.Bar
	ended, rows int
}

func newProgress(out io.Writer, rows int) *progress {
	p := &progress{out: out, rows: rows}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(40))
		p.bar = p.bars.AddBar(int64(rows),
			mpb.PrependDecorators(decor.CountersNoUnit("%d of %d rows ")),
			mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 8})))
		p.out = p.bars
	}
	return p
}

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format+"\n", args...)
}

func (p *progress) count(e event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Event {
	case creating:
		return
	case done, failed, rejected, unknown:
		p.ended++
	}
	if p.bar != nil {
		p.bar.SetCurrent(int64(p.ended))
	}
	if p.bar != nil && e.Reason == "" {
		return // the bar says it
	}
	line := fmt.Sprintf("[%d/%d] %s: %s", p.ended, p.rows, e.Row, e.Event)
	if e.Job != "" {
		line += " " + e.Job
	}
	if e.Reason != "" {
		line += fmt.Sprintf(": %q", e.Reason)
	}
	fmt.Fprintln(p.out, line)
}

func (p *progress) stop() {
	if p.bars != nil {
		p.bar.Abort(false)
		p.bars.Wait()
	}
}
