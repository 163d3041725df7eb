// Package kafka holds what every Kafka client of orderctl shares: options and security, timing, and errors that say what
// to do. It makes clients and configurations; what is done with them stands in the packages below it.
package kafka

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
)

// maxDecompressed bounds what one compressed batch may unpack to: 90 MiB of zeros pass a broker's limit of 1 MiB.
const maxDecompressed = 64 << 20

// Options says where the brokers are and how to talk to them. Brokers, ClientID and Log are required.
type Options struct {
	Brokers    []string
	ClientID   string        // orderctl-<command>
	Timeout    time.Duration // of one attempt to reach a broker; zero: 10 s
	Grace      time.Duration // Dial tries again for so long while no broker answers; zero: one attempt
	TLS        TLSOptions
	SASL       SASLOptions
	Idempotent bool // idempotent producer; only clusters that refuse it want false
	Log        *slog.Logger
}

// TLSOptions says how to encrypt. Certificates are always verified.
type TLSOptions struct {
	Enabled    bool
	CAFile     string // empty: the system's
	CertFile   string // with KeyFile: client certificate
	KeyFile    string
	ServerName string // empty: the host of the broker
}

// Purpose is what a client is for. It decides the timing and there is one client a purpose, for each keeps its own
// connections.
type Purpose int

// The purposes.
const (
	ForPublish Purpose = iota + 1
	ForGroup
	ForRead
)

// Setup sets what sarama keeps for the whole process: the bound on unpacked batches, its log, and that it counts nothing
// (its meters leak a little with every client). It must return before the first client is made; later calls do nothing.
func Setup(log *slog.Logger) {
	if ready() || !atomic.CompareAndSwapInt32(&sarama.MaxDecompressedBatchSize, 0, maxDecompressed) {
		return
	}
	metrics.UseNilMetrics = true
	sarama.Logger = logger{log: log}
}

func ready() bool { return atomic.LoadInt32(&sarama.MaxDecompressedBatchSize) != 0 }

// NewConfig returns the configuration of a client for one purpose.
func NewConfig(o Options, p Purpose) (*sarama.Config, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	c := sarama.NewConfig()
	c.ClientID = o.ClientID
	c.Version = apiVersion()
	c.Metadata.Full = false                   // all topics of the cluster are not our business, and may be denied
	c.Metadata.AllowAutoTopicCreation = false // a typo must not make a topic
	p.apply(c)
	if err := o.secure(c); err != nil {
		return nil, err
	}
	if p == ForPublish {
		c.Producer.RequiredAcks = sarama.WaitForAll
		c.Producer.Idempotent = o.Idempotent
		c.Producer.Partitioner = sarama.NewManualPartitioner
		c.Net.MaxOpenRequests = 1 // with more a retry could overtake
	}
	return c, nil
}

func (o Options) validate() error {
	switch {
	case !ready():
		return errors.New("kafka: Setup must be called before the first client")
	case len(o.Brokers) == 0:
		return errors.New("kafka: Options.Brokers is required")
	case o.ClientID == "":
		return errors.New("kafka: Options.ClientID is required")
	case o.Log == nil:
		return errors.New("kafka: Options.Log is required")
	}
	return nil
}

func (o Options) timeout() time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return 10 * time.Second
}

// Partition returns the partition of a key among n, as Java clients choose it: murmur2 of its bytes. A missing key is
// hashed as an empty one. For many keys see Partitioner.
func Partition(key []byte, n int32) int32 { return Partitioner()(key, n) }

// apiVersion is the newest protocol we speak; with older brokers sarama goes back to theirs.
func apiVersion() sarama.KafkaVersion { return sarama.V3_6_0_0 }
