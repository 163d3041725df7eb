package broker_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker"
)

// join is a JoinGroup of a client that gets its member id at once.
func join(group, member string, session, rebalance time.Duration) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version = 2
	req.Group, req.MemberID, req.ProtocolType = group, member, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(session.Milliseconds()), int32(rebalance.Milliseconds())
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name = "range"
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Topics = []string{"orders"}
	p.Metadata = meta.AppendTo(nil)
	req.Protocols = append(req.Protocols, p)
	return req
}

func syncWith(group, member string, generation int32, members ...kmsg.JoinGroupResponseMember) *kmsg.SyncGroupRequest {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version = 2
	req.Group, req.MemberID, req.Generation = group, member, generation
	for i, m := range members {
		a := kmsg.NewConsumerMemberAssignment()
		at := kmsg.NewConsumerMemberAssignmentTopic()
		at.Topic, at.Partitions = "orders", []int32{int32(i)}
		a.Topics = append(a.Topics, at)
		ga := kmsg.NewSyncGroupRequestGroupAssignment()
		ga.MemberID, ga.MemberAssignment = m.MemberID, a.AppendTo(nil)
		req.GroupAssignment = append(req.GroupAssignment, ga)
	}
	return req
}

func beat(group, member string, generation int32) *kmsg.HeartbeatRequest {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version = 2
	req.Group, req.MemberID, req.Generation = group, member, generation
	return req
}

func shortSessions(o *broker.Options) {
	o.Cluster = append(o.Cluster, kfake.GroupMinSessionTimeout(time.Millisecond))
}

const (
	living    = 20 * time.Second // session of the member that lives; no beat of it is needed here
	dying     = time.Second
	rebalance = 2 * time.Second // nobody waits for it: both members join
	trials    = 16
)

// immortal makes a group of two, whose second member died while it waited in its join. In one of two cases (the cluster
// chooses at random between a full answer queue and a closed connection) it has no session clock then: the cluster gives
// it partitions and never takes them back. It returns the id of the dead member.
func immortal(t *testing.T, b *broker.Broker, group string) string {
	t.Helper()
	w := dial(t, b.Addr())
	first := w.ask(join(group, "", living, rebalance)).(*kmsg.JoinGroupResponse)
	w.ask(syncWith(group, first.MemberID, first.Generation, first.Members...))

	second := dial(t, b.Addr())
	named := join(group, "", dying, rebalance)
	named.Version = 4
	id := second.ask(named).(*kmsg.JoinGroupResponse).MemberID
	named.MemberID = id
	second.send(named)
	eventually(t, "the second member waits in its join", func() bool {
		return len(b.Cluster().GroupInfo(group).Members) == 2
	})
	_ = second.c.Close()
	eventually(t, "the broker sees the closed connection", func() bool { return !b.Connected(second.c.LocalAddr()) })

	again := w.ask(join(group, first.MemberID, living, rebalance)).(*kmsg.JoinGroupResponse)
	w.ask(syncWith(group, first.MemberID, again.Generation, again.Members...))
	return id
}

// immortals makes one such group after the other and returns the dead members by group.
func immortals(t *testing.T, b *broker.Broker) map[string]string {
	t.Helper()
	if err := b.CreateTopic("orders", 2, nil); err != nil {
		t.Fatal(err)
	}
	dead := map[string]string{}
	for i := range trials {
		group := fmt.Sprintf("g%d", i)
		dead[group] = immortal(t, b, group)
	}
	return dead
}

// alive counts the dead members that still belong to their group.
func alive(b *broker.Broker, dead map[string]string) int {
	n := 0
	for group, id := range dead {
		for _, m := range b.Cluster().GroupInfo(group).Members {
			if m.MemberID == id {
				n++
			}
		}
	}
	return n
}

func TestAMemberThatDiedInItsJoinIsRemoved(t *testing.T) {
	t.Parallel()
	var out syncBuffer
	b := open(t, func(o *broker.Options) { shortSessions(o); o.Log = slog.New(slog.NewTextHandler(&out, nil)) })
	run(t, b)
	dead := immortals(t, b)
	eventually(t, "the dead members are removed", func() bool { return alive(b, dead) == 0 })
	eventually(t, "it is told", func() bool { return strings.Contains(out.String(), "removed a member") })
}

