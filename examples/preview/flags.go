package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/examples/internal/cli"
)

type flags struct {
	account bool // there is one in the environment
	params  creatify.JobParams
	jobID   string
	maxWait time.Duration
}

//go:embed help.txt
var help string

// parseFlags reads the command line, and looks for an account in the environment.
func parseFlags(args []string, stdout io.Writer) (*flags, error) {
	f := &flags{params: creatify.JobParams{Variables: creatify.Variables{}}}
	set := flag.NewFlagSet("preview", flag.ContinueOnError)
	set.StringVar(&f.params.TemplateID, "template", "", "")
	set.Func("var", "", f.addVariable)
	set.StringVar(&f.params.Name, "name", "", "")
	set.StringVar((*string)(&f.params.ModelVersion), "model", "", "")
	set.DurationVar(&f.maxWait, "max-wait", 30*time.Minute, "")
	set.StringVar(&f.jobID, "job", "", "")
	var err error
	if f.account, err = cli.Parse(set, help, args, stdout); err != nil {
		return nil, err
	}
	if f.maxWait <= 0 {
		return nil, fmt.Errorf("-max-wait must be above zero, not %v", f.maxWait)
	}
	var given []string
	set.Visit(func(g *flag.Flag) { given = append(given, "-"+g.Name) })
	return f, f.settle(given)
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
