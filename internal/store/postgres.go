package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/postgres/*.sql
var postgresMigrations embed.FS

// postgresLock is the advisory lock of all who migrate.
const postgresLock = 0x6f72646572 // "order"

// connectWithin bounds the wait for a connection where the dsn does not.
const connectWithin = 5 * time.Second

// postgresDialect is PostgreSQL, 13 or later.
type postgresDialect struct {
	config *pgx.ConnConfig
	pool
	insertRows, insertOrders string
}

func newPostgres(o Options) (*postgresDialect, error) {
	if o.DSN == "" {
		return nil, &UsageError{Text: "store.dsn: postgres needs an address", Help: "write postgres://user@host:5432/database"}
	}
	c, err := pgx.ParseConfig(o.DSN)
	if err != nil {
		return nil, &UsageError{Text: "store.dsn: " + postgresDSNError(err), Help: "write postgres://user@host:5432/database"}
	}
	if o.Password != "" {
		c.Password = o.Password
	}
	if m := c.DefaultQueryExecMode; m == pgx.QueryExecModeExec || m == pgx.QueryExecModeSimpleProtocol {
		return nil, &UsageError{
			Text: fmt.Sprintf("store.dsn: default_query_exec_mode %s cannot send what the store sends", m),
			Help: "cache_describe is for poolers that know no prepared statements",
		}
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectWithin
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "orderctl"
	}
	d := &postgresDialect{config: c, pool: newPool(o)}
	d.insertRows, d.insertOrders = postgresInserts()
	return d, nil
}

// postgresDSNError says what is wrong with a dsn without a word of it: the text of an address that cannot be taken apart
// may hold the password anywhere.
func postgresDSNError(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Error()
	}
	return "is not an address of PostgreSQL"
}

func (d *postgresDialect) where() string {
	host := net.JoinHostPort(d.config.Host, strconv.Itoa(int(d.config.Port)))
	if strings.HasPrefix(d.config.Host, "/") {
		host = d.config.Host
	}
	return fmt.Sprintf("PostgreSQL %s/%s", host, url.PathEscape(d.config.Database))
}

func (d *postgresDialect) syntax() syntax {
	return syntax{
		begin:       "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
		looks:       sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
		same:        "IS NOT DISTINCT FROM",
		state:       "state || ''",
		lockRows:    "FOR UPDATE",
		hasTable:    "SELECT count(to_regclass(?))",
		placeholder: func(n int) string { return "$" + strconv.Itoa(n) },
		lookup:      postgresLookup,
		names:       nameArray,
		number:      "::bigint",
		foreign:     "$",
		dollars:     true,
	}
}

// schema migrates under a lock that all processes see. It is asked for each second; the library's default waits longer.
func (d *postgresDialect) schema() (fs.FS, goose.Dialect, []goose.ProviderOption, error) {
	files, err := fs.Sub(postgresMigrations, "migrations/postgres")
	if err != nil {
		return nil, "", nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(postgresLock), lock.WithLockTimeout(1, 60))
	if err != nil {
		return nil, "", nil, err
	}
	return files, goose.DialectPostgres, []goose.ProviderOption{goose.WithSessionLocker(locker)}, nil
}

func (d *postgresDialect) connect(context.Context) (*link, error) {
	l := &link{write: d.open(), read: d.open(), still: func() error { return nil }}
	d.bound(l)
	return l, nil
}

func (d *postgresDialect) create(context.Context) (func() error, error) {
	return func() error { return nil }, nil
}

func (d *postgresDialect) openNew() (*sql.DB, error) { return d.open(), nil }

// open makes a pool whose connections lead to a database that can hold any text.
func (d *postgresDialect) open() *sql.DB {
	return stdlib.OpenDB(*d.config, stdlib.OptionAfterConnect(func(_ context.Context, c *pgx.Conn) error {
		if e := c.PgConn().ParameterStatus("server_encoding"); e != "UTF8" {
			return away("encoding", "%s has the encoding %s; orders need UTF8", d.where(), e)
		}
		takeArrays(c)
		return nil
	}))
}
