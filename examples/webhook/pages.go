package main

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/creatify-community/creatify-go"
)

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.show("form", nil))
	mux.HandleFunc("GET /orders", s.show("list", func(*http.Request) (any, error) { return s.store.list() }))
	mux.HandleFunc("GET /orders/{id}", s.show("order", func(r *http.Request) (any, error) { return s.find(r) }))
	mux.HandleFunc("POST /orders", s.postOrder)
	mux.HandleFunc("POST /orders/{id}/approve", s.postApproval)
	mux.HandleFunc("GET /videos/{id}", s.getVideo)
	mux.Handle("POST /hooks/creatify", s.client.Jobs.WebhookHandler(creatify.WebhookOptions{Secret: s.secret}, s.noticed))
	return http.MaxBytesHandler(http.NewCrossOriginProtection().Handler(mux), 64<<10)
}

func (s *service) show(page string, data func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var shown any
		if data != nil {
			var err error
			if shown, err = data(r); err != nil {
				s.refuse(w, err)
				return
			}
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; "+
			"frame-src http: https:; frame-ancestors 'self'; form-action 'self'; base-uri 'none'")
		w.Header().Set("Referrer-Policy", "same-origin")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		s.check(pages.ExecuteTemplate(w, page, shown))
	}
}

func (s *service) postOrder(w http.ResponseWriter, r *http.Request) {
	headline, photo := strings.TrimSpace(r.PostFormValue("headline")), strings.TrimSpace(r.PostFormValue("photo"))
	if problem := problemOf(headline, photo); problem != "" {
		http.Error(w, problem, http.StatusBadRequest)
		return
	}
	id, err := s.order(headline, photo)
	if err != nil {
		s.refuse(w, err)
		return
	}
	http.Redirect(w, r, fmt.Sprintf("/orders/%d", id), http.StatusSeeOther) //nolint:gosec // the ID is a number of our own
}

func problemOf(headline, photo string) string {
	u, err := url.Parse(photo)
	switch {
	case headline == "" || utf8.RuneCountInString(headline) > 200:
		return "The headline must have 1 to 200 characters."
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || len(photo) > 2000:
		return "The photo must be an http or https URL."
	}
	return ""
}

func (s *service) postApproval(w http.ResponseWriter, r *http.Request) {
	o, err := s.find(r)
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.approve(o)
	http.Redirect(w, r, fmt.Sprintf("/orders/%d", o.ID), http.StatusSeeOther)
}

func (s *service) getVideo(w http.ResponseWriter, r *http.Request) {
	o, err := s.find(r)
	if err == nil && o.State != stored {
		err = errNoOrder
	}
	if err != nil {
		s.refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "video/mp4")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeFile(w, r, s.videoPath(o))
}

func (s *service) find(r *http.Request) (order, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return order{}, errNoOrder
	}
	return s.store.find("id", id)
}

func (s *service) refuse(w http.ResponseWriter, err error) {
	if errors.Is(err, errNoOrder) {
		http.Error(w, "There is no such order, or not yet.", http.StatusNotFound)
		return
	}
	s.check(err)
	http.Error(w, "Something is wrong here; it is in the log.", http.StatusInternalServerError)
}

// Moves says whether an order changes without anybody's doing.
func (o order) Moves() bool { return o.State != ready && o.State != stored && o.State != failed }

// The list is a frame of the page with the form, so that its refresh does not clear the form. The frame of a preview may run
// scripts in its own origin, which is never that of these pages, and may neither leave its frame nor open windows.
var pages = template.Must(template.New("").Parse(`
{{define "head"}}<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Video orders</title>
<style>body{font:16px system-ui;max-width:50em;margin:2em auto}iframe{width:100%;height:30em}video{width:100%}td{padding-right:2em}</style>
{{end}}

{{define "form"}}{{template "head"}}</head><body>
<h1>Order a video</h1>
<form method="post" action="/orders">
<p><label>Headline <input name="headline" required maxlength="200"></label></p>
<p><label>Photo <input name="photo" type="url" required placeholder="https://"></label></p>
<p><button>Order</button></p>
</form>
<iframe src="/orders" title="Orders"></iframe>
</body></html>{{end}}

{{define "list"}}{{template "head"}}<meta http-equiv="refresh" content="2"></head><body>
<h1>Orders</h1>
<table>{{range .}}
<tr><td><a href="/orders/{{.ID}}" target="_top">{{.ID}}</a></td><td>{{.Headline}}</td><td>{{.State}}</td></tr>{{else}}
<tr><td>None yet.</td></tr>{{end}}
</table>
</body></html>{{end}}

{{define "order"}}{{template "head"}}{{if .Moves}}<meta http-equiv="refresh" content="2">{{end}}</head><body>
<p><a href="/">All orders</a></p>
<h1>{{.Headline}}</h1>
<p>Order {{.ID}}, with <a href="{{.Photo}}" rel="noreferrer">this photo</a>: <strong>{{.State}}</strong></p>
{{with .Reason}}<p>{{.}}</p>{{end}}
{{if eq .State "unknown"}}<p>Whether this was paid for is not known, so it is not tried again. A notice from Creatify, if one comes,
settles it; else look in the account.</p>{{end}}
{{if eq .State "ready"}}<iframe sandbox="allow-scripts allow-same-origin" src="{{.Preview}}" title="Preview"></iframe>
<form method="post" action="/orders/{{.ID}}/approve"><p><button>Approve, and render the video</button></p></form>{{end}}
{{if eq .State "stored"}}<video controls src="/videos/{{.ID}}"></video>
<p><a href="/videos/{{.ID}}" download="order-{{.ID}}.mp4">Download</a></p>{{end}}
</body></html>{{end}}
`))
