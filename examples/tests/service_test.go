package tests

import (
	"bytes"
	"context"
	"flag"
	"image"
	"image/draw"
	"image/png"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/creatify-community/creatify-go/creatifytest"
)

var update = flag.Bool("update", false, "write docs/service.png")

// fakeAPI is the service's account.
func fakeAPI(t *testing.T) *creatifytest.API {
	server := httptest.NewUnstartedServer(nil)
	url := "http://" + server.Listener.Addr().String()
	fake := creatifytest.New(creatifytest.Config{BaseURL: url, LifeFor: func(r creatifytest.Request) creatifytest.Life {
		life := creatifytest.Life{Duration: 20 * time.Second, Render: creatifytest.RenderLife{Duration: 20 * time.Second}}
		if r.Text("headline") == "Unlucky" {
			life.End, life.Reason = "failed", "The photo could not be fetched: <b>404 Not Found</b>"
		}
		return life
	}})
	server.Config.Handler = fake
	server.Start()
	t.Cleanup(server.Close)
	t.Setenv("CREATIFY_API_ID", creatifytest.APIID)
	t.Setenv("CREATIFY_API_KEY", creatifytest.APIKey)
	t.Setenv("CREATIFY_BASE_URL", url)
	return fake
}

// start starts the service, and returns its URL.
func start(t *testing.T) string {
	stdout := run(t, "..", "./service", "-template="+creatifytest.TemplateID, "-addr=127.0.0.1:0")
	url, err := stdout.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(url)
}

func (p *page) order(url, headline string) {
	p.t.Helper()
	p.do(chromedp.Navigate(url), chromedp.SetValue(chromedp.CSS("[name=headline]"), headline),
		chromedp.SetValue(chromedp.CSS("[name=photo]"), "https://example.com/photo.jpg"), chromedp.Click(chromedp.CSS("form button")))
	p.becomes("location.pathname.startsWith('/orders/') && document.readyState == 'complete'")
}

func TestService_in_a_browser(t *testing.T) {
	fake := fakeAPI(t)
	url := start(t)
	p := newPage(t)
	p.do(chromedp.Navigate(url))
	p.keep("1-empty")

	p.order(url, "Spring sale: everything at half price")
	p.shows("being made")
	p.becomes("document.querySelector('progress').value > 0")
	p.keep("2-making")
	p.shows("Preview ready")
	p.shows("Order the video for 4 credits")
	p.becomes("document.querySelector('iframe').src.startsWith('" + os.Getenv("CREATIFY_BASE_URL") + "/preview?layout=')")
	time.Sleep(time.Second) // the frame draws itself
	p.keep("3-ready")
	assert.Equal(t, 1.0, fake.Charged())

	p.do(chromedp.Click(chromedp.CSS("form button")))
	p.shows("Your video is being made")
	p.becomes("document.querySelector('iframe').mark = true")
	time.Sleep(4 * time.Second) // in which the page is brought up to date twice
	p.becomes("document.querySelector('iframe').mark && document.querySelector('progress') != null")
	p.keep("4-rendering")
	p.shows("Video ready")
	p.becomes("document.querySelector('video').readyState >= 2")
	p.becomes("document.querySelector('video').muted = true, document.querySelector('video').play(), true")
	p.becomes("document.querySelector('video').currentTime > 0.5")
	p.becomes("document.querySelector('video').videoWidth > 0")
	p.keep("5-video")
	assert.Equal(t, 5.0, fake.Charged())

	p.order(url, "Unlucky")
	p.shows("It did not work")
	p.do(chromedp.Click(chromedp.CSS("summary")))
	p.shows("The photo could not be fetched: <b>404 Not Found</b>")
	p.keep("6-failed")
	p.order(url, "A very long headline without any sense, "+strings.Repeat("which-goes-on-", 8))
	p.do(chromedp.Navigate(url))
	p.shows("In the making")
	p.keep("7-list")
	p.becomes("document.querySelectorAll('[data-moves]').length == 0 && document.body.innerText.match(/Preview ready/g).length == 1")

	p.mu.Lock()
	assert.Empty(t, p.complaints, "what the console says")
	p.mu.Unlock()
	p.do(chromedp.Navigate(url + "/orders/nonsense"))
	p.shows("There is no such order.")
	p.keep("8-error")
}

func TestService_without_JavaScript(t *testing.T) {
	fake := fakeAPI(t)
	url := start(t)
	p := newPage(t)
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	p.order(url, "Spring sale")
	p.shows("Preview ready")
	p.do(chromedp.Click(chromedp.CSS("form button")))
	p.shows("Video ready")
	p.becomes("document.querySelector('video') != null")
	assert.Equal(t, 5.0, fake.Charged())
}

// TestScreenshot writes docs/service.png for the README: go test -run Screenshot -update
func TestScreenshot(t *testing.T) {
	const path, most = "../../docs/service.png", 100_000
	if *update {
		fakeAPI(t)
		url := start(t)
		p := newPage(t)
		p.do(look(1000, 790, "light"))
		p.order(url, "Autumn colors at half price")
		p.shows("Preview ready")
		time.Sleep(time.Second) // the frame draws itself
		shot, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, smaller(t, shot), 0o644))
	}
	shot, err := os.ReadFile(path)
	require.NoError(t, err, "make it: go test -run Screenshot -update")
	assert.Less(t, len(shot), most, "bytes")
}

// smaller halves the size of a PNG, by colors in steps of four.
func smaller(t *testing.T, shot []byte) []byte {
	decoded, err := png.Decode(bytes.NewReader(shot))
	require.NoError(t, err)
	rough := image.NewNRGBA(decoded.Bounds())
	draw.Draw(rough, rough.Bounds(), decoded, image.Point{}, draw.Src)
	for i, value := range rough.Pix {
		rough.Pix[i] = byte(min((int(value)+2)/4*4, 255))
	}
	var encoded bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&encoded, rough))
	return encoded.Bytes()
}
