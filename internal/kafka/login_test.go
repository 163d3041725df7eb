package kafka_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker/brokertest"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/queue"
)

const canary = "canary,=4711"

func TestALoginOverEachMechanism(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{kafka.MechanismPlain, kafka.MechanismSCRAM256, kafka.MechanismSCRAM512} {
		for name, secure := range map[string]bool{" over TLS": true, " in plaintext": false} {
			t.Run(mechanism+name, func(t *testing.T) {
				t.Parallel()
				opts := []brokertest.Option{brokertest.SASL(mechanism, "orders", canary), brokertest.Topics(3, "orders")}
				if secure {
					opts = append(opts, brokertest.TLS(false))
				}
				b := brokertest.Start(t, opts...)
				o := options(b.Addr())
				o.SASL = kafka.SASLOptions{Mechanism: mechanism, Username: "orders", Password: canary, AllowPlaintext: !secure}
				if secure {
					o.TLS = kafka.TLSOptions{Enabled: true, CAFile: b.Files().CA}
				}
				c, err := kafka.Dial(t.Context(), o, kafka.ForRead)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if ps, err := c.Partitions("orders"); err != nil || len(ps) != 3 {
					t.Errorf("Partitions = %v, %v", ps, err)
				}
				o.SASL.Password = "wrong"
				_, err = kafka.Dial(t.Context(), o, kafka.ForRead)
				if !errors.Is(err, queue.ErrUnreachable) && !errors.Is(err, queue.ErrDenied) {
					t.Errorf("a wrong password: %v", err)
				}
				if s := err.Error() + logged.String(); strings.Contains(s, canary) {
					t.Error("the password shows")
				}
			})
		}
	}
}

func TestACertificateOfOurOwnIsShown(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.TLS(true), brokertest.Topics(1, "orders"))
	o := options(b.Addr())
	o.TLS = kafka.TLSOptions{Enabled: true, CAFile: b.Files().CA}
	if _, err := kafka.Dial(t.Context(), o, kafka.ForRead); !errors.Is(err, queue.ErrUnreachable) {
		t.Errorf("without it: %v", err)
	}
	o.TLS.CertFile, o.TLS.KeyFile = b.Files().Cert, b.Files().Key
	c, err := kafka.Dial(t.Context(), o, kafka.ForRead)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestALoginThatIsRefusedInWords(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.SASL(kafka.MechanismPlain, "orders", canary))
	b.ControlKey(kmsg.SASLAuthenticate, func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		res := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		res.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return res, nil, true
	})
	o := options(b.Addr())
	o.SASL = kafka.SASLOptions{Mechanism: kafka.MechanismPlain, Username: "orders", Password: "wrong", AllowPlaintext: true}
	_, err := kafka.Dial(t.Context(), o, kafka.ForRead)
	var e *kafka.Error
	if !errors.As(err, &e) || e.Error() != `Kafka refused the login of "orders" (PLAIN)` || e.ExitCode() != 4 || !errors.Is(err, queue.ErrDenied) {
		t.Errorf("err = %v", err)
	}
}

func TestATopicThatIsMissingNamesTheCommand(t *testing.T) { // pitfall 27
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(6, "orders"))
	n, err := kafka.Partitions(t.Context(), options(b.Addr()), "orders")
	if err != nil || n["orders"] != 6 {
		t.Errorf("Partitions = %v, %v", n, err)
	}
	_, err = kafka.Partitions(t.Context(), options(b.Addr()), "orders", "ordres", "refunds")
	var e *kafka.Error
	if !errors.As(err, &e) || e.Error() != `topics "ordres", "refunds" not found` || e.Hint() != "run: orderctl topics apply" || e.ExitCode() != 7 {
		t.Errorf("err = %v", err)
	}
	if b.PartitionInfo("ordres", 0) != nil {
		t.Error("a typo made a topic")
	}
}

func TestOneClientStaysOneClient(t *testing.T) { // pitfall 29
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(6, "orders"))
	c, err := kafka.Dial(t.Context(), options(b.Addr()), kafka.ForRead)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.RefreshMetadata("orders"); err != nil {
		t.Fatal(err)
	}
	before := stacks("sarama")
	for range 1000 {
		if err := c.RefreshMetadata("orders"); err != nil {
			t.Fatal(err)
		}
	}
	if after := stacks("sarama.(*client)"); after > before {
		t.Errorf("%d goroutines of clients before, %d after", before, after)
	}
	if n := stacks("meterArbiter"); n != 0 {
		t.Errorf("%d goroutines count what nobody reads", n)
	}
}

// stacks counts goroutines that have a name in their stack.
func stacks(name string) int {
	buf := make([]byte, 4<<20)
	n := 0
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, name) {
			n++
		}
	}
	return n
}

func TestACutEndsWhatWaits(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Topics(1, "orders"))
	c, err := kafka.Dial(t.Context(), options(b.Addr()), kafka.ForGroup, func(cfg *sarama.Config) { cfg.Net.ReadTimeout = time.Minute })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.RefreshMetadata("orders"); err != nil {
		t.Fatal(err)
	}
	b.Mute()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	defer context.AfterFunc(ctx, c.Cut)()
	began := time.Now()
	if _, err := c.GetOffset("orders", 0, sarama.OffsetNewest); err == nil {
		t.Error("a mute broker answered")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("ended after %v", took)
	}
	var closers sync.WaitGroup
	for range 50 { // pitfall 8
		closers.Go(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	closers.Wait()
}
