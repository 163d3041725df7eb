package main

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
)

// A script reads from the exit code of top what it would read from that of lag.
func TestTopOnceEndsLikeLag(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(2, "orders"), brokertest.SASL("PLAIN", "admin", "a"))
	b.ControlKey(kmsg.SASLAuthenticate, func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		asked, ok := r.(*kmsg.SASLAuthenticateRequest)
		if !ok || bytes.HasSuffix(asked.SASLAuthBytes, []byte("\x00a")) {
			return nil, nil, false
		}
		refused, _ := asked.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		refused.ErrorCode = kerr.SaslAuthenticationFailed.Code // as Apache Kafka says it; the embedded broker hangs up
		return refused, nil, true
	})
	login := func(password string) []string {
		return []string{
			"HOME=" + t.TempDir(), "ORDERCTL_KAFKA_BROKERS=" + b.Addr(), "ORDERCTL_KAFKA_SASL_MECHANISM=PLAIN", "ORDERCTL_KAFKA_SASL_ALLOW_PLAINTEXT=true",
			"ORDERCTL_KAFKA_SASL_USERNAME=admin", "ORDERCTL_KAFKA_SASL_PASSWORD=" + password,
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		environ []string
		args    []string
		code    int
	}{
		"a group that is not there": {login("a"), []string{"-g", "nobody"}, exitNotFound},
		"a wrong password":          {login("b"), nil, exitDenied},
		"no broker":                 {[]string{"ORDERCTL_KAFKA_BROKERS=" + nobody}, nil, exitUnreachable},
	} {
		for _, command := range []string{"top", "lag"} {
			args := append([]string{command, "--timeout", "5s"}, row.args...)
			if command == "top" {
				args = append(args, "--once")
			} else if len(row.args) > 0 {
				args = []string{command, row.args[1]}
			}
			cmd := orderctl(t, row.environ, args...)
			raw, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != row.code {
				t.Errorf("%s: %v ends with %d, not %d: %s", name, args, code, row.code, raw)
			}
		}
	}
	x := newTerminal(t, login("b"), "top")
	if code := x.ends(20 * time.Second); code != exitDenied || !strings.Contains(x.all(), "\x1b[?1049l") {
		t.Errorf("a wrong password on a screen ends with %d: %q", code, x.all())
	}
}

// top | head -1
func TestTopEndsWithItsReader(t *testing.T) {
	t.Parallel()
	cmd := orderctl(t, []string{"TERM=xterm-256color"}, "top", "--demo", "--interval", "500ms")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil || !strings.Contains(line, " status=") || strings.Contains(line, "\x1b") {
		t.Errorf("%v: %q", err, line)
	}
	if err := pipe.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, stderr.String())
	}
	if got := strings.Count(stderr.String(), "stdout is not a terminal: one line every 500ms (--once for one)"); got != 1 {
		t.Errorf("stderr %q", stderr.String())
	}
}

// top > f, on a terminal that could draw
func TestTopIntoAFileHasNoEscape(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := orderctl(t, []string{"TERM=xterm-256color", "COLORTERM=truecolor"}, "top", "--demo", "--interval", "500ms", "--count", "3")
	cmd.Stdout = f
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || strings.Count(string(raw), "\n") != 3 || strings.Contains(string(raw), "\x1b") {
		t.Errorf("%v: %q", err, raw)
	}
}
