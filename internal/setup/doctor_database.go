package setup

import (
	"context"
	"strings"
	"time"
)

const (
	clockOff = 2 * time.Second
	diskLeft = 0.10
)

// Database is the store as it was found.
type Database struct {
	Where      string    // for a person
	Have, Want int64     // version of the schema
	Migrates   bool      // what is missing is brought up at the start of a worker
	Dir        string    // the folder of its file; empty: a server
	Clock      time.Time // of the server; zero: it is our own
	Asked      time.Time // when
}

// database looks at the store that remembers what is finished.
func (d *Doctor) database(ctx context.Context) []Finding {
	db, err := d.opts.Database(ctx)
	if err != nil {
		f := failed(err, "check store.dsn")
		f.Fix = strings.TrimSuffix(f.Fix, "; 'orderctl doctor' checks it") // it just did
		return []Finding{f}
	}
	var found []Finding
	switch {
	case db.Have > db.Want:
		found = append(found, fail(codeConfig, "use a newer orderctl", "%s: schema is at %d, this binary knows %d", db.Where, db.Have, db.Want))
	case db.Have < db.Want && !db.Migrates:
		found = append(found, fail(codeConfig, "orderctl db migrate", "%s: schema is at %d, this binary needs %d", db.Where, db.Have, db.Want))
	}
	if kept := d.opts.KeepDone; kept > 0 && kept < d.opts.Want.Retention {
		found = append(found, warn("set consume.keep_done to at least topics.retention",
			"what is done is remembered for %s, orders are kept for %s: an order that is read again would take effect again", days(kept), days(d.opts.Want.Retention)))
	}
	if off := db.Clock.Sub(db.Asked).Abs(); !db.Clock.IsZero() && off > clockOff {
		found = append(found, warn("let NTP set the clocks of both hosts", "the clock of the database is off by %s", off.Truncate(time.Millisecond)))
	}
	found = append(found, d.diskOf(db.Dir)...)
	if len(found) > 0 {
		return found
	}
	if db.Have < db.Want {
		return []Finding{ok("%s: schema is at %d; the worker brings it to %d", db.Where, db.Have, db.Want)}
	}
	return []Finding{ok("%s: schema %d", db.Where, db.Have)}
}

func (d *Doctor) diskOf(dir string) []Finding {
	if dir == "" {
		return nil
	}
	s, err := d.opts.Disk(dir)
	if err != nil || s.Total == 0 || float64(s.Free) >= diskLeft*float64(s.Total) {
		return nil // a folder that is not there yet has no disk
	}
	return []Finding{warn("make room on the disk of "+dir, "%.0f%% of the disk of %s is free", 100*float64(s.Free)/float64(s.Total), dir)}
}
