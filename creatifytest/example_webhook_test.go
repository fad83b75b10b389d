package creatifytest_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// Notices go to the handlers of the service under test, which inProcess (see
// the example of a service) calls without a socket, until the context ends.
func ExampleAPI_RunWebhooks() {
	service := http.NewServeMux()
	api := creatifytest.New(creatifytest.Config{
		Life:     creatifytest.Life{Duration: 1},
		Webhooks: creatifytest.Webhooks{Client: &http.Client{Transport: inProcess{service}}},
	})
	client := exampleClient(api)
	ctx, stop := context.WithCancel(context.Background())
	service.Handle("POST /webhook", client.Jobs.WebhookHandler(creatify.WebhookOptions{},
		func(ctx context.Context, job *creatify.Job) error {
			fmt.Println("a notice:", job.Status)
			stop()
			return nil
		}))

	params := exampleParams
	params.WebhookURL = "https://shop.example/webhook"
	if _, err := client.Jobs.CreatePreview(ctx, params); err != nil {
		log.Fatal(err)
	}
	fmt.Println(api.RunWebhooks(ctx)) // a test runs it on a goroutine: go api.RunWebhooks(t.Context())
	// Output:
	// a notice: done
	// context canceled
}
