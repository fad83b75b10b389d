package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

type flags struct {
	account bool // there is one in the environment
	params  creatify.JobParams
	jobID   string
	maxWait time.Duration
}

const about = `Makes a preview of a Creatify custom template, waits for it, and prints the URL of its page: on standard output, and
nothing else there. Progress and errors go to standard error.

  go run ./examples/preview                    try it, against a fake of the API that is built in
  go run ./examples/preview -template ID -var headline=text:Hello -var photo=image:https://example.com/a.jpg
  go run ./examples/preview -job ID            resume the wait for a preview

With CREATIFY_API_ID and CREATIFY_API_KEY set it uses that account, at CREATIFY_BASE_URL if that is set, and a preview
costs credits. With neither set it uses the fake, and nothing is charged. Resuming a wait is free of charge.

`

const exitCodes = `
Exit codes (go run prints them, and itself exits with 1):
  0  the preview is ready
  1  there is no preview, and the reason is printed: the job failed or was rejected; or the API refused to create it or was
     not reached, and nothing was charged; or the URL could not be written
  2  bad usage; nothing was sent
  3  not known yet, and what to do is printed: the wait was interrupted or too long, its polls failed, or the response that
     creates the job was lost
`

// parseFlags reads the command line and looks in the environment for an account.
func parseFlags(args []string, stderr io.Writer) (*flags, error) {
	f := &flags{params: creatify.JobParams{Variables: creatify.Variables{}}}
	set := flag.NewFlagSet("preview", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.params.TemplateID, "template", "", "the template's `ID`; required with an account")
	set.Func("var", "a variable, as `name=type:value`; repeatable; types: "+variableTypes, f.addVariable)
	set.StringVar(&f.params.Name, "name", "", "a `name` for the job")
	set.Func("model", "the `model`: standard, aurora_v1 or aurora_v1_fast (default: the API's choice)", func(s string) error {
		f.params.ModelVersion = creatify.ModelVersion(s)
		return nil
	})
	set.DurationVar(&f.maxWait, "max-wait", 30*time.Minute, "the longest wait, a `duration` such as 90s or 10m")
	set.StringVar(&f.jobID, "job", "", "resume the wait for the job with this `ID`, instead of creating one")
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		set.SetOutput(stderr)
		fmt.Fprint(stderr, about)
		set.PrintDefaults()
		fmt.Fprint(stderr, exitCodes)
		return nil, err
	} else if err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: everything is given by flags", set.Arg(0))
	}
	if f.maxWait <= 0 {
		return nil, fmt.Errorf("-max-wait must be above zero, not %v", f.maxWait)
	}
	var given []string
	set.Visit(func(g *flag.Flag) { given = append(given, "-"+g.Name) })
	var err error
	if f.account, err = account(); err != nil {
		return nil, err
	}
	return f, f.settle(given)
}

// account reports whether there is an account in the environment. Half of one is an error: somebody who means the real API must
// not get the fake.
func account() (bool, error) {
	const id, key = "CREATIFY_API_ID", "CREATIFY_API_KEY"
	hasID, hasKey := os.Getenv(id) != "", os.Getenv(key) != ""
	switch {
	case hasID && !hasKey:
		return false, fmt.Errorf("%s is set but %s is missing: set both for an account, or neither for the built-in fake", id, key)
	case hasKey && !hasID:
		return false, fmt.Errorf("%s is set but %s is missing: set both for an account, or neither for the built-in fake", key, id)
	}
	return hasID, nil
}

// settle checks what is given together, and fills in what need not be.
func (f *flags) settle(given []string) error {
	if slices.Contains(given, "-job") {
		others := slices.DeleteFunc(given, func(name string) bool { return name == "-job" || name == "-max-wait" })
		switch {
		case f.jobID == "":
			return errors.New("-job is empty")
		case len(others) > 0:
			return fmt.Errorf("-job resumes the wait for a job that exists, so that %s cannot go with it", strings.Join(others, ", "))
		case !f.account:
			return errors.New("-job needs an account, in CREATIFY_API_ID and CREATIFY_API_KEY: the built-in fake API is new with " +
				"each run and knows no such job")
		}
		return nil
	}
	if f.account && f.params.TemplateID == "" {
		return errors.New("-template is missing: with an account it must be the ID of one of its templates")
	}
	if f.params.TemplateID == "" {
		f.params.TemplateID = creatifytest.TemplateID
		if len(f.params.Variables) == 0 {
			f.params.Variables["headline"] = creatify.Text("Spring sale")
		}
	}
	return nil
}

