package creatifytest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// A fault makes a call go wrong: here the first one, and only that.
func ExampleAPI_Inject() {
	api := creatifytest.New(creatifytest.Config{})
	client := exampleClient(api)
	api.Inject(creatifytest.Fault{
		Call:   creatifytest.CallCreatePreview,
		Status: http.StatusServiceUnavailable,
		Body:   `{"detail": "Try later."}`,
	})
	for range 2 {
		_, err := client.Jobs.CreatePreview(context.Background(), exampleParams)
		fmt.Println("unknown:", errors.Is(err, creatify.ErrOutcomeUnknown))
	}
	fmt.Println(api.Calls(creatifytest.CallCreatePreview), "calls,", len(api.Jobs()), "job")
	// Output:
	// unknown: true
	// unknown: false
	// 2 calls, 1 job
}

// A service which fetches videos by itself must not send its key along. The fake
// notices.
func ExampleAPI_LeakedCredentials() {
	ctx := context.Background()
	api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client := exampleClient(api)
	job, err := client.Jobs.CreateVideo(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Jobs.Download(ctx, job.ID, io.Discard); err != nil {
		log.Fatal(err)
	}
	fmt.Println("after Download:", api.LeakedCredentials())

	if job, err = client.Jobs.Get(ctx, job.ID); err != nil {
		log.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, "GET", job.VideoOutput, nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("X-API-KEY", creatifytest.APIKey) // the mistake
	resp, err := api.HTTPClient().Do(req)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	fmt.Println("after the mistake:", api.LeakedCredentials())
	// Output:
	// after Download: 0
	// after the mistake: 1
}
