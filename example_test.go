package creatify_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

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

// What to do about an error depends on its kind.
func ExampleJobsService_Preview_errors() {
	fake := creatifytest.New(creatifytest.Config{})
	fake.Inject(creatifytest.Fault{Drop: creatifytest.DropAfter}) // the server takes the request, and its reply is lost
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}

	_, err = client.Jobs.Preview(context.Background(), creatify.JobParams{
		TemplateID: "3c90c3cc-0d44-4b50-8888-8dd25736052a",
		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
	})
	if ended, ok := errors.AsType[*creatify.JobError](err); ok {
		fmt.Println("no preview:", ended.Job.FailedReason)
	} else if early, ok := errors.AsType[*creatify.WaitError](err); ok {
		fmt.Println("come back to job", early.JobID)
	} else if errors.Is(err, creatify.ErrOutcomeUnknown) {
		fmt.Println("perhaps charged: do not send it again")
	} else if err != nil {
		fmt.Println("not charged:", err)
	}
	fmt.Println("requests:", fake.Calls(creatifytest.CallCreatePreview))
	// Output:
	// perhaps charged: do not send it again
	// requests: 1
}
