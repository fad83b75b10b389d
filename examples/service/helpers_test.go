package main

import (
	"cmp"
	"context"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain runs the tests, or the program: a test that needs it as a process starts this binary again.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_THE_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// customer is somebody before a shop, in virtual time.
type customer struct {
	t    *testing.T
	fake *creatifytest.API
	shop *shop
	all  http.Handler
}

// visit runs a test with a shop that runs.
func visit(t *testing.T, config creatifytest.Config, s *shop, test func(c *customer)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		fake := creatifytest.New(config)
		s.account, s.template, s.db, s.dir = true, creatifytest.TemplateID, filepath.Join(dir, "orders.db"), dir
		s.public = cmp.Or(s.public, &url.URL{})
		s.log = slog.New(slog.NewTextHandler(t.Output(), nil))
		var err error
		s.client, err = creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
		require.NoError(t, err)
		require.NoError(t, s.open(t.Context()))
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { assert.NoError(t, s.queue.Run(ctx)) })
		running.Go(func() { assert.NoError(t, s.fetchVideos(ctx)) })
		defer func() {
			stop()
			running.Wait()
			assert.NoError(t, s.queue.Close())
		}()
		test(&customer{t, fake, s, s.handler()})
	})
}

// send sends a request as a browser does, which edit may change.
func (c *customer) send(method, path string, form url.Values, edit ...func(r *http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(c.t.Context(), method, "http://127.0.0.1:8080"+path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	c.all.ServeHTTP(w, r)
	return w
}

// text returns a page as a person reads it.
func (c *customer) text(path string) string {
	page := c.send(http.MethodGet, path, nil)
	assert.Equal(c.t, http.StatusOK, page.Code, path)
	words := regexp.MustCompile(`(?s)<[^>]*>`).ReplaceAllString(page.Body.String(), " ")
	return html.UnescapeString(strings.Join(strings.Fields(words), " "))
}

// form returns the form of the first page, filled in.
func (c *customer) form(headline string) url.Values {
	page := c.send(http.MethodGet, "/", nil).Body.String()
	id := regexp.MustCompile(`name="id" value="([A-Z2-7]{26})"`).FindStringSubmatch(page)
	require.NotNil(c.t, id, page)
	return url.Values{"id": id[1:], "headline": {headline}, "photo": {"https://example.com/photo.jpg"}}
}

// order orders a preview, and returns the path of its page.
func (c *customer) order(headline string) (path string) {
	c.t.Helper()
	w := c.send(http.MethodPost, "/orders", c.form(headline))
	require.Equal(c.t, http.StatusSeeOther, w.Code, w.Body)
	return w.Header().Get("Location")
}

// sees waits until a page has a text.
func (c *customer) sees(path, text string) {
	c.t.Helper()
	var shown string
	for range 300 {
		if shown = c.text(path); strings.Contains(shown, text) {
			return
		}
		time.Sleep(time.Second)
	}
	require.Contains(c.t, shown, text)
}
