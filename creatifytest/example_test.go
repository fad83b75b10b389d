package creatifytest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// A test without a socket uses the fake as the transport of its client.
func Example() {
	ctx := context.Background()
	api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: time.Millisecond}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	job, err := client.Jobs.CreatePreview(ctx, creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
	})
	if err != nil {
		log.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond) // in a bubble of testing/synctest, this takes no time
	if job, err = client.Jobs.Get(ctx, job.ID); err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status, job.Progress)
	fmt.Println(api.Charged(), "credit charged")
	// Output:
	// done 1
	// 1 credit charged
}

// An account with a template of its own, which refuses what the template does not have, as the real API may.
func ExampleNew() {
	const templateID = "11111111-2222-4333-8444-555555555555"
	api := creatifytest.New(creatifytest.Config{
		Templates:       []creatifytest.Template{{ID: templateID, Variables: map[string]string{"price": "text"}}},
		StrictTemplates: true,
	})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.CreatePreview(context.Background(), creatify.JobParams{
		TemplateID: templateID,
		Variables:  creatify.Variables{"prize": creatify.Text("9.50")},
	})
	if refusal, ok := errors.AsType[*creatify.APIError](err); ok {
		for _, message := range refusal.Fields["variables"] {
			fmt.Println(message)
		}
	}
	fmt.Println(api.Charged(), "credits charged")
	// Output:
	// Variable "prize" is not in the template.
	// Variable "price" is required.
	// 0 credits charged
}

// The request decides how its job goes: here by the job's name.
func ExampleConfig_lifeFor() {
	ctx := context.Background()
	api := creatifytest.New(creatifytest.Config{LifeFor: func(r creatifytest.Request) creatifytest.Life {
		if r.Name == "no photo" {
			return creatifytest.Life{Duration: 1, End: "failed", Reason: "The photo could not be fetched."}
		}
		return creatifytest.Life{Duration: 1}
	}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"good", "no photo"} {
		params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Name: name, Variables: creatify.Variables{}}
		created, err := client.Jobs.CreatePreview(ctx, params)
		if err != nil {
			log.Fatal(err)
		}
		job, err := client.Jobs.Get(ctx, created.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s %q\n", name, job.Status, job.FailedReason)
	}
	// Output:
	// good: done ""
	// no photo: failed "The photo could not be fetched."
}

// A job can count reads instead of time, for a program whose clock a test does not control.
func ExampleLife_perRead() {
	ctx := context.Background()
	api := creatifytest.New(creatifytest.Config{
		Life: creatifytest.Life{Duration: 3 * time.Second, PerRead: time.Second}, // done at the third read
	})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	created, err := client.Jobs.CreatePreview(ctx, params)
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		job, err := client.Jobs.Get(ctx, created.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(job.Status)
	}
	// Output:
	// running
	// running
	// done
}

// A job may show its preview while its status is still pending.
func ExampleStep() {
	ctx := context.Background()
	api := creatifytest.New(creatifytest.Config{
		Life: creatifytest.Life{Steps: []creatifytest.Step{{Status: "pending", Preview: true}}},
	})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	job, err := client.Jobs.CreatePreview(ctx, params)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status, "with a preview:", job.Preview != "")
	// Output:
	// pending with a preview: true
}

// The next two jobs go as set here. Later jobs go as Config.Life says.
func ExampleAPI_NextJob() {
	ctx := context.Background()
	api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	api.NextJob(creatifytest.Life{Duration: 1, End: "failed"}, creatifytest.Life{Duration: 1, End: "rejected"})
	for range 3 {
		params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
		created, err := client.Jobs.CreatePreview(ctx, params)
		if err != nil {
			log.Fatal(err)
		}
		job, err := client.Jobs.Get(ctx, created.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(job.Status)
	}
	// Output:
	// failed
	// rejected
	// done
}

// A client lost the response, and with it the job's ID. The test sees the job all the same.
func ExampleAPI_Job() {
	api := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	if err := api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Drop: creatifytest.DropAfter}); err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.CreatePreview(context.Background(), creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
	})
	fmt.Println("unknown:", errors.Is(err, creatify.ErrOutcomeUnknown))
	for _, id := range api.Jobs() {
		job, _ := api.Job(id)
		fmt.Printf("%s, %v credit, %q\n", job.Status, job.Charged, job.Request.Text("headline"))
	}
	// Output:
	// unknown: true
	// pending, 1 credit, "Spring sale"
}

// Requests are counted by call and, for "", in all, whatever became of them.
func ExampleAPI_Calls() {
	ctx := context.Background()
	api := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Workspace.RemainingCredits(ctx); err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.Get(ctx, "no such job")
	fmt.Println("unknown:", errors.Is(err, creatify.ErrNotFound))
	fmt.Println(api.Calls(creatifytest.CallCredits), api.Calls(creatifytest.CallGetJob), api.Calls(""))
	// Output:
	// unknown: true
	// 1 1 2
}

// A service that fetches videos by itself must not send its key along.
func ExampleAPI_LeakedCredentials() {
	ctx := context.Background()
	api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1}})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	job, err := client.Jobs.CreateVideo(ctx, params)
	if err != nil {
		log.Fatal(err)
	}
	if job, err = client.Jobs.Get(ctx, job.ID); err != nil {
		log.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, "GET", job.VideoOutput, nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("X-API-KEY", creatifytest.APIKey) // the mistake
	resp, err := api.HTTPClient().Do(req)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	fmt.Println(api.LeakedCredentials(), "request leaked the key")
	// Output:
	// 1 request leaked the key
}

// The fake answers for every host, and nothing leaves the process.
func ExampleAPI_HTTPClient() {
	api := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey,
		creatify.WithBaseURL("https://creatify.example.com"),
		creatify.WithHTTPClient(api.HTTPClient()))
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

// A test over a real connection uses the fake as a server's handler. With a BaseURL, the URLs in responses
// lead to that server.
func ExampleAPI_ServeHTTP() {
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = creatifytest.New(creatifytest.Config{
		BaseURL: "http://" + server.Listener.Addr().String(),
		Life:    creatifytest.Life{Steps: []creatifytest.Step{{Status: "done"}}},
	})
	server.Start()
	defer server.Close()
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithBaseURL(server.URL))
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	job, err := client.Jobs.CreatePreview(context.Background(), params)
	if err != nil {
		log.Fatal(err)
	}
	page, err := server.Client().Get(job.Preview)
	if err != nil {
		log.Fatal(err)
	}
	defer page.Body.Close()
	fmt.Println(job.Status, page.StatusCode, page.Header.Get("Content-Type"))
	// Output:
	// done 200 text/html; charset=utf-8
}
