package admin_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker"
	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/admin"
	"commerce.internal/orderctl/internal/queue"
)

func secured(tls kafka.TLSOptions, sasl kafka.SASLOptions, addrs ...string) *admin.Admin {
	return admin.New(kafka.Options{
		Brokers: addrs, ClientID: "orderctl-test", Timeout: 2 * time.Second, Log: slog.New(slog.DiscardHandler), TLS: tls, SASL: sasl,
	})
}

func plainLogin(user, password string) kafka.SASLOptions {
	return kafka.SASLOptions{Mechanism: kafka.MechanismPlain, Username: user, Password: password, AllowPlaintext: true}
}

// A connection that was simply closed says nothing: the probe finds out which of the three it is.
func TestTheStepThatFailsAndWhy(t *testing.T) {
	t.Parallel()
	open := brokertest.Start(t)
	secret := brokertest.Start(t, brokertest.TLS(false))
	mutual := brokertest.Start(t, brokertest.TLS(true))
	login := brokertest.Start(t, brokertest.SASL(kafka.MechanismPlain, "orders", "right"))
	inWords := brokertest.Start(t, brokertest.SASL(kafka.MechanismPlain, "orders", "right"))
	inWords.ControlKey(kmsg.SASLAuthenticate, func(r kmsg.Request) (kmsg.Response, error, bool) {
		inWords.KeepControl()
		res := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		res.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return res, nil, true
	})
	trusting := func(b *brokertest.Broker) kafka.TLSOptions {
		return kafka.TLSOptions{Enabled: true, CAFile: b.Files().CA}
	}
	for _, tt := range []struct {
		name, addr string
		tls        kafka.TLSOptions
		sasl       kafka.SASLOptions
		step       admin.Step
		text, tip  string
		code       int
	}{
		{name: "a name that does not exist", addr: "kafka.invalid:9092", step: admin.StepName, text: "no such host", code: 3},
		{name: "nobody listens", addr: nobody(t), step: admin.StepTCP, text: "connection refused", tip: "kafka.brokers", code: 3},
		{name: "no port in the address", addr: "kafka", step: admin.StepName, text: "missing port"},
		{name: "a CA file that is not there", addr: open.Addr(), tls: kafka.TLSOptions{Enabled: true, CAFile: "/nowhere.pem"}, step: admin.StepConfig, text: "kafka.tls.ca_file", code: 2},
		{name: "TLS to a plaintext port", addr: open.Addr(), tls: kafka.TLSOptions{Enabled: true}, step: admin.StepTLS, text: "is a plaintext port", tip: "leave out --tls", code: 3},
		{name: "plaintext to a TLS port", addr: secret.Addr(), step: admin.StepKafka, text: "is a TLS port", tip: "add --tls", code: 3},
		{name: "plaintext to a port for known clients", addr: mutual.Addr(), step: admin.StepKafka, text: "is a TLS port", tip: "add --tls", code: 3},
		{name: "a CA that did not sign it", addr: secret.Addr(), tls: kafka.TLSOptions{Enabled: true, CAFile: mutual.Files().CA}, step: admin.StepTLS, text: "is not trusted", tip: "kafka.tls.ca_file", code: 3},
		{name: "without the certificate of a client", addr: mutual.Addr(), tls: trusting(mutual), step: admin.StepKafka, text: "refused our TLS", tip: "kafka.tls.cert_file", code: 4},
		{name: "without a login", addr: login.Addr(), step: admin.StepLogin, text: "wants a login", tip: "kafka.sasl.mechanism", code: 4},
		{name: "a wrong password, and the broker hangs up", addr: login.Addr(), sasl: plainLogin("orders", "wrong"), step: admin.StepLogin, text: `login of "orders" (PLAIN): wrong user or password`, tip: "kafka.sasl.password_file", code: 4},
		{name: "a wrong password, and the broker says so", addr: inWords.Addr(), sasl: plainLogin("orders", "wrong"), step: admin.StepLogin, text: `Kafka refused the login of "orders"`, tip: "kafka.sasl.password_file", code: 4},
		{name: "a port that says nothing", addr: silent(t), step: admin.StepKafka, text: "did not answer", code: 3},
		{name: "a port that says nothing to TLS", addr: silent(t), tls: kafka.TLSOptions{Enabled: true}, step: admin.StepTLS, text: "did not answer", code: 3},
		{name: "a port that speaks of other things", addr: chatter(t), step: admin.StepKafka, text: "is no Kafka broker", tip: "kafka.brokers", code: 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			p := secured(tt.tls, tt.sasl, tt.addr).Probe(ctx, tt.addr)
			if p.Failed != tt.step || p.Err == nil || !strings.Contains(p.Err.Error(), tt.text) {
				t.Fatalf("failed at %q: %v; want %q: %q", p.Failed, p.Err, tt.step, tt.text)
			}
			var e *kafka.Error
			if errors.As(p.Err, &e) != (tt.code != 0) || e != nil && (e.Code != tt.code || !strings.Contains(e.Tip, tt.tip)) {
				t.Errorf("%+v, want exit %d and the tip %q", p.Err, tt.code, tt.tip)
			}
		})
	}
}

func TestABrokerThatLetsUsIn(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Nodes(3), brokertest.TLS(false), brokertest.SASL(kafka.MechanismSCRAM512, "orders", "right"))
	sasl := kafka.SASLOptions{Mechanism: kafka.MechanismSCRAM512, Username: "orders", Password: "right"}
	p := secured(kafka.TLSOptions{Enabled: true, CAFile: b.Files().CA}, sasl, b.Addr()).Probe(t.Context(), b.Addr())
	if p.Failed != "" || p.Err != nil || len(p.Brokers) != 3 || p.InitProducer < 3 {
		t.Errorf("%+v", p)
	}
	if left := time.Until(p.CertificateEnds); left < 20*time.Hour || left > 25*time.Hour {
		t.Errorf("the certificate ends in %v", left)
	}
	if p := client(b.Addr()).Probe(t.Context(), b.Addr()); p.Failed != admin.StepKafka {
		t.Errorf("without TLS: %+v", p)
	}
}

