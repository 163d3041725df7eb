package observe

import (
	"errors"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// config is what the configuration of a topic says about ages. What the broker does not tell is unknown.
type config struct {
	at                     time.Time // of the question
	cleanup, timestampType string
	retention              lag.Maybe[time.Duration]
	retentionBytes         lag.Maybe[int64]
}

const (
	keyCleanup   = "cleanup.policy"
	keyTimestamp = "message.timestamp.type"
	keyRetention = "retention.ms"
	keyBytes     = "retention.bytes"
)

// stale returns the topics whose configuration has to be asked for.
func (m *memory) stale(names []string, now time.Time) []string {
	var ask []string
	for _, name := range names {
		if c, ok := m.configs[name]; !ok || now.Sub(c.at) >= configsFresh {
			ask = append(ask, name)
		}
	}
	return ask
}

// describeConfigs asks for the configuration of topics. It may be refused: then it is unknown, for a minute as well, and
// nothing else suffers.
func (c *conn) describeConfigs(names []string, now time.Time) map[string]config {
	found := make(map[string]config, len(names))
	if len(names) == 0 {
		return found
	}
	req := &sarama.DescribeConfigsRequest{Version: 4}
	for _, name := range names {
		found[name] = config{at: now}
		req.Resources = append(req.Resources, &sarama.ConfigResource{
			Type: sarama.TopicResource, Name: name, ConfigNames: []string{keyCleanup, keyTimestamp, keyRetention, keyBytes},
		})
	}
	res, err := askAny(c, func(b *sarama.Broker) (*sarama.DescribeConfigsResponse, error) { return b.DescribeConfigs(req) })
	var encoding sarama.PacketEncodingError
	switch {
	case errors.As(err, &encoding): // a broker that does not know the question
		return found
	case err != nil:
		return nil // asked again the next time
	}
	for _, r := range res.Resources {
		if _, asked := found[r.Name]; asked && sarama.KError(r.ErrorCode) == sarama.ErrNoError {
			found[r.Name] = readConfig(r.Configs, now)
		}
	}
	return found
}

func readConfig(entries []*sarama.ConfigEntry, now time.Time) config {
	c := config{at: now}
	for _, e := range entries {
		n, err := strconv.ParseInt(e.Value, 10, 64)
		switch e.Name {
		case keyCleanup:
			c.cleanup = e.Value
		case keyTimestamp:
			c.timestampType = e.Value
		case keyRetention:
			if err == nil {
				c.retention = lag.Know(milliseconds(n))
			}
		case keyBytes:
			if err == nil {
				c.retentionBytes = lag.Know(n)
			}
		}
	}
	return c
}

// milliseconds is so long a time, or the longest that there is.
func milliseconds(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(n, most)) * time.Millisecond
}

// apply puts what is known of a topic's configuration into the observation of it.
func (m *memory) apply(name string, obs lag.TopicObs) lag.TopicObs {
	c := m.configs[name]
	obs.Cleanup, obs.TimestampType = c.cleanup, c.timestampType
	obs.Retention, obs.RetentionBytes = c.retention, c.retentionBytes
	return obs
}
