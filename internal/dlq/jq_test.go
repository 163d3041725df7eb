package dlq_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

func now() time.Time { return base().Add(20 * time.Minute) }

// asked is one letter that has everything.
func asked() (*topicLog, dlq.ID) {
	l := &topicLog{parts: map[int32][]queue.Record{}}
	tr := queue.Trail{
		MsgID: "A-1:PAID", Fingerprint: "f", Hop: 2, Class: queue.ClassExhausted, Code: "payment-timeout", Message: "504 \x1b[31mred", Attempts: 6, ReplayCount: 1,
		Origin: queue.Position{Topic: "orders", Partition: 3, Offset: 42}, Group: "g", BlockedBy: "A-0:CREATED", FirstFailure: base(), LastFailure: base().Add(time.Second),
	}
	id := l.add(0, base(), tr, "A-1", `{"order_id":"A-1","user_id":"u7","status":"PAID","total_amount":12345678901234567890,"items":[{"quantity":2},{"quantity":0}]}`)
	return l, id
}

func TestJQChoosesWhatIsTrue(t *testing.T) {
	t.Parallel()
	tests := []struct {
		expr   string
		want   bool
		failed int
	}{
		{`.class == "exhausted"`, true, 0},
		{`.class == "invalid"`, false, 0},
		{`.class == "exhausted" and (.code | startswith("payment")) and .age_seconds > 600`, true, 0},
		{`.age_seconds == 1200`, true, 0},
		{`.id == "0/0"`, true, 0},
		{`.time | startswith("2025-11-24T")`, true, 0},
		{`.message | contains("504")`, true, 0},
		{`.dialect == "orderctl"`, true, 0},
		{`.state == "undecided"`, true, 0},
		{`.job == null`, true, 0},
		{`.attempts > 5 and .replays == 1`, true, 0},
		{`.size > 10`, true, 0},
		{`.msg_id == "A-1:PAID" and .order_id == "A-1"`, true, 0},
		{`.user_id == "u7" and .status == "PAID"`, true, 0},
		{`.topic == "orders" and .partition == 3 and .offset == 42 and .group == "g"`, true, 0},
		{`.first_failure < .last_failure`, true, 0},
		{`.blocked_by == "A-0:CREATED"`, true, 0},
		{`.headers["orderctl-code"] == "payment-timeout"`, true, 0},
		{`.headers["nosuch"] == null`, true, 0},
		{`.body.total_amount == 12345678901234567890`, true, 0},
		{`.body.items[] | .quantity == 0`, true, 0},
		{`any(.body.items[]; .quantity == 0)`, true, 0},
		{`all(.body.items[]; .quantity > 0)`, false, 0},
		{`.body.nosuch == null`, true, 0},
		{`.body | has("user_id")`, true, 0},
		{`has("class")`, true, 0},
		{`select(.class == "exhausted") | .attempts == 6`, true, 0},
		{`. as $l | $l.class == "exhausted"`, true, 0},
		{`{class, code} | .class == "exhausted"`, true, 0},
		{`{kind: .class} | .kind == "exhausted"`, true, 0},
		{`[.class, .code] | index("exhausted") == 0`, true, 0},
		{`if .attempts > 3 then true else false end`, true, 0},
		{`try error("x") catch true`, true, 0},
		{`(.code // "none") == "payment-timeout"`, true, 0},
		{`"\(.class)/\(.code)" == "exhausted/payment-timeout"`, true, 0},
		{`reduce .body.items[] as $i (0; . + $i.quantity) == 2`, true, 0},
		{`def dear: .body.total_amount > 5; dear`, true, 0},
		{`.class | test("^exh")`, true, 0},
		{`1`, false, 0},
		{`"true"`, false, 0},
		{`null`, false, 0},
		{`empty`, false, 0},
		{`$ENV | length == 0`, true, 0},
		{`.attempts | startswith("6")`, false, 1},
		{`error("\u001b[2J")`, false, 1},
		{`.body.items.quantity == 1`, false, 1},
		{`halt_error`, false, 1},
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			t.Parallel()
			l, _ := asked()
			q, err := dlq.ParseQuery(tt.expr, now)
			if err != nil {
				t.Fatal(err)
			}
			n, err := dlq.NewReader(l, rows{}, topic, "g").Export(t.Context(), dlq.Selection{Query: q}, func(dlq.Letter) error { return nil })
			failed, first := q.Failed()
			if err != nil || (n == 1) != tt.want || failed != tt.failed || (first != nil) != (tt.failed > 0) {
				t.Errorf("chosen %d, want %v; %d failed (%v), want %d; %v", n, tt.want, failed, first, tt.failed, err)
			}
			list, err := dlq.NewReader(l, rows{}, topic, "g").List(t.Context(), dlq.Selection{Query: q})
			if err != nil || (len(list) == 1) != tt.want || len(list) == 1 && list[0].Value != nil {
				t.Errorf("listed %d: %v", len(list), err)
			}
		})
	}
}

