package creatifytest_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// A service's own middleware is tested with the fake below it.
func ExampleAPI_Transport() {
	api := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey,
		creatify.WithHTTPClient(&http.Client{Transport: printing{api.Transport()}}))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Workspace.RemainingCredits(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// GET /api/remaining_credits/ 200
}

// printing is a middleware.
type printing struct{ next http.RoundTripper }

func (p printing) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := p.next.RoundTrip(req)
	if err == nil {
		fmt.Println(req.Method, req.URL.Path, resp.StatusCode)
	}
	return resp, err
}
