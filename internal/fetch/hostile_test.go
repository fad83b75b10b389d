package fetch

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// liar serves one of two files, each of its responses at random. Only its strong ETags and its dates that lie
// in the past are true, when it sends them.
type liar struct {
	*rand.Rand
	files    [2][]byte
	requests int
}

func (l *liar) RoundTrip(req *http.Request) (*http.Response, error) {
	if l.requests++; l.requests > 1000 {
		return nil, fmt.Errorf("%d requests", l.requests)
	}
	which := l.IntN(2)
	file := l.files[which]
	resp := whole(file, http.Header{"Date": {"Wed, 01 May 2024 04:00:00 GMT"}})(req)
	l.identify(resp.Header, which)
	switch l.IntN(10) {
	case 0:
		return nil, syscall.ECONNRESET
	case 1:
		return status([]int{301, 304, 400, 404, 408, 416, 429, 500, 503, 522}[l.IntN(10)])(req), nil
	case 2:
		return whole([]byte("<html>Sorry"), http.Header{"Etag": resp.Header["Etag"]})(req), nil
	case 3, 4, 5, 6: // a part, perhaps of what was asked for
		var from int
		if fmt.Sscanf(req.Header.Get("Range"), "bytes=%d-", &from); l.IntN(3) == 0 || from > len(file) {
			from = l.IntN(len(file))
		}
		resp = part(file[from:], from, len(file), resp.Header)(req)
		if l.IntN(4) == 0 {
			resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", l.IntN(9000), l.IntN(9000), l.IntN(9000)))
		}
	}
	if l.IntN(4) == 0 {
		resp.ContentLength = -1
	}
	if l.IntN(3) == 0 {
		b, _ := io.ReadAll(resp.Body)
		cut := []error{io.ErrUnexpectedEOF, syscall.ECONNRESET, io.EOF}[l.IntN(2)]
		if resp.ContentLength >= 0 {
			cut = io.EOF
		}
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(b[:l.IntN(len(b)+1)]), iotest.ErrReader(cut)))
	}
	return resp, nil
}

// identify adds what a host may send to recognize a file by.
func (l *liar) identify(h http.Header, which int) {
	switch l.IntN(6) {
	case 0, 1, 2:
		h.Set("ETag", fmt.Sprintf(`"%d"`, which))
	case 3:
		h.Set("ETag", `W/"same"`)
	case 4:
		h.Set("Last-Modified", []string{"Tue, 30 Apr 2024 00:00:00 GMT", "Tue, 30 Apr 2024 00:00:01 GMT"}[which])
	case 5:
		h.Set("Last-Modified", h.Get("Date"))
	}
}

// TestHostileHostThatLies runs many downloads from hosts whose responses contradict each other.
func TestHostileHostThatLies(t *testing.T) {
	files := [2][]byte{videoOf(8000), bytes.Repeat([]byte{1}, 8000)}
	succeeded := 0
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			l := &liar{Rand: rand.New(rand.NewPCG(seed, 0)), files: files}
			start := time.Now()
			got, err := saved(t, l)
			switch {
			case err != nil && got != oldFile:
				t.Errorf("seed %d: failed with %v, and left %d bytes", seed, err, len(got))
			case err == nil && got != string(files[0]) && got != string(files[1]):
				t.Errorf("seed %d: spliced %d bytes, of which %d are of the second file", seed, len(got), strings.Count(got, "\x01"))
			case err == nil:
				succeeded++
			}
			assert.Less(t, l.requests, 100)
			assert.Less(t, time.Since(start), 10*time.Minute)
		})
	}
	assert.Greater(t, succeeded, 100)
}

// inMemory returns a caller's transport whose connections are pipes that serve serves, and counts them.
func inMemory(serve func(net.Conn)) (rt *http.Transport, connections *int) {
	connections = new(int)
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		*connections++
		go func() {
			defer there.Close()
			serve(there)
		}()
		return here, nil
	}}, connections
}

