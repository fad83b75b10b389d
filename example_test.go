package creatify_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// exampleClient makes a client of a fake of the API, as a test does. A service uses [creatify.NewFromEnv] instead.
func exampleClient(config creatifytest.Config, opts ...creatify.Option) (*creatify.Client, *creatifytest.API) {
	api := creatifytest.New(config)
	opts = append([]creatify.Option{creatify.WithHTTPClient(api.HTTPClient())}, opts...)
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, opts...)
	if err != nil {
		log.Fatal(err)
	}
	return client, api
}

// exampleParams are those of a job in the examples that are about something else.
var exampleParams = creatify.JobParams{
	TemplateID: creatifytest.TemplateID,
	Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
}

// A service creates the preview, stores the job's ID, and waits, now or after a restart. Here it talks to a fake of the
// API; NewFromEnv, without an HTTP client, talks to the real one.
func Example() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()

	created, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{
		TemplateID: "3c90c3cc-0d44-4b50-8888-8dd25736052a",
		Variables: creatify.Variables{
			"headline": creatify.Text("Spring sale"),
			"photo":    creatify.Image("https://example.com/photo.jpg"),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ended at once:", created.Status.Terminal())

	job, err := client.Jobs.WaitForPreview(ctx, created.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ended:", job.Status, job.Preview != "")
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// ended at once: false
	// ended: done true
	// credits charged: 1
}

// A client is made once and shared. Printing it shows where the API is and never the key.
func ExampleNew() {
	client, err := creatify.New("my-api-id", "my-api-key", creatify.WithTimeout(20*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", client)
	// Output:
	// creatify.Client(https://api.creatify.ai)
}

// All that is wrong with the arguments and options is told at once, and without the key.
func ExampleNew_refused() {
	_, err := creatify.New("", "my-api-key\n", creatify.WithTimeout(-time.Second))
	if invalid, ok := errors.AsType[*creatify.ValidationError](err); ok {
		for _, problem := range invalid.Problems {
			fmt.Println(problem.Field, problem.Message)
		}
	}
	// Output:
	// API ID is empty
	// API key has white space around it
	// WithTimeout must be above zero, not -1s
}

// A service takes its credentials from the environment, where the one who runs it has put them.
func ExampleNewFromEnv() {
	defer setenv(map[string]string{
		"CREATIFY_API_ID":   "my-api-id",
		"CREATIFY_API_KEY":  "my-api-key",
		"CREATIFY_BASE_URL": "http://127.0.0.1:8080", // such as creatify-mock; left out for the real API
	})()

	client, err := creatify.NewFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client)
	// Output:
	// creatify.Client(http://127.0.0.1:8080)
}

// setenv sets variables of the environment until undo is called.
func setenv(variables map[string]string) (undo func()) {
	undo = func() {}
	for name, value := range variables {
		next, reset := undo, func() { os.Unsetenv(name) }
		if old, ok := os.LookupEnv(name); ok {
			reset = func() { os.Setenv(name, old) }
		}
		undo = func() { reset(); next() }
		os.Setenv(name, value)
	}
	return undo
}

// A test of a service lets the client call a server of its own. The key goes over plain http to a loopback address only.
func ExampleWithBaseURL() {
	server := httptest.NewServer(creatifytest.New(creatifytest.Config{}))
	defer server.Close()
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithBaseURL(server.URL))
	if err != nil {
		log.Fatal(err)
	}
	credits, err := client.Workspace.RemainingCredits(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credits, "credits")

	_, err = creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithBaseURL("http://api.example.com"))
	fmt.Println("http elsewhere is refused:", errors.Is(err, creatify.ErrInvalidParams))
	// Output:
	// 1000 credits
	// http elsewhere is refused: true
}

// transportFunc is a function that is an http.RoundTripper.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// All requests go through the Transport of the caller's client, such as one with a proxy, or one that counts them.
func ExampleWithHTTPClient() {
	fake := creatifytest.New(creatifytest.Config{})
	own := &http.Client{Transport: transportFunc(func(req *http.Request) (*http.Response, error) {
		fmt.Println(req.Method, req.URL)
		return fake.RoundTrip(req) // for the real API: http.DefaultTransport.RoundTrip(req)
	})}
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(own))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Workspace.RemainingCredits(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// GET https://api.creatify.ai/api/remaining_credits/
}

// A call that costs nothing is tried again when the server is in trouble. One that costs credits is not, whatever the
// policy says.
func ExampleWithRetry() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{},
		creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 3, MinBackoff: time.Millisecond}))
	trouble := creatifytest.Fault{Status: http.StatusServiceUnavailable, Times: 2}

	fake.Inject(trouble)
	credits, err := client.Workspace.RemainingCredits(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credits, "credits, after", fake.Calls(creatifytest.CallCredits), "requests")

	fake.Inject(trouble)
	_, err = client.Jobs.CreatePreview(ctx, exampleParams)
	fmt.Println(errors.Is(err, creatify.ErrOutcomeUnknown), "after", fake.Calls(creatifytest.CallCreatePreview), "request")
	// Output:
	// 1000 credits, after 3 requests
	// true after 1 request
}

