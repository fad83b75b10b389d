package creatify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"golang.org/x/time/rate"
)

// A service starts a preview, stores the ID of its job, and waits for it. Here it talks to a fake of the
// API; a client of NewFromEnv talks to the real one.
func Example() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	stored := make(map[string]string) // a table of the service
	job, err := client.Jobs.CreatePreviewAndWait(context.Background(), creatify.JobParams{
		TemplateID: "3c90c3cc-0d44-4b50-8888-8dd25736052a",
		Variables: creatify.Variables{
			"headline": creatify.Text("Spring sale"),
			"photo":    creatify.Image("https://example.com/photo.jpg"),
		},
	}, creatify.WithOnCreated(func(job *creatify.Job) error {
		stored["order 7"] = job.ID
		return nil
	}), creatify.WithSchedule(creatify.FixedInterval(100*time.Millisecond))) // by default, when to poll is learned
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status, job.Preview == "https://app.creatify.ai/preview?layout="+stored["order 7"])
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// done true
	// credits charged: 1
}

// A client is made once and shared. Without options it calls the real API.
func ExampleNew() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey,
		creatify.WithHTTPClient(fake.HTTPClient()), creatify.WithTimeout(20*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	credits, err := client.Workspace.RemainingCredits(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credits, "credits")
	// Output:
	// 1000 credits
}

// All bad arguments and options are reported at once, and none is quoted.
func ExampleNew_refused() {
	_, err := creatify.New("", "my-api-key\n", creatify.WithTimeout(-time.Second))
	if invalid, ok := errors.AsType[*creatify.ValidationError](err); ok {
		for _, problem := range invalid.Problems {
			fmt.Println(problem.Field, problem.Message)
		}
	}
	// Output:
	// API ID is empty
	// API key has a character that no key has: white space, a control character or one beyond ASCII
	// WithTimeout must be above zero, not -1s
}

// The environment holds the credentials. CREATIFY_BASE_URL, which creatify-mock prints, is left out for the
// real API.
func ExampleNewFromEnv() {
	server := httptest.NewServer(creatifytest.New(creatifytest.Config{}))
	defer server.Close()
	for name, value := range map[string]string{
		"CREATIFY_API_ID":   creatifytest.APIID,
		"CREATIFY_API_KEY":  creatifytest.APIKey,
		"CREATIFY_BASE_URL": server.URL,
	} {
		os.Setenv(name, value)
		defer os.Unsetenv(name)
	}
	client, err := creatify.NewFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	credits, err := client.Workspace.RemainingCredits(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credits, "credits")
	// Output:
	// 1000 credits
}

// A copy of the client has a budget of its own. It shares the credentials, the connections and what waits
// have learned.
func ExampleClient_With() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	trial, err := client.With(creatify.WithBudget(creatify.NewBudget(creatify.BudgetOptions{Credits: 1})))
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	for _, c := range []*creatify.Client{trial, trial, client} {
		_, err := c.Jobs.CreatePreview(ctx, params)
		fmt.Println("refused:", errors.Is(err, creatify.ErrBudgetExceeded))
	}
	client.CloseIdleConnections()
	// Output:
	// refused: false
	// refused: true
	// refused: false
}

// A test calls a server of its own. The key goes over plain http to loopback addresses only.
func ExampleWithBaseURL() {
	server := httptest.NewServer(creatifytest.New(creatifytest.Config{}))
	defer server.Close()
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithBaseURL(server.URL))
	if err != nil {
		log.Fatal(err)
	}
	credits, err := client.Workspace.RemainingCredits(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credits, "credits")

	_, err = creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithBaseURL("http://api.example.com"))
	fmt.Println("refused:", errors.Is(err, creatify.ErrInvalidParams))
	// Output:
	// 1000 credits
	// refused: true
}

type userAgent struct {
	next http.RoundTripper
	name string
}

