// Creatify-mock is a sandbox, which Creatify itself does not offer: a fake of its custom-template API, in
// memory. Use it to try programs in any language, without an account and without paying.
//
//	creatify-mock [flags]
//
// It prints its URL and the environment variables to set, logs requests to standard error, and runs until it
// is interrupted. Its page at / shows the jobs and charges, and how to point a client at it; POST
// /_mock/faults makes calls fail. creatify-mock -h lists the flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	options, err := parseFlags(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, help)
		return 0
	}
	if err != nil {
		hint := " (creatify-mock -h lists the flags)"
		if strings.HasSuffix(err.Error(), ")") { // it has a hint of its own
			hint = ""
		}
		fmt.Fprintf(stderr, "creatify-mock: %v%s\n", err, hint)
		return 2
	}
	if err := runServer(ctx, options, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "creatify-mock:", err)
		return 1
	}
	return 0
}

func runServer(ctx context.Context, options options, stdout, stderr io.Writer) error {
	listener, err := net.Listen("tcp", options.addr)
	if err != nil {
		return fmt.Errorf("%w (-addr 127.0.0.1:0 picks a free port)", err)
	}
	defer listener.Close()
	url := options.url
	if url == "" {
		url = urlOf(listener.Addr())
	}
	logger := newLogger(stderr)
	if ip, err := netip.ParseAddrPort(listener.Addr().String()); err == nil && !ip.Addr().IsLoopback() && !ip.Addr().IsUnspecified() {
		logger.Warn("the address is not of this machine alone: the Go client refuses http:// there, so put TLS before it and set -url")
	}
	options.config.BaseURL = url
	options.config.Webhooks.Client = webhookClient(logger, options.webhooks == webhooksAny)
	api := creatifytest.New(options.config)
	if err := api.Inject(options.faults...); err != nil {
		return err
	}
	if options.url != "" {
		logger.Info("listening", "address", listener.Addr())
	}
	if err := greet(stdout, url, options.config); err != nil {
		return err
	}
	return serve(ctx, listener, sandbox(api, options, url, logger), api, options.webhooks != webhooksOff, logger)
}

func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, nil))
}

// urlOf returns the URL of an address, by which this machine reaches it.
func urlOf(addr net.Addr) string {
	host, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func greet(stdout io.Writer, url string, config creatifytest.Config) error {
	_, err := fmt.Fprintf(stdout, "A sandbox of Creatify's API: open %s/ to see its jobs and charges.\n\n"+
		"export CREATIFY_BASE_URL=%s\nexport CREATIFY_API_ID=%s\nexport CREATIFY_API_KEY=%s\n",
		url, url, config.APIID, config.APIKey)
	return err
}

const (
	readTimeout     = 30 * time.Second // of a request's header and body
	writeTimeout    = time.Minute      // of a response, once it begins
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 3 * time.Second
)

func newServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:     handler,
		ReadTimeout: readTimeout,
		IdleTimeout: idleTimeout,
		ErrorLog:    slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

// serve serves the handler and sends webhook events until ctx ends. Requests under way may then finish, for
// as long as shutdownTimeout.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, api *creatifytest.API, webhooks bool, logger *slog.Logger) error {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if webhooks {
		running.Go(func() { _ = api.RunWebhooks(ctx) }) // until ctx ends
	}
	server := newServer(handler, logger)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	deadline, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer stop()
	if err := server.Shutdown(deadline); err != nil {
		logger.Warn("connections were closed while in use", "error", err)
		_ = server.Close()
	}
	return nil
}
