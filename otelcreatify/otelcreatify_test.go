package otelcreatify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/otelcreatify"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

const (
	secretVariable = "recognizable variable 7f3a"
	secretWebhook  = "recognizable-webhook-secret-91c2"
)

func params() creatify.JobParams {
	return creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{"headline": creatify.Text(secretVariable)},
		WebhookURL: "https://hooks.example.com/creatify?secret=" + secretWebhook}
}

// telemetry collects what a client emits.
type telemetry struct {
	spans  *tracetest.SpanRecorder
	reader *metric.ManualReader
	logs   bytes.Buffer
	otelcreatify.Options
}

func newTelemetry() *telemetry {
	x := &telemetry{spans: tracetest.NewSpanRecorder(), reader: metric.NewManualReader()}
	x.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(x.spans))
	x.MeterProvider = metric.NewMeterProvider(metric.WithReader(x.reader))
	return x
}

func (x *telemetry) client(t *testing.T, api *creatifytest.API) *creatify.Client {
	t.Helper()
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()),
		creatify.WithLogger(slog.New(slog.NewJSONHandler(&x.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		creatify.WithHooks(otelcreatify.Hooks(x.Options)))
	require.NoError(t, err)
	return client
}

func (x *telemetry) span(t *testing.T, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	var found []sdktrace.ReadOnlySpan
	for _, span := range x.spans.Ended() {
		if span.Name() == name {
			found = append(found, span)
		}
	}
	require.Len(t, found, 1, name)
	return found[0]
}

func (x *telemetry) metrics(t *testing.T) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, x.reader.Collect(t.Context(), &all))
	metrics := map[string]metricdata.Metrics{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			assert.Equal(t, strings.HasPrefix(m.Name, "creatify."), scope.Scope.Name == otelcreatify.Scope, m.Name)
			metrics[m.Name] = m
		}
	}
	return metrics
}

// count sums a counter's points by the values of their attributes.
func count(m metricdata.Metrics) map[string]int64 {
	counts := map[string]int64{}
	for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
		counts[point.Attributes.Encoded(attribute.DefaultEncoder())] += point.Value
	}
	return counts
}

func TestHooks(t *testing.T) {
	t.Run("a preview across a restart is one trace", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: time.Minute}})
			before, after := newTelemetry(), newTelemetry()
			ctx, request := before.TracerProvider.Tracer("service").Start(t.Context(), "POST /orders")
			client := before.client(t, api)
			start := time.Now()
			created, err := client.Jobs.CreatePreview(ctx, params())
			require.NoError(t, err)
			request.End()
			poller, err := client.Jobs.NewPoller(creatify.NewPendingJob(created, params()))
			require.NoError(t, err)
			state, err := json.Marshal(poller)
			require.NoError(t, err)

			poller, err = after.client(t, api).Jobs.ResumePoller(state)
			require.NoError(t, err)
			for !poller.Poll(t.Context()) {
				time.Sleep(time.Until(poller.Next()))
			}
			create, wait := before.span(t, "creatify create_preview"), after.span(t, "creatify wait preview")
			assert.Equal(t, request.SpanContext().SpanID(), create.Parent().SpanID())
			assert.Equal(t, trace.SpanKindProducer, create.SpanKind())
			assert.Equal(t, create.SpanContext().TraceID(), wait.SpanContext().TraceID())
			assert.Equal(t, create.SpanContext().SpanID(), wait.Parent().SpanID())
			assert.True(t, wait.Parent().IsRemote())
			assert.Equal(t, trace.SpanKindConsumer, wait.SpanKind())
			assert.WithinDuration(t, start, wait.StartTime(), time.Second, "from the job's birth")
			assert.WithinDuration(t, time.Now(), wait.EndTime(), 0)
			assert.Contains(t, wait.Attributes(), attribute.String("creatify.job.id", created.ID))
			assert.Contains(t, wait.Attributes(), attribute.String("creatify.job.status", "done"))
			assert.Contains(t, create.Attributes(), attribute.String("creatify.charged", "yes"))
			assert.Empty(t, wait.Events())

			metrics := after.metrics(t)
			assert.Equal(t, map[string]int64{"kind=preview": int64(api.Calls(creatifytest.CallGetJob))}, count(metrics["creatify.polls"]))
			lag := metrics["creatify.wait.lag"].Data.(metricdata.Histogram[float64]).DataPoints[0]
			assert.Equal(t, uint64(1), lag.Count)
			assert.GreaterOrEqual(t, lag.Sum, time.Since(start).Seconds()-60)
			assert.Equal(t, map[string]int64{"charged=yes,operation=preview": 1}, count(before.metrics(t)["creatify.paid_calls"]))
		})
	})

	t.Run("a hundred tracked jobs make a hundred waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: time.Minute}})
			x := newTelemetry()
			client := x.client(t, api)
			tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
			defer tracker.Close()
			registration, err := otelcreatify.RegisterTracker(tracker, x.Options)
			require.NoError(t, err)
			defer func() { assert.NoError(t, registration.Unregister()) }()
			for i := range 100 {
				if i%10 == 0 {
					api.NextJob(creatifytest.Life{End: "failed", Reason: "no such font"})
				}
				job, err := client.Jobs.CreatePreview(t.Context(), params())
				require.NoError(t, err)
				require.NoError(t, tracker.Add(creatify.NewPendingJob(job, params())))
			}
			gauge := x.metrics(t)["creatify.waits"].Data.(metricdata.Gauge[int64])
			total := int64(0)
			for _, point := range gauge.DataPoints {
				total += point.Value
			}
			assert.Equal(t, int64(100), total)
			tracker.Finish()
			for range tracker.Results(t.Context()) {
			}
			synctest.Wait()
			metrics := x.metrics(t)
			counts := map[string]uint64{}
			for _, point := range metrics["creatify.wait.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
				counts[point.Attributes.Encoded(attribute.DefaultEncoder())] += point.Count
			}
			assert.Equal(t, map[string]uint64{"kind=preview": 90, "error.type=job_failed,kind=preview": 10}, counts)
			assert.Equal(t, map[string]int64{"charged=yes,operation=preview": 100}, count(metrics["creatify.paid_calls"]))
			assert.Len(t, x.spans.Ended(), 200, "creates and waits; polls are no spans")
		})
	})

	t.Run("a tracked job's polls belong to its create's trace", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			x := newTelemetry()
			x.PollSpans = true
			client := x.client(t, api)
			tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
			defer tracker.Close()
			job, err := client.Jobs.CreatePreview(t.Context(), params())
			require.NoError(t, err)
			require.NoError(t, tracker.Add(creatify.NewPendingJob(job, params())))
			tracker.Finish()
			for range tracker.Results(t.Context()) {
			}
			synctest.Wait()
			create, polls := x.span(t, "creatify create_preview"), 0
			for _, span := range x.spans.Ended() {
				if span.Name() == "creatify poll" {
					polls++
					assert.Equal(t, create.SpanContext().SpanID(), span.Parent().SpanID())
				}
			}
			assert.Equal(t, api.Calls(creatifytest.CallGetJob), polls)
		})
	})

	t.Run("a failed call has a reason and no server's text", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 402, Body: `{"detail": "secret words"}`})
		x := newTelemetry()
		_, err := x.client(t, api).Jobs.CreatePreview(t.Context(), params())
		require.ErrorIs(t, err, creatify.ErrInsufficientCredits)
		span := x.span(t, "creatify create_preview")
		assert.Equal(t, sdktrace.Status{Code: codes.Error, Description: "insufficient_credits"}, span.Status())
		assert.Contains(t, span.Attributes(), attribute.String("error.type", "insufficient_credits"))
		assert.Equal(t, map[string]int64{"charged=no,error.type=insufficient_credits,operation=preview": 1}, count(x.metrics(t)["creatify.paid_calls"]))
		assert.NotContains(t, x.everything(t), "secret words")
	})

	t.Run("nothing secret is in a span, a metric or a log", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := newTelemetry()
			x.PollSpans = true
			api := creatifytest.New(creatifytest.Config{})
			client := x.client(t, api)
			job, err := client.Jobs.CreatePreviewAndWait(t.Context(), params())
			require.NoError(t, err)
			video, err := client.Jobs.RenderAndWait(t.Context(), job.ID)
			require.NoError(t, err)
			require.NoError(t, api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 500, Body: secretVariable + secretWebhook},
				creatifytest.Fault{Call: creatifytest.CallGetJob, Status: 401, Body: `{"detail": "` + secretVariable + `"}`}))
			_, err = client.Jobs.CreatePreview(t.Context(), params())
			require.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
			_, err = client.Jobs.CreatePreviewAndWait(t.Context(), params())
			require.NoError(t, err)
			said := x.everything(t)
			for _, secret := range []string{creatifytest.APIKey, creatifytest.APIID, secretVariable, secretWebhook, job.Preview, video.VideoOutput} {
				assert.NotContains(t, said, secret)
			}
			assert.Contains(t, said, "creatify render")
			assert.Contains(t, said, "creatify wait video")
			assert.Contains(t, said, `"call":"create_preview"`, "the log is among it")
			assert.Contains(t, said, "outcome_unknown")
		})
	})
}

