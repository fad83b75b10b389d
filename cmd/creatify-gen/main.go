// Creatify-gen writes a Go file with a type for each custom template of an account, so that the compiler
// finds a missing or misspelled variable before a job is paid for:
//
//	//go:generate go run github.com/creatify-community/creatify-go/cmd/creatify-gen -out templates_gen.go
//
// For a template "Demo" with a text "headline" and an image "photo" the file has the constant DemoTemplateID,
// a struct type Demo with a field for each variable, its methods Variables and Params, and a function
// NewDemo:
//
//	demo := NewDemo(DemoHeadline("Spring sale"), DemoPhoto(photoURL))
//	job, err := client.Jobs.CreatePreviewAndWait(ctx, demo.Params())
//
// A misspelled variable never compiles. A missing variable does not compile as an argument of NewDemo, which
// takes all of them; a literal such as Demo{Headline: "Spring sale"} may leave some out.
//
// When a template gains, loses or renames a variable, unchanged code either keeps its meaning or no longer
// compiles. Each argument has a type of its own. Names that would be the same in Go, such as "photo url" and
// "photo-url", all get a suffix that depends on the name alone. If a field of the existing file would fill
// another variable, or a constant would hold another template's ID, the program writes nothing and reports
// that.
//
// The compiler does not check what a variable holds: an empty text is sent, an empty URL is refused before
// anything is sent.
//
// With -check nothing is written; the program fails if the file differs from what it would write, for use in
// CI.
//
// The account is that of CREATIFY_API_ID and CREATIFY_API_KEY. Reading its templates is free.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/parser"
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

const help = `Writes a Go file with a type for each custom template of an account, so that a
missing or misspelled variable does not compile. Free.

  -out FILE      write it here [standard output]
  -package NAME  its package [$GOPACKAGE, or that
                 of FILE, or the folder's name]
  -template ID   this template; repeatable [all]
  -check         only see if FILE is up to date

Examples:
  //go:generate creatify-gen -out templates_gen.go
  creatify-gen -check -out templates_gen.go
  creatify-gen -package main -template ID

Environment: CREATIFY_API_ID and CREATIFY_API_KEY name the account, and
CREATIFY_BASE_URL another API, such as creatify-mock.

Exit codes: 0 done; 1 -check found a difference; 2 bad usage; 3 the account
cannot be read, or the file cannot be written.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	options, err := parseFlags(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, help)
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "creatify-gen: %v (creatify-gen -h explains the flags)\n", err)
		return exitUsage
	}
	err = options.run(ctx, stdout)
	if errors.Is(err, errDiffers) {
		fmt.Fprintf(stderr, "creatify-gen: %s %v (run creatify-gen without -check)\n", options.out, err)
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
	packageName string // "" if it is to be found
	templateIDs []string
	check       bool
}

func parseFlags(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("creatify-gen", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.out, "out", "-", "")
	flags.StringVar(&o.packageName, "package", "", "")
	flags.Func("template", "", func(id string) error {
		if id == "" {
			return errors.New("the ID is empty")
		}
		o.templateIDs = append(o.templateIDs, id)
		return nil
	})
	flags.BoolVar(&o.check, "check", false, "")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.out == "":
		return options{}, errors.New("-out is empty")
	case o.check && o.out == "-":
		return options{}, errors.New("-check needs -out and the file to check")
	case o.packageName != "" && !isPackageName(o.packageName):
		return options{}, fmt.Errorf("%q cannot be the name of a package", o.packageName)
	}
	return o, nil
}

func (o options) run(ctx context.Context, stdout io.Writer) error {
	var old []byte
	if o.out != "-" {
		var err error
		if old, err = os.ReadFile(o.out); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		old = bytes.ReplaceAll(old, []byte("\r\n"), []byte("\n")) // as git may check it out
	}
	if !o.check && len(old) > 0 && !bytes.Contains(old, []byte(header)) {
		return fmt.Errorf("%s was not written by creatify-gen, so it is left alone (choose another file)", o.out)
	}
	name, err := o.findPackage(old)
	if err != nil {
		return err
	}
	templates, err := fetch(ctx, o.templateIDs)
	if err != nil {
		return err
	}
	source, err := generate(name, templates)
	switch {
	case err != nil:
		return err
	case o.out == "-":
		_, err := stdout.Write(source)
		return err
	case bytes.Equal(old, source):
		return nil
	case o.check:
		fmt.Fprint(stdout, difference(old, source))
		return errDiffers
	}
	if lines := changed(old, source); len(lines) > 0 {
		return fmt.Errorf("%[1]s is left alone, since code that uses it would compile and mean something else (check that code, "+
			"delete %[1]s, and run creatify-gen again):\n  %[2]s", o.out, strings.Join(lines, "\n  "))
	}
	return write(o.out, source)
}

var errDiffers = errors.New("does not match the account's templates")

// findPackage returns the package of the file that replaces old. A check asks old itself, since $GOPACKAGE is
// set only by go generate.
func (o options) findPackage(old []byte) (string, error) {
	path, err := filepath.Abs(o.out) // of "-", this is a file in the working directory
	if err != nil {
		return "", err
	}
	environment, clause := os.Getenv("GOPACKAGE"), packageClause(old)
	if o.check {
		environment, clause = clause, environment
	}
	name := cmp.Or(o.packageName, environment, clause, packageName(filepath.Base(filepath.Dir(path))))
	if !isPackageName(name) {
		return "", fmt.Errorf("%q cannot be the name of a package (set -package)", name)
	}
	return name, nil
}

func packageClause(source []byte) string {
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.PackageClauseOnly)
	if err != nil {
		return ""
	}
	return file.Name.Name
}

func isPackageName(name string) bool { return token.IsIdentifier(name) && name != "_" }

// fetch reads the templates with these IDs, or all, each once. The order is that of the IDs.
func fetch(ctx context.Context, ids []string) ([]*creatify.Template, error) {
	client, err := creatify.NewFromEnv()
	if err != nil {
		return nil, fmt.Errorf("%w (creatify-gen -h explains the environment)", err)
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
			return nil, fmt.Errorf("template %q: the response is about another template, %q", id, template.ID)
		}
		if template.Variables == nil && !saysNoVariables(template) {
			return nil, fmt.Errorf("template %q: the response does not list its variables by name "+
				"(name the other templates with -template)", id)
		}
		templates = append(templates, template)
	}
	slices.SortFunc(templates, func(a, b *creatify.Template) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(templates, func(a, b *creatify.Template) bool { return a.ID == b.ID }), nil
}

// saysNoVariables reports whether a template's variables are null. In a response in an unknown form they are
// not, and a type without fields would be wrong.
func saysNoVariables(t *creatify.Template) bool {
	var body struct {
		Variables json.RawMessage `json:"variables"`
	}
	return json.Unmarshal(t.Raw, &body) == nil && string(body.Variables) == "null"
}

// write replaces a file in one step: nobody sees half of it, and a failure leaves the old file.
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
