package config

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

func (c *Config) validateKafka(r *rules) {
	k := c.Kafka
	r.must(len(k.Brokers) > 0, "kafka.brokers", "write host:9092", "no broker is named")
	for _, b := range k.Brokers {
		if err := checkAddress(b, false); err != nil {
			r.must(false, "kafka.brokers", "", "%v", err)
			break
		}
	}
	t := k.TLS
	r.between((t.CertFile == "") == (t.KeyFile == ""), "kafka.tls.cert_file", "kafka.tls.key_file", "", "cert_file and key_file go together")
	for _, f := range []struct{ key, value string }{
		{"ca_file", t.CAFile}, {"cert_file", t.CertFile}, {"server_name", t.ServerName},
	} {
		r.must(f.value == "" || t.Enabled, "kafka.tls."+f.key, "set kafka.tls.enabled, or --tls", "is set, but TLS is off")
	}
	c.validateSASL(r)
}

func (c *Config) validateSASL(r *rules) {
	s := c.Kafka.SASL
	switch s.Mechanism {
	case "":
		r.must(s.Username == "", "kafka.sasl.username", "set kafka.sasl.mechanism", "is set, but there is no mechanism")
		return
	case "OAUTHBEARER":
		o := s.OAuth
		r.between(o.ClientID != "", "kafka.sasl.oauth.client_id", "kafka.sasl.mechanism", "", "is needed for OAUTHBEARER")
		r.between(o.ClientSecret.Set(), "kafka.sasl.oauth.client_secret_file", "kafka.sasl.mechanism",
			"or set ORDERCTL_KAFKA_SASL_OAUTH_CLIENT_SECRET", "is needed for OAUTHBEARER")
		u, err := url.Parse(o.TokenURL)
		r.between(err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())),
			"kafka.sasl.oauth.token_url", "kafka.sasl.mechanism", "", "must be an https URL without a user")
	default:
		r.between(s.Username != "", "kafka.sasl.username", "kafka.sasl.mechanism", "", "is needed for %s", s.Mechanism)
		r.between(s.Password.Set(), "kafka.sasl.password_file", "kafka.sasl.mechanism", "or set ORDERCTL_KAFKA_SASL_PASSWORD", "is needed for %s", s.Mechanism)
	}
	r.must(c.Kafka.TLS.Enabled || s.AllowPlaintext, "kafka.sasl.mechanism",
		"set kafka.tls.enabled, or kafka.sasl.allow_plaintext where the network is yours",
		"the password would cross the network unencrypted")
}

func (c *Config) validateTopics(r *rules) {
	t := c.Topics
	r.between(t.MinInsyncReplicas <= t.ReplicationFactor, "topics.min_insync_replicas", "topics.replication_factor", "",
		"%d is above topics.replication_factor (%d): nothing could be written", t.MinInsyncReplicas, t.ReplicationFactor)
}

// checkAddress checks host:port. A port of 0 is any free one, which only a listener can ask for. The text of the error
// never repeats a user or a password.
func checkAddress(addr string, listen bool) error {
	if strings.Contains(addr, "@") || strings.Contains(addr, "://") {
		return fmt.Errorf("write host:port, without scheme and user (value not shown)")
	}
	host, port, err := net.SplitHostPort(addr)
	quoted := strconv.QuoteToGraphic(shorten(addr))
	if err != nil {
		if !strings.Contains(addr, ":") {
			return fmt.Errorf("%s has no port; write %s:9092", quoted, shorten(addr))
		}
		return fmt.Errorf("%s is not host:port; an IPv6 address stands in brackets", quoted)
	}
	n, err := strconv.Atoi(port)
	low := 1
	if listen {
		low = 0
	}
	if err != nil || n < low || n > 65535 || port[0] == '+' {
		return fmt.Errorf("%s: the port must be a number from %d to 65535", quoted, low)
	}
	if host == "" && !listen || strings.ContainsAny(host, " /?#\"'") {
		return fmt.Errorf("%s has no usable host", quoted)
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (c *Config) validateLag(r *rules) {
	l := c.Lag
	for _, t := range []struct {
		what       string
		warn, crit int64
	}{{"age", int64(l.WarnAge), int64(l.CritAge)}, {"unread", int64(l.WarnUnread), int64(l.CritUnread)}, {"dlq", int64(l.WarnDLQ), int64(l.CritDLQ)}} {
		r.between(t.warn == 0 || t.crit == 0 || t.warn <= t.crit, "lag.warn_"+t.what, "lag.crit_"+t.what, "",
			"is above lag.crit_%s: nothing would be a warning", t.what)
	}
}
