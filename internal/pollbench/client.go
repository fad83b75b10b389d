package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// throughAPI measures the client itself against the fake API, in virtual time: cold by a new client for each
// job, and warm.
func (c config) throughAPI(t *testing.T, d distribution) ([]result, error) {
	all := []result{{way: ways[0]}, {way: ways[1]}}
	var err error
	synctest.Test(t, func(t *testing.T) {
		for i, w := range ways[:2] {
			random := c.random(i, -1)
			api := creatifytest.New(creatifytest.Config{Credits: 1e9, Seed: random.Uint64()})
			jobs := d.sample(random, c.api)
			warmUp := 0
			if w.ours == warm {
				warmUp = c.warmUp
				jobs = append(d.draw(random, warmUp), jobs...)
			}
			var client *creatify.Client
			var outcomes []outcome
			for _, end := range jobs {
				if client == nil || w.ours == cold {
					client, err = creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
				}
				var o outcome
				if err == nil {
					o, err = preview(t.Context(), api, client, end)
				}
				if err != nil {
					return
				}
				outcomes = append(outcomes, o)
			}
			all[i] = summary(w, outcomes[warmUp:])
		}
	})
	return all, err
}

// preview waits for a job that shows no progress before its end.
func preview(ctx context.Context, api *creatifytest.API, client *creatify.Client, end time.Duration) (outcome, error) {
	api.NextJob(creatifytest.Life{
		Duration: end,
		Steps:    []creatifytest.Step{{Status: "running"}, {At: end, Status: "done"}},
		Edit:     func(job map[string]any) { job["progress"], job["updated_at"] = 0, job["created_at"] },
	})
	before, start := api.Calls(creatifytest.CallGetJob), time.Now()
	_, err := client.Jobs.CreatePreviewAndWait(ctx, creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale")},
	}, creatify.WithMaxWait(2*longest*time.Second))
	return outcome{api.Calls(creatifytest.CallGetJob) - before, (time.Since(start) - end).Seconds()}, err
}
