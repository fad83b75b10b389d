// Package creatify is an unofficial client for previews of Creatify's custom templates.
//
// A preview is started with one call, which costs credits, and takes seconds to minutes.
// [JobsService.CreatePreviewAndWait] starts it and waits:
//
//	client, err := creatify.NewFromEnv() // CREATIFY_API_ID, CREATIFY_API_KEY
//	if err != nil {
//		return err
//	}
//	job, err := client.Jobs.CreatePreviewAndWait(ctx, creatify.JobParams{
//		TemplateID: "3c90c3cc-0d44-4b50-8888-8dd25736052a",
//		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
//	}, creatify.WithOnCreated(func(job *creatify.Job) error { return store(job.ID) }))
//	if err != nil {
//		return err
//	}
//	fmt.Println(job.Preview) // a page to show in an iframe
//
// It ends with exactly one of three things: the job with its Preview; the reason why there is none, a
// [*ValidationError], an [*APIError] or a [*JobError]; or what to resume with, a [*WaitError] with the job's
// ID, or an [*OutcomeUnknownError] if the paid call's response was lost. An error matches one sentinel, such
// as [ErrJobFailed].
//
// # Money
//
// CreatePreview, CreatePreviewSync, CreateVideo, Render and their AndWait forms cost credits; all other calls
// are free. A paid call is retried only when it provably never left, or was answered 429 without a job.
// Anything else that is not a definite answer is [ErrOutcomeUnknown]: find out before you repeat it.
// [Charged] reports what an error means for your credits. A [Budget] refuses what would cost too much,
// [WithTemplateCheck] what the template does not have.
//
// # Time
//
// A wait is a value. A [Poller] makes one poll, says when the next is worth making, and can be stored as JSON
// and resumed in any process. [JobsService.WaitForPreview] and its siblings are a loop around a Poller, a
// [Tracker] is a heap of them. Every wait ends by itself: after 30 minutes for calls that block, 24 hours for
// a Poller or Tracker, or [WithMaxWait]. Failed polls slow a wait down; they do not end it. Webhook events
// carry no signature: [JobsService.WebhookHandler] takes them as a hint to read the job.
//
// # Keys
//
// The API ID and key go to the base URL's origin only, over https, and into no log, error or print of this
// library. Downloads carry no credentials and come from public addresses only.
//
// # Around it
//
// [Template.Validate] compares variables with a template's, and cmd/creatify-gen writes a Go type for it.
// Package creatifytest is a fake of the API that can lose responses and counts what was charged. Module
// creatify-go/durable keeps orders in a database, so that a crash at any instruction neither pays twice nor
// loses a job. Module creatify-go/otelcreatify turns [Hooks] into OpenTelemetry traces and metrics.
package creatify
