package main

import (
	"encoding/json"
	"go/format"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// TestRun_writes_a_file_that_compiles has the go command build a program with the file, in a module of its
// own.
func TestRun_writes_a_file_that_compiles(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes the go command seconds")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	serve(t, goldenTemplates()...)
	dir := t.TempDir()
	mustRun(t, exitOK, "-out", filepath.Join(dir, "templates_gen.go"), "-package", "main")
	writeFile(t, filepath.Join(dir, "go.sum"), readFile(t, filepath.Join(root, "go.sum")))
	writeFile(t, filepath.Join(dir, "go.mod"), `module example.test/program

go 1.26.0

require github.com/creatify-community/creatify-go v0.0.0

replace github.com/creatify-community/creatify-go => `+root+"\n")
	writeFile(t, filepath.Join(dir, "main.go"), `package main

import (
	"encoding/json"
	"os"

	"github.com/creatify-community/creatify-go"
)

func main() {
	every := EveryType{
		AText: "Spring sale", AnImage: "https://files.test/i.png", AVideo: "https://files.test/v.mp4",
		AnAudio: "https://files.test/a.mp3", AnAvatar: "anna", AVoiceover: "",
		ACarousel: creatify.RawVariable([]byte("{\"type\":\"carousel\"}")), OfNoType: creatify.Text("anything"),
	}
	json.NewEncoder(os.Stdout).Encode([]creatify.JobParams{
		NewDemo(DemoHeadline("Spring sale"), DemoPhoto("https://files.test/photo.png")).Params(),
		every.Params(),
		NewTwin`+suffix("ffffffff-0d44-4b50-8888-8dd25736052a")+`().Params(),
	})
}
`)
	goRun := func() ([]byte, error) {
		command := exec.CommandContext(t.Context(), "go", "run", ".")
		command.Dir = dir
		command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off")
		return command.CombinedOutput()
	}
	got, err := goRun()
	if err != nil {
		t.Fatalf("go run: %v\n%s", err, got)
	}
	want, err := json.Marshal([]creatify.JobParams{
		{TemplateID: idA, Variables: creatify.Variables{
			"headline": creatify.Text("Spring sale"), "photo": creatify.Image("https://files.test/photo.png"),
		}},
		{TemplateID: "cccccccc-0d44-4b50-8888-8dd25736052a", Variables: creatify.Variables{
			"a text": creatify.Text("Spring sale"), "an image": creatify.Image("https://files.test/i.png"),
			"a video": creatify.Video("https://files.test/v.mp4"), "an audio": creatify.Audio("https://files.test/a.mp3"),
			"an avatar": creatify.Avatar("anna"), "a voiceover": creatify.Voiceover(""),
			"a carousel": creatify.RawVariable([]byte(`{"type":"carousel"}`)), "of no type": creatify.Text("anything"),
		}},
		{TemplateID: "ffffffff-0d44-4b50-8888-8dd25736052a", Variables: creatify.Variables{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(got)) != string(want) {
		t.Errorf("the program prints\n%s\nwant\n%s", got, want)
	}

	// With one more variable in the template the same program is wrong.
	changed := goldenTemplates()
	changed[0].Variables["music"] = "audio"
	serve(t, changed...)
	mustRun(t, exitOK, "-out", filepath.Join(dir, "templates_gen.go"), "-package", "main")
	if got, err := goRun(); err == nil || !strings.Contains(string(got), "not enough arguments in call to NewDemo") {
		t.Errorf("without a variable the program compiles, or not for that reason: %v\n%s", err, got)
	}
}

func TestRun_template_flag(t *testing.T) {
	serve(t, demo(), creatifytest.Template{ID: idB, Name: "Other"})
	tests := []struct {
		name string
		args []string
		want string // the types
	}{
		{"without names all are written", nil, "Demo Other"},
		{"one is named", []string{"-template", idB}, "Other"},
		{"both are named, one of them twice", []string{"-template", idB, "-template", idA, "-template", idB}, "Demo Other"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, _ := mustRun(t, exitOK, test.args...)
			var got []string
			for line := range strings.Lines(source) {
				if name, ok := strings.CutSuffix(strings.TrimPrefix(line, "type "), " struct {\n"); ok {
					got = append(got, name)
				} else if name, ok := strings.CutSuffix(strings.TrimPrefix(line, "type "), " struct{}\n"); ok {
					got = append(got, name)
				}
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("the types are %s, want %s:\n%s", got, test.want, source)
			}
		})
	}
}

func TestRun_package(t *testing.T) {
	tests := []struct {
		name      string
		goPackage string
		folder    string
		args      []string
		want      string
	}{
		{"the flag decides", "videos", "clips", []string{"-package", "ads"}, "ads"},
		{"without it what go generate says", "videos", "clips", nil, "videos"},
		{"without that the folder", "", "clips", nil, "clips"},
		{"as far as it can", "", "2-Clips", nil, "p2clips"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			serve(t, demo())
			t.Setenv("GOPACKAGE", test.goPackage)
			folder := filepath.Join(t.TempDir(), test.folder)
			if err := os.Mkdir(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Chdir(folder)
			stdout, _ := mustRun(t, exitOK, test.args...)
			if !strings.Contains(stdout, "\npackage "+test.want+"\n") {
				t.Errorf("it is not package %s:\n%s", test.want, stdout)
			}
			t.Chdir("..")
			path := filepath.Join(test.folder, "templates_gen.go")
			mustRun(t, exitOK, append(test.args, "-out", path)...)
			if got := readFile(t, path); got != stdout {
				t.Errorf("with -out the file is\n%s\nwant\n%s", got, stdout)
			}
		})
	}
}

func TestRun_check_reads_the_package_of_the_file(t *testing.T) {
	serve(t, demo())
	path := filepath.Join(t.TempDir(), "templates_gen.go")
	t.Setenv("GOPACKAGE", "main") // as under go generate
	mustRun(t, exitOK, "-out", path)
	for _, goPackage := range []string{"", "elsewhere", "not a name"} {
		t.Setenv("GOPACKAGE", goPackage)
		mustRun(t, exitOK, "-check", "-out", path)
	}
	t.Setenv("GOPACKAGE", "")
	mustRun(t, exitOK, "-out", path)
	if got := readFile(t, path); !strings.Contains(got, "\npackage main\n") {
		t.Errorf("without go generate, the package has become another one:\n%s", got)
	}
	mustRun(t, exitDiffers, "-check", "-out", path, "-package", "ads")
	t.Setenv("GOPACKAGE", "not a name")
	if _, stderr := mustRun(t, exitFailed, "-out", path); !strings.Contains(stderr, "(set -package)") {
		t.Errorf("it does not say what to do: %s", stderr)
	}
}

func TestRun_leaves_a_file_alone_whose_names_would_change_their_meaning(t *testing.T) {
	tests := []struct {
		name          string
		before, after creatifytest.Template
		want          string // "" if the file is written
	}{
		{"a variable is renamed to one that looks alike", creatifytest.Template{ID: idA, Name: "Demo", Variables: map[string]string{"photo-url": "image"}},
			creatifytest.Template{ID: idA, Name: "Demo", Variables: map[string]string{"photo url": "image"}},
			`Demo.PhotoURL = Image "photo-url", which would be Image "photo url"`},
		{"a variable gets another type", demo(),
			creatifytest.Template{ID: idA, Name: "Demo", Variables: map[string]string{"headline": "text", "photo": "text"}},
			`Demo.Photo = Image "photo", which would be Text "photo"`},
		{"another template gets the name", demo(), creatifytest.Template{ID: idB, Name: "Demo", Variables: demo().Variables},
			`DemoTemplateID = "` + idA + `", which would be "` + idB + `"`},
		{"a variable comes that looks alike", creatifytest.Template{ID: idA, Name: "Demo", Variables: map[string]string{"photo-url": "image"}},
			creatifytest.Template{ID: idA, Name: "Demo", Variables: map[string]string{"photo url": "image", "photo-url": "image"}}, ""},
		{"a variable goes and another comes", demo(),
			creatifytest.Template{ID: idA, Name: "Demo", Variables: map[string]string{"headline": "text", "music": "audio"}}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "templates_gen.go")
			serve(t, test.before)
			mustRun(t, exitOK, "-out", path, "-package", "templates")
			before := readFile(t, path)
			serve(t, test.after)
			if test.want == "" {
				mustRun(t, exitOK, "-out", path)
				return
			}
			_, stderr := mustRun(t, exitFailed, "-out", path)
			if !strings.Contains(stderr, test.want) || !strings.Contains(stderr, "delete "+path) {
				t.Errorf("it prints %s, want %s and what to do", stderr, test.want)
			}
			if readFile(t, path) != before {
				t.Error("it has written the file")
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			mustRun(t, exitOK, "-out", path)
		})
	}
}

func TestRun_writes_only_changes(t *testing.T) {
	serve(t, demo())
	dir := t.TempDir()
	path := filepath.Join(dir, "templates_gen.go")
	mustRun(t, exitOK, "-out", path)
	first := readFile(t, path)
	long := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, exitOK, "-out", path)
	before := stat(t, path)
	if !before.ModTime().Equal(long) {
		t.Error("it was written again although it is the same")
	}

	changed := demo()
	changed.Name = "Trial"
	serve(t, changed)
	mustRun(t, exitOK, "-out", path)
	if got := readFile(t, path); got != strings.ReplaceAll(first, "Demo", "Trial") {
		t.Errorf("the new file is\n%s", got)
	}
	if mode := stat(t, path).Mode(); mode != before.Mode() {
		t.Errorf("its mode is %v now, want that of the old file", mode)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v (err = %v), want the file alone", entries, err)
	}
}

func stat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestRun_leaves_foreign_files_alone(t *testing.T) {
	serve(t, demo())
	path := filepath.Join(t.TempDir(), "main.go")
	const precious = "package main\n"
	writeFile(t, path, precious)
	if _, stderr := mustRun(t, exitFailed, "-out", path); !strings.Contains(stderr, "was not written by creatify-gen") {
		t.Errorf("it does not say why: %s", stderr)
	}
	if got := readFile(t, path); got != precious {
		t.Errorf("the file is now\n%s", got)
	}
}

func TestRun_check(t *testing.T) {
	serve(t, demo(), creatifytest.Template{ID: idB, Name: "Other"})
	written, _ := mustRun(t, exitOK, "-package", "templates")
	change := func(old, new string) string { return strings.ReplaceAll(written, old, new) }
	tests := []struct {
		name string
		file string // none if empty
		code int
		want string
	}{
		{"the file is what would be written", written, exitOK, ""},
		{"git has changed its line ends", change("\n", "\r\n"), exitOK, ""},
		{"there is no file", "", exitDiffers, "there is no such file, or it is empty\n"},
		{"a variable has another name", change(`"photo"`, `"picture"`), exitDiffers,
			"- Demo.Photo = Image \"picture\"\n+ Demo.Photo = Image \"photo\"\n"},
		{"a variable has another type", change("creatify.Image", "creatify.Video"), exitDiffers,
			"- Demo.Photo = Video \"photo\"\n+ Demo.Photo = Image \"photo\"\n"},
		{"a template has another ID", change(idB, creatifytest.TemplateID), exitDiffers,
			"- OtherTemplateID = \"" + creatifytest.TemplateID + "\"\n+ OtherTemplateID = \"" + idB + "\"\n"},
		{"there is no template yet", header + "\npackage templates\n", exitDiffers,
			"+ DemoTemplateID = \"" + idA + "\"\n+ Demo.Headline = Text \"headline\"\n" +
				"+ Demo.Photo = Image \"photo\"\n+ OtherTemplateID = \"" + idB + "\"\n"},
		{"the package is another", change("package templates", "package ads"), exitDiffers,
			"the templates are the same, but not the package, a comment or other code\n"},
		{"the file is no Go", "To do", exitDiffers, "the file is not valid Go\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "templates_gen.go")
			if test.file != "" {
				writeFile(t, path, test.file)
			}
			stdout, stderr := mustRun(t, test.code, "-check", "-out", path, "-package", "templates")
			if stdout != test.want {
				t.Errorf("it prints\n%s\nwant\n%s", stdout, test.want)
			}
			if (test.code == exitOK) != (stderr == "") {
				t.Errorf("it prints %q to the standard error", stderr)
			}
			if test.file == "" {
				if _, err := os.Stat(path); err == nil {
					t.Error("it has written the file")
				}
			} else if got := readFile(t, path); got != test.file {
				t.Errorf("the file is now\n%s", got)
			}
		})
	}
}

