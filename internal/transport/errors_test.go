package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOneLine(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tt := range []struct{ name, text, want string }{
		{"control characters and white space", "two\n\x1b[31m lines\u2028\u00a0here ", "two [31m lines here"},
		{"300 characters stay", long, long},
		{"one more is cut", long + "x", long + "…"},
		{"white space does not count", strings.Repeat(" ", 300) + long, long},
		{"a character that would be cut", long[:299] + "é", long[:299] + "…"},
		{"what is not UTF-8", "\xff", ""},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, OneLine(tt.text)) })
	}
}

// errRoot stands for a sentinel of the library, and rootError for a type of it.
var errRoot = errors.New("creatify: rate limited")

type rootError struct{ error }

func (rootError) Is(target error) bool { return target == errRoot }

func TestContextError(t *testing.T) {
	cancelled := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		return ctx
	}
	for _, tt := range []struct {
		name  string
		cause error
		text  string
	}{
		{"without a cause", nil, "context canceled"},
		{"with the error of another call", fmt.Errorf("create: %w", errRoot), "context canceled: create: creatify: rate limited"},
		{"with a cause of several lines", errors.New("a\nb"), "context canceled: a b"},
		{"with a deadline as the cause", context.DeadlineExceeded, "context canceled: context deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := ContextError(cancelled(tt.cause))
			assert.EqualError(t, err, tt.text)
			assert.ErrorIs(t, err, context.Canceled)
			assert.NotErrorIs(t, err, errRoot)
			assert.NotErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}

// late is a context that ends between the two questions that are asked of it.
type late struct{ context.Context }

func (late) Err() error { return nil }

func TestContextError_of_a_context_that_ends_meanwhile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.NoError(t, ContextError(late{ctx}))
}

// An error that comes by way of the caller's code may be of another call.
func TestDoKeepsNothingButTheStandardLibrarysIdentity(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, tt := range []struct {
		name string
		err  error
		is   []error
	}{
		{"an error of the library", fmt.Errorf("limiter: %w", errRoot), nil},
		{"a type of the library's", rootError{io.EOF}, nil},
		{"an error of the library in one of net's", &net.OpError{Op: "dial", Err: rootError{io.EOF}}, nil},
		{"an error of the library in one of net/http's", &url.Error{Op: "Post", Err: rootError{io.EOF}}, nil},
		{"a truncated response", io.ErrUnexpectedEOF, []error{io.ErrUnexpectedEOF}},
		{"a context", fmt.Errorf("x: %w", context.DeadlineExceeded), []error{context.DeadlineExceeded}},
		{"a time-out", os.ErrDeadlineExceeded, []error{os.ErrDeadlineExceeded}},
		{"a closed connection", net.ErrClosed, []error{net.ErrClosed}},
		{"a refused connection", dial, []error{syscall.ECONNREFUSED}},
		{"a certificate", &tls.CertificateVerificationError{Err: errRoot}, nil},
		{"several", errors.Join(errRoot, io.EOF), []error{io.EOF}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newClient(t, scripted(fail(tt.err))).Do(t.Context(), once)
			assert.NotErrorIs(t, err, errRoot)
			var root rootError
			assert.False(t, errors.As(err, &root))
			for _, target := range []error{context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNREFUSED} {
				assert.Equal(t, slices.Contains(tt.is, target), errors.Is(err, target), "is %v", target)
			}
		})
	}
}

func TestDoHidesAnErrorThatHoldsTheKey(t *testing.T) {
	dump := &net.OpError{Op: "read", Err: errors.New("dump: " + testKey)}
	_, err := newClient(t, scripted(fail(branches{dump, io.ErrUnexpectedEOF}))).Do(t.Context(), once)
	assert.EqualError(t, err, "it did not work")
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
		for e := err; e != nil; e = errors.Unwrap(e) {
			assert.NotContains(t, fmt.Sprintf(verb, e), testKey)
		}
	}
}

// branches is an error that says nothing about those that it wraps.
type branches []error

func (branches) Error() string     { return "it did not work" }
func (b branches) Unwrap() []error { return b }

func TestDoErrorsAreOneLine(t *testing.T) {
	_, err := newClient(t, scripted(fail(errors.New("malformed\n\x1b[31m"+strings.Repeat("x", 1000))))).Do(t.Context(), once)
	assert.NotContains(t, err.Error(), "\n")
	assert.NotContains(t, err.Error(), "\x1b")
	assert.Less(t, len(err.Error()), 400)
}

func TestDoSaysWhatCameAfterTheContextsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := cancelAfter(time.Second)(t.Context())
		defer cancel()
		_, err := newClient(t, scripted(after(3*time.Second, reset))).Do(ctx, paid)
		assert.EqualError(t, err, "context canceled, and then: read tcp: connection reset by peer")
		assert.ErrorIs(t, err, context.Canceled)
		failure, ok := errors.AsType[*Error](err)
		require.True(t, ok)
		assert.True(t, failure.Reached)
	})
}

func TestRequestID(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header []string
		want   string
	}{
		{"none", nil, ""},
		{"the API's", []string{"X-Request-ID", "req-1", "CF-Ray", "ray"}, "req-1"},
		{"Cloudflare's", []string{"CF-Ray", "8f1-FRA"}, "8f1-FRA"},
		{"a trace", []string{"traceparent", "00-1-2-01"}, "00-1-2-01"},
		{"with the key", []string{"X-Request-ID", "a " + testKey}, "a [redacted]"},
		{"without an end", []string{"X-Request-ID", strings.Repeat("x", 5000)}, strings.Repeat("x", 300) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newClient(t, scripted(respond(http.StatusNotFound, "", tt.header...))).Do(t.Context(), once)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got.RequestID)
		})
	}
}
