package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"commerce.internal/orderctl/internal/broker"
)

// running is a process of ours that serves the API.
type running struct {
	t          *testing.T
	cmd        *exec.Cmd
	stderr     *lockedBuffer
	api, admin string
}

// startDev starts dev on a folder and waits until it is up.
func startDev(t *testing.T, dir string, environ ...string) *running {
	t.Helper()
	r, block := started(t, environ, "--data-dir", dir, "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	r.api, r.admin = "http://"+*block.API, "http://"+*block.Admin
	return r
}

// started starts dev and returns what it says when it is up.
func started(t *testing.T, environ []string, args ...string) (*running, devInfo) {
	t.Helper()
	cmd := orderctl(t, environ, append([]string{"dev", "--kafka-addr", "127.0.0.1:0", "-o", "json"}, args...)...)
	r := &running{t: t, cmd: cmd, stderr: &lockedBuffer{}}
	cmd.Stderr = r.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var block devInfo
	if err := json.NewDecoder(out).Decode(&block); err != nil {
		t.Fatalf("dev did not start: %v\n%s", err, r.stderr)
	}
	return r, block
}

// stop ends it as an operator does.
func (r *running) stop() {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		r.t.Fatalf("it ended with %v\n%s", err, r.stderr)
	}
}

// ask returns the status and the body of a request; 0 where there is no answer.
func (r *running) ask(method, url, body string) (int, string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := new(http.Client).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(raw)
}

func (r *running) post(id string) (int, string) {
	r.t.Helper()
	return r.ask(http.MethodPost, r.api+"/orders", `{"order_id":"`+id+`","user_id":"u1","items":[{"product_id":"p1","quantity":2,"unit_price":1999}]}`)
}

// until asks again and again until the answer is the right one.
func (r *running) until(what string, ok func() (bool, string)) {
	r.t.Helper()
	last, deadline := "", time.Now().Add(30*time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		var good bool
		if good, last = ok(); good {
			return
		}
		<-tick.C
	}
	r.t.Fatalf("%s: not within 30 s; %s\n%s", what, last, r.stderr)
}

func (r *running) applied(id string) {
	r.t.Helper()
	r.until(id+" is applied", func() (bool, string) {
		_, body := r.ask(http.MethodGet, r.api+"/orders/"+id, "")
		return strings.Contains(body, `"state":"applied"`), body
	})
}

// endsAtOnce runs dev on a folder where it cannot start, and returns its code and what it said.
func endsAtOnce(t *testing.T, dir string, environ ...string) (int, string) {
	t.Helper()
	cmd := orderctl(t, environ, "dev", "--data-dir", dir, "--kafka-addr", "127.0.0.1:0", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("dev: %v\n%s", err, stderr.String())
	}
	return exit.ExitCode(), stderr.String()
}

// The line that dev prints is pasted before the next dev starts: its file need not be there yet.
func TestDevMayBeToldOfTheFileThatItWillWrite(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	own := filepath.Join(dir, "orderctl.yaml")
	d := startDev(t, dir, "ORDERCTL_CONFIG="+own)
	if _, err := os.Stat(own); err != nil {
		t.Error(err)
	}
	d.stop()
	if code, said := endsAtOnce(t, dir, "ORDERCTL_CONFIG="+own+".other"); code != exitUsage || !strings.Contains(said, "no such file") {
		t.Errorf("another file that is not there: %d, %s", code, said)
	}
}

func TestDevSaysThatItsDatabaseIsNewAndItsLogIsNot(t *testing.T) {
	t.Parallel()
	const warning = "is new, but the log beside it is not: what orders-worker had done with 1 orders is gone"
	dir := t.TempDir()
	d := startDev(t, dir)
	if code, body := d.post("A-1"); code != http.StatusAccepted {
		t.Fatalf("%d %s", code, body)
	}
	d.applied("A-1")
	d.stop()
	d = startDev(t, dir)
	d.stop()
	if strings.Contains(d.stderr.String(), "is new") {
		t.Errorf("an ordinary start says %s", d.stderr)
	}
	db := filepath.Join(dir, "orders.db")
	for name, lose := range map[string]func() error{
		"removed": func() error { return os.Remove(db) },
		"emptied": func() error { return os.Truncate(db, 0) },
	} {
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		d = startDev(t, dir)
		d.stop()
		if said := d.stderr.String(); !strings.Contains(said, warning) || !strings.Contains(said, "orderctl audit") {
			t.Errorf("%s: it says %q", name, said)
		}
	}
}

