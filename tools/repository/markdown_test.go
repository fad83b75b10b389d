package repository

import (
	"errors"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	markdown "github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// page is the content of a Markdown file that is checked.
type page struct {
	anchors  map[string]bool // of its headings
	links    []string
	code     []string // the blocks of Go
	commands []string // the programs of this repository that are said to be run
}

// pages are all Markdown files, by their path from the root, with slashes.
func pages(t *testing.T) map[string]*page {
	t.Helper()
	all := make(map[string]*page)
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".git": // in a worktree it is a file
			return filepath.SkipDir
		case filepath.Ext(file) != ".md":
			return nil
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		source, err := os.ReadFile(file)
		all[filepath.ToSlash(name)] = read(source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if all["README.md"] == nil || all["docs/reliability.md"] == nil {
		t.Fatalf("the README or a document is not among the %d Markdown files", len(all))
	}
	return all
}

var program = regexp.MustCompile(`\bgo run (\./\S+)`)

func read(source []byte) *page {
	p := &page{anchors: make(map[string]bool)}
	document := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	_ = markdown.Walk(document, func(node markdown.Node, entering bool) (markdown.WalkStatus, error) { // which returns no error
		if !entering {
			return markdown.WalkContinue, nil
		}
		switch node := node.(type) {
		case *markdown.Heading:
			p.anchors[anchor(string(node.Lines().Value(source)))] = true
		case *markdown.Link:
			p.links = append(p.links, string(node.Destination))
		case *markdown.Image:
			p.links = append(p.links, string(node.Destination))
		case *markdown.AutoLink:
			p.links = append(p.links, string(node.URL(source)))
		case *markdown.FencedCodeBlock:
			if string(node.Language(source)) == "go" {
				p.code = append(p.code, string(node.Lines().Value(source)))
			}
		}
		return markdown.WalkContinue, nil
	})
	for _, match := range program.FindAllStringSubmatch(string(source), -1) {
		p.commands = append(p.commands, strings.TrimRight(match[1], "`.,;"))
	}
	return p
}

// anchor returns the fragment of a link to a heading, as code hosts make it.
func anchor(heading string) string {
	kept := regexp.MustCompile(`[^\p{L}\p{N}\- _]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(kept, " ", "-")
}

func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	for name, p := range all {
		for _, link := range p.links {
			u, err := url.Parse(link)
			switch {
			case err != nil:
				t.Errorf("%s: the link %q is no URL: %v", name, link, err)
			case u.Scheme == "https" && u.Host != "": // is not contacted
			case u.Scheme != "" || u.Host != "":
				t.Errorf("%s: the link %q is neither https nor relative", name, link)
			default:
				checkRelative(t, all, name, u)
			}
		}
		for _, command := range p.commands {
			if files, _ := filepath.Glob(filepath.Join(root, command, "*.go")); len(files) == 0 {
				t.Errorf("%s: there is no program %s", name, command)
			}
		}
	}
}

func checkRelative(t *testing.T, all map[string]*page, from string, link *url.URL) {
	t.Helper()
	to := from
	if link.Path != "" {
		to = path.Join(path.Dir(from), link.Path)
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(to))); err != nil {
		t.Errorf("%s: the link %q leads to no file", from, link)
	} else if link.Fragment != "" && (all[to] == nil || !all[to].anchors[link.Fragment]) {
		t.Errorf("%s: the link %q leads to no heading", from, link)
	}
}

// given are names that code blocks may use without declaring them.
const given = `package given

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

var (
	ctx           context.Context
	client        *creatify.Client
	err           error
	job           *creatify.Job
	params        creatify.JobParams
	photo         *url.URL
	stored        []creatify.PendingJob
	store         func(jobID string) error
	webhookSecret string
)
`

// TestTheCodeInDocumentsCompiles compiles the code in Markdown and in the packages' overviews. A whole
// program is compiled as it is. The other blocks of a page share their declarations, and may leave
// variables unused.
func TestTheCodeInDocumentsCompiles(t *testing.T) {
	known, all := imports(t), pages(t)
	for _, path := range public {
		overview := new(page)
		for _, block := range new(comment.Parser).Parse(documented(t, path).Doc).Content {
			if code, ok := block.(*comment.Code); ok {
				overview.code = append(overview.code, code.Text)
			}
		}
		all["the overview of "+path] = overview
	}
	for name, p := range all {
		fragments := given
		for i, block := range p.code {
			switch {
			case otherModule.MatchString(block): // its own examples show how it is used
			case strings.HasPrefix(block, "package "):
				compile(t, fmt.Sprintf("%s, block %d", name, i+1), block, known, true)
			case parses("package p\n" + block):
				fragments += "\n" + block
			default:
				fragments += "\nfunc _() error {\n" + block + "\nreturn nil\n}\n"
			}
		}
		compile(t, name, fragments, known, false)
	}
}

var otherModule = regexp.MustCompile(`\b(otelcreatify|durable)\.|creatify-go/(otelcreatify|durable)"`)

func parses(source string) bool {
	_, err := parser.ParseFile(token.NewFileSet(), "", source, parser.SkipObjectResolution)
	return err == nil
}

// imports are the packages that code in Markdown may import, by path.
func imports(t *testing.T) importer {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "", given, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, spec := range file.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	known := make(importer)
	for _, p := range load(t, 0, append(paths, "os", "os/signal")...) {
		known[p.PkgPath] = p.Types
	}
	return known
}

type importer map[string]*types.Package

func (i importer) Import(path string) (*types.Package, error) {
	if p := i[path]; p != nil {
		return p, nil
	}
	return nil, errors.New("not among the imports of this test")
}

// compile checks a file. With strict, it must use all that it declares and imports.
func compile(t *testing.T, where, source string, known importer, strict bool) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, where, source, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return
	}
	config := types.Config{Importer: known, Error: func(err error) {
		if e, ok := errors.AsType[types.Error](err); !ok || strict || !e.Soft {
			t.Errorf("%s:\n%s", err, lineOf(source, err))
		}
	}}
	_, _ = config.Check("main", fset, []*ast.File{file}, nil) // its errors have been seen
}

// lineOf quotes the line that an error is about.
func lineOf(source string, err error) string {
	e, ok := errors.AsType[types.Error](err)
	if lines := strings.Split(source, "\n"); ok && e.Fset.Position(e.Pos).Line <= len(lines) {
		return lines[e.Fset.Position(e.Pos).Line-1]
	}
	return ""
}
