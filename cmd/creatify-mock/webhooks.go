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

// webhookClient returns the client that sends webhook events. Unless anywhere is set, it connects to this
// machine only, also after a redirect, and resolves no other names: otherwise whoever reaches the sandbox
// could make it call any host that this machine reaches.
func webhookClient(logger *slog.Logger, anywhere bool) *http.Client {
	var dialer net.Dialer
	// A proxy would connect to hosts that the dialer does not see. Connections are not kept, so that none is
	// left over.
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

var errNotHere = errors.New("the host is not this machine (-webhooks any sends there)")

// toLoopback refuses a localhost that leads elsewhere.
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

// loggedTransport logs each event. Paths and queries are left out, since they may hold secrets.
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
