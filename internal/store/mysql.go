package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/mysql/*.sql
var mysqlMigrations embed.FS

// mysqlDialect is MySQL 8, MariaDB 10.5 or TiDB 7, or later ones.
type mysqlDialect struct {
	config *mysql.Config
	pool
}

func newMySQL(o Options) (*mysqlDialect, error) {
	c, err := mysqlConfig(o.DSN)
	if err != nil {
		return nil, err
	}
	if c.DBName == "" {
		return nil, &UsageError{Text: "store.dsn: names no database", Help: mysqlExample()}
	}
	if o.Password != "" {
		c.Passwd = o.Password
	}
	if c.Timeout == 0 {
		c.Timeout = connectWithin
	}
	c.ClientFoundRows = true // a row that is found is a hit, also where nothing changes
	c.MultiStatements, c.InterpolateParams = true, true
	c.AllowAllFiles = false
	c.Logger = &mysql.NopLogger{} // what it would write is in the errors
	return &mysqlDialect{config: c, pool: newPool(o)}, nil
}

func mysqlExample() string { return "write user@tcp(host:3306)/database" }

// mysqlConfig reads a data source name of the driver, or an address mysql://. Its errors hold nothing of it: a name that
// cannot be taken apart may have its password anywhere.
func mysqlConfig(dsn string) (*mysql.Config, error) {
	if dsn == "" {
		return nil, &UsageError{Text: "store.dsn: mysql needs the name of a database", Help: mysqlExample()}
	}
	if strings.HasPrefix(dsn, "mysql://") {
		u, err := url.Parse(dsn)
		if err != nil {
			return nil, &UsageError{Text: "store.dsn: is not an address of MySQL", Help: mysqlExample()}
		}
		password, _ := u.User.Password()
		c, err := mysql.ParseDSN("tcp(" + u.Host + ")" + u.EscapedPath() + "?" + u.RawQuery)
		if err == nil {
			c.User, c.Passwd = u.User.Username(), password
			return c, nil
		}
	}
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, &UsageError{Text: "store.dsn: is not a data source name of MySQL", Help: mysqlExample()}
	}
	return c, nil
}

func (d *mysqlDialect) where() string {
	return fmt.Sprintf("MySQL %s/%s", d.config.Addr, url.PathEscape(d.config.DBName))
}

func (d *mysqlDialect) syntax() syntax {
	return syntax{
		begin:       "START TRANSACTION",
		looks:       sql.TxOptions{Isolation: sql.LevelRepeatableRead}, // TiDB knows no READ ONLY
		same:        "<=>",
		lockRows:    "FOR UPDATE",
		hasTable:    "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
		placeholder: func(int) string { return "?" },
		foreign:     "?",
		backslashes: true,
	}
}

func (d *mysqlDialect) schema() (fs.FS, goose.Dialect, []goose.ProviderOption, error) {
	files, err := fs.Sub(mysqlMigrations, "migrations/mysql")
	return files, goose.DialectMySQL, nil, err
}

func (d *mysqlDialect) connect(context.Context) (*link, error) {
	l := &link{still: func() error { return nil }}
	var err error
	if l.write, err = d.openNew(); err != nil {
		return nil, err
	}
	if l.read, err = d.openNew(); err != nil {
		return nil, err
	}
	d.bound(l)
	return l, nil
}

// create waits until no other process migrates this database. The migration library would take a lock only after it has
// made its own table, which takes two steps here.
func (d *mysqlDialect) create(ctx context.Context) (release func() error, err error) {
	db, err := d.openNew()
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // the lock is the connection's, and goes with it
	var locked sql.NullInt64
	err = db.QueryRowContext(ctx, "SELECT GET_LOCK(CONCAT('orderctl.', SHA1(DATABASE())), 60)").Scan(&locked)
	if err == nil && locked.Int64 != 1 {
		err = away("locked", "another process has been migrating it for a minute")
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db.Close, nil
}

func (d *mysqlDialect) openNew() (*sql.DB, error) {
	c, err := mysql.NewConnector(d.config)
	if err != nil {
		return nil, &UsageError{Text: "store.dsn: is not a data source name of MySQL", Help: mysqlExample()}
	}
	return sql.OpenDB(mysqlConnector{c}), nil
}

// mysqlConnector sets each connection up: READ COMMITTED, since a lost compare is read again in its transaction; a text
// that does not fit is an error; a lock that is not given back in time is asked for again in a new transaction.
type mysqlConnector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c mysqlConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	e, ok := conn.(driver.ExecerContext)
	if !ok {
		return nil, fmt.Errorf("set up connection: %T runs no statements", conn)
	}
	_, err = e.ExecContext(ctx, `SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
		SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',STRICT_ALL_TABLES'), SESSION innodb_lock_wait_timeout = 3`, nil)
	if err != nil {
		_ = conn.Close() // the error says more
		return nil, fmt.Errorf("set up connection: %w", err)
	}
	return conn, nil
}
