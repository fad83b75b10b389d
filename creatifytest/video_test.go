package creatifytest_test

import (
	"context"
	"crypto/sha256"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// atOnce is the life of a job that is done when it's created, as is its render.
var atOnce = creatifytest.Life{Steps: []creatifytest.Step{{Status: "done", Progress: 1}}, Render: creatifytest.RenderLife{Duration: 1}}

// createVideo makes a job which has a video at once and returns it.
func createVideo(t *testing.T, api *creatifytest.API) map[string]any {
	t.Helper()
	return decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", jobsURL, validBody)), http.StatusCreated)
}

// fileRequest returns a request for a file: without credentials.
func fileRequest(ctx context.Context, method string, url any) *http.Request {
	req, err := http.NewRequestWithContext(ctx, method, url.(string), nil)
	if err != nil {
		panic(err)
	}
	return req
}

// served runs a test without a socket and over a connection, with an API whose
// URLs can be fetched by the client.
func served(t *testing.T, config creatifytest.Config, test func(t *testing.T, api *creatifytest.API, client *http.Client)) {
	t.Run("without a socket", func(t *testing.T) {
		api := creatifytest.New(config)
		test(t, api, api.HTTPClient())
	})
	t.Run("over a connection", func(t *testing.T) {
		server := httptest.NewUnstartedServer(nil)
		config.BaseURL = "http://" + server.Listener.Addr().String()
		api := creatifytest.New(config)
		server.Config.Handler = api
		server.Start()
		defer server.Close()
		test(t, api, server.Client())
	})
}

func must(resp *http.Response, err error) *http.Response {
	if err != nil {
		panic(err)
	}
	return resp
}

func TestServeVideo(t *testing.T) {
	t.Run("serves the same bytes again", func(t *testing.T) {
		served(t, creatifytest.Config{Life: atOnce}, func(t *testing.T, api *creatifytest.API, client *http.Client) {
			url := createVideo(t, api)["video_output"]
			resp, err := client.Do(fileRequest(t.Context(), "GET", url))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "ContentLength", resp.ContentLength, 15*64<<10)
			got := read(t, resp)
			equal(t, "the status", got.status, 200)
			equal(t, "the length", len(got.body), 15*64<<10)
			equal(t, "Content-Type", got.header.Get("Content-Type"), "video/mp4")
			equal(t, "what a browser takes it for", http.DetectContentType([]byte(got.body)), "video/mp4")
			equal(t, "Accept-Ranges", got.header.Get("Accept-Ranges"), "bytes")
			equal(t, "ETag", got.header.Get("ETag"), strconv.Quote(api.Jobs()[0]))
			equal(t, "CallVideo", api.Calls(creatifytest.CallVideo), 1)
			equal(t, "LeakedCredentials", api.LeakedCredentials(), 0)

			again, err := client.Do(fileRequest(t.Context(), "GET", url))
			if err != nil {
				t.Fatal(err)
			}
			if read(t, again).body != got.body {
				t.Error("a second time its bytes are others")
			}
		})
	})

	t.Run("serves parts", func(t *testing.T) {
		const size = 1000
		life := atOnce
		life.VideoSize = size
		tests := []struct {
			name         string
			method       string
			header       http.Header // %s stands for the ETag
			status       int
			from, to     int
			contentRange string
		}{
			{"a part in the middle", "GET", http.Header{"Range": {"bytes=21-500"}}, 206, 21, 501, "bytes 21-500/1000"},
			{"the rest", "GET", http.Header{"Range": {"bytes=997-"}}, 206, 997, size, "bytes 997-999/1000"},
			{"the last bytes", "GET", http.Header{"Range": {"bytes=-5"}}, 206, 995, size, "bytes 995-999/1000"},
			{"the rest of the same video", "GET", http.Header{"Range": {"bytes=9-"}, "If-Range": {"%s"}}, 206, 9, size, "bytes 9-999/1000"},
			{"the rest of another video is all", "GET", http.Header{"Range": {"bytes=9-"}, "If-Range": {`"x"`}}, 200, 0, size, ""},
			{"a video that is known already", "GET", http.Header{"If-None-Match": {"%s"}}, 304, 0, 0, ""},
			{"nothing but the head", "HEAD", nil, 200, 0, 0, ""},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				served(t, creatifytest.Config{Life: life}, func(t *testing.T, api *creatifytest.API, client *http.Client) {
					job := createVideo(t, api)
					all := read(t, must(client.Do(fileRequest(t.Context(), "GET", job["video_output"])))).body
					equal(t, "the length of all", len(all), size)

					req := fileRequest(t.Context(), test.method, job["video_output"])
					for name, values := range test.header {
						req.Header.Set(name, strings.ReplaceAll(values[0], "%s", strconv.Quote(job["id"].(string))))
					}
					resp := must(client.Do(req))
					if test.method == "HEAD" {
						equal(t, "ContentLength", resp.ContentLength, size)
					}
					got := read(t, resp)
					equal(t, "the status", got.status, test.status)
					equal(t, "Content-Range", got.header.Get("Content-Range"), test.contentRange)
					if got.body != all[test.from:test.to] {
						t.Errorf("there are %d bytes, want those from %d to %d", len(got.body), test.from, test.to)
					}
					equal(t, "CallVideo", api.Calls(creatifytest.CallVideo), 2)
				})
			})
		}
	})

	t.Run("refuses a part beyond the end", func(t *testing.T) {
		served(t, creatifytest.Config{Life: atOnce}, func(t *testing.T, api *creatifytest.API, client *http.Client) {
			req := fileRequest(t.Context(), "GET", createVideo(t, api)["video_output"])
			req.Header.Set("Range", "bytes=983040-")
			got := read(t, must(client.Do(req)))
			equal(t, "the status", got.status, 416)
			equal(t, "Content-Range", got.header.Get("Content-Range"), "bytes */983040")
		})
	})

	t.Run("serves several parts at once", func(t *testing.T) {
		served(t, creatifytest.Config{Life: atOnce}, func(t *testing.T, api *creatifytest.API, client *http.Client) {
			url := createVideo(t, api)["video_output"]
			all := read(t, must(client.Do(fileRequest(t.Context(), "GET", url)))).body
			req := fileRequest(t.Context(), "GET", url)
			req.Header.Set("Range", "bytes=100-199,5000-5009")
			got := read(t, must(client.Do(req)))
			equal(t, "the status", got.status, 206)
			_, params, err := mime.ParseMediaType(got.header.Get("Content-Type"))
			if err != nil {
				t.Fatal(err)
			}
			parts := multipart.NewReader(strings.NewReader(got.body), params["boundary"])
			for _, want := range []string{all[100:200], all[5000:5010]} {
				part, err := parts.NextPart()
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(part); err != nil || string(body) != want {
					t.Errorf("a part is %x (%v), want %x", body, err, want)
				}
			}
		})
	})

	t.Run("has the size of its length", func(t *testing.T) {
		tests := []struct {
			name string
			life creatifytest.Life
			want int64
		}{
			{"a second takes 64 KiB", creatifytest.Life{VideoSeconds: 2.5}, 160 << 10},
			{"its size may be given", creatifytest.Life{VideoSeconds: 2.5, VideoSize: 3}, 3},
			{"one that is too large for memory", creatifytest.Life{VideoSize: 1 << 50}, 1 << 50},
			{"a moment takes a byte", creatifytest.Life{VideoSeconds: 1e-9}, 1},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				test.life.Steps = atOnce.Steps
				served(t, creatifytest.Config{Life: test.life}, func(t *testing.T, api *creatifytest.API, client *http.Client) {
					req := fileRequest(t.Context(), "GET", createVideo(t, api)["video_output"])
					req.Header.Set("Range", "bytes=-1")
					got := read(t, must(client.Do(req)))
					last := strconv.FormatInt(test.want-1, 10)
					equal(t, "Content-Range", got.header.Get("Content-Range"), "bytes "+last+"-"+last+"/"+strconv.FormatInt(test.want, 10))
					equal(t, "the length of the part", len(got.body), 1)
				})
			})
		}
	})

	t.Run("the seed determines the bytes", func(t *testing.T) {
		videos := func(seed uint64) (sums [2][32]byte) {
			api := creatifytest.New(creatifytest.Config{Seed: seed, Life: atOnce})
			for i := range sums {
				got := roundTrip(t, api, fileRequest(t.Context(), "GET", createVideo(t, api)["video_output"]))
				sums[i] = sha256.Sum256([]byte(got.body))
			}
			return sums
		}
		equal(t, "the sum for the same seed", videos(7), videos(7))
		first, second := videos(7), videos(8)
		if first[0] == first[1] || first[0] == second[0] {
			t.Error("two videos are the same")
		}
	})

	t.Run("does not repeat itself", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Life: atOnce})
		body := roundTrip(t, api, fileRequest(t.Context(), "GET", createVideo(t, api)["video_output"])).body
		seen := make(map[string]bool)
		noise := strings.LastIndex(body[:10_000], "free") + 12 // after a length of 64 bits
		for i := noise + 8 - noise%8; i+8 <= len(body); i += 8 {
			if seen[body[i:i+8]] {
				t.Fatalf("the bytes at %d are there before", i)
			}
			seen[body[i:i+8]] = true
		}
	})

	t.Run("is there once it is rendered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{})
			id := create(t, api)["id"].(string)
			status := func() int {
				return roundTrip(t, api, fileRequest(t.Context(), "GET", "https://video.creatify.test/"+id+".mp4")).status
			}
			equal(t, "the status at first", status(), 404)
			time.Sleep(time.Minute)
			equal(t, "the status when there is a preview", status(), 404)
			render(t, api, id)
			time.Sleep(20*time.Second - 1)
			equal(t, "the status under way", status(), 404)
			time.Sleep(time.Nanosecond)
			equal(t, "the status at the end", status(), 200)
		})
	})

	t.Run("has no other paths", func(t *testing.T) {
		api := creatifytest.New(creatifytest.Config{Life: atOnce})
		id := createVideo(t, api)["id"].(string)
		for url, want := range map[string]int{
			"https://video.creatify.test/" + unknownID + ".mp4":    404,
			"https://video.creatify.test/videos/" + id:             404,
			"https://video.creatify.test/x/" + id + ".mp4":         404,
			"https://video.creatify.test/.mp4":                     404,
			"https://video.creatify.test/videos/" + id + ".mp4/":   404,
			"https://video.creatify.test/templates/" + id + ".mp4": 404,
			"https://video.creatify.test/videos/" + id + ".mp4":    200,
		} {
			equal(t, "the status for "+url, roundTrip(t, api, fileRequest(t.Context(), "GET", url)).status, want)
		}
	})
}

