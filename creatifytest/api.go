// Package creatifytest is a fake of Creatify's custom-template API, for tests
// of programs which use it. It lives in memory, costs nothing and contacts
// nobody.
//
// An [API] is an [http.RoundTripper], for tests without a socket:
//
//	api := creatifytest.New(creatifytest.Config{})
//	client := api.HTTPClient()
//
// and an [http.Handler], for tests over a real connection:
//
//	server := httptest.NewServer(creatifytest.New(creatifytest.Config{}))
//
// Jobs have no timers: how far one has come is worked out from [time.Now] when
// it is read. Without a socket, inside a bubble of [testing/synctest], a job
// that takes minutes is therefore done at once. Only [CallPreviewSync] waits,
// as it does not reply before its job has ended.
//
// By a real clock, package creatify does not look at a new job before some
// seconds have gone by, however soon that is done: its option WithSchedule, with
// a short fixed interval, makes such a test quick.
//
// [API.NextJob] and [Config] say how jobs go, [API.Inject] makes calls go
// wrong, and [API.Calls], [API.Jobs] and [API.Charged] tell what happened.
//
// The URLs in replies lead to the fake. Without a socket they do so as they
// are, since its client reaches no other host; for a server, [Config.BaseURL]
// has to say where it is. The URL of a video gives noise, of which any range
// can be asked for. That of a preview gives a page for a browser. Neither wants
// credentials, and [API.LeakedCredentials] tells who sends them nevertheless.
// Only the previews of templates lead nowhere.
//
// A job's webhook_url is sent notices if [Config.Webhooks] has a client and
// [API.RunWebhooks] runs.
//
// The fake serves the calls named by the [Call] constants. Where the
// documentation of the real API is silent, it answers as an API built with
// Django REST Framework does. Guessed rather than documented are: the replies
// to wrong credentials, to too few credits, to too many requests and to a
// render that can't be; that a blocking preview and a render are answered with
// 200; that prices are rounded up to whole 30 s, and which one holds for a
// model other than the standard one (see [API.Charged]); that a failed job is
// not refunded; the form of a template's variables; how the URL of a video
// expires; and when a webhook is sent a notice, and how often.
package creatifytest

import (
	"cmp"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Credentials which a zero [Config] accepts, and the ID of the template which it
// has. To make a job, every UUID will do for a template's ID.
const (
	APIID      = "creatifytest-api-id"
	APIKey     = "creatifytest-api-key"
	TemplateID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
)

// Config says how an [API] behaves. The zero value is ready for use.
type Config struct {
	// APIID and APIKey are the credentials to accept.
	// Empty, they are the constants of the same name.
	APIID, APIKey string

	// Credits is the balance at the start; 0 means 1000.
	// For an account with next to none, use a tiny number such as 0.1.
	Credits float64

	// BaseURL is where clients reach the API when it is served, such as
	// http://127.0.0.1:8080, and thus what the URLs of previews and videos
	// begin with. Empty, they have the hosts app.creatify.ai and
	// video.creatify.test, the second of which does not exist. A server made by
	// httptest.NewUnstartedServer has its address before it has a handler.
	BaseURL string

	// Life is how every job goes that [API.NextJob] says nothing about.
	Life Life

	// Webhooks says how notices go to the webhook_url of jobs.
	// The zero value sends none.
	Webhooks Webhooks

	// Templates are the account's templates. nil means one named "Demo", with
	// the ID [TemplateID], a text called headline and an image called photo.
	// They are only shown, unless StrictTemplates is set: a job may name any
	// other template. They are not copied and must not be changed while the API
	// is in use.
	Templates []Template

	// StrictTemplates refuses, with 400 and free of charge, a job of a template
	// that is not among Templates, or with variables that the template does not
	// have, or has with another type, or without some that it has. How the real
	// API refuses them is not documented.
	StrictTemplates bool

	// RequestsPerMinute is how many requests are served within any 60 s. Those
	// beyond it are answered with 429 and do not count. 0 means no limit.
	RequestsPerMinute int

	// Seed decides the IDs of the jobs: two APIs with the same seed give the
	// same IDs in the same order. A job's ID decides the bytes of its video.
	Seed uint64
}

// Call names one of the calls the API serves, by method and path.
type Call string

// The calls the API serves. CallPreviewSync replies when its job has ended, and
// for one that never does, not before the request's context ends; the job is
// there and charged even if the client has gone. CallCreateVideo makes the final
// video at once, CallRender that of a job whose preview is done. CallVideo, which
// fetches a video, is one to another host: without a [Config.BaseURL] its path
// begins with the ID.
const (
	CallCreatePreview Call = "POST /api/custom_template_jobs/preview_async/"
	CallPreviewSync   Call = "POST /api/custom_template_jobs/preview/"
	CallCreateVideo   Call = "POST /api/custom_template_jobs/"
	CallRender        Call = "POST /api/custom_template_jobs/{id}/render/"
	CallGetJob        Call = "GET /api/custom_template_jobs/{id}/"
	CallListTemplates Call = "GET /api/custom_templates/"
	CallGetTemplate   Call = "GET /api/custom_templates/{template_id}/"
	CallCredits       Call = "GET /api/remaining_credits/"
	CallVideo         Call = "GET /videos/{id}.mp4"
)

// method returns the only method which the call's path allows.
func (c Call) method() string {
	method, _, _ := strings.Cut(string(c), " ")
	return method
}

// isFile reports whether the call is for what the real API has elsewhere, so
// that it takes no credentials and no part in the limit of requests.
func (c Call) isFile() bool {
	return c == CallVideo || c == callPreviewPage
}

// API is a fake of Creatify's custom-template API. It is made by [New] and
// safe for concurrent use.
type API struct {
	config Config

	mu       sync.Mutex
	ids      *rand.Rand
	jobs     map[string]*job // a job in here does not change, but may be replaced
	order    []string        // the jobs' IDs, oldest first
	next     []Life
	credits  float64
	charged  float64
	calls    map[Call]int // "" holds the number of all requests
	faults   []Fault
	admitted []time.Time // requests let in by the throttle, oldest first
	leaked   int         // requests for files with credentials

	notices  []*notice     // to be sent, by when they are due
	shuffle  *rand.Rand    // of notices
	sendings int           // counted so far
	wake     chan struct{} // tells RunWebhooks of notices; nil if it does not run

	videoURLs atomic.Int64 // given out so far, of those that expire
}

// New returns an API without jobs.
func New(config Config) *API {
	config.APIID = cmp.Or(config.APIID, APIID)
	config.APIKey = cmp.Or(config.APIKey, APIKey)
	config.BaseURL = strings.TrimRight(config.BaseURL, "/")
	config.Credits = cmp.Or(config.Credits, 1000)
	if config.Templates == nil {
		config.Templates = demoTemplates()
	}
	return &API{
		config:  config,
		ids:     rand.New(rand.NewPCG(config.Seed, 0)),
		shuffle: rand.New(rand.NewPCG(config.Seed, 1)),
		jobs:    make(map[string]*job),
		credits: config.Credits,
		calls:   make(map[Call]int),
	}
}

// NextJob says how the next job goes, the one after it, and so on. Lives wait
// in a queue, from which each job created takes one.
func (a *API) NextJob(lives ...Life) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next = append(a.next, lives...)
}

