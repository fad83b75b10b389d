package main

import (
	"embed"
	"errors"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/durable"
)

//go:embed web
var web embed.FS

var pages = template.Must(template.ParseFS(web, "web/*.html"))

func (s *shop) handler() http.Handler {
	private := http.NewServeMux()
	private.HandleFunc("GET /{$}", s.getOrders)
	private.HandleFunc("POST /orders", s.postOrder)
	private.HandleFunc("GET /orders/{id}", s.getOrder)
	private.HandleFunc("POST /orders/{id}/approve", s.postApproval)
	private.HandleFunc("GET /videos/{id}", s.getVideo)
	// private.Handle("/status/", http.StripPrefix("/status", s.queue.StatusHandler()))
	mux := http.NewServeMux()
	mux.Handle("GET /web/style.css", http.FileServerFS(web))
	mux.Handle("POST /hooks/creatify", s.queue.WebhookHandler()) // has its own secret
	mux.Handle("/", s.login(http.NewCrossOriginProtection().Handler(private)))
	return http.MaxBytesHandler(s.knownHost(mux), 64<<10)
}

// knownHost refuses other names than the service's own: a page elsewhere could point its name at this address, and would then
// count as same-origin.
func (s *shop) knownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.hosts[strings.ToLower(r.Host)] {
			http.Error(w, "This service does not answer to that name.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func hostsOf(listener net.Listener, public string) map[string]bool {
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	hosts := map[string]bool{listener.Addr().String(): true, "127.0.0.1:" + port: true, "localhost:" + port: true, "[::1]:" + port: true}
	if u, err := url.Parse(public); err == nil && u.Host != "" {
		hosts[strings.ToLower(u.Host)] = true
	}
	return hosts
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

// view is an order as a customer sees it.
type view struct {
	ID, Headline, Photo string
	Title, Text         string  // what is happening
	Reason              string  // what the API says, folded
	Moves               bool    // the page is loaded again by itself
	Progress            float64 // 0 if unknown
	Preview             string  // URL for the frame
	Price               float64 // of the video, in credits
	Approvable, Video   bool
	Created             time.Time
}

func (s *shop) view(preview, render *durable.Order) view {
	v := view{ID: preview.ID, Created: preview.Created, Headline: preview.Params.Variables["headline"].Value(),
		Photo: preview.Params.Variables["photo"].Value()}
	if preview.Job != nil {
		v.Preview = preview.Job.Preview
	}
	now := preview
	if render != nil {
		now = render
	}
	what := map[durable.Kind]string{durable.Preview: "preview", durable.Render: "video"}[now.Kind]
	v.Progress = s.progress.of(now.JobID)
	switch now.State {
	case durable.StateQueued:
		v.Title, v.Text, v.Moves = "In the queue", "Your "+what+" is next in line.", true
		if now.Reason != "" {
			v.Text = "Your " + what + " has to wait a little longer. It has cost nothing so far."
		}
	case durable.StateSending, durable.StateWaiting:
		v.Title, v.Text, v.Moves = "In the making", "Your "+what+" is being made. This takes a minute or two.", true
	case durable.StateDone:
		v.Title, v.Text, v.Approvable = "Preview ready", "Do you like it? Then order the video.", true
		v.Price, _ = creatify.EstimateCredits(creatify.OperationRender, preview.Params.ModelVersion, 30*time.Second)
		if render != nil {
			v.Video, v.Approvable = s.hasVideo(render), false
			v.Title, v.Text, v.Moves = "Video ready", "Here it is.", !v.Video
		}
	case durable.StateUnknown:
		v.Title, v.Text = "We are looking into it", "The line broke while your "+what+" was ordered. It is not ordered twice; we will find out and call you."
	case durable.StateExpired:
		v.Title, v.Text = "Taking too long", "Your "+what+" has not arrived in a day. It is paid for, and we are asking about it."
	case durable.StateCancelled:
		v.Title, v.Text = "Canceled", "This order was canceled."
	default: // failed, rejected, refused
		v.Title, v.Text = "It did not work", "Your "+what+" could not be made. Please check the text and the picture, and order again."
	}
	if !v.Moves && now.State != durable.StateDone {
		v.Reason = now.Reason
	}
	return v
}

func (s *shop) getOrders(w http.ResponseWriter, r *http.Request) {
	orders, err := s.queue.List(r.Context(), durable.Filter{})
	var views []view
	for _, o := range orders {
		if o.Kind != durable.Preview {
			continue
		}
		preview, render, findErr := s.find(r.Context(), o.ID)
		if findErr != nil {
			err = findErr
			break
		}
		views = append(views, s.view(preview, render))
	}
	s.show(w, r, "orders.html", views, err)
}

func (s *shop) getOrder(w http.ResponseWriter, r *http.Request) {
	preview, render, err := s.find(r.Context(), r.PathValue("id"))
	if err != nil {
		s.show(w, r, "", nil, err)
		return
	}
	s.show(w, r, "order.html", s.view(preview, render), nil)
}

func (s *shop) postOrder(w http.ResponseWriter, r *http.Request) {
	headline, photo := strings.TrimSpace(r.PostFormValue("headline")), strings.TrimSpace(r.PostFormValue("photo"))
	if n := utf8.RuneCountInString(headline); n == 0 || n > 200 || len(photo) > 2000 {
		http.Error(w, "The headline must have 1 to 200 characters, and the photo's URL at most 2,000.", http.StatusBadRequest)
		return
	}
	id, err := s.order(r.Context(), headline, photo)
	if invalid, ok := errors.AsType[*creatify.ValidationError](err); ok {
		http.Error(w, "The photo "+invalid.Problems[0].Message+".", http.StatusBadRequest)
		return
	}
	s.redirect(w, r, id, err)
}

func (s *shop) postApproval(w http.ResponseWriter, r *http.Request) {
	s.redirect(w, r, r.PathValue("id"), s.approve(r.Context(), r.PathValue("id")))
}

func (s *shop) redirect(w http.ResponseWriter, r *http.Request, id string, err error) {
	if err != nil {
		s.show(w, r, "", nil, err)
		return
	}
	http.Redirect(w, r, "/orders/"+url.PathEscape(id), http.StatusSeeOther)
}

func (s *shop) getVideo(w http.ResponseWriter, r *http.Request) {
	_, render, err := s.find(r.Context(), r.PathValue("id"))
	if err == nil && (render == nil || !s.hasVideo(render)) {
		err = durable.ErrNotFound
	}
	if err != nil {
		s.show(w, r, "", nil, err)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(10 * time.Minute))
	w.Header().Set("Content-Type", "video/mp4")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeFile(w, r, s.videoPath(render))
}

// show writes a page, or what went wrong.
func (s *shop) show(w http.ResponseWriter, r *http.Request, page string, data any, err error) {
	switch {
	case errors.Is(err, durable.ErrNotFound):
		http.Error(w, "There is no such order, or not yet.", http.StatusNotFound)
		return
	case errors.Is(err, durable.ErrNotReady):
		http.Error(w, "The preview is not ready yet.", http.StatusConflict)
		return
	case err != nil:
		s.check(r.Context(), err)
		http.Error(w, "Something is wrong here; it is in the log.", http.StatusInternalServerError)
		return
	}
	// A preview may run scripts in its own origin, which is never that of these pages.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; media-src 'self'; frame-src http: https:; "+
		"frame-ancestors 'self'; form-action 'self'; base-uri 'none'")
	w.Header().Set("Referrer-Policy", "same-origin")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	s.check(r.Context(), pages.ExecuteTemplate(w, page, data))
}
