// Package broker is a Kafka broker inside the process: the kfake of franz-go behind a wrapper that cures its defects, for
// orderctl dev and for tests. It is one node without replication that keeps its log in a directory or in memory. It is
// not a broker for production: no fsync unless asked, no ACLs, no quotas, no compaction, one replica of everything.
package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"golang.org/x/sync/errgroup"
)

// ClusterID is the id that the broker shows to its clients.
const ClusterID = "orderctl-local"

// DefaultReserve is how much of the disk stays free when Options.Reserve is 0.
const DefaultReserve = 256 << 20

const (
	segmentBytes   = 16 << 20
	diskEvery      = time.Second
	watchEvery     = time.Second
	retentionEvery = 30 * time.Second
	never          = 100 * 365 * 24 * time.Hour
)

// Options says what broker to open.
type Options struct {
	Log        *slog.Logger
	Addr       string   // host:port to listen on; port 0: any free one
	Advertise  string   // what clients are told to dial, host or host:port; "": Addr
	DataDir    string   // holds the file LOCK and the folder kafka; unused with Memory
	Memory     bool     // keep nothing: for unit tests
	Fsync      bool     // sync the log to disk after each batch
	Partitions int      // of a topic that is created without a count; 0: 6
	Reserve    uint64   // bytes of the disk to leave free: below, writes are refused; 0: DefaultReserve
	Groups     []string // retention spares what these groups have not committed

	Free    func(dir string) (uint64, error) // free bytes of the disk of a directory; nil: ask the system
	TLS     *tls.Config                      // tests only; the watch over silent members does not work with it
	Cluster []kfake.Opt                      // further settings, tests only
}

// Broker is an open broker.
type Broker struct {
	opts    Options
	dir     string // the log; "" in memory
	lock    *dirLock
	gate    *gate
	cluster *kfake.Cluster
	disk    *disk
	watch   *watch
	sealed  map[string]int64 // newest record time of closed segments, by path; of the retention alone
	warned  bool             // of the size of the log

	hooks  hooks
	closed sync.Once
}

// Open locks the data directory, loads the log and listens. A directory in use is ErrLocked, a disk with less than the
// reserve free is ErrDiskFull.
func Open(o Options) (*Broker, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	b := &Broker{opts: o, sealed: map[string]int64{}, watch: newWatch(time.Now)}
	if !o.Memory {
		if err := b.claimDir(); err != nil {
			return nil, err
		}
	}
	var err error
	b.gate, err = newGate(o.Log, o.Addr, o.Advertise, o.TLS)
	if err != nil {
		return nil, errors.Join(err, b.lock.release())
	}
	b.cluster, err = kfake.NewCluster(b.settings()...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open broker at %s: %w", o.Addr, err), b.gate.close(), b.lock.release())
	}
	b.installCures()
	if !o.Memory {
		debug.FreeOSMemory() // the load read every segment as a whole
	}
	return b, nil
}

func (o *Options) check() error {
	switch {
	case o.Log == nil:
		return errors.New("broker: Options.Log is required")
	case o.Addr == "":
		return errors.New("broker: Options.Addr is required")
	case o.DataDir == "" && !o.Memory:
		return errors.New("broker: Options.DataDir is required unless Options.Memory is set")
	}
	if o.Partitions == 0 {
		o.Partitions = 6
	}
	if o.Reserve == 0 {
		o.Reserve = DefaultReserve
	}
	if o.Free == nil {
		o.Free = freeBytes
	}
	return nil
}

// claimDir makes the data directory this process's own and refuses a disk that is already below the reserve.
func (b *Broker) claimDir() error {
	b.dir = filepath.Join(b.opts.DataDir, "kafka")
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return fmt.Errorf("make data directory %s: %w", b.dir, err)
	}
	lock, err := lockDir(b.opts.DataDir)
	if err != nil {
		return err
	}
	free, err := b.opts.Free(b.dir)
	if err == nil && free < b.opts.Reserve {
		err = &DiskError{Dir: b.dir, Free: free, Reserve: b.opts.Reserve}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open data directory: %w", err), lock.release())
	}
	b.lock = lock
	return nil
}

func (b *Broker) settings() []kfake.Opt {
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID(ClusterID),
		kfake.DefaultNumPartitions(b.opts.Partitions),
		kfake.ListenFn(b.gate.listen),
		kfake.WithLogger(clusterLog{b.opts.Log}),
		kfake.BrokerConfigs(map[string]string{
			"log.segment.bytes": strconv.Itoa(segmentBytes),
			// kfake's own cleaner empties logs, which restart at offset 0 then: it sleeps for ever.
			"log.cleaner.backoff.ms": strconv.FormatInt(never.Milliseconds(), 10),
		}),
	}
	if !b.opts.Memory {
		opts = append(opts, kfake.DataDir(b.dir))
	}
	if b.opts.Fsync {
		opts = append(opts, kfake.SyncWrites())
	}
	return append(opts, b.opts.Cluster...)
}

func (b *Broker) installCures() {
	b.refuseDeletes()
	b.answerUnknownGroups()
	b.watch.observe(b.cluster)
	b.disk = &disk{dir: b.dir, reserve: b.opts.Reserve, free: b.opts.Free, cluster: b.cluster, log: b.opts.Log}
}

// Addr returns the address that clients dial.
func (b *Broker) Addr() string { return b.gate.addr() }

// Cluster returns what the broker wraps, for the hooks of brokertest.
func (b *Broker) Cluster() *kfake.Cluster { return b.cluster }

// CreateTopic creates a topic. Partitions 0 means Options.Partitions.
func (b *Broker) CreateTopic(name string, partitions int32, configs map[string]string) error {
	if err := b.cluster.CreateTopic(name, partitions, configs); err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	return nil
}

// Run keeps the broker healthy until ctx ends: retention, the reserve of the disk, members that died silently. The
// broker answers without it too. It returns before Close is called.
func (b *Broker) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if !b.opts.Memory {
		g.Go(func() error { return every(ctx, diskEvery, func() { b.disk.check(ctx) }) })
		g.Go(func() error { return every(ctx, retentionEvery, func() { b.retain(ctx, time.Now()) }) })
	}
	if b.opts.TLS == nil {
		g.Go(func() error { return every(ctx, watchEvery, func() { b.expel(ctx) }) })
	}
	return g.Wait()
}

// every calls fn at once and then at each tick, until ctx ends.
func every(ctx context.Context, d time.Duration, fn func()) error {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		fn()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Close writes a snapshot of the log, so that the next start is quick, cuts all connections and unlocks the directory.
// Nothing may call the broker after it. Closing again does nothing.
func (b *Broker) Close() error {
	var err error
	b.closed.Do(func() {
		b.cluster.Close()
		err = errors.Join(b.gate.close(), b.lock.release())
	})
	return err
}
