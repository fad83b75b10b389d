//go:build nginx

package conn_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nginxConf is of a proxy that keeps connections for a second or 50 requests, as an unprivileged user.
const nginxConf = `
daemon off;
worker_processes 2;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log warn;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	keepalive_timeout 1s;
	keepalive_requests 50;
	upstream api { server %[2]s; keepalive 16; }
	server {
		listen 127.0.0.1:%[3]s;
		listen 127.0.0.1:%[4]s ssl http2;
		ssl_certificate %[1]s/cert.pem;
		ssl_certificate_key %[1]s/key.pem;
		location / {
			proxy_pass http://api;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_next_upstream off;
		}
	}
}
`

// TestNoCreateIsLostBehindNginx makes creates and reads through an nginx that reloads every 0.7 s, which
// closes kept connections. CREATIFY_NGINX_CREATES is the number of creates; 3840 take a minute.
func TestNoCreateIsLostBehindNginx(t *testing.T) {
	creates := 480
	if text := os.Getenv("CREATIFY_NGINX_CREATES"); text != "" {
		var err error
		creates, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	binary, err := exec.LookPath("nginx")
	if err != nil {
		binary = "/usr/sbin/nginx"
		_, err = os.Stat(binary)
	}
	require.NoError(t, err, "install it: apt-get install --no-install-recommends nginx")

	api := creatifytest.New(creatifytest.Config{Credits: 1e6})
	backend := httptest.NewServer(api)
	defer backend.Close()
	dir, plain, secure := t.TempDir(), freePort(t), freePort(t)
	roots := writeCertificate(t, dir)
	conf := fmt.Sprintf(nginxConf, dir, strings.TrimPrefix(backend.URL, "http://"), plain, secure)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o600))
	nginx := exec.Command(binary, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", filepath.Join(dir, "nginx.conf"))
	nginx.Stderr = os.Stderr
	require.NoError(t, nginx.Start())
	defer nginx.Wait()
	defer nginx.Process.Signal(syscall.SIGTERM)
	for _, port := range []string{plain, secure} {
		require.Eventually(t, func() bool {
			conn, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err == nil {
				conn.Close()
			}
			return err == nil
		}, 10*time.Second, 20*time.Millisecond)
	}
	reloading, stop := context.WithCancel(t.Context())
	var reloads sync.WaitGroup
	reloads.Go(func() {
		for reloading.Err() == nil {
			nginx.Process.Signal(syscall.SIGHUP)
			select {
			case <-reloading.Done():
			case <-time.After(700 * time.Millisecond):
			}
		}
	})
	defer reloads.Wait()
	defer stop()

	for _, tt := range []struct{ name, url string }{
		{"HTTP/1.1", "http://127.0.0.1:" + plain},
		{"TLS, with HTTP/2", "https://127.0.0.1:" + secure},
	} {
		for _, c := range clients {
			t.Run(tt.name+", "+c.name, func(t *testing.T) {
				before := len(api.Jobs())
				client := c.make(network{url: tt.url, roots: roots}, t, creatify.WithTimeout(20*time.Second))
				var mu sync.Mutex
				failed := map[string]int{}
				const workers = 8
				together(workers, func() error {
					for range creates / 4 / workers {
						_, err := client.Jobs.CreatePreview(t.Context(), params())
						if err == nil {
							_, err = client.Workspace.RemainingCredits(t.Context()) // which keeps a connection
						}
						if err != nil {
							mu.Lock()
							failed[err.Error()]++
							mu.Unlock()
						}
						if errors.Is(err, creatify.ErrOutcomeUnknown) {
							t.Error(err)
						}
						time.Sleep(rand.N(100 * time.Millisecond))
					}
					return nil
				})
				assert.Empty(t, failed)
				assert.Len(t, api.Jobs(), before+creates/4/workers*workers, "each create made one job")
			})
		}
	}
}

func freePort(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port
}

// writeCertificate writes httptest's certificate for 127.0.0.1 with its key, and returns a pool that trusts
// it.
func writeCertificate(t *testing.T, dir string) *tls.Config {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: key},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
	return &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
}