func TestRun_explains_bad_arguments(t *testing.T) {
	api := serve(t, demo())
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"an unknown flag", []string{"-output", "x.go"}, "flag provided but not defined: -output"},
		{"an argument", []string{"templates_gen.go"}, `unexpected argument "templates_gen.go"`},
		{"no file", []string{"-out", ""}, "-out is empty"},
		{"nothing to check", []string{"-check"}, "-check needs -out"},
		{"an empty ID", []string{"-template", ""}, "the ID is empty"},
		{"a package that is a keyword", []string{"-package", "func"}, `"func" cannot be the name of a package`},
		{"a package that is code", []string{"-package", "x; import \"os\""}, "cannot be the name of a package"},
		{"a blank package", []string{"-package", "_"}, `"_" cannot be the name of a package`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr := mustRun(t, exitUsage, test.args...)
			if !strings.Contains(stderr, test.want) || !strings.Contains(stderr, "creatify-gen -h") || stdout != "" {
				t.Errorf("it prints %q, want %q and where to read on", stderr, test.want)
			}
		})
	}
	if calls := api.Calls(""); calls != 0 {
		t.Errorf("%d requests were sent", calls)
	}
}

func TestRun_help(t *testing.T) {
	stdout, stderr := mustRun(t, exitOK, "-h")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if stdout != help || stderr != "" || len(lines) > 23 {
		t.Errorf("it prints %d lines: %s%s", len(lines), stdout, stderr)
	}
	for _, line := range lines {
		columns := 80
		if strings.HasPrefix(line, "  ") { // is not flowing text, so that it is hard to read when it is wrapped
			columns = 50
		}
		if len(line) > columns {
			t.Errorf("the line is %d characters wide: %s", len(line), line)
		}
	}
}

