package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnOrderIsPreviewedApprovedRenderedAndStored(t *testing.T) {
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		s.order("Spring sale")
		s.until(ready)
		page := s.get("/orders/1")
		assert.Contains(t, page, `<iframe sandbox="allow-scripts allow-same-origin" src="https://`)
		assert.NotContains(t, page, s.row().Reference, "the reference is shown")
		assert.Equal(t, 1, s.api.Calls(creatifytest.CallCreatePreview))

		s.approve()
		s.until(stored)
		assert.Equal(t, 5.0, s.api.Charged(), "credits charged")
		assert.Contains(t, s.get("/orders/1"), `<video controls src="/videos/1">`)
		assert.Len(t, s.get("/videos/1"), videoSize)
		assert.Contains(t, s.get("/orders"), "stored")
		assert.Zero(t, s.api.LeakedCredentials())
	})
}

func TestWithoutNoticesAnOrderEndsAllTheSame(t *testing.T) {
	lost := creatifytest.Webhooks{Lose: func(int) bool { return true }}
	inShop(t, lost, func(t *testing.T, s *shop) {
		s.order("Spring sale")
		s.until(ready)
		s.approve()
		s.until(stored)
		assert.Equal(t, 5.0, s.api.Charged(), "credits charged")
	})
}

func TestAfterARestartAnOrderGoesOnWithoutASecondCharge(t *testing.T) {
	for _, state := range []state{previewing, ready, rendering, rendered} {
		for _, away := range []time.Duration{0, time.Hour} {
			t.Run(string(state)+" "+away.String(), func(t *testing.T) {
				inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
					s.broken = state == rendered // so that the download comes after the restart
					s.order("Spring sale")
					if state != previewing {
						s.until(ready)
						if state != ready {
							s.approve()
						}
					}
					s.until(state)
					s.close()
					time.Sleep(away)
					s.broken = false
					s.open()
					if state != rendered { // of which the download may be through at once
						assert.Equal(t, state, s.row().State)
					}
					if state == previewing || state == ready {
						s.until(ready)
						s.approve()
					}
					s.until(stored)
					assert.Equal(t, 5.0, s.api.Charged(), "credits charged")
					assert.Equal(t, 1, s.api.Calls(creatifytest.CallCreatePreview))
					assert.Equal(t, 1, s.api.Calls(creatifytest.CallRender))
				})
			})
		}
	}
}

func TestAStopWaitsForTheReplyToACallThatCosts(t *testing.T) {
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		s.api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Delay: 20 * time.Second})
		s.order("Spring sale")
		s.until(creating)
		s.close()
		s.open()
		assert.Equal(t, previewing, s.row().State)
		s.until(ready)
		assert.Equal(t, 1.0, s.api.Charged(), "credits charged")
	})
}

func TestANoticeResolvesALostReply(t *testing.T) {
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		s.api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Drop: creatifytest.DropAfter})
		s.order("Spring sale")
		s.until(unknown)
		assert.Contains(t, s.get("/orders/1"), "not tried again")
		s.close()
		s.open()
		s.until(ready)
		assert.Equal(t, 1.0, s.api.Charged(), "credits charged")
		assert.Equal(t, 1, s.api.Calls(creatifytest.CallCreatePreview))
	})
}

func TestANoticeMayBeFasterThanTheReplyThatItIsAbout(t *testing.T) {
	for _, drop := range []creatifytest.Drop{creatifytest.NoDrop, creatifytest.DropAfter} {
		inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
			s.lag = 50 * time.Second
			s.api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Drop: drop})
			s.order("Spring sale")
			time.Sleep(45 * time.Second)
			assert.Equal(t, ready, s.row().State)
			time.Sleep(time.Minute)
			assert.Equal(t, ready, s.row().State)
			assert.Equal(t, 1.0, s.api.Charged(), "credits charged")
		})
	}
}

