// Package admin asks a cluster how it is set up (brokers, topics, rights, open transactions), creates topics, and moves
// the offsets of groups without members. It never changes or deletes a topic.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
)

// Topic is a topic as it is.
type Topic struct {
	ID                string // another one when the topic is made anew (KIP-516); all zero before Kafka 2.8
	Partitions        int32
	ReplicationFactor int16
	Configs           map[string]string // effective values; a key that may not be read is absent
}

// Spec is a topic as it should be.
type Spec struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16
	Configs           map[string]string
}

// Broker is one broker of the cluster.
type Broker struct {
	ID   int32
	Addr string
}

// Cluster is who answers.
type Cluster struct {
	ID      string // empty: the cluster does not say
	Brokers []Broker
}

// Admin asks and changes one cluster. It keeps no connection between calls; every call honours its context.
type Admin struct{ kafka kafka.Options }

// New returns an Admin. It does not connect.
func New(k kafka.Options) *Admin { return &Admin{kafka: k} }

// Cluster returns the id of the cluster and its brokers, by id.
func (a *Admin) Cluster(ctx context.Context) (Cluster, error) {
	// Any one topic will do: without a name the cluster would list them all.
	meta, err := kafka.Metadata(ctx, a.kafka, "__consumer_offsets")
	if err != nil {
		return Cluster{}, fmt.Errorf("describe cluster: %w", err)
	}
	var c Cluster
	if meta.ClusterID != nil {
		c.ID = *meta.ClusterID
	}
	c.Brokers = brokersOf(meta)
	return c, nil
}

func brokersOf(meta *sarama.MetadataResponse) []Broker {
	var all []Broker
	for _, b := range meta.Brokers {
		all = append(all, Broker{ID: b.ID(), Addr: b.Addr()})
	}
	slices.SortFunc(all, func(x, y Broker) int { return int(x.ID) - int(y.ID) })
	return all
}

// Topics returns those of the names that exist.
func (a *Admin) Topics(ctx context.Context, names []string) (map[string]Topic, error) {
	if len(names) == 0 {
		return map[string]Topic{}, nil
	}
	meta, err := kafka.Metadata(ctx, a.kafka, names...)
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	found := map[string]Topic{}
	for _, t := range meta.Topics {
		switch t.Err {
		case sarama.ErrNoError, sarama.ErrLeaderNotAvailable:
			found[t.Name] = topic(t)
		case sarama.ErrUnknownTopicOrPartition:
		default:
			return nil, fmt.Errorf("describe topic %s: %w", t.Name, a.kafka.Explain(t.Err))
		}
	}
	return found, a.configs(ctx, found)
}

func topic(t *sarama.TopicMetadata) Topic {
	out := Topic{ID: t.Uuid.String(), Partitions: int32(len(t.Partitions)), Configs: map[string]string{}} //nolint:gosec // Kafka counts partitions in 32 bits
	for _, p := range t.Partitions {
		out.ReplicationFactor = max(out.ReplicationFactor, int16(len(p.Replicas))) //nolint:gosec // and replicas in 16
	}
	return out
}

// configs fills in the effective configuration. Topics whose configuration may not be read stay without.
func (a *Admin) configs(ctx context.Context, found map[string]Topic) error {
	if len(found) == 0 {
		return nil
	}
	req := &sarama.DescribeConfigsRequest{Version: 1}
	for name := range found {
		req.Resources = append(req.Resources, &sarama.ConfigResource{Type: sarama.TopicResource, Name: name})
	}
	res, err := kafka.Ask(ctx, a.kafka, func(b *sarama.Broker) (*sarama.DescribeConfigsResponse, error) {
		return b.DescribeConfigs(req)
	})
	if err != nil {
		return fmt.Errorf("describe configs of topics: %w", err)
	}
	for _, r := range res.Resources {
		code := sarama.KError(r.ErrorCode)
		if code == sarama.ErrTopicAuthorizationFailed {
			continue
		}
		if code != sarama.ErrNoError {
			return fmt.Errorf("describe config of topic %s: %w", r.Name, a.kafka.Explain(code))
		}
		for _, c := range r.Configs {
			if !c.Sensitive {
				found[r.Name].Configs[c.Name] = c.Value
			}
		}
	}
	return nil
}

