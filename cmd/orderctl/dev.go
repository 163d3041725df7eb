package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/broker"
	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/kafka"
	"commerce.internal/orderctl/internal/kafka/admin"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/produce"
	"commerce.internal/orderctl/internal/setup"
)

// devPartitions is how many partitions the topics of dev have.
const devPartitions = 6

// devOptions are the flags of dev.
type devOptions struct {
	dataDir, kafkaAddr, addr, adminAddr, advertise           string
	ephemeral, fsync, brokerOnly, reset, insecure, demo, yes bool
}

func newDevCmd(a *app) *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use: "dev", Short: "Runs the whole order queue in one process: broker, API, worker, database.",
		Long: `Runs the whole order queue in one process: broker, API, worker, database.

The broker is embedded: it speaks Kafka's protocol and keeps its log on disk, so that the data is there at the next start. It is for laptops and tests. Not promised: replication, what a power loss leaves, producer deduplication across kill -9, quotas, min.insync.replicas, LogAppendTime, compaction, exact error codes, an open network.`,
		GroupID: groupRun, Args: noArgs,
		Example: `# the whole order queue, for a first look
orderctl dev
# with real orders flowing in, for ever
orderctl dev --demo
# only the broker, on a port of its own
orderctl dev --broker-only --kafka-addr 127.0.0.1:19092
# begin again
orderctl dev --reset --yes`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.own = o.ownConfig(a.env)
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			a.tuneMemory()
			return runDev(cmd.Context(), s, cmd, o)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&o.dataDir, "data-dir", "", "`DIR` of the data; default $XDG_DATA_HOME/orderctl/dev or ~/.local/share/orderctl/dev")
	fs.StringVar(&o.kafkaAddr, "kafka-addr", "127.0.0.1:9092", "`HOST:PORT` of the broker; port 0: any free one")
	fs.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`HOST:PORT` of the API")
	fs.StringVar(&o.adminAddr, "admin-addr", "127.0.0.1:8090", "`HOST:PORT` of probes, metrics, pause and resume")
	fs.StringVar(&o.advertise, "advertise", "", "what clients are told to dial, `HOST[:PORT]`; needs --insecure off loopback")
	fs.BoolVar(&o.ephemeral, "ephemeral", false, "keep the data in a temporary folder and remove it at the end")
	fs.BoolVar(&o.fsync, "fsync", false, "sync each batch to disk")
	fs.BoolVar(&o.brokerOnly, "broker-only", false, "no API, no worker, no topics")
	fs.BoolVar(&o.reset, "reset", false, "delete the data first")
	fs.BoolVar(&o.insecure, "insecure", false, "allow addresses that others can reach: there is no login")
	fs.BoolVar(&o.demo, "demo", false, "let recorded real orders flow in at 20/s, for ever")
	fs.BoolVarP(&o.yes, "yes", "y", false, "delete without asking")
	exits(cmd, exitOK, "stopped; the data is there at the next start", exitFailed, "port or folder in use, disk full, data of a newer version",
		exitUsage, "", exitNeedsYes, "--reset off a terminal")
	seeAlso(cmd, "orderctl produce", "orderctl lag", "orderctl serve", "orderctl consume")
	return cmd
}

// ownConfig is the file that this dev will write, and that users are told to export: before the first start, and after its
// data was deleted, it is not there.
func (o devOptions) ownConfig(e env) string {
	if o.ephemeral {
		return ""
	}
	return (&devData{dir: cmp.Or(o.dataDir, devDir(e))}).configPath()
}

// check refuses what dev cannot do, before it touches anything.
func (o devOptions) check(cmd *cobra.Command) error {
	if o.ephemeral && (o.dataDir != "" || o.reset) {
		return badUsage(cmd, "", "--ephemeral has a folder of its own: leave out --data-dir and --reset")
	}
	if o.brokerOnly && o.demo {
		return badUsage(cmd, "", "--demo needs the API and the worker: leave out --broker-only")
	}
	for _, a := range []struct{ flag, addr string }{
		{"kafka-addr", o.kafkaAddr}, {"addr", o.addr}, {"admin-addr", o.adminAddr}, {"advertise", o.advertise},
	} {
		host, _, err := net.SplitHostPort(a.addr)
		if a.flag == "advertise" && err != nil {
			host, err = a.addr, nil
		}
		if err != nil {
			return badUsage(cmd, "", "--%s: %q is not HOST:PORT", a.flag, a.addr)
		}
		ip := net.ParseIP(host)
		if a.addr == "" || host == "localhost" || ip != nil && ip.IsLoopback() || o.insecure {
			continue
		}
		return badUsage(cmd, "--insecure allows it.", "--%s: %s can be reached from other machines, and there is no login", a.flag, a.addr)
	}
	return nil
}

