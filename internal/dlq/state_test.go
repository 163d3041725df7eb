package dlq_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

// counting counts the scans of a log.
type counting struct {
	*topicLog
	scans *int
}

func (c counting) Scan(ctx context.Context, name string, p int32, from, end int64, fn func(queue.Record) error) error {
	*c.scans++
	return c.topicLog.Scan(ctx, name, p, from, end, fn)
}

// deaf cannot reach the source topic.
type deaf struct {
	*topicLog
	err error
}

func (d deaf) Bounds(ctx context.Context, name string) (map[int32]dlq.Span, error) {
	if name == "orders" {
		return nil, d.err
	}
	return d.topicLog.Bounds(ctx, name)
}

// decided writes an entry of the ledger.
func (l *topicLog) decided(id dlq.ID, e dlq.Entry) {
	e.Schema = dlq.LedgerSchema
	value, _ := json.Marshal(e)
	at := int64(len(l.others[topic+".audit"][id.Partition]))
	l.put(queue.Record{Topic: topic + ".audit", Partition: id.Partition, Offset: at, Key: []byte(id.String()), Value: value, Time: base()})
}

func (l *topicLog) job(j dlq.JobEntry) {
	j.Schema = dlq.LedgerSchema
	value, _ := json.Marshal(j)
	at := int64(len(l.others[topic+".audit"][0]))
	l.put(queue.Record{Topic: topic + ".audit", Offset: at, Key: []byte("job/" + j.ID), Value: value, Time: base()})
}

func TestRowAndLedgerDecideTogether(t *testing.T) {
	t.Parallel()
	dead, discarded := &queue.Row{State: queue.StateDead, Hop: 4}, &queue.Row{State: queue.StateDiscarded, Hop: 4}
	tests := []struct {
		name    string
		row     *queue.Row
		entry   dlq.Decision
		foreign bool
		want    dlq.State
	}{
		{"no row, no entry", nil, "", false, dlq.Undecided},
		{"no row: the ledger alone speaks", nil, dlq.DecisionReplayed, false, dlq.Replayed},
		{"no row, discarded", nil, dlq.DecisionDiscarded, false, dlq.Discarded},
		{"no row, reopened", nil, dlq.DecisionReopened, false, dlq.Undecided},
		{"dead at this hop, the replay is on its way", dead, dlq.DecisionReplayed, false, dlq.Replayed},
		{"dead at this hop, the discard is on its way", dead, dlq.DecisionDiscarded, false, dlq.Discarded},
		{"discarded, the undo is on its way", discarded, dlq.DecisionReopened, false, dlq.Undecided},
		{"discarded by the row alone", discarded, "", false, dlq.Discarded},
		{"superseded beats an undo", &queue.Row{State: queue.StateDiscarded, Hop: 4, Outcome: queue.Superseded}, dlq.DecisionReopened, false, dlq.Discarded},
		{"replayed and done", &queue.Row{State: queue.StateDone, Hop: 5}, dlq.DecisionReplayed, false, dlq.Resolved},
		{"replayed and dead again", &queue.Row{State: queue.StateDead, Hop: 6}, dlq.DecisionReplayed, false, dlq.DeadAgain},
		{"replayed and in work", &queue.Row{State: queue.StateRetry, Hop: 5}, dlq.DecisionReplayed, false, dlq.InWork},
		{"discarded once, done all the same", &queue.Row{State: queue.StateDone, Hop: 4}, dlq.DecisionDiscarded, false, dlq.Resolved},
		{"of a foreign letter the store knows nothing", &queue.Row{State: queue.StateDone, Hop: 5}, "", true, dlq.Undecided},
		{"a foreign letter that was replayed", dead, dlq.DecisionReplayed, true, dlq.Replayed},
		{"a foreign letter that was discarded", dead, dlq.DecisionDiscarded, true, dlq.Discarded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := &topicLog{parts: map[int32][]queue.Record{}}
			tr := trail(1, queue.ClassInvalid, 4)
			id := l.add(0, base(), tr, "A", "{}")
			if tt.foreign {
				l.parts[0][0].Headers = []queue.Header{text("source_topic", "orders"), text("source_partition", "0"), text("source_offset", "1")}
			}
			if tt.entry != "" {
				l.decided(id, dlq.Entry{State: tt.entry, Job: "r-1", Operator: "me", At: base()})
			}
			known := rows{}
			if tt.row != nil {
				known[queue.RowKey{MsgID: tr.MsgID, Fingerprint: tr.Fingerprint}] = *tt.row
			}
			got, err := dlq.NewReader(l, known, topic, "g").At(t.Context(), id)
			if err != nil || got.State != tt.want || (got.Ledger != nil) != (tt.entry != "") {
				t.Errorf("state %q, ledger %v (%v), want %q", got.State, got.Ledger, err, tt.want)
			}
			x := got.Exported()
			if x.State != tt.want || tt.entry != "" && x.Ledger.Operator != "me" {
				t.Errorf("exported as %q, %v", x.State, x.Ledger)
			}
		})
	}
}

