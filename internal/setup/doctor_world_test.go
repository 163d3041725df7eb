package setup_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/setup"
)

// world is a cluster and a host as a doctor sees them; a test makes one thing of it sick.
type world struct {
	setup.DoctorOptions
	reach    map[string]setup.Reach // by address
	state    setup.ClusterState
	configs  map[string]setup.Topic
	producer error
	rights   setup.Rights
	open     []setup.OpenTransaction
	openErr  error
	snapshot lag.Snapshot
	lagErr   error
	db       setup.Database
	dbErr    error
	disks    map[string]setup.Space
	asked    []string // topics whose configs were asked for
}

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// Snapshot implements lag.Source.
func (w *world) Snapshot(_ context.Context, q lag.Query) (lag.Snapshot, error) {
	s := w.snapshot
	s.Asked, s.SLO = q.Topics, q.SLO
	return s, w.lagErr
}

// OffsetsAt implements lag.Source.
func (*world) OffsetsAt(context.Context, map[lag.TopicPartition]time.Time) (map[lag.TopicPartition]lag.Maybe[lag.OffsetAt], error) {
	return nil, errors.ErrUnsupported
}

func tp(topic string, p int32) lag.TopicPartition {
	return lag.TopicPartition{Topic: topic, Partition: p}
}

// healthy is a world without a finding: three brokers, two partitions of each topic, two workers on one host.
func healthy(t *testing.T) *world {
	t.Helper()
	serve := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(serve.Close)
	brokers := []setup.BrokerAt{{ID: 1, Addr: "k1:9092"}, {ID: 2, Addr: "k2:9092"}, {ID: 3, Addr: "k3:9092"}}
	reached := setup.Reach{Brokers: brokers, CertificateEnds: now.Add(90 * 24 * time.Hour)}
	w := &world{
		reach:  map[string]setup.Reach{"k1:9092": reached, "k2:9092": reached, "k3:9092": reached},
		state:  setup.ClusterState{Controller: 1, Brokers: brokers, Topics: map[string]setup.TopicState{}},
		rights: setup.Rights{Known: true, Describe: true, Read: true}, configs: map[string]setup.Topic{},
		db:    setup.Database{Where: "/data/orders.db", Have: 3, Want: 3, Dir: "/data", Clock: now, Asked: now},
		disks: map[string]setup.Space{"/data": {Free: 50 << 30, Total: 100 << 30}, "/dev-data": {Free: 50 << 30, Total: 100 << 30}},
	}
	plan := want()
	plan.Partitions = 2
	w.snapshot = lag.Snapshot{AsOf: now, Isolation: lag.ReadCommitted, Topics: map[string]lag.TopicObs{}, Partitions: map[lag.TopicPartition]lag.PartitionObs{}}
	commits := map[lag.TopicPartition]lag.CommitObs{}
	for _, s := range specs(t, plan) {
		state := setup.TopicState{Rights: setup.Rights{Known: true, Describe: true, Read: true, Write: true, DescribeAs: true}}
		for p := range int32(2) {
			state.Partitions = append(state.Partitions, setup.PartitionState{ID: p, Leader: 1 + p, Replicas: []int32{1, 2, 3}, InSync: []int32{1, 2, 3}})
			w.snapshot.Partitions[tp(s.Name, p)] = lag.PartitionObs{Leader: 1 + p, Start: lag.Know[int64](0), High: lag.Know[int64](100), Stable: lag.Know[int64](100), Mark: lag.Know(lag.OffsetAt{Offset: -1})}
			commits[tp(s.Name, p)] = lag.CommitObs{Offset: 100}
		}
		w.snapshot.Topics[s.Name] = lag.TopicObs{Exists: lag.Know(true), Partitions: 2}
		w.state.Topics[s.Name] = state
		w.configs[s.Name] = setup.Topic{Partitions: 2, ReplicationFactor: 3, Configs: s.Configs}
	}
	member := lag.MemberObs{ID: "m1", ClientID: "worker-1", Host: "10.0.0.1", Subscribed: plan.Names.Consumed()}
	second := member
	second.ID = "m2"
	w.snapshot.Groups = map[string]lag.GroupObs{"g": {
		Type: "classic", State: lag.StateStable, Coordinator: 1, Members: lag.Know([]lag.MemberObs{member, second}), Commits: lag.Know(commits),
	}}
	w.DoctorOptions = setup.DoctorOptions{
		Want: plan, Brokers: []string{"k1:9092", "k2:9092"}, Principal: "User:orders", Idempotent: true, OpenFiles: 65536, LocalDB: true,
		Lag: w, SLO: 5 * time.Minute, Serve: setup.Serve{Addr: strings.TrimPrefix(serve.URL, "http://"), Chosen: true},
		Dev: setup.Dev{Dir: "/dev-data", Holder: func() (int, bool) { return 0, false }}, Now: func() time.Time { return now },
		Probe: func(_ context.Context, addr string) setup.Reach { return w.reach[addr] },
		State: func(context.Context, []string) (setup.ClusterState, error) { return w.state, nil },
		Configs: func(_ context.Context, names []string) (map[string]setup.Topic, error) {
			w.asked = names
			return w.configs, nil
		},
		Producer:    func(context.Context) error { return w.producer },
		GroupRights: func(context.Context, string) (setup.Rights, error) { return w.rights, nil },
		Transactions: func(context.Context, string, []int32) ([]setup.OpenTransaction, error) {
			return w.open, w.openErr
		},
		Database: func(context.Context) (setup.Database, error) { return w.db, w.dbErr },
		Disk: func(dir string) (setup.Space, error) {
			s, ok := w.disks[dir]
			if !ok {
				return s, errors.ErrUnsupported
			}
			return s, nil
		},
	}
	return w
}

