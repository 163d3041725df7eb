package dlq_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func TestSetChangesOneMember(t *testing.T) {
	t.Parallel()
	const doc = `{"a":1,"b":{"c~d/e":[1,{"f":"g"}]},"n":12345678901234567890}`
	for _, tt := range []struct{ set, want, err string }{
		{`/a=2`, `{"a":2,"b":{"c~d/e":[1,{"f":"g"}]},"n":12345678901234567890}`, ""},
		{`/b/c~0d~1e/1/f="="`, `{"a":1,"b":{"c~d/e":[1,{"f":"="}]},"n":12345678901234567890}`, ""},
		{`/b/c~0d~1e/-=null`, `{"a":1,"b":{"c~d/e":[1,{"f":"g"},null]},"n":12345678901234567890}`, ""},
		{`/new={"x":[]}`, `{"a":1,"b":{"c~d/e":[1,{"f":"g"}]},"n":12345678901234567890,"new":{"x":[]}}`, ""},
		{`/x/y=1`, "", `there is no member "x"`},
		{`/b/c~0d~1e/7=1`, "", `there is no element "7"`},
		{`/a/b=1`, "", "leads into a"},
		{`a=1`, "", "is no change"},
		{`/a`, "", "is no change"},
		{`/a=b`, "", "a text needs its quotes"},
	} {
		e, err := dlq.ParseSet(tt.set)
		var got []byte
		if err == nil {
			got, err = e.Edit(t.Context(), dlq.ID{}, []byte(doc))
		}
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) || err == nil && string(got) != tt.want {
			t.Errorf("--set %s: %s, %v; want %s %s", tt.set, got, err, tt.want, tt.err)
		}
	}
}

func FuzzSet(f *testing.F) {
	for _, s := range []string{`/a=1`, `/a/0=""`, `/=1`, `/a~1b=null`, `=`, `//=[]`} {
		f.Add(s, `{"a":[1],"":{}}`)
	}
	f.Fuzz(func(t *testing.T, set, doc string) {
		e, err := dlq.ParseSet(set)
		if err != nil {
			return
		}
		got, err := e.Edit(t.Context(), dlq.ID{}, []byte(doc))
		if err != nil {
			return
		}
		if twice, err := e.Edit(t.Context(), dlq.ID{}, got); err != nil && !strings.HasSuffix(strings.SplitN(set, "=", 2)[0], "-") {
			t.Errorf("%s of its own result %s: %s, %v", set, got, twice, err)
		}
	})
}

func TestTransformRunsACommand(t *testing.T) {
	t.Parallel()
	run := func(command string) (string, error) {
		got, err := dlq.Transform(command).Edit(t.Context(), dlq.ID{Partition: 7, Offset: 31}, []byte("abc"))
		return string(got), err
	}
	if got, err := run("tr a-z A-Z; printf ' %s' $ORDERCTL_LETTER"); err != nil || got != "ABC 7/31" {
		t.Errorf("%q, %v", got, err)
	}
	for command, want := range map[string]string{
		"echo first >&2; echo second >&2; exit 3": "exit status 3: first", "nosuchcommand": "exit status 127",
		"cat /dev/zero | head -c 9000000": "longer than",
	} {
		if _, err := run(command); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "second") {
			t.Errorf("%s: %v", command, err)
		}
	}
	if got, err := run("exec >&-; cat"); err == nil && got != "" {
		t.Errorf("without output: %q", got)
	}
}

// A command that hangs is ended when its time is over; the caller's time is, here, so that no test waits for ten seconds.
func TestAHangingCommandIsEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := dlq.Transform("exec tail -f /dev/null").Edit(ctx, dlq.ID{}, nil); err == nil || !strings.Contains(err.Error(), "no answer within") {
		t.Errorf("a command that hangs: %v", err)
	}
}

// script is an editor that answers what it is told to.
type script func(value []byte) ([]byte, error)

func (s script) Edit(_ context.Context, _ dlq.ID, value []byte) ([]byte, error) { return s(value) }
func (script) String() string                                                   { return "--script" }

func says(text string) script { return func([]byte) ([]byte, error) { return []byte(text), nil } }

func with(edits ...dlq.Editor) func(*dlq.Planner) {
	return func(p *dlq.Planner) { p.Edits = edits }
}

func TestAnEditKeepsTheIdentity(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.kill(0, 5, "A", "A:5", queue.ClassInvalid)
	set, err := dlq.ParseSet(`/currency="USD"`)
	if err != nil {
		t.Fatal(err)
	}
	plan := b.plan("group", undecided(), with(set, dlq.Transform("cat")))
	e := only(t, plan, id)
	if e.Edit == nil || !slices.Equal(e.Edit.How, []string{`--set /currency="USD"`, "--transform cat"}) {
		t.Fatalf("%+v", e.Edit)
	}
	if c := e.Edit.Changes; len(c) != 1 || c[0].Pointer != "/currency" || c[0].After != `"USD"` {
		t.Errorf("changes %+v", c)
	}
	if _, err := b.replay(plan); err != nil {
		t.Fatal(err)
	}
	r, letter := b.topics[b.names.Replay()][0][0], b.topics[topic][0][0]
	sum := sha256.Sum256(r.Value)
	trail := queue.ReadTrail(r.Headers)
	if string(r.Key) != string(letter.Key) || trail.Fingerprint != queue.ReadTrail(letter.Headers).Fingerprint || trail.MsgID != "A:5" {
		t.Errorf("key %s, %+v", r.Key, trail)
	}
	if trail.Edited != hex.EncodeToString(sum[:]) || e.Edit.SHA256 != trail.Edited || !strings.Contains(string(r.Value), `"currency":"USD"`) {
		t.Errorf("edited %s, value %s", trail.Edited, r.Value)
	}
	if b.work(b.names); len(b.took) != 1 {
		t.Errorf("took effect: %v", b.took)
	}
}

