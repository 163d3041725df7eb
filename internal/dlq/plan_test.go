package dlq_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

func only(t *testing.T, p dlq.Plan, id dlq.ID) dlq.PlanEntry {
	t.Helper()
	for _, e := range p.Entries {
		if e.ID == id.String() {
			return e
		}
	}
	t.Fatalf("letter %s is not in the plan: %+v", id, p.Entries)
	return dlq.PlanEntry{}
}

// row is one more message of an order in the database.
func (b *bench) row(orderID, msgID, print string, seq int64, state queue.State, outcome queue.Outcome) {
	key := queue.RowKey{MsgID: msgID, Fingerprint: print}
	b.rows[key] = queue.Row{
		RowKey: key, State: state, Outcome: outcome, OrderID: orderID, Hop: 1, Control: -1, Src: queue.Position{Topic: "orders", Partition: 0, Offset: seq},
	}
}

// Each warning of the table in dlq.md 5: what raises it, what the plan does then, and whether --include lifts it.
func TestWhatSpeaksAgainstAReplay(t *testing.T) {
	t.Parallel()
	dead := func(b *bench, more ...func(*queue.Trail)) dlq.ID {
		return b.kill(0, 5, "A", "A:5", queue.ClassExhausted, more...)
	}
	for _, tt := range []struct {
		name   string
		add    func(*bench) dlq.ID
		to     string
		with   func(*dlq.Planner)
		want   []dlq.Warning
		replay bool
		lifts  bool // --include (of handled: --again) makes it a replay
	}{
		{name: "nothing", add: func(b *bench) dlq.ID { return dead(b) }, replay: true, lifts: true},
		{name: "handled by its row", add: func(b *bench) dlq.ID {
			id := dead(b)
			b.row("A", "A:5", fmt.Sprintf("%064x", 5), 5, queue.StateDone, queue.Applied)
			return id
		}, want: []dlq.Warning{dlq.Handled}, lifts: true},
		{name: "handled by the ledger, no database", add: func(b *bench) dlq.ID {
			id := dead(b)
			b.enter(id.String(), dlq.Entry{State: dlq.DecisionReplayed, Job: "r-x"})
			return id
		}, with: func(p *dlq.Planner) { p.Store = nil }, want: []dlq.Warning{dlq.Handled, dlq.NoStore}, lifts: true},
		{name: "origin unknown", add: func(b *bench) dlq.ID {
			return dead(b, func(t *queue.Trail) { t.Origin = queue.Position{Partition: -1, Offset: -1} })
		}, want: []dlq.Warning{dlq.OriginUnknown}},
		{name: "of another group", add: func(b *bench) dlq.ID {
			return dead(b, func(t *queue.Trail) { t.Group = "h" })
		}, want: []dlq.Warning{dlq.OriginUnknown}},
		{name: "no such topic", add: func(b *bench) dlq.ID { return dead(b) }, to: "topic=nowhere", want: []dlq.Warning{dlq.TargetMissing}},
		{name: "no such partition in the group", add: func(b *bench) dlq.ID {
			b.topics[b.names.Replay()] = b.topics[b.names.Replay()][:0]
			return dead(b)
		}, want: []dlq.Warning{dlq.TargetMissing}},
		{name: "done with another content", add: func(b *bench) dlq.ID {
			id := dead(b)
			b.row("A", "A:5", "other", 4, queue.StateDone, queue.Applied)
			return id
		}, want: []dlq.Warning{dlq.Done}, lifts: true},
		{name: "superseded", add: func(b *bench) dlq.ID {
			id := dead(b)
			b.row("A", "A:6", "later", 6, queue.StateDone, queue.Applied)
			return id
		}, want: []dlq.Warning{dlq.Superseded}, lifts: true},
		{name: "an older one took effect", add: func(b *bench) dlq.ID {
			id := dead(b)
			b.row("A", "A:4", "older", 4, queue.StateDone, queue.Applied)
			return id
		}, replay: true, lifts: true},
		{name: "replayed three times", add: func(b *bench) dlq.ID { return dead(b, func(t *queue.Trail) { t.ReplayCount = 3 }) }, want: []dlq.Warning{dlq.Loop}, lifts: true},
		{name: "replayed twice", add: func(b *bench) dlq.ID { return dead(b, func(t *queue.Trail) { t.ReplayCount = 2 }) }, replay: true, lifts: true},
		{name: "still invalid", add: func(b *bench) dlq.ID {
			id := dead(b)
			b.topics[topic][0][0].Value = []byte(`{"order_id":"A"}`)
			return id
		}, want: []dlq.Warning{dlq.StillInvalid}, lifts: true},
		{name: "a forged origin", add: func(b *bench) dlq.ID {
			return dead(b, func(t *queue.Trail) { t.Origin.Topic = "other" })
		}, to: "origin", want: []dlq.Warning{dlq.OriginDenied}, lifts: true},
		{name: "an origin that is allowed", add: func(b *bench) dlq.ID {
			return dead(b, func(t *queue.Trail) { t.Origin.Topic = "other" })
		}, to: "origin", with: func(p *dlq.Planner) { p.Origins = []string{"other"} }, replay: true, lifts: true},
		{
			name: "a topic that is not among those allowed", add: func(b *bench) dlq.ID { return dead(b) }, to: "topic=other",
			with: func(p *dlq.Planner) { p.Origins = []string{"third"} }, want: []dlq.Warning{dlq.OriginDenied}, lifts: true,
		},
		{name: "no database", add: func(b *bench) dlq.ID { return dead(b) }, with: func(p *dlq.Planner) { p.Store = nil }, want: []dlq.Warning{dlq.NoStore}, replay: true, lifts: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			id := tt.add(b)
			to := tt.to
			if to == "" {
				to = "group"
			}
			with := func(include ...dlq.Warning) dlq.PlanEntry {
				return only(t, b.plan(to, dlq.Selection{}, func(p *dlq.Planner) {
					p.Include = include
					if tt.with != nil {
						tt.with(p)
					}
				}), id)
			}
			e := with()
			if !slices.Equal(e.Warnings, tt.want) || (e.Action == dlq.ActReplay) != tt.replay {
				t.Errorf("%s, warnings %v; want %v, replay %v", e.Action, e.Warnings, tt.want, tt.replay)
			}
			if e = with(append(dlq.Liftable(), dlq.Handled)...); (e.Action == dlq.ActReplay) != tt.lifts {
				t.Errorf("with all lifted: %s, warnings %v", e.Action, e.Warnings)
			}
		})
	}
}

