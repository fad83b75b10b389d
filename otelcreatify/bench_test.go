package otelcreatify_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/otelcreatify"
	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// BenchmarkPoll compares polls with and without hooks, in turns and over a loopback connection. The goal is a
// ratio of at most 1.3:
//
//	go test -run '^$' -bench Poll -benchtime 3s ./otelcreatify
func BenchmarkPoll(b *testing.B) {
	for _, bm := range []struct {
		name  string
		spans bool
	}{{"metrics", false}, {"metrics_and_spans", true}} {
		b.Run(bm.name, func(b *testing.B) {
			server := httptest.NewUnstartedServer(nil)
			base := "http://" + server.Listener.Addr().String()
			server.Config.Handler = creatifytest.New(creatifytest.Config{BaseURL: base, Life: creatifytest.Life{Duration: -1}})
			server.Start()
			defer server.Close()
			hooks := otelcreatify.Hooks(otelcreatify.Options{PollSpans: bm.spans, TracerProvider: sdktrace.NewTracerProvider(),
				MeterProvider: metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))})
			poller := func(options ...creatify.Option) *creatify.Poller {
				client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, append(options, creatify.WithBaseURL(base))...)
				if err != nil {
					b.Fatal(err)
				}
				job, err := client.Jobs.CreatePreview(b.Context(), params())
				if err != nil {
					b.Fatal(err)
				}
				p, err := client.Jobs.NewPoller(creatify.NewPendingJob(job, params()))
				if err != nil {
					b.Fatal(err)
				}
				return p
			}
			pollers := [2]*creatify.Poller{poller(), poller(creatify.WithHooks(hooks))}
			var took [2]time.Duration
			for i := 0; b.Loop(); i++ {
				for j := range pollers {
					which := (i + j) % 2 // neither is always first
					started := time.Now()
					if pollers[which].Poll(b.Context()) || pollers[which].Err() != nil {
						b.Fatal(pollers[which].Err())
					}
					took[which] += time.Since(started)
				}
			}
			b.ReportMetric(float64(took[1])/float64(took[0]), "hooked/bare")
		})
	}
}
