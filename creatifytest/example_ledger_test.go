package creatifytest_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// A program that retries a create whose response was lost pays twice. By the name of the job, or by the
// reference in its webhook URL, a test sees for which order.
func ExampleAPI_Charges() {
	api := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	if err := api.Inject(creatifytest.Fault{Drop: creatifytest.DropAfter}); err != nil {
		log.Fatal(err)
	}
	for _, order := range []string{"order-1", "order-1", "order-2"} { // the second is the mistake
		params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Name: order, Variables: creatify.Variables{}}
		_, _ = client.Jobs.CreatePreview(context.Background(), params)
	}
	charges := make(map[string]int)
	for _, charge := range api.Charges() {
		charges[charge.Name]++
	}
	fmt.Println(charges)
	// Output:
	// map[order-1:2 order-2:1]
}

// Each job is charged when it is created, by its length, even if it fails later.
func ExampleAPI_Charged() {
	api := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	api.NextJob(creatifytest.Life{VideoSeconds: 30}, creatifytest.Life{VideoSeconds: 31}, creatifytest.Life{End: "failed"})
	for range 3 {
		before := api.Charged()
		params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
		if _, err := client.Jobs.CreatePreview(context.Background(), params); err != nil {
			log.Fatal(err)
		}
		fmt.Println(api.Charged() - before)
	}
	// Output:
	// 1
	// 2
	// 1
}

// When the credits run out, the fake refuses a job, until somebody tops the account up.
func ExampleAPI_AddCredits() {
	api := creatifytest.New(creatifytest.Config{Credits: -1}) // none
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
		_, err := client.Jobs.CreatePreview(context.Background(), params)
		fmt.Println("refused:", errors.Is(err, creatify.ErrInsufficientCredits), "left:", api.Credits())
		api.AddCredits(10)
	}
	// Output:
	// refused: true left: 0
	// refused: false left: 9
}
