package config

import "time"

// Kafka is how the cluster is reached.
type Kafka struct {
	Name       string        `key:"name" doc:"name of the cluster on screens and in questions; empty: host of the first broker"`
	Brokers    []string      `key:"brokers" doc:"host:port of one or more brokers"`
	Timeout    time.Duration `key:"timeout" min:"100ms" max:"10m" doc:"how long a command waits for Kafka"`
	Idempotent bool          `key:"idempotent" doc:"idempotent producer; false only where the cluster refuses it"`
	TLS        TLS           `key:"tls" doc:"encryption"`
	SASL       SASL          `key:"sasl" doc:"login"`
}

// TLS is the encryption of the connection to Kafka.
type TLS struct {
	Enabled    bool   `key:"enabled" doc:"encrypt the connection"`
	CAFile     string `key:"ca_file" doc:"certificates to trust; empty: those of the system"`
	CertFile   string `key:"cert_file" doc:"client certificate"`
	KeyFile    string `key:"key_file" doc:"its key"`
	ServerName string `key:"server_name" doc:"name in the broker's certificate; empty: the host dialled"`
}

// SASL is the login at Kafka.
type SASL struct {
	Mechanism      string `key:"mechanism" enum:"|PLAIN|SCRAM-SHA-256|SCRAM-SHA-512|OAUTHBEARER" doc:"PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; empty: no login"`
	Username       string `key:"username" doc:"user of PLAIN and SCRAM"`
	Password       Secret `key:"password" secret:"password_file" doc:"its password"`
	PasswordFile   string `key:"password_file" doc:"file with its password (or ORDERCTL_KAFKA_SASL_PASSWORD)"`
	AllowPlaintext bool   `key:"allow_plaintext" doc:"log in although the connection is not encrypted"`
	OAuth          OAuth  `key:"oauth" doc:"OAUTHBEARER, client credentials"`
}

// OAuth is the token endpoint of mechanism OAUTHBEARER.
type OAuth struct {
	TokenURL         string `key:"token_url" doc:"where tokens come from, https"`
	ClientID         string `key:"client_id" doc:"client id"`
	ClientSecret     Secret `key:"client_secret" secret:"client_secret_file" doc:"client secret"`
	ClientSecretFile string `key:"client_secret_file" doc:"file with its secret (or ORDERCTL_KAFKA_SASL_OAUTH_CLIENT_SECRET)"`
	Scope            string `key:"scope" doc:"scope to ask for"`
}

// Topics is what the topics of the queue should be.
type Topics struct {
	Partitions        int           `key:"partitions" min:"1" max:"10000" doc:"partitions of the source, tiers, replay and dead-letter topics"`
	ReplicationFactor int           `key:"replication_factor" min:"1" max:"32" doc:"copies of each partition; 3 in production"`
	MinInsyncReplicas int           `key:"min_insync_replicas" min:"1" max:"32" doc:"copies that must have a record before it is acknowledged; 2 in production"`
	Retention         time.Duration `key:"retention" min:"1m" doc:"how long records are kept"`
	DLQRetention      time.Duration `key:"dlq_retention" doc:"how long dead letters are kept; 0s: forever"`
}

// Producer is how records are written.
type Producer struct {
	AckTimeout      time.Duration `key:"ack_timeout" min:"100ms" max:"5m" doc:"how long a broker may wait for its replicas"`
	RetryMax        int           `key:"retry_max" max:"1000" doc:"attempts after the first"`
	RetryBackoff    time.Duration `key:"retry_backoff" max:"1m" doc:"pause before each of them"`
	Compression     string        `key:"compression" enum:"none|gzip|snappy|lz4|zstd" doc:"none, gzip, snappy, lz4 or zstd"`
	Linger          time.Duration `key:"linger" max:"1s" doc:"wait for more records before a batch is sent"`
	MaxMessageBytes Size          `key:"max_message_bytes" min:"1KiB" max:"64MiB" doc:"largest record; at most the topic's max.message.bytes"`
	MaxBufferBytes  Size          `key:"max_buffer_bytes" min:"1MiB" max:"16GiB" doc:"memory for records on their way"`
	ChannelBuffer   int           `key:"channel_buffer" min:"2" max:"65536" doc:"records waiting for each partition"`
}

// Metrics is what /metrics shows beside the process itself.
type Metrics struct {
	ConsumerLag ConsumerLag `key:"consumer_lag" doc:"kafka_consumer_lag"`
}

// ConsumerLag is which groups kafka_consumer_lag covers.
type ConsumerLag struct {
	Groups  []string      `key:"groups" doc:"groups to show; empty: consume.group"`
	Refresh time.Duration `key:"refresh" min:"500ms" max:"10m" doc:"age at which the figures are read again"`
}

// Lag is when lag is a problem.
type Lag struct {
	SLO        time.Duration `key:"slo" min:"1s" doc:"an unread order should not be older than this"`
	Tolerance  int           `key:"tolerance" doc:"unread records that count as none"`
	StallAfter time.Duration `key:"stall_after" doc:"no progress for so long is a stall; 0s: 10s"`
	WarnAge    time.Duration `key:"warn_age" doc:"age of the oldest order that is a warning; 0s: slo"`
	CritAge    time.Duration `key:"crit_age" doc:"age of the oldest order that is critical; 0s: three times slo"`
	WarnUnread int           `key:"warn_unread" doc:"more unread in a group is a warning; 0: any number is fine"`
	CritUnread int           `key:"crit_unread" doc:"more unread in a group is critical; 0: any number is fine"`
	WarnDLQ    int           `key:"warn_dlq" doc:"more dead letters within an hour is a warning; 0: any number is fine"`
	CritDLQ    int           `key:"crit_dlq" doc:"more dead letters within an hour is critical; 0: any number is fine"`
}

// Log is what is logged, and how.
type Log struct {
	Level  string `key:"level" enum:"debug|info|warn|error" reload:"true" doc:"debug, info, warn or error"`
	Format string `key:"format" enum:"auto|json|text" doc:"json, text, or auto: text on a terminal"`
}
