package transport

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// sending watches a paid request leave. Only net/http's reports prove that it did not: a transport that
// reports nothing proves nothing.
type sending struct {
	traced   atomic.Bool // net/http has the request, and reports the connection that it gets
	untraced atomic.Bool // a RoundTripper of the caller's has it, which may be silent
	gone     atomic.Bool // a connection was got, or something was written to it
}

type sendingKey struct{}

func (s *sending) handOver(traced bool) {
	if traced {
		s.traced.Store(true)
	} else {
		s.untraced.Store(true)
	}
}

func (s *sending) neverLeft() bool { return s.traced.Load() && !s.gone.Load() }

func (s *sending) mayHaveLeft() bool {
	return s.gone.Load() || s.untraced.Load() && !s.traced.Load()
}

func (s *sending) watch(ctx context.Context) context.Context {
	gone := func() { s.gone.Store(true) }
	return httptrace.WithClientTrace(context.WithValue(ctx, sendingKey{}, s), &httptrace.ClientTrace{
		GetConn:              func(string) { s.traced.Store(true) },
		GotConn:              func(httptrace.GotConnInfo) { gone() },
		WroteHeaderField:     func(string, []string) { gone() },
		WroteHeaders:         gone,
		WroteRequest:         func(httptrace.WroteRequestInfo) { gone() },
		GotFirstResponseByte: gone,
	})
}

// withGrace returns a context that is watched by s and ends after limit, or with parent as long as the
// request has not left. After that it outlives parent by the grace, so that a response that is on its way is
// not thrown away. The grace begins when parent's end is noticed: a process that was stopped meanwhile still
// reads the response. end must be called, and leaves nothing behind.
func (s *sending) withGrace(parent context.Context, limit, grace time.Duration) (ctx context.Context, end func()) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(parent), limit)
	var timer *time.Timer
	noticed := make(chan struct{})
	stop := context.AfterFunc(parent, func() {
		defer close(noticed)
		if grace > 0 && s.mayHaveLeft() {
			timer = time.AfterFunc(grace, cancel)
		} else {
			cancel()
		}
	})
	return s.watch(ctx), func() {
		if !stop() {
			<-noticed
			if timer != nil {
				timer.Stop()
			}
		}
		cancel()
	}
}
