package main

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/creatify-community/creatify-go/durable"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestShop_from_order_to_video(t *testing.T) {
	visit(t, creatifytest.Config{}, &shop{}, func(c *customer) {
		assert.Contains(t, c.text("/"), "See a preview first, for 1 credit.")
		path := c.order("Spring <sale>")
		assert.Contains(t, c.text(path), "Spring <sale>")
		c.sees(path, "Your preview is being made.")
		assert.Contains(t, c.text("/"), "Spring <sale> In the making")
		c.sees(path, "Preview ready Do you like it? Then order the video. Order the video for 4 credits")
		page := c.send(http.MethodGet, path, nil)
		assert.Contains(t, page.Body.String(), `<iframe class="frame" data-shape="9x16" sandbox="allow-scripts allow-same-origin" src="https://app.creatify.ai/preview?layout=`+c.fake.Jobs()[0]+`"`)
		assert.Contains(t, page.Header().Get("Content-Security-Policy"), "default-src 'none'")
		assert.Contains(t, page.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'")
		assert.Equal(t, 1.0, c.fake.Charged(), "the price of a preview")
		video := strings.Replace(path, "/orders/", "/videos/", 1)
		assert.Equal(t, http.StatusNotFound, c.send(http.MethodGet, video, nil).Code)

		assert.Equal(t, http.StatusSeeOther, c.send(http.MethodPost, path+"/approve", nil).Code)
		c.sees(path, "Your video is being made.")
		assert.Contains(t, c.send(http.MethodGet, path, nil).Body.String(), "<iframe", "the preview stays")
		c.sees(path, "Video ready Here it is.")
		got := c.send(http.MethodGet, video, nil)
		assert.Equal(t, http.StatusOK, got.Code)
		assert.Equal(t, "video/mp4", got.Header().Get("Content-Type"))
		assert.Equal(t, "ftyp", got.Body.String()[4:8], "an MP4 file")
		part := c.send(http.MethodGet, video, nil, func(r *http.Request) { r.Header.Set("Range", "bytes=4-7") })
		assert.Equal(t, http.StatusPartialContent, part.Code, "as a player asks for it")
		assert.Equal(t, "ftyp", part.Body.String())
		assert.Equal(t, 5.0, c.fake.Charged())
	})
}

// TestShop_states: the page says what each state means and what it cost.
func TestShop_states(t *testing.T) {
	tests := []struct {
		name    string
		life    creatifytest.Life
		fault   creatifytest.Fault
		says    string
		details string
		charged float64
	}{
		{name: "failed", life: creatifytest.Life{End: "failed", Reason: "no photo <there>"}, charged: 1,
			says: "It did not work Your preview could not be made. Please check the text and the photo, and order again.", details: "no photo <there>"},
		{name: "rejected", life: creatifytest.Life{End: "rejected", Reason: "against the rules"}, charged: 1,
			says: "Not accepted Your preview was not accepted. Please choose another text or photo", details: "against the rules"},
		{name: "refused", fault: creatifytest.Fault{Status: 400, Body: `["No."]`},
			says: "It did not work Your preview could not be made. Nothing was charged for it.", details: "creatify: create preview: 400 Bad Request: No"},
		{name: "unknown", fault: creatifytest.Fault{Drop: creatifytest.DropAfter}, charged: 1,
			says: "Taking too long We do not know yet whether your preview is being made, and are finding out. Please do not order it again.", details: "outcome_unknown"},
		{name: "expired", life: creatifytest.Life{Edit: func(job map[string]any) { job["preview"] = nil }}, charged: 1,
			says: "Taking too long Your preview has not arrived yet, and we are looking into it. Please do not order it again.", details: "no_output"},
		{name: "queued", fault: creatifytest.Fault{Status: 402, Times: -1, Body: `{"detail":"Not enough credits."}`},
			says: "In the queue Your preview has to wait a little longer. Nothing was charged for it so far."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			visit(t, creatifytest.Config{Life: test.life}, &shop{}, func(c *customer) {
				test.fault.Call = creatifytest.CallCreatePreview
				if test.fault.Status > 0 || test.fault.Drop > 0 {
					require.NoError(t, c.fake.Inject(test.fault))
				}
				path := c.order("Spring sale")
				c.sees(path, test.says)
				if test.details != "" {
					assert.Contains(t, c.text(path), "Details "+test.details)
					assert.NotContains(t, c.send(http.MethodGet, path, nil).Body.String(), "<progress", "nothing moves")
				}
				assert.NotContains(t, c.text(path), "Order the video")
				over := slices.Contains([]string{"failed", "rejected", "refused"}, test.name)
				assert.Equal(t, over, strings.Contains(c.text(path), "New order"), "a way to order again")
				assert.Equal(t, test.charged, c.fake.Charged())
			})
		})
	}
}

