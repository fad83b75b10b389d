package creatify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Tests against a server that means harm, or is merely broken.

// onWire answers every connection with the same bytes, and closes it when the test ends.
func onWire(t *testing.T, reply string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				conn.Read(make([]byte, 4096))
				io.WriteString(conn, reply)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

func onWireClient(t *testing.T, baseURL string, opts ...creatify.Option) *creatify.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return newClient(t, transport, append([]creatify.Option{creatify.WithBaseURL(baseURL),
		creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 2, MinBackoff: 1, MaxBackoff: 2})}, opts...)...)
}

func TestSwitchingProtocolsDoesNotHang(t *testing.T) {
	client := onWireClient(t, onWire(t, "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"))
	done := make(chan error, 2)
	go func() { _, err := client.Jobs.Get(t.Context(), jobID); done <- err }()
	go func() { _, err := client.Jobs.CreatePreview(t.Context(), params()); done <- err }()
	for range 2 {
		select {
		case err := <-done:
			if unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err); ok {
				err = unknown.Err
			}
			refusal, ok := errors.AsType[*creatify.APIError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, 101, refusal.StatusCode)
		case <-time.After(10 * time.Second):
			t.Fatal("the call hangs")
		}
	}
}

func TestAReplyCutAnywhereGivesTheWholeIDOrNone(t *testing.T) {
	for name, tt := range map[string]struct{ body, end string }{
		"an ID that is a string": {`{"status": "pending", "id": "` + jobID + `" , "progress": 0.25}`, ""},
		"an ID that is a number": {`{"status": "pending", "id": 1234567 , "progress": 0.25}`, " ,"}, // which tells that no digit is missing
	} {
		t.Run(name, func(t *testing.T) {
			body := tt.body
			var want creatify.Job
			require.NoError(t, json.Unmarshal([]byte(body), &want))
			whole := strings.Index(body, " , ")
			for i := range body {
				job, err := newClient(t, says(201, body[:i])).Jobs.CreatePreview(t.Context(), params())
				if err == nil {
					assert.Equal(t, want.ID, job.ID, "cut to %q", body[:i])
				} else {
					assert.Less(t, i, whole+len(tt.end), "the ID is whole in %q", body[:i])
					assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
				}
			}
		})
	}
}

func TestAnIDIsFoundBehindWhatIsNoJSON(t *testing.T) {
	deep := strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001)
	for _, body := range []string{
		`{"progress":NaN,"id":"` + jobID + `"}`,
		"{\"name\":\"a\nb\",\"id\":\"" + jobID + `"}`,
		`{"variables":` + deep + `,"id":"` + jobID + `"}`,
		`{"name":"\",\"id\":\"evil","id":"` + jobID + `","ID":7}`,
		`{"id":"` + jobID + `",}`,
	} {
		job, err := newClient(t, says(201, body)).Jobs.CreatePreview(t.Context(), params())
		require.NoError(t, err, "%.60s", body)
		assert.Equal(t, jobID, job.ID)
	}
	for _, body := range []string{`[{"id":"` + jobID + `"}]`, `{"data":{"id":"` + jobID + `"}}`, `{xid":"` + jobID + `"}`, `{id:"` + jobID + `"}`, `{:"` + jobID + `"}`} {
		_, err := newClient(t, says(201, body)).Jobs.CreatePreview(t.Context(), params())
		unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err)
		require.True(t, ok)
		assert.Equal(t, body, string(unknown.Body), "a person can read it")
	}
}