// What is blocked goes along with its head, in the order of the source, and not without it: neither when the head is not
// chosen nor when the plan leaves it out.
func TestWhatIsBlockedGoesWithItsHead(t *testing.T) {
	t.Parallel()
	blocked := func(t *queue.Trail) { t.BlockedBy = "0/0" }
	b := newBench(t)
	late := b.kill(0, 3, "A", "A:3", queue.ClassBlocked, blocked)
	next := b.kill(0, 2, "A", "A:2", queue.ClassBlocked, blocked)
	head := b.kill(0, 1, "A", "A:1", queue.ClassExhausted) // it died twice: it lies behind its followers
	other := b.kill(0, 9, "B", "B:1", queue.ClassExhausted)

	plan := b.plan("group", dlq.Selection{IDs: []dlq.ID{head}})
	var ids []string
	for _, e := range plan.Entries {
		ids = append(ids, e.ID)
		if e.Action != dlq.ActReplay {
			t.Errorf("%s: %s %v", e.ID, e.Action, e.Warnings)
		}
	}
	if want := []string{head.String(), next.String(), late.String()}; !slices.Equal(ids, want) {
		t.Errorf("planned %v, want %v", ids, want)
	}
	if plan = b.plan("group", dlq.Selection{IDs: []dlq.ID{head}}, func(p *dlq.Planner) { p.Followers = false }); len(plan.Entries) != 1 {
		t.Errorf("without followers: %+v", plan.Entries)
	}
	if e := only(t, b.plan("group", dlq.Selection{IDs: []dlq.ID{next}}), next); e.Action != dlq.ActSkip || !slices.Contains(e.Warnings, dlq.HeadMissing) {
		t.Errorf("without its head: %+v", e)
	}

	b.topics[topic][0][head.Offset].Value = []byte("{}")
	plan = b.plan("group", undecided())
	for _, id := range []dlq.ID{next, late} {
		if e := only(t, plan, id); e.Action != dlq.ActSkip || !slices.Contains(e.Warnings, dlq.HeadMissing) {
			t.Errorf("its head is skipped: %+v", e)
		}
	}
	if e := only(t, plan, other); e.Action != dlq.ActReplay {
		t.Errorf("another order: %+v", e)
	}
	lift := func(p *dlq.Planner) { p.Include = []dlq.Warning{dlq.StillInvalid} }
	if n, _, _ := b.plan("group", undecided(), lift).Count(); n != 4 {
		t.Errorf("with the head lifted %d are replayed, want 4", n)
	}
}

// A letter goes to the partition of its source; where there is none, to that of its key.
func TestWhereALetterGoes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.kill(2, 7, "A", "A:7", queue.ClassExhausted)
	b.topic("small", 2)
	for to, want := range map[string]string{
		"group": b.names.Replay() + "/2", "origin": "orders/2", "topic=other": "other/2", "topic=small": "small/1",
	} {
		e := only(t, b.plan(to, undecided(), func(p *dlq.Planner) { p.Partition = func([]byte, int32) int32 { return 1 } }), id)
		if e.Target != want || e.Action != dlq.ActReplay {
			t.Errorf("--to %s: %s to %q, want %q", to, e.Action, e.Target, want)
		}
	}
	for _, to := range []string{"", "orders", "topic=", "topic=" + topic, "topic=" + topic + ".audit"} {
		if _, err := dlq.ParseTarget(to, topic); err == nil {
			t.Errorf("--to %q is taken", to)
		}
	}
}

