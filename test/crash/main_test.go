//go:build crash

package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "commerce.internal/orderctl/internal/store" // the driver of SQLite
	"commerce.internal/orderctl/internal/store/dbtest"
	"commerce.internal/orderctl/test/kraft"
)

// servers are the database servers of this run, shut down at its end.
var servers dbtest.Servers

// cluster is the real Kafka of this run.
var cluster struct {
	once sync.Once
	*kraft.Cluster
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	servers.Stop()
	if cluster.Cluster != nil {
		_ = cluster.Close()
	}
	if cluster.dir != "" {
		_ = os.RemoveAll(cluster.dir)
	}
	os.Exit(code)
}

// build builds orderctl once for each set of tags.
func build(tags string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "orderctl-crash")
		if err != nil {
			return "", err
		}
		bin := filepath.Join(dir, "orderctl")
		out, err := exec.Command("go", "build", "-trimpath", "-tags", tags, "-o", bin, "../../cmd/orderctl").CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("build orderctl: %w\n%s", err, out)
		}
		return bin, nil
	})
}

var (
	armed   = build("grpcnotrace,failpoint")
	release = build("grpcnotrace")
)

// process is a running orderctl.
type process struct {
	cmd  *exec.Cmd
	log  string // path of what it says
	done chan struct{}
}

// start runs orderctl; it dies with the test.
func start(t *testing.T, bin string, env []string, args ...string) *process {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &process{cmd: exec.Command(bin, args...), log: log.Name(), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start orderctl %v: %v", args, err)
	}
	go func() {
		_ = p.cmd.Wait() // its state tells
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("orderctl %v\n%s", args, p.said())
		}
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// killed reports whether it has ended by SIGKILL within the bound.
func (p *process) killed(bound time.Duration) bool {
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		return false
	}
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// stop is Ctrl-C; it returns the exit code.
func (p *process) stop(t *testing.T, bound time.Duration) int {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-timer.C:
		t.Fatalf("orderctl does not stop within %v\n%s", bound, p.said())
		return -1
	}
}

func (p *process) said() string {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-4_000):])
}

// eventually polls until ok returns nil.
func eventually(t *testing.T, bound time.Duration, what string, ok func() error) {
	t.Helper()
	end := time.NewTimer(bound)
	defer end.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-end.C:
			t.Fatalf("%s: not within %v: %v", what, bound, err)
		case <-tick.C:
		}
	}
}
