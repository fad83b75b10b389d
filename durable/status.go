package durable

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

//go:embed status.html
var statusHTML string

// StatusHandler serves the state of the queue, as a page, or as JSON with ?format=json: the orders by state,
// those that need a person first, and one order's history. It shows no parameters. Serve it at any path, to
// whoever may see the orders; with [Options.Authorize] it has buttons that change them.
//
// It answers on localhost, on IP addresses and on the names in [Options.Hosts], so that no foreign page can
// read it by DNS rebinding. Changes from other sites' pages are refused.
func (q *Queue) StatusHandler() http.Handler {
	s := &status{queue: q, origin: http.NewCrossOriginProtection(), busy: make(chan struct{}, 2)}
	s.page = template.Must(template.New("status").Funcs(template.FuncMap{"ago": ago, "clock": clock, "link": link}).Parse(statusHTML))
	return http.HandlerFunc(s.serve)
}

type status struct {
	queue  *Queue
	page   *template.Template
	origin *http.CrossOriginProtection
	busy   chan struct{} // so that readers take few of the pool's connections
}

const statusWithin = 10 * time.Second

func (s *status) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	if !s.knowsHost(r.Host) {
		http.Error(w, "403 Forbidden: this page is not served under this name (add it to durable.Options.Hosts)", http.StatusForbidden)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), statusWithin)
	defer cancel()
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		// FormValue would read a form in the body, however long that takes.
		r.Body = http.NoBody
		if text := fmt.Sprint(r.URL.Query()); !utf8.ValidString(text) || strings.ContainsRune(text, 0) { // Postgres refuses it
			http.Error(w, "400 Bad Request: the query is not text", http.StatusBadRequest)
			return
		}
		s.show(ctx, w, r, nil)
	case http.MethodPost:
		s.change(ctx, w, r)
	default:
		header.Set("Allow", "GET, HEAD, POST")
		http.Error(w, "405 Method Not Allowed", http.StatusMethodNotAllowed)
	}
}

// knowsHost reports whether the page may be seen under a Host header. A foreign name whose DNS record leads
// here is refused.
func (s *status) knowsHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	return host == "localhost" || net.ParseIP(host) != nil || slices.ContainsFunc(s.queue.options.Hosts, func(known string) bool {
		return strings.EqualFold(known, host)
	})
}

func (s *status) authorize(r *http.Request) (who string, ok bool) {
	if s.queue.options.Authorize == nil {
		return "", false
	}
	return s.queue.options.Authorize(r)
}

