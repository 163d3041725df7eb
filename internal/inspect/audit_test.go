package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/inspect"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func options(w *world) inspect.AuditOptions {
	return inspect.AuditOptions{Names: names(), Log: w, Source: w, Rows: w, Dead: w, Unknown: order.KeepUnknown}
}

func audit(t testing.TB, o inspect.AuditOptions) *inspect.AuditReport {
	t.Helper()
	r, err := inspect.Audit(t.Context(), o)
	if err != nil {
		t.Fatalf("Audit: %v", err)
	}
	if sum := r.Applied + r.Dead + r.InWork + r.Missing; r.Unresolved == 0 && r.Accepted != sum {
		t.Errorf("accepted %d, but applied %d + dead %d + in work %d + missing %d", r.Accepted, r.Applied, r.Dead, r.InWork, r.Missing)
	}
	return r
}

// exceptions are those of a report, as "kind place id".
func exceptions(r *inspect.AuditReport) []string {
	out := []string{}
	for _, e := range r.Exceptions {
		at := "-"
		if e.Partition != nil {
			at = fmt.Sprintf("%d@%d", *e.Partition, *e.Offset)
		}
		id := e.OrderID
		if e.Kind == inspect.Lost {
			id = fmt.Sprint(e.Count)
		}
		out = append(out, fmt.Sprintf("%s %s %s", e.Kind, at, id))
	}
	slices.Sort(out)
	return out
}

// drained is a world with ten messages of all fates in one partition, all of them done with.
func drained() *world {
	w := newWorld(2)
	for i, fate := range []string{"ok", "stale", "dead", "retry", "ok", "worse", "ok", "dead", "ok", "retry"} {
		w.put(message(1, fmt.Sprintf("A-%d", i), fate, fate))
	}
	w.drain()
	return w
}

// drain works until nothing is left.
func (w *world) drain() {
	for range 60 {
		for _, topic := range names().Consumed() {
			for p := range w.partitions {
				w.work(topic, p, 0)
			}
		}
	}
}

func key(id, content string) queue.RowKey {
	return queue.Identify(message(1, id, content, ""), source, order.KeepUnknown)
}

