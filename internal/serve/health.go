package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"commerce.internal/orderctl/internal/obs"
)

// storeTrouble is the newest answer of the store.
type storeTrouble struct {
	err   error // nil: it answered
	since time.Time
}

func (s *Server) noteStore(err error) {
	last := s.storeErr.Load()
	if last != nil && (last.err == nil) == (err == nil) {
		return
	}
	s.storeErr.Store(&storeTrouble{err: err, since: time.Now()})
}

// Checks says how the server is. They read what is known and ask nobody.
func (s *Server) Checks() []obs.Check {
	checks := []obs.Check{
		{Name: "kafka", Probes: obs.Ready, Report: s.kafkaHealth},
		{Name: "partitions", Report: s.partitionHealth},
		{Name: "draining", Probes: obs.Ready, Report: s.drainHealth},
	}
	if s.o.Orders != nil {
		checks = append(checks, obs.Check{Name: "store", Report: s.storeHealth})
	}
	return checks
}

// kafkaHealth warns while orders fail. It fails only where the configuration says so: if every replica left the balancer at
// once, clients would get no answer at all.
func (s *Server) kafkaHealth() obs.Health {
	h := obs.Health{Status: obs.Pass, Err: s.o.Publisher.Health().LastErr}
	open := 0
	for _, b := range s.breakers {
		if b.open() {
			open++
		}
	}
	if open > 0 && h.Err == nil {
		h.Err = fmt.Errorf("%d of %d partitions take no orders", open, len(s.breakers))
	}
	switch {
	case h.Err == nil:
	case s.o.ReadyNeedKafka:
		h.Status = obs.Fail
	default:
		h.Status = obs.Warn
	}
	return h
}

func (s *Server) partitionHealth() obs.Health {
	if now, ok := s.partitionsNow(); ok && now != s.o.Partitions {
		return obs.Health{Status: obs.Warn, Err: fmt.Errorf("topic %s has %d partitions, at start %d: restart", s.o.Topic, now, s.o.Partitions)}
	}
	return obs.Health{Status: obs.Pass}
}

func (s *Server) drainHealth() obs.Health {
	if phase(s.phase.Load()) == serving {
		return obs.Health{Status: obs.Pass}
	}
	return obs.Health{Status: obs.Fail, Since: time.UnixMilli(s.left.Load()), Err: errors.New("draining")}
}

func (s *Server) storeHealth() obs.Health {
	last := s.storeErr.Load()
	if last == nil {
		return obs.Health{Status: obs.Pass}
	}
	h := obs.Health{Status: obs.Pass, Since: last.since, Err: last.err}
	if last.err != nil {
		h.Status = obs.Warn // orders are taken on
	}
	return h
}

// partitionsNow is how many partitions the client knows of. The first time it differs from the start a line says so.
func (s *Server) partitionsNow() (int32, bool) {
	if s.o.PartitionsNow == nil {
		return 0, false
	}
	n, err := s.o.PartitionsNow()
	if err != nil {
		return 0, false
	}
	if n != s.o.Partitions && s.grown.CompareAndSwap(false, true) {
		s.o.Log.Warn("the topic has another number of partitions than at start: restart",
			slog.String(obs.KeyTopic, s.o.Topic), slog.Int(obs.KeyCount, int(n)))
	}
	return n, true
}
