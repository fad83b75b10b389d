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
//	}, creatify.WithOnCreated(func(job *creatify.Job) { /* store job.ID */ }))
//	if err != nil {
//		return err
//	}
//	fmt.Println(job.Preview) // a page to show in an iframe
//
// It ends with exactly one of three things:
//
//   - the job, with its Preview;
//   - the reason why there is none: a [*ValidationError], an [*APIError] or a [*JobError];
//   - what to come back to: a [*WaitError] with the job's ID, for [JobsService.WaitForPreview], or an
//     [*OutcomeUnknownError], when the paid call's reply was lost.
//
// Tell them apart with [errors.AsType], or by their sentinels, such as [ErrJobFailed], with [errors.Is]. Look for the last two
// first: the cause of a WaitError may be a refusal as well.
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
// Every call of the API takes a context and obeys it at once. Every wait ends by itself after 30 minutes, or what [WithMaxWait] says;
// the job goes on, and so can the wait, with the same ID and in another process as well. A poll without an answer ends no
// wait, nor does a 429 or a 5xx, but many in a row do, and a refusal does at once.
//
// Waits poll by what is believed of a job's duration, and learn it from the jobs that end; [WithSchedule] replaces that.
// [JobsService.WatchPreview] yields each change. A [Tracker] waits for many jobs at once, with a few connections and goroutines:
// its Pending is what to store before a restart, and its Resume takes it back.
//
// The API can also call a webhook. Its notices carry no signature, so [JobsService.WebhookHandler] takes them as a hint to
// read the job.
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
// charge. [VariablesFrom] makes variables from a struct with tags, such as cmd/creatify-gen writes for each template.
//
// # Keys
//
// The API ID and key go to the base URL's origin only, over https, and into no log, error or print of this library. Redirects to another
// origin are refused, and downloads carry no credentials.
//
// # Tests
//
// Package creatifytest is a fake of the API. It runs in process or as a server, loses replies and fails jobs when it is
// told to, and counts what was charged:
//
//	fake := creatifytest.New(creatifytest.Config{})
//	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
package creatify
