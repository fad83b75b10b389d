package tests

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// mock starts a sandbox, and returns its URL and a client.
func mock(t *testing.T, args ...string) (url string, client *creatify.Client) {
	stdout := run(t, "../..", "./cmd/creatify-mock", args...)
	line, err := stdout.ReadString('\n')
	require.NoError(t, err)
	url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(line)
	client, err = creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithBaseURL(url))
	require.NoError(t, err)
	return url, client
}

func preview(t *testing.T, client *creatify.Client, name string) *creatify.Job {
	job, err := client.Jobs.CreatePreview(context.Background(), creatify.JobParams{
		TemplateID: creatifytest.TemplateID, Name: name,
		Variables: creatify.Variables{"headline": creatify.Text("Spring sale: everything at half price"), "photo": creatify.Image("https://example.com/photo.jpg")},
	})
	require.NoError(t, err)
	return job
}

func TestMock_in_a_browser(t *testing.T) {
	url, client := mock(t, "-job-duration=20s", "-render-duration=3s", "-seed=1", "-fault=503,call=video,times=2")
	p := newPage(t)
	p.do(chromedp.Navigate(url))
	p.shows("None yet: make one, as below.")
	p.shows("export CREATIFY_BASE_URL=" + url)
	p.keep("mock-1-empty")

	spring := preview(t, client, "Spring, for the window of the shop in the high street")
	page := url + "/preview?layout=" + spring.ID
	p.do(chromedp.Navigate(page))
	p.shows("Not ready yet")
	p.keep("mock-2-not-ready")
	p.shows("Spring sale: everything at half price")
	p.becomes("document.querySelector('.wait') == null && document.querySelector('details').open == false")
	p.becomes("Math.abs(document.querySelector('.frame').offsetWidth / document.querySelector('.frame').offsetHeight - 9 / 16) < 0.02")
	p.keep("mock-3-preview")

	_, err := client.Jobs.RenderAndWait(context.Background(), spring.ID)
	require.NoError(t, err)
	p.do(chromedp.Navigate(page))
	p.becomes("document.querySelector('video').readyState >= 2")
	p.becomes("document.querySelector('video').muted = true, document.querySelector('video').play(), true")
	p.becomes("document.querySelector('video').currentTime > 0.5")
	p.keep("mock-4-video")

	preview(t, client, "Autumn")
	p.do(chromedp.Navigate(url))
	p.shows("Autumn")
	p.becomes("document.querySelector('progress') != null")
	for _, text := range []string{"preview, ", "Credits charged", "video", `{"fault":"503"`} {
		p.shows(text)
	}
	p.keep("mock-5-jobs")
	p.becomes("document.querySelector('progress') == null") // by itself
	p.mu.Lock()
	assert.Empty(t, p.complaints, "what the console says")
	p.mu.Unlock()
}

func TestMock_shows_why_a_job_failed(t *testing.T) {
	url, client := mock(t, "-job-duration=1s", "-fail=The photo could not be fetched: <b>404 Not Found</b>", "-seed=1")
	var failed []string
	for i := range 3 {
		failed = append(failed, preview(t, client, fmt.Sprint(strings.Repeat("which-goes-on-", 8*i), "end")).ID)
	}
	p := newPage(t)
	p.do(chromedp.Navigate(url + "/preview?layout=" + failed[0]))
	p.shows("No result: failed")
	p.shows("The photo could not be fetched: <b>404 Not Found</b>")
	p.keep("mock-6-failed")
	p.do(chromedp.Navigate(url))
	p.shows("The photo could not be fetched: <b>404 Not Found</b>")
	p.keep("mock-7-failed-jobs")
}