var newVariable = map[string]func(value string) creatify.Variable{
	"text":      creatify.Text,
	"image":     creatify.Image,
	"video":     creatify.Video,
	"audio":     creatify.Audio,
	"avatar":    creatify.Avatar,
	"voiceover": creatify.Voiceover,
	"raw":       func(value string) creatify.Variable { return creatify.RawVariable(json.RawMessage(value)) },
}

var variableTypes = strings.Join(slices.Sorted(maps.Keys(newVariable)), ", ")

func (f *flags) addVariable(arg string) error {
	name, typed, hasName := strings.Cut(arg, "=")
	kind, value, hasType := strings.Cut(typed, ":")
	switch {
	case !hasName || !hasType || name == "":
		return fmt.Errorf("must be name=type:value, with one of the types %s", variableTypes)
	case newVariable[kind] == nil:
		return fmt.Errorf("%q is not one of the types %s", kind, variableTypes)
	}
	if _, twice := f.params.Variables[name]; twice {
		return fmt.Errorf("%s is given twice; the form is name=type:value, with one of the types %s", name, variableTypes)
	}
	f.params.Variables[name] = newVariable[kind](value)
	return nil
}

// silence is how long the program shows nothing before it says what it is waiting for.
const silence = 5 * time.Second

// progress shows how far a job is: by a bar on a terminal, by lines elsewhere.
type progress struct {
	out   io.Writer
	start time.Time
	tty   bool

	mu      sync.Mutex
	what    string // what the program is waiting for; empty while it shows progress
	silence *time.Timer
	status  string
	bars    *mpb.Progress
	bar     *mpb.Bar
}

func newProgress(w io.Writer) *progress {
	p := &progress{out: w, start: time.Now()}
	if file, ok := w.(*os.File); ok {
		width, _, err := term.GetSize(int(file.Fd()))
		p.tty = err == nil && width > 0
	}
	return p
}

// say prints a line, above the bar if there is one.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sayLocked(format, args...)
}

func (p *progress) sayLocked(format string, args ...any) {
	w := p.out
	if p.bars != nil {
		w = p.bars
	}
	fmt.Fprintf(w, format+"\n", args...)
}

// await says from time to time what the program is waiting for, until there is progress to show.
func (p *progress) await(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = what
	p.silence = time.AfterFunc(silence, p.stillWaiting)
}

func (p *progress) stillWaiting() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.what == "" {
		return
	}
	p.sayLocked("Waiting for %s (%.0f s)…", p.what, time.Since(p.start).Seconds())
	p.silence.Reset(2 * silence)
}

// poll is the hook around each poll: it says why a poll failed.
func (p *progress) poll(ctx context.Context, poll creatify.PollCall) (context.Context, func(creatify.PollResult)) {
	return ctx, func(r creatify.PollResult) {
		if r.Err != nil && ctx.Err() == nil {
			p.say("Poll %d failed, and is tried again: %v", poll.Number, r.Err)
		}
	}
}

// show shows a snapshot.
func (p *progress) show(job *creatify.Job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what, p.status = "", string(job.Status)
	if !p.tty {
		p.sayLocked("%.0fs %s %.0f %%", time.Since(p.start).Seconds(), job.Status, 100*job.Progress)
		return
	}
	if p.bar == nil {
		p.bars = mpb.New(mpb.WithOutput(p.out), mpb.WithWidth(40))
		p.bar = p.bars.AddBar(0,
			mpb.PrependDecorators(decor.Any(p.label, decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.Percentage(decor.WC{W: 6}), decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 8})))
		p.bar.SetTotal(100, false)
	}
	p.bar.SetCurrent(int64(100 * job.Progress))
}

func (p *progress) label(decor.Statistics) string {
	if !p.mu.TryLock() { // the bar is drawn while its progress is set
		return ""
	}
	defer p.mu.Unlock()
	return p.status
}

// stop removes the bar.
func (p *progress) stop() {
	p.mu.Lock()
	bars, bar := p.bars, p.bar
	p.what, p.bars = "", nil
	if p.silence != nil {
		p.silence.Stop()
	}
	p.mu.Unlock()
	if bar != nil {
		bar.Abort(true)
		bars.Wait()
	}
}