// TestHostileResponses are bytes of a host that means ill, or is broken.
func TestHostileResponses(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	long := strings.Repeat("x", 4<<20)
	tests := []struct {
		name     string
		response string
		want     string // of the error
	}{
		{"garbage", "\x00\x01\x02\x03 signature=s1gned\r\n\r\n", "malformed HTTP"},
		{"an_echo_of_the_request", "GET /video.mp4?signature=s1gned\r\n\r\n", "malformed HTTP"},
		{"a_header_without_end", ok + "X: " + long, "exceeded"},
		{"headers_without_end", ok + strings.Repeat("X: x\r\n", 1<<19), "exceeded"},
		{"informational_responses_without_end", strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: x\r\n\r\n", 1<<17), "exceeded"},
		{"two_lengths", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", "Content-Length"},
		{"a_negative_length", ok + "Content-Length: -5\r\n\r\nabcdef", "Content-Length"},
		{"a_length_beyond_numbers", ok + "Content-Length: 99999999999999999999\r\n\r\nabcdef", "Content-Length"},
		{"a_length_beyond_the_limit", ok + "Content-Length: 9999999999\r\n\r\nabcdef", "larger than"},
		{"chunks_beyond_the_limit", ok + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1000\r\n"+strings.Repeat("\x01", 0x1000)+"\r\n", 300), "larger than"},
		{"a_chunk_without_end", ok + "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n" + strings.Repeat("\x01", 2<<20), "larger than"},
		{"chunk_extensions_without_end", ok + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+long[:1000]+"\r\n\x01\r\n", 1000), "chunk"},
		{"a_truncated_chunk", ok + "Transfer-Encoding: chunked\r\n\r\n400\r\n" + strings.Repeat("\x01", 100), "EOF"},
		{"a_part_of_nothing", "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 5\r\n\r\n\x01\x02\x03\x04\x05", "another part"},
		{"parts_in_one", "HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=x\r\nContent-Length: 5\r\n\r\n--x--", "another part"},
		{"a_switch_of_protocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "101"},
		{"a_redirect_to_itself", "HTTP/1.1 302 Found\r\nLocation: ?signature=s1gned\r\nContent-Length: 0\r\n\r\n", "more than 10 redirects"},
		{"a_redirect_to_no_URL", "HTTP/1.1 302 Found\r\nLocation: //[::1\r\nContent-Length: 0\r\n\r\n", "malformed URL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt, connections := inMemory(func(conn net.Conn) {
					if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
						io.WriteString(conn, tt.response)
					}
				})
				path := existing(t)
				file := fileAt("http://files.test/video.mp4?signature=s1gned", private, func(f *File) { f.MaxSize = 1 << 20 })
				_, err := newClient(rt).ToFile(t.Context(), file, path)
				assert.Contains(t, failureOf(t, err).Reason, tt.want)
				assert.Less(t, len(failureOf(t, err).Reason), 500)
				assert.Equal(t, oldFile, contentOf(t, path))
				assert.Less(t, *connections, 20)
			})
		})
	}
}

// TestHostileSlowHost sends a byte now and then, for ever.
func TestHostileSlowHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, connections := inMemory(func(conn net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
				return
			}
			for _, c := range []byte("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1000)) {
				if _, err := conn.Write([]byte{c}); err != nil {
					return
				}
				time.Sleep(3 * time.Second)
			}
		})
		start := time.Now()
		_, err := newClient(rt).ToWriter(t.Context(), fileAt("http://files.test/v", private), io.Discard)
		assert.Equal(t, "no byte came for 30s", failureOf(t, err).Reason, "a header has no more time than that")
		assert.Equal(t, 3, *connections)
		assert.InDelta(t, 3*30, time.Since(start).Seconds(), 5)
		time.Sleep(time.Minute) // until the host sees that the connection is closed
	})
}
