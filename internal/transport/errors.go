package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"unicode"
)

// OneLine makes a server's text safe to log: on one line, without control characters, and of limited length.
func OneLine(text string) string {
	const most = 300
	unfit := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, ""), unfit), " ")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// ContextError is the error of a context that has ended, or nil. Its cause is in the text only: errgroup
// cancels with the error of another call, which must not become the identity of this one.
func ContextError(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); err != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %s", err, OneLine(cause.Error()))
	}
	return err
}

// foreignError is an error of the network or of the caller's code. It keeps the text, and matches the
// standard library's errors only: it must not match a sentinel that says that nothing was charged.
type foreignError struct {
	text string
	is   func(target error) bool
}

// foreign makes such an error safe to show: on one line, without net/http's wrapping, and without the
// credentials, which net/http quotes when a server sends them.
func (c *Credentials) foreign(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return &foreignError{c.redactLine(err.Error()), func(target error) bool { return errors.Is(err, target) }}
}

func (e *foreignError) Error() string { return e.text }

// Is matches only errors that the standard library defines.
func (e *foreignError) Is(target error) bool {
	switch target {
	case context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed:
		return e.is(target)
	}
	_, ok := target.(syscall.Errno)
	return ok && e.is(target)
}
