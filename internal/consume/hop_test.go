package consume_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/consume"
	"commerce.internal/orderctl/internal/obs"
	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

func refused(kind queue.PublishKind, reason string) error {
	return &queue.PublishError{Kind: kind, Reason: reason, Err: errors.New("broker says no")}
}

// W11, W12: whatever the broker answers, a hop is never skipped; the partition waits and says why.
func TestAFailedHopPausesThePartitionAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		refused(queue.NotSent, "no-leader"), refused(queue.Rejected, "denied"), refused(queue.Unknown, "timeout"), errors.New("mysterious"),
	} {
		t.Run(err.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(2)
				w.log.Refuse = func(queue.Message) error { return err }
				w.log.Append(queue.Message{Topic: "orders", Key: []byte("A"), Value: []byte("{")})
				w.log.Append(queue.Message{Topic: "orders", Key: []byte("B"), Value: []byte("{")})
				c := consume.OrderMessage("orders", consume.SampleOrder("C", order.Created))
				c.Partition = 1
				w.log.Append(c)
				worker, stop := w.start(t)
				<-time.After(time.Minute)
				if h := worker.Health(); len(h.Paused) != 1 || h.Paused[0].Topic != "orders" || h.Paused[0].Reasons[0] != "hop" {
					t.Errorf("health %+v", h)
				}
				check := worker.Checks()[1]
				if c := check.Report(); check.Name != "consumer" || c.Status != obs.Warn || !strings.Contains(c.Err.Error(), "orders/0 is paused: hop") {
					t.Errorf("check %+v", c)
				}
				if c := w.log.Committed("orders", 0); c != 0 {
					t.Errorf("commit %d passes a hop that is not made", c)
				}
				wantApplied(t, w, "C:CREATED") // other partitions go on
				w.log.Set(func() { w.log.Refuse = nil })
				<-time.After(6 * time.Second)
				if len(w.letters()) != 2 || w.log.Committed("orders", 0) != 2 || len(worker.Health().Paused) != 0 || worker.Letters() != 2 {
					t.Errorf("%d letters, commit %d, %+v", len(w.letters()), w.log.Committed("orders", 0), worker.Health())
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAPublisherThatIsFullIsAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		p := &fullPublisher{log: w.log, times: 3}
		w.o.Publisher = p
		w.log.Append(queue.Message{Topic: "orders", Value: []byte("{")})
		wantLetters(t, w.run(t), 1)
	})
}

type fullPublisher struct {
	log   *consume.MemLog
	times int
}

func (p *fullPublisher) Publish(m queue.Message, done func(queue.Ack, error)) error {
	if p.times--; p.times >= 0 {
		return refused(queue.NotSent, "busy")
	}
	return p.log.Publish(m, done)
}

