package creatifytest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
)

// response is a response before it is sent. Its header is not nil.
type response struct {
	status int
	header http.Header
	body   io.Reader
	length int64 // of the body, also of one that is left out because the method is HEAD
}

func (resp *response) setBody(body []byte) {
	resp.body, resp.length = bytes.NewReader(body), int64(len(body))
}

const jsonType = "application/json"

func jsonResponse(status int, v any) response {
	body, err := json.Marshal(v)
	if err != nil {
		return unencodable(err)
	}
	resp := response{status: status, header: http.Header{"Content-Type": {jsonType}}}
	resp.setBody(body)
	return resp
}

func detail(status int, message string) response {
	return jsonResponse(status, map[string]string{"detail": message})
}

// unencodable reports that a [Life] produced a job that JSON cannot express.
func unencodable(err error) response {
	return detail(http.StatusInternalServerError, "creatifytest: "+err.Error())
}

// htmlResponse returns a page for a browser.
func htmlResponse(status int, html string) response {
	resp := response{status: status, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}
	resp.setBody([]byte(html))
	return resp
}

func methodNotAllowed(method string, call Call) response {
	resp := detail(http.StatusMethodNotAllowed, "Method "+strconv.Quote(method)+" not allowed.")
	allow := "POST, OPTIONS"
	if call.method() == http.MethodGet {
		allow = "GET, HEAD, OPTIONS"
	}
	resp.header.Set("Allow", allow)
	return resp
}

const notFoundPage = `<!doctype html>
<html lang="en">
<head>
  <title>Not Found</title>
</head>
<body>
  <h1>Not Found</h1><p>The requested resource was not found on this server.</p>
</body>
</html>
`

// unrouted answers a request for an unknown path. As in Django, a path that lacks only its final slash is
// redirected, and neither response requires credentials.
func unrouted(r *http.Request) response {
	if call, _ := callOf(r.URL.Path + "/"); call == "" {
		return htmlResponse(http.StatusNotFound, notFoundPage)
	}
	location := r.URL.EscapedPath() + "/"
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	resp := htmlResponse(http.StatusMovedPermanently, "")
	resp.header.Set("Location", location)
	return resp
}

// write sends the response. A cut inside the body aborts the connection there.
func (resp *response) write(w http.ResponseWriter, cut int) {
	maps.Copy(w.Header(), resp.header)
	w.Header().Set("Content-Length", strconv.FormatInt(resp.length, 10))
	w.WriteHeader(resp.status)
	if !resp.isCut(cut) {
		_, _ = io.Copy(w, resp.body) // an error means that the client has left
		return
	}
	_, _ = io.CopyN(w, resp.body, int64(cut))
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func (resp *response) isCut(cut int) bool {
	return 0 < cut && int64(cut) < resp.length
}

// received returns the response as the client gets it.
func (resp *response) received(req *http.Request, cut int) *http.Response {
	resp.header.Set("Content-Length", strconv.FormatInt(resp.length, 10))
	return &http.Response{
		Status:        strconv.Itoa(resp.status) + " " + http.StatusText(resp.status),
		StatusCode:    resp.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        resp.header,
		Body:          resp.reader(req, cut),
		ContentLength: resp.length,
		Request:       req,
	}
}

func (resp *response) reader(req *http.Request, cut int) io.ReadCloser {
	switch {
	case req.Method == http.MethodHead:
		return http.NoBody
	case resp.isCut(cut):
		return &body{req.Context(), io.MultiReader(io.LimitReader(resp.body, int64(cut)), truncatedReader{})}
	default:
		return &body{req.Context(), resp.body}
	}
}

// body is the body of a response, which ends with the request's context.
type body struct {
	ctx context.Context
	io.Reader
}

func (b *body) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	return b.Reader.Read(p)
}

func (b *body) Close() error { return nil }

type truncatedReader struct{}

func (truncatedReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
