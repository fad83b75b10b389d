package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// sandbox returns the handler of the whole program: the API, and beside it the page at / and the control
// below /_mock/.
func sandbox(api *creatifytest.API, options options, baseURL string, logger *slog.Logger) http.Handler {
	page := &indexPage{api: api, options: options, baseURL: baseURL}
	control := newControl(api)
	guarded := func(next http.Handler) http.Handler { return onlyHosts(baseURL, next) }
	index, mock, preview := guarded(page), guarded(control), guarded(api)
	return watched(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/":
			index.ServeHTTP(w, r)
		case r.URL.Path == "/_mock" || strings.HasPrefix(r.URL.Path, "/_mock/"):
			mock.ServeHTTP(w, r)
		case r.URL.Path == "/preview":
			preview.ServeHTTP(w, r)
		case r.URL.Path == "/favicon.ico": // a browser asks for it by itself: no fault waits for that
			http.NotFound(w, r)
		default:
			api.ServeHTTP(w, r) // with the raw path: a mux would clean it
		}
	}), writeTimeout, logger)
}

// onlyHosts refuses requests whose Host is a foreign name. By DNS rebinding, a foreign page could otherwise
// be of the same origin.
func onlyHosts(baseURL string, next http.Handler) http.Handler {
	base, _ := url.Parse(baseURL) // parseFlags has checked it
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostname(r.Host)
		_, err := netip.ParseAddr(host)
		if err != nil && !strings.EqualFold(host, "localhost") && !strings.EqualFold(host, base.Hostname()) {
			refuse(w, http.StatusForbidden, "the Host header names another machine (use "+baseURL+", or start creatify-mock with -url)")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostname returns a Host header without its port and brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// watched logs each request and bounds the sending of its response, but not the time before it, which the job
// or a fault's delay takes. Headers, bodies and queries are not logged, since they may hold secrets.
func watched(next http.Handler, limit time.Duration, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		watch := &watch{ResponseWriter: w, controller: http.NewResponseController(w), limit: limit}
		defer func() {
			logger.Info("request", "method", r.Method, "path", r.URL.Path, "status", watch.status)
		}()
		_ = watch.controller.SetWriteDeadline(time.Time{}) // that of the connection's previous response
		next.ServeHTTP(watch, r)
	})
}

// watch keeps the status of a response, 0 if there was none, and sets the deadline for sending it when it
// begins.
type watch struct {
	http.ResponseWriter
	controller *http.ResponseController
	limit      time.Duration
	status     int
}

func (w *watch) WriteHeader(status int) {
	w.status = status
	_ = w.controller.SetWriteDeadline(time.Now().Add(w.limit))
	w.ResponseWriter.WriteHeader(status)
}

func (w *watch) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (w *watch) Unwrap() http.ResponseWriter { return w.ResponseWriter }
