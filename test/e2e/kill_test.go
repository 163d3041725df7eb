//go:build e2e

package e2e

import (
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const (
	kills     = 10
	loadRate  = 500
	perKill   = 400 // accepted orders between two kills, so that each kill meets load
	loadBound = 5 * time.Minute
)

// underLoad runs `produce` against the API at addr while kill is called ten times, each after more orders were accepted.
func underLoad(t *testing.T, b *box, s *shop, addr string, kill func(n int)) {
	t.Helper()
	load := b.start("produce", "--rate", strconv.Itoa(loadRate), "--via", "http", "--url", "http://"+addr,
		"--keys", "1k", "--acked", s.acked, "--min-rate", "0%", "-o", "json")
	for n := range kills {
		want := len(s.ackedIDs()) + perKill
		eventually(t, loadBound, "orders are accepted between two kills", func() error {
			if len(s.ackedIDs()) < want {
				return errNotYet
			}
			return nil
		})
		kill(n)
	}
	want := len(s.ackedIDs()) + perKill
	eventually(t, loadBound, "orders are accepted after the last kill", func() error {
		if len(s.ackedIDs()) < want {
			return errNotYet
		}
		return nil
	})
	load.signal(syscall.SIGINT)
	load.wait(time.Minute)
	var sum produced
	decode(t, load.out.String(), &sum)
	if sum.Sent != sum.Acknowledged+sum.NotSent+sum.Rejected+sum.Unknown {
		t.Errorf("produce loses count: %+v", sum)
	}
	if ids := s.ackedIDs(); len(ids) != sum.Acknowledged {
		t.Errorf("%d ids noted, %d acknowledged", len(ids), sum.Acknowledged)
	}
	t.Logf("produce: %+v", sum)
}

// Point 3 on a laptop: the whole queue in one process, killed ten times.
func TestDevKilledTenTimesUnderLoad(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	data := filepath.Join(b.home, "data")
	s := newShop(t, data)
	b.env = append(b.env, "ORDERCTL_CONSUME_EFFECT_FILE="+s.effect)
	kafka, api, admin := port(t), port(t), port(t)
	run := func() *process {
		p := b.start("dev", "--data-dir", data, "--kafka-addr", kafka, "--addr", api, "--admin-addr", admin)
		serving(t, api)
		return p
	}
	p := run()
	underLoad(t, b, s, api, func(int) {
		p.kill()
		p = run()
	})
	s.settled(2 * time.Minute)
	s.exact()
	p.signal(syscall.SIGINT)
	if code := p.wait(time.Minute); code != 0 {
		t.Errorf("dev ends with %d after Ctrl-C", code)
	}
}

// Point 3 on real Kafka: serve and consume are processes of their own, killed in turn, ten times each.
func TestServeAndConsumeKilledTenTimesUnderLoad(t *testing.T) {
	t.Parallel()
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs())
	s := newShop(t, filepath.Join(b.home, "db"))
	b.env = append(b.env, "ORDERCTL_STORE_DSN="+s.db, "ORDERCTL_CONSUME_EFFECT_FILE="+s.effect)
	b.must(0, time.Minute, "topics", "apply", "--yes")
	b.must(0, time.Minute, "db", "migrate")
	api, admin, workerAdmin := port(t), port(t), port(t)
	serve := func() *process {
		p := b.start("serve", "--addr", api, "--admin-addr", admin)
		serving(t, api)
		return p
	}
	consume := func() *process { return b.start("consume", "--admin-addr", workerAdmin) }
	front, worker := serve(), consume()
	underLoad(t, b, s, api, func(int) {
		front.kill()
		worker.kill()
		worker = consume()
		front = serve()
	})
	s.settled(3 * time.Minute)
	s.exact()
	for _, p := range []*process{front, worker} {
		p.signal(syscall.SIGTERM)
		if code := p.wait(time.Minute); code != 0 {
			t.Errorf("orderctl %s ends with %d after SIGTERM", p.name, code)
		}
	}
}
