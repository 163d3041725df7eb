package kafka_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/queue"
)

// listen starts a server that does to each connection what serve says.
func listen(t *testing.T, serve func(net.Conn)) string {
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
			wg.Go(func() { defer conn.Close(); serve(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

// mute reads and never answers.
func mute(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// nobody is an address where nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestTheTextsOfAConnectionThatDoesNotComeAbout(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	gone, gone2 := nobody(t), nobody(t)
	silent := listen(t, mute)
	closing := listen(t, func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, 8)) })
	secure := listen(t, func(c net.Conn) { _ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}}).Handshake() })
	plain := listen(t, func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); mute(c) })
	login := func(o *kafka.Options) {
		o.SASL = kafka.SASLOptions{Mechanism: "PLAIN", Username: "u", Password: "p", AllowPlaintext: true}
	}
	withTLS := func(o *kafka.Options) { o.TLS.Enabled = true }
	tests := []struct {
		name    string
		brokers []string
		opts    func(*kafka.Options)
		text    string
		hint    string
		code    int
	}{
		{"nothing listens", []string{gone}, nil, "cannot reach Kafka at " + gone + ": connection refused", "set --brokers, ORDERCTL_KAFKA_BROKERS or kafka.brokers; 'orderctl dev' starts one, 'orderctl doctor' checks", 3},
		{"nothing listens at two places", []string{gone, gone2}, nil, "cannot reach Kafka at " + gone + ", " + gone2 + ": connection refused", "set --brokers", 3},
		{"no such host", []string{"nowhere.invalid:9092"}, nil, "cannot reach Kafka at nowhere.invalid:9092: no such host", "set --brokers", 3},
		{"connected but silent", []string{silent}, nil, "Kafka at " + silent + " did not answer within 1s (TCP connected)", "is it a TLS port? try --tls; --timeout waits longer", 3},
		{"one silent, one away: the silent one tells more", []string{gone, silent}, nil, "Kafka at " + silent + " did not answer", "is it a TLS port?", 3},
		{"closed during login", []string{closing}, login, closing + " closed the connection during login: wrong password, or a TLS port", "doctor", 3},
		{"closed without a login", []string{closing}, nil, closing + " closed the connection: it wants a login, or TLS", "doctor", 3},
		{"plaintext to a TLS port", []string{secure}, nil, secure + " closed the connection: it wants a login, or TLS", "doctor", 3},
		{"TLS to a plaintext port", []string{plain}, withTLS, plain + " does not speak TLS", "leave out --tls", 3},
		{"a certificate nobody vouches for", []string{secure}, withTLS, "the certificate of " + secure + " is not trusted", "kafka.tls.ca_file", 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options(tt.brokers...)
			o.Timeout = time.Second
			if tt.opts != nil {
				tt.opts(&o)
			}
			began := time.Now()
			_, err := kafka.Dial(t.Context(), o, kafka.ForRead)
			var e *kafka.Error
			if !errors.As(err, &e) || !strings.HasPrefix(e.Error(), tt.text) {
				t.Fatalf("err = %v, want %q", err, tt.text)
			}
			if !strings.Contains(e.Hint(), tt.hint) || e.ExitCode() != tt.code || !errors.Is(err, queue.ErrUnreachable) {
				t.Errorf("hint %q, code %d, kind unreachable %v", e.Hint(), e.ExitCode(), errors.Is(err, queue.ErrUnreachable))
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestDialEndsWithItsContext(t *testing.T) { // pitfall 7: sarama takes no context
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	o := options(listen(t, func(c net.Conn) { cancel(); mute(c) }))
	o.Timeout = time.Minute
	began := time.Now()
	_, err := kafka.Dial(ctx, o, kafka.ForGroup)
	if !errors.Is(err, context.Canceled) || time.Since(began) > 5*time.Second {
		t.Errorf("err = %v after %v", err, time.Since(began))
	}
}

func TestDialWaitsForABrokerThatStarts(t *testing.T) {
	t.Parallel()
	o := options(nobody(t))
	o.Grace = 600 * time.Millisecond
	began := time.Now()
	_, err := kafka.Dial(t.Context(), o, kafka.ForRead)
	if took := time.Since(began); !errors.Is(err, queue.ErrUnreachable) || took < 200*time.Millisecond || took > 5*time.Second {
		t.Errorf("err = %v after %v", err, took)
	}
}

func TestErrorsOfSaramaSayWhatFailed(t *testing.T) { // pitfall 32
	t.Parallel()
	login := kafka.Options{Brokers: []string{"k:9092"}, SASL: kafka.SASLOptions{Mechanism: "SCRAM-SHA-512", Username: "orders"}}
	tests := []struct {
		name string
		err  error
		text string
		code int
		kind error
	}{
		{"login refused", sarama.Wrap(sarama.ErrSASLAuthenticationFailed, errors.New("bad password")), `Kafka refused the login of "orders" (SCRAM-SHA-512)`, 4, queue.ErrDenied},
		{"mechanism not offered", sarama.ErrUnsupportedSASLMechanism, "Kafka at k:9092 does not offer a login by SCRAM-SHA-512", 4, queue.ErrDenied},
		{"topic denied", sarama.ErrTopicAuthorizationFailed, "topic authorization failed", 4, queue.ErrDenied},
		{"group denied", sarama.ErrGroupAuthorizationFailed, "group authorization failed", 4, queue.ErrDenied},
		{"cluster denied", sarama.ErrClusterAuthorizationFailed, "cluster authorization failed", 4, queue.ErrDenied},
		{"unknown topic", sarama.ErrUnknownTopicOrPartition, "no such topic or partition", 7, queue.ErrNotFound},
		{"unknown group", sarama.ErrGroupIDNotFound, "no such group", 7, queue.ErrNotFound},
		{"no leader", sarama.ErrLeaderNotAvailable, "Kafka at k:9092 cannot answer now", 3, queue.ErrUnreachable},
		{"no broker left", sarama.Wrap(sarama.ErrOutOfBrokers), "cannot reach Kafka at k:9092", 3, queue.ErrUnreachable},
		{"read timeout", &net.OpError{Op: "read", Err: timeout{}}, "Kafka at k:9092 did not answer in time", 3, queue.ErrUnreachable},
		{"a code without a text", sarama.KError(90), "Kafka refused:", 1, nil},
		{"wrapped", errors.Join(errors.New("x"), sarama.ErrInvalidReplicationFactor), "Kafka refused: Replication-factor is invalid", 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := login.Explain(tt.err)
			var e *kafka.Error
			if !errors.As(err, &e) || !strings.HasPrefix(e.Error(), tt.text) || e.ExitCode() != tt.code {
				t.Fatalf("Explain = %v (%#v), want %q, code %d", err, e, tt.text, tt.code)
			}
			if tt.kind != nil && !errors.Is(err, tt.kind) {
				t.Errorf("not of kind %v", tt.kind)
			}
			if !errors.Is(err, tt.err) {
				t.Error("the cause is lost")
			}
			if again := login.Explain(err); again != err { //nolint:errorlint // the very same value
				t.Errorf("explained twice: %v", again)
			}
		})
	}
}

func TestClassifyLeavesAloneWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	own := errors.New("own")
	for _, err := range []error{nil, own, context.Canceled} {
		if got := kafka.Classify(err, []string{"k:9092"}); got != err { //nolint:errorlint // the very same value
			t.Errorf("Classify(%v) = %v", err, got)
		}
	}
}

type timeout struct{}

func (timeout) Error() string   { return "i/o timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }
