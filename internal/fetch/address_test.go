package fetch

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCheckURLRefuses(t *testing.T) {
	for _, at := range []string{
		"http://files.test/v", "http://93.184.216.34/v", "ftp://files.test/v", "file:///v", "https:///v", "https://[::1/v",
		"https://me:pw@files.test/v", "/v.mp4", "//files.test/v", "mailto:v@files.test", "data:video/mp4,v",
		// this machine
		"https://127.0.0.1/v", "https://127.0.0.1./v", "https://127.8.9.10/v", "https://0.0.0.0/v", "https://[::]/v", "https://[::1]/v",
		"https://[::ffff:127.0.0.1]/v", "https://[::127.0.0.1]/v", "https://[64:ff9b::7f00:1]/v", "https://[2002:7f00:1::]/v",
		"https://localhost/v", "https://LOCALHOST./v", "https://a.localhost/v",
		// private and link-local networks
		"https://10.1.2.3/v", "https://172.16.0.1/v", "https://192.168.1.1/v", "https://169.254.169.254/latest/meta-data",
		"https://100.64.0.1/v", "https://100.127.255.255/v", "https://[fe80::1]/v", "https://[fe80::1%25eth0]/v", "https://[fc00::1]/v",
		"https://[fd12::1]/v", "https://[::ffff:a00:1]/v", "https://[64:ff9b::10.0.0.1]/v", "https://[64:ff9b:1::a00:1]/v",
		// other special addresses
		"https://224.0.0.1/v", "https://255.255.255.255/v", "https://[ff02::1]/v", "https://[2001:0:1::]/v", "https://192.0.0.1/v",
		"https://192.0.2.1/v", "https://192.88.99.1/v", "https://198.18.0.1/v", "https://198.19.255.255/v", "https://198.51.100.1/v",
		"https://203.0.113.1/v", "https://[2001:db8::1]/v", "https://[3fff::1]/v",
		// unusual forms, which some resolvers understand
		"https://0x7f000001/v", "https://127.0/v", "https://127.9/v", "https://a../v", "https://2130706433/v", "https://0x7f.1/v",
		"https://127.1/v", "https://0177.0.0.1/v", "https://１２７.０.０.１/v",
	} {
		t.Run(at, func(t *testing.T) {
			h := &host{content: videoOf(9)} // in memory: only the check is between them
			_, err := newClient(h).ToWriter(t.Context(), fileAt(at), nil)
			assert.Equal(t, RefusedURL, failureOf(t, err).Kind)
			assert.Empty(t, h.requests)
			if at[0] == '/' {
				return // a redirect may be relative
			}
			h = &host{content: videoOf(9), answers: map[int]answer{0: redirectTo(at)}}
			_, err = written(t, h)
			assert.Equal(t, RefusedURL, failureOf(t, err).Kind, "after a redirect")
			assert.Len(t, h.requests, 1)
		})
	}
}

func TestCheckURLAccepts(t *testing.T) {
	for _, at := range []string{"https://93.184.216.34/v", "https://[2606:2800:220:1::1]/v", "https://[64:ff9b::5db8:d822]/v",
		"https://[::ffff:93.184.216.34]/v", "https://files.test:8443/v", "https://100.128.0.1/v", "https://172.32.0.1/v"} {
		t.Run(at, func(t *testing.T) {
			_, err := written(t, &host{content: videoOf(9)}, func(f *File) { *f = fileAt(at) })
			assert.NoError(t, err)
		})
	}
}

func TestEscape(t *testing.T) {
	tests := []struct {
		name, at string
		uri      string // what the host is asked for
	}{
		{"good", "/v.mp4?a=%20b", "/v.mp4?a=%20b"},
		{"white_space_around", "/v.mp4 \n\t", "/v.mp4"},
		{"a_percent_sign", "/100%.mp4", "/100%25.mp4"},
		{"a_percent_sign_before_an_escape", "/%%41%4", "/%25%41%254"},
		{"a_space", "/my video.mp4?a=b c", "/my%20video.mp4?a=b%20c"},
		{"other_characters", "/vidéo.mp4?a=é", "/vid%C3%A9o.mp4?a=%C3%A9"},
		{"a_line_break", "/a\r\nHost: b", "/a%0D%0AHost:%20b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked = append(asked, r.RequestURI); r.URL.Path == "/redirect" {
					w.Header()["Location"] = []string{tt.at}
					w.WriteHeader(http.StatusFound)
					return
				}
				video(w, r)
			}))
			defer server.Close()
			_, err := written(t, new(http.Transport), func(f *File) { *f = fileAt(server.URL+tt.at, private) })
			assert.NoError(t, err)
			_, err = written(t, new(http.Transport), func(f *File) { *f = fileAt(server.URL+"/redirect", private) })
			assert.NoError(t, err)
			if tt.name != "a_line_break" { // which no Location can have
				assert.Equal(t, []string{tt.uri, "/redirect", tt.uri}, asked)
			}
		})
	}
}
