package observe

import (
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// commits reads what the groups of one coordinator committed, all in one request where the broker can do that (3.0). A
// group whose offsets an open transaction may still move is asked for again once, then they are unknown. moved are groups
// that the broker does not coordinate (any more, or not yet).
func (c *conn) commits(id int32, names []string, found map[string]lag.GroupObs) (moved []string) {
	if len(names) == 0 {
		return nil
	}
	a := &answers{found: found}
	err := c.fetchCommits(id, names, a)
	var encoding sarama.PacketEncodingError
	if errors.As(err, &encoding) { // one by one for an old broker
		err = nil
		for _, name := range names {
			if err := c.fetchCommits(id, []string{name}, a); err != nil {
				fail(found, []string{name}, problemIn(err))
			}
		}
	}
	if err != nil {
		fail(found, names, problemIn(err))
		return names // perhaps another broker coordinates them soon
	}
	for _, name := range a.unstable {
		_ = c.fetchCommits(id, []string{name}, a) // else the first answer stands
	}
	return a.moved
}

// answers gathers what OffsetFetch said.
type answers struct {
	found           map[string]lag.GroupObs
	unstable, moved []string
}

func fail(found map[string]lag.GroupObs, names []string, why lag.Problem) {
	for _, name := range names {
		obs := found[name]
		obs.Problem = why
		found[name] = obs
	}
}

// fetchCommits asks for stable offsets alone.
func (c *conn) fetchCommits(id int32, names []string, a *answers) error {
	req := sarama.NewOffsetFetchRequest(sarama.MaxVersion, names[0], nil)
	req.RequireStable = true
	req.Groups = nil
	for _, name := range names {
		req.Groups = append(req.Groups, sarama.OffsetFetchRequestGroup{GroupId: name})
	}
	res, err := ask(c, id, func(b *sarama.Broker) (*sarama.OffsetFetchResponse, error) { return b.FetchOffset(req) })
	if err != nil {
		return fmt.Errorf("read commits at broker %d: %w", id, err)
	}
	now := time.Now()
	if len(res.Groups) == 0 { // below v8: one group, not named
		a.note(names[0], res.Err, res.Blocks, now)
		return nil
	}
	answered := map[string]bool{}
	for _, g := range res.Groups {
		a.note(g.GroupId, g.Err, g.Blocks, now)
		answered[g.GroupId] = true
	}
	for _, name := range names {
		if !answered[name] {
			fail(a.found, []string{name}, lag.NoAnswer)
		}
	}
	return nil
}

// note takes the answer for one group. A group that does not exist has committed nothing: Kafka says so, and the
// embedded broker, like a dead group of KIP-848, says GROUP_ID_NOT_FOUND.
func (a *answers) note(name string, code sarama.KError, blocks map[string]map[int32]*sarama.OffsetFetchResponseBlock, now time.Time) {
	obs := a.found[name]
	defer func() { a.found[name] = obs }()
	switch code {
	case sarama.ErrNoError, sarama.ErrGroupIDNotFound:
	case sarama.ErrNotCoordinatorForConsumer, sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrOffsetsLoadInProgress:
		a.moved = append(a.moved, name)
		obs.Problem = lag.NoAnswer
		return
	default:
		obs.Problem = problemOf(code)
		return
	}
	n := 0
	for _, parts := range blocks {
		n += len(parts)
	}
	commits := make(map[lag.TopicPartition]lag.CommitObs, n)
	stable := true
	for topic, parts := range blocks {
		for p, b := range parts {
			stable = stable && b.Err != sarama.ErrUnstableOffsetCommit
			if b.Err == sarama.ErrNoError && b.Offset < 0 {
				continue // never committed
			}
			commits[lag.TopicPartition{Topic: topic, Partition: p}] = lag.CommitObs{
				Offset: b.Offset, Metadata: b.Metadata, At: now, Problem: problemOf(b.Err),
			}
		}
	}
	obs.Commits = lag.Know(commits)
	if !stable {
		a.unstable = append(a.unstable, name)
	}
}
