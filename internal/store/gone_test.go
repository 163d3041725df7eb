package store_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/store"
)

// While the file is away nothing is taken for committed; once it is back the same store goes on, and what was committed
// before is there.
func TestTheDatabaseFileGoesAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		code string
		away func(t *testing.T, path string) (back func())
	}{
		{"renamed", "gone", func(t *testing.T, path string) func() {
			move(t, path, path+".old")
			return func() { move(t, path+".old", path) }
		}},
		{"renamed without its log", "gone", func(t *testing.T, path string) func() {
			rename(t, path, path+".old")
			return func() { rename(t, path+".old", path) }
		}},
		{"its folder is renamed", "gone", func(t *testing.T, path string) func() {
			dir := filepath.Dir(path)
			rename(t, dir, dir+".old")
			return func() { rename(t, dir+".old", dir) }
		}},
		{"its folder is a file now", "unreadable", func(t *testing.T, path string) func() {
			dir := filepath.Dir(path)
			rename(t, dir, dir+".old")
			write(t, dir, nil)
			return func() { remove(t, dir); rename(t, dir+".old", dir) }
		}},
		{"an empty file has its name", "empty", func(t *testing.T, path string) func() {
			move(t, path, path+".old")
			write(t, path, nil)
			return func() {
				if info, err := os.Stat(path); err != nil || info.Size() != 0 {
					t.Errorf("the empty file was written to: %v, %v", info, err)
				}
				move(t, path+".old", path)
			}
		}},
		{"a file of something else has its name", "26", func(t *testing.T, path string) func() {
			move(t, path, path+".old")
			write(t, path, []byte(strings.Repeat("not a database ", 1000)))
			return func() { move(t, path+".old", path) }
		}},
		{"a database without the tables has its name", "schema", func(t *testing.T, path string) func() {
			move(t, path, path+".old")
			execute(t, path, "CREATE TABLE shop (x)")
			return func() { dropAll(t, path); move(t, path+".old", path) }
		}},
		{"another store's database has its name", "replaced", func(t *testing.T, path string) func() {
			move(t, path, path+".old")
			if _, err := store.Migrate(t.Context(), options(path)); err != nil {
				t.Fatal(err)
			}
			return func() { dropAll(t, path); move(t, path+".old", path) }
		}},
		{"a copy comes back", "gone", func(t *testing.T, path string) func() {
			move(t, path, path+".old")
			return func() {
				copyFile(t, path+".old", path)
				copyFile(t, path+".old-wal", path+"-wal")
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "state", "orders.db")
			s := open(t, options(path))
			mustApply(t, s, "before")
			back := c.away(t, path)
			for range 3 {
				_, err := applyOrders(t, s, sample("during"))
				refused(t, err, queue.ClassOutage, c.code)
				_, err = s.Order(t.Context(), "g", "before")
				refused(t, err, queue.ClassOutage, c.code)
				refused(t, s.Ping(t.Context()), queue.ClassOutage, c.code)
				refused(t, s.Place(t.Context(), "g", queue.RowKey{}, 1, queue.Position{}), queue.ClassOutage, c.code)
			}
			back()
			mustFind(t, s, false, "during")
			mustApply(t, s, "during", "after")
			mustFind(t, s, true, "before", "during", "after")
			if n := count(t, path, "SELECT count(*) FROM orders"); n != 3 {
				t.Errorf("%d orders in the file, want 3", n)
			}
		})
	}
}

// Without its log a database would lose, at the next start, what is in the log alone.
func TestALogThatWasRemovedLosesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	s := open(t, options(path))
	mustApply(t, s, names("before", 20)...)
	remove(t, path+"-wal")
	mustApply(t, s, "after")
	mustFind(t, s, true, append(names("before", 20), "after")...)
	if n := count(t, path, "SELECT count(*) FROM orders"); n != 21 {
		t.Errorf("%d orders in the file, want 21", n)
	}
}

// Another file with the same content takes the place, and the log is still there: the old file must be let go, or its
// next checkpoint would take orders out of the log into a file that nobody will open again.
func TestAnotherFileTakesThePlaceAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	s := open(t, options(path))
	mustApply(t, s, names("before", 20)...)
	rename(t, path, path+".old")
	copyFile(t, path+".old", path)
	mustApply(t, s, "after")
	mustFind(t, s, true, append(names("before", 20), "after")...)
	if n := handles(t, path+".old"); n > 0 {
		t.Errorf("%d handles of the old file are open", n)
	}
}

// The file goes away between the writes and their commit: the commit is none.
func TestACommitIntoARemovedFileIsNone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	s := open(t, options(path))
	mustApply(t, s, "before")
	look := []queue.Lookup{{MsgID: "m1", OrderID: "A"}}
	_, err := s.Apply(t.Context(), "g", look, func(int, queue.Seen) queue.Change {
		move(t, path, path+".old")
		return queue.Change{Writes: []queue.Write{{Kind: queue.Insert, Row: queue.Row{
			RowKey: queue.RowKey{MsgID: "m1", Fingerprint: "f"}, State: queue.StateDone, Control: -1,
		}}}}
	})
	refused(t, err, queue.ClassOutage, "gone")
}

func TestOutagesLeakNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.db")
	s := open(t, options(path))
	mustApply(t, s, "first")
	before := handles(t, path)
	for range 20 {
		copyFile(t, path, path+".copy") // another file with the same content, as a restore makes it
		remove(t, path)
		_, err := applyOrders(t, s, sample("x"))
		refused(t, err, queue.ClassOutage, "gone")
		rename(t, path+".copy", path)
		mustFind(t, s, true, "first")
		mustApply(t, s, "second")
	}
	if after := handles(t, path); after > before+2 {
		t.Errorf("%d open handles of the database, %d before", after, before)
	}
}

// handles counts the open files of this process whose name begins with path.
func handles(t *testing.T, path string) int {
	t.Helper()
	links, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("open files are not listed here: %v", err)
	}
	n := 0
	for _, l := range links {
		if name, err := os.Readlink(filepath.Join("/proc/self/fd", l.Name())); err == nil && strings.HasPrefix(name, path) {
			n++
		}
	}
	return n
}

func rename(t testing.TB, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func dropAll(t testing.TB, path string) {
	t.Helper()
	for _, end := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(path + end) // what is there
	}
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	content, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, content)
}
