package fetch

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	mp4  = "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom\x00\x00\x00\x00mdat"
	webm = "\x1a\x45\xdf\xa3\x01\x00\x00\x00"
	avi  = "RIFF\x24\x00\x00\x00AVI LIST"
	mov  = "\x00\x00\x00\x14ftypqt  \x00\x00\x02\x00qt  \x00\x00\x00\x08wide"
)

func TestOtherThanVideo(t *testing.T) {
	tests := []struct {
		name, declared, body string
		want                 string
	}{
		{"a_video", "video/mp4", mp4, ""},
		{"a_video_of_bytes", "application/octet-stream", mp4, ""},
		{"a_video_of_an_object_store", "binary/octet-stream", mov, ""},
		{"a_video_without_a_type", "", mov, ""},
		{"a_video_declared_as_a_page", "text/html", webm, ""},
		{"a_video_declared_as_text", "text/plain; charset=utf-8", avi, ""},
		{"bytes_that_could_be_anything", "video/quicktime", "aaaa", ""},
		{"nothing", "video/mp4", "", ""},
		{"a_page", "text/html; charset=utf-8", "<!doctype html><html>", "text/html"},
		{"a_page_with_a_loud_type", "Text/HTML;charset=utf-8", "x", "text/html"},
		{"a_compressed_page", "text/html", "\x1f\x8b\x08\x00", "text/html"},
		{"a_page_declared_as_a_video", "video/mp4", "\n <!DOCTYPE HTML>", "text/html; charset=utf-8"},
		{"a_page_after_a_byte_order_mark", "video/mp4", "\ufeff<html>", "text/html; charset=utf-8"},
		{"a_page_that_begins_oddly", "video/mp4", "<center>Sorry", "text/plain; charset=utf-8"},
		{"XML", "application/xml", "<Error>", "application/xml"},
		{"XML_declared_as_a_video", "video/mp4", `<?xml version="1.0"?><Error><Code>AccessDenied`, "text/xml; charset=utf-8"},
		{"XHTML", "application/xhtml+xml", "<html>", "application/xhtml+xml"},
		{"JSON", "application/json", `{"error":"expired"}`, "application/json"},
		{"a_problem_in_JSON", "application/problem+json", `{}`, "application/problem+json"},
		{"JSON_declared_as_a_video", "video/mp4", `  {"error":"expired"}`, "text/plain; charset=utf-8"},
		{"a_list_without_a_type", "", `["expired"]`, "text/plain; charset=utf-8"},
		{"a_message", "text/plain", "upstream timed out", "text/plain"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, otherThanVideo(http.Header{"Content-Type": {tt.declared}}, []byte(tt.body)))
		})
	}
}

func TestAttemptRefusesAPageInsteadOfAVideo(t *testing.T) {
	page := whole([]byte(`<!doctype html><html>Sorry`), http.Header{"Content-Type": {"text/html"}, "Etag": {`"a"`}})
	t.Run("and_keeps_what_was_there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			got, err := saved(t, roundTrip(func(req *http.Request) (*http.Response, error) { return page(req), nil }))
			assert.Equal(t, "the host sent text/html instead of a video", failureOf(t, err).Reason)
			assert.Equal(t, oldFile, got)
		})
	})
	t.Run("until_the_video_is_there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := &host{content: videoOf(1000), answers: map[int]answer{0: page, 1: page}}
			got, err := written(t, h)
			require.NoError(t, err)
			assert.Equal(t, h.content, got)
		})
	})
	t.Run("and_keeps_what_was_downloaded_before_it_came", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := &host{content: videoOf(1000), header: etag(`"a"`), cuts: []int{600}, answers: map[int]answer{1: page}}
			got, err := saved(t, h)
			require.NoError(t, err)
			assert.Equal(t, string(h.content), got)
			assert.Equal(t, []string{"", "bytes=600-", "bytes=600-"}, h.ranges())
		})
	})
}

func TestCodingOf(t *testing.T) {
	tests := []struct {
		header []string
		want   string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"Identity"}, ""},
		{[]string{"aws-chunked"}, ""},
		{[]string{"UTF-8"}, ""},
		{[]string{"binary"}, ""},
		{[]string{"none"}, ""},
		{[]string{"gzip"}, "gzip"},
		{[]string{"X-GZIP"}, "gzip"},
		{[]string{"pack200-gzip"}, "gzip"},
		{[]string{"aws-chunked,br"}, "br"},
		{[]string{"identity", "zstd"}, "zstd"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.header, " and "), func(t *testing.T) {
			assert.Equal(t, tt.want, codingOf(http.Header{"Content-Encoding": tt.header}))
			got, err := written(t, &host{content: videoOf(100), header: http.Header{"Content-Encoding": tt.header}})
			assert.Equal(t, tt.want != "", err != nil, "%v", err)
			assert.Equal(t, tt.want == "", len(got) == 100)
		})
	}
}

// FuzzPart resumes a file after a break. The rest of another file must not be taken for its rest, unless the
// host says that it is.
func FuzzPart(f *testing.F) {
	const tag = `"a"`
	for _, seed := range [][4]string{
		{"bytes 600-999/1000", tag, "", "video/mp4"},
		{"bytes 600-999/1000", "", "", ""},
		{"bytes 600-999/1000", `W/"a"`, "aws-chunked", ""},
		{"bytes 600-999/1000", `"b"`, "gzip", "text/html"},
		{"bytes 600-999/*", tag, "UTF-8", ""},
		{"bytes 0-999/1000", tag, "", ""},
		{"bytes 600-99999999999999999999/1000", tag, "none", "application/xml"},
		{"", "", "", "multipart/byteranges; boundary=x"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	content, other := videoOf(1000), bytes.Repeat([]byte{1}, 400)
	f.Fuzz(func(t *testing.T, span, etag, coding, contentType string) {
		second := http.Header{"Etag": {etag}, "Content-Encoding": {coding}, "Content-Type": {contentType}}
		synctest.Test(t, func(t *testing.T) {
			first := http.Header{"Etag": {tag}}
			h := &host{content: content, header: first, cuts: []int{600}, answers: map[int]answer{1: func(req *http.Request) *http.Response {
				resp := part(other, 600, 1000, second)(req)
				resp.Header.Set("Content-Range", span)
				return resp
			}}}
			got, err := saved(t, h)
			var from, to, of int64
			_, _ = fmt.Sscanf(span, "bytes %d-%d/%d", &from, &to, &of)
			switch {
			case err != nil:
				t.Error(err)
			case got != string(content) && !(etag == tag && from == 600 && to == 999 && of == 1000):
				t.Errorf("spliced after %q, %q", span, etag)
			}
		})
	})
}
