package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/IBM/sarama"
)

// The mechanisms of SASLOptions.
const (
	MechanismPlain    = "PLAIN"
	MechanismSCRAM256 = "SCRAM-SHA-256"
	MechanismSCRAM512 = "SCRAM-SHA-512"
	MechanismOAuth    = "OAUTHBEARER"
)

// SASLOptions says how to log in. An empty Mechanism is no login.
type SASLOptions struct {
	Mechanism      string
	Username       string
	Password       string
	AllowPlaintext bool // log in without TLS, which shows the password to the network
	OAuth          OAuthOptions
}

// secure sets encryption and login.
func (o Options) secure(c *sarama.Config) error {
	if o.TLS.Enabled {
		t, err := o.TLS.config()
		if err != nil {
			return err
		}
		c.Net.TLS.Enable, c.Net.TLS.Config = true, t
	}
	if o.SASL.Mechanism == "" {
		return nil
	}
	if !o.TLS.Enabled && !o.SASL.AllowPlaintext {
		return &Error{
			Text: "kafka.sasl without TLS would show the password to the network",
			Tip:  "set kafka.tls.enabled, or kafka.sasl.allow_plaintext where the network is trusted", Code: exitUsage,
		}
	}
	return o.SASL.apply(c, o)
}

func (s SASLOptions) apply(c *sarama.Config, o Options) error {
	c.Net.SASL.Enable = true
	c.Net.SASL.Version = sarama.SASLHandshakeV1
	c.Net.SASL.Mechanism = sarama.SASLMechanism(s.Mechanism)
	c.Net.SASL.User, c.Net.SASL.Password = s.Username, s.Password
	switch s.Mechanism {
	case MechanismPlain:
	case MechanismSCRAM256, MechanismSCRAM512:
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return newSCRAM(s.Mechanism) }
	case MechanismOAuth:
		source, err := newTokenSource(s.OAuth, o.Log)
		if err != nil {
			return err
		}
		c.Net.SASL.TokenProvider = source
		return nil
	default:
		return &Error{
			Text: fmt.Sprintf("kafka.sasl.mechanism: %q is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER", s.Mechanism),
			Code: exitUsage,
		}
	}
	if s.Username == "" || s.Password == "" {
		return &Error{Text: "kafka.sasl: username and password are required for " + s.Mechanism, Code: exitUsage}
	}
	return nil
}

func (t TLSOptions) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read kafka.tls.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read kafka.tls.ca_file %s: no certificate in it", t.CAFile)
		}
	}
	if t.CertFile == "" && t.KeyFile == "" {
		return c, nil
	}
	if t.CertFile == "" || t.KeyFile == "" {
		return nil, errors.New("kafka.tls: cert_file and key_file go together")
	}
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load kafka.tls.cert_file: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}
