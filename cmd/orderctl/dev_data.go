package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/broker"
	"commerce.internal/orderctl/internal/out"
)

// devFormat is the form of the data folder. A folder of a newer form is refused.
const devFormat = 1

// devMark is the file that says: this folder is dev's.
const devMark = "dev.json"

// devData is the folder that dev keeps its data in.
type devData struct {
	dir       string
	home      string // to abbreviate it
	ephemeral bool
}

// openDevData makes the folder dev's own: it refuses one of a newer version, and empties it where --reset says so.
func (s *session) openDevData(ctx context.Context, cmd *cobra.Command, o devOptions) (*devData, error) {
	d := &devData{dir: o.dataDir, home: s.env.lookup("HOME")}
	switch {
	case o.ephemeral:
		dir, err := os.MkdirTemp("", "orderctl-dev-")
		if err != nil {
			return nil, fmt.Errorf("make temporary data folder: %w", err)
		}
		d.dir, d.ephemeral = dir, true
	case d.dir == "":
		d.dir = devDir(s.env)
	}
	dir, err := filepath.Abs(d.dir)
	if err != nil {
		return nil, fmt.Errorf("find data folder: %w", err)
	}
	d.dir = dir
	if o.reset {
		if err := s.resetDev(ctx, cmd, d, o.yes); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	return d, d.claim()
}

// devDir is the folder where nobody names another.
func devDir(e env) string {
	if dir := e.lookup("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "orderctl", "dev")
	}
	return filepath.Join(e.lookup("HOME"), ".local", "share", "orderctl", "dev")
}

// claim reads the mark, or sets it.
func (d *devData) claim() error {
	path := filepath.Join(d.dir, devMark)
	var mark struct {
		Format int `json:"format"`
	}
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join(d.dir, "kafka")); err == nil { // --reset would delete it one day
			return exitWith(exitFailed, d.dir+" holds a folder kafka that is not orderctl dev's", "choose another folder with --data-dir")
		}
		raw, err := json.Marshal(map[string]any{"format": devFormat, "version": buildInfo().Version})
		if err != nil {
			return fmt.Errorf("write %s: %w", devMark, err)
		}
		return writeFile(path, append(raw, '\n'))
	case err != nil:
		return fmt.Errorf("read data folder: %w", err)
	case json.Unmarshal(raw, &mark) != nil || mark.Format == 0:
		return exitWith(exitFailed, path+" is not what orderctl dev writes", "choose another folder with --data-dir")
	case mark.Format > devFormat:
		return exitWith(exitFailed, fmt.Sprintf("%s is of format %d, this orderctl knows %d", d.dir, mark.Format, devFormat),
			"use a newer orderctl, or another folder with --data-dir")
	}
	return nil
}

