package dbtest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

const postgresFolders = "/usr/lib/postgresql/*/bin"

func postgresKind() kind {
	return kind{
		name: "PostgreSQL", require: "REQUIRE_POSTGRES", driver: "pgx", quit: syscall.SIGQUIT,
		run: func(s *Server) *exec.Cmd {
			args := []string{
				"-D", filepath.Join(s.dir, "data"),
				"-c", "listen_addresses=127.0.0.1", "-c", "port=" + strconv.Itoa(s.port), "-c", "unix_socket_directories=" + s.dir,
				"-c", "fsync=off", "-c", "max_connections=300", "-c", "log_min_messages=fatal", "-c", "log_min_error_statement=fatal",
			}
			for _, setting := range s.settings {
				args = append(args, "-c", setting)
			}
			return command("postgres", find("postgres", postgresFolders), args...)
		},
		dsn: func(s *Server, database string) string {
			return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
		},
	}
}

// StartPostgres starts a server of a test's own, to be stopped and started at will. It ends with the binary; Stop ends
// it before.
func StartPostgres(t testing.TB) *Server {
	t.Helper()
	return StartPostgresWith(t)
}

// StartPostgresWith is StartPostgres with settings, such as "fsync=on", laid over those of tests.
func StartPostgresWith(t testing.TB, settings ...string) *Server {
	t.Helper()
	k := postgresKind()
	initdb := find("initdb", postgresFolders)
	if initdb == "" || find("postgres", postgresFolders) == "" {
		missing(t, k)
	}
	s := &Server{kind: k, settings: settings, dir: folder(t, "postgres"), port: freePort(t)}
	cmd := command("postgres", initdb, "-D", filepath.Join(s.dir, "data"), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.Start(t)
	return s
}
