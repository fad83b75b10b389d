package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// help fits a screen of 24 lines and 80 columns, and its flags fit 50 columns.
const help = `A sandbox of Creatify's custom-template API, in memory; its page at / says more.

  -addr HOST:PORT      listen here [127.0.0.1:0]
  -url URL             where clients reach it
  -seed N              make the same IDs each time
  -credits N           balance at the start [1000]
  -job-duration D      until a job ends [20s]
  -render-duration D   until a render ends [20s]
  -video-length D      sets the prices [15s]
  -fail REASON         let all jobs fail
  -fault FAULT         let calls fail; repeatable
  -rate N              requests a minute [any]
  -templates FILE      JSON as the API shows it
  -strict              refuse jobs that do not fit
  -webhooks WHERE      off, local or any [local]
  -webhook-statuses S  [done,failed,rejected]
  -images              let previews load images

FAULT is lose (the response, after the charge), reset, slow, cut or a status,
with ,call= ,times= ,skip= ,for= ,delay= ,retry-after= or ,processed=true.
Example: creatify-mock -addr 127.0.0.1:8080 -fault 503,call=render,times=3
Environment: none is read; the variables that a client needs are printed.
Exit codes: 0 stopped by a signal; 1 error; 2 bad usage.
`

// The values of -webhooks.
const (
	webhooksOff   = "off"
	webhooksLocal = "local"
	webhooksAny   = "any"
)

type options struct {
	addr, url string
	webhooks  string
	faults    []creatifytest.Fault
	config    creatifytest.Config
}

// parseFlags returns flag.ErrHelp for -h.
func parseFlags(args []string) (options, error) {
	var o options
	o.config.APIID, o.config.APIKey = creatifytest.APIID, creatifytest.APIKey
	life := &o.config.Life
	var video time.Duration
	var templates, statuses string

	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:0", "")
	flags.StringVar(&o.url, "url", "", "")
	flags.Float64Var(&o.config.Credits, "credits", 1000, "")
	flags.DurationVar(&life.Duration, "job-duration", 20*time.Second, "")
	flags.DurationVar(&life.Render.Duration, "render-duration", 20*time.Second, "")
	flags.DurationVar(&video, "video-length", 15*time.Second, "")
	flags.Func("fail", "", func(reason string) error {
		life.End, life.Reason = "failed", reason
		return nil
	})
	flags.Func("fault", "", func(text string) error {
		fault, err := parseFault(text)
		o.faults = append(o.faults, fault)
		return err
	})
	flags.IntVar(&o.config.RequestsPerMinute, "rate", 0, "")
	flags.StringVar(&templates, "templates", "", "")
	flags.BoolVar(&o.config.StrictTemplates, "strict", false, "")
	flags.StringVar(&o.webhooks, "webhooks", webhooksLocal, "")
	flags.StringVar(&statuses, "webhook-statuses", "", "")
	flags.BoolVar(&o.config.LoadImages, "images", false, "")
	flags.Uint64Var(&o.config.Seed, "seed", rand.Uint64(), "")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}

	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.url != "" && !isBaseURL(o.url):
		return options{}, fmt.Errorf("-url is %q, but must be like http://mock.example:8080", o.url)
	case life.Duration <= 0:
		return options{}, fmt.Errorf("-job-duration is %v, but must be more than 0", life.Duration)
	case life.Render.Duration <= 0:
		return options{}, fmt.Errorf("-render-duration is %v, but must be more than 0", life.Render.Duration)
	case video <= 0 || video > time.Hour:
		return options{}, fmt.Errorf("-video-length is %v, but must be more than 0 and at most 1h", video)
	case !(0 <= o.config.Credits && o.config.Credits <= math.MaxFloat64):
		return options{}, fmt.Errorf("-credits is %v, but must be a number of at least 0", o.config.Credits)
	case o.config.RequestsPerMinute < 0:
		return options{}, fmt.Errorf("-rate is %d, but must be at least 0, for no limit", o.config.RequestsPerMinute)
	case o.webhooks != webhooksOff && o.webhooks != webhooksLocal && o.webhooks != webhooksAny:
		return options{}, fmt.Errorf("-webhooks is %q, but must be off, local or any", o.webhooks)
	}
	if o.config.Credits == 0 {
		o.config.Credits = -1 // none
	}
	o.url = strings.TrimRight(o.url, "/")
	life.VideoSeconds = video.Seconds()
	for status := range strings.FieldsFuncSeq(statuses, func(r rune) bool { return r == ',' || r == ' ' }) {
		if !slices.Contains(allStatuses, status) {
			return options{}, fmt.Errorf("-webhook-statuses has %q, but no job has it (use %s)", status, strings.Join(allStatuses, ", "))
		}
		o.config.Webhooks.Statuses = append(o.config.Webhooks.Statuses, status)
	}
	if templates != "" {
		var err error
		if o.config.Templates, err = readTemplates(templates); err != nil {
			return options{}, fmt.Errorf("-templates: %w", err)
		}
	}
	return o, nil
}

var allStatuses = []string{"pending", "in_queue", "running", "done", "failed", "rejected"}

func isBaseURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil &&
		u.RawQuery == "" && u.Fragment == ""
}

// readTemplates reads a list of templates, each as the API shows it, or a single one.
func readTemplates(path string) ([]creatifytest.Template, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	type shown struct {
		ID          string `json:"template_id"`
		Name        string `json:"name"`
		AspectRatio string `json:"aspect_ratio"`
		Variables   map[string]struct {
			Type string `json:"type"`
		} `json:"variables"`
	}
	var list []shown
	if json.Unmarshal(content, &list) != nil {
		list = make([]shown, 1)
		if err := json.Unmarshal(content, &list[0]); err != nil {
			return nil, fmt.Errorf(`%s: %w (want [{"template_id": "…", "variables": {"headline": {"type": "text"}}}])`, path, err)
		}
	}
	templates := []creatifytest.Template{}
	for i, t := range list {
		if t.ID == "" {
			return nil, errors.New(path + ": template " + strconv.Itoa(i+1) + " has no template_id (use a UUID)")
		}
		template := creatifytest.Template{ID: t.ID, Name: t.Name, AspectRatio: t.AspectRatio, Variables: make(map[string]string)}
		for name, variable := range t.Variables {
			template.Variables[name] = variable.Type
		}
		templates = append(templates, template)
	}
	return templates, nil
}
