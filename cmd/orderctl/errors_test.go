package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"commerce.internal/orderctl/internal/broker"
)

// TestErrorScripts meets the brokers that a person on call meets: one that says nothing, one that hangs up, one that wants a
// login and hangs up on a wrong one, one that refuses every login in words, as Apache Kafka does. SILENT, CLOSING, LOGIN and
// REFUSING are their addresses.
func TestErrorScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/errors",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			if _, err := withLogin(e, "LOGIN"); err != nil {
				return err
			}
			refusing, err := withLogin(e, "REFUSING")
			if err != nil {
				return err
			}
			refusing.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
				refusing.Cluster().KeepControl()
				res, _ := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
				res.ErrorCode = kerr.SaslAuthenticationFailed.Code
				return res, nil, true
			})
			return errors.Join(withBroker(e), answering(e, "SILENT", false), answering(e, "CLOSING", true))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exit": expectCode, "clean": clean},
	})
}

// withLogin starts a broker that wants a login.
func withLogin(e *testscript.Env, name string) (*broker.Broker, error) {
	b, err := broker.Open(broker.Options{
		Addr: "127.0.0.1:0", Memory: true, Log: slog.New(slog.DiscardHandler),
		Cluster: []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "orders", "right")},
	})
	if err != nil {
		return nil, fmt.Errorf("start broker with login: %w", err)
	}
	e.Defer(func() { _ = b.Close() })
	e.Setenv(name, b.Addr())
	return b, nil
}

// answering opens a port that accepts connections and never answers, or hangs up at the first byte.
func answering(e *testscript.Env, name string, closes bool) error {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("open port %s: %w", name, err)
	}
	e.Setenv(name, l.Addr().String())
	var mu sync.Mutex
	var held []net.Conn
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed below
			}
			if closes {
				_, _ = c.Read(make([]byte, 1))
				_ = c.Close()
				continue
			}
			mu.Lock()
			held = append(held, c)
			mu.Unlock()
		}
	}()
	e.Defer(func() {
		_ = l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range held {
			_ = c.Close()
		}
	})
	return nil
}
