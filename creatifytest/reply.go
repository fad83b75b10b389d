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

// reply is a reply before it is sent. Its header is not nil.
type reply struct {
	status int
	header http.Header
	body   io.Reader
	length int64 // of the body, also of one that is left out in reply to HEAD
}

func (rep *reply) setBody(body []byte) {
	rep.body, rep.length = bytes.NewReader(body), int64(len(body))
}

const jsonType = "application/json"

func jsonReply(status int, v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		return unencodable(err)
	}
	rep := reply{status: status, header: http.Header{"Content-Type": {jsonType}}}
	rep.setBody(body)
	return rep
}

// detail returns the reply that says one thing.
func detail(status int, message string) reply {
	return jsonReply(status, map[string]string{"detail": message})
}

// unencodable reports that a [Life] led to a job which JSON can't express.
func unencodable(err error) reply {
	return detail(http.StatusInternalServerError, "creatifytest: "+err.Error())
}

// write sends the reply. A cut that falls inside the body aborts the
// connection there.
func (rep *reply) write(w http.ResponseWriter, cut int) {
	maps.Copy(w.Header(), rep.header)
	w.Header().Set("Content-Length", strconv.FormatInt(rep.length, 10))
	w.WriteHeader(rep.status)
	if !rep.isCut(cut) {
		_, _ = io.Copy(w, rep.body) // an error means that the client has gone
		return
	}
	_, _ = io.CopyN(w, rep.body, int64(cut))
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func (rep *reply) isCut(cut int) bool {
	return 0 < cut && int64(cut) < rep.length
}

// response returns the reply as the client sees it.
func (rep *reply) response(req *http.Request, cut int) *http.Response {
	rep.header.Set("Content-Length", strconv.FormatInt(rep.length, 10))
	return &http.Response{
		Status:        strconv.Itoa(rep.status) + " " + http.StatusText(rep.status),
		StatusCode:    rep.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        rep.header,
		Body:          rep.reader(req, cut),
		ContentLength: rep.length,
		Request:       req,
	}
}

func (rep *reply) reader(req *http.Request, cut int) io.ReadCloser {
	switch {
	case req.Method == http.MethodHead:
		return http.NoBody
	case rep.isCut(cut):
		return &body{req.Context(), io.MultiReader(io.LimitReader(rep.body, int64(cut)), brokenReader{})}
	default:
		return &body{req.Context(), rep.body}
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

// brokenReader is where a body breaks off.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) {
	return 0, io.ErrUnexpectedEOF
}
