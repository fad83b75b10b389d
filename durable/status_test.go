package durable

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestQueue_StatusHandler(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		inject(t, fake, creatifytest.Fault{Call: creatifytest.CallCreatePreview, Status: 500})
		options := quickOptions(fake.client(t))
		options.Hosts = []string{"orders.example.com"}
		options.Authorize = func(r *http.Request) (string, bool) {
			who, _, ok := r.BasicAuth()
			return who, ok
		}
		q := at.queue(t, options)
		stop := run(t, q)
		mustSubmit(t, q, previewOrder("lost <b>"))
		reaches(t, q, "lost <b>", StateUnknown)
		mustSubmit(t, q, previewOrder("good"))
		good := reaches(t, q, "good", StateDone)
		stop()
		mustSubmit(t, q, previewOrder("later"))

		mux := http.NewServeMux()
		mux.Handle("/admin/orders", q.StatusHandler())
		front := httptest.NewServer(mux)
		t.Cleanup(front.Close)
		client := front.Client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		do := func(method, query string, form url.Values, change func(r *http.Request)) (int, string, http.Header) {
			var body io.Reader
			if form != nil {
				body = strings.NewReader(form.Encode())
			}
			r, err := http.NewRequest(method, front.URL+"/admin/orders"+query, body)
			require.NoError(t, err)
			if form != nil {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			if change != nil {
				change(r)
			}
			response, err := client.Do(r)
			require.NoError(t, err)
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			return response.StatusCode, string(text), response.Header
		}
		anna := func(r *http.Request) {
			r.SetBasicAuth("anna", "")
			r.Header.Set("Origin", front.URL)
		}

		t.Run("page", func(t *testing.T) {
			code, text, header := do("GET", "", nil, nil)
			assert.Equal(t, 200, code)
			assert.Contains(t, text, "lost &lt;b&gt;")
			assert.Less(t, strings.Index(text, "lost &lt;b&gt;"), strings.Index(text, ">good<"), "the unknown come first")
			assert.Contains(t, text, "Resolve with its ID")
			assert.NotContains(t, text, "Spring sale", "parameters may be private")
			assert.Contains(t, header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
		})
		t.Run("json", func(t *testing.T) {
			_, text, header := do("GET", "?format=json", nil, nil)
			var v view
			require.NoError(t, json.Unmarshal([]byte(text), &v))
			assert.Equal(t, "application/json", header.Get("Content-Type"))
			assert.Equal(t, map[State]int{StateUnknown: 1, StateDone: 1, StateQueued: 1}, v.Counts)
			assert.Len(t, v.Orders, 3)
			_, text, _ = do("GET", "?order=good", nil, func(r *http.Request) { r.Header.Set("Accept", "application/json") })
			v = view{}
			require.NoError(t, json.Unmarshal([]byte(text), &v))
			assert.Equal(t, good.JobID, v.Order.JobID)
			assert.Len(t, v.History, 2)
		})
		t.Run("search", func(t *testing.T) {
			_, text, _ := do("GET", "?search="+good.JobID, nil, nil)
			assert.Contains(t, text, ">good<")
			assert.NotContains(t, text, ">later<")
			_, text, _ = do("GET", "?state=queued", nil, nil)
			assert.Contains(t, text, ">later<")
			assert.NotContains(t, text, ">good<")
			code, _, _ := do("GET", "?order=nothing", nil, nil)
			assert.Equal(t, 404, code)
		})
		t.Run("buttons_for_those_who_may", func(t *testing.T) {
			_, text, _ := do("GET", "?order=lost+%3Cb%3E", nil, nil)
			assert.NotContains(t, text, "<button class=")
			_, text, _ = do("GET", "?order=lost+%3Cb%3E", nil, anna)
			assert.Contains(t, text, `value="resend"`)
		})
		resend := url.Values{"action": {"resend"}, "order": {"lost <b>"}}
		refused := []struct {
			name   string
			change func(r *http.Request)
		}{
			{"nobody", func(r *http.Request) { r.Header.Set("Origin", front.URL) }},
			{"another_site", func(r *http.Request) { anna(r); r.Header.Set("Origin", "https://evil.example") }},
			{"another_site_by_fetch_metadata", func(r *http.Request) { anna(r); r.Header.Set("Sec-Fetch-Site", "cross-site") }},
			{"rebound_name", func(r *http.Request) { anna(r); r.Host = "evil.example"; r.Header.Set("Origin", "http://evil.example") }},
		}
		for _, test := range refused {
			t.Run("refuses_"+test.name, func(t *testing.T) {
				code, _, _ := do("POST", "", resend, test.change)
				assert.Equal(t, 403, code)
				order, err := q.Get(t.Context(), "lost <b>")
				require.NoError(t, err)
				assert.Equal(t, StateUnknown, order.State)
			})
		}
		t.Run("hosts", func(t *testing.T) {
			for host, want := range map[string]int{"orders.example.com": 200, "ORDERS.example.com:8443": 200, "localhost:80": 200, "[::1]:80": 200,
				"10.0.0.7": 200, "evil.example": 403, "": 200, "localhost.evil.example": 403} {
				code, _, _ := do("GET", "", nil, func(r *http.Request) { r.Host = host })
				assert.Equal(t, want, code, host)
			}
		})
		t.Run("changes", func(t *testing.T) {
			code, text, _ := do("POST", "", url.Values{"action": {"cancel"}, "order": {"good"}}, anna)
			assert.Equal(t, 409, code)
			assert.Contains(t, text, "Nothing was changed")
			time.Sleep(q.timing.under() + q.timing.slack)
			code, _, header := do("POST", "", resend, anna)
			assert.Equal(t, 303, code)
			assert.Equal(t, "?order=lost+%3Cb%3E", header.Get("Location"))
			history, err := q.History(t.Context(), "lost <b>")
			require.NoError(t, err)
			assert.Equal(t, "anna", history[len(history)-1].Who)
			code, _, _ = do("POST", "", url.Values{"action": {"cancel"}, "order": {"later"}}, anna)
			assert.Equal(t, 303, code)
			code, _, _ = do("POST", "", url.Values{"action": {"explode"}, "order": {"later"}}, anna)
			assert.Equal(t, 400, code)
			code, _, _ = do("PUT", "", nil, anna)
			assert.Equal(t, 405, code)
		})
	})
}

