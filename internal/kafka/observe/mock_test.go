package observe_test

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/observe"
)

// scripted is a cluster whose brokers say what a test has written down, for what the embedded broker cannot play.
type scripted struct {
	t       *testing.T
	brokers []*sarama.MockBroker
	scripts []map[string]sarama.MockResponse
	apis    map[int16]int16 // newest version by API key
	meta    *sarama.MockMetadataResponse
	coord   *sarama.MockFindCoordinatorResponse
}

// quiet keeps the chatter of scripted brokers out of the output; what they object to fails the test by its result.
type quiet struct{ *testing.T }

func (quiet) Logf(string, ...any) {}

func script(t *testing.T, brokers int) *scripted {
	t.Helper()
	s := &scripted{
		t: t, meta: sarama.NewMockMetadataResponse(t), coord: sarama.NewMockFindCoordinatorResponse(t),
		apis: map[int16]int16{2: 6, 3: 9, 9: 8, 10: 2, 15: 5, 16: 5, 32: 2, 69: 1},
	}
	for id := range int32(brokers) {
		b := sarama.NewMockBroker(quiet{t}, id+1)
		t.Cleanup(b.Close)
		s.brokers = append(s.brokers, b)
		s.scripts = append(s.scripts, map[string]sarama.MockResponse{})
		s.meta.SetBroker(b.Addr(), id+1)
	}
	return s
}

// on sets what all brokers answer; nil: nothing, ever.
func (s *scripted) on(request string, res sarama.MockResponse) {
	for i := range s.brokers {
		s.onBroker(i, request, res)
	}
}

func (s *scripted) onBroker(i int, request string, res sarama.MockResponse) {
	s.scripts[i][request] = res
}

// coordinate makes the first broker the coordinator of groups.
func (s *scripted) coordinate(groups ...string) {
	for _, g := range groups {
		s.coord.SetCoordinator(sarama.CoordinatorGroup, g, s.brokers[0])
	}
}

func (s *scripted) start() *observe.Observer {
	s.t.Helper()
	return observer(s.t, s.addrs()...)
}

// addrs lets the brokers begin to answer.
func (s *scripted) addrs() []string {
	s.t.Helper()
	var keys []sarama.ApiVersionsResponseKey
	for key, version := range s.apis {
		keys = append(keys, sarama.ApiVersionsResponseKey{ApiKey: key, MaxVersion: version})
	}
	var addrs []string
	for i, b := range s.brokers {
		handlers := map[string]sarama.MockResponse{
			"ApiVersionsRequest":           sarama.NewMockApiVersionsResponse(s.t).SetApiKeys(keys),
			"MetadataRequest":              s.meta,
			"FindCoordinatorRequest":       s.coord,
			"ListGroupsRequest":            sarama.NewMockListGroupsResponse(s.t),
			"DescribeGroupsRequest":        sarama.NewMockDescribeGroupsResponse(s.t),
			"OffsetFetchRequest":           sarama.NewMockOffsetFetchResponse(s.t),
			"DescribeConfigsRequest":       sarama.NewMockDescribeConfigsResponse(s.t),
			"ConsumerGroupDescribeRequest": sarama.NewMockConsumerGroupDescribeResponse(s.t),
		}
		for name, res := range s.scripts[i] {
			handlers[name] = res
			if res == nil {
				delete(handlers, name)
			}
		}
		b.SetHandlerByMap(handlers)
		addrs = append(addrs, b.Addr())
	}
	return addrs
}

