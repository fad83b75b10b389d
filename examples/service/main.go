// Service is a small shop for videos: it takes orders on a web page, shows each preview with the price of its video, renders
// what is approved, and plays the file. It may be killed at any time, and two of them on one Postgres are one service. Without
// an account it uses a fake of the API that is built in. For its flags: go run ./examples/service -h
package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/durable"
)

const about = `Takes orders for videos on a web page, shows the preview of each with the price of its video,
renders what is approved, and plays the file.

  go run ./examples/service                    try it, with a fake of the API
  go run ./examples/service -template ID -public https://shop.example.com
  go run ./examples/service -template ID -db postgres://user:password@db/shop

With CREATIFY_API_ID and CREATIFY_API_KEY set it uses that account, at CREATIFY_BASE_URL if
that is set; an order costs a preview, an approval a video. The template needs a text variable
"headline" and an image variable "photo". With neither set it uses the fake, and nothing is
charged. With SHOP_PASSWORD set, the pages ask for it (user: shop). Orders by state, and what
to do about the unknown ones, are on /status/.

`

const exitCodes = `
Exit codes (go run prints them, and itself exits with 1): 0 stopped by a signal, 1 broken, 2 bad usage.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

type flags struct {
	account                               bool // there is one in the environment
	addr, db, dir, public, host, template string
	credits                               float64
}

// run is the program without its process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (exitCode int) {
	f, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "%v\nFor the usage: go run ./examples/service -h\n", err)
		return 2
	}
	if err := serve(ctx, f, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func parseFlags(args []string, stderr io.Writer) (*flags, error) {
	f := &flags{}
	set := flag.NewFlagSet("service", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.addr, "addr", "127.0.0.1:8080", "the `address` to listen on")
	set.StringVar(&f.db, "db", "orders.db", "the orders: a SQLite `file`, or postgres://…")
	set.StringVar(&f.dir, "dir", "videos", "the `directory` for the videos")
	set.StringVar(&f.public, "public", "", "the `URL` at which Creatify and customers reach this service; without it there are no webhooks")
	set.StringVar(&f.template, "template", "", "the template's `ID`; required with an account")
	set.Float64Var(&f.credits, "credits", 0, "the most `credits` that all orders may use; 0 is no limit")
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		set.SetOutput(stderr)
		fmt.Fprint(stderr, about)
		set.PrintDefaults()
		fmt.Fprint(stderr, exitCodes)
		return nil, err
	} else if err != nil {
		return nil, err
	}
	id, key := os.Getenv("CREATIFY_API_ID") != "", os.Getenv("CREATIFY_API_KEY") != ""
	f.account = id && key
	switch {
	case set.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: everything is given by flags", set.Arg(0))
	case id != key:
		return nil, errors.New("one of CREATIFY_API_ID and CREATIFY_API_KEY is missing: set both for an account, or neither for the fake")
	case f.account && f.template == "":
		return nil, errors.New("-template is missing: with an account it must be the ID of one of its templates")
	case !f.account && (f.template != "" || f.public != ""):
		return nil, errors.New("-template and -public need an account, in CREATIFY_API_ID and CREATIFY_API_KEY")
	}
	return f, nil
}

// serve runs the service until ctx ends.
func serve(ctx context.Context, f *flags, stdout, stderr io.Writer) error {
	listener, err := net.Listen("tcp", f.addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	s := &shop{template: cmp.Or(f.template, creatifytest.TemplateID), dir: f.dir, password: os.Getenv("SHOP_PASSWORD"),
		log: slog.New(slog.NewTextHandler(stderr, nil)), hosts: hostsOf(listener, f.public)}
	if err := os.MkdirAll(f.dir, 0o750); err != nil {
		return err
	}
	options := durable.Options{Credits: f.credits, Logger: s.log, Authorize: s.authorize}
	if f.public != "" {
		options.Webhook = durable.Webhook{BaseURL: strings.TrimRight(f.public, "/") + "/hooks/creatify", Secret: os.Getenv("CREATIFY_API_KEY")[:16]}
	}
	hooks := creatify.WithHooks(creatify.Hooks{Poll: s.progress.poll})
	if f.account {
		options.Client, err = creatify.NewFromEnv(hooks, creatify.WithLogger(s.log), creatify.WithTemplateCheck(time.Hour))
	} else {
		fmt.Fprintln(stderr, "No CREATIFY_API_ID and CREATIFY_API_KEY set: running against the built-in fake API, nothing is charged.\n"+
			"Its jobs end with this program.")
		var stop func()
		options.Client, stop, err = startFake(hooks)
		defer stop()
		s.download = append(s.download, creatify.WithPrivateAddresses()) // the fake's videos are on this machine
	}
	if err != nil {
		return err
	}
	s.client = options.Client
	if s.queue, err = open(ctx, f.db, options); err != nil {
		return err
	}
	defer s.queue.Close()

	server := &http.Server{Handler: s.handler(), ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	running, stop := context.WithCancelCause(ctx)
	var busy sync.WaitGroup
	busy.Go(func() { stop(s.queue.Run(running)) })
	busy.Go(func() { s.fetchVideos(running) })
	busy.Go(func() { stop(server.Serve(listener)) })
	fmt.Fprintln(stdout, localURL(listener))
	<-running.Done()
	s.log.Info("stopping, when the paid calls under way have their responses")
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if server.Shutdown(closing) != nil {
		_ = server.Close()
	}
	busy.Wait()
	if cause := context.Cause(running); ctx.Err() == nil && cause != nil {
		return cause
	}
	return nil
}

// open opens the orders in Postgres, which replicas share, or in a SQLite file.
func open(ctx context.Context, name string, options durable.Options) (*durable.Queue, error) {
	if !strings.HasPrefix(name, "postgres://") && !strings.HasPrefix(name, "postgresql://") {
		return durable.OpenFile(ctx, name, options)
	}
	db, err := sql.Open("pgx", name)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(20)
	options.Dialect = durable.Postgres
	queue, err := durable.Open(ctx, db, options)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return queue, queue.Migrate(ctx)
}

// startFake serves a fake API on a port of its own, so that a browser can load the previews.
func startFake(options ...creatify.Option) (client *creatify.Client, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, func() {}, err
	}
	life := creatifytest.Life{Duration: 8 * time.Second, Render: creatifytest.RenderLife{Duration: 8 * time.Second}}
	fake := creatifytest.New(creatifytest.Config{BaseURL: localURL(listener), Life: life, Seed: uint64(time.Now().UnixNano())})
	server := &http.Server{Handler: fake, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	client, err = creatify.New(creatifytest.APIID, creatifytest.APIKey, append(options, creatify.WithBaseURL(localURL(listener)))...)
	return client, func() { _ = server.Close() }, err
}

func localURL(listener net.Listener) string {
	addr := listener.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: addr.Port}
	}
	return "http://" + addr.String()
}