func TestACrashInTheMiddleOfTheCreateIsUnknownAndNothingIsSentAgain(t *testing.T) {
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		o, err := s.store.add("Spring sale", photo, func(string) (string, error) { return hook, nil })
		require.NoError(t, err)
		_, err = s.store.move(o.ID, ordered, creating, "")
		require.NoError(t, err)
		for range 2 {
			s.close()
			s.open()
			time.Sleep(time.Hour)
			assert.Equal(t, unknown, s.row().State)
		}
		assert.Zero(t, s.api.Calls(creatifytest.CallCreatePreview), "creates")
	})
}

func TestACrashBeforeTheCreateCostsNoOrder(t *testing.T) {
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		_, err := s.store.add("Spring sale", photo, func(string) (string, error) { return hook, nil })
		require.NoError(t, err)
		s.close()
		s.open()
		s.until(ready)
		assert.Equal(t, 1.0, s.api.Charged(), "credits charged")
	})
}

func TestACrashInTheMiddleOfTheRenderIsUnknownAndNothingIsSentAgain(t *testing.T) {
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		s.order("Spring sale")
		s.until(ready)
		_, err := s.store.move(1, ready, rendering, "")
		require.NoError(t, err)
		s.close()
		s.open()
		s.until(unknown)
		s.approve()
		time.Sleep(time.Hour)
		assert.Equal(t, unknown, s.row().State)
		assert.Zero(t, s.api.Calls(creatifytest.CallRender), "renders")
	})
}

func TestALostReplyToARenderIsFoundOutAbout(t *testing.T) {
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		s.api.Inject(creatifytest.Fault{Call: creatifytest.CallRender, Drop: creatifytest.DropAfter})
		s.order("Spring sale")
		s.until(ready)
		s.approve()
		s.until(stored)
		assert.Equal(t, 1, s.api.Calls(creatifytest.CallRender))
	})
}

func TestARefusedRenderMayBeApprovedAgain(t *testing.T) {
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		s.api.Inject(creatifytest.Fault{Call: creatifytest.CallRender, Status: 402, Body: `{"detail":"Not enough credits."}`})
		s.order("Spring sale")
		s.until(ready)
		s.approve()
		time.Sleep(time.Second)
		assert.Equal(t, ready, s.row().State)
		assert.Contains(t, s.get("/orders/1"), "Not enough credits")
		s.approve()
		s.until(stored)
		assert.Equal(t, 5.0, s.api.Charged(), "credits charged")
	})
}

func TestApprovedTwiceItIsRenderedOnce(t *testing.T) {
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		s.order("Spring sale")
		s.until(ready)
		for range 2 {
			go s.approve()
		}
		s.until(stored)
		s.approve()
		synctest.Wait()
		assert.Equal(t, 1, s.api.Calls(creatifytest.CallRender))
	})
}

func TestAFailedJobAndARefusedCreateFailTheOrder(t *testing.T) {
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		s.api.NextJob(creatifytest.Life{End: "failed", Reason: "photo has a size of 0"})
		s.order("Spring sale")
		s.until(failed)
		assert.Contains(t, s.row().Reason, "photo has a size of 0")
	})
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		s.api.Inject(creatifytest.Fault{Status: 402, Body: `{"detail":"Not enough credits."}`})
		s.order("Spring sale")
		s.until(failed)
		assert.Contains(t, s.row().Reason, "Not enough credits")
	})
}

func TestAnUnknownJobFailsTheOrder(t *testing.T) {
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		s.order("Spring sale")
		s.until(previewing)
		s.close()
		s.api = creatifytest.New(creatifytest.Config{Seed: 2})
		s.open()
		s.until(failed)
		assert.Contains(t, s.row().Reason, "unknown job")
	})
}

func TestAForgedNoticeChangesNothing(t *testing.T) {
	inShop(t, creatifytest.Webhooks{Lose: func(int) bool { return true }}, func(t *testing.T, s *shop) {
		s.api.Inject(creatifytest.Fault{Call: creatifytest.CallCreatePreview, Drop: creatifytest.DropAfter})
		s.order("Spring sale")
		s.until(unknown)
		other, err := s.client().Jobs.CreatePreview(t.Context(), creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}})
		require.NoError(t, err)
		before := s.row()
		body := `{"id":"` + other.ID + `","status":"pending"}`
		for query, code := range map[string]int{
			"ref=" + before.Reference:                                              403,
			"ref=" + before.Reference + "&secret=guessed":                          403,
			"ref=guessed&secret=" + s.service.Load().secret:                        204,
			"ref=" + before.Reference + "&secret=" + s.service.Load().secret + "&": 204, // but the job has another webhook URL
		} {
			assert.Equal(t, code, s.post("/hooks/creatify?"+query, "application/json", body, nil), query)
		}
		assert.Equal(t, before, s.row())
	})
}

