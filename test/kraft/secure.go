package kraft

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Doors are the further listeners of a node that asks who one is. Whoever comes by its plain address may do everything.
type Doors struct {
	Login    string // SCRAM-SHA-512, not encrypted
	LoginTLS string // SCRAM-SHA-512 over TLS
	TLS      string // TLS without a login
	CA       string // PEM file to trust
}

// StartSecure starts one node with rights (nobody has any but by a grant), and the users of SCRAM-SHA-512 with their
// passwords.
func StartSecure(ctx context.Context, dir string, users map[string]string) (*Cluster, Doors, error) {
	lib, err := Jars(ctx)
	if err != nil {
		return nil, Doors{}, err
	}
	ports, err := freePorts(5)
	if err != nil {
		return nil, Doors{}, err
	}
	c := &Cluster{ID: kafkaUUID(), dir: dir, lib: lib, nodes: []*node{{addr: ports[0], controller: ports[1]}}}
	d := Doors{Login: ports[2], LoginTLS: ports[3], TLS: ports[4], CA: filepath.Join(dir, "ca.pem")}
	if err := writeCertificates(dir); err != nil {
		return nil, d, err
	}
	c.extra = d.properties(c.nodes[0], dir)
	for _, name := range slices.Sorted(maps.Keys(users)) {
		c.formatArgs = append(c.formatArgs, "--add-scram", fmt.Sprintf("SCRAM-SHA-512=[name=%s,password=%s]", name, users[name]))
	}
	if err := c.format(ctx); err != nil {
		return nil, d, err
	}
	if err := c.StartNode(1); err != nil {
		return nil, d, err
	}
	if err := c.ready(ctx); err != nil {
		return nil, d, errors.Join(err, errors.New(c.LogTail()), c.Close())
	}
	return c, d, nil
}

// properties are the lines that make a node secure. They come last, so they win.
func (d Doors) properties(n *node, dir string) []string {
	const jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	open := fmt.Sprintf("PLAINTEXT://%s,LOGIN://%s,LOGINTLS://%s,TLS://%s", n.addr, d.Login, d.LoginTLS, d.TLS)
	return []string{
		"listeners=" + open + ",CONTROLLER://" + n.controller,
		"advertised.listeners=" + open,
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT,LOGINTLS:SASL_SSL,TLS:SSL",
		"sasl.enabled.mechanisms=SCRAM-SHA-512",
		"listener.name.login.scram-sha-512.sasl.jaas.config=" + jaas,
		"listener.name.logintls.scram-sha-512.sasl.jaas.config=" + jaas,
		"ssl.keystore.type=PEM", "ssl.keystore.location=" + filepath.Join(dir, "server.pem"),
		"ssl.truststore.type=PEM", "ssl.truststore.location=" + d.CA,
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:ANONYMOUS",
	}
}

// writeCertificates makes an authority, and a certificate of it for loopback that ends in 60 days.
func writeCertificates(dir string) error {
	ca, caKey, err := issue("test CA", nil, nil)
	if err != nil {
		return err
	}
	server, serverKey, err := issue("localhost", ca, caKey)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(serverKey)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	body := func(kind string, raw []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}))
	}
	for name, text := range map[string][]string{
		"ca.pem":     {body("CERTIFICATE", ca.Raw)},
		"server.pem": {body("PRIVATE KEY", key), body("CERTIFICATE", server.Raw), body("CERTIFICATE", ca.Raw)},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(text, "")), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// issue makes a key and its certificate; without a parent it is an authority.
func issue(name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(60 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if parent == nil {
		t.IsCA, parent, parentKey = true, t, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate of %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("read certificate of %s: %w", name, err)
	}
	return cert, key, nil
}
