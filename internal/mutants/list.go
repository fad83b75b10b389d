package main

const (
	root      = "."
	transport = "./internal/transport"
	wait      = "./internal/wait"
	fetch     = "./internal/fetch"
)

// all are the mutants, by the promise that they break: money, keys, the ends of waits.
var all = []mutant{
	{"money: a 502 for a paid call counts as a refusal, so as not charged", root, "isRefusal",
		"status <= 499", "status <= 599", root, "^TestCreatePreviewOutcomeUnknown$"},
	{"money: a paid call that was answered 503 is sent again", transport, "exchange.mayRepeat",
		"temporary && !x.call.Paid", "temporary", transport, "^TestDo$"},
	{"money: a paid call whose connection was lost on the way is sent again", transport, "exchange.mayRepeat",
		"!x.Reached || !x.call.Paid", "true", transport, "^TestDo$"},
	{"money: a transport that reports nothing proves that nothing left", transport, "sending.neverLeft",
		"s.traced.Load() && !s.gone.Load()", "!s.gone.Load()", root, "^TestPaidCalls$"},
	{"money: a POST is redirected", transport, "Client.checkRedirect",
		"via[0].Method != http.MethodGet", "false", transport, "^TestDoRedirects$"},
	{"money: a paid call goes over a kept connection", transport, "ownConnections",
		"t.DisableKeepAlives = true", "t.DisableKeepAlives = false", transport, "^TestPaidCallsHaveAConnectionOfTheirOwn$"},
	{"money: the end of the context throws the response of a paid call away", transport, "sending.withGrace",
		"s.grace > 0 && s.mayHaveLeft()", "false", transport, "^TestDoWaitsForAPaidResponse"},
	{"money: a call whose outcome is unknown gives its credits back to the budget", root, "Budget.reserve",
		"Charged(err) == ChargedNo", "err != nil", root, "^TestWithBudget$"},
	{"money: an unknown outcome is also what caused it", root, "OutcomeUnknownError.Is",
		"target == ErrOutcomeUnknown", "target == ErrOutcomeUnknown || errors.Is(e.Err, target)", root, "^TestCreatePreviewKeepsTheID$"},
	{"money: an error of the caller's transport counts as not charged", root, "Charged",
		"call != nil && call.unsent", "call != nil", root, "^TestCharged$"},

	{"keys: the same host is the same origin, whatever the scheme", transport, "SameOrigin",
		"a.Scheme == b.Scheme", "true", transport, "^TestSameOrigin$"},
	{"keys: credentials go wherever a caller's CheckRedirect leads", transport, "wire.RoundTrip",
		"!SameOrigin(req.URL, w.origin)", "false", "./tests/hostile", "TestKeyStaysInItsOrigin"},
	{"keys: http is accepted for any host", root, "config.parseBaseURL",
		"transport.IsLoopback(u.Hostname())", "true", root, "^TestNew"},
	{"keys: a redirected download tells the next host its signed URL", fetch, "download.checkRedirect",
		`req.Header.Del("Referer")`, "", fetch, "^TestRoundTripFollowsRedirects$"},

	{"files: a part of another version continues a file", fetch, "download.acceptPart",
		"versionOf(resp.Header) == d.version", "true", fetch, "^TestAttemptNeverSplicesTwoFiles$"},

	{"waits: a rejected job is polled on", root, "Job.class",
		"StatusRejected", "StatusRejected + \"?\"", root, "^TestCreatePreviewAndWait"},
	{"waits: failed polls end the wait for a job that is known to exist", wait, "State.failed",
		"!s.Known", "true", root, "^TestWaitForPreviewFailedPolls$"},
	{"waits: one refusal ends the wait", wait, "State.failed",
		"s.Refusals >= refusals && since-s.Refused >= refusedFor", "s.Refusals >= 1", root, "^TestWaitForPreview"},
	{"waits: the deadline is not the end", wait, "State.schedule",
		"t.Deadline.Sub(now)", "t.Deadline.Sub(now) + time.Hour", root, "^TestWithMaxWait$"},
	{"waits: a result is dropped when the loop's body breaks", root, "Tracker.deliver",
		"!more", "false", root, "^TestTracker_Results$"},
	{"waits: a refusal of many jobs ends them", root, "Tracker.observe",
		"o.Class = wait.Bad", "_ = shared", "./tests/promises", "^TestTrackerOutage$/^401"},
}
