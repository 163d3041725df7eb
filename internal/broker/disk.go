package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrDiskFull says that less of the disk is free than the broker must leave.
var ErrDiskFull = errors.New("disk is full")

// DiskError is ErrDiskFull with its numbers.
type DiskError struct {
	Dir           string
	Free, Reserve uint64
}

// Error implements error.
func (e *DiskError) Error() string {
	return fmt.Sprintf("%v: %d bytes free at %s, %d must stay free", ErrDiskFull, e.Free, e.Dir, e.Reserve)
}

// Unwrap makes it an ErrDiskFull.
func (e *DiskError) Unwrap() error { return ErrDiskFull }

// disk refuses writes while the disk is below the reserve. On a full disk kfake would say yes to an offset commit and
// lose it.
type disk struct {
	dir     string
	reserve uint64
	free    func(string) (uint64, error)
	cluster *kfake.Cluster
	log     *slog.Logger

	refusal *kfake.FaultHandle        // nil: writes are taken
	full    atomic.Pointer[DiskError] // the same for others to see
	blind   bool                      // the last question had no answer
}

func (d *disk) check(ctx context.Context) {
	free, err := d.free(d.dir)
	if err != nil {
		if !d.blind {
			d.log.WarnContext(ctx, "cannot tell the free space of the disk", slog.String("dir", d.dir), slog.String("error", err.Error()))
		}
		d.blind = true
		return // what was true stays true
	}
	d.blind = false
	switch {
	case free < d.reserve && d.refusal == nil:
		d.refusal = d.cluster.Fault(kfake.Fault{
			Keys: []kmsg.Key{kmsg.Produce, kmsg.OffsetCommit, kmsg.TxnOffsetCommit}, Err: kerr.KafkaStorageError, Count: -1,
		})
		d.full.Store(&DiskError{Dir: d.dir, Free: free, Reserve: d.reserve})
		d.log.ErrorContext(ctx, "disk is full: writes and commits are refused", d.attrs(free)...)
	case free >= d.reserve && d.refusal != nil:
		d.refusal.Remove()
		d.refusal = nil
		d.full.Store(nil)
		d.log.InfoContext(ctx, "disk has space again: writes and commits are taken", d.attrs(free)...)
	}
}

// Full returns the DiskError for which writes are refused now; nil: they are taken.
func (b *Broker) Full() error {
	if e := b.disk.full.Load(); e != nil {
		return e
	}
	return nil
}

// Committed is how many records of a topic a group has left behind, over all partitions.
func (b *Broker) Committed(group, topic string) int64 {
	info := b.cluster.GroupInfo(group)
	if info == nil {
		return 0
	}
	var n int64
	for _, c := range info.Commits[topic] {
		n += max(c.Offset, 0)
	}
	return n
}

func (d *disk) attrs(free uint64) []any {
	return []any{slog.String("dir", d.dir), slog.Uint64("free_bytes", free), slog.Uint64("reserve_bytes", d.reserve)}
}
