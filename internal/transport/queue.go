package transport

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/time/rate"
)

// Limiter holds each request until its turn.
type Limiter interface {
	Wait(ctx context.Context) error
}

// ErrQueue is an error of a call that ended in the rate limit's queue: the request was not made.
var ErrQueue = errors.New("in the rate limit's queue")

// Queue stands before a [Limiter], which knows no order.
type Queue struct {
	limiter    Limiter
	background chan struct{} // holds the one background call that is at the limiter
}

// NewQueue makes a queue. Clients may share it.
func NewQueue(l Limiter) *Queue { return &Queue{l, make(chan struct{}, 1)} }

// wait returns when it is the call's turn. A background call comes to the limiter when no other one is there.
func (q *Queue) wait(ctx context.Context, background bool) error {
	if background {
		select {
		case q.background <- struct{}{}:
			defer func() { <-q.background }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := q.limiter.Wait(ctx)
	if _, ok := ctx.Deadline(); ok && err != nil && ctx.Err() == nil {
		if _, ok := q.limiter.(*rate.Limiter); ok { // whose error has no type
			return fmt.Errorf("its turn comes after the deadline: %w", context.DeadlineExceeded)
		}
	}
	return err
}