func TestAnEntryOnAnyCopyDecidesThemAll(t *testing.T) {
	t.Parallel()
	for named := range int64(3) {
		l := &topicLog{parts: map[int32][]queue.Record{}}
		tr := trail(1, queue.ClassInvalid, 4)
		for range 3 {
			l.add(0, base(), tr, "A", "{}")
			for i := range 300 {
				l.add(0, base(), trail(int(named)*1000+100+i+len(l.parts[0]), queue.ClassDecode, 1), "B", "{}")
			}
		}
		again := l.add(0, base(), trail(1, queue.ClassInvalid, 6), "A", "{}")
		o := dlq.Origin{Topic: "orders", Offset: 1, Group: "g"}
		l.decided(dlq.ID{Offset: named * 301}, dlq.Entry{State: dlq.DecisionDiscarded, Job: "d-1", Origin: &o, Hop: 4, At: base()})
		r := dlq.NewReader(l, nil, topic, "g")
		sel := dlq.Selection{Classes: []string{"invalid"}}
		got := map[dlq.ID]dlq.State{}
		if err := r.Select(t.Context(), sel, func(x dlq.Letter) error { got[x.ID] = x.State; return nil }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 || got[dlq.ID{}] != dlq.Discarded || got[again] != dlq.Undecided {
			t.Errorf("copy %d is decided: selected %v", named, got)
		}
		list, err := r.List(t.Context(), sel)
		if err != nil || len(list) != 2 || list[1].ID != (dlq.ID{}) || list[1].Copies != 3 || len(list[1].CopyIDs) != 3 || list[1].State != dlq.Discarded {
			t.Errorf("copy %d is decided: listed %+v (%v)", named, list, err)
		}
		sel.Jobs = []string{"d-1"}
		if list, err = r.List(t.Context(), sel); err != nil || len(list) != 1 || list[0].Job() != "d-1" {
			t.Errorf("of the job: %s (%v)", idsOf(list), err)
		}
	}
}

func TestTheLettersOfAnotherGroupAskForItsRows(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	tr := trail(1, queue.ClassInvalid, 4)
	id := l.add(0, base(), tr, "A", "{}")
	asked := ""
	known := spy{&asked}
	if _, err := dlq.NewReader(l, known, topic, "").At(t.Context(), id); err != nil || asked != "g" {
		t.Errorf("asked for the rows of %q (%v), want the group that the letter names", asked, err)
	}
}

type spy struct{ group *string }

func (s spy) Rows(_ context.Context, group string, _ []queue.RowKey) (map[queue.RowKey]queue.Row, error) {
	*s.group = group
	return nil, nil
}

func TestNamedLettersAreReadTogether(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	sel := dlq.Selection{IDs: []dlq.ID{}}
	for i := range 2000 {
		id := l.add(int32(i%2), base().Add(time.Duration(i)*time.Second), trail(i, queue.ClassInvalid, 1), "A", "{}")
		if i%3 == 0 {
			sel.IDs = append(sel.IDs, id)
		}
	}
	scans := 0
	r := dlq.NewReader(counting{l, &scans}, nil, topic, "g")
	list, err := r.List(t.Context(), sel)
	if err != nil || len(list) != 667 || scans > 4 {
		t.Errorf("%d letters by %d scans (%v)", len(list), scans, err)
	}
	if none, err := r.List(t.Context(), dlq.Selection{IDs: []dlq.ID{}}); err != nil || len(none) != 0 {
		t.Errorf("an empty list of ids chooses %d (%v)", len(none), err)
	}
	if n, err := r.Export(t.Context(), dlq.Selection{IDs: []dlq.ID{}}, func(dlq.Letter) error { return nil }); err != nil || n != 0 {
		t.Errorf("an empty list of ids exports %d (%v)", n, err)
	}
}
