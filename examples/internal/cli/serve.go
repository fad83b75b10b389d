package cli

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// Serve serves until ctx ends; requests under way then have 5 s. Whoever sends or reads slowly is cut off.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if server.Shutdown(closing) != nil {
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeFake serves a fake API on a loopback port until ctx ends, so that a browser can load what it makes. A
// preview takes the duration, and so does a video. It returns a client of the fake, and the fake's URL.
func ServeFake(ctx context.Context, duration time.Duration, opts ...creatify.Option) (client *creatify.Client, url string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	url = URL(listener)
	life := creatifytest.Life{Duration: duration, Render: creatifytest.RenderLife{Duration: duration}}
	go func() { _ = Serve(ctx, listener, creatifytest.New(creatifytest.Config{BaseURL: url, Life: life})) }()
	client, err = creatify.New(creatifytest.APIID, creatifytest.APIKey, append(opts, creatify.WithBaseURL(url))...)
	return client, url, err
}

// URL returns where this machine reaches a listener.
func URL(listener net.Listener) string {
	host, port, _ := net.SplitHostPort(listener.Addr().String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
