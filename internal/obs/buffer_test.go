package obs_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"commerce.internal/orderctl/internal/obs"
)

func TestAFullBufferIsWrittenAtOnce(t *testing.T) {
	t.Parallel()
	w := &lines{}
	b := obs.NewLineBuffer(w)
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range 64 {
		if _, err := b.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if w.writes() != 1 || len(w.String()) != 64<<10 {
		t.Errorf("%d writes, %d bytes; want one of 64 KiB", w.writes(), len(w.String()))
	}
	huge := append(bytes.Repeat([]byte("y"), 200<<10), '\n')
	if _, err := b.Write(huge); err != nil || !strings.HasSuffix(w.String(), string(huge)) {
		t.Errorf("a line longer than the buffer: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// stuck blocks its writer until let go.
type stuck struct {
	lines
	entered, gate chan struct{}
	once          sync.Once
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.entered) })
	<-s.gate
	return s.lines.Write(p)
}

func TestASlowWriterMakesLinesWaitNotVanish(t *testing.T) {
	t.Parallel()
	s := &stuck{entered: make(chan struct{}), gate: make(chan struct{})}
	b := obs.NewLineBuffer(s)
	var wg sync.WaitGroup
	var through atomic.Int64
	for i := range 3000 {
		wg.Go(func() {
			if _, err := fmt.Fprintf(b, "%04d %s\n", i, strings.Repeat("x", 100)); err != nil {
				t.Error(err)
			}
			through.Add(1)
		})
	}
	<-s.entered // the buffer was full once, and its writer hangs
	if n := through.Load(); n*106 > 64<<10 {
		t.Errorf("%d lines went through a buffer of 64 KiB", n)
	}
	close(s.gate)
	wg.Wait()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(s.String()) {
		if len(line) != 106 {
			t.Fatalf("a torn line: %q", line)
		}
		seen[line[:4]] = true
	}
	if len(seen) != 3000 {
		t.Errorf("%d lines, want 3000", len(seen))
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestAWriteThatFailsIsTold(t *testing.T) {
	t.Parallel()
	b := obs.NewLineBuffer(broken{})
	if _, err := b.Write([]byte("x\n")); err != nil {
		t.Errorf("told before it happened: %v", err)
	}
	if err := b.Close(); err == nil {
		t.Error("Close hides the error")
	}
}
