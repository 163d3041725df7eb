package dlq_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

// mixed is 300 letters of three classes, one an hour back each ten, and what became of some.
func mixed() (*topicLog, rows) {
	l, known := &topicLog{parts: map[int32][]queue.Record{}}, rows{}
	classes := []queue.Class{queue.ClassInvalid, queue.ClassExhausted, queue.ClassDecode}
	for i := range 300 {
		tr := trail(i, classes[i%3], 1)
		id := l.add(int32(i%4), base().Add(time.Duration(i)*6*time.Minute), tr, fmt.Sprintf("A-%d", i%7), "{}")
		key := queue.RowKey{MsgID: tr.MsgID, Fingerprint: tr.Fingerprint}
		known[key] = queue.Row{State: queue.StateDead, Hop: 1}
		if i%3 != 1 {
			continue
		}
		switch {
		case i < 60:
			known[key] = queue.Row{State: queue.StateDone, Hop: 2}
		case i < 90:
			known[key] = queue.Row{State: queue.StateDead, Hop: 3}
		case i < 120:
			known[key] = queue.Row{State: queue.StateRetry, Hop: 2}
		case i < 150:
			known[key] = queue.Row{State: queue.StateDiscarded, Hop: 1}
		default:
			continue
		}
		l.decided(id, dlq.Entry{State: map[bool]dlq.Decision{true: dlq.DecisionReplayed, false: dlq.DecisionDiscarded}[i < 120], Job: "r-1", At: base()})
	}
	l.job(dlq.JobEntry{ID: "r-1", Kind: dlq.KindReplay, State: dlq.JobFinished, Planned: 50, Done: 50, Began: base(), At: base()})
	l.job(dlq.JobEntry{ID: "r-2", State: dlq.JobFailed, Began: base().Add(time.Hour), At: base()})
	return l, known
}

func TestListStatsAndExportAgree(t *testing.T) {
	t.Parallel()
	l, known := mixed()
	r := dlq.NewReader(l, known, topic, "g")
	end := base().Add(300 * 6 * time.Minute)
	told := 0
	byClass, sum, err := r.Stats(t.Context(), dlq.Selection{}, dlq.ByClass, end, func(done, total int64) { told++ })
	if err != nil || sum.Letters != 300 || sum.Undecided != 250 || sum.Replayed != 40 || sum.Resolved != 20 || sum.Again != 10 || sum.InWork != 10 || sum.Discarded != 10 {
		t.Fatalf("%+v (%v)", sum, err)
	}
	if len(byClass) != 3 || byClass[2].Key != "exhausted" || byClass[2].Undecided != 50 || byClass[0].Undecided != 100 || !byClass[0].Oldest.Equal(base().Add(12*time.Minute)) {
		t.Errorf("%+v", byClass)
	}
	if sum.LastHour != 9 || sum.LastDay != 239 {
		t.Errorf("last hour %d, last day %d", sum.LastHour, sum.LastDay)
	}
	for _, c := range byClass {
		sel := dlq.Selection{Classes: []string{c.Key}, States: []dlq.State{dlq.Undecided}}
		list, err := r.List(t.Context(), sel)
		n, err2 := r.Export(t.Context(), sel, func(dlq.Letter) error { return nil })
		if err != nil || err2 != nil || int64(len(list)) != c.Undecided || int64(n) != c.Undecided {
			t.Errorf("%s: listed %d, exported %d, counted %d (%v %v)", c.Key, len(list), n, c.Undecided, err, err2)
		}
	}
	for by, want := range map[dlq.By]int{dlq.ByCode: 1, dlq.ByPartition: 4, dlq.ByKey: 7, dlq.ByHour: 30} {
		rows, again, err := r.Stats(t.Context(), dlq.Selection{}, by, end, nil)
		total := int64(0)
		for _, t := range rows {
			total += t.Letters
		}
		if err != nil || len(rows) != want || total != 300 || again != sum {
			t.Errorf("by %s: %d rows, %d letters (%v)", by, len(rows), total, err)
		}
		if by == dlq.ByHour && rows[0].Key < rows[1].Key {
			t.Error("hours do not begin with the newest")
		}
	}
	totals, err := r.Totals(t.Context())
	if want := (dlq.Totals{Undecided: 250, Replayed: 40, Discarded: 10}); err != nil || totals != want {
		t.Errorf("%+v (%v), want %+v", totals, err, want)
	}
}

