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
		if err := tracker.Add(creatify.PendingJob{ID: examplePreview(client).ID}); err != nil {
			log.Fatal(err)
		}
	}
	tracker.Finish()
	ready := 0
	for r := range tracker.Results(ctx) {
		err := r.Err
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
		if err := tracker.Add(creatify.PendingJob{ID: examplePreview(client).ID}); err != nil {
			log.Fatal(err)
		}
	}
	tracker.Finish()
	for r := range tracker.Results(ctx) {
		job, err := r.Job, r.Err
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
	if err := errors.Join(tracker.Add(creatify.PendingJob{ID: preview.ID}), tracker.Add(creatify.PendingJob{ID: video.ID, Kind: creatify.KindVideo})); err != nil {
		log.Fatal(err)
	}
	for r := range tracker.Results(ctx) {
		job, err := r.Job, r.Err
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("the video:", job.Status, job.VideoOutput != "")
		tracker.Remove(job.ID, creatify.KindVideo)
		break
	}
	fmt.Println("still waited for:", tracker.Expedite(preview.ID), tracker.Expedite(video.ID))
	// Output:
	// the video: done true
	// still waited for: true false
}

// Whoever hears that a job has moved has it polled at once, long before its turn.
func ExampleTracker_Expedite() {
	ctx := context.Background()
	client, _ := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{
		Wait: []creatify.WaitOption{creatify.WithSchedule(creatify.FixedInterval(20 * time.Minute))},
	})
	defer tracker.Close()
	job := examplePreview(client)
	if err := tracker.Add(creatify.NewPendingJob(job, exampleParams)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(tracker.Expedite(job.ID), tracker.Expedite("a job of somebody else"))
	tracker.Finish()
	for r := range tracker.Results(ctx) {
		job, err := r.Job, r.Err
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
func ExampleTracker_Pending() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	tracker := client.Jobs.NewTracker(creatify.TrackerOptions{})
	job := examplePreview(client)
	if err := tracker.Add(creatify.NewPendingJob(job, exampleParams)); err != nil {
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
	if err := errors.Join(json.Unmarshal(stored, &pending), restarted.Add(pending...)); err != nil {
		log.Fatal(err)
	}
	restarted.Finish()
	for r := range restarted.Results(ctx) {
		ended, err := r.Job, r.Err
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
	if err := tracker.Add(creatify.NewPendingJob(job, exampleParams)); err != nil {
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
	for r := range tracker.Results(ctx) {
		job, err := r.Job, r.Err
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
