package creatifytest

import (
	"slices"
	"strings"
)

// Call names one of the calls that the API serves, by method and path.
type Call string

// The calls that the API serves. CallPreviewSync responds when its job has ended or, if the job never ends,
// when the request's context does: the job exists and is charged even if the client has disconnected.
// CallCreateVideo makes the final video without a preview, CallRender that of a job with a preview. CallVideo
// fetches a video, from another host than the API's: without a [Config.BaseURL] its path begins with the ID.
const (
	CallCreatePreview Call = "POST /api/custom_template_jobs/preview_async/"
	CallPreviewSync   Call = "POST /api/custom_template_jobs/preview/"
	CallCreateVideo   Call = "POST /api/custom_template_jobs/"
	CallRender        Call = "POST /api/custom_template_jobs/{id}/render/"
	CallGetJob        Call = "GET /api/custom_template_jobs/{id}/"
	CallListTemplates Call = "GET /api/custom_templates/"
	CallGetTemplate   Call = "GET /api/custom_templates/{template_id}/"
	CallListPersonas  Call = "GET /api/personas/"
	CallListVoices    Call = "GET /api/voices/"
	CallCredits       Call = "GET /api/remaining_credits/"
	CallVideo         Call = "GET /videos/{id}.mp4"
)

// callPreviewPage is outside the API: it is where a preview's URL leads.
const callPreviewPage Call = "GET /preview"

func (c Call) known() bool {
	return slices.ContainsFunc(routes, func(r route) bool { return r.call == c })
}

// method returns the only method that the call's path allows.
func (c Call) method() string {
	method, _, _ := strings.Cut(string(c), " ")
	return method
}

// isFile reports whether the real API serves the call's result from another host, without checking
// credentials or the rate.
func (c Call) isFile() bool {
	return c == CallVideo || c == callPreviewPage
}

// routes are tried in this order. No two calls share a path, so each path allows one method, and HEAD as well
// if that is GET.
var routes = []route{
	newRoute(CallCreatePreview),
	newRoute(CallPreviewSync),
	newRoute(CallCreateVideo),
	newRoute(CallRender),
	newRoute(CallGetJob), // after the calls with a word where this one has the ID
	newRoute(CallListTemplates),
	newRoute(CallGetTemplate),
	newRoute(CallListPersonas),
	newRoute(CallListVoices),
	newRoute(CallCredits),
	newRoute(CallVideo),
	{call: CallVideo, before: "/", after: ".mp4", hasID: true}, // below filesURL
	newRoute(callPreviewPage),
}

// route is a call and the form of its path: before, the ID if it has one, after.
type route struct {
	call          Call
	before, after string
	hasID         bool
}

func newRoute(call Call) route {
	_, path, _ := strings.Cut(string(call), " ")
	before, rest, hasID := strings.Cut(path, "{")
	_, after, _ := strings.Cut(rest, "}")
	return route{call: call, before: before, after: after, hasID: hasID}
}

// match returns the ID in a path and whether the path is the route's.
func (r *route) match(path string) (id string, ok bool) {
	id, before := strings.CutPrefix(path, r.before)
	id, after := strings.CutSuffix(id, r.after)
	return id, before && after && (id != "") == r.hasID && !strings.Contains(id, "/")
}

// callOf returns the call that a path is for, and the ID in the path. The call is "" if there is none.
func callOf(path string) (call Call, id string) {
	for i := range routes {
		if id, ok := routes[i].match(path); ok {
			return routes[i].call, id
		}
	}
	return "", ""
}
