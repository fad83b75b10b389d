// Package creatify is a client for Creatify's custom-template previews. It is not an official one.
//
// A preview is started with one call, which costs credits, and takes minutes. [JobsService.CreatePreviewAndWait] starts it and waits:
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
// It ends with exactly one of three things:
//
//   - the job, with its Preview;
//   - the reason why there is none: a [*ValidationError], an [*APIError] or a [*JobError];
//   - what to resume with: a [*WaitError] with the job's ID, for [JobsService.WaitForPreview], or an
//     [*OutcomeUnknownError], when the paid call's response was lost.
//
// Tell them apart with [errors.AsType], or by their sentinels, such as [ErrJobFailed], with [errors.Is]. An error
// matches one of them at most, so the order does not matter.
//
// # Money
//
// [JobsService.CreatePreview], [JobsService.CreatePreviewSync], [JobsService.CreatePreviewAndWait], [JobsService.CreateVideo] and
// [JobsService.Render] cost credits; all other calls are free, and their comments say so. A call that costs credits is sent
// again only when it provably never left or was answered 429. Whatever else is not a definite answer is an error that is
// [ErrOutcomeUnknown]: perhaps it was charged, so find out before you send it again. Any other error from creating a job
// means that it took no effect.
//
// [EstimateCredits] knows the documented prices, [WorkspaceService.RemainingCredits] the balance, and a [Budget] refuses
// what would cost too much before it is sent.
//
// # Time
//
// Every wait ends with its context, or after 30 minutes; see [WithMaxWait]. The job continues, and the wait can be resumed
// with its ID in any process. Failed polls slow a wait down; they do not end it.
//
// When to poll is learned from the jobs that end; [WithSchedule] replaces that. [JobsService.WatchPreview] yields each
// change. A [Poller] makes one poll at a time, and its state can be stored in between. A [Tracker] waits for many jobs at
// once: store its Pending before a restart, and Add it afterwards.
//
// The API can also call a webhook. Its events are not signed, so [JobsService.WebhookHandler] reads the job of each.
//
// # From preview to video
//
// [JobsService.Render] renders the video of a job whose preview has been approved, [JobsService.WaitForVideo] waits for it,
// and [JobsService.DownloadFile] leaves the whole file or none, from public addresses only. [JobsService.CreateVideo] goes
// without a preview.
//
// # Templates
//
// [TemplatesService.Get] reads a template with its variables, and [Template.Validate] compares yours with them, free of
// charge; [WithTemplateCheck] does so before each create. cmd/creatify-gen writes a Go type for each template.
//
// # Keys
//
// The API ID and key go to the base URL's origin only, over https, and into no log, error or print of this library. Redirects to another
// origin are refused, and downloads carry no credentials.
//
// # Tests
//
// Package creatifytest is a fake of the API. It runs in process or as a server, loses responses and fails jobs on request,
// and counts what was charged:
//
//	fake := creatifytest.New(creatifytest.Config{})
//	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
package creatify
