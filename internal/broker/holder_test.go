package broker_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"commerce.internal/orderctl/internal/broker"
)

func TestWhoHasADirectoryOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if pid, held := broker.Holder(dir); held {
		t.Errorf("a new directory is held by %d", pid)
	}
	if _, err := os.Stat(filepath.Join(dir, "LOCK")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the question left a file behind: %v", err)
	}
	b, err := broker.Open(broker.Options{Log: slog.New(slog.DiscardHandler), Addr: "127.0.0.1:0", DataDir: dir, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	if pid, held := broker.Holder(dir); !held || pid != os.Getpid() {
		t.Errorf("open: %d, %v", pid, held)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the question gives back what it takes
		if pid, held := broker.Holder(dir); held {
			t.Errorf("closed: held by %d", pid)
		}
	}
}
