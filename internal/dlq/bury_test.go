package dlq_test

import (
	"errors"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// arrive adds a message to the source topic and returns where it lies.
func (b *bench) arrive(orderID, msgID, value string) queue.Position {
	if value == "" {
		o := order.Sample(newRand(uint64(b.writes+1)), orderID, b.now)
		value = string(o.AppendJSON(nil))
	}
	b.writes++
	return b.append(queue.Message{Topic: "orders", Key: []byte(orderID), Value: []byte(value), Time: b.now, Headers: []queue.Header{{Name: queue.HeaderID, Value: []byte(msgID)}}})
}

func (b *bench) burial(committed int64) *dlq.Bury {
	return &dlq.Bury{Log: b.memory, Store: b.memory, Producer: b.memory, Names: b.names, Unknown: order.KeepUnknown, Committed: committed, Operator: "me@here", Reason: "it kills", Now: b.clock}
}

func TestABuriedRecordIsADeadLetter(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, value := range []string{"", "no order"} {
		at := b.arrive("A", "A:"+value, value)
		x := b.burial(at.Offset)
		g, err := x.Look(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		letterAt, err := x.Do(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		row := b.rows[g.Key]
		if row.State != queue.StateDead || row.Hop != 1 || row.At != letterAt || row.Src != at || row.Failure.Class != queue.ClassOperator {
			t.Errorf("row %+v", row)
		}
		r, _ := b.reader()
		l, err := r.At(t.Context(), dlq.ID{Partition: letterAt.Partition, Offset: letterAt.Offset})
		if err != nil || l.State != dlq.Undecided || l.Trail.Message != "it kills" || l.Trail.Code != dlq.CodeBuried || l.Trail.Hop != 1 || l.Trail.Origin != at || l.Trail.Worker != "me@here" {
			t.Errorf("letter %+v, %v", l, err)
		}
	}
}

func TestWhatCannotBeBuried(t *testing.T) {
	t.Parallel()
	row := func(state queue.State, at int64) func(*bench, queue.RowKey) {
		return func(b *bench, k queue.RowKey) {
			b.rows[k] = queue.Row{RowKey: k, State: state, At: queue.Position{Topic: "orders", Offset: at}}
		}
	}
	for _, tt := range []struct {
		name      string
		committed int64
		before    func(*bench, queue.RowKey)
		want      string
	}{
		{"behind the group", 2, nil, "is behind the group already"},
		{"done", 1, row(queue.StateDone, 1), "is done already"},
		{"dead", 1, row(queue.StateDead, 1), "is dead already"},
		{"discarded", 1, row(queue.StateDiscarded, 1), "is discarded already"},
		{"an old copy", 1, row(queue.StateRetry, 7), "is an old copy"},
		{"behind an unfinished one", 0, nil, "orders/0@0 is of the same order, earlier, and not finished"},
		{"behind another content of the same id, which alone has a row", 0, func(b *bench, _ queue.RowKey) {
			k := queue.RowKey{MsgID: "A:1", Fingerprint: strings.Repeat("0", 64)}
			b.rows[k] = queue.Row{RowKey: k, State: queue.StateDead}
		}, "orders/0@0 is of the same order, earlier, and not finished"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.arrive("A", "A:1", "")
			at := b.arrive("A", "A:2", "")
			if tt.before != nil {
				rec := b.topics["orders"][0][at.Offset]
				tt.before(b, queue.Identify(rec, "orders", order.KeepUnknown))
			}
			var refused *dlq.RefusedError
			if _, err := b.burial(tt.committed).Look(t.Context(), at); !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestAWorkerThatGotPastWinsOverABurial(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.arrive("A", "A:1", "")
	x := b.burial(0)
	g, err := x.Look(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	b.rows[g.Key] = queue.Row{RowKey: g.Key, State: queue.StateDone}
	var refused *dlq.RefusedError
	if _, err := x.Do(t.Context(), g); !errors.As(err, &refused) || len(b.topics[topic][0]) != 0 {
		t.Errorf("%v, %d letters", err, len(b.topics[topic][0]))
	}
}

func TestALetterThatRetentionTookStopsNoDiscard(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(3)
	b.fate = func(n int, _ queue.Message) (bool, error) { return true, map[bool]error{true: errDied}[n == 2] }
	if _, err := b.discard(undecided()); err == nil {
		t.Fatal("it did not die")
	}
	b.fate, b.dead, b.gone = nil, false, 1
	b.later(1 << 36)
	b.letters(6) // newer ones
	if sum, err := b.discard(undecided()); err != nil || sum.Done == 0 {
		t.Errorf("%+v, %v", sum, err)
	}
}
