//go:build crash

package crash

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// balance is as much of the JSON of `audit` as is looked at here.
type balance struct {
	Verdict  string `json:"verdict"`
	Complete bool   `json:"complete"`
	Accepted int    `json:"accepted"`
	Applied  int    `json:"applied"`
	Dead     int    `json:"dead"`
	InWork   int    `json:"in_work"`
	Missing  int    `json:"missing"`

	Exceptions []struct {
		Kind  string `json:"kind"`
		MsgID string `json:"msg_id"`
	} `json:"exceptions"`
}

// `audit` looks on and on at a queue that takes orders, retries and buries some, gets letters sent back, some of them twice,
// and whose API and workers are killed all the time: it is balanced at each look. Then one row is deleted: it is named.
func TestAuditBesideLoadKillsAndReplays(t *testing.T) {
	t.Parallel()
	if os.Getenv("KAFKA") == "embedded" {
		t.Skip("KAFKA=embedded: with the broker of dev, the queue and its broker die together")
	}
	w := newWorld(t, real)
	w.must("db", "migrate")
	w.begin()
	var looks, moving, dead atomic.Int64
	w.beside(func(ctx context.Context) {
		for pause(ctx, time.Second) {
			if w.accepted() < 20 {
				continue // the group has committed nothing yet
			}
			b, code, said := w.balance()
			if code != 0 || b.Verdict != "BALANCED" || b.Accepted != b.Applied+b.Dead+b.InWork {
				t.Errorf("look %d: exit %d, %+v\n%s", looks.Load(), code, b, said)
			}
			looks.Add(1)
			if b.InWork > 0 {
				moving.Add(1)
			}
			dead.Store(int64(b.Dead))
		}
	})
	kills := w.killFor(max(killing(t), 3*time.Minute))
	for _, b := range w.finish() {
		t.Error(b)
	}
	t.Logf("%d looks beside %d kills, %d of them met orders in work, %d dead at the last", looks.Load(), kills, moving.Load(), dead.Load())
	if looks.Load() < 10 || moving.Load() == 0 || dead.Load() == 0 || w.replays == 0 || kills < 10 {
		t.Error("too little has happened: this shows nothing")
	}
	w.audited()
	w.oneRowLess()
}

// balance asks the binary itself.
func (w *world) balance(args ...string) (b balance, code int, said string) {
	p := start(w.t, w.bin, w.env, append([]string{"audit", "-q", "-o", "json"}, args...)...)
	<-p.done
	said = p.said()
	_ = json.Unmarshal([]byte(said), &b) // what is no answer has no verdict
	return b, p.cmd.ProcessState.ExitCode(), said
}

// oneRowLess deletes what the database knows of one message: that message is missing, and no other.
func (w *world) oneRowLess() {
	w.t.Helper()
	lost := ""
	for id := range w.acked {
		if strings.HasSuffix(id, ":SHIPPED") {
			lost = id
			break
		}
	}
	r, err := w.db.ExecContext(w.t.Context(), "DELETE FROM orderctl_messages WHERE consumer_group = $1 AND msg_id = $2", w.names.Group, lost)
	if err != nil {
		w.t.Fatal(err)
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		w.t.Fatalf("%d rows of %s, %v", n, lost, err)
	}
	b, code, said := w.balance("--settle", "1s")
	if code != 5 || b.Verdict != "NOT BALANCED" || b.Missing != 1 || len(b.Exceptions) != 1 || b.Exceptions[0].Kind != "missing" || b.Exceptions[0].MsgID != lost {
		w.t.Errorf("the row of %s is gone: exit %d, %+v\n%s", lost, code, b, said)
	}
}
