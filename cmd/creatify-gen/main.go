// Creatify-gen writes a Go file with a type for each custom template of an account, so that the compiler finds a missing or
// misspelt variable before a job is paid for:
//
//	//go:generate go run github.com/creatify-community/creatify-go/cmd/creatify-gen -out templates_gen.go
//
// For a template "Demo" with a text "headline" and an image "photo" the file has the constant DemoTemplateID, a struct
// type Demo with a field for each variable, its methods Variables and Params, and a function NewDemo:
//
//	demo := NewDemo(DemoHeadline("Spring sale"), DemoPhoto(photoURL))
//	job, err := client.Jobs.CreatePreviewAndWait(ctx, demo.Params())
//
// A misspelt variable never compiles. A missing one does not compile as an argument of NewDemo, which takes them all; a
// literal such as Demo{Headline: "Spring sale"} may leave some out, as every literal in Go may. Each argument has a type of
// its own, so that none can stand in another's place, even after the template has changed. Write that type around
// constants too, which Go would take for any of them. What a variable holds is not the compiler's business: an empty text
// is sent, an empty URL is refused before anything is sent.
//
// With -check nothing is written; the program fails when the file is not what it would write, for use in CI.
//
// The account is that of CREATIFY_API_ID and CREATIFY_API_KEY. Reading its templates costs nothing.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/creatify-community/creatify-go"
)

const (
	exitOK = iota
	exitDiffers
	exitUsage
	exitFailed
)

const usage = `Usage: creatify-gen [-out file] [-package name] [-template ID]... [-check]

Writes a Go file with a type for each custom template of the account, whose
credentials are in CREATIFY_API_ID and CREATIFY_API_KEY. It costs nothing.
CREATIFY_BASE_URL is for a server of another address, such as creatify-mock.

The exit code is 0 if all is well, 1 if -check found a difference, 2 if the
arguments are wrong, and 3 if the account cannot be read or the file not be
written.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	options, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitUsage
	}
	err = options.run(ctx, stdout)
	if errors.Is(err, errDiffers) {
		fmt.Fprintf(stderr, "creatify-gen: %s does not match the account's templates\n", options.out)
		return exitDiffers
	}
	if err != nil {
		fmt.Fprintln(stderr, "creatify-gen:", err)
		return exitFailed
	}
	return exitOK
}

type options struct {
	out         string // "-" is the standard output
	packageName string
	templateIDs []string // none means all
	check       bool
}

// parseFlags has told the user what is wrong when it returns an error.
func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("creatify-gen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.out, "out", "-", "`file` to write, or - for the standard output")
	flags.StringVar(&o.packageName, "package", "", "the file's package; by default $GOPACKAGE, which go generate\nsets, or else what the folder's `name` allows")
	flags.Func("template", "`ID` of a template to write; may be repeated (default all templates)", func(id string) error {
		if id == "" {
			return errors.New("the ID is empty")
		}
		o.templateIDs = append(o.templateIDs, id)
		return nil
	})
	flags.BoolVar(&o.check, "check", false, "write nothing, but fail if the file is not what would be written")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	var err error
	if o.packageName == "" {
		o.packageName, err = defaultPackage(o.out)
	}
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.out == "":
		err = errors.New("-out is empty")
	case o.check && o.out == "-":
		err = errors.New("-check needs -out and the file to check")
	case !token.IsIdentifier(o.packageName) || o.packageName == "_":
		err = fmt.Errorf("%q cannot be a package's name", o.packageName)
	}
	if err != nil {
		fmt.Fprintln(stderr, "creatify-gen:", err)
		flags.Usage()
	}
	return o, err
}

func defaultPackage(out string) (string, error) {
	if name := os.Getenv("GOPACKAGE"); name != "" {
		return name, nil
	}
	path, err := filepath.Abs(out) // of "-", that is a file in the working directory
	return packageName(filepath.Base(filepath.Dir(path))), err
}

func (o options) run(ctx context.Context, stdout io.Writer) error {
	templates, err := fetch(ctx, o.templateIDs)
	if err != nil {
		return err
	}
	source, err := generate(o.packageName, templates)
	if err != nil {
		return err
	}
	if o.out == "-" {
		_, err := stdout.Write(source)
		return err
	}
	old, err := os.ReadFile(o.out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old = bytes.ReplaceAll(old, []byte("\r\n"), []byte("\n")) // as git may check it out
	switch {
	case bytes.Equal(old, source):
		return nil
	case o.check:
		fmt.Fprint(stdout, difference(old, source))
		return errDiffers
	case len(old) > 0 && !bytes.Contains(old, []byte(header)):
		return fmt.Errorf("%s was not written by creatify-gen, so it is left alone", o.out)
	}
	return write(o.out, source)
}

var errDiffers = errors.New("the file differs")

// fetch reads the templates with these IDs, or all, each once.
func fetch(ctx context.Context, ids []string) ([]*creatify.Template, error) {
	client, err := creatify.NewFromEnv()
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		listed, err := client.Templates.List(ctx)
		if err != nil {
			return nil, err
		}
		for _, template := range listed {
			ids = append(ids, template.ID)
		}
	}
	var templates []*creatify.Template
	for _, id := range ids {
		template, err := client.Templates.Get(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("template %q: %w", id, err)
		}
		if !strings.EqualFold(template.ID, id) {
			return nil, fmt.Errorf("template %q: the reply is about another one, %q", id, template.ID)
		}
		if template.Variables == nil && !saysNoVariables(template) {
			return nil, fmt.Errorf("template %q: the reply does not list its variables by name", id)
		}
		templates = append(templates, template)
	}
	slices.SortFunc(templates, func(a, b *creatify.Template) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(templates, func(a, b *creatify.Template) bool { return a.ID == b.ID }), nil
}

// saysNoVariables tells a template without variables from a reply in an unknown form, for which a type without fields would
// be wrong.
func saysNoVariables(t *creatify.Template) bool {
	var reply struct {
		Variables json.RawMessage `json:"variables"`
	}
	return json.Unmarshal(t.RawJSON(), &reply) == nil && string(reply.Variables) == "null"
}

// write replaces the file in one step: nobody sees half of it, and a failure leaves the old one.
func write(path string, source []byte) (err error) {
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".creatify-gen-*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp.Name()) // the error that matters is err
		}
	}()
	_, err = temp.Write(source)
	if err := errors.Join(err, temp.Chmod(mode), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
