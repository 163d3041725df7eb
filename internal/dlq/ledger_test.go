package dlq_test

import (
	"testing"
	"time"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/queue"
)

// raw adds a record to the ledger as it is.
func (b *bench) raw(p int32, key, value string) {
	m := queue.Message{Topic: b.names.Audit(), Partition: p, Key: []byte(key), Time: b.now}
	if value != "" {
		m.Value = []byte(value)
	}
	b.append(m)
}

// What compaction leaves is the last record of each key: whatever it takes away, state, operator and reason are the same.
func TestALedgerSaysTheSameAfterCompaction(t *testing.T) {
	t.Parallel()
	said := func(compacted bool) (dlq.Entry, dlq.JobEntry) {
		b := newBench(t)
		b.letters(3)
		if _, err := b.discard(undecided()); err != nil {
			t.Fatal(err)
		}
		b.later(time.Minute)
		if _, err := b.discard(dlq.Selection{States: []dlq.State{dlq.Discarded}}, undo); err != nil {
			t.Fatal(err)
		}
		plan := b.plan("group", undecided())
		if _, err := b.replay(plan); err != nil {
			t.Fatal(err)
		}
		if compacted {
			for p, log := range b.topics[b.names.Audit()] {
				last := map[string]int{}
				for i, r := range log {
					last[string(r.Key)] = i
				}
				var kept []queue.Record
				for i, r := range log {
					if last[string(r.Key)] == i {
						kept = append(kept, r)
					}
				}
				b.topics[b.names.Audit()][p] = kept
			}
		}
		_, l := b.reader()
		e, _ := l.Of(dlq.ID{})
		j, _ := l.Job(plan.ID)
		return e, j
	}
	entry, job := said(false)
	after, jobAfter := said(true)
	if entry.State != dlq.DecisionReplayed || after.State != entry.State || after.Operator != entry.Operator || after.Reason != entry.Reason || after.Job != entry.Job {
		t.Errorf("before %+v, after %+v", entry, after)
	}
	if job.State != dlq.JobFinished || jobAfter.State != job.State || jobAfter.Done != 3 || jobAfter.Planned != 3 {
		t.Errorf("before %+v, after %+v", job, jobAfter)
	}
}

func TestWhatALedgerBelieves(t *testing.T) {
	t.Parallel()
	entry := func(state, at string) string {
		return `{"schema":"orderctl.dlq.audit/v1","state":"` + state + `","job":"j","operator":"o","hop":1,"at":"` + at + `"}`
	}
	job := func(state, term string) string {
		return `{"schema":"orderctl.dlq.audit/v1","state":"` + state + `","kind":"replay","term":` + term + `,"at":"2026-01-02T03:04:05Z"}`
	}
	for _, tt := range []struct {
		name string
		add  func(*bench)
		want dlq.Decision
		job  dlq.JobState
	}{
		{"the last one", func(b *bench) {
			b.raw(0, "0/0", entry("discarded", "2026-01-02T03:04:05Z"))
			b.raw(0, "0/0", entry("reopened", "2026-01-02T03:05:05Z"))
		}, dlq.DecisionReopened, ""},
		{"a replay is final", func(b *bench) {
			b.raw(0, "0/0", entry("replayed", "2026-01-02T03:04:05Z"))
			b.raw(0, "0/0", entry("discarded", "2026-01-02T03:05:05Z"))
		}, dlq.DecisionReplayed, ""},
		{"a tombstone takes it back", func(b *bench) { b.raw(0, "0/0", entry("discarded", "2026-01-02T03:04:05Z")); b.raw(0, "0/0", "") }, "", ""},
		{"not what lies in another partition than its letter", func(b *bench) { b.raw(1, "0/0", entry("discarded", "2026-01-02T03:04:05Z")) }, "", ""},
		{"not what is none of ours", func(b *bench) { b.raw(0, "0/0", `{"state":"discarded"}`); b.raw(0, "0/0", "x"); b.raw(0, "", "{}") }, "", ""},
		{"the word of the latest term", func(b *bench) {
			b.raw(0, "job/r-1", job("running", "0"))
			b.raw(0, "job/r-1", job("finished", "1"))
			b.raw(0, "job/r-1", job("running", "0")) // of a process that was suspended
		}, "", dlq.JobFinished},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			tt.add(b)
			_, l := b.reader()
			e, _ := l.Of(dlq.ID{})
			j, _ := l.Job("r-1")
			if e.State != tt.want || j.State != tt.job {
				t.Errorf("it believes %q and %q, want %q and %q", e.State, j.State, tt.want, tt.job)
			}
		})
	}
}
