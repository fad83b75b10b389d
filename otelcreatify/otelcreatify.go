// Package otelcreatify turns the hooks of a creatify client into OpenTelemetry traces and metrics.
//
//	client, err := creatify.NewFromEnv(creatify.WithHooks(otelcreatify.Hooks(otelcreatify.Options{})))
//
// A paid call is a producer span. Its wait is a consumer span below it, even if another process has continued
// the wait. The span of a wait is made when the wait has ended, from the job's creation to the poll that saw
// its end, so that a crash loses no open span. Polls are counted; they are spans only with
// [Options.PollSpans].
//
// No span or metric holds a key, a variable, a webhook's secret or a signed URL. For spans of the underlying
// HTTP requests, pass otelhttp's transport to [creatify.WithMiddleware].
package otelcreatify

import (
	"context"
	"errors"
	"time"

	"github.com/creatify-community/creatify-go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the instrumentation scope of the spans and metrics.
const Scope = "github.com/creatify-community/creatify-go/otelcreatify"

// Options sets where spans and metrics go. The zero value uses the global providers.
type Options struct {
	TracerProvider trace.TracerProvider // nil is the global one
	MeterProvider  metric.MeterProvider // nil is the global one
	PollSpans      bool                 // makes a span for each poll as well
}

func (o Options) tracer() trace.Tracer {
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	return o.TracerProvider.Tracer(Scope)
}

func (o Options) meter() metric.Meter {
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	return o.MeterProvider.Meter(Scope)
}

// Hooks returns the hooks for [creatify.WithHooks]. If an instrument cannot be made, the error goes to
// [otel.Handle].
func Hooks(o Options) creatify.Hooks {
	h := &hooks{tracer: o.tracer(), pollSpans: o.PollSpans, instruments: newInstruments(o.meter())}
	return creatify.Hooks{Trace: traceparent, Paid: h.paid, Poll: h.poll, WaitEnd: h.waitEnd}
}

// RegisterTracker reports the waits of a tracker as creatify.waits, by state: waiting, polling or result, and
// the length of an outage as creatify.failing. A collection takes constant time. Unregister it before the
// tracker is dropped.
func RegisterTracker(t *creatify.Tracker, o Options) (metric.Registration, error) {
	meter := o.meter()
	waits, err := meter.Int64ObservableGauge("creatify.waits", metric.WithUnit("{wait}"), metric.WithDescription("Tracked waits by state."))
	if err != nil {
		return nil, err
	}
	failing, err := meter.Float64ObservableGauge("creatify.failing", metric.WithUnit("s"),
		metric.WithDescription("Time since which all polls of the tracker fail; 0 if they do not."))
	if err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, observe metric.Observer) error {
		stats := t.Stats()
		state := func(n int, name string) { observe.ObserveInt64(waits, int64(n), with(attribute.String("state", name))) }
		state(max(stats.Waiting-stats.Polling, 0), "waiting") // a last poll may be past the wait's deadline
		state(stats.Polling, "polling")
		state(stats.Results, "result")
		since := 0.0
		if !stats.FailingSince.IsZero() {
			since = time.Since(stats.FailingSince).Seconds()
		}
		observe.ObserveFloat64(failing, since)
		return nil
	}, waits, failing)
}

type hooks struct {
	instruments

	tracer    trace.Tracer
	pollSpans bool
}

type instruments struct {
	paidCalls metric.Int64Counter
	estimated metric.Float64Counter
	used      metric.Float64Histogram
	polls     metric.Int64Counter
	duration  metric.Float64Histogram
	lag       metric.Float64Histogram
}

func newInstruments(meter metric.Meter) (i instruments) {
	// Jobs take seconds to minutes.
	seconds := metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
	var errs [6]error
	i.paidCalls, errs[0] = meter.Int64Counter("creatify.paid_calls", metric.WithUnit("{call}"),
		metric.WithDescription("Paid calls, by operation and by whether they were charged."))
	i.estimated, errs[1] = meter.Float64Counter("creatify.credits.estimated", metric.WithUnit("{credit}"),
		metric.WithDescription("Estimated credits of paid calls that were charged or may have been."))
	i.used, errs[2] = meter.Float64Histogram("creatify.credits.used", metric.WithUnit("{credit}"),
		metric.WithDescription("Credits that a job had used in all at the end of a wait."),
		metric.WithExplicitBucketBoundaries(0, 1, 2, 4, 5, 10, 20, 30, 60, 120))
	i.polls, errs[3] = meter.Int64Counter("creatify.polls", metric.WithUnit("{poll}"), metric.WithDescription("Polls, by kind of wait."))
	i.duration, errs[4] = meter.Float64Histogram("creatify.wait.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Time from a job's creation to the end of its wait."))
	i.lag, errs[5] = meter.Float64Histogram("creatify.wait.lag", metric.WithUnit("s"), seconds,
		metric.WithDescription("Upper bound of the time from a job's end to the poll that noticed it."))
	for _, err := range errs {
		if err != nil {
			otel.Handle(err)
		}
	}
	return i
}

