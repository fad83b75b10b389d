package fetch

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewTakesNothingThatIdentifiesTheCaller(t *testing.T) {
	var presented atomic.Int32
	s := newSecure(t, func(w http.ResponseWriter, r *http.Request) {
		presented.Add(int32(len(r.TLS.PeerCertificates)))
		video(w, r)
	})
	s.TLS.ClientAuth = tls.RequestClientCert
	own := s.TLS.Certificates[0]
	tests := []struct {
		name   string
		change func(*http.Transport)
	}{
		{"Certificates", func(tr *http.Transport) { tr.TLSClientConfig.Certificates = []tls.Certificate{own} }},
		{"GetClientCertificate", func(tr *http.Transport) {
			tr.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
		}},
		{"DialTLSContext", func(tr *http.Transport) {
			config := tr.TLSClientConfig.Clone()
			config.ServerName, config.Certificates = "example.com", []tls.Certificate{own}
			tr.DialTLSContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				conn, err := s.dial(ctx, network, "example.com:443")
				return tls.Client(conn, config), err
			}
		}},
	}
	for _, tt := range tests {
		for _, private := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				presented.Store(0)
				caller := s.transport()
				tt.change(caller)
				_, err := newClient(caller).ToWriter(t.Context(), fileAt("https://example.com/v", func(f *File) { f.Private = private }), io.Discard)
				require.NoError(t, err)
				assert.Zero(t, presented.Load())
				resp, err := caller.RoundTrip(httptest.NewRequest("GET", "https://example.com/v", nil))
				require.NoError(t, err)
				resp.Body.Close()
				caller.CloseIdleConnections()
				assert.EqualValues(t, 1, presented.Load(), "the caller's own requests do present it")
			})
		}
	}
	t.Run("InsecureSkipVerify", func(t *testing.T) {
		caller := s.transport()
		caller.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
		_, err := newClient(caller).ToWriter(t.Context(), fileAt("https://example.com/v"), io.Discard)
		assert.Contains(t, failureOf(t, err).Reason, "failed to verify certificate")
	})
}

func TestNewSpeaksHTTP1Only(t *testing.T) {
	var offered []string
	s := newSecure(t, video)
	s.TLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		offered = append(offered, hello.SupportedProtos...)
		return nil, nil
	}
	tests := []struct {
		name   string
		caller *http.Transport
	}{
		{"with_a_dialer", &http.Transport{DialContext: s.dial}},
		{"with_a_dialer_and_a_configuration", s.transport()},
		{"with_HTTP/2", &http.Transport{DialContext: s.dial, ForceAttemptHTTP2: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			offered = nil
			newClient(tt.caller).ToWriter(t.Context(), fileAt("https://example.com/v"), io.Discard) // with an unknown certificate
			assert.NotContains(t, offered, "h2")
			assert.NotZero(t, s.opened.Load())
		})
	}
}

func TestNewGuardsConnectionsWhateverTheDefaultTransportIs(t *testing.T) {
	original := http.DefaultTransport
	defer func() { http.DefaultTransport = original }()
	http.DefaultTransport = &host{content: videoOf(9)} // a wrapper that sends traces, say
	for _, caller := range []*http.Client{nil, {}} {
		client := New(caller, "test", redact)
		assert.Nil(t, client.foreign)
		assert.NotNil(t, client.settings.Proxy)
		assert.NotZero(t, client.settings.TLSHandshakeTimeout)
	}
}

func TestNewUsesAForeignRoundTripper(t *testing.T) {
	h := &host{content: videoOf(9)}
	_, err := written(t, h)
	require.NoError(t, err)
	assert.Equal(t, http.Header{"User-Agent": {"test"}, "Accept-Encoding": {"identity"}}, h.requests[0].Header)
	assert.False(t, strings.Contains(h.requests[0].URL.Host, ":"))
}
