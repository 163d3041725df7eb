package broker

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// anyKey is the key of a control that sees all requests.
const anyKey = -1

// hooks is what callers installed, as far as the answer to an unknown group must know it: that answer is given before
// kfake looks at faults, so it stands back where a fault has something to say.
type hooks struct {
	mu     sync.Mutex
	faults []*Faults
	turn   atomic.Int64 // the control of this number answers for unknown groups, those before it have retired
}

// Faults are faults that were installed together.
type Faults struct {
	handle *kfake.FaultHandle
	faults []kfake.Fault
	budget int // requests they may still fail; below 0: until removed
	gone   atomic.Bool
}

// Hits is how many requests the faults have met so far.
func (f *Faults) Hits() int { return f.handle.Hits() }

// Wait waits until the faults have met n requests in total, or until ctx ends.
func (f *Faults) Wait(ctx context.Context, n int) error { return f.handle.Wait(ctx, n) }

// Remove takes the faults away.
func (f *Faults) Remove() {
	f.gone.Store(true)
	f.handle.Remove()
}

// Fault installs faults, see kfake.Fault. A fault on OffsetFetch works on groups that do not exist, too.
func (b *Broker) Fault(faults ...kfake.Fault) *Faults {
	f := &Faults{faults: faults}
	for _, one := range faults {
		switch {
		case one.Count < 0 || f.budget < 0:
			f.budget = -1
		default:
			f.budget += max(one.Count, 1)
		}
	}
	b.hooks.mu.Lock()
	defer b.hooks.mu.Unlock()
	f.handle = b.cluster.Fault(faults...)
	b.hooks.faults = append(slices.DeleteFunc(b.hooks.faults, (*Faults).spent), f)
	return f
}

func (f *Faults) spent() bool {
	return f.gone.Load() || f.budget >= 0 && f.handle.Hits() >= f.budget
}

// concerns reports whether one of the faults may answer an OffsetFetch of a group.
func (f *Faults) concerns(group string) bool {
	return !f.spent() && slices.ContainsFunc(f.faults, func(one kfake.Fault) bool {
		return (one.Keys == nil || slices.Contains(one.Keys, kmsg.OffsetFetch)) && (one.Group == "" || one.Group == group)
	})
}

// ControlKey installs a control, see kfake.Cluster.ControlKey; -1 is every request. It comes before the answer to
// unknown groups.
func (b *Broker) ControlKey(key int16, fn func(kmsg.Request) (kmsg.Response, error, bool)) {
	b.cluster.ControlKey(key, fn)
	if key == anyKey || key == int16(kmsg.OffsetFetch) {
		b.answerAt(key)
	}
}

// CutConnections closes every connection of every client, as a broker that dies does.
func (b *Broker) CutConnections() { b.gate.cut() }

// refuseDeletes refuses DeleteRecords: kfake forgets it at kill -9, and a log that is emptied restarts at offset 0.
func (b *Broker) refuseDeletes() {
	b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DeleteRecords}, Err: kerr.PolicyViolation, Count: -1})
}
