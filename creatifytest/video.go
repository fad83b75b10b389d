package creatifytest

import (
	"bytes"
	"errors"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// filesURL is where files are said to be if [Config.BaseURL] is empty. Its host
// is made up; nothing under .test exists.
const filesURL = "https://video.creatify.test/"

// videoURL returns the URL of the job's video, as a reply of the time now gives
// it. No two URLs that expire are the same.
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

// serveVideo answers a request for a video. As the files of the real API are
// elsewhere, it asks for no credentials.
func (a *API) serveVideo(r *http.Request, id string) reply {
	j := a.job(id)
	if j == nil || j.show(j.now()).VideoOutput == nil {
		return page(http.StatusNotFound, notFoundPage)
	}
	if j.life.Render.URLLifetime > 0 {
		expires, err := time.Parse(time.RFC3339Nano, r.URL.Query().Get("expires"))
		if err != nil || !j.now().Before(expires) {
			return page(http.StatusForbidden, expiredPage)
		}
	}
	w := replyWriter{reply: reply{status: http.StatusOK, header: make(http.Header)}}
	w.header.Set("Content-Type", "video/mp4")
	w.header.Set("ETag", strconv.Quote(id))
	http.ServeContent(&w, r, "", time.Time{}, newVideo(id, j.life.videoSize()))
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

// video reads as the file of a job's video, of which no byte is kept.
type video struct {
	seed         uint64
	size, offset int64
}

// videoHead begins each video: a box that says that it is an MP4 file, and the
// head of one that goes on to the file's end. Noise follows.
const videoHead = "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + "\x00\x00\x00\x00mdat"

func newVideo(id string, size int64) *video {
	hash := fnv.New64a()
	hash.Write([]byte(id))
	return &video{seed: hash.Sum64(), size: size}
}

func (v *video) Read(p []byte) (int, error) {
	if v.offset >= v.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), v.size-v.offset)]
	for i := range p {
		p[i] = v.at(v.offset)
		v.offset++
	}
	return len(p), nil
}

// at returns the byte at an offset: that of the head, or one of the eight in an
// output of SplitMix64, https://prng.di.unimi.it/splitmix64.c.
func (v *video) at(offset int64) byte {
	if offset < int64(len(videoHead)) {
		return videoHead[offset]
	}
	z := v.seed + (uint64(offset)/8+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return byte(z >> (offset % 8 * 8))
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

// replyWriter takes the reply that [http.ServeContent] writes. Of a video it
// takes the reader, not the bytes.
type replyWriter struct {
	reply
	buffer bytes.Buffer
}

func (w *replyWriter) Header() http.Header         { return w.header }
func (w *replyWriter) WriteHeader(status int)      { w.status = status }
func (w *replyWriter) Write(p []byte) (int, error) { return w.buffer.Write(p) }

// ReadFrom is what [io.CopyN] calls for the part of the video that is asked for.
func (w *replyWriter) ReadFrom(r io.Reader) (int64, error) {
	if part, ok := r.(*io.LimitedReader); ok {
		if _, ok := part.R.(*video); ok {
			w.body, w.length = part, part.N
			return part.N, nil
		}
	}
	return w.buffer.ReadFrom(r) // several parts
}

func (w *replyWriter) finish(method string) reply {
	switch {
	case w.body != nil:
	case method == http.MethodHead && w.buffer.Len() == 0:
		w.body = strings.NewReader("")
		w.length, _ = strconv.ParseInt(w.header.Get("Content-Length"), 10, 64)
	default:
		w.setBody(w.buffer.Bytes())
	}
	return w.reply
}