func observer(t *testing.T, addrs ...string) *observe.Observer {
	t.Helper()
	o := observe.New(kafka.Options{
		Brokers: addrs, ClientID: "orderctl-test", Timeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return o
}

// count is how many requests like the given one a broker got.
func count[R any](b *sarama.MockBroker) int {
	n := 0
	for _, h := range b.History() {
		if _, ok := h.Request.(R); ok {
			n++
		}
	}
	return n
}

func tp(topic string, p int32) lag.TopicPartition {
	return lag.TopicPartition{Topic: topic, Partition: p}
}

// offsets scripts the ends of a log: start 0, the same end for every reader.
func offsets(t *testing.T, topic string, ends ...int64) *sarama.MockOffsetResponse {
	t.Helper()
	res := sarama.NewMockOffsetResponse(t)
	for p, end := range ends {
		res.SetOffset(topic, int32(p), sarama.OffsetNewest, end).SetOffset(topic, int32(p), sarama.OffsetOldest, 0)
	}
	return res
}

func listing(groups map[string]sarama.GroupData) sarama.MockResponse {
	names := map[string]string{}
	for g := range groups {
		names[g] = "consumer"
	}
	return sarama.NewMockWrapper(&sarama.ListGroupsResponse{Version: 5, Groups: names, GroupsData: groups})
}

// look takes a snapshot of group g in topic orders, and evaluates it.
func look(t *testing.T, o *observe.Observer, q lag.Query) (lag.Snapshot, lag.Report) {
	t.Helper()
	s, err := o.Snapshot(t.Context(), q)
	if err != nil {
		t.Fatalf("Snapshot: %v", err)
	}
	return s, lag.Evaluate([]lag.Snapshot{s}, lag.Policy{})
}

func TestAGroupOfTheNewProtocolIsNotDead(t *testing.T) {
	t.Parallel()
	s := script(t, 1)
	s.coordinate("g")
	s.meta.SetLeader("orders", 0, 1)
	s.on("OffsetRequest", offsets(t, "orders", 100))
	s.on("OffsetFetchRequest", sarama.NewMockOffsetFetchResponse(t).SetOffset("g", "orders", 0, 90, "", sarama.ErrNoError))
	s.on("ListGroupsRequest", listing(map[string]sarama.GroupData{"g": {GroupType: "Consumer", GroupState: "Stable"}}))
	s.on("ConsumerGroupDescribeRequest", sarama.NewMockConsumerGroupDescribeResponse(t).AddGroupDescription("g", sarama.ConsumerGroupDescription{
		GroupState: "Stable", AssignorName: "uniform", Members: []sarama.ConsumerGroupMemberDescription{{
			MemberID: "m1", ClientID: "worker-7c", ClientHost: "/10.0.3.7", SubscribedTopicNames: []string{"orders"},
			Assignment: sarama.ConsumerGroupAssignment{TopicPartitions: []sarama.ConsumerGroupTopicPartitions{{TopicName: "orders", Partitions: []int32{0}}}},
		}},
	}))
	_, r := look(t, s.start(), lag.Query{Groups: []string{"g"}})
	g := r.Groups[0]
	if g.Type.V != "consumer" || g.State.V != "Stable" || g.Protocol.V != "uniform" || g.Members != lag.Know(1) || !r.Complete {
		t.Errorf("group %+v", g)
	}
	if row := g.Partitions[0]; row.Status != lag.Behind || row.Unread != lag.Know[int64](10) || row.Owner == nil || row.Owner.Host != "10.0.3.7" {
		t.Errorf("row %+v", row)
	}
	if n := count[*sarama.DescribeGroupsRequest](s.brokers[0]); n != 0 {
		t.Errorf("DescribeGroups was asked %d times about a group that it calls dead", n)
	}
}

func TestAGroupThatOnlyLooksDeadIsUnknown(t *testing.T) {
	t.Parallel()
	s := script(t, 1) // a broker of 3.7: no types, and a group of the new protocol looks dead
	s.apis[16] = 4
	delete(s.apis, 69)
	s.coordinate("g")
	s.meta.SetLeader("orders", 0, 1)
	s.on("OffsetRequest", offsets(t, "orders", 100))
	s.on("OffsetFetchRequest", sarama.NewMockOffsetFetchResponse(t).SetOffset("g", "orders", 0, 90, "", sarama.ErrNoError))
	_, r := look(t, s.start(), lag.Query{Groups: []string{"g"}})
	g := r.Groups[0]
	if g.State.Known || g.Members.Known || r.Complete || slices.Contains(g.Reasons, lag.NoMembers) || g.Unread != lag.Know[int64](10) {
		t.Errorf("state %v, members %v, complete %v, reasons %v, unread %v", g.State, g.Members, r.Complete, g.Reasons, g.Unread)
	}
}

func TestAShareGroupIsNeverZero(t *testing.T) {
	t.Parallel()
	s := script(t, 1)
	s.coordinate("g")
	s.meta.SetLeader("orders", 0, 1)
	s.on("OffsetRequest", offsets(t, "orders", 100))
	s.on("ListGroupsRequest", listing(map[string]sarama.GroupData{"g": {GroupType: "Share", GroupState: "Stable"}}))
	_, r := look(t, s.start(), lag.Query{Groups: []string{"g"}, Topics: []string{"orders"}})
	g := r.Groups[0]
	if g.Unread.Known || g.Partitions[0].Unread.Known || g.Partitions[0].Status != lag.NotSupported || g.Type.V != "share" || r.Complete {
		t.Errorf("%+v", g)
	}
	if n := count[*sarama.OffsetFetchRequest](s.brokers[0]); n != 0 {
		t.Errorf("commits of a share group were asked for %d times", n)
	}
}

func TestRefusedAccess(t *testing.T) {
	t.Parallel()
	t.Run("to one of two topics", func(t *testing.T) {
		t.Parallel()
		s := script(t, 1)
		s.coordinate("g")
		s.meta.SetLeader("orders", 0, 1).SetError("secret", sarama.ErrTopicAuthorizationFailed)
		s.on("OffsetRequest", offsets(t, "orders", 100))
		s.on("OffsetFetchRequest", sarama.NewMockOffsetFetchResponse(t).
			SetOffset("g", "orders", 0, 90, "", sarama.ErrNoError).SetOffset("g", "secret", 3, 5, "", sarama.ErrNoError))
		_, r := look(t, s.start(), lag.Query{Groups: []string{"g"}})
		got := map[string]lag.Status{}
		for _, row := range r.Groups[0].Partitions {
			got[row.TopicPartition().String()] = row.Status
		}
		if got["secret/3"] != lag.Refused || got["orders/0"] != lag.NoMembers && got["orders/0"] != lag.Behind || r.Complete {
			t.Errorf("rows %v, complete %v", got, r.Complete)
		}
		if !r.Groups[0].LowerBound || r.Groups[0].Unread != lag.Know[int64](10) {
			t.Errorf("total %v, lower bound %v", r.Groups[0].Unread, r.Groups[0].LowerBound)
		}
	})
	t.Run("to the group", func(t *testing.T) {
		t.Parallel()
		s := script(t, 1)
		s.coord.SetError(sarama.CoordinatorGroup, "g", sarama.ErrGroupAuthorizationFailed)
		s.meta.SetLeader("orders", 0, 1)
		s.on("OffsetRequest", offsets(t, "orders", 100))
		_, r := look(t, s.start(), lag.Query{Groups: []string{"g"}, Topics: []string{"orders"}})
		if row := r.Groups[0].Partitions[0]; row.Status != lag.Refused || row.Unread.Known || row.End != lag.Know[int64](100) {
			t.Errorf("%+v", row)
		}
	})
}

func TestAGroupThatDoesNotExist(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]sarama.KError{"Kafka has no commits of it": sarama.ErrNoError, "the embedded broker says so": sarama.ErrGroupIDNotFound} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := script(t, 1)
			s.coordinate("typo")
			s.on("OffsetFetchRequest", sarama.NewMockOffsetFetchResponse(t).SetError(code))
			_, r := look(t, s.start(), lag.Query{Groups: []string{"typo"}})
			if !slices.Equal(r.MissingGroups, []string{"typo"}) || len(r.Groups) != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestATopicThatIsGone(t *testing.T) {
	t.Parallel()
	s := script(t, 1)
	s.coordinate("g")
	s.meta.SetLeader("orders", 0, 1)
	s.on("OffsetRequest", offsets(t, "orders", 100))
	s.on("OffsetFetchRequest", sarama.NewMockOffsetFetchResponse(t).SetOffset("g", "orders", 0, 90, "", sarama.ErrNoError).
		SetOffset("g", "orders", 1, 5, "", sarama.ErrNoError).SetOffset("g", "old-orders", 0, 50, "", sarama.ErrNoError))
	_, r := look(t, s.start(), lag.Query{Groups: []string{"g"}})
	got := map[string]lag.Status{}
	for _, row := range r.Groups[0].Partitions {
		got[row.TopicPartition().String()] = row.Status
	}
	if got["old-orders/0"] != lag.Gone || got["orders/1"] != lag.Gone || r.Groups[0].Unread != lag.Know[int64](10) || !r.Complete {
		t.Errorf("rows %v, total %v, complete %v", got, r.Groups[0].Unread, r.Complete)
	}
}

func TestAnOldBrokerIsAskedGroupByGroup(t *testing.T) {
	t.Parallel()
	s := script(t, 1)
	s.apis[9] = 7
	s.coordinate("a", "b")
	s.meta.SetLeader("orders", 0, 1)
	s.on("OffsetRequest", offsets(t, "orders", 100))
	s.on("OffsetFetchRequest", sarama.NewMockOffsetFetchResponse(t).
		SetOffset("a", "orders", 0, 90, "", sarama.ErrNoError).SetOffset("b", "orders", 0, 60, "", sarama.ErrNoError))
	_, r := look(t, s.start(), lag.Query{Groups: []string{"a", "b"}})
	if r.Groups[0].Unread != lag.Know[int64](10) || r.Groups[1].Unread != lag.Know[int64](40) {
		t.Errorf("%v and %v unread", r.Groups[0].Unread, r.Groups[1].Unread)
	}
}

func TestAnUnstableCommitIsAskedForOnceMore(t *testing.T) {
	t.Parallel()
	s := script(t, 1)
	s.coordinate("g")
	s.meta.SetLeader("orders", 0, 1).SetLeader("orders", 1, 1)
	s.on("OffsetRequest", offsets(t, "orders", 100, 100))
	unstable := func(p0 sarama.KError) sarama.MockResponse {
		return sarama.NewMockOffsetFetchResponse(t).SetOffset("g", "orders", 0, 90, "", p0).
			SetOffset("g", "orders", 1, -1, "", sarama.ErrUnstableOffsetCommit)
	}
	s.on("OffsetFetchRequest", sarama.NewMockSequence(unstable(sarama.ErrUnstableOffsetCommit), unstable(sarama.ErrNoError)))
	_, r := look(t, s.start(), lag.Query{Groups: []string{"g"}})
	g := r.Groups[0]
	for _, row := range g.Partitions {
		if known := row.Partition == 0; row.Unread.Known != known || row.Commit == lag.CommitNone {
			t.Errorf("%+v", row)
		}
	}
	if n := count[*sarama.OffsetFetchRequest](s.brokers[0]); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

func TestACoordinatorThatHasMoved(t *testing.T) {
	t.Parallel()
	s := script(t, 1)
	s.coordinate("g")
	s.meta.SetLeader("orders", 0, 1)
	s.on("OffsetRequest", offsets(t, "orders", 100))
	s.on("OffsetFetchRequest", sarama.NewMockSequence(
		sarama.NewMockOffsetFetchResponse(t).SetError(sarama.ErrNotCoordinatorForConsumer),
		sarama.NewMockOffsetFetchResponse(t).SetOffset("g", "orders", 0, 90, "", sarama.ErrNoError)))
	_, r := look(t, s.start(), lag.Query{Groups: []string{"g"}})
	if g := r.Groups[0]; g.Unread != lag.Know[int64](10) || !r.Complete {
		t.Errorf("%+v", g)
	}
}

func offsetAnswer(err sarama.KError, topic string, p int32, offset int64) sarama.MockResponse {
	return sarama.NewMockWrapper(&sarama.OffsetResponse{Version: 6, Blocks: map[string]map[int32]*sarama.OffsetResponseBlock{
		topic: {p: {Err: err, Offset: offset, Timestamp: -1}},
	}})
}

func TestAPartitionThatTheAnswerLacksIsUnknown(t *testing.T) {
	t.Parallel()
	s := script(t, 1)
	s.coordinate("g")
	s.meta.SetLeader("orders", 0, 1).SetLeader("orders", 1, 1)
	s.on("OffsetRequest", offsetAnswer(sarama.ErrNoError, "orders", 0, 7))
	_, r := look(t, s.start(), lag.Query{Groups: []string{"g"}, Topics: []string{"orders"}})
	if len(r.MissingGroups) != 1 {
		t.Fatalf("%+v", r)
	}
	snap, _ := look(t, s.start(), lag.Query{Topics: []string{"orders"}})
	if p := snap.Partitions[tp("orders", 1)]; p.Problem != lag.NoAnswer || p.High.Known {
		t.Errorf("%+v", p)
	}
	if p := snap.Partitions[tp("orders", 0)]; p.Problem != "" || p.High != lag.Know[int64](7) {
		t.Errorf("%+v", p)
	}
}

func TestALeaderThatHasMoved(t *testing.T) {
	t.Parallel()
	for _, code := range []sarama.KError{sarama.ErrNotLeaderForPartition, sarama.ErrFencedLeaderEpoch, sarama.ErrOffsetNotAvailable} {
		t.Run(code.Error(), func(t *testing.T) {
			t.Parallel()
			s := script(t, 1)
			s.meta.SetLeader("orders", 0, 1)
			no, yes := offsetAnswer(code, "orders", 0, -1), offsetAnswer(sarama.ErrNoError, "orders", 0, 7)
			s.on("OffsetRequest", sarama.NewMockSequence(no, no, no, yes))
			o := s.start()
			snap, _ := look(t, o, lag.Query{Topics: []string{"orders"}})
			if p := snap.Partitions[tp("orders", 0)]; p.Problem != "" || p.High != lag.Know[int64](7) || p.Stable != lag.Know[int64](7) {
				t.Errorf("%+v", p)
			}
		})
	}
	t.Run("and moves on", func(t *testing.T) {
		t.Parallel()
		s := script(t, 1)
		s.meta.SetLeader("orders", 0, 1)
		s.on("OffsetRequest", offsetAnswer(sarama.ErrNotLeaderForPartition, "orders", 0, -1))
		snap, _ := look(t, s.start(), lag.Query{Topics: []string{"orders"}})
		if p := snap.Partitions[tp("orders", 0)]; p.Problem != lag.NoAnswer || p.High.Known {
			t.Errorf("%+v", p)
		}
		if n := count[*sarama.OffsetRequest](s.brokers[0]); n != 6 {
			t.Errorf("%d questions, want three and three again", n)
		}
	})
}