func (u userAgent) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", u.name)
	fmt.Printf("%s %s as %s, key shown: %t\n", req.Method, req.URL.Path, req.UserAgent(), req.Header.Get("X-API-KEY") != "")
	return u.next.RoundTrip(req)
}

// A middleware sees each request without its credentials, and may name the program in the User-Agent.
func ExampleWithMiddleware() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()),
		creatify.WithMiddleware(func(next http.RoundTripper) http.RoundTripper { return userAgent{next, "shop/2.1"} }))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Workspace.RemainingCredits(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// GET /api/remaining_credits/ as shop/2.1, key shown: false
}

// A free call is retried when the server fails. A paid call is not, whatever the policy says.
func ExampleWithRetry() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()),
		creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 3, MinBackoff: time.Millisecond}))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	fake.Inject(creatifytest.Fault{Status: http.StatusServiceUnavailable, Times: 2})
	credits, err := client.Workspace.RemainingCredits(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credits, "credits after", fake.Calls(creatifytest.CallCredits), "requests")

	fake.Inject(creatifytest.Fault{Status: http.StatusServiceUnavailable, Times: 2})
	_, err = client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	fmt.Println(errors.Is(err, creatify.ErrOutcomeUnknown), "after", fake.Calls(creatifytest.CallCreatePreview), "request")
	// Output:
	// 1000 credits after 3 requests
	// true after 1 request
}

// Requests over the limit wait for their turn. A request whose turn would come after the deadline is not
// sent.
func ExampleWithRateLimit() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()), creatify.WithRateLimit(0.01, 2))
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range 3 { // two at once, and then one per 100 s
		_, err := client.Workspace.RemainingCredits(ctx)
		fmt.Println("too late:", errors.Is(err, context.DeadlineExceeded))
	}
	fmt.Println("requests:", fake.Calls(creatifytest.CallCredits))
	// Output:
	// too late: false
	// too late: false
	// too late: true
	// requests: 2
}

// Several clients share one limiter, here for 3 requests at once and one a minute afterwards.
func ExampleWithLimiter() {
	limiter := rate.NewLimiter(rate.Every(time.Minute), 3)
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()), creatify.WithLimiter(limiter))
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		if _, err := client.Workspace.RemainingCredits(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("left for others at once:", limiter.Tokens() >= 1)
	// Output:
	// left for others at once: false
}

// Every attempt is logged, without keys, headers or bodies. What differs between runs is left out here.
func ExampleWithLogger() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
			if attr.Key == slog.TimeKey || attr.Value.Kind() == slog.KindDuration {
				return slog.Attr{}
			}
			return attr
		},
	}))
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()), creatify.WithLogger(logger))
	if err != nil {
		log.Fatal(err)
	}
	fake.Inject(creatifytest.Fault{Status: http.StatusBadGateway})
	if _, err := client.Workspace.RemainingCredits(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// level=DEBUG msg="creatify: request" call=remaining_credits attempt=1 status=502
	// level=INFO msg="creatify: will retry" call=remaining_credits attempt=1 status=502
	// level=DEBUG msg="creatify: request" call=remaining_credits attempt=2 status=200
}

// The user hangs up while a paid request is under way. Its response still counts: the job is made and
// charged.
func ExampleWithPaidGrace() {
	ctx, hangUp := context.WithCancel(context.Background())
	fake := creatifytest.New(creatifytest.Config{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hangUp() // while the request is under way
		fake.ServeHTTP(w, r)
	}))
	defer server.Close()
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithBaseURL(server.URL), creatify.WithPaidGrace(time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	job, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.ID == fake.Jobs()[0], ctx.Err())
	// Output:
	// true context canceled
}

