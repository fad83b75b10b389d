// Webhook is a small backend service: it takes orders for videos, shows each one's preview for approval, renders what is
// approved and stores the file. It may be stopped at any time and goes on where it was, and pays for nothing twice. Without
// an account it does so against a fake of the API that is built in. Its flags: go run ./examples/webhook -h
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

const about = `Takes orders for videos on a web page, shows the preview of each, renders what is approved, and stores the file.

  go run ./examples/webhook                    try it, against a fake of the API that is built in
  go run ./examples/webhook -template ID -public https://shop.example.com

With CREATIFY_API_ID and CREATIFY_API_KEY set it uses that account, at CREATIFY_BASE_URL if that is set; each order costs a
preview, and each approval a video. The template needs a text variable "headline" and an image variable "photo". With
neither set it uses the fake, and nothing is charged.

The pages have no login: whoever reaches the address can order and approve.

`

// The exit codes.
const (
	stopped  = 0 // by a signal
	broken   = 1
	badUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C kills
	life := creatifytest.Life{Duration: 8 * time.Second, Render: creatifytest.RenderLife{Duration: 8 * time.Second}}
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, life))
}

type flags struct {
	account                         bool // there is one in the environment
	addr, db, dir, public, template string
}

// run is the program, less the process around it. The life is that of the fake's jobs.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, life creatifytest.Life) int {
	flags, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return stopped
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		fmt.Fprintln(stderr, "For the usage: go run ./examples/webhook -h")
		return badUsage
	}
	if err := serve(ctx, flags, stdout, stderr, life); err != nil {
		fmt.Fprintln(stderr, err)
		return broken
	}
	return stopped
}

func parseFlags(args []string, stderr io.Writer) (*flags, error) {
	f := &flags{}
	set := flag.NewFlagSet("webhook", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.addr, "addr", "127.0.0.1:8080", "the `address` to listen on")
	set.StringVar(&f.db, "db", "orders.db", "the SQLite `file` with the orders")
	set.StringVar(&f.dir, "dir", "videos", "the `directory` for the videos")
	set.StringVar(&f.public, "public", "", "the `URL` at which Creatify reaches this service with webhooks; without it there are none")
	set.StringVar(&f.template, "template", "", "the template's `ID`; required with an account")
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		set.SetOutput(stderr)
		fmt.Fprint(stderr, about)
		set.PrintDefaults()
		return nil, err
	} else if err != nil {
		return nil, err
	}
	hasID, hasKey := os.Getenv("CREATIFY_API_ID") != "", os.Getenv("CREATIFY_API_KEY") != ""
	f.account = hasID && hasKey
	switch {
	case set.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: everything is given by flags", set.Arg(0))
	case hasID != hasKey:
		return nil, errors.New("one of CREATIFY_API_ID and CREATIFY_API_KEY is missing: set both for an account, or neither for the built-in fake")
	case f.account && f.template == "":
		return nil, errors.New("-template is missing: with an account it must be the ID of one of its templates")
	case !f.account && (f.template != "" || f.public != ""):
		return nil, errors.New("-template and -public need an account, in CREATIFY_API_ID and CREATIFY_API_KEY")
	}
	return f, nil
}

// serve runs the service until ctx ends.
func serve(ctx context.Context, f *flags, stdout, stderr io.Writer, life creatifytest.Life) (err error) {
	listener, err := net.Listen("tcp", f.addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	here := localURL(listener)
	store, err := openStore(f.db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	if err := os.MkdirAll(f.dir, 0o750); err != nil {
		return err
	}

	config := config{template: f.template, public: f.public, dir: f.dir, log: slog.New(slog.NewTextHandler(stderr, nil))}
	if f.account {
		config.client, err = creatify.NewFromEnv()
	} else {
		fmt.Fprint(stderr, "No CREATIFY_API_ID and CREATIFY_API_KEY set: running against the built-in fake API, nothing is charged.\n"+
			"Its videos are noise that no player shows. Its jobs end with this program: orders that wait for one then fail as of an\n"+
			"unknown job.\n")
		config.template, config.public = creatifytest.TemplateID, here
		var stop func()
		config.client, stop, err = startFake(life)
		defer stop()
	}
	if err != nil {
		return err
	}
	config.download = func(ctx context.Context, id, path string) error {
		var opts []creatify.DownloadOption
		if !f.account {
			opts = append(opts, creatify.WithPrivateAddresses()) // the fake is on this machine
		}
		_, err := config.client.Jobs.DownloadFile(ctx, id, path, opts...)
		return err
	}

	service, err := newService(config, store)
	if err != nil {
		return err
	}
	defer service.close()
	server := &http.Server{Handler: service.handler(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Fprintln(stdout, here)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	config.log.Info("stopping, as soon as the calls that cost credits have their replies")
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if server.Shutdown(closing) != nil {
		_ = server.Close()
	}
	return nil
}

// startFake serves a fake API on a port of its own, so that a browser can load the previews. stop is never nil.
func startFake(life creatifytest.Life) (client *creatify.Client, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, func() {}, err
	}
	fake := creatifytest.New(creatifytest.Config{
		BaseURL:  localURL(listener),
		Life:     life,
		Webhooks: creatifytest.Webhooks{Client: &http.Client{}},
		Seed:     rand.Uint64(), // lest its jobs have the IDs of those in the database
	})
	server := &http.Server{Handler: fake, ReadHeaderTimeout: 10 * time.Second}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) }) // until it is closed
	running.Go(func() { _ = fake.RunWebhooks(ctx) })  // until ctx ends
	client, err = creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithBaseURL(localURL(listener)))
	return client, func() { cancel(); _ = server.Close(); running.Wait() }, err
}

func localURL(listener net.Listener) string {
	addr := listener.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: addr.Port}
	}
	return "http://" + addr.String()
}
