package main

import (
	"context"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kgo"

	"commerce.internal/orderctl/internal/broker"
)

// bomb writes a record that unpacks to more than anybody should, to partition 0 of a topic.
func bomb(ts *testscript.TestScript, _ bool, args []string) {
	b, _ := ts.Value(brokerKey{}).(*broker.Broker)
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(80<<20), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	ts.Check(err)
	defer cl.Close()
	ts.Check(cl.ProduceSync(context.Background(), &kgo.Record{Topic: args[0], Value: make([]byte, 65<<20)}).FirstErr())
}