// Hooks count credits and results, here of a preview whose response is lost.
func ExampleHooks() {
	hooks := creatify.Hooks{
		Paid: func(ctx context.Context, call creatify.PaidCall) (context.Context, func(creatify.PaidResult)) {
			fmt.Println(call.Call, "for about", call.Estimate, "credit")
			return ctx, func(result creatify.PaidResult) {
				fmt.Println(creatify.Reason(result.Err), result.Charged == creatify.ChargedUnknown)
			}
		},
	}
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()), creatify.WithHooks(hooks))
	if err != nil {
		log.Fatal(err)
	}
	fake.Inject(creatifytest.Fault{Drop: creatifytest.DropAfter})
	_, err = client.Jobs.CreatePreview(context.Background(), creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	fmt.Println(errors.Is(err, creatify.ErrOutcomeUnknown))
	// Output:
	// create_preview for about 1 credit
	// outcome_unknown true
	// true
}

// CreatePreview returns at once, with a pending job. Its ID is what was paid for: store it.
func ExampleJobsService_CreatePreview() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	job, err := client.Jobs.CreatePreview(context.Background(), creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
		Name:       "Spring",
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

// What to do about an error depends on its type.
func ExampleJobsService_CreatePreviewAndWait() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}, Credits: 0.5})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.CreatePreviewAndWait(context.Background(), creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if ended, ok := errors.AsType[*creatify.JobError](err); ok {
		fmt.Println("no preview:", ended.Job.FailedReason)
	} else if early, ok := errors.AsType[*creatify.WaitError](err); ok {
		fmt.Println("resume with job", early.JobID)
	} else if errors.Is(err, creatify.ErrOutcomeUnknown) {
		fmt.Println("perhaps charged: do not repeat the call")
	} else if errors.Is(err, creatify.ErrInsufficientCredits) {
		fmt.Println("not charged: add credits")
	} else if err != nil {
		fmt.Println("not charged:", err)
	}
	// Output:
	// not charged: add credits
}

// One call blocks until the preview is ready, which may take minutes. If the response is lost, so is the
// job's ID.
func ExampleJobsService_CreatePreviewSync() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	job, err := client.Jobs.CreatePreviewSync(context.Background(), creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status, job.Preview != "", "after", fake.Calls(""), "request")
	// Output:
	// done true after 1 request
}

// The final video can be made without a preview. The model decides the price.
func ExampleJobsService_CreateVideo() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, VideoSeconds: 20}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for _, model := range []creatify.ModelVersion{creatify.ModelStandard, creatify.ModelAuroraV1} {
		params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
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
	// Output:
	// standard true 5
	// aurora_v1 true 20
}

// CreateVideoAndWait starts the final video and waits for it.
func ExampleJobsService_CreateVideoAndWait() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	job, err := client.Jobs.CreateVideoAndWait(context.Background(), creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
	}, creatify.WithSchedule(creatify.FixedInterval(100*time.Millisecond)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status, job.VideoOutput != "", "for", fake.Charged(), "credits")
	// Output:
	// done true for 5 credits
}

