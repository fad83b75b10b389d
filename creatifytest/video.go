package creatifytest

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// filesURL is where files are said to be if [Config.BaseURL] is empty. Nothing under .test exists.
const filesURL = "https://video.creatify.test/"

// videoURL returns the URL of the job's video, for a response of the time now. No two URLs that expire are
// the same.
func (j *job) videoURL(now time.Time) string {
	url := filesURL
	if j.api.config.BaseURL != "" {
		url = j.api.config.BaseURL + "/videos/"
	}
	url += j.id + ".mp4"
	lifetime := j.life.Render.URLLifetime
	if lifetime <= 0 {
		return url
	}
	expires := now.Add(lifetime).UTC().Format(time.RFC3339Nano)
	return url + "?expires=" + expires + "&n=" + strconv.FormatInt(j.api.videoURLs.Add(1), 10)
}

// serveVideo answers a request for a video. Credentials are not checked, since the real API's files are
// elsewhere.
func (a *API) serveVideo(r *http.Request, id string) response {
	j := a.job(id)
	if j == nil || j.show(j.now()).VideoOutput == nil {
		return htmlResponse(http.StatusNotFound, notFoundPage)
	}
	if j.life.Render.URLLifetime > 0 {
		expires, err := time.Parse(time.RFC3339Nano, r.URL.Query().Get("expires"))
		if err != nil || !j.now().Before(expires) {
			return htmlResponse(http.StatusForbidden, expiredPage)
		}
	}
	w := newRecorder()
	w.header.Set("Content-Type", "video/mp4")
	w.header.Set("ETag", strconv.Quote(id))
	http.ServeContent(w, r, "", time.Time{}, newVideo(id, j.life.videoSize()))
	return w.finish(r.Method)
}

const expiredPage = `<!doctype html>
<html lang="en">
<head>
  <title>Forbidden</title>
</head>
<body>
  <h1>Forbidden</h1><p>The URL has expired.</p>
</body>
</html>
`

// videoRate is how many bytes a second of video takes.
const videoRate = 64 << 10

func (l *Life) videoSize() int64 {
	if l.VideoSize > 0 {
		return l.VideoSize
	}
	return max(1, int64(l.videoSeconds()*videoRate))
}

// clip is a film of 3 s. It was made by video.sh, which runs ffmpeg.
//
//go:generate sh video.sh
//go:embed video.mp4
var clip string

// fakeHead begins a video that is too short for the clip: a box that declares an MP4 file, and the head of
// one that continues to the file's end.
const fakeHead = "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + "\x00\x00\x00\x00mdat"

// video reads as the file of a job's video, of which no byte is kept: a head, and noise that no other job's
// video has. To a player, the noise behind the clip is a box of free space.
type video struct {
	head         string
	seed         uint64
	size, offset int64
}

func newVideo(id string, size int64) *video {
	hash := fnv.New64a()
	hash.Write([]byte(id))
	v := &video{head: fakeHead, seed: hash.Sum64(), size: size}
	const boxHead = 16 // a box whose length takes 64 bits
	if free := size - int64(len(clip)); free >= boxHead {
		v.head = clip + "\x00\x00\x00\x01free" + string(binary.BigEndian.AppendUint64(nil, uint64(free)))
	}
	return v
}

func (v *video) Read(p []byte) (int, error) {
	if v.offset >= v.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), v.size-v.offset)]
	n := 0
	if v.offset < int64(len(v.head)) {
		n = copy(p, v.head[v.offset:])
	}
	for n < len(p) {
		n += copy(p[n:], v.noise(v.offset+int64(n)))
	}
	v.offset += int64(n)
	return n, nil
}

// noise returns the bytes from an offset to the next multiple of 8: those of an output of SplitMix64,
// https://prng.di.unimi.it/splitmix64.c.
func (v *video) noise(offset int64) []byte {
	z := v.seed + (uint64(offset)/8+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], z)
	return word[offset%8:]
}

func (v *video) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += v.offset
	case io.SeekEnd:
		offset += v.size
	}
	if offset < 0 {
		return 0, errors.New("creatifytest: seek to before the beginning of a video")
	}
	v.offset = offset
	return offset, nil
}

// recorder takes the response that a handler writes. Of a video it takes the reader, not the bytes.
type recorder struct {
	response
	buffer bytes.Buffer
	wrote  bool
}

func newRecorder() *recorder {
	return &recorder{response: response{status: http.StatusOK, header: make(http.Header)}}
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if !w.wrote && status >= http.StatusOK { // those below announce another
		w.status, w.wrote = status, true
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.wrote = true
	return w.buffer.Write(p)
}

// ReadFrom is what [io.CopyN] calls for the requested part of the video.
func (w *recorder) ReadFrom(r io.Reader) (int64, error) {
	if part, ok := r.(*io.LimitedReader); ok {
		if _, ok := part.R.(*video); ok {
			w.body, w.length = part, part.N
			return part.N, nil
		}
	}
	return w.buffer.ReadFrom(r) // several parts
}

func (w *recorder) finish(method string) response {
	switch {
	case w.body != nil:
	case method == http.MethodHead && w.buffer.Len() == 0:
		w.body = strings.NewReader("")
		w.length, _ = strconv.ParseInt(w.header.Get("Content-Length"), 10, 64)
	default:
		w.setBody(w.buffer.Bytes())
	}
	return w.response
}
