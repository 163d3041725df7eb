package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/text"
)

const (
	maxRetryAfter = time.Hour
	maxExcerpt    = 200 // bytes of a body in a message
)

// judge says what an answer means; nil: the order is delivered.
func judge(resp *http.Response, body []byte, now time.Time) *queue.Failure {
	code := resp.StatusCode
	if code >= 200 && code <= 299 {
		return nil
	}
	f := &queue.Failure{Class: classOf(code), Code: strconv.Itoa(code), Message: "the service answered " + text.Safe(resp.Status)}
	if excerpt := text.Safe(queue.Cut(strings.TrimSpace(string(body)), maxExcerpt)); excerpt != "" {
		f.Message += ": " + excerpt
	}
	if f.Class == queue.ClassRetryable {
		f.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	}
	return f
}

// classOf says whose fault a status is: of the moment, of the service and its address, or of the order.
func classOf(code int) queue.Class {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return queue.ClassRetryable
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return queue.ClassOutage
	}
	switch {
	case code >= 500:
		return queue.ClassRetryable
	case code >= 400:
		return queue.ClassFatal
	}
	return queue.ClassOutage // 3xx, and what no service answers with
}

// retryAfter is the wait that a service asks for, in seconds or until a date, at most an hour.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(value, 10, 63); err == nil {
		wait = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// noAnswer classes an error in place of an answer. Without a connection it is the service that is away; with one, a
// silence may be about this order.
func noAnswer(err error, connected bool) *queue.Failure {
	f := &queue.Failure{Class: queue.ClassOutage, Code: "connection", Message: redact(err)}
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		f.Code = "canceled"
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedPort), errors.Is(err, ssrf.ErrProhibitedNetwork):
		f.Code = "address"
		f.Message = "not a public address, and not in webhook.allow_cidrs: " + f.Message
	case isTLS(err):
		f.Code = "tls"
	case !connected:
	case errors.As(err, &timeout) && timeout.Timeout():
		f.Class, f.Code = queue.ClassTimeout, "deadline"
	case !broken(err): // it did answer, but not as HTTP has it
		f.Class, f.Code = queue.ClassRetryable, "answer"
	}
	return f
}

func isTLS(err error) bool {
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var host x509.HostnameError
	return errors.As(err, &cert) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &host) ||
		errors.Is(err, http.ErrSchemeMismatch)
}

// broken reports whether a connection ended before there was an answer.
func broken(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) || errors.As(err, &op)
}
