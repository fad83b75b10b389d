package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

//go:embed index.html
var indexHTML string

var indexTemplate = template.Must(template.New("index").Funcs(template.FuncMap{"plural": plural}).Parse(indexHTML))

func plural(n int, noun string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// indexPage is the page at /.
type indexPage struct {
	api     *creatifytest.API
	options options
	baseURL string
}

// maxShown is how many jobs the page shows, the newest ones.
const maxShown = 50

// index is what the page shows.
type index struct {
	URL, APIID, APIKey string
	Example            string // the body of a request for a preview
	Credits, Charged   float64
	Total              int // jobs
	Hidden             int // older jobs that are not shown
	Leaked             int
	Webhooks           string
	Faults             []string
	Jobs               []shownJob
	Running            bool // a job has not ended
}

type shownJob struct {
	creatifytest.Job
	Call    string
	Percent int
	Age     time.Duration
	Over    bool
}

func (p *indexPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "the page can only be read (the control is below "+p.baseURL+"/_mock/)")
		return
	}
	var page bytes.Buffer
	if err := indexTemplate.Execute(&page, p.index()); err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(page.Bytes()) // an error means that the client has left
}

func (p *indexPage) index() index {
	ids := p.api.Jobs()
	i := index{
		URL:      p.baseURL,
		APIID:    p.options.config.APIID,
		APIKey:   p.options.config.APIKey,
		Example:  exampleBody(p.options.config.Templates),
		Credits:  p.api.Credits(),
		Charged:  p.api.Charged(),
		Total:    len(ids),
		Hidden:   max(len(ids)-maxShown, 0),
		Leaked:   p.api.LeakedCredentials(),
		Webhooks: p.options.webhooks,
	}
	for _, spec := range specsOf(p.api) {
		text, _ := json.Marshal(spec)
		i.Faults = append(i.Faults, string(text))
	}
	for _, id := range slices.Backward(ids[i.Hidden:]) {
		job, _ := p.api.Job(id)
		shown := shownJob{
			Job:     job,
			Call:    nameOf(job.Request.Call),
			Percent: int(100 * job.Progress),
			Age:     time.Since(job.Created).Round(time.Second),
			Over:    job.Status == "done" || job.Status == "failed" || job.Status == "rejected",
		}
		i.Running = i.Running || !shown.Over
		i.Jobs = append(i.Jobs, shown)
	}
	return i
}

// exampleBody returns the body of a request for a preview with the first of the templates, for single quotes
// in a shell.
func exampleBody(templates []creatifytest.Template) string {
	id, types := creatifytest.TemplateID, map[string]string{"headline": "text", "photo": "image"}
	if len(templates) > 0 {
		id, types = templates[0].ID, templates[0].Variables
	}
	variables := make(map[string]any)
	for name, kind := range types {
		properties := map[string]string{}
		switch kind {
		case "text":
			properties["content"] = "Spring sale"
		case "image":
			properties["url"] = "https://example.com/photo.jpg"
		case "video":
			properties["url"] = "https://example.com/clip.mp4"
		case "audio":
			properties["url"] = "https://example.com/music.mp3"
		case "avatar":
			properties["avatar_id"] = creatifytest.PersonaID
		case "voiceover":
			properties["voice_id"] = creatifytest.AccentID
		}
		variables[name] = map[string]any{"type": kind, "properties": properties}
	}
	body, _ := json.Marshal(map[string]any{"template_id": id, "variables": variables})
	return strings.ReplaceAll(string(body), "'", `'\''`)
}