func TestPagesEscapeWhatIsEntered(t *testing.T) {
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		s.order(`<script>alert("1")</script>`)
		for _, page := range []string{s.get("/orders"), s.get("/orders/1")} {
			assert.NotContains(t, page, "<script")
			assert.Contains(t, page, "&lt;script&gt;")
		}
		for _, bad := range []url.Values{{"headline": {"x"}, "photo": {"javascript:alert(1)"}}, {"photo": {photo}}} {
			assert.Equal(t, 400, s.post("/orders", form, bad.Encode(), nil), "%v", bad)
		}
	})
}

func TestOtherSitesCannotOrderOrApprove(t *testing.T) {
	inShop(t, creatifytest.Webhooks{}, func(t *testing.T, s *shop) {
		s.order("Spring sale")
		s.until(ready)
		for _, header := range []http.Header{{"Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"https://evil.test"}}} {
			assert.Equal(t, 403, s.post("/orders/1/approve", form, "", header))
			assert.Equal(t, 403, s.post("/orders", form, "headline=x&photo="+url.QueryEscape(photo), header))
		}
		assert.Equal(t, 1.0, s.api.Charged(), "credits charged")
	})
}

func TestASecondProcessCannotOpenTheStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "orders.db")
	first, err := openStore(file)
	require.NoError(t, err)
	defer first.close()
	_, err = openStore(file)
	assert.ErrorContains(t, err, "locked")
}

func TestTheProgramRunsAgainstItsFakeAndStops(t *testing.T) {
	t.Setenv("CREATIFY_API_ID", "")
	t.Setenv("CREATIFY_API_KEY", "")
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	stdout, says := io.Pipe()
	code := make(chan int)
	var stderr bytes.Buffer
	go func() {
		args := []string{"-addr=127.0.0.1:0", "-db=" + filepath.Join(dir, "orders.db"), "-dir=" + dir}
		life := creatifytest.Life{Duration: 50 * time.Millisecond, Render: creatifytest.RenderLife{Duration: 50 * time.Millisecond}}
		code <- run(ctx, args, says, &stderr, life)
	}()
	base, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	base = strings.TrimSpace(base)
	get := func(path string) string {
		reply, err := http.Get(base + path)
		require.NoError(t, err)
		defer reply.Body.Close()
		body, err := io.ReadAll(reply.Body)
		require.NoError(t, err)
		return string(body)
	}
	post := func(path string, values url.Values) {
		reply, err := http.PostForm(base+path, values)
		require.NoError(t, err)
		reply.Body.Close()
	}
	says200 := func(text string) {
		require.Eventually(t, func() bool { return strings.Contains(get("/orders/1"), text) }, 20*time.Second, 20*time.Millisecond)
	}
	post("/orders", url.Values{"headline": {"Spring sale"}, "photo": {photo}})
	says200("<iframe")
	post("/orders/1/approve", nil)
	says200("<video")
	assert.NotEmpty(t, get("/videos/1"))
	stop()
	assert.Zero(t, <-code)
	assert.Contains(t, stderr.String(), "nothing is charged")
}

func TestBadUsageStartsNothing(t *testing.T) {
	for name, tt := range map[string]struct{ id, key, arg, says string }{
		"half an account":                   {id: "id", says: "missing"},
		"an account without a template":     {id: "id", key: "key", says: "-template"},
		"a template without an account":     {arg: "-template=x", says: "account"},
		"a flag that there is none of":      {arg: "-x", says: "-x"},
		"an argument that there is none of": {arg: "x", says: "unexpected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CREATIFY_API_ID", tt.id)
			t.Setenv("CREATIFY_API_KEY", tt.key)
			var stderr bytes.Buffer
			var args []string
			if tt.arg != "" {
				args = []string{tt.arg}
			}
			assert.Equal(t, badUsage, run(t.Context(), args, io.Discard, &stderr, creatifytest.Life{}))
			assert.Contains(t, stderr.String(), tt.says)
		})
	}
}

