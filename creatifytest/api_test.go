package creatifytest_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestNew(t *testing.T) {
	t.Run("configured credentials replace the defaults", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{APIID: "me", APIKey: "secret"})
		req := newRequest(t.Context(), "GET", creditsURL, "")
		equal(t, "the status with the defaults", roundTrip(t, api, req).status, 401)
		req.Header.Set("X-API-ID", "me")
		req.Header.Set("X-API-KEY", "secret")
		equal(t, "the status with those configured", roundTrip(t, api, req).status, 200)
	})

	t.Run("the seed determines the IDs", func(t *testing.T) {
		ids := func(seed uint64) string {
			api := creatifytest.New(creatifytest.Config{Seed: seed})
			first, second := create(t, api)["id"], create(t, api)["id"]
			if first == second {
				t.Fatalf("two jobs have the ID %v", first)
			}
			return strings.Join(api.Jobs(), " ")
		}
		equal(t, "the IDs for the same seed", ids(7), ids(7))
		if ids(7) == ids(8) {
			t.Error("two seeds give the same IDs")
		}
	})
}

func TestNew_credits(t *testing.T) {
	tests := []struct {
		name          string
		credits, want float64
	}{
		{"zero is the default", 0, 1000},
		{"a balance may be fractional", 0.5, 0.5},
		{"less than zero is none", -1, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			equal(t, "Credits", creatifytest.New(creatifytest.Config{Credits: test.credits}).Credits(), test.want)
		})
	}
}

func TestLifeFor(t *testing.T) {
	ended := func(status string) creatifytest.Life {
		return creatifytest.Life{Steps: []creatifytest.Step{{Status: status}}}
	}
	var api *creatifytest.API
	api = creatifytest.New(creatifytest.Config{
		Life: ended("running"),
		LifeFor: func(r creatifytest.Request) creatifytest.Life {
			return ended(r.Name + strconv.Itoa(len(api.Jobs()))) // it may use the API
		},
	})
	api.NextJob(ended("queued"))
	for i, want := range []string{"queued", "b1", "c2"} {
		body := bodyWith(t, map[string]any{"name": string("abc"[i])})
		job := decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, body)), 201)
		equal(t, "the status", job["status"], any(want))
	}
}

// header is a middleware.
type header struct{ next http.RoundTripper }

func (h header) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("X-API-KEY", creatifytest.APIKey)
	return h.next.RoundTrip(req)
}

func TestTransport(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	req := newRequest(t.Context(), "GET", creditsURL, "")
	req.Header.Del("X-API-KEY")
	client := &http.Client{Transport: header{api.Transport()}}
	equal(t, "the status below a middleware", read(t, must(client.Do(req))).status, 200)
}

func TestNextJob(t *testing.T) {
	t.Run("lives are taken in order", func(t *testing.T) {
		steps := func(status string) creatifytest.Life {
			return creatifytest.Life{Steps: []creatifytest.Step{{Status: status}}}
		}
		api := creatifytest.New(creatifytest.Config{Life: steps("running")})
		api.NextJob(steps("failed"), steps("rejected"))
		for _, want := range []string{"failed", "rejected", "running"} {
			equal(t, "the status", create(t, api)["status"], any(want))
		}
	})

	t.Run("a refused request takes none", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		api.NextJob(creatifytest.Life{Steps: []creatifytest.Step{{Status: "failed"}}})
		roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, `{}`))
		equal(t, "the status", create(t, api)["status"], any("failed"))
	})
}

