package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/broker"
)

func TestResetDeletesNothingUnderARunningDev(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := &devData{dir: dir}
	if err := d.claim(); err != nil {
		t.Fatal(err)
	}
	b, err := broker.Open(broker.Options{Log: slog.New(slog.DiscardHandler), Addr: "127.0.0.1:0", DataDir: dir, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	kept := []string{devMark, "orders.db", filepath.Join("kafka", "kept")}
	for _, name := range kept[1:] {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reset := []string{"dev", "--reset", "--yes", "--data-dir", dir, "--kafka-addr", b.Addr()} // taken: after the reset it ends, too
	raw, err := orderctl(t, nil, reset...).CombinedOutput()
	if err == nil || !strings.Contains(string(raw), "data directory is in use by process") {
		t.Errorf("reset beside a running dev: %v, %s", err, raw)
	}
	for _, name := range kept {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("deleted under a running dev: %v", err)
		}
	}

	other := b.Addr()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b, err = broker.Open(broker.Options{Log: slog.New(slog.DiscardHandler), Addr: other, Memory: true}) // keeps the port taken
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if raw, err := orderctl(t, nil, reset...).CombinedOutput(); err == nil || !strings.Contains(string(raw), "cannot listen on") {
		t.Errorf("reset of a folder nobody uses: %v, %s", err, raw)
	}
	for _, name := range kept[1:] {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was not deleted", name)
		}
	}
}