func TestARefusalThatHoldsAJobIsNoRefusal(t *testing.T) {
	for _, status := range []int{401, 402, 403, 404, 409, 429, 499, 500} {
		sent := 0
		client := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			sent++
			return respond(req, status, `{"id":"`+jobID+`","status":"pending"}`), nil
		}))
		_, err := client.Jobs.CreatePreview(t.Context(), params())
		unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err)
		require.True(t, ok, "%d: %v", status, err)
		assert.Equal(t, jobID, unknown.JobID)
		assert.Equal(t, 1, sent)
		for _, reason := range []error{creatify.ErrRateLimited, creatify.ErrUnauthorized, creatify.ErrNotFound, creatify.ErrInsufficientCredits} {
			assert.NotErrorIs(t, err, reason, "%d: nobody is to call again because of it", status)
		}
		refusal, ok := errors.AsType[*creatify.APIError](unknown.Err)
		assert.True(t, ok && refusal.StatusCode == status, "the reply is there to be looked at")
	}
	for _, status := range []int{400, 402, 409} {
		for _, body := range []string{`{"id":"error-reference-77","detail":"No."}`, `{"id":"error-reference-77","status":400}`} {
			_, err := newClient(t, says(status, body)).Jobs.CreatePreview(t.Context(), params())
			assert.NotErrorIs(t, err, creatify.ErrOutcomeUnknown, "%d: something with an ID is not yet a job", status)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		_, err := newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			if sent++; sent == 1 {
				return respond(req, 429, `{"id":"error-reference-77","detail":"No."}`), nil
			}
			return respond(req, 201, liveLike), nil
		})).Jobs.CreatePreview(t.Context(), params())
		assert.NoError(t, err)
		assert.Equal(t, 2, sent)
	})
	_, err := newClient(t, says(429, `{"id":"`+jobID+`","stat`)).Jobs.CreatePreview(t.Context(), params())
	unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err)
	require.True(t, ok, "what is left of a job is a job: %v", err)
	assert.Equal(t, jobID, unknown.JobID)
	for status, started := range map[int]bool{200: true, 299: true, 300: false, 399: false} {
		job, err := newClient(t, says(status, liveLike)).Jobs.CreatePreview(t.Context(), params())
		assert.Equal(t, started, job != nil, "%d", status)
		assert.Equal(t, !started, errors.Is(err, creatify.ErrOutcomeUnknown), "%d", status)
	}
	for _, status := range []int{408, 444, 460, 499} {
		_, err := newClient(t, says(status, "")).Jobs.CreatePreview(t.Context(), params())
		assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown, "%d is a proxy's, and the server may be at work", status)
	}
}

func TestWhatWasSentIsKeptAsItWasAndNotPrinted(t *testing.T) {
	sent := params()
	sent.Variables = creatify.Variables{"headline": creatify.Text("the first order")}
	_, err := newClient(t, says(502, "")).Jobs.CreatePreview(t.Context(), sent)
	sent.Variables["headline"] = creatify.Text("the second order")
	unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err)
	require.True(t, ok)
	assert.Equal(t, "the first order", unknown.Params.Variables["headline"].Value())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.NotContains(t, fmt.Sprintf(verb, *unknown), "the first order", "not even by value")
	}
}

func TestRenderIsNotDeceivedAboutItsJob(t *testing.T) {
	_, err := newClient(t, says(500, `{"id":"error-reference-77","message":"oops"}`)).Jobs.Render(t.Context(), jobID)
	unknown, ok := errors.AsType[*creatify.OutcomeUnknownError](err)
	require.True(t, ok)
	assert.Equal(t, jobID, unknown.JobID)
	_, err = newClient(t, says(500, `{"id":"another","status":"pending"}`)).Jobs.Render(t.Context(), jobID)
	unknown, ok = errors.AsType[*creatify.OutcomeUnknownError](err)
	require.True(t, ok)
	assert.Equal(t, jobID, unknown.JobID, "it is known which job it is")
	_, err = newClient(t, says(200, `{"id":"another","status":"pending"}`)).Jobs.Render(t.Context(), jobID)
	assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown)
	assert.ErrorContains(t, err, "the response is about another job, another")
	_, err = newClient(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		resp := respond(req, 200, `{"name":"`)
		resp.Body = io.NopCloser(io.MultiReader(resp.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
		return resp, nil
	})).Jobs.Render(t.Context(), jobID)
	assert.ErrorIs(t, err, creatify.ErrOutcomeUnknown, "a reply that breaks off before the ID")
	assert.ErrorContains(t, err, io.ErrUnexpectedEOF.Error())
	_, err = newClient(t, says(500, `{"id":"error-reference-77"}`)).Jobs.CreatePreview(t.Context(), params())
	unknown, ok = errors.AsType[*creatify.OutcomeUnknownError](err)
	require.True(t, ok)
	assert.Empty(t, unknown.JobID, "something with an ID is not yet a job")
}