func TestAnOldBrokerIsKnownByItsRequests(t *testing.T) {
	t.Parallel()
	for release, old := range map[string]bool{"2.4": true, "2.5": false, "3.6": false} {
		b := brokertest.Start(t, brokertest.KafkaVersion(release))
		p := client(b.Addr()).Probe(t.Context(), b.Addr())
		if p.Err != nil || (p.InitProducer < 3) != old {
			t.Errorf("%s: InitProducerId %d, %v", release, p.InitProducer, p.Err)
		}
	}
}

func TestTheStateOfTopics(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Nodes(3))
	a := client(b.Addr())
	if err := a.Create(t.Context(), []admin.Spec{{Name: "orders", Partitions: 2, ReplicationFactor: 3}}); err != nil {
		t.Fatal(err)
	}
	s, err := a.State(t.Context(), []string{"orders", "absent"})
	if err != nil || len(s.Brokers) != 3 || s.Controller < 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	orders := s.Topics["orders"]
	if len(orders.Partitions) != 2 || len(orders.Partitions[1].Replicas) != 3 || len(orders.Partitions[1].InSync) != 3 || orders.Partitions[0].Leader < 0 {
		t.Errorf("orders: %+v", orders)
	}
	if r := orders.Rights; !r.Known || !r.Describe || !r.Read || !r.Write || !r.DescribeAs {
		t.Errorf("rights %+v", r)
	}
	if !errors.Is(s.Topics["absent"].Err, queue.ErrNotFound) {
		t.Errorf("absent: %v", s.Topics["absent"].Err)
	}
}

func acl(kind kmsg.ACLResourceType, name string, op kmsg.ACLOperation) brokertest.ACL {
	return brokertest.ACL{Resource: kind, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true}
}

func TestRightsAreTold(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders", "secret", "seen"), brokertest.SASL(kafka.MechanismPlain, "admin", "a"),
		brokertest.User(kafka.MechanismPlain, "reader", "r", acl(kmsg.ACLResourceTypeTopic, "orders", kmsg.ACLOperationRead),
			acl(kmsg.ACLResourceTypeTopic, "seen", kmsg.ACLOperationDescribe), acl(kmsg.ACLResourceTypeGroup, "g", kmsg.ACLOperationRead),
			acl(kmsg.ACLResourceTypeGroup, "h", kmsg.ACLOperationDescribe)))
	b.Commit(t, "g", "orders", 0, 0)
	b.Commit(t, "h", "orders", 0, 0)
	a := secured(kafka.TLSOptions{}, plainLogin("reader", "r"), b.Addr())
	s, err := a.State(t.Context(), []string{"orders", "seen", "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Topics["orders"].Rights; !r.Read || !r.Describe || r.Write || r.DescribeAs {
		t.Errorf("orders: %+v", r)
	}
	if r := s.Topics["seen"].Rights; r.Read || !r.Describe {
		t.Errorf("seen: %+v", r)
	}
	if !errors.Is(s.Topics["secret"].Err, queue.ErrDenied) {
		t.Errorf("secret: %+v", s.Topics["secret"])
	}
	for group, want := range map[string]admin.Rights{
		"g": {Known: true, Describe: true, Read: true}, "h": {Known: true, Describe: true}, "other": {Known: true},
	} {
		if r, err := a.GroupRights(t.Context(), group); err != nil || r != want {
			t.Errorf("group %s: %+v, %v; want %+v", group, r, err, want)
		}
	}
	if err := a.Idempotent(t.Context()); !errors.Is(err, queue.ErrDenied) {
		t.Errorf("who may write nowhere gets a producer id: %v", err)
	}
	if err := secured(kafka.TLSOptions{}, plainLogin("admin", "a"), b.Addr()).Idempotent(t.Context()); err != nil {
		t.Errorf("who may do everything: %v", err)
	}
}

// A cluster that has just started answers COORDINATOR_LOAD_IN_PROGRESS until its ids are there.
func TestAProducerIDIsAskedForUntilThereAreSome(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t)
	a := secured(kafka.TLSOptions{}, kafka.SASLOptions{}, b.Addr())
	loading := b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.CoordinatorLoadInProgress, Count: 3})
	if err := a.Idempotent(t.Context()); err != nil || loading.Hits() != 3 {
		t.Errorf("%v after %d refusals", err, loading.Hits())
	}
	b.Fault(brokertest.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.CoordinatorLoadInProgress, Count: -1})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := a.Idempotent(ctx); !errors.Is(err, queue.ErrUnreachable) {
		t.Errorf("it never has one: %v", err)
	}
}

// nobody is an address that nobody listens on.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// chatter is a port that says something of its own to whoever asks.
func chatter(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.6\r\n")
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

// A TLS port may speak of other things too.
func TestATLSPortThatIsNoBroker(t *testing.T) {
	t.Parallel()
	var config *tls.Config
	b := brokertest.Start(t, brokertest.TLS(false), brokertest.With(func(o *broker.Options) { config = o.TLS }))
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_ = conn.Close()
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	p := secured(kafka.TLSOptions{Enabled: true, CAFile: b.Files().CA}, kafka.SASLOptions{}, l.Addr().String()).Probe(t.Context(), l.Addr().String())
	if p.Failed != admin.StepKafka || !strings.Contains(p.Err.Error(), "is no Kafka broker") {
		t.Errorf("%+v", p)
	}
}