// Once the preview is approved, the video of the same job is rendered.
func ExampleJobsService_RenderAndWait() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, Render: creatifytest.RenderLife{Duration: 1}}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	preview, err := client.Jobs.CreatePreviewSync(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	video, err := client.Jobs.RenderAndWait(ctx, preview.ID, creatify.WithSchedule(creatify.FixedInterval(100*time.Millisecond)))
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

// The response to Render is lost. The job shows whether it is being rendered, so it is not paid for twice.
func ExampleJobsService_Render() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	preview, err := client.Jobs.CreatePreviewSync(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	fake.Inject(creatifytest.Fault{Call: creatifytest.CallRender, Drop: creatifytest.DropAfter})
	_, err = client.Jobs.Render(ctx, preview.ID)
	if unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err); ok {
		job, err := client.Jobs.Get(ctx, unknown.JobID) // a minute later: the real API may be slow to show it
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

// Reading a job is free. An unknown ID is an error of its own.
func ExampleJobsService_Get() {
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
	for _, id := range []string{created.ID, "11111111-2222-4333-8444-555555555555"} {
		job, err := client.Jobs.Get(ctx, id)
		if errors.Is(err, creatify.ErrNotFound) {
			fmt.Println("no such job")
		} else if err != nil {
			log.Fatal(err)
		} else {
			fmt.Println(job.Status, job.Duration, job.CreditsUsed)
		}
	}
	// Output:
	// done 15s 1
	// no such job
}

// A job can be stored as JSON, in the API's form. RawJSON has the fields that this version does not know.
func ExampleJob() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Edit: func(job map[string]any) { job["thumbnail"] = "1.jpg" }}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	job, err := client.Jobs.CreatePreview(context.Background(), creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	stored, err := json.Marshal(job)
	if err != nil {
		log.Fatal(err)
	}
	var again creatify.Job
	var more struct{ Thumbnail string }
	if err := errors.Join(json.Unmarshal(stored, &again), json.Unmarshal(job.RawJSON(), &more)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(again.ID == job.ID, again.Status, again.CreatedAt.Equal(job.CreatedAt), more.Thumbnail)
	// Output:
	// true pending true 1.jpg
}

// Outcome judges one snapshot, such as that of a webhook. An unknown status does not end a job.
func ExampleJob_Outcome() {
	for _, job := range []creatify.Job{
		{ID: "7", Status: creatify.StatusRunning},
		{ID: "7", Status: creatify.StatusDone, Preview: "https://app.creatify.ai/preview?layout=7"},
		{ID: "7", Status: creatify.StatusFailed, FailedReason: "No photo."},
		{ID: "7", Status: "paused"},
	} {
		over, err := job.Outcome(creatify.KindPreview)
		fmt.Printf("%s %t %t %q\n", job.Status, job.Status.Terminal(), over, creatify.Reason(err))
	}
	// Output:
	// running false false ""
	// done true true ""
	// failed true true "job_failed"
	// paused false false ""
}

// A service checks parameters before it accepts an order. No client is needed.
func ExampleJobParams_Validate() {
	var params creatify.JobParams
	err := json.Unmarshal([]byte(`{"template_id": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
		"variables": {"photo": {"type": "image", "properties": {"url": "http://192.168.0.7/photo.jpg"}}}}`), &params)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(params.Validate())
	// Output:
	// creatify: invalid parameters: variables.photo: must have a public host (in ASCII) that Creatify's servers can reach
}

// The server refused the call, and nothing was charged. The error has the server's own words.
func ExampleAPIError() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.CreatePreview(context.Background(), creatify.JobParams{
		TemplateID:   creatifytest.TemplateID,
		Variables:    creatify.Variables{},
		ModelVersion: "aurora_v9",
	})
	if refusal, ok := errors.AsType[*creatify.APIError](err); ok {
		fmt.Println(refusal.StatusCode, refusal.Fields)
	}
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// 400 map[model_version:["aurora_v9" is not a valid choice.]]
	// credits charged: 0
}

// The job failed and does not change any more.
func ExampleJobError() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, End: "failed", Reason: "The photo could not be fetched."}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
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

// The response was lost, and the preview may be charged. The name in the parameters is what to look for in
// the account.
func ExampleOutcomeUnknownError() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	fake.Inject(creatifytest.Fault{Drop: creatifytest.DropAfter})
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	params.Name = "Spring"
	_, err = client.Jobs.CreatePreview(context.Background(), params)
	if unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err); ok {
		fmt.Println("look for:", unknown.Params.Name)
	}
	fmt.Println("requests:", fake.Calls(""), "credits charged:", fake.Charged())
	// Output:
	// look for: Spring
	// requests: 1 credits charged: 1
}

