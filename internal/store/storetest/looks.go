package storetest

import (
	"fmt"
	"testing"

	"commerce.internal/orderctl/internal/queue"
)

func pagesOfAPartition(t *testing.T, w *world) {
	s := w.open(t)
	var rows []queue.Row
	for i, id := range []string{"b", "a", "B", "A ", "A"} {
		rows = append(rows, row(id, "f", queue.StateDead, int64(i/3)))
	}
	other := row("other", "f", queue.StateDone, 1)
	other.Src.Partition = 4
	put(t, s, append(rows, other, row("done", "f", queue.StateDone, 2), row("end", "f", queue.StateDead, 9))...)
	for name, read := range map[string]func(queue.Row) ([]queue.Row, error){
		"a@0 b@0 B@0": func(after queue.Row) ([]queue.Row, error) { return s.Sourced(t.Context(), group, after, 1, 2) },
		"dead":        func(after queue.Row) ([]queue.Row, error) { return s.Dead(t.Context(), group, after, 9, 2) },
	} {
		seen := map[queue.RowKey]int{}
		after := queue.Row{Src: queue.Position{Topic: "orders", Partition: 3}}
		for {
			page, err := read(after)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				seen[r.RowKey]++
			}
			if len(page) < 2 {
				break
			}
			after = page[1]
		}
		want := map[string]int{"dead": 5}[name]
		if name != "dead" {
			want = 3
		}
		if len(seen) != want {
			t.Errorf("%s: %d rows, want %d: %v", name, len(seen), want, seen)
		}
		for k, n := range seen {
			if n != 1 {
				t.Errorf("%s: %v came %d times", name, k, n)
			}
		}
	}
}

func messagesByID(t *testing.T, w *world) {
	s := w.open(t)
	var ids []string
	var records []record
	for i := range 300 {
		r := row(fmt.Sprintf("m-%d", i), "f", queue.StateDead, int64(i))
		r.OrderID = r.MsgID
		ids, records = append(ids, r.MsgID), append(records, insert(r))
	}
	wantNone(t, apply(t, s, records...))
	put(t, s, row("m-7", "g", queue.StateDone, 400))
	if got, err := s.Messages(t.Context(), group, append(ids, "unknown")); err != nil || len(got) != 301 {
		t.Errorf("%d rows, %v, want 301", len(got), err)
	}
}

func controlsAreForgotten(t *testing.T, w *world) {
	s := w.open(t)
	obeyed, never := row("m1", "f", queue.StateDiscarded, 1), row("m2", "f", queue.StateDead, 2)
	obeyed.Control = 9
	put(t, s, obeyed, never)
	for _, want := range []int64{1, 0} {
		if n, err := s.ForgetControls(t.Context(), group, []string{"orders", "other"}, 3); err != nil || n != want {
			t.Errorf("%d controls were forgotten, %v, want %d", n, err, want)
		}
	}
	if got := get(t, s, obeyed.RowKey); got.Control != -1 {
		t.Errorf("control is %d", got.Control)
	}
}
