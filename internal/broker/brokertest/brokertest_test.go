package brokertest_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/queue"
)

func TestWhatWasProducedIsReadAndCommitted(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(3, "orders"), brokertest.Nodes(3))
	at := brokertest.Produce(t, b,
		queue.Message{Topic: "orders", Partition: 2, Key: []byte("k"), Value: []byte("v"), Headers: []queue.Header{{Name: "h", Value: []byte("1")}}},
		queue.Message{Topic: "orders", Partition: 0, Value: []byte("w")},
		queue.Message{Topic: "orders", Partition: 2})
	if at[0].Offset != 0 || at[2].Offset != 1 || at[1].Partition != 0 {
		t.Errorf("positions %v", at)
	}
	got := b.Records(t, "orders")
	if len(got) != 3 || got[0].Partition != 0 || string(got[1].Key) != "k" || string(got[1].Headers[0].Value) != "1" || got[2].Value != nil {
		t.Errorf("records %+v", got)
	}
	if len(b.Committed(t, "g")) != 0 {
		t.Error("a group that does not exist has committed something")
	}
	b.Commit(t, "g", "orders", 2, 1)
	if got := b.Committed(t, "g")[brokertest.TP{Topic: "orders", Partition: 2}]; got != 1 {
		t.Errorf("committed %d", got)
	}
}

func TestAFaultMeetsAGroupThatDoesNotExist(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	c := b.Client()
	ask := func() int16 {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "nobody", Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "orders", Partitions: []int32{0}}}}}
		req.Group = "nobody"
		resp, err := req.RequestWith(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Groups[0].ErrorCode
	}
	if code := ask(); code != 0 {
		t.Errorf("unknown group: %v", kerr.ErrorForCode(code))
	}
	f := b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Group: "nobody", Err: kerr.GroupAuthorizationFailed})
	if code := ask(); code != kerr.GroupAuthorizationFailed.Code || f.Hits() != 1 {
		t.Errorf("faulted: %v, %d hits", kerr.ErrorForCode(code), f.Hits())
	}
	if code := ask(); code != 0 {
		t.Errorf("after the fault: %v", kerr.ErrorForCode(code))
	}
}

func TestABrokerWithLoginAndTLS(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"), brokertest.TLS(true),
		brokertest.SASL(brokertest.Scram512, "admin", "secret"),
		brokertest.User(brokertest.Plain, "shop", "s", brokertest.ACL{
			Resource: kmsg.ACLResourceTypeTopic, Name: "orders", Pattern: kmsg.ACLResourcePatternTypeLiteral,
			Operation: kmsg.ACLOperationWrite, Allow: true,
		}))
	brokertest.Produce(t, b, queue.Message{Topic: "orders", Value: []byte("v")})
	if n := len(b.Records(t, "orders")); n != 1 {
		t.Errorf("%d records", n)
	}
	ca, err := os.ReadFile(b.Files().CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	pair, err := tls.LoadX509KeyPair(b.Files().Cert, b.Files().Key)
	if err != nil {
		t.Fatal(err)
	}
	shop, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.SASL(plain.Auth{User: "shop", Pass: "s"}.AsMechanism()), kgo.DisableIdempotentWrite(),
		kgo.DialTLSConfig(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}))
	if err != nil {
		t.Fatal(err)
	}
	defer shop.Close()
	if err := shop.ProduceSync(t.Context(), &kgo.Record{Topic: "orders"}).FirstErr(); err != nil {
		t.Errorf("what the rights allow: %v", err)
	}
	err = shop.ProduceSync(t.Context(), &kgo.Record{Topic: "other"}).FirstErr()
	if !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("what they do not allow: %v", err)
	}
}
