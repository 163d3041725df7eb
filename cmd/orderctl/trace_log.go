package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/inspect"
	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/kafka/read"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

var (
	_ inspect.Log      = queueLog{}
	_ lag.Source       = watcher{}
	_ inspect.Orders   = auditRows{}
	_ inspect.Rows     = auditRows{}
	_ inspect.DeadRows = auditRows{}
)

// queueLog is the reader of a log as trace and audit see it. Each answer has to come within --timeout.
type queueLog struct{ letterLog }

// At implements inspect.Log.
func (l queueLog) At(ctx context.Context, at queue.Position) (queue.Record, error) {
	return ask(ctx, l.s, func(ctx context.Context) (queue.Record, error) { return l.r.At(ctx, at) })
}

// watcher is the observer of the cluster as trace and audit see it.
type watcher struct {
	s *session
	o *observe.Observer
}

// Snapshot implements lag.Source. What came by the deadline counts.
func (w watcher) Snapshot(ctx context.Context, q lag.Query) (lag.Snapshot, error) {
	snapshot, err := ask(ctx, w.s, func(ctx context.Context) (lag.Snapshot, error) { return w.o.Snapshot(ctx, q) })
	if len(snapshot.Groups) > 0 {
		return snapshot, nil
	}
	return snapshot, err
}

// OffsetsAt implements lag.Source.
func (w watcher) OffsetsAt(ctx context.Context, at map[lag.TopicPartition]time.Time) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	return ask(ctx, w.s, func(ctx context.Context) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
		return w.o.OffsetsAt(ctx, at)
	})
}

// auditRows is the store as trace and audit see it. Each answer has to come within --timeout; one that does not, and a
// database that is away, end the command as any dependency that cannot be reached.
type auditRows struct {
	s  *session
	st *store.Store
}

// Sourced implements inspect.Rows.
func (r auditRows) Sourced(ctx context.Context, group string, after queue.Row, end int64, limit int) ([]queue.Row, error) {
	return answer(ctx, r.s, func(ctx context.Context) ([]queue.Row, error) { return r.st.Sourced(ctx, group, after, end, limit) })
}

// Dead implements inspect.DeadRows.
func (r auditRows) Dead(ctx context.Context, group string, after queue.Row, end int64, limit int) ([]queue.Row, error) {
	return answer(ctx, r.s, func(ctx context.Context) ([]queue.Row, error) { return r.st.Dead(ctx, group, after, end, limit) })
}

// Messages implements inspect.Rows.
func (r auditRows) Messages(ctx context.Context, group string, ids []string) ([]queue.Row, error) {
	return answer(ctx, r.s, func(ctx context.Context) ([]queue.Row, error) { return r.st.Messages(ctx, group, ids) })
}

// Order implements inspect.Orders.
func (r auditRows) Order(ctx context.Context, group, orderID string) (queue.OrderView, error) {
	return answer(ctx, r.s, func(ctx context.Context) (queue.OrderView, error) { return r.st.Order(ctx, group, orderID) })
}

// answer runs one question to the database under --timeout.
func answer[T any](ctx context.Context, s *session, call func(context.Context) (T, error)) (T, error) {
	v, err := within(ctx, s.timeout(), "the database", call)
	var away *queue.Failure
	if errors.As(err, &away) && ctx.Err() == nil {
		err = &exitError{code: exitUnreachable, text: err.Error(), hint: "store.driver and store.dsn name it", err: err}
	}
	return v, err
}

// inspected is what trace and audit look at.
type inspected struct {
	log   queueLog
	watch watcher
	names queue.Names
	rows  *auditRows // nil: no database at hand
	err   error      // why
}

// withQueue opens log, cluster and, where it is there, database, for a command that only looks.
func (s *session) withQueue(ctx context.Context, command string, do func(context.Context, inspected) error) (err error) {
	logs, err := s.logs("orderctl-"+command, false)
	if err != nil {
		return err
	}
	defer logs.Close()
	reader, err := ask(ctx, s, func(ctx context.Context) (*read.Reader, error) { return read.New(ctx, s.kafka(command, logs.Log)) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	observer := observe.New(s.kafka(command, logs.Log))
	defer func() { err = errors.Join(err, observer.Close()) }()
	i := inspected{log: queueLog{letterLog{s: s, r: reader}}, watch: watcher{s: s, o: observer}}
	i.names = s.allTiers(ctx, observer)
	st, err := s.openToLook(ctx, logs.Log)
	if err == nil {
		i.rows = &auditRows{s: s, st: st}
		defer func() { err = errors.Join(err, st.Close()) }()
	}
	i.err = err
	return do(ctx, i)
}

// openToLook opens the store, and makes none.
func (s *session) openToLook(ctx context.Context, log *slog.Logger) (*store.Store, error) {
	o := s.storeOptions(log)
	o.Migrate = false
	return within(ctx, s.timeout(), "the database", func(ctx context.Context) (*store.Store, error) { return store.Open(ctx, o) })
}

// allTiers are the names of the queue's topics, with the retry tiers that have left the configuration and are still there.
func (s *session) allTiers(ctx context.Context, o *observe.Observer) queue.Names {
	n := s.names()
	n.Tiers = slices.Clone(n.Tiers)
	topics, err := ask(ctx, s, o.Topics)
	if err != nil {
		return n // whoever needs them learns it
	}
	for _, topic := range topics {
		if role, delay, ok := n.Role(topic); ok && role == queue.RoleRetry && !slices.Contains(n.Tiers, delay) {
			n.Tiers = append(n.Tiers, delay)
		}
	}
	slices.Sort(n.Tiers)
	return n
}

// named gives the error of something that does not exist the text that says what there is.
func (i inspected) named(ctx context.Context, err error) error {
	var denied *inspect.DeniedError
	if errors.As(err, &denied) {
		return &exitError{code: exitDenied, text: denied.Error(), hint: "'orderctl doctor' names the right that is missing, and how to grant it", err: err}
	}
	var missing *inspect.NotFoundError
	if !errors.As(err, &missing) {
		return err
	}
	s := i.log.s
	if missing.Kind == "topic" {
		there, _ := ask(ctx, s, i.watch.o.Topics) // only for the hint
		return notFound(missing.Kind, missing.Name, "topics", there)
	}
	var there []string
	groups, _ := ask(ctx, s, i.watch.o.Groups) // only for the hint
	for _, g := range groups {
		there = append(there, g.Name)
	}
	return notFound(missing.Kind, missing.Name, "groups", there)
}