func TestNamesInOtherLettersAreOtherNames(t *testing.T) {
	for _, extra := range []string{`"Status":"failed"`, `"ſtatus":"failed"`, `"STATUS":"done","Preview":"https://x.test"`} {
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, says(200, `{"id":"`+jobID+`","status":"running",`+extra+`}`))
			_, err := client.Jobs.WaitForPreview(t.Context(), jobID, creatify.WithMaxWait(time.Minute))
			assert.ErrorIs(t, err, creatify.ErrWaitTimeout)
		})
	}
}

func TestTheLastOfTwoMembersOfANameCounts(t *testing.T) {
	job, err := newClient(t, says(200, `{"id":"`+jobID+`","preview":"https://x.test","preview":null}`)).Jobs.Get(t.Context(), jobID)
	require.NoError(t, err)
	assert.Empty(t, job.Preview)
}

// wrapped says nothing itself about what it wraps.
type wrapped struct{ error }

func (wrapped) Error() string   { return "it did not work" }
func (w wrapped) Unwrap() error { return w.error }

func TestEchoedCredentialsGetIntoNoError(t *testing.T) {
	const key, id = creatifytest.APIKey, creatifytest.APIID
	escaped := fmt.Sprintf(`\u%04x`, key[0]) + key[1:]
	echo := func(req *http.Request) (*http.Response, error) {
		return nil, wrapped{errors.Join(errors.New("other"), errors.New("dump: "+req.Header.Get("X-API-KEY")))}
	}
	get := func(t *testing.T, rt http.RoundTripper) error {
		_, err := newClient(t, rt).Jobs.WaitForPreview(t.Context(), jobID, creatify.WithMaxPollErrors(1))
		return err
	}
	create := func(t *testing.T, rt http.RoundTripper) error {
		_, err := newClient(t, rt).Jobs.CreatePreview(t.Context(), params())
		return err
	}
	for name, call := range map[string]func(*testing.T) error{
		"the reason of a failure": func(t *testing.T) error {
			return get(t, says(200, `{"id":"`+jobID+`","status":"failed","failed_reason":"bad key `+key+`"}`))
		},
		"a reason in escapes": func(t *testing.T) error {
			return get(t, says(200, `{"id":"`+jobID+`","status":"failed","failed_reason":"bad key `+escaped+`"}`))
		},
		"another job's ID":          func(t *testing.T) error { return get(t, says(200, `{"id":"`+escaped+`"}`)) },
		"the ID in a 502":           func(t *testing.T) error { return create(t, says(502, `{"id":"`+escaped+`","status":"pending"}`)) },
		"the API ID":                func(t *testing.T) error { return get(t, says(401, `{"detail":"unknown API ID `+id+`"}`)) },
		"the body of a refusal":     func(t *testing.T) error { return get(t, says(401, `{"detail":"`+escaped+`"}`)) },
		"an error of the transport": func(t *testing.T) error { return get(t, roundTrip(echo)) },
		"the same of a paid call":   func(t *testing.T) error { return create(t, roundTrip(echo)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := call(t)
				require.Error(t, err)
				var all strings.Builder
				tell(&all, err)
				slog.New(slog.NewJSONHandler(&all, nil)).Error("x", "err", err)
				assert.NotContains(t, all.String(), key)
				assert.NotContains(t, all.String(), escaped)
				assert.NotContains(t, all.String(), id)
			})
		})
	}
}

// tell writes all that an error says, at every level.
func tell(w io.Writer, err error) {
	if err == nil {
		return
	}
	asJSON, _ := json.Marshal(err)
	fmt.Fprintf(w, "%v\n%+v\n%#v\n%s\n%s\n", err, err, err, err, asJSON)
	if refusal, ok := errors.AsType[*creatify.APIError](err); ok {
		w.Write(refusal.Body)
	}
	switch err := err.(type) { //nolint:errorlint // it is this one's own Unwrap that is called for
	case interface{ Unwrap() error }:
		tell(w, err.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range err.Unwrap() {
			tell(w, e)
		}
	}
}

func TestALocationWithTheKeyIsNotQuoted(t *testing.T) {
	const odd = `se"cret\key-123456`
	client, err := creatify.New("the-id", odd, creatify.WithHTTPClient(&http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"http://[::1]:" + odd}}, Body: http.NoBody, Request: req}, nil
	})}))
	require.NoError(t, err)
	_, err = client.Jobs.Get(t.Context(), jobID)
	assert.NotContains(t, err.Error(), `se\"cret\\key-123456`)
	assert.NotContains(t, err.Error(), odd)
}

