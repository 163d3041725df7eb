package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kgo"

	"commerce.internal/orderctl/internal/broker"
)

// TestQueueScripts runs the commands against a broker of their own. Beside the usual commands of testscript a script has
//
//	exit CODE COMMAND...       runs it and checks its exit code
//	hostile TOPIC              writes a record whose key, value and headers are out to take over a terminal
//	clean                      the last stdout and stderr hold no raw control byte
//	topic NAME PARTITIONS      creates a topic
//	member GROUP TOPIC         joins a group and stays in it
//	sql FILE STATEMENT         changes a database, behind the back of everybody
//	disguised TOPIC KEY VALUE  writes a record with a plain key and hostile headers
//	bomb TOPIC                 writes a record that nobody can unpack
//	elsewhere TOPIC P KEY VALUE  writes a record to a partition of its choice
func TestQueueScripts(t *testing.T) {
	t.Parallel()
	commands := map[string]func(*testscript.TestScript, bool, []string){
		"exit": expectCode, "hostile": hostile, "clean": clean, "topic": makeTopic, "member": member,
		"sql": runSQL, "disguised": disguised, "elsewhere": elsewhere, "bomb": bomb,
	}
	maps.Copy(commands, lagCommands())
	testscript.Run(t, testscript.Params{
		Dir: "testdata/queue", RequireExplicitExec: true, Setup: withBroker, Cmds: commands,
	})
}

type brokerKey struct{}

func withBroker(e *testscript.Env) error {
	b, err := broker.Open(broker.Options{Addr: "127.0.0.1:0", Memory: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	e.Defer(func() { _ = b.Close() })
	e.Values[brokerKey{}] = b
	var lc net.ListenConfig
	closed, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a port that nobody listens on: %w", err)
	}
	e.Setenv("NOBODY", closed.Addr().String())
	goldens, err := filepath.Abs("testdata/lag")
	if err != nil {
		return fmt.Errorf("find golden files: %w", err)
	}
	e.Setenv("GOLDEN", goldens)
	e.Setenv("HOME", e.WorkDir)
	e.Setenv("TZ", "UTC")
	e.Setenv("ORDERCTL_KAFKA_BROKERS", b.Addr())
	e.Setenv("ORDERCTL_TOPICS_PARTITIONS", "3")
	e.Setenv("ORDERCTL_CONSUME_ADMIN_ADDR", "127.0.0.1:0")
	return closed.Close()
}

func makeTopic(ts *testscript.TestScript, _ bool, args []string) {
	b, _ := ts.Value(brokerKey{}).(*broker.Broker)
	partitions := int64(3)
	if len(args) > 1 {
		var err error
		partitions, err = strconv.ParseInt(args[1], 10, 32)
		ts.Check(err)
	}
	ts.Check(b.CreateTopic(args[0], int32(partitions), nil))
}

// evil is what a message may hold to take over a terminal: CSI, OSC, a C1 byte, a bidi override, a carriage return.
const evil = "\x1b[2J\x1b]0;owned\x07\u009b31m\u202egnp\r\n\x7f"

func hostile(ts *testscript.TestScript, _ bool, args []string) {
	b, _ := ts.Value(brokerKey{}).(*broker.Broker)
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	ts.Check(err)
	defer cl.Close()
	ts.Check(cl.ProduceSync(context.Background(), &kgo.Record{
		Topic: args[0], Key: []byte("A" + evil), Value: []byte(`{"order_id":"` + evil + "\xff"),
		Headers: []kgo.RecordHeader{{Key: "x" + evil, Value: []byte(evil + "\x9b")}, {Key: "ce_id", Value: []byte("id" + evil)}},
	}).FirstErr())
}

func clean(ts *testscript.TestScript, _ bool, _ []string) {
	for _, name := range []string{"stdout", "stderr"} {
		for i, r := range ts.ReadFile(name) {
			if r != '\n' && (unicode.IsControl(r) || r == unicode.ReplacementChar || strings.ContainsRune("\u202e\u2066\u200b", r)) {
				ts.Fatalf("%s holds %U at byte %d", name, r, i)
			}
		}
	}
}

// What a script writes down is what a stranger reads: README shows the same lines.
func TestReadmeShowsTheBlockOfDev(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	d := &devData{dir: "/home/me/.local/share/orderctl/dev", home: "/home/me"}
	block := devBlock(d, "127.0.0.1:9092", "127.0.0.1:8080", "127.0.0.1:8090", devOptions{}).text
	for line := range strings.Lines(block) {
		if line = strings.TrimSpace(line); !strings.Contains(line, "data ~") && !strings.Contains(string(readme), line) {
			t.Errorf("README.md does not show %q", line)
		}
	}
}

func TestReadmeQuotesTheExitCodes(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range exitMeanings() {
		if row := fmt.Sprintf("| %d | %s |", m.code, m.text); !strings.Contains(string(readme), row) {
			t.Errorf("README.md has no row %q", row)
		}
	}
}
