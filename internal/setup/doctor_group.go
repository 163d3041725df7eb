package setup

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// OpenTransaction is a transaction that its producer has not ended.
type OpenTransaction struct {
	Partition int32
	Producer  int64
	Epoch     int32
	Start     int64     // offset of its first record
	Last      time.Time // when its producer wrote last; zero: not known
}

// observed is what was seen of the group, and the verdict on it.
type observed struct {
	snapshot lag.Snapshot
	group    lag.GroupObs
	rows     []lag.Row
}

// observeOnce looks at the group once: whoever asks first looks for all.
func (d *Doctor) observeOnce() func(context.Context) (observed, error) {
	var once sync.Once
	var seen observed
	var err error
	return func(ctx context.Context) (observed, error) {
		once.Do(func() { seen, err = d.observe(ctx) })
		return seen, err
	}
}

func (d *Doctor) observe(ctx context.Context) (observed, error) {
	names := d.opts.Want.Names
	s, err := d.opts.Lag.Snapshot(ctx, lag.Query{Groups: []string{names.Group}, Topics: names.Consumed(), SLO: d.opts.SLO})
	if err != nil && len(s.Groups) == 0 {
		return observed{}, err
	}
	seen := observed{snapshot: s, group: s.Groups[names.Group]}
	if seen.group.Missing() { // its topics are there all the same: to them it is as one that nobody is in
		s.Groups = map[string]lag.GroupObs{names.Group: {
			State: lag.StateEmpty, Coordinator: -1, Members: seen.group.Members, Commits: seen.group.Commits,
		}}
	}
	for _, g := range lag.Evaluate([]lag.Snapshot{s}, d.opts.Policy).Groups {
		if g.Group == names.Group {
			seen.rows = g.Partitions
		}
	}
	return seen, nil
}

// having are the partitions whose rows have a status, with what detail says of each.
func (o observed) having(s lag.Status, detail func(lag.Row) string) []string {
	var list []string
	for _, r := range o.rows {
		if slices.Contains(r.Reasons, s) {
			list = append(list, r.TopicPartition().String()+detail(r))
		}
	}
	return list
}

// unknown are the partitions of which something is not known that would be there.
func (o observed) unknown(known func(lag.Row) bool) []string {
	var list []string
	for _, r := range o.rows {
		if r.Status != lag.Gone && !known(r) {
			list = append(list, r.TopicPartition().String())
		}
	}
	return list
}

// group looks at who reads the queue, and whether what it committed fits the log.
func (d *Doctor) group(ctx context.Context) []Finding {
	name := d.opts.Want.Names.Group
	seen, err := d.seen(ctx)
	if err != nil {
		return []Finding{failed(err, "see the brokers' logs")}
	}
	switch seen.group.Problem {
	case lag.NoAccess:
		return []Finding{skip("group %s may not be described", name)}
	case lag.Unsupported:
		return []Finding{fail(codeFailed, "choose another consume.group", "group %s is a %s group, not one of consumers", name, seen.group.Type)}
	case "":
	default:
		return []Finding{fail(codeUnreachable, "see the brokers' logs; orderctl lag "+name, "the coordinator of group %s did not answer", name)}
	}
	found := d.members(seen)
	for _, odd := range []struct {
		status lag.Status
		text   string
		fix    string
		detail func(lag.Row) string
	}{
		{
			lag.Lost, "LOST: retention deleted records before the group read them", "orderctl lag " + name,
			func(r lag.Row) string { return fmt.Sprintf(" (%d)", r.Lost.V) },
		},
		{
			lag.Ahead, "AHEAD: committed beyond the end of the log, new orders would be passed over", "orderctl lag " + name + "; stop the workers, then 'orderctl offsets reset'",
			func(r lag.Row) string { return fmt.Sprintf(" (by %d)", r.Ahead.V) },
		},
	} {
		if list := seen.having(odd.status, odd.detail); len(list) > 0 {
			found = append(found, fail(codeFailed, odd.fix, "%s: %s", odd.text, few(list)))
		}
	}
	if len(found) > 0 {
		return found
	}
	return []Finding{ok("%s: %s, %s", name, seen.group.State, plural(len(seen.group.Members.V), "member"))}
}

