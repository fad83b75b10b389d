package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
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
nothing else there. Progress, notices and errors go to standard error.

  go run ./examples/preview                    try it, against a fake of the API that is built in
  go run ./examples/preview -template ID -var headline=text:Hello -var photo=image:https://example.com/a.jpg
  go run ./examples/preview -job ID            resume the wait for a preview

With CREATIFY_API_ID and CREATIFY_API_KEY set it uses that account, at CREATIFY_BASE_URL if that is set, and a preview
costs credits. With neither set it uses the fake, and nothing is charged. Resuming a wait is free of charge.

`

const exitCodes = `
Exit codes (go run prints them, and itself exits with 1):
  0  the preview is ready
  1  there is no preview: the job failed or was rejected, or the API refused the call or was not reached, in which case
     nothing was charged; the reason is printed
  2  bad usage; nothing was sent
  3  not known yet: the wait was interrupted or took too long, or the reply that creates the job was lost; what to do is
     printed
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

// account says whether there is one in the environment. Half of one is an error: somebody who means the real API must not
// get the fake.
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

// progress shows how far a job is: by a bar on a terminal, else by lines.
type progress struct {
	show func(*creatify.Job)
	stop func()
}

func newProgress(w io.Writer) progress {
	if file, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return barProgress(w)
		}
	}
	start := time.Now()
	return progress{
		show: func(job *creatify.Job) {
			fmt.Fprintf(w, "%.0fs %s %.0f %%\n", time.Since(start).Seconds(), job.Status, 100*job.Progress)
		},
		stop: func() {},
	}
}

func barProgress(w io.Writer) progress {
	var bars *mpb.Progress
	var bar *mpb.Bar
	var status atomic.Value
	return progress{
		show: func(job *creatify.Job) {
			status.Store(string(job.Status))
			if bar == nil {
				bars = mpb.New(mpb.WithOutput(w), mpb.WithWidth(40))
				bar = bars.AddBar(0,
					mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return status.Load().(string) }, decor.WCSyncSpaceR)),
					mpb.AppendDecorators(decor.Percentage(decor.WC{W: 6}), decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 8})))
				bar.SetTotal(100, false)
			}
			bar.SetCurrent(int64(100 * job.Progress))
		},
		stop: func() {
			if bar != nil {
				bar.Abort(true)
				bars.Wait()
			}
		},
	}
}
