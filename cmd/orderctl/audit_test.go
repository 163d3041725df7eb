package main

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kgo"

	"commerce.internal/orderctl/internal/broker"
	"commerce.internal/orderctl/internal/inspect"
	"commerce.internal/orderctl/internal/order"
)

// runSQL is "sql FILE STATEMENT": it runs a statement on a SQLite database, behind the back of everybody.
func runSQL(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite", "file:"+ts.MkAbs(args[0])+"?_pragma=busy_timeout(5000)")
	ts.Check(err)
	defer db.Close()
	r, err := db.ExecContext(context.Background(), args[1])
	ts.Check(err)
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		ts.Fatalf("%s changed %d rows, %v", args[1], n, err)
	}
}

// disguised is "disguised TOPIC KEY VALUE": a record whose key is plain, and whose headers are out to take over a terminal.
func disguised(ts *testscript.TestScript, _ bool, args []string) {
	b, _ := ts.Value(brokerKey{}).(*broker.Broker)
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	ts.Check(err)
	defer cl.Close()
	ts.Check(cl.ProduceSync(context.Background(), &kgo.Record{
		Topic: args[0], Key: []byte(args[1]), Value: []byte(args[2]),
		Headers: []kgo.RecordHeader{
			{Key: "orderctl-client", Value: []byte("shop" + evil)}, {Key: "orderctl-request-id", Value: []byte("r" + evil + "\x9b")},
		},
	}).FirstErr())
}

// elsewhere is "elsewhere TOPIC PARTITION KEY VALUE": a record that a foreign partitioner put where it does not belong.
func elsewhere(ts *testscript.TestScript, _ bool, args []string) {
	b, _ := ts.Value(brokerKey{}).(*broker.Broker)
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	ts.Check(err)
	defer cl.Close()
	ts.Check(cl.ProduceSync(context.Background(), &kgo.Record{
		Topic: args[0], Partition: int32(args[1][0] - '0'), Key: []byte(args[2]), Value: []byte(args[3]),
	}).FirstErr())
}

func TestMoneyIsWrittenAsItsCurrencyDoes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		minor int64
		code  string
		want  string
	}{{13912, "CNY", "139.12"}, {5, "EUR", "0.05"}, {0, "EUR", "0.00"}, {139, "JPY", "139"}, {1234, "KWD", "1.234"}, {7, "", "7"}} {
		if got := money(tt.minor, tt.code); got != tt.want {
			t.Errorf("%d %s: %s, want %s", tt.minor, tt.code, got, tt.want)
		}
	}
}

// The timeline is the one of the design, byte for byte.
func TestTheTimelineAsItIsPrinted(t *testing.T) {
	t.Parallel()
	at := func(clock string) time.Time {
		when, err := time.Parse(time.RFC3339, "2026-11-22T"+clock)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	due := at("03:12:14.802Z")
	place := func(e inspect.Event, topic string, offset int64) inspect.Event {
		p := int32(7)
		e.Topic, e.Partition, e.Offset = topic, &p, &offset
		return e
	}
	r := &inspect.TraceReport{
		OrderID: "9f3c-2071", State: inspect.StateApplied, AsOf: at("04:00:00Z"), Since: at("02:00:00Z"), Partition: 7, Database: true,
		Order:    &inspect.TracedOrder{Status: "CREATED", Currency: "CNY", TotalAmount: 13912},
		Searched: []inspect.Searched{{Records: 18_000, Bytes: 9_500_000, Complete: true}, {Records: 204, Bytes: 1 << 10, Complete: true}},
		Messages: []inspect.TracedMessage{{MsgID: "9f3c-2071:CREATED", State: inspect.StateApplied, Outcome: "applied"}},
		Events: []inspect.Event{
			place(inspect.Event{Time: at("03:12:07.114Z"), Kind: inspect.EventAccepted, Status: "CREATED", RequestID: "6f1d", Client: "shop-eu", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Order: &order.Order{}}, "orders", 884120),
			place(inspect.Event{Time: at("03:12:09.802Z"), Kind: inspect.EventRetry, Status: "CREATED", Attempts: 3, Message: "504 from downstream", Due: &due}, "orders.orders-worker.retry.5s", 512),
			place(inspect.Event{Time: at("03:13:20.411Z"), Kind: inspect.EventDead, Status: "CREATED", Class: "exhausted", Code: "payment-timeout", Attempts: 6}, "orders.orders-worker.dlq", 31),
			place(inspect.Event{Time: at("03:41:10.220Z"), Kind: inspect.EventReplayed, Job: "r-17"}, "orders.orders-worker.dlq.audit", 88),
			{Time: at("03:41:11.002Z"), Kind: inspect.EventDone, Status: "CREATED", Outcome: "applied"},
		},
	}
	p := newTestProcess(t)
	s := &session{app: newApp(p.env)}
	s.global.format = "table"
	if err := s.printTrace(r, false); err != nil {
		t.Fatal(err)
	}
	const want = `order 9f3c-2071  APPLIED  CREATED 139.12 CNY; searched partition 7 since 02:00:00Z: 18,204 records, 9.1 MiB, database
03:12:07.114Z           orders/7@884120                      accepted CREATED, request 6f1d, client shop-eu, trace 4bf92f35
03:12:09.802Z    +2.7s  orders.orders-worker.retry.5s/7@512  retry, attempts 3, 504 from downstream, due 03:12:14.802Z
03:13:20.411Z   +1m11s  orders.orders-worker.dlq/7@31        dead, exhausted/payment-timeout, attempts 6
03:41:10.220Z  +27m50s  orders.orders-worker.dlq.audit/7@88  replayed, job r-17
03:41:11.002Z    +0.8s  database                             applied CREATED
`
	if got := p.out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
