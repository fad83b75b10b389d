package creatifytest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestInject(t *testing.T) {
	const preview, credits = creatifytest.CallCreatePreview, creatifytest.CallCredits
	tests := []struct {
		name   string
		faults []creatifytest.Fault
		want   []int // statuses of requests for the credits
	}{
		{"a fault hits once", []creatifytest.Fault{{Status: 500}}, []int{500, 200, 200}},
		{"a fault can hit twice", []creatifytest.Fault{{Status: 500, Times: 2}}, []int{500, 500, 200}},
		{"a fault can hit for ever", []creatifytest.Fault{{Status: 500, Times: -1}}, []int{500, 500, 500, 500}},
		{"a fault can let calls through first", []creatifytest.Fault{{Status: 500, Skip: 2}}, []int{200, 200, 500, 200}},
		{"a fault for ever can let calls through first", []creatifytest.Fault{{Status: 500, Skip: 1, Times: -1}}, []int{200, 500, 500}},
		{"a fault for another call does not hit", []creatifytest.Fault{{Call: preview, Status: 500}}, []int{200}},
		{"a fault for the call hits", []creatifytest.Fault{{Call: credits, Status: 500}}, []int{500, 200}},
		{"faults hit one after the other", []creatifytest.Fault{{Status: 500}, {Status: 502}}, []int{500, 502, 200}},
		{"a fault that skips lets the next hit", []creatifytest.Fault{{Status: 500, Skip: 1}, {Status: 502}}, []int{502, 500, 200}},
		{"a fault does not count calls that another hits", []creatifytest.Fault{{Status: 500}, {Status: 502, Skip: 1}}, []int{500, 200, 502, 200}},
		{"a fault lasts for a time", []creatifytest.Fault{{Status: 500, For: 2 * time.Second}}, []int{500, 500, 200, 200}},
		{"a fault hits some times in its time", []creatifytest.Fault{{Status: 500, For: time.Hour, Times: 1}}, []int{500, 200}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				if err := api.Inject(test.faults...); err != nil {
					t.Fatal(err)
				}
				var got []int
				for range test.want {
					got = append(got, roundTrip(t, api, newRequest(t.Context(), "GET", creditsURL, "")).status)
					time.Sleep(time.Second)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("the statuses are %v, want %v", got, test.want)
				}
			})
		})
	}
}

func TestInject_invalid(t *testing.T) {
	tests := []struct {
		name  string
		fault creatifytest.Fault
		want  string
	}{
		{"a call with a typo", creatifytest.Fault{Call: "POST /api/custom_template_jobs/preview"}, `unknown call "POST /api/custom_template_jobs/preview" (use a Call constant`},
		{"an unknown drop", creatifytest.Fault{Drop: 4}, "unknown drop 4"},
		{"a negative drop", creatifytest.Fault{Drop: -1}, "unknown drop -1"},
		{"a status below 200", creatifytest.Fault{Status: 199}, "status 199 is not between 200 and 999"},
		{"a status above 999", creatifytest.Fault{Status: 1000}, "status 1000 is not between 200 and 999"},
		{"a negative skip", creatifytest.Fault{Skip: -1}, "must not be negative"},
		{"a negative time", creatifytest.Fault{For: -1}, "must not be negative"},
		{"a negative delay", creatifytest.Fault{Delay: -1}, "must not be negative"},
		{"a negative cut", creatifytest.Fault{Cut: -1}, "must not be negative"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			err := api.Inject(creatifytest.Fault{Status: 503}, test.fault)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want %q", err, test.want)
			}
			equal(t, "the number of faults", len(api.Faults()), 0)
			for range 2 { // whoever ignores the error learns of it
				got := roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, validBody))
				equal(t, "the status", got.status, 500)
				equal(t, "the body", decode(t, got, 500)["detail"], any(err.Error()))
			}
			api.ClearFaults()
			create(t, api)
		})
	}
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		api.Inject(
			creatifytest.Fault{Call: creatifytest.CallCredits, Skip: 1},
			creatifytest.Fault{Call: creatifytest.CallCredits, Times: 3},
			creatifytest.Fault{Call: creatifytest.CallGetJob, For: time.Minute},
			creatifytest.Fault{Call: creatifytest.CallGetJob, For: time.Second},
		)
		roundTrip(t, api, newRequest(t.Context(), "GET", creditsURL, ""))
		time.Sleep(time.Second)
		var left []string
		for _, f := range api.Faults() {
			left = append(left, fmt.Sprintln(f.Call, f.Skip, f.Times, f.For))
		}
		equal(t, "what is left", strings.Join(left, ""),
			"GET /api/remaining_credits/ 0 1 0s\nGET /api/remaining_credits/ 0 2 0s\nGET /api/custom_template_jobs/{id}/ 0 -1 59s\n")
	})
}

