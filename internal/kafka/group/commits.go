package group

import (
	"context"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/kafka"
)

const (
	watchEvery = time.Second
	sameEvery  = 10 // ticks of watchEvery: whether the topics are still the same ones
	// sureWithin is how old a mark may be before we ask whether it is committed. sarama commits each second and tells
	// only of some refusals.
	sureWithin = 3 * time.Second
)

// commits compares what is marked with what is committed. sarama says nothing of a commit that went well and little of one
// that did not, so the coordinator is asked.
type commits struct {
	met *metrics

	mu      sync.Mutex
	marks   map[place]*marked
	refused time.Time // of the newest refusal
	failing time.Time // since when; zero: not failing
}

// marked is one partition: the newest mark, and the oldest one that is not known to be committed.
type marked struct {
	newest int64
	oldest int64
	since  time.Time // of oldest; zero: all is known to be committed
}

func newCommits(met *metrics) *commits {
	return &commits{met: met, marks: map[place]*marked{}}
}

// begin enters a partition whose offset is committed at start.
func (c *commits) begin(at place, start int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marks[at] = &marked{newest: start}
}

func (c *commits) forget(at place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.marks, at)
}

func (c *commits) mark(at place, next int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.marks[at]
	if m == nil || next <= m.newest {
		return
	}
	m.newest = next
	if m.since.IsZero() {
		m.oldest, m.since = next, time.Now()
	}
}

// newest returns the mark of a partition.
func (c *commits) newest(at place) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.marks[at]; m != nil {
		return m.newest
	}
	return -1
}

// refuse notes that the coordinator refused a commit.
func (c *commits) refuse(code string) {
	c.met.commitErrors.WithLabelValues(code).Inc()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = time.Now()
	if c.failing.IsZero() {
		c.failing = c.refused
	}
}

// due returns the partitions to ask for: all that have a mark not known to be committed, when one of them is old or a
// commit was refused.
func (c *commits) due(now time.Time) map[string][]int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string][]int32{}
	old := !c.failing.IsZero()
	for at, m := range c.marks {
		if m.since.IsZero() {
			continue
		}
		all[at.topic] = append(all[at.topic], at.partition)
		old = old || now.Sub(m.since) >= sureWithin
	}
	if len(all) == 0 {
		c.failing = time.Time{} // nothing waits for a commit
	}
	if !old {
		return nil
	}
	return all
}

// learn compares the marks with what is committed as of now, a time before the question was sent.
func (c *commits) learn(found map[place]int64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, offset := range found {
		m := c.marks[at]
		if m == nil || m.since.IsZero() || offset < m.oldest {
			continue
		}
		if offset >= m.newest {
			m.since = time.Time{}
		} else {
			m.oldest, m.since = m.newest, now
		}
	}
	c.judge(now)
}

// unanswered judges without an answer.
func (c *commits) unanswered(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.judge(now)
}

// judge: commits fail while a mark that is older than sureWithin, or older than a refusal, is not committed.
func (c *commits) judge(now time.Time) {
	var since time.Time
	for _, m := range c.marks {
		if m.since.IsZero() || (now.Sub(m.since) < sureWithin && m.since.After(c.refused)) {
			continue
		}
		if since.IsZero() || m.since.Before(since) {
			since = m.since
		}
	}
	if since.IsZero() || c.failing.IsZero() || since.Before(c.failing) {
		c.failing = since
	}
}

func (c *commits) state() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failing, !c.failing.IsZero()
}

// CommitFailing reports whether offsets that are done are refused or not answered, and since when. While it lasts longer
// than the session, another member may own our partitions already.
func (g *Group) CommitFailing() (since time.Time, failing bool) { return g.commits.state() }

// watch asks for what is committed, finds ends of logs that hold no record, and notices when the process stood still for
// longer than its session.
func (g *Group) watch(ctx context.Context) {
	session := g.opts.Timing.WithDefaults().Session
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	ticks := 0
	for last := time.Now(); ; last = time.Now() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(last) > session {
			g.Rejoin(ctx, "the process stood still for longer than its session")
			continue
		}
		g.countGenerations()
		g.unpark(false)
		if look := g.looker(); look != nil {
			g.checkCommits(look)
			g.sweep(look)
			if ticks++; ticks%sameEvery == 0 && g.another(look) {
				g.Rejoin(ctx, "a topic was made anew")
			}
		}
	}
}

func (g *Group) checkCommits(look *kafka.Client) {
	now := time.Now()
	due := g.commits.due(now)
	if len(due) == 0 {
		return
	}
	found, err := g.committed(look, due)
	if err != nil {
		g.commits.unanswered(time.Now())
		return
	}
	g.commits.learn(found, now)
}

// countGenerations counts the rebalances that a cooperative session has lived through since the last look.
func (g *Group) countGenerations() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.session == nil {
		return
	}
	now := g.session.GenerationID()
	if now > g.generation {
		g.met.rebalances.WithLabelValues("changed").Add(float64(now - g.generation))
	}
	g.generation = now
}