func with(attributes ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attributes...))
}

// outcome appends error.type, whose values are those of [creatify.Reason].
func outcome(err error, attributes ...attribute.KeyValue) []attribute.KeyValue {
	if err != nil {
		attributes = append(attributes, attribute.String("error.type", creatify.Reason(err)))
	}
	return attributes
}

// end ends a span. The error's text stays out of it: it may quote a server.
func end(span trace.Span, err error, options ...trace.SpanEndOption) {
	if err != nil {
		span.SetStatus(codes.Error, creatify.Reason(err))
	}
	span.SetAttributes(outcome(err)...)
	span.End(options...)
}

var propagator propagation.TraceContext

func traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagator.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// remote returns ctx with the span of a stored traceparent, or as it is if there is none.
func remote(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return propagator.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

func (h *hooks) paid(ctx context.Context, call creatify.PaidCall) (context.Context, func(creatify.PaidResult)) {
	attributes := []attribute.KeyValue{
		attribute.String("creatify.operation", string(call.Operation)), attribute.Float64("creatify.credits.estimated", call.Estimate)}
	if call.Model != "" {
		attributes = append(attributes, attribute.String("creatify.model_version", string(call.Model)))
	}
	ctx, span := h.tracer.Start(ctx, "creatify "+call.Call, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attributes...))
	return ctx, func(r creatify.PaidResult) {
		charged := charge(r.Charged)
		if r.Job != nil {
			span.SetAttributes(attribute.String("creatify.job.id", r.Job.ID))
		} else if call.JobID != "" {
			span.SetAttributes(attribute.String("creatify.job.id", call.JobID))
		}
		span.SetAttributes(attribute.String("creatify.charged", charged))
		end(span, r.Err)
		operation := attribute.String("operation", string(call.Operation))
		h.paidCalls.Add(ctx, 1, with(outcome(r.Err, operation, attribute.String("charged", charged))...))
		if r.Charged != creatify.ChargedNo {
			h.estimated.Add(ctx, call.Estimate, with(operation, attribute.String("charged", charged)))
		}
	}
}

func charge(c creatify.Charge) string {
	switch c {
	case creatify.ChargedYes:
		return "yes"
	case creatify.ChargedNo:
		return "no"
	}
	return "unknown"
}

func (h *hooks) poll(ctx context.Context, poll creatify.PollCall) (context.Context, func(creatify.PollResult)) {
	if !trace.SpanContextFromContext(ctx).IsValid() { // a tracker's poll belongs to no request
		ctx = remote(ctx, poll.Job.Trace)
	}
	span := trace.Span(nil)
	if h.pollSpans {
		ctx, span = h.tracer.Start(ctx, "creatify poll", trace.WithAttributes(job(poll.Job)...),
			trace.WithAttributes(attribute.Int("creatify.poll.number", poll.Number)))
	}
	return ctx, func(r creatify.PollResult) {
		if span != nil {
			end(span, r.Err)
		}
		h.polls.Add(ctx, 1, with(outcome(r.Err, kind(poll.Job))...))
	}
}

func kind(job creatify.PendingJob) attribute.KeyValue {
	return attribute.String("kind", string(job.Kind))
}

func job(job creatify.PendingJob) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("creatify.job.id", job.ID), attribute.String("creatify.job.kind", string(job.Kind))}
}

func (h *hooks) waitEnd(ctx context.Context, wait creatify.WaitEnd) {
	born := wait.Born
	if born.IsZero() {
		born = wait.Started
	}
	attributes := append(job(wait.Job), attribute.Int("creatify.polls", wait.Polls))
	snapshot := wait.Result
	if failed, ok := asJobError(wait.Err); ok {
		snapshot = failed
	}
	if snapshot != nil {
		attributes = append(attributes, attribute.String("creatify.job.status", string(snapshot.Status)),
			attribute.Float64("creatify.credits.used", snapshot.CreditsUsed))
		h.used.Record(ctx, snapshot.CreditsUsed, with(kind(wait.Job)))
	}
	ctx, span := h.tracer.Start(remote(ctx, wait.Job.Trace), "creatify wait "+string(wait.Job.Kind),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(born), trace.WithAttributes(attributes...))
	end(span, wait.Err, trace.WithTimestamp(wait.Ended))
	h.duration.Record(ctx, wait.Ended.Sub(born).Seconds(), with(outcome(wait.Err, kind(wait.Job))...))
	if wait.MaxLag > 0 {
		h.lag.Record(ctx, wait.MaxLag.Seconds(), with(kind(wait.Job)))
	}
}

func asJobError(err error) (*creatify.Job, bool) {
	if e, ok := errors.AsType[*creatify.JobError](err); ok {
		return e.Job, e.Job != nil
	}
	return nil, false
}
