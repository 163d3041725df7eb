// Package kraft runs real Apache Kafka (KRaft) for tests: one node or three, from Maven jars, on loopback ports that the
// kernel chose. It needs Java 17 and Maven, no container. It is no package of the binary.
package kraft

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed pom.xml
var files embed.FS

// Cluster is a running Kafka. Its nodes are numbered from 1.
type Cluster struct {
	ID    string // the cluster id that this harness made: a stranger on the port has another one
	dir   string
	lib   string
	nodes []*node

	extra      []string // further lines of the properties, which win
	formatArgs []string // further arguments of the format tool
}

type node struct {
	addr, controller string
	cmd              *exec.Cmd
	exited           chan struct{}
}

// Jars returns the folder with Kafka's jars; Maven gets them on the first call on a machine.
func Jars(ctx context.Context) (string, error) {
	for _, tool := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Errorf("real Kafka needs %s on PATH: install a JDK 17 and Maven", tool)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w", err)
	}
	work := filepath.Join(cache, "orderctl-test", "kafka-4.3.1")
	lib := filepath.Join(work, "target", "lib")
	if jars, _ := filepath.Glob(filepath.Join(lib, "kafka_*.jar")); len(jars) > 0 {
		return lib, nil
	}
	if err := os.MkdirAll(work, 0o750); err != nil {
		return "", fmt.Errorf("make %s: %w", work, err)
	}
	pom, err := files.ReadFile("pom.xml")
	if err != nil {
		return "", fmt.Errorf("read pom: %w", err)
	}
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), pom, 0o600); err != nil {
		return "", fmt.Errorf("write pom: %w", err)
	}
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "package")
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("get Kafka's jars with Maven: %w\n%s", err, out)
	}
	return lib, nil
}

// Start formats and starts n nodes below dir and returns when every node serves and a topic on all of them can be made.
func Start(ctx context.Context, dir string, n int) (*Cluster, error) {
	lib, err := Jars(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cluster{ID: kafkaUUID(), dir: dir, lib: lib}
	for range n {
		ports, err := freePorts(2)
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, &node{addr: ports[0], controller: ports[1]})
	}
	if err := c.format(ctx); err != nil {
		return nil, err
	}
	for i := 1; i <= n; i++ {
		if err := c.StartNode(i); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if err := c.ready(ctx); err != nil {
		return nil, errors.Join(err, errors.New(c.LogTail()), c.Close())
	}
	return c, nil
}

// Addrs returns the addresses of all nodes, comma-separated, as --brokers takes them.
func (c *Cluster) Addrs() string {
	var a []string
	for _, n := range c.nodes {
		a = append(a, n.addr)
	}
	return strings.Join(a, ",")
}

// Addr returns the address of one node.
func (c *Cluster) Addr(id int) string { return c.nodes[id-1].addr }

// StartNode starts a node that is not running.
func (c *Cluster) StartNode(id int) error {
	n := c.nodes[id-1]
	log, err := os.OpenFile(c.logFile(id), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log of node %d: %w", id, err)
	}
	defer log.Close()
	n.cmd = exec.Command("java", c.javaArgs("-Xmx384m", "kafka.Kafka", c.propsFile(id))...) //nolint:noctx,gosec // a node outlives the call that starts it
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		return fmt.Errorf("start node %d: %w", id, err)
	}
	n.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}(n.cmd, n.exited)
	return nil
}

// Kill ends a node with SIGKILL and waits for its end.
func (c *Cluster) Kill(id int) error {
	n := c.nodes[id-1]
	if err := n.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill node %d: %w", id, err)
	}
	<-n.exited
	return nil
}

// Freeze stops a node with SIGSTOP: it keeps its connections and answers nothing.
func (c *Cluster) Freeze(id int) error { return Stop(c.nodes[id-1].cmd.Process.Pid) }

// Stop sends SIGSTOP to a child process and returns when all its threads stand still: the signal alone is on its way while
// another thread still answers.
func Stop(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait until process %d stands: %w", pid, err)
		}
		return nil
	}
}

// Thaw lets a frozen node go on.
func (c *Cluster) Thaw(id int) error { return c.nodes[id-1].cmd.Process.Signal(syscall.SIGCONT) }

// Close kills all nodes. The data below the cluster's folder is the caller's.
func (c *Cluster) Close() error {
	var errs []error
	for i, n := range c.nodes {
		if n.cmd != nil {
			errs = append(errs, c.Kill(i+1))
		}
	}
	return errors.Join(errs...)
}

// Tool runs one of Kafka's own tools ("org.apache.kafka.tools.TopicCommand", ...) and returns what it printed.
func (c *Cluster) Tool(ctx context.Context, class string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "java", c.javaArgs("-Xmx256m", class, args...)...).CombinedOutput() //nolint:gosec // tests choose the tool
	if err != nil {
		return string(out), fmt.Errorf("run %s: %w\n%s", class, err, out)
	}
	return string(out), nil
}

// LogTail returns the end of every node's log, for the report of a failure.
func (c *Cluster) LogTail() string {
	var b strings.Builder
	for i := range c.nodes {
		raw, err := os.ReadFile(c.logFile(i + 1))
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "--- node %d\n%s\n", i+1, raw[max(0, len(raw)-4000):])
	}
	return b.String()
}

func (c *Cluster) javaArgs(heap, class string, args ...string) []string {
	return append([]string{
		heap, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Djava.awt.headless=true",
		"-Dlog4j2.configurationFile=" + filepath.Join(c.dir, "log4j2.properties"), "-Dlog4j2.disableJmx=true",
		"-Dkafka.logs.dir=" + c.dir, "-cp", filepath.Join(c.lib, "*"), class,
	}, args...)
}

func (c *Cluster) propsFile(id int) string {
	return filepath.Join(c.dir, fmt.Sprintf("n%d.properties", id))
}
func (c *Cluster) logFile(id int) string { return filepath.Join(c.dir, fmt.Sprintf("n%d.log", id)) }
func (c *Cluster) dataDir(id int) string { return filepath.Join(c.dir, fmt.Sprintf("n%d", id)) }

// kafkaUUID makes an id as Kafka's Uuid writes it: 16 random bytes, URL-safe base64, not beginning with "-".
func kafkaUUID() string {
	for {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails: crypto/rand
		if s := base64.RawURLEncoding.EncodeToString(b[:]); s[0] != '-' {
			return s
		}
	}
}

// freePorts asks the kernel for free loopback ports. All are held until all are known, so that none is given twice.
func freePorts(n int) ([]string, error) {
	var addrs []string
	for range n {
		var lc net.ListenConfig
		l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// within polls until ok says so, the deadline passes or ctx ends.
func within(ctx context.Context, d time.Duration, what string, ok func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait %v for %s: %w", d, what, err)
		case <-tick.C:
		}
	}
}
