package main

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
)

// A login that may not see all is told so, by 4 where it sees nothing and by 6 where it sees a part; no check calls that well, and
// nobody waits for what will not come.
func TestWhatALoginMayNotSee(t *testing.T) {
	t.Parallel()
	right := func(kind kmsg.ACLResourceType, name string) brokertest.ACL {
		return brokertest.ACL{Resource: kind, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationDescribe, Allow: true}
	}
	group, topic := right(kmsg.ACLResourceTypeGroup, "orders-worker"), right(kmsg.ACLResourceTypeTopic, "orders")
	b := brokertest.Start(t, brokertest.Topics(2, "orders"), brokertest.SASL("PLAIN", "admin", "a"), brokertest.User("PLAIN", "nobody", "n"),
		brokertest.User("PLAIN", "grouped", "g", group), brokertest.User("PLAIN", "topical", "t", topic), brokertest.User("PLAIN", "both", "b", group, topic))
	b.Commit(t, "orders-worker", "orders", 0, 0)
	for _, tt := range []struct {
		user, args string
		code       int
		stdout     string
	}{
		{"nobody", "lag", exitDenied, "orders-worker  UNKNOWN  ? unread\n"},
		{"nobody", "lag --check", 3, "LAG UNKNOWN - NO-ACCESS |"},
		{"nobody", "lag -t orders -p 0 --check", 3, "LAG UNKNOWN - orders/? NO-ACCESS |"},
		{"nobody", "lag --peek orders/0", exitDenied, ""},
		{"nobody", "lag --wait --timeout 1m", exitDenied, "orders-worker  UNKNOWN  ? unread\n"},
		{"nobody", "lag -A --check", 3, "LAG UNKNOWN - no groups |"},
		{"nobody", "offsets show", exitDenied, ""},
		{"nobody", "trace A-1", exitDenied, ""},
		{"nobody", "topics plan", exitDenied, ""},
		{"grouped", "lag", exitPartial, "orders-worker  UNKNOWN  ? unread\n"},
		{"grouped", "lag --check", 3, "LAG UNKNOWN - orders/? NO-ACCESS; "},
		{"grouped", "lag --peek orders/0", exitDenied, ""},
		{"grouped", "lag --wait --timeout 1m", exitDenied, "orders-worker  UNKNOWN  ? unread\n"},
		{"topical", "lag -t orders", exitDenied, "orders-worker  UNKNOWN  ? unread\n"},
		{"topical", "lag -t orders -p 0 --check", 3, "LAG UNKNOWN - orders/0 NO-ACCESS |"},
		{"topical", "lag --peek orders/0", exitDenied, ""},
		{"both", "lag -t orders --summary", exitOK, "orders-worker WARNING unread=0 "},
		{"both", "lag --peek orders/0", exitNotFound, ""},
		{"both", "lag --peek orders/7", exitNotFound, ""},
		{"both", "lag -t payments --check", 3, "LAG UNKNOWN - payments/? NO-ACCESS |"},
	} {
		p := newTestProcess(t, strings.Fields(tt.args)...)
		p.environ = []string{
			"HOME=" + t.TempDir(), "ORDERCTL_KAFKA_BROKERS=" + b.Addr(), "ORDERCTL_KAFKA_SASL_MECHANISM=PLAIN", "ORDERCTL_KAFKA_SASL_ALLOW_PLAINTEXT=true",
			"ORDERCTL_KAFKA_SASL_USERNAME=" + tt.user, "ORDERCTL_KAFKA_SASL_PASSWORD=" + tt.user[:1],
		}
		if code := run(p.env); code != tt.code || !strings.HasPrefix(p.out.String(), tt.stdout) {
			t.Errorf("%s, %s: exit %d\n%s%s", tt.user, tt.args, code, p.out, p.err)
		}
	}
}
