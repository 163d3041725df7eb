package store_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/store"
)

// coded is what the root command asks of an error.
type coded interface {
	error
	ExitCode() int
	Hint() string
}

func wantCoded(t *testing.T, err error, code int, text, hint string) {
	t.Helper()
	var e coded
	if !errors.As(err, &e) {
		t.Fatalf("%v has no exit code", err)
	}
	if e.ExitCode() != code || !strings.Contains(e.Error(), text) || !strings.Contains(e.Hint(), hint) {
		t.Errorf("error is %q, exit %d, hint %q; want %q, exit %d, hint %q", e.Error(), e.ExitCode(), e.Hint(), text, code, hint)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		o          store.Options
		text, hint string
	}{
		{"a driver that is not built in", store.Options{Driver: "oracle", DSN: "x"}, `store.driver: no database "oracle"`, "write sqlite"},
		{"no driver", store.Options{DSN: "x"}, `no database ""`, "write sqlite"},
		{"no dsn", store.Options{Driver: "sqlite"}, "store.dsn: sqlite needs the path of a file", ""},
		{"memory", store.Options{Driver: "sqlite", DSN: ":memory:"}, "would forget what is done", "name a file"},
		{"memory by address", store.Options{Driver: "sqlite", DSN: "file::memory:"}, "would forget what is done", "name a file"},
		{"a password", store.Options{Driver: "sqlite", DSN: "x", Password: "secret"}, "sqlite has no password", ""},
		{"an unknown parameter", store.Options{Driver: "sqlite", DSN: "file:x?cache=shared"}, "unknown parameter cache", "_pragma"},
		{"weaker commits", store.Options{Driver: "sqlite", DSN: "file:x?_pragma=synchronous(OFF)"}, "synchronous(OFF) is not yours", ""},
		{"another journal", store.Options{Driver: "sqlite", DSN: "file:x?_pragma=Journal_Mode=DELETE"}, "is not yours", ""},
		{"two pragmas in one", store.Options{Driver: "sqlite", DSN: "file:x?_pragma=cache_size(1);synchronous(0)"}, "store.dsn", ""},
		{"two pragmas in one, escaped", store.Options{Driver: "sqlite", DSN: "file:x?_pragma=cache_size(1)%3Bsynchronous(0)"}, "is not yours", ""},
		{"a broken query", store.Options{Driver: "sqlite", DSN: "file:x?_pragma=%zz"}, "store.dsn", ""},
		{"an effect file that is not there", withEffect(filepath.Join(t.TempDir(), "a.db"), "/nowhere/e.sql"), "consume.effect_file: open /nowhere/e.sql", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.o.Log = slog.New(slog.DiscardHandler)
			_, err := store.Open(t.Context(), c.o)
			wantCoded(t, err, 2, c.text, c.hint)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%v shows the password", err)
			}
		})
	}
	o := options(filepath.Join(t.TempDir(), "x.db"))
	o.Log = nil
	if _, err := store.Open(t.Context(), o); err == nil || err.Error() != "store: Options.Log is required" {
		t.Errorf("without a log: %v", err)
	}
}

func withEffect(path, effect string) store.Options {
	o := options(path)
	o.EffectFile = effect
	return o
}

func TestPathsOfEveryKind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, c := range []struct{ dsn, path string }{
		{filepath.Join(dir, "plain.db"), "plain.db"},
		{filepath.Join(dir, "a b?mode=memory#c%20&d.db"), "a b?mode=memory#c%20&d.db"},
		{filepath.Join(dir, "订单.db"), "订单.db"},
		{"file:" + filepath.Join(dir, "uri.db"), "uri.db"},
		{"file://" + filepath.Join(dir, "uri2.db") + "?_pragma=cache_size(-4000)", "uri2.db"},
		{"file:" + filepath.Join(dir, "100%25 ours.db"), "100% ours.db"},
	} {
		s := open(t, options(c.dsn))
		mustApply(t, s, "A")
		if _, err := os.Stat(filepath.Join(dir, c.path)); err != nil {
			t.Errorf("row %d: %v", i, err)
		}
	}
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state", "orderctl", "orders.db")
	s := open(t, options(path))
	mustApply(t, s, "A")
	for name, want := range map[string]os.FileMode{
		path: 0o600, path + "-wal": 0o600, filepath.Dir(path): os.ModeDir | 0o700, filepath.Dir(filepath.Dir(path)): os.ModeDir | 0o700,
	} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

func TestADatabaseIsNotMadeInPassing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state", "orders.db")
	o := options(path)
	o.Migrate = false
	_, err := store.Open(t.Context(), o)
	wantCoded(t, err, 2, "no database at "+path, "run: orderctl db migrate")
	if s, err := store.Status(t.Context(), o); err != nil || s.Have != 0 || len(s.Pending) == 0 {
		t.Errorf("status: %+v, %v", s, err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("looking made the folder: %v", err)
	}
}

func TestWhatIsNoDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	write(t, path, []byte(strings.Repeat("no database ", 1000)))
	for _, migrates := range []bool{true, false} {
		o := options(path)
		o.Migrate = migrates
		_, err := store.Open(t.Context(), o)
		wantCoded(t, err, 3, "cannot use database "+path, "orderctl doctor")
	}
	_, err := store.Status(t.Context(), options(path))
	wantCoded(t, err, 3, path, "store.dsn")
	_, err = store.Migrate(t.Context(), options(filepath.Join(path, "below", "a.db")))
	wantCoded(t, err, 3, "not a directory", "store.dsn")
}

// A driver may say the same of each address that it tried, each in a line of its own.
func TestAnErrorOfADriverIsOneLine(t *testing.T) {
	t.Parallel()
	err := &store.StartError{Where: "PostgreSQL db:5432/orders", Err: errors.New("failed to connect:\n\t10.0.0.1:5432: refused\n\t10.0.0.1:5432: refused\n\t10.0.0.2:5432: refused")}
	if got, want := err.Error(), "cannot use database PostgreSQL db:5432/orders: failed to connect: 10.0.0.1:5432: refused; 10.0.0.2:5432: refused"; got != want {
		t.Errorf("%q", got)
	}
}

// Another process that migrates keeps this one waiting, but not beyond its deadline.
func TestTheLockOfTheMigrations(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	f, err := os.OpenFile(path+".migrate", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = store.Migrate(ctx, options(path))
	wantCoded(t, err, 3, "deadline exceeded", "store.dsn")
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { after(t, 100*time.Millisecond); _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) })
	if list, err := store.Migrate(t.Context(), options(path)); err != nil || len(list) == 0 {
		t.Errorf("after the lock was given back: %v, %v", list, err)
	}
}
