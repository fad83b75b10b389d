package creatifytest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// Events go to the handler of the service under test, which needs a client and so is made after the fake. A
// test runs this in virtual time, on a goroutine of its own: see the example of a service.
func ExampleAPI_RunWebhooksTo() {
	api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.CreatePreview(context.Background(), creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables:  creatify.Variables{},
		WebhookURL: "https://shop.example/webhook",
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	handler := client.Jobs.WebhookHandler(creatify.WebhookOptions{}, func(ctx context.Context, job *creatify.Job) error {
		fmt.Println("the job is", job.Status)
		stop()
		return nil
	})
	fmt.Println(api.RunWebhooksTo(ctx, handler))
	// Output:
	// the job is done
	// context canceled
}
