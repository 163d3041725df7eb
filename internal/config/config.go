// Package config turns defaults, one file, the chosen context, the environment and flags into one validated struct, and
// knows where each value came from. It is the only place that imports viper. It reads no process state of its own: the
// environment is handed in, and nothing here opens a connection.
package config

import "net"

// Config is the whole configuration of orderctl. The tag key is the name in the file and, in upper case behind
// ORDERCTL_, in the environment; doc is the comment that `config init` writes.
type Config struct {
	Context  string    `key:"context" doc:"the profile to use, one of contexts; also --context, ORDERCTL_CONTEXT"`
	Contexts []Context `key:"contexts" doc:"- {name, brokers, tls, sasl, store, group}: see 'orderctl help config'"`
	Kafka    Kafka     `key:"kafka" doc:"the cluster"`
	Topics   Topics    `key:"topics" doc:"what 'topics apply' creates"`
	Serve    Serve     `key:"serve" doc:"order intake over HTTP"`
	Order    Order     `key:"order" doc:"what an order may look like"`
	Store    Store     `key:"store" doc:"the database that remembers what is finished"`
	Producer Producer  `key:"producer" doc:"how records are written"`
	Consume  Consume   `key:"consume" doc:"the worker"`
	DLQ      DLQ       `key:"dlq" doc:"what replays of dead letters may do"`
	Webhook  Webhook   `key:"webhook" doc:"where consume.handler webhook takes orders"`
	Metrics  Metrics   `key:"metrics" doc:"what /metrics shows beside the process itself"`
	Lag      Lag       `key:"lag" doc:"when lag is a problem; 0 = the built-in rule"`
	Log      Log       `key:"log" doc:"what is logged, and how"`
}

// Context is a named profile, one for each cluster. Where it is chosen, its non-empty values replace those of kafka,
// store and consume.group.
type Context struct {
	Name    string       `key:"name" doc:"name of the cluster, ^[a-z0-9][a-z0-9-]{0,31}$"`
	Brokers []string     `key:"brokers" doc:"kafka.brokers"`
	TLS     TLS          `key:"tls" doc:"kafka.tls"`
	SASL    SASL         `key:"sasl" doc:"kafka.sasl"`
	Store   ContextStore `key:"store" doc:"store"`
	Group   string       `key:"group" doc:"consume.group"`
}

// ContextStore is what a context says about the database.
type ContextStore struct {
	Driver       string `key:"driver" enum:"|sqlite|postgres|mysql" doc:"store.driver"`
	DSN          DSN    `key:"dsn" doc:"store.dsn"`
	PasswordFile string `key:"password_file" doc:"store.password_file"`
}

// Cluster returns the name of the cluster as screens and questions show it: the context, else kafka.name, else the host
// of the first broker.
func (c *Config) Cluster() string {
	switch {
	case c.Context != "":
		return c.Context
	case c.Kafka.Name != "":
		return c.Kafka.Name
	case len(c.Kafka.Brokers) == 0:
		return ""
	}
	host, _, err := net.SplitHostPort(c.Kafka.Brokers[0])
	if err != nil {
		return c.Kafka.Brokers[0]
	}
	return host
}
