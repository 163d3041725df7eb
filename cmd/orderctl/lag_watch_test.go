package main

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/queue"
)

// behind is a broker with a group that has ten orders to read.
func behind(t *testing.T) *brokertest.Broker {
	t.Helper()
	b := brokertest.Start(t, brokertest.Topics(2, "orders"))
	var orders []queue.Message
	for range 10 {
		orders = append(orders, queue.Message{Topic: "orders", Value: []byte("{}"), Time: time.Now().Add(-time.Minute)})
	}
	brokertest.Produce(t, b, orders...)
	b.Commit(t, "g", "orders", 0, 0)
	return b
}

// until waits for a text on stdout.
func (p *testProcess) until(t *testing.T, text string, after int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(p.out.String()[after:], text) {
		select {
		case <-ctx.Done():
			t.Fatalf("no %q in\n%s\n%s", text, p.out.String()[after:], p.err.String())
		case <-tick.C:
		}
	}
}

func TestAWatchOutlivesItsBroker(t *testing.T) {
	t.Parallel()
	b := behind(t)
	p := newTestProcess(t, "lag", "g", "--watch=500ms", "-b", b.Addr(), "--timeout", "1s")
	done := make(chan int, 1)
	go func() { done <- run(p.env) }()
	p.until(t, "g  CRITICAL  10 unread", 0)
	unmute := b.Mute()
	p.until(t, "\nSTALE ", 0)
	seen := len(p.out.String())
	p.until(t, "\nSTALE ", seen)
	if block := p.out.String()[seen:]; !strings.Contains(block, "did not answer") || !strings.Contains(block, "10 unread") || !regexp.MustCompile(`orders +0 +0 +10 +10 +\? +\? +1m\d\ds +\? +\? +\? `).MatchString(block) {
		t.Errorf("the table is kept, without rates:\n%s", block)
	}
	unmute()
	b.CutConnections()
	seen = len(p.out.String())
	p.until(t, "\n\ng  CRITICAL  10 unread", seen) // no line of the failure before it
	p.interrupts <- os.Interrupt
	if code := <-done; code != exitOK {
		t.Errorf("exit %d after Ctrl-C", code)
	}
}

func TestAWatchOnATerminalIsRedrawnInPlace(t *testing.T) {
	t.Parallel()
	b := behind(t)
	got, _ := onTerminal(t, []string{"ORDERCTL_KAFKA_BROKERS=" + b.Addr()}, "lag", "g", "--watch=500ms", "--count", "3")
	ups := regexp.MustCompile(`\x1b\[(\d+)A\r`).FindAllStringSubmatch(got, -1)
	frames := strings.Split(got, "\x1b[J")
	if len(ups) != 2 || len(frames) != 4 {
		t.Fatalf("%d times up, %d frames: %q", len(ups), len(frames)-1, got)
	}
	plain := regexp.MustCompile(`\x1b\[[\d;]*[AKm]|\r`)
	for i, f := range frames[:3] {
		lines := strings.Split(strings.TrimSuffix(plain.ReplaceAllString(f, ""), "\n"), "\n")
		if len(lines) >= 24 {
			t.Errorf("frame %d has %d lines", i, len(lines))
		}
		for _, l := range lines {
			if len([]rune(l)) > 80 {
				t.Errorf("%d columns: %q", len([]rune(l)), l)
			}
		}
	}
}

func TestWhatIsMissingIsNeverWell(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mute []kmsg.Key
		args []string
		code int
		out  string
	}{
		"a check of half an answer":  {[]kmsg.Key{kmsg.ListOffsets}, []string{"--check"}, 3, "LAG UNKNOWN - orders/0 UNKNOWN; orders/1 UNKNOWN | unread=U oldest=U lost=U unknown=2;;;0\n"},
		"a table of half an answer":  {[]kmsg.Key{kmsg.ListOffsets}, nil, exitPartial, "g  UNKNOWN  ? unread\n"},
		"a sum of half an answer":    {[]kmsg.Key{kmsg.ListOffsets}, []string{"--summary"}, exitPartial, "g UNKNOWN unread=? stale=? oldest=? lost=? unknown=2 worst=orders/0:UNKNOWN\n"},
		"a check of no answer":       {nil, []string{"--check"}, 3, "LAG UNKNOWN - Kafka at "},
		"no answer":                  {nil, nil, exitUnreachable, ""},
		"ages that nobody tells":     {[]kmsg.Key{kmsg.DescribeGroups}, []string{"--check"}, 3, "LAG UNKNOWN - "},
		"to wait for half an answer": {[]kmsg.Key{kmsg.ListOffsets}, []string{"--wait"}, exitThreshold, "g  UNKNOWN  ? unread\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := behind(t)
			b.Mute(tt.mute...)
			p := newTestProcess(t, append([]string{"lag", "g", "-b", b.Addr(), "--timeout", "1500ms"}, tt.args...)...)
			start := time.Now()
			code := run(p.env)
			if code != tt.code || !strings.HasPrefix(p.out.String(), tt.out) {
				t.Errorf("exit %d, %q, %q", code, p.out.String(), p.err.String())
			}
			if took := time.Since(start); took > 6*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}
