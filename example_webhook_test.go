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

// A notice proves nothing, since anybody can send one, and may come twice. So the handler reads the job itself, and hands
// it over once.
func ExampleJobsService_WebhookHandler() {
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	job, err := client.Jobs.CreatePreview(context.Background(), exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	handler := client.Jobs.WebhookHandler(creatify.WebhookOptions{}, func(ctx context.Context, job *creatify.Job) error {
		fmt.Println("the API says:", job.Status)
		return nil
	})
	for range 2 {
		notice := httptest.NewRequest("POST", "/creatify", strings.NewReader(`{"id": "`+job.ID+`", "status": "done"}`))
		notice.Header.Set("Content-Type", "application/json")
		reply := httptest.NewRecorder()
		handler.ServeHTTP(reply, notice)
		fmt.Println("answer:", reply.Code)
	}
	fmt.Println("reads:", fake.Calls(creatifytest.CallGetJob))
	// Output:
	// the API says: done
	// answer: 204
	// answer: 204
	// reads: 1
}

// The URL carries the caller's own reference to the function that gets the job, and a secret, without which a notice is
// refused.
func ExampleWebhookURL() {
	hook, err := creatify.WebhookURL("https://hooks.example.com/creatify", "order 7", "s3cret")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(hook)

	client, _ := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	params := exampleParams
	params.WebhookURL = hook
	job, err := client.Jobs.CreatePreview(context.Background(), params)
	if err != nil {
		log.Fatal(err)
	}
	options := creatify.WebhookOptions{Secret: "s3cret"}
	handler := client.Jobs.WebhookHandler(options, func(ctx context.Context, job *creatify.Job) error {
		fmt.Println(creatify.WebhookReference(ctx), "is", job.Status)
		return nil
	})
	for _, target := range []string{hook, "https://hooks.example.com/creatify?ref=order+7"} {
		notice := httptest.NewRequest("POST", target, strings.NewReader(`{"id": "`+job.ID+`", "status": "done"}`))
		notice.Header.Set("Content-Type", "application/json")
		reply := httptest.NewRecorder()
		handler.ServeHTTP(reply, notice)
		fmt.Println(reply.Code)
	}
	// Output:
	// https://hooks.example.com/creatify?ref=order+7&secret=s3cret
	// order 7 is done
	// 204
	// 403
}

// The body of a webhook says which job to read. For whoever has a handler of their own.
func ExampleParseWebhook() {
	for _, body := range []string{`{"id": "7", "status": "failed", "failed_reason": "No photo."}`, `{"hello": "world"}`} {
		notice, err := creatify.ParseWebhook([]byte(body))
		if errors.Is(err, creatify.ErrInvalidWebhook) {
			fmt.Println(err)
			continue
		}
		fmt.Println("read job", notice.JobID, "which may be", notice.Status)
	}
	// Output:
	// read job 7 which may be failed
	// creatify: invalid webhook event: it lacks an ID or a status
}