// Bad parameters are refused before anything is sent, all at once.
func ExampleValidationError() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.CreatePreview(context.Background(), creatify.JobParams{
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

// Only a call that was not charged may be repeated. Reason is a fixed word for a metric's label.
func ExampleCharged() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	fake.Inject(
		creatifytest.Fault{Status: http.StatusUnauthorized},
		creatifytest.Fault{Drop: creatifytest.DropAfter},
	)
	for range 3 {
		_, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
		switch creatify.Charged(err) {
		case creatify.ChargedNo:
			fmt.Println("may be repeated:", creatify.Reason(err))
		case creatify.ChargedUnknown:
			fmt.Println("must not be repeated:", creatify.Reason(err))
		case creatify.ChargedYes:
			fmt.Println("there is a job")
		}
	}
	// Output:
	// may be repeated: unauthorized
	// must not be repeated: outcome_unknown
	// there is a job
}

// The documented credits for a video of 45 s: by a preview and its render, or without a preview.
func ExampleEstimateCredits() {
	const length = 45 * time.Second
	fmt.Println(creatify.EstimateCredits(creatify.OperationPreview, creatify.ModelStandard, length))
	fmt.Println(creatify.EstimateCredits(creatify.OperationRender, creatify.ModelStandard, length))
	fmt.Println(creatify.EstimateCredits(creatify.OperationVideo, creatify.ModelStandard, length))
	fmt.Println(creatify.EstimateCredits(creatify.OperationRender, creatify.ModelAuroraV1Fast, length)) // is not listed
	// Output:
	// 2 true
	// 8 true
	// 10 true
	// 22.5 false
}

// A contract has other prices than the documentation. An appended price wins.
func ExamplePriceList() {
	prices := creatify.DocumentedPrices()
	prices.AsOf, prices.Source = "2026-12-01", "our contract"
	prices.Prices = append(prices.Prices, creatify.Price{
		Operation: creatify.OperationVideo, Model: creatify.ModelAuroraV1, Credits: 20, Per: 15 * time.Second,
	})
	fmt.Println(creatify.EstimateCredits(creatify.OperationVideo, creatify.ModelAuroraV1, 45*time.Second, prices))
	budget := creatify.NewBudget(creatify.BudgetOptions{Credits: 100, Prices: prices}) // for WithBudget
	fmt.Println(budget.Spent())
	// Output:
	// 60 true
	// 0
}

// Credits for two previews of up to 30 s. The third preview is refused before anything is sent.
func ExampleNewBudget() {
	budget := creatify.NewBudget(creatify.BudgetOptions{Credits: 3, Spent: 1, VideoLength: 30 * time.Second})
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()), creatify.WithBudget(budget))
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		_, err := client.Jobs.CreatePreview(context.Background(), creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
		if err != nil && !errors.Is(err, creatify.ErrBudgetExceeded) {
			log.Fatal(err)
		}
		fmt.Println("refused:", err != nil, "spent:", budget.Spent())
	}
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// refused: false spent: 2
	// refused: false spent: 3
	// refused: true spent: 3
	// credits charged: 2
}

// A list has the account's templates without their variables; Get returns one with them.
func ExampleTemplatesService_List() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	templates, err := client.Templates.List(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, listed := range templates {
		template, err := client.Templates.Get(ctx, listed.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(template.Name, template.AspectRatio)
		for _, name := range slices.Sorted(maps.Keys(template.Variables)) {
			fmt.Println(name, template.Variables[name].Type())
		}
	}
	// Output:
	// Demo 9x16
	// headline text
	// photo image
}

// Validate compares variables with those of the template.
func ExampleTemplate_Validate() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	template, err := client.Templates.Get(context.Background(), creatifytest.TemplateID)
	if err != nil {
		log.Fatal(err)
	}
	err = template.Validate(creatify.Variables{
		"headlin": creatify.Text("Spring sale"),
		"photo":   creatify.Video("https://example.com/clip.mp4"),
	})
	if invalid, ok := errors.AsType[*creatify.ValidationError](err); ok {
		for _, problem := range invalid.Problems {
			fmt.Println(problem.Field, problem.Message)
		}
	}
	// Output:
	// variables.headlin is not in the template, whose variables are ["headline" "photo"]
	// variables.photo is of type "video"; the template has "image"
	// variables.headline is missing; the template has it with type "text" and no default
}

