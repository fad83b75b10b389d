// Package tests looks at the status page in a real browser. It is a module of its own for the sake of its
// dependencies.
package tests

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	creatify "github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/durable"
)

// shop is a queue with an order in each state that a person looks at.
type shop struct {
	fake  *creatifytest.API
	queue *durable.Queue
	url   string // of the page
}

func newShop(t *testing.T) *shop {
	s := &shop{fake: creatifytest.New(creatifytest.Config{LifeFor: func(r creatifytest.Request) creatifytest.Life {
		switch r.Name {
		case "slow":
			return creatifytest.Life{Duration: time.Hour}
		case "failed":
			return creatifytest.Life{Duration: time.Second, End: "failed", Reason: "The photo could not be fetched."}
		}
		return creatifytest.Life{Duration: time.Second}
	}})}
	api := httptest.NewServer(s.fake)
	t.Cleanup(api.Close)
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithBaseURL(api.URL))
	require.NoError(t, err)
	s.queue, err = durable.OpenFile(t.Context(), filepath.Join(t.TempDir(), "orders.db"), durable.Options{
		Client: client, Sends: 1, Credits: 100,
		Wait:      []creatify.WaitOption{creatify.WithSchedule(creatify.FixedInterval(200 * time.Millisecond))},
		Authorize: func(*http.Request) (string, bool) { return "anna", true },
	})
	require.NoError(t, err)
	page := httptest.NewServer(s.queue.StatusHandler())
	s.url = page.URL
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.queue.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
		page.Close()
		assert.NoError(t, s.queue.Close())
	})

	require.NoError(t, s.fake.Inject(
		creatifytest.Fault{Call: creatifytest.CallCreatePreview, Drop: creatifytest.DropAfter},
		creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 400, Body: `["Link must have at least one image or one video."]`, Skip: 1},
	))
	s.order(t, durable.Order{ID: "2026-11-autumn-sale/shop-4711", Kind: durable.Preview}, "done", durable.StateUnknown)
	s.order(t, durable.Order{ID: "2026-11-autumn-sale/shop-4712", Kind: durable.Preview, MaxWait: time.Second}, "slow", durable.StateExpired)
	s.order(t, durable.Order{ID: "2026-11-autumn-sale/shop-4713", Kind: durable.Preview}, "done", durable.StateRefused)
	s.order(t, durable.Order{ID: "2026-11-autumn-sale/shop-4714", Kind: durable.Preview}, "failed", durable.StateFailed)
	for i := 4715; i < 4721; i++ {
		s.order(t, durable.Order{ID: fmt.Sprintf("2026-11-autumn-sale/shop-%d", i), Kind: durable.Preview}, "done", durable.StateDone)
	}
	s.order(t, durable.Order{ID: "2026-11-autumn-sale/shop-4715-video", Kind: durable.Render, Of: "2026-11-autumn-sale/shop-4715"}, "", durable.StateWaiting)
	require.NoError(t, s.fake.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: -1, Status: 402,
		Body: `{"detail": "Not enough credits"}`}))
	s.order(t, durable.Order{ID: "2026-11-autumn-sale/shop-4722", Kind: durable.Preview}, "done", durable.StateQueued)
	require.Eventually(t, func() bool {
		counts, err := s.queue.Counts(t.Context())
		return err == nil && counts.Paused == "insufficient_credits"
	}, 20*time.Second, 50*time.Millisecond)
	return s
}

func (s *shop) order(t *testing.T, order durable.Order, name string, state durable.State) {
	if order.Kind == durable.Preview {
		order.Params = creatify.JobParams{TemplateID: creatifytest.TemplateID, Name: name,
			Variables: creatify.Variables{"headline": creatify.Text("Autumn sale")}}
	}
	_, err := s.queue.Submit(t.Context(), order)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		got, err := s.queue.Get(t.Context(), order.ID)
		return err == nil && got.State == state
	}, 30*time.Second, 20*time.Millisecond, "%s does not become %s", order.ID, state)
}

// browser starts a browser that reaches loopback only.
func browser(t *testing.T, options ...chromedp.ExecAllocatorOption) context.Context {
	options = append(append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox,
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")), options...)
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx), "is chromium installed? (apt-get install --no-install-recommends chromium)")
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// keep writes a screenshot for people to look at, if SCREENSHOTS names a folder.
func keep(t *testing.T, ctx context.Context, name string) {
	shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	require.NoError(t, err)
	if folder := os.Getenv("SCREENSHOTS"); folder != "" {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name+".png"), shot, 0o644))
	}
}

func evaluate[T any](t *testing.T, ctx context.Context, expression string) T {
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(t, err)
	return value
}

