package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"reflect"
	"strings"
	"syscall"
	"unicode"
)

// OneLine makes a server's text fit for a line of a log: without control characters, and not endless.
func OneLine(text string) string {
	const most = 300
	short := strings.ToValidUTF8(text[:min(len(text), 2*most)], "")
	short = strings.Join(strings.FieldsFunc(short, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(short) <= most && len(text) <= 2*most {
		return short
	}
	return strings.ToValidUTF8(short[:min(len(short), most)], "") + "…"
}

// ContextError is the error of a context that has ended, or nil. Its cause is in the text only: errgroup
// cancels with the error of another call, which must not become the identity of this one.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %s", err, OneLine(cause.Error()))
}

// foreignError is an error of the network or of the caller's code: its text, and what the standard library
// defines of its identity. Nothing else is known of it, such as that nothing was charged.
type foreignError struct {
	text string
	is   func(target error) bool
	as   func(target any) bool // nil if a credential is in what the error wraps
}

// foreign makes such an error fit to be shown: without net/http's wrapping, without credentials, which
// net/http quotes when a server sends them, and on one line.
func (c *Credentials) foreign(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	e := &foreignError{text: c.redactLine(err.Error()), is: func(target error) bool { return errors.Is(err, target) }}
	if !c.inChain(err) {
		e.as = func(target any) bool { return errors.As(err, target) }
	}
	return e
}

func (e *foreignError) Error() string { return e.text }

// Is lets errors be told apart that the standard library defines.
func (e *foreignError) Is(target error) bool {
	switch target {
	case context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed:
		return e.is(target)
	}
	_, ok := target.(syscall.Errno)
	return ok && e.is(target)
}

// As finds errors of the standard library's types, such as *net.OpError.
func (e *foreignError) As(target any) bool {
	t := reflect.TypeOf(target).Elem()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	root, _, _ := strings.Cut(t.PkgPath(), "/")
	return e.as != nil && root != "" && !strings.Contains(root, ".") && e.as(target)
}
