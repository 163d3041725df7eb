package main

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/kafka/admin"
	"commerce.internal/orderctl/internal/kafka/publish"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// desk is all that a command needs which decides about letters.
type desk struct {
	*letterRoom
	ledger   *dlq.Ledger
	s        *session
	operator string
	reason   string
	rest     func(done int) // narrows the selection to what is left of it
}

// openDesk opens what letters are read with, and names the operator.
func (s *session) openDesk(ctx context.Context, f deskFlags) (*desk, func() error, error) {
	l, err := s.openLetters(ctx, f.foreign)
	if err != nil {
		return nil, nil, err
	}
	ledger, err := l.reader.Ledger(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, l.close())
	}
	return &desk{letterRoom: l, ledger: ledger, s: s, operator: f.operator, reason: f.reason, rest: func(int) {}}, l.close, nil
}

// deskFlags are the flags of every command that decides about letters.
type deskFlags struct {
	operator, reason string
	foreign          string // a dead-letter topic that is not the group's own
}

func (f *deskFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, for the ledger; `TEXT`")
	cmd.Flags().StringVar(&f.operator, "operator", "", "who, for the ledger; `NAME`; default user@host")
}

// check fills in who works.
func (f *deskFlags) check(cmd *cobra.Command) error {
	if cmd.Flags().Changed("operator") && strings.TrimSpace(f.operator) == "" {
		return badUsage(cmd, "", "--operator is empty")
	}
	const longest = 200
	if len(f.operator) > longest || len(f.reason) > 5*longest {
		return badUsage(cmd, "", "--operator takes at most %d bytes, --reason at most %d", longest, 5*longest)
	}
	if f.operator == "" {
		f.operator = whoami()
	}
	return nil
}

// wantsReason refuses to act without a reason.
func (f *deskFlags) wantsReason(cmd *cobra.Command) error {
	if strings.TrimSpace(f.reason) == "" {
		return badUsage(cmd, "", "--reason is missing: whoever looks later wants to know why")
	}
	return nil
}

// whoami is user@host, as far as the machine tells.
func whoami() string {
	name := "unknown"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	return name + "@" + hostname()
}

func hostname() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "unknown"
	}
	return host
}

// desk is the dlq desk on a producer.
func (d *desk) desk(p dlq.Producer, takeover bool) *dlq.Desk {
	return &dlq.Desk{
		Reader: d.reader, Log: d.log, Producer: p, Ledger: d.ledger, Operator: d.operator, Host: hostname(), Version: buildInfo().Version,
		Run: randomID("run-", 16), Now: d.s.env.now, Takeover: takeover,
	}
}

// planner makes plans for this desk.
func (d *desk) planner(cmd *cobra.Command, f *planFlags) (*dlq.Planner, error) {
	s := d.s
	p := &dlq.Planner{
		Reader: d.reader, Ledger: d.ledger, Cluster: d, Partition: d.partition, Names: s.names(), Own: !d.foreign, Now: s.env.now,
		Check: dlq.Checker(s.unknown(order.KeepUnknown), s.cfg.Order.Currency, s.env.now), MaxReplays: s.cfg.DLQ.MaxReplays, Origins: s.cfg.DLQ.AllowOrigins,
		Followers: !f.noFollowers, Operator: d.operator, Reason: d.reason, ID: randomID("r-", 6), Where: whereOf(cmd),
	}
	if d.store != nil {
		p.Store = d.store
	}
	var err error
	p.To, p.Edits, p.Include, err = f.read(cmd, s, d.reader.Topic())
	return p, err
}

// randomID is a prefix and n characters that nobody else has.
func randomID(prefix string, n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (Go 1.24)
	return prefix + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))[:n]
}

// whereOf is the selection as it was asked for.
func whereOf(cmd *cobra.Command) string {
	words := slices.Clone(cmd.Flags().Args())
	for _, name := range selecting() {
		if fl := cmd.Flags().Lookup(name); fl != nil && fl.Changed {
			words = append(words, fmt.Sprintf("--%s=%s", name, quoted(strings.Join(valuesOf(fl), ","))))
		}
	}
	return strings.Join(words, " ")
}

// valuesOf is what was given with a flag: several values, where it takes them.
func valuesOf(fl *pflag.Flag) []string {
	if list, ok := fl.Value.(pflag.SliceValue); ok {
		return list.GetSlice()
	}
	return []string{fl.Value.String()}
}

