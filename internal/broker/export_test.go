package broker

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Retain applies retention as of a time.
func (b *Broker) Retain(ctx context.Context, now time.Time) { b.retain(ctx, now) }

// CheckDisk looks at the free space once.
func (b *Broker) CheckDisk(ctx context.Context) { b.disk.check(ctx) }

// Watch is the watch over silent members.
type Watch struct{ inner *watch }

// NewWatch returns a watch with its own clock.
func NewWatch(now func() time.Time) Watch { return Watch{newWatch(now)} }

// Note lets the watch see a request.
func (w Watch) Note(req kmsg.Request) { w.inner.note(req) }

// Silent returns the ids of the silent members.
func (w Watch) Silent(group string, info *kfake.GroupInfo) []string {
	var ids []string
	for _, k := range w.inner.silent(group, info) {
		ids = append(ids, k.id)
	}
	return ids
}

// Watched returns the ids that the watch has heard in a group.
func (b *Broker) Watched(group string) []string {
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	var ids []string
	for k := range b.watch.members {
		if k.group == group {
			ids = append(ids, k.id)
		}
	}
	return ids
}

// Logger returns the log that the broker writes to.
func (b *Broker) Logger() *slog.Logger { return b.opts.Log }

// Connected reports whether a client's connection is open as the broker sees it.
func (b *Broker) Connected(client net.Addr) bool {
	b.gate.mu.Lock()
	defer b.gate.mu.Unlock()
	for c := range b.gate.conns {
		if c.RemoteAddr().String() == client.String() {
			return true
		}
	}
	return false
}

// Dir returns where the log lies.
func (b *Broker) Dir() string { return b.dir }
