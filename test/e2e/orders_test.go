//go:build e2e

package e2e

import (
	"bufio"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// The shared real orders, as their README counts them.
const (
	allOrders   = 1803
	validOrders = 1550
	dirtyOrders = 253
)

func openDB(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func count(t *testing.T, db *sql.DB, query string, args ...any) int {
	t.Helper()
	var n int
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

type produced struct {
	Sent         int `json:"sent"`
	Acknowledged int `json:"acknowledged"`
	Expected     int `json:"expected_rejections"`
	NotSent      int `json:"not_sent"`
	Unknown      int `json:"unknown"`
	Rejected     int `json:"rejected"`
}

type letter struct {
	ID    string `json:"id"`
	Class string `json:"class"`
	Code  string `json:"code"`
	Value string `json:"value_base64"`
}

// letters exports every undecided letter.
func letters(t *testing.T, b *box) []letter {
	t.Helper()
	var all []letter
	sc := bufio.NewScanner(strings.NewReader(b.must(0, time.Minute, "dlq", "export", "--all").stdout))
	sc.Buffer(nil, 8<<20)
	for sc.Scan() {
		var l letter
		decode(t, sc.Text(), &l)
		all = append(all, l)
	}
	return all
}

func unread(t *testing.T, b *box) (int64, bool) {
	t.Helper()
	var report struct {
		Complete bool `json:"complete"`
		Groups   []struct {
			Unread int64 `json:"unread"`
		} `json:"groups"`
	}
	decode(t, b.must(0, 30*time.Second, "lag", "-o", "json").stdout, &report)
	if len(report.Groups) != 1 {
		t.Fatalf("lag shows %d groups, want 1", len(report.Groups))
	}
	return report.Groups[0].Unread, report.Complete
}

// Point 2 of the spine on real Kafka: every order of the file ends as a row or as a letter; a second reading of the same
// log adds neither.
func TestRealOrdersEndAsRowsOrLetters(t *testing.T) {
	k := startKafka(t, 1)
	b := newBox(t, "ORDERCTL_KAFKA_BROKERS="+k.Addrs())
	dsn := filepath.Join(b.home, "orders.db")
	b.env = append(b.env, "ORDERCTL_STORE_DSN="+dsn)
	realOrdersEnd(t, b, k.Addrs(), func() *sql.DB { return openDB(t, dsn) })
}

// realOrdersEnd sends the real orders through the topics and checks where each of them ends, twice.
func realOrdersEnd(t *testing.T, b *box, brokers string, open func() *sql.DB) {
	t.Helper()
	file, err := filepath.Abs(realOrders)
	if err != nil {
		t.Fatal(err)
	}
	b.must(0, time.Minute, "topics", "apply", "--yes")

	var sent produced
	decode(t, b.must(0, 2*time.Minute, "produce", "--file", file, "--via", "kafka", "-o", "json").stdout, &sent)
	if sent.Sent != allOrders || sent.Acknowledged != allOrders {
		t.Fatalf("produce: %+v, want %d sent and acknowledged", sent, allOrders)
	}
	b.must(6, 3*time.Minute, "consume", "--until-empty")
	check := func() {
		t.Helper()
		db := open()
		if n := count(t, db, "SELECT count(*) FROM orders"); n != validOrders {
			t.Errorf("%d rows in orders, want %d", n, validOrders)
		}
		all := letters(t, b)
		if len(all) != dirtyOrders {
			t.Errorf("%d letters, want %d", len(all), dirtyOrders)
		}
		lines := fileLines(t, file)
		for _, l := range all {
			raw, err := base64.StdEncoding.DecodeString(l.Value)
			if err != nil || !lines[string(raw)] {
				t.Errorf("letter %s does not carry the bytes of a line of the file", l.ID)
			}
			if l.Class != "invalid" || !strings.Contains(l.Code, "user_id") {
				t.Errorf("letter %s: class %q code %q", l.ID, l.Class, l.Code)
			}
		}
		if n, complete := unread(t, b); n != 0 || !complete {
			t.Errorf("lag: unread %d, complete %v", n, complete)
		}
	}
	check()

	rewind(t, brokers, "orders-worker", "orders", 12)
	if n, _ := unread(t, b); n != allOrders {
		t.Fatalf("after the rewind lag says %d, want %d", n, allOrders)
	}
	b.must(0, 3*time.Minute, "consume", "--until-empty")
	check()
}

func fileLines(t *testing.T, path string) map[string]bool {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		lines[strings.TrimRight(line, "\n")] = true
	}
	if !json.Valid([]byte(strings.SplitN(string(raw), "\n", 2)[0])) {
		t.Fatal("the file of real orders is not JSON lines")
	}
	return lines
}
