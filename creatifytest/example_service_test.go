package creatifytest_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// A service that is called by webhooks is tested in virtual time: jobs take minutes, events come late and
// twice, and the API fails now and then. The service must render each preview once.
func Example_service() {
	var t *testing.T // in a test, its argument
	synctest.Test(t, testService)
}

func testService(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{
		Life:     creatifytest.Life{Duration: 2 * time.Minute, Render: creatifytest.RenderLife{Duration: 5 * time.Minute}},
		Webhooks: creatifytest.Webhooks{Delay: 10 * time.Second, Duplicates: 1},
	})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		t.Fatal(err)
	}
	service := client.Jobs.WebhookHandler(creatify.WebhookOptions{}, func(ctx context.Context, job *creatify.Job) error {
		if job.VideoOutput != "" {
			return nil
		}
		_, err := client.Jobs.Render(ctx, job.ID)
		return err
	})
	go api.RunWebhooksTo(t.Context(), service)
	api.Inject(creatifytest.Fault{Call: creatifytest.CallGetJob, Status: http.StatusBadGateway, Times: 2})

	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}, WebhookURL: "https://shop.example/"}
	if _, err := client.Jobs.CreatePreview(t.Context(), params); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Hour) // takes no time
	job, _ := api.Job(api.Jobs()[0])
	if job.Video == "" || api.Calls(creatifytest.CallRender) != 1 {
		t.Errorf("the job is %+v, want it rendered once", job)
	}
}
