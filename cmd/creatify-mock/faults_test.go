package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseFault(t *testing.T) {
	tests := []struct {
		text string
		want creatifytest.Fault
	}{
		{"lose", creatifytest.Fault{Drop: creatifytest.DropAfter}},
		{"reset,call=render,times=2", creatifytest.Fault{Call: creatifytest.CallRender, Times: 2, Drop: creatifytest.DropBefore}},
		{"slow,delay=2s", creatifytest.Fault{Delay: 2 * time.Second}},
		{"cut,skip=3", creatifytest.Fault{Skip: 3, Cut: cutAt}},
		{"418,processed=true,for=1m", creatifytest.Fault{Status: 418, Processed: true, For: time.Minute, Body: `{"detail":"I'm a teapot"}`}},
		{"402", creatifytest.Fault{Status: 402, Body: `{"detail":"Insufficient credits."}`}},
		{"401,times=-1", creatifytest.Fault{Status: 401, Times: -1, Body: `{"detail":"Invalid API credentials."}`}},
		{"429", creatifytest.Fault{Status: 429, Body: `{"detail":"Request was throttled."}`}},
		{"429,retry-after=7", creatifytest.Fault{
			Status: 429, Header: http.Header{"Retry-After": {"7"}}, Body: `{"detail":"Request was throttled. Expected available in 7 seconds."}`,
		}},
		{"502", creatifytest.Fault{
			Status: 502, Body: "<html>\n<head><title>502 Bad Gateway</title></head>\n<body><h1>502 Bad Gateway</h1></body>\n</html>\n",
		}},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			fault, err := parseFault(test.text)
			require.NoError(t, err)
			assert.Equal(t, test.want, fault)

			again, err := specOf(fault).fault()
			require.NoError(t, err)
			assert.Equal(t, test.want, again, "its spec is %+v", specOf(fault))
		})
	}
}

func TestParseFault_refuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", `unknown fault "" (use lose`},
		{"a word", "explode", `unknown fault "explode" (use lose`},
		{"a good status", "201", `unknown fault "201" (use lose`},
		{"a status too large", "1000", "status 1000 is not between 200 and 999"},
		{"an unknown call", "503,call=previw", `unknown call "previw" (use credits, file, job, personas, preview, `},
		{"an unknown option", "503,time=3", `option "time=3": unknown option (use call, times, `},
		{"an empty option", "503,,times=3", `option "": empty option`},
		{"an option without a value", "503,times", `option "times": `},
		{"a number that is none", "503,times=often", `option "times=often": `},
		{"a time that is none", "503,for=long", `for is "long", but must be a duration such as 5s, at most 1h`},
		{"a time too long", "503,delay=25h", `delay is "25h", but must be a duration such as 5s, at most 1h`},
		{"a negative time", "503,for=-1s", `for is "-1s", but must be`},
		{"a negative skip", "503,skip=-1", "must not be negative"},
		{"a negative retry-after", "503,retry-after=-1", "retry-after must not be negative"},
		{"slow without a delay", "slow", "slow needs a delay, such as 5s"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseFault(test.text)
			assert.ErrorContains(t, err, test.want)
		})
	}
}