// again is the command that goes on with what was begun: all that was asked for. Taking over and agreeing are for the operator
// to say anew.
func again(cmd *cobra.Command) string {
	words := []string{cmd.CommandPath()}
	for _, arg := range cmd.Flags().Args() {
		words = append(words, quoted(arg))
	}
	cmd.Flags().Visit(func(fl *pflag.Flag) {
		if slices.Contains([]string{"yes", "takeover", "dry-run"}, fl.Name) {
			return
		}
		for _, v := range valuesOf(fl) {
			switch {
			case fl.Value.Type() == "bool" && v == "true":
				words = append(words, "--"+fl.Name)
			case fl.NoOptDefVal != "":
				words = append(words, "--"+fl.Name+"="+quoted(v))
			default:
				words = append(words, "--"+fl.Name, quoted(v))
			}
		}
	})
	return strings.Join(words, " ")
}

// quoted is a word of the shell.
func quoted(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,=+@%", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// selecting are the flags that choose letters.
func selecting() []string {
	return []string{"class", "code", "order-id", "since", "until", "state", "job", "jq", "ids", "limit", "all"}
}

// chosen refuses to act on letters when nothing was said about which: no limit and not all say nothing either.
func chosen(cmd *cobra.Command, args []string) error {
	says := func(name string) bool {
		fl := cmd.Flags().Lookup(name)
		return fl.Changed && (name != "limit" || fl.Value.String() != "0") && (name != "all" || fl.Value.String() == "true")
	}
	if len(args) > 0 || slices.ContainsFunc(selecting(), says) {
		return nil
	}
	return badUsage(cmd, "name letters (7/31), or choose some: --class exhausted, --since 1h, --all.", "which dead letters?")
}

// Topics implements dlq.Cluster.
func (d *desk) Topics(ctx context.Context, names ...string) (string, map[string]dlq.Topic, error) {
	a := admin.New(d.s.kafka("dlq", d.logger))
	cluster, err := ask(ctx, d.s, a.Cluster)
	if err != nil {
		return "", nil, err
	}
	found, err := ask(ctx, d.s, func(ctx context.Context) (map[string]admin.Topic, error) { return a.Topics(ctx, names) })
	if err != nil {
		return "", nil, err
	}
	topics := map[string]dlq.Topic{}
	for name, t := range found {
		topics[name] = dlq.Topic{ID: t.ID, Partitions: t.Partitions}
	}
	return cluster.ID, topics, nil
}

// producer makes a producer for the ledger and these topics.
func (d *desk) producer(ctx context.Context, topics ...string) (*publish.Producer, func() error, error) {
	s := d.s
	all := slices.Clone(topics)
	if d.ledger != nil {
		all = append(all, d.ledger.Topic)
	}
	slices.Sort(all)
	p, err := ask(ctx, s, func(ctx context.Context) (*publish.Producer, error) {
		return publish.New(ctx, s.kafka("dlq", d.logger), s.publish(d.logger, slices.Compact(all)...))
	})
	if err != nil {
		return nil, nil, err
	}
	return p, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Serve.Drain.Producer)
		defer cancel()
		return p.Close(ctx)
	}, nil
}

// withLedger refuses to decide anything that could not be written down.
func (d *desk) withLedger() error {
	if !d.ledger.Missing {
		return nil
	}
	fix := "run: orderctl topics apply"
	if d.foreign {
		fix = fmt.Sprintf("make it, compacted, with as many partitions as %s has", d.reader.Topic())
	}
	return &exitError{code: exitNotFound, text: fmt.Sprintf("there is no ledger %s: what is decided could not be written down", d.ledger.Topic), hint: fix}
}

// decided gives the errors of a job their exit codes and hints.
func (d *desk) decided(err error, again string) error {
	var running *dlq.RunningError
	var taken *dlq.TakenOverError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &running):
		hint := "--takeover goes on in its place"
		if running.Plan {
			hint = "--takeover needs the plan that it carries out"
		}
		return &exitError{code: exitFailed, text: running.Error(), hint: hint, err: err}
	case errors.Is(err, dlq.ErrNarrowLedger):
		return &exitError{code: exitNotFound, text: err.Error(), hint: fmt.Sprintf("add partitions to %s, such as with kafka-topics.sh --alter", d.ledger.Topic), err: err}
	case errors.As(err, &taken), errors.Is(err, dlq.ErrMadeAnew):
		return &exitError{code: exitFailed, text: err.Error(), err: err}
	case errors.Is(err, queue.ErrDenied):
		return err
	case errors.Is(err, dlq.ErrUnsent):
		return &exitError{code: exitUnreachable, text: err.Error(), hint: "run it again, it goes on where it stopped: " + again, err: err}
	}
	return err
}
