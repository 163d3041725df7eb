package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/IBM/sarama"

	"commerce.internal/orderctl/internal/queue"
)

// Exit codes of the errors of this package; cmd/orderctl has the whole table.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitDenied      = 4
	exitNotFound    = 7
)

const (
	tipUnreachable = "set --brokers, ORDERCTL_KAFKA_BROKERS or kafka.brokers; 'orderctl dev' starts one, 'orderctl doctor' checks"
	tipSilent      = "is it a TLS port? try --tls; --timeout waits longer"
	tipClosed      = "check kafka.sasl and kafka.tls; 'orderctl doctor' says which of the two it is"
	tipRights      = "grant it to the principal of this client, see 'orderctl doctor'"
)

var errTokenRefused = errors.New("the token service refused the client credentials")

// Error is a failure of Kafka or of the way to it, as a user should read it.
type Error struct {
	Text  string // what failed and why
	Tip   string // what to do
	Code  int    // exit code
	Kind  error  // a sentinel of package queue; nil: none fits
	Cause error
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Cause} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// ExitCode returns the exit code that fits.
func (e *Error) ExitCode() int { return e.Code }

// Hint returns what to do.
func (e *Error) Hint() string { return e.Tip }

// Classify turns an error of sarama into one that says what failed, for a user and for errors.Is. What it does not know
// it returns as it came.
func Classify(err error, brokers []string) error {
	return Options{Brokers: brokers}.Explain(err)
}

// Explain is Classify with the name of the login that is in use.
func (o Options) Explain(err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	if e := o.classify(err, strings.Join(o.Brokers, ", "), 0); e != nil {
		return e
	}
	return err
}

// explain picks the answer that tells most among those of all brokers: one that refused us knows more than one that is
// away.
func (o Options) explain(answers []error, waited time.Duration) error {
	var best *Error
	var addrs []string
	for i, err := range answers {
		e := o.classify(err, o.Brokers[i], waited)
		if e == nil {
			e = &Error{Text: fmt.Sprintf("cannot reach Kafka at %s: %v", o.Brokers[i], err), Tip: tipUnreachable, Code: exitUnreachable, Kind: queue.ErrUnreachable, Cause: err}
		}
		if best == nil || rank(e) > rank(best) {
			best, addrs = e, nil
		}
		addrs = append(addrs, o.Brokers[i])
	}
	if best != nil && best.Tip == tipUnreachable && len(addrs) > 1 {
		best.Text = strings.Replace(best.Text, addrs[0], strings.Join(addrs, ", "), 1)
	}
	return best
}

func rank(e *Error) int {
	switch {
	case errors.Is(e, queue.ErrDenied):
		return 3
	case e.Tip == tipClosed:
		return 2
	case e.Tip == tipSilent:
		return 1
	}
	return 0
}

// classify returns nil for what it does not know.
func (o Options) classify(err error, at string, waited time.Duration) *Error {
	e := o.login(err, at)
	for _, known := range []func(error, string) *Error{refusedByKafka, certificate, connection} {
		if e == nil {
			e = known(err, at)
		}
	}
	if e == nil && silent(err) {
		within := "in time"
		if waited > 0 {
			within = "within " + waited.String()
		}
		e = &Error{
			Text: fmt.Sprintf("Kafka at %s did not answer %s (TCP connected)", at, within),
			Tip:  tipSilent, Code: exitUnreachable, Kind: queue.ErrUnreachable,
		}
	}
	if e == nil && closed(err) {
		e = o.hungUp(at)
	}
	if e == nil && errors.Is(err, sarama.ErrOutOfBrokers) {
		e = unreachable(at, "no broker answers")
	}
	if e != nil {
		e.Cause = err
	}
	return e
}

// login: the broker, or the token service before it, does not believe who we are.
func (o Options) login(err error, at string) *Error {
	e := &Error{Code: exitDenied, Kind: queue.ErrDenied}
	switch {
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed):
		e.Text = "Kafka refused the login"
		if o.SASL.Mechanism != "" {
			e.Text = fmt.Sprintf("Kafka refused the login of %q (%s)", o.user(), o.SASL.Mechanism)
		}
		e.Tip = "check kafka.sasl.username and kafka.sasl.password_file"
	case errors.Is(err, errSCRAMProof), errors.Is(err, errSCRAMReply):
		e.Text, e.Tip = fmt.Sprintf("the login at %s failed: %v", at, err), "check kafka.sasl.password_file and kafka.brokers"
	case errors.Is(err, errTokenRefused):
		e.Text, e.Tip = errTokenRefused.Error(), "check kafka.sasl.oauth"
	case errors.Is(err, sarama.ErrUnsupportedSASLMechanism), errors.Is(err, sarama.ErrIllegalSASLState):
		e.Text = fmt.Sprintf("Kafka at %s does not offer a login by %s", at, o.SASL.Mechanism)
		e.Tip = "check kafka.sasl.mechanism"
	case errors.Is(err, errToken):
		e.Text, e.Tip = err.Error(), "check kafka.sasl.oauth.token_url"
		e.Code, e.Kind = exitUnreachable, queue.ErrUnreachable
	default:
		return nil
	}
	return e
}