func TestJQRefusesMembersThatNoLetterHas(t *testing.T) {
	t.Parallel()
	for expr, member := range map[string]string{
		`.clas == 1`:                             "clas",
		`.["clas"] == 1`:                         "clas",
		`.class == "x" and .ages > 3`:            "ages",
		`. | .klass`:                             "klass",
		`(.klass | length) > 1`:                  "klass",
		`select(.foo) | true`:                    "foo",
		`select(.class) | .foo`:                  "foo",
		`if .foo then true else false end`:       "foo",
		`[.foo] | length > 0`:                    "foo",
		`{foo} | true`:                           "foo",
		`"\(.foo)" == ""`:                        "foo",
		`.body[.foo] == 1`:                       "foo",
		`. as $x | .foo == 1`:                    "foo",
		`any(.foo[]; .x)`:                        "foo",
		`-.foo > 1`:                              "foo",
		`try .foo catch false`:                   "foo",
		`(.class, .foo) == 1`:                    "foo",
		`(.).foo == 1`:                           "foo",
		`.foo?`:                                  "foo",
		`reduce .foo[] as $i (0; . + 1) > 1`:     "foo",
		`.class as $c | .body.items[] | .q == 1`: "",
		`map(.foo)`:                              "",
		`.body.foo == 1`:                         "",
		`.headers.foo == "x"`:                    "",
		`.body | .foo`:                           "",
		`def f: .foo; .body | f`:                 "",
		`.code | .foo?`:                          "",
		`. as $x | $x | .foo`:                    "",
	} {
		_, err := dlq.ParseQuery(expr, now)
		var bad *dlq.QueryError
		if errors.As(err, &bad); bad == nil && member != "" || bad != nil && bad.Member != member {
			t.Errorf("%s: %v, want member %q", expr, err, member)
		}
	}
}

func TestJQWithBadSyntax(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{"", ".class ==", "(", `"`, "nosuch(.class)", "$x == 1", "import \"a\" as a; true"} {
		_, err := dlq.ParseQuery(expr, now)
		var bad *dlq.QueryError
		if expr == "" && err == nil {
			continue // gives the letter itself: chooses none
		}
		if !errors.As(err, &bad) || bad.Member != "" {
			t.Errorf("%q: %v", expr, err)
		}
	}
}

func TestJQThatNeverEndsIsCutShort(t *testing.T) {
	t.Parallel()
	l, _ := asked()
	q, err := dlq.ParseQuery("[repeat(1)] | length == 0", now)
	if err != nil {
		t.Fatal(err)
	}
	n, err := dlq.NewReader(l, nil, topic, "g").Export(t.Context(), dlq.Selection{Query: q}, func(dlq.Letter) error { return nil })
	if failed, _ := q.Failed(); err != nil || n != 0 || failed != 1 {
		t.Errorf("%d chosen, %d failed (%v)", n, failed, err)
	}
}

func TestJQOverWhatIsNoOrder(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	l.add(0, base(), trail(1, queue.ClassDecode, 1), "A", "\xff{")
	l.add(0, base(), trail(2, queue.ClassDecode, 1), "B", `{} {}`)
	l.add(0, base(), trail(3, queue.ClassDecode, 1), "C", `[1]`)
	q, err := dlq.ParseQuery(".body == null and .user_id == null", now)
	if err != nil {
		t.Fatal(err)
	}
	list, err := dlq.NewReader(l, nil, topic, "g").List(t.Context(), dlq.Selection{Query: q})
	if err != nil || len(list) != 2 {
		t.Errorf("%s (%v), want the two that are no JSON document", idsOf(list), err)
	}
}

func FuzzJQ(f *testing.F) {
	for _, s := range []string{".class", `.body.items[0]`, `{class}`, `. as [$a] | .x`, "def f(g): g; f(.id)", `"\(1)"`, "@base64", "label $x | break $x", "..", ".[1:]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		if strings.Contains(expr, "range") || strings.Contains(expr, "repeat") || len(expr) > 60 {
			return // may be large
		}
		q, err := dlq.ParseQuery(expr, now)
		if err != nil {
			return
		}
		l, _ := asked()
		if _, err := dlq.NewReader(l, nil, topic, "g").List(t.Context(), dlq.Selection{Query: q}); err != nil {
			t.Errorf("%q: %v", expr, err)
		}
	})
}
