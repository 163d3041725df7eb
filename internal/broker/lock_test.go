package broker_test

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"commerce.internal/orderctl/internal/broker"
)

func TestADirectoryHasOneBroker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	addr, kill := child(t, dir)
	if addr == "" {
		t.Fatal("the child listens nowhere")
	}
	o := broker.Options{Log: slog.New(slog.DiscardHandler), Addr: "127.0.0.1:0", DataDir: dir, Reserve: 1}
	_, err := broker.Open(o)
	var locked *broker.LockedError
	if !errors.Is(err, broker.ErrLocked) || !errors.As(err, &locked) {
		t.Fatalf("second Open = %v", err)
	}
	if locked.PID == 0 || locked.PID == os.Getpid() || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v: want the process and the directory", err)
	}
	kill()
	b, err := broker.Open(o) // a lock ends with its process, whatever the file says
	if err != nil {
		t.Fatalf("Open after kill -9: %v", err)
	}
	if _, err := broker.Open(o); !errors.Is(err, broker.ErrLocked) {
		t.Errorf("two in one process: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if b, err = broker.Open(o); err != nil {
		t.Fatalf("Open after Close: %v", err)
	}
	_ = b.Close()
}

func TestABusyPortIsNamedAndLeavesNothingLocked(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := broker.Options{Log: slog.New(slog.DiscardHandler), Addr: l.Addr().String(), DataDir: t.TempDir(), Reserve: 1}
	_, err = broker.Open(o)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), o.Addr) {
		t.Errorf("Open = %v", err)
	}
	o.Addr = "127.0.0.1:0"
	b, err := broker.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
}

func TestANewerFormatIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := broker.Options{Log: slog.New(slog.DiscardHandler), Addr: "127.0.0.1:0", DataDir: dir, Reserve: 1}
	if err := os.MkdirAll(filepath.Join(dir, "kafka"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kafka", "meta.json"), []byte(`{"version":99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Open(o); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Open = %v", err)
	}
}

func TestWhatNeedsTheDirectoryForItselfIsRefusedWhileABrokerHasIt(t *testing.T) {
	t.Parallel()
	o := broker.Options{Log: slog.New(slog.DiscardHandler), Addr: "127.0.0.1:0", DataDir: t.TempDir(), Reserve: 1}
	b, err := broker.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	called := 0
	if err := broker.WhileLocked(o.DataDir, func() error { called++; return nil }); !errors.Is(err, broker.ErrLocked) || called > 0 {
		t.Errorf("beside a broker: %v, called %d times", err, called)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	within := func() error {
		called++
		_, err := broker.Open(o)
		return err
	}
	if err := broker.WhileLocked(o.DataDir, within); !errors.Is(err, broker.ErrLocked) || called != 1 {
		t.Errorf("a broker meanwhile: %v, called %d times", err, called)
	}
}