// Requests beyond the limit wait for their turn. One whose turn would come after the context's deadline is not made.
func ExampleWithRateLimit() {
	client, fake := exampleClient(creatifytest.Config{}, creatify.WithRateLimit(0.1, 2)) // one in 10 s, two at once
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for range 3 {
		_, err := client.Workspace.RemainingCredits(ctx)
		fmt.Println("too late:", errors.Is(err, context.DeadlineExceeded))
	}
	fmt.Println("requests:", fake.Calls(creatifytest.CallCredits))
	// Output:
	// too late: false
	// too late: false
	// too late: true
	// requests: 2
}

// An attempt that hangs is given up after the time-out, and a call that costs nothing is tried again.
func ExampleWithTimeout() {
	client, fake := exampleClient(creatifytest.Config{}, creatify.WithTimeout(200*time.Millisecond),
		creatify.WithRetry(creatify.RetryPolicy{MinBackoff: time.Millisecond}))
	fake.Inject(creatifytest.Fault{Delay: time.Hour})
	credits, err := client.Workspace.RemainingCredits(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credits, "credits, after", fake.Calls(creatifytest.CallCredits), "requests")
	// Output:
	// 1000 credits, after 2 requests
}

// Every attempt is logged, with neither the key nor a header nor a body. What differs from run to run is left out here.
func ExampleWithLogger() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
			if attr.Key == slog.TimeKey || attr.Value.Kind() == slog.KindDuration {
				return slog.Attr{}
			}
			return attr
		},
	}))
	client, fake := exampleClient(creatifytest.Config{}, creatify.WithLogger(logger),
		creatify.WithRetry(creatify.RetryPolicy{MinBackoff: time.Millisecond}))
	fake.Inject(creatifytest.Fault{Status: http.StatusBadGateway})
	if _, err := client.Workspace.RemainingCredits(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// level=DEBUG msg="creatify: request" call=remaining_credits attempt=1 status=502
	// level=INFO msg="creatify: will retry" call=remaining_credits attempt=1 status=502
	// level=DEBUG msg="creatify: request" call=remaining_credits attempt=2 status=200
}

// The name of the service goes with every request.
func ExampleWithUserAgent() {
	fake := creatifytest.New(creatifytest.Config{})
	own := &http.Client{Transport: transportFunc(func(req *http.Request) (*http.Response, error) {
		fmt.Println(req.UserAgent())
		return fake.RoundTrip(req)
	})}
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey,
		creatify.WithHTTPClient(own), creatify.WithUserAgent("shop/2.1"))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Workspace.RemainingCredits(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// shop/2.1
}
