package produce

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// maxAnswer is how much of an answer is read.
const maxAnswer = 64 << 10

// problem is what a run wants of an RFC 9457 answer.
type problem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// answered turns the answer of the API into an outcome. 503 promises that nothing was written, 504 promises nothing;
// everything else that is no 2xx is refused for what it is, unless the server broke down over it.
func answered(status int, body []byte, readErr error) outcome {
	if status == http.StatusAccepted {
		return outcome{kind: acknowledged} // the head says it; a body cut short takes nothing back
	}
	var p problem
	if readErr == nil {
		_ = json.Unmarshal(body, &p) // whoever stands before the API may answer anything
	}
	out := outcome{kind: rejected, code: "http-" + strconv.Itoa(status), err: errors.New(http.StatusText(status))}
	if slug(p.Code) {
		out.code = p.Code
	}
	if p.Detail != "" {
		out.err = errors.New(p.Detail)
	}
	switch {
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		out.kind = notSent
	case status >= 500, status == http.StatusConflict, status == http.StatusRequestTimeout, status < 300:
		out.kind = unknown
	}
	return out
}

// slug reports whether s is a code as our API has them; codes become keys of the report.
func slug(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 40
}
