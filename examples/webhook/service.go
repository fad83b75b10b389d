package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/creatify-community/creatify-go"
)

// service takes orders from one state to the next. The state is committed before a call that costs credits, and only whoever
// has committed it makes the call, so that none is made twice, whatever happens in between.
type service struct {
	config
	store   *store
	secret  string // of the webhooks
	tracker *creatify.Tracker
	ctx     context.Context
	stop    context.CancelFunc
	busy    sync.WaitGroup
	wake    chan struct{} // holds one wake-up for work
}

type config struct {
	client   *creatify.Client
	template string
	public   string // the base URL of the webhooks; empty for none
	dir      string // of the videos
	download func(ctx context.Context, id, path string) error
	log      *slog.Logger
}

const (
	lookAgain       = time.Minute // after a trouble
	longestDownload = 10 * time.Minute
)

// newService goes on with the orders in the store.
func newService(config config, store *store) (*service, error) {
	secret, err := store.secret()
	if err != nil {
		return nil, err
	}
	s := &service{config: config, store: store, secret: secret, wake: make(chan struct{}, 1)}
	if _, err := s.webhookURL(rand.Text()); err != nil {
		return nil, err
	}
	// Whether their calls were made before the crash, nobody knows.
	if err := store.giveUpCreating("the service ended in the middle of the call that creates the preview"); err != nil {
		return nil, err
	}
	s.tracker = s.client.Jobs.NewTracker(creatify.TrackerOptions{})
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.busy.Go(s.work)
	s.busy.Go(func() {
		for job, err := range s.tracker.Results(s.ctx) {
			s.settle(job, err)
		}
	})
	return s, nil
}

// close waits for the replies to calls that cost credits, and breaks off all else.
func (s *service) close() {
	s.stop()
	s.tracker.Close()
	s.busy.Wait()
}

