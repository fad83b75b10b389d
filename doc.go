// Package creatify is a client for Creatify's custom-template previews. It is not an official one.
//
// A preview is started with one call, which costs credits, and takes minutes. [JobsService.Preview] starts it and waits:
//
//	client, err := creatify.NewFromEnv()
//	job, err := client.Jobs.Preview(ctx, creatify.JobParams{
//		TemplateID: "3c90c3cc-0d44-4b50-8888-8dd25736052a",
//		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
//	})
//	fmt.Println(job.Preview)
//
// It ends with exactly one of three things:
//
//   - the job, with its Preview;
//   - the reason why there is none: a [*ValidationError], an [*APIError] or a [*JobError];
//   - what to come back to: a [*WaitError] with the job's ID, for [JobsService.WaitForPreview], or an
//     [*OutcomeUnknownError], when the paid call's reply was lost.
//
// # Money
//
// A call that costs credits is sent again only when it provably never left or was answered 429. Whatever else is not a
// definite answer is an error that is [ErrOutcomeUnknown]. Any other error from such a call means that it took no effect.
//
// # Time
//
// Every call takes a context and obeys it at once. Every wait ends by itself after 30 minutes, or what [WithMaxWait] says.
//
// Waits poll by what is believed of a job's duration, and learn it from the jobs that end. [Tracker] waits for many jobs at
// once, and [JobsService.WebhookHandler] receives the API's notices.
//
// # Keys
//
// The API ID and key go to the base URL's origin only, over https, and into no log, error or print.
//
// # From preview to video
//
// [JobsService.Render] renders the video of a job whose preview has been approved, and [JobsService.WaitForVideo] waits for
// it. [EstimateCredits] says what that costs, and a [Budget] refuses what would cost too much.
//
// Package creatifytest is a fake of the API for tests.
package creatify
