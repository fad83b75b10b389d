// Command mutants breaks one promise of the library at a time and checks that a test fails. The files stay
// as they are: the broken copy is an overlay of the go command.
//
//	go run ./internal/mutants [-v] [part of a breach, such as "money:"]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// mutant breaks one promise. It finds the function by name, and the expression or statement in it by syntax.
type mutant struct {
	breach string // what the library would do, after the promise that it breaks
	dir    string // the package, from the module's root
	in     string // function, or Type.method
	find   string // stands once in it
	with   string
	tests  string // package of the test that must fail
	run    string // the test
}

func main() {
	verbose := flag.Bool("v", false, "print what the failing tests say")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := check(ctx, flag.Arg(0), *verbose); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

// check tries the mutants whose breach has the given part.
func check(ctx context.Context, part string, verbose bool) error {
	gomod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return err
	}
	root := filepath.Dir(strings.TrimSpace(string(gomod)))
	temp, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	tried, survived := 0, 0
	for _, m := range all {
		if !strings.Contains(m.breach, part) {
			continue
		}
		start := time.Now()
		noticed, output, err := m.try(ctx, root, temp)
		if err != nil {
			return fmt.Errorf("%s: %w", m.breach, err)
		}
		tried++
		if noticed == "" {
			survived++
			noticed = "NOT NOTICED"
		}
		fmt.Printf("%5.1f s  %s: %s\n", time.Since(start).Seconds(), m.breach, noticed)
		if verbose || noticed == "NOT NOTICED" {
			fmt.Printf("%s\n", output)
		}
	}
	fmt.Printf("%d passed, %d failed\n", tried-survived, survived)
	if tried == 0 || survived > 0 {
		return errors.New("the tests do not hold these promises up")
	}
	return nil
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// try returns the test that fails with the mutant and passes without it, or "", and the output of the tests.
func (m *mutant) try(ctx context.Context, root, temp string) (noticed string, output []byte, err error) {
	overlay, err := m.overlay(root, temp)
	if err != nil {
		return "", nil, err
	}
	if output, err = m.test(ctx, root); err != nil || bytes.Contains(output, []byte("[no tests to run]")) {
		return "", nil, fmt.Errorf("%s does not pass as it is: %w\n%s", m.run, err, output)
	}
	output, err = m.test(ctx, root, "-overlay", overlay)
	match := failed.FindSubmatch(output)
	switch {
	case err == nil:
		return "", output, nil
	case ctx.Err() != nil:
		return "", output, ctx.Err()
	case match != nil:
		return string(match[1]), output, nil
	case bytes.Contains(output, []byte("panic: ")): // also that of a test which takes too long
		return "a test that hangs or panics", output, nil
	}
	return "", output, fmt.Errorf("no test has failed, as when the mutant does not compile: %w\n%s", err, output)
}

func (m *mutant) test(ctx context.Context, root string, flags ...string) ([]byte, error) {
	args := append([]string{"test", "-vet=off", "-failfast", "-timeout=2m", "-run", m.run}, flags...)
	command := exec.CommandContext(ctx, "go", append(args, m.tests)...) //nolint:gosec // the arguments are those of the list
	command.Dir = root
	command.Env = append(os.Environ(), "GOWORK=off")
	return command.CombinedOutput()
}

// overlay writes the broken file and the overlay that replaces the good one by it.
func (m *mutant) overlay(root, temp string) (file string, err error) {
	path, broken, err := m.apply(filepath.Join(root, filepath.FromSlash(m.dir)))
	if err != nil {
		return "", err
	}
	copied := filepath.Join(temp, "broken.go")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: copied}})
	if err != nil {
		return "", err
	}
	file = filepath.Join(temp, "overlay.json")
	return file, errors.Join(os.WriteFile(copied, broken, 0o600), os.WriteFile(file, overlay, 0o600))
}

// apply returns the name of the mutant's file, and its source with the mutant.
func (m *mutant) apply(dir string) (path string, broken []byte, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", nil, err
	}
	places := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return "", nil, err
		}
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, file, source, 0)
		if err != nil {
			return "", nil, err
		}
		for _, node := range m.places(fset, parsed) {
			places++
			from, to := fset.Position(node.Pos()).Offset, fset.Position(node.End()).Offset
			path, broken = file, append(append(bytes.Clone(source[:from]), m.with...), source[to:]...)
		}
	}
	if places != 1 {
		return "", nil, fmt.Errorf("%s in %s has %q %d times, not once", m.in, m.dir, m.find, places)
	}
	return path, broken, nil
}

// places returns the nodes of a file that the mutant replaces.
func (m *mutant) places(fset *token.FileSet, file *ast.File) (places []ast.Node) {
	for _, d := range file.Decls {
		function, ok := d.(*ast.FuncDecl)
		if !ok || nameOf(function) != m.in {
			continue
		}
		ast.Inspect(function, func(node ast.Node) bool {
			if node == nil || text(fset, node) != strings.Join(strings.Fields(m.find), " ") {
				return true
			}
			places = append(places, node)
			return false
		})
	}
	return places
}

func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	return receiver.(*ast.Ident).Name + "." + f.Name.Name
}

// text is a node as gofmt prints it, on one line.
func text(fset *token.FileSet, node ast.Node) string {
	var printed bytes.Buffer
	if format.Node(&printed, fset, node) != nil {
		return "" // fields and the like
	}
	return strings.Join(strings.Fields(printed.String()), " ")
}
