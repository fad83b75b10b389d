// Package creatifytest is a fake of Creatify's custom-template API, for tests of programs that use it. It
// keeps everything in memory, costs nothing and contacts no other host.
//
// An [API] is an [http.RoundTripper], for tests without a socket, and an [http.Handler], for tests over a
// real connection and for programs in other languages (cmd/creatify-mock serves one):
//
//	api := creatifytest.New(creatifytest.Config{})
//	option := creatify.WithHTTPClient(api.HTTPClient())
//	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, option)
//
//	server := httptest.NewServer(creatifytest.New(creatifytest.Config{}))
//
// # Time
//
// Jobs have no timers: their state is computed from [time.Now] when they are read. Inside a bubble of
// [testing/synctest], a job that takes minutes is therefore done at once. Only [CallPreviewSync] and a
// [Fault] with a Delay sleep. With a real clock, package creatify does not poll a new job for some seconds:
// to make such a test fast, use its option WithSchedule with a short fixed interval. A job with
// [Life.PerRead] counts reads instead of time.
//
// # What a test can set and see
//
// [Config], [API.NextJob] and [Config.LifeFor] set what happens to jobs, [API.Inject] makes calls fail, and
// [API.AddCredits] adds to the balance. [API.Calls], [API.Jobs], [API.Job] and [API.Charges] report what
// happened. Events are sent to a job's webhook_url while [API.RunWebhooks] or [API.RunWebhooksTo] runs.
//
// The URLs in responses lead to the fake, which answers for every host; for a server, set [Config.BaseURL]. A
// preview is a page for a browser, and a video an MP4 file that plays for 3 s and supports range requests.
// Neither needs credentials; [API.LeakedCredentials] counts the requests that send them anyway. The preview
// URLs of templates and voices lead nowhere.
//
// # Guesses
//
// Where the API's documentation is silent, the fake answers as Django REST Framework does. These are guesses:
// the responses to wrong credentials, too few credits, too many requests and an impossible render; the status
// 200 of a blocking preview and of a render; that prices are rounded up to whole 30 s, and how models change
// them (see [API.Charged]); that a failed job is not refunded; the form of a template's variables; how a
// video's URL expires; and which webhook events are sent, and how often.
package creatifytest

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Credentials and IDs that a zero [Config] accepts. A job may name any UUID as its template, unless
// [Config.StrictTemplates] is set.
const (
	APIID      = "creatifytest-api-id"
	APIKey     = "creatifytest-api-key"
	TemplateID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
	PersonaID  = "18fccce8-86e7-5f31-abc8-18915cb872be" // for an avatar's avatar_id
	AccentID   = "6f8c2a04-51d3-4b7e-9a1f-2c07d5e4b836" // for a voiceover's voice_id
)

// Config sets how an [API] behaves. The zero value is ready for use. The slices, maps and functions in it are
// not copied and must not be changed while the API is in use.
type Config struct {
	// APIID and APIKey are the credentials to accept. If empty, they are the constants of the same name.
	APIID, APIKey string

	// Credits is the balance at the start. 0 means 1000; less than 0 means none.
	Credits float64

	// BaseURL is where clients reach a served API, such as http://127.0.0.1:8080, and the start of the URLs
	// of previews and videos. If empty, they have the hosts app.creatify.ai and video.creatify.test. A server
	// made by httptest.NewUnstartedServer has its address before it has a handler.
	BaseURL string

	// Life is the course of each job for which neither [API.NextJob] nor LifeFor has one.
	Life Life

	// LifeFor, if not nil, returns the course of the job that a request creates, unless [API.NextJob] has
	// queued one. It may be called concurrently, and for requests that are refused afterwards.
	LifeFor func(Request) Life

	// Webhooks sets which events go to the webhook_url of jobs, and how.
	Webhooks Webhooks

	// Templates are the account's templates. nil means one named "Demo" with the ID [TemplateID], a text
	// variable named headline and an image variable named photo.
	Templates []Template

	// StrictTemplates refuses, with 400 and free of charge, a job of a template that is not among Templates,
	// and variables that are unknown to the template, of another type, or missing. How the real API refuses
	// them is not documented.
	StrictTemplates bool

	// Personas are the account's avatars. nil means one with the ID [PersonaID].
	Personas []Persona

	// Voices are the account's voices. nil means one whose accent has the ID [AccentID].
	Voices []Voice

	// LoadImages makes preview pages load the images of jobs from their hosts. Otherwise a page shows a
	// placeholder for each.
	LoadImages bool

	// RequestsPerMinute is how many requests are served within any 60 s. Those over the limit get 429 and do
	// not count. 0 means no limit.
	RequestsPerMinute int

	// Seed determines the IDs of the jobs, and with them the bytes of their videos: two APIs with the same
	// seed give the same IDs in the same order.
	Seed uint64
}

// API is a fake of Creatify's custom-template API. It is made by [New] and safe for concurrent use.
type API struct {
	config Config

	mu       sync.Mutex
	ids      *rand.Rand
	jobs     map[string]*job // a job in here is never changed, but may be replaced
	order    []string        // the jobs' IDs, oldest first
	next     []Life
	credits  float64
	charged  float64
	charges  []Charge
	calls    map[Call]int // "" holds the number of all requests
	faults   []activeFault
	invalid  error       // of an Inject; every request fails with it
	admitted []time.Time // requests that the throttle accepted, oldest first
	leaked   int         // requests for files with credentials

	events  eventQueue
	planned uint64 // events so far
	shuffle *rand.Rand
	sent    int           // events so far, for Webhooks.Lose
	wake    chan struct{} // tells RunWebhooks of new events; nil if it does not run

	videoURLs atomic.Int64 // expiring URLs in responses so far
}

// New returns an API without jobs.
func New(config Config) *API {
	config.APIID = cmp.Or(config.APIID, APIID)
	config.APIKey = cmp.Or(config.APIKey, APIKey)
	config.BaseURL = strings.TrimRight(config.BaseURL, "/")
	if config.Templates == nil {
		config.Templates = demoTemplates()
	}
	if config.Personas == nil {
		config.Personas = demoPersonas()
	}
	if config.Voices == nil {
		config.Voices = demoVoices()
	}
	return &API{
		config:  config,
		ids:     rand.New(rand.NewPCG(config.Seed, 0)),
		shuffle: rand.New(rand.NewPCG(config.Seed, 1)),
		jobs:    make(map[string]*job),
		credits: max(cmp.Or(config.Credits, 1000), 0),
		calls:   make(map[Call]int),
	}
}

// HTTPClient returns a new client with the API as its transport, which answers for every host.
func (a *API) HTTPClient() *http.Client {
	return &http.Client{Transport: a.Transport()}
}

// Transport returns the API as a transport without a socket, for use below a middleware under test. See
// [API.RoundTrip].
func (a *API) Transport() http.RoundTripper { return a }

// NextJob queues courses for the next jobs: each new job takes the first one in the queue.
func (a *API) NextJob(lives ...Life) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next = append(a.next, lives...)
}

// Calls returns the number of requests for a call, including refused ones and those hit by a [Fault]. For ""
// it returns the number of all requests, including those for no known call.
func (a *API) Calls(call Call) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[call]
}

// Jobs returns the IDs of all jobs, oldest first. See [API.Job].
func (a *API) Jobs() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.order)
}

// LeakedCredentials returns the number of requests for a video or a preview's page that carried an X-API-ID
// or an X-API-KEY. Both are outside the API, so no client should send its credentials there.
func (a *API) LeakedCredentials() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaked
}
