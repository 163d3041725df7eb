package broker

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	unknownLimit = 2 * time.Minute // of a member whose join was not seen
	leaveTimeout = 5 * time.Second
)

type memberKey struct{ group, id string }

type memberSeen struct {
	at    time.Time
	limit time.Duration // session and rebalance timeout of its join; 0: not seen
}

// watch knows when each member of each group was last heard. kfake starts the session clock of a member with the answer
// to its join: a member whose connection died while it waited has no clock, never expires and keeps its partitions.
type watch struct {
	now func() time.Time

	mu      sync.Mutex
	members map[memberKey]memberSeen
	groups  map[string]time.Duration // longest limit of a join
}

func newWatch(now func() time.Time) *watch {
	return &watch{now: now, members: map[memberKey]memberSeen{}, groups: map[string]time.Duration{}}
}

// observe looks at the requests of members. The faults never fail anything: When says no to all.
func (w *watch) observe(c *kfake.Cluster) {
	c.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat, kmsg.OffsetCommit, kmsg.ConsumerGroupHeartbeat}, Count: -1,
		When: func(req kmsg.Request) bool { w.note(req); return false },
	})
}

func (w *watch) note(kreq kmsg.Request) {
	switch req := kreq.(type) {
	case *kmsg.JoinGroupRequest:
		limit := time.Duration(req.SessionTimeoutMillis+max(req.RebalanceTimeoutMillis, 0)) * time.Millisecond
		w.heard(req.Group, req.MemberID, limit)
	case *kmsg.SyncGroupRequest:
		w.heard(req.Group, req.MemberID, 0)
	case *kmsg.HeartbeatRequest:
		w.heard(req.Group, req.MemberID, 0)
	case *kmsg.OffsetCommitRequest:
		w.heard(req.Group, req.MemberID, 0)
	case *kmsg.ConsumerGroupHeartbeatRequest: // such a member may commit, and then only beat
		w.heard(req.Group, req.MemberID, 0)
	}
}

func (w *watch) heard(group, id string, limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.groups[group] = max(w.groups[group], limit)
	if id == "" {
		return
	}
	k := memberKey{group, id}
	if limit == 0 {
		limit = w.members[k].limit
	}
	w.members[k] = memberSeen{at: w.now(), limit: limit}
}

// silent returns the members of a group that were not heard for their limit. A member seen for the first time starts its
// time now.
func (w *watch) silent(group string, info *kfake.GroupInfo) []memberKey {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, there, dead := w.now(), map[string]bool{}, []memberKey(nil)
	if info == nil {
		info = &kfake.GroupInfo{}
		delete(w.groups, group)
	}
	for _, m := range info.Members {
		k := memberKey{group, m.MemberID}
		there[m.MemberID] = true
		seen, known := w.members[k]
		if !known {
			seen = memberSeen{at: now}
			w.members[k] = seen
		}
		limit := cmp.Or(seen.limit, w.groups[group], unknownLimit)
		if now.Sub(seen.at) > limit {
			dead = append(dead, k)
		}
	}
	for k := range w.members {
		if k.group == group && !there[k.id] {
			delete(w.members, k)
		}
	}
	return dead
}

func (w *watch) watched() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := make([]string, 0, len(w.groups))
	for g := range w.groups {
		names = append(names, g)
	}
	return names
}

// expel lets every silent member leave its group.
func (b *Broker) expel(ctx context.Context) {
	for _, group := range b.watch.watched() {
		for _, m := range b.watch.silent(group, b.cluster.GroupInfo(group)) {
			if err := b.leave(ctx, m); err != nil {
				b.opts.Log.WarnContext(ctx, "cannot remove a dead member", slog.String("group", m.group), slog.String("member", m.id), slog.String("error", err.Error()))
				continue
			}
			b.opts.Log.WarnContext(ctx, "removed a member that was silent for its session and rebalance timeout",
				slog.String("group", m.group), slog.String("member", m.id))
		}
	}
}

// leave sends the LeaveGroup that the member cannot send. Only the coordinator takes it.
func (b *Broker) leave(ctx context.Context, m memberKey) error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version = 2 // one member, no tagged fields
	req.Group, req.MemberID = m.group, m.id
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	err := error(kerr.CoordinatorNotAvailable)
	for _, addr := range b.gate.real() {
		resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
		if err = ask(ctx, addr, req, resp); err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("leave group %s: %w", m.group, err)
}

// ask sends one request, whose version has no tagged fields, and reads the answer.
func ask(ctx context.Context, addr string, req kmsg.Request, resp kmsg.Response) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if _, err := c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
		return err
	}
	head := make([]byte, 8) // size, correlation id
	if _, err := io.ReadFull(c, head); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:4])
	if size < 4 || size > maxFrame {
		return fmt.Errorf("answer of %d bytes", size)
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(c, body); err != nil {
		return err
	}
	resp.SetVersion(req.GetVersion())
	return resp.ReadFrom(body)
}