func TestRun_of_an_account_that_cannot_be_read(t *testing.T) {
	tests := []struct {
		name  string
		fault creatifytest.Fault
		args  []string
		want  string
	}{
		{"the credentials are wrong", creatifytest.Fault{Status: http.StatusUnauthorized, Body: `{"detail": "Invalid key."}`}, nil, "401"},
		{"a template is unknown", creatifytest.Fault{}, []string{"-template", idB}, `template "` + idB + `": `},
		{"an ID cannot be one", creatifytest.Fault{}, []string{"-template", ".."}, "cannot be an ID"},
		{"the list is none", creatifytest.Fault{Call: creatifytest.CallListTemplates, Body: `{"detail": "odd"}`}, nil, "not a list"},
		{"an item of the list has no ID", creatifytest.Fault{Call: creatifytest.CallListTemplates, Body: `[{}]`}, nil, "template_id: is empty"},
		{"the response is about another template", templateReply(`{"template_id": "` + idB + `", "variables": {}}`), nil, "about another template"},
		{"the variables are not there", templateReply(`{"template_id": "` + idA + `"}`), nil, "does not list its variables by name"},
		{"the variables are a list", templateReply(`{"variables": [{"name": "headline"}]}`), nil, "does not list its variables by name"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			serve(t, demo()).Inject(test.fault)
			path := filepath.Join(t.TempDir(), "templates_gen.go")
			writeFile(t, path, header)
			stdout, stderr := mustRun(t, exitFailed, append(test.args, "-out", path)...)
			if !strings.HasPrefix(stderr, "creatify-gen: ") || !strings.Contains(stderr, test.want) || stdout != "" {
				t.Errorf("it prints %q, want %q", stderr, test.want)
			}
			if strings.Contains(stderr, creatifytest.APIKey) {
				t.Errorf("it prints the key: %q", stderr)
			}
			if got := readFile(t, path); got != header {
				t.Errorf("the file is now\n%s", got)
			}
			if _, stderr := mustRun(t, exitFailed, append(test.args, "-check", "-out", filepath.Dir(path))...); stderr == "" {
				t.Error("-check does not say what is wrong")
			}
		})
	}
}

