package out_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/out"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func TestOffATerminalProgressIsAPlainLineNowAndThen(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	c := &clock{t: time.Unix(0, 0)}
	p := out.NewProgress(&b, out.ProgressOptions{Verb: "replay", Total: 312, Now: c.now})
	for i := int64(1); i <= 24; i++ {
		c.t = c.t.Add(time.Second)
		p.Set(i*5, i/12)
	}
	p.Finish()
	want := "replay 50/312  16%  5/s\nreplay 100/312  32%  5/s  failed 1\nreplay 120/312  38%  5/s  failed 2\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestOnATerminalProgressIsOneLine(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	c := &clock{t: time.Unix(0, 0)}
	p := out.NewProgress(&b, out.ProgressOptions{Verb: "replay", Total: 312, Redraw: true, Now: c.now, Width: 80})
	c.t = c.t.Add(2408 * time.Millisecond)
	p.Set(118, 2)
	p.Finish()
	if got := b.String(); !strings.Contains(got, "replay 118/312  37%  49/s  ETA 4s  failed 2") || !strings.Contains(got, "\r") {
		t.Errorf("got %q", got)
	}
	if got := b.String(); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "replay 118/312  37%  49/s  failed 2\n") {
		t.Errorf("the last line: %q", got)
	}
}

func TestAForeignVerbIsEscaped(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	out.NewProgress(&b, out.ProgressOptions{Verb: "x\x1b[2J"}).Finish()
	if got := b.String(); got != `x\x1b[2J 0`+"\n" {
		t.Errorf("got %q", got)
	}
}

func TestQuietProgressSaysNothing(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := out.NewProgress(&b, out.ProgressOptions{Verb: "replay", Total: 3, Quiet: true, Redraw: true})
	p.Set(3, 0)
	p.Finish()
	if b.Len() != 0 {
		t.Errorf("got %q", b.String())
	}
}

func TestWhereALineMayBeRedrawn(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, env      string
		terminal, want bool
	}{
		{"on a terminal", "TERM=xterm", true, true},
		{"not in a file", "TERM=xterm", false, false},
		{"not on a dumb terminal", "TERM=dumb", true, false},
		{"not for a screen reader", "TERM=xterm ACCESSIBLE=1", true, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := out.CanRedraw(lookup(row.env), row.terminal); got != row.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