// Its code is a pointer, its message long: too large with our headers, it is shortened before anything else.
func TestALetterThatIsTooLarge(t *testing.T) {
	t.Parallel()
	value := strings.Replace(valid("A"), `"quantity":2`, `"quantity":0`, 1)
	tooLarge := func(limit int) func(queue.Message) error {
		return func(m queue.Message) error {
			n := len(m.Value)
			for _, h := range m.Headers {
				n += len(h.Name) + len(h.Value)
			}
			if n > limit {
				return refused(queue.Rejected, "too-large")
			}
			return nil
		}
	}
	size := func(w *world) int {
		n := 0
		for _, h := range w.log.Records(names.DLQ())[0].Headers {
			n += len(h.Name) + len(h.Value)
		}
		return n
	}
	produce := func(w *world) { w.log.Append(queue.Message{Topic: "orders", Key: []byte("A"), Value: []byte(value)}) }
	whole := func(t *testing.T) (n int) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(1)
			produce(w)
			wantLetters(t, w.run(t), 1)
			n = size(w) + len(value)
		})
		return n
	}(t)

	t.Run("its message is shortened", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(1)
			w.log.Refuse = tooLarge(whole - 1)
			produce(w)
			wantLetters(t, w.run(t), 1)
			if l := w.letters()[0]; l.Code != "#/items/0/quantity" || len(l.Message) > 64 || string(w.log.Records(names.DLQ())[0].Value) != value {
				t.Errorf("letter %+v", l)
			}
		})
	})
	t.Run("still too large: the partition waits", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(1)
			w.log.Refuse = tooLarge(len(value))
			produce(w)
			worker, stop := w.start(t)
			<-time.After(time.Minute)
			if h := worker.Health(); len(w.letters()) != 0 || len(h.Paused) != 1 {
				t.Errorf("%d letters, %+v", len(w.letters()), h)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("or a pointer goes", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(1)
			w.o.OnTooLarge = consume.TooLargePointer
			w.log.Refuse = tooLarge(whole - len(value) + 20)
			produce(w)
			wantLetters(t, w.run(t), 1)
			r := w.log.Records(names.DLQ())[0]
			sum := sha256.Sum256([]byte(value))
			if l := queue.ReadTrail(r.Headers); r.Value != nil || string(r.Key) != "A" || l.Pointer != hex.EncodeToString(sum[:]) {
				t.Errorf("letter %+v", r)
			}
		})
	})
}

// A crash after step 1 or 2 brings the record again: rule 5 makes the same hop again.
func TestAHopThatWasCutShortIsMadeAgain(t *testing.T) {
	t.Parallel()
	for _, produced := range []bool{false, true} {
		t.Run(fmt.Sprintf("produced %v", produced), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(1)
				w.log.Append(queue.Message{Topic: "orders", Key: []byte("A"), Value: []byte("{")})
				w.o.DrainTimeout = time.Millisecond
				w.log.Mute = true // nothing is acknowledged: killed there
				_, stop := w.start(t)
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				row := w.store.Rows()[0]
				if row.State != queue.StateDead || row.At.Offset >= 0 || w.log.Committed("orders", 0) != 0 {
					t.Fatalf("after the crash: row %+v, commit %d", row, w.log.Committed("orders", 0))
				}
				w.log.Mute = false
				if produced {
					w.log.Append(queue.Message{Topic: names.DLQ(), Key: []byte("A"), Value: []byte("{")})
				}
				w.o.UntilEmpty = true
				wantLetters(t, w.run(t), 1)
				letters := w.letters()
				if l := letters[len(letters)-1]; l.Hop != 1 || l.Class != queue.ClassDecode || l.Code != "malformed" || l.MsgID != "orders/0@0" {
					t.Errorf("letter %+v", l)
				}
				if row := w.store.Rows()[0]; row.At.Offset != int64(len(letters)-1) || row.Hop != 1 {
					t.Errorf("row %+v", row)
				}
			})
		})
	}
}

func TestAHopWithoutItsPositionStillEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.store.Refuse = failing("A:CREATED", queue.ClassRetryable, 3)
		w.store.Placed = func(queue.RowKey, int) error { return errors.New("database is away") }
		w.produce("A", order.Created)
		wantLetters(t, w.run(t), 0) // rule 3 takes the copy that comes
		wantApplied(t, w, "A:CREATED")
	})
}