// work does what there is to do for the orders, at the start and from time to time.
func (s *service) work() {
	for {
		orders, err := s.store.list()
		s.check(err)
		for _, o := range orders {
			s.resume(o)
		}
		select {
		case <-s.wake:
		case <-time.After(lookAgain):
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *service) resume(o order) {
	switch {
	case s.ctx.Err() != nil:
	case o.State == ordered:
		s.busy.Go(func() { s.create(o) })
	case o.State == previewing:
		s.check(s.tracker.Add(o.JobID))
	case o.State == rendering:
		s.check(s.tracker.AddVideo(o.JobID))
	case o.State == rendered:
		s.fetch(o)
	}
}

// order stores a new order and begins with it.
func (s *service) order(headline, photo string) (int64, error) {
	o, err := s.store.add(headline, photo, s.webhookURL)
	if err == nil {
		s.busy.Go(func() { s.create(o) })
	}
	return o.ID, err
}

func (s *service) webhookURL(reference string) (string, error) {
	if s.public == "" {
		return "", nil
	}
	return creatify.WebhookOptions{Secret: s.secret}.URL(strings.TrimRight(s.public, "/")+"/hooks/creatify", reference)
}

// create makes the preview of an order that is still without.
func (s *service) create(o order) {
	if s.ctx.Err() != nil || !s.move(o, ordered, creating, "") {
		return
	}
	params := creatify.JobParams{
		TemplateID: s.template,
		Variables:  creatify.Variables{"headline": creatify.Text(o.Headline), "photo": creatify.Image(o.Photo)},
		WebhookURL: o.WebhookURL,
	}
	job, err := s.client.Jobs.CreatePreview(context.WithoutCancel(s.ctx), params)
	switch {
	case err == nil:
		s.log.Info("a preview is created", "order", o.ID, "job", job.ID)
		if created, err := s.store.created(o.ID, job.ID); created {
			s.check(s.tracker.AddCreated(job, params))
		} else {
			s.check(err)
		}
	case errors.Is(err, creatify.ErrOutcomeUnknown):
		s.move(o, creating, unknown, err.Error())
	default:
		s.move(o, creating, failed, err.Error())
	}
}

// approve begins to render an order whose preview is ready, and leaves any other alone.
func (s *service) approve(o order) {
	if s.ctx.Err() != nil || !s.move(o, ready, rendering, "") {
		return
	}
	s.busy.Go(func() {
		_, err := s.client.Jobs.Render(context.WithoutCancel(s.ctx), o.JobID)
		switch {
		case err == nil:
			s.check(s.tracker.AddVideo(o.JobID))
		case errors.Is(err, creatify.ErrOutcomeUnknown): // the wait for the video will tell
			s.move(o, rendering, rendering, err.Error())
			s.check(s.tracker.AddVideo(o.JobID))
		case errors.Is(err, creatify.ErrNotFound):
			s.move(o, rendering, failed, "unknown job: "+err.Error())
		default: // nothing was rendered, and it may be approved again
			s.move(o, rendering, ready, err.Error())
		}
	})
}

// settle takes the end of a wait. The tracker does not say for what it waited; the order's state does.
func (s *service) settle(job *creatify.Job, err error) {
	o, findErr := s.store.find("job_id", jobOf(job, err))
	if findErr != nil {
		s.check(findErr)
		return
	}
	_, ended := errors.AsType[*creatify.JobError](err)
	switch {
	case o.State != previewing && o.State != rendering:
	case job != nil && o.State == previewing:
		s.check(s.store.previewed(o.ID, job.Preview))
	case job != nil && job.VideoOutput != "":
		s.move(o, rendering, rendered, "")
		s.poke()
	case job != nil: // its preview, of which the order knew already
		s.check(s.tracker.AddVideo(o.JobID))
	case errors.Is(err, creatify.ErrNotFound):
		s.move(o, o.State, failed, "unknown job: "+err.Error())
	case errors.Is(err, creatify.ErrNoOutput) && o.State == rendering:
		s.move(o, rendering, unknown, err.Error())
	case ended || errors.Is(err, creatify.ErrNoOutput):
		s.move(o, o.State, failed, err.Error())
	default: // the job goes on, and work will wait for it again
		s.move(o, o.State, o.State, err.Error())
	}
}

func jobOf(job *creatify.Job, err error) string {
	if job != nil {
		return job.ID
	}
	if e, ok := errors.AsType[*creatify.JobError](err); ok {
		return e.Job.ID
	}
	if e, ok := errors.AsType[*creatify.WaitError](err); ok {
		return e.JobID
	}
	return ""
}

// noticed takes a job of which a webhook came: as a hint to poll it, and for an order of unknown outcome as the answer.
func (s *service) noticed(ctx context.Context, job *creatify.Job) error {
	o, err := s.store.find("reference", creatify.WebhookReference(ctx))
	switch {
	case errors.Is(err, errNoOrder) || err == nil && (job.WebhookURL != o.WebhookURL || o.JobID != "" && o.JobID != job.ID):
		return nil
	case err != nil:
		return err
	case o.JobID == "": // the notice may also be faster than the reply that it is about
		created, err := s.store.created(o.ID, job.ID)
		if created {
			s.check(s.tracker.Add(job.ID))
		}
		return err
	case o.State == unknown && (job.Status != creatify.StatusDone || job.VideoOutput != ""): // it has been rendered, or is being
		if s.move(o, unknown, rendering, "") {
			s.check(s.tracker.AddVideo(job.ID))
		}
	}
	s.tracker.Notify(job.ID)
	return nil
}

func (s *service) fetch(o order) {
	ctx, cancel := context.WithTimeout(s.ctx, longestDownload)
	defer cancel()
	err := s.download(ctx, o.JobID, s.videoPath(o))
	switch {
	case err == nil:
		s.move(o, rendered, stored, "")
	case s.ctx.Err() != nil:
	case errors.Is(err, creatify.ErrNotFound):
		s.move(o, rendered, failed, "unknown job: "+err.Error())
	default:
		s.move(o, rendered, rendered, err.Error())
	}
}

func (s *service) videoPath(o order) string { return filepath.Join(s.dir, o.Reference+".mp4") }

// move is the store's, with trouble logged.
func (s *service) move(o order, from, to state, reason string) bool {
	moved, err := s.store.move(o.ID, from, to, reason)
	s.check(err)
	if moved {
		s.log.Info("order", "id", o.ID, "state", to, "reason", reason)
	}
	return moved
}

func (s *service) check(err error) {
	if err != nil && !errors.Is(err, creatify.ErrTrackerClosed) {
		s.log.Error(err.Error())
	}
}

func (s *service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
