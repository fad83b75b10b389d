package creatifytest_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// The next two jobs go as they are told to. Those after them go as Config.Life
// says.
func ExampleAPI_NextJob() {
	ctx := context.Background()
	api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client := exampleClient(api)
	api.NextJob(
		creatifytest.Life{Duration: 1, End: "failed", Reason: "The photo could not be fetched."},
		creatifytest.Life{Duration: 1, End: "rejected"},
	)
	for range 3 {
		created, err := client.Jobs.CreatePreview(ctx, exampleParams)
		if err != nil {
			log.Fatal(err)
		}
		job, err := client.Jobs.Get(ctx, created.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s %q\n", job.Status, job.FailedReason)
	}
	// Output:
	// failed "The photo could not be fetched."
	// rejected ""
	// done ""
}

// A client has lost the reply, and with it the job's ID. The test knows that
// there is a job all the same, and only one.
func ExampleAPI_Jobs() {
	ctx := context.Background()
	api := creatifytest.New(creatifytest.Config{})
	client := exampleClient(api)
	api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Drop: creatifytest.DropAfter})

	_, err := client.Jobs.CreatePreview(ctx, exampleParams)
	fmt.Println("unknown:", errors.Is(err, creatify.ErrOutcomeUnknown))
	for _, id := range api.Jobs() {
		job, err := client.Jobs.Get(ctx, id)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(job.Status, job.Variables["headline"].Value())
	}
	// Output:
	// unknown: true
	// pending Spring sale
}

// Requests are counted by call and, for "", in all, whatever became of them.
func ExampleAPI_Calls() {
	ctx := context.Background()
	api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client := exampleClient(api)
	job, err := client.Jobs.CreatePreview(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range []string{job.ID, "no such job"} {
		if _, err := client.Jobs.Get(ctx, id); err != nil && !errors.Is(err, creatify.ErrNotFound) {
			log.Fatal(err)
		}
	}
	fmt.Println(api.Calls(creatifytest.CallCreatePreview), api.Calls(creatifytest.CallGetJob), api.Calls(""))
	// Output:
	// 1 2 3
}

// Each job is charged when it is created, by its length, also if it fails later.
func ExampleAPI_Charged() {
	api := creatifytest.New(creatifytest.Config{})
	client := exampleClient(api)
	api.NextJob(
		creatifytest.Life{VideoSeconds: 30},
		creatifytest.Life{VideoSeconds: 31},
		creatifytest.Life{End: "failed"},
	)
	for range 3 {
		before := api.Charged()
		if _, err := client.Jobs.CreatePreview(context.Background(), exampleParams); err != nil {
			log.Fatal(err)
		}
		fmt.Println(api.Charged() - before)
	}
	// Output:
	// 1
	// 2
	// 1
}

// When the credits run out, the fake refuses to make a job.
func ExampleAPI_Credits() {
	api := creatifytest.New(creatifytest.Config{Credits: 1.5})
	client := exampleClient(api)
	for range 2 {
		_, err := client.Jobs.CreatePreview(context.Background(), exampleParams)
		fmt.Println("refused:", errors.Is(err, creatify.ErrInsufficientCredits), "left:", api.Credits())
	}
	// Output:
	// refused: false left: 0.5
	// refused: true left: 0.5
}