// becomes waits until an expression is true, also while a page is being left for another.
func becomes(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	require.Eventually(t, func() bool {
		value, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		return err == nil && value
	}, 30*time.Second, 50*time.Millisecond, expression)
}

func TestStatusHandler_in_a_browser(t *testing.T) {
	s := newShop(t)
	ctx := browser(t)
	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		require.NoError(t, chromedp.Do(ctx, steps...))
	}
	do(chromedp.EmulateViewport(1100, 900), chromedp.Navigate(s.url+"/"))
	keep(t, ctx, "list")
	assert.Equal(t, "unknown", evaluate[string](t, ctx, `document.querySelector(".tile").innerText.split(/\s+/).pop()`))
	assert.Contains(t, evaluate[string](t, ctx, `document.querySelector(".card").innerText`), "shop-4711")
	assert.Contains(t, evaluate[string](t, ctx, `document.body.innerText`), "Add credits to the account.")
	assert.Equal(t, "rgb(180, 35, 24)", evaluate[string](t, ctx, `getComputedStyle(document.querySelector(".tile.alarm")).color`),
		"the policy lets the style through")

	do(chromedp.EmulateViewport(390, 800), chromedp.Navigate(s.url+"/"))
	keep(t, ctx, "list-phone")
	assert.LessOrEqual(t, evaluate[float64](t, ctx, `document.documentElement.scrollWidth`), 390.0, "nothing is cut off on a phone")

	do(chromedp.EmulateViewport(1100, 900), chromedp.Navigate(s.url+"/"),
		chromedp.SendKeys(chromedp.CSS("input[type=search]"), "4715\r"), chromedp.WaitVisible(chromedp.CSS(".tile")))
	becomes(t, ctx, `location.search == "?search=4715" && document.readyState == "complete"`)
	assert.Equal(t, 2.0, evaluate[float64](t, ctx, `document.querySelectorAll("table tr td.id").length`))
	keep(t, ctx, "search")

	do(chromedp.Navigate(s.url + "/?order=2026-11-autumn-sale%2Fshop-4711"))
	keep(t, ctx, "unknown")
	do(chromedp.SendKeys(chromedp.CSS("input[name=job]"), "no such job"), chromedp.Click(chromedp.CSS("button[value=resolve]")))
	becomes(t, ctx, `document.querySelector("[role=alert]") != null && document.readyState == "complete"`)
	keep(t, ctx, "error")
	do(chromedp.SendKeys(chromedp.CSS("input[name=job]"), s.fake.Jobs()[0]), chromedp.Click(chromedp.CSS("button[value=resolve]")))
	becomes(t, ctx, `document.querySelector("[role=alert]") == null && document.body.innerText.includes("anna") && document.readyState == "complete"`)
	require.Eventually(t, func() bool {
		order, err := s.queue.Get(t.Context(), "2026-11-autumn-sale/shop-4711")
		return err == nil && order.State == durable.StateDone
	}, 20*time.Second, 50*time.Millisecond)
	do(chromedp.Navigate(s.url + "/?order=2026-11-autumn-sale%2Fshop-4711"))
	keep(t, ctx, "done")
	assert.Contains(t, evaluate[string](t, ctx, `document.body.innerText`), "anna")

	do(chromedp.Navigate(s.url+"/?order=2026-11-autumn-sale%2Fshop-4722"), chromedp.Click(chromedp.CSS("button[value=cancel]")))
	require.Eventually(t, func() bool {
		order, err := s.queue.Get(t.Context(), "2026-11-autumn-sale/shop-4722")
		return err == nil && order.State == durable.StateCancelled
	}, 20*time.Second, 50*time.Millisecond)
}

// A page of another site cannot press a button.
func TestStatusHandler_cross_site(t *testing.T) {
	s := newShop(t)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<!DOCTYPE html><form method="post" action="%s/"><input name="order" value="2026-11-autumn-sale/shop-4722">
			<button name="action" value="cancel">win a phone</button></form>`, s.url)
	}))
	t.Cleanup(evil.Close)
	ctx := browser(t)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(evil.URL), chromedp.Click(chromedp.CSS("button"))))
	becomes(t, ctx, `document.body.innerText.includes("403 Forbidden: the request comes from another site")`)
	order, err := s.queue.Get(t.Context(), "2026-11-autumn-sale/shop-4722")
	require.NoError(t, err)
	assert.Equal(t, durable.StateQueued, order.State)
}

func TestStatusHandler_dark(t *testing.T) {
	s := newShop(t)
	ctx := browser(t, chromedp.Flag("force-dark-mode", true), chromedp.Flag("blink-settings", "preferredColorScheme=0"))
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(1100, 900), chromedp.Navigate(s.url+"/")))
	keep(t, ctx, "dark")
}
