package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/queue"
)

// Step is one step of the way to a broker.
type Step string

// The steps, in the order in which they are taken.
const (
	StepConfig Step = "configuration"
	StepName   Step = "name"
	StepTCP    Step = "TCP"
	StepTLS    Step = "TLS"
	StepKafka  Step = "protocol"
	StepLogin  Step = "login"
)

// Probe is how far one came on the way to a broker.
type Probe struct {
	Failed          Step // empty: the broker let us in
	Err             error
	CertificateEnds time.Time // of the broker's certificate; zero: not encrypted
	InitProducer    int16     // newest version of InitProducerId that the broker knows; below 0: none
	Brokers         []Broker  // of the cluster, at the addresses that they advertise
}

// Probe walks to a broker one step at a time: name, TCP, TLS, protocol, login. Of a connection that was simply closed it
// finds out why: the port wants TLS, or wants none, or wants a login.
func (a *Admin) Probe(ctx context.Context, addr string) Probe {
	w := walk{opts: a.kafka, addr: addr, probe: Probe{InitProducer: -1}}
	w.opts.Brokers = []string{addr}
	for _, next := range []struct {
		step Step
		take func(context.Context) error
	}{
		{StepConfig, w.configure}, {StepName, w.resolve}, {StepTCP, w.connect}, {StepTLS, w.encrypt}, {StepKafka, w.speak}, {StepLogin, w.login},
	} {
		if err := next.take(ctx); err != nil {
			w.probe.Failed, w.probe.Err = next.step, w.explain(ctx, err)
			break
		}
	}
	w.hangUp()
	return w.probe
}

// walk is a way to a broker that is being gone.
type walk struct {
	opts  kafka.Options
	addr  string
	cfg   *sarama.Config
	conn  net.Conn // nil: not connected
	probe Probe
}

func (w *walk) explain(ctx context.Context, err error) error {
	var known *kafka.Error
	if cause := context.Cause(ctx); cause != nil && !errors.As(err, &known) {
		err = cause // that we hung up ourselves is not why
	}
	return w.opts.Explain(err)
}

func (w *walk) configure(context.Context) (err error) {
	var known *kafka.Error
	if w.cfg, err = kafka.NewConfig(w.opts, kafka.ForRead); err != nil && !errors.As(err, &known) {
		return &kafka.Error{Text: err.Error(), Tip: "check kafka.tls and kafka.sasl", Code: 2, Cause: err}
	}
	return err
}

func (w *walk) resolve(ctx context.Context) error {
	host, _, err := net.SplitHostPort(w.addr)
	if err != nil {
		return fmt.Errorf("read address %s: %w", w.addr, err)
	}
	if net.ParseIP(host) != nil {
		return nil
	}
	_, err = net.DefaultResolver.LookupHost(ctx, host)
	return err
}

func (w *walk) connect(ctx context.Context) (err error) {
	w.hangUp()
	w.conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", w.addr)
	if err != nil {
		w.conn = nil
		return err
	}
	if end, ok := ctx.Deadline(); ok {
		return w.conn.SetDeadline(end)
	}
	return nil
}

func (w *walk) hangUp() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// encrypt is a step only where TLS is configured. A port that does not take it may be a plaintext one.
func (w *walk) encrypt(ctx context.Context) error {
	if !w.cfg.Net.TLS.Enable {
		return nil
	}
	c := w.cfg.Net.TLS.Config.Clone()
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(w.addr)
	}
	secure := tls.Client(w.conn, c)
	err := secure.HandshakeContext(ctx)
	if err == nil {
		w.conn = secure
		w.probe.CertificateEnds = secure.ConnectionState().PeerCertificates[0].NotAfter
		return nil
	}
	var record tls.RecordHeaderError
	if !closed(err) && !errors.As(err, &record) {
		return err
	}
	if w.connect(ctx) != nil || w.speak(ctx) != nil {
		return err
	}
	return &kafka.Error{
		Text: w.addr + " is a plaintext port, it does not speak TLS", Tip: "leave out --tls, or set kafka.tls.enabled: false",
		Code: 3, Kind: queue.ErrUnreachable, Cause: err,
	}
}

// speak asks which requests the broker knows: the one question that Kafka answers before a login.
func (w *walk) speak(ctx context.Context) error {
	versions, err := askVersions(w.conn)
	if err == nil {
		if v, ok := versions[keyInitProducer]; ok {
			w.probe.InitProducer = v
		}
		return nil
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" { // the alert of a broker that did not like our certificate
		return &kafka.Error{
			Text: fmt.Sprintf("%s refused our TLS: %v", w.addr, op.Err), Tip: "check kafka.tls.cert_file and kafka.tls.key_file",
			Code: 4, Kind: queue.ErrDenied, Cause: err,
		}
	}
	if w.cfg.Net.TLS.Enable || ctx.Err() != nil || !w.isTLS(ctx) {
		if errors.Is(err, errNoKafka) || closed(err) {
			return &kafka.Error{
				Text: w.addr + " is no Kafka broker: it does not answer in Kafka's protocol", Tip: "check kafka.brokers",
				Code: 3, Kind: queue.ErrUnreachable, Cause: err,
			}
		}
		return err
	}
	return &kafka.Error{
		Text: w.addr + " is a TLS port", Tip: "add --tls, or set kafka.tls.enabled: true", Code: 3, Kind: queue.ErrUnreachable, Cause: err,
	}
}

// isTLS reports whether the port shakes hands over TLS. Whose certificate it shows does not matter here.
func (w *walk) isTLS(ctx context.Context) bool {
	if w.connect(ctx) != nil {
		return false
	}
	c := tls.Client(w.conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // nothing is sent: only whether it is TLS is asked
	err := c.HandshakeContext(ctx)
	var op *net.OpError
	return err == nil || errors.As(err, &op) && op.Op == "remote error"
}

// login logs in as all commands do, and asks what a login is needed for.
func (w *walk) login(ctx context.Context) error {
	w.hangUp()
	meta, err := kafka.Metadata(ctx, w.opts, "__consumer_offsets")
	switch {
	case err == nil:
		w.probe.Brokers = brokersOf(meta)
		return nil
	case !closed(err) || ctx.Err() != nil:
		return err
	case w.opts.SASL.Mechanism == "":
		return &kafka.Error{
			Text: w.addr + " wants a login", Tip: "set kafka.sasl.mechanism, username and password_file",
			Code: 4, Kind: queue.ErrDenied, Cause: err,
		}
	}
	return &kafka.Error{
		Text: fmt.Sprintf("%s closed the connection during the login of %q (%s): wrong user or password", w.addr, w.user(), w.opts.SASL.Mechanism),
		Tip:  "check kafka.sasl.username and kafka.sasl.password_file", Code: 4, Kind: queue.ErrDenied, Cause: err,
	}
}

func (w *walk) user() string {
	if w.opts.SASL.Mechanism == kafka.MechanismOAuth {
		return w.opts.SASL.OAuth.ClientID
	}
	return w.opts.SASL.Username
}

func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, sarama.ErrNotConnected)
}