// Calls returns how many requests for a call were made, whatever became of
// them: those which were refused, or hit by a [Fault], are among them. For ""
// it returns the number of all requests, including those for no known call.
func (a *API) Calls(call Call) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[call]
}

// Jobs returns the IDs of all jobs, in the order of their creation.
func (a *API) Jobs() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.order)
}

// Charged returns the credits charged so far. For each 30 s of video or part of
// it, a preview costs 1 credit, a video without one 5, and a render 4. With the
// model aurora_v1 a video or a render costs 1 credit per second instead, with
// aurora_v1_fast half a credit; the documentation names these prices, but does
// not say how models and calls combine. All is charged when the API takes the
// request.
func (a *API) Charged() float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.charged
}

// Credits returns the balance that is left.
func (a *API) Credits() float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.credits
}

// LeakedCredentials returns how many requests for a video or for the page of a
// preview carried an X-API-ID or an X-API-KEY. Both are elsewhere than the API,
// so that no client should send its credentials there.
func (a *API) LeakedCredentials() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaked
}

// routes say which call a path is for: the first that fits it. No two calls
// share a path, so that each path allows one method, and HEAD if that is GET.
var routes = []route{
	newRoute(CallCreatePreview),
	newRoute(CallPreviewSync),
	newRoute(CallCreateVideo),
	newRoute(CallRender),
	newRoute(CallGetJob), // after the calls that have a word where it has the ID
	newRoute(CallListTemplates),
	newRoute(CallGetTemplate),
	newRoute(CallCredits),
	newRoute(CallVideo),
	{call: CallVideo, before: "/", after: ".mp4", hasID: true}, // below filesURL
	newRoute(callPreviewPage),
}

// route is a call and the form of its path: before, the ID if it has one, after.
type route struct {
	call          Call
	before, after string
	hasID         bool
}

func newRoute(call Call) route {
	_, path, _ := strings.Cut(string(call), " ")
	before, rest, hasID := strings.Cut(path, "{")
	_, after, _ := strings.Cut(rest, "}")
	return route{call: call, before: before, after: after, hasID: hasID}
}

