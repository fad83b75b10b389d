// Creatify-mock serves a fake of Creatify's custom-template API, in memory,
// for trying out programs without an account and without paying.
//
//	creatify-mock [-addr host:port] [-job-duration 20s] [-render-duration 20s]
//	    [-fail reason] [-credits 1000] [-webhooks-anywhere]
//
// It prints its URL and the environment variables to set, logs requests to
// standard error, and runs until it is interrupted.
//
// The preview of a job is a page for a browser, and its video a file of noise,
// both at the same URL as the API. Jobs with a webhook_url are sent notices, but
// only on this machine unless -webhooks-anywhere is given: else whoever reaches
// the fake could have it call any host that this machine reaches.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
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
	options, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	listener, err := net.Listen("tcp", options.addr)
	if err != nil {
		fmt.Fprintln(stderr, "creatify-mock:", err)
		return 1
	}
	url := "http://" + listener.Addr().String()
	fmt.Fprintf(stdout, "Creatify's custom-template API, in memory, at %s\n\n", url)
	fmt.Fprintf(stdout, "export CREATIFY_BASE_URL=%s\n", url)
	fmt.Fprintf(stdout, "export CREATIFY_API_ID=%s\n", creatifytest.APIID)
	fmt.Fprintf(stdout, "export CREATIFY_API_KEY=%s\n", creatifytest.APIKey)

	logger := slog.New(slog.NewTextHandler(stderr, nil))
	options.config.BaseURL = url
	options.config.Webhooks.Client = webhookClient(logger, options.webhooksAnywhere)
	if err := serve(ctx, listener, creatifytest.New(options.config), logger); err != nil {
		fmt.Fprintln(stderr, "creatify-mock:", err)
		return 1
	}
	return 0
}

type options struct {
	addr             string
	webhooksAnywhere bool
	config           creatifytest.Config
}

// parseFlags has told the user what is wrong when it returns an error.
func parseFlags(args []string, stderr io.Writer) (options, error) {
	flags := flag.NewFlagSet("creatify-mock", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:0", "`address` to listen on; port 0 picks a free one")
	duration := flags.Duration("job-duration", 20*time.Second, "`time` from a job's creation to its end")
	render := flags.Duration("render-duration", 20*time.Second, "`time` from the call for a job's render to its end")
	reason := flags.String("fail", "", "let every job fail, for this `reason`; there is nothing to render then")
	credits := flags.Float64("credits", 1000, "`balance` at the start, more than 0")
	anywhere := flags.Bool("webhooks-anywhere", false, "send notices to other machines as well")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	var err error
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *duration <= 0:
		err = fmt.Errorf("-job-duration is %v, but must be more than 0", *duration)
	case *render <= 0:
		err = fmt.Errorf("-render-duration is %v, but must be more than 0", *render)
	case !(0 < *credits && *credits <= math.MaxFloat64):
		err = fmt.Errorf("-credits is %v, but must be a number more than 0", *credits)
	}
	if err != nil {
		fmt.Fprintln(stderr, "creatify-mock:", err)
		flags.Usage()
		return options{}, err
	}
	life := creatifytest.Life{Duration: *duration, Render: creatifytest.RenderLife{Duration: *render}}
	if *reason != "" {
		life.End, life.Reason = "failed", *reason
	}
	return options{
		addr:             *addr,
		webhooksAnywhere: *anywhere,
		config:           creatifytest.Config{Credits: *credits, Life: life},
	}, nil
}

const (
	readHeaderTimeout = 10 * time.Second
	shutdownTimeout   = 3 * time.Second
)

// serve serves the API and sends its webhooks until ctx ends. Requests under way
// may then finish, for as long as shutdownTimeout.
func serve(ctx context.Context, listener net.Listener, api *creatifytest.API, logger *slog.Logger) error {
	var webhooks sync.WaitGroup
	defer webhooks.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	webhooks.Go(func() { _ = api.RunWebhooks(ctx) }) // until ctx ends

	server := &http.Server{
		Handler:           logged(api, logger),
		ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
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

// logged logs each request. Headers and bodies, which may hold secrets, and
// queries are left out.
func logged(next http.Handler, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := &statusRecorder{ResponseWriter: w}
		defer func() {
			logger.Info("request", "method", r.Method, "path", r.URL.Path, "status", recorder.status)
		}()
		next.ServeHTTP(recorder, r)
	})
}

// statusRecorder keeps the status of a reply; 0 means that there was none.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (r *statusRecorder) Unwrap() http.ResponseWriter {
	return r.ResponseWriter
}
