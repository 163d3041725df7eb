//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"commerce.internal/orderctl/test/kraft"
)

const realOrders = "../../internal/produce/sample/online-retail-2010-12.ndjson"

// binary builds orderctl once for the whole run.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "orderctl-e2e")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "orderctl")
	out, err := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-o", bin, "../../cmd/orderctl").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build orderctl: %w\n%s", err, out)
	}
	return bin, nil
})

// box is a stranger's machine: an empty home, its own environment, and a port for the worker that nobody else has.
type box struct {
	t    *testing.T
	bin  string
	home string
	env  []string
}

func newBox(t *testing.T, env ...string) *box {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	own := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TZ=UTC", "ORDERCTL_CONSUME_ADMIN_ADDR=127.0.0.1:0"}
	return &box{t: t, bin: bin, home: home, env: append(own, env...)}
}

func (b *box) command(args ...string) *exec.Cmd {
	cmd := exec.Command(b.bin, args...)
	cmd.Env, cmd.Dir = b.env, b.home
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// result is how a command ended.
type result struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

// run runs a command to its end; it is killed, and the test fails, after the bound.
func (b *box) run(bound time.Duration, args ...string) result {
	b.t.Helper()
	p := b.start(args...)
	begin := time.Now()
	code := p.wait(bound)
	return result{code: code, stdout: p.out.String(), stderr: p.err.String(), took: time.Since(begin)}
}

// must is run, and the command has to end with code.
func (b *box) must(code int, bound time.Duration, args ...string) result {
	b.t.Helper()
	r := b.run(bound, args...)
	if r.code != code {
		b.t.Fatalf("orderctl %s: exit %d, want %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), r.code, code, clip(r.stdout), clip(r.stderr))
	}
	return r
}

// process is a running orderctl.
type process struct {
	t        *testing.T
	name     string
	cmd      *exec.Cmd
	out, err *output
	done     chan struct{}
	code     int
}

func (b *box) start(args ...string) *process {
	b.t.Helper()
	p := &process{t: b.t, name: strings.Join(args, " "), cmd: b.command(args...), out: &output{}, err: &output{}, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	if err := p.cmd.Start(); err != nil {
		b.t.Fatalf("start orderctl %s: %v", p.name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the code tells
		p.code = p.cmd.ProcessState.ExitCode()
		close(p.done)
	}()
	b.t.Cleanup(func() {
		p.kill()
		if b.t.Failed() {
			b.t.Logf("orderctl %s\nstdout: %s\nstderr: %s", p.name, clip(p.out.String()), clip(p.err.String()))
		}
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if s == syscall.SIGSTOP {
		if err := kraft.Stop(p.cmd.Process.Pid); err != nil {
			p.t.Fatalf("orderctl %s: %v", p.name, err)
		}
		return
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal orderctl %s: %v", p.name, err)
	}
}

func (p *process) wait(bound time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.code
	case <-time.After(bound):
		p.signal(syscall.SIGQUIT)
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
			p.kill()
		}
		p.t.Fatalf("orderctl %s did not end within %v\nstdout: %s\nstderr: %s", p.name, bound, clip(p.out.String()), clip(p.err.String()))
		return -1
	}
}

// output collects what a process prints; it may be read while the process runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// eventually polls until ok returns nil.
func eventually(t *testing.T, bound time.Duration, what string, ok func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %v: %v", what, bound, err)
		case <-tick.C:
		}
	}
}

// call makes one HTTP request and returns status and body.
func call(method, url, contentType, body string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}

func decode(t *testing.T, raw string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(raw), into); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, clip(raw))
	}
}

func clip(s string) string {
	if len(s) > 6000 {
		return s[:3000] + "\n...\n" + s[len(s)-3000:]
	}
	return s
}

var errNotYet = errors.New("not yet")
