package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/creatify-community/creatify-go/creatifytest"
)

// faultSpec is a fault as -fault and POST /_mock/faults name it.
type faultSpec struct {
	Fault      string `json:"fault"`
	Call       string `json:"call,omitempty"`        // any request if empty
	Times      int    `json:"times,omitempty"`       // -1 is until cleared
	Skip       int    `json:"skip,omitempty"`        // requests that pass first
	For        string `json:"for,omitempty"`         // a duration such as 1m
	Delay      string `json:"delay,omitempty"`       // a duration such as 2s
	RetryAfter int    `json:"retry_after,omitempty"` // seconds
	Processed  bool   `json:"processed,omitempty"`   // charged before a status is answered
	Body       string `json:"body,omitempty"`        // that of a status; a typical one if empty
}

// The faults that are not a status.
const (
	faultLose  = "lose"
	faultReset = "reset"
	faultSlow  = "slow"
	faultCut   = "cut"
)

var callNames = map[string]creatifytest.Call{
	"preview":      creatifytest.CallCreatePreview,
	"preview-sync": creatifytest.CallPreviewSync,
	"video":        creatifytest.CallCreateVideo,
	"render":       creatifytest.CallRender,
	"job":          creatifytest.CallGetJob,
	"templates":    creatifytest.CallListTemplates,
	"template":     creatifytest.CallGetTemplate,
	"personas":     creatifytest.CallListPersonas,
	"voices":       creatifytest.CallListVoices,
	"credits":      creatifytest.CallCredits,
	"file":         creatifytest.CallVideo,
}

func nameOf(call creatifytest.Call) string {
	for name, other := range callNames {
		if other == call {
			return name
		}
	}
	return string(call)
}

// cutAt is how many bytes of a response a cut leaves.
const cutAt = 20

// maxDelay bounds the time that a request is held back.
const maxDelay = time.Hour

// fault returns the fault that the spec names.
func (s faultSpec) fault() (creatifytest.Fault, error) {
	f := creatifytest.Fault{Times: s.Times, Skip: s.Skip, Processed: s.Processed, Body: s.Body}
	var known bool
	if f.Call, known = callNames[s.Call]; !known && s.Call != "" {
		return f, fmt.Errorf("unknown call %q (use %s)", s.Call, strings.Join(slices.Sorted(maps.Keys(callNames)), ", "))
	}
	var err error
	if f.For, err = parseTime("for", s.For); err != nil {
		return f, err
	}
	if f.Delay, err = parseTime("delay", s.Delay); err != nil {
		return f, err
	}
	switch s.Fault {
	case faultLose:
		f.Drop = creatifytest.DropAfter
	case faultReset:
		f.Drop = creatifytest.DropBefore
	case faultSlow:
		if f.Delay == 0 {
			return f, errors.New("slow needs a delay, such as 5s")
		}
	case faultCut:
		f.Cut = cutAt
	default:
		if f.Status, err = strconv.Atoi(s.Fault); err != nil || f.Status < 300 {
			return f, fmt.Errorf("unknown fault %q (use lose, reset, slow, cut or a status from 300 on)", s.Fault)
		}
		if f.Body == "" {
			f.Body = typicalBody(f.Status, s.RetryAfter)
		}
	}
	if s.RetryAfter < 0 {
		return f, errors.New("retry-after must not be negative")
	}
	if s.RetryAfter > 0 {
		f.Header = http.Header{"Retry-After": {strconv.Itoa(s.RetryAfter)}}
	}
	return f, f.Validate()
}

func parseTime(name, value string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > maxDelay {
		return 0, fmt.Errorf("%s is %q, but must be a duration such as 5s, at most 1h", name, value)
	}
	return d, nil
}

// specOf is the inverse of fault, for a fault that may have hit already.
func specOf(f creatifytest.Fault) faultSpec {
	s := faultSpec{Call: nameOf(f.Call), Times: f.Times, Skip: f.Skip, Processed: f.Processed}
	s.RetryAfter, _ = strconv.Atoi(f.Header.Get("Retry-After"))
	if f.Status == 0 || f.Body != typicalBody(f.Status, s.RetryAfter) {
		s.Body = f.Body
	}
	if f.For > 0 {
		s.For = f.For.Round(time.Millisecond).String()
	}
	if f.Delay > 0 {
		s.Delay = f.Delay.String()
	}
	switch {
	case f.Drop == creatifytest.DropAfter:
		s.Fault = faultLose
	case f.Drop == creatifytest.DropBefore:
		s.Fault = faultReset
	case f.Status > 0:
		s.Fault = strconv.Itoa(f.Status)
	case f.Cut > 0:
		s.Fault = faultCut
	default:
		s.Fault = faultSlow
	}
	return s
}

// typicalBody returns what the API, or a proxy before it, would send with a status.
func typicalBody(status, retryAfter int) string {
	text := http.StatusText(status)
	switch {
	case status >= 500:
		return fmt.Sprintf("<html>\n<head><title>%d %s</title></head>\n<body><h1>%d %s</h1></body>\n</html>\n", status, text, status, text)
	case status == http.StatusTooManyRequests && retryAfter > 0:
		text = fmt.Sprintf("Request was throttled. Expected available in %d seconds.", retryAfter)
	case status == http.StatusTooManyRequests:
		text = "Request was throttled."
	case status == http.StatusPaymentRequired:
		text = "Insufficient credits."
	case status == http.StatusUnauthorized:
		text = "Invalid API credentials."
	}
	body, _ := json.Marshal(map[string]string{"detail": text})
	return string(body)
}

// parseFault reads a fault and its options, such as 503,call=render,times=3.
func parseFault(text string) (creatifytest.Fault, error) {
	kind, rest, _ := strings.Cut(text, ",")
	spec := faultSpec{Fault: kind}
	for option := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(option, "=")
		var err error
		switch name {
		case "":
			if rest != "" {
				err = errors.New("empty option")
			}
		case "call":
			spec.Call = value
		case "for":
			spec.For = value
		case "delay":
			spec.Delay = value
		case "times":
			spec.Times, err = strconv.Atoi(value)
		case "skip":
			spec.Skip, err = strconv.Atoi(value)
		case "retry-after":
			spec.RetryAfter, err = strconv.Atoi(value)
		case "processed":
			spec.Processed, err = strconv.ParseBool(value)
		default:
			err = errors.New("unknown option (use call, times, skip, for, delay, retry-after, processed)")
		}
		if err != nil {
			return creatifytest.Fault{}, fmt.Errorf("option %q: %w", option, err)
		}
	}
	return spec.fault()
}
