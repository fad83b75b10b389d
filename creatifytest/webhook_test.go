package creatifytest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// inbox is where webhooks go in tests. It is not for concurrent use, since
// events come one after the other.
type inbox struct {
	start    time.Time
	got      []string                         // "1m0s done" for each event, with the time since start
	bodies   []map[string]any                 // what was in it
	response func(*http.Request) (int, error) // nil for 200
}

func (b *inbox) RoundTrip(req *http.Request) (*http.Response, error) {
	var body map[string]any
	err := json.NewDecoder(req.Body).Decode(&body)
	if err != nil || req.Method != "POST" || req.Header.Get("Content-Type") != "application/json" {
		return nil, fmt.Errorf("this is no event: %v %w", req, err)
	}
	b.got = append(b.got, fmt.Sprint(time.Since(b.start), " ", body["status"]))
	b.bodies = append(b.bodies, body)
	status := 200
	if b.response != nil {
		if status, err = b.response(req); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}, nil
}

func (b *inbox) wants(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(b.got, want) {
		t.Errorf("the events are %q, want %q", b.got, want)
	}
}

const hookedBody = `{"template_id":"` + creatifytest.TemplateID + `","variables":{},"webhook_url":"https://example.com/hook"}`

// hooked runs a test in a bubble, in which the webhooks go to the inbox.
func hooked(t *testing.T, config creatifytest.Config, test func(t *testing.T, api *creatifytest.API, box *inbox)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		box := &inbox{start: time.Now()}
		config.Webhooks.Client = &http.Client{Transport: box}
		api := creatifytest.New(config)
		stop := runWebhooks(t, api)
		defer stop()
		test(t, api, box)
	})
}

// runWebhooks returns when they have begun; stop, when they have ended.
func runWebhooks(t *testing.T, api *creatifytest.API) (stop func()) {
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error)
	go func() { ended <- api.RunWebhooks(ctx) }()
	synctest.Wait()
	return func() {
		t.Helper()
		before := time.Now()
		cancel(enough)
		equal(t, "the error of RunWebhooks", <-ended, enough)
		equal(t, "the time it takes to end", time.Since(before), 0)
	}
}

func createHooked(t *testing.T, api *creatifytest.API) (id string) {
	t.Helper()
	return decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, hookedBody)), 201)["id"].(string)
}

