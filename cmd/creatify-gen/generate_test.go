package main

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

var update = flag.Bool("update", false, "write the golden file")

func goldenTemplates() []creatifytest.Template {
	return []creatifytest.Template{
		demo(),
		{ID: "cccccccc-0d44-4b50-8888-8dd25736052a", Name: "every type", Variables: map[string]string{
			"a text": "text", "an image": "image", "a video": "video", "an audio": "audio", "an avatar": "avatar",
			"a voiceover": "voiceover", "a carousel": "carousel", "of no type": "",
		}},
		{ID: "dddddddd-0d44-4b50-8888-8dd25736052a", Name: "2nd 日本語 template", Variables: map[string]string{
			"日本語": "text", "2nd line": "text", "type": "text", "Params": "text", "logo url": "image",
			"product-name": "text", "product name": "text", "\"*/\nos.Exit(1)": "text", "🎉": "text",
		}},
		{ID: "eeeeeeee-0d44-4b50-8888-8dd25736052a", Name: "Twin", Variables: map[string]string{"headline": "text"}},
		{ID: "ffffffff-0d44-4b50-8888-8dd25736052a", Name: "twin"},
		{ID: idB},
	}
}

func TestGenerate_golden_file(t *testing.T) {
	serve(t, goldenTemplates()...)
	got, _ := mustRun(t, exitOK, "-package", "templates")
	golden := filepath.Join("testdata", "templates.golden")
	if *update {
		writeFile(t, golden, got)
	}
	if want := readFile(t, golden); got != want {
		t.Errorf("the file is\n%s\nwant what is in %s; see the difference with -update and git diff", got, golden)
	}
	typeCheck(t, got, "")
}

func TestGenerate_order_of_the_templates_does_not_matter(t *testing.T) {
	templates := goldenTemplates()
	serve(t, templates...)
	want, _ := mustRun(t, exitOK)
	for range 3 {
		if got, _ := mustRun(t, exitOK); got != want {
			t.Errorf("a second run wrote\n%s\nwant\n%s", got, want)
		}
	}
	slices.Reverse(templates)
	serve(t, templates...)
	if got, _ := mustRun(t, exitOK); got != want {
		t.Errorf("with the list reversed it wrote\n%s\nwant\n%s", got, want)
	}
}

func TestGenerate_hostile_names_are_not_code(t *testing.T) {
	hostile := []string{
		"", " ", "*/", "/*", "//", "\n", "a\nfunc init() { panic(1) }", "\r\nimport \"os\"", "`", "``quoted''", "` + evil + `",
		`"; os.Exit(1); //`, "\\", `\"`, "\x00", "\xff\xfe", "\ufeff", "\u2028x\u2029y", "\u202eright to left\u202c", "a\u200db",
		"🎉", "👩‍👩‍👧", "%s%d%!", "{{.Evil}}", strings.Repeat("long ", 60), strings.Repeat("é", 300), "//go:build ignore",
		"\n//go:linkname a b", "//line x.go:1", "# Heading\n\n  - list", "[link]: http://example.com", "type", "func", "string",
		"creatify", "Creatify", "init", "main", "_", "__", "t", "T", "Variables", "Params", "variables", "New", "TemplateID",
		"template id", "nil", "true", "ǆ", "ß", "İ", "ı", "ﬁ", "𝐀", "ϒ", "a\u0301", "हिन्दी", "ไทย", "العربية", "ა", "\u3164", "٣", "V", "V_2", "v 2",
	}
	everywhere := texts(idA, "everything at once", hostile...)
	everywhere.Variables["an unknown type"] = raw(t, map[string]any{"type": "*/\n\"`//\u202e"})
	everywhere.Variables["a type that is no string"] = raw(t, map[string]any{"type": []int{1}})
	everywhere.Variables["no object"] = raw(t, "text")
	everywhere.Variables["not even JSON"] = creatify.RawVariable([]byte("*/"))
	templates := []*creatify.Template{everywhere}
	for i, name := range hostile {
		templates = append(templates, texts(strconv.Itoa(i)+name, name, "headline", name))
		templates = append(templates, texts("again-"+strconv.Itoa(i), "New"+name, "", "headline"), texts("3-"+strconv.Itoa(i), name+" template id"))
	}
	file := typeCheck(t, mustGenerate(t, templates...), "")

	functions, variables := 0, 0
	for _, template := range templates {
		variables += len(template.Variables)
	}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			functions++
			if !decl.Name.IsExported() {
				t.Errorf("there is a function %s", decl.Name.Name)
			}
		case *ast.GenDecl:
			if decl.Tok == token.VAR || decl.Tok == token.IMPORT && len(decl.Specs) != 1 {
				t.Errorf("there is a declaration of %v", decl.Tok)
			}
		}
	}
	if want := 3*len(templates) + variables; functions != want {
		t.Errorf("there are %d functions and methods, want %d", functions, want)
	}

	want, got := make(map[string]int), make(map[string]int)
	for _, template := range templates {
		for name := range template.Variables {
			want[name]++
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if entry, ok := n.(*ast.KeyValueExpr); ok {
			if key, ok := entry.Key.(*ast.BasicLit); ok {
				name, _ := strconv.Unquote(key.Value)
				got[name]++
			}
		}
		return true
	})
	if !maps.Equal(got, want) {
		t.Errorf("the variables and how often they are there:\n%v\nwant\n%v", got, want)
	}
}

