package repository

import (
	"flag"
	"fmt"
	"go/types"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

var update = flag.Bool("update", false, "rewrite api/go.txt")

const (
	root    = "../.."
	module  = "github.com/creatify-community/creatify-go"
	apiFile = root + "/api/go.txt"
	apiHead = `# The Go API of this module, a line for each exported name and field. A new line is a feature; a removed or changed line
# is a breaking change (docs/stability.md). Written by: cd tools && GOWORK=off go test ./repository -update
`
)

// public are the packages that users may import.
var public = []string{module, module + "/creatifytest"}

// load loads packages of the library's module, or of the standard library, with their types, and their
// syntax if asked for.
func load(t *testing.T, mode packages.LoadMode, patterns ...string) []*packages.Package {
	t.Helper()
	loaded, err := packages.Load(&packages.Config{
		Mode: mode | packages.NeedName | packages.NeedTypes | packages.NeedImports | packages.NeedDeps,
		Dir:  root,
		Env:  append(os.Environ(), "GOWORK=off"),
	}, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range loaded {
		for _, err := range p.Errors {
			t.Fatal(err)
		}
	}
	return loaded
}

func TestTheAPIIsAsRecorded(t *testing.T) {
	var now []string
	for _, p := range load(t, 0, public...) {
		now = append(now, linesOf(p.Types)...)
	}
	if *update {
		if err := os.WriteFile(apiFile, []byte(apiHead+strings.Join(now, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	recorded, err := os.ReadFile(apiFile)
	if err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(strings.ReplaceAll(string(recorded), "\r\n", "\n"), apiHead)
	if !ok {
		t.Error("api/go.txt has another head; rewrite it with -update")
	}
	was := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for _, line := range was {
		if !slices.Contains(now, line) {
			t.Errorf("breaking: no longer there, or changed: %s", line)
		}
	}
	for _, line := range now {
		if !slices.Contains(was, line) {
			t.Errorf("new: %s", line)
		}
	}
	if t.Failed() {
		t.Log("if this is meant: go test ./repository -update, and a line in CHANGELOG.md")
	}
}

// linesOf describes what a package exports.
func linesOf(p *types.Package) []string {
	var lines []string
	add := func(format string, args ...any) {
		lines = append(lines, "pkg "+p.Name()+", "+fmt.Sprintf(format, args...))
	}
	short := func(other *types.Package) string {
		if other == p {
			return ""
		}
		return other.Path()
	}
	for _, name := range p.Scope().Names() {
		object := p.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		switch object := object.(type) {
		case *types.Const:
			add("const %s %s = %s", name, types.TypeString(object.Type(), short), object.Val().ExactString())
		case *types.Func:
			add("func %s%s", name, signature(object, short))
		case *types.TypeName:
			if object.IsAlias() {
				add("%s", types.ObjectString(object, short))
				continue
			}
			addType(add, object, short)
		case *types.Var:
			add("var %s %s", name, types.TypeString(object.Type(), short))
		}
	}
	return lines
}

// addType describes a type, its exported fields with their tags, and its exported methods.
func addType(add func(string, ...any), object *types.TypeName, short types.Qualifier) {
	named := object.Type().(*types.Named)
	if fields, ok := named.Underlying().(*types.Struct); ok {
		kind := "struct"
		if !types.Comparable(fields) {
			kind = "struct, not comparable"
		}
		add("type %s %s", object.Name(), kind)
		for i := range fields.NumFields() {
			if f := fields.Field(i); f.Exported() {
				add("type %s struct, %s", object.Name(), strings.TrimSpace(fmt.Sprintf("%s %s %s",
					f.Name(), types.TypeString(f.Type(), short), fields.Tag(i))))
			}
		}
	} else {
		add("type %s %s", object.Name(), types.TypeString(named.Underlying(), short))
	}
	var methods []string
	for method := range named.Methods() {
		if method.Exported() {
			receiver := types.TypeString(method.Signature().Recv().Type(), short)
			methods = append(methods, fmt.Sprintf("method (%s) %s%s", receiver, method.Name(), signature(method, short)))
		}
	}
	slices.Sort(methods)
	for _, method := range methods {
		add("%s", method)
	}
}

// signature leaves out the names of parameters, which can change without harm.
func signature(f *types.Func, short types.Qualifier) string {
	unnamed := func(tuple *types.Tuple) *types.Tuple {
		var vars []*types.Var
		for v := range tuple.Variables() {
			vars = append(vars, types.NewParam(v.Pos(), v.Pkg(), "", v.Type()))
		}
		return types.NewTuple(vars...)
	}
	s := f.Signature()
	text := types.TypeString(types.NewSignatureType(nil, nil, nil, unnamed(s.Params()), unnamed(s.Results()), s.Variadic()), short)
	return strings.TrimPrefix(text, "func")
}