const (
	photo     = "https://shop.test/photo.jpg"
	hook      = "https://shop.test/hooks/creatify"
	form      = "application/x-www-form-urlencoded"
	videoSize = 1000
)

// shop is a service under test, which can be closed and opened again on the same orders and the same fake.
type shop struct {
	t       *testing.T
	dir     string
	api     *creatifytest.API
	store   *store
	service atomic.Pointer[service] // nil while it is closed
	broken  bool                    // the download
	lag     time.Duration           // of the replies to creates
}

// inShop runs f in virtual time.
func inShop(t *testing.T, webhooks creatifytest.Webhooks, f func(*testing.T, *shop)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &shop{t: t, dir: dir}
		webhooks.Client = &http.Client{Transport: s}
		s.api = creatifytest.New(creatifytest.Config{Life: creatifytest.Life{VideoSize: videoSize}, Webhooks: webhooks})
		go s.api.RunWebhooks(t.Context())
		s.open()
		f(t, s)
		s.close()
	})
}

// RoundTrip delivers a notice.
func (s *shop) RoundTrip(r *http.Request) (*http.Response, error) {
	service := s.service.Load()
	if service == nil {
		return nil, errors.New("the service is down")
	}
	w := httptest.NewRecorder()
	service.handler().ServeHTTP(w, r)
	return w.Result(), nil
}

func (s *shop) client() *creatify.Client {
	api := s.api
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		reply, err := api.RoundTrip(r)
		if strings.HasSuffix(r.URL.Path, "/preview_async/") {
			time.Sleep(s.lag)
		}
		return reply, err
	})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(s.t, err)
	return client
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (s *shop) open() {
	store, err := openStore(filepath.Join(s.dir, "orders.db"))
	require.NoError(s.t, err)
	client := s.client()
	service, err := newService(config{
		client: client, template: creatifytest.TemplateID, public: "https://shop.test", dir: s.dir,
		log: slog.New(slog.DiscardHandler),
		download: func(ctx context.Context, id, path string) error {
			if s.broken {
				return errors.New("the download is broken")
			}
			return os.WriteFile(path, make([]byte, videoSize), 0o600)
		},
	}, store)
	require.NoError(s.t, err)
	s.store = store
	s.service.Store(service)
}

func (s *shop) close() {
	service := s.service.Swap(nil)
	service.close()
	require.NoError(s.t, s.store.close())
}

func (s *shop) order(headline string) {
	s.t.Helper()
	values := url.Values{"headline": {headline}, "photo": {photo}}
	assert.Equal(s.t, 303, s.post("/orders", form, values.Encode(), http.Header{"Sec-Fetch-Site": {"same-origin"}}))
}

func (s *shop) approve() {
	assert.Equal(s.t, 303, s.post("/orders/1/approve", form, "", http.Header{"Sec-Fetch-Site": {"same-origin"}}))
}

func (s *shop) post(path, contentType, body string, header http.Header) int {
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, "https://shop.test"+path, strings.NewReader(body))
	maps.Copy(r.Header, header)
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	s.service.Load().handler().ServeHTTP(w, r)
	return w.Code
}

func (s *shop) get(path string) string {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.service.Load().handler().ServeHTTP(w, httptest.NewRequestWithContext(s.t.Context(), http.MethodGet, "https://shop.test"+path, nil))
	require.Equal(s.t, 200, w.Code, path)
	return w.Body.String()
}

// row is the first order.
func (s *shop) row() order {
	s.t.Helper()
	o, err := s.store.find("id", 1)
	require.NoError(s.t, err)
	return o
}

func (s *shop) until(want state) {
	s.t.Helper()
	for range 4 * 3600 {
		if s.row().State == want {
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
	require.Fail(s.t, "the order does not get there", "%s: %+v", want, s.row())
}
