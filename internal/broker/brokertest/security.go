package brokertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// The SASL mechanisms of the broker.
const (
	Plain    = "PLAIN"
	Scram256 = "SCRAM-SHA-256"
	Scram512 = "SCRAM-SHA-512"
)

// SASL demands a login and creates a user who may do everything; the helpers of this package log in as that user.
func SASL(mechanism, user, password string) Option {
	return func(t testing.TB, s *setup) {
		s.options.Cluster = append(s.options.Cluster, kfake.EnableSASL(), kfake.Superuser(mechanism, user, password))
		switch mechanism {
		case Plain:
			s.client = append(s.client, kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
		case Scram256:
			s.client = append(s.client, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha256Mechanism()))
		case Scram512:
			s.client = append(s.client, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()))
		default:
			t.Fatalf("brokertest: no mechanism %q", mechanism)
		}
	}
}

// User creates a user who may do what the rights say and nothing else. It goes with SASL.
func User(mechanism, user, password string, rights ...ACL) Option {
	return func(_ testing.TB, s *setup) {
		s.options.Cluster = append(s.options.Cluster, kfake.EnableACLs(), kfake.User(mechanism, user, password, rights...))
	}
}

// Files are the PEM files of a broker with TLS.
type Files struct {
	CA, Cert, Key string // Cert and Key are those of a client
}

// TLS makes the broker speak TLS for 127.0.0.1 and localhost; with mutual it demands a certificate of its own CA.
func TLS(mutual bool) Option {
	return func(t testing.TB, s *setup) {
		ca := newCA(t)
		server, _, _ := ca.issue(t, "broker")
		client, cert, key := ca.issue(t, "client")
		dir := t.TempDir()
		s.files = Files{
			CA:   writePEM(t, dir, "ca.pem", "CERTIFICATE", ca.cert.Raw),
			Cert: writePEM(t, dir, "client.pem", "CERTIFICATE", cert),
			Key:  writePEM(t, dir, "client.key", "PRIVATE KEY", key),
		}
		pool := x509.NewCertPool()
		pool.AddCert(ca.cert)
		s.options.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{server}, ClientCAs: pool}
		if mutual {
			s.options.TLS.ClientAuth = tls.RequireAndVerifyClientCert
		}
		s.client = append(s.client, kgo.DialTLSConfig(&tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{client},
		}))
	}
}

// Files returns the PEM files of a broker that was started with TLS.
func (b *Broker) Files() Files { return b.setup.files }

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t testing.TB) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("brokertest: key: %v", err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "brokertest CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatalf("brokertest: certificate: %v", err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatalf("brokertest: certificate: %v", err)
	}
	return authority{cert: cert, key: key}
}

// issue makes a certificate that serves a server and a client alike, and returns it and its two PEM bodies.
func (a authority) issue(t testing.TB, name string) (pair tls.Certificate, cert, key []byte) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("brokertest: key: %v", err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err = x509.CreateCertificate(rand.Reader, tmpl, a.cert, priv.Public(), a.key)
	if err != nil {
		t.Fatalf("brokertest: certificate: %v", err)
	}
	key, err = x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatalf("brokertest: key: %v", err)
	}
	return tls.Certificate{Certificate: [][]byte{cert}, PrivateKey: priv}, cert, key
}

func writePEM(t testing.TB, dir, name, kind string, body []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body}), 0o600); err != nil {
		t.Fatalf("brokertest: %v", err)
	}
	return path
}
