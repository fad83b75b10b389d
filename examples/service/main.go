// Service is a shop for videos: it takes orders on a web page, shows each preview with the price of its
// video, renders what is approved, and plays the file. It may be killed at any time, and several on one
// Postgres are one shop. Without an account it uses a fake of the API that is built in. For its flags and
// exit codes: go run ./examples/service -h
package main

import (
	"cmp"
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/durable"
	"github.com/creatify-community/creatify-go/examples/internal/cli"
	"golang.org/x/sync/errgroup"
)

//go:embed help.txt
var help string

func main() { cli.Main(run) }

// run is the program without its process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (exitCode int) {
	f, err := parseFlags(args, stdout)
	if err != nil {
		return cli.BadUsage(stderr, "service", err)
	}
	s := &shop{flags: f, log: slog.New(slog.NewTextHandler(stderr, nil))}
	if err := s.run(ctx, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

type flags struct {
	account                         bool // there is one in the environment
	template, db, dir, addr, public string
	credits                         float64
	password, secret                string // from the environment
	trial                           string // the directory of a fake's orders
}

func parseFlags(args []string, stdout io.Writer) (*flags, error) {
	f := &flags{password: os.Getenv("SHOP_PASSWORD"), secret: os.Getenv("SHOP_WEBHOOK_SECRET")}
	set := flag.NewFlagSet("service", flag.ContinueOnError)
	set.StringVar(&f.template, "template", "", "")
	set.StringVar(&f.db, "db", "", "")
	set.StringVar(&f.dir, "dir", "", "")
	set.StringVar(&f.addr, "addr", "127.0.0.1:8080", "")
	set.StringVar(&f.public, "public", "", "")
	set.Float64Var(&f.credits, "credits", 0, "")
	err := cli.Parse(set, help, args, stdout)
	if err == nil {
		f.account, err = cli.Account()
	}
	host, _, _ := net.SplitHostPort(f.addr)
	switch {
	case err != nil:
		return nil, err
	case f.account && f.template == "":
		return nil, errors.New("-template is missing: with an account it must be the ID of one of its templates")
	case !f.account && f.template+f.db+f.dir != "":
		return nil, errors.New("-template, -db and -dir need an account: the orders of the fake end with this program")
	case f.public != "" && hostOf(f.public) == "":
		return nil, errors.New("-public must be a URL such as https://shop.example.com")
	case f.public == "" && f.secret != "":
		return nil, errors.New("SHOP_WEBHOOK_SECRET needs -public, where Creatify reaches the shop")
	case f.password == "" && (f.public != "" || !isLoopback(host)):
		return nil, errors.New("SHOP_PASSWORD is missing: anybody who reaches -addr or -public could spend the account's credits")
	}
	f.template, f.db, f.dir = cmp.Or(f.template, creatifytest.TemplateID), cmp.Or(f.db, "orders.db"), cmp.Or(f.dir, "videos")
	return f, nil
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

func isLoopback(host string) bool {
	addr, _ := netip.ParseAddr(host)
	return addr.IsLoopback() || host == "localhost"
}

// run runs the service until ctx ends.
func (s *shop) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	options := []creatify.Option{creatify.WithHooks(s.hooks()), creatify.WithLogger(s.log), creatify.WithTemplateCheck(time.Hour)}
	if s.account {
		s.client, err = creatify.NewFromEnv(options...)
	} else {
		fmt.Fprintln(stderr, cli.NoAccount)
		s.client, err = s.startFake(ctx, options)
		defer os.RemoveAll(s.trial)
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return fmt.Errorf("%w (check -db)", err)
	}
	defer s.queue.Close()
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return fmt.Errorf("%w (choose another -addr)", err)
	}
	s.readShape(ctx)
	fmt.Fprintln(stdout, cli.URL(listener))
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return s.queue.Run(running) })
	group.Go(func() error { return s.fetchVideos(running) })
	group.Go(func() error { return cli.Serve(running, listener, s.handler()) })
	return group.Wait()
}

// startFake keeps orders and videos in a directory of their own, since the fake's jobs end with this process.
func (s *shop) startFake(ctx context.Context, options []creatify.Option) (*creatify.Client, error) {
	url, err := cli.ServeFake(ctx, creatifytest.Life{Duration: 8 * time.Second, Render: creatifytest.RenderLife{Duration: 8 * time.Second}})
	if err == nil {
		s.trial, err = os.MkdirTemp("", "shop-*")
	}
	if err != nil {
		return nil, err
	}
	s.dir, s.db = s.trial, filepath.Join(s.trial, "orders.db")
	return creatify.New(creatifytest.APIID, creatifytest.APIKey, append(options, creatify.WithBaseURL(url))...)
}

// open opens the orders: in Postgres, which several services share, or in a SQLite file.
func (s *shop) open(ctx context.Context) (err error) {
	options := durable.Options{Client: s.client, Credits: s.credits, Logger: s.log, Authorize: s.authorize, Hosts: []string{hostOf(s.public)}}
	if s.secret != "" {
		options.Webhook = durable.Webhook{BaseURL: strings.TrimRight(s.public, "/") + "/hooks/creatify", Secret: s.secret}
	}
	if !strings.HasPrefix(s.db, "postgres://") && !strings.HasPrefix(s.db, "postgresql://") {
		s.queue, err = durable.OpenFile(ctx, s.db, options)
		return err
	}
	db, err := sql.Open("pgx", s.db) // closed with the process
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(20)
	options.Dialect = durable.Postgres
	if s.queue, err = durable.Open(ctx, db, options); err != nil {
		return err
	}
	return s.queue.Migrate(ctx)
}
