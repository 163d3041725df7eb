package setup

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// OffsetsSchema names the JSON form of committed offsets: the answer of "offsets show -o json", and what a reset saves.
const OffsetsSchema = "orderctl.offsets/v1"

// OffsetsFile are the committed offsets of a group at one time.
type OffsetsFile struct {
	Schema     string            `json:"schema"`
	Cluster    string            `json:"cluster"`
	Group      string            `json:"group"`
	AsOf       time.Time         `json:"as_of"`
	Complete   bool              `json:"complete"`
	Partitions []PartitionOffset `json:"partitions"`
}

// PartitionOffset is one of them.
type PartitionOffset struct {
	Topic     string           `json:"topic"`
	Partition int32            `json:"partition"`
	Commit    string           `json:"commit"` // known, none, unknown
	Committed lag.Maybe[int64] `json:"committed"`
	Start     lag.Maybe[int64] `json:"start"`
	End       lag.Maybe[int64] `json:"end"`
}

// Before are the offsets as they are before the plan.
func (p OffsetsPlan) Before(cluster, group string, now time.Time) OffsetsFile {
	f := OffsetsFile{Schema: OffsetsSchema, Cluster: cluster, Group: group, AsOf: now.UTC().Truncate(time.Millisecond), Complete: true, Partitions: []PartitionOffset{}}
	for _, m := range p.Moves {
		o := PartitionOffset{Topic: m.Topic, Partition: m.Partition, Commit: lag.CommitNone, Start: lag.Know(m.Start), End: lag.Know(m.End)}
		if m.From >= 0 {
			o.Commit, o.Committed = lag.CommitKnown, lag.Know(m.From)
		}
		f.Partitions = append(f.Partitions, o)
	}
	return f
}

// ReadOffsets reads a file of offsets.
func ReadOffsets(raw []byte) (OffsetsFile, error) {
	var f OffsetsFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return f, fmt.Errorf("it is not JSON as 'orderctl offsets show -o json' writes it: %w", err)
	}
	if f.Schema != OffsetsSchema {
		return f, fmt.Errorf("its schema is %q, not %s", f.Schema, OffsetsSchema)
	}
	if f.Group == "" || len(f.Partitions) == 0 {
		return f, fmt.Errorf("it names no group or no partition")
	}
	for _, p := range f.Partitions {
		if p.Topic == "" || p.Partition < 0 || p.Commit != lag.CommitNone && (p.Commit != lag.CommitKnown || !p.Committed.Known || p.Committed.V < 0) {
			return f, fmt.Errorf("what it says of %s/%d is no offset", p.Topic, p.Partition)
		}
	}
	return f, nil
}

// Target is the reset that makes the offsets what the file says, of some topics; none: of all.
func (f OffsetsFile) Target(topics []string) Target {
	t := Target{Kind: ToSaved, Saved: map[lag.TopicPartition]int64{}}
	for _, p := range f.Partitions {
		if len(topics) > 0 && !slices.Contains(topics, p.Topic) {
			continue
		}
		offset := int64(-1)
		if p.Committed.Known {
			offset = p.Committed.V
		}
		t.Saved[lag.TopicPartition{Topic: p.Topic, Partition: p.Partition}] = offset
	}
	return t
}

// ShowOffsets are the rows of a report as offsets.
func ShowOffsets(cluster string, r lag.Report, g lag.Group) OffsetsFile {
	f := OffsetsFile{Schema: OffsetsSchema, Cluster: cluster, Group: g.Group, AsOf: r.AsOf, Complete: true, Partitions: []PartitionOffset{}}
	for _, row := range g.Partitions {
		if row.Partition < 0 { // the topic is gone, which is a fact, or nobody tells its partitions
			f.Complete = f.Complete && row.Status == lag.Gone
			continue
		}
		f.Partitions = append(f.Partitions, PartitionOffset{
			Topic: row.Topic, Partition: row.Partition, Commit: row.Commit, Committed: row.Committed, Start: row.Start, End: row.End,
		})
		f.Complete = f.Complete && row.Commit != lag.CommitUnknown && row.Start.Known && row.End.Known
	}
	slices.SortFunc(f.Partitions, func(a, b PartitionOffset) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return f
}
