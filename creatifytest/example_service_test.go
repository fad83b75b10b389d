package creatifytest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// shop is the service under test. It has a preview made for each product, and
// when a webhook says that the preview is done, its video.
type shop struct {
	client *creatify.Client

	mu       sync.Mutex
	rendered map[string]bool   // by job
	videos   map[string]string // URLs, by job
}

// add adds a product and returns the ID of its job.
func (s *shop) add(ctx context.Context, headline string) (string, error) {
	job, err := s.client.Jobs.CreatePreview(ctx, creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables:  creatify.Variables{"headline": creatify.Text(headline)},
		WebhookURL: "https://shop.example/webhook",
	})
	if err != nil {
		return "", err
	}
	return job.ID, nil
}

// ServeHTTP is the webhook. A notice proves nothing, since anybody can send it,
// and may come twice: so the job is read, and rendered but once.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var notice struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&notice); err != nil {
		http.Error(w, "this is no notice", http.StatusBadRequest)
		return
	}
	job, err := s.client.Jobs.Get(r.Context(), notice.ID)
	if err != nil {
		http.Error(w, "come again later", http.StatusServiceUnavailable)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case job.VideoOutput != "":
		s.videos[job.ID] = job.VideoOutput
	case job.Preview != "" && !s.rendered[job.ID]:
		s.rendered[job.ID] = true
		if _, err := s.client.Jobs.Render(r.Context(), job.ID); err != nil {
			http.Error(w, "the render has failed", http.StatusInternalServerError)
		}
	}
}

// inProcess calls a handler without a socket.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	p.ServeHTTP(recorder, req)
	return recorder.Result(), nil
}

// testShop is a test of the shop: jobs that take minutes, webhooks that are late
// and come twice, and an API that fails now and then.
func testShop(t *testing.T) {
	shop := &shop{rendered: make(map[string]bool), videos: make(map[string]string)}
	api := creatifytest.New(creatifytest.Config{
		Life: creatifytest.Life{
			Duration: 2 * time.Minute,
			Render:   creatifytest.RenderLife{Duration: 5 * time.Minute},
		},
		Webhooks: creatifytest.Webhooks{
			Client:     &http.Client{Transport: inProcess{shop}},
			Delay:      10 * time.Second,
			Duplicates: 1,
		},
	})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		t.Fatal(err)
	}
	shop.client = client
	api.Inject(creatifytest.Fault{Call: creatifytest.CallGetJob, Status: http.StatusBadGateway, Times: 2})
	go api.RunWebhooks(t.Context())

	id, err := shop.add(t.Context(), "Spring sale")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Hour) // takes no time

	shop.mu.Lock()
	defer shop.mu.Unlock()
	if shop.videos[id] == "" {
		t.Error("the product has no video")
	}
	if n := api.Calls(creatifytest.CallRender); n != 1 {
		t.Errorf("it was rendered %d times, want once", n)
	}
}

// A service which is called by webhooks can be tested in virtual time, with its
// own handler and without a socket.
func Example_service() {
	var t *testing.T // in a test, its argument
	synctest.Test(t, testShop)
}