func templateReply(body string) creatifytest.Fault {
	return creatifytest.Fault{Call: creatifytest.CallGetTemplate, Body: body}
}

func TestRun_of_a_template_whose_variables_are_null(t *testing.T) {
	serve(t, demo()).Inject(templateReply(`{"name": "Bare", "variables": null}`))
	got, _ := mustRun(t, exitOK)
	if !strings.Contains(got, "type Bare struct") || !strings.Contains(got, "func NewBare() Bare") {
		t.Errorf("it wrote\n%s", got)
	}
	typeCheck(t, got, "")
}

func TestRun_without_credentials(t *testing.T) {
	serve(t, demo())
	t.Setenv("CREATIFY_API_KEY", "")
	if _, stderr := mustRun(t, exitFailed); !strings.Contains(stderr, "CREATIFY_API_KEY: is not set") || !strings.HasSuffix(stderr, "(creatify-gen -h explains the environment)\n") {
		t.Errorf("it prints %q, which does not name what is missing and what to do", stderr)
	}
}

func TestRun_without_the_folder(t *testing.T) {
	serve(t, demo())
	mustRun(t, exitFailed, "-out", filepath.Join(t.TempDir(), "nowhere", "templates_gen.go"), "-package", "x")
}

func TestRun_output_is_formatted(t *testing.T) {
	serve(t, goldenTemplates()...)
	got, _ := mustRun(t, exitOK)
	if formatted, err := format.Source([]byte(got)); err != nil || string(formatted) != got {
		t.Errorf("gofmt would change it (err = %v):\n%s", err, got)
	}
}