func TestShop_same_form_twice(t *testing.T) {
	visit(t, creatifytest.Config{}, &shop{}, func(c *customer) {
		form := c.form("Spring sale")
		first, second := c.send(http.MethodPost, "/orders", form), c.send(http.MethodPost, "/orders", form)
		assert.Equal(t, http.StatusSeeOther, second.Code)
		assert.Equal(t, first.Header().Get("Location"), second.Header().Get("Location"))
		form.Set("headline", "Autumn sale")
		third := c.send(http.MethodPost, "/orders", form)
		assert.Equal(t, http.StatusConflict, third.Code)
		assert.Contains(t, third.Body.String(), "This form was sent before, with another text or photo.")
		c.sees(first.Header().Get("Location"), "Preview ready")
		assert.Equal(t, 1.0, c.fake.Charged())
	})
}

func TestShop_many_approvals_at_once(t *testing.T) {
	visit(t, creatifytest.Config{}, &shop{}, func(c *customer) {
		path := c.order("Spring sale")
		early := c.send(http.MethodPost, path+"/approve", nil)
		assert.Equal(t, http.StatusConflict, early.Code)
		assert.Contains(t, early.Body.String(), "The preview is not ready yet.")
		c.sees(path, "Preview ready")
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { assert.Equal(t, http.StatusSeeOther, c.send(http.MethodPost, path+"/approve", nil).Code) })
		}
		all.Wait()
		c.sees(path, "Video ready")
		assert.Equal(t, http.StatusSeeOther, c.send(http.MethodPost, path+"/approve", nil).Code, "nor does it matter later")
		time.Sleep(10 * time.Second)
		assert.Equal(t, 5.0, c.fake.Charged())
		assert.Equal(t, 1, c.fake.Calls(creatifytest.CallRender))
	})
}

func TestShop_hosts(t *testing.T) {
	tests := []struct {
		host string
		code int
	}{
		{"127.0.0.1:8080", http.StatusOK},
		{"[::1]:8080", http.StatusOK},
		{"localhost:8080", http.StatusOK},
		{"LOCALHOST", http.StatusOK},
		{"192.0.2.7", http.StatusOK},
		{"shop.example.com", http.StatusOK},
		{"Shop.Example.com:443", http.StatusOK},
		{"evil.example", http.StatusForbidden},
		{"evil.example:8080", http.StatusForbidden},
		{"127.0.0.1.evil.example", http.StatusForbidden},
		{"localhost.evil.example", http.StatusForbidden},
		{"shop.example.com.evil.example", http.StatusForbidden},
		{"127.0.0.1@evil.example", http.StatusForbidden},
		{"evil.example/127.0.0.1", http.StatusForbidden},
		{"evil.example#localhost", http.StatusForbidden},
		{"", http.StatusForbidden},
	}
	visit(t, creatifytest.Config{}, &shop{public: &url.URL{Scheme: "https", Host: "shop.example.com"}}, func(c *customer) {
		for _, test := range tests {
			for _, path := range []string{"/", "/web/style.css", "/status/"} {
				w := c.send(http.MethodGet, path, nil, func(r *http.Request) { r.Host = test.host })
				assert.Equal(t, test.code, w.Code, "%s of %q", path, test.host)
			}
			w := c.send(http.MethodPost, "/hooks/creatify", nil, func(r *http.Request) { r.Host = test.host })
			assert.Equal(t, test.code == http.StatusForbidden, w.Code == http.StatusForbidden, "the webhooks of %q: %d", test.host, w.Code)
		}
	})
}

func TestShop_other_sites(t *testing.T) {
	tests := []struct {
		name string
		edit func(r *http.Request)
	}{
		{"a form of another site", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }},
		{"a form of another port of this machine", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }},
		{"a form of another site, in an old browser", func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://evil.example")
		}},
		{"a foreign name that points here", func(r *http.Request) {
			r.Host = "evil.example"
			r.Header.Set("Origin", "http://evil.example")
		}},
	}
	visit(t, creatifytest.Config{}, &shop{}, func(c *customer) {
		path := c.order("Spring sale")
		c.sees(path, "Preview ready")
		for _, test := range tests {
			assert.Equal(t, http.StatusForbidden, c.send(http.MethodPost, "/orders", c.form("Autumn sale"), test.edit).Code, test.name)
			assert.Equal(t, http.StatusForbidden, c.send(http.MethodPost, path+"/approve", nil, test.edit).Code, test.name)
		}
		time.Sleep(10 * time.Second)
		assert.Equal(t, 1.0, c.fake.Charged())
	})
}

