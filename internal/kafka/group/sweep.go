package group

import (
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
)

// sweepAfter is how long a partition must have been still before we look whether its end holds no records.
const sweepAfter = 2 * time.Second

// sweep moves the mark over the end of a log that holds no record for us (markers and aborted records of foreign
// transactions): none ever comes, so the commit would stop before the end for ever and the group would look behind.
func (g *Group) sweep(look *kafka.Client) {
	for _, c := range g.still() {
		next, err := g.skim(look, c)
		if err != nil || next <= c.next.Load() {
			continue
		}
		// Nothing lies between; had a record come meanwhile, the exchange fails and the caller marks it in its time.
		if from := g.commits.newest(c.at); c.next.CompareAndSwap(from, next) {
			c.Mark(next)
		}
	}
}

// still returns the claims where all that came is done and marked, and yet the end is not reached.
func (g *Group) still() []*Claim {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []*Claim
	for _, c := range g.claims {
		next := c.next.Load()
		quiet := time.Since(time.Unix(0, c.heard.Load())) >= sweepAfter
		if quiet && !c.paused.Load() && !c.Gone() && c.High() > next && g.commits.newest(c.at) == next {
			all = append(all, c)
		}
	}
	return all
}

// skim reads one fetch from where the claim stands and returns the offset behind the leading batches without a record for
// us.
func (g *Group) skim(look *kafka.Client, c *Claim) (int64, error) {
	at, next := c.at, c.next.Load()
	leader, err := look.Leader(at.topic, at.partition)
	if err != nil {
		return next, fmt.Errorf("find leader of %s/%d: %w", at.topic, at.partition, err)
	}
	req := &sarama.FetchRequest{Version: 11, MinBytes: 1, MaxBytes: 1 << 20, Isolation: sarama.ReadCommitted, SessionEpoch: -1}
	req.AddBlock(at.topic, at.partition, next, 1<<20, -1)
	res, err := leader.Fetch(req)
	if err != nil {
		_ = leader.Close()
		return next, fmt.Errorf("fetch %s/%d: %w", at.topic, at.partition, err)
	}
	block := res.GetBlock(at.topic, at.partition)
	if block == nil || block.Err != sarama.ErrNoError {
		_ = look.RefreshMetadata(at.topic)
		return next, sarama.ErrIncompleteResponse
	}
	aborted := map[int64]int64{}
	for _, t := range block.AbortedTransactions {
		if first, ok := aborted[t.ProducerID]; !ok || t.FirstOffset < first {
			aborted[t.ProducerID] = t.FirstOffset
		}
	}
	for _, set := range block.RecordsSet {
		b := set.RecordBatch
		if b == nil || !silent(b, aborted) {
			break
		}
		next = max(next, b.LastOffset()+1)
	}
	return next, nil
}

// silent reports whether a batch holds no record for us: a marker, or the first of its producer's aborted ones.
func silent(b *sarama.RecordBatch, aborted map[int64]int64) bool {
	if b.PartialTrailingRecord {
		return false
	}
	if b.Control {
		delete(aborted, b.ProducerID) // ends that transaction
		return true
	}
	first, ok := aborted[b.ProducerID]
	return ok && b.IsTransactional && first <= b.LastOffset()
}
