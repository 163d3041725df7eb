package setup

import (
	"context"
	"errors"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
)

// DoctorOptions says what a doctor looks at, and how. The functions only read; all of them honour their context.
type DoctorOptions struct {
	Want       Want     // required: the topics, and whose they are
	Brokers    []string // required
	Origin     string   // where the addresses of the brokers came from
	Principal  string   // as whom we log in, User:orders
	Idempotent bool     // the producer is idempotent

	ConfigFile string   // empty: none
	Warnings   []string // of the configuration, "what; what to do"
	OpenFiles  uint64   // how many files this process may open; 0: not known

	Probe        func(ctx context.Context, addr string) Reach                                           // required
	State        func(ctx context.Context, topics []string) (ClusterState, error)                       // required
	Configs      func(ctx context.Context, topics []string) (map[string]Topic, error)                   // required
	Producer     func(ctx context.Context) error                                                        // required: ask for an idempotent producer's id
	GroupRights  func(ctx context.Context, group string) (Rights, error)                                // required
	Transactions func(ctx context.Context, topic string, partitions []int32) ([]OpenTransaction, error) // required

	Lag    lag.Source // required
	SLO    time.Duration
	Policy lag.Policy

	Database func(ctx context.Context) (Database, error) // required
	LocalDB  bool                                        // it is a file of this host, which other hosts do not see
	KeepDone time.Duration                               // how long it remembers what is done; 0: for ever
	Disk     func(dir string) (Space, error)             // required

	Serve   Serve
	Webhook string // URL; empty: none
	Dev     Dev

	Each time.Duration    // of one check; 0: CheckTimeout
	Now  func() time.Time // nil: time.Now
}

// Space is how much room a disk has.
type Space struct{ Free, Total uint64 }

// Doctor looks at everything that an order needs on its way, and changes nothing.
type Doctor struct {
	opts  DoctorOptions
	facts facts
	seen  func(context.Context) (observed, error)
}

// facts are what a check has learnt for those that stand on it. Each field is written by one check, before it is over.
type facts struct {
	reached []Reach // by broker of the options
	old     []int32 // brokers below Kafka 2.5
	state   ClusterState
	topics  map[string]Topic
}

// NewDoctor returns a doctor.
func NewDoctor(o DoctorOptions) (*Doctor, error) {
	for _, required := range []struct {
		name    string
		missing bool
	}{
		{"Want", o.Want.Names.Source == ""},
		{"Brokers", len(o.Brokers) == 0},
		{"Probe", o.Probe == nil},
		{"State", o.State == nil},
		{"Configs", o.Configs == nil},
		{"Producer", o.Producer == nil},
		{"GroupRights", o.GroupRights == nil},
		{"Transactions", o.Transactions == nil},
		{"Lag", o.Lag == nil},
		{"Database", o.Database == nil},
		{"Disk", o.Disk == nil},
	} {
		if required.missing {
			return nil, errors.New("setup: DoctorOptions." + required.name + " is required")
		}
	}
	if o.Each <= 0 {
		o.Each = CheckTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	d := &Doctor{opts: o, facts: facts{reached: make([]Reach, len(o.Brokers))}}
	d.seen = d.observeOnce()
	return d, nil
}

// Run asks all questions, within DoctorTimeout. A Doctor runs once.
func (d *Doctor) Run(ctx context.Context) Diagnosis {
	ctx, cancel := context.WithTimeout(ctx, DoctorTimeout)
	defer cancel()
	var brokers []string
	checks := []check{{name: "config", run: d.config}}
	for i, addr := range d.opts.Brokers {
		name := "broker " + addr
		brokers = append(brokers, name)
		checks = append(checks, check{name: name, run: func(ctx context.Context) []Finding { return d.broker(ctx, i) }})
	}
	checks = append(
		checks,
		check{name: "advertised", needs: brokers, any: true, sees: brokers, run: d.advertised},
		check{name: "cluster", needs: brokers, any: true, sees: []string{"advertised"}, run: d.cluster},
		check{name: "topics", needs: []string{"cluster"}, run: d.topics},
		check{name: "configs", needs: []string{"topics"}, run: d.configs},
		check{name: "group", needs: []string{"topics"}, run: d.group},
		check{name: "transactions", needs: []string{"topics"}, run: d.transactions},
		check{name: "access", needs: []string{"cluster"}, run: d.access},
		check{name: "database", run: d.database},
		check{name: "serve", run: d.serve},
	)
	if d.opts.Webhook != "" {
		checks = append(checks, check{name: "webhook", run: d.webhook})
	}
	if d.opts.Dev.Dir != "" {
		checks = append(checks, check{name: "dev", sees: brokers, run: d.dev})
	}
	return diagnose(ctx, checks, d.opts.Each)
}
