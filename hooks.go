package creatify

import (
	"context"
	"time"
)

// Hooks observe a client, for metrics and traces; see module otelcreatify. Each function may be nil. It runs
// in the goroutine of the observed call: if it blocks or panics, so does the call. It may run concurrently.
// No hook sees a key; only the job or the error of a result holds variables and URLs.
type Hooks struct {
	// Trace returns the W3C traceparent of ctx, or "". It is called with Paid's context after a paid call
	// that returned a job. [PendingJob] keeps the result, so that any process can link a wait to its create.
	Trace func(ctx context.Context) string
	// Paid is called before each paid call, which uses the context that it returns. The function that it
	// returns may be nil; it is called with the result.
	Paid func(ctx context.Context, call PaidCall) (context.Context, func(PaidResult))
	// Poll is called before each poll of a wait, and works like Paid.
	Poll func(ctx context.Context, poll PollCall) (context.Context, func(PollResult))
	// WaitEnd is called when a wait is over, once in each process that sees its end.
	WaitEnd func(ctx context.Context, end WaitEnd)
}

// PaidCall is a paid call that is about to be made.
type PaidCall struct {
	Operation Operation
	Call      string       // name, such as "create_preview"
	JobID     string       // of an existing job; empty for a create
	Model     ModelVersion // empty if it is not known
	Estimate  float64      // credits, by [EstimateCredits] for 30 s of video; of a Render, with ModelStandard
}

// PaidResult is the result of a paid call.
type PaidResult struct {
	Job     *Job // nil if there is an error
	Charged Charge
	Err     error // see [Reason]
}

// PollCall is a poll that is about to be made.
type PollCall struct {
	Job    PendingJob
	Number int       // 1 for the first poll of the wait
	Due    time.Time // when it was worth making
}

// PollResult is the result of a poll.
type PollResult struct {
	Made time.Time // when the request was made
	Job  *Job      // nil if there is an error
	Err  error     // a failed poll does not end the wait by itself
}

// WaitEnd is the end of a wait.
type WaitEnd struct {
	Job     PendingJob
	Polls   int           // over all processes
	Started time.Time     // when the wait began
	Born    time.Time     // when the job was created; zero if unknown
	Ended   time.Time     // when the end was noticed
	MaxLag  time.Duration // upper bound of the time between the job's end and Ended; 0 if unknown
	Result  *Job          // nil if there is an error
	Err     error         // a *JobError or a *WaitError
}

// WithHooks sets functions that observe the client. By default there are none.
func WithHooks(hooks Hooks) Option {
	return func(c *config) { c.hooks = hooks }
}

// polled calls the Poll hook. Call the function that it returns with the result.
func (p *Poller) polled(ctx context.Context, number int, due time.Time) (_ context.Context, end func(PollResult)) {
	if hook := p.jobs.api.hooks.Poll; hook != nil {
		ctx, end = hook(ctx, PollCall{p.Pending(), number, due})
	}
	if end == nil {
		end = func(PollResult) {}
	}
	return ctx, end
}

// ended calls the WaitEnd hook.
func (p *Poller) ended(ctx context.Context) {
	hook := p.jobs.api.hooks.WaitEnd
	if hook == nil {
		return
	}
	end := WaitEnd{Job: p.Pending(), Ended: time.Now()}
	end.Result, end.Err = p.Result()
	p.mu.Lock()
	end.Polls, end.Started, end.Born = int(p.state.Polls), p.state.Started, p.state.BornAt()
	if seen, ok := p.state.Lived(end.Ended); ok {
		end.MaxLag = seen.By - seen.After
	}
	p.mu.Unlock()
	hook(ctx, end)
}
