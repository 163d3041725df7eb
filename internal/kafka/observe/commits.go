package observe

import (
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// commits reads what the groups of one coordinator committed, all in one request where the broker can do that (3.0).
func (c *conn) commits(id int32, names []string, found map[string]lag.GroupObs) {
	if len(names) == 0 {
		return
	}
	err := c.fetchCommits(id, names, found)
	var encoding sarama.PacketEncodingError
	if errors.As(err, &encoding) { // one by one for an old broker
		for _, name := range names {
			if err := c.fetchCommits(id, []string{name}, found); err != nil {
				fail(found, []string{name}, problemIn(err))
			}
		}
		return
	}
	if err != nil {
		fail(found, names, problemIn(err))
	}
}

func fail(found map[string]lag.GroupObs, names []string, why lag.Problem) {
	for _, name := range names {
		obs := found[name]
		obs.Problem = why
		found[name] = obs
	}
}

// fetchCommits asks for stable offsets alone: one that an open transaction may still move is asked for again once, then
// it is unknown.
func (c *conn) fetchCommits(id int32, names []string, found map[string]lag.GroupObs) error {
	req := sarama.NewOffsetFetchRequest(sarama.MaxVersion, names[0], nil)
	req.RequireStable = true
	req.Groups = nil
	for _, name := range names {
		req.Groups = append(req.Groups, sarama.OffsetFetchRequestGroup{GroupId: name})
	}
	var res *sarama.OffsetFetchResponse
	err := c.ask(id, func(b *sarama.Broker) (err error) {
		res, err = b.FetchOffset(req)
		return err
	})
	if err != nil {
		return fmt.Errorf("read commits at broker %d: %w", id, err)
	}
	now := time.Now()
	if len(res.Groups) == 0 { // below v8: one group, not named
		note(found, names[0], res.Err, res.Blocks, now)
		return nil
	}
	answered := map[string]bool{}
	for _, g := range res.Groups {
		note(found, g.GroupId, g.Err, g.Blocks, now)
		answered[g.GroupId] = true
	}
	for _, name := range names {
		if !answered[name] {
			fail(found, []string{name}, lag.NoAnswer)
		}
	}
	return nil
}

// note takes the answer for one group. A group that does not exist has committed nothing: Kafka says so, and the
// embedded broker, like a dead group of KIP-848, says GROUP_ID_NOT_FOUND.
func note(found map[string]lag.GroupObs, name string, code sarama.KError, blocks map[string]map[int32]*sarama.OffsetFetchResponseBlock, now time.Time) {
	obs := found[name]
	defer func() { found[name] = obs }()
	if code != sarama.ErrNoError && code != sarama.ErrGroupIDNotFound {
		obs.Problem = problemOf(code)
		return
	}
	commits := map[lag.TopicPartition]lag.CommitObs{}
	for topic, parts := range blocks {
		for p, b := range parts {
			commit := lag.CommitObs{Offset: b.Offset, Metadata: b.Metadata, At: now, Problem: problemOf(b.Err)}
			if b.Err == sarama.ErrNoError && b.Offset < 0 {
				continue // never committed
			}
			commits[lag.TopicPartition{Topic: topic, Partition: p}] = commit
		}
	}
	obs.Commits = lag.Know(commits)
}
