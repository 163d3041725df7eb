package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"commerce.internal/orderctl/internal/broker"
	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/kafka/admin"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/setup"
	"commerce.internal/orderctl/internal/store"
)

// doctorOptions says what the doctor looks at. The function that it returns closes what stays open between questions.
func (s *session) doctorOptions(log *slog.Logger) (setup.DoctorOptions, func()) {
	k := s.kafka("doctor", log)
	k.Timeout = min(k.Timeout, setup.CheckTimeout)
	adm, observer := admin.New(k), observe.New(k)
	o := setup.DoctorOptions{
		Want: s.want(), Brokers: s.cfg.Kafka.Brokers, Origin: s.loaded.Origin("kafka.brokers").String(), Principal: s.principal(),
		Idempotent: s.cfg.Kafka.Idempotent, ConfigFile: s.loaded.Path, Warnings: s.loaded.Warnings, OpenFiles: setup.OpenFiles(),
		Configs: topicAdmin{adm}.Topics, Producer: adm.Idempotent,
		Probe: func(ctx context.Context, addr string) setup.Reach { return reachOf(adm.Probe(ctx, addr)) },
		State: func(ctx context.Context, topics []string) (setup.ClusterState, error) {
			return stateOf(adm.State(ctx, topics))
		},
		GroupRights: func(ctx context.Context, group string) (setup.Rights, error) {
			return rightsOf(adm.GroupRights(ctx, group))
		},
		Transactions: func(ctx context.Context, topic string, partitions []int32) ([]setup.OpenTransaction, error) {
			return openOf(adm.OpenTransactions(ctx, topic, partitions))
		},
		Lag: observer, SLO: s.cfg.Lag.SLO, Policy: s.lagPolicy(),
		Database: func(ctx context.Context) (setup.Database, error) { return s.lookAtDatabase(ctx, log) },
		LocalDB:  s.cfg.Store.Driver == "sqlite", KeepDone: s.cfg.Consume.KeepDone, Disk: setup.DiskSpace,
		Serve: setup.Serve{Addr: s.cfg.Serve.Admin.Addr, Chosen: s.loaded.Origin("serve.admin.addr").Kind != config.FromDefault},
		Each:  min(setup.CheckTimeout, s.timeout()), Now: s.env.now,
	}
	if s.cfg.Consume.Handler == "webhook" {
		o.Webhook = s.cfg.Webhook.URL
	}
	if dir := devDir(s.env); isFolder(dir) {
		o.Dev = setup.Dev{Dir: dir, Holder: func() (int, bool) { return broker.Holder(dir) }}
	}
	return o, func() { _ = observer.Close() }
}

func isFolder(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}

// principal is as whom Kafka knows us: the user of the login, else the subject of our certificate.
func (s *session) principal() string {
	k := s.cfg.Kafka
	switch {
	case k.SASL.Mechanism != "" && k.SASL.Username != "":
		return "User:" + k.SASL.Username
	case k.SASL.Mechanism != "":
		return "User:" + k.SASL.OAuth.ClientID
	case k.TLS.CertFile == "":
		return ""
	}
	pair, err := tls.LoadX509KeyPair(k.TLS.CertFile, k.TLS.KeyFile)
	if err != nil {
		return "" // the way to the brokers says why
	}
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return ""
	}
	return "User:" + cert.Subject.String()
}

func reachOf(p admin.Probe) setup.Reach {
	const since25 = 3 // version of InitProducerId that came with Kafka 2.5
	return setup.Reach{
		Step: string(p.Failed), Err: p.Err, CertificateEnds: p.CertificateEnds, Brokers: brokersOf(p.Brokers),
		TooOld: p.Err == nil && p.InitProducer < since25,
	}
}

func brokersOf(list []admin.Broker) []setup.BrokerAt {
	var all []setup.BrokerAt
	for _, b := range list {
		all = append(all, setup.BrokerAt(b))
	}
	return all
}

func stateOf(s admin.State, err error) (setup.ClusterState, error) {
	state := setup.ClusterState{Controller: s.Controller, Brokers: brokersOf(s.Brokers), Topics: map[string]setup.TopicState{}}
	for name, t := range s.Topics {
		topic := setup.TopicState{Err: t.Err, Rights: setup.Rights(t.Rights)}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, setup.PartitionState(p))
		}
		state.Topics[name] = topic
	}
	return state, err
}

func rightsOf(r admin.Rights, err error) (setup.Rights, error) { return setup.Rights(r), err }

func openOf(list []admin.OpenTransaction, err error) ([]setup.OpenTransaction, error) {
	var open []setup.OpenTransaction
	for _, x := range list {
		open = append(open, setup.OpenTransaction{Partition: x.Partition, Producer: x.Producer, Epoch: x.Epoch, Start: x.Start, Last: x.Last})
	}
	return open, err
}

// lookAtDatabase opens the store as a worker would, but changes nothing in it.
func (s *session) lookAtDatabase(ctx context.Context, log *slog.Logger) (setup.Database, error) {
	o := s.storeOptions(log)
	db := setup.Database{Where: s.cfg.Store.Driver + " " + s.cfg.Store.DSN.String(), Migrates: o.Migrate}
	if o.Driver == "sqlite" {
		path, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(o.DSN, "file:"), "//"), "?")
		db.Where, db.Dir = path, filepath.Dir(path)
	}
	schema, err := store.Status(ctx, o)
	db.Have, db.Want = schema.Have, schema.Want
	if err != nil || db.Have != db.Want {
		return db, err
	}
	o.Migrate, o.EffectFile = false, s.cfg.Consume.EffectFile
	st, err := store.Open(ctx, o)
	if err != nil {
		return db, err
	}
	defer st.Close()
	began := s.env.now()
	if db.Clock, err = st.Clock(ctx); err != nil {
		return db, err
	}
	db.Asked = began.Add(s.env.now().Sub(began) / 2)
	return db, st.Ping(ctx)
}