func TestCalls(t *testing.T) {
	t.Run("a request counts whatever becomes of it", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		api.Inject(
			creatifytest.Fault{Call: creatifytest.CallCreatePreview, Drop: creatifytest.Refuse},
			creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 503},
		)
		for _, body := range []string{validBody, validBody, `{}`, validBody} {
			if resp, err := api.RoundTrip(newRequest(t.Context(), "POST", previewURL, body)); err == nil {
				resp.Body.Close()
			}
		}
		get(t, api, api.Jobs()[0])
		roundTrip(t, api, newRequest(t.Context(), "GET", creditsURL, ""))
		roundTrip(t, api, newRequest(t.Context(), "PUT", creditsURL, ""))
		roundTrip(t, api, newRequest(t.Context(), "GET", base+"/", ""))

		equal(t, "CallCreatePreview", api.Calls(creatifytest.CallCreatePreview), 4)
		equal(t, "CallGetJob", api.Calls(creatifytest.CallGetJob), 1)
		equal(t, "CallCredits", api.Calls(creatifytest.CallCredits), 1)
		equal(t, "the number of all requests", api.Calls(""), 8)
	})

	t.Run("each call is counted for itself", func(t *testing.T) {
		tests := []struct {
			call   creatifytest.Call
			method string
			url    string
		}{
			{creatifytest.CallCreatePreview, "POST", previewURL},
			{creatifytest.CallPreviewSync, "POST", syncURL},
			{creatifytest.CallCreateVideo, "POST", jobsURL},
			{creatifytest.CallRender, "POST", renderURL(unknownID)},
			{creatifytest.CallGetJob, "GET", jobsURL + unknownID + "/"},
			{creatifytest.CallListTemplates, "GET", templatesURL},
			{creatifytest.CallGetTemplate, "GET", templatesURL + unknownID + "/"},
			{creatifytest.CallCredits, "GET", creditsURL},
			{creatifytest.CallVideo, "GET", base + "/videos/" + unknownID + ".mp4"},
		}
		api := creatifytest.New(creatifytest.Config{})
		for i, test := range tests {
			for range i + 1 {
				roundTrip(t, api, newRequest(t.Context(), test.method, test.url, ""))
			}
		}
		for i, test := range tests {
			equal(t, string(test.call), api.Calls(test.call), i+1)
		}
	})
}

func TestJobs(t *testing.T) {
	t.Run("the IDs are in order of creation", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		var want []string
		for range 20 {
			want = append(want, create(t, api)["id"].(string))
		}
		equal(t, "the list of jobs", strings.Join(api.Jobs(), " "), strings.Join(want, " "))
	})
}

func TestLeakedCredentials(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{Life: atOnce})
	video, preview := createVideo(t, api)["video_output"], create(t, api)["preview"]
	for i, test := range []struct {
		url    any
		header string
		want   int
	}{
		{video, "X-API-ID", 1},
		{video, "X-API-KEY", 2},
		{video, "X-Other", 2},
		{preview, "X-API-KEY", 3},
		{preview, "X-Other", 3},
		{creditsURL, "X-API-KEY", 3},
		{video.(string) + "?x=y", "X-API-KEY", 4},
		{"https://video.creatify.test/videos/" + unknownID + ".mp4", "X-API-KEY", 5},
	} {
		req := fileRequest(t.Context(), "GET", test.url)
		req.Header.Set(test.header, "x")
		roundTrip(t, api, req)
		equal(t, "LeakedCredentials after request "+strconv.Itoa(i), api.LeakedCredentials(), test.want)
	}
}

func TestAPI(t *testing.T) {
	t.Run("is safe for concurrent use", func(t *testing.T) {
		const clients, each = 8, 50
		api := creatifytest.New(creatifytest.Config{Credits: clients*each - 10, RequestsPerMinute: 1e6})
		send := func(method, url, body string) {
			resp, err := api.RoundTrip(newRequest(t.Context(), method, url, body))
			if err != nil {
				t.Errorf("%s %s: %v", method, url, err)
				return
			}
			resp.Body.Close()
		}
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				for range each {
					api.NextJob(creatifytest.Life{Duration: time.Second})
					api.Inject(creatifytest.Fault{Call: creatifytest.CallCredits, Status: 503})
					send("POST", previewURL, validBody)
					send("GET", jobsURL+api.Jobs()[0]+"/", "")
					send("GET", creditsURL, "")
				}
			})
		}
		wg.Wait()
		equal(t, "the number of requests for a preview", api.Calls(creatifytest.CallCreatePreview), clients*each)
		equal(t, "the number of jobs", len(api.Jobs()), clients*each-10)
		equal(t, "Charged", api.Charged(), clients*each-10)
		equal(t, "Credits", api.Credits(), 0)
	})
}