func TestShop_login(t *testing.T) {
	visit(t, creatifytest.Config{}, &shop{password: "secret"}, func(c *customer) {
		as := func(password string) func(r *http.Request) {
			return func(r *http.Request) { r.SetBasicAuth("shop", password) }
		}
		for _, path := range []string{"/", "/orders/AAAAAAAAAAAAAAAAAAAAAAAAAA", "/videos/AAAAAAAAAAAAAAAAAAAAAAAAAA", "/status/"} {
			w := c.send(http.MethodGet, path, nil)
			assert.Equal(t, http.StatusUnauthorized, w.Code, path)
			assert.Equal(t, `Basic realm="shop"`, w.Header().Get("WWW-Authenticate"))
			assert.Equal(t, http.StatusUnauthorized, c.send(http.MethodGet, path, nil, as("Secret")).Code, path)
			assert.Equal(t, http.StatusUnauthorized, c.send(http.MethodGet, path, nil, as("")).Code, path)
			assert.NotEqual(t, http.StatusUnauthorized, c.send(http.MethodGet, path, nil, as("secret")).Code, path)
		}
		form := url.Values{"id": {"AAAAAAAAAAAAAAAAAAAAAAAAAA"}, "headline": {"x"}, "photo": {"https://example.com/x"}}
		assert.Equal(t, http.StatusUnauthorized, c.send(http.MethodPost, "/orders", form).Code)
		assert.Equal(t, http.StatusSeeOther, c.send(http.MethodPost, "/orders", form, as("secret")).Code)
	})
}

func TestShop_hostile_requests(t *testing.T) {
	good := url.Values{"id": {"AAAAAAAAAAAAAAAAAAAAAAAAAA"}, "headline": {"x"}, "photo": {"https://example.com/x"}}
	with := func(name, value string) url.Values {
		form := maps.Clone(good)
		form.Set(name, value)
		return form
	}
	tests := []struct {
		name, method, path string
		form               url.Values
		code               int
	}{
		{"no form", "POST", "/orders", nil, http.StatusBadRequest},
		{"no headline", "POST", "/orders", with("headline", " \n "), http.StatusBadRequest},
		{"a headline that is too long", "POST", "/orders", with("headline", strings.Repeat("ä", 201)), http.StatusBadRequest},
		{"a headline that is not UTF-8", "POST", "/orders", with("headline", "a\xff"), http.StatusBadRequest},
		{"a script for a photo", "POST", "/orders", with("photo", "javascript:alert(1)"), http.StatusBadRequest},
		{"a file of the server", "POST", "/orders", with("photo", "file:///etc/passwd"), http.StatusBadRequest},
		{"a photo on the server's network", "POST", "/orders", with("photo", "http://169.254.169.254/latest/meta-data"), http.StatusBadRequest},
		{"a photo that is no URL", "POST", "/orders", with("photo", strings.Repeat("x", 3000)), http.StatusBadRequest},
		{"an ID that is a path", "POST", "/orders", with("id", "../../../../tmp/AAAAAAAAAA"), http.StatusBadRequest},
		{"an ID in lower case", "POST", "/orders", with("id", strings.ToLower(good.Get("id"))), http.StatusBadRequest},
		{"the ID of a render", "POST", "/orders", with("id", good.Get("id")+"-video"), http.StatusBadRequest},
		{"an ID with a line feed", "POST", "/orders", with("id", good.Get("id")+"\n"), http.StatusBadRequest},
		{"a body that is too long", "POST", "/orders", with("other", strings.Repeat("x", 65<<10)), http.StatusBadRequest},
		{"an order that does not exist", "GET", "/orders/BAAAAAAAAAAAAAAAAAAAAAAAAA", nil, http.StatusNotFound},
		{"an approval of an order that does not exist", "POST", "/orders/BAAAAAAAAAAAAAAAAAAAAAAAAA/approve", nil, http.StatusNotFound},
		{"a NUL in an ID", "GET", "/orders/%00", nil, http.StatusNotFound},
		{"a video outside of the folder", "GET", "/videos/..%2f..%2fetc%2fpasswd", nil, http.StatusNotFound},
		{"the file of the orders", "GET", "/videos/..%2forders.db", nil, http.StatusNotFound},
		{"another method", "DELETE", "/orders/AAAAAAAAAAAAAAAAAAAAAAAAAA", nil, http.StatusMethodNotAllowed},
		{"an approval by a link", "GET", "/orders/AAAAAAAAAAAAAAAAAAAAAAAAAA/approve", nil, http.StatusMethodNotAllowed},
		{"a page that does not exist", "GET", "/nonsense", nil, http.StatusNotFound},
		{"a template's source", "GET", "/web/order.html", nil, http.StatusNotFound},
	}
	visit(t, creatifytest.Config{}, &shop{}, func(c *customer) {
		for _, test := range tests {
			w := c.send(test.method, test.path, test.form)
			assert.Equal(t, test.code, w.Code, test.name)
			assert.NotContains(t, w.Body.String(), "Something is wrong on our side", test.name)
		}
		time.Sleep(5 * time.Second)
		assert.Zero(t, c.fake.Calls(creatifytest.CallCreatePreview))
		assert.Equal(t, http.StatusSeeOther, c.send(http.MethodPost, "/orders", good).Code)
	})
}