func TestVideoURL(t *testing.T) {
	t.Run("expires", func(t *testing.T) {
		for name, url := range map[string]string{"the video of a preview": previewURL, "a video without a preview": jobsURL} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { // a bubble begins at 2000-01-01T00:00:00Z
					life := atOnce
					life.Render.URLLifetime = 90 * time.Second
					api := creatifytest.New(creatifytest.Config{Life: life})
					id := decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", url, validBody)), 201)["id"].(string)
					if url == previewURL {
						render(t, api, id)
					}
					time.Sleep(10 * time.Second)
					first, second := get(t, api, id)["video_output"].(string), get(t, api, id)["video_output"].(string)
					if first == second {
						t.Errorf("two reads give the same URL: %s", first)
					}
					if want := "https://video.creatify.test/" + id + ".mp4?expires=2000-01-01T00:01:40Z&n="; !strings.HasPrefix(second, want) {
						t.Errorf("the URL is %s, want %s and a number", second, want)
					}
					status := func(url string) int {
						return roundTrip(t, api, fileRequest(t.Context(), "GET", url)).status
					}
					equal(t, "the status at once", status(first), 200)
					equal(t, "the status without the time", status("https://video.creatify.test/"+id+".mp4"), 403)
					time.Sleep(90*time.Second - 1)
					equal(t, "the status at the end of its lifetime", status(first), 200)
					time.Sleep(time.Nanosecond)
					equal(t, "the status after its lifetime", status(first), 403)
					equal(t, "the status of a fresh one", status(get(t, api, id)["video_output"].(string)), 200)
				})
			})
		}
	})

	t.Run("is below the base URL", func(t *testing.T) {
		for _, base := range []string{"http://127.0.0.1:80", "http://127.0.0.1:80/"} {
			api := creatifytest.New(creatifytest.Config{Life: atOnce, BaseURL: base})
			video, preview := createVideo(t, api), create(t, api)
			equal(t, "video_output", video["video_output"], any("http://127.0.0.1:80/videos/"+video["id"].(string)+".mp4"))
			equal(t, "preview", preview["preview"], any("http://127.0.0.1:80/preview?layout="+preview["id"].(string)))
		}
	})
}
