// Service is a shop for videos: it takes orders on a page, shows each preview with its price, renders what is
// approved, and plays the file. It may be killed at any time, and several on one Postgres are one shop.
// Without an account it uses a built-in fake of the API. Flags and exit codes: go run ./examples/service -h
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
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

// run is the program without its process. The options are for its client.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, opts ...creatify.Option) (exitCode int) {
	s := &shop{log: slog.New(slog.NewTextHandler(stderr, nil))}
	if err := s.parse(args, stdout); err != nil {
		return cli.BadUsage(stderr, "service", err)
	}
	if err := s.run(ctx, stdout, stderr, opts); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// shop is the service. A customer's order is two orders of the queue: the preview and, once it is approved,
// its render.
type shop struct {
	template, db, dir, addr string
	public                  *url.URL // without a host if it is not set
	credits                 float64
	password, secret, api   string // from the environment
	account                 bool   // there is one in the environment
	log                     *slog.Logger
	client                  *creatify.Client
	queue                   *durable.Queue
	shape                   string // of the template; empty if unknown
}

func (s *shop) parse(args []string, stdout io.Writer) (err error) {
	set := flag.NewFlagSet("service", flag.ContinueOnError)
	set.StringVar(&s.template, "template", "", "")
	set.StringVar(&s.db, "db", "", "")
	set.StringVar(&s.dir, "dir", "", "")
	set.StringVar(&s.addr, "addr", "127.0.0.1:8080", "")
	public := set.String("public", "", "")
	set.Float64Var(&s.credits, "credits", 0, "")
	s.password, s.secret, s.api = os.Getenv("SHOP_PASSWORD"), os.Getenv("SHOP_WEBHOOK_SECRET"), os.Getenv("CREATIFY_BASE_URL")
	s.account, err = cli.Parse(set, help, args, stdout)
	addr, addrErr := net.ResolveTCPAddr("tcp", s.addr)
	base, urlErr := url.Parse(*public)
	switch {
	case err != nil:
		return err
	case s.account && s.template == "":
		return errors.New("-template is missing: with an account it must be the ID of one of its templates")
	case !s.account && s.template+s.db+s.dir != "":
		return errors.New("-template, -db and -dir need an account: the orders of the fake end with this program")
	case addrErr != nil:
		return fmt.Errorf("-addr must be HOST:PORT: %w", addrErr)
	case !(s.credits >= 0):
		return errors.New("-credits must be a number of credits, or 0 for no bound")
	case strings.Contains(s.db, "=") && !strings.Contains(s.db, "://"):
		return errors.New("-db must be a file, or a URL such as postgres://user@host/database")
	case urlErr != nil || *public != "" && (base.Hostname() == "" || strings.Trim(base.Path, "/") != ""):
		return errors.New("-public must be a URL such as https://shop.example.com")
	case *public == "" && s.secret != "":
		return errors.New("SHOP_WEBHOOK_SECRET needs -public, where Creatify reaches the shop")
	case s.password == "" && (*public != "" || !addr.IP.IsLoopback()):
		return errors.New("SHOP_PASSWORD is missing: anybody who reaches -addr or -public could spend the account's credits")
	}
	s.public, s.template, s.db, s.dir = base, cmp.Or(s.template, creatifytest.TemplateID), cmp.Or(s.db, "orders.db"), cmp.Or(s.dir, "videos")
	return nil
}

// run runs the service until ctx ends.
func (s *shop) run(ctx context.Context, stdout, stderr io.Writer, opts []creatify.Option) (err error) {
	opts = append(opts, creatify.WithLogger(s.log), creatify.WithTemplateCheck(time.Hour))
	db, remove := cli.Orders(s.account, s.db)
	defer remove()
	if s.db = db; s.account {
		s.client, err = creatify.NewFromEnv(opts...)
	} else {
		fmt.Fprintln(stderr, cli.NoAccount)
		s.dir = filepath.Dir(db)
		s.client, s.api, err = cli.ServeFake(ctx, 8*time.Second, opts...)
	}
	if err := errors.Join(err, os.MkdirAll(s.dir, 0o750)); err != nil {
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
	fmt.Fprintln(stdout, cli.URL(listener))
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return s.queue.Run(running) })
	group.Go(func() error { return s.fetchVideos(running) })
	group.Go(func() error { return cli.Serve(running, listener, s.handler()) })
	return group.Wait()
}

// open reads the template, for the frame of its previews, and opens the orders, in Postgres or a SQLite file.
func (s *shop) open(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	template, err := s.client.Templates.Get(limited, s.template)
	if s.check(ctx, err); err == nil {
		s.shape = template.AspectRatio
	}
	options := durable.Options{Client: s.client, Dialect: durable.Postgres, Credits: s.credits, Logger: s.log, Authorize: s.authorize, Hosts: []string{s.public.Hostname()}}
	if s.secret != "" {
		options.Webhook = durable.Webhook{BaseURL: s.public.JoinPath("hooks/creatify").String(), Secret: s.secret}
	}
	if !strings.Contains(s.db, "://") {
		s.queue, err = durable.OpenFile(ctx, s.db, options)
		return err
	}
	db, err := sql.Open("pgx", s.db) // closed with the process
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(20)
	if s.queue, err = durable.Open(ctx, db, options); err != nil {
		return err
	}
	return s.queue.Migrate(ctx)
}

// fetchVideos downloads the videos of done orders that have no file yet. A download is free.
func (s *shop) fetchVideos(ctx context.Context) error {
	var options []creatify.DownloadOption
	if strings.HasPrefix(s.api, "http://") { // a fake on this machine, where its videos are as well
		options = append(options, creatify.WithPrivateAddresses())
	}
	var downloads errgroup.Group
	downloads.SetLimit(8)
	var tried sync.Map // IDs of orders whose download runs, or ran within a minute
	for ; ctx.Err() == nil; time.Sleep(time.Second) {
		renders, err := s.queue.List(ctx, durable.Filter{State: durable.StateDone, Search: ofVideo, Limit: 1 << 30})
		s.check(ctx, err)
		for _, o := range renders {
			if _, ok := tried.Load(o.ID); ok || s.hasVideo(o.ID) || !validID.MatchString(strings.TrimSuffix(o.ID, ofVideo)) {
				continue
			}
			tried.Store(o.ID, true)
			downloads.Go(func() error { // a slow host holds up no other video
				limited, cancel := context.WithTimeout(ctx, time.Hour)
				defer cancel()
				_, err := s.client.Jobs.DownloadFile(limited, o.JobID, s.videoPath(o.ID), options...)
				s.check(ctx, err)
				time.AfterFunc(time.Minute, func() { tried.Delete(o.ID) })
				return nil
			})
		}
	}
	return downloads.Wait()
}

func (s *shop) videoPath(id string) string { return filepath.Join(s.dir, id+".mp4") }

func (s *shop) hasVideo(id string) bool {
	_, err := os.Stat(s.videoPath(id))
	return err == nil
}

// check logs an error that the end of ctx does not explain.
func (s *shop) check(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.Error(err.Error())
	}
}