func TestRunWebhooks(t *testing.T) {
	t.Run("sends the events of a job", func(t *testing.T) {
		const s = time.Second
		all := []string{"pending", "in_queue", "running", "paused", "done", "failed", "rejected"}
		tests := []struct {
			name     string
			life     creatifytest.Life
			statuses []string
			want     []string
		}{
			{"its end", creatifytest.Life{}, nil, []string{"20s done"}},
			{"its failure", creatifytest.Life{End: "failed", Duration: 90 * s}, nil, []string{"1m30s failed"}},
			{"its rejection", creatifytest.Life{End: "rejected"}, nil, []string{"20s rejected"}},
			{"none of a job that never ends", creatifytest.Life{Duration: -1}, nil, nil},
			{"none if none is wanted", creatifytest.Life{}, []string{}, nil},
			{"what is wanted", creatifytest.Life{}, []string{"running", "failed"}, []string{"4s running"}},
			{"each status", creatifytest.Life{}, all, []string{"0s pending", "2s in_queue", "4s running", "20s done"}},
			{"each status of a job that never ends", creatifytest.Life{Duration: -1}, all, []string{"0s pending", "2s in_queue", "4s running"}},
			{"each status of a job that is done at once", creatifytest.Life{Duration: 1}, all, []string{"0s pending", "1ns done"}},
			{"each of the steps that is another", creatifytest.Life{Steps: []creatifytest.Step{
				{At: 9 * s, Status: "done"}, {At: 3 * s, Status: "paused"}, {At: 4 * s, Status: "paused", Progress: 0.5}, {At: 10 * s, Status: "failed"},
				{At: -s, Status: "running"}, {At: 9 * s, Status: "rejected"},
			}}, all, []string{"0s pending", "3s paused", "9s rejected", "10s failed"}},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				config := creatifytest.Config{Life: test.life, Webhooks: creatifytest.Webhooks{Statuses: test.statuses}}
				hooked(t, config, func(t *testing.T, api *creatifytest.API, box *inbox) {
					createHooked(t, api)
					time.Sleep(time.Hour)
					box.wants(t, test.want...)
				})
			})
		}
	})

	t.Run("sends the events of a render", func(t *testing.T) {
		const s = time.Second
		tests := []struct {
			name   string
			render creatifytest.RenderLife
			want   []string // since the call for it
		}{
			{"its end", creatifytest.RenderLife{}, []string{"0s running", "20s done"}},
			{"its failure", creatifytest.RenderLife{End: "failed"}, []string{"0s running", "20s failed"}},
			{"after its lag", creatifytest.RenderLife{Lag: 4 * s, Duration: 14 * s}, []string{"4s running", "14s done"}},
			{"one that is never seen running", creatifytest.RenderLife{Lag: 30 * s, Duration: 10 * s}, []string{"10s done"}},
			{"one that never ends", creatifytest.RenderLife{Lag: 30 * s, Duration: -1}, []string{"30s running"}},
			{"of a negative lag", creatifytest.RenderLife{Lag: -10 * s}, []string{"0s running", "20s done"}},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				config := creatifytest.Config{
					Life:     creatifytest.Life{Render: test.render},
					Webhooks: creatifytest.Webhooks{Statuses: []string{"running", "done", "failed"}},
				}
				hooked(t, config, func(t *testing.T, api *creatifytest.API, box *inbox) {
					id := createHooked(t, api)
					time.Sleep(time.Minute)
					box.wants(t, "4s running", "20s done")
					box.got, box.start = nil, time.Now()
					render(t, api, id)
					time.Sleep(time.Hour)
					box.wants(t, test.want...)
				})
			})
		}
	})

	t.Run("an event holds the values of the job", func(t *testing.T) {
		tests := []struct {
			name string
			url  string
			life creatifytest.Life
			key  string
			want map[string]any // "video" stands for its URL
		}{
			{"a preview", previewURL, creatifytest.Life{}, "", map[string]any{"status": "done", "failed_reason": nil, "video_output": nil}},
			{"a video", jobsURL, creatifytest.Life{}, "", map[string]any{"status": "done", "failed_reason": nil, "video_output": "video"}},
			{"a video by the other name", jobsURL, creatifytest.Life{}, "output", map[string]any{"status": "done", "failed_reason": nil, "output": "video"}},
			{"a failure", previewURL, creatifytest.Life{End: "failed", Reason: "no such voice"}, "", map[string]any{"status": "failed", "failed_reason": "no such voice", "video_output": nil}},
			{"a job whose answers are edited", previewURL, creatifytest.Life{Edit: func(job map[string]any) { clear(job) }}, "",
				map[string]any{"status": "done", "failed_reason": nil, "video_output": nil}},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				config := creatifytest.Config{Life: test.life, Webhooks: creatifytest.Webhooks{VideoField: test.key}}
				hooked(t, config, func(t *testing.T, api *creatifytest.API, box *inbox) {
					roundTrip(t, api, newRequest(t.Context(), "POST", test.url, hookedBody))
					time.Sleep(time.Hour)
					box.wants(t, "20s "+test.want["status"].(string))
					id := api.Jobs()[0]
					test.want["id"] = id
					got := box.bodies[0]
					equal(t, "the number of keys", len(got), len(test.want))
					for key, want := range test.want {
						if want == "video" {
							want = "https://video.creatify.test/" + id + ".mp4"
						}
						equal(t, key, got[key], want)
					}
				})
			})
		}
	})

	t.Run("an event has a URL that expires", func(t *testing.T) {
		life := atOnce
		life.Render.URLLifetime = time.Minute
		config := creatifytest.Config{Life: life, Webhooks: creatifytest.Webhooks{Delay: 50 * time.Second}}
		hooked(t, config, func(t *testing.T, api *creatifytest.API, box *inbox) {
			roundTrip(t, api, newRequest(t.Context(), "POST", jobsURL, hookedBody))
			time.Sleep(time.Minute - 1)
			box.wants(t, "50s done")
			url := box.bodies[0]["video_output"]
			equal(t, "the status in its lifetime", roundTrip(t, api, fileRequest(t.Context(), "GET", url)).status, 200)
			time.Sleep(time.Nanosecond)
			equal(t, "the status after it", roundTrip(t, api, fileRequest(t.Context(), "GET", url)).status, 403)
		})
	})

	t.Run("a job without a webhook sends none", func(t *testing.T) {
		hooked(t, creatifytest.Config{}, func(t *testing.T, api *creatifytest.API, box *inbox) {
			create(t, api)
			roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, bodyWith(t, map[string]any{"webhook_url": nil})))
			time.Sleep(time.Hour)
			box.wants(t)
		})
	})

	t.Run("a step that a render replaces sends none", func(t *testing.T) {
		const s = time.Second
		config := creatifytest.Config{
			Life: creatifytest.Life{
				Steps:  []creatifytest.Step{{Status: "done"}, {At: 9 * s, Status: "failed"}},
				Render: creatifytest.RenderLife{Duration: 30 * s},
			},
			Webhooks: creatifytest.Webhooks{Delay: 5 * s},
		}
		hooked(t, config, func(t *testing.T, api *creatifytest.API, box *inbox) {
			id := createHooked(t, api)
			time.Sleep(3 * s) // events of the past are sent all the same
			render(t, api, id)
			time.Sleep(time.Hour)
			box.wants(t, "5s done", "38s done")
		})
	})

	t.Run("events can fail", func(t *testing.T) {
		const s = time.Second
		tests := []struct {
			name  string
			hooks creatifytest.Webhooks
			want  []string
		}{
			{"they can be late", creatifytest.Webhooks{Delay: 3 * s}, []string{"7s running", "23s done"}},
			{"they can come more than once", creatifytest.Webhooks{Duplicates: 2},
				[]string{"4s running", "4s running", "4s running", "20s done", "20s done", "20s done"}},
			{"one can be lost", creatifytest.Webhooks{Lose: func(n int) bool { return n == 1 }}, []string{"4s running"}},
			{"one of two copies can be lost", creatifytest.Webhooks{Duplicates: 1, Lose: func(n int) bool { return n%2 == 0 }}, []string{"4s running", "20s done"}},
			{"what is negative changes nothing", creatifytest.Webhooks{Duplicates: -1, Delay: -s, Shuffle: -s}, []string{"4s running", "20s done"}},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				test.hooks.Statuses = []string{"running", "done"}
				hooked(t, creatifytest.Config{Webhooks: test.hooks}, func(t *testing.T, api *creatifytest.API, box *inbox) {
					createHooked(t, api)
					time.Sleep(time.Hour)
					box.wants(t, test.want...)
				})
			})
		}
	})

	t.Run("events due at once are in order", func(t *testing.T) {
		hooked(t, creatifytest.Config{}, func(t *testing.T, api *creatifytest.API, box *inbox) {
			for range 20 {
				createHooked(t, api)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			var ids []string
			for _, body := range box.bodies {
				ids = append(ids, body["id"].(string))
			}
			if !slices.Equal(ids, api.Jobs()) {
				t.Errorf("the events tell of %q, want the order of the jobs: %q", ids, api.Jobs())
			}
		})
	})

	t.Run("the seed shuffles events", func(t *testing.T) {
		order := func(seed uint64) (all []string) {
			config := creatifytest.Config{Seed: seed, Webhooks: creatifytest.Webhooks{
				Statuses: []string{"in_queue", "running", "done"}, Shuffle: time.Minute,
			}}
			hooked(t, config, func(t *testing.T, api *creatifytest.API, box *inbox) {
				for range 5 {
					createHooked(t, api)
				}
				time.Sleep(time.Minute + 20*time.Second)
				synctest.Wait()
				all = box.got
			})
			return all
		}
		first := order(7)
		equal(t, "the number of events", len(first), 15)
		if again := order(7); !slices.Equal(first, again) {
			t.Errorf("the events for the same seed are %q and %q", first, again)
		}
		if slices.Equal(first, order(8)) {
			t.Errorf("two seeds give the same: %q", first)
		}
		end := slices.IndexFunc(first, func(s string) bool { return strings.HasSuffix(s, "done") })
		if !slices.ContainsFunc(first[end:], func(s string) bool { return !strings.HasSuffix(s, "done") }) {
			t.Errorf("none overtakes another: %q", first)
		}
	})

	t.Run("an event is sent again until it is accepted", func(t *testing.T) {
		refused := func(*http.Request) (int, error) { return 503, nil }
		broken := func(*http.Request) (int, error) { return 0, errors.New("connection refused") }
		slow := func(req *http.Request) (int, error) {
			<-req.Context().Done()
			return 0, req.Context().Err()
		}
		accepted := func(*http.Request) (int, error) { return 204, nil }
		tests := []struct {
			name    string
			answers []func(*http.Request) (int, error) // the last stands for those after it, too
			want    []string
		}{
			{"what is accepted at once", []func(*http.Request) (int, error){accepted}, []string{"20s done"}},
			{"what is refused once", []func(*http.Request) (int, error){refused, accepted}, []string{"20s done", "30s done"}},
			{"what does not arrive", []func(*http.Request) (int, error){broken, accepted}, []string{"20s done", "30s done"}},
			{"what is not answered", []func(*http.Request) (int, error){slow, accepted}, []string{"20s done", "40s done"}},
			{"what is always refused", []func(*http.Request) (int, error){refused}, []string{"20s done", "30s done", "50s done"}},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				lost := 0
				config := creatifytest.Config{Webhooks: creatifytest.Webhooks{Lose: func(n int) bool {
					lost++
					return n > 0
				}}}
				hooked(t, config, func(t *testing.T, api *creatifytest.API, box *inbox) {
					box.response = func(req *http.Request) (int, error) {
						return test.answers[min(len(box.got), len(test.answers))-1](req)
					}
					createHooked(t, api)
					time.Sleep(time.Hour)
					box.wants(t, test.want...)
					equal(t, "how often it may be lost", lost, 1)
				})
			})
		}
	})

	t.Run("events wait for a run", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			box := &inbox{start: time.Now()}
			api := creatifytest.New(creatifytest.Config{Webhooks: creatifytest.Webhooks{Client: &http.Client{Transport: box}}})
			createHooked(t, api)
			time.Sleep(5 * time.Second)
			createHooked(t, api)
			time.Sleep(25 * time.Second)
			box.wants(t)
			stop := runWebhooks(t, api)
			box.wants(t, "30s done", "30s done")
			equal(t, "the first", box.bodies[0]["id"], any(api.Jobs()[0]))
			createHooked(t, api)
			time.Sleep(time.Second)
			stop()
			time.Sleep(time.Minute)
			stop = runWebhooks(t, api)
			box.wants(t, "30s done", "30s done", "1m31s done")
			stop()
		})
	})

	t.Run("an event under way is sent again by the next run", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			box := &inbox{start: time.Now(), response: func(req *http.Request) (int, error) {
				<-req.Context().Done()
				return 0, req.Context().Err()
			}}
			api := creatifytest.New(creatifytest.Config{Webhooks: creatifytest.Webhooks{
				Client: &http.Client{Transport: box}, Lose: func(n int) bool { return n > 0 },
			}})
			stop := runWebhooks(t, api)
			createHooked(t, api)
			time.Sleep(21 * time.Second)
			stop()
			box.response = nil
			stop = runWebhooks(t, api)
			box.wants(t, "20s done", "21s done")
			stop()
		})
	})

	t.Run("needs a client", func(t *testing.T) {
		if err := creatifytest.New(creatifytest.Config{}).RunWebhooks(t.Context()); err == nil {
			t.Error("there is no error")
		}
	})

	t.Run("runs once", func(t *testing.T) {
		hooked(t, creatifytest.Config{}, func(t *testing.T, api *creatifytest.API, box *inbox) {
			if err := api.RunWebhooks(t.Context()); err == nil {
				t.Error("there is no error")
			}
			createHooked(t, api)
			time.Sleep(time.Minute)
			box.wants(t, "20s done") // by the one that runs
		})
	})

	t.Run("the webhook may ask the API", func(t *testing.T) {
		hooked(t, creatifytest.Config{}, func(t *testing.T, api *creatifytest.API, box *inbox) {
			box.response = func(*http.Request) (int, error) {
				if id := api.Jobs()[0]; get(t, api, id)["video_output"] == nil {
					render(t, api, id)
				}
				return 200, nil
			}
			createHooked(t, api)
			time.Sleep(time.Minute)
			box.wants(t, "20s done", "40s done")
		})
	})

	t.Run("sends many events", func(t *testing.T) {
		const jobs = 2000
		hooked(t, creatifytest.Config{Credits: jobs, Webhooks: creatifytest.Webhooks{Shuffle: time.Minute}}, func(t *testing.T, api *creatifytest.API, box *inbox) {
			for range jobs {
				createHooked(t, api)
				time.Sleep(50 * time.Millisecond)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			ids := make(map[any]bool)
			for _, body := range box.bodies {
				ids[body["id"]] = true
			}
			equal(t, "the number of events", len(box.got), jobs)
			equal(t, "the number of jobs they tell of", len(ids), jobs)
		})
	})

	t.Run("runs the example of a service", func(t *testing.T) {
		synctest.Test(t, testService)
	})

	t.Run("sends over a connection", func(t *testing.T) {
		got := make(chan string, 1)
		hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- r.URL.Path + " " + string(body)
		}))
		defer hook.Close()
		api := creatifytest.New(creatifytest.Config{Life: atOnce, Webhooks: creatifytest.Webhooks{Client: hook.Client()}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- api.RunWebhooks(ctx) }()
		roundTrip(t, api, newRequest(t.Context(), "POST", previewURL, bodyWith(t, map[string]any{"webhook_url": hook.URL + "/hook"})))
		equal(t, "the event", <-got, `/hook {"failed_reason":null,"id":"`+api.Jobs()[0]+`","status":"done","video_output":null}`)
		cancel()
		equal(t, "the error", <-ended, context.Canceled)
	})
}