// runDev starts, and stops in reverse: folder and broker, topics, database, worker, API.
func runDev(ctx context.Context, s *session, cmd *cobra.Command, o devOptions) (err error) {
	if err := o.check(cmd); err != nil {
		return err
	}
	d, err := s.openDevData(ctx, cmd, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if s.loaded.Origin("log.level").String() == "default" {
		s.cfg.Log.Level = "warn"
	}
	b, err := s.base(ctx, "orderctl-dev", config.Admin{}, !o.brokerOnly)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(context.WithoutCancel(ctx))) }()
	k, err := broker.Open(broker.Options{
		Log: obs.Component(b.logs.Log, "broker"), Addr: o.kafkaAddr, Advertise: o.advertise, DataDir: d.dir, Fsync: o.fsync,
		Partitions: devPartitions, Groups: []string{s.cfg.Consume.Group},
	})
	if err != nil {
		return devError(err, o)
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	s.pointAt(k.Addr(), d)
	if o.brokerOnly {
		s.runsUntilStopped(nil)
		if err := s.printDev(devBlock(d, k.Addr(), "", "", o)); err != nil {
			return err
		}
		return together(ctx, []part{untilStopped}, []part{k.Run})
	}
	return s.runDevQueue(ctx, b, k, d, o)
}

// runDevQueue runs the queue on a broker that is up.
func (s *session) runDevQueue(ctx context.Context, b *base, k *broker.Broker, d *devData, o devOptions) (err error) {
	api, err := listen(ctx, o.addr, "addr")
	if err != nil {
		return err
	}
	adminListener, err := listen(ctx, o.adminAddr, "admin-addr")
	if err != nil {
		return errors.Join(err, api.Close())
	}
	return b.around(ctx, adminListener, func(ctx context.Context) (err error) {
		p, err := s.openDevPlant(ctx, b, k, d, api.Addr().String())
		if err != nil {
			return errors.Join(err, api.Close())
		}
		defer func() { err = errors.Join(err, p.close(context.WithoutCancel(ctx))) }()
		s.runsUntilStopped(p.inHand)
		front := []part{func(ctx context.Context) error { return p.server.Run(ctx, api) }}
		if o.demo {
			demo, err := s.demo(ctx, b, p)
			if err != nil {
				return errors.Join(err, api.Close())
			}
			front = append(front, demo)
		}
		b.ops.Started()
		if err := s.printDev(devBlock(d, k.Addr(), api.Addr().String(), adminListener.Addr().String(), o)); err != nil {
			return errors.Join(err, api.Close())
		}
		return p.run(ctx, front...)
	}, k.Run)
}

// openDevPlant makes the topics and opens database, worker and API on them.
func (s *session) openDevPlant(ctx context.Context, b *base, k *broker.Broker, d *devData, api string) (*plant, error) {
	adm := topicAdmin{admin.New(s.kafka("dev", b.logs.Log))}
	steps, err := setup.Plan(ctx, adm, s.want())
	if err != nil {
		return nil, err
	}
	if _, err := setup.Apply(ctx, adm, steps); err != nil {
		return nil, err
	}
	if err := d.writeConfig(s, api); err != nil {
		return nil, err
	}
	if w := d.forgotten(k.Committed(s.cfg.Consume.Group, s.cfg.Consume.Topic), s.cfg.Consume.Group); w != "" {
		s.say(w)
	}
	b.ops.Add(diskCheck(k))
	p, err := s.openPlant(ctx, b, "dev", plantOptions{intake: true, worker: true, tests: true, full: k.Full})
	return p, d.unusable(err)
}

// demo lets the recorded orders flow in, through a producer of their own.
func (s *session) demo(ctx context.Context, b *base, p *plant) (part, error) {
	topic := s.cfg.Consume.Topic
	producer, err := p.openProducer(ctx, b, "demo", topic)
	if err != nil {
		return nil, err
	}
	n, err := producer.Partitions(topic)
	if err != nil {
		return nil, err
	}
	to := produce.Kafka{Publisher: producer, Room: producer.Room, Topic: topic, Partition: kafka.Partitioner(), Partitions: n}
	return func(ctx context.Context) error { return produce.Demo(ctx, to, obs.Component(b.logs.Log, "demo")) }, nil
}

// pointAt makes the embedded broker and the database in the data folder the ones that everything in this process uses.
func (s *session) pointAt(brokerAddr string, d *devData) {
	c := s.cfg
	c.Kafka = config.Kafka{Name: "dev", Brokers: []string{brokerAddr}, Timeout: c.Kafka.Timeout, Idempotent: true}
	c.Topics = config.Topics{
		Partitions: devPartitions, ReplicationFactor: 1, MinInsyncReplicas: 1, Retention: c.Topics.Retention, DLQRetention: c.Topics.DLQRetention,
	}
	c.Store.Driver, c.Store.DSN, c.Store.Migrate = "sqlite", config.NewDSN(d.database()), "true"
	c.Serve.Drain.Delay = 0 // there is no load balancer that would have to notice
}

// untilStopped is the front of a process that has nothing in front.
func untilStopped(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// devError says which flag helps when the broker cannot open.
func devError(err error, o devOptions) error {
	var locked *broker.LockedError
	var disk *broker.DiskError
	switch {
	case errors.As(err, &locked):
		return exitWith(exitFailed, err.Error(), "stop that one, or choose another folder with --data-dir")
	case errors.As(err, &disk):
		return exitWith(exitFailed, err.Error(), "make room, or choose another disk with --data-dir")
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "listen" {
		return exitWith(exitFailed, fmt.Sprintf("cannot listen on %s: %v", o.kafkaAddr, op.Err), "choose another address with --kafka-addr")
	}
	return err
}