// What is sent carries the letter's identity and the replay's, and nothing of the failure.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"group", "origin", "topic=other"} {
		b := newBench(t)
		b.kill(0, 5, "A", "A:5", queue.ClassExhausted, func(t *queue.Trail) { t.Hop, t.ReplayCount, t.BlockedBy = 4, 1, "0/1" })
		plan := b.plan(to, undecided())
		if _, err := b.replay(plan); err != nil {
			t.Fatal(err)
		}
		name := map[string]string{"group": b.names.Replay(), "origin": "orders", "topic=other": "other"}[to]
		r, letter := b.topics[name][0][0], b.topics[topic][0][0]
		if !bytes.Equal(r.Key, letter.Key) || !bytes.Equal(r.Value, letter.Value) {
			t.Errorf("--to %s: key or value differ", to)
		}
		got := queue.ReadTrail(r.Headers)
		if got.MsgID != "A:5" || got.Fingerprint != fmt.Sprintf("%064x", 5) || got.Hop != 5 || got.ReplayID != plan.ID || got.ReplayOf != "0/0" || got.ReplayCount != 2 || got.Attempts != 0 {
			t.Errorf("--to %s: %+v", to, got)
		}
		for _, gone := range []string{queue.HeaderClass, queue.HeaderCode, queue.HeaderErrorMessage, queue.HeaderBlockedBy, queue.HeaderNotBefore} {
			if v, ok := queue.Last(r.Headers, gone); ok {
				t.Errorf("--to %s: %s is still %q", to, gone, v)
			}
		}
		if user, _ := queue.Last(r.Headers, "x"); user != "y" {
			t.Errorf("--to %s: the user's header is %q", to, user)
		}
		_, origin := queue.Last(r.Headers, queue.HeaderOriginOffset)
		if origin != (to == "group") {
			t.Errorf("--to %s: it names its origin: %v", to, origin)
		}
	}
}

func written(t *testing.T, p dlq.Plan) string {
	t.Helper()
	var b strings.Builder
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A plan file says the same after it was read; any of its lines but the first and the last can be deleted.
func TestAPlanFileCanBeCut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(6)
	plan := b.plan("group", undecided(), edited(t, `/currency="USD"`))
	file := written(t, plan)
	read, err := dlq.ReadPlan(strings.NewReader(file))
	if err != nil || read.SHA256() != plan.SHA256() || written(t, read) != file {
		t.Fatalf("read again it differs (%v):\n%s\n%s", err, file, written(t, read))
	}
	lines := strings.SplitAfter(file, "\n")
	for mask := range 1 << 6 {
		kept, n := lines[0], 0
		for i := range 6 {
			if mask>>i&1 == 1 {
				kept, n = kept+lines[1+i], n+1
			}
		}
		cut, err := dlq.ReadPlan(strings.NewReader(kept + lines[len(lines)-2]))
		if err != nil || len(cut.Entries) != n || (n < 6) != (cut.SHA256() != plan.SHA256()) {
			t.Fatalf("with lines %06b: %d entries, %v", mask, len(cut.Entries), err)
		}
	}
	less, err := dlq.ReadPlan(strings.NewReader(lines[0] + lines[2] + lines[4] + "]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := b.replay(less); err != nil || sum.Sent != 2 {
		t.Errorf("%+v, %v", sum, err)
	}
	if sent := b.sent(b.names.Replay()); !slices.Equal(sent, []string{less.Entries[0].ID, less.Entries[1].ID}) {
		t.Errorf("sent %v", sent)
	}
	var running error
	if _, running = b.replay(plan); running == nil || !strings.Contains(running.Error(), "was begun with another plan") {
		t.Errorf("the whole plan after a part of it: %v", running)
	}
}

func TestAPlanFileThatWasMeddledWith(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(2)
	file := written(t, b.plan("group", undecided(), edited(t, `/currency="USD"`)))
	swap := func(old, next string) string {
		if !strings.Contains(file, old) {
			t.Fatalf("%q is not in %s", old, file)
		}
		return strings.Replace(file, old, next, 1)
	}
	lines := strings.SplitAfter(file, "\n")
	for why, text := range map[string]string{
		"it is empty":                  "",
		"is not the head of a plan":    lines[1],
		"schema is":                    swap("dlq.plan/v1", "dlq.plan/v9"),
		"is no entry of a plan":        swap(`"msg_id"`, `"message"`),
		"not replay or skip":           swap(`"action":"replay"`, `"action":"delete"`),
		"sha256 differs":               swap(`"value_base64":"ey`, `"value_base64":"eA`),
		"is in it twice":               lines[0] + lines[1] + lines[1] + lines[2] + lines[3],
		"lacks plan_id":                swap(`"plan_id":"r-1"`, `"plan_id":""`),
		"to: ":                         swap(`"to":"group"`, `"to":"topic=`+topic+`"`),
		"cannot be replayed: [lost]":   swap(`"warnings":[]`, `"warnings":["lost"]`),
		"there is more than one value": lines[0] + strings.TrimSuffix(lines[1], ",\n") + " {}\n",
		"is not where group leads":     swap(`"target":"orders.g.replay/0"`, `"target":"`+topic+`/0"`),
	} {
		if _, err := dlq.ReadPlan(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("want %q, got %v", why, err)
		}
	}
}
