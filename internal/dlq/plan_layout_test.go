package dlq_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/dlq"
)

// A plan that went through another tool says the same, and is looked at as closely.
func TestAPlanMayBeLaidOutAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(3)
	plan := b.plan("topic=other", undecided(), edited(t, `/currency="USD"`))
	file := written(t, plan)
	var pretty, compact bytes.Buffer
	if err := json.Indent(&pretty, []byte(file), "", "  "); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&compact, []byte(file)); err != nil {
		t.Fatal(err)
	}
	compact.WriteByte('\n')
	for _, text := range []string{pretty.String(), compact.String()} {
		if p, err := dlq.ReadPlan(strings.NewReader(text)); err != nil || p.SHA256() != plan.SHA256() {
			t.Errorf("%v: %s", err, text)
		}
		for _, swap := range []struct{ old, next, why string }{
			{`"ey`, `"eA`, "sha256 differs"},
			{"dlq.plan/v1", "dlq.plan/v9", "schema is"},
			{`msg_id`, `message`, "unknown field"},
			{"other/0", topic + "/0", "is not where topic=other leads"},
			{"other/0", "orders/0", "is not where topic=other leads"},
			{"other/0", "other", "is not where topic=other leads"},
		} {
			bad := strings.Replace(text, swap.old, swap.next, 1)
			if _, err := dlq.ReadPlan(strings.NewReader(bad)); bad == text || err == nil || !strings.Contains(err.Error(), swap.why) {
				t.Errorf("want %q, got %v", swap.why, err)
			}
		}
		if _, err := dlq.ReadPlan(strings.NewReader(text + "{}")); err == nil || !strings.Contains(err.Error(), "more than one value") {
			t.Errorf("two documents: %v", err)
		}
	}
}

// A target that is not there any more is said before anything is sent.
func TestATargetThatIsGoneIsSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(3)
	plan := b.plan("topic=other", undecided())
	b.topic("other", 1)
	b.fate = nil
	sum, err := b.replay(plan)
	if err == nil || !strings.Contains(err.Error(), "target other/1 of 1/0: not found") || sum.Sent != 0 || len(b.sent("other")) != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
}