func TestABalancedQueue(t *testing.T) {
	t.Parallel()
	w := drained()
	w.put(message(1, "A-0", "ok", "ok")) // a duplicate, read
	w.put(message(1, "A-0", "ok", "ok"))
	w.drain()
	w.put(message(1, "A-10", "x", "ok")) // not read yet
	w.put(message(0, "B-1", "x", "ok"))
	discarded := w.rows[key("A-7", "dead")]
	discarded.State, discarded.Outcome = queue.StateDiscarded, queue.ByOperator
	w.rows[discarded.RowKey] = discarded
	retry := w.rows[key("A-9", "retry")]
	retry.State, retry.Outcome = queue.StateParked, ""
	w.rows[retry.RowKey] = retry
	r := audit(t, options(w))
	want := inspect.AuditReport{
		Schema: inspect.AuditSchema, Topic: source, Group: group, Verdict: inspect.Balanced, Complete: true, AsOf: r.AsOf, Sample: 1,
		PartitionsRead: 2, PartitionsTotal: 2, Records: 14, Duplicates: 2, Accepted: 12, Applied: 6, Stale: 1,
		Dead: 3, Undecided: 2, Discarded: 1, InWork: 3, Waiting: 2, Retrying: 1,
	}
	if got := fmt.Sprintf("%+v", *r); got != strings.ReplaceAll(fmt.Sprintf("%+v", want), "Unread:[] Exceptions:[]", "Unread:[] Exceptions:[]") {
		t.Errorf("\n got %s\nwant %+v", got, want)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		break_ func(w *world)
		want   []string
	}{
		{"a row is deleted", func(w *world) { delete(w.rows, key("A-4", "ok")) }, []string{"missing 1@4 A-4"}},
		{"the row of a dead message is deleted", func(w *world) { delete(w.rows, key("A-2", "dead")) }, []string{"missing 1@2 A-2"}},
		{"the row of a message with a duplicate is deleted: named once", func(w *world) {
			w.put(message(1, "A-4", "ok", "ok"))
			w.drain()
			delete(w.rows, key("A-4", "ok"))
		}, []string{"missing 1@4 A-4"}},
		{"the row of another content under a known id is deleted", func(w *world) {
			w.put(message(1, "A-4", "other", "ok"))
			w.drain()
			delete(w.rows, key("A-4", "other"))
		}, []string{"missing 1@10 A-4"}},
		{"a letter is gone", func(w *world) { w.remove(w.rows[key("A-2", "dead")].At) }, []string{"no-letter 1@2 A-2"}},
		{"a letter is gone by retention", func(w *world) { w.forget(names().DLQ(), 1, 1) }, []string{"no-letter 1@2 A-2"}},
		{"the dead-letter topic is gone", func(w *world) {
			delete(w.logs, lag.TopicPartition{Topic: names().DLQ(), Partition: 0})
			delete(w.logs, lag.TopicPartition{Topic: names().DLQ(), Partition: 1})
		}, []string{"no-letter 1@2 A-2", "no-letter 1@5 A-5", "no-letter 1@7 A-7"}},
		{"the letter of a message that the log has let go is gone", func(w *world) {
			w.forget(source, 1, 6)
			w.remove(w.rows[key("A-2", "dead")].At)
		}, []string{"no-letter 1@2 A-2"}},
		{"retention was faster than the group", func(w *world) {
			w.put(message(1, "A-10", "x", "ok"))
			w.put(message(1, "A-11", "x", "ok"))
			w.put(message(1, "A-12", "x", "ok"))
			w.forget(source, 1, 12)
		}, []string{"lost 1@10 2"}},
		{"the topic was made anew: other messages at the offsets of old rows", func(w *world) {
			l := w.log(source, 1)
			for i := range l.records {
				l.records[i] = message(1, fmt.Sprintf("N-%d", i), "x", "ok")
				l.records[i].Offset = int64(i)
			}
			l.records = l.records[:2]
			l.end = 2
			w.commits[lag.TopicPartition{Topic: source, Partition: 1}] = 2
		}, []string{"missing 1@0 N-0", "missing 1@1 N-1"}},
		{"another letter lies where it should be", func(w *world) {
			r := w.rows[key("A-2", "dead")]
			other, _ := w.At(context.Background(), w.rows[key("A-7", "dead")].At)
			w.remove(r.At)
			other.Offset = r.At.Offset
			l := w.log(names().DLQ(), 1)
			l.records = slices.Insert(l.records, 0, other)
		}, []string{"no-letter 1@2 A-2"}},
		{"a hop was cut short and its record is committed", func(w *world) {
			r := w.rows[key("A-2", "dead")]
			w.remove(r.At)
			r.At.Offset = -1
			w.rows[r.RowKey] = r
		}, []string{"no-letter 1@2 A-2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := drained()
			tt.break_(w)
			r := audit(t, options(w))
			if got := exceptions(r); !slices.Equal(got, tt.want) || r.Verdict != inspect.NotBalanced || !r.Complete {
				t.Errorf("%s, complete %v: %v; want %v", r.Verdict, r.Complete, got, tt.want)
			}
		})
	}
}

func TestWhatOnlyLooksWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		world func() *world
	}{
		{"the place of a letter holds another one, as in a topic made anew, and its own copy lies behind", func() *world {
			w := drained()
			r := w.rows[key("A-2", "dead")]
			own, _ := w.At(context.Background(), r.At)
			other, _ := w.At(context.Background(), w.rows[key("A-7", "dead")].At)
			w.remove(r.At)
			other.Offset = r.At.Offset
			l := w.log(names().DLQ(), 1)
			l.records = slices.Insert(l.records, 0, other)
			w.put(own)
			return w
		}},
		{"a letter has moved: a copy with its origin is there", func() *world {
			w := drained()
			r := w.rows[key("A-2", "dead")]
			copied, _ := w.At(context.Background(), r.At)
			w.remove(r.At)
			w.put(copied)
			return w
		}},
		{"hops that a crash cut short at each step", func() *world {
			w := newWorld(2)
			for p, fate := range []string{"dead", "worse"} {
				w.put(message(int32(p), "A", fate, fate))
				w.work(source, int32(p), 1)
			}
			return w
		}},
		{"a hop from a tier that a crash cut short", func() *world {
			w := newWorld(2)
			w.put(message(1, "A", "worse", "worse"))
			w.work(source, 1, 0)
			w.work(names().Retry(time.Minute), 1, 1)
			return w
		}},
		{"a letter that was written and not noted", func() *world {
			w := newWorld(2)
			w.put(message(1, "A", "dead", "dead"))
			w.work(source, 1, 2)
			return w
		}},
		{"a group that never committed", func() *world {
			w := newWorld(2)
			w.put(message(1, "A", "ok", "ok"))
			w.handle(w.log(source, 1).records[0], 0)
			w.put(message(1, "B", "ok", "ok"))
			return w
		}},
		{"forged headers: many rows at one offset", func() *world {
			w := drained()
			for i := range 3 {
				r := w.rows[key("A-4", "ok")]
				r.MsgID, r.Fingerprint, r.State = fmt.Sprintf("forged-%d", i), "f", queue.StateRetry
				w.rows[r.RowKey] = r
				r.MsgID = "A-4:CREATED"
				r.Fingerprint = fmt.Sprint(i)
				w.rows[r.RowKey] = r
			}
			return w
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := audit(t, options(tt.world()))
			if r.Verdict != inspect.Balanced {
				t.Errorf("%s: %v, %+v", r.Verdict, exceptions(r), *r)
			}
			if r.Records == 10 && r.Applied != 7 {
				t.Errorf("%d applied, want 7", r.Applied)
			}
		})
	}
}

