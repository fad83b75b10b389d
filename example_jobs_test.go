package creatify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// The whole way in one call: it starts a preview, which is paid for once, and polls until it is ready.
func ExampleJobsService_CreatePreviewAndWait() {
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	job, err := client.Jobs.CreatePreviewAndWait(context.Background(), creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
	}, creatify.WithSchedule(creatify.FixedInterval(100*time.Millisecond))) // without it, when to poll is learned
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status, job.Preview == "https://app.creatify.ai/preview?layout="+job.ID)
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// done true
	// credits charged: 1
}

// What to do about an error depends on its kind. Look for a WaitError before the sentinels.
func ExampleJobsService_CreatePreviewAndWait_errors() {
	client, fake := exampleClient(creatifytest.Config{})
	fake.Inject(creatifytest.Fault{Drop: creatifytest.DropAfter}) // the server takes the request, and its reply is lost

	_, err := client.Jobs.CreatePreviewAndWait(context.Background(), exampleParams)
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

// CreatePreview returns at once, with a job that is pending. Its ID is what was paid for: store it.
func ExampleJobsService_CreatePreview() {
	client, fake := exampleClient(creatifytest.Config{})
	job, err := client.Jobs.CreatePreview(context.Background(), creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables: creatify.Variables{
			"headline": creatify.Text("Spring sale"),
			"photo":    creatify.Image("https://example.com/photo.jpg"),
		},
		Name: "Spring",
	})
	if err != nil {
		log.Fatal(err)
	}
	stored := map[string]string{job.Name: job.ID}
	fmt.Println(job.Status, stored["Spring"] == fake.Jobs()[0])
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// pending true
	// credits charged: 1
}

// CreatePreviewSync blocks until the preview is ready, which may take minutes. When its reply is lost, so is the job's ID.
func ExampleJobsService_CreatePreviewSync() {
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: time.Millisecond}})
	job, err := client.Jobs.CreatePreviewSync(context.Background(), exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status, job.Preview != "")
	fmt.Println("requests:", fake.Calls(""))
	// Output:
	// done true
	// requests: 1
}

// CreateVideo makes the final video without a preview. What that costs depends on the model.
func ExampleJobsService_CreateVideo() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1, VideoSeconds: 20}})
	for _, model := range []creatify.ModelVersion{creatify.ModelStandard, creatify.ModelAuroraV1} {
		params := exampleParams
		params.ModelVersion = model
		created, err := client.Jobs.CreateVideo(ctx, params)
		if err != nil {
			log.Fatal(err)
		}
		job, err := client.Jobs.WaitForVideo(ctx, created.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(job.ModelVersion, job.VideoOutput != "", job.CreditsUsed)
	}
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// standard true 5
	// aurora_v1 true 20
	// credits charged: 25
}

// Once somebody has approved of the preview, the same job is rendered.
func ExampleJobsService_Render() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{
		Life: creatifytest.Life{Duration: 1, Render: creatifytest.RenderLife{Duration: 1}},
	})
	preview, err := client.Jobs.CreatePreview(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	if preview, err = client.Jobs.WaitForPreview(ctx, preview.ID); err != nil {
		log.Fatal(err)
	}
	if _, err := client.Jobs.Render(ctx, preview.ID); err != nil {
		log.Fatal(err)
	}
	video, err := client.Jobs.WaitForVideo(ctx, preview.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same job:", video.ID == preview.ID)
	fmt.Println("before and after:", preview.VideoOutput != "", video.VideoOutput != "")
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// the same job: true
	// before and after: false true
	// credits charged: 5
}

// When the reply to Render is lost, a look at the job tells whether its rendering was started: it has a video then, or is
// no longer done. So it is not paid for twice.
func ExampleJobsService_Render_outcomeUnknown() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	preview, err := client.Jobs.CreatePreview(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	fake.Inject(creatifytest.Fault{Call: creatifytest.CallRender, Drop: creatifytest.DropAfter})

	_, err = client.Jobs.Render(ctx, preview.ID)
	if unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err); ok {
		job, err := client.Jobs.Get(ctx, unknown.JobID) // a minute later, for the real API may be slow to show it
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("started:", job.Status != creatify.StatusDone || job.VideoOutput != "")
	}
	fmt.Println("requests:", fake.Calls(creatifytest.CallRender))
	// Output:
	// started: true
	// requests: 1
}

