package creatifytest_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"

	"github.com/creatify-community/creatify-go/creatifytest"
)

func TestTracer(t *testing.T) {
	t.Run("reports how far a request gets", func(t *testing.T) {
		const sent = "GetConn GotConn WroteHeaderField WroteHeaders WroteRequest"
		tests := []struct {
			name  string
			fault creatifytest.Fault
			want  string
		}{
			{"a request that is answered", creatifytest.Fault{}, sent + " GotFirstResponseByte"},
			{"a request that is answered with an error", creatifytest.Fault{Status: 500}, sent + " GotFirstResponseByte"},
			{"a connection that is lost before processing", creatifytest.Fault{Drop: creatifytest.DropBefore}, sent},
			{"a connection that is lost after processing", creatifytest.Fault{Drop: creatifytest.DropAfter}, sent},
			{"a connection that is refused", creatifytest.Fault{Drop: creatifytest.Refuse}, "GetConn"},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				api := creatifytest.New(creatifytest.Config{})
				api.Inject(test.fault)
				ctx, hooks := traced(t.Context())
				if resp, err := api.RoundTrip(newRequest(ctx, "POST", previewURL, validBody)); err == nil {
					resp.Body.Close()
				}
				equal(t, "the list of hooks", strings.Join(slices.Compact(*hooks), " "), test.want)
			})
		}
	})

	t.Run("is that of the real transport", func(t *testing.T) {
		var want []string
		clients(t, func(t *testing.T, api *creatifytest.API, client *http.Client, host string) {
			ctx, hooks := traced(t.Context())
			resp, err := client.Do(newRequest(ctx, "POST", host+previewPath, validBody))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			got := slices.Compact(*hooks)
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("the hooks are %v, without a socket they are %v", got, want)
			}
		})
	})

	t.Run("names host and connection", func(t *testing.T) {
		tests := map[string]string{
			"https://api.creatify.ai":  "api.creatify.ai:443",
			"http://api.creatify.ai":   "api.creatify.ai:80",
			"https://[::1]:8443":       "[::1]:8443",
			"http://localhost.test:81": "localhost.test:81",
		}
		for host, want := range tests {
			var got string
			var conn net.Conn
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				GetConn: func(hostPort string) { got = hostPort },
				GotConn: func(info httptrace.GotConnInfo) { conn = info.Conn },
			})
			roundTrip(t, creatifytest.New(creatifytest.Config{}), newRequest(ctx, "GET", host+creditsPath, ""))
			equal(t, "GetConn's argument for "+host, got, want)
			if conn == nil || conn.RemoteAddr() == nil {
				t.Errorf("GotConn gets the connection %v, want one with an address", conn)
			}
		}
	})

	t.Run("accepts a trace without hooks", func(t *testing.T) {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{})
		got := roundTrip(t, creatifytest.New(creatifytest.Config{}), newRequest(ctx, "GET", creditsURL, ""))
		equal(t, "the status", got.status, 200)
	})
}

// traced returns a context with a trace, and the names of the hooks called.
func traced(ctx context.Context) (context.Context, *[]string) {
	var hooks []string
	hook := func(name string) { hooks = append(hooks, name) }
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { hook("GetConn") },
		GotConn:              func(httptrace.GotConnInfo) { hook("GotConn") },
		WroteHeaderField:     func(string, []string) { hook("WroteHeaderField") },
		WroteHeaders:         func() { hook("WroteHeaders") },
		WroteRequest:         func(httptrace.WroteRequestInfo) { hook("WroteRequest") },
		GotFirstResponseByte: func() { hook("GotFirstResponseByte") },
	}), &hooks
}
