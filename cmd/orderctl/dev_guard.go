package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"commerce.internal/orderctl/internal/broker"
	"commerce.internal/orderctl/internal/kafka/publish"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/queue"
	"commerce.internal/orderctl/internal/serve"
	"commerce.internal/orderctl/internal/store"
)

// intake is what the API writes to.
type intake interface {
	serve.Publisher
	Partitions(topic string) (int32, error)
}

// guarded refuses orders while the disk under the embedded broker is full. A broker elsewhere says so only after the
// hand-over, when an earlier attempt may have landed; here it is known before, so that nothing was written is certain.
type guarded struct {
	*publish.Producer
	full func() error
}

// Publish implements serve.Publisher.
func (g guarded) Publish(m queue.Message, done func(queue.Ack, error)) error {
	if err := g.full(); err != nil {
		return &queue.PublishError{Kind: queue.NotSent, Reason: "storage", Err: err}
	}
	return g.Producer.Publish(m, done)
}

// diskCheck tells a full disk in /health.
func diskCheck(k *broker.Broker) obs.Check {
	return obs.Check{Name: "disk", Report: func() obs.Health {
		if err := k.Full(); err != nil {
			return obs.Health{Status: obs.Warn, Err: err}
		}
		return obs.Health{Status: obs.Pass}
	}}
}

// database is the file in which dev's worker remembers what it has done.
func (d *devData) database() string { return filepath.Join(d.dir, "orders.db") }

// forgotten says what it means that the database begins anew beside a log from which the group has read: the effects of
// those orders are gone, and nobody will make them again. "": that is not so.
func (d *devData) forgotten(committed int64, group string) string {
	info, err := os.Stat(d.database())
	if committed <= 0 || err == nil && info.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return fmt.Sprintf(`warning: %s is new, but the log beside it is not: what %s had done with %s orders is gone, and it goes on behind them
'orderctl audit' names what is missing; 'orderctl dev --reset' begins again with both empty`, d.database(), group, digits(committed))
}

// unusable is the error of a start. To dev a database is a file of its own, not a service that may answer later.
func (d *devData) unusable(err error) error {
	var start *store.StartError
	if !errors.As(err, &start) {
		return err
	}
	return &exitError{
		code: exitFailed, text: err.Error(), err: err,
		hint: "put a copy of the file back, choose another folder with --data-dir, or begin again with --reset",
	}
}
