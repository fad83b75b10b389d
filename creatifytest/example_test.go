package creatifytest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// exampleClient makes a client of the fake without a socket.
func exampleClient(api *creatifytest.API) *creatify.Client {
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// exampleParams are those of a job in the examples that are about something
// else.
var exampleParams = creatify.JobParams{
	TemplateID: creatifytest.TemplateID,
	Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
}

// A test which needs no socket uses the API as a client's transport.
func Example() {
	api := creatifytest.New(creatifytest.Config{
		Life: creatifytest.Life{Steps: []creatifytest.Step{
			{At: 0, Status: "running", Progress: 0.2},
			{At: time.Millisecond, Status: "done", Progress: 1},
		}},
	})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()

	job, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status, job.Progress)
	time.Sleep(5 * time.Millisecond) // in a bubble of testing/synctest, this takes no time
	if job, err = client.Jobs.Get(ctx, job.ID); err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status, job.Progress)
	fmt.Println(api.Charged(), "credit charged")
	// Output:
	// running 0.2
	// done 1
	// 1 credit charged
}

// An account with a template of its own, which refuses what the template does
// not have, as the real API may.
func ExampleNew() {
	api := creatifytest.New(creatifytest.Config{
		Templates: []creatifytest.Template{{
			ID:        "11111111-2222-4333-8444-555555555555",
			Name:      "Offer",
			Variables: map[string]string{"price": "text"},
		}},
		StrictTemplates: true,
	})
	_, err := exampleClient(api).Jobs.CreatePreview(context.Background(), creatify.JobParams{
		TemplateID: "11111111-2222-4333-8444-555555555555",
		Variables:  creatify.Variables{"prize": creatify.Text("9.50")},
	})
	if refusal, ok := errors.AsType[*creatify.APIError](err); ok {
		fmt.Println(refusal.StatusCode)
		for _, message := range refusal.Fields["variables"] {
			fmt.Println(message)
		}
	}
	fmt.Println(api.Charged(), "credits charged")
	// Output:
	// 400
	// Variable "prize" is not in the template.
	// Variable "price" is required.
	// 0 credits charged
}

// Whatever host a request is for, the fake answers it, and nothing leaves the
// process.
func ExampleAPI_HTTPClient() {
	api := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey,
		creatify.WithBaseURL("https://creatify.example.com"),
		creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	credits, err := client.Workspace.RemainingCredits(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client, "has", credits, "credits")
	// Output:
	// creatify.Client(https://creatify.example.com) has 1000 credits
}

// tracing is a transport that tells of each request.
type tracing struct{ next http.RoundTripper }

func (t tracing) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err == nil {
		fmt.Println(req.Method, req.URL.Path, resp.StatusCode)
	}
	return resp, err
}

// A service's own transport is tested with the fake below it.
func ExampleAPI_RoundTrip() {
	api := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, "another-key",
		creatify.WithHTTPClient(&http.Client{Transport: tracing{api}}))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Workspace.RemainingCredits(context.Background())
	fmt.Println(errors.Is(err, creatify.ErrUnauthorized))
	// Output:
	// GET /api/remaining_credits/ 401
	// true
}

// A test over a real connection, such as one of a program in another language,
// uses the fake as a server's handler. With a BaseURL, the URLs in replies lead
// to that server.
func ExampleAPI_ServeHTTP() {
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = creatifytest.New(creatifytest.Config{
		BaseURL: "http://" + server.Listener.Addr().String(),
		Life:    creatifytest.Life{Duration: 1},
	})
	server.Start()
	defer server.Close()

	ctx := context.Background()
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithBaseURL(server.URL))
	if err != nil {
		log.Fatal(err)
	}
	job, err := client.Jobs.CreatePreview(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	if job, err = client.Jobs.WaitForPreview(ctx, job.ID); err != nil {
		log.Fatal(err)
	}
	page, err := server.Client().Get(job.Preview)
	if err != nil {
		log.Fatal(err)
	}
	defer page.Body.Close()
	fmt.Println(job.Status, page.StatusCode, page.Header.Get("Content-Type"))
	// Output:
	// done 200 text/html; charset=utf-8
}
