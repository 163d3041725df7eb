package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// muteBroker accepts connections, counts them, and never answers.
func muteBroker(t *testing.T) (addr string, connections *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = &atomic.Int64{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			defer c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String(), connections
}

func TestTabAgainstAMuteBroker(t *testing.T) { // not parallel: it is about time
	if raceDetector {
		t.Skip("the bar is for the real binary; it is held without the race detector")
	}
	addr, connections := muteBroker(t)
	home := t.TempDir()
	tab := func() (string, time.Duration) {
		cmd := orderctl(t, []string{"ORDERCTL_KAFKA_BROKERS=" + addr, "XDG_CACHE_HOME=" + home}, "__complete", "lag", "-g", "")
		start := time.Now()
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out), time.Since(start)
	}
	out, took := tab()
	if want := "_activeHelp_ Kafka at " + addr + " did not answer in 1s\n:4\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	if took > 1200*time.Millisecond {
		t.Errorf("took %v", took)
	}
	first := connections.Load()
	again, took := tab()
	if again != out || connections.Load() != first || took > 600*time.Millisecond {
		t.Errorf("again: %q in %v, %d connections more", again, took, connections.Load()-first)
	}
	old, err := os.ReadFile(filepath.Join(home, "orderctl", "complete.json"))
	if err != nil {
		t.Fatal(err)
	}
	year := time.Now().UTC().Format("2006-")
	if err := os.WriteFile(filepath.Join(home, "orderctl", "complete.json"), []byte(strings.Replace(string(old), `"at":"`+year, `"at":"1999-`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if tab(); connections.Load() == first {
		t.Error("what is older than ten seconds is believed")
	}
}
