package repository

import (
	"cmp"
	"go/ast"
	"go/doc"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// documented is a package with its documentation and its examples.
func documented(t *testing.T, path string) *doc.Package {
	t.Helper()
	p := load(t, packages.NeedFiles, path)[0]
	fset := token.NewFileSet()
	tests, err := filepath.Glob(filepath.Join(filepath.Dir(p.GoFiles[0]), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range slices.Concat(p.GoFiles, tests) {
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	d, err := doc.NewFromFiles(fset, files, path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, path := range public {
		d := documented(t, path)
		if d.Doc == "" {
			t.Errorf("package %s has no overview", d.Name)
		}
		values := slices.Concat(d.Consts, d.Vars)
		funcs := slices.Clone(d.Funcs)
		for _, typ := range d.Types {
			if typ.Doc == "" {
				t.Errorf("%s.%s has no doc comment", d.Name, typ.Name)
			}
			values = slices.Concat(values, typ.Consts, typ.Vars)
			funcs = slices.Concat(funcs, typ.Funcs, typ.Methods)
		}
		for _, value := range values {
			checkValues(t, d.Name, value)
		}
		for _, f := range funcs {
			if f.Doc == "" && !implements[f.Name] {
				t.Errorf("%s.%s has no doc comment", d.Name, nameOf(f))
			}
		}
	}
}

// checkValues requires a comment on each constant and variable, or on its group.
func checkValues(t *testing.T, where string, value *doc.Value) {
	t.Helper()
	for _, spec := range value.Decl.Specs {
		s := spec.(*ast.ValueSpec)
		byGroup := value.Doc != "" && (value.Decl.Tok == token.CONST || !value.Decl.Lparen.IsValid())
		for _, name := range s.Names {
			if name.IsExported() && s.Doc.Text() == "" && s.Comment.Text() == "" && !byGroup {
				t.Errorf("%s.%s has no comment", where, name.Name)
			}
		}
	}
}

func TestTheREADMESaysWhatToDoAboutEveryError(t *testing.T) {
	readme, p := file(t, "README.md"), load(t, 0, module)[0].Types
	for _, name := range p.Scope().Names() {
		isError := strings.HasPrefix(name, "Err") || token.IsExported(name) && strings.HasSuffix(name, "Error")
		if isError && !strings.Contains(readme, name+"`") {
			t.Errorf("the table of errors in README.md does not have %s", name)
		}
	}
}

func TestEveryCallSaysWhatItCosts(t *testing.T) {
	cost := regexp.MustCompile(`\bFree\.|\bCosts [0-9]`)
	likeAnother := regexp.MustCompile(`^\w+ is \[`) // the comment of that one says it
	for _, typ := range documented(t, module).Types {
		for _, f := range typ.Methods {
			if strings.HasSuffix(typ.Name, "Service") && takesContext(f.Decl) && !likeAnother.MatchString(f.Doc) && !cost.MatchString(f.Doc) {
				t.Errorf("%s does not say what it costs", nameOf(f))
			}
		}
	}
}

func takesContext(f *ast.FuncDecl) bool {
	for _, parameter := range f.Type.Params.List {
		if s, ok := parameter.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Context" {
			return true
		}
	}
	return false
}

// implements are methods of standard interfaces, which need no example.
var implements = map[string]bool{"Error": true, "Is": true, "Unwrap": true, "String": true, "GoString": true, "Format": true,
	"LogValue": true, "MarshalJSON": true, "UnmarshalJSON": true, "RoundTrip": true, "ServeHTTP": true}

// shownBy are functions that the example of another function or type shows.
var shownBy = map[string]string{
	"creatify.FixedInterval": "JobsService.CreateVideoAndWait", "creatify.WithOnCreated": "WaitError",
	"creatify.WithHTTPClient": "New", "creatify.WithTimeout": "New", "creatify.WorkspaceService.RemainingCredits": "New",
	"creatify.Client.CloseIdleConnections": "Client.With", "creatify.WithHooks": "Hooks", "creatify.Reason": "Charged",
	"creatify.WithBudget": "NewBudget", "creatify.Budget.Spent": "NewBudget", "creatify.DocumentedPrices": "PriceList",
	"creatify.TemplatesService.Get": "TemplatesService.List", "creatify.VoicesService.List": "PersonasService.List",
	"creatify.Variable.Type": "TemplatesService.List", "creatify.Variable.Value": "PersonasService.List",
	"creatify.Text": "Variables", "creatify.Image": "Variables", "creatify.Video": "Variables", "creatify.Audio": "Variables",
	"creatify.RawVariable": "Variables", "creatify.Avatar": "PersonasService.List", "creatify.Voiceover": "PersonasService.List",
	"creatify.Job.RawJSON": "Job", "creatify.Status.Terminal": "Job.Outcome",
	"creatify.WithProgress": "JobsService.Download", "creatify.WithMaxSize": "JobsService.DownloadFile",
	"creatify.WithIdleTimeout": "DownloadError", "creatify.WebhookReference": "WebhookOptions.URL",
	"creatify.JobsService.NewPoller": "Poller", "creatify.JobsService.ResumePoller": "Poller", "creatify.Poller.Poll": "Poller",
	"creatify.Poller.Next": "Poller", "creatify.Poller.Err": "Poller", "creatify.Poller.Result": "Poller", "creatify.Poller.Pending": "Poller",
	"creatify.JobsService.NewTracker": "Tracker.Results", "creatify.NewPendingJob": "Tracker.Results", "creatify.Tracker.Add": "Tracker.Results",
	"creatify.Tracker.Finish": "Tracker.Results", "creatify.Tracker.Close": "Tracker.Results",
	"creatify.Tracker.Remove": "Tracker.Expedite", "creatify.Tracker.Stats": "Tracker.Expedite",
}

func TestEveryExportedFunctionHasAnExample(t *testing.T) {
	stale := maps.Clone(shownBy)
	for _, path := range public {
		d := documented(t, path)
		if len(d.Examples) == 0 {
			t.Errorf("package %s has no example", d.Name)
		}
		funcs, code := slices.Clone(d.Funcs), map[string]string{} // of the examples of a function or a type, by its name
		note := func(name string, examples []*doc.Example) {
			for _, e := range examples {
				if e.Output == "" {
					t.Errorf("the example %s of %s.%s has no output to check", e.Suffix, d.Name, name)
				}
				code[name] += sourceOf(t, e.Code)
			}
		}
		for _, typ := range d.Types {
			note(typ.Name, typ.Examples)
			funcs = slices.Concat(funcs, typ.Funcs, typ.Methods)
			if strings.HasSuffix(typ.Name, "Error") && code[typ.Name] == "" {
				t.Errorf("%s.%s has no example", d.Name, typ.Name)
			}
		}
		for _, f := range funcs {
			note(nameOf(f), f.Examples)
		}
		for _, f := range funcs {
			delete(stale, d.Name+"."+nameOf(f))
			by := cmp.Or(shownBy[d.Name+"."+nameOf(f)], nameOf(f))
			if path == module && !implements[f.Name] && !strings.Contains(code[by], f.Name+"(") {
				t.Errorf("%s.%s is in no example of %s", d.Name, nameOf(f), by)
			}
		}
	}
	for name := range stale {
		t.Errorf("%s is in shownBy, but there is no such function", name)
	}
}

func sourceOf(t *testing.T, node ast.Node) string {
	t.Helper()
	var text strings.Builder
	if err := format.Node(&text, token.NewFileSet(), node); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// nameOf is Function or Type.Method.
func nameOf(f *doc.Func) string {
	if f.Recv == "" {
		return f.Name
	}
	return strings.TrimPrefix(f.Recv, "*") + "." + f.Name
}
