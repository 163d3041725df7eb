package main

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"github.com/creack/pty"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/text"
)

// looked is a queue on call: an applied order, a dead one whose text is out to take over the terminal, groups with such names.
func looked(t *testing.T) (environ []string) {
	t.Helper()
	b := brokertest.Start(t)
	home := t.TempDir()
	environ = []string{"HOME=" + home, "ORDERCTL_KAFKA_BROKERS=" + b.Addr(), "ORDERCTL_TOPICS_PARTITIONS=16", "ORDERCTL_CONSUME_ADMIN_ADDR=127.0.0.1:0", "TZ=UTC"}
	do := func(code int, args ...string) {
		t.Helper()
		p := newTestProcess(t, args...)
		p.environ = environ
		if got := run(p.env); got != code {
			t.Fatalf("%v: exit %d\n%s%s", args, got, p.out, p.err)
		}
	}
	do(exitOK, "topics", "apply", "--yes", "-q")
	do(exitOK, "db", "migrate", "-q")
	good := `{"order_id":"A-1","user_id":"u1","status":"CREATED","currency":"GBP","items":[{"product_id":"p1","quantity":2,"unit_price":100}],"total_amount":200,"timestamp":1291191960000}`
	brokertest.Produce(t, b, queue.Message{Topic: "orders", Key: []byte("A-1"), Value: []byte(good)},
		queue.Message{
			Topic: "orders", Key: []byte("订" + evil), Value: []byte(`{"order_id":"` + evil), Partition: 3,
			Headers: []queue.Header{{Name: queue.HeaderClient, Value: []byte("商店" + evil)}, {Name: queue.HeaderRequestID, Value: []byte(strings.Repeat("很长", 60) + evil)}},
		})
	do(exitPartial, "consume", "--until-empty", "-q")
	for _, group := range []string{"订单组", "evil" + evil, strings.Repeat("长", 90)} {
		for p := range int32(16) {
			b.Commit(t, group, "orders", p, 0)
		}
	}
	return environ
}

// screen runs orderctl on a terminal of so many columns, and returns what appeared on it; stderr is apart.
func screen(t *testing.T, columns uint16, environ []string, args ...string) string {
	t.Helper()
	cmd := orderctl(t, append([]string{"TERM=xterm-256color"}, environ...), args...)
	cmd.Stderr = &bytes.Buffer{}
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: columns})
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, f); err != nil && !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), "\r\n", "\n")
}

// What is asked on call fits the screen, has colours where it may and nothing else that a terminal obeys, whatever the names.
func TestWhatIsAskedOnCallFitsTheScreen(t *testing.T) {
	t.Parallel()
	environ := looked(t)
	colours := regexp.MustCompile(`\x1b\[\d*m`)
	for _, args := range [][]string{
		{"lag", "--sample", "0s"},
		{"lag", "--all", "--sample", "0s"},
		{"lag", "-o", "wide", "--sample", "0s"},
		{"lag", "-A", "--sample", "0s"},
		{"lag", "-A", "--by", "group", "--sample", "0s"},
		{"lag", "evil" + evil, "--sample", "1s"},
		{"lag", "--summary", "-A", "--sample", "0s"},
		{"trace", "A-1"},
		{"trace", "A-1", "-o", "wide"},
		{"trace", "订" + evil},
		{"trace", "订" + evil, "--show-body"},
		{"audit", "-q", "--settle", "0s"},
		{"doctor"},
		{"doctor", "-g", "evil" + evil},
		{"offsets", "show", "-g", "订单组"},
		{"topics", "plan"},
	} {
		t.Run(text.Safe(strings.Join(args, " ")), func(t *testing.T) {
			t.Parallel()
			for _, columns := range []uint16{80, 200} {
				got := screen(t, columns, environ, args...)
				plain := colours.ReplaceAllString(got, "")
				harmless(t, plain)
				if got == plain && !strings.Contains(strings.Join(args, " "), "--summary") {
					t.Errorf("no colour at all: %q", got)
				}
				fits(t, plain, int(columns), args)
				if slices.Contains(args, "lag") && slices.Contains(args, "wide") {
					for _, column := range []string{"COMMITTED", " END ", "UNREAD", "OLDEST", "STATUS"} {
						if !strings.Contains(plain, column) {
							t.Errorf("no %s on a screen of %d:\n%s", column, columns, plain)
						}
					}
				}
			}
			if got := screen(t, 80, append([]string{"NO_COLOR=1"}, environ...), args...); strings.Contains(got, "\x1b") || got == "" {
				t.Errorf("with NO_COLOR: %q", got)
			}
			p := newTestProcess(t, args...)
			p.environ = environ
			run(p.env)
			harmless(t, p.out.String())
			harmless(t, p.err.String())
			if strings.Contains(p.out.String(), "…") {
				t.Errorf("cut off a terminal:\n%s", p.out)
			}
		})
	}
}

func harmless(t *testing.T, s string) {
	t.Helper()
	for i, r := range s {
		if r != '\n' && (unicode.IsControl(r) || r == unicode.ReplacementChar || strings.ContainsRune("\u202e\u2066\u200b", r)) {
			t.Errorf("%U at byte %d of %q", r, i, s)
			return
		}
	}
}

// fits: no line is wider than the screen, but for what is there to be copied, a fix or a body, and names and paths that take
// half of it by themselves.
func fits(t *testing.T, s string, columns int, args []string) {
	t.Helper()
	for line := range strings.Lines(s) {
		line = strings.TrimSuffix(line, "\n")
		whole := strings.HasPrefix(strings.TrimSpace(line), "fix: ") || strings.Contains(strings.Join(args, " "), "--show-body") ||
			strings.Contains(strings.Join(args, " "), "--summary") ||
			slices.ContainsFunc(strings.Fields(line), func(word string) bool { return text.Width(word) > columns/2 })
		if w := text.Width(line); w > columns && !whole {
			t.Errorf("%d cells on a screen of %d: %q", w, columns, line)
		}
	}
}
