package creatifytest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// reply is a reply before it is sent. Its header is not nil.
type reply struct {
	status int
	header http.Header
	body   []byte
}

const jsonType = "application/json"

func jsonReply(status int, v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		return unencodable(err)
	}
	return reply{status: status, header: http.Header{"Content-Type": {jsonType}}, body: body}
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
	for name, values := range rep.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(rep.body)))
	w.WriteHeader(rep.status)
	if cut <= 0 || cut >= len(rep.body) {
		w.Write(rep.body) // an error means that the client has gone
		return
	}
	w.Write(rep.body[:cut])
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// response returns the reply as the client sees it.
func (rep *reply) response(req *http.Request, cut int) *http.Response {
	rep.header.Set("Content-Length", strconv.Itoa(len(rep.body)))
	return &http.Response{
		Status:        strconv.Itoa(rep.status) + " " + http.StatusText(rep.status),
		StatusCode:    rep.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        rep.header,
		Body:          rep.reader(req.Method, cut),
		ContentLength: int64(len(rep.body)),
		Request:       req,
	}
}

func (rep *reply) reader(method string, cut int) io.ReadCloser {
	switch {
	case method == http.MethodHead:
		return http.NoBody
	case cut <= 0 || cut >= len(rep.body):
		return io.NopCloser(bytes.NewReader(rep.body))
	default:
		return io.NopCloser(io.MultiReader(bytes.NewReader(rep.body[:cut]), brokenReader{}))
	}
}

// brokenReader is where a body breaks off.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) {
	return 0, io.ErrUnexpectedEOF
}