// A job is read by its ID, at no cost. An ID that the API does not know is told from other trouble.
func ExampleJobsService_Get() {
	ctx := context.Background()
	client, _ := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	created, err := client.Jobs.CreatePreview(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range []string{created.ID, "11111111-2222-4333-8444-555555555555"} {
		job, err := client.Jobs.Get(ctx, id)
		switch {
		case errors.Is(err, creatify.ErrNotFound):
			fmt.Println("no such job")
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println(job.Status, job.Duration, job.CreditsUsed)
		}
	}
	// Output:
	// done 15s 1
	// no such job
}

// A job is encoded as JSON in the API's form, so that it can be stored and read again.
func ExampleJob() {
	client, _ := exampleClient(creatifytest.Config{})
	job, err := client.Jobs.CreatePreview(context.Background(), exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	stored, err := json.Marshal(job)
	if err != nil {
		log.Fatal(err)
	}
	var again creatify.Job
	if err := json.Unmarshal(stored, &again); err != nil {
		log.Fatal(err)
	}
	fmt.Println(again.ID == job.ID, again.Status, again.CreatedAt.Equal(job.CreatedAt), again.Variables["headline"].Value())
	// Output:
	// true pending true Spring sale
}

// RawJSON has what this version of the library does not know yet.
func ExampleJob_RawJSON() {
	client, _ := exampleClient(creatifytest.Config{Life: creatifytest.Life{
		Reply: func(job map[string]any) { job["thumbnail"] = "https://example.com/1.jpg" },
	}})
	job, err := client.Jobs.CreatePreview(context.Background(), exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	var more struct{ Thumbnail string }
	if err := json.Unmarshal(job.RawJSON(), &more); err != nil {
		log.Fatal(err)
	}
	fmt.Println(more.Thumbnail)
	// Output:
	// https://example.com/1.jpg
}

// A status that this version does not know is kept, and does not count as an end.
func ExampleStatus_Terminal() {
	for _, status := range []creatify.Status{creatify.StatusRunning, creatify.StatusDone, creatify.StatusRejected, "paused"} {
		fmt.Println(status, status.Terminal())
	}
	// Output:
	// running false
	// done true
	// rejected true
	// paused false
}

// The server refused the call, and nothing was charged. The sentinels say why; the type has the server's own words.
func ExampleAPIError() {
	client, fake := exampleClient(creatifytest.Config{Credits: 0.1})
	_, err := client.Jobs.CreatePreview(context.Background(), exampleParams)
	if refusal, ok := errors.AsType[*creatify.APIError](err); ok {
		fmt.Println(refusal.StatusCode, refusal.Detail)
	}
	switch {
	case errors.Is(err, creatify.ErrInsufficientCredits):
		fmt.Println("add credits")
	case errors.Is(err, creatify.ErrUnauthorized):
		fmt.Println("check the key")
	case errors.Is(err, creatify.ErrRateLimited):
		fmt.Println("call again later")
	}
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// 402 Insufficient credits.
	// add credits
	// credits charged: 0
}

// Refused parameters are named, each with what the server says about it.
func ExampleAPIError_fields() {
	client, _ := exampleClient(creatifytest.Config{})
	params := exampleParams
	params.ModelVersion = "aurora_v9"
	_, err := client.Jobs.CreatePreview(context.Background(), params)
	if refusal, ok := errors.AsType[*creatify.APIError](err); ok {
		fmt.Println(refusal.StatusCode, refusal.Fields)
	}
	// Output:
	// 400 map[model_version:["aurora_v9" is not a valid choice.]]
}

// The job ended badly, and will not change. Another one may do better once the cause is mended.
func ExampleJobError() {
	ctx := context.Background()
	client, _ := exampleClient(creatifytest.Config{
		Life: creatifytest.Life{Duration: 1, End: "failed", Reason: "The photo could not be fetched."},
	})
	created, err := client.Jobs.CreatePreview(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.WaitForPreview(ctx, created.ID)
	if ended, ok := errors.AsType[*creatify.JobError](err); ok {
		fmt.Println(ended.Job.Status, ended.Job.FailedReason)
		fmt.Println("credits used:", ended.Job.CreditsUsed)
	}
	fmt.Println(errors.Is(err, creatify.ErrJobFailed), errors.Is(err, creatify.ErrJobRejected))
	// Output:
	// failed The photo could not be fetched.
	// credits used: 1
	// true false
}

// The call may have been charged, so it was not sent again. What was sent is kept, to be looked for in the account.
func ExampleOutcomeUnknownError() {
	client, fake := exampleClient(creatifytest.Config{})
	fake.Inject(creatifytest.Fault{Drop: creatifytest.DropAfter}) // the server takes the request, and its reply is lost
	params := exampleParams
	params.Name = "Spring"
	_, err := client.Jobs.CreatePreview(context.Background(), params)
	if unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err); ok {
		fmt.Println("look for:", unknown.Params.Name)
	}
	fmt.Println("requests:", fake.Calls(creatifytest.CallCreatePreview))
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// look for: Spring
	// requests: 1
	// credits charged: 1
}

// What cannot be right is refused before anything is sent, all at once.
func ExampleValidationError() {
	client, fake := exampleClient(creatifytest.Config{})
	_, err := client.Jobs.CreatePreview(context.Background(), creatify.JobParams{
		TemplateID: "spring",
		Variables:  creatify.Variables{"photo": creatify.Image("photo.jpg"), "host": creatify.Avatar("")},
	})
	if invalid, ok := errors.AsType[*creatify.ValidationError](err); ok {
		for _, problem := range invalid.Problems {
			fmt.Println(problem.Field, problem.Message)
		}
	}
	fmt.Println("requests:", fake.Calls(""))
	// Output:
	// template_id must be a UUID, such as 3c90c3cc-0d44-4b50-8888-8dd25736052a
	// variables.host the avatar's ID is empty
	// variables.photo must be an absolute http or https URL
	// requests: 0
}
