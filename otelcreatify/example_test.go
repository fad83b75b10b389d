package otelcreatify_test

import (
	"context"
	"fmt"
	"log"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/otelcreatify"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func ExampleHooks() {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)) // a service exports its spans
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()),
		creatify.WithHooks(otelcreatify.Hooks(otelcreatify.Options{TracerProvider: provider})))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.CreatePreviewAndWait(context.Background(), creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
	}, creatify.WithSchedule(creatify.FixedInterval(0)))
	if err != nil {
		log.Fatal(err)
	}
	for _, span := range spans.Ended() {
		fmt.Println(span.Name())
	}
	// Output:
	// creatify create_preview
	// creatify wait preview
}