func (o Options) user() string {
	if o.SASL.Mechanism == MechanismOAuth {
		return o.SASL.OAuth.ClientID
	}
	return o.SASL.Username
}

// refusedByKafka: the broker answered, and the answer is no.
func refusedByKafka(err error, at string) *Error {
	var code sarama.KError
	if !errors.As(err, &code) {
		return nil
	}
	text := strings.TrimPrefix(code.Error(), "kafka server: ")
	switch code {
	case sarama.ErrTopicAuthorizationFailed:
		return denied("topic authorization failed")
	case sarama.ErrGroupAuthorizationFailed:
		return denied("group authorization failed")
	case sarama.ErrClusterAuthorizationFailed:
		return denied("cluster authorization failed")
	case sarama.ErrTransactionalIDAuthorizationFailed, sarama.ErrDelegationTokenAuthorizationFailed:
		return denied(text)
	case sarama.ErrUnknownTopicOrPartition, sarama.ErrGroupIDNotFound:
		what := "no such topic or partition"
		if code == sarama.ErrGroupIDNotFound {
			what = "no such group"
		}
		return &Error{Text: what, Code: exitNotFound, Kind: queue.ErrNotFound}
	case sarama.ErrLeaderNotAvailable, sarama.ErrNotLeaderForPartition, sarama.ErrRequestTimedOut, sarama.ErrBrokerNotAvailable,
		sarama.ErrReplicaNotAvailable, sarama.ErrNetworkException, sarama.ErrOffsetsLoadInProgress,
		sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrNotCoordinatorForConsumer:
		return &Error{Text: fmt.Sprintf("Kafka at %s cannot answer now: %s", at, text), Code: exitUnreachable, Kind: queue.ErrUnreachable}
	}
	return &Error{Text: "Kafka refused: " + text, Code: exitFailed}
}

func denied(what string) *Error {
	return &Error{Text: what, Tip: tipRights, Code: exitDenied, Kind: queue.ErrDenied}
}

func certificate(err error, at string) *Error {
	var (
		record  tls.RecordHeaderError
		invalid *tls.CertificateVerificationError
		alert   tls.AlertError
		unknown x509.UnknownAuthorityError
	)
	e := &Error{Code: exitUnreachable, Kind: queue.ErrUnreachable}
	switch {
	case errors.As(err, &record):
		e.Text, e.Tip = at+" does not speak TLS", "is it a plaintext port? leave out --tls"
	case errors.As(err, &invalid), errors.As(err, &unknown):
		e.Text, e.Tip = fmt.Sprintf("the certificate of %s is not trusted: %v", at, err), "check kafka.tls.ca_file and kafka.tls.server_name"
	case errors.As(err, &alert):
		e.Text, e.Tip = fmt.Sprintf("%s refused our TLS: %v", at, err), "check kafka.tls.cert_file and kafka.tls.key_file"
	default:
		return nil
	}
	return e
}

// connection: no TCP connection came about.
func connection(err error, at string) *Error {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return unreachable(at, "no such host "+dns.Name)
	}
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" {
		return nil
	}
	var number syscall.Errno
	switch {
	case errors.As(err, &number):
		return unreachable(at, number.Error())
	case op.Timeout():
		return unreachable(at, "no answer to the attempt to connect")
	}
	return unreachable(at, op.Err.Error())
}

func unreachable(at, why string) *Error {
	return &Error{
		Text: fmt.Sprintf("cannot reach Kafka at %s: %s", at, why), Tip: tipUnreachable,
		Code: exitUnreachable, Kind: queue.ErrUnreachable,
	}
}

// silent: connected, but no answer came. A connection that we cut ourselves at the deadline counts.
func silent(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) ||
		(errors.As(err, &n) && n.Timeout())
}

func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, sarama.ErrNotConnected)
}

func (o Options) hungUp(at string) *Error {
	text := at + " closed the connection: it wants a login, or TLS"
	if o.SASL.Mechanism != "" {
		text = at + " closed the connection during login: wrong password, or a TLS port"
	}
	return &Error{Text: text, Tip: tipClosed, Code: exitUnreachable, Kind: queue.ErrUnreachable}
}
