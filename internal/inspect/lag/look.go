package lag

import (
	"slices"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// Look is a snapshot in a window that is judged again and again. What it says of each row is looked up once, when it is not
// the newest any more, and kept as long as the rows stay the same. Neither it nor its snapshot may be changed. It belongs to
// one goroutine.
type Look struct {
	Snapshot
	keeps bool
	kept  map[string]*sights // by group
}

// NewLook returns a look at which nothing is kept yet.
func NewLook(s Snapshot) *Look { return &Look{Snapshot: s, keeps: true, kept: map[string]*sights{}} }

// sights is what a look says of the rows of one group.
type sights struct {
	rows   []TopicPartition
	latest bool    // where the group reads on without a commit
	list   []sight // by rows
}

// sight is what a look says of one row.
type sight struct {
	commit, unread, high Maybe[int64] // commit -1: never committed
	pending              Maybe[int64]
	commitAt, endAt      time.Time
	written              time.Time // the record that is read next, at the earliest
	aged                 bool      // written is known
	owned                bool      // somebody has the partition; told where it is kept
}

// see looks up what the i-th look says of a partition.
func (v *view) see(i int, tp TopicPartition, role queue.Role) sight {
	s, g := &v.window[i].Snapshot, &v.groups[i]
	p := s.partition(tp)
	c, at, _ := g.commit(tp)
	o := v.offsets(s, p, c)
	head, aged := g.Heads[tp]
	return sight{
		commit: c, commitAt: at, high: p.High, endAt: p.EndAt, unread: o.unread(), pending: o.pending(role),
		written: head.Low, aged: aged,
	}
}

// recall prepares what the looks keep of the rows. The newest is looked up as it is needed: who owns the window may still
// put another in its place.
func (v *view) recall(rows []TopicPartition) {
	for i, l := range v.window[:len(v.window)-1] {
		if !l.keeps {
			continue
		}
		s := l.kept[v.name]
		if s == nil || s.latest != v.latest() || !same(s.rows, rows) {
			s = &sights{rows: rows, latest: v.latest(), list: make([]sight, len(rows))}
			for n, tp := range rows {
				role, _ := queue.RoleOf(tp.Topic)
				s.list[n] = v.see(i, tp, role)
				s.list[n].owned = v.owner(i, tp) != nil
			}
			l.kept[v.name] = s
		}
		rows, v.sights[i] = s.rows, s // one list for all: from now on equal ones are the same
	}
}

func same(a, b []TopicPartition) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// owned reports whether somebody had the partition of the row in hand in the i-th look.
func (v *view) owned(i int, tp TopicPartition) bool {
	if v.sights[i] != nil {
		return v.line[i].owned
	}
	return v.owner(i, tp) != nil
}

// follow puts what all looks say of the n-th row into line, oldest first.
func (v *view) follow(n int, tp TopicPartition, role queue.Role) {
	for i, s := range v.sights {
		if s != nil {
			v.line[i] = &s.list[n]
			continue
		}
		v.spare[i] = v.see(i, tp, role)
		v.line[i] = &v.spare[i]
	}
}
