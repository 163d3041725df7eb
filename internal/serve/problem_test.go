package serve

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/order"
)

// The table of answers (status, retry, outcome) as clients rely on it.
func TestEveryCodeHasItsAnswer(t *testing.T) {
	t.Parallel()
	for c, want := range map[code]struct {
		status  int
		retry   bool
		outcome string
	}{
		codeMalformedJSON:     {400, false, ""},
		codeMalformedProtobuf: {400, false, ""},
		codeMalformedEncoding: {400, false, ""},
		codeKeyInvalid:        {400, false, ""},
		codeNotFound:          {404, false, ""},
		codeMethodNotAllowed:  {405, false, ""},
		codeBodyTimeout:       {408, true, ""},
		codeTooLarge:          {413, false, ""},
		codeUnsupported:       {415, false, ""},
		codeValidation:        {422, false, ""},
		codeRecordRejected:    {422, false, ""},
		codeInternal:          {500, true, ""},
		codeKafkaUnavailable:  {503, true, "not_sent"},
		codeOverloaded:        {503, true, "not_sent"},
		codeDraining:          {503, true, "not_sent"},
		codeStoreUnavailable:  {503, true, "not_sent"},
		codeLagUnavailable:    {503, true, "not_sent"},
		codeOutcomeUnknown:    {504, true, "unknown"},
	} {
		p := fail(c, "d")
		status, title := c.kind()
		if status != want.status || title == "" || p.retryable() != want.retry || p.outcome != want.outcome {
			t.Errorf("%s: %d %q, retry %v, outcome %q; want %+v", c, status, title, p.retryable(), p.outcome, want)
		}
	}
}

func TestRetryAfterIsSpread(t *testing.T) {
	t.Parallel()
	s := &Server{statics: newStatics()}
	seen := map[string]int{}
	for range 500 {
		w := httptest.NewRecorder()
		s.writeProblem(w, httptest.NewRequest(http.MethodPost, "/orders", nil), fail(codeOverloaded, ""), "", "")
		seen[w.Header().Get("Retry-After")]++
	}
	for i := 1; i <= 5; i++ {
		if seen[strconv.Itoa(i)] < 40 {
			t.Errorf("%d s came %d times of 500: clients would come back together", i, seen[strconv.Itoa(i)])
		}
	}
	if len(seen) != 5 {
		t.Errorf("%v, want 1 to 5", seen)
	}
}

// Whatever a sender puts in: the answer is valid JSON, small, and shows nothing that a terminal obeys.
func TestAProblemIsSafeToShow(t *testing.T) {
	t.Parallel()
	hostile := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.Just(strings.Repeat("\x1b[31m", 400)), rapid.Just("\u202e"+strings.Repeat("ä", 3000)))
	rapid.Check(t, func(t *rapid.T) {
		p := fail(codeValidation, "fixed")
		for range rapid.IntRange(0, 40).Draw(t, "errors") {
			p.errors = append(p.errors, order.Violation{Pointer: hostile.Draw(t, "pointer"), Code: "x", Detail: hostile.Draw(t, "detail")})
		}
		path := hostile.Draw(t, "path")
		raw := p.encode("", path, "id", "trace")
		var got struct {
			Instance string
			Status   int
			Errors   []struct{ Pointer, Detail string }
		}
		if err := json.Unmarshal(raw, &got); err != nil || got.Status != 422 {
			t.Fatalf("%v in %s", err, raw)
		}
		if len(raw) > 16<<10 || len(got.Errors) > 20 {
			t.Fatalf("%d bytes, %d errors", len(raw), len(got.Errors))
		}
		for _, s := range []string{got.Instance, string(raw[:len(raw)-1])} {
			if strings.ContainsFunc(s, unicode.IsControl) || strings.ContainsRune(s, '\u202e') || !utf8.ValidString(s) {
				t.Fatalf("%q", s)
			}
		}
		if utf8.RuneCountInString(got.Instance) > 64 {
			t.Fatalf("%d runes echoed", utf8.RuneCountInString(got.Instance))
		}
	})
}

func TestCutNeverSplitsARune(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"": "", "abc": "abc", "abcd": "abc", "äöü": "äöü", "äöüß": "äöü"} {
		if got := cut(s, 3); got != want {
			t.Errorf("cut(%q, 3) = %q, want %q", s, got, want)
		}
	}
}
