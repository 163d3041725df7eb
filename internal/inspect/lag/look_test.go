package lag_test

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// What looks keep changes no verdict: a window that goes on is judged as if it were seen for the first time, whatever rows
// come and go, and whatever is taken out of its middle.
func TestLooksThatGoOnAreJudgedLikeNewOnes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var window []lag.Snapshot
		var looks []*lag.Look
		configured := lag.Policy{Configured: "g", FromLatest: true}
		for i := range rapid.IntRange(1, 12).Draw(t, "snapshots") {
			s := anySnapshot(t, i)
			window, looks = append(window, s), append(looks, lag.NewLook(s))
			if n := len(window); n > 3 && rapid.Bool().Draw(t, "thinned out") {
				out := rapid.IntRange(0, n-2).Draw(t, "the one that leaves")
				window, looks = append(window[:out:out], window[out+1:]...), append(looks[:out:out], looks[out+1:]...)
			}
			p := rapid.SampledFrom([]lag.Policy{{}, configured, {Topics: []string{"orders"}}}).Draw(t, "policy")
			if got, want := lag.EvaluateLooks(looks, p), lag.Evaluate(window, p); !reflect.DeepEqual(got, want) {
				t.Fatalf("after %d snapshots\n got %+v\nwant %+v", i+1, got, want)
			}
		}
	})
}

// busy is a window of a group whose rows are all on the move, one look every two seconds.
func busy(partitions int32, looks int) []*lag.Look {
	rng := rand.New(rand.NewPCG(1, 2))
	var window []*lag.Look
	for i := range looks {
		at := now().Add(time.Duration(i) * 2 * time.Second)
		parts, of := map[lag.TopicPartition]lag.PartitionObs{}, map[lag.TopicPartition]lag.CommitObs{}
		heads := map[lag.TopicPartition]lag.HeadObs{}
		for p := range partitions {
			end, unread := int64(1000+10*i), rng.Int64N(9)
			parts[tp("orders", p)] = lag.PartitionObs{
				Leader: 1, EndAt: at, Start: lag.Know[int64](0), High: lag.Know(end), Stable: lag.Know(end), Mark: lag.Know(lag.OffsetAt{}),
			}
			of[tp("orders", p)] = lag.CommitObs{Offset: end - unread, At: at}
			heads[tp("orders", p)] = lag.HeadObs{Offset: end - unread, Low: at.Add(-time.Second), High: at.Add(-time.Second)}
		}
		s := snapshot(lag.GroupObs{State: lag.StateStable, Commits: lag.Know(of), Members: lag.Know([]lag.MemberObs{}), Heads: heads}, parts)
		s.AsOf = at
		window = append(window, lag.NewLook(s))
	}
	return window
}

// The cost of a verdict must not grow with what was seen before: of the older looks nothing is looked up again, and no
// list of what they say is made anew for each row. It counts allocations, which cannot be done beside other tests.
func TestAVerdictOnALongWindowCostsLittleMore(t *testing.T) {
	cost := func(looks int) float64 {
		w := busy(100, looks)
		lag.EvaluateLooks(w, lag.Policy{})
		return testing.AllocsPerRun(20, func() { lag.EvaluateLooks(w, lag.Policy{}) })
	}
	if short, long := cost(6), cost(45); long > 1.2*short {
		t.Errorf("a verdict on 45 looks allocates %.0f times, on 6 looks %.0f", long, short)
	}
}

// BenchmarkEvaluateLooks judges 1,000 rows by what top has seen in five minutes.
func BenchmarkEvaluateLooks(b *testing.B) {
	w := busy(1000, 45)
	for b.Loop() {
		lag.EvaluateLooks(w, lag.Policy{})
	}
}
