package consume

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/queue"
)

func laneItem(c *claim, n int) *item {
	return &item{claim: c, rec: queue.Record{Offset: int64(n)}, msg: &message{at: pos("orders", int64(n))}}
}

func takeNow(l *lanes, limit int) []*item { return l.fronts(limit) }

// Per key first in, first out, one in flight; whatever is pushed, taken, finished, put back and dropped.
func TestLanesKeepTheOrderOfEachKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := newLanes()
		claims := []*claim{{}, {}}
		waiting, flying := map[string][]*item{}, map[string]*item{} // the model
		keyOf := map[*item]string{}
		n := 0
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			keys := make([]string, 0, len(flying))
			for k := range flying {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			switch op := rapid.IntRange(0, 9).Draw(t, "op"); {
			case op < 4:
				n++
				key := rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "key")
				it := laneItem(claims[rapid.IntRange(0, 1).Draw(t, "claim")], n)
				it.alone.Store(rapid.IntRange(0, 5).Draw(t, "alone") == 0)
				l.push(key, it)
				if key == "" {
					key = "own " + strconv.Itoa(n)
				}
				keyOf[it] = key
				waiting[key] = append(waiting[key], it)
			case op < 7:
				batch := takeNow(l, rapid.IntRange(1, 4).Draw(t, "limit"))
				for _, it := range batch {
					k := keyOf[it]
					if flying[k] != nil {
						t.Fatalf("two of key %s in flight", k)
					}
					if waiting[k][0] != it {
						t.Fatalf("key %s: %d overtook %d", k, it.rec.Offset, waiting[k][0].rec.Offset)
					}
					if it.alone.Load() && len(batch) > 1 {
						t.Fatalf("%d had to run alone", it.rec.Offset)
					}
					flying[k] = it
				}
				if len(batch) == 0 && startable(waiting, flying) {
					t.Fatal("nothing was taken though something could start")
				}
			case op == 7 && len(keys) > 0:
				k := rapid.SampledFrom(keys).Draw(t, "finished")
				l.finish(flying[k])
				waiting[k] = waiting[k][1:]
				delete(flying, k)
			case op == 8 && len(keys) > 0:
				k := rapid.SampledFrom(keys).Draw(t, "again")
				l.again(flying[k])
				delete(flying, k)
			case op == 9:
				c := claims[rapid.IntRange(0, 1).Draw(t, "dropped")]
				l.drop(c)
				for k, its := range waiting {
					waiting[k] = slices.DeleteFunc(slices.Clone(its), func(it *item) bool { return it.claim == c && flying[k] != it })
				}
			}
			total := 0
			for _, its := range waiting {
				total += len(its)
			}
			if l.depth() != total {
				t.Fatalf("depth %d, want %d", l.depth(), total)
			}
		}
	})
}

func startable(waiting map[string][]*item, flying map[string]*item) bool {
	for k, its := range waiting {
		if len(its) > 0 && flying[k] == nil {
			return true
		}
	}
	return false
}

func TestTakeWaitsForARecord(t *testing.T) {
	t.Parallel()
	l := newLanes()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got := make(chan int, 2)
	for range 2 {
		go func() {
			batch, _ := l.take(ctx, 1, false)
			got <- len(batch)
		}()
	}
	l.push("a", laneItem(&claim{}, 1))
	l.push("b", laneItem(&claim{}, 2))
	if <-got+<-got != 2 {
		t.Error("two takers must get a record each")
	}
	cancel()
	if _, err := l.take(ctx, 1, false); err == nil {
		t.Error("take must end with its context")
	}
}

func TestLanesForgetWhatIsFinished(t *testing.T) {
	t.Parallel()
	l := newLanes()
	for i := range 100 {
		l.push(strconv.Itoa(i), laneItem(&claim{}, i))
	}
	for _, it := range takeNow(l, 1000) {
		l.finish(it)
	}
	if len(l.byKey) != 0 || len(l.ready[fresh])+len(l.ready[retries])+len(l.held) != 0 {
		t.Errorf("%d lanes are left", len(l.byKey))
	}
}

// While fresh records wait, retries are at most one of five; without any they have all the room there is.
func TestRetriesLeaveRoomForFreshRecords(t *testing.T) {
	t.Parallel()
	l := newLanes()
	source, tier := &claim{role: queue.RoleSource}, &claim{role: queue.RoleRetry}
	for i := range 300 {
		l.push("retry "+strconv.Itoa(i), laneItem(tier, i))
		l.push("fresh "+strconv.Itoa(i), laneItem(source, i))
	}
	failed := laneItem(source, 1_000)
	failed.alone.Store(true)
	l.push("failed", failed)
	retried, total := 0, 0
	for len(l.ready[fresh]) > 0 {
		for _, it := range l.fronts(7) {
			total++
			if it.claim == tier || it == failed {
				retried++
			}
			if len(l.ready[fresh]) > 0 && float64(retried) > 0.2*float64(total)+1 {
				t.Fatalf("%d of %d are retries", retried, total)
			}
			l.finish(it)
		}
	}
	if retried < 60 {
		t.Errorf("%d retries beside 300 fresh ones: they starve", retried)
	}
	for range 1_000 {
		for _, it := range l.fronts(7) {
			l.finish(it)
		}
	}
	if l.depth() != 0 {
		t.Errorf("%d records are left", l.depth())
	}
}
