package admin_test

import (
	"log/slog"
	"maps"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/admin"
)

func TestWhoAnswersAndHowManyCopiesARecordHas(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Nodes(3))
	b.CreateTopic("orders", 6, map[string]string{"min.insync.replicas": "2"})
	got, err := client(b.Addr()).Reach(t.Context(), "orders")
	if want := map[int32]bool{0: true, 1: true, 2: true}; err != nil || !maps.Equal(got.Up, want) || got.MinInSync["orders"] != 2 {
		t.Fatalf("all are there: %+v, %v", got, err)
	}
}

// A broker that takes connections and says nothing is down, and so is one that holds a copy and has left the cluster.
func TestASilentBrokerAndOneThatHasLeftAreDown(t *testing.T) {
	t.Parallel()
	mute := silent(t)
	b := brokertest.Start(t)
	b.CreateTopic("orders", 1, nil)
	b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed})
	b.ControlKey(kmsg.Metadata, func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		res := req.ResponseKind().(*kmsg.MetadataResponse)
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic = kmsg.StringPtr("orders")
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Replicas, p.ISR = []int32{0, 5, 7}, []int32{0}
		topic.Partitions = append(topic.Partitions, p)
		res.Brokers = []kmsg.MetadataResponseBroker{node(t, 0, b.Addr()), node(t, 5, mute)}
		res.Topics = append(res.Topics, topic)
		return res, nil, true
	})
	a := admin.New(kafka.Options{Brokers: []string{b.Addr()}, ClientID: "orderctl-test", Timeout: 500 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	got, err := a.Reach(t.Context(), "orders")
	if want := map[int32]bool{0: true, 5: false, 7: false}; err != nil || !maps.Equal(got.Up, want) {
		t.Errorf("broker 5 is mute, broker 7 is not in the cluster: %+v, %v", got, err)
	}
	if len(got.MinInSync) != 0 {
		t.Errorf("a configuration that may not be read is %v", got.MinInSync)
	}
}

func node(t *testing.T, id int32, addr string) kmsg.MetadataResponseBroker {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	broker := kmsg.NewMetadataResponseBroker()
	broker.NodeID, broker.Host, broker.Port = id, host, int32(n)
	return broker
}

func TestNobodyIsThere(t *testing.T) {
	t.Parallel()
	if got, err := client("127.0.0.1:1").Reach(t.Context(), "orders"); err == nil {
		t.Errorf("%+v", got)
	}
}
