package dlq

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// By is what letters are counted by.
type By string

// What letters can be counted by.
const (
	ByClass     By = "class"
	ByCode      By = "code"
	ByHour      By = "hour" // of the letter, UTC
	ByPartition By = "partition"
	ByKey       By = "key" // the record key, which is the order
	byJob       By = "job"
)

// Tally is how many letters have something in common, and what became of them.
type Tally struct {
	Key       string // what they have in common; "": it is not known
	Letters   int64
	Undecided int64
	LastHour  int64     // died within the last hour, whatever became of them
	LastDay   int64     // died within the last day
	Oldest    time.Time // of the undecided; zero: there is none
	Replayed  int64     // an operator sent them again; the next three are what became of those and of others
	Past      int64     // replayed, or resolved in another way
	Untold    int64     // nobody knows what became of them: there is no store, or they are foreign
	Resolved  int64
	InWork    int64
	Again     int64
	Discarded int64
	Lost      int64
}

// Stats counts the chosen letters, the largest groups first, hours from the newest. tell is told how many records of how
// many are read; it may be nil.
func (r *Reader) Stats(ctx context.Context, sel Selection, by By, now time.Time, tell func(done, total int64)) (rows []Tally, sum Tally, err error) {
	found := map[string]*Tally{}
	_, err = r.export(ctx, sel, tell, func(l Letter) error {
		key := by.of(l)
		t := found[key]
		if t == nil {
			t = &Tally{Key: key}
			found[key] = t
		}
		t.add(l, now)
		sum.add(l, now)
		return nil
	})
	if err != nil {
		return nil, Tally{}, err
	}
	for _, t := range slices.Collect(maps.Values(found)) {
		rows = append(rows, *t)
	}
	slices.SortFunc(rows, func(a, b Tally) int {
		if by == ByHour {
			return cmp.Compare(b.Key, a.Key)
		}
		return cmp.Or(cmp.Compare(b.Undecided, a.Undecided), cmp.Compare(b.Letters, a.Letters), cmp.Compare(a.Key, b.Key))
	})
	return rows, sum, nil
}

func (b By) of(l Letter) string {
	switch b {
	case ByCode:
		return l.Trail.Code
	case ByHour:
		return l.Time.UTC().Truncate(time.Hour).Format(time.RFC3339)
	case ByPartition:
		return ID{Partition: l.ID.Partition}.partition()
	case ByKey:
		return l.OrderID()
	case byJob:
		return l.Job()
	default:
		return string(l.Trail.Class)
	}
}

func (t *Tally) add(l Letter, now time.Time) {
	t.Letters++
	if age := now.Sub(l.Time); age < time.Hour {
		t.LastHour++
		t.LastDay++
	} else if age < 24*time.Hour {
		t.LastDay++
	}
	replayed := l.Ledger != nil && l.Ledger.State == DecisionReplayed || l.State == InWork || l.State == DeadAgain || l.State == Replayed
	if replayed {
		t.Replayed++
	}
	if replayed || l.State == Resolved {
		t.Past++
	}
	if l.untold {
		t.Untold++
	}
	switch l.State {
	case Undecided:
		t.Undecided++
		if t.Oldest.IsZero() || l.Time.Before(t.Oldest) {
			t.Oldest = l.Time
		}
	case Resolved:
		t.Resolved++
	case DeadAgain:
		t.Again++
	case InWork:
		t.InWork++
	case Discarded:
		t.Discarded++
	case Lost:
		t.Lost++
	case Replayed:
	}
}

// Told reports whether it is known what became of the letters: each of them was asked for in the store.
func (t Tally) Told() bool { return t.Untold == 0 }

// JobTally is a job and what became of its letters.
type JobTally struct {
	Job     JobEntry
	Letters Tally // of those that are still in the log and that no later job has sent again
}

// Told reports whether it is known what became of all letters of the job.
func (j JobTally) Told() bool { return j.Letters.Told() && j.Letters.Letters >= int64(j.Job.Done) }

// Jobs returns the jobs of the ledger, the newest first, with what became of their letters that are still in the log.
func (r *Reader) Jobs(ctx context.Context, sel Selection, now time.Time, tell func(done, total int64)) ([]JobTally, error) {
	ledger, err := r.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	jobs := ledger.Jobs()
	if len(jobs) == 0 {
		return nil, nil
	}
	rows, _, err := r.Stats(ctx, sel, byJob, now, tell)
	if err != nil {
		return nil, err
	}
	found := make([]JobTally, 0, len(jobs))
	for _, j := range jobs {
		if !oneOf(sel.Jobs, j.ID) {
			continue
		}
		t := JobTally{Job: j}
		if i := slices.IndexFunc(rows, func(t Tally) bool { return t.Key == j.ID }); i >= 0 {
			t.Letters = rows[i]
		}
		found = append(found, t)
	}
	return found, nil
}

// Totals is how the letters of a topic stand.
type Totals struct {
	Undecided, Replayed, Discarded int64
	About                          bool // not every letter was looked at
}

// Counter is a store that counts the messages of a group by state.
type Counter interface {
	Counts(ctx context.Context, group string) (map[queue.State]int64, error)
}

// fewRecords is up to how many records are all read only to count them.
const fewRecords = 10_000

// Totals counts all letters of the topic. Of many it does not read each one: the store and the ledger know enough.
func (r *Reader) Totals(ctx context.Context) (Totals, error) {
	bounds, err := r.log.Bounds(ctx, r.topic)
	if err != nil {
		return Totals{}, err
	}
	records := int64(0)
	for _, span := range bounds {
		records += span.End - span.Start
	}
	if records <= fewRecords {
		_, sum, err := r.Stats(ctx, Selection{}, ByClass, time.Time{}, nil)
		return Totals{Undecided: sum.Undecided, Replayed: sum.Past, Discarded: sum.Discarded}, err
	}
	ledger, err := r.Ledger(ctx)
	if err != nil {
		return Totals{}, err
	}
	t := Totals{About: true}
	for _, id := range ledger.Letters() {
		switch e, _ := ledger.Of(id); e.State {
		case DecisionReplayed:
			t.Replayed++
		case DecisionDiscarded:
			t.Discarded++
		case DecisionReopened:
		}
	}
	t.Undecided = max(0, records-t.Replayed-t.Discarded)
	if c, ok := r.rows.(Counter); ok && r.group != "" {
		counts, err := c.Counts(ctx, r.group)
		if err != nil {
			return Totals{}, err
		}
		if len(counts) > 0 && counts[queue.StateDead] > 0 {
			t.Undecided = counts[queue.StateDead]
		}
	}
	return t, nil
}
