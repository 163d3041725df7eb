package serve

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/text"
)

// code names a problem; it is the last element of the problem's type.
type code string

// The problems this server answers with (RFC 9457).
const (
	codeMalformedJSON     code = "malformed-json"
	codeMalformedProtobuf code = "malformed-protobuf"
	codeMalformedEncoding code = "malformed-encoding"
	codeKeyInvalid        code = "idempotency-key-invalid"
	codeNotFound          code = "not-found"
	codeMethodNotAllowed  code = "method-not-allowed"
	codeBodyTimeout       code = "body-read-timeout"
	codeTooLarge          code = "body-too-large"
	codeUnsupported       code = "unsupported-media-type"
	codeValidation        code = "validation-failed"
	codeRecordRejected    code = "record-rejected"
	codeInternal          code = "internal"
	codeKafkaUnavailable  code = "kafka-unavailable"
	codeOverloaded        code = "overloaded"
	codeDraining          code = "draining"
	codeStoreUnavailable  code = "store-unavailable"
	codeLagUnavailable    code = "lag-unavailable"
	codeOutcomeUnknown    code = "outcome-unknown"
)

// The outcomes of an order that was not accepted, as clients read them.
const (
	outcomeNotSent = "not_sent"
	outcomeUnknown = "unknown"
)

const (
	maxErrors       = 20
	maxEchoRunes    = 64
	unknownRetrySec = 2
	maxRetrySec     = 5
)

// kind returns what every problem of a code has in common.
func (c code) kind() (status int, title string) {
	switch c {
	case codeMalformedJSON:
		return http.StatusBadRequest, "The body is not one JSON document"
	case codeMalformedProtobuf:
		return http.StatusBadRequest, "The body is not an order in Protobuf"
	case codeMalformedEncoding:
		return http.StatusBadRequest, "The body cannot be decompressed"
	case codeKeyInvalid:
		return http.StatusBadRequest, "The Idempotency-Key is not valid"
	case codeNotFound:
		return http.StatusNotFound, "Not found"
	case codeMethodNotAllowed:
		return http.StatusMethodNotAllowed, "Method not allowed"
	case codeBodyTimeout:
		return http.StatusRequestTimeout, "The body did not arrive in time"
	case codeTooLarge:
		return http.StatusRequestEntityTooLarge, "The body is too large"
	case codeUnsupported:
		return http.StatusUnsupportedMediaType, "Unsupported media type"
	case codeValidation:
		return http.StatusUnprocessableEntity, "Not a valid order"
	case codeRecordRejected:
		return http.StatusUnprocessableEntity, "The queue refuses this order"
	case codeKafkaUnavailable:
		return http.StatusServiceUnavailable, "The queue is not available"
	case codeOverloaded:
		return http.StatusServiceUnavailable, "Too many orders at once"
	case codeDraining:
		return http.StatusServiceUnavailable, "The server is stopping"
	case codeStoreUnavailable:
		return http.StatusServiceUnavailable, "The database is not available"
	case codeLagUnavailable:
		return http.StatusServiceUnavailable, "The lag is not known"
	case codeOutcomeUnknown:
		return http.StatusGatewayTimeout, "It is not known whether the order was accepted"
	default:
		return http.StatusInternalServerError, "Internal error"
	}
}

// problem is an answer that says what went wrong.
type problem struct {
	code    code
	detail  string
	outcome string
	errors  []order.Violation
	limit   int64  // of body-too-large, in bytes
	extra   []byte // one more member, encoded: "name":value
	close   bool   // the rest of the request was not read: the connection cannot be used again
}

// fail returns a problem with the outcome that its code implies.
func fail(c code, detail string) *problem {
	p := &problem{code: c, detail: detail}
	switch status, _ := c.kind(); status {
	case http.StatusServiceUnavailable:
		p.outcome = outcomeNotSent
	case http.StatusGatewayTimeout:
		p.outcome = outcomeUnknown
	}
	return p
}

// retryable reports whether the same request may succeed later.
func (p *problem) retryable() bool {
	status, _ := p.code.kind()
	return status >= http.StatusInternalServerError || status == http.StatusRequestTimeout
}

// problem answers the request with p.
func (k *call) problem(p *problem) {
	k.s.writeProblem(k.w, k.r, p, k.id, k.traceID)
}

func (s *Server) writeProblem(w http.ResponseWriter, r *http.Request, p *problem, requestID, traceID string) {
	status, _ := p.code.kind()
	h := w.Header()
	h[hdrContentType] = s.statics.problem
	switch status {
	case http.StatusServiceUnavailable: // random, so that clients do not come back together
		h.Set("Retry-After", strconv.Itoa(1+rand.IntN(maxRetrySec)))
	case http.StatusGatewayTimeout:
		h.Set("Retry-After", strconv.Itoa(unknownRetrySec))
	}
	if p.close {
		h["Connection"] = s.statics.closing
	}
	body := p.encode(s.o.ProblemBase, r.URL.Path, requestID, traceID)
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // G705: JSON with every string quoted, under nosniff; the client may be gone
}

func (p *problem) encode(base, path, requestID, traceID string) []byte {
	status, title := p.code.kind()
	b := make([]byte, 0, 512+len(p.extra))
	b = appendString(append(b, `{"type":`...), base+"/problems/"+string(p.code))
	b = appendString(append(b, `,"title":`...), title)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(status), 10)
	b = appendString(append(b, `,"detail":`...), p.detail)
	b = appendString(append(b, `,"instance":`...), echo(path))
	b = appendString(append(b, `,"code":`...), string(p.code))
	b = strconv.AppendBool(append(b, `,"retryable":`...), p.retryable())
	if p.outcome != "" {
		b = appendString(append(b, `,"outcome":`...), p.outcome)
	}
	if requestID != "" {
		b = appendString(append(b, `,"request_id":`...), requestID)
		b = appendString(append(b, `,"trace_id":`...), traceID)
	}
	if p.limit > 0 {
		b = strconv.AppendInt(append(b, `,"limit_bytes":`...), p.limit, 10)
	}
	if len(p.errors) > 0 {
		b = appendViolations(append(b, `,"errors":`...), p.errors)
	}
	if len(p.extra) > 0 {
		b = append(append(b, ','), p.extra...)
	}
	return append(b, '}', '\n')
}

func appendViolations(b []byte, vs []order.Violation) []byte {
	b = append(b, '[')
	for i, v := range vs[:min(len(vs), maxErrors)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"pointer":`...), echo(v.Pointer))
		b = appendString(append(b, `,"code":`...), v.Code)
		b = appendString(append(b, `,"detail":`...), cut(text.Safe(v.Detail), 4*maxEchoRunes))
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	out, err := jsontext.AppendQuote(b, s)
	if err != nil { // s is not UTF-8: the output holds replacement characters and is valid all the same
		return out
	}
	return out
}

// echo makes something the sender chose fit for an answer.
func echo(s string) string { return cut(text.Safe(s), maxEchoRunes) }

// cut returns at most n runes of s.
func cut(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}