// members looks at who is in the group.
func (d *Doctor) members(seen observed) []Finding {
	names := d.opts.Want.Names
	if !seen.group.Members.Known {
		return []Finding{warn("orderctl lag "+names.Group, "the members of group %s are not known", names.Group)}
	}
	members := seen.group.Members.V
	if len(members) == 0 {
		return []Finding{d.deserted(seen)}
	}
	var found []Finding
	if idle := unsubscribed(members, names.Consumed()); len(idle) > 0 {
		found = append(found, fail(codeFailed, "start every worker with the same consume.topic and --retry: orderctl consume -g "+names.Group,
			"nobody subscribes to %s", few(idle)))
	}
	hosts := map[string]bool{}
	for _, m := range members {
		hosts[m.Host] = true
	}
	if d.opts.LocalDB && len(hosts) > 1 {
		found = append(found, fail(codeFailed, "run all workers on one host, or set store.driver to a database server",
			"the database is a SQLite file, but the members are on %d hosts (%s): each remembers only its own", len(hosts), few(sortedKeys(hosts))))
	}
	if n := seen.snapshot.Topics[names.Source].Partitions; n > 0 && len(members) > n {
		found = append(found, warn(fmt.Sprintf("stop %s", plural(len(members)-n, "worker")), "%s for %s: some have nothing to do",
			plural(len(members), "member"), plural(n, "partition")))
	}
	return found
}

// deserted is the finding of a group that nobody is in.
func (d *Doctor) deserted(seen observed) Finding {
	names := d.opts.Want.Names
	fix := "orderctl consume -g " + names.Group
	waiting := seen.having(lag.NoMembers, func(lag.Row) string { return "" })
	if len(waiting) > 0 {
		return fail(codeFailed, fix, "NO-MEMBERS: nobody is in group %s, and orders wait in %s", names.Group, few(waiting))
	}
	if untold := seen.unknown(func(r lag.Row) bool { return r.Unread.Known }); len(untold) > 0 {
		return warn(fix, "nobody is in group %s; whether orders wait is not known of %s", names.Group, few(untold))
	}
	return warn(fix, "nobody is in group %s; nothing waits", names.Group)
}

// unsubscribed are the topics that no member subscribes to, where all members tell.
func unsubscribed(members []lag.MemberObs, topics []string) []string {
	var idle []string
	for _, t := range topics {
		if !slices.ContainsFunc(members, func(m lag.MemberObs) bool { return m.Subscribed == nil || slices.Contains(m.Subscribed, t) }) {
			idle = append(idle, t)
		}
	}
	return idle
}

// transactions looks for those that hide records from the workers for longer than an order may wait.
func (d *Doctor) transactions(ctx context.Context) []Finding {
	seen, err := d.seen(ctx)
	if err != nil {
		return []Finding{failed(err, "see the brokers' logs")}
	}
	hung := map[string][]lag.Row{}
	for _, r := range seen.rows {
		if slices.Contains(r.Reasons, lag.HungTxn) {
			hung[r.Topic] = append(hung[r.Topic], r)
		}
	}
	var found []Finding
	for _, topic := range sortedKeys(hung) {
		var partitions []int32
		for _, r := range hung[topic] {
			partitions = append(partitions, r.Partition)
		}
		open, err := d.opts.Transactions(ctx, topic, partitions)
		for _, r := range hung[topic] {
			found = append(found, d.hung(r, open, err))
		}
	}
	if untold := seen.unknown(func(r lag.Row) bool { return r.Held.Known }); len(untold) > 0 {
		found = append(found, warn("orderctl lag "+d.opts.Want.Names.Group, "whether one hides records is not known of %s", few(untold)))
	}
	if len(found) > 0 {
		return found
	}
	return []Finding{ok("none hides records")}
}

// hung is the finding of a partition with a transaction that nobody ends.
func (d *Doctor) hung(r lag.Row, open []OpenTransaction, why error) Finding {
	who := "producer id not told"
	if why != nil {
		who += ": " + why.Error()
	}
	from := r.Stable.V // the oldest open transaction begins where readers stop
	for _, x := range open {
		if x.Partition == r.Partition && (x.Start == from || strings.HasPrefix(who, "producer id not")) {
			who = fmt.Sprintf("producer id %d, epoch %d", x.Producer, x.Epoch)
			if !x.Last.IsZero() {
				who += ", silent for " + d.opts.Now().Sub(x.Last).Truncate(time.Second).String()
			}
		}
	}
	return fail(codeFailed, fmt.Sprintf("kafka-transactions.sh --bootstrap-server %s abort --topic %s --partition %d --start-offset %d",
		d.opts.Brokers[0], r.Topic, r.Partition, from), "HUNG-TXN: an open transaction from %s@%d on hides %s (%s)",
		r.TopicPartition(), from, plural(int(r.Held.V), "record"), who)
}
