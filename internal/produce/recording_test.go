package produce_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/produce"
	"commerce.internal/orderctl/internal/queue"
)

func fromFile(p produce.Publisher, f *produce.File) produce.Options {
	return produce.Options{Kafka: toKafka(p), File: f, RunID: "file"}
}

func TestTheRealOrdersGoToKafkaByteForByte(t *testing.T) {
	t.Parallel()
	p := &publisher{}
	r := run(t.Context(), t, fromFile(p, produce.RealOrders()))
	want := realLines(t)
	if len(want) != 1_803 || r.Sent != 1_803 || r.Acknowledged != 1_803 || r.ExitCode() != 0 || r.Expected != 0 {
		t.Fatalf("report %+v of %d lines", r, len(want))
	}
	for i, m := range p.messages() {
		if !bytes.Equal(m.Value, want[i]) {
			t.Fatalf("line %d was changed to %.200s", i+1, m.Value)
		}
		o, err := order.ParseJSON(m.Value, order.RejectUnknown)
		if err != nil || string(m.Key) != o.OrderID {
			t.Fatalf("line %d: key %s, %v", i+1, m.Key, err)
		}
		if id, _ := queue.First(m.Headers, queue.HeaderID); id != o.MessageID() {
			t.Fatalf("line %d: ce_id %s", i+1, id)
		}
		if mark, _ := queue.First(m.Headers, queue.HeaderLoadTest); mark != "file" {
			t.Fatalf("line %d is not marked: %q", i+1, mark)
		}
	}
}

func TestLinesThatAreNoOrdersAreSentAsTheyAre(t *testing.T) {
	t.Parallel()
	long := `{"order_id":"A-3","attributes":{"note":"` + strings.Repeat("x", 200_000) + `"}}`
	text := "not json\r\n\n  \n" + `{"user_id":1}` + "\n" + `{"order_id":"A-2"}` + "\n" + long + "\n" + `{"order_id":"A-4"}`
	p := &publisher{}
	r := run(t.Context(), t, fromFile(p, lines(text)))
	got := p.messages()
	if len(got) != 5 || r.Sent != 5 {
		t.Fatalf("%d records, want 5: blank lines are none", len(got))
	}
	for i, want := range []struct{ key, value string }{
		{"line-1", "not json\r"}, {"line-4", `{"user_id":1}`}, {"A-2", `{"order_id":"A-2"}`}, {"A-3", long}, {"A-4", `{"order_id":"A-4"}`},
	} {
		if string(got[i].Key) != want.key || string(got[i].Value) != want.value {
			t.Errorf("record %d: key %s, value %.60s", i, got[i].Key, got[i].Value)
		}
	}
	if _, found := queue.First(got[0].Headers, queue.HeaderID); found {
		t.Error("a line that is no order has a message id")
	}
}

func TestAGzippedFileIsKnownByItsContent(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	_, _ = zip.Write([]byte("{\"order_id\":\"A\"}\n{\"order_id\":\"B\"}\n"))
	_ = zip.Close()
	p := &publisher{}
	run(t.Context(), t, fromFile(p, lines(b.String())))
	if got := p.messages(); len(got) != 2 || string(got[1].Key) != "B" {
		t.Errorf("%d records", len(got))
	}
	cut := lines(b.String()[:b.Len()-12])
	if err := runError(t, fromFile(&publisher{}, cut)); err == nil || !strings.Contains(err.Error(), "read recording test") {
		t.Errorf("a damaged file: %v", err)
	}
}

// runError runs and returns the error; the report must balance nevertheless.
func runError(t *testing.T, o produce.Options) error {
	t.Helper()
	p, err := produce.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Run(t.Context())
	if r.Schema != "" {
		balanced(t, r)
	}
	return err
}

func TestAFileThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	gone := errors.New("no such file")
	f := &produce.File{Name: "x", Open: func() (io.ReadCloser, error) { return nil, gone }}
	if err := runError(t, fromFile(&publisher{}, f)); !errors.Is(err, gone) {
		t.Errorf("missing: %v", err)
	}
	broken := io.MultiReader(strings.NewReader("{\"order_id\":\"A\"}\n{\"order"), failing{gone})
	f.Open = func() (io.ReadCloser, error) { return io.NopCloser(broken), nil }
	p := &publisher{}
	if err := runError(t, fromFile(p, f)); !errors.Is(err, gone) || !strings.Contains(err.Error(), "line 2") || len(p.messages()) != 1 {
		t.Errorf("broken off: %v after %d records", err, len(p.messages()))
	}
	f.Open = func() (io.ReadCloser, error) { return io.NopCloser(endless{}), nil }
	if err := runError(t, fromFile(&publisher{}, f)); err == nil || !strings.Contains(err.Error(), "longer than 16 MiB") {
		t.Errorf("an endless line: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestRecordedGapsAreKept(t *testing.T) {
	t.Parallel()
	const recorded = `{"order_id":"A","timestamp":1000000}
{"order_id":"B","timestamp":1004000}
{"order_id":"C","timestamp":1002000}
{"order_id":"D"}
{"order_id":"E","timestamp":9004000}
`
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{}
		f := lines(recorded)
		f.Speed, f.MaxGap = 2, time.Minute
		begin := time.Now()
		r := run(t.Context(), t, fromFile(p, f))
		for i, want := range []time.Duration{0, 2 * time.Second, 2 * time.Second, 2 * time.Second, 62 * time.Second} {
			if got := p.at[i].Sub(begin); got != want {
				t.Errorf("order %s left after %v, want %v", p.got[i].Key, got, want)
			}
		}
		if r.AskedRate != nil || r.ExitCode() != 0 || r.Schedule != "recorded gaps at 2x" {
			t.Errorf("report %+v", r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{}
		f := lines(recorded)
		f.Speed = 1
		o := fromFile(p, f)
		o.Rate, o.MinRate = produce.PerSecond(10), 1
		begin := time.Now()
		r := run(t.Context(), t, o)
		if last := p.at[4].Sub(begin); last != 400*time.Millisecond || r.ExitCode() != 0 || *r.AchievedRatio != 1 {
			t.Errorf("a rate rules over recorded gaps: the last left after %v", last)
		}
	})
}

func TestRestampAndRepeat(t *testing.T) {
	t.Parallel()
	text := `{"order_id":"A","user_id":"u","timestamp":1000}` + "\nbroken\n"
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{}
		f := lines(text)
		f.Restamp, f.Repeat = true, 3
		now := time.Now()
		run(t.Context(), t, fromFile(p, f))
		var keys []string
		for _, m := range p.messages() {
			keys = append(keys, string(m.Key))
			if o, err := order.ParseJSON(m.Value, order.RejectUnknown); err == nil && (o.Timestamp != now.UnixMilli() || o.OrderID != string(m.Key)) {
				t.Errorf("order %+v", o)
			}
		}
		if got := strings.Join(keys, " "); got != "A line-2 A-r2 line-2 A-r3 line-2" {
			t.Errorf("keys %s", got)
		}
	})
	p := &publisher{}
	f := lines(text)
	f.Repeat = 2
	run(t.Context(), t, fromFile(p, f))
	if got := p.messages(); len(got) != 4 || !bytes.Equal(got[2].Value, got[0].Value) {
		t.Errorf("without restamp a round repeats the bytes: %d records", len(got))
	}
}

func TestAnEmptyFileSendsNothingAndEnds(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n\n"} {
		f := lines(text)
		f.Repeat = -1
		if r := run(t.Context(), t, fromFile(&publisher{}, f)); r.Sent != 0 || r.ExitCode() != 0 || r.AchievedRate != nil {
			t.Errorf("report %+v", r)
		}
	}
}

func TestACountCutsAFile(t *testing.T) {
	t.Parallel()
	p := &publisher{}
	o := fromFile(p, produce.RealOrders())
	o.Count = 10
	if r := run(t.Context(), t, o); r.Sent != 10 || r.ExitCode() != 0 || len(p.messages()) != 10 {
		t.Errorf("report %+v", r)
	}
}

// The demo never ends by itself, and no order id comes twice.
func TestTheDemoSendsFreshOrdersForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{answer: func(n int, _ queue.Message, done func(queue.Ack, error)) {
			if n%100 == 0 {
				done(queue.Ack{}, errors.New("cut")) // a failure does not end it
				return
			}
			done(queue.Ack{}, nil)
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		if err := produce.Demo(ctx, *toKafka(p), nil); err != nil {
			t.Fatal(err)
		}
		got := p.messages()
		if n := len(got); n != 3_600 && n != 3_601 {
			t.Fatalf("%d orders in 3 minutes, want 3,600", n)
		}
		ids := map[string]bool{}
		invalid := 0
		for i, m := range got {
			if id, _ := queue.First(m.Headers, queue.HeaderID); ids[id] {
				t.Fatalf("order %d: %s twice", i, id)
			} else {
				ids[id] = true
			}
			o, err := order.ParseJSON(m.Value, order.RejectUnknown)
			if err != nil || time.UnixMilli(o.Timestamp).Before(p.at[i].Add(-time.Minute)) {
				t.Fatalf("order %d: timestamp %d, %v", i, o.Timestamp, err)
			}
			if o.Validate(p.at[i]) != nil {
				invalid++
			}
			if _, marked := queue.First(m.Headers, queue.HeaderLoadTest); marked {
				t.Fatal("the demo is no load test")
			}
		}
		if string(got[0].Key) != "536365" || string(got[1_803].Key) != "536365-r2" || invalid < 500 {
			t.Errorf("first %s, next round %s, %d invalid", got[0].Key, got[1_803].Key, invalid)
		}
	})
}