func TestShop_escapes_what_others_wrote(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	life := creatifytest.Life{End: "failed", Reason: evil, Edit: func(job map[string]any) { job["preview"] = "javascript:alert(1)" }}
	visit(t, creatifytest.Config{Life: life}, &shop{}, func(c *customer) {
		path := c.order(evil)
		c.sees(path, "It did not work")
		for _, page := range []string{path, "/"} {
			body := c.send(http.MethodGet, page, nil).Body.String()
			assert.NotContains(t, body, "<script>alert")
			assert.NotContains(t, body, "javascript:")
		}
		assert.Contains(t, c.text(path), "Details "+evil)
	})
}

func TestShop_webhooks(t *testing.T) {
	visit(t, creatifytest.Config{Life: creatifytest.Life{Duration: 30 * time.Second}}, &shop{public: &url.URL{Scheme: "https", Host: "shop.example.com"}, secret: "s3cret"}, func(c *customer) {
		path := c.order("Spring sale")
		c.sees(path, "being made")
		ctx, stop := context.WithCancel(c.t.Context())
		defer stop()
		go c.fake.RunWebhooksTo(ctx, c.all)
		time.Sleep(31 * time.Second)
		assert.Contains(t, c.text(path), "Preview ready", "an event ends the wait")

		charge := c.fake.Charges()[0]
		assert.True(t, strings.HasPrefix(charge.WebhookURL, "https://shop.example.com/hooks/creatify?"), charge.WebhookURL)
		assert.Contains(t, charge.WebhookURL, "s3cret")
		assert.Equal(t, http.StatusForbidden, c.send(http.MethodPost, "/hooks/creatify", nil).Code, "without the secret")
	})
}

// What another program has put into the same database does not close the shop.
func TestShop_orders_of_other_programs(t *testing.T) {
	visit(t, creatifytest.Config{}, &shop{}, func(c *customer) {
		_, err := c.shop.queue.Submit(c.t.Context(), durable.Order{ID: "campaign-1", Kind: durable.Preview, Params: creatify.JobParams{
			TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{"headline": creatify.Text("x")}}})
		require.NoError(c.t, err)
		assert.Equal(c.t, http.StatusOK, c.send(http.MethodGet, "/", nil).Code)
	})
}

// A video that does not come holds up nobody else's.
func TestShop_one_video_that_trickles(t *testing.T) {
	visit(t, creatifytest.Config{}, &shop{}, func(c *customer) {
		first, second := c.order("first"), c.order("second")
		c.sees(first, "Preview ready")
		c.sees(second, "Preview ready")
		// Two hosts that answer nothing for a while: each attempt ends after 30 s, for a minute.
		require.NoError(c.t, c.fake.Inject(creatifytest.Fault{Call: creatifytest.CallVideo, Delay: time.Hour, Times: 3}))
		c.send(http.MethodPost, first+"/approve", nil)
		c.sees(first, "It is on its way to us.")
		start := time.Now()
		c.send(http.MethodPost, second+"/approve", nil)
		c.sees(second, "Here it is.")
		assert.Less(c.t, time.Since(start), time.Minute, "20 s to make, and 30 s for the one attempt that hangs")
	})
}

// A service with an empty folder fetches all videos.
func TestShop_old_videos_on_a_new_machine(t *testing.T) {
	visit(t, creatifytest.Config{}, &shop{}, func(c *customer) {
		path := c.order("first")
		c.sees(path, "Preview ready")
		c.send(http.MethodPost, path+"/approve", nil)
		c.sees(path, "Here it is.")
		id := strings.TrimPrefix(path, "/orders/") + ofVideo
		db, err := sql.Open("sqlite3", "file:"+c.shop.db+"?_pragma=busy_timeout(10000)")
		require.NoError(c.t, err)
		defer db.Close()
		for i := range 1000 { // newer orders, whose files are here
			newer := fmt.Sprintf("%026d-video", i)
			_, err := db.Exec(`INSERT INTO orders (id, kind, of_id, priority, max_wait, state, job_id, reference, digest, created, due)
				SELECT ?, kind, of_id, priority, max_wait, state, job_id, ?, digest, created + 1, due FROM orders WHERE id = ?`, newer, newer, id)
			require.NoError(c.t, err)
			require.NoError(c.t, os.WriteFile(c.shop.videoPath(newer), nil, 0o600))
		}
		require.NoError(c.t, os.Remove(c.shop.videoPath(id)))
		time.Sleep(2 * time.Minute)
		assert.Contains(c.t, c.text(path), "Here it is.")
	})
}