func specs(t *testing.T, w setup.Want) []setup.TopicSpec {
	t.Helper()
	steps, err := setup.Plan(t.Context(), &cluster{}, w)
	if err != nil {
		t.Fatal(err)
	}
	var list []setup.TopicSpec
	for _, s := range steps {
		list = append(list, s.Spec)
	}
	return list
}

func (w *world) examine(t *testing.T) setup.Diagnosis {
	t.Helper()
	d, err := setup.NewDoctor(w.DoctorOptions)
	if err != nil {
		t.Fatal(err)
	}
	return d.Run(t.Context())
}

func (w *world) set(topic, key, value string) { w.configs[topic].Configs[key] = value }

// worse changes what is known of a topic's partitions.
func (w *world) worse(topic string, change func(*setup.TopicState)) {
	s := w.state.Topics[topic]
	s.Partitions = slices.Clone(s.Partitions)
	change(&s)
	w.state.Topics[topic] = s
}

func (w *world) partition(topic string, p int32, change func(*lag.PartitionObs)) {
	o := w.snapshot.Partitions[tp(topic, p)]
	change(&o)
	w.snapshot.Partitions[tp(topic, p)] = o
}

func (w *world) group(change func(*lag.GroupObs)) {
	g := w.snapshot.Groups["g"]
	change(&g)
	w.snapshot.Groups["g"] = g
}

func (w *world) commit(topic string, p int32, offset int64) {
	w.snapshot.Groups["g"].Commits.V[tp(topic, p)] = lag.CommitObs{Offset: offset}
}

// coded is an error that knows its class and what to do.
type coded struct {
	text, hint string
	code       int
}

func (c coded) Error() string { return c.text }
func (c coded) Hint() string  { return c.hint }
func (c coded) ExitCode() int { return c.code }

// sick is one row of the table: what is wrong, and the one line that must come of it.
type sick struct {
	name      string
	make      func(*world)
	level     setup.Level
	check     string
	text, fix string
	code      int      // of the diagnosis, not strict
	skipped   []string // checks that are not asked then
}

func (s sick) run(t *testing.T) {
	t.Parallel()
	w := healthy(t)
	s.make(w)
	d := w.examine(t)
	found := false
	var skipped []string
	for _, f := range d.Findings {
		switch {
		case f.Check == s.check && f.Level == s.level && strings.Contains(f.Text, s.text):
			found = true
			if !strings.Contains(f.Fix, s.fix) || s.level != setup.LevelSkip && f.Fix == "" {
				t.Errorf("fix %q, want %q", f.Fix, s.fix)
			}
		case f.Level == setup.LevelSkip:
			skipped = append(skipped, f.Check)
		case f.Level != setup.LevelOK:
			t.Errorf("besides: %+v", f)
		}
	}
	if !found {
		t.Errorf("no %s %s %q in\n%s", s.level, s.check, s.text, lines(d))
	}
	if !slices.Equal(skipped, s.skipped) {
		t.Errorf("skipped %v, want %v", skipped, s.skipped)
	}
	if d.ExitCode(false) != s.code {
		t.Errorf("exit %d, want %d", d.ExitCode(false), s.code)
	}
	if s.level == setup.LevelWarn && d.ExitCode(true) != 5 {
		t.Errorf("strict: exit %d, want 5", d.ExitCode(true))
	}
}

func lines(d setup.Diagnosis) string {
	var b strings.Builder
	for _, f := range d.Findings {
		fmt.Fprintf(&b, "%-4s %s  %s  fix: %s\n", f.Level, f.Check, f.Text, f.Fix)
	}
	return b.String()
}