func TestRunWebhooksTo(t *testing.T) {
	t.Run("a handler that is made later gets the events", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			id := createHooked(t, api)
			var got []string
			statuses := []int{503, 204}
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = append(got, fmt.Sprintln(r.Method, r.Host, r.RequestURI, r.URL.Path, r.URL.Host, r.Header.Get("Content-Type"), string(body)))
				w.WriteHeader(statuses[0])
				statuses = statuses[1:]
			})
			go api.RunWebhooksTo(t.Context(), handler)
			time.Sleep(time.Hour)
			synctest.Wait()
			want := "POST example.com /hook /hook  application/json " +
				`{"failed_reason":null,"id":"` + id + `","status":"done","video_output":null}` + "\n"
			equal(t, "the events", strings.Join(got, ""), want+want)
		})
	})

	t.Run("a handler that aborts loses the response", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			createHooked(t, api)
			calls := 0
			go api.RunWebhooksTo(t.Context(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				calls++
				panic(http.ErrAbortHandler)
			}))
			time.Sleep(time.Hour)
			synctest.Wait()
			equal(t, "the number of attempts", calls, 3)
		})
	})

	t.Run("another panic of the handler is not hidden", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			createHooked(t, api)
			defer func() { equal(t, "the panic", recover(), any("a bug")) }()
			api.RunWebhooksTo(t.Context(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") }))
		})
	})

	t.Run("needs a handler", func(t *testing.T) {
		if err := creatifytest.New(creatifytest.Config{}).RunWebhooksTo(t.Context(), nil); err == nil {
			t.Error("there is no error")
		}
	})
}
