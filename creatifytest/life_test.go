package creatifytest_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestLife(t *testing.T) {
	const s = time.Second
	type seen struct {
		after    time.Duration
		status   string
		progress float64
	}
	tests := []struct {
		name string
		life creatifytest.Life
		want []seen
	}{
		{
			name: "by default a job is done after 20 s",
			want: []seen{
				{0, "pending", 0}, {2*s - 1, "pending", 0.1}, {2 * s, "in_queue", 0.1}, {4*s - 1, "in_queue", 0.2},
				{4 * s, "running", 0.2}, {10 * s, "running", 0.5}, {20*s - 1, "running", 1}, {20 * s, "done", 1}, {time.Hour, "done", 1},
			},
		},
		{
			name: "the duration stretches the way",
			life: creatifytest.Life{Duration: 100 * s},
			want: []seen{{9 * s, "pending", 0.09}, {10 * s, "in_queue", 0.1}, {20 * s, "running", 0.2}, {99 * s, "running", 0.99}, {100 * s, "done", 1}},
		},
		{
			name: "a job that ends at once is created as pending all the same",
			life: creatifytest.Life{Duration: 1},
			want: []seen{{0, "pending", 0}, {1, "done", 1}},
		},
		{
			name: "a job can fail",
			life: creatifytest.Life{End: "failed"},
			want: []seen{{19 * s, "running", 0.95}, {20 * s, "failed", 1}},
		},
		{
			name: "a job can be rejected",
			life: creatifytest.Life{End: "rejected"},
			want: []seen{{19 * s, "running", 0.95}, {20 * s, "rejected", 1}},
		},
		{
			name: "a job of negative duration never ends",
			life: creatifytest.Life{Duration: -1},
			want: []seen{{0, "pending", 0}, {3 * s, "in_queue", 0.15}, {10 * s, "running", 0.5}, {1000 * time.Hour, "running", 0.99}},
		},
		{
			name: "steps replace the usual way",
			life: creatifytest.Life{Steps: []creatifytest.Step{
				{At: 5 * s, Status: "running", Progress: 0.7},
				{At: 6 * s, Status: "paused", Progress: 0.4},
				{At: 90 * s, Status: "done", Progress: 1},
			}},
			want: []seen{{0, "pending", 0}, {5 * s, "running", 0.7}, {6 * s, "paused", 0.4}, {89 * s, "paused", 0.4}, {90 * s, "done", 1}},
		},
		{
			name: "steps may be in any order",
			life: creatifytest.Life{Steps: []creatifytest.Step{
				{At: 9 * s, Status: "done", Progress: 1},
				{At: 5 * s, Status: "running", Progress: 0.7},
			}},
			want: []seen{{5 * s, "running", 0.7}, {9 * s, "done", 1}},
		},
		{
			name: "a job can be created running",
			life: creatifytest.Life{Steps: []creatifytest.Step{{Status: "running", Progress: 0.1}}},
			want: []seen{{0, "running", 0.1}, {time.Hour, "running", 0.1}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{Life: test.life})
				start := time.Now()
				job := create(t, api)
				for _, want := range test.want {
					time.Sleep(time.Until(start.Add(want.after)))
					if want.after > 0 {
						job = get(t, api, job["id"])
					}
					if job["status"] != want.status {
						t.Errorf("after %v the status is %v, want %s", want.after, job["status"], want.status)
					}
					if diff := job["progress"].(float64) - want.progress; diff < -1e-6 || diff > 1e-6 {
						t.Errorf("after %v the progress is %v, want %v", want.after, job["progress"], want.progress)
					}
				}
			})
		})
	}
}

func TestLife_Preview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life := creatifytest.Life{Steps: []creatifytest.Step{{Status: "pending"}, {At: 5 * time.Second, Status: "pending", Preview: true}}}
		api := creatifytest.New(creatifytest.Config{Life: life})
		id := create(t, api)["id"].(string)
		video := createVideo(t, api)["id"]
		equal(t, "the preview at first", get(t, api, id)["preview"], nil)
		time.Sleep(time.Hour)
		job := get(t, api, id)
		equal(t, "the status", job["status"], any("pending"))
		equal(t, "the preview", job["preview"], any("https://app.creatify.ai/preview?layout="+id))
		equal(t, "the duration", job["duration"], nil)
		equal(t, "the preview of a video", get(t, api, video)["preview"], nil)
		render(t, api, id) // is possible
	})
}

func TestLife_PerRead(t *testing.T) {
	t.Run("a job continues with each read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{PerRead: 3 * time.Second, Render: creatifytest.RenderLife{Duration: 6 * time.Second}}})
			id := create(t, api)["id"]
			time.Sleep(time.Hour)
			job, _ := api.Job(id.(string)) // is no read
			equal(t, "the status before the first read", job.Status, "pending")
			for _, want := range []string{"in_queue", "running", "running", "running", "running", "running", "done", "done"} {
				equal(t, "the status", get(t, api, id)["status"], any(want))
			}
			equal(t, "the status of the render", render(t, api, id)["status"], any("running"))
			equal(t, "its status at the first read", get(t, api, id)["status"], any("running"))
			equal(t, "its status at the second", get(t, api, id)["status"], any("done"))
			job, _ = api.Job(id.(string))
			equal(t, "Reads", job.Reads, 10)
		})
	})

	t.Run("a preview to wait for is there at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{PerRead: 7 * time.Second}})
			start := time.Now()
			job := decode(t, roundTrip(t, api, newRequest(t.Context(), "POST", syncURL, validBody)), 200)
			equal(t, "the status", job["status"], any("done"))
			equal(t, "the time it took", time.Since(start), 0)
		})
	})

	t.Run("sends no events", func(t *testing.T) {
		hooked(t, creatifytest.Config{Life: creatifytest.Life{PerRead: time.Minute}}, func(t *testing.T, api *creatifytest.API, box *inbox) {
			get(t, api, createHooked(t, api))
			time.Sleep(time.Hour)
			box.wants(t)
		})
	})

	t.Run("a nanosecond ends at the next read even if the clock has not moved", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api := creatifytest.New(creatifytest.Config{Life: creatifytest.Life{Duration: 1, Render: creatifytest.RenderLife{Duration: 1}}})
			start := time.Now()
			job := get(t, api, create(t, api)["id"])
			if job["status"] != "done" || job["preview"] == nil {
				t.Errorf("the job is %v with the preview %v", job["status"], job["preview"])
			}
			render(t, api, job["id"])
			if job = get(t, api, job["id"]); job["status"] != "done" || job["video_output"] == nil {
				t.Fatalf("the rendered job is %v with the video %v", job["status"], job["video_output"])
			}
			for _, file := range []any{job["preview"], job["video_output"]} {
				if got := roundTrip(t, api, newRequest(t.Context(), "GET", file.(string), "")); got.status != http.StatusOK {
					t.Errorf("%v is answered with %d", file, got.status)
				}
			}
			if time.Now() != start {
				t.Error("the clock has moved")
			}
		})
	})
}
