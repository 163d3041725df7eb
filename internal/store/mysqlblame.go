package store

import (
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strconv"

	"github.com/go-sql-driver/mysql"

	"commerce.internal/orderctl/internal/queue"
)

// blame says what an error of MySQL, MariaDB or TiDB means. A wrong schema or a missing right is our mistake, never the
// order's.
func (d *mysqlDialect) blame(err error) fault {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return blameMySQLClient(err)
	}
	f := fault{class: queue.ClassRetryable, code: strconv.Itoa(int(e.Number))}
	switch e.Number {
	case 1213, 1205, 1020, // deadlock, lock wait, read under a snapshot that is gone
		9007, 8002, 8022, 8028: // TiDB: write conflict, lost pessimistic lock, schema changed
		f.busy = true
	case 3024, 1969: // too long, in MariaDB
		f.class, f.slow = queue.ClassTimeout, true
	case 1040, 1044, 1045, 1049, 1203, 1226, 1227, 1698, // another connection would say the same
		1021, 1030, 1041, 1047, 1114: // disk, memory or table full, cluster not ready
		f.class = queue.ClassOutage
	case 1053, 1290, 1836, 1317, 1927, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 4031, // shut down, read-only, killed
		9001, 9002, 9003, 9004, 9005: // TiDB: its storage does not answer
		f.class, f.lost = queue.ClassOutage, true
	case 1054, 1146, 1064, 1109, 1136, 1142, 1143, 1149, 1305, 1318, 1364, 1370:
		f.class, f.ours = queue.ClassOutage, true
	case 1062:
		f.class, f.unique = queue.ClassFatal, true
	case 1048, 1264, 1265, 1292, 1366, 1406, 1451, 1452, 1690, 3140, 3819, 4025: // the last two: CHECK, in MariaDB
		f.class = queue.ClassFatal
	}
	return f
}

// blameMySQLClient is for errors that the database did not send.
func blameMySQLClient(err error) fault {
	var network net.Error
	if errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, driver.ErrBadConn) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, mysql.ErrMalformPkt) || errors.Is(err, mysql.ErrPktSync) || errors.Is(err, mysql.ErrPktSyncMul) || errors.Is(err, mysql.ErrBusyBuffer) {
		return fault{class: queue.ClassOutage, code: "connection", lost: true}
	}
	return fault{class: queue.ClassRetryable, code: "unknown"}
}
