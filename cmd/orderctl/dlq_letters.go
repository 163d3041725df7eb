package main

import (
	"context"
	"errors"
	"log/slog"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/read"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

// letterRoom is what dead letters are read with.
type letterRoom struct {
	reader    *dlq.Reader
	log       letterLog
	store     *store.Store // nil: none at hand
	logger    *slog.Logger
	foreign   bool // they are not the group's own
	partition queue.PartitionFunc
	close     func() error
}

// withReader opens the log of dead letters and, where it is there, the store.
func (s *session) withReader(ctx context.Context, foreign string, do func(context.Context, *dlq.Reader) error) (err error) {
	l, err := s.openLetters(ctx, foreign)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	return do(ctx, l.reader)
}

// openLetters opens the log of the group's dead letters, or of a foreign topic of them, and, where it is there, the store.
func (s *session) openLetters(ctx context.Context, foreign string) (_ *letterRoom, err error) {
	logs, err := s.logs("orderctl-dlq", false)
	if err != nil {
		return nil, err
	}
	closers := []func() error{logs.Close}
	closeAll := func() error {
		var errs []error
		for i := len(closers) - 1; i >= 0; i-- {
			errs = append(errs, closers[i]())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll())
		}
	}()
	log, err := ask(ctx, s, func(ctx context.Context) (*read.Reader, error) { return read.New(ctx, s.kafka("dlq", logs.Log)) })
	if err != nil {
		return nil, err
	}
	closers = append(closers, log.Close)
	l := &letterRoom{log: letterLog{s: s, r: log}, logger: logs.Log, foreign: foreign != "" && foreign != s.names().DLQ(), partition: kafka.Partitioner(), close: closeAll}
	o := s.storeOptions(logs.Log)
	o.Migrate = false // a command that looks makes no database
	var rows dlq.Rows
	if st, storeErr := store.Open(ctx, o); storeErr == nil {
		l.store, rows = st, st
		closers = append(closers, st.Close)
	} else {
		s.note("no database at hand (%v): the ledger alone tells what became of the letters", storeErr)
	}
	l.reader = dlq.NewReader(l.log, rows, s.names().DLQ(), s.cfg.Consume.Group)
	if l.foreign { // each letter says for itself whose it is
		l.reader = dlq.NewReader(l.log, rows, foreign, "")
	}
	return l, nil
}
