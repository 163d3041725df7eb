package dbtest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

const mysqlFolders = "/usr/sbin"

func mysqlKind() kind {
	return kind{
		name: "MySQL", require: "REQUIRE_MYSQL", driver: "mysql", quit: syscall.SIGKILL,
		run: func(s *Server) *exec.Cmd {
			return command("mysql", find("mariadbd", mysqlFolders), "--no-defaults", "--user=mysql",
				"--datadir="+filepath.Join(s.dir, "data"), "--bind-address=127.0.0.1", "--port="+strconv.Itoa(s.port),
				"--socket="+filepath.Join(s.dir, "s"), "--pid-file="+filepath.Join(s.dir, "pid"), "--max-connections=300",
				"--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M", "--skip-name-resolve", "--innodb-use-native-aio=0")
		},
		dsn: func(s *Server, database string) string {
			return fmt.Sprintf("root@tcp(127.0.0.1:%d)/%s", s.port, database)
		},
	}
}

// StartMySQL starts a server of a test's own, to be stopped and started at will. It ends with the binary; Stop ends it
// before.
func StartMySQL(t testing.TB) *Server {
	t.Helper()
	k := mysqlKind()
	install := find("mariadb-install-db", "/usr/bin")
	if install == "" || find("mariadbd", mysqlFolders) == "" {
		missing(t, k)
	}
	s := &Server{kind: k, dir: folder(t, "mysql"), port: freePort(t)}
	cmd := command("mysql", install, "--no-defaults", "--user=mysql", "--datadir="+filepath.Join(s.dir, "data"),
		"--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-flush-method=nosync", "--innodb-use-native-aio=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	s.Start(t)
	return s
}
