package creatify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// examplePreview makes a job to be waited for.
func examplePreview(client *creatify.Client) *creatify.Job {
	job, err := client.Jobs.CreatePreview(context.Background(), exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	return job
}

// Many jobs share a few connections and one rate budget.
func ExampleJobsService_NewTracker() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{
		Concurrency:    4,
		PollsPerSecond: 500,
		Wait:           []creatify.WaitOption{creatify.WithMaxWait(time.Hour)},
	})
	defer tracker.Close()
	for range 50 {
		if err := tracker.Add(examplePreview(client).ID); err != nil {
			log.Fatal(err)
		}
	}
	tracker.Finish()
	ready := 0
	for _, err := range tracker.Results(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		ready++
	}
	fmt.Println(ready, "previews after", fake.Calls(creatifytest.CallGetJob), "polls")
	// Output:
	// 50 previews after 50 polls
}

// Each job is handed over once, as it ends: with its result or with an error that names it. After Finish, the loop ends
// with the last of them.
func ExampleTracker_Results() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	fake.NextJob(creatifytest.Life{Duration: 1, End: "rejected", Reason: "Not allowed."})
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
	defer tracker.Close()
	for range 3 {
		if err := tracker.Add(examplePreview(client).ID); err != nil {
			log.Fatal(err)
		}
	}
	tracker.Finish()
	for job, err := range tracker.Results(ctx) {
		if ended, ok := errors.AsType[*creatify.JobError](err); ok {
			fmt.Println(ended.Job.Status, ended.Job.FailedReason)
		} else if early, ok := errors.AsType[*creatify.WaitError](err); ok {
			fmt.Println("come back to job", early.JobID)
		} else {
			fmt.Println(job.Status)
		}
	}
	// Unordered output:
	// rejected Not allowed.
	// done
	// done
}

// A job is waited for by its ID: for its preview, or for its video. One that is handed over is waited for no longer.
func ExampleTracker_Add() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	fake.NextJob(creatifytest.Life{Steps: []creatifytest.Step{{Status: "running"}}}) // the first job does not end
	preview := examplePreview(client)
	video, err := client.Jobs.CreateVideo(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
	defer tracker.Close()
	if err := errors.Join(tracker.Add(preview.ID), tracker.AddVideo(video.ID)); err != nil {
		log.Fatal(err)
	}
	for job, err := range tracker.Results(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("the video:", job.Status, job.VideoOutput != "")
		break
	}
	fmt.Println("still waited for:", tracker.Tracks(preview.ID), tracker.Tracks(video.ID))
	// Output:
	// the video: done true
	// still waited for: true false
}

// A job that was created just now needs no first poll, and its template and model tell when it is likely to end.
func ExampleTracker_AddCreated() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{
		Wait: []creatify.WaitOption{creatify.WithSchedule(creatify.FixedInterval(100 * time.Millisecond))},
	})
	defer tracker.Close()
	job, err := client.Jobs.CreatePreview(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	if err := tracker.AddCreated(job, exampleParams); err != nil {
		log.Fatal(err)
	}
	fmt.Println("polls:", fake.Calls(creatifytest.CallGetJob))
	tracker.Finish()
	for job, err := range tracker.Results(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(job.Status)
	}
	fmt.Println("polls:", fake.Calls(creatifytest.CallGetJob))
	// Output:
	// polls: 0
	// done
	// polls: 1
}

// Whoever hears that a job has moved has it polled at once, long before its turn.
func ExampleTracker_Notify() {
	ctx := context.Background()
	client, _ := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{
		Wait: []creatify.WaitOption{creatify.WithSchedule(creatify.FixedInterval(20 * time.Minute))},
	})
	defer tracker.Close()
	job := examplePreview(client)
	if err := tracker.AddCreated(job, exampleParams); err != nil {
		log.Fatal(err)
	}
	fmt.Println(tracker.Notify(job.ID), tracker.Notify("a job of somebody else"))
	tracker.Finish()
	for job, err := range tracker.Results(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(job.Status)
	}
	// Output:
	// true false
	// done
}

// A service stores what is pending before it stops, and takes it back when it starts again.
func ExampleTracker_Resume() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
	job := examplePreview(client)
	if err := tracker.AddCreated(job, exampleParams); err != nil {
		log.Fatal(err)
	}
	tracker.Close()
	stored, err := json.Marshal(tracker.Pending())
	if err != nil {
		log.Fatal(err)
	}

	restarted := client.Jobs.NewTracker(creatify.TrackerOptions{})
	defer restarted.Close()
	var pending []creatify.PendingJob
	if err := errors.Join(json.Unmarshal(stored, &pending), restarted.Resume(pending)); err != nil {
		log.Fatal(err)
	}
	restarted.Finish()
	for ended, err := range restarted.Results(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(ended.Status, ended.ID == job.ID)
	}
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// done true
	// credits charged: 1
}

// A notice makes the tracker look at its job at once. Notices about other jobs are answered with 404.
func ExampleTracker_WebhookHandler() {
	ctx := context.Background()
	client, _ := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
	defer tracker.Close()
	job := examplePreview(client)
	if err := tracker.AddCreated(job, exampleParams); err != nil {
		log.Fatal(err)
	}
	handler := tracker.WebhookHandler(creatify.WebhookOptions{}) // for an http.ServeMux
	for _, id := range []string{job.ID, "11111111-2222-4333-8444-555555555555"} {
		notice := httptest.NewRequest("POST", "/creatify", strings.NewReader(`{"id": "`+id+`", "status": "done"}`))
		notice.Header.Set("Content-Type", "application/json")
		reply := httptest.NewRecorder()
		handler.ServeHTTP(reply, notice)
		fmt.Println(reply.Code)
	}
	tracker.Finish()
	for job, err := range tracker.Results(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(job.Status)
	}
	// Output:
	// 204
	// 404
	// done
}
