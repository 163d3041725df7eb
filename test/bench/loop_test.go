package bench

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// loop is the consumer that is usually written: for each message of a claim one transaction, then the message is marked.
// It keeps no record of what is done, parks nothing and knows no dead letters: an effect may happen twice.
type loop struct {
	db   *sql.DB
	want int
	done chan struct{}

	mu          sync.Mutex
	n           int
	first, last time.Time
	err         error
}

type usualOrder struct {
	OrderID  string `json:"order_id"`
	UserID   string `json:"user_id"`
	Status   string `json:"status"`
	Currency string `json:"currency"`
	Items    []struct {
		ProductID string `json:"product_id"`
		Quantity  int64  `json:"quantity"`
		UnitPrice int64  `json:"unit_price"`
	} `json:"items"`
	TotalAmount int64 `json:"total_amount"`
	Timestamp   int64 `json:"timestamp"`
}

func (l *loop) create(ctx context.Context) error {
	_, err := l.db.ExecContext(ctx, `CREATE TABLE usual (order_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, status TEXT NOT NULL,
		currency TEXT NOT NULL, total_amount BIGINT NOT NULL, items TEXT NOT NULL, created_at BIGINT NOT NULL)`)
	return err
}

// run consumes until all is applied.
func (l *loop) run(ctx context.Context, addr, topic string) error {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	g, err := sarama.NewConsumerGroup([]string{addr}, topic, c)
	if err != nil {
		return fmt.Errorf("make consumer group: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := g.Consume(ctx, []string{topic}, l); err != nil {
				l.end(err)
				return
			}
		}
	})
	<-l.done
	cancel()
	wg.Wait()
	if err := g.Close(); err != nil {
		return fmt.Errorf("close consumer group: %w", err)
	}
	return l.err
}

func (l *loop) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (l *loop) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (l *loop) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			l.mu.Lock()
			if l.first.IsZero() {
				l.first = time.Now()
			}
			l.mu.Unlock()
			if err := l.apply(s.Context(), m.Value); err != nil {
				l.end(err)
				return err
			}
			s.MarkMessage(m, "")
			l.finish()
		case <-s.Context().Done():
			return nil
		}
	}
}

func (l *loop) apply(ctx context.Context, value []byte) error {
	var o usualOrder
	if err := json.Unmarshal(value, &o); err != nil {
		return fmt.Errorf("decode order: %w", err)
	}
	items, err := json.Marshal(o.Items)
	if err != nil {
		return fmt.Errorf("encode items: %w", err)
	}
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err = tx.ExecContext(ctx, `INSERT INTO usual (order_id, user_id, status, currency, total_amount, items, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (order_id) DO UPDATE SET status = excluded.status`,
		o.OrderID, o.UserID, o.Status, o.Currency, o.TotalAmount, string(items), o.Timestamp); err != nil {
		return fmt.Errorf("insert order: %w", err)
	}
	return tx.Commit()
}

func (l *loop) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = time.Now()
	if l.n++; l.n == l.want {
		close(l.done)
	}
}

// end gives up.
func (l *loop) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n < l.want {
		l.n, l.err = l.want, err
		close(l.done)
	}
}
