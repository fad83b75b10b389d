package creatifytest_test

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// show sends a request with the fake's credentials and prints the status of the
// reply and of the job in it.
func show(client *http.Client, method, url, body string) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("X-API-ID", creatifytest.APIID)
	req.Header.Set("X-API-KEY", creatifytest.APIKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	var job struct {
		Status string `json:"status"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&job); err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Status, job.Status)
}

// A test which needs no socket uses the API as a client's transport.
func Example() {
	api := creatifytest.New(creatifytest.Config{
		Life: creatifytest.Life{Steps: []creatifytest.Step{
			{At: 0, Status: "running", Progress: 0.2},
			{At: time.Millisecond, Status: "done", Progress: 1},
		}},
	})
	client := api.HTTPClient()

	const jobs = "https://api.creatify.ai/api/custom_template_jobs/"
	show(client, "POST", jobs+"preview_async/", `{"template_id": "`+creatifytest.TemplateID+`", "variables": {}}`)
	time.Sleep(5 * time.Millisecond) // in a bubble of testing/synctest, this takes no time
	show(client, "GET", jobs+api.Jobs()[0]+"/", "")
	fmt.Println(api.Charged(), "credit charged")
	// Output:
	// 201 Created running
	// 200 OK done
	// 1 credit charged
}

// A test over a real connection uses the API as a server's handler.
func Example_server() {
	api := creatifytest.New(creatifytest.Config{})
	server := httptest.NewServer(api)
	defer server.Close()

	previews := server.URL + "/api/custom_template_jobs/preview_async/"
	show(server.Client(), "POST", previews, `{"template_id": "`+creatifytest.TemplateID+`", "variables": {}}`)
	fmt.Println(len(api.Jobs()), "job")
	// Output:
	// 201 Created pending
	// 1 job
}

// A fault makes a call go wrong: here the first one, and only that.
func ExampleAPI_Inject() {
	api := creatifytest.New(creatifytest.Config{})
	api.Inject(creatifytest.Fault{
		Call:   creatifytest.CallCreatePreview,
		Status: http.StatusServiceUnavailable,
		Body:   `{"status": "try later"}`,
	})

	const previews = "https://api.creatify.ai/api/custom_template_jobs/preview_async/"
	const body = `{"template_id": "` + creatifytest.TemplateID + `", "variables": {}}`
	show(api.HTTPClient(), "POST", previews, body)
	show(api.HTTPClient(), "POST", previews, body)
	fmt.Println(api.Calls(creatifytest.CallCreatePreview), "calls,", len(api.Jobs()), "job")
	// Output:
	// 503 Service Unavailable try later
	// 201 Created pending
	// 2 calls, 1 job
}
