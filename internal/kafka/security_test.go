package kafka_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"commerce.internal/orderctl/internal/kafka"
)

// certificate writes a self-signed pair for 127.0.0.1 and returns its files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &priv.PublicKey, priv)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	return cert, key
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatTheSecurityOptionsRefuse(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	rubbish := filepath.Join(t.TempDir(), "rubbish.pem")
	write(t, rubbish, []byte("hello"))
	tests := []struct {
		name string
		opts func(o *kafka.Options)
		want string // in the error; empty: accepted
		code int
	}{
		{"no security", func(*kafka.Options) {}, "", 0},
		{"a login without TLS", func(o *kafka.Options) {
			o.SASL = kafka.SASLOptions{Mechanism: "PLAIN", Username: "u", Password: "p"}
		}, "kafka.sasl without TLS", 2},
		{"a login without TLS that is allowed", func(o *kafka.Options) {
			o.SASL = kafka.SASLOptions{Mechanism: "PLAIN", Username: "u", Password: "p", AllowPlaintext: true}
		}, "", 0},
		{"SCRAM over TLS", func(o *kafka.Options) {
			o.TLS.Enabled = true
			o.SASL = kafka.SASLOptions{Mechanism: "SCRAM-SHA-512", Username: "u", Password: "p"}
		}, "", 0},
		{"an unknown mechanism", func(o *kafka.Options) {
			o.SASL = kafka.SASLOptions{Mechanism: "GSSAPI", Username: "u", Password: "p", AllowPlaintext: true}
		}, `"GSSAPI" is not one of`, 2},
		{"no password", func(o *kafka.Options) {
			o.SASL = kafka.SASLOptions{Mechanism: "SCRAM-SHA-256", Username: "u", AllowPlaintext: true}
		}, "username and password", 2},
		{"OAuth without a token service", func(o *kafka.Options) {
			o.SASL = kafka.SASLOptions{Mechanism: "OAUTHBEARER", AllowPlaintext: true, OAuth: kafka.OAuthOptions{ClientID: "c", ClientSecret: "s"}}
		}, "token_url", 2},
		{"OAuth without a secret", func(o *kafka.Options) {
			o.SASL = kafka.SASLOptions{Mechanism: "OAUTHBEARER", AllowPlaintext: true, OAuth: kafka.OAuthOptions{TokenURL: "https://t/x"}}
		}, "client_secret", 2},
		{"a client certificate", func(o *kafka.Options) {
			o.TLS = kafka.TLSOptions{Enabled: true, CAFile: cert, CertFile: cert, KeyFile: key, ServerName: "k"}
		}, "", 0},
		{"a certificate without its key", func(o *kafka.Options) {
			o.TLS = kafka.TLSOptions{Enabled: true, CertFile: cert}
		}, "go together", 0},
		{"a CA file that is not there", func(o *kafka.Options) {
			o.TLS = kafka.TLSOptions{Enabled: true, CAFile: "/nonexistent"}
		}, "ca_file", 0},
		{"a CA file without a certificate", func(o *kafka.Options) {
			o.TLS = kafka.TLSOptions{Enabled: true, CAFile: rubbish}
		}, "no certificate in it", 0},
		{"a key that does not fit", func(o *kafka.Options) {
			o.TLS = kafka.TLSOptions{Enabled: true, CertFile: cert, KeyFile: rubbish}
		}, "cert_file", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options("k:9092")
			tt.opts(&o)
			c, err := kafka.NewConfig(o, kafka.ForRead)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Validate(); err != nil {
					t.Fatal(err)
				}
				if o.TLS.Enabled && (c.Net.TLS.Config.InsecureSkipVerify || c.Net.TLS.Config.MinVersion < tls.VersionTLS12) {
					t.Error("certificates are not verified, or old TLS is spoken")
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("err = %v, want %q", err, tt.want)
			}
			var e *kafka.Error
			if tt.code != 0 && (!errors.As(err, &e) || e.ExitCode() != tt.code) {
				t.Errorf("err = %#v, want exit code %d", err, tt.code)
			}
		})
	}
}
