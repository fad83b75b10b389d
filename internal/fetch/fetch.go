// Package fetch downloads a file from a host that is not trusted: without credentials, from public addresses
// only, resumed after a break, and never spliced from two files. It knows nothing of jobs.
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

// Config is what a [Client] is made of.
type Config struct {
	HTTPClient *http.Client // the caller's; nil for none
	UserAgent  string
	Redact     func(text string, secrets ...string) string // makes an error's text fit for a log
}

// Client downloads files. It is safe for concurrent use.
type Client struct {
	Config
	foreign  http.RoundTripper // the caller's, if it is no *http.Transport: it is used as it is
	settings *http.Transport   // for all other connections
	dial     dialFunc          // the caller's; nil for none
}

// New makes a client. Of a caller's [http.Transport] it takes the proxy, DialContext, the time limits and the
// trusted roots, but nothing that identifies the caller to a foreign host.
func New(c Config) *Client {
	client := &Client{Config: c}
	from, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		from = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	if c.HTTPClient != nil && c.HTTPClient.Transport != nil {
		if from, ok = c.HTTPClient.Transport.(*http.Transport); !ok {
			client.foreign = c.HTTPClient.Transport
			return client
		}
		client.dial = from.DialContext
	}
	from = from.Clone() // net/http may still complete the original
	client.settings = &http.Transport{
		Proxy:                  from.Proxy,
		ProxyConnectHeader:     from.ProxyConnectHeader,
		GetProxyConnectHeader:  from.GetProxyConnectHeader,
		TLSClientConfig:        new(tls.Config),
		TLSHandshakeTimeout:    cmp.Or(from.TLSHandshakeTimeout, 10*time.Second),
		ResponseHeaderTimeout:  from.ResponseHeaderTimeout,
		MaxResponseHeaderBytes: 1 << 20,
		DisableKeepAlives:      true, // each request has a transport of its own
		DisableCompression:     true,
		Protocols:              new(http.Protocols), // or the clones would offer HTTP/2, which they cannot speak
	}
	client.settings.Protocols.SetHTTP1(true)
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
	d := c.newDownload(f)
	d.out = w
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

	retry retry
	after time.Duration // how long the host asks to wait
}

func (e *Error) Error() string { return e.Reason }

// Kind is the part that failed.
type Kind int

// The kinds of errors.
const (
	Failed     Kind = iota // the host, or the connection
	NotLocated             // File.Locate; Err is its error
	RefusedURL             // the URL, its address or a redirect is not allowed
	TooLarge               // the file exceeds File.MaxSize
	NotWritten             // the writer or the disk; Err is its error
	Ended                  // the context; Err is its error, without the cause
)

// retry tells which errors another attempt may avoid.
type retry int

const (
	never   retry = iota
	soon          // a few attempts, unless there is progress between them
	missing       // the URL may have expired, or the file may appear: attempts for a while
)

func failf(retry retry, format string, args ...any) *Error {
	return &Error{Reason: fmt.Sprintf(format, args...), retry: retry}
}

func refusef(format string, args ...any) *Error {
	return &Error{Kind: RefusedURL, Reason: fmt.Sprintf(format, args...)}
}

func notWritten(err error) *Error {
	return &Error{Kind: NotWritten, Reason: "it cannot be written: " + err.Error(), Err: err}
}