// Create makes topics and waits until the brokers know them. One that exists by then is no error: two operators may start
// at once. Where some fail the others are made all the same, and the error names each that failed.
func (a *Admin) Create(ctx context.Context, specs []Spec) error {
	if len(specs) == 0 {
		return nil
	}
	details := map[string]*sarama.TopicDetail{}
	for _, s := range specs {
		d := &sarama.TopicDetail{NumPartitions: s.Partitions, ReplicationFactor: s.ReplicationFactor, ConfigEntries: map[string]*string{}}
		for k, v := range s.Configs {
			d.ConfigEntries[k] = &v
		}
		details[s.Name] = d
	}
	at, err := a.controller(ctx)
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	res, err := kafka.Ask(ctx, at, func(b *sarama.Broker) (*sarama.CreateTopicsResponse, error) {
		return b.CreateTopics(sarama.NewCreateTopicsRequest(sarama.V3_6_0_0, details, 5*time.Second, false))
	})
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	made, err := a.outcomes(specs, res)
	if e := a.visible(ctx, made); e != nil {
		err = errors.Join(err, e)
	}
	return err
}

// outcomes returns the topics that are there now, and an error for each of the others.
func (a *Admin) outcomes(specs []Spec, res *sarama.CreateTopicsResponse) ([]string, error) {
	var made []string
	var errs []error
	for _, s := range specs {
		t := res.TopicErrors[s.Name]
		switch {
		case t == nil:
			errs = append(errs, fmt.Errorf("create topic %s: %w", s.Name, a.kafka.Explain(sarama.ErrIncompleteResponse)))
		case t.Err == sarama.ErrNoError, t.Err == sarama.ErrTopicAlreadyExists:
			made = append(made, s.Name)
		default:
			err := a.kafka.Explain(t.Err)
			if t.ErrMsg != nil && *t.ErrMsg != "" {
				err = fmt.Errorf("%w (%s)", err, strings.TrimSuffix(*t.ErrMsg, "."))
			}
			errs = append(errs, fmt.Errorf("create topic %s: %w", s.Name, err))
		}
	}
	return made, errors.Join(errs...)
}

// controller returns the options of a client that asks the controller alone.
func (a *Admin) controller(ctx context.Context) (kafka.Options, error) {
	meta, err := kafka.Metadata(ctx, a.kafka, "__consumer_offsets")
	if err != nil {
		return a.kafka, err
	}
	at := a.kafka
	for _, b := range meta.Brokers {
		if _, _, err := net.SplitHostPort(b.Addr()); err == nil && b.ID() == meta.ControllerID {
			at.Brokers = []string{b.Addr()}
			return at, nil
		}
	}
	return at, a.kafka.Explain(sarama.ErrControllerNotAvailable)
}

// visible waits until the topics stand, with a leader for each partition, in the metadata of every broker that lives: the next
// command may ask any of them.
func (a *Admin) visible(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	brokers, err := await(ctx, a.kafka, names)
	if err != nil {
		return fmt.Errorf("wait for new topics: %w", err)
	}
	for _, addr := range brokers {
		at := a.kafka
		at.Brokers = []string{addr}
		_, _ = await(ctx, at, names) // the topics are made; one that lives and does not answer keeps nobody from going on
	}
	return nil
}

// await asks until the topics are led, or ctx ends.
func await(ctx context.Context, o kafka.Options, names []string) (brokers []string, err error) {
	for {
		if brokers, err = led(ctx, o, names); err == nil {
			return brokers, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// led returns the brokers that the one that is asked knows, once it knows a leader for every partition of the topics.
func led(ctx context.Context, o kafka.Options, names []string) ([]string, error) {
	meta, err := kafka.Metadata(ctx, o, names...)
	if err != nil {
		return nil, err
	}
	found := 0
	for _, t := range meta.Topics {
		if t.Err != sarama.ErrNoError {
			return nil, fmt.Errorf("describe topic %s: %w", t.Name, o.Explain(t.Err))
		}
		for _, p := range t.Partitions {
			if p.Leader < 0 {
				return nil, fmt.Errorf("describe %s/%d: %w", t.Name, p.ID, o.Explain(sarama.ErrLeaderNotAvailable))
			}
		}
		found++
	}
	if found < len(names) {
		return nil, fmt.Errorf("describe %d topics, %d are known: %w", len(names), found, o.Explain(sarama.ErrUnknownTopicOrPartition))
	}
	brokers := make([]string, 0, len(meta.Brokers))
	for _, b := range meta.Brokers {
		brokers = append(brokers, b.Addr())
	}
	return brokers, nil
}