// To dev a database is a file of its own, not a service that may answer later.
func TestDevEndsWithOneOnADamagedDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := &devData{dir: dir}
	if err := d.claim(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.database(), bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	code, said := endsAtOnce(t, dir)
	if code != exitFailed || !strings.Contains(said, d.database()+": read tables: file is not a database") || !strings.Contains(said, "--reset") {
		t.Errorf("exit %d, %s", code, said)
	}
}

// On a disk that is full nothing is written, and the answer says so: 503, not 504. It needs a file system of its own.
func TestAFullDiskIs503AndItGoesOnWithSpace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=300m"); err != nil {
		t.Skipf("a file system of 300 MiB needs the right to mount one: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	d := startDev(t, filepath.Join(dir, "data"))
	if code, body := d.post("A-0"); code != http.StatusAccepted {
		t.Fatalf("%d %s", code, body)
	}
	d.applied("A-0")
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 60<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d.until("the disk is seen to be full", func() (bool, string) {
		_, body := d.ask(http.MethodGet, d.admin+"/health", "")
		return strings.Contains(body, "disk is full"), body
	})
	for range 8 {
		code, body := d.post("A-1")
		if code != http.StatusServiceUnavailable || !strings.Contains(body, `"outcome":"not_sent"`) || !strings.Contains(body, "kafka-unavailable") {
			t.Errorf("on a full disk: %d %s", code, body)
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	d.until("orders are taken again", func() (bool, string) {
		code, body := d.post("A-2")
		return code == http.StatusAccepted, body
	})
	d.applied("A-2")
	d.stop()
	d = startDev(t, filepath.Join(dir, "data"))
	d.applied("A-0")
	if _, body := d.ask(http.MethodGet, d.api+"/orders/A-1", ""); !strings.Contains(body, "not-found") {
		t.Errorf("an order that got only 503 is there: %s", body)
	}
	d.stop()
}

// 202 says that the log has the order. What the worker makes of its partition is told by /health; a probe that failed would
// take the intake of all partitions away, and a 503 would say that nothing was written.
func TestAHaltedPartitionIsTakenOnAndTold(t *testing.T) {
	t.Parallel()
	b, err := broker.Open(broker.Options{Log: slog.New(slog.DiscardHandler), Addr: "127.0.0.1:0", Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	environ := []string{"ORDERCTL_KAFKA_BROKERS=" + b.Addr(), "ORDERCTL_TOPICS_PARTITIONS=1", "ORDERCTL_SERVE_DRAIN_DELAY=0s"}
	if raw, err := orderctl(t, environ, "topics", "apply", "--yes").CombinedOutput(); err != nil {
		t.Fatalf("topics apply: %v, %s", err, raw)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.MaxVersions(kversion.V3_8_0())) // commits by the name of the topic
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	commitAt(func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}, cl, "orders-worker", "orders", 0, 1000)
	r := startServe(t, environ)
	r.until("the partition halts", func() (bool, string) {
		_, body := r.ask(http.MethodGet, r.admin+"/health", "")
		return strings.Contains(body, "orders/0 is not read: offset-above-end"), body
	})
	if code, body := r.post("A-1"); code != http.StatusAccepted {
		t.Errorf("POST: %d %s", code, body)
	}
	if code, body := r.ask(http.MethodGet, r.api+"/orders/A-1", ""); code != http.StatusOK || !strings.Contains(body, `"state":"accepted"`) {
		t.Errorf("where it is: %d %s", code, body)
	}
	if code, body := r.ask(http.MethodGet, r.admin+"/readyz", ""); code != http.StatusOK {
		t.Errorf("readyz: %d %s", code, body)
	}
	if _, body := r.ask(http.MethodGet, r.admin+"/health", ""); !strings.Contains(body, `"status":"warn"`) {
		t.Errorf("health: %s", body)
	}
	r.stop()
}
