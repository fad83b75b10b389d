package creatify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// A wait needs the job's ID only. It costs nothing, and can be started again in any process.
func ExampleJobsService_WaitForPreview() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
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

// A job that is done may still lack its video. WaitForVideo polls on until the video is there.
func ExampleJobsService_WaitForVideo() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := client.Jobs.CreateVideo(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	fake.Inject(creatifytest.Fault{Call: creatifytest.CallGetJob, // the first poll finds the job so:
		Body: `{"id": "` + created.ID + `", "status": "done"}`})
	job, err := client.Jobs.WaitForVideo(ctx, created.ID, creatify.WithSchedule(creatify.FixedInterval(100*time.Millisecond)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status, job.VideoOutput != "")
	fmt.Println("polls:", fake.Calls(creatifytest.CallGetJob))
	// Output:
	// done true
	// polls: 2
}

// Each change of the job is one turn of the loop. An error is the last turn. The loop may be left at any
// time.
func ExampleJobsService_WatchPreview() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
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

// WatchVideo yields the changes of a job whose video is being rendered.
func ExampleJobsService_WatchVideo() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := client.Jobs.CreateVideo(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	for job, err := range client.Jobs.WatchVideo(ctx, created.ID) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(job.Status, job.VideoOutput != "")
	}
	// Output:
	// done true
}

// The function gets the first snapshot and each change, such as for a progress bar.
func ExampleWithOnUpdate() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.WaitForPreview(ctx, created.ID, creatify.WithOnUpdate(func(job *creatify.Job) {
		fmt.Printf("%s at %.0f %%\n", job.Status, 100*job.Progress)
	}))
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// done at 100 %
}

// The delay between polls doubles up to a minute. FixedInterval is a ready-made schedule.
func ExampleWithSchedule() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	doubling := func(waited time.Duration, polls int) time.Duration {
		delay := min(100*time.Millisecond<<min(polls, 10), time.Minute)
		fmt.Printf("poll %d in %v\n", polls+1, delay)
		return delay
	}
	job, err := client.Jobs.CreatePreviewAndWait(context.Background(), creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}, creatify.WithSchedule(doubling))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status)
	// Output:
	// poll 1 in 100ms
	// done
}

// A wait ends after a while, and the job continues. The error has the ID to resume with.
func ExampleWithMaxWait() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Steps: []creatifytest.Step{{Status: "running", Progress: 0.4}}}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.WaitForPreview(ctx, created.ID, creatify.WithMaxWait(100*time.Millisecond))
	if early, ok := errors.AsType[*creatify.WaitError](err); ok {
		fmt.Println("time is up:", errors.Is(err, creatify.ErrWaitTimeout))
		fmt.Println("resume with the same job:", early.JobID == created.ID)
	}
	// Output:
	// time is up: true
	// resume with the same job: true
}

// A job whose status and progress do not move is given up before the longest wait. It may still continue.
func ExampleWithStallTimeout() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Steps: []creatifytest.Step{{Status: "running", Progress: 0.4}}}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.WaitForPreview(ctx, created.ID, creatify.WithStallTimeout(50*time.Millisecond),
		creatify.WithSchedule(creatify.FixedInterval(100*time.Millisecond)))
	if early, ok := errors.AsType[*creatify.WaitError](err); ok && errors.Is(err, creatify.ErrStalled) {
		fmt.Printf("stalled: %s at %.0f %%\n", early.Last.Status, 100*early.Last.Progress)
	}
	// Output:
	// stalled: running at 40 %
}

// Failed polls end a wait only after so many in a row. The job continues.
func ExampleWithMaxPollErrors() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	for _, failed := range []int{1, 2} {
		fake.Inject(creatifytest.Fault{Call: creatifytest.CallGetJob, Status: http.StatusBadGateway, Times: failed})
		_, err := client.Jobs.WaitForPreview(ctx, created.ID, creatify.WithMaxPollErrors(2),
			creatify.WithSchedule(creatify.FixedInterval(100*time.Millisecond)))
		fmt.Println(failed, "in a row end the wait:", errors.Is(err, creatify.ErrPollsFailed))
	}
	// Output:
	// 1 in a row end the wait: false
	// 2 in a row end the wait: true
}

// The service stops while it waits. The job exists and is paid for: resume with its ID, and create no other.
func ExampleWaitError() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	_, err = client.Jobs.CreatePreviewAndWait(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}},
		creatify.WithOnCreated(func(*creatify.Job) error { stop(); return nil }))
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

