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
		{"on its way to a tier", 1, func(b *bench, k queue.RowKey) {
			b.rows[k] = queue.Row{RowKey: k, State: queue.StateRetry, Hop: 1, At: queue.Position{Topic: "orders.g.retry.5s", Offset: -1}}
		}, "is on its way to orders.g.retry.5s: the worker writes it there"},
		{"on its way to the dead letters, and not by an operator", 1, func(b *bench, k queue.RowKey) {
			b.rows[k] = queue.Row{RowKey: k, State: queue.StateDead, Hop: 1, At: queue.Position{Topic: topic, Offset: -1}, Failure: queue.Failure{Class: queue.ClassDecode}}
		}, "is on its way to " + topic},
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

// A burial that dies leaves a row without a letter at most. The next one finishes it, and does nothing twice.
func TestABurialThatDiesIsFinishedByTheNext(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.arrive("A", "A:1", "")
	bury := func() (queue.Position, error) {
		x := b.burial(0)
		g, err := x.Look(t.Context(), at)
		if err != nil {
			return queue.Position{}, err
		}
		return x.Do(t.Context(), g)
	}
	b.fate = func(int, queue.Message) (bool, error) { return false, errors.New("not now") }
	if _, err := bury(); !errors.Is(err, dlq.ErrUnsent) {
		t.Fatalf("%v, want one that says that the letter may be missing", err)
	}
	if len(b.rows) != 1 || len(b.sent(topic)) != 0 {
		t.Fatalf("%d rows, %d letters", len(b.rows), len(b.sent(topic)))
	}
	b.fate = nil
	letter, err := bury()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range b.rows {
		if row.State != queue.StateDead || row.Hop != 1 || row.At != letter || len(b.sent(topic)) != 1 {
			t.Errorf("row %+v, letter %s, %d letters", row, letter, len(b.sent(topic)))
		}
	}
	var refused *dlq.RefusedError
	if _, err := bury(); !errors.As(err, &refused) || !strings.Contains(err.Error(), "is dead already") {
		t.Errorf("a third one: %v", err)
	}
}

// A record may be a replay: it is the row of its letter that dies again, as the worker would have it.
func TestAReplayThatStopsTheWorkerCanBeBuried(t *testing.T) {
	t.Parallel()
	for _, state := range []queue.State{queue.StateDead, queue.StateDiscarded} {
		b := newBench(t)
		b.kill(1, 7, "A", "A:1", queue.ClassExhausted)
		if _, err := b.replay(b.plan("group", undecided())); err != nil {
			t.Fatal(err)
		}
		for k, row := range b.rows {
			row.State, row.Attempts = state, 6
			b.rows[k] = row
		}
		rec := b.topics[b.names.Replay()][1][0]
		sent := queue.ReadTrail(rec.Headers)
		x := b.burial(0)
		g, err := x.Look(t.Context(), rec.Position())
		if err != nil {
			t.Fatal(err)
		}
		at, err := x.Do(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		row := b.rows[g.Key]
		if row.State != queue.StateDead || row.Hop != sent.Hop+1 || row.ReplayID != sent.ReplayID || row.Attempts != 0 || row.At != at || row.Src != sent.Origin {
			t.Errorf("%s: row %+v", state, row)
		}
		r, _ := b.reader()
		l, err := r.At(t.Context(), dlq.ID{Partition: at.Partition, Offset: at.Offset})
		if err != nil || l.State != dlq.Undecided || l.Trail.Hop != sent.Hop+1 || l.Trail.Origin != sent.Origin || l.Trail.ReplayCount != 1 || l.Trail.ReplayID != sent.ReplayID {
			t.Errorf("%s: letter %+v, %v", state, l, err)
		}
		// One that was sent twice is no living copy.
		b.append(queue.Message{Topic: rec.Topic, Partition: rec.Partition, Key: rec.Key, Value: rec.Value, Headers: rec.Headers})
		var refused *dlq.RefusedError
		if _, err := b.burial(0).Look(t.Context(), queue.Position{Topic: rec.Topic, Partition: 1, Offset: 1}); !errors.As(err, &refused) {
			t.Errorf("%s: its second copy: %v", state, err)
		}
	}
}

func TestADiscardOnItsWayCannotBeBuried(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.letters(1)
	if _, err := b.discard(undecided()); err != nil {
		t.Fatal(err)
	}
	clear(b.rows)
	var refused *dlq.RefusedError
	if _, err := b.burial(0).Look(t.Context(), queue.Position{Topic: b.names.Replay()}); !errors.As(err, &refused) || !strings.Contains(err.Error(), "no message") {
		t.Errorf("%v", err)
	}
}

// Anybody may write to the source: there headers of ours are believed of a replay only.
func TestHeadersOfOursAreNotBelievedInTheSource(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	forged := queue.Trail{Hop: 4, MsgID: "B:9", Attempts: 9, OrigTime: b.now.Add(-1 << 40), Origin: queue.Position{Topic: "orders", Partition: 2, Offset: 5}, ReplayCount: 3}
	written := b.now
	at := b.append(queue.Message{Topic: "orders", Key: []byte("A"), Value: []byte("{"), Time: written, Headers: forged.Append(nil)})
	x := b.burial(0)
	g, err := x.Look(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	letter, err := x.Do(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	trail := queue.ReadTrail(b.topics[topic][letter.Partition][letter.Offset].Headers)
	if g.Key.MsgID != at.String() || trail.Hop != 1 || trail.Origin != at || trail.Attempts != 0 || trail.ReplayCount != 0 || !trail.OrigTime.Equal(written) {
		t.Errorf("id %s, headers %+v", g.Key.MsgID, trail)
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