// resetDev deletes the data, if the folder is dev's and no other dev is at work in it: that one would go on to accept orders
// into files that are gone.
func (s *session) resetDev(ctx context.Context, cmd *cobra.Command, d *devData, yes bool) error {
	if _, err := os.Stat(d.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(filepath.Join(d.dir, devMark)); err != nil {
		return exitWith(exitFailed, fmt.Sprintf("%s holds no %s: it is not a data folder of orderctl dev, nothing was deleted", d.dir, devMark),
			"choose the folder with --data-dir")
	}
	if err := s.consent(ctx, cmd, "delete all data in "+d.dir, yes); err != nil {
		return err
	}
	s.acting.Store(false) // what follows is an ordinary dev
	if err := broker.WhileLocked(d.dir, d.erase); err != nil {
		return devError(err, devOptions{})
	}
	return nil
}

// erase deletes what dev has written. The mark goes last: what a crash leaves behind is dev's still.
func (d *devData) erase() error {
	for _, name := range []string{"kafka", "orders.db", "orders.db-wal", "orders.db-shm", "orders.db.migrate", "orderctl.yaml", devMark} {
		if err := os.RemoveAll(filepath.Join(d.dir, name)); err != nil {
			return fmt.Errorf("delete data: %w", err)
		}
	}
	return nil
}

// configPath is the file that makes other commands find this queue.
func (d *devData) configPath() string { return filepath.Join(d.dir, "orderctl.yaml") }

// writeConfig makes other commands find broker, database and API of this dev.
func (d *devData) writeConfig(s *session, api string) error {
	quote := func(v string) string {
		raw, _ := json.Marshal(v) // a string is always JSON, and JSON is YAML
		return string(raw)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by orderctl dev at each start: how other commands find it.\n")
	fmt.Fprintf(&b, "kafka:\n  name: dev\n  brokers: [%s]\n", quote(s.cfg.Kafka.Brokers[0]))
	fmt.Fprintf(&b, "topics: {partitions: %d}\n", devPartitions)
	fmt.Fprintf(&b, "store: {driver: sqlite, dsn: %s}\n", quote(s.cfg.Store.DSN.Reveal()))
	fmt.Fprintf(&b, "serve: {addr: %s}\n", quote(api))
	fmt.Fprintf(&b, "consume: {group: %s, topic: %s}\n", quote(s.cfg.Consume.Group), quote(s.cfg.Consume.Topic))
	return writeFile(d.configPath(), []byte(b.String()))
}

// writeFile writes a file whole: a reader sees the old one or the new one.
func writeFile(path string, body []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, body, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// short is the folder as a person writes it.
func (d *devData) short() string {
	if rest, ok := strings.CutPrefix(d.dir, d.home+"/"); ok && d.home != "" {
		return "~/" + rest
	}
	return d.dir
}

// bytes is how much the folder holds.
func (d *devData) bytes() int64 {
	var n int64
	_ = filepath.WalkDir(d.dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil //nolint:nilerr // a file that is gone by now counts for nothing
		}
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}

func (d *devData) close() error {
	if !d.ephemeral {
		return nil
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return fmt.Errorf("remove temporary data folder: %w", err)
	}
	return nil
}

// devInfo is the JSON of a started dev, orderctl.dev/v1.
type devInfo struct {
	Schema    string  `json:"schema"`
	Kafka     string  `json:"kafka"`
	API       *string `json:"api"`   // null: --broker-only
	Admin     *string `json:"admin"` // the same
	DataDir   string  `json:"data_dir"`
	DataBytes int64   `json:"data_bytes"`
	Config    *string `json:"config"` // null: --broker-only
	Fsync     bool    `json:"fsync"`
	Ephemeral bool    `json:"ephemeral"`
	text      string
}

// devBlock is what dev says when it is up.
func devBlock(d *devData, kafka, api, admin string, o devOptions) devInfo {
	i := devInfo{Schema: "orderctl.dev/v1", Kafka: kafka, DataDir: d.dir, DataBytes: d.bytes(), Fsync: o.fsync, Ephemeral: o.ephemeral}
	fsync := "off"
	if o.fsync {
		fsync = "on"
	}
	if o.brokerOnly {
		i.text = fmt.Sprintf("orderctl dev: a Kafka-protocol broker (one, not replicated, fsync %s)\n  kafka %s   data %s, %s\nCtrl-C stops it; the data stays.\n",
			fsync, kafka, d.short(), out.Size(i.DataBytes))
		return i
	}
	path := d.configPath()
	i.API, i.Admin, i.Config = &api, &admin, &path
	kept := "the data stays"
	if o.ephemeral {
		kept = "the data goes with it"
	}
	short := &devData{dir: path, home: d.home}
	i.text = fmt.Sprintf(`orderctl dev: a whole order queue in one process (one broker, not replicated, fsync %s)
  kafka %s   api http://%s   data %s, %s
In another terminal:
  export ORDERCTL_CONFIG=%s
  curl -i http://%s/orders -H 'Content-Type: application/json' \
    -d '{"user_id":"u1","items":[{"product_id":"p1","quantity":2,"unit_price":1999}]}'
  orderctl trace ORDER_ID;  orderctl produce --rate 200 --duration 30s;  orderctl lag;  orderctl dlq list;  orderctl top
Ctrl-C stops it; %s.
`, fsync, kafka, api, d.short(), out.Size(i.DataBytes), short.short(), api, kept)
	return i
}

// printDev prints the block, or its JSON.
func (s *session) printDev(i devInfo) error {
	switch out.Format(s.global.format) {
	case out.FormatJSON:
		return out.WriteJSON(s.stdout, i)
	case out.FormatJSONL:
		return out.WriteLine(s.stdout, i)
	}
	_, err := s.stdout.Write([]byte(i.text))
	return err
}
