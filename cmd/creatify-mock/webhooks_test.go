package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWebhookClient(t *testing.T) {
	const elsewhere = "http://192.0.2.1:9/secret" // an address that nobody has
	redirect := httptest.NewServer(http.RedirectHandler(elsewhere, http.StatusTemporaryRedirect))
	defer redirect.Close()
	tests := []struct{ name, url string }{
		{"another machine", elsewhere},
		{"this machine, which redirects", redirect.URL},
		{"another machine, in IPv6", "http://[2001:db8::1]:9/secret"},
		{"another machine, in mapped IPv4", "http://[::ffff:192.0.2.1]:9/secret"},
		{"any address", "http://0.0.0.0:9/secret"},
		{"a name, which is not looked up", "http://creatify.test/secret"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			resp, err := webhookClient(newLogger(&log), false).Post(test.url, "application/json", strings.NewReader("{}"))
			if err == nil {
				resp.Body.Close()
			}
			assert.ErrorContains(t, err, "(-webhooks any sends there)")
			assert.Contains(t, log.String(), "level=WARN msg=webhook")
			assert.NotContains(t, log.String(), "secret")
		})
	}
}

func TestToLoopback(t *testing.T) {
	tests := []struct {
		address string
		want    error
	}{
		{"127.0.0.1:80", nil}, {"127.9.9.9:80", nil}, {"[::1]:80", nil}, {"[::ffff:127.0.0.1]:80", nil},
		{"192.0.2.1:80", errNotHere}, {"[2001:db8::1]:80", errNotHere}, {"[fe80::1%eth0]:80", errNotHere},
	}
	for _, test := range tests {
		t.Run(test.address, func(t *testing.T) {
			assert.ErrorIs(t, toLoopback("tcp", test.address, nil), test.want)
		})
	}
}
