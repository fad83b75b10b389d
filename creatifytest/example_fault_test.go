package creatifytest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// A fault makes a call fail: here the first one only, after it was charged.
func ExampleAPI_Inject() {
	api := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	err = api.Inject(creatifytest.Fault{
		Call:      creatifytest.CallCreatePreview,
		Status:    http.StatusGatewayTimeout,
		Processed: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
		_, err := client.Jobs.CreatePreview(context.Background(), params)
		fmt.Println("unknown:", errors.Is(err, creatify.ErrOutcomeUnknown), "charged:", api.Charged())
	}
	// Output:
	// unknown: true charged: 1
	// unknown: false charged: 2
}

// An outage lasts until it is cleared or, with For, for a time.
func ExampleAPI_ClearFaults() {
	ctx := context.Background()
	api := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey,
		creatify.WithHTTPClient(api.HTTPClient()), creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1}))
	if err != nil {
		log.Fatal(err)
	}
	if err := api.Inject(creatifytest.Fault{Status: http.StatusServiceUnavailable, For: 3 * time.Hour}); err != nil {
		log.Fatal(err)
	}
	_, err = client.Workspace.RemainingCredits(ctx)
	fmt.Println("fails:", err != nil, "faults:", len(api.Faults()))
	api.ClearFaults()
	_, err = client.Workspace.RemainingCredits(ctx)
	fmt.Println("fails:", err != nil, "faults:", len(api.Faults()))
	// Output:
	// fails: true faults: 1
	// fails: false faults: 0
}

// A misspelled call is an error at once, not a fault that never hits.
func ExampleFault_Validate() {
	api := creatifytest.New(creatifytest.Config{})
	fmt.Println(api.Inject(creatifytest.Fault{Call: "create_preview", Status: 503}))
	// Output:
	// creatifytest: fault: unknown call "create_preview" (use a Call constant, or none for any request)
}