// change does what a button asks for, and shows the order.
func (s *status) change(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if err := s.origin.Check(r); err != nil {
		http.Error(w, "403 Forbidden: the request comes from another site", http.StatusForbidden)
		return
	}
	who, ok := s.authorize(r)
	if !ok {
		http.Error(w, "403 Forbidden: you may not change orders", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "400 Bad Request", http.StatusBadRequest)
		return
	}
	q, id := s.queue, r.PostForm.Get("order")
	var err error
	switch r.PostForm.Get("action") {
	case "resolve":
		err = q.Resolve(ctx, id, strings.TrimSpace(r.PostForm.Get("job")), who)
	case "resend":
		if err = s.unchanged(ctx, id, r.PostForm.Get("sent")); err == nil {
			err = q.Resend(ctx, id, who)
		}
	case "abandon":
		err = q.Abandon(ctx, id, who)
	case "cancel":
		err = q.decide(ctx, cancel, id, who, "")
	default:
		http.Error(w, "400 Bad Request: no such action", http.StatusBadRequest)
		return
	}
	if err != nil {
		s.show(ctx, w, r, err)
		return
	}
	// Relative to the browser's own URL, since a prefix may have been stripped from r's: http.Redirect would
	// take r's path, and a path that ends in "https:host" for a URL.
	header := w.Header()
	header.Set("Location", "?"+url.Values{"order": {id}}.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

// unchanged returns an error if an order was sent again since the page was made that a person acts on.
func (s *status) unchanged(ctx context.Context, id, sent string) error {
	order, err := s.queue.get(ctx, s.queue.reads, id)
	if err == nil && sent != "" && sent != strconv.FormatInt(order.Sent.UnixMicro(), 10) {
		return fmt.Errorf("%w: it was sent again since this page was loaded", ErrState)
	}
	return err
}

// view has the data of the page and of the JSON.
type view struct {
	Counts  map[State]int `json:"counts"`
	Extra   int           `json:"extra_charges"`
	Credits float64       `json:"credits"`
	Paused  string        `json:"paused,omitempty"`
	Since   time.Time     `json:"paused_since,omitzero"`
	Failing time.Time     `json:"failing_since,omitzero"`
	Order   *shown        `json:"order,omitempty"`
	History []Event       `json:"history,omitempty"`
	Orders  []shown       `json:"orders,omitempty"`
	Next    string        `json:"next,omitempty"` // the value of ?after= for the next page

	Now     time.Time `json:"-"`
	States  []State   `json:"-"`
	Urgent  []shown   `json:"-"`
	More    int       `json:"-"` // urgent orders that are not shown
	Filter  Filter    `json:"-"`
	Buttons bool      `json:"-"`
	Who     string    `json:"-"`
	Error   string    `json:"-"`
	Budget  float64   `json:"-"`
}

// shown is an order without what may be private.
type shown struct {
	ID       string    `json:"id"`
	Kind     Kind      `json:"kind"`
	Of       string    `json:"of,omitempty"`
	State    State     `json:"state"`
	Priority int       `json:"priority"`
	JobID    string    `json:"job_id,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Credits  float64   `json:"credits"`
	Created  time.Time `json:"created"`
	Sent     time.Time `json:"sent,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
	Preview  string    `json:"preview,omitempty"`
	Video    string    `json:"video,omitempty"`
}

func showOrder(o *Order) shown {
	s := shown{o.ID, o.Kind, o.Of, o.State, o.Priority, o.JobID, o.Reason, o.Credits, o.Created, o.Sent, o.Ended, "", ""}
	if o.Job != nil {
		s.Preview, s.Video = o.Job.Preview, o.Job.VideoOutput
	}
	return s
}

func (s *status) show(ctx context.Context, w http.ResponseWriter, r *http.Request, failed error) {
	code := http.StatusOK
	v, err := s.read(ctx, r)
	switch {
	case errors.Is(err, ErrNotFound):
		http.Error(w, "404 Not Found: no such order", http.StatusNotFound)
		return
	case err != nil:
		s.queue.log.ErrorContext(ctx, "creatify: the status page cannot read", "error", err)
		http.Error(w, "503 Service Unavailable: the database does not answer", http.StatusServiceUnavailable)
		return
	case failed != nil:
		code, v.Error = http.StatusConflict, failed.Error()
	}
	var body bytes.Buffer
	if r.FormValue("format") == "json" || strings.HasPrefix(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		encoder := json.NewEncoder(&body)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(v)
	} else {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		err = s.page.Execute(&body, v)
	}
	if err != nil {
		s.queue.log.ErrorContext(ctx, "creatify: the status page cannot be written", "error", err)
		http.Error(w, "500 Internal Server Error", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(code)
	_, _ = w.Write(body.Bytes())
}

const (
	pageLength = 50
	urgentMost = 5
)

func (s *status) read(ctx context.Context, r *http.Request) (*view, error) {
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	q := s.queue
	counts, err := q.counts(ctx, q.reads)
	if err != nil {
		return nil, err
	}
	v := &view{Counts: counts.Orders, Extra: counts.Extra, Credits: counts.Credits, Paused: counts.Paused, Since: counts.PausedSince,
		Failing: counts.FailingSince, Now: time.Now(), States: states, Budget: q.options.Credits}
	v.Who, v.Buttons = s.authorize(r)
	if id := r.FormValue("order"); id != "" {
		return v, s.readOrder(ctx, v, id)
	}
	v.Filter = Filter{State: State(r.FormValue("state")), Search: strings.TrimSpace(r.FormValue("search")), After: r.FormValue("after"),
		Limit: pageLength + 1}
	orders, err := q.list(ctx, q.reads, v.Filter)
	for i, order := range orders {
		if i < pageLength {
			v.Orders = append(v.Orders, showOrder(order))
		} else {
			v.Next = v.Orders[i-1].ID
		}
	}
	if err != nil || v.Filter.State != "" || v.Filter.Search != "" || v.Filter.After != "" {
		return v, err
	}
	for _, state := range []State{StateUnknown, StateExpired} {
		urgent, err := q.list(ctx, q.reads, Filter{State: state, Limit: urgentMost})
		if err != nil {
			return nil, err
		}
		v.More += counts.Orders[state] - len(urgent)
		for _, order := range urgent {
			v.Urgent = append(v.Urgent, showOrder(order))
		}
	}
	return v, nil
}

func (s *status) readOrder(ctx context.Context, v *view, id string) error {
	r, err := s.queue.get(ctx, s.queue.reads, id)
	if err == nil {
		err = s.queue.load(ctx, s.queue.reads, r)
	}
	if err != nil {
		return err
	}
	order := showOrder(&r.Order)
	v.Order = &order
	v.History, err = s.queue.history(ctx, s.queue.reads, id)
	return err
}

// Advice returns what to do about an order, for a person who sees it for the first time.
func (s shown) Advice() string {
	switch {
	case s.State == StateUnknown && s.Kind == Render:
		return "The response to the paid call was lost, and a minute later the job did not show that it was being rendered. Look at the job. " +
			"Rendering or rendered: Resolve. Not rendered: Resend, which is charged. Not wanted any more: Abandon."
	case s.State == StateUnknown:
		return "The paid call may have been charged, and its job is not known. Look for it in Creatify's dashboard at the time of sending. " +
			"Found: Resolve with its ID. Certainly not there: Resend, which is charged. Not wanted any more: Abandon."
	case s.State == StateExpired:
		return "The job was charged and had not ended when its time was up. Resolve waits for it again. Not wanted any more: Abandon."
	case s.State == StateQueued && s.Reason != "":
		return "It was not charged, and will be sent again by itself (" + s.Reason + ")."
	}
	return ""
}

// link returns text if it may be a link in a page: the API could send anything.
func link(text string) string {
	if u, err := url.Parse(text); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		return text
	}
	return ""
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func ago(now, t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	d := now.Sub(t)
	switch {
	case d < 2*time.Second:
		return "now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s ago", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min ago", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h ago", d.Hours())
	}
	return fmt.Sprintf("%.0f days ago", d.Hours()/24)
}
