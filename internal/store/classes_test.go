package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"commerce.internal/orderctl/internal/queue"
)

// inWords is a fault as the tables of this file write it.
func inWords(f fault) string {
	words := []string{string(f.class)}
	for _, flag := range []struct {
		is   bool
		name string
	}{{f.busy, "busy"}, {f.slow, "slow"}, {f.lost, "lost"}, {f.ours, "ours"}, {f.unique, "unique"}} {
		if flag.is {
			words = append(words, flag.name)
		}
	}
	return strings.Join(words, " ")
}

// The classes of PostgreSQL. Busy is tried again at once and never counted.
func TestWhatTheCodesOfPostgresMean(t *testing.T) {
	t.Parallel()
	d := &postgresDialect{}
	for codes, want := range map[string]string{
		"40001 40P01 55P03": "retryable busy",
		"57014":             "timeout slow",
		"XX000 XX001 XX002": "retryable",
		"08000 08003 08006 08001 08004 08007 08P01":                   "outage lost",
		"0A000 25006 25P03 26000 57P01 57P02 57P03 57P04 57P05":       "outage lost",
		"28000 28P01 3D000 53000 53100 53200 53300 53400 58000 58030": "outage",
		"42P01 42703 42501 42601 42804 42P18 42883":                   "outage ours",
		"22001 22003 22012 22021 22P02 22P05 22007":                   "fatal",
		"23502 23503 23505 23514 23P01":                               "fatal",
		"P0001 25001 55000 44000 2F005 zzzzz":                         "retryable",
	} {
		for _, code := range strings.Fields(codes) {
			f := meaning(d, fmt.Errorf("do: %w", &pgconn.PgError{Code: code, TableName: "shop"}))
			if inWords(f) != want || f.code != code {
				t.Errorf("%s is %s %s, want %s", code, inWords(f), f.code, want)
			}
		}
	}
	for table, want := range map[string]string{"orders": "fatal unique", "orderctl_messages": "fatal unique", "stock": "fatal"} {
		if f := meaning(d, &pgconn.PgError{Code: "23505", TableName: table}); inWords(f) != want {
			t.Errorf("23505 of %s is %s, want %s", table, inWords(f), want)
		}
	}
	noAnswer(t, d)
}

// The classes of MySQL, MariaDB and TiDB.
func TestWhatTheCodesOfMySQLMean(t *testing.T) {
	t.Parallel()
	d := &mysqlDialect{}
	for want, codes := range map[string][]uint16{
		"retryable busy": {1213, 1205, 1020, 9007, 8002, 8022, 8028},
		"timeout slow":   {3024, 1969},
		"outage":         {1040, 1044, 1045, 1049, 1203, 1226, 1227, 1698, 1021, 1030, 1041, 1047, 1114},
		"outage lost":    {1053, 1290, 1836, 1317, 1927, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 4031, 9001, 9002, 9003, 9004, 9005},
		"outage ours":    {1054, 1146, 1064, 1109, 1136, 1142, 1143, 1149, 1305, 1318, 1364, 1370},
		"fatal unique":   {1062},
		"fatal":          {1048, 1264, 1265, 1292, 1366, 1406, 1451, 1452, 1690, 3140, 3819, 4025},
		"retryable":      {1644, 1105, 1, 65535},
	} {
		for _, n := range codes {
			f := meaning(d, fmt.Errorf("do: %w", &mysql.MySQLError{Number: n}))
			if inWords(f) != want || f.code != fmt.Sprint(n) {
				t.Errorf("%d is %s %s, want %s", n, inWords(f), f.code, want)
			}
		}
	}
	for _, err := range []error{mysql.ErrInvalidConn, mysql.ErrMalformPkt, mysql.ErrPktSync, mysql.ErrBusyBuffer} {
		if f := meaning(d, err); inWords(f) != "outage lost" {
			t.Errorf("%v is %s", err, inWords(f))
		}
	}
	noAnswer(t, d)
}

// noAnswer: without an answer of the database it is away, unless the caller had no more time. What nobody knows may succeed.
func noAnswer(t *testing.T, d dialect) {
	t.Helper()
	for _, c := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "outage lost"},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, "outage lost"},
		{&net.DNSError{Err: "no such host"}, "outage lost"},
		{io.EOF, "outage lost"},
		{io.ErrUnexpectedEOF, "outage lost"},
		{net.ErrClosed, "outage lost"},
		{driver.ErrBadConn, "outage lost"},
		{context.Canceled, "timeout"},
		{fmt.Errorf("read: %w", context.DeadlineExceeded), "timeout"},
		{errors.New("nobody knows"), "retryable"},
	} {
		if f := meaning(d, c.err); inWords(f) != c.want {
			t.Errorf("%v is %s, want %s", c.err, inWords(f), c.want)
		}
	}
}

// A connection that nobody uses stays within bounds.
func TestConnectionsStayWithinBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o           Options
		write, read int
	}{
		{Options{}, 12, 4}, {Options{MaxOpen: 2}, 1, 1}, {Options{MaxOpen: 1}, 1, 1}, {Options{MaxOpen: 100}, 75, 25},
	} {
		if p := newPool(c.o); p.write != c.write || p.read != c.read || p.idle != defaultIdle || p.life != defaultLife || p.writers() != c.write {
			t.Errorf("of %d connections %d write and %d read: %+v", c.o.MaxOpen, p.write, p.read, p)
		}
	}
	if f := queue.ClassFatal; inWords(fault{class: f}) != "fatal" {
		t.Error("the tables of this file say nothing")
	}
}