func raw(t *testing.T, v any) creatify.Variable {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return creatify.RawVariable(b)
}

func TestGenerate_of_no_templates(t *testing.T) {
	none := []creatifytest.Template{}
	serve(t, none...)
	got, _ := mustRun(t, exitOK)
	typeCheck(t, got, "")
}

func TestGenerate_mistakes_do_not_compile(t *testing.T) {
	file := mustGenerate(t, texts(idA, "Demo", "headline", "subline"))
	tests := []struct {
		name, code string
		want       string // in the error, or empty if there is none
	}{
		{"all variables are there", `NewDemo(DemoHeadline(text), DemoSubline(text)).Params()`, ""},
		{"a literal has all variables", `Demo{Headline: text, Subline: text}.Variables()`, ""},
		{"a variable is missing", `NewDemo(DemoHeadline(text))`, "not enough arguments"},
		{"a variable is one too many", `NewDemo(DemoHeadline(text), DemoSubline(text), text)`, "too many arguments"},
		{"a variable is misspelled", `NewDemo(DemoHeadlin(text), DemoSubline(text))`, "undefined: DemoHeadlin"},
		{"a field is misspelled", `Demo{Headlin: text}`, "unknown field Headlin"},
		{"the variables are in the wrong order", `NewDemo(DemoSubline(text), DemoHeadline(text))`, "cannot use DemoSubline"},
		{"a text does not say which variable it is", `NewDemo(text, text)`, "cannot use text"},
		{"a constant does not say which variable it is", `NewDemo("a", "b")`, `cannot use "a"`},
		{"nor does nil", `NewDemo(nil, nil)`, "cannot use nil"},
		{"nor does a literal by position", `Demo{text, text}`, "cannot use text"},
		{"nor does a short literal by position", `Demo{"a"}`, `cannot use "a"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			typeCheck(t, file+"\nvar text string\nvar _ = "+test.code+"\n", test.want)
		})
	}
}

func TestGenerate_code_for_an_older_template_does_not_compile(t *testing.T) {
	const literal, call = `Demo{PhotoURL: "x"}`, `NewDemo(DemoPhotoURL("x"))`
	both := mustGenerate(t, texts(idA, "Demo", "photo-url", "photo url"))
	suffixed := strings.ReplaceAll(literal, "PhotoURL", "PhotoURL"+suffix("photo-url"))
	tests := []struct{ name, file, code, want string }{
		{"as it was", mustGenerate(t, texts(idA, "Demo", "photo-url")), literal, ""},
		{"as it was, by the constructor", mustGenerate(t, texts(idA, "Demo", "photo-url")), call, ""},
		{"a variable comes that looks alike", both, literal, "unknown field PhotoURL"},
		{"a variable comes that looks alike, by the constructor", both, call, "undefined: DemoPhotoURL"},
		{"its suffix depends on its name alone", both, suffixed, ""},
		{"another such variable comes", mustGenerate(t, texts(idA, "Demo", "photo-url", "photo url", "photo.url")), suffixed, ""},
		{"the other variable goes", mustGenerate(t, texts(idA, "Demo", "photo-url")), suffixed, "unknown field"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			typeCheck(t, test.file+"\nvar _ = "+test.code+"\n", test.want)
		})
	}
}

func mustGenerate(t testing.TB, templates ...*creatify.Template) string {
	t.Helper()
	source, err := generate("templates", templates)
	if err != nil {
		t.Fatal(err)
	}
	if formatted, err := format.Source(source); err != nil || string(formatted) != string(source) {
		t.Errorf("gofmt would change the file (or err = %v):\n%s", err, source)
	}
	return string(source)
}

// typeCheck compiles a generated file and fails the test unless the first error is as wanted; "" means that
// there is none. The library is replaced by what generated files use of it.
func typeCheck(t testing.TB, source, want string) *ast.File {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "templates_gen.go", source, parser.ParseComments)
	if err != nil {
		t.Fatalf("%v in\n%s", err, source)
	}
	if !ast.IsGenerated(file) {
		t.Error("the file does not say that it is generated")
	}
	_, err = (&types.Config{Importer: libraryOnly{t}}).Check("templates", fset, []*ast.File{file}, nil)
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Fatalf("compiling gives the error %v, want %q; the file is\n%s", err, want, source)
	}
	return file
}

type libraryOnly struct{ testing.TB }

func (i libraryOnly) Import(path string) (*types.Package, error) {
	if path != "github.com/creatify-community/creatify-go" {
		i.Errorf("the file imports %q", path)
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", `package creatify
		type Variables map[string]Variable
		type Variable struct { hidden int }
		type JobParams struct { TemplateID string; Variables Variables }
		func Text(string) (v Variable) { return }
		func Image(string) (v Variable) { return }
		func Video(string) (v Variable) { return }
		func Audio(string) (v Variable) { return }
		func Avatar(string) (v Variable) { return }
		func Voiceover(string) (v Variable) { return }`, 0)
	if err != nil {
		return nil, err
	}
	return new(types.Config).Check(path, fset, []*ast.File{file}, nil)
}
