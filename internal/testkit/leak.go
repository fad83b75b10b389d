package testkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/creatify-community/creatify-go"
)

// Key is a key with characters that texts escape, for NewLeakyClient.
const Key = `recognizable+key/"0123456789"`

// Variable is the content of the variables of LeakyParams.
const Variable = "recognizable-variable"

// LeakyParams returns parameters that must not be printed.
func LeakyParams() creatify.JobParams {
	p := Params()
	p.WebhookURL, p.Variables = "https://hooks.test/creatify?order=4711", creatify.Variables{"headline": creatify.Text(Variable)}
	return p
}

// NewLeakyClient returns a client with Key, and its log at every level. A request to another origin than
// the base URL's fails the test.
func NewLeakyClient(t testing.TB, base string, rt http.RoundTripper, opts ...creatify.Option) (*creatify.Client, *Log) {
	t.Helper()
	logged := new(Log)
	debug := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	client, err := creatify.New("the-id", Key, append([]creatify.Option{
		creatify.WithBaseURL(base),
		creatify.WithHTTPClient(&http.Client{Transport: &Recorder{t, base, rt}}),
		creatify.WithLogger(slog.New(slog.NewMultiHandler(slog.NewTextHandler(logged, debug), slog.NewJSONHandler(logged, debug)))),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return client, logged
}

// Log is a buffer for concurrent use.
type Log struct {
	mu sync.Mutex
	bytes.Buffer
}

// Write appends to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

// Recorder fails the test for a request, which carries the key, to another origin than the base URL's.
type Recorder struct {
	T    testing.TB
	Base string
	Next http.RoundTripper
}

// RoundTrip passes the request on.
func (r *Recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if origin := req.URL.Scheme + "://" + req.URL.Host; origin != r.Base {
		r.T.Errorf("a request went to %s, not to %s", origin, r.Base)
	}
	if req.Header.Get("X-API-KEY") != Key {
		r.T.Errorf("a request to %s has no key", req.URL.Path)
	}
	return r.Next.RoundTrip(req)
}

// CloseIdleConnections closes those of Next.
func (r *Recorder) CloseIdleConnections() { (&http.Client{Transport: r.Next}).CloseIdleConnections() }

// Emitted returns values printed, logged and marshalled in every way; of errors, at every level of wrapping.
func Emitted(values ...any) string {
	var all bytes.Buffer
	logger := slog.New(slog.NewMultiHandler(slog.NewTextHandler(&all, nil), slog.NewJSONHandler(&all, nil)))
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&all, verb+"\n", v)
		}
		logger.Info("", "value", v)
		text, _ := json.Marshal(v) // an error of net/http's may hold what cannot be marshalled
		all.Write(text)
		if refusal, ok := v.(*creatify.APIError); ok {
			all.Write(refusal.Body) // in JSON it is base64
		}
		switch err := v.(type) {
		case interface{ Unwrap() error }:
			all.WriteString(Emitted(err.Unwrap()))
		case interface{ Unwrap() []error }:
			for _, e := range err.Unwrap() {
				all.WriteString(Emitted(e))
			}
		}
	}
	return all.String()
}

// NoKey fails the test if the key is in a text as it is or in the escapes of Go, JSON and hex.
func NoKey(t testing.TB, text string) {
	t.Helper()
	escaped, _ := json.Marshal(Key)
	for _, spelling := range []string{Key, strings.Trim(string(escaped), `"`), fmt.Sprintf("%x", Key), "0123456789"} {
		if i := strings.Index(text, spelling); i >= 0 {
			t.Fatalf("the key is in …%s…", text[max(0, i-200):min(len(text), i+100)])
		}
	}
}