// What is missing at the first look and there at the second was only on its way.
func TestSecondLooks(t *testing.T) {
	t.Parallel()
	t.Run("a row comes late, and the group is set back", func(t *testing.T) {
		t.Parallel()
		w := drained()
		late, back := key("A-4", "ok"), key("A-6", "ok")
		row := w.rows[late]
		delete(w.rows, late)
		delete(w.rows, back)
		o := options(w)
		o.Progress = func(offsets, _ int64, doubts int) {
			if doubts == 2 && offsets == 10 {
				w.rows[late] = row
				w.commits[lag.TopicPartition{Topic: source, Partition: 1}] = 6
			}
		}
		if r := audit(t, o); r.Verdict != inspect.Balanced || r.Waiting != 1 || r.Applied != 6 {
			t.Errorf("%s: %v, %+v", r.Verdict, exceptions(r), *r)
		}
	})
	t.Run("a dead message without letter is replayed and done", func(t *testing.T) {
		t.Parallel()
		w := drained()
		k := key("A-2", "dead")
		w.remove(w.rows[k].At)
		o := options(w)
		o.Progress = func(_, _ int64, doubts int) {
			if r := w.rows[k]; doubts == 1 {
				r.State, r.Outcome = queue.StateDone, queue.Applied
				w.rows[k] = r
			}
		}
		if r := audit(t, o); r.Verdict != inspect.Balanced || r.Applied != 8 || r.Dead != 2 {
			t.Errorf("%s: %v, %+v", r.Verdict, exceptions(r), *r)
		}
	})
	t.Run("one that the log has let go, too, and it is in no balance", func(t *testing.T) {
		t.Parallel()
		w := drained()
		k := key("A-2", "dead")
		w.remove(w.rows[k].At)
		w.forget(source, 1, 6)
		o := options(w)
		o.Progress = func(_, _ int64, doubts int) {
			if r := w.rows[k]; doubts == 1 {
				r.State, r.Outcome = queue.StateDone, queue.Applied
				w.rows[k] = r
			}
		}
		if r := audit(t, o); r.Verdict != inspect.Balanced || r.Applied != 3 || r.Undecided != 1 {
			t.Errorf("%s: %v, %+v", r.Verdict, exceptions(r), *r)
		}
	})
	t.Run("retention goes on while we read: what the group had not read is lost", func(t *testing.T) {
		t.Parallel()
		w := drained()
		for i := range 6 {
			w.put(message(1, fmt.Sprintf("B-%d", i), "x", "ok"))
		}
		scans := 0
		w.step = func() {
			if len(w.reads) == 1 {
				if scans++; scans == 3 {
					w.forget(source, 1, 13)
				}
			}
		}
		o := options(w)
		r := audit(t, o)
		if got := exceptions(r); !slices.Equal(got, []string{"lost 1@10 3"}) || !r.Complete || r.Waiting != 3 {
			t.Errorf("%s: %v, %+v, read %v", r.Verdict, got, *r, w.reads)
		}
	})
	t.Run("nothing is called wrong before the time to settle is over", func(t *testing.T) {
		t.Parallel()
		w := drained()
		delete(w.rows, key("A-4", "ok"))
		o := options(w)
		o.Settle = 50 * time.Millisecond
		start := time.Now()
		if r := audit(t, o); r.Missing != 1 || time.Since(start) < o.Settle {
			t.Errorf("%d missing after %v", r.Missing, time.Since(start))
		}
		o.Settle = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := inspect.Audit(ctx, o); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an audit that is stopped while it waits: %v", err)
		}
	})
}

