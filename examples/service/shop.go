package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/durable"
	"golang.org/x/sync/errgroup"
)

// shop is the service. A customer's order is two orders of the queue: the preview and, once it is approved,
// its render.
type shop struct {
	*flags
	client   *creatify.Client
	queue    *durable.Queue
	log      *slog.Logger
	shape    string   // of the template; empty if unknown
	progress sync.Map // how far the jobs are that this process polls, by ID
}

// validID is what the form of an order makes up. It becomes the name of a file.
var validID = regexp.MustCompile("^[A-Z2-7]{26}$")

func renderOf(id string) string { return id + "-video" }

// find returns the preview of an order and its render, which is nil before the approval.
func (s *shop) find(ctx context.Context, id string) (preview, render *durable.Order, err error) {
	if !validID.MatchString(id) {
		return nil, nil, durable.ErrNotFound
	}
	if preview, err = s.queue.Get(ctx, id); err != nil {
		return nil, nil, err
	}
	if render, err = s.queue.Get(ctx, renderOf(id)); errors.Is(err, durable.ErrNotFound) {
		return preview, nil, nil
	}
	return preview, render, err
}

// readShape reads the template, for the frame of its previews.
func (s *shop) readShape(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if template, err := s.client.Templates.Get(limited, s.template); err == nil {
		s.shape = template.AspectRatio
	} else {
		s.check(ctx, err)
	}
}

// fetchVideos downloads the videos of done orders that have no file yet. A download is free and may be
// repeated.
func (s *shop) fetchVideos(ctx context.Context) error {
	var options []creatify.DownloadOption
	if !s.account || isLoopback(hostOf(os.Getenv("CREATIFY_BASE_URL"))) {
		options = append(options, creatify.WithPrivateAddresses()) // a fake's videos are on this machine
	}
	tried := map[string]time.Time{}
	for ctx.Err() == nil {
		orders, err := s.queue.List(ctx, durable.Filter{State: durable.StateDone, Limit: 1000})
		s.check(ctx, err)
		var downloads errgroup.Group
		downloads.SetLimit(4)
		for _, o := range orders {
			if o.Kind == durable.Preview || s.hasVideo(o.ID) || time.Since(tried[o.ID]) < time.Minute {
				continue
			}
			tried[o.ID] = time.Now()
			downloads.Go(func() error {
				limited, cancel := context.WithTimeout(ctx, 5*time.Minute)
				defer cancel()
				_, err := s.client.Jobs.DownloadFile(limited, o.JobID, s.videoPath(o.ID), options...)
				s.check(ctx, err)
				return nil
			})
		}
		_ = downloads.Wait()
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
	return nil
}

func (s *shop) videoPath(id string) string { return filepath.Join(s.dir, id+".mp4") }

func (s *shop) hasVideo(id string) bool {
	_, err := os.Stat(s.videoPath(id))
	return err == nil
}

func (s *shop) check(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.Error(err.Error())
	}
}

// authorize is the login: replace it with that of your service. The name goes into the history of what a
// person does.
func (s *shop) authorize(r *http.Request) (who string, ok bool) {
	if s.password == "" {
		return "somebody on this machine", true
	}
	who, password, _ := r.BasicAuth()
	return who, subtle.ConstantTimeCompare([]byte(password), []byte(s.password)) == 1
}

// hooks keep how far jobs are.
func (s *shop) hooks() creatify.Hooks {
	return creatify.Hooks{
		Poll: func(ctx context.Context, poll creatify.PollCall) (context.Context, func(creatify.PollResult)) {
			return ctx, func(r creatify.PollResult) {
				if r.Job != nil {
					s.progress.Store(poll.Job.ID, r.Job.Progress)
				}
			}
		},
		WaitEnd: func(_ context.Context, end creatify.WaitEnd) { s.progress.Delete(end.Job.ID) },
	}
}
