package fetch

import (
	"bytes"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/internal/transport"
)

// refusal returns the error for a status that brings no file.
func refusal(resp *http.Response) *Error {
	e := failf(Failed, "the host answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	e.Status = resp.StatusCode
	e.after, _ = transport.RetryAfter(&transport.Response{Status: e.Status, Header: resp.Header}, time.Now())
	switch {
	case e.after > maxRetryAfter || slices.Contains(final, e.Status):
	case slices.Contains(missing, e.Status):
		e.Kind = Missing
	case slices.Contains(passing, e.Status) || e.Status/100 == 5:
		e.Kind = Broken
	}
	return e
}

var (
	final   = []int{http.StatusNotImplemented, http.StatusHTTPVersionNotSupported}
	missing = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone,
		http.StatusBadRequest} // by which some storage services refuse a token that has expired
	passing = []int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusRequestedRangeNotSatisfiable} // of which the next request asks for none
)

// otherThanVideo returns the type of a body that is a page or a message, as declared or as its beginning
// shows, or "". The groups of types are those of https://mimesniff.spec.whatwg.org/#mime-type-groups.
func otherThanVideo(header http.Header, head []byte) string {
	head = bytes.TrimPrefix(head, []byte("\uFEFF"))
	sniffed := http.DetectContentType(head)
	declared, _, _ := strings.Cut(strings.ToLower(header.Get("Content-Type")), ";")
	declared = strings.TrimSpace(declared)
	switch {
	case strings.HasPrefix(sniffed, "video/"): // whatever it is declared as
		return ""
	case textType.MatchString(declared):
		return declared
	case strings.HasPrefix(sniffed, "text/") && markup.Match(head):
		return sniffed
	}
	return ""
}

var (
	textType = regexp.MustCompile(`^text/|^application/(json|xml)$|\+(json|xml)$`)
	markup   = regexp.MustCompile(`^\s*[<{[]`)
)

// coding matches IANA's content codings, save identity: https://www.iana.org/assignments/http-parameters
var coding = regexp.MustCompile(`\b(aes128gcm|br|compress|dcb|dcz|deflate|exi|gzip|zstd)\b`)

// codingOf returns the coding of a body, or "" if its bytes are the file's. Anything unregistered, such as
// aws-chunked, UTF-8 or binary, is left over from an upload and encodes nothing.
func codingOf(header http.Header) string {
	return coding.FindString(strings.ToLower(strings.Join(header.Values("Content-Encoding"), ",")))
}

// versionOf returns what identifies a file byte by byte, or "": a strong ETag.
func versionOf(header http.Header) string {
	tag := header.Get("ETag")
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return ""
	}
	return tag
}
