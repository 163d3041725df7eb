package main

import (
	"errors"
	"io"
	"sync"
	"syscall"
)

// stream is stdout. It remembers what went wrong with it, because few who print look at the error.
type stream struct {
	w      io.Writer
	closed func() // called once, when the reader of a pipe has gone

	mu    sync.Mutex
	gone  bool  // the reader has gone: the end of what it wanted, not a failure
	fault error // any other failed write
}

// Write implements io.Writer. After the reader has gone it takes everything and writes nothing.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return len(p), nil
	}
	n, err := s.w.Write(p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		s.gone = true
		s.closed()
		return len(p), nil
	}
	if s.fault == nil {
		s.fault = err
	}
	return n, err
}

// state tells whether the reader has gone, and the first failed write.
func (s *stream) state() (gone bool, fault error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone, s.fault
}