func TestJobsTellWhatBecameOfTheirLetters(t *testing.T) {
	t.Parallel()
	l, known := mixed()
	r := dlq.NewReader(l, known, topic, "g")
	jobs, err := r.Jobs(t.Context(), dlq.Selection{}, base(), nil)
	if err != nil || len(jobs) != 2 || jobs[0].Job.ID != "r-2" || jobs[0].Letters.Letters != 0 {
		t.Fatalf("%+v (%v): the newest first", jobs, err)
	}
	if x := jobs[1].Letters; x.Letters != 50 || x.Resolved != 20 || x.Again != 10 || x.InWork != 10 || x.Discarded != 10 {
		t.Errorf("%+v", x)
	}
	if one, err := r.Jobs(t.Context(), dlq.Selection{Jobs: []string{"r-1"}}, base(), nil); err != nil || len(one) != 1 {
		t.Errorf("%+v (%v)", one, err)
	}
}

// Without a store, and of foreign letters, nobody knows what became of what was replayed: that is not 0.
func TestWhatNobodyWasAskedIsNotToldAsNone(t *testing.T) {
	t.Parallel()
	l, known := mixed()
	_, sum, err := dlq.NewReader(l, known, topic, "g").Stats(t.Context(), dlq.Selection{}, dlq.ByClass, base(), nil)
	if err != nil || !sum.Told() || sum.Past != 40 {
		t.Errorf("%+v (%v): with a store all is told", sum, err)
	}
	r := dlq.NewReader(l, nil, topic, "g")
	_, sum, err = r.Stats(t.Context(), dlq.Selection{}, dlq.ByClass, base(), nil)
	if err != nil || sum.Told() || sum.Untold != 300 || sum.Replayed != 40 {
		t.Errorf("%+v (%v): without one nothing is", sum, err)
	}
	jobs, err := r.Jobs(t.Context(), dlq.Selection{}, base(), nil)
	if err != nil || jobs[1].Told() || !jobs[0].Told() {
		t.Errorf("%+v (%v): r-1 has sent 50, r-2 none", jobs, err)
	}
	l.parts[9] = []queue.Record{{Topic: topic, Partition: 9, Time: base(), Headers: []queue.Header{{Name: "kafka_dlt-original-topic", Value: []byte("orders")}}}}
	_, sum, err = dlq.NewReader(l, known, topic, "g").Stats(t.Context(), dlq.Selection{}, dlq.ByClass, base(), nil)
	if err != nil || sum.Told() || sum.Untold != 1 {
		t.Errorf("%+v (%v): one letter is foreign", sum, err)
	}
}

// What an older job sent and a later one has sent again is not the older one's to tell.
func TestAJobWhoseLettersAreGoneDoesNotSayNone(t *testing.T) {
	t.Parallel()
	l, known := mixed()
	l.decided(dlq.ID{Partition: 1}, dlq.Entry{State: dlq.DecisionReplayed, Job: "r-2", At: base().Add(time.Hour)})
	jobs, err := dlq.NewReader(l, known, topic, "g").Jobs(t.Context(), dlq.Selection{}, base(), nil)
	if err != nil || jobs[1].Told() || jobs[1].Letters.Letters != 49 {
		t.Errorf("%+v (%v)", jobs, err)
	}
}

func TestTotalsOfManyAreNotCountedOneByOne(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	for i := range 12_000 {
		l.add(int32(i%4), base(), trail(i, queue.ClassInvalid, 1), "A", "{}")
	}
	l.decided(dlq.ID{}, dlq.Entry{State: dlq.DecisionReplayed, At: base()})
	l.decided(dlq.ID{Partition: 1}, dlq.Entry{State: dlq.DecisionDiscarded, At: base()})
	got, err := dlq.NewReader(l, nil, topic, "g").Totals(t.Context())
	if want := (dlq.Totals{Undecided: 11_998, Replayed: 1, Discarded: 1, About: true}); err != nil || got != want || l.scanned > 10 {
		t.Errorf("%+v by %d records (%v)", got, l.scanned, err)
	}
	got, err = dlq.NewReader(l, counted{}, topic, "g").Totals(t.Context())
	if err != nil || got.Undecided != 77 {
		t.Errorf("%+v (%v): the store knows", got, err)
	}
}

type counted struct{ rows }

func (counted) Counts(context.Context, string) (map[queue.State]int64, error) {
	return map[queue.State]int64{queue.StateDead: 77}, nil
}

func TestProgressIsTold(t *testing.T) {
	t.Parallel()
	l := &topicLog{parts: map[int32][]queue.Record{}}
	for i := range 3_500 {
		l.add(int32(i%2), base(), trail(i, queue.ClassInvalid, 1), "A", "{}")
	}
	var told []int64
	_, _, err := dlq.NewReader(l, nil, topic, "g").Stats(t.Context(), dlq.Selection{}, dlq.ByClass, base(), func(done, total int64) {
		told = append(told, done, total)
	})
	if err != nil || fmt.Sprint(told) != "[1000 3500 2000 3500 3000 3500]" {
		t.Errorf("told %v (%v)", told, err)
	}
}
