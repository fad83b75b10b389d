package durable

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// work is a worker process.
func work(config string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := workUntil(ctx, config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func workUntil(ctx context.Context, config string) error {
	var w worker
	if err := json.Unmarshal([]byte(config), &w); err != nil {
		return err
	}
	client, err := newClient(w.URL)
	if err != nil {
		return err
	}
	options := quickOptions(client)
	options.Credits, options.RequestsPerSecond, options.Sends, options.Webhook = w.Credits, w.Rate, w.Sends, w.Webhook
	options.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var q *Queue
	var passed atomic.Int64
	options.timing.at = func(point string, r *row) {
		if point == w.KillAt && (w.Victim == "" || w.Victim == r.ID) && passed.Add(1) > int64(w.Skip) {
			kill := func() {
				self, _ := os.FindProcess(os.Getpid())
				_ = self.Kill()
			}
			if w.Later == 0 {
				kill()
				time.Sleep(time.Minute)
			}
			time.AfterFunc(w.Later, kill)
		}
		if w.Control {
			q.forgetClaim(ctx, point, r)
		}
		if point == "claimed" && w.Slow > 0 {
			time.Sleep(w.Slow)
		}
	}
	q, _, err = w.Place.open(ctx, options)
	if err != nil {
		return err
	}
	defer q.Close()
	return q.Run(ctx)
}

// forgetClaim makes the order look as if no claim had been written before the call: what a program does that
// writes the ID after the call and nothing before.
func (q *Queue) forgetClaim(ctx context.Context, point string, r *row) {
	from, to := StateSending, StateQueued
	if point == "answered" {
		from, to = to, from
	} else if point != "claimed" {
		return
	}
	_, _ = q.exec(ctx, q.db, `UPDATE {s}orders SET state = $2 WHERE id = $1 AND state = $3`, r.ID, string(to), string(from))
}
