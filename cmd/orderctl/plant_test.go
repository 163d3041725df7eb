package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"commerce.internal/orderctl/internal/broker"
)

// What the topic takes from anybody, the worker must be able to bury: a letter is larger than its record.
func TestTheLargestRecordOfTheSourceBecomesALetter(t *testing.T) {
	t.Parallel()
	b, err := broker.Open(broker.Options{Log: slog.New(slog.DiscardHandler), Addr: "127.0.0.1:0", Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	environ := []string{"ORDERCTL_KAFKA_BROKERS=" + b.Addr(), "ORDERCTL_CONSUME_ADMIN_ADDR=127.0.0.1:0", "ORDERCTL_TOPICS_PARTITIONS=1"}
	if raw, err := orderctl(t, environ, "topics", "apply", "--yes").CombinedOutput(); err != nil {
		t.Fatalf("topics apply: %v, %s", err, raw)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ProducerBatchMaxBytes(1_048_576), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	r := &kgo.Record{Topic: "orders", Key: []byte("k"), Value: bytes.Repeat([]byte("x"), 1_048_000)}
	if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatalf("produce: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := orderctl(t, environ, "consume", "--until-empty", "--drain-timeout", "1s")
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	raw, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 6 {
		t.Errorf("consume --until-empty = %v, want exit 6\n%s", err, raw)
	}
}