// match returns the ID in a path, and whether the path is the route's.
func (r *route) match(path string) (id string, ok bool) {
	id, before := strings.CutPrefix(path, r.before)
	id, after := strings.CutSuffix(id, r.after)
	return id, before && after && (id != "") == r.hasID && !strings.Contains(id, "/")
}

// callOf returns the call a path is for and the ID in it. The call is "" if
// there is none.
func callOf(path string) (call Call, id string) {
	for i := range routes {
		if id, ok := routes[i].match(path); ok {
			return routes[i].call, id
		}
	}
	return "", ""
}

// process answers a request as the API does when nothing goes wrong. The order
// of the checks is that of Django REST Framework.
func (a *API) process(r *http.Request, body []byte) reply {
	call, id := callOf(r.URL.Path)
	if call == "" {
		return unrouted(r)
	}
	if !call.isFile() {
		if refusal := a.admit(r.Header); refusal != nil {
			return *refusal
		}
	}
	if methodOf(r) != call.method() {
		return methodNotAllowed(cmp.Or(r.Method, http.MethodGet), call)
	}
	contentType := r.Header.Get("Content-Type")
	switch call {
	case CallCreatePreview, CallCreateVideo:
		return a.create(call, contentType, body)
	case CallPreviewSync:
		return a.previewSync(r.Context(), contentType, body)
	case CallRender:
		return a.render(id, contentType, body)
	case CallGetJob:
		return a.getJob(id)
	case CallListTemplates:
		return a.listTemplates()
	case CallGetTemplate:
		return a.getTemplate(id)
	case CallVideo:
		return a.serveVideo(r, id)
	case callPreviewPage:
		return a.servePreview(r.URL.Query().Get("layout"))
	default:
		return jsonReply(http.StatusOK, map[string]float64{"remaining_credits": a.Credits()})
	}
}

// methodOf returns the method of a request; a client may leave it empty for GET.
// HEAD is GET too: that its reply has no body is seen to where it is sent.
func methodOf(r *http.Request) string {
	if r.Method == http.MethodHead {
		return http.MethodGet
	}
	return cmp.Or(r.Method, http.MethodGet)
}

// admit checks the credentials and the rate of requests. It returns nil for a
// request that may go on.
func (a *API) admit(header http.Header) *reply {
	id, key := header.Get("X-API-ID"), header.Get("X-API-KEY")
	if id == "" || key == "" {
		refusal := detail(http.StatusUnauthorized, "Authentication credentials were not provided.")
		return &refusal
	}
	if id != a.config.APIID || key != a.config.APIKey {
		refusal := detail(http.StatusUnauthorized, "Invalid API credentials.")
		return &refusal
	}
	if wait := a.throttle(time.Now()); wait > 0 {
		refusal := throttled(wait)
		return &refusal
	}
	return nil
}

const throttleWindow = time.Minute

// throttle returns how long to wait before the next request is let in, 0 if
// this one is.
func (a *API) throttle(now time.Time) time.Duration {
	if a.config.RequestsPerMinute <= 0 {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.admitted) > 0 && now.Sub(a.admitted[0]) >= throttleWindow {
		a.admitted = a.admitted[1:]
	}
	if len(a.admitted) >= a.config.RequestsPerMinute {
		return throttleWindow - now.Sub(a.admitted[0])
	}
	a.admitted = append(a.admitted, now)
	return 0
}

func throttled(wait time.Duration) reply {
	seconds := int(math.Ceil(wait.Seconds()))
	unit := "seconds"
	if seconds == 1 {
		unit = "second"
	}
	n := strconv.Itoa(seconds)
	rep := detail(http.StatusTooManyRequests, "Request was throttled. Expected available in "+n+" "+unit+".")
	rep.header.Set("Retry-After", n)
	return rep
}

func methodNotAllowed(method string, call Call) reply {
	rep := detail(http.StatusMethodNotAllowed, "Method "+strconv.Quote(method)+" not allowed.")
	allow := "POST, OPTIONS"
	if call.method() == http.MethodGet {
		allow = "GET, HEAD, OPTIONS"
	}
	rep.header.Set("Allow", allow)
	return rep
}

const notFoundPage = `<!doctype html>
<html lang="en">
<head>
  <title>Not Found</title>
</head>
<body>
  <h1>Not Found</h1><p>The requested resource was not found on this server.</p>
</body>
</html>
`

// unrouted answers a request for a path which no call has. As in Django, one
// that lacks but the slash at its end is redirected, and neither reply asks
// for credentials.
func unrouted(r *http.Request) reply {
	if call, _ := callOf(r.URL.Path + "/"); call == "" {
		return page(http.StatusNotFound, notFoundPage)
	}
	location := r.URL.EscapedPath() + "/"
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	rep := page(http.StatusMovedPermanently, "")
	rep.header.Set("Location", location)
	return rep
}
