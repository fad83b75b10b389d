// Package tests looks at the service in a real browser. It is a module of its own for the sake of its
// dependencies.
package tests

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var built string // the folder of the programs

func TestMain(m *testing.M) {
	built, _ = os.MkdirTemp("", "programs-")
	code := m.Run()
	os.RemoveAll(built)
	os.Exit(code)
}

// run starts a program of a module, until the test ends, and returns what it prints. The first run builds it.
func run(t *testing.T, module, name string, args ...string) (stdout *bufio.Reader) {
	path := filepath.Join(built, filepath.Base(name))
	if _, err := os.Stat(path); err != nil {
		build := exec.Command("go", "build", "-o", path, name)
		build.Dir, build.Env = module, append(os.Environ(), "GOWORK=off")
		said, err := build.CombinedOutput()
		require.NoError(t, err, "%s", said)
	}
	program := exec.Command(path, args...)
	program.Dir, program.Stderr = t.TempDir(), t.Output()
	out, err := program.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	t.Cleanup(func() {
		assert.NoError(t, program.Process.Signal(os.Interrupt))
		assert.NoError(t, program.Wait())
	})
	return bufio.NewReader(out)
}

// page is a tab of a browser that reaches loopback only.
type page struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // of the console
}

func newPage(t *testing.T) *page {
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox,
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx), "is chromium installed? (apt-get install --no-install-recommends chromium)")
	ctx, cancel = context.WithTimeout(ctx, 10*time.Minute)
	t.Cleanup(cancel)
	p := &page{t: t, ctx: ctx}
	messages := chromedp.Console(ctx)
	go func() {
		for message, err := range messages {
			if err != nil {
				return
			}
			p.mu.Lock()
			p.complaints = append(p.complaints, fmt.Sprint(message))
			p.mu.Unlock()
		}
	}()
	return p
}

func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, steps...))
}

// becomes waits until an expression is true, also while a page is being left for another.
func (p *page) becomes(expression string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		value, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](expression))
		return err == nil && value
	}, 40*time.Second, 50*time.Millisecond, expression)
}

func (p *page) shows(text string) {
	p.t.Helper()
	p.becomes(fmt.Sprintf("document.readyState == 'complete' && document.body.innerText.includes(%q)", text))
}

var looks = []struct {
	name          string
	width, height int64
	scheme        string
}{
	{"desktop-light", 1280, 900, "light"},
	{"phone-light", 390, 844, "light"},
	{"phone-dark", 390, 844, "dark"},
	{"desktop-dark", 1280, 900, "dark"},
}

func look(width, height int64, scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	}))
}

// keep checks that the page fits a desktop and a phone, and writes screenshots for people if SCREENSHOTS
// names a folder.
func (p *page) keep(name string) {
	p.t.Helper()
	for _, l := range looks {
		p.do(look(l.width, l.height, l.scheme))
		width, err := chromedp.Run(p.ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
		require.NoError(p.t, err)
		assert.LessOrEqual(p.t, width, l.width, "%s on %s", name, l.name)
		if folder := os.Getenv("SCREENSHOTS"); folder != "" {
			shot, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
			require.NoError(p.t, err)
			require.NoError(p.t, os.WriteFile(filepath.Join(folder, name+"-"+l.name+".png"), shot, 0o644))
		}
	}
	p.do(look(1280, 900, "light"))
}