// Why the watch is there. When this test fails after an upgrade of kfake, the watch can go.
func TestWithoutTheWatchADeadMemberKeepsItsPartitions(t *testing.T) {
	t.Parallel()
	b := open(t, shortSessions)
	dead := immortals(t, b)
	tick(t, dying+rebalance+time.Second)
	if alive(b, dead) == 0 {
		t.Errorf("none of %d dead members outlived its session", trials)
	}
}

// tick waits, and gives up with the test.
func tick(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.Context().Done():
		t.Fatal("the test has ended")
	case <-timer.C:
	}
}

func TestTheWatchRemovesTheSilentAndSparesTheSlow(t *testing.T) {
	t.Parallel()
	const session, rebalance = 10 * time.Second, 15 * time.Second // those of the worker
	now := time.Unix(1_000_000, 0)
	w := broker.NewWatch(func() time.Time { return now })
	group := func(ids ...string) *kfake.GroupInfo {
		info := &kfake.GroupInfo{}
		for _, id := range ids {
			info.Members = append(info.Members, kfake.GroupMember{MemberID: id})
		}
		return info
	}
	w.Note(join("g", "slow", session, rebalance))
	w.Note(join("g", "dead", session, rebalance))
	w.Note(join("other", "dead", time.Second, time.Second))
	for range 20 {
		now = now.Add(session - time.Second)
		w.Note(beat("g", "slow", 1))
		for _, id := range w.Silent("g", group("slow")) {
			t.Fatalf("%s was removed, a beat at session - 1 s", id)
		}
	}

	w.Note(join("g", "dead", session, rebalance))
	now = now.Add(session + rebalance)
	if ids := w.Silent("g", group("dead")); len(ids) != 0 {
		t.Errorf("removed at its limit: %v", ids)
	}
	now = now.Add(time.Millisecond)
	if ids := w.Silent("g", group("dead")); len(ids) != 1 {
		t.Errorf("removed after its limit: %v", ids)
	}

	// A member whose join nobody saw, as after a restart, has the longest limit of its group, or two minutes.
	if ids := w.Silent("g", group("loaded")); len(ids) != 0 {
		t.Errorf("removed at first sight: %v", ids)
	}
	now = now.Add(session + rebalance + time.Millisecond)
	if ids := w.Silent("g", group("loaded")); len(ids) != 1 {
		t.Errorf("not removed: %v", ids)
	}
	w.Note(beat("loaded", "m", 1))
	now = now.Add(2 * time.Minute)
	if ids := w.Silent("loaded", group("m")); len(ids) != 0 {
		t.Errorf("removed at two minutes: %v", ids)
	}
	now = now.Add(time.Second)
	if ids := w.Silent("loaded", group("m")); len(ids) != 1 {
		t.Errorf("not removed after two minutes: %v", ids)
	}
}

