package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/durable"
)

// shop is the service: a queue of orders, and a directory of videos. A customer's order is two orders of the queue: the preview,
// and once it is approved, the render.
type shop struct {
	client   *creatify.Client
	queue    *durable.Queue
	template string
	dir      string // of the videos; each replica may have its own, or all share one
	password string
	hosts    map[string]bool // that the service answers to
	download []creatify.DownloadOption
	log      *slog.Logger
	progress progress
}

func renderOf(id string) string { return id + "-video" }

// order submits a new preview. Its ID is hard to guess, since whoever has it can approve.
func (s *shop) order(ctx context.Context, headline, photo string) (id string, err error) {
	params := creatify.JobParams{TemplateID: s.template,
		Variables: creatify.Variables{"headline": creatify.Text(headline), "photo": creatify.Image(photo)}}
	id = rand.Text()
	_, err = s.queue.Submit(ctx, durable.Order{ID: id, Kind: durable.Preview, Params: params})
	return id, err
}

// approve submits the render of a preview: twice is once.
func (s *shop) approve(ctx context.Context, id string) error {
	_, err := s.queue.Submit(ctx, durable.Order{ID: renderOf(id), Kind: durable.Render, Of: id, Priority: 1})
	return err
}

// find returns the preview of an order and its render, which is nil before the approval.
func (s *shop) find(ctx context.Context, id string) (preview, render *durable.Order, err error) {
	if preview, err = s.queue.Get(ctx, id); err != nil {
		return nil, nil, err
	}
	render, err = s.queue.Get(ctx, renderOf(id))
	if errors.Is(err, durable.ErrNotFound) {
		return preview, nil, nil
	}
	return preview, render, err
}

// fetchVideos downloads the videos of done orders that have no file yet. A download is free and may be repeated.
func (s *shop) fetchVideos(ctx context.Context) {
	for ctx.Err() == nil {
		orders, err := s.queue.List(ctx, durable.Filter{State: durable.StateDone, Limit: 1000})
		for _, o := range orders {
			if o.Kind == durable.Preview || s.hasVideo(o) {
				continue
			}
			limited, cancel := context.WithTimeout(ctx, 10*time.Minute)
			_, err := s.client.Jobs.DownloadFile(limited, o.JobID, s.videoPath(o), s.download...)
			cancel()
			s.check(ctx, err)
		}
		s.check(ctx, err)
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
		}
	}
}

func (s *shop) videoPath(render *durable.Order) string { return filepath.Join(s.dir, render.ID+".mp4") }

func (s *shop) hasVideo(render *durable.Order) bool {
	_, err := os.Stat(s.videoPath(render))
	return err == nil
}

func (s *shop) check(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.Error(err.Error())
	}
}

// authorize is the login: replace it with that of your service. The name goes into the history of what a person does.
func (s *shop) authorize(r *http.Request) (who string, ok bool) {
	if s.password == "" {
		return "somebody on this machine", true
	}
	who, password, _ := r.BasicAuth()
	return who, subtle.ConstantTimeCompare([]byte(password), []byte(s.password)) == 1
}

// progress remembers how far the jobs are that this process has polled lately.
type progress struct {
	mu   sync.Mutex
	jobs map[string]float64
}

func (p *progress) poll(ctx context.Context, poll creatify.PollCall) (context.Context, func(creatify.PollResult)) {
	return ctx, func(r creatify.PollResult) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.jobs == nil || len(p.jobs) > 1000 {
			p.jobs = map[string]float64{}
		}
		if r.Job != nil {
			p.jobs[poll.Job.ID] = r.Job.Progress
		}
	}
}

func (p *progress) of(jobID string) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.jobs[jobID]
}