// everything is the text of all that was emitted.
func (x *telemetry) everything(t *testing.T) string {
	text := fmt.Sprintf("%+v", x.metrics(t)) + x.logs.String()
	for _, span := range tracetest.SpanStubsFromReadOnlySpans(x.spans.Ended()) {
		text += fmt.Sprintf("%+v", span)
	}
	return text
}

func TestHooks_with_otelhttp(t *testing.T) {
	x := newTelemetry()
	server := httptest.NewUnstartedServer(nil)
	base := "http://" + server.Listener.Addr().String()
	server.Config.Handler = creatifytest.New(creatifytest.Config{BaseURL: base, Life: creatifytest.Life{Duration: 1}})
	server.Start()
	defer server.Close()
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithBaseURL(server.URL),
		creatify.WithHooks(otelcreatify.Hooks(x.Options)),
		creatify.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
			return otelhttp.NewTransport(next, otelhttp.WithTracerProvider(x.TracerProvider), otelhttp.WithMeterProvider(x.MeterProvider))
		}))
	require.NoError(t, err)
	defer client.CloseIdleConnections()
	job, err := client.Jobs.CreateVideoAndWait(t.Context(), params())
	require.NoError(t, err)

	create, post := x.span(t, "creatify create_video"), x.span(t, "HTTP POST")
	assert.Equal(t, create.SpanContext().SpanID(), post.Parent().SpanID(), "the request is below the call")
	before := len(x.spans.Ended())
	var video bytes.Buffer
	_, err = client.Jobs.Download(t.Context(), job.ID, &video, creatify.WithPrivateAddresses())
	require.NoError(t, err)
	assert.Positive(t, video.Len())
	assert.Len(t, x.spans.Ended(), before+1, "the job is read, and the download is not seen")
	said := x.everything(t)
	assert.NotContains(t, said, job.VideoOutput)
	assert.NotContains(t, said, secretWebhook)
	assert.NotContains(t, said, creatifytest.APIKey)

	server.Close()
	_, err = client.Jobs.CreateVideo(t.Context(), params())
	assert.Equal(t, creatify.ChargedNo, creatify.Charged(err), "the middleware keeps the proof that nothing left: %v", err)
}
