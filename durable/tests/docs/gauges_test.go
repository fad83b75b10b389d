package docs

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/durable"
)

// The functions of this package's other file are those of the documents, letter by letter.
func TestDocuments_have_the_code_that_is_compiled(t *testing.T) {
	compiled, err := os.ReadFile("docs_test.go")
	require.NoError(t, err)
	found := 0
	for _, name := range []string{"durable.md", "operating.md"} {
		document, err := os.ReadFile("../../../docs/" + name)
		require.NoError(t, err)
		for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(document), -1) {
			if regexp.MustCompile(`\b(otelcreatify|durable)\.`).MatchString(block[1]) {
				found++
				assert.True(t, strings.Contains(string(compiled), block[1]), "%s: not in docs_test.go:\n%s", name, block[1])
			}
		}
	}
	assert.Equal(t, 6, found)
}

// values are what the gauges show, by name and attributes.
func values(t *testing.T, reader metric.Reader) map[string]float64 {
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	shown := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			add := func(attributes attribute.Set, value float64) {
				key := m.Name + " " + m.Unit + " " + attributes.Encoded(attribute.DefaultEncoder())
				shown[strings.TrimSpace(key)] = value
			}
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				for _, point := range data.DataPoints {
					add(point.Attributes, float64(point.Value))
				}
			case metricdata.Gauge[float64]:
				for _, point := range data.DataPoints {
					add(point.Attributes, point.Value)
				}
			}
		}
	}
	return shown
}

func TestGauges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := metric.NewManualReader()
		meter := metric.NewMeterProvider(metric.WithReader(reader)).Meter("orders")
		onCounts, err := gauges(meter)
		require.NoError(t, err)
		assert.Empty(t, values(t, reader), "nothing has been counted")
		onCounts(durable.Counts{Orders: map[durable.State]int{durable.StateQueued: 3, durable.StateUnknown: 1}, Extra: 2, Slots: 4, Replicas: 5,
			OldestQueued: time.Now().Add(-time.Minute)})
		time.Sleep(10 * time.Second)
		assert.Equal(t, map[string]float64{
			"creatify.orders {order} state=queued":   3,
			"creatify.orders {order} state=unknown":  1,
			"creatify.orders.oldest s state=queued":  70,
			"creatify.orders.oldest s state=unknown": 0,
			"creatify.slots {call}":                  4,
			"creatify.replicas {process}":            5,
			"creatify.extra_charges {charge}":        2,
		}, values(t, reader))
	})
}

func TestRemaining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Credits: 12})
		client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
		require.NoError(t, err)
		reader := metric.NewManualReader()
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Minute)
		defer cancel()
		require.NoError(t, remaining(ctx, client, metric.NewMeterProvider(metric.WithReader(reader)).Meter("orders")))
		assert.Equal(t, map[string]float64{"creatify.credits.remaining {credit}": 12}, values(t, reader))
		assert.Equal(t, 3, api.Calls(creatifytest.CallCredits))
	})
}