// I7: after the loss of a partition and its drain nothing of it is written, not even the rest of a hop.
func TestAHopEndsWithItsClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.log.Refuse = func(queue.Message) error { return refused(queue.NotSent, "no-leader") }
		w.log.Append(queue.Message{Topic: "orders", Value: []byte("{")})
		ctx, lose := context.WithCancel(t.Context())
		own := w.log.Source("orders")
		w.o.Source = func(run context.Context, handle func(consume.Claim)) error {
			_ = own(ctx, handle)
			<-run.Done()
			return run.Err()
		}
		worker, stop := w.start(t)
		lose()
		<-time.After(8 * time.Second)
		w.log.Set(func() { w.log.Refuse = nil })
		<-time.After(time.Minute)
		if len(w.letters()) != 0 || w.log.Committed("orders", 0) != 0 || worker.Health().Partitions != 0 {
			t.Errorf("%d letters, %+v", len(w.letters()), worker.Health())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestTheCopyReplacesHeadersOfEarlierHops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.store.Refuse = failing("A:CREATED", queue.ClassRetryable, 99)
		w.produce("A", order.Created)
		wantLetters(t, w.run(t), 1)
		count := func(r queue.Record) map[string]int {
			n := map[string]int{}
			for _, h := range r.Headers {
				n[h.Name]++
			}
			return n
		}
		for name, n := range count(w.log.Records(names.DLQ())[0]) {
			if n != 1 {
				t.Errorf("header %s is there %d times", name, n)
			}
		}
		for _, topic := range []string{names.Retry(5 * time.Second), names.Retry(time.Minute), names.DLQ()} {
			r := w.log.Records(topic)[0]
			if !slices.EqualFunc(r.Headers[:2], consume.OrderMessage("", consume.SampleOrder("A", order.Created)).Headers, sameHeader) {
				t.Errorf("headers of the sender in %s: %+v", topic, r.Headers[:2])
			}
			if l := queue.ReadTrail(r.Headers); l.Origin.Offset != 0 || l.Origin.Topic != "orders" {
				t.Errorf("origin in %s: %v", topic, l.Origin)
			}
		}
	})
}

// The database refuses the row of the letter too: the record is not skipped, and not asked for all the time.
func TestARecordThatCannotEvenBeGivenUpStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		var asked atomic.Int64
		w.store.Row = func(r queue.Row) error {
			if r.MsgID != "bad:CREATED" {
				return nil
			}
			asked.Add(1)
			return &queue.Failure{Class: queue.ClassFatal, Code: "22001"}
		}
		w.produce("bad", order.Created)
		w.produce("A", order.Created)
		_, stop := w.start(t)
		<-time.After(time.Minute)
		if c := w.log.Committed("orders", 0); c != 0 || asked.Load() > 60 {
			t.Errorf("commit %d, asked %d times in a minute", c, asked.Load())
		}
		wantApplied(t, w, "A:CREATED")
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestTheReasonOfALetterIsSafeText(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.store.Refuse = func(queue.Effect) error {
			return &queue.Failure{Class: queue.ClassFatal, Code: "x", Message: "\x1b[2J" + strings.Repeat("\x00\u202e", 2_000)}
		}
		w.produce("A", order.Created)
		wantLetters(t, w.run(t), 1)
		if m := w.letters()[0].Message; len(m) > queue.MaxMessageBytes || strings.ContainsAny(m, "\x1b\x00\u202e") || !strings.HasPrefix(m, `\x1b[2J`) {
			t.Errorf("message %q", m)
		}
	})
}

// A tier that has left the configuration is read to its end, with its own delay, and never written.
func TestATierThatHasLeftTheConfigurationIsConsumed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		left := names.Retry(9 * time.Second)
		w.o.Source = w.log.Source(append(names.Consumed(), left)...)
		w.o.Empty = func(context.Context) (bool, error) { return w.log.Empty(names) && w.log.Committed(left, 0) == 1, nil }
		w.store.Refuse = failing("A:CREATED", queue.ClassRetryable, 3)
		m := consume.OrderMessage(left, consume.SampleOrder("A", order.Created))
		m.Headers = append(m.Headers, header(queue.HeaderOriginTopic, "orders"), header(queue.HeaderOriginPartition, "0"),
			header(queue.HeaderOriginOffset, "3"), header(queue.HeaderHop, "1"))
		began := time.Now()
		w.log.Append(m)
		wantLetters(t, w.run(t), 0)
		if took := time.Since(began); took < 14*time.Second || len(w.log.Records(left)) != 1 {
			t.Errorf("after %v, %d records in the tier that has left", took, len(w.log.Records(left)))
		}
		wantApplied(t, w, "A:CREATED")
	})
}