func TestAPartOfTheLog(t *testing.T) {
	t.Parallel()
	w := drained()
	delete(w.rows, key("A-1", "stale"))
	o := options(w)
	o.Since = w.log(source, 1).records[4].Time
	if r := audit(t, o); r.Verdict != inspect.Balanced || r.Records != 6 || r.Since == nil || !r.Since.Equal(o.Since) {
		t.Errorf("since the fifth: %s, %d records", r.Verdict, r.Records)
	}
	o.Since = w.now.Add(time.Hour)
	if r := audit(t, o); r.Verdict != inspect.Balanced || r.Records != 0 {
		t.Errorf("since tomorrow: %s, %d records", r.Verdict, r.Records)
	}
	o.Since = time.Time{}
	clean, wrong := 0, 0
	for n := 2; n < 20; n++ {
		o.Sample = n
		r := audit(t, o)
		switch {
		case r.Records >= 10 || r.Verdict == inspect.Balanced:
			t.Errorf("a sample of one in %d: %s, %d records", n, r.Verdict, r.Records)
		case r.Verdict == inspect.Sampled:
			clean++
		case r.Verdict == inspect.NotBalanced:
			wrong++
		}
	}
	if clean == 0 || wrong == 0 {
		t.Errorf("%d samples found nothing and %d something; both must happen", clean, wrong)
	}
}

func TestWhatCannotBeSeen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		break_ func(w *world)
		ok     func(r *inspect.AuditReport) bool
	}{
		{"a partition without leader", func(w *world) { w.problems[lag.TopicPartition{Topic: source, Partition: 0}] = lag.NoLeader }, func(r *inspect.AuditReport) bool {
			return r.Verdict == inspect.Incomplete && r.PartitionsRead == 1 && r.PartitionsTotal == 2 && r.Unread[0] == inspect.Unread{Problem: "no-leader"}
		}},
		{"a partition that cannot be read to its end", func(w *world) { w.broken[source+"/1"] = errors.New("batch is unreadable") }, func(r *inspect.AuditReport) bool {
			return r.Verdict == inspect.Incomplete && r.Unread[0].Problem == "batch is unreadable" && r.Unread[0].Partition == 1
		}},
		{"what is wrong elsewhere is wrong", func(w *world) {
			w.problems[lag.TopicPartition{Topic: source, Partition: 0}] = lag.NoLeader
			delete(w.rows, key("A-4", "ok"))
		}, func(r *inspect.AuditReport) bool { return r.Verdict == inspect.NotBalanced && !r.Complete }},
		{"dead letters that cannot be read are no missing ones", func(w *world) {
			w.broken[names().DLQ()+"/1"] = errors.New("batch is unreadable")
		}, func(r *inspect.AuditReport) bool {
			return r.Verdict == inspect.Incomplete && r.Unresolved == 3 && r.NoLetter == 0
		}},
		{"a commit that nobody tells", func(w *world) {
			w.commits[lag.TopicPartition{Topic: source, Partition: 1}] = -5
		}, func(*inspect.AuditReport) bool { return true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := drained()
			tt.break_(w)
			if r := audit(t, options(w)); !tt.ok(r) {
				t.Errorf("%+v", *r)
			}
		})
	}
}

// Letters that lie where the log still has them are no doubts, though others have gone before them.
func TestLettersBehindTheRetentionOfTheirTopic(t *testing.T) {
	t.Parallel()
	w := drained()
	w.forget(names().DLQ(), 1, w.rows[key("A-2", "dead")].At.Offset+1)
	o := options(w)
	o.Most = 1
	if r := audit(t, o); r.NoLetter != 1 || r.Unresolved != 0 {
		t.Errorf("%+v", *r)
	}
}

// More rows than a page holds, and several of one offset where a page ends: each record meets its own row, once.
func TestManyPages(t *testing.T) {
	t.Parallel()
	w := newWorld(1)
	for i := range 12_000 {
		w.put(message(0, fmt.Sprintf("A-%d", i), "x", "ok"))
		w.handle(w.log(source, 0).records[i], 0)
	}
	w.commits[lag.TopicPartition{Topic: source}] = 12_000
	for i, id := range []string{"A-4998:CREATED", "0", "1", "z"} { // rows 4,999 to 5,002 are of one offset
		r := w.rows[queue.Identify(message(0, "A-4998", "x", "ok"), source, order.KeepUnknown)]
		r.MsgID, r.Fingerprint, r.State = id, fmt.Sprint("g", i), queue.StateRetry
		w.rows[r.RowKey] = r
	}
	if r := audit(t, options(w)); r.Verdict != inspect.Balanced || r.Applied != 12_000 || r.Retrying != 0 {
		t.Errorf("%s: %v, %+v", r.Verdict, exceptions(r), *r)
	}
}

