// Package fetch downloads a file from an untrusted host: without credentials, from public addresses only,
// resumed when the connection breaks, and never spliced from two files. It knows nothing of jobs.
package fetch

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Client downloads files. It is safe for concurrent use.
type Client struct {
	userAgent string
	redact    func(text string, secrets ...string) string
	veto      func(*http.Request, []*http.Request) error // the caller's CheckRedirect; nil for none
	foreign   http.RoundTripper                          // the caller's, unless an *http.Transport: used as it is
	settings  *http.Transport                            // for all other connections; DialContext is the caller's or nil
}

// New makes a client. From a caller's [http.Transport] it takes the proxy, DialContext, the time limits and
// the trusted roots, but nothing that identifies the caller to a host. Redact makes an error safe to log.
func New(caller *http.Client, userAgent string, redact func(text string, secrets ...string) string) *Client {
	client := &Client{userAgent: userAgent, redact: redact, settings: &http.Transport{
		TLSClientConfig:        new(tls.Config),
		MaxResponseHeaderBytes: 1 << 20,
		DisableKeepAlives:      true, // each request has a transport of its own
		DisableCompression:     true,
		Protocols:              new(http.Protocols), // or the clones would offer HTTP/2, which they cannot speak
	}}
	client.settings.Protocols.SetHTTP1(true)
	caller = cmp.Or(caller, new(http.Client))
	client.veto = caller.CheckRedirect
	from, ok := cmp.Or(caller.Transport, http.DefaultTransport).(*http.Transport)
	switch {
	case caller.Transport == nil && !ok:
		from = &http.Transport{Proxy: http.ProxyFromEnvironment}
	case !ok:
		client.foreign = caller.Transport
		return client
	case caller.Transport != nil:
		client.settings.DialContext = from.DialContext
	}
	from = from.Clone() // net/http may still complete the original
	client.settings.Proxy = from.Proxy
	client.settings.ProxyConnectHeader = from.ProxyConnectHeader
	client.settings.GetProxyConnectHeader = from.GetProxyConnectHeader
	client.settings.TLSHandshakeTimeout = cmp.Or(from.TLSHandshakeTimeout, 10*time.Second)
	client.settings.ResponseHeaderTimeout = from.ResponseHeaderTimeout
	if config := from.TLSClientConfig; config != nil {
		client.settings.TLSClientConfig.RootCAs = config.RootCAs
		client.settings.TLSClientConfig.MinVersion = config.MinVersion
	}
	return client
}

// File is what to download.
type File struct {
	Locate   func(context.Context) (string, error) // returns the URL; called again when that may have expired
	Progress func(done, total int64)               // total is -1 while unknown; nil for no reports
	MaxSize  int64
	Idle     time.Duration // the longest time without a byte
	Private  bool          // allows any address, and plain http
}

// ToWriter downloads a file to w, and returns how many bytes it wrote.
func (c *Client) ToWriter(ctx context.Context, f File, w io.Writer) (int64, error) {
	d := &download{Client: c, File: f, out: w}
	err := d.run(ctx)
	return d.done, err
}

// Error is why a file was not downloaded.
type Error struct {
	Kind    Kind
	Reason  string
	Err     error // the cause, for the kinds that have one
	Host    string
	Status  int // with which the host refused; 0 if it did not
	Written int64

	after time.Duration // how long the host asks to wait
}

func (e *Error) Error() string { return e.Reason }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// again reports whether another attempt may help.
func (e *Error) again() bool { return e.Kind == Broken || e.Kind == Missing }

func failf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Reason: fmt.Sprintf(format, args...)}
}

func notWritten(err error) *Error {
	return &Error{Kind: NotWritten, Reason: "it cannot be written: " + err.Error(), Err: err}
}

// Kind is the kind of a failure. It decides whether another attempt is made.
type Kind int

// The kinds of errors.
const (
	Failed     Kind = iota // the host failed, permanently
	Broken                 // the host or the connection failed, perhaps temporarily
	Missing                // the URL may have expired, so it is located again, or the file may appear
	NotLocated             // File.Locate failed; Err is its error
	RefusedURL             // the URL, its address or a redirect is not allowed
	TooLarge               // the file exceeds File.MaxSize
	NotWritten             // the writer or the disk failed; Err is its error
	Ended                  // the context ended; Err is its error, without the cause
)