// Two people look at the same order. The second, who has not seen that the first has sent it again, does not
// pay a third time.
func TestQueue_StatusHandler_stale_resend(t *testing.T) {
	at := newPlace(t, SQLite)
	fake := newAPI(t, done1s)
	inject(t, fake, creatifytest.Fault{Call: creatifytest.CallCreatePreview, Times: 3, Drop: creatifytest.DropAfter})
	options := quickOptions(fake.client(t))
	options.Authorize = func(*http.Request) (string, bool) { return "anna", true }
	q := at.queue(t, options)
	defer run(t, q)()
	mustSubmit(t, q, previewOrder("o"))
	reaches(t, q, "o", StateUnknown)
	front := httptest.NewServer(q.StatusHandler())
	t.Cleanup(front.Close)
	client := front.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

	w := httptest.NewRecorder()
	q.StatusHandler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/?order=o", nil))
	form := regexp.MustCompile(`(?s)<form method="post">.*?value="resend".*?</form>`).FindString(w.Body.String())
	form = form[strings.LastIndex(form, "<form"):]
	sent := url.Values{"action": {"resend"}}
	for _, input := range regexp.MustCompile(`name="(\w+)" value="([^"]*)"`).FindAllStringSubmatch(form, -1) {
		if input[1] != "action" {
			sent.Set(input[1], input[2])
		}
	}
	press := func() int {
		time.Sleep(q.timing.under() + q.timing.slack)
		response, err := client.PostForm(front.URL, sent)
		require.NoError(t, err)
		response.Body.Close()
		return response.StatusCode
	}
	assert.Equal(t, 303, press(), "the first person")
	require.Eventually(t, func() bool { return fake.Calls(creatifytest.CallCreatePreview) == 2 }, patience, 50*time.Millisecond)
	reaches(t, q, "o", StateUnknown)
	assert.Equal(t, 409, press(), "the second, from a page of before")
	time.Sleep(time.Second)
	assert.Equal(t, 2.0, fake.Charged())
}

// A read takes no body, so that nobody keeps the page from others.
func TestQueue_StatusHandler_bodies_that_never_end(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		page := at.queue(t, quickOptions(newAPI(t, done1s).client(t))).StatusHandler()
		for range 2 {
			body, writer := io.Pipe()
			t.Cleanup(func() { writer.Close() })
			go writer.Write([]byte("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"))
			r := httptest.NewRequest("GET", "http://localhost/", body)
			r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
			go page.ServeHTTP(httptest.NewRecorder(), r)
		}
		time.Sleep(500 * time.Millisecond)
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/", nil))
		assert.Equal(t, 200, w.Code, w.Body.String())
	})
}

// After a button the browser is back on the page, wherever the page is served.
func TestQueue_StatusHandler_redirects(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		fake := newAPI(t, done1s)
		options := quickOptions(fake.client(t))
		options.Authorize = func(*http.Request) (string, bool) { return "anna", true }
		q := at.queue(t, options)
		mux := http.NewServeMux()
		mux.Handle("/admin/", http.StripPrefix("/admin", q.StatusHandler()))
		mux.Handle("/orders/", q.StatusHandler())
		front := httptest.NewServer(mux)
		t.Cleanup(front.Close)
		client := front.Client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for path, want := range map[string]string{
			"/admin/":                    "/admin/?order=later",
			"/admin/queue":               "/admin/queue?order=later",
			"/orders/":                   "/orders/?order=later",
			"/orders/https:evil.example": "/orders/https:evil.example?order=later",
		} {
			mustSubmit(t, q, previewOrder("later"))
			_, err := q.db.Exec(q.dialect.Replace(`UPDATE {s}orders SET state = 'queued'`))
			require.NoError(t, err)
			form := url.Values{"action": {"cancel"}, "order": {"later"}}
			r, err := http.NewRequest("POST", front.URL+path, strings.NewReader(form.Encode()))
			require.NoError(t, err)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", front.URL)
			response, err := client.Do(r)
			require.NoError(t, err)
			response.Body.Close()
			assert.Equal(t, 303, response.StatusCode, path)
			to, err := r.URL.Parse(response.Header.Get("Location"))
			require.NoError(t, err)
			assert.Equal(t, front.URL+want, to.String(), path)
		}
	})
}

// What a visitor types is no outage of the database.
func TestQueue_StatusHandler_odd_queries(t *testing.T) {
	onBoth(t, func(t *testing.T, at place) {
		q := at.queue(t, quickOptions(newAPI(t, done1s).client(t)))
		for _, query := range []string{"?search=%00", "?order=%00", "?order=%ff", "?search=%ff", "?state=%00", "?after=%00"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "http://localhost/"+query, nil)
			q.StatusHandler().ServeHTTP(w, r)
			assert.NotEqual(t, 503, w.Code, "%s: %s", query, w.Body)
		}
	})
}
