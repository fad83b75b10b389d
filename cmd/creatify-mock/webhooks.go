package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"syscall"
)

// webhookClient returns the client that sends notices. Unless it may do so
// anywhere, it connects to this machine alone, also after a redirect, and does
// not even look up the names of others.
func webhookClient(logger *slog.Logger, anywhere bool) *http.Client {
	var dialer net.Dialer
	// There is no proxy, since that would connect to hosts out of our sight.
	// Connections are not kept, so that none is left in the end.
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}
	if !anywhere {
		dialer.Control = toLoopback
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if host, _, err := net.SplitHostPort(address); err != nil || host != "localhost" && !isLoopback(host) {
				return nil, errNotHere
			}
			return dialer.DialContext(ctx, network, address)
		}
	}
	return &http.Client{Transport: &loggedTransport{transport, logger}}
}

var errNotHere = errors.New("the host is not this machine: see -webhooks-anywhere")

// toLoopback is for a localhost that leads elsewhere.
func toLoopback(_, address string, _ syscall.RawConn) error {
	if host, _, err := net.SplitHostPort(address); err != nil || !isLoopback(host) {
		return errNotHere
	}
	return nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// loggedTransport logs each notice sent. Paths and queries, which may hold
// secrets, are left out.
type loggedTransport struct {
	next   http.RoundTripper
	logger *slog.Logger
}

func (t *loggedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		t.logger.Warn("webhook", "host", req.URL.Host, "error", err)
		return nil, err
	}
	t.logger.Info("webhook", "host", req.URL.Host, "status", resp.StatusCode)
	return resp, nil
}