// Each create is compared with its template before anything is charged.
func ExampleWithTemplateCheck() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()), creatify.WithTemplateCheck(time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.CreatePreview(context.Background(), creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables: creatify.Variables{
			"headlin": creatify.Text("Spring sale"),
			"photo":   creatify.Image("https://example.com/photo.jpg"),
		},
	})
	if invalid, ok := errors.AsType[*creatify.ValidationError](err); ok {
		fmt.Println(invalid.Problems[0].Field, invalid.Problems[0].Message)
	}
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// variables.headlin is not in the template, whose variables are ["headline" "photo"]
	// credits charged: 0
}

// Each constructor makes a variable of one type. Raw JSON is for types that this version does not know.
func ExampleVariables() {
	variables := creatify.Variables{
		"headline": creatify.Text("Spring sale"),
		"photo":    creatify.Image("https://example.com/photo.jpg"),
		"clip":     creatify.Video("https://example.com/clip.mp4"),
		"music":    creatify.Audio("https://example.com/music.mp3"),
		"new":      creatify.RawVariable(json.RawMessage(`{"type": "sticker", "properties": {"size": 3}}`)),
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		sent, err := json.Marshal(variables[name])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", name, sent)
	}
	// Output:
	// clip: {"type":"video","properties":{"url":"https://example.com/clip.mp4"}}
	// headline: {"type":"text","properties":{"content":"Spring sale"}}
	// music: {"type":"audio","properties":{"url":"https://example.com/music.mp3"}}
	// new: {"type":"sticker","properties":{"size":3}}
	// photo: {"type":"image","properties":{"url":"https://example.com/photo.jpg"}}
}

// The catalog has the IDs for an avatar and a voiceover.
func ExamplePersonasService_List() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	personas, err := client.Personas.List(ctx)
	if err != nil || len(personas) == 0 {
		log.Fatal("no persona: ", err)
	}
	voices, err := client.Voices.List(ctx)
	if err != nil || len(voices) == 0 || len(voices[0].Accents) == 0 {
		log.Fatal("no voice: ", err)
	}
	variables := creatify.Variables{
		"host":  creatify.Avatar(personas[0].ID),
		"voice": creatify.Voiceover(voices[0].Accents[0].ID),
	}
	fmt.Println(personas[0].CreatorName, variables["host"].Value())
	fmt.Println(voices[0].Name, voices[0].Accents[0].Name, variables["voice"].Value())
	// Output:
	// Robin 18fccce8-86e7-5f31-abc8-18915cb872be
	// Robin American 6f8c2a04-51d3-4b7e-9a1f-2c07d5e4b836
}

// An event proves nothing and may come twice, so the handler reads the job itself and delivers it once.
func ExampleJobsService_WebhookHandler() {
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
	handler := client.Jobs.WebhookHandler(creatify.WebhookOptions{}, func(ctx context.Context, job *creatify.Job) error {
		fmt.Println("the job is", job.Status)
		return nil
	})
	for range 2 {
		event := strings.NewReader(`{"id": "` + job.ID + `", "status": "done"}`)
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, httptest.NewRequest("POST", "/creatify", event))
		fmt.Println(response.Code)
	}
	// Output:
	// the job is done
	// 204
	// 204
}

// The URL carries a secret and an order number. Events without the secret are refused.
func ExampleWebhookOptions_URL() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	options := creatify.WebhookOptions{Secret: "s3cret"}
	hook, err := options.URL("https://hooks.example.com/creatify", "order 7")
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}, WebhookURL: hook}
	job, err := client.Jobs.CreatePreview(context.Background(), params)
	if err != nil {
		log.Fatal(err)
	}
	handler := client.Jobs.WebhookHandler(options, func(ctx context.Context, job *creatify.Job) error {
		fmt.Println(creatify.WebhookReference(ctx), "is", job.Status)
		return nil
	})
	response := httptest.NewRecorder()
	event := strings.NewReader(`{"id": "` + job.ID + `", "status": "done"}`)
	handler.ServeHTTP(response, httptest.NewRequest("POST", hook, event))
	fmt.Println(hook, response.Code)
	// Output:
	// order 7 is done
	// https://hooks.example.com/creatify?ref=order+7&secret=s3cret 204
}

