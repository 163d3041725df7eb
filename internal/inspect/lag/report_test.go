package lag_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
)

func TestMaybeIsNullOrItself(t *testing.T) {
	t.Parallel()
	type pair struct {
		A lag.Maybe[int64]   `json:"a"`
		B lag.Maybe[float64] `json:"b"`
		C lag.Maybe[string]  `json:"c"`
	}
	in := pair{A: lag.Know[int64](0), C: lag.Know("")}
	raw, err := json.Marshal(in)
	if err != nil || string(raw) != `{"a":0,"b":null,"c":""}` {
		t.Fatalf("%s, %v", raw, err)
	}
	out := pair{B: lag.Know(1.5)}
	if err := json.Unmarshal(raw, &out); err != nil || out != in {
		t.Errorf("%+v, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"a":"x"}`), &out); err == nil || out.A.Known {
		t.Errorf("a text passed as a number: %+v, %v", out, err)
	}
}

// TestReportAsJSON compares the golden scenario, with one partition leaderless, byte by byte.
var update = flag.Bool("update", false, "write testdata anew")

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	s := golden()
	s.Partitions[tp("orders", 0)] = leaderless()
	s.Topics["orders.workers.dlq"] = lag.TopicObs{Exists: lag.Know(true), Partitions: 1}
	s.Partitions[tp("orders.workers.dlq", 0)] = part(0, 7)
	g := s.Groups["workers"]
	g.Members = lag.Know([]lag.MemberObs{member("m1", []string{"orders", "orders.workers.retry.1m"}, tp("orders", 2))})
	g.State = lag.StateStable
	s.Groups["workers"] = g
	s.Topics["orders.workers.retry.1m"] = lag.TopicObs{Exists: lag.Know(true), Partitions: 1}
	s.Partitions[tp("orders.workers.retry.1m", 0)] = part(0, 3)
	got, err := json.MarshalIndent(lag.Evaluate([]lag.Snapshot{s}, lag.Policy{}), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/report.json", append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/report.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != string(want) {
		t.Errorf("the JSON form has changed; if that is meant: go test ./internal/inspect/lag -update\n%s", got)
	}
}

func TestAReportCanBeReadBack(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/report.json")
	if err != nil {
		t.Fatal(err)
	}
	var r lag.Report
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	again, err := json.MarshalIndent(r, "", " ")
	if err != nil || string(again)+"\n" != string(raw) {
		t.Errorf("%v\n%s", err, again)
	}
	if err := json.Unmarshal([]byte(`{"groups":[{"status":"FINE"}]}`), &r); err == nil {
		t.Error("FINE is taken for a verdict")
	}
}

func TestEmptyReportHasListsNotNulls(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(lag.Evaluate([]lag.Snapshot{{AsOf: now()}}, lag.Policy{}))
	if err != nil || !strings.Contains(string(raw), `"groups":[]`) || !strings.Contains(string(raw), `"missing_groups":[]`) {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestConsumerLag(t *testing.T) {
	t.Parallel()
	s := golden()
	owned := group(lag.StateStable, []lag.MemberObs{member("7c", []string{"orders"}, tp("orders", 0))}, map[lag.TopicPartition]int64{tp("orders", 0): 98, tp("orders", 1): 100})
	delete(s.Partitions, tp("orders", 2))
	delete(s.Partitions, tp("orders", 3))
	s.Groups["g"] = owned
	s = withHeads(s, "g", map[int32]time.Duration{0: 400 * time.Millisecond})
	c, ok := lag.Evaluate([]lag.Snapshot{s}, lag.Policy{}).Consumer("g", "orders")
	raw, err := json.Marshal(c)
	const want = `{"group_id":"g","topic":"orders","complete":true,"total_lag":2,"max_lag_seconds":0.4,"partitions":[` +
		`{"partition":0,"current_offset":98,"log_end_offset":100,"lag":2,"lag_seconds":0.4,"status":"BEHIND","member":"worker-7c"},` +
		`{"partition":1,"current_offset":100,"log_end_offset":100,"lag":0,"lag_seconds":0,"status":"OK","member":null}],"timestamp":"2026-11-22T03:12:07Z"}`
	if !ok || err != nil || string(raw) != want {
		t.Errorf("%v %v\n%s\nwant\n%s", ok, err, raw, want)
	}
}

func TestConsumerLagThatIsIncomplete(t *testing.T) {
	t.Parallel()
	s := golden()
	s.Partitions[tp("orders", 0)] = leaderless()
	r := lag.Evaluate([]lag.Snapshot{s}, lag.Policy{})
	c, ok := r.Consumer("workers", "orders")
	if !ok || c.Complete || c.TotalLag.Known || c.TotalLagMin == nil || *c.TotalLagMin != 160 || c.MaxLagSeconds.Known {
		t.Errorf("%+v: want a null total and a minimum of 160", c)
	}
	for _, absent := range [][2]string{{"nobody", "orders"}, {"workers", "nothing"}, {"workers", "old-orders"}} {
		if c, ok := r.Consumer(absent[0], absent[1]); ok {
			t.Errorf("Consumer(%q, %q) = %+v", absent[0], absent[1], c)
		}
	}
}

func TestHowManyPartitionsAreUnknown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		g    lag.Group
		want lag.Maybe[int64]
	}{
		{"some", lag.Group{Total: 12, Known: 11}, lag.Know[int64](1)},
		{"nothing to know", lag.Group{}, lag.Know[int64](0)},
		{"all, of a group that may not be described", lag.Group{Total: 3, Problem: lag.Know(string(lag.NoAccess))}, lag.Know[int64](3)},
		{"nobody tells which there are", lag.Group{Problem: lag.Know(string(lag.NoAccess))}, lag.Maybe[int64]{}},
	} {
		if got := tt.g.Holes(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
