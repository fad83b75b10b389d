//go:build unix

package main

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// town is where services run as processes, with a fake on a socket as their account.
type town struct {
	t    *testing.T
	fake *creatifytest.API
	env  []string
}

func newTown(t *testing.T, life creatifytest.Life) *town {
	server := httptest.NewUnstartedServer(nil)
	url := "http://" + server.Listener.Addr().String()
	w := &town{t, creatifytest.New(creatifytest.Config{BaseURL: url, Life: life}), append(os.Environ(), "RUN_THE_PROGRAM=yes",
		"CREATIFY_API_ID="+creatifytest.APIID, "CREATIFY_API_KEY="+creatifytest.APIKey, "CREATIFY_BASE_URL="+url, "SHOP_PASSWORD=", "SHOP_WEBHOOK_SECRET=")}
	server.Config.Handler = w.fake
	server.Start()
	t.Cleanup(server.Close)
	return w
}

// service is a process.
type service struct {
	t   *testing.T
	url string
	*exec.Cmd
}

// start starts a service in a folder. It is killed when the test ends.
func (w *town) start(folder string, args ...string) *service {
	w.t.Helper()
	s := &service{w.t, "", exec.Command(os.Args[0], append([]string{"-template=" + creatifytest.TemplateID, "-addr=127.0.0.1:0"}, args...)...)}
	s.Dir, s.Env, s.Stderr = folder, w.env, w.t.Output()
	stdout, err := s.StdoutPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, s.Start())
	w.t.Cleanup(s.kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(w.t, err)
	s.url = strings.TrimSpace(line)
	return s
}

// kill kills the service, as kill -9 does.
func (s *service) kill() {
	if s.ProcessState == nil {
		_ = s.Process.Kill()
		_ = s.Wait()
	}
}

func (s *service) get(path string) string {
	response, err := http.Get(s.url + path)
	require.NoError(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return string(body)
}

func (s *service) post(path string, form url.Values) (location string) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.PostForm(s.url+path, form)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	return response.Header.Get("Location")
}

func (s *service) order() (path string) {
	id := regexp.MustCompile(`name="id" value="(\w+)"`).FindStringSubmatch(s.get("/"))
	require.NotNil(s.t, id)
	path = s.post("/orders", url.Values{"id": id[1:], "headline": {"Spring sale"}, "photo": {"https://example.com/photo.jpg"}})
	require.NotEmpty(s.t, path)
	return path
}

func (s *service) sees(path, text string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return strings.Contains(s.get(path), text) }, 3*time.Minute, 100*time.Millisecond, text)
}

// records waits until the responses of all paid calls are recorded.
func (s *service) records() {
	s.t.Helper()
	sending := regexp.MustCompile(`"sending": *[1-9]`)
	require.Eventually(s.t, func() bool { return !sending.MatchString(s.get("/status/?format=json")) }, time.Minute, 50*time.Millisecond)
}

func TestRun_killed_during_a_render(t *testing.T) {
	t.Parallel()
	w, folder := newTown(t, creatifytest.Life{Duration: 2 * time.Second, Render: creatifytest.RenderLife{Duration: 10 * time.Second}}), t.TempDir()
	first := w.start(folder)
	path := first.order()
	first.sees(path, "Preview ready")
	require.Equal(t, path, first.post(path+"/approve", nil))
	first.sees(path, "Your video is being made")
	require.Eventually(t, func() bool { return w.fake.Charged() == 5 }, 30*time.Second, 10*time.Millisecond)
	first.records()
	first.kill()

	second := w.start(folder)
	second.sees(path, "Video ready")
	second.sees(path, "<video")
	assert.Equal(t, "ftyp", second.get(strings.Replace(path, "orders", "videos", 1))[4:8])
	assert.Equal(t, 5.0, w.fake.Charged())
	require.NoError(t, second.Process.Signal(os.Interrupt))
	assert.NoError(t, second.Wait(), "exit code 0")
}

// TestRun_two_services_on_one_Postgres: two services are one shop, each with its own folder of videos, and
// either may be killed.
func TestRun_two_services_on_one_Postgres(t *testing.T) {
	t.Parallel()
	w, db := newTown(t, creatifytest.Life{Duration: 2 * time.Second, Render: creatifytest.RenderLife{Duration: 2 * time.Second}}), "-db="+postgres(t)
	const orders = 6
	services := []*service{w.start(t.TempDir(), db), w.start(t.TempDir(), db)}
	var paths []string
	for i := range orders {
		paths = append(paths, services[i%2].order())
	}
	for i, path := range paths {
		services[(i+1)%2].sees(path, "Preview ready") // at the other service
	}
	assert.Equal(t, float64(orders), w.fake.Charged())
	var approvals sync.WaitGroup
	for _, path := range paths {
		for _, s := range services {
			approvals.Go(func() { s.post(path+"/approve", nil) })
		}
	}
	approvals.Wait()
	require.Eventually(t, func() bool { return w.fake.Charged() == 5*orders }, 30*time.Second, 10*time.Millisecond)
	services[0].records()
	services[0].kill()
	services[0] = w.start(t.TempDir(), db)
	for _, path := range paths {
		for _, s := range services {
			s.sees(path, "Video ready")
			s.sees(path, "<video")
		}
	}
	assert.Equal(t, 5.0*orders, w.fake.Charged(), "two approvals of an order, at two services, are one")
	assert.Equal(t, orders, w.fake.Calls(creatifytest.CallRender))
}
