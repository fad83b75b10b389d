package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/netip"
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
	private := http.NewServeMux()
	private.Handle("GET /{$}", s.page(s.getOrders))
	private.Handle("POST /orders", s.page(s.postOrder))
	private.Handle("GET /orders/{id}", s.page(s.getOrder))
	private.Handle("POST /orders/{id}/approve", s.page(s.postApproval))
	private.Handle("GET /videos/{id}", s.page(s.getVideo))
	private.Handle("/status/", s.queue.StatusHandler())
	all := http.NewServeMux()
	all.Handle("GET /web/", http.FileServerFS(assets))
	all.Handle("POST /hooks/creatify", s.queue.WebhookHandler()) // has its own secret
	all.Handle("/", s.login(http.NewCrossOriginProtection().Handler(private)))
	return http.MaxBytesHandler(s.knownHost(all), 64<<10)
}

// knownHost refuses names that are not the shop's: whoever owns a name can point it here, and then pages
// under it are of the same site as the shop's.
func (s *shop) knownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf("http://" + r.Host)
		if _, err := netip.ParseAddr(host); err != nil && host != "localhost" && (host == "" || host != hostOf(s.public)) {
			http.Error(w, "This shop does not answer to that name. Its operator can allow it with -public.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *shop) login(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := s.authorize(r); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
			http.Error(w, "Please log in.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
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

// page shows what a handler could not do.
func (s *shop) page(handle func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := handle(w, r)
		for _, t := range troubles {
			if errors.Is(err, t.err) {
				err = s.show(w, t.status, "error.html", t.text)
			}
		}
		if err != nil {
			s.check(r.Context(), err)
			_ = s.show(w, http.StatusInternalServerError, "error.html", "Something is wrong on our side. Please try again in a minute.")
		}
	})
}

// show writes a page. A preview's frame may run scripts, in an origin that is never that of these pages.
func (s *shop) show(w http.ResponseWriter, status int, name string, data any) error {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; media-src 'self'; "+
		"frame-src http: https:; frame-ancestors 'none'; form-action 'self'; base-uri 'none'")
	w.Header().Set("Referrer-Policy", "same-origin")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w)
	return nil
}

// view is an order as its page shows it.
type view struct {
	Preview, Render *durable.Order // Render is nil before the approval
	Now             *durable.Order // the latter of the two
	Progress        any            // of Now, a number; nil if unknown
	Video           bool           // is here to be played
	Moves           bool           // the page will change by itself
	Price           float64        // of the video, in credits
	Shape           string         // of the video, such as 9x16
}

func (s *shop) view(r *http.Request, id string) (v view, err error) {
	if v.Preview, v.Render, err = s.find(r.Context(), id); err != nil {
		return v, err
	}
	v.Now = cmp.Or(v.Render, v.Preview)
	v.Progress, _ = s.progress.Load(v.Now.JobID)
	done := v.Now.State == durable.StateDone
	v.Video = v.Render != nil && done && s.hasVideo(v.Render.ID)
	v.Moves = v.Render != nil && done && !v.Video ||
		slices.Contains([]durable.State{durable.StateQueued, durable.StateSending, durable.StateWaiting}, v.Now.State)
	v.Shape = s.shape
	length := 30 * time.Second
	if v.Preview.Job != nil {
		length = cmp.Or(v.Preview.Job.Duration, length)
	}
	v.Price, _ = creatify.EstimateCredits(creatify.OperationRender, v.Preview.Params.ModelVersion, length)
	return v, nil
}

func (s *shop) getOrder(w http.ResponseWriter, r *http.Request) error {
	v, err := s.view(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.show(w, http.StatusOK, "order.html", v)
}

func (s *shop) getOrders(w http.ResponseWriter, r *http.Request) error {
	orders, err := s.queue.List(r.Context(), durable.Filter{})
	if err != nil {
		return err
	}
	var views []view
	for _, o := range orders {
		if o.Kind != durable.Preview {
			continue
		}
		v, err := s.view(r, o.ID)
		if err != nil {
			return err
		}
		views = append(views, v)
	}
	price, _ := creatify.EstimateCredits(creatify.OperationPreview, "", 30*time.Second)
	// The form has the next order's ID: one that is sent twice is one order.
	return s.show(w, http.StatusOK, "orders.html", map[string]any{"ID": rand.Text(), "Price": price, "Trial": !s.account, "Orders": views})
}

func (s *shop) postOrder(w http.ResponseWriter, r *http.Request) error {
	id, headline, photo := r.PostFormValue("id"), strings.TrimSpace(r.PostFormValue("headline")), strings.TrimSpace(r.PostFormValue("photo"))
	if n := utf8.RuneCountInString(headline); n == 0 || n > 200 || !validID.MatchString(id) {
		return creatify.ErrInvalidParams
	}
	params := creatify.JobParams{TemplateID: s.template,
		Variables: creatify.Variables{"headline": creatify.Text(headline), "photo": creatify.Image(photo)}}
	return s.submit(w, r, id, durable.Order{ID: id, Kind: durable.Preview, Params: params})
}

func (s *shop) postApproval(w http.ResponseWriter, r *http.Request) error {
	preview, _, err := s.find(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.submit(w, r, preview.ID, durable.Order{ID: renderOf(preview.ID), Kind: durable.Render, Of: preview.ID, Priority: 1})
}

// submit submits an order, twice is once, and shows its page.
func (s *shop) submit(w http.ResponseWriter, r *http.Request, id string, order durable.Order) error {
	if _, err := s.queue.Submit(r.Context(), order); err != nil {
		return err
	}
	http.Redirect(w, r, "/orders/"+id, http.StatusSeeOther) //nolint:gosec // within this site
	return nil
}

func (s *shop) getVideo(w http.ResponseWriter, r *http.Request) error {
	_, render, err := s.find(r.Context(), r.PathValue("id"))
	if err != nil || render == nil || !s.hasVideo(render.ID) {
		return errors.Join(err, durable.ErrNotFound)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(10 * time.Minute))
	w.Header().Set("Content-Type", "video/mp4")
	http.ServeFile(w, r, s.videoPath(render.ID))
	return nil
}
