package config

import "time"

// Defaults returns the configuration of a process that was told nothing.
func Defaults() *Config {
	return &Config{
		Contexts: []Context{},
		Kafka:    Kafka{Brokers: []string{"localhost:9092"}, Timeout: 10 * time.Second, Idempotent: true},
		Topics:   Topics{Partitions: 12, ReplicationFactor: 1, MinInsyncReplicas: 1, Retention: 168 * time.Hour},
		Serve:    defaultServe(),
		Order:    Order{Currency: "CNY"},
		Store: Store{
			Driver: "sqlite", Migrate: "auto",
			Pool: Pool{MaxOpen: 16, MaxIdle: 4, MaxLifetime: 30 * time.Minute},
		},
		Producer: Producer{
			AckTimeout: 3 * time.Second, RetryMax: 20, RetryBackoff: 250 * time.Millisecond, Compression: "zstd",
			MaxMessageBytes: 1_000_000, MaxBufferBytes: 64 * MiB, ChannelBuffer: 1024,
		},
		Consume: defaultConsume(),
		DLQ:     DLQ{AllowOrigins: []string{}, MaxReplays: 3},
		Webhook: defaultWebhook(),
		Metrics: Metrics{ConsumerLag: ConsumerLag{Groups: []string{}, Refresh: 5 * time.Second}},
		Lag:     Lag{SLO: 5 * time.Minute},
		Log:     Log{Level: "info", Format: "auto"},
	}
}

func defaultServe() Serve {
	return Serve{
		Addr:      ":8080",
		Admin:     Admin{Addr: "127.0.0.1:8090"},
		PublicOps: true,
		Timeouts: ServeTimeouts{
			ReadHeader: 5 * time.Second, Read: 10 * time.Second, Write: 20 * time.Second, Idle: time.Minute,
			Publish: 5 * time.Second, Enqueue: 50 * time.Millisecond,
		},
		Drain: ServeDrain{Delay: 5 * time.Second, HTTP: 20 * time.Second, Producer: 10 * time.Second},
		Limits: Limits{
			Body: 512 * KiB, BatchBody: 4 * MiB, Batch: 1000, Header: 16 * KiB, Connections: 10_000,
			InFlight: 2000, PerPartition: 512, InFlightBytes: 64 * MiB,
		},
		Breaker: ServeBreaker{Failures: 5, Probe: time.Second},
		Startup: Startup{Grace: 30 * time.Second},
	}
}

func defaultConsume() Consume {
	return Consume{
		Group: "orders-worker", Topic: "orders", Handler: "sql", Order: "key", OnDead: "continue",
		Retry:        []time.Duration{5 * time.Second, time.Minute, 10 * time.Minute},
		DrainTimeout: 20 * time.Second,
		Admin:        Admin{Addr: "127.0.0.1:8091"},
		Local:        Local{Attempts: 3, Base: 100 * time.Millisecond, Cap: 2 * time.Second},
		LoadTest:     "apply",
		DLQ:          ConsumeDLQ{OnTooLarge: "pause"},
		OnBadBatch:   "halt",
		KeepDone:     30 * 24 * time.Hour,
		Flood:        ConsumeFlood{InRow: 50, Ratio: 0.2, Window: 500, Probe: time.Minute},
		Breaker: ConsumeBreaker{
			Failures: 5, Ratio: 0.5, Window: 20, ProbeMin: time.Second, ProbeMax: 30 * time.Second,
		},
	}
}
