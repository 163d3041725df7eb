//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/test/kraft"
)

// asKafkaSays compares the numbers of a group with those of Kafka's own tool. What that calls lag is the end minus the commit:
// of records that were deleted unread it makes lag, of a commit beyond the end a negative number, of a partition without a
// commit nothing. So its lag is unread and lost together, less what is ahead; and where it shows none, nobody has committed.
func asKafkaSays(t *testing.T, k *kraft.Cluster, b *box, group string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	said, err := k.Tool(ctx, "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", k.Addr(1), "--describe", "--group", group)
	if err != nil {
		t.Fatal(err)
	}
	theirs := map[string][3]string{} // commit, end, lag
	for line := range strings.Lines(said) {
		if f := strings.Fields(line); len(f) >= 6 && f[0] == group {
			theirs[f[1]+"/"+f[2]] = [3]string{f[3], f[4], f[5]}
		}
	}
	rows := reportOf(t, b.must(0, 20*time.Second, "lag", group, "-o", "json")).Groups[0].Partitions
	if len(theirs) == 0 || len(rows) < len(theirs) {
		t.Fatalf("%d rows of %s, Kafka has %d:\n%s", len(rows), group, len(theirs), said)
	}
	for _, r := range rows {
		id := fmt.Sprintf("%s/%d", r.Topic, r.Partition)
		want, shown := theirs[id]
		commit, total := "-", "-"
		if r.Committed.Known {
			commit, total = strconv.FormatInt(r.Committed.V, 10), strconv.FormatInt(r.Unread.V+r.Lost.V-r.Ahead.V, 10)
		}
		got := [3]string{commit, strconv.FormatInt(r.End.V, 10), total}
		if shown && got != want || !shown && r.Committed.Known {
			t.Errorf("%s of %s: %v, Kafka's tool says %v\n%s", id, group, got, want, said)
		}
	}
	t.Logf("%s: %d partitions as Kafka's own tool has them", group, len(theirs))
}
