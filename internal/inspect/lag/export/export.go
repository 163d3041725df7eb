// Package export turns the verdict on consumer groups into metrics, under the names that boards made for kafka_exporter
// and kafka-lag-exporter expect. What is unknown has no series: never 0, -1 or NaN. No label names a member.
package export

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// Reporter gives the newest verdict, or an error when there is none that is new enough. A lag.Cache is one.
type Reporter interface {
	Report() (lag.Report, error)
}

// Options are the parts of a Collector. Reporter is required.
type Options struct {
	Reporter Reporter
	// Owned narrows the metrics to the partitions that this process owns, and leaves out those of whole groups and topics.
	// Nil: everything.
	Owned func(lag.TopicPartition) bool
}

// Collector is a prometheus.Collector of the newest verdict. It asks nobody: scraping costs the brokers nothing.
type Collector struct {
	opts Options

	lag, exporterLag, groupLag *prometheus.Desc // one value, three names
	current                    *prometheus.Desc
	seconds, maxSeconds        *prometheus.Desc
	members, sum               *prometheus.Desc
	topicHigh, topicStart      *prometheus.Desc
	unknown, age               *prometheus.Desc
}

// New returns a Collector, to be registered by the caller.
func New(o Options) (*Collector, error) {
	if o.Reporter == nil {
		return nil, errors.New("export: Options.Reporter is required")
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &Collector{
		opts: o,
		lag: desc("kafka_consumer_lag",
			"Records between the committed offset of the group and the end of the partition.", "group", "topic", "partition"),
		exporterLag: desc("kafka_consumergroup_lag",
			"Same as kafka_consumer_lag, under the name of kafka_exporter.", "consumergroup", "topic", "partition"),
		groupLag: desc("kafka_consumergroup_group_lag",
			"Same as kafka_consumer_lag, under the name of kafka-lag-exporter.", "group", "topic", "partition"),
		current: desc("kafka_consumergroup_current_offset",
			"Committed offset of the group.", "consumergroup", "topic", "partition"),
		seconds: desc("kafka_consumergroup_group_lag_seconds",
			"Age of the oldest unread record of the partition; in a retry tier, for how long one has been due.", "group", "topic", "partition"),
		maxSeconds: desc("kafka_consumergroup_group_max_lag_seconds",
			"Age of the oldest unread record of the group in its source topics; absent while that of a partition is unknown.", "group"),
		members: desc("kafka_consumergroup_members", "Members of the group.", "consumergroup"),
		sum: desc("kafka_consumergroup_group_sum_lag",
			"Lag of the group over its source topics; absent while a partition is unknown.", "group"),
		topicHigh:  desc("kafka_topic_partition_current_offset", "High watermark of the partition.", "topic", "partition"),
		topicStart: desc("kafka_topic_partition_oldest_offset", "First offset that the partition still has.", "topic", "partition"),
		unknown:    desc("orderctl_lag_unknown_partitions", "Partitions of the group whose lag is unknown.", "group"),
		age:        desc("orderctl_lag_refresh_age_seconds", "Age of the observation behind the lag metrics.", "group"),
	}, nil
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.lag, c.exporterLag, c.groupLag, c.current, c.seconds, c.maxSeconds, c.members, c.sum, c.topicHigh, c.topicStart, c.unknown, c.age,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. Without a verdict that is new enough there is no series at all.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	report, err := c.opts.Reporter.Report()
	if err != nil {
		return
	}
	seen := map[lag.TopicPartition]bool{} // several groups may read one topic
	for i := range report.Groups {
		g := &report.Groups[i]
		for j := range g.Partitions {
			c.partition(ch, g.Group, &g.Partitions[j], seen)
		}
		if c.opts.Owned == nil {
			c.group(ch, g, report.AsOf)
		}
	}
}

func (c *Collector) partition(ch chan<- prometheus.Metric, group string, r *lag.Row, seen map[lag.TopicPartition]bool) {
	tp := r.TopicPartition()
	if r.Partition < 0 || c.opts.Owned != nil && !c.opts.Owned(tp) {
		return
	}
	p := strconv.Itoa(int(r.Partition))
	for _, d := range []*prometheus.Desc{c.lag, c.exporterLag, c.groupLag} {
		gauge(ch, d, r.Unread, group, r.Topic, p)
	}
	gauge(ch, c.current, r.Committed, group, r.Topic, p)
	gauge(ch, c.seconds, r.LagSeconds(), group, r.Topic, p)
	if c.opts.Owned == nil && !seen[tp] {
		seen[tp] = true
		gauge(ch, c.topicHigh, r.High, r.Topic, p)
		gauge(ch, c.topicStart, r.Start, r.Topic, p)
	}
}

func (c *Collector) group(ch chan<- prometheus.Metric, g *lag.Group, asOf time.Time) {
	gauge(ch, c.members, g.Members, g.Group)
	if !g.LowerBound && g.Problem.V == "" {
		gauge(ch, c.sum, g.Unread, g.Group)
		gauge(ch, c.maxSeconds, maxSeconds(g), g.Group)
	}
	gauge(ch, c.unknown, g.Holes(), g.Group)
	ch <- prometheus.MustNewConstMetric(c.age, prometheus.GaugeValue, time.Since(asOf).Seconds(), g.Group)
}

// maxSeconds is unknown where the age of one partition is: the oldest may be there.
func maxSeconds(g *lag.Group) lag.Maybe[float64] {
	for i := range g.Partitions {
		if r := &g.Partitions[i]; r.Counted && !r.Oldest.Known {
			return lag.Maybe[float64]{}
		}
	}
	return g.Oldest
}

func gauge[T int | int64 | float64](ch chan<- prometheus.Metric, d *prometheus.Desc, v lag.Maybe[T], labels ...string) {
	if v.Known {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v.V), labels...)
	}
}
