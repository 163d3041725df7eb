// Package dbtest starts private database servers for tests: one a package, one database a test. It looks for the binaries
// of the distribution; where there is none the test is skipped, loudly.
package dbtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to start or stop.
const patience = 30 * time.Second

// Servers are the servers of one test binary, started when a test asks for one. TestMain has to call Stop.
type Servers struct {
	mu              sync.Mutex
	postgres, maria *Server
	n               int
}

// Postgres returns the address of an empty database on the PostgreSQL server of this binary. The test is skipped where no
// server binary is found, and fails where REQUIRE_POSTGRES is 1.
func (s *Servers) Postgres(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.postgres == nil {
		s.postgres = StartPostgres(t)
	}
	s.n++
	name := fmt.Sprintf("test_%d", s.n)
	s.postgres.Exec(t, "postgres", "CREATE DATABASE "+name)
	return s.postgres.DSN(name)
}

// MySQL returns the data source name of an empty database on the MariaDB server of this binary. The test is skipped
// where no server binary is found, and fails where REQUIRE_MYSQL is 1.
func (s *Servers) MySQL(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.maria == nil {
		s.maria = StartMySQL(t)
	}
	s.n++
	name := fmt.Sprintf("test_%d", s.n)
	s.maria.Exec(t, "mysql", "CREATE DATABASE "+name)
	return s.maria.DSN(name)
}

// Stop ends the servers that were started.
func (s *Servers) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range []*Server{s.postgres, s.maria} {
		if x != nil {
			x.Close()
		}
	}
}

// Server is a private database server on a port of its own.
type Server struct {
	kind     kind
	dir      string
	port     int
	settings []string // beside ours, and above them

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
	logs strings.Builder
}

// kind is how one product is run.
type kind struct {
	name, require string
	driver        string
	run           func(s *Server) *exec.Cmd
	dsn           func(s *Server, database string) string
	quit          syscall.Signal // stops it at once
}

// missing skips a test that has no server, or fails it where CI requires one.
func missing(t testing.TB, k kind) {
	t.Helper()
	if os.Getenv(k.require) == "1" { //nolint:forbidigo // who runs the tests says what must not be skipped
		t.Fatalf("%s=1, and no server binary of %s was found", k.require, k.name)
	}
	t.Skipf("SKIPPED: %s, no server binary found", k.name)
}

// find looks for a program in the path and where distributions hide it.
func find(name string, folders ...string) string {
	if p, err := exec.LookPath(name); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			return real
		}
	}
	for _, pattern := range folders {
		found, _ := filepath.Glob(filepath.Join(pattern, name))
		if len(found) > 0 {
			slices.Sort(found)
			return found[len(found)-1]
		}
	}
	return ""
}

// folder makes a folder that the server's user owns. It is not the test's own: whose parent only root may enter.
func folder(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", name)
	if err != nil {
		t.Fatal(err)
	}
	if c := credential(name); c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// credential is the user that runs the server where the test is root, which servers refuse.
func credential(name string) *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// command runs as the server's user, and dies with the test.
func command(name, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), program, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(name), Pdeathsig: syscall.SIGKILL}
	return cmd
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Start runs the server and waits until it answers. It may have been stopped before.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		s.Stop()
		t.Fatalf("start %s: %v\n%s", s.kind.name, err, s.log())
	}
}

func (s *Server) start() error {
	cmd := s.kind.run(s)
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	s.mu.Lock()
	s.cmd, s.done = cmd, done
	s.mu.Unlock()
	go func() {
		defer close(done)
		_, _ = io.Copy(s, out)
		_ = cmd.Wait() // the log says why
	}()
	return s.answers(done)
}

// Write keeps what the server says.
func (s *Server) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logs.Write(p)
}

func (s *Server) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.logs.String()
	return text[max(0, len(text)-4000):]
}

func (s *Server) answers(done chan struct{}) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		err := s.exec(s.kind.home(), "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-done:
			return errors.New("it has ended")
		case <-deadline:
			return err
		}
	}
}

// Stop ends the server at once, as if its power was cut.
func (s *Server) Stop() {
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.cmd = nil
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(s.kind.quit)
	select {
	case <-done:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		<-done
	}
}

// Close stops the server and removes its folder.
func (s *Server) Close() {
	s.Stop()
	_ = os.RemoveAll(s.dir)
}

// Home is a database that every server of the kind has.
func (s *Server) Home() string { return s.kind.home() }

// Port is where it listens, on the loopback interface.
func (s *Server) Port() int { return s.port }

// DSN names a database of the server.
func (s *Server) DSN(database string) string { return s.kind.dsn(s, database) }
