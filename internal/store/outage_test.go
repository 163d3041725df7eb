package store_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

// What is read goes in one round trip, what is written in another, and the commit goes with it.
func TestABatchIsTwoRoundTrips(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		d := e.database(t)
		o, p := through(t, d)
		o.MaxOpen = 2 // one that writes
		s := open(t, o)
		for _, prefix := range []string{"warm", "new"} { // the first round prepares
			p.Trips()
			applied(t, s, samples(prefix, 64, sample)...)
			inserts := p.Trips()
			applied(t, s, samples(prefix, 64, paid)...)
			if updates := p.Trips(); prefix == "new" && (inserts != 2 || updates != 2) {
				t.Errorf("a batch of new orders took %d round trips, one of known orders %d, want 2", inserts, updates)
			}
		}
		if n := d.Int(t, `SELECT count(*) FROM orders WHERE status = 'PAID'`); n != 128 {
			t.Errorf("%d orders, want 128", n)
		}
	})
}

// The commit is done and its answer lost: run again, the row decides.
func TestTheAnswerToACommitIsLost(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		d := e.database(t)
		o, p := through(t, d)
		s := open(t, o)
		applied(t, s, sample("before"))
		_, err := hurt(t, s, p.LoseAnswer, samples("A", 5, sample)...)
		isOutage(t, err)
		waitFor(t, func() bool { return d.Int(t, `SELECT count(*) FROM orders WHERE order_id LIKE 'A-%'`) == 5 })
		applied(t, s, samples("A", 5, sample)...)
		for _, table := range []string{"orders", "orderctl_messages"} {
			if n := d.Int(t, `SELECT count(*) FROM `+table); n != 6 {
				t.Errorf("%d rows in %s, want 6", n, table)
			}
		}
	})
}

func TestAConnectionIsKilledInABatch(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		d := e.database(t)
		s := open(t, d.Options)
		applied(t, s, sample("before"))
		_, err := hurt(t, s, func() { e.kill(t, d) }, samples("A", 64, sample)...)
		isOutage(t, err)
		if n := d.Int(t, `SELECT count(*) FROM orders`) + d.Int(t, `SELECT count(*) FROM orderctl_messages`); n != 2 {
			t.Errorf("%d rows, want those of before", n)
		}
		applied(t, s, samples("A", 64, sample)...)
		mustFind(t, s, true, "before", "A-0", "A-63")
	})
}

// A firewall, or a server that was restarted, has ended what nobody used: that is no outage.
func TestAConnectionDiesWhileItIsIdle(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		d := e.database(t)
		s := open(t, d.Options)
		for _, id := range []string{"A", "B", "C"} {
			applied(t, s, sample(id))
			mustFind(t, s, true, id)
			e.kill(t, d)
			waitFor(t, func() bool { return d.Int(t, e.conns) == 0 })
			mustFind(t, s, true, id)
			e.kill(t, d)
		}
		applied(t, s, sample("D"))
	})
}

func TestTheServerGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		server := e.start(t)
		defer server.Close()
		server.Exec(t, server.Home(), "CREATE DATABASE shop")
		o := store.Options{Driver: e.driver, DSN: server.DSN("shop"), Migrate: true, Log: slog.New(slog.DiscardHandler)}
		s := open(t, o)
		applied(t, s, sample("before"))
		server.Stop()
		later, err := store.OpenLater(o)
		if err != nil {
			t.Fatal(err)
		}
		defer later.Close()
		for range 3 {
			began := time.Now()
			_, err := applyOrders(t, s, sample("during"))
			isOutage(t, err)
			for _, x := range []*store.Store{s, later} {
				_, err = x.Order(t.Context(), "g", "before")
				isOutage(t, err)
				isOutage(t, x.Ping(t.Context()))
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v to say that nobody is there", took)
			}
		}
		_, err = store.Open(t.Context(), o)
		wantCoded(t, err, 3, "cannot use database", "store.dsn")
		server.Start(t)
		began := time.Now()
		applied(t, s, sample("during"), sample("after"))
		mustFind(t, s, true, "before", "during", "after")
		mustFind(t, later, true, "before", "during", "after")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v to go on", took)
		}
	})
}

// Nothing comes back and no connection ends: the deadline of the caller does.
func TestASilentServer(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		o, p := through(t, e.database(t))
		s := open(t, o)
		applied(t, s, sample("before"))
		p.Silence()
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			began := time.Now()
			_, err := s.Apply(ctx, "g", []queue.Lookup{{MsgID: "m"}}, nil)
			refused(t, err, queue.ClassTimeout, "deadline")
			_, err = s.Order(ctx, "g", "before")
			refused(t, err, queue.ClassTimeout, "deadline")
			if took := time.Since(began); took > 7*time.Second {
				t.Errorf("it waited %v", took)
			}
			cancel()
		}
		p.Heal()
		p.Cut()
		waitFor(t, func() bool { return s.Ping(t.Context()) == nil })
		applied(t, s, sample("after"))
	})
}

// Another database under the same name would forget what is done.
func TestAnotherDatabaseTakesThePlace(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		d := e.database(t)
		s := open(t, d.Options)
		applied(t, s, sample("before"))
		d.Exec(t, `UPDATE orderctl_store SET id = 'another'`)
		e.kill(t, d)
		for range 2 {
			_, err := applyOrders(t, s, sample("during"))
			refused(t, err, queue.ClassOutage, "replaced")
			refused(t, s.Ping(t.Context()), queue.ClassOutage, "replaced")
		}
	})
}

// A process that only looks neither makes nor migrates a database, and sees it as soon as it is there.
func TestAStoreThatIsOpenedLater(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, e engine) {
		d := e.database(t)
		s, err := store.OpenLater(d.Options)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for range 2 {
			_, err := s.Order(t.Context(), "g", "A")
			refused(t, err, queue.ClassOutage, "schema")
		}
		if status, err := store.Status(t.Context(), d.Options); err != nil || status.Have != 0 {
			t.Fatalf("looking has made a schema: %+v, %v", status, err)
		}
		applied(t, open(t, d.Options), sample("A"))
		mustFind(t, s, true, "A")
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		o := options(filepath.Join(t.TempDir(), "state", "orders.db"))
		s, err := store.OpenLater(o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		_, err = s.Order(t.Context(), "g", "A")
		refused(t, err, queue.ClassOutage, "gone")
		applied(t, open(t, o), sample("A"))
		mustFind(t, s, true, "A")
	})
	if _, err := store.OpenLater(store.Options{Driver: "sqlite", Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a mistake in the options came later")
	}
}
