//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// topLine is what the test reads of a line of top -o jsonl.
type topLine struct {
	Live   bool    `json:"live"`
	Error  *string `json:"error"`
	Sample *struct {
		Group struct {
			Unread   lag.Maybe[int64] `json:"unread"`
			AtLeast  bool             `json:"unread_is_lower_bound"`
			Members  lag.Maybe[int]   `json:"members"`
			Complete bool             `json:"complete"`
		} `json:"group"`
		Partitions []struct {
			Topic     string           `json:"topic"`
			Partition int32            `json:"partition"`
			Committed lag.Maybe[int64] `json:"committed"`
			End       lag.Maybe[int64] `json:"end"`
			Unread    lag.Maybe[int64] `json:"unread"`
		} `json:"partitions"`
		Pending lag.Maybe[struct {
			Retry, Parked, Dead int64
		}] `json:"pending"`
	} `json:"sample"`
	Events []struct {
		Kind string `json:"kind"`
		Text string `json:"text"`
	} `json:"events"`
}

// topLines are the lines that were written until now.
func topLines(t *testing.T, p *process) []topLine {
	t.Helper()
	var lines []topLine
	text := p.out.String()
	for line := range strings.Lines(text[:strings.LastIndexByte(text, '\n')+1]) {
		var l topLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines = append(lines, l)
	}
	return lines
}

// happens waits for an event that was told after the first lines.
func happens(t *testing.T, p *process, from int, kind, text string) {
	t.Helper()
	expr := regexp.MustCompile(text)
	eventually(t, 2*time.Minute, "the event "+text, func() error {
		var told []string
		for _, l := range topLines(t, p)[from:] {
			for _, e := range l.Events {
				if e.Kind == kind && expr.MatchString(e.Text) {
					return nil
				}
				told = append(told, e.Text)
			}
		}
		return fmt.Errorf("events %q", told)
	})
}

// lives waits for a line after the first ones that is live and in which nothing is unknown.
func lives(t *testing.T, p *process, from int) {
	t.Helper()
	eventually(t, time.Minute, "top is live and complete", func() error {
		lines := topLines(t, p)
		for _, l := range lines[from:] {
			if l.Live && l.Sample.Group.Complete {
				return nil
			}
		}
		return fmt.Errorf("%d lines since", len(lines)-from)
	})
}

// Three nodes: top sees a worker join, a node that stands still and comes back, leaders that move; and its figures are those
// of lag at the same moment.
func TestTopOnRealKafka(t *testing.T) {
	k := startKafka(t, 3)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs(), "ORDERCTL_TOPICS_REPLICATION_FACTOR=3", "ORDERCTL_TOPICS_MIN_INSYNC_REPLICAS=2",
		"ORDERCTL_TOPICS_PARTITIONS=6")
	b.must(0, time.Minute, "topics", "apply", "--yes")
	work := func(name string) *process {
		return b.start("consume", "--handler", "discard", "--instance-id", name, "--admin-addr", "127.0.0.1:0")
	}
	first := work("worker-1")
	b.must(0, time.Minute, "produce", "--count", "600", "--rate", "max", "-q")
	eventually(t, time.Minute, "all is read", func() error { return unreadIs(b, 0) })

	top := b.start("top", "--interval", "1s", "-o", "jsonl")
	lives(t, top, 0)
	from := len(topLines(t, top))
	second := work("worker-2")
	happens(t, top, from, "members", `^members 1 -> 2, worker-2 joined$`)

	leader, err := k.Leader(t.Context(), "orders", 0)
	if err != nil {
		t.Fatal(err)
	}
	from = len(topLines(t, top))
	if err := k.Freeze(leader); err != nil {
		t.Fatal(err)
	}
	happens(t, top, from, "leader", fmt.Sprintf(`^leader of orders/0: b%d -> b\d`, leader))
	from = len(topLines(t, top)) // the cluster may move leaders back by itself
	if err := k.Thaw(leader); err != nil {
		t.Fatal(err)
	}
	lives(t, top, len(topLines(t, top)))
	eventually(t, time.Minute, "all replicas are in sync", func() error { return k.InSync(t.Context(), "orders") })

	if _, err := k.Tool(t.Context(), "org.apache.kafka.tools.LeaderElectionCommand", "--bootstrap-server", k.Addr(leader%3+1),
		"--election-type", "preferred", "--all-topic-partitions"); err != nil {
		t.Logf("preferred leaders: %v", err) // they may be back already
	}
	happens(t, top, from, "leader", fmt.Sprintf(`^leader of orders/\d: b\d -> b%d`, leader))
	lives(t, top, len(topLines(t, top)))

	for _, w := range []*process{first, second} {
		w.signal(syscall.SIGTERM)
		w.wait(time.Minute)
	}
	happens(t, top, from, "members", `^members \d -> 0`)
	b.must(0, time.Minute, "produce", "--count", "250", "--rate", "max", "-q")
	sameFigures(t, b, 250)
	top.signal(syscall.SIGTERM)
	if code := top.wait(10 * time.Second); code != 0 {
		t.Errorf("top ends with %d", code)
	}
}

func unreadIs(b *box, want int64) error {
	r := b.run(30*time.Second, "lag", "-o", "json")
	var report lag.Report
	if r.code != 0 {
		return fmt.Errorf("lag: exit %d: %s", r.code, r.stderr)
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(r.stdout, `"status": "`, `"word": "`)), &report); err != nil {
		return err
	}
	if g := report.Groups[0]; !g.Unread.Known || g.LowerBound || g.Unread.V != want {
		return fmt.Errorf("unread %+v", g.Unread)
	}
	return nil
}

// sameFigures holds a line of top against a report of lag, while nothing moves.
func sameFigures(t *testing.T, b *box, unread int64) {
	t.Helper()
	eventually(t, time.Minute, "what was produced is unread", func() error { return unreadIs(b, unread) })
	var report struct {
		Groups []struct {
			Unread     lag.Maybe[int64] `json:"unread"`
			Partitions []struct {
				Topic     string           `json:"topic"`
				Partition int32            `json:"partition"`
				Role      string           `json:"role"`
				Committed lag.Maybe[int64] `json:"committed"`
				End       lag.Maybe[int64] `json:"end"`
				Unread    lag.Maybe[int64] `json:"unread"`
			} `json:"partitions"`
		} `json:"groups"`
	}
	if err := json.Unmarshal([]byte(b.must(0, time.Minute, "lag", "-o", "json").stdout), &report); err != nil {
		t.Fatal(err)
	}
	var line topLine
	if err := json.Unmarshal([]byte(b.must(0, time.Minute, "top", "--once", "-o", "jsonl").stdout), &line); err != nil {
		t.Fatal(err)
	}
	g := report.Groups[0]
	if line.Sample.Group.Unread != g.Unread || line.Sample.Group.AtLeast {
		t.Errorf("top says %+v unread, lag %+v", line.Sample.Group.Unread, g.Unread)
	}
	sum, compared := int64(0), 0
	for _, row := range line.Sample.Partitions {
		sum += row.Unread.V
		for _, other := range g.Partitions {
			if other.Topic != row.Topic || other.Partition != row.Partition {
				continue
			}
			compared++
			if other.Committed != row.Committed || other.End != row.End || other.Unread != row.Unread {
				t.Errorf("%s/%d: top %+v, lag %+v", row.Topic, row.Partition, row, other)
			}
		}
	}
	if sum != unread || compared != 6 {
		t.Errorf("the rows add up to %d, and %d were compared", sum, compared)
	}
}
