package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The embedded broker holds no more than 400 MB however many orders go through it, nor when it starts again with all of them.
// ORDERS=5000000 makes it a measurement.
func TestManyOrdersGoThroughTheEmbeddedBroker(t *testing.T) { // not parallel: it is about memory
	n, bound := 100_000, int64(400e6)
	if s := os.Getenv("ORDERS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	if raceDetector { // its memory is not that of the real one
		n, bound = 5_000, 1<<40
	}
	dir := t.TempDir()
	environ := []string{"ORDERCTL_TOPICS_PARTITIONS=6", "ORDERCTL_CONSUME_ADMIN_ADDR=127.0.0.1:0", "ORDERCTL_STORE_DSN=" + dir + "/rows.db"}
	d, block := started(t, nil, "--broker-only", "--data-dir", dir+"/broker")
	environ = append(environ, "ORDERCTL_KAFKA_BROKERS="+block.Kafka)
	command := func(args ...string) {
		t.Helper()
		began := time.Now()
		if raw, err := orderctl(t, environ, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, raw)
		}
		t.Logf("%s: %.1f s; the broker holds at most %d MB", args[0], time.Since(began).Seconds(), d.most()/1e6)
	}
	command("topics", "apply", "--yes")
	command("produce", "--count", fmt.Sprint(n), "--rate", "max", "--keys", "0", "--items", "1-2", "--via", "kafka", "-q")
	command("consume", "--handler", "discard", "--until-empty")
	if most := d.most(); most > bound {
		t.Errorf("%d orders took %d MB, want at most %d", n, most/1e6, bound/1e6)
	}
	t.Logf("the log has %d MB", (&devData{dir: dir + "/broker"}).bytes()/1e6)
	d.stop()
	d, _ = started(t, nil, "--broker-only", "--data-dir", dir+"/broker")
	t.Logf("started again: at most %d MB", d.most()/1e6)
	if most := d.most(); most > bound {
		t.Errorf("started again with %d orders it took %d MB, want at most %d", n, most/1e6, bound/1e6)
	}
	d.stop()
}

// most is the most memory that it has held, in bytes.
func (r *running) most() int64 {
	r.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		r.t.Skipf("memory of a process is read from /proc: %v", err)
	}
	_, rest, _ := strings.Cut(string(raw), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		r.t.Fatal(err)
	}
	return kib << 10
}
