package store

import (
	"context"
	"errors"
	"log/slog"

	"commerce.internal/orderctl/internal/queue"
)

// errMoved says that the connections lead to a database that is no longer the one under its name. A commit through
// them would be lost, so they are closed and the name is opened again.
var errMoved = errors.New("another file has taken the place of the open database")

// current returns the open database, and opens it again where the connections were given up or lead astray.
func (s *Store) current(ctx context.Context) (*link, error) {
	select {
	case s.dial <- struct{}{}:
		defer func() { <-s.dial }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l, closed := s.held()
	if closed {
		return nil, away("closed", "the store is closed")
	}
	if l != nil {
		err := l.still()
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, errMoved) {
			return nil, err // gone: the connections stay, the same file may come back under its name
		}
		if err := s.hangUp(l); err != nil {
			s.opts.Log.WarnContext(ctx, "cannot close database", slog.String("error", err.Error()))
		}
	}
	return s.reopen(ctx)
}

func (s *Store) held() (l *link, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link, s.closed
}

// reopen connects and makes sure that what answers holds this store's orders: a database without the tables, or with
// another history, would forget what is done and take effects twice.
func (s *Store) reopen(ctx context.Context) (*link, error) {
	l, err := s.dialect.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err = s.known(ctx, l); err != nil {
		return nil, errors.Join(err, l.close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.Join(away("closed", "the store is closed"), l.close())
	}
	if s.id != "" {
		s.opts.Log.InfoContext(ctx, "database opened again", slog.String("database", s.dialect.where()))
	}
	s.link, s.id = l, l.id
	return l, nil
}

func (s *Store) known(ctx context.Context, l *link) error {
	if err := checkSchema(ctx, s.dialect, l.read); err != nil {
		return failAs("check database", fault{class: queue.ClassOutage, code: "schema"}, err)
	}
	if err := l.read.QueryRowContext(ctx, "SELECT id FROM orderctl_store").Scan(&l.id); err != nil {
		return fail(s.dialect, "read id of database", err)
	}
	if s.id != "" && s.id != l.id {
		return away("replaced", "%s is another database than the one this process began with; "+
			"put that one back, or restart to use this one", s.dialect.where())
	}
	return nil
}

// hangUp closes the connections of l; with nil those that are open now.
func (s *Store) hangUp(l *link) error {
	s.mu.Lock()
	if s.link == nil || l != nil && s.link != l {
		s.mu.Unlock()
		return nil
	}
	l, idle := s.link, s.idle
	s.link, s.idle = nil, nil
	s.mu.Unlock()
	var errs []error
	for _, x := range idle {
		errs = append(errs, x.close())
	}
	return errors.Join(append(errs, l.close())...)
}
