package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/durable"
)

//go:embed web/*.css web/*.js web/*.svg
var assets embed.FS

//go:embed web/*.html
var sources embed.FS

var pages = template.Must(template.ParseFS(sources, "web/*.html"))

func (s *shop) handler() http.Handler {
	mux, hooks := http.NewServeMux(), s.queue.WebhookHandler()
	mux.Handle("GET /{$}", s.page("orders.html", s.getOrders))
	mux.Handle("POST /orders", s.page("", s.postOrder))
	mux.Handle("GET /orders/{id}", s.page("order.html", s.getOrder))
	mux.Handle("POST /orders/{id}/approve", s.page("", s.postApproval))
	mux.HandleFunc("GET /videos/{id}", s.getVideo)
	mux.Handle("GET /web/", http.FileServerFS(assets))
	mux.Handle("/status/", s.queue.StatusHandler())
	private := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		_, loggedIn := s.authorize(r)
		switch {
		case !s.knowsHost(r):
			http.Error(w, "This shop does not answer to that name. Its operator can allow it with -public.", http.StatusForbidden)
		case r.URL.Path == "/hooks/creatify" && s.secret != "": // which the handler checks
			hooks.ServeHTTP(w, r)
		case !loggedIn:
			w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
			http.Error(w, "Please log in.", http.StatusUnauthorized)
		default:
			private.ServeHTTP(w, r)
		}
	})
}

// knowsHost reports whether a request names the shop: a page of another name could act as one of the shop's.
func (s *shop) knowsHost(r *http.Request) bool {
	host := (&url.URL{Host: r.Host}).Hostname()
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost") || host != "" && strings.EqualFold(host, s.public.Hostname())
}

// authorize is the login: replace it with yours. The name goes into the history of what a person does.
func (s *shop) authorize(r *http.Request) (who string, ok bool) {
	if s.password == "" {
		return "somebody on this machine", true
	}
	who, password, _ := r.BasicAuth()
	return who, subtle.ConstantTimeCompare([]byte(password), []byte(s.password)) == 1
}

// troubles are errors that a customer can do something about.
var troubles = []struct {
	err    error
	status int
	text   string
}{
	{durable.ErrNotFound, http.StatusNotFound, "There is no such order."},
	{durable.ErrNotReady, http.StatusConflict, "The preview is not ready yet."},
	{durable.ErrConflict, http.StatusConflict, "This form was sent before, with another text or photo. Please start a new one."},
	{creatify.ErrInvalidParams, http.StatusBadRequest, "We need a headline of at most 200 characters, and the address of a photo on the web."},
}

// page shows what handle returns: the data of a page, or the path to go to. A preview's frame may run
// scripts, in an origin that is never that of these pages.
func (s *shop) page(name string, handle func(r *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, status := name, http.StatusOK
		data, err := handle(r)
		if err != nil {
			name, status, data = "error.html", http.StatusInternalServerError, "Something is wrong on our side. Please try again in a minute."
			for _, t := range troubles {
				if errors.Is(err, t.err) {
					status, data, err = t.status, t.text, nil
				}
			}
			s.check(r.Context(), err)
		} else if path, ok := data.(string); ok {
			http.Redirect(w, r, path, http.StatusSeeOther)
			return
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "+
			"media-src 'self'; frame-src http: https:; frame-ancestors 'none'; form-action 'self'; base-uri 'none'")
		w.Header().Set("Referrer-Policy", "same-origin")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		s.check(r.Context(), pages.ExecuteTemplate(w, name, data))
	})
}

// view is an order as its page shows it.
type view struct {
	Preview, Render, Now *durable.Order // Render is nil before the approval; Now is the latter of the two
	Progress             float64        // by the age of Now, so that all services show the same; meaningless in the queue
	Video, Moves         bool           // the video is here, and the page will change by itself
	Price                float64        // of the video, in credits
	Shape                string         // of the video, such as 9x16
}

// validID is what the form of an order makes up. It becomes the name of a file.
var validID = regexp.MustCompile("^[A-Z2-7]{26}$")

const ofVideo = "-video" // ends the ID of a render

func (s *shop) view(ctx context.Context, id string) (v view, err error) {
	if !validID.MatchString(id) {
		return v, durable.ErrNotFound
	}
	if v.Preview, err = s.queue.Get(ctx, id); err != nil {
		return v, err
	}
	if v.Render, err = s.queue.Get(ctx, id+ofVideo); err != nil && !errors.Is(err, durable.ErrNotFound) {
		return v, err
	}
	v.Now, v.Video, v.Shape = cmp.Or(v.Render, v.Preview), s.hasVideo(id+ofVideo), s.shape
	age := time.Since(v.Now.Sent).Seconds()
	v.Progress = age / (age + 20)
	v.Moves = slices.Contains([]durable.State{durable.StateQueued, durable.StateSending, durable.StateWaiting}, v.Now.State) ||
		v.Render != nil && v.Render.State == durable.StateDone && !v.Video
	if v.Preview.Job != nil {
		v.Price, _ = creatify.EstimateCredits(creatify.OperationRender, v.Preview.Params.ModelVersion, cmp.Or(v.Preview.Job.Duration, 30*time.Second))
	}
	return v, nil
}

func (s *shop) getOrder(r *http.Request) (any, error) { return s.view(r.Context(), r.PathValue("id")) }

func (s *shop) getOrders(r *http.Request) (any, error) {
	orders, err := s.queue.List(r.Context(), durable.Filter{})
	var views []view
	for _, o := range orders {
		if o.Kind == durable.Preview && validID.MatchString(o.ID) { // the database may have others
			v, viewErr := s.view(r.Context(), o.ID)
			views, err = append(views, v), errors.Join(err, viewErr)
		}
	}
	price, _ := creatify.EstimateCredits(creatify.OperationPreview, "", 30*time.Second)
	// The form has the next order's ID: one that is sent twice is one order.
	return map[string]any{"ID": rand.Text(), "Price": price, "Trial": !s.account, "Orders": views}, err
}

func (s *shop) postOrder(r *http.Request) (any, error) {
	id, headline, photo := r.PostFormValue("id"), strings.TrimSpace(r.PostFormValue("headline")), strings.TrimSpace(r.PostFormValue("photo"))
	if n := utf8.RuneCountInString(headline); n == 0 || n > 200 || !validID.MatchString(id) {
		return nil, creatify.ErrInvalidParams
	}
	params := creatify.JobParams{TemplateID: s.template,
		Variables: creatify.Variables{"headline": creatify.Text(headline), "photo": creatify.Image(photo)}}
	_, err := s.queue.Submit(r.Context(), durable.Order{ID: id, Kind: durable.Preview, Params: params})
	return "/orders/" + id, err
}

func (s *shop) postApproval(r *http.Request) (any, error) {
	v, err := s.view(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	_, err = s.queue.Submit(r.Context(), durable.Order{ID: v.Preview.ID + ofVideo, Kind: durable.Render, Of: v.Preview.ID, Priority: 1})
	return "/orders/" + v.Preview.ID, err
}

func (s *shop) getVideo(w http.ResponseWriter, r *http.Request) {
	if !validID.MatchString(r.PathValue("id")) {
		http.NotFound(w, r)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(10 * time.Minute))
	w.Header().Set("Content-Type", "video/mp4")
	http.ServeFile(w, r, s.videoPath(r.PathValue("id")+ofVideo))
}