// A cron job makes one poll at a time and stores the state of the wait in between.
func ExamplePoller() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{PerRead: 10 * time.Second}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	job, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	poller, err := client.Jobs.NewPoller(creatify.NewPendingJob(job, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}))
	for err == nil && !poller.Poll(ctx) {
		fmt.Println("due later:", poller.Next().After(time.Now()), poller.Err()) // sleep until then
		var state []byte
		if state, err = json.Marshal(poller); err == nil { // store it
			poller, err = client.Jobs.ResumePoller(state)
		}
	}
	if err != nil {
		log.Fatal(err)
	}
	job, err = poller.Result()
	fmt.Println(job.Status, err, poller.Pending().ID == job.ID)
	// Output:
	// due later: true <nil>
	// done <nil> true
}

// A webhook event makes the next poll due now.
func ExamplePoller_Expedite() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	job, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	poller, err := client.Jobs.NewPoller(creatify.NewPendingJob(job, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("due now:", !poller.Next().After(time.Now()))
	poller.Expedite()
	fmt.Println("due now:", !poller.Next().After(time.Now()))
	fmt.Println("over:", poller.Poll(ctx))
	// Output:
	// due now: false
	// due now: true
	// over: true
}

// Each job is delivered once, as it ends. After Finish, the loop ends with the last of them.
func ExampleTracker_Results() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	fake.NextJob(creatifytest.Life{Duration: 1, End: "rejected", Reason: "Not allowed."})
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{Wait: []creatify.WaitOption{creatify.WithSchedule(creatify.FixedInterval(100 * time.Millisecond))}})
	defer tracker.Close()
	for i := range 3 {
		job, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
		if err != nil {
			log.Fatal(err)
		}
		pending := creatify.NewPendingJob(job, creatify.JobParams{})
		pending.Key = fmt.Sprint("order ", i)
		if err := tracker.Add(pending); err != nil {
			log.Fatal(err)
		}
	}
	tracker.Finish()
	for result := range tracker.Results(ctx) {
		fmt.Printf("%s: %q\n", result.Key, creatify.Reason(result.Err))
	}
	// Unordered output:
	// order 0: "job_rejected"
	// order 1: ""
	// order 2: ""
}

// A service stores what is pending before it stops, and adds it again when it starts.
func ExampleTracker_Pending() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	job, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	options := creatify.TrackerOptions{Wait: []creatify.WaitOption{creatify.WithSchedule(creatify.FixedInterval(100 * time.Millisecond))}}
	before, after := client.Jobs.NewTracker(options), client.Jobs.NewTracker(options)
	defer after.Close()
	err = before.Add(creatify.PendingJob{ID: job.ID, Key: "order 7"})
	before.Close()
	stored, _ := json.Marshal(before.Pending())

	var pending []creatify.PendingJob
	if err := errors.Join(err, json.Unmarshal(stored, &pending), after.Add(pending...)); err != nil {
		log.Fatal(err)
	}
	for result := range after.Results(ctx) {
		fmt.Println(result.Key, result.Job.Status)
		break
	}
	// Output:
	// order 7 done
}

// A job that has news is polled at once. A job that nobody wants any more is removed.
func ExampleTracker_Expedite() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	job, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
	defer tracker.Close()
	if err := tracker.Add(creatify.NewPendingJob(job, creatify.JobParams{}), creatify.PendingJob{ID: "7"}); err != nil {
		log.Fatal(err)
	}
	tracker.Remove("7", creatify.KindPreview)
	fmt.Println("tracked:", tracker.Expedite(job.ID), tracker.Expedite("7"))
	tracker.Finish()
	for result := range tracker.Results(ctx) {
		fmt.Println(result.Job.Status)
	}
	fmt.Println("waiting:", tracker.Stats().Waiting)
	// Output:
	// tracked: true false
	// done
	// waiting: 0
}

// An event makes the tracker poll its job at once. Events of other jobs get 404.
func ExampleTracker_WebhookHandler() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	job, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
	defer tracker.Close()
	if err := tracker.Add(creatify.NewPendingJob(job, creatify.JobParams{})); err != nil {
		log.Fatal(err)
	}
	handler := tracker.WebhookHandler(creatify.WebhookOptions{}) // for an http.ServeMux
	event := strings.NewReader(`{"id": "` + job.ID + `", "status": "done"}`)
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, httptest.NewRequest("POST", "/creatify", event))
	fmt.Println(response.Code)
	// Output: 204
}
