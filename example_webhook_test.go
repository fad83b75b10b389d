package creatify_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// An event proves nothing and may come twice. So the handler reads the job itself, and delivers it once.
func ExampleJobsService_WebhookHandler() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	job, err := client.Jobs.CreatePreview(context.Background(), creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := client.Jobs.WebhookHandler(creatify.WebhookOptions{}, func(ctx context.Context, job *creatify.Job) error {
		fmt.Println("the API says:", job.Status)
		return nil
	})
	for range 2 {
		event := httptest.NewRequest("POST", "/creatify", strings.NewReader(`{"id": "`+job.ID+`", "status": "done"}`))
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, event)
		fmt.Println("answer:", response.Code)
	}
	// Output:
	// the API says: done
	// answer: 204
	// answer: 204
}

// The URL carries an order number to the function that gets the job, and a secret. Without it, events are refused.
func ExampleWebhookOptions_URL() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	options := creatify.WebhookOptions{Secret: "s3cret"}
	hook, err := options.URL("https://hooks.example.com/creatify", "order 7")
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}, WebhookURL: hook}
	job, err := client.Jobs.CreatePreview(context.Background(), params)
	if err != nil {
		log.Fatal(err)
	}
	handler := client.Jobs.WebhookHandler(options, func(ctx context.Context, job *creatify.Job) error {
		fmt.Println(creatify.WebhookReference(ctx), "is", job.Status)
		return nil
	})
	response := httptest.NewRecorder()
	event := strings.NewReader(`{"id": "` + job.ID + `", "status": "done"}`)
	handler.ServeHTTP(response, httptest.NewRequest("POST", hook, event))
	fmt.Println(hook, response.Code)
	// Output:
	// order 7 is done
	// https://hooks.example.com/creatify?ref=order+7&secret=s3cret 204
}

// The body of a webhook names the job to read, for a handler of your own.
func ExampleParseWebhook() {
	for _, body := range []string{`{"id": "7", "status": "failed", "failed_reason": "No photo."}`, `{"hello": "world"}`} {
		event, err := creatify.ParseWebhook([]byte(body))
		if errors.Is(err, creatify.ErrInvalidWebhook) {
			fmt.Println(err)
			continue
		}
		fmt.Println("read job", event.JobID, "which may be", event.Status)
	}
	// Output:
	// read job 7 which may be failed
	// creatify: invalid webhook event: the body lacks an ID or a status
}