func TestClearFaults(t *testing.T) {
	api := creatifytest.New(creatifytest.Config{})
	api.Inject(creatifytest.Fault{Status: 503, Times: -1}, creatifytest.Fault{Status: 502, Times: -1})
	equal(t, "the status before", roundTrip(t, api, newRequest(t.Context(), "GET", creditsURL, "")).status, 503)
	api.ClearFaults()
	equal(t, "the status after", roundTrip(t, api, newRequest(t.Context(), "GET", creditsURL, "")).status, 200)
}

func TestFault(t *testing.T) {
	t.Run("answers in place of the API", func(t *testing.T) {
		tests := []struct {
			name        string
			fault       creatifytest.Fault
			status      int
			body        string
			contentType string
			charged     float64
		}{
			{
				name:   "a status without a body",
				fault:  creatifytest.Fault{Status: 503},
				status: 503,
			},
			{
				name:   "a status with a page",
				fault:  creatifytest.Fault{Status: 502, Body: "<html>Bad Gateway</html>"},
				status: 502, body: "<html>Bad Gateway</html>", contentType: "text/html; charset=utf-8",
			},
			{
				name:   "a status with JSON",
				fault:  creatifytest.Fault{Status: 400, Body: `["no"]`},
				status: 400, body: `["no"]`, contentType: "application/json",
			},
			{
				name:   "a status with a type of its own",
				fault:  creatifytest.Fault{Status: 400, Body: `["no"]`, Header: http.Header{"content-type": {"text/plain"}}},
				status: 400, body: `["no"]`, contentType: "text/plain",
			},
			{
				name:   "a status after the request is processed",
				fault:  creatifytest.Fault{Status: 504, Processed: true},
				status: 504, charged: 1,
			},
			{
				name:   "a processed response with another body",
				fault:  creatifytest.Fault{Body: `{"id":`},
				status: 201, body: `{"id":`, contentType: "application/json", charged: 1,
			},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				clients(t, func(t *testing.T, api *creatifytest.API, client *http.Client, host string) {
					api.Inject(test.fault)
					resp, err := client.Do(newRequest(t.Context(), "POST", host+previewPath, validBody))
					if err != nil {
						t.Fatal(err)
					}
					got := read(t, resp)
					equal(t, "the status", got.status, test.status)
					equal(t, "the body", got.body, test.body)
					equal(t, "Content-Type", got.header.Get("Content-Type"), test.contentType)
					equal(t, "Charged", api.Charged(), test.charged)
				})
			})
		}
	})

	t.Run("a header replaces that of the response", func(t *testing.T) {
		clients(t, func(t *testing.T, api *creatifytest.API, client *http.Client, host string) {
			api.Inject(creatifytest.Fault{Header: http.Header{"retry-after": {"7"}, "Content-Type": {"text/html"}}})
			resp, err := client.Do(newRequest(t.Context(), "GET", host+creditsPath, ""))
			if err != nil {
				t.Fatal(err)
			}
			got := read(t, resp)
			equal(t, "Retry-After", got.header.Get("Retry-After"), "7")
			equal(t, "Content-Type", strings.Join(got.header.Values("Content-Type"), ","), "text/html")
		})
	})

	t.Run("a cut truncates the body", func(t *testing.T) {
		tests := []struct {
			name string
			cut  int
			want string
			err  error
		}{
			{"a body is cut within", 5, `{"rem`, io.ErrUnexpectedEOF},
			{"a cut at the end changes nothing", len(`{"remaining_credits":1000}`), `{"remaining_credits":1000}`, nil},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				clients(t, func(t *testing.T, api *creatifytest.API, client *http.Client, host string) {
					api.Inject(creatifytest.Fault{Cut: test.cut})
					resp, err := client.Do(newRequest(t.Context(), "GET", host+creditsPath, ""))
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					equal(t, "ContentLength", resp.ContentLength, int64(len(`{"remaining_credits":1000}`)))
					body, err := io.ReadAll(resp.Body)
					equal(t, "what is read", string(body), test.want)
					if !errors.Is(err, test.err) {
						t.Errorf("reading ends with %v, want %v", err, test.err)
					}
				})
			})
		}
	})

	t.Run("a drop charges what was processed", func(t *testing.T) {
		tests := []struct {
			name    string
			drop    creatifytest.Drop
			charged float64
		}{
			{"before processing nothing is charged", creatifytest.DropBefore, 0},
			{"after processing the job is charged", creatifytest.DropAfter, 1},
			{"a refused connection charges nothing", creatifytest.Refuse, 0},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				clients(t, func(t *testing.T, api *creatifytest.API, client *http.Client, host string) {
					api.Inject(creatifytest.Fault{Drop: test.drop})
					resp, err := client.Do(newRequest(t.Context(), "POST", host+previewPath, validBody))
					if err == nil {
						resp.Body.Close()
						t.Errorf("the status is %d, want no response", resp.StatusCode)
					}
					equal(t, "Charged", api.Charged(), test.charged)
					equal(t, "the number of jobs", len(api.Jobs()), int(test.charged))
				})
			})
		}
	})

	t.Run("a drop is a network error", func(t *testing.T) {
		tests := []struct {
			drop creatifytest.Drop
			op   string
			want error
		}{
			{creatifytest.DropBefore, "read", syscall.ECONNRESET},
			{creatifytest.DropAfter, "read", syscall.ECONNRESET},
			{creatifytest.Refuse, "dial", syscall.ECONNREFUSED},
		}
		for _, test := range tests {
			api := creatifytest.New(creatifytest.Config{})
			api.Inject(creatifytest.Fault{Drop: test.drop})
			_, err := api.RoundTrip(newRequest(t.Context(), "POST", previewURL, validBody))
			var opErr *net.OpError
			if !errors.As(err, &opErr) || opErr.Op != test.op || !errors.Is(err, test.want) {
				t.Errorf("drop %d: the error is %v, want %s: %v", test.drop, err, test.op, test.want)
			}
		}
	})

	t.Run("a delay takes its time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			api.Inject(creatifytest.Fault{Delay: time.Hour})
			start := time.Now()
			create(t, api)
			equal(t, "the time it took", time.Since(start), time.Hour)
		})
	})

	t.Run("a delay ends with the context", func(t *testing.T) {
		for name, drop := range map[string]creatifytest.Drop{
			"a slow request":    creatifytest.NoDrop,
			"a slow connection": creatifytest.Refuse,
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := creatifytest.New(creatifytest.Config{})
					api.Inject(creatifytest.Fault{Delay: time.Hour, Drop: drop})
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					start := time.Now()
					_, err := api.RoundTrip(newRequest(ctx, "POST", previewURL, validBody))
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("the error is %v, want %v", err, context.DeadlineExceeded)
					}
					equal(t, "the time it took", time.Since(start), time.Second)
					equal(t, "Charged", api.Charged(), 0)
				})
			})
		}
	})

	t.Run("a delay ends with the timeout of the client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			api.Inject(creatifytest.Fault{Delay: time.Hour})
			client := api.HTTPClient()
			client.Timeout = 5 * time.Second
			_, err := client.Do(newRequest(t.Context(), "GET", creditsURL, ""))
			if urlErr := new(url.Error); !errors.As(err, &urlErr) || !urlErr.Timeout() {
				t.Errorf("the error is %v, want a timeout", err)
			}
		})
	})

	t.Run("a delay over a connection ends when the client goes", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{})
		server := httptest.NewServer(api)
		api.Inject(creatifytest.Fault{Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := server.Client().Do(newRequest(ctx, "POST", server.URL+previewPath, validBody))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v, want %v", err, context.DeadlineExceeded)
		}
		server.Close() // returns once no request is served
		equal(t, "Charged", api.Charged(), 0)
	})

	t.Run("hits videos", func(t *testing.T) {
		served(t, creatifytest.Config{Life: atOnce}, func(t *testing.T, api *creatifytest.API, client *http.Client) {
			url := createVideo(t, api)["video_output"]
			api.Inject(
				creatifytest.Fault{Call: creatifytest.CallVideo, Cut: 100_000},
				creatifytest.Fault{Call: creatifytest.CallVideo, Drop: creatifytest.Refuse},
				creatifytest.Fault{Call: creatifytest.CallVideo, Status: 302, Header: http.Header{"Location": {"?again"}}},
			)
			create(t, api) // is not hit
			resp := must(client.Do(fileRequest(t.Context(), "GET", url)))
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			equal(t, "ContentLength", resp.ContentLength, 15*64<<10)
			equal(t, "what is read of a body that is cut", len(body), 100_000)
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("reading ends with %v, want %v", err, io.ErrUnexpectedEOF)
			}
			if resp, err := client.Do(fileRequest(t.Context(), "GET", url)); err == nil {
				resp.Body.Close()
				t.Errorf("the status is %d, want no response", resp.StatusCode)
			}
			got := must(client.Do(fileRequest(t.Context(), "GET", url)))
			equal(t, "the query after a redirect", got.Request.URL.RawQuery, "again")
			equal(t, "the length after a redirect", len(read(t, got).body), 15*64<<10)
		})
	})
}