// An edit that changes nothing is none; one that answers nothing leaves its letter out; one that does not help leaves it
// invalid.
func TestWhatAnEditCanDo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.kill(0, 5, "A", "A:5", queue.ClassInvalid)
	if e := only(t, b.plan("group", undecided(), with(dlq.Transform("cat"))), id); e.Edit != nil || e.Action != dlq.ActReplay {
		t.Errorf("the same again: %+v", e)
	}
	if p := b.plan("group", undecided(), with(says(" \n"))); len(p.Entries) != 0 {
		t.Errorf("nothing: %+v", p.Entries)
	}
	set, err := dlq.ParseSet(`/currency="nosuch"`)
	if err != nil {
		t.Fatal(err)
	}
	if e := only(t, b.plan("group", undecided(), with(set)), id); e.Edit != nil || e.Action != dlq.ActSkip || !slices.Contains(e.Warnings, dlq.StillInvalid) {
		t.Errorf("of no help: %+v", e)
	}
	// Nor does it go as it was: whoever asks for a change would not know that there is none.
	for what, other := range map[string]func(*dlq.Planner){
		"lifted":  func(p *dlq.Planner) { p.Include = []dlq.Warning{dlq.StillInvalid} },
		"foreign": func(p *dlq.Planner) { p.Own = false },
	} {
		if e := only(t, b.plan("topic=other", undecided(), with(set), other), id); e.Edit != nil || e.Action != dlq.ActSkip || !slices.Contains(e.Warnings, dlq.StillInvalid) {
			t.Errorf("of no help, %s: %+v", what, e)
		}
	}
}

func TestAnEditThatCannotBeUsedPlansNothing(t *testing.T) {
	t.Parallel()
	for want, edit := range map[string]dlq.Editor{
		"order id cannot change": script(func(v []byte) ([]byte, error) { return []byte(strings.Replace(string(v), `"A"`, `"B"`, 1)), nil }),
		"the result is no order": says("{"),
		"--script: broken":       script(func([]byte) ([]byte, error) { return nil, errors.New("broken") }),
	} {
		b := newBench(t)
		b.kill(0, 5, "A", "A:5", queue.ClassInvalid)
		r, l := b.reader()
		p := &dlq.Planner{
			Reader: r, Ledger: l, Store: b.memory, Cluster: b.memory, Names: b.names, Own: true, Now: b.clock, Edits: []dlq.Editor{edit},
			Check: dlq.Checker(order.KeepUnknown, "EUR", b.clock),
		}
		_, err := p.Plan(t.Context(), undecided())
		var bad *dlq.EditError
		if !errors.As(err, &bad) || bad.ID != (dlq.ID{}) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// An order in Protobuf is edited as JSON and sent as Protobuf.
func TestProtobufIsEditedAsJSON(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	o := order.Sample(newRand(1), "A", base())
	value, err := o.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	id := b.kill(0, 5, "A", "A:5", queue.ClassInvalid)
	letter := &b.topics[topic][0][0]
	letter.Value = value
	letter.Headers = append(letter.Headers, queue.Header{Name: queue.HeaderContentType, Value: []byte(queue.ContentProtobuf)})
	set, err := dlq.ParseSet(`/currency="USD"`)
	if err != nil {
		t.Fatal(err)
	}
	e := only(t, b.plan("group", undecided(), with(set)), id)
	if e.Edit == nil || e.Action != dlq.ActReplay {
		t.Fatalf("%+v", e)
	}
	got, err := order.ParseProto(e.Edit.Value)
	if err != nil || got.Currency != "USD" {
		t.Fatalf("%+v, %v", got, err)
	}
	if got.Currency = o.Currency; got.Fingerprint() != o.Fingerprint() {
		t.Errorf("more than the currency has changed: %+v", e.Edit.Changes)
	}
}

// --edit opens each value in the operator's editor: written in lines, and left alone when nothing is changed.
func TestVisualOpensAFile(t *testing.T) {
	t.Parallel()
	value := []byte(`{"order_id":"A","n":1}`)
	run := func(command string) ([]byte, error) {
		return dlq.Visual(command, strings.NewReader(""), io.Discard, io.Discard).Edit(t.Context(), dlq.ID{Partition: 7, Offset: 31}, value)
	}
	if got, err := run("true"); err != nil || string(got) != string(value) {
		t.Errorf("left as it is: %s, %v", got, err)
	}
	if got, err := run("sed -i s/1/2/"); err != nil || !strings.Contains(string(got), `"n": 2`) || strings.Count(string(got), "\n") < 3 {
		t.Errorf("changed: %s, %v", got, err)
	}
	if got, err := run("cp /dev/null"); err != nil || len(got) != 0 {
		t.Errorf("emptied: %s, %v", got, err)
	}
	if _, err := run("false"); err == nil {
		t.Error("an editor that fails")
	}
}
