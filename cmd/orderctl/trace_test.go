package main

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"commerce.internal/orderctl/internal/broker"
	"commerce.internal/orderctl/internal/kafka"
)

// counted is a broker behind a wire that counts what comes from it.
func counted(t *testing.T) (*broker.Broker, *atomic.Int64) {
	t.Helper()
	var lc net.ListenConfig
	front, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	back, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := back.Addr().String()
	_ = back.Close() // the broker is told which port to take, for it only names the front
	b, err := broker.Open(broker.Options{
		Addr: addr, Advertise: front.Addr().String(), Memory: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	var bytes atomic.Int64
	var wires sync.WaitGroup
	wires.Go(func() {
		for {
			client, err := front.Accept()
			if err != nil {
				return // closed below
			}
			var d net.Dialer
			server, err := d.DialContext(t.Context(), "tcp", addr)
			if err != nil {
				_ = client.Close()
				continue
			}
			wires.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
			wires.Go(func() {
				_, _ = io.Copy(client, io.TeeReader(server, counter{&bytes}))
				_ = client.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = front.Close()
		_ = b.Close()
		wires.Wait()
	})
	return b, &bytes
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// A search fetches what lies in one partition since it begins, and little more: 1.2 times that and 1 MiB a topic.
func TestTraceFetchesOnePartitionOfAWindow(t *testing.T) {
	t.Parallel()
	const (
		topics  = 7
		window  = 12 << 20 // in each of three partitions; as much lies before it
		size    = 64 << 10
		orderID = "A-1"
	)
	b, fetched := counted(t)
	p := newTestProcess(t, "topics", "apply", "--yes", "-q")
	environ := append(p.environ, "ORDERCTL_KAFKA_BROKERS="+b.Addr(), "ORDERCTL_TOPICS_PARTITIONS=3")
	p.environ = environ
	if code := run(p.env); code != exitOK {
		t.Fatalf("topics apply: %d %s", code, p.err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	rng := rand.NewChaCha8([32]byte{1})
	put := func(age time.Duration, partition int32, key string) {
		t.Helper()
		value := make([]byte, size)
		_, _ = rng.Read(value)
		r := &kgo.Record{Topic: "orders", Partition: partition, Key: []byte(key), Value: value, Timestamp: time.Now().Add(-age)}
		if err := cl.ProduceSync(context.Background(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, age := range []time.Duration{48 * time.Hour, time.Hour} {
		for i := range window / size {
			for partition := range int32(3) {
				if i == window/size/2 && partition == kafka.Partition([]byte(orderID), 3) && age == time.Hour {
					put(age, partition, orderID)
				}
				put(age, partition, "other")
			}
		}
	}
	before := fetched.Load()
	p = newTestProcess(t, "trace", orderID, "--since", "24h")
	p.environ = environ
	if code := run(p.env); code != exitOK || !strings.Contains(p.out.String(), "order A-1  WAITING") {
		t.Fatalf("trace: %d %s%s", code, p.out, p.err)
	}
	got, most := fetched.Load()-before, int64(window*12/10+topics<<20)
	t.Logf("fetched %.1f MiB of a window of %.1f MiB; %.1f MiB are allowed", float64(got)/(1<<20), float64(window)/(1<<20), float64(most)/(1<<20))
	if got > most || got < window {
		t.Errorf("fetched %d bytes, want %d to %d", got, window, most)
	}
}
