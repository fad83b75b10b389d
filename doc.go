// Package creatify is an unofficial client for previews of Creatify's custom templates.
//
// One call starts a preview; it costs credits. The preview then takes seconds to minutes.
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
// The call ends in one of three ways: with the job and its Preview; with the reason why there is none, such
// as a [*ValidationError], an [*APIError] or a [*JobError]; or with an open result, as a [*WaitError] with
// the job's ID to resume with, or an [*OutcomeUnknownError] if the paid call's response was lost. An error
// matches at most one sentinel, such as [ErrJobFailed].
//
// # Money
//
// CreatePreview, CreatePreviewSync, CreateVideo, Render and their AndWait forms cost credits; all other calls
// are free. A paid call is retried only if it provably never left, or was answered 429 without a job. If no
// definite answer comes, the error is [ErrOutcomeUnknown]: find out before you repeat the call. [Charged]
// reports whether the failed call was charged. A [Budget] refuses calls that may cost too much;
// [WithTemplateCheck] refuses variables that the template does not have.
//
// # Time
//
// A [Poller] is one wait. It makes one poll at a time, says when the next is worth making, and can be stored
// as JSON and resumed in any process. [JobsService.WaitForPreview] and its siblings run a Poller in a loop; a
// [Tracker] runs many. Every wait has a deadline: 30 minutes for calls that block, 24 hours for a Poller or
// Tracker, or [WithMaxWait]. Failed polls slow a wait down; they do not end it. Webhook events are not
// signed: [JobsService.WebhookHandler] only takes them as a hint to read the job.
//
// # Keys
//
// The API ID and key go to the base URL's origin only, over https or to loopback, and into no log, error or
// printed value. Downloads carry no credentials and, by default, use public hosts only.
//
// # Related packages
//
// [Template.Validate] checks variables against a template, and cmd/creatify-gen writes a Go type for each.
// Package creatifytest is a fake of the API that can lose responses and records charges. Module
// creatify-go/durable keeps orders in a database, so that a crash at any instruction neither pays twice nor
// loses a paid job. Module creatify-go/otelcreatify turns [Hooks] into OpenTelemetry traces and metrics.
package creatify
