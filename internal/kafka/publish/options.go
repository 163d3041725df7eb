package publish

import (
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
)

func (o Options) withDefaults() (Options, error) {
	if o.Log == nil {
		return o, errors.New("publish: Options.Log is required")
	}
	if len(o.Topics) == 0 {
		return o, errors.New("publish: Options.Topics is required")
	}
	fill(&o.AckTimeout, kafka.AckTimeout)
	fill(&o.RetryMax, kafka.PublishRetries)
	fill(&o.RetryBackoff, kafka.PublishBackoff)
	fill(&o.Compression, "none")
	fill(&o.MaxMessage, 1_000_000)
	fill(&o.MaxBuffer, 64<<20)
	fill(&o.PerPartition, 512)
	fill(&o.ChannelBuffer, 2*o.PerPartition)
	fill(&o.EnqueueTimeout, 50*time.Millisecond)
	if o.ChannelBuffer < 2*o.PerPartition {
		return o, fmt.Errorf("publish: Options.ChannelBuffer %d is below twice PerPartition %d: a silent partition would block the others", o.ChannelBuffer, o.PerPartition)
	}
	if o.AckTimeout >= kafka.PublishReadTimeout {
		return o, fmt.Errorf("publish: Options.AckTimeout %v must be below %v", o.AckTimeout, kafka.PublishReadTimeout)
	}
	var codec sarama.CompressionCodec
	if err := codec.UnmarshalText([]byte(o.Compression)); err != nil {
		return o, fmt.Errorf("publish: Options.Compression: %q is not one of none, gzip, snappy, lz4, zstd", o.Compression)
	}
	return o, nil
}

func fill[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// apply sets what the producer wants of sarama beside what its purpose sets.
func (o Options) apply(c *sarama.Config) {
	_ = c.Producer.Compression.UnmarshalText([]byte(o.Compression)) // withDefaults has checked it
	c.Producer.Timeout = o.AckTimeout
	c.Producer.Retry.Max, c.Producer.Retry.Backoff = o.RetryMax, o.RetryBackoff
	c.Producer.Flush.Frequency = o.Linger
	c.Producer.MaxMessageBytes = o.MaxMessage
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.ChannelBufferSize = o.ChannelBuffer
}
