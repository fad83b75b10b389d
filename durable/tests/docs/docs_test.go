// Package docs compiles and runs the code of docs/durable.md and docs/operating.md that uses other modules
// than the root.
package docs

import (
	"context"
	"database/sql"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/durable"
	"github.com/creatify-community/creatify-go/otelcreatify"
)

var _ = []any{main, order, afterRestore, onPool, observed, gauges, remaining}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := creatify.NewFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	queue, err := durable.OpenFile(ctx, "orders.db", durable.Options{
		Client: client,
		OnEnd: func(ctx context.Context, tx *sql.Tx, order *durable.Order) error {
			log.Println(order.ID, order.State, order.Reason)
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer queue.Close()
	http.Handle("/orders", queue.StatusHandler())
	go http.ListenAndServe("127.0.0.1:8080", nil)
	if err := queue.Run(ctx); err != nil { // until ctx ends, and each paid call has its response
		log.Print(err)
	}
}

func order(ctx context.Context, queue *durable.Queue, params creatify.JobParams) (*durable.Order, error) {
	if _, err := queue.Submit(ctx, durable.Order{ID: "order-17", Kind: durable.Preview, Params: params}); err != nil {
		return nil, err
	}
	return queue.Wait(ctx, "order-17")
}

func afterRestore(ctx context.Context, queue *durable.Queue) (orders int, err error) {
	return queue.Quarantine(ctx, time.Time{}) // or since when orders are in doubt
}

func onPool(ctx context.Context, pool *pgxpool.Pool, client *creatify.Client) (*durable.Queue, error) {
	db := stdlib.OpenDBFromPool(pool) // github.com/jackc/pgx/v5/stdlib
	return durable.Open(ctx, db, durable.Options{Client: client, Dialect: durable.Postgres})
}

func observed() (*creatify.Client, error) {
	return creatify.NewFromEnv(creatify.WithHooks(otelcreatify.Hooks(otelcreatify.Options{})))
}

// gauges returns what to set as durable.Options.OnCounts: the gauges show the latest counts.
func gauges(meter metric.Meter) (onCounts func(durable.Counts), err error) {
	orders, err1 := meter.Int64ObservableGauge("creatify.orders", metric.WithUnit("{order}"))
	oldest, err2 := meter.Float64ObservableGauge("creatify.orders.oldest", metric.WithUnit("s"))
	slots, err3 := meter.Int64ObservableGauge("creatify.slots", metric.WithUnit("{call}"))
	replicas, err4 := meter.Int64ObservableGauge("creatify.replicas", metric.WithUnit("{process}"))
	extra, err5 := meter.Int64ObservableGauge("creatify.extra_charges", metric.WithUnit("{charge}"))
	var latest atomic.Pointer[durable.Counts]
	_, err6 := meter.RegisterCallback(func(_ context.Context, observe metric.Observer) error {
		counts := latest.Load()
		if counts == nil {
			return nil
		}
		state := func(s durable.State) metric.MeasurementOption {
			return metric.WithAttributes(attribute.String("state", string(s)))
		}
		for s, n := range counts.Orders {
			observe.ObserveInt64(orders, int64(n), state(s))
		}
		for s, since := range map[durable.State]time.Time{durable.StateQueued: counts.OldestQueued, durable.StateUnknown: counts.OldestUnknown} {
			age := 0.0
			if !since.IsZero() {
				age = time.Since(since).Seconds()
			}
			observe.ObserveFloat64(oldest, age, state(s))
		}
		observe.ObserveInt64(slots, int64(counts.Slots))
		observe.ObserveInt64(replicas, int64(counts.Replicas))
		observe.ObserveInt64(extra, int64(counts.Extra))
		return nil
	}, orders, oldest, slots, replicas, extra)
	return func(c durable.Counts) { latest.Store(&c) }, errors.Join(err1, err2, err3, err4, err5, err6)
}

// remaining shows the account's credits, which it reads each five minutes until ctx ends.
func remaining(ctx context.Context, client *creatify.Client, meter metric.Meter) error {
	gauge, err := meter.Float64Gauge("creatify.credits.remaining", metric.WithUnit("{credit}"))
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		if credits, err := client.Workspace.RemainingCredits(ctx); err == nil {
			gauge.Record(ctx, credits)
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Minute):
		}
	}
	return nil
}
