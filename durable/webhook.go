package durable

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/riverqueue/river"

	creatify "github.com/creatify-community/creatify-go"
)

func (o *Options) webhookURL(reference string) (string, error) {
	return creatify.WebhookOptions{Secret: o.Webhook.Secret}.URL(o.Webhook.BaseURL, reference)
}

// WebhookHandler receives the API's webhooks in any process, also where Run is not running. It reads the job,
// which is free, and records its end. Without OnEnd, it leaves the end to a process that runs. An order that
// is unknown, expired or queued again continues when its webhook comes.
func (q *Queue) WebhookHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { q.client.Load().webhooks.ServeHTTP(w, r) })
}

// heard applies a job that the webhook handler has read. The reference is random, and known only to those who
// have seen the URL.
func (q *Queue) heard(ctx context.Context, job *creatify.Job) error {
	var ids []string
	if reference := creatify.WebhookReference(ctx); reference != "" {
		found, err := q.strings(ctx, q.db, sqlByReference, reference)
		if err != nil {
			return err
		}
		ids = found
	}
	found, err := q.strings(ctx, q.db, sqlByJob, job.ID) // a render's events carry its preview's reference
	if err != nil {
		return err
	}
	for _, id := range append(ids, found...) {
		err = errors.Join(err, q.apply(ctx, id, job))
	}
	return err
}

// apply updates an order from the state of its job.
func (q *Queue) apply(ctx context.Context, id string, job *creatify.Job) error {
	r, err := q.get(ctx, q.db, id)
	if err != nil {
		return err
	}
	// An order that has another job, or has ended without one, was charged for this job as well.
	extra := r.JobID != job.ID && (r.JobID != "" || r.State == StateCancelled || r.State == StateRefused)
	if extra || slices.Contains(event.from, r.State) {
		if r.Kind == Render && (!rendering(job) || r.State == StateQueued) || r.State == StateExpired && !job.Status.Terminal() {
			return nil
		}
		if err := q.unclaimed(ctx, r, job.ID); errors.Is(err, ErrConflict) {
			return nil // the API does not send one order's reference with another's job
		} else if err != nil {
			return err
		}
		if extra {
			return q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error { return q.recordLate(ctx, tx, r, job.ID) })
		}
		if err := q.adopt(ctx, event, r, job, ""); err != nil {
			return err
		}
		if r, err = q.get(ctx, q.db, id); err != nil {
			return err
		}
	}
	if r.State != StateWaiting {
		return nil
	}
	over, cause := job.Outcome(r.Kind.waits())
	switch {
	case !over:
		return nil
	case q.options.OnEnd == nil:
		return q.tx(ctx, func(ctx context.Context, tx *sql.Tx) error { return q.look(ctx, tx, id, time.Time{}) })
	}
	return q.finish(ctx, r, job, cause)
}

// rendering reports whether a job shows that its render was started.
func rendering(job *creatify.Job) bool {
	return job.Status != creatify.StatusDone || job.VideoOutput != ""
}

// lookArgs is a River job that reads an order's job once: in a process with OnEnd, or to settle a render
// whose response was lost.
type lookArgs struct {
	Order string `json:"order"`
}

func (lookArgs) Kind() string { return "creatify_look" }

// look inserts a River job that is not unique: an event must not be lost because an older one is being
// handled.
func (q *Queue) look(ctx context.Context, tx *sql.Tx, id string, at time.Time) error {
	_, err := q.insert.InsertTx(ctx, tx, lookArgs{id}, &river.InsertOpts{Queue: waitQueue, MaxAttempts: maxAttempts, ScheduledAt: at})
	return err
}

type looker struct {
	river.WorkerDefaults[lookArgs]
	queue *Queue
}

func (l *looker) Work(ctx context.Context, job *river.Job[lookArgs]) error {
	q := l.queue
	r, err := q.get(ctx, q.db, job.Args.Order)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case r.JobID == "" || r.State != StateUnknown && r.State != StateWaiting:
		return nil
	}
	read, err := q.client.Load().Jobs.Get(ctx, r.JobID)
	if errors.Is(err, creatify.ErrNotFound) {
		return nil
	}
	if err != nil {
		return river.JobSnooze(jitter(10 * time.Second))
	}
	if q.options.OnEnd == nil && r.State == StateWaiting { // no process has one: apply would come back here
		if over, cause := read.Outcome(r.Kind.waits()); over {
			return q.finish(ctx, r, read, cause)
		}
		return nil
	}
	return q.apply(ctx, r.ID, read)
}
