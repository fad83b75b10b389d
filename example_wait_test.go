package creatify_test

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

// A wait needs nothing but the job's ID, so that it can go on after a restart, and costs nothing however often it is begun.
func ExampleJobsService_WaitForPreview() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	created, err := client.Jobs.CreatePreview(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		job, err := client.Jobs.WaitForPreview(ctx, created.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(job.Status, job.Preview != "")
	}
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// done true
	// done true
	// credits charged: 1
}

// A job with a preview is done, and yet its video may be still to come: that is waited for.
func ExampleJobsService_WaitForVideo() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	created, err := client.Jobs.CreateVideo(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	fake.Inject(creatifytest.Fault{Call: creatifytest.CallGetJob, // the first poll finds the job so:
		Body: `{"id": "` + created.ID + `", "status": "done"}`})

	often := creatify.WithSchedule(creatify.FixedInterval(100 * time.Millisecond))
	job, err := client.Jobs.WaitForVideo(ctx, created.ID, often)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status, job.VideoOutput != "")
	fmt.Println("polls:", fake.Calls(creatifytest.CallGetJob))
	// Output:
	// done true
	// polls: 2
}

// Each change of the job is one turn of the loop, and an error is its last. The loop may be left at any time.
func ExampleJobsService_WatchPreview() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	created, err := client.Jobs.CreatePreview(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	fake.Inject(creatifytest.Fault{Call: creatifytest.CallGetJob, // the first poll finds the job so:
		Body: `{"id": "` + created.ID + `", "status": "running", "progress": 0.4}`})

	often := creatify.WithSchedule(creatify.FixedInterval(100 * time.Millisecond))
	for job, err := range client.Jobs.WatchPreview(ctx, created.ID, often) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s at %.0f %%\n", job.Status, 100*job.Progress)
	}
	// Output:
	// running at 40 %
	// done at 100 %
}

// A wait never lasts for ever. When its time is up, the job goes on, and the error has the ID to come back to.
func ExampleWithMaxWait() {
	ctx := context.Background()
	client, _ := exampleClient(creatifytest.Config{
		Life: creatifytest.Life{Steps: []creatifytest.Step{{Status: "running", Progress: 0.4}}}, // and no end
	})
	created, err := client.Jobs.CreatePreview(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.WaitForPreview(ctx, created.ID, creatify.WithMaxWait(100*time.Millisecond))
	if early, ok := errors.AsType[*creatify.WaitError](err); ok {
		fmt.Println("time is up:", errors.Is(err, creatify.ErrWaitTimeout))
		fmt.Println("come back to the same job:", early.JobID == created.ID)
	}
	// Output:
	// time is up: true
	// come back to the same job: true
}

// The ID is stored as soon as there is one, before any waiting: whatever happens then, the job is not lost.
func ExampleWithOnCreated() {
	client, _ := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: time.Microsecond}})
	var stored string
	job, err := client.Jobs.CreatePreviewAndWait(context.Background(), exampleParams,
		creatify.WithOnCreated(func(job *creatify.Job) error {
			stored = job.ID // in a database, say
			fmt.Println("stored while", job.Status)
			return nil
		}),
		creatify.WithSchedule(creatify.FixedInterval(100*time.Millisecond)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("stored what is now", job.Status, stored == job.ID)
	// Output:
	// stored while pending
	// stored what is now done true
}

// The function is called for the first snapshot and for each that tells something new, such as for a progress bar.
func ExampleWithOnUpdate() {
	client, _ := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: time.Microsecond}})
	_, err := client.Jobs.CreatePreviewAndWait(context.Background(), exampleParams,
		creatify.WithOnUpdate(func(job *creatify.Job) { fmt.Printf("%s at %.0f %%\n", job.Status, 100*job.Progress) }),
		creatify.WithSchedule(creatify.FixedInterval(100*time.Millisecond)))
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// pending at 0 %
	// done at 100 %
}

// Polls are always the same time apart. Without it, the client learns when to look.
func ExampleFixedInterval() {
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	job, err := client.Jobs.CreatePreviewAndWait(context.Background(), exampleParams,
		creatify.WithSchedule(creatify.FixedInterval(100*time.Millisecond)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status, "after", fake.Calls(creatifytest.CallGetJob), "poll")
	// Output:
	// done after 1 poll
}

// A schedule of one's own: the time between two polls doubles, up to a minute. Whatever it says, polls are at least 100 ms
// apart.
func ExampleWithSchedule() {
	client, _ := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	doubling := func(waited time.Duration, polls int) time.Duration {
		next := min(100*time.Millisecond<<min(polls, 10), time.Minute)
		fmt.Printf("poll %d in %v\n", polls+1, next)
		return next
	}
	job, err := client.Jobs.CreatePreviewAndWait(context.Background(), exampleParams, creatify.WithSchedule(doubling))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status)
	// Output:
	// poll 1 in 100ms
	// done
}

// A job whose status and progress stand still is given up long before the longest wait. It may go on all the same.
func ExampleWithStallTimeout() {
	ctx := context.Background()
	client, _ := exampleClient(creatifytest.Config{
		Life: creatifytest.Life{Steps: []creatifytest.Step{{Status: "running", Progress: 0.4}}}, // and no end
	})
	created, err := client.Jobs.CreatePreview(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.WaitForPreview(ctx, created.ID, creatify.WithStallTimeout(50*time.Millisecond),
		creatify.WithSchedule(creatify.FixedInterval(100*time.Millisecond)))
	if early, ok := errors.AsType[*creatify.WaitError](err); ok && errors.Is(err, creatify.ErrStalled) {
		fmt.Printf("it stands still: %s at %.0f %%\n", early.Last.Status, 100*early.Last.Progress)
	}
	// Output:
	// it stands still: running at 40 %
}

// One bad poll does not end a wait, but so many in a row do. The job goes on all the same.
func ExampleWithMaxPollErrors() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	created, err := client.Jobs.CreatePreview(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	for _, bad := range []int{1, 2} {
		fake.Inject(creatifytest.Fault{Call: creatifytest.CallGetJob, Status: http.StatusBadGateway, Times: bad})
		_, err := client.Jobs.WaitForPreview(ctx, created.ID, creatify.WithMaxPollErrors(2),
			creatify.WithSchedule(creatify.FixedInterval(100*time.Millisecond)))
		_, early := errors.AsType[*creatify.WaitError](err)
		fmt.Println(bad, "in a row end the wait:", early)
	}
	// Output:
	// 1 in a row end the wait: false
	// 2 in a row end the wait: true
}

// The wait ended before the job did, here because the service stops. There is a job, and it is paid for: whoever comes
// back to its ID later finds it, and creates no other.
func ExampleWaitError() {
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	ctx, stop := context.WithCancel(context.Background())
	_, err := client.Jobs.CreatePreviewAndWait(ctx, exampleParams, creatify.WithOnCreated(func(*creatify.Job) error { stop(); return nil }))
	early, ok := errors.AsType[*creatify.WaitError](err)
	if !ok {
		log.Fatal(err)
	}
	fmt.Println("the service stopped:", errors.Is(err, context.Canceled))

	job, err := client.Jobs.WaitForPreview(context.Background(), early.JobID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status)
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// the service stopped: true
	// done
	// credits charged: 1
}
