package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
	"commerce.internal/orderctl/internal/store/dbtest"
	"commerce.internal/orderctl/internal/store/storetest"
)

// engine is a database server as these tests see it.
type engine struct {
	driver   string
	database func(testing.TB) storetest.Database
	start    func(testing.TB) *dbtest.Server
	kill     func(t testing.TB, d storetest.Database) // ends all connections to a database but its own
	conns    string                                   // counts them
}

// onServers runs a test on each kind of server.
func onServers(t *testing.T, run func(t *testing.T, e engine)) {
	t.Helper()
	for _, e := range []engine{
		{
			driver: "postgres", database: postgresDatabase, start: dbtest.StartPostgres,
			kill: func(t testing.TB, d storetest.Database) {
				d.Exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
			},
			conns: `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
		},
		{
			driver: "mysql", database: mysqlDatabase, start: dbtest.StartMySQL, kill: killMySQL,
			conns: `SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()`,
		},
	} {
		t.Run(e.driver, func(t *testing.T) {
			t.Parallel()
			run(t, e)
		})
	}
}

func killMySQL(t testing.TB, d storetest.Database) {
	t.Helper()
	next := `SELECT COALESCE(MIN(id), 0) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID() AND command <> 'Killed'`
	db := dbtest.Open(t, "mysql", d.Options.DSN)
	defer db.Close()
	for id := d.Int(t, next); id != 0; id = d.Int(t, next+fmt.Sprintf(" AND id > %d", id)) {
		_, _ = db.ExecContext(t.Context(), fmt.Sprintf("KILL %d", id)) // it may have ended by itself
	}
}

// through is the same database behind a proxy.
func through(t testing.TB, d storetest.Database) (store.Options, *dbtest.Proxy) {
	t.Helper()
	o := d.Options
	at := strings.Index(o.DSN, "127.0.0.1:")
	end := at + strings.IndexAny(o.DSN[at:], ")/")
	p := dbtest.StartProxy(t, o.DSN[at:end])
	o.DSN = o.DSN[:at] + p.Addr() + o.DSN[end:]
	return o, p
}

// paid is the next message of an order.
func paid(id string) order.Order {
	o := sample(id)
	o.Status = order.Paid
	return o
}

// applied applies orders, and all of them must be.
func applied(t testing.TB, s *store.Store, orders ...order.Order) {
	t.Helper()
	errs, err := applyOrders(t, s, orders...)
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

// hurt applies orders, and does something after they are read and before they are written.
func hurt(t testing.TB, s *store.Store, harm func(), orders ...order.Order) ([]error, error) {
	t.Helper()
	look := make([]queue.Lookup, len(orders))
	for i, o := range orders {
		look[i] = queue.Lookup{MsgID: o.MessageID(), OrderID: o.OrderID}
	}
	return s.Apply(t.Context(), "g", look, func(i int, seen queue.Seen) queue.Change {
		if i == 0 {
			harm()
		}
		if len(seen.Message) > 0 {
			return queue.Change{}
		}
		return newOrder(orders[i], seen)
	})
}

// newOrder is the change of a message that takes effect.
func newOrder(o order.Order, seen queue.Seen) queue.Change {
	at := queue.Position{Topic: "orders", Offset: 1}
	return queue.Change{
		Writes: []queue.Write{{Kind: queue.Insert, Row: queue.Row{
			RowKey: queue.RowKey{MsgID: o.MessageID(), Fingerprint: "f"}, State: queue.StateDone, Outcome: queue.Applied,
			At: at, Src: at, OrderID: o.OrderID, Control: -1,
		}}},
		Effect: &queue.Effect{Order: o, Value: []byte("{}"), MessageID: o.MessageID(), Src: at, Insert: seen.Stored == nil},
	}
}

// isOutage checks that an error is an outage: nobody's order is to blame, nothing is counted.
func isOutage(t testing.TB, err error) {
	t.Helper()
	var f *queue.Failure
	if !errors.As(err, &f) || f.Class != queue.ClassOutage || f.Code == "" {
		t.Fatalf("error is %v, want an outage", err)
	}
}

func samples(prefix string, n int, make func(string) order.Order) []order.Order {
	out := []order.Order{}
	for _, id := range names(prefix, n) {
		out = append(out, make(id))
	}
	return out
}