func TestASmallReplyDoesNotMakeALargeError(t *testing.T) {
	var body strings.Builder
	body.WriteString(`{"` + strings.Repeat("A", 32<<10) + `":{"z":1`)
	for i := 0; body.Len() < 64<<10-20; i++ {
		fmt.Fprintf(&body, `,"%x":1`, i)
	}
	body.WriteString("}}")
	client := newClient(t, says(400, body.String()))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := client.Jobs.Get(t.Context(), jobID)
	text := err.Error()
	runtime.ReadMemStats(&after)
	assert.Less(t, (after.TotalAlloc-before.TotalAlloc)>>20, uint64(8), "MiB for a reply of 64 KiB")
	assert.Less(t, len(text), 1000)
}

func TestErrorsFromBelowAreShortLines(t *testing.T) {
	long := strings.Repeat("M", 500_000)
	_, err := onWireClient(t, onWire(t, "HTTP/1.1 201 X\r\nbad line "+long+"\r\n\r\n")).Jobs.CreatePreview(t.Context(), params())
	assert.Less(t, len(err.Error()), 1000)
	proxy, _ := url.Parse(onWire(t, "HTTP/1.1 502 boom\x1b[31m"+long[:1000]+"\r\nContent-Length: 0\r\n\r\n"))
	_, err = newClient(t, &http.Transport{Proxy: http.ProxyURL(proxy)},
		creatify.WithRetry(creatify.RetryPolicy{MaxAttempts: 1})).Jobs.CreatePreview(t.Context(), params())
	assert.Less(t, len(err.Error()), 1000)
	assert.NotContains(t, err.Error(), "\x1b")
	assert.NotErrorIs(t, err, creatify.ErrOutcomeUnknown, "a refused CONNECT is before the request")
}

func TestCookiesDoNotPileUpFromRetryToRetry(t *testing.T) {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.LessOrEqual(t, len(r.Cookies()), 1, "attempt %d", n+1)
		n++
		http.SetCookie(w, &http.Cookie{Name: "session", Value: fmt.Sprint(n), Path: "/"})
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := newClient(t, nil, creatify.WithHTTPClient(&http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}),
		creatify.WithBaseURL(server.URL), creatify.WithRetry(creatify.RetryPolicy{MinBackoff: 1, MaxBackoff: 2}))
	_, err = client.Jobs.Get(t.Context(), jobID)
	assert.Error(t, err)
	assert.Equal(t, 4, n)
}

func TestAJobWithAnOddDateCanBeStored(t *testing.T) {
	for _, date := range []string{"2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00-23:59", "9999-12-31T23:59:60Z"} {
		job, err := newClient(t, says(201, `{"id":"7","created_at":"`+date+`"}`)).Jobs.CreatePreview(t.Context(), params())
		require.NoError(t, err)
		_, err = json.Marshal(job)
		assert.NoError(t, err, date)
	}
}

func TestZeroValuesDoNotPanic(t *testing.T) {
	assert.NotPanics(t, func() {
		_ = (&creatify.JobError{}).Error()
		_ = (&creatify.WaitError{}).Error()
		_ = (&creatify.APIError{}).Error()
		_ = (&creatify.OutcomeUnknownError{}).Error()
		_ = (&creatify.ValidationError{}).Error()
		_ = errors.Is(&creatify.JobError{}, creatify.ErrJobFailed)
		_ = (*creatify.Job)(nil).RawJSON()
		_ = creatify.Variable{}.Value()
		_, _ = json.Marshal(creatify.Variable{})
	})
}

func TestAContextThatEndsInAnErrorsBodyIsTheError(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := onWireClient(t, onWire(t, "HTTP/1.1 503 X\r\nContent-Length: 100\r\n\r\n{")).Jobs.Get(ctx, jobID)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}