func TestMoreDoubtsThanFit(t *testing.T) {
	t.Parallel()
	w := drained()
	for i, c := range []string{"ok", "stale"} {
		delete(w.rows, key(fmt.Sprintf("A-%d", i), c))
	}
	delete(w.rows, key("A-4", "ok"))
	o := options(w)
	o.Most = 2
	if r := audit(t, o); r.Missing != 2 || r.Unresolved != 1 || r.Complete || r.Verdict != inspect.NotBalanced {
		t.Errorf("%+v", *r)
	}
}

func TestAnAuditNeedsItsParts(t *testing.T) {
	t.Parallel()
	w := drained()
	w.down = errors.New("database is away")
	if _, err := inspect.Audit(t.Context(), options(w)); !errors.Is(err, w.down) {
		t.Errorf("without database: %v", err)
	}
	var missing *inspect.NotFoundError
	o := options(newWorld(2))
	if _, err := inspect.Audit(t.Context(), o); !errors.As(err, &missing) || missing.Kind != "consumer group" || !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("of a group that is nowhere: %v", err)
	}
	o.Names.Source = "order"
	if _, err := inspect.Audit(t.Context(), o); !errors.As(err, &missing) || missing.Kind != "topic" {
		t.Errorf("of a topic that is not there: %v", err)
	}
	for name, cut := range map[string]func(*inspect.AuditOptions){
		"Log":    func(o *inspect.AuditOptions) { o.Log = nil },
		"Source": func(o *inspect.AuditOptions) { o.Source = nil },
		"Rows":   func(o *inspect.AuditOptions) { o.Rows = nil },
		"Dead":   func(o *inspect.AuditOptions) { o.Dead = nil },
	} {
		o := options(w)
		cut(&o)
		if _, err := inspect.Audit(t.Context(), o); err == nil || !strings.Contains(err.Error(), "AuditOptions."+name+" is required") {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestTheIDsOfTheShop(t *testing.T) {
	t.Parallel()
	w := drained()
	w.forget(source, 1, 2) // are in the database alone
	list := []string{"A-0", "A-1:CREATED", "A-2", "A-9:CREATED", "A-9", "X-1", "X-2", "X-1"}
	o := options(w)
	o.IDs = func(each func(string) error) error {
		for _, id := range list {
			if err := each(id); err != nil {
				return err
			}
		}
		return nil
	}
	r := audit(t, o)
	if got := exceptions(r); !slices.Equal(got, []string{"not-on-topic - X-1", "not-on-topic - X-2"}) || *r.NotOnTopic != 2 || r.Verdict != inspect.NotBalanced {
		t.Errorf("%s: %v", r.Verdict, got)
	}
	list = []string{"A-0", "late"}
	o.Progress = func(offsets, _ int64, _ int) {
		if offsets == 8 && w.log(source, 0).end == 0 {
			w.put(message(0, "late", "x", "ok")) // accepted while the audit runs
		}
	}
	if r := audit(t, o); r.Verdict != inspect.Balanced {
		t.Errorf("%s: %v", r.Verdict, exceptions(r))
	}
	w.problems[lag.TopicPartition{Topic: source, Partition: 0}] = lag.NoLeader
	list = []string{"X-1"}
	if r := audit(t, o); r.Verdict != inspect.Incomplete || *r.NotOnTopic != 0 || r.Unresolved != 1 {
		t.Errorf("it may lie where nobody could read: %+v", *r)
	}
	delete(w.problems, lag.TopicPartition{Topic: source, Partition: 0})
	times := 0
	o.IDs = func(each func(string) error) error {
		if times++; times > 1 {
			return nil
		}
		return each("X-1")
	}
	if r := audit(t, o); r.Verdict != inspect.Incomplete || *r.NotOnTopic != 0 || r.Unresolved != 1 {
		t.Errorf("ids that are gone when they are read again are not on the topic all the same: %+v", *r)
	}
	o.IDs = func(func(string) error) error { return errors.New("no such file") }
	if _, err := inspect.Audit(t.Context(), o); err == nil {
		t.Error("ids that cannot be read are taken for none")
	}
}