// A handler of your own reads the job that the event names.
func ExampleParseWebhook() {
	for _, body := range []string{`{"id": "7", "status": "failed", "failed_reason": "No photo."}`, `{"hello": "world"}`} {
		event, err := creatify.ParseWebhook([]byte(body))
		if errors.Is(err, creatify.ErrInvalidWebhook) {
			fmt.Println(err)
			continue
		}
		fmt.Println("read job", event.JobID, "which may be", event.Status)
	}
	// Output:
	// read job 7 which may be failed
	// creatify: invalid webhook event: the body lacks an ID or a status
}

// The video goes to any writer, with the numbers for a progress bar. Its host gets no key.
func ExampleJobsService_Download() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, VideoSize: 100_000}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	job, err := client.Jobs.CreateVideo(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	var video bytes.Buffer
	_, err = client.Jobs.Download(ctx, job.ID, &video, creatify.WithProgress(func(done, total int64) {
		if done == total { // which is -1 while unknown
			fmt.Printf("%d of %d bytes\n", done, total)
		}
	}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(video.Len(), "in the buffer; requests with the key:", fake.LeakedCredentials())
	// Output:
	// 100000 of 100000 bytes
	// 100000 in the buffer; requests with the key: 0
}

// The file appears when it is whole. Of a file that is too large, nothing is left.
func ExampleJobsService_DownloadFile() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, VideoSize: 100_000}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	job, err := client.Jobs.CreateVideo(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "videos")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	_, err = client.Jobs.DownloadFile(ctx, job.ID, filepath.Join(folder, "small.mp4"), creatify.WithMaxSize(64<<10))
	fmt.Println("too large:", errors.Is(err, creatify.ErrTooLarge))
	n, err := client.Jobs.DownloadFile(ctx, job.ID, filepath.Join(folder, "spring.mp4"))
	files, _ := os.ReadDir(folder)
	fmt.Println(n, "bytes in", len(files), "file, error:", err)
	// Output:
	// too large: true
	// 100000 bytes in 1 file, error: <nil>
}

// By default, no URL in a response leads into your own network.
func ExampleWithPrivateAddresses() {
	fake := creatifytest.New(creatifytest.Config{BaseURL: "http://127.0.0.1:8080", Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	job, err := client.Jobs.CreateVideo(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.Download(ctx, job.ID, io.Discard)
	fmt.Println("refused:", errors.Is(err, creatify.ErrRefusedURL), "after", fake.Calls(creatifytest.CallVideo), "requests")

	_, err = client.Jobs.Download(ctx, job.ID, io.Discard, creatify.WithPrivateAddresses())
	fmt.Println("refused:", err != nil, "after", fake.Calls(creatifytest.CallVideo), "request")
	// Output:
	// refused: true after 0 requests
	// refused: false after 1 request
}

// A job without a video differs from a host that refuses it. A silent connection is replaced after 10 s.
func ExampleDownloadError() {
	fake := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, VideoSize: 100_000}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	job, err := client.Jobs.CreateVideo(ctx, creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
	if err != nil {
		log.Fatal(err)
	}
	fake.Inject(creatifytest.Fault{Call: creatifytest.CallVideo, Status: http.StatusNotImplemented, Times: -1})
	_, err = client.Jobs.Download(ctx, job.ID, io.Discard, creatify.WithIdleTimeout(10*time.Second))
	if errors.Is(err, creatify.ErrNoOutput) {
		fmt.Println("there is no video yet: wait for it")
	} else if failed, ok := errors.AsType[*creatify.DownloadError](err); ok {
		fmt.Println(failed.Host, "answered", failed.StatusCode, "after", failed.Written, "bytes")
	}
	// Output:
	// video.creatify.test answered 501 after 0 bytes
}
