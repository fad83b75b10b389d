package durable

import "errors"

// The sentinels, for errors.Is. A malformed order is a [*creatify.ValidationError] instead.
var (
	// ErrNotFound: there is no such order.
	ErrNotFound = errors.New("durable: no such order")
	// ErrConflict: an order with this ID exists and asks for something else. Nothing was changed.
	ErrConflict = errors.New("durable: an order with this ID exists with other parameters")
	// ErrNotReady: the order that a Render follows has no finished preview.
	ErrNotReady = errors.New("durable: the preview is not ready")
	// ErrState: the order's state does not allow the change. Nothing was changed.
	ErrState = errors.New("durable: the order's state does not allow this")
	// ErrTooEarly: the call whose outcome is unknown may still be under way.
	ErrTooEarly = errors.New("durable: the call may still be under way")
	// ErrUnsafe: the database may lose what it has committed, or is set up so that waits fail.
	ErrUnsafe = errors.New("durable: unsafe database settings")
	// ErrSchema: the tables are missing, or belong to a newer version of this package.
	ErrSchema = errors.New("durable: the schema does not fit")
	// ErrRunning: [Queue.Run] is running already.
	ErrRunning = errors.New("durable: the queue is running already")
)