// What silent takes for granted about kfake: a member belongs to its group from the moment its join is taken, also while it
// waits there; one that has only been given an id does not; every request of a member is seen before it is judged, also one
// that is refused; a group that nobody knows is nil. When this test fails after an upgrade, silent must be read again.
func TestWhatTheWatchTakesForGranted(t *testing.T) {
	t.Parallel()
	b := open(t, shortSessions)
	if err := b.CreateTopic("orders", 2, nil); err != nil {
		t.Fatal(err)
	}
	if info := b.Cluster().GroupInfo("g"); info != nil {
		t.Errorf("a group that nobody knows is %+v", info)
	}
	ids := func() (list []string) {
		for _, m := range b.Cluster().GroupInfo("g").Members {
			list = append(list, m.MemberID)
		}
		slices.Sort(list)
		return list
	}
	one := dial(t, b.Addr())
	first := one.ask(join("g", "", living, living)).(*kmsg.JoinGroupResponse)
	one.ask(syncWith("g", first.MemberID, first.Generation, first.Members...))

	two := dial(t, b.Addr())
	named := join("g", "", living, living)
	named.Version = 4
	named.MemberID = two.ask(named).(*kmsg.JoinGroupResponse).MemberID
	if got := ids(); named.MemberID == "" || !slices.Equal(got, []string{first.MemberID}) {
		t.Errorf("with an id that was only given out the members are %v", got)
	}
	two.send(named)
	want := []string{first.MemberID, named.MemberID}
	slices.Sort(want)
	eventually(t, "the member that waits in its join is one", func() bool { return slices.Equal(ids(), want) })

	seen := b.Watched("g")
	if len(seen) != 2 {
		t.Errorf("the watch has heard %v", seen)
	}
	stranger := beat("g", "stranger", 1)
	if code := one.ask(stranger).(*kmsg.HeartbeatResponse).ErrorCode; code != kerr.UnknownMemberID.Code {
		t.Errorf("a stranger's beat: %d", code)
	}
	if seen := b.Watched("g"); !slices.Contains(seen, "stranger") {
		t.Errorf("a request that was refused was not seen: %v", seen)
	}
}

// A member of the newer protocol is listed like any other, and beats with another request.
func TestAMemberOfTheNewerProtocolIsHeardByItsBeats(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	if err := b.CreateTopic("orders", 2, nil); err != nil {
		t.Fatal(err)
	}
	c := dial(t, b.Addr())
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.RebalanceTimeoutMillis = 0, "new", "AAAAAAAAAAAAAAAAAAAAAQ", 60_000
	req.SubscribedTopicNames, req.Topics = []string{"orders"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	resp := c.ask(req).(*kmsg.ConsumerGroupHeartbeatResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		t.Fatal(err)
	}
	info := b.Cluster().GroupInfo("new")
	if len(info.Members) != 1 {
		t.Fatalf("members %+v", info.Members)
	}
	if id := info.Members[0].MemberID; !slices.Equal(b.Watched("new"), []string{id}) {
		t.Errorf("the watch has heard %v, the member is %s", b.Watched("new"), id)
	}

	now := time.Unix(1_000_000, 0)
	w := broker.NewWatch(func() time.Time { return now })
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.MemberID = "new", "m"
	w.Note(commit) // from now on the group is watched
	beats := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	beats.Group, beats.MemberID = "new", "m"
	for range 10 {
		now = now.Add(time.Minute)
		w.Note(beats)
		if ids := w.Silent("new", &kfake.GroupInfo{Members: []kfake.GroupMember{{MemberID: "m"}}}); len(ids) != 0 {
			t.Fatalf("%v was removed although it beats", ids)
		}
	}
}

// A known limit of kfake (row 10 of local-broker.md 2): each join restarts the deadline of the rebalance, so that members
// that join in turn keep the group from ever being stable. When this test fails after an upgrade, the row can go.
func TestEachJoinRestartsTheDeadlineOfTheRebalance(t *testing.T) {
	t.Parallel()
	const session, rebalance = 20 * time.Second, time.Second
	b := open(t, shortSessions)
	if err := b.CreateTopic("orders", 2, nil); err != nil {
		t.Fatal(err)
	}
	idle := dial(t, b.Addr()) // stable, then silent: the group waits for it up to the deadline
	first := idle.ask(join("g", "", session, rebalance)).(*kmsg.JoinGroupResponse)
	idle.ask(syncWith("g", first.MemberID, first.Generation, first.Members...))

	began := time.Now()
	for time.Since(began) < 3*rebalance {
		dial(t, b.Addr()).send(join("g", "", session, rebalance)) // one of two, in turn
		tick(t, rebalance/3)
		if info := b.Cluster().GroupInfo("g"); info.State != "PreparingRebalance" {
			t.Fatalf("the group is %s after %v: the deadline held", info.State, time.Since(began))
		}
	}
	eventually(t, "the deadline passes when nobody joins", func() bool {
		return b.Cluster().GroupInfo("g").State != "PreparingRebalance"
	})
}
